//! One syslog message as a log record.
//!
//! Host and application are the resource (`host.name`, `service.name`); facility, process, message
//! id, structured data (`syslog.sd.<id>.<name>`) and the sender's address are attributes. The
//! severity is mapped as OpenTelemetry's log data model does.

use std::net::IpAddr;
use std::sync::Arc;

use model::log::severity_of_syslog;
use model::{Attributes, LogRecord, Resource, Value};

use super::{rfc3164, rfc5424};
use crate::admission::MAX_AHEAD;
use crate::original::LOG_RECORD_ORIGINAL;

/// The highest priority: facility 23, severity 7.
const MAX_PRIORITY: u8 = 191;

const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// The parts of a message, as either RFC gives them; what is absent is `None`.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parts<'a> {
    /// Unix ns, and how it was written.
    pub(super) time: Option<(i64, &'a str)>,
    pub(super) host: Option<&'a str>,
    pub(super) app: Option<&'a str>,
    pub(super) process: Option<&'a str>,
    pub(super) message_id: Option<&'a str>,
    /// `<id>.<name>` and value; an element without parameters has an empty value.
    pub(super) data: Vec<(String, Value)>,
    pub(super) text: &'a str,
}

/// Turns messages into records; neighbours from one source share their resource.
pub(super) struct Reader {
    received_at: i64,
    utc_offset: i32,
    last_resource: Arc<Resource>,
}

impl Reader {
    pub(super) fn new(received_at: i64, utc_offset: i32) -> Self {
        Self {
            received_at,
            utc_offset,
            last_resource: Arc::default(),
        }
    }

    pub(super) fn record(&mut self, sender: IpAddr, message: &[u8]) -> LogRecord {
        let end = message
            .iter()
            .rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0))
            .map_or(0, |last| last + 1);
        let message = &message[..end];
        let text = String::from_utf8_lossy(message);
        let (priority, rest) = match priority(&text) {
            Some((priority, rest)) => (Some(priority), rest),
            None => (None, text.as_ref()),
        };
        let parts = match priority {
            Some(_) => rfc5424::parse(rest)
                .unwrap_or_else(|| rfc3164::parse(rest, self.received_at, self.utc_offset)),
            None => Parts {
                text: rest,
                ..Parts::default()
            },
        };
        let mut attributes: Vec<(String, Value)> = Vec::new();
        let mut attribute = |key: &str, value: Value| attributes.push((key.to_owned(), value));
        if let Some(priority) = priority {
            let facility = FACILITIES[usize::from(priority / 8)];
            attribute("syslog.facility", Value::from(facility));
        }
        for (key, part) in [
            ("syslog.procid", parts.process),
            ("syslog.msgid", parts.message_id),
        ] {
            if let Some(text) = part {
                attribute(key, Value::from(text));
            }
        }
        attribute("network.peer.address", Value::from(sender.to_string()));
        let mut timestamp = self.received_at;
        if let Some((time, written)) = parts.time {
            // Nobody can be told that it is wrong, so it is kept beside the time that is right.
            if time > self.received_at.saturating_add(MAX_AHEAD) {
                attribute("syslog.timestamp", Value::from(written));
            } else {
                timestamp = time;
            }
        }
        if matches!(text, std::borrow::Cow::Owned(_)) {
            attribute(LOG_RECORD_ORIGINAL, Value::Bytes(message.to_vec()));
        }
        for (name, value) in parts.data {
            attributes.push((format!("syslog.sd.{name}"), value));
        }
        let severity = priority.map(|priority| priority % 8);
        LogRecord {
            timestamp,
            observed_timestamp: self.received_at,
            severity_number: severity.map_or(0, severity_of_syslog),
            severity_text: severity
                .map_or("", |severity| SEVERITIES[usize::from(severity)])
                .to_owned(),
            body: match parts.text {
                "" => Value::Empty,
                text => Value::from(text),
            },
            attributes: Attributes(attributes),
            dropped_attributes_count: 0,
            trace_id: None,
            span_id: None,
            flags: 0,
            event_name: String::new(),
            resource: self.resource(parts.host, parts.app, sender),
            scope: Arc::default(),
        }
    }

    fn resource(&mut self, host: Option<&str>, app: Option<&str>, sender: IpAddr) -> Arc<Resource> {
        let host = match host {
            Some(host) => host.to_owned(),
            None => sender.to_string(),
        };
        let mut attributes = vec![("host.name".to_owned(), Value::String(host))];
        if let Some(app) = app {
            attributes.push(("service.name".to_owned(), Value::from(app)));
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

/// Reads `<34>` off the front.
fn priority(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.strip_prefix('<')?.split_once('>')?;
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let priority = digits.parse().ok().filter(|_| is_number)?;
    (priority <= MAX_PRIORITY).then_some((priority, rest))
}
