//! One trace by its identifier.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use model::TraceId;
use serde_json::json;

use super::ApiError;
use super::record_json::SpanJson;
use crate::app::{App, tenant};

/// `{trace_id,spans,partial,warnings}`; 404 when no span of it is known.
pub(super) async fn trace(
    State(app): State<App>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let id: TraceId = id
        .parse()
        .map_err(|err| ApiError::bad_request(format!("trace id: {err}")))?;
    let tenant = tenant(&headers)?;
    let page = app
        .queries
        .run(None, app.store.trace(&tenant, id))
        .await??;
    if page.spans.is_empty() && !page.partial {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "trace_not_found",
            format!("no span of trace {id} is stored"),
        ));
    }
    let spans: Vec<SpanJson> = page
        .spans
        .iter()
        .map(|(seq, span)| SpanJson::new(*seq, span))
        .collect();
    Ok(Json(json!({
        "trace_id": id.to_string(),
        "spans": spans,
        "partial": page.partial,
        "warnings": page.warnings,
    })))
}
