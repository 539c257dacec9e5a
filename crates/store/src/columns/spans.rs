//! The columns that only spans have.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use model::{Attributes, Resource, Scope, Seq, Span, SpanEvent, SpanKind, SpanLink, StatusCode};
use query::schema::{self, Table, timestamp_type};
use serde_json::Value as Json;

use super::encode::{Row, SharedParts, non_empty, seq_column};
use super::logs::{attributes_bytes, read_span_id, read_trace_id, span_ids, times, trace_ids};
use super::read::Columns;
use super::typed_json::{entries_from_json, entries_to_json};
use super::{ColumnsError, names};

impl Row for Span {
    const TABLE: Table = Table::Spans;

    fn time(&self) -> i64 {
        self.start
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
        let events = self.events.iter().map(|event| {
            size_of::<SpanEvent>() + event.name.len() + attributes_bytes(&event.attributes)
        });
        let links = self.links.iter().map(|link| {
            size_of::<SpanLink>() + link.trace_state.len() + attributes_bytes(&link.attributes)
        });
        size_of::<(Seq, Self)>()
            + self.name.len()
            + self.trace_state.len()
            + self.status_message.len()
            + attributes_bytes(&self.attributes)
            + events.sum::<usize>()
            + links.sum::<usize>()
    }

    fn own_fields() -> Vec<Field> {
        vec![
            Field::new(schema::TIMESTAMP, timestamp_type(), false),
            // Signed and wrapping, so that every end survives, one before the start too.
            Field::new(schema::DURATION_NS, DataType::Int64, false),
            Field::new(schema::SEQ, DataType::Int64, false),
            Field::new(schema::TRACE_ID, DataType::FixedSizeBinary(16), false),
            Field::new(schema::SPAN_ID, DataType::FixedSizeBinary(8), false),
            Field::new(schema::PARENT_SPAN_ID, DataType::FixedSizeBinary(8), true),
            Field::new(schema::NAME, DataType::Utf8, true),
            Field::new(schema::KIND, DataType::Utf8, false),
            Field::new(schema::STATUS_CODE, DataType::Utf8, false),
            Field::new(schema::STATUS_MESSAGE, DataType::Utf8, true),
            Field::new(schema::TRACE_STATE, DataType::Utf8, true),
            Field::new(schema::FLAGS, DataType::UInt32, false),
            list_field(schema::EVENTS, event_fields()),
            Field::new(names::DROPPED_EVENTS, DataType::UInt32, false),
            list_field(schema::LINKS, link_fields()),
            Field::new(names::DROPPED_LINKS, DataType::UInt32, false),
        ]
    }

    fn own_columns(rows: &[&(Seq, Self)]) -> Vec<ArrayRef> {
        let spans = || rows.iter().map(|(_, span)| span);
        let optional = |text: fn(&Span) -> &str| -> ArrayRef {
            let texts: StringArray = spans().map(|span| non_empty(text(span))).collect();
            Arc::new(texts)
        };
        let word = |text: fn(&Span) -> &'static str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(spans().map(text)))
        };
        let number = |value: fn(&Span) -> u32| -> ArrayRef {
            Arc::new(UInt32Array::from_iter_values(spans().map(value)))
        };
        vec![
            times(spans().map(|s| Some(s.start))),
            Arc::new(Int64Array::from_iter_values(
                spans().map(|s| s.end.wrapping_sub(s.start)),
            )),
            seq_column(rows),
            trace_ids(spans().map(|s| Some(&s.trace_id))),
            span_ids(spans().map(|s| Some(&s.span_id))),
            span_ids(spans().map(|s| s.parent_span_id.as_ref())),
            optional(|s| &s.name),
            word(|s| s.kind.as_str()),
            word(|s| s.status_code.as_str()),
            optional(|s| &s.status_message),
            optional(|s| &s.trace_state),
            number(|s| s.flags),
            events_column(rows),
            number(|s| s.dropped_events_count),
            links_column(rows),
            number(|s| s.dropped_links_count),
        ]
    }

    fn own_overflow(&self) -> Option<(&'static str, Json)> {
        None
    }

    fn read(columns: &Columns<'_>, row: usize, shared: SharedParts) -> Result<Self, ColumnsError> {
        let missing = |name: &str| ColumnsError::new(name, "is null");
        let start = columns.time(schema::TIMESTAMP, row)?;
        Ok(Self {
            trace_id: read_trace_id(columns, schema::TRACE_ID, row)?
                .ok_or_else(|| missing(schema::TRACE_ID))?,
            span_id: read_span_id(columns, schema::SPAN_ID, row)?
                .ok_or_else(|| missing(schema::SPAN_ID))?,
            parent_span_id: read_span_id(columns, schema::PARENT_SPAN_ID, row)?,
            trace_state: columns.string(schema::TRACE_STATE, row)?,
            flags: columns.u32(schema::FLAGS, row)?,
            name: columns.string(schema::NAME, row)?,
            kind: read_kind(columns, row)?,
            start,
            end: start.wrapping_add(columns.i64(schema::DURATION_NS, row)?),
            attributes: shared.attributes,
            dropped_attributes_count: shared.dropped_attributes_count,
            events: read_events(columns.list(schema::EVENTS)?, row)?,
            dropped_events_count: columns.u32(names::DROPPED_EVENTS, row)?,
            links: read_links(columns.list(schema::LINKS)?, row)?,
            dropped_links_count: columns.u32(names::DROPPED_LINKS, row)?,
            status_code: read_status(columns, row)?,
            status_message: columns.string(schema::STATUS_MESSAGE, row)?,
            resource: shared.resource,
            scope: shared.scope,
        })
    }
}

fn read_kind(columns: &Columns<'_>, row: usize) -> Result<SpanKind, ColumnsError> {
    let word = columns.string(schema::KIND, row)?;
    (0..=5)
        .map(SpanKind::from_number)
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| ColumnsError::new(schema::KIND, format!("unknown kind {word:?}")))
}

fn read_status(columns: &Columns<'_>, row: usize) -> Result<StatusCode, ColumnsError> {
    let word = columns.string(schema::STATUS_CODE, row)?;
    (0..=2)
        .map(StatusCode::from_number)
        .find(|status| status.as_str() == word)
        .ok_or_else(|| ColumnsError::new(schema::STATUS_CODE, format!("unknown status {word:?}")))
}

/// Parquet's own word for a list's element.
const ELEMENT: &str = "element";

fn element_field(fields: Fields) -> FieldRef {
    Arc::new(Field::new(ELEMENT, DataType::Struct(fields), false))
}

fn list_field(name: &str, fields: Fields) -> Field {
    Field::new(name, DataType::List(element_field(fields)), false)
}

fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new(schema::TIMESTAMP, timestamp_type(), false),
        Field::new(schema::NAME, DataType::Utf8, true),
        Field::new(schema::ATTRIBUTES, DataType::Utf8, true),
        Field::new(names::DROPPED_ATTRIBUTES, DataType::UInt32, false),
    ])
}

fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new(schema::TRACE_ID, DataType::FixedSizeBinary(16), false),
        Field::new(schema::SPAN_ID, DataType::FixedSizeBinary(8), false),
        Field::new(schema::TRACE_STATE, DataType::Utf8, true),
        Field::new(schema::ATTRIBUTES, DataType::Utf8, true),
        Field::new(names::DROPPED_ATTRIBUTES, DataType::UInt32, false),
        Field::new(schema::FLAGS, DataType::UInt32, false),
    ])
}

/// Attributes in typed JSON; null for none.
fn typed_attributes<'a>(all: impl Iterator<Item = &'a Attributes>) -> ArrayRef {
    let texts: StringArray = all
        .map(|attributes| {
            (!attributes.is_empty()).then(|| entries_to_json(attributes.iter()).to_string())
        })
        .collect();
    Arc::new(texts)
}

fn list_of(
    fields: Fields,
    lengths: impl Iterator<Item = usize>,
    columns: Vec<ArrayRef>,
) -> ArrayRef {
    let elements = StructArray::new(fields.clone(), columns, None);
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(
        element_field(fields),
        offsets,
        Arc::new(elements),
        None,
    ))
}

fn events_column(rows: &[&(Seq, Span)]) -> ArrayRef {
    let events = || rows.iter().flat_map(|(_, span)| &span.events);
    let event_names: StringArray = events().map(|event| non_empty(&event.name)).collect();
    let columns: Vec<ArrayRef> = vec![
        times(events().map(|event| Some(event.timestamp))),
        Arc::new(event_names),
        typed_attributes(events().map(|event| &event.attributes)),
        Arc::new(UInt32Array::from_iter_values(
            events().map(|event| event.dropped_attributes_count),
        )),
    ];
    let lengths = rows.iter().map(|(_, span)| span.events.len());
    list_of(event_fields(), lengths, columns)
}

fn links_column(rows: &[&(Seq, Span)]) -> ArrayRef {
    let links = || rows.iter().flat_map(|(_, span)| &span.links);
    let trace_states: StringArray = links().map(|link| non_empty(&link.trace_state)).collect();
    let columns: Vec<ArrayRef> = vec![
        trace_ids(links().map(|link| Some(&link.trace_id))),
        span_ids(links().map(|link| Some(&link.span_id))),
        Arc::new(trace_states),
        typed_attributes(links().map(|link| &link.attributes)),
        Arc::new(UInt32Array::from_iter_values(
            links().map(|link| link.dropped_attributes_count),
        )),
        Arc::new(UInt32Array::from_iter_values(
            links().map(|link| link.flags),
        )),
    ];
    let lengths = rows.iter().map(|(_, span)| span.links.len());
    list_of(link_fields(), lengths, columns)
}

fn elements_at(list: &ListArray, row: usize, name: &str) -> Result<ArrayRef, ColumnsError> {
    let elements = list.value(row);
    if elements.as_struct_opt().is_none() {
        return Err(ColumnsError::new(name, "expected a list of structs"));
    }
    Ok(elements)
}

fn read_events(list: &ListArray, row: usize) -> Result<Vec<SpanEvent>, ColumnsError> {
    let elements = elements_at(list, row, schema::EVENTS)?;
    let columns = Columns::of_struct(elements.as_struct());
    (0..elements.len())
        .map(|index| {
            Ok(SpanEvent {
                timestamp: columns.time(schema::TIMESTAMP, index)?,
                name: columns.string(schema::NAME, index)?,
                attributes: read_typed(&columns, index)?,
                dropped_attributes_count: columns.u32(names::DROPPED_ATTRIBUTES, index)?,
            })
        })
        .collect()
}

fn read_links(list: &ListArray, row: usize) -> Result<Vec<SpanLink>, ColumnsError> {
    let elements = elements_at(list, row, schema::LINKS)?;
    let columns = Columns::of_struct(elements.as_struct());
    let missing = |name: &str| ColumnsError::new(name, "is null in a link");
    (0..elements.len())
        .map(|index| {
            Ok(SpanLink {
                trace_id: read_trace_id(&columns, schema::TRACE_ID, index)?
                    .ok_or_else(|| missing(schema::TRACE_ID))?,
                span_id: read_span_id(&columns, schema::SPAN_ID, index)?
                    .ok_or_else(|| missing(schema::SPAN_ID))?,
                trace_state: columns.string(schema::TRACE_STATE, index)?,
                attributes: read_typed(&columns, index)?,
                dropped_attributes_count: columns.u32(names::DROPPED_ATTRIBUTES, index)?,
                flags: columns.u32(schema::FLAGS, index)?,
            })
        })
        .collect()
}

fn read_typed(columns: &Columns<'_>, row: usize) -> Result<Attributes, ColumnsError> {
    let Some(text) = columns.text(schema::ATTRIBUTES, row)? else {
        return Ok(Attributes::default());
    };
    let json: Json =
        serde_json::from_str(text).map_err(|err| ColumnsError::new(schema::ATTRIBUTES, err))?;
    let entries =
        entries_from_json(&json).map_err(|err| ColumnsError::new(schema::ATTRIBUTES, err))?;
    Ok(Attributes(entries))
}
