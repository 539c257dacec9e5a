//! Prometheus' HTTP API, at the root and under `/prometheus`.
//!
//! Grafana reads these answers as a stream, so the order of keys is part of the contract:
//! `status`, then `data` with `resultType` before `result`, then `warnings` and `infos`. Errors
//! are 400 `bad_data`, 422 `execution` or 503 `timeout`/`unavailable`, all in JSON.

mod answer;
mod lookup;
mod name_escape;
mod query;
mod rules;
mod targets;
mod time;

use axum::Router;
use axum::routing::get;

use crate::app::App;

/// Everything below `/api/v1`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route(
            "/query_exemplars",
            get(query::exemplars).post(query::exemplars),
        )
        .route("/labels", get(lookup::labels).post(lookup::labels))
        .route("/label/{name}/values", get(lookup::label_values))
        .route("/series", get(lookup::series).post(lookup::series))
        .route("/metadata", get(lookup::metadata))
        .route("/status/buildinfo", get(lookup::buildinfo))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/targets", get(targets::targets))
        .route("/scrape_pools", get(targets::scrape_pools))
}
