//! One trace by its identifier.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use model::TraceId;
use model::time::{NANOS_PER_SECOND, format_instant};
use serde_json::json;

use super::ApiError;
use super::record_json::SpanJson;
use crate::app::{App, tenant};

/// Log records are looked for so long before a trace's first span and after its last.
const LOGS_AROUND: i64 = 300 * NANOS_PER_SECOND;

/// `{trace_id,spans,logs:{query,start,end},partial,warnings}`; 404 when no span of it is known.
///
/// `logs` is the search that finds the trace's log records.
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
    let times = page.spans.iter().map(|(_, span)| (span.start, span.end));
    let (start, end) = times
        .reduce(|(start, end), next| (start.min(next.0), end.max(next.1)))
        .unwrap_or((0, i64::MAX));
    let spans: Vec<SpanJson> = page
        .spans
        .iter()
        .map(|(seq, span)| SpanJson::new(*seq, span))
        .collect();
    Ok(Json(json!({
        "trace_id": id.to_string(),
        "spans": spans,
        "logs": {
            "query": format!("trace_id:{id}"),
            "start": format_instant(start.saturating_sub(LOGS_AROUND)),
            "end": format_instant(end.saturating_add(LOGS_AROUND)),
        },
        "partial": page.partial,
        "warnings": page.warnings,
    })))
}
