//! Errors in Prometheus' JSON, with the statuses that its clients expect.

use axum::extract::rejection::PathRejection;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use model::tenant::InvalidTenant;
use promql::{ErrorKind, EvalError, ParseError, SourceError};
use store::{QueryError, Store};
use tokio::task::JoinError;

use super::sample_json::push_text;
use crate::http::json_text;
use crate::http::params::BadParams;
use crate::query_cost::TimedOut;

/// An error in Prometheus' form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PromError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl PromError {
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "bad_data",
            message: message.into(),
        }
    }

    fn execution(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "execution",
            message: message.into(),
        }
    }

    fn unavailable(kind: &'static str, message: String) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind,
            message,
        }
    }

    /// Grafana shows no other status than 400, 422 and 503 properly, so a bug is a 422 as well.
    pub(super) fn internal(message: String) -> Self {
        tracing::error!(error = message, "a Prometheus query failed");
        Self::execution(message)
    }

    /// Where the server still has to catch up.
    pub(super) fn not_ready(progress: &str) -> Self {
        Self::unavailable(
            "unavailable",
            format!("the server is not ready: {progress}"),
        )
    }

    /// Whether queries find everything by now.
    pub(super) fn check_ready(store: &Store) -> Result<(), Self> {
        let readiness = store.ready();
        match readiness.is_ready() {
            true => Ok(()),
            false => Err(Self::not_ready(&readiness.to_string())),
        }
    }

    /// A computation that ended without an answer: by a bug, or because the server stops.
    pub(super) fn ended(err: &JoinError) -> Self {
        if err.is_panic() {
            return Self::execution("the query met a bug in the server; its log has the details");
        }
        Self::unavailable("unavailable", "the server is stopping".to_owned())
    }

    /// Nobody waits for the answer any more. The status is nginx', as Prometheus has it.
    fn canceled(message: String) -> Self {
        Self {
            status: StatusCode::from_u16(499).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
            kind: "canceled",
            message,
        }
    }

    /// The sentence, for answers that are no JSON.
    pub(super) fn into_text(self) -> Response {
        retried(self.status, (self.status, self.message).into_response())
    }
}

impl From<PathRejection> for PromError {
    fn from(err: PathRejection) -> Self {
        Self::bad_data(format!("invalid path: {}", err.body_text()))
    }
}

impl From<BadParams> for PromError {
    fn from(err: BadParams) -> Self {
        Self::bad_data(err.0)
    }
}

impl From<InvalidTenant> for PromError {
    fn from(err: InvalidTenant) -> Self {
        Self::bad_data(err.to_string())
    }
}

impl From<TimedOut> for PromError {
    fn from(TimedOut(timeout): TimedOut) -> Self {
        let seconds = timeout.as_secs_f64();
        Self::unavailable("timeout", format!("query timed out after {seconds} s"))
    }
}

impl From<QueryError> for PromError {
    fn from(err: QueryError) -> Self {
        let message = err.to_string();
        match err {
            QueryError::Invalid { .. } => Self::bad_data(message),
            QueryError::Timeout(_) => Self::unavailable("timeout", message),
            QueryError::LimitExceeded(_) => Self::execution(message),
            QueryError::NotReady(_) => Self::not_ready(&message),
            QueryError::Store(_) | QueryError::Internal(_) => Self::internal(message),
        }
    }
}

impl From<ParseError> for PromError {
    fn from(err: ParseError) -> Self {
        Self::bad_data(format!("invalid parameter \"query\": {err}"))
    }
}

impl From<EvalError> for PromError {
    fn from(err: EvalError) -> Self {
        let message = err.to_string();
        match err.kind() {
            // Prometheus finds a bad expression in a matcher while it parses.
            _ if is_bad_regex(&err) => Self::bad_data(message),
            _ if err == EvalError::Cancelled => Self::canceled(message),
            ErrorKind::BadRequest => Self::bad_data(message),
            ErrorKind::Execution | ErrorKind::Limit => Self::execution(message),
            ErrorKind::Unavailable => Self::unavailable("unavailable", message),
            ErrorKind::Internal => Self::internal(message),
        }
    }
}

fn is_bad_regex(err: &EvalError) -> bool {
    matches!(err, EvalError::Source(SourceError::InvalidRegex { .. }))
}

impl From<SourceError> for PromError {
    fn from(err: SourceError) -> Self {
        EvalError::Source(err).into()
    }
}

impl IntoResponse for PromError {
    fn into_response(self) -> Response {
        let mut body = format!(r#"{{"status":"error","errorType":"{}","error":"#, self.kind);
        push_text(&mut body, &self.message);
        body.push('}');
        retried(self.status, json_text(self.status, body))
    }
}

/// The response, with a word about when to ask again where that may help.
fn retried(status: StatusCode, mut response: Response) -> Response {
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, 2.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_error_has_prometheus_status_and_kind() {
        let timeout = TimedOut(Duration::from_millis(1_500));
        let too_many = EvalError::TooManySamples { limit: 5 };
        let regex = SourceError::InvalidRegex {
            pattern: "(".to_owned(),
            reason: "unclosed group".to_owned(),
        };
        let damaged = SourceError::Corrupt("a chunk".to_owned());
        for (error, status, kind) in [
            (BadParams("x".to_owned()).into(), 400, "bad_data"),
            (
                EvalError::BadRequest("x".to_owned()).into(),
                400,
                "bad_data",
            ),
            (regex.into(), 400, "bad_data"),
            (too_many.into(), 422, "execution"),
            (damaged.into(), 422, "execution"),
            (EvalError::Cancelled.into(), 499, "canceled"),
            (timeout.into(), 503, "timeout"),
            (PromError::not_ready("x"), 503, "unavailable"),
        ] {
            let found = (error.status.as_u16(), error.kind);
            assert_eq!(found, (status, kind), "{error:?}");
        }
    }
}
