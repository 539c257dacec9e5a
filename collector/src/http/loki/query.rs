//! `query_range`, `query` and `format_query`.

use std::time::Instant;

use ::query::logql::{self, Limits, QueryResponse, RangeRequest};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use model::TimeRange;
use serde::Serialize;

use super::evaluation::evaluate;
use super::{LokiError, json, params};
use crate::app::App;
use crate::clock;
use crate::http::params::Params;

const ENCODING_FLAGS: &str = "x-loki-response-encoding-flags";

/// `query_range`: lines, or a matrix.
pub(super) async fn range(State(app): State<App>, request: Request) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    params::refuse_unsupported(&params)?;
    let started = Instant::now();
    let range = params::query_range(&params, clock::now())?;
    let request = RangeRequest {
        start: range.start,
        end: range.end,
        step: params::step(&params, range)?,
        limit: params::limit(&params)?,
        direction: params::direction(&params)?,
    };
    let text = params.required("query")?.to_owned();
    let outcome = evaluate(&app, &headers, TimeRange::ALL, async move |table| {
        logql::query_range(&table, &text, request, Limits::default()).await
    })
    .await?;
    answer(&headers, &outcome, started)
}

/// `query`: a vector or a scalar.
pub(super) async fn instant(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let started = Instant::now();
    let time = params::instant(&params, "time")?.unwrap_or_else(clock::now);
    params::limit(&params)?;
    params::direction(&params)?;
    let text = params.required("query")?.to_owned();
    let outcome = evaluate(&app, &headers, TimeRange::ALL, async move |table| {
        logql::query_instant(&table, &text, time, Limits::default()).await
    })
    .await?;
    answer(&headers, &outcome, started)
}

pub(super) fn answer(
    headers: &HeaderMap,
    outcome: &logql::Outcome,
    started: Instant,
) -> Result<Response, LokiError> {
    json(&QueryResponse {
        answer: &outcome.answer,
        categorize_labels: categorize_labels(headers),
        stats: outcome.stats,
        elapsed: started.elapsed(),
    })
}

/// Whether the client wants labels by their origin.
pub(super) fn categorize_labels(headers: &HeaderMap) -> bool {
    headers.get_all(ENCODING_FLAGS).iter().any(|value| {
        value.to_str().is_ok_and(|flags| {
            flags
                .split(',')
                .any(|flag| flag.trim() == "categorize-labels")
        })
    })
}

/// The body of `format_query`.
#[derive(Serialize)]
struct Formatted {
    status: &'static str,
    data: String,
}

/// `format_query`: the query as we write it.
pub(super) async fn format(request: Request) -> Result<Response, LokiError> {
    let (_, params) = Params::read(request).await?;
    json(&Formatted {
        status: "success",
        data: logql::format_query(params.required("query")?)?,
    })
}
