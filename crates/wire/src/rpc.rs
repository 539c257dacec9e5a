//! What OTLP receivers answer: export responses, and `google.rpc.Status` for refusals.

use model::{Encoding, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;

/// The answer to an export request that was taken, in the request's encoding.
///
/// `rejected` items are not kept; `message` says why, for people. Without any, the answer is the
/// empty one that OTLP demands for full success.
pub fn export_response(
    signal: Signal,
    encoding: Encoding,
    rejected: u64,
    message: &str,
) -> Vec<u8> {
    let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
    match encoding {
        Encoding::OtlpJson => export_response_json(signal, rejected, message),
        _ => export_response_protobuf(signal, rejected, message.to_owned()),
    }
}

fn export_response_json(signal: Signal, rejected: i64, message: &str) -> Vec<u8> {
    if rejected == 0 {
        return b"{}".to_vec();
    }
    let field = match signal {
        Signal::Logs => "rejectedLogRecords",
        Signal::Spans => "rejectedSpans",
        Signal::Metrics => "rejectedDataPoints",
    };
    let body = json!({
        "partialSuccess": { field: rejected.to_string(), "errorMessage": message }
    });
    body.to_string().into_bytes()
}

fn export_response_protobuf(signal: Signal, rejected: i64, error_message: String) -> Vec<u8> {
    let partial = rejected != 0;
    match signal {
        Signal::Logs => ExportLogsServiceResponse {
            partial_success: partial.then_some(ExportLogsPartialSuccess {
                rejected_log_records: rejected,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Spans => ExportTraceServiceResponse {
            partial_success: partial.then_some(ExportTracePartialSuccess {
                rejected_spans: rejected,
                error_message,
            }),
        }
        .encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceResponse {
            partial_success: partial.then_some(ExportMetricsPartialSuccess {
                rejected_data_points: rejected,
                error_message,
            }),
        }
        .encode_to_vec(),
    }
}

/// gRPC's status codes that receivers answer with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request itself is wrong and must not be repeated.
    InvalidArgument = 3,
    /// Full: repeat later, as `RetryInfo` says.
    ResourceExhausted = 8,
    /// A bug or damage.
    Internal = 13,
    /// Not now: repeat later.
    Unavailable = 14,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub code: Code,
    /// The reason, for people.
    pub message: String,
    /// After how many whole seconds to try again, when trying again can help.
    pub retry_after: Option<u64>,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Refusal {
    /// `google.rpc.Status` in protobuf; with `retry_after` it carries `RetryInfo`.
    pub fn to_protobuf(&self) -> Vec<u8> {
        StatusMessage {
            code: self.code as i32,
            message: self.message.clone(),
            details: self.retry_after.map(retry_info).into_iter().collect(),
        }
        .encode_to_vec()
    }

    /// `google.rpc.Status` in JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let details: Vec<serde_json::Value> = self
            .retry_after
            .map(|seconds| json!({"@type": RETRY_INFO, "retryDelay": format!("{seconds}s")}))
            .into_iter()
            .collect();
        let body = json!({
            "code": self.code as i32,
            "message": self.message,
            "details": details,
        });
        body.to_string().into_bytes()
    }
}

fn retry_info(seconds: u64) -> AnyMessage {
    let info = RetryInfoMessage {
        retry_delay: Some(DurationMessage {
            seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
            nanos: 0,
        }),
    };
    AnyMessage {
        type_url: RETRY_INFO.to_owned(),
        value: info.encode_to_vec(),
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct StatusMessage {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfoMessage {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<DurationMessage>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct DurationMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_success_is_empty() {
        assert_eq!(
            export_response(Signal::Logs, Encoding::OtlpProtobuf, 0, ""),
            b""
        );
        assert_eq!(
            export_response(Signal::Logs, Encoding::OtlpJson, 0, ""),
            b"{}"
        );
    }

    #[test]
    fn rejected_items_are_counted() {
        let body = export_response(Signal::Spans, Encoding::OtlpProtobuf, 3, "too old");
        let read = ExportTraceServiceResponse::decode(body.as_slice()).unwrap();
        let partial = read.partial_success.unwrap();
        assert_eq!(
            (partial.rejected_spans, partial.error_message.as_str()),
            (3, "too old")
        );
        assert_eq!(
            String::from_utf8(export_response(Signal::Metrics, Encoding::OtlpJson, 3, "x"))
                .unwrap(),
            r#"{"partialSuccess":{"errorMessage":"x","rejectedDataPoints":"3"}}"#
        );
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let refusal = Refusal {
            code: Code::ResourceExhausted,
            message: "full".to_owned(),
            retry_after: Some(2),
        };
        let status = StatusMessage::decode(refusal.to_protobuf().as_slice()).unwrap();
        assert_eq!((status.code, status.message.as_str()), (8, "full"));
        let info = RetryInfoMessage::decode(status.details[0].value.as_slice()).unwrap();
        assert_eq!(info.retry_delay.unwrap().seconds, 2);
    }
}
