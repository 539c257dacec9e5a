//! What operators and orchestrators ask: health, readiness, metrics, flush.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{ApiError, json_text};
use crate::app::App;

/// The process lives.
pub(super) async fn healthy() -> &'static str {
    "Watchkeeper is healthy.\n"
}

/// Whether requests and queries are served; 503 with the progress while the log is replayed.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let readiness = app.store.ready();
    let status = if readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, format!("{readiness}\n")).into_response()
}

/// Our own metrics in Prometheus' text format.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    // Histograms are gathered when they are read.
    app.metrics.run_upkeep();
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, content_type)], app.metrics.render()).into_response()
}

/// Seals every head; answers when all of it is published.
pub(super) async fn flush(State(app): State<App>) -> Result<Response, ApiError> {
    match app.store.flush().await {
        Ok(()) => Ok(json_text(
            StatusCode::OK,
            json!({"status": "flushed"}).to_string(),
        )),
        Err(err) => {
            tracing::error!(error = %err, "flush failed");
            Err(ApiError::internal(format!("flush failed: {err}")))
        }
    }
}
