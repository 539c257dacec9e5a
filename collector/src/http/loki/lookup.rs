//! What labels and streams there are.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use model::{Labels, TimeRange};
use query::logql;
use serde::Serialize;
use store::scan::SnapshotLogs;

use super::{LokiError, json as answer, params};
use crate::app::{App, tenant};
use crate::clock;
use crate::http::params::Params;

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

async fn table(
    app: &App,
    headers: &HeaderMap,
    range: TimeRange,
) -> Result<SnapshotLogs, LokiError> {
    let tenant = tenant(headers)?;
    Ok(app.logs(&tenant, range).await?)
}

/// `labels`: the names of stream labels.
pub(super) async fn labels(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::lookup_range(&params, clock::now())?;
    let table = table(&app, &headers, range).await?;
    let names = app
        .queries
        .run(None, logql::label_names(&table, params.get("query"), range))
        .await??;
    answer(&Found::new(names))
}

/// `label/{name}/values`: the values of a stream label; none for any other name.
pub(super) async fn label_values(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::lookup_range(&params, clock::now())?;
    let table = table(&app, &headers, range).await?;
    let values = app
        .queries
        .run(
            None,
            logql::label_values(&table, &name, params.get("query"), range),
        )
        .await??;
    answer(&Found::new(values))
}

/// `series`: the streams that match any of the selectors.
pub(super) async fn series(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::lookup_range(&params, clock::now())?;
    let selectors: Vec<&str> = params.all("match[]").chain(params.all("match")).collect();
    let table = table(&app, &headers, range).await?;
    let streams = app
        .queries
        .run(None, logql::series(&table, &selectors, range))
        .await??;
    let streams: Vec<BTreeMap<&str, &str>> = streams
        .iter()
        .map(|labels: &Labels| labels.iter().collect())
        .collect();
    answer(&Found::new(streams))
}
