//! The columns that only log records have.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int32Array, Int64Array, StringArray,
    TimestampNanosecondArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field};
use model::{Attributes, LogRecord, Resource, Scope, Seq, SpanId, TraceId, Value};
use query::schema::{self, Table, timestamp_type};
use query::text::text_of;
use serde_json::Value as Json;

use super::encode::{Row, SharedParts, non_empty, seq_column};
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

    fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    fn dropped_attributes_count(&self) -> u32 {
        self.dropped_attributes_count
    }

    fn size_bytes(&self) -> usize {
        size_of::<(Seq, Self)>()
            + self.severity_text.len()
            + self.event_name.len()
            + value_bytes(&self.body)
            + attributes_bytes(&self.attributes)
    }

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

    fn own_columns(rows: &[&(Seq, Self)]) -> Vec<ArrayRef> {
        let records = || rows.iter().map(|(_, record)| record);
        let delay = records().map(|r| {
            let delay = r.observed_timestamp.wrapping_sub(r.timestamp);
            (r.observed_timestamp != 0).then_some(delay)
        });
        let severity_text: StringArray = records().map(|r| non_empty(&r.severity_text)).collect();
        let body: StringArray = records().map(|r| text_of(&r.body)).collect();
        let event_name: StringArray = records().map(|r| non_empty(&r.event_name)).collect();
        vec![
            times(records().map(|r| Some(r.timestamp))),
            Arc::new(Int64Array::from_iter(delay)),
            seq_column(rows),
            Arc::new(Int32Array::from_iter_values(
                records().map(|r| r.severity_number),
            )),
            Arc::new(severity_text),
            Arc::new(body),
            trace_ids(records().map(|r| r.trace_id.as_ref())),
            span_ids(records().map(|r| r.span_id.as_ref())),
            Arc::new(UInt32Array::from_iter_values(records().map(|r| r.flags))),
            Arc::new(event_name),
        ]
    }

    fn own_overflow(&self) -> Option<(&'static str, Json)> {
        match &self.body {
            Value::Empty | Value::String(_) => None,
            other => Some((BODY_MEMBER, value_to_json(other))),
        }
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

/// A timestamp column, Unix ns, UTC.
pub(super) fn times(instants: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter(instants).with_timezone("UTC"))
}

/// A fixed-size column of trace ids.
pub(super) fn trace_ids<'a>(ids: impl Iterator<Item = Option<&'a TraceId>>) -> ArrayRef {
    fixed(16, ids.map(|id| id.map(|id| id.as_bytes().as_slice())))
}

/// A fixed-size column of span ids.
pub(super) fn span_ids<'a>(ids: impl Iterator<Item = Option<&'a SpanId>>) -> ArrayRef {
    fixed(8, ids.map(|id| id.map(|id| id.as_bytes().as_slice())))
}

fn fixed<'a>(width: i32, values: impl Iterator<Item = Option<&'a [u8]>>) -> ArrayRef {
    let mut builder = FixedSizeBinaryBuilder::new(width);
    for value in values {
        match value {
            Some(bytes) => builder
                .append_value(bytes)
                .expect("identifiers have the column's width"),
            None => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
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
