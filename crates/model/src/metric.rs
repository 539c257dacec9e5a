//! Metric samples, after the mapping from OTLP's data model to Prometheus' series.

use serde::{Deserialize, Serialize};

use crate::histogram::NativeHistogram;
use crate::labels::Labels;

/// The bits of Prometheus' stale marker: a NaN that says a series ended.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Prometheus' stale marker as a value. Compare by bits: [`is_stale`].
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the stale marker rather than an ordinary NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// A sample's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum SampleValue {
    /// A plain number; NaN payloads matter, see [`is_stale`].
    Float(f64),
    /// An exponential histogram.
    Histogram(Box<NativeHistogram>),
}

/// A sample linked to a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// `trace_id`, `span_id` and the filtered attributes.
    pub labels: Labels,
    /// The measured value.
    pub value: f64,
    /// When, Unix ms.
    pub timestamp_ms: i64,
}

/// Whether a counter's points add up over time or stand for one interval each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Temporality {
    /// Each value counts from the start time on (also gauges).
    #[default]
    Cumulative,
    /// Each value counts since the previous point; the head adds them up.
    Delta,
}

/// One sample of one series on its way into the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSample {
    /// The series, metric name included.
    pub labels: Labels,
    /// When, Unix ms.
    pub timestamp_ms: i64,
    /// Since when a counter counts, Unix ms; `None` for gauges and when not sent.
    pub start_ms: Option<i64>,
    /// Whether the value is since the start or since the previous point.
    pub temporality: Temporality,
    /// The value.
    pub value: SampleValue,
    /// Exemplars that came with it.
    pub exemplars: Vec<Exemplar>,
}

/// What kind of metric a family is, in Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricType {
    /// Only ever grows, apart from resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, classic or native.
    Histogram,
    /// Buckets whose counts go up and down.
    GaugeHistogram,
    /// Quantiles computed by the sender.
    Summary,
    /// Labels without a value of interest, as `target_info`.
    Info,
    /// A series for each state a thing can be in, 1 for the one it is in.
    StateSet,
    /// Not stated.
    Unknown,
}

impl MetricType {
    /// The lowercase word that Prometheus' API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a metric family besides its samples.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MetricMetadata {
    /// The family's name: of a histogram without `_bucket`, `_sum`, `_count`.
    pub family: String,
    /// Its kind.
    pub kind: MetricType,
    /// Its unit in the sender's words; may be empty.
    pub unit: String,
    /// Its description; may be empty.
    pub help: String,
}
