//! A request on its way in, and what became of it.

use bytes::Bytes;
use model::{Encoding, Signal, TenantId};
use wire::{RejectReason, Rejected, SampleCounts};

/// One export request, its body decompressed but not decoded.
#[derive(Debug, Clone)]
pub struct IngestRequest {
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// What it carries.
    pub signal: Signal,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// The body as sent, uncompressed: this is what the ingest log keeps.
    pub body: Bytes,
    /// When it arrived, Unix ns. It decides which times are too old or too new, now and at replay.
    pub received_at: i64,
}

/// What became of a request whose body is durable and visible to queries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngestOutcome {
    /// Items kept.
    pub accepted: u64,
    /// Items refused: the sum of `reasons`.
    pub rejected: u64,
    /// Why, most frequent first.
    pub reasons: Vec<RejectedCount>,
    /// The items refused, by their place in the body, ascending.
    pub refused: Vec<Rejected>,
    /// Of metrics, what was kept of each kind. A point of OTLP may be several samples.
    pub written: SampleCounts,
    /// The request's place in the ingest log, which its items' ids begin with.
    pub position: u64,
}

/// How many items of a request were refused for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedCount {
    /// The reason; displays as a sentence for the sender.
    pub reason: RejectReason,
    /// How many items.
    pub count: u64,
}

/// Whether the store has replayed its log. Until it has, requests and queries are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Requests and queries are served.
    Ready,
    /// The log is being replayed.
    Replaying {
        /// The last position applied.
        position: u64,
        /// The position at which replay ends.
        last: u64,
        /// What holds replay up, when something does.
        waiting_for: Option<String>,
    },
    /// Replay met damage and stopped; the message names file and offset.
    Failed(String),
}

impl Readiness {
    /// Whether requests and queries are served.
    pub fn is_ready(&self) -> bool {
        matches!(self, Self::Ready)
    }
}

impl std::fmt::Display for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Replaying {
                position,
                last,
                waiting_for,
            } => {
                write!(f, "replaying the ingest log: position {position} of {last}")?;
                match waiting_for {
                    Some(what) => write!(f, ", waiting: {what}"),
                    None => Ok(()),
                }
            }
            Self::Failed(message) => write!(f, "replay of the ingest log failed: {message}"),
        }
    }
}
