//! The columns that only log records have.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder as _, ArrayRef, FixedSizeBinaryBuilder, Int32Array, Int32Builder, Int64Array,
    Int64Builder, StringBuilder, TimestampNanosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field};
use model::level::stated_severity;
use model::{Attributes, LogRecord, Resource, Scope, Seq, SpanId, TraceId, Value};
use query::schema::{self, Table, timestamp_type};
use query::text::text_of;
use wire::otlp::{Entries, Item, LogView, ValueView};

use super::encode::{OwnColumns, Remainder, Row, SharedParts, non_empty};
use super::read::Columns;
use super::typed_json::{value_from_json, value_to_json};
use super::{ColumnsError, names};

const BODY_MEMBER: &str = "body";

impl Row for LogRecord {
    const TABLE: Table = Table::Logs;

    fn time(&self) -> i64 {
        self.timestamp
    }

    fn resource(&self) -> &Arc<Resource> {
        &self.resource
    }

    fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    fn size_bytes(&self) -> usize {
        size_of::<(Seq, Self)>()
            + self.severity_text.len()
            + self.event_name.len()
            + value_bytes(&self.body)
            + attributes_bytes(&self.attributes)
    }

    fn to_item(&self) -> Item {
        Item::of_log(self)
    }

    fn attributes<'a>(item: &'a Item, attributes: &mut Entries<'a>) -> Result<(), ColumnsError> {
        read_view(item, attributes).map(|_| ())
    }

    type OwnColumns = LogColumns;

    fn own_fields() -> Vec<Field> {
        vec![
            Field::new(schema::TIMESTAMP, timestamp_type(), false),
            Field::new(names::OBSERVED_DELAY, DataType::Int64, true),
            Field::new(schema::SEQ, DataType::Int64, false),
            Field::new(schema::SEVERITY_NUMBER, DataType::Int32, false),
            Field::new(schema::SEVERITY_TEXT, DataType::Utf8, true),
            Field::new(schema::BODY, DataType::Utf8, true),
            Field::new(schema::TRACE_ID, DataType::FixedSizeBinary(16), true),
            Field::new(schema::SPAN_ID, DataType::FixedSizeBinary(8), true),
            Field::new(schema::FLAGS, DataType::UInt32, false),
            Field::new(schema::EVENT_NAME, DataType::Utf8, true),
        ]
    }

    fn read(columns: &Columns<'_>, row: usize, shared: SharedParts) -> Result<Self, ColumnsError> {
        let body = match (
            shared.others.get(BODY_MEMBER),
            columns.text(schema::BODY, row)?,
        ) {
            (Some(json), _) => {
                value_from_json(json).map_err(|err| ColumnsError::new(schema::BODY, err))?
            }
            (None, Some(text)) => Value::String(text.to_owned()),
            (None, None) => Value::Empty,
        };
        let timestamp = columns.time(schema::TIMESTAMP, row)?;
        let delay = columns.optional_i64(names::OBSERVED_DELAY, row)?;
        Ok(Self {
            timestamp,
            observed_timestamp: delay.map_or(0, |delay| timestamp.wrapping_add(delay)),
            severity_number: columns.i32(schema::SEVERITY_NUMBER, row)?,
            severity_text: columns.string(schema::SEVERITY_TEXT, row)?,
            body,
            attributes: shared.attributes,
            dropped_attributes_count: shared.dropped_attributes_count,
            trace_id: read_trace_id(columns, schema::TRACE_ID, row)?,
            span_id: read_span_id(columns, schema::SPAN_ID, row)?,
            flags: columns.u32(schema::FLAGS, row)?,
            event_name: columns.string(schema::EVENT_NAME, row)?,
            resource: shared.resource,
            scope: shared.scope,
        })
    }
}

/// Builds the columns that only log records have.
#[doc(hidden)]
#[derive(Debug)]
pub struct LogColumns {
    timestamp: Vec<i64>,
    observed_delay: Int64Builder,
    seq: Vec<i64>,
    severity_number: Vec<i32>,
    /// As long as the last row that has a value.
    severity_in_text: Int32Builder,
    severity_text: StringBuilder,
    body: StringBuilder,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    flags: Vec<u32>,
    event_name: StringBuilder,
}

/// Bytes of a log's body, for the size of the first allocation.
const USUAL_BODY_BYTES: usize = 96;

impl OwnColumns for LogColumns {
    fn with_capacity(rows: usize) -> Self {
        Self {
            timestamp: Vec::with_capacity(rows),
            observed_delay: Int64Builder::with_capacity(rows),
            seq: Vec::with_capacity(rows),
            severity_number: Vec::with_capacity(rows),
            severity_in_text: Int32Builder::with_capacity(0),
            severity_text: StringBuilder::with_capacity(rows, 0),
            body: StringBuilder::with_capacity(rows, rows * USUAL_BODY_BYTES),
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            flags: Vec::with_capacity(rows),
            event_name: StringBuilder::with_capacity(rows, 0),
        }
    }

    fn append<'a>(
        &mut self,
        seq: Seq,
        item: &'a Item,
        attributes: &mut Entries<'a>,
    ) -> Result<Remainder, ColumnsError> {
        let view = read_view(item, attributes)?;
        let observed = view.observed_timestamp;
        let delay = (observed != 0).then(|| observed.wrapping_sub(item.time));
        self.timestamp.push(item.time);
        self.observed_delay.append_option(delay);
        self.seq.push(seq.as_i64());
        self.severity_number.push(view.severity_number);
        self.severity_text
            .append_option(non_empty(view.severity_text));
        append_id(
            &mut self.trace_id,
            view.trace_id.as_ref().map(|id| &id.as_bytes()[..]),
        );
        append_id(
            &mut self.span_id,
            view.span_id.as_ref().map(|id| &id.as_bytes()[..]),
        );
        self.flags.push(view.flags);
        self.event_name.append_option(non_empty(view.event_name));
        let sent = (view.severity_number, view.severity_text);
        let mut overflow = None;
        match view.body {
            ValueView::String(text) => {
                self.body.append_value(text);
                self.state_severity(sent, text);
            }
            ValueView::Empty => {
                self.body.append_null();
                self.state_severity(sent, "");
            }
            other => {
                let value = other.to_value();
                let text = text_of(&value);
                self.body.append_option(text.as_deref());
                self.state_severity(sent, text.as_deref().unwrap_or_default());
                overflow = Some((BODY_MEMBER, value_to_json(&value)));
            }
        }
        Ok(Remainder {
            dropped_attributes_count: view.dropped_attributes_count,
            overflow,
        })
    }

    fn take_sparse(&mut self) -> Option<(Field, ArrayRef)> {
        if self.severity_in_text.is_empty() {
            return None;
        }
        let missing = self.seq.len() - self.severity_in_text.len();
        self.severity_in_text.append_nulls(missing);
        let field = Field::new(names::SEVERITY_IN_TEXT, DataType::Int32, true);
        Some((field, Arc::new(self.severity_in_text.finish())))
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            times(self.timestamp),
            Arc::new(self.observed_delay.finish()),
            Arc::new(Int64Array::from(self.seq)),
            Arc::new(Int32Array::from(self.severity_number)),
            Arc::new(self.severity_text.finish()),
            Arc::new(self.body.finish()),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(UInt32Array::from(self.flags)),
            Arc::new(self.event_name.finish()),
        ]
    }
}

impl LogColumns {
    /// Notes what the texts of the last row state of its severity, when it was sent without a number.
    fn state_severity(&mut self, (number, severity_text): (i32, &str), body: &str) {
        if number != 0 {
            return;
        }
        if let Some(severity) = stated_severity(severity_text, body) {
            let before = self.seq.len() - 1 - self.severity_in_text.len();
            self.severity_in_text.append_nulls(before);
            self.severity_in_text.append_value(severity);
        }
    }
}

fn read_view<'a>(
    item: &'a Item,
    attributes: &mut Entries<'a>,
) -> Result<LogView<'a>, ColumnsError> {
    LogView::read(&item.message, attributes)
        .map_err(|err| ColumnsError::new("a log record's message", err))
}

/// A timestamp column, Unix ns, UTC.
pub(super) fn times(instants: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(instants).with_timezone("UTC"))
}

/// Appends an identifier to a column of its width, or null.
pub(super) fn append_id(column: &mut FixedSizeBinaryBuilder, id: Option<&[u8]>) {
    match id {
        Some(bytes) => column
            .append_value(bytes)
            .expect("identifiers have the column's width"),
        None => column.append_null(),
    }
}

pub(super) fn read_trace_id(
    columns: &Columns<'_>,
    name: &str,
    row: usize,
) -> Result<Option<TraceId>, ColumnsError> {
    columns
        .fixed(name, row)?
        .map(TraceId::from_bytes)
        .transpose()
        .map_err(|err| ColumnsError::new(name, err))
}

pub(super) fn read_span_id(
    columns: &Columns<'_>,
    name: &str,
    row: usize,
) -> Result<Option<SpanId>, ColumnsError> {
    columns
        .fixed(name, row)?
        .map(SpanId::from_bytes)
        .transpose()
        .map_err(|err| ColumnsError::new(name, err))
}

/// About how much memory a value's content takes.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) => items
            .iter()
            .map(|item| size_of::<Value>() + value_bytes(item))
            .sum(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| size_of::<(String, Value)>() + key.len() + value_bytes(value))
            .sum(),
        Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
    }
}

/// About how much memory attributes take.
pub(super) fn attributes_bytes(attributes: &Attributes) -> usize {
    attributes
        .iter()
        .map(|(key, value)| size_of::<(String, Value)>() + key.len() + value_bytes(value))
        .sum()
}
