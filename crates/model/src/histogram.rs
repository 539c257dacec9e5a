//! Native (exponential) histograms in Prometheus' sparse form.

use serde::{Deserialize, Serialize};

/// A run of consecutive populated buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSpan {
    /// Empty buckets between the previous run (or index 0) and this one.
    pub offset: i32,
    /// How many buckets follow.
    pub length: u32,
}

/// A histogram whose bucket borders are powers of `2^(2^-schema)`, or custom ones.
///
/// Counts are absolute floats per bucket (not deltas), in the order of the spans. Bucket index
/// `i` of the positive side covers `(base^(i-1), base^i]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NativeHistogram {
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
