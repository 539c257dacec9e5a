//! A document as a log record.
//!
//! Objects inside of objects become keys with dots, as Elasticsearch reads them, so that
//! `{"host":{"name":"a"}}` is found by `host.name:a`; arrays stay whole. What names the record's
//! source ([`SOURCE`]) becomes the resource; `message`, `@timestamp`, `log.level`, `trace.id` and
//! `span.id`, in the spellings that shippers use, become the record's own fields; everything else
//! is an attribute under its key.

use std::sync::Arc;

use model::log::severity_from_name;
use model::time::{NANOS_PER_MILLI, parse_date_time};
use model::{Attributes, LogRecord, Resource, Value};

use super::Action;
use crate::admission::RejectReason;
use crate::json_value::Budget;

/// Keys longer than this, bytes, are not made: what lies deeper stays an object.
const MAX_KEY_BYTES: usize = 256;

/// Keys of the resource: they say who wrote the record, not what happened.
const SOURCE: [&str; 25] = [
    "service.name",
    "service.namespace",
    "service.version",
    "service.environment",
    "service.instance.id",
    "service.node.name",
    "host",
    "host.name",
    "host.hostname",
    "host.id",
    "agent.name",
    "container.id",
    "container.name",
    "container.image.name",
    "cloud.provider",
    "cloud.region",
    "cloud.availability_zone",
    "cloud.instance.id",
    "orchestrator.cluster.name",
    "kubernetes.namespace",
    "kubernetes.namespace_name",
    "kubernetes.pod.name",
    "kubernetes.pod_name",
    "kubernetes.container.name",
    "kubernetes.container_name",
];

/// Keys that name the service when `service.name` does not, the first first.
const SERVICES: [&str; 7] = [
    "service",
    "app",
    "kubernetes.container.name",
    "kubernetes.container_name",
    "container.name",
    "programname",
    "app-name",
];

/// Keys of the message, the first first.
const MESSAGES: [&str; 5] = ["message", "log", "MESSAGE", "msg", "body"];
/// Keys of the time besides `@timestamp`, the first first; what cannot be read as one stays an
/// attribute.
const TIMES: [&str; 3] = ["timestamp", "time", "timereported"];
/// Keys of the level, the first first.
const LEVELS: [&str; 6] = [
    "log.level",
    "level",
    "severity",
    "loglevel",
    "log.syslog.severity.name",
    "priority",
];
const TRACE_IDS: [&str; 4] = ["trace.id", "trace_id", "traceId", "TraceId"];
const SPAN_IDS: [&str; 4] = ["span.id", "span_id", "spanId", "SpanId"];

/// Turns documents into records; those of one source share their resource.
pub(super) struct Reader {
    received_at: i64,
    last_resource: Arc<Resource>,
}

impl Reader {
    pub(super) fn new(received_at: i64) -> Self {
        Self {
            received_at,
            last_resource: Arc::default(),
        }
    }

    pub(super) fn record(
        &mut self,
        action: &Action<'_>,
        members: Vec<(String, Value)>,
        budget: &Budget,
    ) -> Result<LogRecord, RejectReason> {
        let mut fields = Fields(Vec::with_capacity(members.len()));
        if !fields.flatten("", members, budget) {
            return Err(RejectReason::InvalidDocument);
        }
        let timestamp = fields.time()?.unwrap_or(self.received_at);
        let severity_text = fields.level().unwrap_or_default();
        let body = MESSAGES.iter().find_map(|key| fields.take(key));
        let trace_id = TRACE_IDS
            .iter()
            .find_map(|key| fields.take_parsed(key, |text| full_id(text, 32)));
        let span_id = SPAN_IDS
            .iter()
            .find_map(|key| fields.take_parsed(key, |text| full_id(text, 16)));
        let resource = self.resource(action, &mut fields);
        if let Some(id) = &action.id {
            let id = Value::from(id.as_ref());
            fields.0.push(("elasticsearch.id".to_owned(), id));
        }
        Ok(LogRecord {
            timestamp,
            observed_timestamp: 0,
            severity_number: severity_from_name(&severity_text).unwrap_or(0),
            severity_text,
            body: body.unwrap_or_default(),
            attributes: Attributes(fields.0),
            dropped_attributes_count: 0,
            trace_id,
            span_id,
            flags: 0,
            event_name: String::new(),
            resource,
            scope: Arc::default(),
        })
    }

    fn resource(&mut self, action: &Action<'_>, fields: &mut Fields) -> Arc<Resource> {
        let mut attributes: Vec<(String, Value)> = Vec::new();
        let derived = match fields.text("service.name") {
            Some(_) => None,
            None => SERVICES.iter().find_map(|key| fields.text(key)),
        };
        if let Some(service) = derived {
            attributes.push(("service.name".to_owned(), Value::from(service)));
        }
        let is_source = |(key, value): &mut (String, Value)| {
            SOURCE.contains(&key.as_str()) && !matches!(value, Value::Array(_) | Value::Map(_))
        };
        attributes.extend(fields.0.extract_if(.., is_source));
        if let Some(index) = &action.index {
            let index = Value::from(index.as_ref());
            attributes.push(("elasticsearch.index".to_owned(), index));
        }
        if self.last_resource.attributes.0 != attributes {
            self.last_resource = Arc::new(Resource {
                attributes: Attributes(attributes),
                ..Resource::default()
            });
        }
        Arc::clone(&self.last_resource)
    }
}

/// An id with all of its digits: a shorter text is somebody else's.
fn full_id<T: std::str::FromStr>(text: &str, digits: usize) -> Option<T> {
    (text.len() == digits).then(|| text.parse().ok()).flatten()
}

/// The fields of a document that are not yet placed.
struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Adds `members` under `prefix`; `false` when the budget is spent.
    fn flatten(&mut self, prefix: &str, members: Vec<(String, Value)>, budget: &Budget) -> bool {
        for (name, value) in members {
            if !budget.take(size_of::<(String, Value)>() + prefix.len()) {
                return false;
            }
            let key = match prefix {
                "" => name,
                _ => format!("{prefix}.{name}"),
            };
            match value {
                Value::Map(inner) if !inner.is_empty() && key.len() <= MAX_KEY_BYTES => {
                    if !self.flatten(&key, inner, budget) {
                        return false;
                    }
                }
                value => self.0.push((key, value)),
            }
        }
        true
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.0
            .iter()
            .position(|(known, value)| known == key && *value != Value::Empty)
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        let index = self.position(key)?;
        Some(self.0.remove(index).1)
    }

    /// The text under `key`, when it is one and not empty.
    fn text(&self, key: &str) -> Option<&str> {
        match &self.0[self.position(key)?].1 {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn take_parsed<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let parsed = parse(self.text(key)?)?;
        self.take(key);
        Some(parsed)
    }

    fn time(&mut self) -> Result<Option<i64>, RejectReason> {
        if let Some(value) = self.take("@timestamp") {
            return instant(&value).map(Some).ok_or(RejectReason::InvalidTime);
        }
        for key in TIMES {
            let read = self
                .position(key)
                .and_then(|index| instant(&self.0[index].1));
            if let Some(nanos) = read {
                self.take(key);
                return Ok(Some(nanos));
            }
        }
        Ok(None)
    }

    /// The sender's word for the level. `priority` is one only when it is a known name.
    fn level(&mut self) -> Option<String> {
        LEVELS.iter().find_map(|key| {
            let text = self.text(key)?.to_owned();
            if *key == "priority" && severity_from_name(&text).is_none() {
                return None;
            }
            self.take(key);
            Some(text)
        })
    }
}

/// A date as Elasticsearch reads it: ISO 8601, or milliseconds since 1970 as number or text.
fn instant(value: &Value) -> Option<i64> {
    match value {
        Value::Int(millis) => millis.checked_mul(NANOS_PER_MILLI),
        // Whole milliseconds apart, since a double of today in nanoseconds is off by hundreds.
        Value::Double(millis) if millis.abs() < 1e15 => {
            let nanos = millis.fract() * NANOS_PER_MILLI as f64;
            (millis.trunc() as i64)
                .checked_mul(NANOS_PER_MILLI)?
                .checked_add(nanos.round() as i64)
        }
        Value::String(text) => match text.parse::<i64>() {
            // Four digits are a year.
            Ok(millis) if text.len() > 4 => millis.checked_mul(NANOS_PER_MILLI),
            _ => parse_date_time(text),
        },
        _ => None,
    }
}
