//! The columns that only spans have.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryBuilder, Int64Array, ListArray, StringBuilder,
    StructArray, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use model::{
    Attributes, Resource, Scope, Seq, Span, SpanEvent, SpanKind, SpanLink, StatusCode, Value,
};
use query::schema::{self, Table, timestamp_type};
use serde_json::Value as Json;
use wire::otlp::{Entries, EventView, Item, LinkView, SpanParts, SpanView};

use super::encode::{OwnColumns, Remainder, Row, SharedParts, non_empty};
use super::logs::{append_id, attributes_bytes, read_span_id, read_trace_id, times};
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

    fn to_item(&self) -> Item {
        Item::of_span(self)
    }

    fn attributes<'a>(item: &'a Item, attributes: &mut Entries<'a>) -> Result<(), ColumnsError> {
        read_view(item, attributes).map(|_| ())
    }

    type OwnColumns = SpanColumns;

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

/// Builds the columns that only spans have.
#[doc(hidden)]
#[derive(Debug)]
pub struct SpanColumns {
    timestamp: Vec<i64>,
    duration: Vec<i64>,
    seq: Vec<i64>,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    parent_span_id: FixedSizeBinaryBuilder,
    name: StringBuilder,
    kind: StringBuilder,
    status_code: StringBuilder,
    status_message: StringBuilder,
    trace_state: StringBuilder,
    flags: Vec<u32>,
    events: EventColumns,
    dropped_events: Vec<u32>,
    links: LinkColumns,
    dropped_links: Vec<u32>,
}

/// The elements of the list of events.
#[derive(Debug, Default)]
struct EventColumns {
    lengths: Vec<usize>,
    timestamp: Vec<i64>,
    name: StringBuilder,
    attributes: StringBuilder,
    dropped_attributes: Vec<u32>,
}

/// The elements of the list of links.
#[derive(Debug)]
struct LinkColumns {
    lengths: Vec<usize>,
    trace_id: FixedSizeBinaryBuilder,
    span_id: FixedSizeBinaryBuilder,
    trace_state: StringBuilder,
    attributes: StringBuilder,
    dropped_attributes: Vec<u32>,
    flags: Vec<u32>,
}

impl OwnColumns for SpanColumns {
    fn with_capacity(rows: usize) -> Self {
        let texts = || StringBuilder::with_capacity(rows, 0);
        Self {
            timestamp: Vec::with_capacity(rows),
            duration: Vec::with_capacity(rows),
            seq: Vec::with_capacity(rows),
            trace_id: FixedSizeBinaryBuilder::with_capacity(rows, 16),
            span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            parent_span_id: FixedSizeBinaryBuilder::with_capacity(rows, 8),
            name: texts(),
            kind: texts(),
            status_code: texts(),
            status_message: texts(),
            trace_state: texts(),
            flags: Vec::with_capacity(rows),
            events: EventColumns::default(),
            dropped_events: Vec::with_capacity(rows),
            links: LinkColumns {
                lengths: Vec::with_capacity(rows),
                trace_id: FixedSizeBinaryBuilder::new(16),
                span_id: FixedSizeBinaryBuilder::new(8),
                trace_state: StringBuilder::new(),
                attributes: StringBuilder::new(),
                dropped_attributes: Vec::new(),
                flags: Vec::new(),
            },
            dropped_links: Vec::with_capacity(rows),
        }
    }

    fn append<'a>(
        &mut self,
        seq: Seq,
        item: &'a Item,
        attributes: &mut Entries<'a>,
    ) -> Result<Remainder, ColumnsError> {
        let (view, events, links) = read_view(item, attributes)?;
        self.timestamp.push(item.time);
        self.duration.push(view.end.wrapping_sub(item.time));
        self.seq.push(seq.as_i64());
        append_id(&mut self.trace_id, Some(view.trace_id.as_bytes()));
        append_id(&mut self.span_id, Some(view.span_id.as_bytes()));
        let parent = view.parent_span_id.as_ref();
        append_id(
            &mut self.parent_span_id,
            parent.map(|id| &id.as_bytes()[..]),
        );
        self.name.append_option(non_empty(view.name));
        self.kind.append_value(view.kind.as_str());
        self.status_code.append_value(view.status_code.as_str());
        self.status_message
            .append_option(non_empty(view.status_message));
        self.trace_state.append_option(non_empty(view.trace_state));
        self.flags.push(view.flags);
        self.events.append(&events);
        self.dropped_events.push(view.dropped_events_count);
        self.links.append(&links);
        self.dropped_links.push(view.dropped_links_count);
        Ok(Remainder {
            dropped_attributes_count: view.dropped_attributes_count,
            overflow: None,
        })
    }

    fn take_sparse(&mut self) -> Option<(Field, ArrayRef)> {
        None
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            times(self.timestamp),
            Arc::new(Int64Array::from(self.duration)),
            Arc::new(Int64Array::from(self.seq)),
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.parent_span_id.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.status_code.finish()),
            Arc::new(self.status_message.finish()),
            Arc::new(self.trace_state.finish()),
            Arc::new(UInt32Array::from(self.flags)),
            self.events.finish(),
            Arc::new(UInt32Array::from(self.dropped_events)),
            self.links.finish(),
            Arc::new(UInt32Array::from(self.dropped_links)),
        ]
    }
}

impl EventColumns {
    fn append(&mut self, events: &[EventView<'_>]) {
        self.lengths.push(events.len());
        for event in events {
            self.timestamp.push(event.timestamp);
            self.name.append_option(non_empty(event.name));
            self.attributes
                .append_option(typed_attributes(&event.attributes));
            self.dropped_attributes.push(event.dropped_attributes_count);
        }
    }

    fn finish(mut self) -> ArrayRef {
        let columns: Vec<ArrayRef> = vec![
            times(self.timestamp),
            Arc::new(self.name.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(UInt32Array::from(self.dropped_attributes)),
        ];
        list_of(event_fields(), self.lengths, columns)
    }
}

impl LinkColumns {
    fn append(&mut self, links: &[LinkView<'_>]) {
        self.lengths.push(links.len());
        for link in links {
            append_id(&mut self.trace_id, Some(link.trace_id.as_bytes()));
            append_id(&mut self.span_id, Some(link.span_id.as_bytes()));
            self.trace_state.append_option(non_empty(link.trace_state));
            self.attributes
                .append_option(typed_attributes(&link.attributes));
            self.dropped_attributes.push(link.dropped_attributes_count);
            self.flags.push(link.flags);
        }
    }

    fn finish(mut self) -> ArrayRef {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.trace_id.finish()),
            Arc::new(self.span_id.finish()),
            Arc::new(self.trace_state.finish()),
            Arc::new(self.attributes.finish()),
            Arc::new(UInt32Array::from(self.dropped_attributes)),
            Arc::new(UInt32Array::from(self.flags)),
        ];
        list_of(link_fields(), self.lengths, columns)
    }
}

type Parts<'a> = (SpanView<'a>, Vec<EventView<'a>>, Vec<LinkView<'a>>);

fn read_view<'a>(item: &'a Item, attributes: &mut Entries<'a>) -> Result<Parts<'a>, ColumnsError> {
    let mut parts = SpanParts {
        attributes: std::mem::take(attributes),
        ..SpanParts::default()
    };
    let view = SpanView::read(&item.message, &mut parts)
        .map_err(|err| ColumnsError::new("a span's message", err))?;
    *attributes = parts.attributes;
    Ok((view, parts.events, parts.links))
}

/// Attributes in typed JSON; `None` for none.
fn typed_attributes(attributes: &Entries<'_>) -> Option<String> {
    let owned: Vec<(&str, Value)> = attributes
        .iter()
        .map(|(key, value)| (*key, value.to_value()))
        .collect();
    let json = || entries_to_json(owned.iter().map(|(key, value)| (*key, value)));
    (!owned.is_empty()).then(|| json().to_string())
}

fn list_of(fields: Fields, lengths: Vec<usize>, columns: Vec<ArrayRef>) -> ArrayRef {
    let elements = StructArray::new(fields.clone(), columns, None);
    let offsets = OffsetBuffer::from_lengths(lengths);
    Arc::new(ListArray::new(
        element_field(fields),
        offsets,
        Arc::new(elements),
        None,
    ))
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
