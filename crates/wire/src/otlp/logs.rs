//! Log records.

use std::sync::Arc;

use model::{LogRecord, SpanId, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord as WireRecord;
use prost::Message;

use super::items::{Checked, Item};
use super::reader::{Fields, Irregular, once};
use super::view::{self, Entries, Entry, ValueView, narrow};
use super::{DecodeError, Decoded, value};
use crate::admission::{RejectReason, Rejected};

pub(super) fn count(request: &ExportLogsServiceRequest) -> usize {
    request
        .resource_logs
        .iter()
        .flat_map(|resource| &resource.scope_logs)
        .map(|scope| scope.log_records.len())
        .sum()
}

/// A log record's fields, borrowed from its message; the attributes are read beside it.
#[derive(Debug, Clone, Copy)]
pub struct LogView<'a> {
    time: u64,
    /// When it was first seen, Unix ns; 0 when not sent.
    pub observed_timestamp: i64,
    /// OTLP's severity number.
    pub severity_number: i32,
    /// The source's own word for the severity; empty when not sent.
    pub severity_text: &'a str,
    /// The message.
    pub body: ValueView<'a>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// The trace it belongs to.
    pub trace_id: Option<TraceId>,
    /// The span it belongs to.
    pub span_id: Option<SpanId>,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
    /// The name of the event, empty for plain records.
    pub event_name: &'a str,
}

impl<'a> LogView<'a> {
    /// Reads the message of an [`Item`] that is a log record. Its attributes replace what is in
    /// `attributes`.
    ///
    /// # Errors
    ///
    /// The message is no checked log record.
    pub fn read(message: &'a [u8], attributes: &mut Entries<'a>) -> Result<Self, DecodeError> {
        // Its depth was bounded when it was checked.
        let fields = Fields::new(message, u32::MAX);
        attributes.clear();
        Self::read_fields(fields, |entry| attributes.push(entry))
            .map_err(|Irregular| DecodeError::Protobuf("no plain log record".to_owned()))
    }

    fn read_fields(
        mut fields: Fields<'a>,
        mut attribute: impl FnMut(Entry<'a>),
    ) -> Result<Self, Irregular> {
        let mut view = Self {
            time: 0,
            observed_timestamp: 0,
            severity_number: 0,
            severity_text: "",
            body: ValueView::Empty,
            dropped_attributes_count: 0,
            trace_id: None,
            span_id: None,
            flags: 0,
            event_name: "",
        };
        let mut body = None;
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => view.time = content.fixed64()?,
                2 => view.severity_number = narrow(content)? as i32,
                3 => view.severity_text = content.text()?,
                5 => once(&mut body, view::value(fields.inside(content)?)?)?,
                6 => attribute(view::entry(fields.inside(content)?)?),
                7 => view.dropped_attributes_count = narrow(content)?,
                8 => view.flags = content.fixed32()?,
                // OTLP: a record with an invalid identifier is one without a trace.
                9 => view.trace_id = TraceId::from_bytes(content.bytes()?).ok(),
                10 => view.span_id = SpanId::from_bytes(content.bytes()?).ok(),
                11 => view.observed_timestamp = content.fixed64()? as i64,
                12 => view.event_name = content.text()?,
                _ => fields.skip()?,
            }
        }
        view.body = body.unwrap_or(ValueView::Empty);
        Ok(view)
    }

    /// The record's time; `received_at` when it has none of its own.
    fn resolve_time(&self, received_at: i64) -> Result<i64, RejectReason> {
        let time = super::nanos(self.time)?;
        let observed = super::nanos(self.observed_timestamp as u64)?;
        Ok(match (time, observed) {
            (0, 0) => received_at,
            (0, observed) => observed,
            (time, _) => time,
        })
    }
}

/// Checks records, and says when each happened.
pub(super) fn check(fields: Fields<'_>, received_at: i64) -> Checked {
    let view = LogView::read_fields(fields, |_| ())?;
    Ok(view.resolve_time(received_at))
}

impl Item {
    /// A log record in its message. Every field but the time is kept in it.
    pub fn of_log(record: &LogRecord) -> Self {
        let bytes = |id: Option<&[u8]>| id.unwrap_or_default().to_vec();
        let message = WireRecord {
            time_unix_nano: record.timestamp as u64,
            observed_time_unix_nano: record.observed_timestamp as u64,
            severity_number: record.severity_number,
            severity_text: record.severity_text.clone(),
            body: Some(value::to_value(&record.body)),
            attributes: value::to_attributes(&record.attributes),
            dropped_attributes_count: record.dropped_attributes_count,
            flags: record.flags,
            trace_id: bytes(record.trace_id.as_ref().map(|id| &id.as_bytes()[..])),
            span_id: bytes(record.span_id.as_ref().map(|id| &id.as_bytes()[..])),
            event_name: record.event_name.clone(),
        };
        Self {
            time: record.timestamp,
            resource: Arc::clone(&record.resource),
            scope: Arc::clone(&record.scope),
            message: message.encode_to_vec().into(),
        }
    }

    /// The log record on its own.
    ///
    /// # Errors
    ///
    /// It is a span.
    pub fn to_log(&self) -> Result<LogRecord, DecodeError> {
        let mut attributes = Entries::new();
        let view = LogView::read(&self.message, &mut attributes)?;
        Ok(LogRecord {
            timestamp: self.time,
            observed_timestamp: view.observed_timestamp,
            severity_number: view.severity_number,
            severity_text: view.severity_text.to_owned(),
            body: view.body.to_value(),
            attributes: view::attributes(&attributes),
            dropped_attributes_count: view.dropped_attributes_count,
            trace_id: view.trace_id,
            span_id: view.span_id,
            flags: view.flags,
            event_name: view.event_name.to_owned(),
            resource: Arc::clone(&self.resource),
            scope: Arc::clone(&self.scope),
        })
    }
}

impl<T> Decoded<T> {
    pub(crate) fn with_capacity(items: usize) -> Self {
        Self {
            items: Vec::with_capacity(items),
            rejected: Vec::new(),
        }
    }

    /// Takes the next item of the body, whose ordinal follows from how many came before.
    pub(crate) fn push(&mut self, item: Result<T, RejectReason>) {
        // Callers bound the count by `Seq::MAX_ITEMS`, far below 2^32.
        let ordinal = (self.items.len() + self.rejected.len()) as u32;
        match item {
            Ok(item) => self.items.push((ordinal, item)),
            Err(reason) => self.rejected.push(Rejected { ordinal, reason }),
        }
    }
}
