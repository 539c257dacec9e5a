//! The native logs API: `docs/logs-api.md` describes it to its users.
//!
//! Requests share how they name a time range and a query; answers share `partial`, `warnings` and
//! `stats`. Every query takes a turn at the gate ([`crate::query_cost`]); a tail takes none and an
//! export one for each piece that it reads, so neither keeps queries waiting.

mod context;
mod csv;
mod export;
mod facets;
mod fields;
mod patterns;
mod search;
mod tail;

use axum::Router;
use axum::routing::{get, post};
use model::TimeRange;
use model::time::parse_instant;
use serde::{Deserialize, Deserializer, de};
use serde_json::json;
use store::{FoundRecord, SearchStats};

use super::ApiError;
use super::record_json::RecordJson;
use crate::app::App;
use crate::clock;

/// The most records of one page, buckets of one histogram, values of one facet.
const MAX_LIMIT: usize = 10_000;

/// Everything under `/api/v1/logs`.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/search", post(search::search))
        .route("/histogram", post(search::histogram))
        .route("/facets", post(facets::facets))
        .route("/fields", post(fields::fields))
        .route("/values", post(fields::values))
        .route("/context", post(context::context))
        .route("/patterns", post(patterns::patterns))
        .route("/export", get(export::export).post(export::export))
        .route("/tail", get(tail::tail))
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

/// Checks a number that a request gives against its bounds.
fn between(name: &str, value: usize, (least, most): (usize, usize)) -> Result<usize, ApiError> {
    if value < least || value > most {
        return Err(ApiError::bad_request(format!(
            "{name} must be between {least} and {most}; got {value}"
        )));
    }
    Ok(value)
}

fn records(found: &[FoundRecord]) -> Vec<RecordJson> {
    found
        .iter()
        .map(|found| RecordJson::new(found.seq, &found.record))
        .collect()
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
