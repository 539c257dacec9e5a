//! `</` and `>/`: a histogram without its observations above or below a number.

use model::NativeHistogram;
use model::histogram::{BucketKind, indexed, spans_of};

/// Which observations go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trim {
    /// Those above the number.
    Upper,
    /// Those below the number.
    Lower,
}

/// What is left of a bucket.
struct Kept {
    count: f64,
    /// Where the observations left are taken to lie.
    middle: f64,
}

impl Kept {
    const NOTHING: Self = Self {
        count: 0.0,
        middle: 0.0,
    };
}

/// A bucket with the borders that observations are taken to lie between.
#[derive(Clone, Copy)]
struct Borders {
    low: f64,
    high: f64,
    /// Whether observations are spread evenly over the value rather than its logarithm.
    linear: bool,
}

impl Borders {
    /// What is left of `count` observations.
    fn trimmed(self, count: f64, trim: Trim, at: f64) -> Kept {
        if self.low == f64::NEG_INFINITY || self.high == f64::INFINITY {
            return self.trimmed_towards_infinity(count, trim, at);
        }
        let cut = at.clamp(self.low, self.high);
        // False for NaN, which is no place to cut at.
        let (kept, share) = match trim {
            Trim::Upper if at > self.low => ((self.low, cut), self.share_below(cut)),
            Trim::Lower if at < self.high => ((cut, self.high), 1.0 - self.share_below(cut)),
            _ => return Kept::NOTHING,
        };
        Kept {
            count: count * share,
            middle: self.middle(kept),
        }
    }

    /// A bucket without an end: how observations spread in it is unknown, so it stays or goes as a
    /// whole, and what stays is taken to lie as near to zero as it can.
    fn trimmed_towards_infinity(self, count: f64, trim: Trim, at: f64) -> Kept {
        let upwards = self.high == f64::INFINITY;
        let downwards = self.low == f64::NEG_INFINITY;
        let everything = match trim {
            Trim::Upper => at == f64::INFINITY,
            Trim::Lower => at == f64::NEG_INFINITY,
        };
        let nearest = match (downwards, upwards) {
            (true, true) => 0.0,
            (true, false) => self.high,
            _ => self.low,
        };
        let middle = match (everything, trim, downwards, upwards) {
            (true, ..) => nearest,
            (_, Trim::Lower, false, true) if at < f64::INFINITY => at.max(nearest),
            (_, Trim::Upper, true, false) if at > f64::NEG_INFINITY => at.min(nearest),
            _ => return Kept::NOTHING,
        };
        Kept { count, middle }
    }

    fn share_below(self, value: f64) -> f64 {
        if value <= self.low {
            return 0.0;
        }
        if value >= self.high {
            return 1.0;
        }
        let place = |border: f64| match self.linear {
            true => border,
            false => border.abs().log2(),
        };
        let (low, high) = (place(self.low), place(self.high));
        (place(value) - low) / (high - low)
    }

    fn middle(self, (low, high): (f64, f64)) -> f64 {
        match (self.linear, high > 0.0) {
            (true, _) => (low + high) / 2.0,
            (false, true) => (low * high).sqrt(),
            (false, false) => -(low * high).sqrt(),
        }
    }
}

/// The histogram without the observations above or below `at`.
///
/// Its sum is that of what is left, each observation taken to lie in the middle of its bucket;
/// where nothing goes, the sum stays what it was.
pub(super) fn trimmed(histogram: &NativeHistogram, trim: Trim, at: f64) -> NativeHistogram {
    let custom = histogram.has_custom_borders();
    let only_positive =
        histogram.negative_counts.is_empty() && !histogram.positive_counts.is_empty();
    let only_negative =
        histogram.positive_counts.is_empty() && !histogram.negative_counts.is_empty();
    let mut left = histogram.clone();
    (left.min, left.max) = (None, None);
    left.count = 0.0;
    left.sum = 0.0;
    left.zero_count = 0.0;
    let mut positive = Vec::new();
    let mut negative = Vec::new();
    let mut anything_gone = false;
    for bucket in histogram.buckets() {
        let mut borders = Borders {
            low: bucket.low,
            high: bucket.high,
            linear: custom || bucket.kind == BucketKind::Zero,
        };
        match bucket.kind {
            BucketKind::Zero if only_positive => borders.low = 0.0,
            BucketKind::Zero if only_negative => borders.high = 0.0,
            // The first custom bucket begins at zero, unless negative numbers were asked for.
            BucketKind::Positive if custom && bucket.low == f64::NEG_INFINITY => {
                let from_zero = bucket.high > 0.0 && bucket.high < f64::INFINITY;
                let negative_asked = trim == Trim::Lower && at < 0.0 && at > f64::NEG_INFINITY;
                if from_zero && !negative_asked {
                    borders.low = 0.0;
                }
            }
            _ => {}
        }
        let kept = borders.trimmed(bucket.count, trim, at);
        anything_gone |= kept.count != bucket.count;
        left.count += kept.count;
        left.sum += kept.count * kept.middle;
        match bucket.kind {
            BucketKind::Zero => left.zero_count = kept.count,
            BucketKind::Positive => positive.push(kept.count),
            BucketKind::Negative => negative.push(kept.count),
        }
    }
    if !anything_gone {
        return histogram.clone();
    }
    negative.reverse();
    let populated = |spans, original: &[f64], counts: Vec<f64>| {
        let indexes = indexed(spans, original).map(|(index, _)| index);
        let kept = indexes.zip(counts).filter(|(_, count)| *count != 0.0);
        spans_of(kept.collect::<Vec<_>>())
    };
    (left.positive_spans, left.positive_counts) = populated(
        &histogram.positive_spans,
        &histogram.positive_counts,
        positive,
    );
    (left.negative_spans, left.negative_counts) = populated(
        &histogram.negative_spans,
        &histogram.negative_counts,
        negative,
    );
    left
}

#[cfg(test)]
mod tests {
    use super::super::native_histogram::fraction;
    use super::*;
    use model::histogram::BucketSpan;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_left_is_the_fraction_on_that_side(
            at in -20.0..20.0_f64,
            positive in proptest::collection::vec(0..50_u8, 0..6),
            negative in proptest::collection::vec(0..50_u8, 0..6),
            zero_count in 1..9_u8,
        ) {
            let floats = |counts: Vec<u8>| -> Vec<f64> { counts.into_iter().map(f64::from).collect() };
            let (positive, negative) = (floats(positive), floats(negative));
            let span = |counts: &[f64]| vec![BucketSpan { offset: 0, length: counts.len() as u32 }];
            let zero_count = f64::from(zero_count);
            let histogram = NativeHistogram {
                zero_threshold: 0.25,
                zero_count,
                count: zero_count + positive.iter().chain(&negative).sum::<f64>(),
                positive_spans: span(&positive),
                negative_spans: span(&negative),
                positive_counts: positive,
                negative_counts: negative,
                ..NativeHistogram::default()
            };
            let close = |a: f64, b: f64| (a - b).abs() < 1e-9 * histogram.count;
            let below = trimmed(&histogram, Trim::Upper, at).count;
            let above = trimmed(&histogram, Trim::Lower, at).count;
            prop_assert!(close(below + above, histogram.count));
            let (share, _) = fraction(f64::NEG_INFINITY, at, &histogram);
            prop_assert!(close(below, share * histogram.count), "{} {}", below, share);
        }
    }
}
