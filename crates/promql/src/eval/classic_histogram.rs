//! Quantiles and fractions of classic histograms, whose buckets are series with an `le` label.

use model::time::{NANOS_PER_MILLI, format_instant};

use super::quantile::go_float;

/// The label of a bucket's upper border.
pub(super) const BORDER: &str = "le";

/// A bucket: how many observations lie at or below its border.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) border: f64,
    pub(super) count: f64,
}

/// The border that a label's value says.
pub(super) fn read_border(text: &str) -> Option<f64> {
    // Rust takes `inf`, `+Inf`, `NaN` and `infinity` in any case, as Go does.
    text.parse().ok()
}

/// What had to be changed so that counts do not fall from bucket to bucket.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    samples: usize,
    first_ms: i64,
    last_ms: i64,
    lowest_border: f64,
    highest_border: f64,
    largest_difference: f64,
}

impl Repairs {
    fn note(&mut self, time_ms: i64, lowest: f64, highest: f64, difference: f64) {
        if self.samples == 0 {
            self.first_ms = time_ms;
            self.lowest_border = lowest;
            self.highest_border = highest;
        }
        self.samples += 1;
        self.last_ms = time_ms;
        self.lowest_border = self.lowest_border.min(lowest);
        self.highest_border = self.highest_border.max(highest);
        self.largest_difference = self.largest_difference.max(difference);
    }

    pub(super) fn message(&self, name: &str) -> Option<String> {
        if self.samples == 0 {
            return None;
        }
        let instant = |ms: i64| format_instant(ms.saturating_mul(NANOS_PER_MILLI));
        Some(format!(
            "input to histogram_quantile needed to be fixed for monotonicity for metric name {name:?}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            go_float(self.lowest_border),
            go_float(self.highest_border),
            go_float(self.largest_difference),
            self.samples,
            instant(self.first_ms),
            instant(self.last_ms),
        ))
    }
}

/// Sorts buckets, unites those of one border and lifts counts below their predecessors'.
/// Whether the last border is infinite, without which nothing can be said.
fn prepare(buckets: &mut Vec<Bucket>, repairs: &mut Repairs, time_ms: i64) -> bool {
    buckets.sort_by(|a, b| a.border.total_cmp(&b.border));
    if buckets
        .last()
        .is_none_or(|last| last.border != f64::INFINITY)
    {
        return false;
    }
    buckets.dedup_by(|bucket, before| {
        let same = bucket.border == before.border;
        if same {
            before.count += bucket.count;
        }
        same
    });
    let mut before = buckets[0].count;
    let mut fall: Option<(f64, f64, f64)> = None;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count >= before {
            before = bucket.count;
            continue;
        }
        if !nearly_equal(before, bucket.count) {
            let difference = before - bucket.count;
            let (low, high, largest) = fall.unwrap_or((bucket.border, bucket.border, 0.0));
            fall = Some((
                low.min(bucket.border),
                high.max(bucket.border),
                largest.max(difference),
            ));
        }
        if bucket.count.is_nan() {
            before = bucket.count;
        } else {
            bucket.count = before;
        }
    }
    if let Some((low, high, largest)) = fall {
        repairs.note(time_ms, low, high, largest);
    }
    true
}

/// Differences this small come from rounding and are not worth a remark.
fn nearly_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// The `q`-quantile of the observations at `time_ms`.
pub(super) fn bucket_quantile(
    q: f64,
    buckets: &mut Vec<Bucket>,
    repairs: &mut Repairs,
    time_ms: i64,
) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if !prepare(buckets, repairs, time_ms) || buckets.len() < 2 {
        return f64::NAN;
    }
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let reached = |bucket: &Bucket| bucket.count >= rank;
    let index = buckets[..last].iter().position(reached).unwrap_or(last);
    if index == last {
        return buckets[last - 1].border;
    }
    if index == 0 && buckets[0].border <= 0.0 {
        return buckets[0].border;
    }
    let end = buckets[index].border;
    let mut start = 0.0;
    let mut count = buckets[index].count;
    if let Some(before) = index.checked_sub(1).map(|before| buckets[before]) {
        start = before.border;
        count -= before.count;
        rank -= before.count;
    }
    start + (end - start) * (rank / count)
}

/// The fraction of observations between two values.
pub(super) fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets, &mut Repairs::default(), 0) || buckets.len() < 2 {
        return f64::NAN;
    }
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / observations
}

/// How many observations lie at or below `value`, interpolated inside of its bucket.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let observations = buckets[buckets.len() - 1].count;
    let mut rank = 0.0;
    for (index, bucket) in buckets.iter().enumerate() {
        let start = match index.checked_sub(1) {
            Some(before) => buckets[before].border,
            // The first bucket begins at 0 unless it ends there or below.
            None if bucket.border > 0.0 => 0.0,
            None => f64::NEG_INFINITY,
        };
        if start >= value {
            return rank;
        }
        if bucket.border > value {
            let share = (value - start) / (bucket.border - start);
            return (rank + (bucket.count - rank) * share).min(observations);
        }
        rank = bucket.count;
    }
    observations
}
