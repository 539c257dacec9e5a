//! The messages, and what they say in the model's words.

use model::NativeHistogram;
use model::histogram::{BucketSpan, ResetHint};
use prost::Message;

use crate::exposition::ordinary;

/// A family without its metrics, field 4, which are read one by one.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricFamily {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) help: String,
    #[prost(int32, tag = "3")]
    pub(super) kind: i32,
    #[prost(string, tag = "5")]
    pub(super) unit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(super) gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    pub(super) counter: Option<Counter>,
    #[prost(message, optional, tag = "4")]
    pub(super) summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    pub(super) untyped: Option<Number>,
    #[prost(int64, optional, tag = "6")]
    pub(super) timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    pub(super) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// A gauge, or a value without a type.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Number {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Counter {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(message, optional, tag = "2")]
    pub(super) exemplar: Option<ExemplarFields>,
    #[prost(message, optional, tag = "3")]
    pub(super) created: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(uint64, tag = "1")]
    pub(super) count: u64,
    #[prost(double, tag = "2")]
    pub(super) sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(super) quantiles: Vec<Quantile>,
    #[prost(message, optional, tag = "4")]
    pub(super) created: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Quantile {
    #[prost(double, tag = "1")]
    pub(super) quantile: f64,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(super) count: u64,
    #[prost(double, tag = "2")]
    pub(super) sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(super) buckets: Vec<Bucket>,
    #[prost(double, tag = "4")]
    pub(super) count_float: f64,
    #[prost(sint32, tag = "5")]
    pub(super) schema: i32,
    #[prost(double, tag = "6")]
    pub(super) zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    pub(super) zero_count: u64,
    #[prost(double, tag = "8")]
    pub(super) zero_count_float: f64,
    #[prost(message, repeated, tag = "9")]
    pub(super) negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "10")]
    pub(super) negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "11")]
    pub(super) negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    pub(super) positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    pub(super) positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "14")]
    pub(super) positive_counts: Vec<f64>,
    #[prost(message, optional, tag = "15")]
    pub(super) created: Option<Time>,
    #[prost(message, repeated, tag = "16")]
    pub(super) exemplars: Vec<ExemplarFields>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Bucket {
    #[prost(uint64, tag = "1")]
    pub(super) cumulative_count: u64,
    #[prost(double, tag = "2")]
    pub(super) upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    pub(super) exemplar: Option<ExemplarFields>,
    #[prost(double, tag = "4")]
    pub(super) cumulative_count_float: f64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Span {
    #[prost(sint32, tag = "1")]
    pub(super) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(super) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ExemplarFields {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    pub(super) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(super) time: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Time {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

impl Time {
    pub(super) fn millis(&self) -> i64 {
        let fraction = i64::from(self.nanos / 1_000_000);
        self.seconds.saturating_mul(1_000).saturating_add(fraction)
    }
}

impl Bucket {
    pub(super) fn count(&self) -> f64 {
        match self.cumulative_count_float > 0.0 {
            true => self.cumulative_count_float,
            false => self.cumulative_count as f64,
        }
    }
}

impl Histogram {
    /// Whether it has native buckets. One without observations has an empty span to say so.
    pub(super) fn is_native(&self) -> bool {
        !self.positive_spans.is_empty()
            || !self.negative_spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
            || self.zero_count_float > 0.0
    }

    pub(super) fn count(&self) -> f64 {
        match self.count_float > 0.0 {
            true => self.count_float,
            false => self.count as f64,
        }
    }

    pub(super) fn native(&self, is_gauge: bool) -> NativeHistogram {
        let is_float = self.count_float > 0.0 || self.zero_count_float > 0.0;
        let spans = |spans: &[Span]| -> Vec<BucketSpan> {
            let populated = spans
                .iter()
                .filter(|span| span.length > 0 || span.offset != 0);
            populated
                .map(|span| BucketSpan {
                    offset: span.offset,
                    length: span.length,
                })
                .collect()
        };
        let counts = |deltas: &[i64], counts: &[f64]| -> Vec<f64> {
            if is_float {
                return counts.to_vec();
            }
            let absolute = deltas.iter().scan(0_i64, |count, delta| {
                *count = count.saturating_add(*delta);
                Some(*count as f64)
            });
            absolute.collect()
        };
        NativeHistogram {
            reset_hint: match is_gauge {
                true => ResetHint::Gauge,
                false => ResetHint::Unknown,
            },
            // The store refuses a resolution that does not exist.
            schema: i8::try_from(self.schema).unwrap_or(i8::MAX),
            zero_threshold: self.zero_threshold,
            zero_count: match is_float {
                true => self.zero_count_float,
                false => self.zero_count as f64,
            },
            count: self.count(),
            sum: ordinary(self.sum),
            positive_spans: spans(&self.positive_spans),
            positive_counts: counts(&self.positive_deltas, &self.positive_counts),
            negative_spans: spans(&self.negative_spans),
            negative_counts: counts(&self.negative_deltas, &self.negative_counts),
            ..NativeHistogram::default()
        }
    }
}
