//! Elasticsearch's `_bulk`, and the questions that its shippers ask before they send.
//!
//! At the root, where shippers look first, and under `/elasticsearch`. Templates, policies and
//! pipelines are answered as if they existed: nothing here needs them, and shippers would not start
//! without.

mod answer;

use axum::extract::{OriginalUri, Path, Query, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use model::{Encoding, Signal};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use tower_http::set_header::SetResponseHeaderLayer;
use wire::elasticsearch;

use self::answer::{Answer, Shown};
use super::{Refused, body, count_refusal, ingest};
use crate::app::{App, AppState, tenant};

/// Clients of version 8 and later refuse to talk to servers that do not say this.
const PRODUCT: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-elastic-product"),
    HeaderValue::from_static("Elasticsearch"),
);

/// The version whose API this is; shippers refuse servers that are older than they are.
const VERSION: &str = "8.19.0";

/// The API at the root and under `/elasticsearch`.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(api())
        .route("/", get(root))
        .nest("/elasticsearch", api().route("/", get(info)))
        .route("/elasticsearch/", get(info))
        .layer(SetResponseHeaderLayer::overriding(PRODUCT.0, PRODUCT.1))
}

fn api() -> Router<App> {
    let exists = || {
        get(|| async { Json(json!({})) })
            .put(|| async { Json(json!({"acknowledged": true})) })
            .post(|| async { Json(json!({"acknowledged": true})) })
    };
    Router::new()
        .route("/_bulk", post(bulk).put(bulk))
        .route("/{index}/_bulk", post(bulk).put(bulk))
        // Before version 7 documents had types.
        .route("/{index}/{type}/_bulk", post(bulk).put(bulk))
        .route("/_license", get(license))
        .route("/_xpack", get(xpack))
        .route("/_cluster/health", get(health))
        .route("/_cat/{*what}", get(cat))
        .route("/_ilm/policy/{name}", exists())
        .route("/_index_template/{name}", exists())
        .route("/_component_template/{name}", exists())
        .route("/_template/{name}", exists())
        .route("/_ingest/pipeline/{name}", exists())
        .route("/_data_stream/{name}", exists())
}

/// People get the web UI, clients the version.
async fn root(headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).map(HeaderValue::as_bytes);
    let wants_html = accept.is_some_and(|types| {
        types
            .split(|byte| matches!(byte, b',' | b';'))
            .any(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    });
    match wants_html {
        true => Redirect::temporary("/ui/").into_response(),
        false => info().await.into_response(),
    }
}

async fn info() -> Json<serde_json::Value> {
    Json(json!({
        "name": "watchkeeper",
        "cluster_name": "watchkeeper",
        "cluster_uuid": "watchkeeper",
        "version": {
            "number": VERSION,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": env!("CARGO_PKG_VERSION"),
            "build_date": "2026-01-01T00:00:00.000Z",
            "build_snapshot": false,
            "lucene_version": "9.12.2",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    }))
}

async fn license() -> Json<serde_json::Value> {
    Json(json!({"license": {"status": "active", "uid": "watchkeeper", "type": "basic"}}))
}

async fn xpack() -> Json<serde_json::Value> {
    Json(json!({
        "license": {"uid": "watchkeeper", "type": "basic", "mode": "basic", "status": "active"},
        "features": {
            "ilm": {"available": true, "enabled": true},
            "security": {"available": true, "enabled": false},
        },
    }))
}

async fn health() -> Json<serde_json::Value> {
    Json(json!({
        "cluster_name": "watchkeeper",
        "status": "green",
        "timed_out": false,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
    }))
}

/// Tables without rows: there are no indices, templates or shards to list.
async fn cat(OriginalUri(uri): OriginalUri) -> Response {
    match uri
        .query()
        .is_some_and(|query| query.contains("format=json"))
    {
        true => Json(json!([])).into_response(),
        false => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], "").into_response(),
    }
}

/// What the path names, in any of its forms.
#[derive(Debug, Deserialize)]
struct BulkPath {
    index: Option<String>,
}

/// Parameters that change the answer; others (`refresh`, `pipeline`, …) mean nothing here.
#[derive(Debug, Deserialize)]
struct BulkParams {
    filter_path: Option<String>,
}

async fn bulk(
    State(app): State<App>,
    Path(path): Path<BulkPath>,
    Query(params): Query<BulkParams>,
    request: Request,
) -> Response {
    let shown = Shown::by(params.filter_path.as_deref());
    match take(&app, path.index.as_deref(), &shown, request).await {
        Ok(answer) => ([(CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(refused) => {
            count_refusal(Signal::Logs, &refused);
            refusal(&refused)
        }
    }
}

/// The answer's body.
async fn take(
    app: &AppState,
    index: Option<&str>,
    shown: &Shown,
    request: Request,
) -> Result<Vec<u8>, Refused> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers)
        .map_err(|err| Refused::invalid(StatusCode::BAD_REQUEST, err.to_string()))?;
    let compression = body::compression(&parts.headers)?;
    let (body, _sent) = body::read(app, &parts.headers, body).await?;
    let (body, _decompressed) = body::decompressed(app, compression, body).await?;
    let body = Bytes::from(elasticsearch::with_index(index, &body));
    let encoding = Encoding::ElasticsearchBulk;
    let outcome = ingest(app, tenant, Signal::Logs, encoding, body.clone()).await?;
    let actions = elasticsearch::actions(&body)
        .map_err(|err| Refused::invalid(StatusCode::BAD_REQUEST, err.to_string()))?;
    Ok(Answer::new(&actions, &outcome, started.elapsed()).print(shown))
}

fn refusal(refused: &Refused) -> Response {
    let kind = match refused.status {
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        StatusCode::SERVICE_UNAVAILABLE => "cluster_block_exception",
        _ => "illegal_argument_exception",
    };
    let cause = json!({"type": kind, "reason": refused.refusal.message});
    let mut error = cause.clone();
    error["root_cause"] = json!([cause]);
    let body = json!({"error": error, "status": refused.status.as_u16()});
    let mut response = (refused.status, Json(body)).into_response();
    if let Some(seconds) = refused.refusal.retry_after {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}
