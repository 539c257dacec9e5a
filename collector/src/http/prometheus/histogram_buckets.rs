//! The buckets of a native histogram with their borders, as the API lists them.

use model::NativeHistogram;
use model::histogram::BucketSpan;

/// Which borders belong to a bucket, with the API's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// `(low, high]`
    OpenLow = 0,
    /// `[low, high)`
    OpenHigh = 1,
    /// `[low, high]`
    Closed = 3,
}

/// One populated bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    pub(super) rule: Rule,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) count: f64,
}

/// Buckets that are not empty, in ascending order.
pub(super) fn buckets(histogram: &NativeHistogram) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = indexed(&histogram.negative_spans, &histogram.negative_counts)
        .map(|(index, count)| Bucket {
            rule: Rule::OpenHigh,
            low: -border(histogram, index),
            high: -border(histogram, index - 1),
            count,
        })
        .collect();
    buckets.reverse();
    if histogram.zero_count != 0.0 {
        buckets.push(Bucket {
            rule: Rule::Closed,
            low: -histogram.zero_threshold,
            high: histogram.zero_threshold,
            count: histogram.zero_count,
        });
    }
    buckets.extend(
        indexed(&histogram.positive_spans, &histogram.positive_counts).map(|(index, count)| {
            Bucket {
                rule: Rule::OpenLow,
                low: border(histogram, index - 1),
                high: border(histogram, index),
                count,
            }
        }),
    );
    buckets.retain(|bucket| bucket.count != 0.0);
    buckets
}

/// Counts with their bucket indexes.
fn indexed<'a>(
    spans: &'a [BucketSpan],
    counts: &'a [f64],
) -> impl Iterator<Item = (i64, f64)> + 'a {
    let mut next = 0_i64;
    let indexes = spans.iter().flat_map(move |span| {
        let first = next + i64::from(span.offset);
        next = first + i64::from(span.length);
        first..next
    });
    indexes.zip(counts.iter().copied())
}

/// The upper border of bucket `index`.
fn border(histogram: &NativeHistogram, index: i64) -> f64 {
    if histogram.schema == CUSTOM_BORDERS {
        let borders = &histogram.custom_values;
        return match usize::try_from(index) {
            Ok(index) => borders.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    // base^index with base = 2^(2^-schema), kept exact where it is a power of two.
    let exponent = index as f64 * f64::from(-i32::from(histogram.schema)).exp2();
    exponent.exp2()
}

/// The schema of histograms that bring their own borders.
const CUSTOM_BORDERS: i8 = -53;

#[cfg(test)]
mod tests {
    use super::*;

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
        let found: Vec<(f64, f64, f64)> = buckets(&histogram)
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
        for (found, expected) in found.iter().zip(expected) {
            assert!((found.0 - expected.0).abs() < 1e-12, "{found:?}");
            assert!((found.1 - expected.1).abs() < 1e-12, "{found:?}");
            assert_eq!(found.2, expected.2);
        }
        assert_eq!(found.len(), 5);
    }
}
