//! Syslog, RFC 5424 and RFC 3164, and how messages come one after the other over TCP (RFC 6587).
//!
//! The ingest log keeps messages in batches as they came: a line with the offset from UTC, in
//! seconds, that times without a zone are in; then each message as `<length> <sender> <message>`,
//! the length in bytes and the sender its IP address. A text that follows neither RFC is a message
//! all the same: it is its own body, and its sender is the host.

mod frame;
mod message;
mod rfc3164;
mod rfc5424;

use std::net::IpAddr;

use model::LogRecord;

pub use frame::{Frame, next_frame};

use crate::otlp::{self, DecodeError, Decoded};

/// Messages on their way into the ingest log.
#[derive(Debug, Clone)]
pub struct Batch {
    utc_offset: i32,
    bytes: Vec<u8>,
    messages: usize,
}

impl Batch {
    /// An empty batch; times without a zone are `utc_offset` seconds ahead of UTC.
    pub fn new(utc_offset: i32) -> Self {
        Self {
            utc_offset,
            bytes: format!("{utc_offset}\n").into_bytes(),
            messages: 0,
        }
    }

    /// Adds a message without its framing.
    pub fn push(&mut self, sender: IpAddr, message: &[u8]) {
        let head = format!("{} {sender} ", message.len());
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(message);
        self.messages += 1;
    }

    /// How many messages it holds.
    pub fn messages(&self) -> usize {
        self.messages
    }

    /// Whether it holds no message.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Bytes of the batch.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The batch's bytes; an empty one stays.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::replace(self, Self::new(self.utc_offset)).bytes
    }
}

/// The records of a batch.
///
/// # Errors
///
/// Bytes that no [`Batch`] has.
pub(crate) fn decode(body: &[u8], received_at: i64) -> Result<Decoded<LogRecord>, DecodeError> {
    let damaged = |rest: &[u8]| DecodeError::SyslogBatch(body.len() - rest.len());
    let mut rest = body;
    let utc_offset = take_until(&mut rest, b'\n')
        .and_then(|text| text.parse::<i32>().ok())
        .ok_or_else(|| damaged(rest))?;
    let mut decoded = Decoded::with_capacity(0);
    let mut reader = message::Reader::new(received_at, utc_offset);
    while !rest.is_empty() {
        let head = take_until(&mut rest, b' ')
            .and_then(|text| text.parse::<usize>().ok())
            .zip(take_until(&mut rest, b' ').and_then(|text| text.parse::<IpAddr>().ok()));
        let (length, sender) = head.ok_or_else(|| damaged(rest))?;
        let message = rest.get(..length).ok_or_else(|| damaged(rest))?;
        rest = &rest[length..];
        otlp::check_count(decoded.items.len() + 1)?;
        decoded.push(Ok(reader.record(sender, message)));
    }
    Ok(decoded)
}

fn take_until<'a>(rest: &mut &'a [u8], end: u8) -> Option<&'a str> {
    // Lengths, offsets and addresses are short: what goes on for longer is damaged.
    let within = &rest[..rest.len().min(64)];
    let at = within.iter().position(|byte| *byte == end)?;
    let text = std::str::from_utf8(&rest[..at]).ok()?;
    *rest = &rest[at + 1..];
    Some(text)
}
