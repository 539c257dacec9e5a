//! Spans, in both directions: traces are also answered in OTLP's form.

use std::sync::Arc;

use model::{Span, SpanEvent, SpanId, SpanKind, SpanLink, StatusCode, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as WireSpan, Status, TracesData, span,
};

use prost::Message;

use super::items::{Checked, Item};
use super::reader::{Fields, Irregular, once};
use super::view::{self, Entries, narrow};
use super::{DecodeError, value};
use crate::admission::RejectReason;

pub(super) fn count(request: &ExportTraceServiceRequest) -> usize {
    request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .map(|scope| scope.spans.len())
        .sum()
}

/// A span's fields, borrowed from its message; attributes, events and links are read beside it.
#[derive(Debug, Clone, Copy)]
pub struct SpanView<'a> {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own identifier.
    pub span_id: SpanId,
    /// The span that caused it.
    pub parent_span_id: Option<SpanId>,
    /// W3C trace state, empty when not sent.
    pub trace_state: &'a str,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
    /// The operation's name.
    pub name: &'a str,
    /// Its role.
    pub kind: SpanKind,
    start: i64,
    /// End, Unix ns.
    pub end: i64,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// How many events the sender dropped.
    pub dropped_events_count: u32,
    /// How many links the sender dropped, those to nowhere included.
    pub dropped_links_count: u32,
    /// How it ended.
    pub status_code: StatusCode,
    /// The developer's words for it.
    pub status_message: &'a str,
}

/// What a span has many of, in the order it was sent. To be used for one span after the other.
#[derive(Debug, Default)]
pub struct SpanParts<'a> {
    /// The span's attributes.
    pub attributes: Entries<'a>,
    /// Its events.
    pub events: Vec<EventView<'a>>,
    /// Its links.
    pub links: Vec<LinkView<'a>>,
}

/// A [`SpanEvent`], borrowed.
#[derive(Debug)]
pub struct EventView<'a> {
    /// When, Unix ns.
    pub timestamp: i64,
    /// The event's name.
    pub name: &'a str,
    /// The event's attributes.
    pub attributes: Entries<'a>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A [`SpanLink`], borrowed.
#[derive(Debug)]
pub struct LinkView<'a> {
    /// The linked trace.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// W3C trace state, empty when not sent.
    pub trace_state: &'a str,
    /// The link's attributes.
    pub attributes: Entries<'a>,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
}

impl<'a> SpanView<'a> {
    /// Reads the message of an [`Item`] that is a span. What it has many of replaces what is in
    /// `parts`.
    ///
    /// # Errors
    ///
    /// The message is no checked span.
    pub fn read(message: &'a [u8], parts: &mut SpanParts<'a>) -> Result<Self, DecodeError> {
        // Its depth was bounded when it was checked.
        match Self::read_fields(Fields::new(message, u32::MAX), parts) {
            Ok(Ok(view)) => Ok(view),
            Ok(Err(reason)) => Err(DecodeError::Protobuf(reason.to_string())),
            Err(Irregular) => Err(DecodeError::Protobuf("no plain span".to_owned())),
        }
    }

    fn read_fields(
        mut fields: Fields<'a>,
        parts: &mut SpanParts<'a>,
    ) -> Result<Result<Self, RejectReason>, Irregular> {
        parts.attributes.clear();
        parts.events.clear();
        parts.links.clear();
        let no_id: &[u8] = &[];
        let (mut trace_id, mut span_id, mut parent_span_id) = (no_id, no_id, no_id);
        let (mut start, mut end, mut status) = (0, 0, None);
        let (mut trace_state, mut flags, mut name, mut kind) = ("", 0, "", 0);
        let (mut dropped_attributes_count, mut dropped_events_count) = (0, 0);
        let (mut dropped_links_count, mut lost_links) = (0_u32, 0);
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => trace_id = content.bytes()?,
                2 => span_id = content.bytes()?,
                3 => trace_state = content.text()?,
                4 => parent_span_id = content.bytes()?,
                5 => name = content.text()?,
                6 => kind = narrow(content)? as i32,
                7 => start = content.fixed64()?,
                8 => end = content.fixed64()?,
                9 => parts.attributes.push(view::entry(fields.inside(content)?)?),
                10 => dropped_attributes_count = narrow(content)?,
                11 => parts.events.push(EventView::read(fields.inside(content)?)?),
                12 => dropped_events_count = narrow(content)?,
                // A link to nowhere cannot be kept; it is counted with those that the sender
                // dropped.
                13 => match LinkView::read(fields.inside(content)?)? {
                    Some(link) => parts.links.push(link),
                    None => lost_links += 1,
                },
                14 => dropped_links_count = narrow(content)?,
                15 => once(&mut status, read_status(fields.inside(content)?)?)?,
                16 => flags = content.fixed32()?,
                _ => fields.skip()?,
            }
        }
        let (status_message, status_code) = status.unwrap_or_default();
        let Ok(trace_id) = TraceId::from_bytes(trace_id) else {
            return Ok(Err(RejectReason::InvalidTraceId));
        };
        let Ok(span_id) = SpanId::from_bytes(span_id) else {
            return Ok(Err(RejectReason::InvalidSpanId));
        };
        Ok(Ok(Self {
            trace_id,
            span_id,
            parent_span_id: SpanId::from_bytes(parent_span_id).ok(),
            trace_state,
            flags,
            name,
            kind: SpanKind::from_number(kind),
            start: start as i64,
            end: end as i64,
            dropped_attributes_count,
            dropped_events_count,
            dropped_links_count: dropped_links_count.saturating_add(lost_links),
            status_code: StatusCode::from_number(status_code),
            status_message,
        }))
    }
}

impl<'a> EventView<'a> {
    fn read(mut fields: Fields<'a>) -> Result<Self, Irregular> {
        let mut event = Self {
            timestamp: 0,
            name: "",
            attributes: Entries::new(),
            dropped_attributes_count: 0,
        };
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => event.timestamp = content.fixed64()? as i64,
                2 => event.name = content.text()?,
                3 => event.attributes.push(view::entry(fields.inside(content)?)?),
                4 => event.dropped_attributes_count = narrow(content)?,
                _ => fields.skip()?,
            }
        }
        Ok(event)
    }
}

impl<'a> LinkView<'a> {
    /// `None` when it leads nowhere.
    fn read(mut fields: Fields<'a>) -> Result<Option<Self>, Irregular> {
        let no_id: &[u8] = &[];
        let (mut trace_id, mut span_id) = (no_id, no_id);
        let (mut trace_state, mut dropped_attributes_count, mut flags) = ("", 0, 0);
        let mut attributes = Entries::new();
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => trace_id = content.bytes()?,
                2 => span_id = content.bytes()?,
                3 => trace_state = content.text()?,
                4 => attributes.push(view::entry(fields.inside(content)?)?),
                5 => dropped_attributes_count = narrow(content)?,
                6 => flags = content.fixed32()?,
                _ => fields.skip()?,
            }
        }
        let ids = TraceId::from_bytes(trace_id)
            .ok()
            .zip(SpanId::from_bytes(span_id).ok());
        Ok(ids.map(|(trace_id, span_id)| Self {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        }))
    }
}

fn read_status(mut fields: Fields<'_>) -> Result<(&str, i32), Irregular> {
    let (mut message, mut code) = ("", 0);
    while let Some((number, content)) = fields.next()? {
        match number {
            2 => message = content.text()?,
            3 => code = narrow(content)? as i32,
            _ => fields.skip()?,
        }
    }
    Ok((message, code))
}

/// Checks a span, and says when it starts.
pub(super) fn check(fields: Fields<'_>, received_at: i64) -> Checked {
    let mut parts = SpanParts::default();
    let view = match SpanView::read_fields(fields, &mut parts)? {
        Ok(view) => view,
        Err(reason) => return Ok(Err(reason)),
    };
    let times = [view.start, view.end];
    let events = parts.events.iter().map(|event| event.timestamp);
    // Past 2262 the sign is set.
    if times.into_iter().chain(events).any(|time| time < 0) {
        return Ok(Err(RejectReason::TimeOutOfRange));
    }
    Ok(Ok(match view.start {
        0 => received_at,
        start => start,
    }))
}

impl Item {
    /// A span in its message. Every field but the start is kept in it.
    pub fn of_span(span: &Span) -> Self {
        Self {
            time: span.start,
            resource: Arc::clone(&span.resource),
            scope: Arc::clone(&span.scope),
            message: to_span(span, |time| time as u64).encode_to_vec().into(),
        }
    }

    /// The span on its own.
    ///
    /// # Errors
    ///
    /// It is a log record.
    pub fn to_span(&self) -> Result<Span, DecodeError> {
        let mut parts = SpanParts::default();
        let view = SpanView::read(&self.message, &mut parts)?;
        Ok(Span {
            trace_id: view.trace_id,
            span_id: view.span_id,
            parent_span_id: view.parent_span_id,
            trace_state: view.trace_state.to_owned(),
            flags: view.flags,
            name: view.name.to_owned(),
            kind: view.kind,
            start: self.time,
            end: view.end,
            attributes: view::attributes(&parts.attributes),
            dropped_attributes_count: view.dropped_attributes_count,
            events: parts.events.iter().map(EventView::to_event).collect(),
            dropped_events_count: view.dropped_events_count,
            links: parts.links.iter().map(LinkView::to_link).collect(),
            dropped_links_count: view.dropped_links_count,
            status_code: view.status_code,
            status_message: view.status_message.to_owned(),
            resource: Arc::clone(&self.resource),
            scope: Arc::clone(&self.scope),
        })
    }
}

impl EventView<'_> {
    fn to_event(&self) -> SpanEvent {
        SpanEvent {
            timestamp: self.timestamp,
            name: self.name.to_owned(),
            attributes: view::attributes(&self.attributes),
            dropped_attributes_count: self.dropped_attributes_count,
        }
    }
}

impl LinkView<'_> {
    fn to_link(&self) -> SpanLink {
        SpanLink {
            trace_id: self.trace_id,
            span_id: self.span_id,
            trace_state: self.trace_state.to_owned(),
            attributes: view::attributes(&self.attributes),
            dropped_attributes_count: self.dropped_attributes_count,
            flags: self.flags,
        }
    }
}

/// OTLP's form of `spans`: consecutive spans of one resource and scope share their envelope.
///
/// Every message is present even when empty, since Grafana's Tempo plugin reads them unchecked.
pub(super) fn encode(spans: &[Span]) -> TracesData {
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    let mut previous: Option<&Span> = None;
    for span in spans {
        let same_resource = previous.is_some_and(|last| last.resource == span.resource);
        let same_scope = same_resource && previous.is_some_and(|last| last.scope == span.scope);
        if !same_resource {
            resource_spans.push(ResourceSpans {
                resource: Some(value::to_resource(&span.resource)),
                scope_spans: Vec::new(),
                schema_url: span.resource.schema_url.clone(),
            });
        }
        if let Some(by_resource) = resource_spans.last_mut() {
            if !same_scope {
                by_resource.scope_spans.push(ScopeSpans {
                    scope: Some(value::to_scope(&span.scope)),
                    spans: Vec::new(),
                    schema_url: span.scope.schema_url.clone(),
                });
            }
            if let Some(by_scope) = by_resource.scope_spans.last_mut() {
                by_scope.spans.push(to_span(span, super::unsigned_nanos));
            }
        }
        previous = Some(span);
    }
    TracesData { resource_spans }
}

/// `nanos` writes a time.
fn to_span(span: &Span, nanos: fn(i64) -> u64) -> WireSpan {
    WireSpan {
        trace_id: span.trace_id.as_bytes().to_vec(),
        span_id: span.span_id.as_bytes().to_vec(),
        trace_state: span.trace_state.clone(),
        parent_span_id: span
            .parent_span_id
            .map(|id| id.as_bytes().to_vec())
            .unwrap_or_default(),
        flags: span.flags,
        name: span.name.clone(),
        kind: span.kind.number(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.end),
        attributes: value::to_attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span
            .events
            .iter()
            .map(|event| to_event(event, nanos))
            .collect(),
        dropped_events_count: span.dropped_events_count,
        links: span.links.iter().map(to_link).collect(),
        dropped_links_count: span.dropped_links_count,
        status: Some(Status {
            message: span.status_message.clone(),
            code: span.status_code.number(),
        }),
    }
}

fn to_event(event: &SpanEvent, nanos: fn(i64) -> u64) -> span::Event {
    span::Event {
        time_unix_nano: nanos(event.timestamp),
        name: event.name.clone(),
        attributes: value::to_attributes(&event.attributes),
        dropped_attributes_count: event.dropped_attributes_count,
    }
}

fn to_link(link: &SpanLink) -> span::Link {
    span::Link {
        trace_id: link.trace_id.as_bytes().to_vec(),
        span_id: link.span_id.as_bytes().to_vec(),
        trace_state: link.trace_state.clone(),
        attributes: value::to_attributes(&link.attributes),
        dropped_attributes_count: link.dropped_attributes_count,
        flags: link.flags,
    }
}
