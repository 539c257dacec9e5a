//! Telemetry formats ↔ the model. Pure functions: bytes in, model types out, and back.
//!
//! Protobuf and JSON message types stop here: no other crate sees them. Receivers and the replay
//! of the ingest log call the same decoders, so a decoder's answer depends on its arguments
//! alone: it reads no clock, and an item's ordinal is its index among the items of the body.

pub mod admission;
pub mod compression;
pub mod derived;
pub mod elasticsearch;
pub mod exposition;
mod json_value;
mod label_bytes;
pub mod loki;
pub mod metric_batch;
mod original;
pub mod otlp;
pub mod remote_write;
pub mod rpc;
pub mod syslog;

use bytes::Bytes;
use model::{Encoding, LogRecord};
use otlp::{DecodeError, Decoded, Item, Origins};

pub use admission::{RejectReason, Rejected, Window};
pub use compression::{Compression, DecompressError, decompress};
pub use metric_batch::{MetricBatch, SampleCounts};

/// The log records of a body in any encoding that carries some, in OTLP's messages.
///
/// A record without a time gets `received_at` (Unix ns), unless its format has a rule of its own.
///
/// # Errors
///
/// A body that is not of its encoding, or that holds more than one request may.
pub fn read_logs(
    encoding: Encoding,
    body: &Bytes,
    received_at: i64,
    origins: &Origins,
) -> Result<Decoded<Item>, DecodeError> {
    match encoding {
        Encoding::OtlpProtobuf | Encoding::OtlpJson | Encoding::DerivedSamples => {
            otlp::read_logs(encoding, body, received_at, origins)
        }
        other => {
            let decoded = decode_logs(other, body, received_at)?;
            let item = |(ordinal, record): &(u32, LogRecord)| (*ordinal, Item::of_log(record));
            Ok(Decoded {
                items: decoded.items.iter().map(item).collect(),
                rejected: decoded.rejected,
            })
        }
    }
}

/// The samples of a body in any encoding that carries some.
///
/// A point without a time gets `received_at` (Unix ns).
///
/// # Errors
///
/// As [`read_logs`]; also when the samples' labels are too many in all.
pub fn read_metrics(
    encoding: Encoding,
    body: &Bytes,
    received_at: i64,
) -> Result<MetricBatch, DecodeError> {
    match encoding {
        Encoding::RemoteWriteV1 | Encoding::RemoteWriteV2 => {
            remote_write::decode(encoding, body, received_at)
        }
        other => otlp::decode_metrics(other, body, received_at),
    }
}

/// The log records of a body in one of the formats that are not OpenTelemetry's.
///
/// # Errors
///
/// As [`read_logs`]; also OpenTelemetry's own encodings.
pub fn decode_logs(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<LogRecord>, DecodeError> {
    match encoding {
        Encoding::LokiProtobuf => loki::decode_protobuf(body, received_at),
        Encoding::LokiJson => loki::decode_json(body, received_at),
        Encoding::ElasticsearchBulk => elasticsearch::decode(body, received_at),
        Encoding::Syslog => syslog::decode(body, received_at),
        Encoding::OtlpProtobuf
        | Encoding::OtlpJson
        | Encoding::DerivedSamples
        | Encoding::RemoteWriteV1
        | Encoding::RemoteWriteV2 => Err(DecodeError::Encoding(encoding)),
    }
}
