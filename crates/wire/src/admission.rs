//! Which items may be written: the window of times that the store accepts.
//!
//! A pure decision made once, when a request arrives; the ingest log keeps its outcome, so replay
//! never decides again.

use serde::{Deserialize, Serialize};

/// How far ahead of the server's clock an item's time may lie: 10 minutes, in ns.
pub const MAX_AHEAD: i64 = 600 * model::time::NANOS_PER_SECOND;

/// Why one item of a request is not kept. Displays as a sentence for the sender.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum RejectReason {
    /// A span whose trace id is missing, zero or of a wrong length.
    #[error("trace id is not 16 bytes or all zero")]
    InvalidTraceId,
    /// A span whose span id is missing, zero or of a wrong length.
    #[error("span id is not 8 bytes or all zero")]
    InvalidSpanId,
    /// A time past 2262-04-11, which signed 64-bit nanoseconds cannot hold.
    #[error("time lies past the year 2262")]
    TimeOutOfRange,
    /// A metric point that says nothing or contradicts itself.
    #[error("metric point is inconsistent (bucket counts, bounds, scale or name)")]
    InvalidPoint,
    /// A sum or histogram whose temporality is not stated.
    #[error("aggregation temporality is neither delta nor cumulative")]
    NoTemporality,
    /// Older than the retention.
    #[error("time lies before the retention period")]
    TooOld,
    /// Ahead of the server's clock by more than [`MAX_AHEAD`].
    #[error("time lies more than 10 minutes in the future")]
    TooNew,
    /// A document of a bulk request that is no JSON object.
    #[error("document is no JSON object")]
    InvalidDocument,
    /// A document whose time cannot be read.
    #[error("@timestamp is neither an ISO 8601 date nor Unix milliseconds")]
    InvalidTime,
    /// An action of a bulk request that would change what is stored.
    #[error("only the actions index and create are supported: log records never change")]
    UnsupportedAction,
    /// A sample of a new series of a tenant that has as many as it may have.
    #[error("new series refused: the tenant has reached its limit of active series")]
    TooManySeries,
    /// A sample of a new series of a metric that has as many as it may have.
    #[error("new series refused: the metric has reached its limit of active series")]
    TooManySeriesOfMetric,
    /// A series without a `__name__`.
    #[error("series has no metric name")]
    NoMetricName,
    /// A series or exemplar with a label without a name.
    #[error("a label has a value but no name")]
    NamelessLabel,
    /// A series that has two values for one label.
    #[error("a label name occurs twice in a series")]
    DuplicateLabel,
    /// A series or exemplar whose labels are no text.
    #[error("a label's name or value is not UTF-8")]
    InvalidText,
    /// A series or exemplar that refers to strings which the request does not have.
    #[error("a label refers to a symbol that the request does not have")]
    UnknownSymbol,
    /// A native histogram that contradicts itself.
    #[error("native histogram is inconsistent (schema, spans, bucket counts or custom borders)")]
    InvalidHistogram,
}

impl RejectReason {
    /// Every reason, in the order of their codes.
    pub const ALL: [Self; 18] = [
        Self::InvalidTraceId,
        Self::InvalidSpanId,
        Self::TimeOutOfRange,
        Self::InvalidPoint,
        Self::NoTemporality,
        Self::TooOld,
        Self::TooNew,
        Self::InvalidDocument,
        Self::InvalidTime,
        Self::UnsupportedAction,
        Self::TooManySeries,
        Self::TooManySeriesOfMetric,
        Self::NoMetricName,
        Self::NamelessLabel,
        Self::DuplicateLabel,
        Self::InvalidText,
        Self::UnknownSymbol,
        Self::InvalidHistogram,
    ];

    /// The word for it in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidTraceId => "invalid_trace_id",
            Self::InvalidSpanId => "invalid_span_id",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::InvalidPoint => "invalid_point",
            Self::NoTemporality => "no_temporality",
            Self::TooOld => "too_old",
            Self::TooNew => "too_new",
            Self::InvalidDocument => "invalid_document",
            Self::InvalidTime => "invalid_time",
            Self::UnsupportedAction => "unsupported_action",
            Self::TooManySeries => "too_many_series",
            Self::TooManySeriesOfMetric => "too_many_series_of_metric",
            Self::NoMetricName => "no_metric_name",
            Self::NamelessLabel => "nameless_label",
            Self::DuplicateLabel => "duplicate_label",
            Self::InvalidText => "invalid_text",
            Self::UnknownSymbol => "unknown_symbol",
            Self::InvalidHistogram => "invalid_histogram",
        }
    }
}

/// One item that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// The item's index in the body.
    pub ordinal: u32,
    /// Why.
    pub reason: RejectReason,
}

/// The times that may be written: `oldest <= t <= newest`, Unix ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The oldest time.
    pub oldest: i64,
    /// The newest time.
    pub newest: i64,
}

impl Window {
    /// From `retention` ns before `now` to [`MAX_AHEAD`] after it.
    pub fn at(now: i64, retention: i64) -> Self {
        Self {
            oldest: now.saturating_sub(retention),
            newest: now.saturating_add(MAX_AHEAD),
        }
    }

    /// Why an item of this time (Unix ns) is refused; `None` when it is inside.
    pub fn refuse(&self, time: i64) -> Option<RejectReason> {
        if time < self.oldest {
            Some(RejectReason::TooOld)
        } else if time > self.newest {
            Some(RejectReason::TooNew)
        } else {
            None
        }
    }

    /// The items outside of the window, one entry an ordinal, in the order given.
    pub fn refused(&self, items: impl IntoIterator<Item = (u32, i64)>) -> Vec<Rejected> {
        let mut rejected: Vec<Rejected> = Vec::new();
        for (ordinal, time) in items {
            let Some(reason) = self.refuse(time) else {
                continue;
            };
            // A metric point has many samples, all of one time and next to each other.
            if rejected.last().is_none_or(|last| last.ordinal != ordinal) {
                rejected.push(Rejected { ordinal, reason });
            }
        }
        rejected
    }
}
