//! Loki's query API at the root, in the forms that Grafana's data source reads.
//!
//! Errors are plain text. With `categorize-labels` in the request's header every value has three
//! elements, without it two; `query` writes both.

mod about;
mod evaluation;
mod lookup;
mod params;
mod query;
mod tail;
mod volume;

use ::query::logql::LogQlError;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use datafusion::common::DataFusionError;
use model::tenant::InvalidTenant;
use store::QueryError;

use super::params::BadParams;
use super::{ApiError, json_text};
use crate::app::App;
use crate::query_cost::TimedOut;

/// Everything below `/loki/api/v1`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/format_query", get(query::format).post(query::format))
        .route("/labels", get(lookup::labels).post(lookup::labels))
        .route("/label", get(lookup::labels).post(lookup::labels))
        .route("/label/{name}/values", get(lookup::label_values))
        .route("/series", get(lookup::series).post(lookup::series))
        .route("/index/stats", get(volume::stats).post(volume::stats))
        .route("/index/volume", get(volume::volume).post(volume::volume))
        .route(
            "/index/volume_range",
            get(volume::volume_range).post(volume::volume_range),
        )
        .route(
            "/detected_labels",
            get(lookup::detected_labels).post(lookup::detected_labels),
        )
        .route(
            "/detected_fields",
            get(lookup::detected_fields).post(lookup::detected_fields),
        )
        .route(
            "/detected_field/{name}/values",
            get(lookup::detected_values).post(lookup::detected_values),
        )
        .route("/patterns", get(lookup::patterns).post(lookup::patterns))
        .route("/tail", get(tail::tail))
        .route("/drilldown-limits", get(about::drilldown_limits))
        .route("/status/buildinfo", get(about::build_info))
}

/// Why a request has no answer, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LokiError {
    status: StatusCode,
    message: String,
}

impl LokiError {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}

impl IntoResponse for LokiError {
    fn into_response(self) -> Response {
        (self.status, self.message).into_response()
    }
}

impl From<BadParams> for LokiError {
    fn from(err: BadParams) -> Self {
        Self::bad_request(err.0)
    }
}

impl From<InvalidTenant> for LokiError {
    fn from(err: InvalidTenant) -> Self {
        Self::bad_request(err.to_string())
    }
}

impl From<TimedOut> for LokiError {
    fn from(err: TimedOut) -> Self {
        // Grafana splits a query and tries again when the text speaks of a timeout.
        let TimedOut(timeout) = err;
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            format!("query timed out after {} s", timeout.as_secs_f64()),
        )
    }
}

impl From<QueryError> for LokiError {
    fn from(err: QueryError) -> Self {
        let err = ApiError::from(err);
        Self::new(err.status(), err.message())
    }
}

impl From<LogQlError> for LokiError {
    fn from(err: LogQlError) -> Self {
        match err {
            LogQlError::Syntax { .. } | LogQlError::Invalid(_) | LogQlError::LimitExceeded(_) => {
                Self::bad_request(err.to_string())
            }
            LogQlError::Execution(err) => execution(&err),
        }
    }
}

/// What the table said: a bound that was met, our fault, or the query's.
fn execution(err: &DataFusionError) -> LokiError {
    let root = err.find_root();
    match root {
        DataFusionError::ResourcesExhausted(message) => LokiError::bad_request(message),
        DataFusionError::External(_) | DataFusionError::Internal(_) => {
            tracing::error!(error = %err, "a LogQL query failed");
            LokiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the query failed inside the server; its log has the details",
            )
        }
        other => LokiError::bad_request(other.strip_backtrace()),
    }
}

fn json(body: &impl serde::Serialize) -> Result<Response, LokiError> {
    match serde_json::to_string(body) {
        Ok(text) => Ok(json_text(StatusCode::OK, text)),
        Err(err) => {
            tracing::error!(error = %err, "a LogQL answer could not be printed");
            Err(LokiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the answer could not be printed",
            ))
        }
    }
}
