//! OpenTelemetry's protocol: export requests in protobuf or JSON, as logs, spans and samples.
//!
//! A body that is no export request is a [`DecodeError`]. An item that alone cannot be kept (a
//! span without identifiers, a time past 2262) is listed in `rejected` with its ordinal, and the
//! rest of the body is good.

mod items;
mod json;
mod logs;
mod metrics;
mod names;
mod native;
pub(crate) mod reader;
mod spans;
mod value;
mod view;
pub(crate) mod weigh;

pub use items::{Item, Origins};
pub use logs::LogView;
pub use spans::{EventView, LinkView, SpanParts, SpanView};
pub use view::{Entries, Entry, NestedView, ValueView};

use bytes::Bytes;
use model::{Encoding, Seq, Span};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use self::reader::{Fields, Irregular};
use crate::admission::{RejectReason, Rejected};
use crate::metric_batch::MetricBatch;

/// Why a body is no export request. The messages are safe to show to the sender.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no protobuf message of the expected type.
    #[error("malformed protobuf: {0}")]
    Protobuf(String),
    /// The bytes are no OTLP/JSON message of the expected type.
    #[error("malformed JSON at line {line}, column {column}: {message}")]
    Json {
        /// Line of the error, from 1.
        line: usize,
        /// Column of the error, from 1.
        column: usize,
        /// What was expected there.
        message: String,
    },
    /// More items than one log record can number.
    #[error("{count} items in one request; at most {limit} are accepted, send smaller batches")]
    TooManyItems {
        /// Items in the body.
        count: usize,
        /// How many are accepted.
        limit: usize,
    },
    /// The messages of the request would take more memory than one request may.
    #[error("the request grows past {limit} bytes when decoded; send smaller batches")]
    TooHeavy {
        /// The limit in bytes.
        limit: usize,
    },
    /// The samples of the request would carry more labels than memory should hold.
    #[error("the request's samples have more than {limit} labels in all; send smaller batches")]
    TooManyLabels {
        /// How many are accepted.
        limit: usize,
    },
    /// A line of a bulk request is no action.
    #[error("malformed line {line} of the bulk request: {message}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What was expected there.
        message: String,
    },
    /// A part of a push request has another form than it must.
    #[error("malformed push request: {place}: {message}")]
    Push {
        /// Which part, such as `streams[0].values[2]`.
        place: String,
        /// What was expected there.
        message: String,
    },
    /// A batch of syslog messages, as our receivers write it, is damaged.
    #[error("malformed batch of syslog messages at byte {0}")]
    SyslogBatch(usize),
    /// The encoding does not exist for this signal.
    #[error("{0:?} cannot encode this signal")]
    Encoding(Encoding),
}

impl DecodeError {
    pub(crate) fn json(err: &serde_json::Error) -> Self {
        let text = err.to_string();
        let position = format!(" at line {} column {}", err.line(), err.column());
        Self::Json {
            line: err.line(),
            column: err.column(),
            message: text.strip_suffix(&position).unwrap_or(&text).to_owned(),
        }
    }
}

/// The items of one body.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<T> {
    /// What can be kept, each with its ordinal, in ascending order.
    pub items: Vec<(u32, T)>,
    /// What cannot, in ascending order of ordinals.
    pub rejected: Vec<Rejected>,
}

/// The log records of an `ExportLogsServiceRequest`, in their messages.
///
/// A record without a time gets its observed time, and without that `received_at` (Unix ns).
/// Records and body share memory, unless most of the body is something else.
///
/// # Errors
///
/// A malformed body, or more than [`model::Seq::MAX_ITEMS`] records.
pub fn read_logs(
    encoding: Encoding,
    body: &Bytes,
    received_at: i64,
    origins: &Origins,
) -> Result<Decoded<Item>, DecodeError> {
    let check = |fields: Fields<'_>| logs::check(fields, received_at);
    let request = match encoding {
        Encoding::OtlpProtobuf => {
            weigh::check(body, &weigh::LOGS)?;
            if let Ok(items) = items::walk(body, origins, check) {
                return Ok(items);
            }
            protobuf::<ExportLogsServiceRequest>(body, &weigh::LOGS)?
        }
        Encoding::OtlpJson => json::logs(body)?,
        other => return Err(DecodeError::Encoding(other)),
    };
    check_count(logs::count(&request))?;
    plain(&request, |body| items::walk(body, origins, check))
}

/// The spans of an `ExportTraceServiceRequest`, in their messages. A span without a start gets
/// `received_at` (Unix ns).
///
/// # Errors
///
/// As [`read_logs`].
pub fn read_spans(
    encoding: Encoding,
    body: &Bytes,
    received_at: i64,
    origins: &Origins,
) -> Result<Decoded<Item>, DecodeError> {
    let check = |fields: Fields<'_>| spans::check(fields, received_at);
    let request = match encoding {
        Encoding::OtlpProtobuf => {
            weigh::check(body, &weigh::SPANS)?;
            if let Ok(items) = items::walk(body, origins, check) {
                return Ok(items);
            }
            protobuf::<ExportTraceServiceRequest>(body, &weigh::SPANS)?
        }
        Encoding::OtlpJson => json::spans(body)?,
        other => return Err(DecodeError::Encoding(other)),
    };
    check_count(spans::count(&request))?;
    plain(&request, |body| items::walk(body, origins, check))
}

/// The samples of an `ExportMetricsServiceRequest`, or of derived samples
/// ([`crate::derived`]). A point without a time gets `received_at` (Unix ns).
///
/// # Errors
///
/// As [`read_logs`]; also when the samples' labels are too many in all.
pub fn decode_metrics(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<MetricBatch, DecodeError> {
    let request = match encoding {
        Encoding::OtlpProtobuf => protobuf::<ExportMetricsServiceRequest>(body, &weigh::METRICS)?,
        Encoding::OtlpJson => json::metrics(body)?,
        Encoding::DerivedSamples => return derived(body),
        other => return Err(DecodeError::Encoding(other)),
    };
    check_count(metrics::count(&request))?;
    metrics::decode(request, received_at)
}

/// `spans` as OTLP's `TracesData` in protobuf. Empty messages are written too.
pub fn encode_spans(spans: &[Span]) -> Vec<u8> {
    spans::encode(spans).encode_to_vec()
}

fn derived(body: &[u8]) -> Result<MetricBatch, DecodeError> {
    let samples = crate::derived::decode(body)?;
    Ok(MetricBatch {
        points: samples.len() as u32,
        ..MetricBatch::of_samples((0..).zip(samples))
    })
}

/// Decodes after weighing, so that a small body of empty messages cannot fill the memory.
pub(crate) fn protobuf<M: Message + Default>(
    body: &[u8],
    schema: &weigh::Schema,
) -> Result<M, DecodeError> {
    weigh::check(body, schema)?;
    M::decode(body).map_err(|err| DecodeError::Protobuf(err.to_string()))
}

/// Reads a request that came in another form than the plain one: it is written in that first.
fn plain<M: Message>(
    request: &M,
    walk: impl FnOnce(&Bytes) -> Result<Decoded<Item>, Irregular>,
) -> Result<Decoded<Item>, DecodeError> {
    let body = Bytes::from(request.encode_to_vec());
    walk(&body).map_err(|Irregular| DecodeError::Protobuf("messages nest too deep".to_owned()))
}

pub(crate) fn check_count(count: usize) -> Result<(), DecodeError> {
    if count > Seq::MAX_ITEMS {
        return Err(DecodeError::TooManyItems {
            count,
            limit: Seq::MAX_ITEMS,
        });
    }
    Ok(())
}

/// OTLP's unsigned time as the model's, Unix ns.
fn nanos(wire: u64) -> Result<i64, RejectReason> {
    i64::try_from(wire).map_err(|_| RejectReason::TimeOutOfRange)
}

/// The model's time as OTLP's; decoding never yields a negative one.
fn unsigned_nanos(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}
