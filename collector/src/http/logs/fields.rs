//! Names of fields and their values, to complete what somebody types.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};
use store::{FieldKind, FieldName, FieldType, LogFields, LogValues};

use super::{MAX_LIMIT, TimeText, between, range, stats};
use crate::app::{App, tenant};
use crate::http::ApiError;

/// `{start,end,query,prefix,limit}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldsRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    #[serde(default)]
    prefix: String,
    #[serde(default = "default_names")]
    limit: usize,
}

fn default_names() -> usize {
    1_000
}

/// `{start,end,query,field,prefix,limit}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValuesRequest {
    start: TimeText,
    end: TimeText,
    #[serde(default)]
    query: String,
    field: String,
    #[serde(default)]
    prefix: String,
    #[serde(default = "default_values")]
    limit: usize,
}

fn default_values() -> usize {
    100
}

/// The fields that records have.
pub(super) async fn fields(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<FieldsRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let fields = LogFields {
        range: range(&request.start, &request.end)?,
        query: request.query,
        prefix: request.prefix,
        limit: between("limit", request.limit, (1, MAX_LIMIT))?,
    };
    let page = app
        .queries
        .run(None, app.store.log_fields(&tenant, fields))
        .await??;
    Ok(Json(json!({
        "fields": page.fields.iter().map(name).collect::<Vec<_>>(),
        "truncated": page.truncated,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}

fn name(field: &FieldName) -> JsonValue {
    let kind = match field.kind {
        FieldKind::Column => "column",
        FieldKind::Attribute => "attribute",
        FieldKind::Resource => "resource",
    };
    let types = field.types.iter().map(|field_type| match field_type {
        FieldType::Text => "text",
        FieldType::Integer => "integer",
        FieldType::Double => "double",
        FieldType::Boolean => "boolean",
        FieldType::Mixed => "mixed",
    });
    json!({"name": field.name, "kind": kind, "types": types.collect::<Vec<_>>()})
}

/// The values of one field.
pub(super) async fn values(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<ValuesRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let values = LogValues {
        range: range(&request.start, &request.end)?,
        query: request.query,
        field: request.field,
        prefix: request.prefix,
        limit: between("limit", request.limit, (1, MAX_LIMIT))?,
    };
    let page = app
        .queries
        .run(None, app.store.log_values(&tenant, values))
        .await??;
    let values = page.values.iter().map(|(value, count)| {
        let count = count.map(|count| count.to_string());
        json!({"value": value, "count": count})
    });
    Ok(Json(json!({
        "values": values.collect::<Vec<_>>(),
        "exact": page.exact,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}
