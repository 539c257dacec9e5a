//! Buckets one by one: their indexes, their borders, and back to spans.

use super::{BucketSpan, NativeHistogram};

/// Which part of the number line a bucket belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketKind {
    /// Below the zero bucket: `[low, high)`.
    Negative,
    /// Around zero: `[low, high]`.
    Zero,
    /// Above the zero bucket, or any bucket with custom borders: `(low, high]`.
    Positive,
}

/// How many observations lie between two borders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Which borders belong to it.
    pub kind: BucketKind,
    /// The lower border; −∞ in front of the first custom border.
    pub low: f64,
    /// The upper border; +∞ behind the last custom border.
    pub high: f64,
    /// Observations; a fraction or negative when computed.
    pub count: f64,
}

/// Counts with the indexes that `spans` give them, ascending.
pub fn indexed<'a>(
    spans: &'a [BucketSpan],
    counts: &'a [f64],
) -> impl Iterator<Item = (i64, f64)> + Clone + 'a {
    let mut next = 0_i64;
    let indexes = spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    });
    indexes.zip(counts.iter().copied())
}

/// Spans and counts of buckets whose indexes ascend.
pub fn spans_of(buckets: impl IntoIterator<Item = (i64, f64)>) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut counts = Vec::new();
    let mut next = 0_i64;
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(BucketSpan {
                offset: i32::try_from(index - next).unwrap_or(i32::MAX),
                length: 1,
            }),
        }
        counts.push(count);
        next = index + 1;
    }
    (spans, counts)
}

/// The index at a resolution that is `halvings` coarser of what lies in bucket `index`.
///
/// Bucket `i` covers `(base^(i-1), base^i]`: the coarser bucket is the one that holds the upper
/// border.
pub(super) fn coarser(index: i64, halvings: u32) -> i64 {
    ((index - 1) >> halvings.min(63)) + 1
}

/// The distance from zero at which exponential bucket `index` ends.
pub(super) fn exponential_border(schema: i8, index: i64) -> f64 {
    // base^index with base = 2^(2^-schema), exact where it is a power of two.
    let exponent = index as f64 * f64::from(-i32::from(schema)).exp2();
    match exponent {
        // The last bucket of finite numbers ends with the largest of them.
        1024.0 => f64::MAX,
        _ => exponent.exp2(),
    }
}

impl NativeHistogram {
    /// Where bucket `index` ends: away from zero for exponential buckets, upwards for custom ones.
    pub fn border(&self, index: i64) -> f64 {
        if !self.has_custom_borders() {
            return exponential_border(self.schema, index);
        }
        match usize::try_from(index) {
            Ok(index) => self
                .custom_values
                .get(index)
                .copied()
                .unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }

    /// Every bucket, empty ones among them, from the lowest; the zero bucket when it is populated.
    ///
    /// Where the zero bucket reaches into another one, that one begins behind it.
    pub fn buckets(&self) -> Vec<Bucket> {
        let zero = self.zero_threshold;
        // Inside of the zero bucket the border is its own.
        let past_zero = |low: f64, high: f64| if low < zero && zero < high { zero } else { low };
        let negative = indexed(&self.negative_spans, &self.negative_counts);
        let mut buckets: Vec<Bucket> = negative
            .map(|(index, count)| {
                let (low, high) = (self.border(index - 1), self.border(index));
                Bucket {
                    kind: BucketKind::Negative,
                    low: -high,
                    high: -past_zero(low, high),
                    count,
                }
            })
            .collect();
        buckets.reverse();
        if self.zero_count != 0.0 {
            buckets.push(Bucket {
                kind: BucketKind::Zero,
                low: -zero,
                high: zero,
                count: self.zero_count,
            });
        }
        let positive = indexed(&self.positive_spans, &self.positive_counts);
        buckets.extend(positive.map(|(index, count)| {
            let (low, high) = (self.border(index - 1), self.border(index));
            let low = match self.has_custom_borders() {
                true => low,
                false => past_zero(low, high),
            };
            Bucket {
                kind: BucketKind::Positive,
                low,
                high,
                count,
            }
        }));
        buckets
    }

    /// Leaves out empty buckets, so that histograms of equal counts have equal spans.
    pub fn compact(&mut self) {
        for (spans, counts) in [
            (&mut self.positive_spans, &mut self.positive_counts),
            (&mut self.negative_spans, &mut self.negative_counts),
        ] {
            let scattered = spans.iter().any(|span| span.length == 0)
                || spans.iter().skip(1).any(|span| span.offset == 0);
            if scattered || counts.contains(&0.0) {
                let populated = indexed(spans, counts).filter(|(_, count)| *count != 0.0);
                (*spans, *counts) = spans_of(populated.collect::<Vec<_>>());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_SCHEMA;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_sides_and_zero_come_in_ascending_order() {
        let histogram = NativeHistogram {
            schema: 1,
            zero_threshold: 0.5,
            zero_count: 7.0,
            positive_spans: vec![
                BucketSpan {
                    offset: 0,
                    length: 1,
                },
                BucketSpan {
                    offset: 1,
                    length: 1,
                },
            ],
            positive_counts: vec![1.0, 2.0],
            negative_spans: vec![BucketSpan {
                offset: 2,
                length: 2,
            }],
            negative_counts: vec![3.0, 4.0],
            ..NativeHistogram::default()
        };
        let found: Vec<(f64, f64, f64)> = histogram
            .buckets()
            .iter()
            .map(|bucket| (bucket.low, bucket.high, bucket.count))
            .collect();
        let root = 2_f64.sqrt();
        let expected = [
            (-2.0 * root, -2.0, 4.0),
            (-2.0, -root, 3.0),
            (-0.5, 0.5, 7.0),
            (1.0 / root, 1.0, 1.0),
            (root, 2.0, 2.0),
        ];
        assert_eq!(found.len(), 5);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.0 - expected.0).abs() < 1e-12, "{found:?}");
            assert!((found.1 - expected.1).abs() < 1e-12, "{found:?}");
            assert_eq!(found.2, expected.2);
        }
    }

    #[test]
    fn borders_begin_and_end_as_far_as_numbers_go() {
        let exponential = NativeHistogram::default();
        assert_eq!(exponential.border(0), 1.0);
        assert_eq!(exponential.border(-1), 0.5);
        assert_eq!(exponential.border(1_024), f64::MAX);
        assert_eq!(exponential.border(1_025), f64::INFINITY);
        let custom = NativeHistogram {
            schema: CUSTOM_SCHEMA,
            custom_values: vec![5.0, 10.0],
            ..NativeHistogram::default()
        };
        let borders: Vec<f64> = (-1..3).map(|index| custom.border(index)).collect();
        assert_eq!(borders, [f64::NEG_INFINITY, 5.0, 10.0, f64::INFINITY]);
    }

    proptest! {
        #[test]
        fn spans_of_indexed_buckets_give_the_buckets_back(
            populated in proptest::collection::btree_map(-1_000..1_000_i64, 1..9_u8, 0..20)
        ) {
            let buckets: Vec<(i64, f64)> =
                populated.into_iter().map(|(index, count)| (index, f64::from(count))).collect();
            let (spans, counts) = spans_of(buckets.clone());
            prop_assert_eq!(indexed(&spans, &counts).collect::<Vec<_>>(), buckets);
            // Neighbours share a span.
            prop_assert!(spans.iter().skip(1).all(|span| span.offset > 0));
        }
    }
}
