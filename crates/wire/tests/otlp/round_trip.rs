//! Every OTLP field survives, in either encoding.

use model::{Encoding, LogRecord, Resource, Scope, Value};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as WireRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as WireResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, TracesData};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use crate::generate;

fn wire_value(value: &Value) -> AnyValue {
    use any_value::Value as Wire;
    let value = match value {
        Value::Empty => None,
        Value::String(text) => Some(Wire::StringValue(text.clone())),
        Value::Bool(flag) => Some(Wire::BoolValue(*flag)),
        Value::Int(number) => Some(Wire::IntValue(*number)),
        Value::Double(number) => Some(Wire::DoubleValue(*number)),
        Value::Bytes(bytes) => Some(Wire::BytesValue(bytes.clone())),
        Value::Array(values) => Some(Wire::ArrayValue(ArrayValue {
            values: values.iter().map(wire_value).collect(),
        })),
        Value::Map(entries) => Some(Wire::KvlistValue(KeyValueList {
            values: wire_pairs(entries),
        })),
    };
    AnyValue { value }
}

fn wire_pairs(entries: &[(String, Value)]) -> Vec<KeyValue> {
    entries
        .iter()
        .map(|(key, value)| KeyValue {
            key: key.clone(),
            value: Some(wire_value(value)),
            key_strindex: 0,
        })
        .collect()
}

fn wire_resource(resource: &Resource) -> WireResource {
    WireResource {
        attributes: wire_pairs(&resource.attributes.0),
        dropped_attributes_count: resource.dropped_attributes_count,
        entity_refs: Vec::new(),
    }
}

fn wire_scope(scope: &Scope) -> InstrumentationScope {
    InstrumentationScope {
        name: scope.name.clone(),
        version: scope.version.clone(),
        attributes: wire_pairs(&scope.attributes.0),
        dropped_attributes_count: scope.dropped_attributes_count,
    }
}

fn wire_record(record: &LogRecord) -> WireRecord {
    WireRecord {
        time_unix_nano: record.timestamp as u64,
        observed_time_unix_nano: record.observed_timestamp as u64,
        severity_number: record.severity_number,
        severity_text: record.severity_text.clone(),
        body: Some(wire_value(&record.body)),
        attributes: wire_pairs(&record.attributes.0),
        dropped_attributes_count: record.dropped_attributes_count,
        flags: record.flags,
        trace_id: record
            .trace_id
            .map_or(Vec::new(), |id| id.as_bytes().to_vec()),
        span_id: record
            .span_id
            .map_or(Vec::new(), |id| id.as_bytes().to_vec()),
        event_name: record.event_name.clone(),
    }
}

fn logs_request() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (
        generate::scope(),
        vec(generate::log_record(), 1..4),
        "[a-z]{0,3}",
    )
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs {
            scope: Some(scope),
            log_records,
            schema_url,
        });
    let resource_logs = (generate::resource(), vec(scope_logs, 1..3), "[a-z]{0,3}").prop_map(
        |(resource, scope_logs, schema_url)| ResourceLogs {
            resource: Some(resource),
            scope_logs,
            schema_url,
        },
    );
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn spans_request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (generate::scope(), vec(generate::span(), 1..3), "[a-z]{0,3}").prop_map(
        |(scope, spans, schema_url)| ScopeSpans {
            scope: Some(scope),
            spans,
            schema_url,
        },
    );
    let resource_spans = (generate::resource(), scope_spans, "[a-z]{0,3}").prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            schema_url,
        },
    );
    // One resource, so that no two neighbours are equal by chance and would be joined.
    resource_spans.prop_map(|resource_spans| ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn logs_survive(request in logs_request()) {
        let body = request.encode_to_vec();
        let decoded = crate::decode_logs(Encoding::OtlpProtobuf, &body, 7).unwrap();
        prop_assert!(decoded.rejected.is_empty());
        let mut items = decoded.items.iter();
        let mut ordinals = 0..;
        for by_resource in &request.resource_logs {
            for by_scope in &by_resource.scope_logs {
                for sent in &by_scope.log_records {
                    let (ordinal, record) = items.next().unwrap();
                    prop_assert_eq!(Some(*ordinal), ordinals.next());
                    prop_assert_eq!(&wire_record(record), sent);
                    prop_assert_eq!(Some(&wire_resource(&record.resource)), by_resource.resource.as_ref());
                    prop_assert_eq!(Some(&wire_scope(&record.scope)), by_scope.scope.as_ref());
                    prop_assert_eq!(&record.resource.schema_url, &by_resource.schema_url);
                    prop_assert_eq!(&record.scope.schema_url, &by_scope.schema_url);
                }
            }
        }
        prop_assert_eq!(items.next(), None);
    }

    #[test]
    fn json_and_protobuf_of_one_logs_request_decode_to_the_same(request in logs_request()) {
        let json = serde_json::to_vec(&request).unwrap();
        prop_assert_eq!(
            crate::decode_logs(Encoding::OtlpJson, &json, 7).unwrap(),
            crate::decode_logs(Encoding::OtlpProtobuf, &request.encode_to_vec(), 7).unwrap()
        );
    }

    #[test]
    fn spans_survive(request in spans_request()) {
        let body = request.encode_to_vec();
        let decoded = crate::decode_spans(Encoding::OtlpProtobuf, &body, 7).unwrap();
        prop_assert!(decoded.rejected.is_empty());
        let spans: Vec<model::Span> = decoded.items.into_iter().map(|(_, span)| span).collect();
        let encoded = TracesData::decode(wire::otlp::encode_spans(&spans).as_slice()).unwrap();
        prop_assert_eq!(encoded.resource_spans, request.resource_spans);
    }

    #[test]
    fn json_and_protobuf_of_one_spans_request_decode_to_the_same(request in spans_request()) {
        let json = serde_json::to_vec(&request).unwrap();
        prop_assert_eq!(
            crate::decode_spans(Encoding::OtlpJson, &json, 7).unwrap(),
            crate::decode_spans(Encoding::OtlpProtobuf, &request.encode_to_vec(), 7).unwrap()
        );
    }
}
