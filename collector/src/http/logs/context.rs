//! The records around one record.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use store::LogContext;

use super::{between, records, stats};
use crate::app::{App, tenant};
use crate::http::ApiError;
use crate::http::record_json::{RecordJson, read_row_id};

/// The most records on each side.
const MAX_SIDE: usize = 1_000;

/// `{id,before,after,before_cursor,after_cursor}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContextRequest {
    id: String,
    #[serde(default = "default_side")]
    before: usize,
    #[serde(default = "default_side")]
    after: usize,
    before_cursor: Option<String>,
    after_cursor: Option<String>,
}

fn default_side() -> usize {
    20
}

/// Records of the same resource before and after one, oldest first.
pub(super) async fn context(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<Json<ContextRequest>, JsonRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Json(request) = body?;
    let tenant = tenant(&headers)?;
    let id = read_row_id(&request.id).ok_or_else(|| {
        ApiError::bad_request(format!(
            "{:?} is no record's id; pass on the \"id\" that a search gives",
            request.id
        ))
    })?;
    let context = LogContext {
        id,
        before: between("before", request.before, (0, MAX_SIDE))?,
        after: between("after", request.after, (0, MAX_SIDE))?,
        before_cursor: request.before_cursor,
        after_cursor: request.after_cursor,
    };
    let page = app
        .queries
        .run(None, app.store.log_context(&tenant, context))
        .await??
        .ok_or_else(|| {
            ApiError::new(
                StatusCode::NOT_FOUND,
                "record_not_found",
                format!("no record {:?} is stored", request.id),
            )
        })?;
    Ok(Json(json!({
        "before": records(&page.before),
        "record": RecordJson::new(page.record.seq, &page.record.record),
        "after": records(&page.after),
        "before_cursor": page.before_cursor,
        "after_cursor": page.after_cursor,
        "partial": page.partial,
        "warnings": page.warnings,
        "stats": stats(&page.stats),
    })))
}
