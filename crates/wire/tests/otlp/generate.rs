//! Strategies for OTLP messages.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span};
use proptest::collection::vec;
use proptest::prelude::*;

/// Doubles that JSON can write.
pub(crate) fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |number| number.is_finite())
}

pub(crate) fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        "\\PC{0,8}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|flag| Some(Value::BoolValue(flag))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        finite().prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..6).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|values| AnyValue {
                value: Some(Value::ArrayValue(ArrayValue { values })),
            }),
            vec(("\\PC{0,4}", inner), 0..4).prop_map(|entries| AnyValue {
                value: Some(Value::KvlistValue(KeyValueList {
                    values: entries.into_iter().map(pair).collect(),
                })),
            }),
        ]
    })
}

fn pair((key, value): (String, AnyValue)) -> KeyValue {
    KeyValue {
        key,
        value: Some(value),
        key_strindex: 0,
    }
}

pub(crate) fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(("\\PC{0,6}", value()).prop_map(pair), 0..4)
}

pub(crate) fn resource() -> impl Strategy<Value = Resource> {
    (attributes(), any::<u32>()).prop_map(|(attributes, dropped_attributes_count)| Resource {
        attributes,
        dropped_attributes_count,
        entity_refs: Vec::new(),
    })
}

pub(crate) fn scope() -> impl Strategy<Value = InstrumentationScope> {
    ("\\PC{0,6}", "[0-9.]{0,4}", attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

/// Times from 1 ns to what fits.
fn time() -> impl Strategy<Value = u64> {
    1..=i64::MAX as u64
}

/// `len` bytes, not all zero.
fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), len).prop_filter("not zero", |bytes| bytes.iter().any(|byte| *byte != 0))
}

fn maybe_id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), id(len)]
}

pub(crate) fn log_record() -> impl Strategy<Value = LogRecord> {
    (
        (time(), 0..=i64::MAX as u64, any::<i32>(), "\\PC{0,5}"),
        (value(), attributes(), any::<u32>(), any::<u32>()),
        (maybe_id(16), maybe_id(8), "\\PC{0,5}"),
    )
        .prop_map(|(head, content, ids)| LogRecord {
            time_unix_nano: head.0,
            observed_time_unix_nano: head.1,
            severity_number: head.2,
            severity_text: head.3,
            body: Some(content.0),
            attributes: content.1,
            dropped_attributes_count: content.2,
            flags: content.3,
            trace_id: ids.0,
            span_id: ids.1,
            event_name: ids.2,
        })
}

fn event() -> impl Strategy<Value = span::Event> {
    (time(), "\\PC{0,5}", attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| span::Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = span::Link> {
    (
        id(16),
        id(8),
        "[a-z=,]{0,5}",
        attributes(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(
            |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| {
                span::Link {
                    trace_id,
                    span_id,
                    trace_state,
                    attributes,
                    dropped_attributes_count,
                    flags,
                }
            },
        )
}

pub(crate) fn span() -> impl Strategy<Value = Span> {
    (
        (id(16), id(8), maybe_id(8), "[a-z=,]{0,5}", any::<u32>()),
        ("\\PC{0,8}", 0..=5_i32, time(), 0..=i64::MAX as u64),
        (attributes(), any::<u32>(), any::<u32>(), any::<u32>()),
        (
            vec(event(), 0..3),
            vec(link(), 0..3),
            "\\PC{0,5}",
            0..=2_i32,
        ),
    )
        .prop_map(|(ids, head, counts, rest)| Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: ids.3,
            flags: ids.4,
            name: head.0,
            kind: head.1,
            start_time_unix_nano: head.2,
            end_time_unix_nano: head.3,
            attributes: counts.0,
            dropped_attributes_count: counts.1,
            dropped_events_count: counts.2,
            dropped_links_count: counts.3,
            events: rest.0,
            links: rest.1,
            status: Some(Status {
                message: rest.2,
                code: rest.3,
            }),
        })
}
