//! The HTTP server: routes, the order of their layers, and a stop that lets requests finish.

use std::any::Any;
use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::warn;

use crate::config::Secret;
use crate::database::Database;
use crate::error::{ApiError, InternalError};
use crate::faults::FaultSwitches;
use crate::instruments::{self, Instruments};
use crate::replication::Replication;
use crate::token::Tokens;
use crate::{accounts, faults, request, tasks};

/// Requests still running this long after the stop signal are cut off.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// What handlers work with; cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) database: Database,
    pub(crate) replication: Replication,
    pub(crate) instruments: Instruments,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) faults: FaultSwitches,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) prometheus: PrometheusHandle,
}

/// All routes. Probes and scrapes are outside the observed part: they are not traffic.
pub(crate) fn routes(app: App) -> Router {
    let api = Router::new()
        .route("/register", post(accounts::register))
        .route("/login", post(accounts::login))
        .route("/tasks", get(tasks::list).post(tasks::create))
        .route(
            "/tasks/{id}",
            get(tasks::get).patch(tasks::change).delete(tasks::delete),
        )
        .route_layer(middleware::from_fn_with_state(
            app.faults.clone(),
            faults::inject,
        ));
    let observed = Router::new()
        .nest("/api/v1", api)
        .route("/admin/faults", get(faults::show).post(faults::switch))
        .fallback(unknown_path)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(
            app.instruments.clone(),
            request::observe,
        ));
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .merge(observed)
        .with_state(app)
}

/// Serves until `stop`, then lets running requests finish for [`DRAIN_DEADLINE`].
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let server = axum::serve(listener, routes)
        .with_graceful_shutdown(stop.clone().cancelled_owned())
        .into_future();
    let deadline = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_DEADLINE).await;
    };
    tokio::select! {
        result = server => result.context("serve HTTP"),
        () = deadline => {
            warn!(deadline_s = DRAIN_DEADLINE.as_secs(), "requests cut off at shutdown");
            Ok(())
        }
    }
}

/// `GET /healthz`: 200 while the primary answers, else 503 with the reason's kind.
async fn health(State(app): State<App>) -> Response {
    match app.database.ping().await {
        Ok(()) => Json(json!({"status": "ok"})).into_response(),
        Err(error) => {
            warn!(exception.message = %error, "health check failed");
            let body = json!({"status": "unavailable", "reason": error.kind()});
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// `GET /metrics` in Prometheus' text form.
async fn metrics(State(app): State<App>) -> impl IntoResponse {
    instruments::publish_pools(&app.database.pool_use());
    if let Some(lag) = app.replication.lag_at(Timestamp::now()) {
        instruments::publish_lag(&lag);
    }
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        app.prometheus.render(),
    )
}

async fn unknown_path() -> ApiError {
    ApiError::NotFound("path")
}

fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let message = payload.downcast_ref::<String>().cloned().or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
    });
    let message = message.unwrap_or_else(|| "no message".to_owned());
    ApiError::from(InternalError::Panic(message)).into_response()
}
