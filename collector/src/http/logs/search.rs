//! Log search and its histogram.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use model::TimeRange;
use model::time::{format_instant, parse_duration};
use serde::Deserialize;
use serde_json::json;
use store::{HistogramStep, LogHistogram, LogSearch, Order};

use super::{MAX_LIMIT, TimeText, between, range, records, stats};
use crate::app::{App, tenant};
use crate::http::ApiError;

/// Groups of a histogram that are told apart when the request does not say.
const DEFAULT_GROUPS: usize = 50;
/// The most of them.
const MAX_GROUPS: usize = 1_000;

/// `{start,end,query,limit,order,cursor}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    #[serde(default = "default_limit")]
    limit: usize,
    #[serde(default)]
    order: OrderName,
    cursor: Option<String>,
}

fn default_limit() -> usize {
    100
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OrderName {
    #[default]
    Newest,
    Oldest,
}

impl From<OrderName> for Order {
    fn from(name: OrderName) -> Self {
        match name {
            OrderName::Newest => Self::Newest,
            OrderName::Oldest => Self::Oldest,
        }
    }
}

/// `{start,end,query,buckets|step,by,groups}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistogramRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    buckets: Option<u32>,
    step: Option<String>,
    #[serde(default)]
    by: Vec<String>,
    #[serde(default = "default_groups")]
    groups: usize,
}

fn default_groups() -> usize {
    DEFAULT_GROUPS
}

/// Records that match, a page at a time.
pub(super) async fn search(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<SearchRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let search = LogSearch {
        range: range(&request.start, &request.end)?,
        query: request.query,
        limit: between("limit", request.limit, (1, MAX_LIMIT))?,
        order: request.order.into(),
        cursor: request.cursor,
    };
    let page = app
        .queries
        .run(None, app.store.search_logs(&tenant, search))
        .await??;
    Ok(Json(json!({
        "records": records(&page.records),
        "cursor": page.cursor,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}

/// Counts of matching records over time, by the values of any fields.
pub(super) async fn histogram(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<HistogramRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let range = range(&request.start, &request.end)?;
    let histogram = LogHistogram {
        range,
        query: request.query,
        step: step(request.buckets, request.step.as_deref(), range)?,
        by: request.by,
        groups: between("groups", request.groups, (1, MAX_GROUPS))?,
    };
    let page = app
        .queries
        .run(None, app.store.log_histogram(&tenant, histogram))
        .await??;
    let buckets: Vec<serde_json::Value> = page
        .buckets
        .iter()
        .map(|bucket| {
            let start = format_instant(bucket.start);
            json!({"start": start, "counts": bucket.counts, "other": bucket.other})
        })
        .collect();
    Ok(Json(json!({
        "step_ms": page.step.as_millis() as u64,
        "buckets": buckets,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}

fn step(
    buckets: Option<u32>,
    step: Option<&str>,
    range: TimeRange,
) -> Result<HistogramStep, ApiError> {
    match (buckets, step) {
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "give either \"buckets\" or \"step\", not both",
        )),
        (None, None) => Ok(HistogramStep::Buckets(60)),
        (Some(count), None) if count == 0 || count as usize > MAX_LIMIT => {
            Err(ApiError::bad_request(format!(
                "buckets must be between 1 and {MAX_LIMIT}; got {count}"
            )))
        }
        (Some(count), None) => Ok(HistogramStep::Buckets(count)),
        (None, Some(text)) => {
            let nanos = parse_duration(text)?;
            let span = range.end.saturating_sub(range.start);
            if nanos < 1_000_000 || span / nanos > MAX_LIMIT as i64 {
                return Err(ApiError::bad_request(format!(
                    "a step of {text:?} must be at least 1ms and divide the range into at most {MAX_LIMIT} buckets"
                )));
            }
            Ok(HistogramStep::Width(Duration::from_nanos(
                nanos.unsigned_abs(),
            )))
        }
    }
}
