//! How fast things change: `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! Start timestamps of counters are not used yet: a series that begins inside of the window is
//! extrapolated as Prometheus does by default.

use std::sync::Arc;

use model::NativeHistogram;
use model::histogram::ResetHint;

use super::column::Cell;
use super::histogram_sum::{HistogramSum, Incompatible};
use super::native_histogram;
use super::range_functions::Outcome;
use super::remark::{Operation, Remark};
use super::window::{View, ViewSample};
use crate::ast::RangeExtension;
use crate::source::Window;
use crate::value::FloatColumn;

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
    if view.is_mixed() {
        return Outcome::remark(Remark::MixedInRange);
    }
    if view.histograms.is_empty() {
        return extrapolated_float(view, kind);
    }
    let [first, _, ..] = view.histograms else {
        return Outcome::NOTHING;
    };
    let mut remarks = Vec::new();
    let change = histogram_change(view.histograms, kind.is_counter, &mut remarks);
    let outcome = match change {
        None => Outcome::NOTHING,
        Some(change) => {
            let times = view.histogram_times;
            let factor = extrapolation(view, times, kind, first.count, change.count);
            histogram_cell(native_histogram::multiplied(&change, factor)).into()
        }
    };
    remarks.into_iter().fold(outcome, Outcome::with)
}

fn histogram_cell(histogram: NativeHistogram) -> Cell {
    Cell::Histogram(Arc::new(histogram))
}

fn extrapolated_float(view: &View<'_>, kind: RateKind) -> Outcome {
    let [first, .., last] = view.values else {
        return Outcome::NOTHING;
    };
    let mut difference = last - first;
    if kind.is_counter {
        difference += resets_total(view.values);
    }
    (difference * extrapolation(view, view.times, kind, *first, difference)).into()
}

/// By how much the difference between the first and the last sample is to be multiplied.
fn extrapolation(
    view: &View<'_>,
    times: &[i64],
    kind: RateKind,
    first: f64,
    difference: f64,
) -> f64 {
    let [first_time, .., last_time] = times else {
        return 1.0;
    };
    let sampled = (last_time - first_time) as f64 / 1_000.0;
    let between_samples = sampled / (times.len() - 1) as f64;
    // A border farther away than this is one that the series does not reach.
    let threshold = between_samples * 1.1;
    let mut to_start = (first_time - view.window.after_ms) as f64 / 1_000.0;
    let mut to_end = (view.window.until_ms - last_time) as f64 / 1_000.0;
    if to_start >= threshold {
        to_start = between_samples / 2.0;
    }
    if kind.is_counter && difference > 0.0 && first >= 0.0 {
        // A counter does not begin below zero.
        to_start = to_start.min(sampled * (first / difference));
    }
    if to_end >= threshold {
        to_end = between_samples / 2.0;
    }
    let factor = (sampled + to_start + to_end) / sampled;
    match kind.per_second {
        true => factor / view.range_seconds(),
        false => factor,
    }
}

/// What a counter had counted when it was reset, over all resets.
fn resets_total(values: &[f64]) -> f64 {
    let pairs = || values.windows(2);
    // Most windows have none, and counting takes several pairs at once.
    let resets: usize = pairs().map(|pair| usize::from(pair[1] < pair[0])).sum();
    if resets == 0 {
        return 0.0;
    }
    pairs()
        .filter(|pair| pair[1] < pair[0])
        .map(|pair| pair[0])
        .sum()
}

/// The last histogram less the first, and what a counter had counted when it was reset.
fn histogram_change(
    histograms: &[Arc<NativeHistogram>],
    is_counter: bool,
    remarks: &mut Vec<Remark>,
) -> Option<NativeHistogram> {
    let [first, middle @ .., last] = histograms else {
        return None;
    };
    let is_gauge = |histogram: &Arc<NativeHistogram>| histogram.reset_hint == ResetHint::Gauge;
    if is_counter && histograms.iter().any(is_gauge) {
        remarks.push(Remark::NotCounter);
    }
    let gauges = is_gauge(first) && is_gauge(last);
    if !is_counter && !gauges {
        remarks.push(Remark::NotGauge);
    }
    let second = middle.first().unwrap_or(last);
    let nothing;
    let first: &NativeHistogram = match is_counter && second.is_reset_after(first) {
        false => first.as_ref(),
        // The first one is as good as empty, so its buckets may be laid out in any way.
        true => {
            nothing = NativeHistogram {
                schema: second.schema,
                custom_values: second.custom_values.clone(),
                ..NativeHistogram::default()
            };
            &nothing
        }
    };
    let relevant = if is_counter { middle } else { &[] };
    let custom = first.has_custom_borders();
    let differs = |other: &Arc<NativeHistogram>| other.has_custom_borders() != custom;
    if differs(last) || relevant.iter().any(differs) {
        remarks.push(Remark::MixedSchemas);
        return None;
    }
    let mut change = HistogramSum::starting_at(last);
    let coarsest = relevant.iter().map(|histogram| histogram.schema).min();
    change.coarsen(coarsest.unwrap_or(last.schema));
    let mut reconciled = (false, false);
    let mut compute = || -> Result<(), Incompatible> {
        reconciled.0 = change.subtract(first)?;
        let mut before = first;
        for now in histograms.iter().skip(1).filter(|_| is_counter) {
            if now.is_reset_after(before) {
                reconciled.1 |= change.add(before)?;
            }
            before = now;
        }
        Ok(())
    };
    if compute().is_err() {
        remarks.push(Remark::MixedSchemas);
        return None;
    }
    if reconciled.0 {
        remarks.push(Remark::BordersReconciled(Operation::Subtraction));
    }
    if reconciled.1 {
        remarks.push(Remark::BordersReconciled(Operation::Addition));
    }
    Some(NativeHistogram {
        reset_hint: ResetHint::Gauge,
        ..change.finish()
    })
}

/// The difference of the last two samples, of whichever kind they are.
pub(super) fn instant(view: &View<'_>, is_rate: bool) -> Outcome {
    let samples: Vec<(i64, ViewSample<'_>)> = view.tail(2).samples().collect();
    let [.., (before_time, before), (last_time, last)] = samples.as_slice() else {
        return Outcome::NOTHING;
    };
    let interval = (last_time - before_time) as f64 / 1_000.0;
    match (before, last) {
        (ViewSample::Float(before), ViewSample::Float(last)) => {
            let reset = is_rate && last < before;
            let difference = if reset { *last } else { last - before };
            match is_rate {
                true => (difference / interval).into(),
                false => difference.into(),
            }
        }
        (ViewSample::Histogram(before), ViewSample::Histogram(last)) => {
            instant_histogram(before, last, is_rate.then_some(interval))
        }
        _ => Outcome::remark(Remark::MixedInRange),
    }
}

/// The difference of two histograms; per second of `interval` for a counter.
fn instant_histogram(
    before: &NativeHistogram,
    last: &NativeHistogram,
    interval: Option<f64>,
) -> Outcome {
    let is_gauge = |histogram: &NativeHistogram| histogram.reset_hint == ResetHint::Gauge;
    let mut remarks = Vec::new();
    match interval {
        Some(_) if is_gauge(before) || is_gauge(last) => remarks.push(Remark::NotCounter),
        None if !(is_gauge(before) && is_gauge(last)) => remarks.push(Remark::NotGauge),
        _ => {}
    }
    let mut difference = HistogramSum::starting_at(last);
    if interval.is_none() || !last.is_reset_after(before) {
        match difference.subtract(before) {
            Ok(false) => {}
            Ok(true) => remarks.push(Remark::BordersReconciled(Operation::Subtraction)),
            Err(Incompatible) => {
                remarks.push(Remark::MixedSchemas);
                return remarks.into_iter().fold(Outcome::NOTHING, Outcome::with);
            }
        }
    }
    let difference = NativeHistogram {
        reset_hint: ResetHint::Gauge,
        ..difference.finish()
    };
    let result = match interval {
        Some(interval) => native_histogram::divided(&difference, interval),
        None => difference,
    };
    let outcome = Outcome::from(histogram_cell(result));
    remarks.into_iter().fold(outcome, Outcome::with)
}

/// The difference between the window's borders, whose values come from samples around them:
/// the last sample before the window (`anchored`) or the line between neighbours (`smoothed`).
pub(super) fn extended(view: &View<'_>, kind: RateKind, extension: RangeExtension) -> Outcome {
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
    if view.times[last] <= start {
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

/// The samples inside of a window with one at each of its borders, as [`extended`] sees them.
pub(super) fn extended_samples(
    floats: &FloatColumn,
    window: Window,
    extension: RangeExtension,
) -> FloatColumn {
    let (times, values) = (&floats.timestamps_ms, &floats.values);
    let smoothed = extension == RangeExtension::Smoothed;
    let (start, end) = (window.after_ms, window.until_ms);
    let mut samples = FloatColumn::default();
    let Some(mut last) = times.len().checked_sub(1) else {
        return samples;
    };
    let first = times
        .partition_point(|time| *time <= start)
        .saturating_sub(1);
    if smoothed {
        last = times.partition_point(|time| *time < end).min(last);
    }
    if times[last] <= start {
        return samples;
    }
    let point = |index: usize| (times[index], values[index]);
    let mut push = |time: i64, value: f64| {
        samples.timestamps_ms.push(time);
        samples.values.push(value);
    };
    push(
        start,
        match smoothed && times[first] < start {
            true => between(point(first), point(first + 1), start, false),
            false => values[first],
        },
    );
    for (time, value) in times.iter().zip(values) {
        if start < *time && *time < end {
            push(*time, *value);
        }
    }
    push(
        end,
        match smoothed && last > 0 && times[last] > end {
            true => between(point(last - 1), point(last), end, false),
            false => values[last],
        },
    );
    samples
}

/// The value at `time` on the line between two samples; a counter that was reset begins at 0.
pub(super) fn between(a: (i64, f64), b: (i64, f64), time: i64, is_counter: bool) -> f64 {
    let from = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (time - a.0) as f64 / (b.0 - a.0) as f64
}
