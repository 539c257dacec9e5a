//! Log search and its histogram.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use model::TimeRange;
use model::time::{format_instant, parse_duration, parse_instant};
use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use store::{HistogramStep, LogHistogram, LogSearch, Order, SearchStats};

use super::ApiError;
use super::record_json::RecordJson;
use crate::app::{App, tenant};
use crate::clock;

/// The most records of one page, and the most buckets of one histogram.
const MAX_LIMIT: usize = 10_000;

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
enum OrderName {
    #[default]
    Newest,
    Oldest,
}

/// `{start,end,query,buckets|step,by}`.
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
}

/// An instant in any native form, as a string or a bare number.
#[derive(Debug)]
struct TimeText(String);

impl<'de> Deserialize<'de> for TimeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Ok(Self(text)),
            serde_json::Value::Number(number) => Ok(Self(number.to_string())),
            other => Err(de::Error::custom(format!(
                "expected a time as a string or number, got {other}"
            ))),
        }
    }
}

fn range(start: &TimeText, end: &TimeText) -> Result<TimeRange, ApiError> {
    let now = clock::now();
    let range = TimeRange::new(parse_instant(&start.0, now)?, parse_instant(&end.0, now)?);
    if range.end < range.start {
        return Err(ApiError::bad_request(format!(
            "the end {:?} lies before the start {:?}",
            end.0, start.0
        )));
    }
    Ok(range)
}

/// Records that match, a page at a time.
pub(super) async fn search(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<SearchRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    if request.limit == 0 || request.limit > MAX_LIMIT {
        return Err(ApiError::bad_request(format!(
            "limit must be between 1 and {MAX_LIMIT}; got {}",
            request.limit
        )));
    }
    let search = LogSearch {
        range: range(&request.start, &request.end)?,
        query: request.query,
        limit: request.limit,
        order: match request.order {
            OrderName::Newest => Order::Newest,
            OrderName::Oldest => Order::Oldest,
        },
        cursor: request.cursor,
    };
    let page = app
        .queries
        .run(None, app.store.search_logs(&tenant, search))
        .await??;
    let records: Vec<RecordJson> = page
        .records
        .iter()
        .map(|found| RecordJson::new(found.seq, &found.record))
        .collect();
    Ok(Json(json!({
        "records": records,
        "cursor": page.cursor,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}

/// Counts of matching records over time.
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
    };
    let page = app
        .queries
        .run(None, app.store.log_histogram(&tenant, histogram))
        .await??;
    let buckets: Vec<serde_json::Value> = page
        .buckets
        .iter()
        .map(|bucket| json!({"start": format_instant(bucket.start), "counts": bucket.counts}))
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

fn stats(stats: &SearchStats) -> serde_json::Value {
    json!({
        "splits": stats.splits,
        "blocks_total": stats.blocks_total,
        "blocks_scanned": stats.blocks_scanned,
        "rows_scanned": stats.rows_scanned,
        "elapsed_ms": stats.elapsed.as_secs_f64() * 1_000.0,
    })
}
