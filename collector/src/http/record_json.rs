//! Log records and spans as the native APIs print them.
//!
//! Times are RFC 3339 with nine digits, 64-bit integers are strings (JavaScript would round
//! them), doubles that JSON cannot say are strings, bytes are base64.

use std::sync::Arc;

use model::level::level_name;
use model::time::format_instant;
use model::{Attributes, LogRecord, Resource, Scope, Seq, Span, Value};
use query::severity::level_number;
use query::text::text_of;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use store::RecordId;

/// One log record of a search's answer.
#[derive(Debug, Serialize)]
pub(super) struct RecordJson {
    id: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_timestamp: Option<String>,
    severity_number: i32,
    severity_text: String,
    /// The level that the record counts as: of its severity or, when that is not set, its texts.
    detected_level: &'static str,
    body: Json,
    trace_id: Option<String>,
    span_id: Option<String>,
    flags: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    event_name: String,
    service: String,
    resource: Json,
    scope: Json,
    attributes: Json,
}

impl RecordJson {
    pub(super) fn new(seq: Seq, record: &LogRecord) -> Self {
        Self {
            id: row_id(record.timestamp, seq),
            timestamp: format_instant(record.timestamp),
            observed_timestamp: (record.observed_timestamp != 0)
                .then(|| format_instant(record.observed_timestamp)),
            severity_number: record.severity_number,
            severity_text: record.severity_text.clone(),
            detected_level: level_name(level_number(record)),
            body: value_json(&record.body),
            trace_id: record.trace_id.map(|id| id.to_string()),
            span_id: record.span_id.map(|id| id.to_string()),
            flags: record.flags,
            event_name: record.event_name.clone(),
            service: record.resource.service().to_owned(),
            resource: attributes_json(&record.resource.attributes),
            scope: scope_json(&record.scope),
            attributes: attributes_json(&record.attributes),
        }
    }
}

/// One span of a trace's answer.
#[derive(Debug, Serialize)]
pub(super) struct SpanJson {
    id: String,
    trace_id: String,
    span_id: String,
    parent_span_id: Option<String>,
    trace_state: String,
    name: String,
    kind: &'static str,
    start: String,
    end: String,
    duration_ns: String,
    status: StatusJson,
    service: String,
    resource: Json,
    scope: Json,
    attributes: Json,
    events: Vec<EventJson>,
    links: Vec<LinkJson>,
}

#[derive(Debug, Serialize)]
struct StatusJson {
    code: &'static str,
    message: String,
}

#[derive(Debug, Serialize)]
struct EventJson {
    timestamp: String,
    name: String,
    attributes: Json,
}

#[derive(Debug, Serialize)]
struct LinkJson {
    trace_id: String,
    span_id: String,
    trace_state: String,
    attributes: Json,
}

impl SpanJson {
    pub(super) fn new(seq: Seq, span: &Span) -> Self {
        Self {
            id: row_id(span.start, seq),
            trace_id: span.trace_id.to_string(),
            span_id: span.span_id.to_string(),
            parent_span_id: span.parent_span_id.map(|id| id.to_string()),
            trace_state: span.trace_state.clone(),
            name: span.name.clone(),
            kind: span.kind.as_str(),
            start: format_instant(span.start),
            end: format_instant(span.end),
            duration_ns: span.duration().to_string(),
            status: StatusJson {
                code: span.status_code.as_str(),
                message: span.status_message.clone(),
            },
            service: span.resource.service().to_owned(),
            resource: resource_json(&span.resource),
            scope: scope_json(&span.scope),
            attributes: attributes_json(&span.attributes),
            events: span
                .events
                .iter()
                .map(|event| EventJson {
                    timestamp: format_instant(event.timestamp),
                    name: event.name.clone(),
                    attributes: attributes_json(&event.attributes),
                })
                .collect(),
            links: span
                .links
                .iter()
                .map(|link| LinkJson {
                    trace_id: link.trace_id.to_string(),
                    span_id: link.span_id.to_string(),
                    trace_state: link.trace_state.clone(),
                    attributes: attributes_json(&link.attributes),
                })
                .collect(),
        }
    }
}

/// A row's permanent identity: its time and its place in the ingest log.
pub(super) fn row_id(timestamp: i64, seq: Seq) -> String {
    format!("{timestamp:016x}-{:016x}", seq.as_i64())
}

/// Reads what [`row_id`] printed; `None` for any other text.
pub(super) fn read_row_id(id: &str) -> Option<RecordId> {
    let (timestamp, seq) = id.split_once('-')?;
    let number = |hex: &str| {
        let is_whole = hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bits = is_whole.then(|| u64::from_str_radix(hex, 16))?.ok()?;
        Some(bits.cast_signed())
    };
    Some(RecordId {
        timestamp: number(timestamp)?,
        seq: Seq::from_i64(number(seq)?),
    })
}

fn resource_json(resource: &Arc<Resource>) -> Json {
    attributes_json(&resource.attributes)
}

fn scope_json(scope: &Scope) -> Json {
    let mut fields = Map::new();
    for (name, value) in [("name", &scope.name), ("version", &scope.version)] {
        if !value.is_empty() {
            fields.insert(name.to_owned(), value.as_str().into());
        }
    }
    if !scope.attributes.is_empty() {
        fields.insert("attributes".to_owned(), attributes_json(&scope.attributes));
    }
    Json::Object(fields)
}

/// Attributes as an object; of a repeated key the first entry.
fn attributes_json(attributes: &Attributes) -> Json {
    object(&attributes.0)
}

fn object(entries: &[(String, Value)]) -> Json {
    let mut fields = Map::new();
    for (key, value) in entries {
        if !fields.contains_key(key) {
            fields.insert(key.clone(), value_json(value));
        }
    }
    Json::Object(fields)
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Empty => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Double(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => Json::Number(number),
            None => Json::String(number.to_string()),
        },
        Value::Array(elements) => elements.iter().map(value_json).collect(),
        Value::Map(entries) => object(entries),
        Value::String(_) | Value::Int(_) | Value::Bytes(_) => {
            Json::String(text_of(value).unwrap_or_default().into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_record() {
        for (timestamp, seq) in [(1_700_000_000_000_000_000, 77), (0, 0), (-1, i64::MAX)] {
            let id = row_id(timestamp, Seq::from_i64(seq));
            let read = read_row_id(&id).unwrap();
            assert_eq!((read.timestamp, read.seq.as_i64()), (timestamp, seq));
        }
        for bad in [
            "",
            "1-2",
            "x",
            "000000000000000g-0000000000000000",
            "+00000000000000f-0000000000000000",
        ] {
            assert_eq!(read_row_id(bad), None, "{bad:?}");
        }
    }
}
