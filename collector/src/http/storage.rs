//! `GET /api/v1/storage`: what each stream holds, how fast it grows, and when the disk will be full.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use model::time::format_instant;
use serde_json::{Value as JsonValue, json};
use store::StreamUse;

use super::ApiError;
use crate::app::{App, named_tenant};

/// `{disk:{…},streams:[…]}`. A request that names a tenant sees that tenant's streams, any other
/// sees all.
pub(super) async fn storage(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let tenant = named_tenant(&headers)?;
    let report = app.store.storage().await?;
    let disk = &report.disk;
    let of_tenant = |stream: &&StreamUse| {
        let wanted = tenant.as_ref();
        wanted.is_none_or(|tenant| stream.tenant == *tenant)
    };
    let streams: Vec<JsonValue> = report
        .streams
        .iter()
        .filter(of_tenant)
        .map(stream)
        .collect();
    Ok(Json(json!({
        "disk": {
            "used_bytes": disk.used_bytes.to_string(),
            "capacity_bytes": disk.capacity_bytes.to_string(),
            "limit_bytes": disk.limit_bytes.map(|bytes| bytes.to_string()),
            "full_at": disk.full_at.map(format_instant),
        },
        "streams": streams,
    })))
}

fn stream(stream: &StreamUse) -> JsonValue {
    json!({
        "tenant": stream.tenant.as_str(),
        "signal": stream.signal.as_str(),
        "service": stream.service,
        "rows": stream.rows.to_string(),
        "bytes": stream.bytes.to_string(),
        "splits": stream.splits.to_string(),
        "oldest": format_instant(stream.oldest),
        "newest": format_instant(stream.newest),
        "bytes_per_day": stream.bytes_per_day.to_string(),
        "retention_seconds": stream.keep.as_secs().to_string(),
    })
}
