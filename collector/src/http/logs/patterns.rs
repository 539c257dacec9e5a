//! Patterns of log messages, and how they differ between two time ranges.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use model::time::format_instant;
use serde::Deserialize;
use serde_json::{Map, Value as JsonValue, json};
use store::{Change, LogPattern, LogPatterns};

use super::{TimeText, between, range, records, stats};
use crate::app::{App, tenant};
use crate::http::ApiError;

/// The most patterns of one answer.
const MAX_PATTERNS: usize = 1_000;

/// `{start,end,query,limit,compare:{start,end}}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternsRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    #[serde(default = "default_limit")]
    limit: usize,
    compare: Option<Compared>,
}

/// The range that patterns are compared with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compared {
    start: TimeText,
    end: TimeText,
}

fn default_limit() -> usize {
    50
}

/// Clusters of like messages.
pub(super) async fn patterns(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<PatternsRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let compare = request.compare.as_ref();
    let patterns = LogPatterns {
        range: range(&request.start, &request.end)?,
        query: request.query,
        limit: between("limit", request.limit, (1, MAX_PATTERNS))?,
        compare: compare
            .map(|compared| range(&compared.start, &compared.end))
            .transpose()?,
    };
    let page = app
        .queries
        .run(None, app.store.log_patterns(&tenant, patterns))
        .await??;
    Ok(Json(json!({
        "patterns": page.patterns.iter().map(pattern).collect::<Vec<_>>(),
        "distinct": page.distinct.to_string(),
        "records": page.records.to_string(),
        "baseline_records": page.baseline_records.map(|records| records.to_string()),
        "sampled": page.sampled,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}

fn pattern(pattern: &LogPattern) -> JsonValue {
    let severity: Map<String, JsonValue> = pattern
        .severity
        .iter()
        .map(|(name, count)| ((*name).to_owned(), count.to_string().into()))
        .collect();
    json!({
        "pattern": pattern.pattern,
        "count": pattern.count.to_string(),
        "severity": severity,
        "first": pattern.times.map(|(first, _)| format_instant(first)),
        "last": pattern.times.map(|(_, last)| format_instant(last)),
        "samples": records(&pattern.samples),
        "baseline": pattern.baseline.map(|count| count.to_string()),
        "change": pattern.change.map(Change::as_str),
    })
}
