//! The most frequent values of fields.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};
use store::{LogFacets, TopValues};

use super::{TimeText, between, range, stats};
use crate::app::{App, tenant};
use crate::http::ApiError;

/// The most fields of one request.
const MAX_FIELDS: usize = 100;
/// The most values of one field.
const MAX_VALUES: usize = 1_000;

/// `{start,end,query,fields,limit}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FacetsRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    fields: Vec<String>,
    #[serde(default = "default_limit")]
    limit: usize,
}

fn default_limit() -> usize {
    10
}

/// Top values with counts, of several fields in one pass.
pub(super) async fn facets(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<FacetsRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    between(
        "the number of fields",
        request.fields.len(),
        (1, MAX_FIELDS),
    )?;
    let facets = LogFacets {
        range: range(&request.start, &request.end)?,
        query: request.query,
        fields: request.fields,
        limit: between("limit", request.limit, (1, MAX_VALUES))?,
    };
    let page = app
        .queries
        .run(None, app.store.log_facets(&tenant, facets))
        .await??;
    let facets: Vec<JsonValue> = page
        .facets
        .iter()
        .map(|(field, top)| facet(field, top))
        .collect();
    Ok(Json(json!({
        "facets": facets,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}

fn facet(field: &str, top: &TopValues) -> JsonValue {
    let value =
        |(value, count): &(String, u64)| json!({"value": value, "count": count.to_string()});
    json!({
        "field": field,
        "values": top.values.iter().map(value).collect::<Vec<_>>(),
        "distinct": top.distinct.to_string(),
        "other": top.other.to_string(),
        "missing": top.missing.to_string(),
        "truncated": top.truncated,
    })
}
