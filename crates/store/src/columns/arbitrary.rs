//! Arbitrary values, records and spans for property tests.

use std::sync::Arc;

use model::{
    Attributes, LogRecord, Resource, Scope, Seq, Span, SpanEvent, SpanId, SpanKind, SpanLink,
    StatusCode, TraceId, Value,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Empty),
        "\\PC{0,12}".prop_map(Value::String),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
        vec(any::<u8>(), 0..8).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec(("[a-c]{0,2}", inner), 0..4).prop_map(Value::Map),
        ]
    })
}

/// Few keys, so that types clash and keys repeat.
pub(crate) fn attributes() -> impl Strategy<Value = Attributes> {
    let key = prop_oneof![
        8 => "[a-e]",
        1 => Just("k:int".to_owned()),
        1 => "\\PC{0,6}",
        1 => Just("nul\0key".to_owned()),
    ];
    vec((key, value()), 0..6).prop_map(Attributes)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{1,10}"]
}

fn trace_id() -> impl Strategy<Value = TraceId> {
    (1..=u128::MAX).prop_map(|n| TraceId::from_bytes(&n.to_be_bytes()).unwrap())
}

fn span_id() -> impl Strategy<Value = SpanId> {
    (1..=u64::MAX).prop_map(|n| SpanId::from_bytes(&n.to_be_bytes()).unwrap())
}

fn resource() -> impl Strategy<Value = Arc<Resource>> {
    let service = option::of("[a-c]{0,1}");
    (attributes(), service, any::<u32>(), text()).prop_map(
        |(mut attributes, service, dropped_attributes_count, schema_url)| {
            if let Some(service) = service {
                attributes
                    .0
                    .push(("service.name".to_owned(), Value::String(service)));
            }
            Arc::new(Resource {
                attributes,
                dropped_attributes_count,
                schema_url,
            })
        },
    )
}

fn scope() -> impl Strategy<Value = Arc<Scope>> {
    (text(), text(), attributes(), any::<u32>(), text()).prop_map(
        |(name, version, attributes, dropped_attributes_count, schema_url)| {
            Arc::new(Scope {
                name,
                version,
                attributes,
                dropped_attributes_count,
                schema_url,
            })
        },
    )
}

/// Bodies that state a level.
fn levelled() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(&["[ERROR] x", "level=warn x", "E", "<14>x"][..]);
    let map = |level: &str| Value::Map(vec![("level".to_owned(), Value::from(level))]);
    prop_oneof![
        text.prop_map(Value::from),
        prop::sample::select(&["info", "Fatal"][..]).prop_map(map),
    ]
}

pub(crate) fn log() -> impl Strategy<Value = LogRecord> {
    let times = (any::<i64>(), any::<i64>());
    let number = prop_oneof![any::<i32>(), Just(0), 1..25];
    let severity = (
        number,
        prop_oneof![3 => text(), 1 => Just("warn".to_owned())],
    );
    let body = prop_oneof![3 => value(), 1 => levelled()];
    let ids = (option::of(trace_id()), option::of(span_id()), any::<u32>());
    let rest = (text(), resource(), scope(), any::<u32>());
    (times, severity, body, attributes(), ids, rest).prop_map(
        |(times, severity, body, attributes, ids, rest)| LogRecord {
            timestamp: times.0,
            observed_timestamp: times.1,
            severity_number: severity.0,
            severity_text: severity.1,
            body,
            attributes,
            dropped_attributes_count: rest.3,
            trace_id: ids.0,
            span_id: ids.1,
            flags: ids.2,
            event_name: rest.0,
            resource: rest.1,
            scope: rest.2,
        },
    )
}

fn event() -> impl Strategy<Value = SpanEvent> {
    (any::<i64>(), text(), attributes(), any::<u32>()).prop_map(
        |(timestamp, name, attributes, dropped_attributes_count)| SpanEvent {
            timestamp,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = SpanLink> {
    let ids = (trace_id(), span_id());
    (ids, text(), attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(ids, trace_state, attributes, dropped_attributes_count, flags)| SpanLink {
            trace_id: ids.0,
            span_id: ids.1,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

pub(crate) fn span() -> impl Strategy<Value = Span> {
    let ids = (trace_id(), span_id(), option::of(span_id()));
    let times = (any::<i64>(), any::<i64>());
    let texts = (text(), text(), text());
    let numbers = (0..6, 0..3, any::<u32>(), any::<[u32; 3]>());
    let lists = (vec(event(), 0..3), vec(link(), 0..3));
    let origin = (attributes(), resource(), scope());
    (ids, times, texts, numbers, lists, origin).prop_map(
        |(ids, times, texts, numbers, lists, origin)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: texts.0,
            flags: numbers.2,
            name: texts.1,
            kind: SpanKind::from_number(numbers.0),
            start: times.0,
            end: times.1,
            attributes: origin.0,
            dropped_attributes_count: numbers.3[0],
            events: lists.0,
            dropped_events_count: numbers.3[1],
            links: lists.1,
            dropped_links_count: numbers.3[2],
            status_code: StatusCode::from_number(numbers.1),
            status_message: texts.2,
            resource: origin.1,
            scope: origin.2,
        },
    )
}

/// A record that has nothing but its time.
pub(crate) fn plain_log(timestamp: i64) -> LogRecord {
    LogRecord {
        timestamp,
        observed_timestamp: 0,
        severity_number: 9,
        severity_text: String::new(),
        body: Value::from(format!("message {timestamp}")),
        attributes: Attributes::default(),
        dropped_attributes_count: 0,
        trace_id: None,
        span_id: None,
        flags: 0,
        event_name: String::new(),
        resource: Arc::new(Resource::default()),
        scope: Arc::new(Scope::default()),
    }
}

/// What storage makes of attributes: sorted by key, repeated keys in their order.
fn sort(attributes: &mut Attributes) {
    attributes.0.sort_by(|(a, _), (b, _)| a.cmp(b));
}

fn sort_origin(resource: &mut Arc<Resource>, scope: &mut Arc<Scope>) {
    sort(&mut Arc::make_mut(resource).attributes);
    sort(&mut Arc::make_mut(scope).attributes);
}

/// A record as it comes back from storage.
pub(crate) fn stored_log((seq, mut record): (Seq, LogRecord)) -> (Seq, LogRecord) {
    sort(&mut record.attributes);
    sort_origin(&mut record.resource, &mut record.scope);
    (seq, record)
}

/// A span as it comes back from storage.
pub(crate) fn stored_span((seq, mut span): (Seq, Span)) -> (Seq, Span) {
    sort(&mut span.attributes);
    sort_origin(&mut span.resource, &mut span.scope);
    (seq, span)
}
