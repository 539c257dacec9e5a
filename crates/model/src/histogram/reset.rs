//! Whether a counter began anew between two histograms of its series.

use super::buckets::{coarser, exponential_border, indexed};
use super::{BucketSpan, NativeHistogram, ResetHint};

impl NativeHistogram {
    /// Whether this histogram counts from a new beginning rather than on from `previous`.
    ///
    /// The hint decides when it knows. Otherwise it is a reset when anything counted less than
    /// before: all observations, the zero bucket, or any bucket, at the coarser resolution of
    /// both. A finer resolution or a narrower zero bucket than before comes with a reset only.
    pub fn is_reset_after(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            // Gauges are looked at as if they counted, for who treats them so.
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.has_custom_borders() {
            return !previous.has_custom_borders() || self.custom_bucket_fell(previous);
        }
        if previous.has_custom_borders()
            || self.schema > previous.schema
            || self.zero_threshold < previous.zero_threshold
        {
            return true;
        }
        let Some(previous_zero) = previous.count_within(self.zero_threshold) else {
            return true;
        };
        if self.zero_count < previous_zero {
            return true;
        }
        let halvings = u32::from(previous.schema.abs_diff(self.schema));
        let in_zero = |index: i64| exponential_border(self.schema, index) <= self.zero_threshold;
        let same_buckets = halvings == 0 && self.zero_threshold == previous.zero_threshold;
        let fell = |now: (&[BucketSpan], &[f64]), before: (&[BucketSpan], &[f64])| {
            if same_buckets && now.0 == before.0 {
                return now.1.iter().zip(before.1).any(|(now, before)| now < before);
            }
            // Indexes ascend, and with them the borders.
            let now = indexed(now.0, now.1).skip_while(|(index, _)| in_zero(*index));
            let before = indexed(before.0, before.1)
                .map(|(index, count)| (coarser(index, halvings), count))
                .skip_while(|(index, _)| in_zero(*index));
            any_fell(now, before)
        };
        fell(
            (&self.positive_spans, &self.positive_counts),
            (&previous.positive_spans, &previous.positive_counts),
        ) || fell(
            (&self.negative_spans, &self.negative_counts),
            (&previous.negative_spans, &previous.negative_counts),
        )
    }

    /// How many observations a zero bucket as wide as `threshold` would hold; `None` when it would
    /// cut through a populated bucket.
    fn count_within(&self, threshold: f64) -> Option<f64> {
        let mut total = self.zero_count;
        if threshold == self.zero_threshold {
            return Some(total);
        }
        let sides = [
            (&self.positive_spans, &self.positive_counts),
            (&self.negative_spans, &self.negative_counts),
        ];
        for (spans, counts) in sides {
            for (index, count) in indexed(spans, counts) {
                if count == 0.0 {
                    continue;
                }
                let low = exponential_border(self.schema, index - 1);
                let high = exponential_border(self.schema, index);
                if low >= threshold {
                    break;
                }
                if high > threshold {
                    return None;
                }
                total += count;
            }
        }
        Some(total)
    }

    /// Whether a bucket counted less than before, between the borders that both have.
    fn custom_bucket_fell(&self, previous: &Self) -> bool {
        let now = indexed(&self.positive_spans, &self.positive_counts);
        let before = indexed(&previous.positive_spans, &previous.positive_counts);
        if self.custom_values == previous.custom_values {
            return any_fell(now, before);
        }
        let shared = shared_borders(&self.custom_values, &previous.custom_values);
        let place = |borders: &[f64], index: i64| {
            let border = usize::try_from(index).ok().and_then(|at| borders.get(at));
            let behind = |end: f64| shared.partition_point(|shared| *shared < end);
            border.map_or(shared.len(), |border| behind(*border)) as i64
        };
        let now = now.map(|(index, count)| (place(&self.custom_values, index), count));
        let before = before.map(|(index, count)| (place(&previous.custom_values, index), count));
        any_fell(now, before)
    }
}

/// The borders that both have; both ascend.
pub fn shared_borders(a: &[f64], b: &[f64]) -> Vec<f64> {
    let in_b = |border: &f64| b.binary_search_by(|other| other.total_cmp(border)).is_ok();
    a.iter().copied().filter(|border| in_b(border)).collect()
}

/// Whether any bucket has a smaller count now than before. Indexes ascend; equal ones are one
/// bucket.
fn any_fell(
    now: impl Iterator<Item = (i64, f64)>,
    before: impl Iterator<Item = (i64, f64)>,
) -> bool {
    let mut now = now.peekable();
    let mut before = before.peekable();
    while let Some((index, mut was)) = before.next() {
        while let Some((_, more)) = before.next_if(|(other, _)| *other == index) {
            was += more;
        }
        while now.next_if(|(other, _)| *other < index).is_some() {}
        let mut is = 0.0;
        while let Some((_, count)) = now.next_if(|(other, _)| *other == index) {
            is += count;
        }
        if is < was {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_SCHEMA;
    use super::*;

    fn histogram(schema: i8, offset: i32, counts: &[f64]) -> NativeHistogram {
        NativeHistogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![BucketSpan {
                offset,
                length: counts.len() as u32,
            }],
            positive_counts: counts.to_vec(),
            ..NativeHistogram::default()
        }
    }

    fn custom(borders: &[f64], counts: &[f64]) -> NativeHistogram {
        NativeHistogram {
            custom_values: borders.to_vec(),
            ..histogram(CUSTOM_SCHEMA, 0, counts)
        }
    }

    #[test]
    fn anything_that_counts_less_is_a_reset() {
        let before = histogram(0, 0, &[1.0, 2.0]);
        let cases = [
            (histogram(0, 0, &[1.0, 2.0]), false),
            (histogram(0, 0, &[1.0, 2.0, 5.0]), false),
            (histogram(0, 0, &[1.0, 1.0]), true),
            // Only one bucket shows it.
            (histogram(0, 0, &[2.0, 1.0]), true),
            (histogram(0, 1, &[9.0]), true),
            // The same observations at half of the resolution, and at twice.
            (histogram(-1, 0, &[1.0, 2.0]), false),
            (histogram(-1, 0, &[0.0, 9.0]), true),
            (histogram(1, 0, &[9.0, 9.0]), true),
            (custom(&[1.0], &[9.0]), true),
        ];
        for (now, expected) in cases {
            assert_eq!(now.is_reset_after(&before), expected, "{now:?}");
        }
    }

    #[test]
    fn the_hint_decides_when_it_knows() {
        let many = histogram(0, 0, &[9.0]);
        let with = |reset_hint| NativeHistogram {
            reset_hint,
            ..histogram(0, 0, &[1.0])
        };
        assert!(!with(ResetHint::NotReset).is_reset_after(&many));
        assert!(with(ResetHint::Gauge).is_reset_after(&many));
        assert!(with(ResetHint::Reset).is_reset_after(&NativeHistogram::default()));
    }

    #[test]
    fn a_wider_zero_bucket_takes_whole_buckets_in() {
        let before = histogram(0, -1, &[3.0, 1.0]);
        let mut now = NativeHistogram {
            zero_threshold: 0.5,
            zero_count: 3.0,
            ..histogram(0, 0, &[1.0])
        };
        now.count = 4.0;
        assert!(!now.is_reset_after(&before));
        now.zero_count = 2.0;
        assert!(now.is_reset_after(&before), "the zero bucket lost one");
        now.zero_count = 3.0;
        now.zero_threshold = 0.4;
        assert!(now.is_reset_after(&before), "the border cuts a bucket");
        assert!(before.is_reset_after(&now), "the zero bucket is narrower");
    }

    #[test]
    fn custom_buckets_are_compared_between_shared_borders() {
        let before = custom(&[2.0, 4.0, 6.0], &[1.0, 2.0, 5.0, 7.0]);
        let fell = custom(&[2.0, 3.0, 4.0, 6.0], &[1.0, 0.0, 1.0, 5.0, 8.0]);
        assert!(fell.is_reset_after(&before));
        let grew = custom(&[2.0, 3.0, 4.0, 6.0], &[1.0, 1.0, 1.0, 5.0, 7.0]);
        assert!(!grew.is_reset_after(&before));
        let nothing_shared = custom(&[5.0], &[15.0]);
        assert!(!nothing_shared.is_reset_after(&before));
    }
}
