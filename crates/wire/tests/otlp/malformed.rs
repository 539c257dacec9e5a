//! Anything a network can bring is decoded or refused, in bounded memory and stack.

use model::{Encoding, Seq};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use wire::otlp::DecodeError;
use wire::{RejectReason, Rejected};

fn one_scope(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    }
}

#[test]
fn deep_json_is_an_error() {
    let deep = r#"{"arrayValue":{"values":["#.repeat(10_000);
    let json = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{deep}"#);
    let err = crate::decode_logs(Encoding::OtlpJson, json.as_bytes(), 7).unwrap_err();
    assert!(err.to_string().contains("recursion limit"), "{err}");
    let brackets = "[".repeat(10_000);
    assert!(crate::decode_logs(Encoding::OtlpJson, brackets.as_bytes(), 7).is_err());
}

#[test]
fn deep_protobuf_is_an_error() {
    // Built inside out as bytes: nested messages of that depth would overflow their own drop.
    let mut body = Vec::new();
    for _ in 0..10_000 {
        for tag in [0x0a, 0x2a] {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(body.len() as u64, &mut outer);
            outer.append(&mut body);
            body = outer;
        }
    }
    // LogRecord.body, ScopeLogs.log_records, ResourceLogs.scope_logs, request.resource_logs.
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        let mut outer = vec![tag];
        prost::encoding::encode_varint(body.len() as u64, &mut outer);
        outer.append(&mut body);
        body = outer;
    }
    let err = crate::decode_logs(Encoding::OtlpProtobuf, &body, 7).unwrap_err();
    assert!(err.to_string().contains("recursion limit"), "{err}");
}

#[test]
fn moderately_nested_values_are_kept() {
    let mut nested = AnyValue {
        value: Some(Value::BoolValue(true)),
    };
    for _ in 0..20 {
        nested = AnyValue {
            value: Some(Value::ArrayValue(ArrayValue {
                values: vec![nested],
            })),
        };
    }
    let request = one_scope(vec![LogRecord {
        body: Some(nested),
        ..LogRecord::default()
    }]);
    let json = serde_json::to_vec(&request).unwrap();
    let from_json = crate::decode_logs(Encoding::OtlpJson, &json, 7).unwrap();
    let from_protobuf =
        crate::decode_logs(Encoding::OtlpProtobuf, &request.encode_to_vec(), 7).unwrap();
    assert_eq!(from_json, from_protobuf);
}

#[test]
fn too_many_items_are_refused() {
    let request = one_scope(vec![LogRecord::default(); Seq::MAX_ITEMS + 1]);
    assert_eq!(
        crate::decode_logs(Encoding::OtlpProtobuf, &request.encode_to_vec(), 7),
        Err(DecodeError::TooManyItems {
            count: Seq::MAX_ITEMS + 1,
            limit: Seq::MAX_ITEMS,
        })
    );
    let braces = format!(r#"{{"resourceLogs":[{}{{}}]}}"#, "{},".repeat(3 << 20));
    assert!(matches!(
        crate::decode_logs(Encoding::OtlpJson, braces.as_bytes(), 7),
        Err(DecodeError::TooManyItems { .. })
    ));
}

#[test]
fn a_time_past_2262_rejects_its_record_alone() {
    let at = |time_unix_nano| LogRecord {
        time_unix_nano,
        ..LogRecord::default()
    };
    let body = one_scope(vec![at(1), at(u64::MAX), at(3)]).encode_to_vec();
    let decoded = crate::decode_logs(Encoding::OtlpProtobuf, &body, 7).unwrap();
    let kept: Vec<(u32, i64)> = decoded
        .items
        .iter()
        .map(|(ordinal, record)| (*ordinal, record.timestamp))
        .collect();
    assert_eq!(kept, [(0, 1), (2, 3)]);
    assert_eq!(
        decoded.rejected,
        [Rejected {
            ordinal: 1,
            reason: RejectReason::TimeOutOfRange
        }]
    );
}

#[test]
fn spans_without_identifiers_are_rejected_alone() {
    let good = Span {
        trace_id: vec![1; 16],
        span_id: vec![1; 8],
        ..Span::default()
    };
    let zero_trace = Span {
        trace_id: vec![0; 16],
        ..good.clone()
    };
    let short_span = Span {
        span_id: vec![1; 7],
        ..good.clone()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![zero_trace, good, short_span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let body = request.encode_to_vec();
    let decoded = crate::decode_spans(Encoding::OtlpProtobuf, &body, 7).unwrap();
    assert_eq!(decoded.items.len(), 1);
    assert_eq!(decoded.items[0].0, 1);
    let reasons: Vec<_> = decoded
        .rejected
        .iter()
        .map(|r| (r.ordinal, r.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (0, RejectReason::InvalidTraceId),
            (2, RejectReason::InvalidSpanId)
        ]
    );
}

#[test]
fn a_log_without_time_takes_the_observed_then_the_receive_time() {
    let observed = LogRecord {
        observed_time_unix_nano: 5,
        ..LogRecord::default()
    };
    let body = one_scope(vec![observed, LogRecord::default()]).encode_to_vec();
    let decoded = crate::decode_logs(Encoding::OtlpProtobuf, &body, 7).unwrap();
    let times: Vec<i64> = decoded
        .items
        .iter()
        .map(|(_, record)| record.timestamp)
        .collect();
    assert_eq!(times, [5, 7]);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(body in vec(any::<u8>(), 0..300)) {
        for encoding in [Encoding::OtlpProtobuf, Encoding::OtlpJson, Encoding::DerivedSamples] {
            let _logs: Result<_, _> = crate::decode_logs(encoding, &body, 7);
            let _spans: Result<_, _> = crate::decode_spans(encoding, &body, 7);
            let _metrics: Result<_, _> = wire::otlp::decode_metrics(encoding, &body, 7);
        }
    }

    /// Real bodies with one byte changed or their end cut off.
    #[test]
    fn damaged_bodies_are_decoded_or_refused(record in crate::generate::log_record(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let request = one_scope(vec![record]);
        let bodies = [
            (Encoding::OtlpProtobuf, request.encode_to_vec()),
            (Encoding::OtlpJson, serde_json::to_vec(&request).unwrap()),
        ];
        for (encoding, mut body) in bodies {
            let index = at.index(body.len());
            let _cut: Result<_, _> = crate::decode_logs(encoding, &body[..index], 7);
            body[index] = byte;
            let _changed: Result<_, _> = crate::decode_logs(encoding, &body, 7);
        }
    }
}
