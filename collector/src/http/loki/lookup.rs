//! What labels, streams and fields there are.

use std::collections::BTreeMap;

use ::query::logql::{self, DetectedField, Limits, RangeRequest};
use axum::extract::{Path, Request, State};
use axum::response::Response;
use model::{Labels, TimeRange};
use serde::Serialize;

use super::evaluation::evaluate;
use super::{LokiError, json, params};
use crate::app::App;
use crate::clock;
use crate::http::params::Params;

/// Fields and values that an answer has unless the request says otherwise.
const DEFAULT_FIELDS: usize = 1_000;
/// Lines in which fields are looked for unless the request says otherwise.
const DEFAULT_LINES: usize = 1_000;

/// Patterns of an answer.
const MAX_PATTERNS: usize = 300;

/// The body of an answer; Grafana wants `status` before `data`.
#[derive(Serialize)]
struct Found<T> {
    status: &'static str,
    data: Vec<T>,
}

impl<T> Found<T> {
    fn new(data: Vec<T>) -> Self {
        Self {
            status: "success",
            data,
        }
    }
}

/// `labels`: the names of stream labels.
pub(super) async fn labels(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::lookup_range(&params, clock::now())?;
    let query = params.get("query").map(str::to_owned);
    let names = evaluate(&app, &headers, range, async move |table| {
        logql::label_names(&table, query.as_deref(), range).await
    })
    .await?;
    json(&Found::new(names))
}

/// `label/{name}/values`: the values of a stream label; none for any other name.
pub(super) async fn label_values(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::lookup_range(&params, clock::now())?;
    let query = params.get("query").map(str::to_owned);
    let values = evaluate(&app, &headers, range, async move |table| {
        logql::label_values(&table, &name, query.as_deref(), range).await
    })
    .await?;
    json(&Found::new(values))
}

/// `series`: the streams that match any of the selectors.
pub(super) async fn series(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::lookup_range(&params, clock::now())?;
    let selectors = params.all("match[]").chain(params.all("match"));
    let selectors: Vec<String> = selectors.map(str::to_owned).collect();
    let streams = evaluate(&app, &headers, range, async move |table| {
        let selectors: Vec<&str> = selectors.iter().map(String::as_str).collect();
        logql::series(&table, &selectors, range).await
    })
    .await?;
    let streams: Vec<BTreeMap<&str, &str>> = streams
        .iter()
        .map(|labels: &Labels| labels.iter().collect())
        .collect();
    json(&Found::new(streams))
}

/// The body of `detected_labels`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetectedLabels {
    detected_labels: Vec<DetectedLabel>,
}

#[derive(Serialize)]
struct DetectedLabel {
    label: String,
    cardinality: usize,
}

/// `detected_labels`: the stream labels, and how many values each has.
pub(super) async fn detected_labels(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::query_range(&params, clock::now())?;
    let query = params.get("query").map(str::to_owned);
    let labels = evaluate(&app, &headers, range, async move |table| {
        logql::detected_labels(&table, query.as_deref(), range).await
    })
    .await?;
    json(&DetectedLabels {
        detected_labels: labels
            .into_iter()
            .map(|(label, cardinality)| DetectedLabel { label, cardinality })
            .collect(),
    })
}

/// The body of `detected_fields`.
#[derive(Serialize)]
struct Fields {
    fields: Vec<DetectedField>,
    limit: usize,
}

/// `detected_fields`: what the newest lines of a query hold.
pub(super) async fn detected_fields(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let (sample, limit) = sample(&params)?;
    let query = params.required("query")?.to_owned();
    let range = TimeRange::new(sample.start, sample.end);
    let fields = evaluate(&app, &headers, range, async move |table| {
        logql::detected_fields(&table, &query, sample, limit, Limits::default()).await
    })
    .await?;
    json(&Fields { fields, limit })
}

/// The body of `detected_field/{name}/values`.
#[derive(Serialize)]
struct FieldValues {
    values: Vec<String>,
    limit: usize,
}

/// `detected_field/{name}/values`: the values of one field in the newest lines of a query.
pub(super) async fn detected_values(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let (sample, limit) = sample(&params)?;
    let query = params.required("query")?.to_owned();
    let range = TimeRange::new(sample.start, sample.end);
    let values = evaluate(&app, &headers, range, async move |table| {
        logql::detected_values(&table, &name, &query, sample, limit, Limits::default()).await
    })
    .await?;
    json(&FieldValues { values, limit })
}

/// `patterns`: what like lines have in common, and how often they occur.
pub(super) async fn patterns(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::query_range(&params, clock::now())?;
    let step = params::step(&params, range)?;
    let query = params.required("query")?.to_owned();
    let found = evaluate(&app, &headers, range, async move |table| {
        logql::patterns(&table, &query, range, step, MAX_PATTERNS, Limits::default()).await
    })
    .await?;
    json(&Found::new(found))
}

/// The lines in which fields are looked for, and how many the answer may have.
fn sample(params: &Params) -> Result<(RangeRequest, usize), LokiError> {
    let range = params::query_range(params, clock::now())?;
    let lines = params::bounded(params, "line_limit", DEFAULT_LINES)?;
    let limit = params::bounded(params, "limit", DEFAULT_FIELDS)?;
    let request = RangeRequest {
        start: range.start,
        end: range.end,
        step: 1,
        limit: lines,
        direction: params::direction(params)?,
    };
    Ok((request, limit))
}
