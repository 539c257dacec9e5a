//! What the decoders of the other formats promise: Loki push, Elasticsearch `_bulk`, syslog, remote
//! write, scraped text.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod elasticsearch;
mod exposition;
mod loki;
mod malformed;
mod remote_write;
mod syslog;

use model::{Encoding, LogRecord, Value};
use wire::otlp::Decoded;

/// When every body of these tests was received: 2026-01-02T00:00:00Z.
const RECEIVED: i64 = 1_767_312_000_000_000_000;

fn decode(encoding: Encoding, body: &[u8]) -> Decoded<LogRecord> {
    wire::decode_logs(encoding, body, RECEIVED).unwrap()
}

/// The only record of a body.
fn one(encoding: Encoding, body: &[u8]) -> LogRecord {
    let decoded = decode(encoding, body);
    assert_eq!(decoded.rejected, []);
    assert_eq!(decoded.items.len(), 1);
    decoded.items.into_iter().next().unwrap().1
}

/// Attributes as pairs of text, in their order.
fn pairs(attributes: &model::Attributes) -> Vec<(&str, &str)> {
    attributes
        .iter()
        .map(|(key, value)| match value {
            Value::String(text) => (key, text.as_str()),
            other => panic!("{key} is {other:?}"),
        })
        .collect()
}
