//! Prometheus' HTTP API, at the root and under `/prometheus`.
//!
//! Grafana reads these answers as a stream, so the order of keys is part of the contract:
//! `status`, then `data` with `resultType` before `result`, then `warnings` and `infos`. Errors
//! are 400 `bad_data`, 422 `execution`, 499 `canceled` or 503 `timeout`/`unavailable`, all in
//! JSON. `docs/prometheus-api.md` lists everything.

mod answer;
mod error;
mod exemplars;
mod federate;
mod lookup;
mod name_escape;
mod query;
mod rules;
mod sample_json;
mod status;
mod syntax;
mod syntax_tree;
mod targets;
mod time;

use axum::Router;
use axum::routing::get;

use crate::app::App;

/// `/api/v1/…` and `/federate`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .nest("/api/v1", api())
        .route("/federate", get(federate::federate))
}

fn api() -> Router<App> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route(
            "/query_exemplars",
            get(exemplars::exemplars).post(exemplars::exemplars),
        )
        .route("/format_query", get(syntax::format).post(syntax::format))
        .route("/parse_query", get(syntax::parse).post(syntax::parse))
        .route("/labels", get(lookup::labels).post(lookup::labels))
        .route("/label/{name}/values", get(lookup::label_values))
        .route("/series", get(lookup::series).post(lookup::series))
        .route("/metadata", get(lookup::metadata))
        .route("/status/buildinfo", get(status::buildinfo))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/runtimeinfo", get(status::runtimeinfo))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/walreplay", get(status::walreplay))
        .route("/alertmanagers", get(status::alertmanagers))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/targets", get(targets::targets))
        .route("/scrape_pools", get(targets::scrape_pools))
}
