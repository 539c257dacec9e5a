//! Spans of traces.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{SpanId, TraceId};
use crate::resource::{Resource, Scope};
use crate::value::Attributes;

/// What role a span plays in its trace, with OTLP's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpanKind {
    /// Not stated.
    #[default]
    Unspecified,
    /// Inside one process.
    Internal,
    /// Handles a remote request.
    Server,
    /// Makes a remote request.
    Client,
    /// Sends a message.
    Producer,
    /// Receives a message.
    Consumer,
}

impl SpanKind {
    /// OTLP's number, 0 to 5.
    pub fn number(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Internal => 1,
            Self::Server => 2,
            Self::Client => 3,
            Self::Producer => 4,
            Self::Consumer => 5,
        }
    }

    /// Reads OTLP's number; an unknown one is `Unspecified`.
    pub fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// The lowercase word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How a span ended, with OTLP's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StatusCode {
    /// Not stated.
    #[default]
    Unset,
    /// Ended well, stated by the application.
    Ok,
    /// Ended in an error.
    Error,
}

impl StatusCode {
    /// OTLP's number, 0 to 2.
    pub fn number(self) -> i32 {
        match self {
            Self::Unset => 0,
            Self::Ok => 1,
            Self::Error => 2,
        }
    }

    /// Reads OTLP's number; an unknown one is `Unset`.
    pub fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }

    /// The lowercase word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "unset",
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// Something that happened at a moment inside a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanEvent {
    /// When, Unix ns.
    pub timestamp: i64,
    /// The event's name.
    pub name: String,
    /// The event's attributes.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
}

/// A reference to a span of another place or trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanLink {
    /// The linked trace.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// W3C trace state, empty when not sent.
    pub trace_state: String,
    /// The link's attributes.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
}

/// One span with everything OTLP says of it. Spans of one request share resource and scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own identifier.
    pub span_id: SpanId,
    /// The span that caused it; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C trace state, empty when not sent.
    pub trace_state: String,
    /// W3C trace flags in the low 8 bits.
    pub flags: u32,
    /// The operation's name.
    pub name: String,
    /// Its role.
    pub kind: SpanKind,
    /// Start, Unix ns: the row's time in every store and query.
    pub start: i64,
    /// End, Unix ns; kept as sent even when it lies before the start.
    pub end: i64,
    /// The span's attributes.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes_count: u32,
    /// Events in the order they were sent.
    pub events: Vec<SpanEvent>,
    /// How many events the sender dropped.
    pub dropped_events_count: u32,
    /// Links in the order they were sent.
    pub links: Vec<SpanLink>,
    /// How many links the sender dropped.
    pub dropped_links_count: u32,
    /// How it ended.
    pub status_code: StatusCode,
    /// A developer-facing message, empty when not sent.
    pub status_message: String,
    /// Who produced it.
    pub resource: Arc<Resource>,
    /// The library that emitted it.
    pub scope: Arc<Scope>,
}

impl Span {
    /// End minus start in ns; 0 when the end lies before the start.
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start).max(0)
    }
}
