//! Why a query has no value.

use super::options::Limits;
use crate::source::SourceError;
use crate::span::Span;

/// Why a query has no value.
///
/// Messages are safe to show to whoever sent the query; [`EvalError::kind`] chooses the status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// The data and the query do not fit, as in a many-to-many match.
    #[error("{message}")]
    Execution {
        /// In Prometheus' words.
        message: String,
        /// The expression at fault.
        span: Span,
    },
    /// The arguments of the evaluation make no sense, as an end before the start.
    #[error("{0}")]
    BadRequest(String),
    /// More steps than allowed.
    #[error(
        "the query has {steps} steps, more than the {limit} allowed; use a larger step or a shorter range"
    )]
    TooManySteps {
        /// What the query asks for.
        steps: u64,
        /// The limit.
        limit: usize,
    },
    /// More samples than allowed, loaded or computed.
    #[error(
        "the query would hold more than {limit} samples in memory; narrow its selectors or its range, or use a larger step"
    )]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// More series than allowed.
    #[error("the query would load more than {limit} series; narrow its selectors")]
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// The caller raised the flag.
    #[error("the query was cancelled")]
    Cancelled,
    /// The source failed.
    #[error("{0}")]
    Source(SourceError),
}

/// What to do with an error: the HTTP status that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// 400: the request makes no sense.
    BadRequest,
    /// 422: the query cannot be answered as written.
    Execution,
    /// 422: the query is too large.
    Limit,
    /// 503: stopped, or the source cannot answer now.
    Unavailable,
    /// 500: stored data cannot be read.
    Internal,
}

impl EvalError {
    /// The error of a source that was asked for what was left of `limits`.
    pub(super) fn from_source(error: SourceError, limits: Limits) -> Self {
        match error {
            SourceError::TooManySeries { .. } => Self::TooManySeries {
                limit: limits.max_series,
            },
            SourceError::TooManySamples { .. } => Self::TooManySamples {
                limit: limits.max_samples,
            },
            other => Self::Source(other),
        }
    }

    pub(super) fn execution(span: Span, message: impl Into<String>) -> Self {
        Self::Execution {
            message: message.into(),
            span,
        }
    }

    /// Samples around a range are no help with histograms yet.
    pub(super) fn extended_histograms(span: Span) -> Self {
        let message = "smoothed and anchored modifiers do not work with native histograms";
        Self::execution(span, message)
    }

    /// What to do with it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::BadRequest(_) => ErrorKind::BadRequest,
            Self::Execution { .. } => ErrorKind::Execution,
            Self::TooManySteps { .. }
            | Self::TooManySamples { .. }
            | Self::TooManySeries { .. } => ErrorKind::Limit,
            Self::Cancelled => ErrorKind::Unavailable,
            Self::Source(SourceError::InvalidRegex { .. }) => ErrorKind::Execution,
            Self::Source(
                SourceError::TooManySeries { .. } | SourceError::TooManySamples { .. },
            ) => ErrorKind::Limit,
            Self::Source(SourceError::Unavailable(_)) => ErrorKind::Unavailable,
            Self::Source(SourceError::Corrupt(_)) => ErrorKind::Internal,
        }
    }

    /// Where in the query the fault lies, when it lies in one place.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Execution { span, .. } => Some(*span),
            _ => None,
        }
    }
}
