//! OTLP/JSON: camelCase keys, hexadecimal identifiers, 64-bit integers as strings or numbers.
//!
//! The forms are the protobuf JSON mapping's: a missing field and `null` both mean the default,
//! unknown fields are ignored, doubles may be `"NaN"`, `"Infinity"` and `"-Infinity"`. Enums are
//! numbers, as OTLP demands. Everything is read into the protobuf types, so that one mapping to
//! the model serves both encodings. (The serde support of `opentelemetry-proto` is not used: it
//! refuses nulls, missing lists and non-finite doubles, and reads a wrong `asInt` as no value.)
//!
//! Nesting is bounded by serde_json, which refuses more than 128 levels.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::{common, logs, metrics, resource, trace};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::DecodeError;

/// JSON objects that one body may hold; each becomes a message of up to a few hundred bytes.
const MAX_OBJECTS: usize = 1 << 21;

pub(super) fn logs(body: &[u8]) -> Result<ExportLogsServiceRequest, DecodeError> {
    read::<LogsRequest>(body).map(|request| ExportLogsServiceRequest {
        resource_logs: request.resource_logs.all(),
    })
}

pub(super) fn spans(body: &[u8]) -> Result<ExportTraceServiceRequest, DecodeError> {
    read::<SpansRequest>(body).map(|request| ExportTraceServiceRequest {
        resource_spans: request.resource_spans.all(),
    })
}

pub(super) fn metrics(body: &[u8]) -> Result<ExportMetricsServiceRequest, DecodeError> {
    read::<MetricsRequest>(body).map(|request| ExportMetricsServiceRequest {
        resource_metrics: request.resource_metrics.all(),
    })
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, DecodeError> {
    // Counted before anything is built: `{},{},…` would grow a hundredfold in memory. Braces
    // inside of strings count too, which only matters to bodies made of braces.
    let objects = body.iter().filter(|byte| **byte == b'{').count();
    if objects > MAX_OBJECTS {
        return Err(DecodeError::TooManyItems {
            count: objects,
            limit: MAX_OBJECTS,
        });
    }
    // The parser checks only strings that it reads, not those of fields that it skips.
    let text = std::str::from_utf8(body).map_err(|err| not_utf8(body, err.valid_up_to()))?;
    serde_json::from_str(text).map_err(|err| DecodeError::json(&err))
}

fn not_utf8(body: &[u8], valid: usize) -> DecodeError {
    let before = &body[..valid];
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    DecodeError::Json {
        line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        column: valid - line_start + 1,
        message: "the body is not UTF-8".to_owned(),
    }
}

/// A field that may be `null`, which means its default.
#[derive(Debug, Default)]
struct Field<T>(T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// A repeated field.
type List<T> = Field<Vec<T>>;

impl<T> Field<Vec<T>> {
    fn all<W: From<T>>(self) -> Vec<W> {
        self.0.into_iter().map(W::from).collect()
    }
}

/// A number in either of its forms: bare or in a string. `text` is what was written.
fn number_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let raw = <&RawValue>::deserialize(deserializer)?.get();
    if raw.starts_with('"') {
        return serde_json::from_str(raw).map_err(de::Error::custom);
    }
    Ok(raw.to_owned())
}

macro_rules! integer {
    ($name:ident, $int:ty) => {
        #[derive(Debug, Default, Clone, Copy)]
        struct $name($int);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = number_text(deserializer)?;
                text.parse().map(Self).map_err(|_| {
                    de::Error::custom(format!(
                        concat!("expected a ", stringify!($int), " integer, got {:?}"),
                        excerpt(&text)
                    ))
                })
            }
        }
    };
}

integer!(U64, u64);
integer!(I64, i64);
integer!(U32, u32);
integer!(I32, i32);

/// A double, also as `"NaN"`, `"Infinity"`, `"-Infinity"` or a decimal in a string.
#[derive(Debug, Default, Clone, Copy)]
struct F64(f64);

impl<'de> Deserialize<'de> for F64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = number_text(deserializer)?;
        let number = match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // Rust also reads "inf" and "nan", which JSON's mapping does not know.
            _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
        };
        number.map(Self).ok_or_else(|| {
            de::Error::custom(format!("expected a double, got {:?}", excerpt(&text)))
        })
    }
}

/// The beginning of what a sender wrote, for a message.
fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Bytes in hexadecimal, as OTLP writes identifiers.
#[derive(Debug, Default)]
struct Hex(Vec<u8>);

/// Bytes in base64, standard or URL-safe.
#[derive(Debug, Default)]
struct Base64(Vec<u8>);

struct TextVisitor<F> {
    expected: &'static str,
    read: F,
}

impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for TextVisitor<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let expected = self.expected;
        (self.read)(text)
            .ok_or_else(|| E::custom(format!("expected {expected}, got {:?}", excerpt(text))))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor {
            expected: "hexadecimal digits",
            read: |text: &str| const_hex::decode(text).ok().map(Hex),
        })
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor {
            expected: "base64",
            read: |text: &str| {
                let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
                decoded.ok().map(Base64)
            },
        })
    }
}

/// Reads a message from an object only: derived code would take an array of its fields as well.
/// The struct says `remote = "Self"`, which makes the derived function an inherent one.
macro_rules! object {
    ($name:ident) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct ObjectVisitor;

                impl<'de> Visitor<'de> for ObjectVisitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        $name::deserialize(MapAccessDeserializer::new(map))
                    }
                }

                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    };
}

/// Declares a JSON message and how it becomes the protobuf one.
macro_rules! message {
    ($name:ident { $($field:ident: $type:ty),* $(,)? } => $wire:path, |$this:ident| $body:expr) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, rename_all = "camelCase", remote = "Self")]
        struct $name { $($field: $type),* }

        object!($name);

        impl From<$name> for $wire {
            fn from($this: $name) -> Self {
                $body
            }
        }
    };
}

object!(LogsRequest);
object!(SpansRequest);
object!(MetricsRequest);
object!(AnyValueFields);
object!(MetricFields);

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", remote = "Self")]
struct LogsRequest {
    resource_logs: List<ResourceLogs>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", remote = "Self")]
struct SpansRequest {
    resource_spans: List<ResourceSpans>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", remote = "Self")]
struct MetricsRequest {
    resource_metrics: List<ResourceMetrics>,
}

/// `AnyValue` is a oneof: its fields exclude each other.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", remote = "Self")]
struct AnyValueFields {
    string_value: Option<String>,
    bool_value: Option<bool>,
    int_value: Option<I64>,
    double_value: Option<F64>,
    array_value: Option<ArrayValue>,
    kvlist_value: Option<KeyValueList>,
    bytes_value: Option<Base64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "AnyValueFields")]
struct AnyValue(Option<common::v1::any_value::Value>);

impl TryFrom<AnyValueFields> for AnyValue {
    type Error = &'static str;

    fn try_from(fields: AnyValueFields) -> Result<Self, Self::Error> {
        use common::v1::any_value::Value;
        let mut set = [
            fields.string_value.map(Value::StringValue),
            fields.bool_value.map(Value::BoolValue),
            fields.int_value.map(|number| Value::IntValue(number.0)),
            fields
                .double_value
                .map(|number| Value::DoubleValue(number.0)),
            fields
                .array_value
                .map(|array| Value::ArrayValue(array.into())),
            fields
                .kvlist_value
                .map(|list| Value::KvlistValue(list.into())),
            fields.bytes_value.map(|bytes| Value::BytesValue(bytes.0)),
        ]
        .into_iter()
        .flatten();
        match (set.next(), set.next()) {
            (_, Some(_)) => Err("an AnyValue has one of its fields, this one has several"),
            (value, None) => Ok(Self(value)),
        }
    }
}

impl From<AnyValue> for common::v1::AnyValue {
    fn from(any: AnyValue) -> Self {
        Self { value: any.0 }
    }
}

message!(ArrayValue { values: List<AnyValue> } => common::v1::ArrayValue, |json| Self {
    values: json.values.all(),
});

message!(KeyValueList { values: List<KeyValue> } => common::v1::KeyValueList, |json| Self {
    values: json.values.all(),
});

message!(KeyValue { key: Field<String>, value: Option<AnyValue> } => common::v1::KeyValue, |json| Self {
    key: json.key.0,
    value: json.value.map(Into::into),
    key_strindex: 0,
});

message!(Resource {
    attributes: List<KeyValue>,
    dropped_attributes_count: Field<U32>,
} => resource::v1::Resource, |json| Self {
    attributes: json.attributes.all(),
    dropped_attributes_count: json.dropped_attributes_count.0.0,
    entity_refs: Vec::new(),
});

message!(Scope {
    name: Field<String>,
    version: Field<String>,
    attributes: List<KeyValue>,
    dropped_attributes_count: Field<U32>,
} => common::v1::InstrumentationScope, |json| Self {
    name: json.name.0,
    version: json.version.0,
    attributes: json.attributes.all(),
    dropped_attributes_count: json.dropped_attributes_count.0.0,
});

message!(ResourceLogs {
    resource: Option<Resource>,
    scope_logs: List<ScopeLogs>,
    schema_url: Field<String>,
} => logs::v1::ResourceLogs, |json| Self {
    resource: json.resource.map(Into::into),
    scope_logs: json.scope_logs.all(),
    schema_url: json.schema_url.0,
});

message!(ScopeLogs {
    scope: Option<Scope>,
    log_records: List<LogRecord>,
    schema_url: Field<String>,
} => logs::v1::ScopeLogs, |json| Self {
    scope: json.scope.map(Into::into),
    log_records: json.log_records.all(),
    schema_url: json.schema_url.0,
});

message!(LogRecord {
    time_unix_nano: Field<U64>,
    observed_time_unix_nano: Field<U64>,
    severity_number: Field<I32>,
    severity_text: Field<String>,
    body: Option<AnyValue>,
    attributes: List<KeyValue>,
    dropped_attributes_count: Field<U32>,
    flags: Field<U32>,
    trace_id: Field<Hex>,
    span_id: Field<Hex>,
    event_name: Field<String>,
} => logs::v1::LogRecord, |json| Self {
    time_unix_nano: json.time_unix_nano.0.0,
    observed_time_unix_nano: json.observed_time_unix_nano.0.0,
    severity_number: json.severity_number.0.0,
    severity_text: json.severity_text.0,
    body: json.body.map(Into::into),
    attributes: json.attributes.all(),
    dropped_attributes_count: json.dropped_attributes_count.0.0,
    flags: json.flags.0.0,
    trace_id: json.trace_id.0.0,
    span_id: json.span_id.0.0,
    event_name: json.event_name.0,
});

message!(ResourceSpans {
    resource: Option<Resource>,
    scope_spans: List<ScopeSpans>,
    schema_url: Field<String>,
} => trace::v1::ResourceSpans, |json| Self {
    resource: json.resource.map(Into::into),
    scope_spans: json.scope_spans.all(),
    schema_url: json.schema_url.0,
});

message!(ScopeSpans {
    scope: Option<Scope>,
    spans: List<Span>,
    schema_url: Field<String>,
} => trace::v1::ScopeSpans, |json| Self {
    scope: json.scope.map(Into::into),
    spans: json.spans.all(),
    schema_url: json.schema_url.0,
});

message!(Span {
    trace_id: Field<Hex>,
    span_id: Field<Hex>,
    trace_state: Field<String>,
    parent_span_id: Field<Hex>,
    flags: Field<U32>,
    name: Field<String>,
    kind: Field<I32>,
    start_time_unix_nano: Field<U64>,
    end_time_unix_nano: Field<U64>,
    attributes: List<KeyValue>,
    dropped_attributes_count: Field<U32>,
    events: List<Event>,
    dropped_events_count: Field<U32>,
    links: List<Link>,
    dropped_links_count: Field<U32>,
    status: Option<Status>,
} => trace::v1::Span, |json| Self {
    trace_id: json.trace_id.0.0,
    span_id: json.span_id.0.0,
    trace_state: json.trace_state.0,
    parent_span_id: json.parent_span_id.0.0,
    flags: json.flags.0.0,
    name: json.name.0,
    kind: json.kind.0.0,
    start_time_unix_nano: json.start_time_unix_nano.0.0,
    end_time_unix_nano: json.end_time_unix_nano.0.0,
    attributes: json.attributes.all(),
    dropped_attributes_count: json.dropped_attributes_count.0.0,
    events: json.events.all(),
    dropped_events_count: json.dropped_events_count.0.0,
    links: json.links.all(),
    dropped_links_count: json.dropped_links_count.0.0,
    status: json.status.map(Into::into),
});

message!(Event {
    time_unix_nano: Field<U64>,
    name: Field<String>,
    attributes: List<KeyValue>,
    dropped_attributes_count: Field<U32>,
} => trace::v1::span::Event, |json| Self {
    time_unix_nano: json.time_unix_nano.0.0,
    name: json.name.0,
    attributes: json.attributes.all(),
    dropped_attributes_count: json.dropped_attributes_count.0.0,
});

message!(Link {
    trace_id: Field<Hex>,
    span_id: Field<Hex>,
    trace_state: Field<String>,
    attributes: List<KeyValue>,
    dropped_attributes_count: Field<U32>,
    flags: Field<U32>,
} => trace::v1::span::Link, |json| Self {
    trace_id: json.trace_id.0.0,
    span_id: json.span_id.0.0,
    trace_state: json.trace_state.0,
    attributes: json.attributes.all(),
    dropped_attributes_count: json.dropped_attributes_count.0.0,
    flags: json.flags.0.0,
});

message!(Status { message: Field<String>, code: Field<I32> } => trace::v1::Status, |json| Self {
    message: json.message.0,
    code: json.code.0.0,
});

message!(ResourceMetrics {
    resource: Option<Resource>,
    scope_metrics: List<ScopeMetrics>,
    schema_url: Field<String>,
} => metrics::v1::ResourceMetrics, |json| Self {
    resource: json.resource.map(Into::into),
    scope_metrics: json.scope_metrics.all(),
    schema_url: json.schema_url.0,
});

message!(ScopeMetrics {
    scope: Option<Scope>,
    metrics: List<Metric>,
    schema_url: Field<String>,
} => metrics::v1::ScopeMetrics, |json| Self {
    scope: json.scope.map(Into::into),
    metrics: json.metrics.all(),
    schema_url: json.schema_url.0,
});

/// `Metric.data` is a oneof.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", remote = "Self")]
struct MetricFields {
    name: Field<String>,
    description: Field<String>,
    unit: Field<String>,
    metadata: List<KeyValue>,
    gauge: Option<Gauge>,
    sum: Option<Sum>,
    histogram: Option<Histogram>,
    exponential_histogram: Option<ExponentialHistogram>,
    summary: Option<Summary>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "MetricFields")]
struct Metric(metrics::v1::Metric);

impl TryFrom<MetricFields> for Metric {
    type Error = &'static str;

    fn try_from(fields: MetricFields) -> Result<Self, Self::Error> {
        use metrics::v1::metric::Data;
        let mut set = [
            fields.gauge.map(|data| Data::Gauge(data.into())),
            fields.sum.map(|data| Data::Sum(data.into())),
            fields.histogram.map(|data| Data::Histogram(data.into())),
            fields
                .exponential_histogram
                .map(|data| Data::ExponentialHistogram(data.into())),
            fields.summary.map(|data| Data::Summary(data.into())),
        ]
        .into_iter()
        .flatten();
        let data = set.next();
        if set.next().is_some() {
            return Err("a metric has one kind of data, this one has several");
        }
        Ok(Self(metrics::v1::Metric {
            name: fields.name.0,
            description: fields.description.0,
            unit: fields.unit.0,
            metadata: fields.metadata.all(),
            data,
        }))
    }
}

impl From<Metric> for metrics::v1::Metric {
    fn from(metric: Metric) -> Self {
        metric.0
    }
}

message!(Gauge { data_points: List<NumberPoint> } => metrics::v1::Gauge, |json| Self {
    data_points: json.data_points.all(),
});

message!(Sum {
    data_points: List<NumberPoint>,
    aggregation_temporality: Field<I32>,
    is_monotonic: Field<bool>,
} => metrics::v1::Sum, |json| Self {
    data_points: json.data_points.all(),
    aggregation_temporality: json.aggregation_temporality.0.0,
    is_monotonic: json.is_monotonic.0,
});

message!(Histogram {
    data_points: List<HistogramPoint>,
    aggregation_temporality: Field<I32>,
} => metrics::v1::Histogram, |json| Self {
    data_points: json.data_points.all(),
    aggregation_temporality: json.aggregation_temporality.0.0,
});

message!(ExponentialHistogram {
    data_points: List<ExponentialPoint>,
    aggregation_temporality: Field<I32>,
} => metrics::v1::ExponentialHistogram, |json| Self {
    data_points: json.data_points.all(),
    aggregation_temporality: json.aggregation_temporality.0.0,
});

message!(Summary { data_points: List<SummaryPoint> } => metrics::v1::Summary, |json| Self {
    data_points: json.data_points.all(),
});

// A point's value is a oneof of a double and an integer; both set is read as the integer, which
// is the exact one.
message!(NumberPoint {
    attributes: List<KeyValue>,
    start_time_unix_nano: Field<U64>,
    time_unix_nano: Field<U64>,
    exemplars: List<Exemplar>,
    flags: Field<U32>,
    as_double: Option<F64>,
    as_int: Option<I64>,
} => metrics::v1::NumberDataPoint, |json| {
    use metrics::v1::number_data_point::Value;
    Self {
        attributes: json.attributes.all(),
        start_time_unix_nano: json.start_time_unix_nano.0.0,
        time_unix_nano: json.time_unix_nano.0.0,
        exemplars: json.exemplars.all(),
        flags: json.flags.0.0,
        value: json
            .as_int
            .map(|number| Value::AsInt(number.0))
            .or(json.as_double.map(|number| Value::AsDouble(number.0))),
    }
});

message!(Exemplar {
    filtered_attributes: List<KeyValue>,
    time_unix_nano: Field<U64>,
    span_id: Field<Hex>,
    trace_id: Field<Hex>,
    as_double: Option<F64>,
    as_int: Option<I64>,
} => metrics::v1::Exemplar, |json| {
    use metrics::v1::exemplar::Value;
    Self {
        filtered_attributes: json.filtered_attributes.all(),
        time_unix_nano: json.time_unix_nano.0.0,
        span_id: json.span_id.0.0,
        trace_id: json.trace_id.0.0,
        value: json
            .as_int
            .map(|number| Value::AsInt(number.0))
            .or(json.as_double.map(|number| Value::AsDouble(number.0))),
    }
});

message!(HistogramPoint {
    attributes: List<KeyValue>,
    start_time_unix_nano: Field<U64>,
    time_unix_nano: Field<U64>,
    count: Field<U64>,
    sum: Option<F64>,
    bucket_counts: List<U64>,
    explicit_bounds: List<F64>,
    exemplars: List<Exemplar>,
    flags: Field<U32>,
    min: Option<F64>,
    max: Option<F64>,
} => metrics::v1::HistogramDataPoint, |json| Self {
    attributes: json.attributes.all(),
    start_time_unix_nano: json.start_time_unix_nano.0.0,
    time_unix_nano: json.time_unix_nano.0.0,
    count: json.count.0.0,
    sum: json.sum.map(|number| number.0),
    bucket_counts: json.bucket_counts.0.into_iter().map(|count| count.0).collect(),
    explicit_bounds: json.explicit_bounds.0.into_iter().map(|bound| bound.0).collect(),
    exemplars: json.exemplars.all(),
    flags: json.flags.0.0,
    min: json.min.map(|number| number.0),
    max: json.max.map(|number| number.0),
});

message!(ExponentialPoint {
    attributes: List<KeyValue>,
    start_time_unix_nano: Field<U64>,
    time_unix_nano: Field<U64>,
    count: Field<U64>,
    sum: Option<F64>,
    scale: Field<I32>,
    zero_count: Field<U64>,
    positive: Option<Buckets>,
    negative: Option<Buckets>,
    flags: Field<U32>,
    exemplars: List<Exemplar>,
    min: Option<F64>,
    max: Option<F64>,
    zero_threshold: Field<F64>,
} => metrics::v1::ExponentialHistogramDataPoint, |json| Self {
    attributes: json.attributes.all(),
    start_time_unix_nano: json.start_time_unix_nano.0.0,
    time_unix_nano: json.time_unix_nano.0.0,
    count: json.count.0.0,
    sum: json.sum.map(|number| number.0),
    scale: json.scale.0.0,
    zero_count: json.zero_count.0.0,
    positive: json.positive.map(Into::into),
    negative: json.negative.map(Into::into),
    flags: json.flags.0.0,
    exemplars: json.exemplars.all(),
    min: json.min.map(|number| number.0),
    max: json.max.map(|number| number.0),
    zero_threshold: json.zero_threshold.0.0,
});

message!(Buckets {
    offset: Field<I32>,
    bucket_counts: List<U64>,
} => metrics::v1::exponential_histogram_data_point::Buckets, |json| Self {
    offset: json.offset.0.0,
    bucket_counts: json.bucket_counts.0.into_iter().map(|count| count.0).collect(),
});

message!(SummaryPoint {
    attributes: List<KeyValue>,
    start_time_unix_nano: Field<U64>,
    time_unix_nano: Field<U64>,
    count: Field<U64>,
    sum: Field<F64>,
    quantile_values: List<Quantile>,
    flags: Field<U32>,
} => metrics::v1::SummaryDataPoint, |json| Self {
    attributes: json.attributes.all(),
    start_time_unix_nano: json.start_time_unix_nano.0.0,
    time_unix_nano: json.time_unix_nano.0.0,
    count: json.count.0.0,
    sum: json.sum.0.0,
    quantile_values: json.quantile_values.all(),
    flags: json.flags.0.0,
});

message!(Quantile {
    quantile: Field<F64>,
    value: Field<F64>,
} => metrics::v1::summary_data_point::ValueAtQuantile, |json| Self {
    quantile: json.quantile.0.0,
    value: json.value.0.0,
});
