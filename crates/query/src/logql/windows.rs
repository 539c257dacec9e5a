//! Windows over lines: what each line adds to each step of an evaluation.
//!
//! Step `k` looks at the lines with `t − range < timestamp <= t`, where
//! `t = start + k·step − offset`. A line lies in the windows of a run of steps, so counts and byte
//! counts are kept as differences between steps: however much the windows overlap, a line costs
//! two additions.

use std::ops::Range;

use model::TimeRange;
use model::time::NANOS_PER_SECOND;

use crate::logql::ast::RangeOp;

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

    fn range_seconds(&self) -> f64 {
        self.range as f64 / NANOS_PER_SECOND as f64
    }
}

fn clamp(time: i128) -> i64 {
    time.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

/// What one series has gathered.
#[derive(Debug)]
pub(super) enum Gathered {
    /// Lines and their bytes, as differences between steps.
    Counts { lines: Vec<i64>, bytes: Vec<i64> },
    /// Unwrapped values with their times.
    Samples(Vec<(i64, f64)>),
}

impl Gathered {
    pub(super) fn new(windows: &Windows, unwrapped: bool) -> Self {
        if unwrapped {
            return Self::Samples(Vec::new());
        }
        Self::Counts {
            lines: vec![0; windows.count + 1],
            bytes: vec![0; windows.count + 1],
        }
    }

    /// Adds a line.
    pub(super) fn add(
        &mut self,
        windows: &Windows,
        timestamp: i64,
        line_bytes: usize,
        value: Option<f64>,
    ) {
        match self {
            Self::Counts { lines, bytes } => {
                let steps = windows.holding(timestamp);
                if steps.is_empty() {
                    return;
                }
                let size = i64::try_from(line_bytes).unwrap_or(i64::MAX);
                lines[steps.start] += 1;
                lines[steps.end] -= 1;
                bytes[steps.start] += size;
                bytes[steps.end] -= size;
            }
            Self::Samples(samples) => samples.extend(value.map(|value| (timestamp, value))),
        }
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
            Self::Samples(samples) => over_samples(samples, op, parameter, windows),
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
    let values = || window.iter().map(|(_, value)| *value);
    let sum = || values().sum::<f64>();
    match op {
        RangeOp::Sum => sum(),
        RangeOp::Rate => sum() / windows.range_seconds(),
        RangeOp::Avg => sum() / window.len() as f64,
        RangeOp::Min => values().fold(f64::INFINITY, f64::min),
        RangeOp::Max => values().fold(f64::NEG_INFINITY, f64::max),
        RangeOp::First => window[0].1,
        RangeOp::Last => window[window.len() - 1].1,
        RangeOp::Quantile => {
            let mut sorted: Vec<f64> = values().collect();
            sorted.sort_by(f64::total_cmp);
            quantile(&sorted, parameter.unwrap_or(f64::NAN))
        }
        RangeOp::Count | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Absent => {
            window.len() as f64
        }
    }
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
            for unwrapped in [false, true] {
                let mut gathered = Gathered::new(&windows, unwrapped);
                for time in &times {
                    gathered.add(&windows, *time, 1, Some(1.0));
                    let seen = !windows.holding(*time).is_empty();
                    prop_assert!(!seen || windows.time_range().contains(*time));
                }
                let values = gathered.finish(RangeOp::Count, None, &windows);
                prop_assert_eq!(&values, &expected);
            }
        }
    }
}
