//! How fast things change: `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! Start timestamps of counters are not used yet: a series that begins inside of the window is
//! extrapolated as Prometheus does by default.

use super::range_functions::{Outcome, Remark};
use super::window::View;
use crate::ast::RangeExtension;

/// What a rate-like function makes of the difference over its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateKind {
    /// Whether a fall is a counter's reset.
    pub(super) is_counter: bool,
    /// Whether the result is per second.
    pub(super) per_second: bool,
}

/// The difference between the last and the first sample, extrapolated to the window's borders.
pub(super) fn extrapolated(view: &View<'_>, kind: RateKind) -> Outcome {
    if let Some(outcome) = Outcome::of_histograms(view) {
        return outcome;
    }
    let ([first, .., last], [first_time, .., last_time]) = (view.values, view.times) else {
        return Outcome::NOTHING;
    };
    let mut difference = last - first;
    if kind.is_counter {
        difference += resets_total(view.values);
    }

    let sampled = (last_time - first_time) as f64 / 1_000.0;
    let between_samples = sampled / (view.times.len() - 1) as f64;
    // A border farther away than this is one that the series does not reach.
    let threshold = between_samples * 1.1;
    let mut to_start = (first_time - view.window.after_ms) as f64 / 1_000.0;
    let mut to_end = (view.window.until_ms - last_time) as f64 / 1_000.0;
    if to_start >= threshold {
        to_start = between_samples / 2.0;
    }
    if kind.is_counter && difference > 0.0 && *first >= 0.0 {
        // A counter does not begin below zero.
        to_start = to_start.min(sampled * (first / difference));
    }
    if to_end >= threshold {
        to_end = between_samples / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if kind.per_second {
        factor /= view.range_seconds();
    }
    (difference * factor).into()
}

/// What a counter had counted when it was reset, over all resets.
fn resets_total(values: &[f64]) -> f64 {
    values
        .windows(2)
        .filter(|pair| pair[1] < pair[0])
        .map(|pair| pair[0])
        .sum()
}

/// The difference of the last two samples.
pub(super) fn instant(view: &View<'_>, is_rate: bool) -> Outcome {
    let mixed = !view.histogram_times.is_empty();
    if mixed {
        return last_two_with_histograms(view, is_rate);
    }
    let ([.., before, last], [.., before_time, last_time]) = (view.values, view.times) else {
        return Outcome::NOTHING;
    };
    per_interval(*before, *last, last_time - before_time, is_rate)
}

fn per_interval(before: f64, last: f64, interval_ms: i64, is_rate: bool) -> Outcome {
    let reset = is_rate && last < before;
    let difference = if reset { last } else { last - before };
    match is_rate {
        true => (difference / (interval_ms as f64 / 1_000.0)).into(),
        false => difference.into(),
    }
}

/// Only the last two samples count, of whichever kind they are.
fn last_two_with_histograms(view: &View<'_>, is_rate: bool) -> Outcome {
    let total = view.times.len() + view.histogram_times.len();
    if total < 2 {
        return Outcome::NOTHING;
    }
    let last_histogram = view.histogram_times.last();
    let floats_after = match last_histogram {
        Some(time) => view.times.iter().rev().take_while(|t| *t > time).count(),
        None => view.times.len(),
    };
    match floats_after {
        // The histogram is older than the last two floats.
        2.. => {
            let ([.., before, last], [.., before_time, last_time]) = (view.values, view.times)
            else {
                return Outcome::NOTHING;
            };
            per_interval(*before, *last, last_time - before_time, is_rate)
        }
        1 => Outcome::remark(Remark::MixedFloatsHistograms),
        _ => {
            let before_last = view.histogram_times.iter().rev().nth(1);
            match (view.times.last(), before_last) {
                (Some(float), Some(histogram)) if float > histogram => {
                    Outcome::remark(Remark::MixedFloatsHistograms)
                }
                (Some(_), None) => Outcome::remark(Remark::MixedFloatsHistograms),
                _ => Outcome::NEEDS_HISTOGRAMS,
            }
        }
    }
}

/// The difference between the window's borders, whose values come from samples around them:
/// the last sample before the window (`anchored`) or the line between neighbours (`smoothed`).
pub(super) fn extended(view: &View<'_>, kind: RateKind, extension: RangeExtension) -> Outcome {
    if let Some(outcome) = Outcome::of_histograms(view) {
        return outcome;
    }
    if view.times.is_empty() {
        return Outcome::NOTHING;
    }
    let smoothed = extension == RangeExtension::Smoothed;
    let (start, end) = (view.window.after_ms, view.window.until_ms);
    let after_start = view.times.partition_point(|time| *time <= start);
    // The last sample at or before the start, or the first one there is.
    let mut first = after_start.saturating_sub(1);
    let mut last = view.times.len() - 1;
    if smoothed {
        last = view.times.partition_point(|time| *time < end).min(last);
    }
    if view.times[last] <= start || (smoothed && view.times[first] > end) {
        return Outcome::NOTHING;
    }
    let point = |index: usize| (view.times[index], view.values[index]);
    let left = match smoothed && view.times[first] < start {
        true => between(point(first), point(first + 1), start, kind.is_counter),
        false => view.values[first],
    };
    let right = match smoothed && last > 0 && view.times[last] > end {
        true => between(point(last - 1), point(last), end, kind.is_counter),
        false => view.values[last],
    };
    let mut difference = right - left;
    if kind.is_counter {
        // The borders already account for resets next to them.
        first += usize::from(view.times[first] <= start);
        let end_index = last + 1 - usize::from(view.times[last] >= end);
        let inside = view.values.get(first..end_index).unwrap_or_default();
        let mut before = left;
        for value in inside.iter().chain([&right]) {
            if *value < before {
                difference += before;
            }
            before = *value;
        }
    }
    if kind.per_second {
        difference /= view.range_seconds();
    }
    difference.into()
}

/// The value at `time` on the line between two samples; a counter that was reset begins at 0.
fn between(a: (i64, f64), b: (i64, f64), time: i64, is_counter: bool) -> f64 {
    let from = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (time - a.0) as f64 / (b.0 - a.0) as f64
}
