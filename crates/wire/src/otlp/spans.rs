//! Spans, in both directions: traces are also answered in OTLP's form.

use std::sync::Arc;

use model::{Resource, Scope, Span, SpanEvent, SpanId, SpanKind, SpanLink, StatusCode, TraceId};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as WireSpan, Status, TracesData, span,
};

use super::{Decoded, value};
use crate::admission::RejectReason;

pub(super) fn count(request: &ExportTraceServiceRequest) -> usize {
    request
        .resource_spans
        .iter()
        .flat_map(|resource| &resource.scope_spans)
        .map(|scope| scope.spans.len())
        .sum()
}

pub(super) fn decode(request: ExportTraceServiceRequest, received_at: i64) -> Decoded<Span> {
    let mut decoded = Decoded::with_capacity(count(&request));
    for by_resource in request.resource_spans {
        let resource = Arc::new(value::resource(
            by_resource.resource,
            by_resource.schema_url,
        ));
        for by_scope in by_resource.scope_spans {
            let scope = Arc::new(value::scope(by_scope.scope, by_scope.schema_url));
            for wire in by_scope.spans {
                decoded.push(one_span(wire, &resource, &scope, received_at));
            }
        }
    }
    decoded
}

fn one_span(
    wire: WireSpan,
    resource: &Arc<Resource>,
    scope: &Arc<Scope>,
    received_at: i64,
) -> Result<Span, RejectReason> {
    let trace_id = TraceId::from_bytes(&wire.trace_id).map_err(|_| RejectReason::InvalidTraceId)?;
    let span_id = SpanId::from_bytes(&wire.span_id).map_err(|_| RejectReason::InvalidSpanId)?;
    let start = match super::nanos(wire.start_time_unix_nano)? {
        0 => received_at,
        start => start,
    };
    let events = wire
        .events
        .into_iter()
        .map(event)
        .collect::<Result<Vec<_>, _>>()?;
    let sent_links = wire.links.len();
    let links: Vec<SpanLink> = wire.links.into_iter().filter_map(link).collect();
    // A link to nowhere cannot be kept; it is counted with those that the sender dropped.
    let lost_links = (sent_links - links.len()) as u32;
    let status = wire.status.unwrap_or_default();
    Ok(Span {
        trace_id,
        span_id,
        parent_span_id: SpanId::from_bytes(&wire.parent_span_id).ok(),
        trace_state: wire.trace_state,
        flags: wire.flags,
        name: wire.name,
        kind: SpanKind::from_number(wire.kind),
        start,
        end: super::nanos(wire.end_time_unix_nano)?,
        attributes: value::attributes(wire.attributes),
        dropped_attributes_count: wire.dropped_attributes_count,
        events,
        dropped_events_count: wire.dropped_events_count,
        links,
        dropped_links_count: wire.dropped_links_count.saturating_add(lost_links),
        status_code: StatusCode::from_number(status.code),
        status_message: status.message,
        resource: Arc::clone(resource),
        scope: Arc::clone(scope),
    })
}

fn event(wire: span::Event) -> Result<SpanEvent, RejectReason> {
    Ok(SpanEvent {
        timestamp: super::nanos(wire.time_unix_nano)?,
        name: wire.name,
        attributes: value::attributes(wire.attributes),
        dropped_attributes_count: wire.dropped_attributes_count,
    })
}

fn link(wire: span::Link) -> Option<SpanLink> {
    Some(SpanLink {
        trace_id: TraceId::from_bytes(&wire.trace_id).ok()?,
        span_id: SpanId::from_bytes(&wire.span_id).ok()?,
        trace_state: wire.trace_state,
        attributes: value::attributes(wire.attributes),
        dropped_attributes_count: wire.dropped_attributes_count,
        flags: wire.flags,
    })
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
                by_scope.spans.push(to_span(span));
            }
        }
        previous = Some(span);
    }
    TracesData { resource_spans }
}

fn to_span(span: &Span) -> WireSpan {
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
        start_time_unix_nano: super::unsigned_nanos(span.start),
        end_time_unix_nano: super::unsigned_nanos(span.end),
        attributes: value::to_attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes_count,
        events: span.events.iter().map(to_event).collect(),
        dropped_events_count: span.dropped_events_count,
        links: span.links.iter().map(to_link).collect(),
        dropped_links_count: span.dropped_links_count,
        status: Some(Status {
            message: span.status_message.clone(),
            code: span.status_code.number(),
        }),
    }
}

fn to_event(event: &SpanEvent) -> span::Event {
    span::Event {
        time_unix_nano: super::unsigned_nanos(event.timestamp),
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
