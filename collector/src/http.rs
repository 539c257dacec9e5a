//! The main HTTP port: query APIs, administration, the web UI, and telemetry in: OTLP under
//! `/otlp`, Prometheus remote write, Loki push, Elasticsearch's `_bulk`.

mod admin;
mod error;
mod logs;
mod loki;
mod params;
mod prometheus;
mod record_json;
mod request_id;
mod sql;
mod storage;
mod traces;
mod ui;

use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::app::App;
use crate::receivers::{elasticsearch, loki_push, otlp_http, remote_write};
use crate::self_metrics;

pub(crate) use error::ApiError;

/// The largest body of a query: a form or JSON with one expression.
const QUERY_BODY_BYTES: usize = 1 << 20;

/// Everything on the main port.
pub(crate) fn routes(app: App) -> Router {
    let queries = Router::new()
        .nest("/api/v1/logs", logs::routes())
        .route("/api/v1/traces/{id}", get(traces::trace))
        .route("/api/v1/sql", post(sql::sql))
        .route("/api/v1/storage", get(storage::storage))
        .merge(prometheus::routes())
        .nest("/prometheus", prometheus::routes())
        .nest("/loki/api/v1", loki::routes())
        .layer(CompressionLayer::new())
        .layer(DefaultBodyLimit::max(QUERY_BODY_BYTES));
    Router::new()
        .route("/-/healthy", get(admin::healthy))
        .route("/-/ready", get(admin::ready))
        .route("/-/flush", post(admin::flush))
        .route("/metrics", get(admin::metrics))
        .merge(queries)
        .nest("/otlp", otlp_http::routes())
        .merge(remote_write::routes())
        .merge(loki_push::routes())
        .merge(elasticsearch::routes())
        .merge(ui::routes())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(error::render))
        .layer(middleware::from_fn(measure))
        .layer(middleware::from_fn(request_id::assign))
        .with_state(app)
}

/// OTLP's own port.
pub(crate) fn otlp_routes(app: App) -> Router {
    otlp_http::routes()
        .fallback(not_found)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(error::render))
        .layer(middleware::from_fn(measure))
        .layer(middleware::from_fn(request_id::assign))
        .with_state(app)
}

/// The words matter: Grafana looks for them when it probes for features.
async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "404 page not found").into_response()
}

async fn method_not_allowed(request: Request) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!(
            "{} is not allowed on {}",
            request.method(),
            request.uri().path()
        ),
    )
}

/// A bug in a handler ends one request, not the server.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = message, "a request handler panicked");
    ApiError::internal("the request met a bug in the server; its log has the details")
        .into_response()
}

/// Counts every request in our own metrics, by route rather than by path.
async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    // What else a client makes up must not make series.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => {
            known.to_owned()
        }
        _ => "other".to_owned(),
    };
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    metrics::histogram!(self_metrics::HTTP_SECONDS, "route" => route, "method" => method, "status" => status)
        .record(started.elapsed().as_secs_f64());
    response
}

/// A JSON answer from text that is already JSON.
fn json_text(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
