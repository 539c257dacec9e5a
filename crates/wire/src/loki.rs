//! Loki's push request, in JSON and protobuf, as log records.
//!
//! A stream's labels become attributes of the resource, under keys that give the same labels back
//! ([`model::stream`]); a stream without a `service_name` gets one as Loki derives it. Structured
//! metadata become the record's attributes, apart from the names by which LogQL shows a record's
//! own fields (`trace_id`, `span_id`, `severity_text`, `severity_number`). A level among them, or
//! else among the labels, is the record's severity.

mod labels;

use std::sync::Arc;

use model::log::severity_from_name;
use model::stream::key_of_label;
use model::time::NANOS_PER_SECOND;
use model::{Attributes, LogRecord, Resource, Scope, Value};

use crate::admission::RejectReason;
use crate::json_value::{self, Budget};
use crate::original::{LOG_RECORD_ORIGINAL, body_of};
use crate::otlp::{self, DecodeError, Decoded, weigh};

/// Labels that name the service when no `service_name` does, as Loki tries them.
const SERVICE_LABELS: [&str; 12] = [
    "service",
    "app",
    "application",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
];

/// Names under which senders put a level.
const LEVELS: [&str; 8] = [
    "detected_level",
    "level",
    "lvl",
    "severity",
    "severity_text",
    "loglevel",
    "log_level",
    "SeverityText",
];

#[derive(Clone, PartialEq, prost::Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<PushedStream>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PushedStream {
    #[prost(bytes = "vec", tag = "1")]
    labels: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<PushedEntry>,
}

/// Go's protobuf does not check that strings are UTF-8, and log lines are not always.
#[derive(Clone, PartialEq, prost::Message)]
struct PushedEntry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<PushedTime>,
    #[prost(bytes = "vec", tag = "2")]
    line: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    structured_metadata: Vec<PushedPair>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct PushedTime {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PushedPair {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The records of a `PushRequest` in protobuf, without its snappy.
///
/// # Errors
///
/// No such message, labels that cannot be read, or too many entries.
pub(crate) fn decode_protobuf(
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<LogRecord>, DecodeError> {
    let request: PushRequest = otlp::protobuf(body, &weigh::LOKI_PUSH)?;
    let count = request.streams.iter().map(|stream| stream.entries.len());
    otlp::check_count(count.sum())?;
    let mut decoded = Decoded::with_capacity(0);
    for (index, pushed) in request.streams.into_iter().enumerate() {
        let text = String::from_utf8_lossy(&pushed.labels);
        let labels = labels::parse(&text).map_err(|message| DecodeError::Push {
            place: format!("streams[{index}].labels"),
            message,
        })?;
        let stream = Stream::new(labels);
        for entry in pushed.entries {
            let metadata = entry
                .structured_metadata
                .into_iter()
                .map(|pair| (lossy(pair.name), Value::String(lossy(pair.value))))
                .collect();
            let time = entry.timestamp.unwrap_or_default();
            let nanos = time
                .seconds
                .checked_mul(NANOS_PER_SECOND)
                .and_then(|seconds| seconds.checked_add(i64::from(time.nanos)))
                .ok_or(RejectReason::TimeOutOfRange);
            decoded.push(nanos.map(|nanos| {
                let (line, original) = body_of(entry.line);
                stream.record(nanos, received_at, line, original, metadata)
            }));
        }
    }
    Ok(decoded)
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The records of a push request in JSON:
/// `{"streams":[{"stream":{"a":"b"},"values":[["<ns>","line",{"c":"d"}]]}]}`.
///
/// # Errors
///
/// Another form, or too many entries.
pub(crate) fn decode_json(
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<LogRecord>, DecodeError> {
    let request = json_value::read(body, &Budget::new())?;
    let Value::Map(request) = request else {
        return Err(form("the body", r#"an object with "streams""#));
    };
    let mut decoded = Decoded::with_capacity(0);
    for (index, stream) in array(request, "streams", "streams")?
        .into_iter()
        .enumerate()
    {
        let place = format!("streams[{index}]");
        let Value::Map(mut members) = stream else {
            return Err(form(&place, "an object"));
        };
        let labels = match take(&mut members, "stream") {
            Some(Value::Map(labels)) => labels
                .into_iter()
                .map(|(name, value)| match value {
                    Value::String(value) => Ok((name, value)),
                    _ => Err(form(&format!("{place}.stream"), "values that are strings")),
                })
                .collect::<Result<Vec<_>, _>>()?,
            _ => return Err(form(&format!("{place}.stream"), "an object of labels")),
        };
        let stream = Stream::new(labels);
        let place = format!("{place}.values");
        let values = array(members, "values", &place)?;
        otlp::check_count(decoded.items.len() + decoded.rejected.len() + values.len())?;
        for (index, value) in values.into_iter().enumerate() {
            let (time, line, metadata) = json_entry(value)
                .map_err(|expected| form(&format!("{place}[{index}]"), expected))?;
            decoded.push(time.map(|time| stream.record(time, received_at, line, None, metadata)));
        }
    }
    Ok(decoded)
}

type JsonEntry = (Result<i64, RejectReason>, Value, Vec<(String, Value)>);

/// Reads one of `values`; an error says what was expected.
fn json_entry(value: Value) -> Result<JsonEntry, &'static str> {
    let expected = r#"["<unix nanoseconds>", "line"], perhaps with an object behind"#;
    let Value::Array(elements) = value else {
        return Err(expected);
    };
    let mut elements = elements.into_iter();
    let time = match elements.next() {
        Some(Value::Int(nanos)) => Ok(nanos),
        Some(Value::String(text)) if is_number(&text) => {
            text.parse().map_err(|_| RejectReason::TimeOutOfRange)
        }
        _ => return Err(expected),
    };
    let Some(line @ Value::String(_)) = elements.next() else {
        return Err(expected);
    };
    let metadata = match elements.next() {
        None | Some(Value::Empty) => Vec::new(),
        Some(Value::Map(metadata)) => metadata,
        Some(_) => return Err(expected),
    };
    match elements.next() {
        None => Ok((time, line, metadata)),
        Some(_) => Err(expected),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn form(place: &str, expected: &str) -> DecodeError {
    DecodeError::Push {
        place: place.to_owned(),
        message: format!("expected {expected}"),
    }
}

fn take(members: &mut Vec<(String, Value)>, name: &str) -> Option<Value> {
    let index = members.iter().position(|(known, _)| known == name)?;
    Some(members.swap_remove(index).1)
}

/// A member that is a list; a missing one is empty.
fn array(
    mut members: Vec<(String, Value)>,
    name: &str,
    place: &str,
) -> Result<Vec<Value>, DecodeError> {
    match take(&mut members, name) {
        None | Some(Value::Empty) => Ok(Vec::new()),
        Some(Value::Array(elements)) => Ok(elements),
        Some(_) => Err(form(place, "an array")),
    }
}

/// What the entries of one stream share.
struct Stream {
    resource: Arc<Resource>,
    scope: Arc<Scope>,
    /// The severity that a label states, 0 when none does.
    severity_number: i32,
}

impl Stream {
    fn new(labels: Vec<(String, String)>) -> Self {
        let label = |name: &str| {
            let (_, value) = labels.iter().find(|(known, _)| known == name)?;
            (!value.is_empty()).then_some(value.as_str())
        };
        let severity_number = LEVELS
            .iter()
            .find_map(|name| severity_from_name(label(name)?))
            .unwrap_or(0);
        let derived = match label("service_name") {
            Some(_) => None,
            None => SERVICE_LABELS.iter().find_map(|name| label(name)),
        };
        let mut attributes: Vec<(String, Value)> = Vec::with_capacity(labels.len() + 1);
        if let Some(service) = derived {
            attributes.push(("service.name".to_owned(), Value::from(service)));
        }
        for (name, value) in labels {
            // An empty label is an absent one.
            if !value.is_empty() {
                let key = key_of_label(&name).map(str::to_owned).unwrap_or(name);
                attributes.push((key, Value::String(value)));
            }
        }
        Self {
            resource: Arc::new(Resource {
                attributes: Attributes(attributes),
                ..Resource::default()
            }),
            scope: Arc::default(),
            severity_number,
        }
    }

    fn record(
        &self,
        time: i64,
        received_at: i64,
        body: Value,
        original: Option<Value>,
        metadata: Vec<(String, Value)>,
    ) -> LogRecord {
        let mut record = LogRecord {
            timestamp: if time == 0 { received_at } else { time },
            observed_timestamp: 0,
            severity_number: 0,
            severity_text: String::new(),
            body,
            attributes: Attributes::default(),
            dropped_attributes_count: 0,
            trace_id: None,
            span_id: None,
            flags: 0,
            event_name: String::new(),
            resource: Arc::clone(&self.resource),
            scope: Arc::clone(&self.scope),
        };
        let mut level = None;
        let mut attributes = Vec::with_capacity(metadata.len());
        for (name, value) in metadata {
            if let Value::String(text) = &value {
                if level.is_none() && LEVELS.contains(&name.as_str()) {
                    level = severity_from_name(text);
                }
                if take_field(&mut record, &name, text) {
                    continue;
                }
            }
            attributes.push((name, value));
        }
        if let Some(original) = original {
            attributes.push((LOG_RECORD_ORIGINAL.to_owned(), original));
        }
        record.attributes = Attributes(attributes);
        if record.severity_number == 0 {
            record.severity_number = level.unwrap_or(self.severity_number);
        }
        record
    }
}

/// Makes structured metadata the field of the record that LogQL shows under its name; `false`
/// when it is none, or not of the field's form.
fn take_field(record: &mut LogRecord, name: &str, text: &str) -> bool {
    match name {
        "trace_id" if text.len() == 32 && record.trace_id.is_none() => {
            record.trace_id = text.parse().ok();
            record.trace_id.is_some()
        }
        "span_id" if text.len() == 16 && record.span_id.is_none() => {
            record.span_id = text.parse().ok();
            record.span_id.is_some()
        }
        "severity_text" if record.severity_text.is_empty() => {
            record.severity_text = text.to_owned();
            true
        }
        "severity_number" if record.severity_number == 0 => match text.parse() {
            Ok(number @ 1..=24) => {
                record.severity_number = number;
                true
            }
            _ => false,
        },
        _ => false,
    }
}
