//! Native histograms, exponential or with custom borders, in Prometheus' sparse form.
//!
//! Reading order: the types here, `buckets` for counts with their indexes and borders, `reset` for
//! what tells that a counter began anew.

mod buckets;
mod reset;

pub use buckets::{Bucket, BucketKind, indexed, spans_of};
pub use reset::shared_borders;

use serde::{Deserialize, Serialize};

/// A run of consecutive populated buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSpan {
    /// Empty buckets between the previous run (or index 0) and this one.
    pub offset: i32,
    /// How many buckets follow.
    pub length: u32,
}

/// What is known of a counter's reset between a histogram and the one before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ResetHint {
    /// Nothing: [`NativeHistogram::is_reset_after`] has to look.
    #[default]
    Unknown,
    /// The counter began anew with this histogram.
    Reset,
    /// The counter went on from the histogram before.
    NotReset,
    /// No counter at all: it goes up and down.
    Gauge,
}

/// A histogram whose bucket borders are powers of `2^(2^-schema)`, or custom ones.
///
/// Counts are absolute floats per bucket (not deltas), in the order of the spans. Bucket index
/// `i` of the positive side covers `(base^(i-1), base^i]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeHistogram {
    /// How it continues the histogram before it in its series.
    pub reset_hint: ResetHint,
    /// Resolution: -4 to 8, or -53 for custom borders.
    pub schema: i8,
    /// Values up to this distance from zero are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations.
    pub sum: f64,
    /// Runs of positive buckets.
    pub positive_spans: Vec<BucketSpan>,
    /// Counts of the positive buckets.
    pub positive_counts: Vec<f64>,
    /// Runs of negative buckets.
    pub negative_spans: Vec<BucketSpan>,
    /// Counts of the negative buckets.
    pub negative_counts: Vec<f64>,
    /// Upper borders when `schema` is -53, else empty.
    pub custom_values: Vec<f64>,
    /// Smallest observation, when the sender said so.
    pub min: Option<f64>,
    /// Largest observation, when the sender said so.
    pub max: Option<f64>,
}

/// The schema of histograms with custom borders.
pub const CUSTOM_SCHEMA: i8 = -53;

impl NativeHistogram {
    /// Whether its borders are [`NativeHistogram::custom_values`].
    pub fn has_custom_borders(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    /// Adds the observations of `other`, at the coarser of both resolutions.
    ///
    /// Smallest and largest observation are combined when both sides know them. Histograms whose
    /// borders cannot be brought together (custom borders that differ, custom with exponential
    /// ones, zero buckets of different width) are not added: this one becomes `other`, as after a
    /// reset, and the answer is `false`.
    pub fn add(&mut self, other: &Self) -> bool {
        let custom = self.schema == CUSTOM_SCHEMA || other.schema == CUSTOM_SCHEMA;
        let compatible = if custom {
            self.schema == other.schema && self.custom_values == other.custom_values
        } else {
            self.zero_threshold == other.zero_threshold
        };
        if !compatible {
            *self = other.clone();
            return false;
        }
        let schema = self.schema.min(other.schema);
        (self.positive_spans, self.positive_counts) = merged(
            [
                (self.schema, &self.positive_spans, &self.positive_counts),
                (other.schema, &other.positive_spans, &other.positive_counts),
            ],
            schema,
        );
        (self.negative_spans, self.negative_counts) = merged(
            [
                (self.schema, &self.negative_spans, &self.negative_counts),
                (other.schema, &other.negative_spans, &other.negative_counts),
            ],
            schema,
        );
        self.schema = schema;
        self.zero_count += other.zero_count;
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.zip(other.min).map(|(a, b)| a.min(b));
        self.max = self.max.zip(other.max).map(|(a, b)| a.max(b));
        true
    }
}

/// Both sides' buckets at `schema`, which is no finer than either's.
fn merged(
    sides: [(i8, &Vec<BucketSpan>, &Vec<f64>); 2],
    schema: i8,
) -> (Vec<BucketSpan>, Vec<f64>) {
    let mut united = std::collections::BTreeMap::<i64, f64>::new();
    for (from, spans, counts) in sides {
        let shift = u32::from(from.abs_diff(schema));
        for (index, count) in indexed(spans, counts) {
            *united.entry(buckets::coarser(index, shift)).or_default() += count;
        }
    }
    spans_of(united)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn adding_takes_the_coarser_resolution() {
        // Schema 1 has borders at powers of √2: its buckets 1..=4 end at √2, 2, 2√2 and 4, so
        // they are buckets 1 (up to 2) and 2 (up to 4) of schema 0.
        let mut sum = histogram(0, 1, &[10.0]);
        assert!(sum.add(&histogram(1, 1, &[1.0, 2.0, 3.0, 4.0])));
        assert_eq!(sum.schema, 0);
        assert_eq!(
            sum.positive_spans,
            [BucketSpan {
                offset: 1,
                length: 2
            }]
        );
        assert_eq!(sum.positive_counts, [13.0, 7.0]);
        assert_eq!(sum.count, 20.0);
    }

    #[test]
    fn gaps_between_buckets_become_spans() {
        let mut sum = histogram(0, -3, &[1.0]);
        assert!(sum.add(&histogram(0, 5, &[2.0])));
        assert_eq!(
            sum.positive_spans,
            [
                BucketSpan {
                    offset: -3,
                    length: 1
                },
                BucketSpan {
                    offset: 7,
                    length: 1
                }
            ]
        );
    }

    #[test]
    fn borders_that_differ_start_over() {
        let mut sum = histogram(0, 0, &[1.0]);
        let custom = NativeHistogram {
            schema: CUSTOM_SCHEMA,
            custom_values: vec![1.0],
            ..histogram(0, 0, &[2.0])
        };
        assert!(!sum.add(&custom));
        assert_eq!(sum, custom);
    }
}
