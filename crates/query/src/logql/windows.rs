//! Windows over lines: what each line adds to each step of an evaluation.
//!
//! Step `k` looks at the lines with `t − range < timestamp <= t`, where
//! `t = start + k·step − offset`. A line lies in the windows of a run of steps, so counts and byte
//! counts are kept as differences between steps: however much the windows overlap, a line costs
//! two additions.

use std::ops::Range;

use model::TimeRange;

use crate::logql::ast::RangeOp;
use crate::logql::pipeline::seconds;

/// The steps of an evaluation as one range function sees them; all times Unix ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    pub(super) start: i64,
    pub(super) step: i64,
    pub(super) count: usize,
    pub(super) range: i64,
    pub(super) offset: i64,
}

impl Windows {
    /// Every timestamp that lies in some window.
    pub(super) fn time_range(&self) -> TimeRange {
        if self.count == 0 {
            return TimeRange::new(0, 0);
        }
        let first = i128::from(self.start) - i128::from(self.offset);
        let last = first + (self.count as i128 - 1) * i128::from(self.step);
        let start = first - i128::from(self.range) + 1;
        TimeRange::new(clamp(start), clamp(last + 1))
    }

    /// The steps whose windows hold this timestamp.
    fn holding(&self, timestamp: i64) -> Range<usize> {
        let first = i128::from(timestamp) + i128::from(self.offset) - i128::from(self.start);
        let index = |distance: i128| {
            let step = i128::from(self.step);
            let up = distance.div_euclid(step) + i128::from(distance.rem_euclid(step) != 0);
            usize::try_from(up.max(0)).map_or(self.count, |up| up.min(self.count))
        };
        index(first)..index(first + i128::from(self.range))
    }

    /// The widest buckets of which every window is made: no window's edge lies inside of one.
    /// They are counted from the first instant of [`Self::time_range`].
    pub(super) fn bucket_width(&self) -> i64 {
        if self.count <= 1 {
            return self.range;
        }
        let (mut a, mut b) = (self.range, self.step);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    }

    fn range_seconds(&self) -> f64 {
        seconds(self.range)
    }
}

fn clamp(time: i128) -> i64 {
    time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// How many windows a value may lie in for each window to sum up its own values; in more, the
/// values are kept.
const MAX_OVERLAP: i64 = 16;

/// What one series has gathered.
#[derive(Debug)]
pub(super) enum Gathered {
    /// Lines and their bytes, as differences between steps.
    Counts { lines: Vec<i64>, bytes: Vec<i64> },
    /// What each step's window says about its unwrapped values.
    Summaries(Vec<Summary>),
    /// Unwrapped values with their times.
    Samples(Vec<(i64, f64)>),
}

impl Gathered {
    /// Nothing yet, in the form that the function needs.
    pub(super) fn new(windows: &Windows, op: RangeOp, unwrapped: bool) -> Self {
        if !unwrapped {
            return Self::Counts {
                lines: vec![0; windows.count + 1],
                bytes: vec![0; windows.count + 1],
            };
        }
        let needs_samples = matches!(op, RangeOp::Quantile | RangeOp::RateCounter);
        let overlap = windows.range / windows.step.max(1);
        if needs_samples || (windows.count > 1 && overlap > MAX_OVERLAP) {
            return Self::Samples(Vec::new());
        }
        Self::Summaries(vec![Summary::default(); windows.count])
    }

    /// Adds a line, with the value unwrapped from it.
    pub(super) fn add(
        &mut self,
        windows: &Windows,
        timestamp: i64,
        line_bytes: usize,
        value: Option<f64>,
    ) {
        match self {
            Self::Counts { .. } => {
                let bytes = i64::try_from(line_bytes).unwrap_or(i64::MAX);
                self.add_lines(windows, timestamp, 1, bytes);
            }
            Self::Summaries(steps) => {
                let Some(value) = value else {
                    return;
                };
                for summary in &mut steps[windows.holding(timestamp)] {
                    summary.add(timestamp, value);
                }
            }
            Self::Samples(samples) => samples.extend(value.map(|value| (timestamp, value))),
        }
    }

    /// Adds lines that lie in the same windows as `timestamp` does.
    pub(super) fn add_lines(&mut self, windows: &Windows, timestamp: i64, count: i64, size: i64) {
        let Self::Counts { lines, bytes } = self else {
            return;
        };
        let steps = windows.holding(timestamp);
        if steps.is_empty() {
            return;
        }
        lines[steps.start] += count;
        lines[steps.end] -= count;
        bytes[steps.start] += size;
        bytes[steps.end] -= size;
    }

    /// The value of each step; `None` where the window holds nothing.
    pub(super) fn finish(
        self,
        op: RangeOp,
        parameter: Option<f64>,
        windows: &Windows,
    ) -> Vec<Option<f64>> {
        match self {
            Self::Counts { lines, bytes } => {
                let (mut line_count, mut byte_count) = (0, 0);
                lines
                    .iter()
                    .zip(&bytes)
                    .take(windows.count)
                    .map(|(line_change, byte_change)| {
                        line_count += line_change;
                        byte_count += byte_change;
                        let value = match op {
                            RangeOp::Rate => line_count as f64 / windows.range_seconds(),
                            RangeOp::Bytes => byte_count as f64,
                            RangeOp::BytesRate => byte_count as f64 / windows.range_seconds(),
                            _ => line_count as f64,
                        };
                        (line_count > 0).then_some(value)
                    })
                    .collect()
            }
            Self::Summaries(steps) => steps
                .into_iter()
                .map(|summary| (summary.count > 0).then(|| summary.value(op, windows)))
                .collect(),
            Self::Samples(samples) => over_samples(samples, op, parameter, windows),
        }
    }
}

/// What is known about the values of a window.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Summary {
    count: u64,
    sum: f64,
    mean: f64,
    /// The sum of squared distances from the mean.
    spread: f64,
    min: f64,
    max: f64,
    first: (i64, f64),
    last: (i64, f64),
}

impl Summary {
    fn add(&mut self, timestamp: i64, value: f64) {
        if self.count == 0 {
            (self.min, self.max) = (value, value);
            (self.first, self.last) = ((timestamp, value), (timestamp, value));
        }
        self.count += 1;
        self.sum += value;
        let distance = value - self.mean;
        self.mean += distance / self.count as f64;
        self.spread += distance * (value - self.mean);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if timestamp < self.first.0 {
            self.first = (timestamp, value);
        }
        if timestamp >= self.last.0 {
            self.last = (timestamp, value);
        }
    }

    /// What a function gives for a window that holds values.
    fn value(&self, op: RangeOp, windows: &Windows) -> f64 {
        match op {
            RangeOp::Sum => self.sum,
            RangeOp::Rate => self.sum / windows.range_seconds(),
            RangeOp::Avg => self.mean,
            RangeOp::Min => self.min,
            RangeOp::Max => self.max,
            RangeOp::Stdvar => self.spread / self.count as f64,
            RangeOp::Stddev => (self.spread / self.count as f64).sqrt(),
            RangeOp::First => self.first.1,
            RangeOp::Last => self.last.1,
            RangeOp::Count
            | RangeOp::Bytes
            | RangeOp::BytesRate
            | RangeOp::Absent
            | RangeOp::Quantile
            | RangeOp::RateCounter => self.count as f64,
        }
    }
}

fn over_samples(
    mut samples: Vec<(i64, f64)>,
    op: RangeOp,
    parameter: Option<f64>,
    windows: &Windows,
) -> Vec<Option<f64>> {
    samples.sort_by_key(|(timestamp, _)| *timestamp);
    let (mut from, mut to) = (0, 0);
    (0..windows.count)
        .map(|step| {
            let end = i128::from(windows.start) - i128::from(windows.offset)
                + step as i128 * i128::from(windows.step);
            let start = end - i128::from(windows.range);
            while to < samples.len() && i128::from(samples[to].0) <= end {
                to += 1;
            }
            while from < to && i128::from(samples[from].0) <= start {
                from += 1;
            }
            let window = &samples[from..to];
            (!window.is_empty()).then(|| one_window(window, op, parameter, windows))
        })
        .collect()
}

/// The value of a window that holds at least one sample.
fn one_window(
    window: &[(i64, f64)],
    op: RangeOp,
    parameter: Option<f64>,
    windows: &Windows,
) -> f64 {
    match op {
        RangeOp::Quantile => {
            let mut sorted: Vec<f64> = window.iter().map(|(_, value)| *value).collect();
            sorted.sort_by(f64::total_cmp);
            quantile(&sorted, parameter.unwrap_or(f64::NAN))
        }
        RangeOp::RateCounter => rate_of_counter(window, windows),
        _ => {
            let mut summary = Summary::default();
            for (timestamp, value) in window {
                summary.add(*timestamp, *value);
            }
            summary.value(op, windows)
        }
    }
}

/// The growth of a counter for each second, as Loki has it: resets count as growth from zero, and
/// the growth between the first and the last sample is taken to have gone on before the first for
/// half the samples' distance, but not below zero. Of one sample nothing is known: 0.
fn rate_of_counter(window: &[(i64, f64)], windows: &Windows) -> f64 {
    let (first, last) = (window[0], window[window.len() - 1]);
    let sampled = seconds(last.0.saturating_sub(first.0));
    if window.len() < 2 || sampled <= 0.0 {
        return 0.0;
    }
    let mut growth = last.1 - first.1;
    for pair in window.windows(2) {
        if pair[1].1 < pair[0].1 {
            growth += pair[0].1;
        }
    }
    let distance = sampled / (window.len() - 1) as f64;
    let mut before = windows.range_seconds();
    if growth > 0.0 && first.1 >= 0.0 {
        before = before.min(sampled * (first.1 / growth));
    }
    if before >= distance * 1.1 {
        before = distance / 2.0;
    }
    growth * (sampled + before) / sampled / windows.range_seconds()
}

/// The `q`-quantile of sorted values, interpolated between neighbours as Prometheus does.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    if q.is_nan() || sorted.is_empty() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (sorted.len() - 1) as f64;
    let lower = rank.floor() as usize;
    let upper = (lower + 1).min(sorted.len() - 1);
    let weight = rank - rank.floor();
    sorted[lower] * (1.0 - weight) + sorted[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_interpolated() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        let cases = [(0.0, 1.0), (0.5, 2.5), (1.0, 4.0), (2.0, f64::INFINITY)];
        for (q, expected) in cases {
            assert_eq!(quantile(&sorted, q), expected, "{q}");
        }
    }

    proptest! {
        #[test]
        fn every_step_counts_exactly_the_lines_of_its_window(
            times in prop::collection::vec(-50_i64..150, 0..30),
            start in -20_i64..20,
            step in 1_i64..15,
            count in 0_usize..12,
            range in 1_i64..40,
            offset in -20_i64..20,
        ) {
            let windows = Windows { start, step, count, range, offset };
            let expected: Vec<Option<f64>> = (0..count as i64)
                .map(|k| {
                    let end = start + k * step - offset;
                    let inside = |time: &&i64| end - range < **time && **time <= end;
                    let lines = times.iter().filter(inside).count();
                    (lines > 0).then_some(lines as f64)
                })
                .collect();
            let bucket = windows.bucket_width();
            let samples = Gathered::Samples(Vec::new());
            let summaries = Gathered::Summaries(vec![Summary::default(); count]);
            let counts = Gathered::new(&windows, RangeOp::Count, false);
            for mut gathered in [samples, summaries, counts] {
                for time in &times {
                    gathered.add(&windows, *time, 1, Some(1.0));
                    let seen = !windows.holding(*time).is_empty();
                    prop_assert!(!seen || windows.time_range().contains(*time));
                    if seen {
                        // Every instant of a bucket lies in the same windows.
                        let first = windows.time_range().start;
                        let begin = first + (time - first) / bucket * bucket;
                        prop_assert_eq!(windows.holding(begin), windows.holding(*time));
                        prop_assert_eq!(windows.holding(begin + bucket - 1), windows.holding(*time));
                    }
                }
                let values = gathered.finish(RangeOp::Count, None, &windows);
                prop_assert_eq!(&values, &expected);
            }
        }
    }
}
