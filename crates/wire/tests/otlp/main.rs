//! What the OTLP decoders promise, against `opentelemetry-proto`'s messages as the oracle.

mod generate;
mod json;
mod malformed;
mod metrics;
mod plain;
mod round_trip;

use bytes::Bytes;
use model::{Encoding, LogRecord, Span};
use wire::otlp::{self, DecodeError, Decoded, Item, Origins};

/// The log records of a body, on their own.
fn decode_logs(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<LogRecord>, DecodeError> {
    let items = otlp::read_logs(
        encoding,
        &Bytes::copy_from_slice(body),
        received_at,
        &Origins::new(),
    )?;
    owned(items, Item::to_log)
}

/// The spans of a body, on their own.
fn decode_spans(
    encoding: Encoding,
    body: &[u8],
    received_at: i64,
) -> Result<Decoded<Span>, DecodeError> {
    let items = otlp::read_spans(
        encoding,
        &Bytes::copy_from_slice(body),
        received_at,
        &Origins::new(),
    )?;
    owned(items, Item::to_span)
}

fn owned<T>(
    items: Decoded<Item>,
    own: fn(&Item) -> Result<T, DecodeError>,
) -> Result<Decoded<T>, DecodeError> {
    let one = |(ordinal, item): &(u32, Item)| Ok((*ordinal, own(item)?));
    Ok(Decoded {
        items: items.items.iter().map(one).collect::<Result<_, _>>()?,
        rejected: items.rejected,
    })
}
