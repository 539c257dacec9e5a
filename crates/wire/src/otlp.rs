//! OpenTelemetry's protocol: export requests in protobuf or JSON, as logs, spans and samples.
//!
//! A body that is no export request is a [`DecodeError`]. An item that alone cannot be kept (a
//! span without identifiers, a time past 2262) is listed in `rejected` with its ordinal, and the
//! rest of the body is good.

use model::metric::{MetricMetadata, SeriesSample};
use model::{Encoding, LogRecord, Span};

use crate::admission::Rejected;

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
        /// [`model::Seq::MAX_ITEMS`].
        limit: usize,
    },
    /// The encoding does not exist for this signal.
    #[error("{0:?} cannot encode this signal")]
    Encoding(Encoding),
}

/// The items of one body.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<T> {
    /// What can be kept, each with its ordinal, in ascending order.
    pub items: Vec<(u32, T)>,
    /// What cannot, in ascending order of ordinals.
    pub rejected: Vec<Rejected>,
}

/// The metric points of one body, mapped to Prometheus' series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MetricBatch {
    /// Samples with the ordinal of the point they come from; a histogram's point has many.
    pub samples: Vec<(u32, SeriesSample)>,
    /// The families that the body describes, without duplicates.
    pub metadata: Vec<MetricMetadata>,
    /// Points in the body, rejected ones included. (`target_info` is not a point.)
    pub points: u32,
    /// Points that cannot be kept, in ascending order of ordinals.
    pub rejected: Vec<Rejected>,
}

/// The log records of an `ExportLogsServiceRequest`.
///
/// A record without a time gets its observed time, and without that `received_at` (Unix ns).
///
/// # Errors
///
/// A malformed body, or more than [`model::Seq::MAX_ITEMS`] records.
pub fn decode_logs(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<LogRecord>, DecodeError> {
    let _ = (body, received_at);
    Err(DecodeError::Encoding(encoding))
}

/// The spans of an `ExportTraceServiceRequest`. A span without a start gets `received_at`
/// (Unix ns).
///
/// # Errors
///
/// As [`decode_logs`].
pub fn decode_spans(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<Span>, DecodeError> {
    let _ = (body, received_at);
    Err(DecodeError::Encoding(encoding))
}

/// The samples of an `ExportMetricsServiceRequest`, or of derived samples
/// ([`crate::derived`]). A point without a time gets `received_at` (Unix ns).
///
/// # Errors
///
/// As [`decode_logs`].
pub fn decode_metrics(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<MetricBatch, DecodeError> {
    let _ = (body, received_at);
    Err(DecodeError::Encoding(encoding))
}
