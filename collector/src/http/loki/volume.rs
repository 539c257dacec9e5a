//! How much there is: `index/stats`, `index/volume` and `index/volume_range`.

use std::time::Instant;

use ::query::logql::{self, Limits, VolumeRequest};
use axum::extract::{Request, State};
use axum::response::Response;

use super::evaluation::evaluate;
use super::{LokiError, json, params, query};
use crate::app::App;
use crate::clock;
use crate::http::params::{Params, invalid};

/// Volumes of an answer unless the request says otherwise.
const DEFAULT_VOLUMES: usize = 100;

/// `index/stats`: what a selector would have to read.
pub(super) async fn stats(State(app): State<App>, request: Request) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let range = params::query_range(&params, clock::now())?;
    let text = params.required("query")?.to_owned();
    let stats = evaluate(&app, &headers, range, async move |table| {
        logql::index_stats(&table, &text, range, Limits::default()).await
    })
    .await?;
    json(&stats)
}

/// `index/volume`: bytes by stream labels.
pub(super) async fn volume(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    volumes(&app, request, false).await
}

/// `index/volume_range`: the same over time.
pub(super) async fn volume_range(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    volumes(&app, request, true).await
}

async fn volumes(app: &App, request: Request, over_time: bool) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let started = Instant::now();
    let range = params::query_range(&params, clock::now())?;
    if let Some(by) = params.get("aggregateBy").filter(|by| *by != "series") {
        let message = format!("expected series, got {by:?}");
        return Err(invalid("aggregateBy", message).into());
    }
    let step = match over_time {
        true => Some(params::step(&params, range)?),
        false => None,
    };
    let limit = params::bounded(&params, "limit", DEFAULT_VOLUMES)?;
    let labels = params.get("targetLabels").unwrap_or_default().split(',');
    let labels = labels.map(str::trim).filter(|label| !label.is_empty());
    let labels: Vec<String> = labels.map(str::to_owned).collect();
    let text = params.required("query")?.to_owned();
    let outcome = evaluate(app, &headers, range, async move |table| {
        let request = VolumeRequest {
            query: &text,
            range,
            step,
            labels,
            limit,
        };
        logql::volume(&table, &request, Limits::default()).await
    })
    .await?;
    query::answer(&headers, &outcome, started)
}
