//! What can be read off one native histogram: quantiles, fractions, variance, its text.
//!
//! NaN observations count but lie in no bucket; the sum tells that there may be some.
//!
//! Inside of a bucket, observations are taken to be spread evenly over the logarithm of the value
//! (exponential buckets) or over the value (custom buckets and the zero bucket).

use model::NativeHistogram;
use model::histogram::{Bucket, BucketKind, ResetHint, indexed};

use super::kahan::KahanSum;
use super::quantile::go_float;
use super::remark::Remark;

/// A bucket with the borders that observations are taken to lie between.
#[derive(Debug, Clone, Copy)]
struct Assumed {
    low: f64,
    high: f64,
    count: f64,
    /// Whether observations are spread evenly over the value rather than its logarithm.
    linear: bool,
}

impl Assumed {
    /// The share of the bucket's observations that lie below `value`, which is inside.
    fn share_below(self, value: f64) -> f64 {
        if self.linear {
            // Nothing is known of how observations spread towards infinity.
            return match self.low.is_infinite() {
                true => 0.0,
                false => (value - self.low) / (self.high - self.low),
            };
        }
        let [low, high, value] = [self.low, self.high, value].map(|border| border.abs().log2());
        match self.high > 0.0 {
            true => (value - low) / (high - low),
            false => 1.0 - (value - high) / (low - high),
        }
    }

    /// The value below which `share` of the bucket's observations lie.
    fn value_at(self, share: f64) -> f64 {
        if self.linear {
            return self.low + (self.high - self.low) * share;
        }
        let [low, high] = [self.low, self.high].map(|border| border.abs().log2());
        match self.high > 0.0 {
            true => (low + (high - low) * share).exp2(),
            false => -(high + (low - high) * (1.0 - share)).exp2(),
        }
    }
}

/// The buckets from the lowest, with what can be assumed of the zero bucket and of infinite ones.
///
/// The zero bucket of a histogram whose other buckets are all positive begins at zero, and the
/// other way round. The first custom bucket begins at zero when it ends above.
fn assumed(histogram: &NativeHistogram) -> impl DoubleEndedIterator<Item = Assumed> {
    let custom = histogram.has_custom_borders();
    let only_positive =
        histogram.negative_counts.is_empty() && !histogram.positive_counts.is_empty();
    let only_negative =
        histogram.positive_counts.is_empty() && !histogram.negative_counts.is_empty();
    histogram.buckets().into_iter().map(move |bucket| {
        let Bucket {
            kind,
            mut low,
            mut high,
            count,
        } = bucket;
        if kind == BucketKind::Zero && only_positive {
            low = 0.0;
        }
        if kind == BucketKind::Zero && only_negative {
            high = 0.0;
        }
        if custom && low == f64::NEG_INFINITY && high > 0.0 {
            low = 0.0;
        }
        Assumed {
            low,
            high,
            count,
            linear: custom || kind == BucketKind::Zero,
        }
    })
}

/// The `q`-quantile of the observations.
pub(super) fn quantile(q: f64, histogram: &NativeHistogram) -> (f64, Option<Remark>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    // From the nearer end, which loses less precision. NaN observations, of which the sum tells,
    // count as the largest ones, so that only the lower end is an end.
    let may_have_nan = histogram.sum.is_nan();
    let upwards = may_have_nan || q < 0.5;
    let rank = histogram.count * if upwards { q } else { 1.0 - q };
    let mut populated: Vec<Assumed> = assumed(histogram)
        .filter(|bucket| bucket.count != 0.0)
        .collect();
    if !upwards {
        populated.reverse();
    }
    let mut seen = 0.0;
    let reached = populated.iter().position(|bucket| {
        seen += bucket.count;
        seen >= rank
    });
    let Some(reached) = reached else {
        return match (may_have_nan, populated.last()) {
            (true, _) => (f64::NAN, Some(Remark::QuantileIsNan)),
            // Rounding left the rank behind the last bucket.
            (false, Some(last)) => (last.high, None),
            (false, None) => (0.0, None),
        };
    };
    let bucket = populated[reached];
    let beyond: f64 = populated[reached + 1..]
        .iter()
        .map(|bucket| bucket.count)
        .sum();
    let skewed = may_have_nan && seen + beyond < histogram.count;
    let note = skewed.then_some(Remark::QuantileIsSkewed);
    if histogram.has_custom_borders() {
        if bucket.low == f64::NEG_INFINITY {
            return (bucket.high, note);
        }
        if bucket.high == f64::INFINITY {
            return (bucket.low, note);
        }
    }
    // Rounding may have buckets count more than there is.
    let seen = seen.min(histogram.count);
    let inside = match upwards {
        true => rank - (seen - bucket.count),
        false => seen - rank,
    };
    (bucket.value_at(inside / bucket.count), note)
}

/// The fraction of observations between two values.
pub(super) fn fraction(
    lower: f64,
    upper: f64,
    histogram: &NativeHistogram,
) -> (f64, Option<Remark>) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, None);
    }
    if lower >= upper {
        return (0.0, None);
    }
    let buckets: Vec<Assumed> = assumed(histogram).collect();
    let populated: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    // NaN observations are above no value and below none.
    let (most, note) = match histogram.sum.is_nan() && populated < histogram.count {
        true => (populated, Some(Remark::NanInNoFraction)),
        false => (histogram.count, None),
    };
    let rank = |value: f64| rank_of(value, &buckets).map_or(most, |rank| rank.min(most));
    ((rank(upper) - rank(lower)) / histogram.count, note)
}

/// How many observations lie below `value`; `None` behind the last bucket.
fn rank_of(value: f64, buckets: &[Assumed]) -> Option<f64> {
    let mut rank = 0.0;
    for bucket in buckets {
        if bucket.low >= value {
            return Some(rank);
        }
        if bucket.high > value {
            return Some(rank + bucket.count * bucket.share_below(value));
        }
        rank += bucket.count;
    }
    None
}

/// The variance of the observations, each taken to lie in the middle of its bucket.
pub(super) fn variance(histogram: &NativeHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut total = KahanSum::default();
    for bucket in histogram.buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        let middle = if histogram.has_custom_borders() {
            (bucket.low + bucket.high) / 2.0
        } else {
            match bucket.kind {
                BucketKind::Zero => 0.0,
                BucketKind::Positive => (bucket.low * bucket.high).sqrt(),
                BucketKind::Negative => -(bucket.low * bucket.high).sqrt(),
            }
        };
        let distance = middle - mean;
        total = total.add(bucket.count * distance * distance);
    }
    total.total() / histogram.count
}

/// The histogram with every number but the borders changed, without empty buckets.
fn mapped(histogram: &NativeHistogram, map: impl Fn(f64) -> f64) -> NativeHistogram {
    let all = |counts: &[f64]| counts.iter().map(|count| map(*count)).collect();
    let mut mapped = NativeHistogram {
        zero_count: map(histogram.zero_count),
        count: map(histogram.count),
        sum: map(histogram.sum),
        positive_spans: histogram.positive_spans.clone(),
        positive_counts: all(&histogram.positive_counts),
        negative_spans: histogram.negative_spans.clone(),
        negative_counts: all(&histogram.negative_counts),
        custom_values: histogram.custom_values.clone(),
        min: None,
        max: None,
        ..*histogram
    };
    mapped.compact();
    mapped
}

/// The histogram times a number; a negative one makes a gauge of it.
pub(super) fn multiplied(histogram: &NativeHistogram, factor: f64) -> NativeHistogram {
    let mut product = mapped(histogram, |number| number * factor);
    if factor < 0.0 {
        product.reset_hint = ResetHint::Gauge;
    }
    product
}

/// The histogram divided by a number; a negative one makes a gauge of it, zero takes its buckets.
pub(super) fn divided(histogram: &NativeHistogram, divisor: f64) -> NativeHistogram {
    let mut quotient = mapped(histogram, |number| number / divisor);
    if divisor == 0.0 {
        quotient.positive_spans.clear();
        quotient.positive_counts.clear();
        quotient.negative_spans.clear();
        quotient.negative_counts.clear();
    }
    if divisor < 0.0 {
        quotient.reset_hint = ResetHint::Gauge;
    }
    quotient
}

/// Whether two histograms say the same, bit by bit, of the same buckets.
pub(super) fn same(a: &NativeHistogram, b: &NativeHistogram) -> bool {
    let fixed = |histogram: &NativeHistogram| {
        let NativeHistogram {
            zero_threshold,
            zero_count,
            count,
            sum,
            ..
        } = histogram;
        [zero_threshold, zero_count, count, sum].map(|number| number.to_bits())
    };
    let populated = |spans, counts| {
        indexed(spans, counts)
            .filter(|(_, count)| *count != 0.0)
            .map(|(index, count)| (index, count.to_bits()))
    };
    a.schema == b.schema
        && a.custom_values == b.custom_values
        && fixed(a) == fixed(b)
        && populated(&a.positive_spans, &a.positive_counts)
            .eq(populated(&b.positive_spans, &b.positive_counts))
        && populated(&a.negative_spans, &a.negative_counts)
            .eq(populated(&b.negative_spans, &b.negative_counts))
}

/// The histogram as Prometheus prints it: `{count:3, sum:4, [-2,-1):1, (1,2]:2}`.
pub(super) fn text(histogram: &NativeHistogram) -> String {
    let mut text = format!(
        "{{count:{}, sum:{}",
        go_float(histogram.count),
        go_float(histogram.sum)
    );
    for bucket in histogram.buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        let (open, close) = match bucket.kind {
            BucketKind::Negative => ('[', ')'),
            BucketKind::Zero => ('[', ']'),
            BucketKind::Positive => ('(', ']'),
        };
        let [low, high, count] = [bucket.low, bucket.high, bucket.count].map(go_float);
        // Writing to a string does not fail.
        text.push_str(&format!(", {open}{low},{high}{close}:{count}"));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::{BucketSpan, CUSTOM_SCHEMA};
    use proptest::prelude::*;

    fn histogram() -> NativeHistogram {
        NativeHistogram {
            count: 20.0,
            sum: 10.0,
            zero_threshold: 0.001,
            zero_count: 2.0,
            positive_spans: vec![BucketSpan {
                offset: 0,
                length: 3,
            }],
            positive_counts: vec![4.0, 0.0, 6.0],
            negative_spans: vec![BucketSpan {
                offset: 1,
                length: 1,
            }],
            negative_counts: vec![8.0],
            ..NativeHistogram::default()
        }
    }

    #[test]
    fn the_text_lists_populated_buckets_with_their_borders() {
        assert_eq!(
            text(&histogram()),
            "{count:20, sum:10, [-2,-1):8, [-0.001,0.001]:2, (0.5,1]:4, (2,4]:6}"
        );
    }

    #[test]
    fn empty_buckets_do_not_make_histograms_differ() {
        let mut compact = histogram();
        compact.compact();
        assert_ne!(compact, histogram());
        assert!(same(&compact, &histogram()));
        compact.zero_count = 3.0;
        assert!(!same(&compact, &histogram()));
    }

    proptest! {
        #[test]
        fn the_fraction_below_a_quantile_is_the_quantile(
            q in 0.001..0.999_f64,
            custom in any::<bool>(),
            counts in proptest::collection::vec(1..50_u8, 2..6),
        ) {
            let counts: Vec<f64> = counts.into_iter().map(f64::from).collect();
            let mut histogram = NativeHistogram {
                count: counts.iter().sum(),
                positive_spans: vec![BucketSpan { offset: 0, length: counts.len() as u32 }],
                positive_counts: counts,
                ..NativeHistogram::default()
            };
            if custom {
                histogram.schema = CUSTOM_SCHEMA;
                histogram.custom_values = vec![1.0, 2.5, 7.0, 20.0, 50.0, 51.0];
            }
            let (value, _) = quantile(q, &histogram);
            let (below, _) = fraction(f64::NEG_INFINITY, value, &histogram);
            prop_assert!((below - q).abs() < 1e-9, "{} {} {}", q, value, below);
        }
    }
}
