//! OTLP over HTTP: `POST /v1/{logs,traces,metrics}` in protobuf or JSON, on its own port and under
//! `/otlp` of the main one.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use model::{Encoding, Signal};

use super::{Refused, body, count_refusal, export_response, ingest};
use crate::app::{App, AppState, tenant};

/// The three export paths.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(
            "/v1/logs",
            post(|app, request| export(app, Signal::Logs, request)),
        )
        .route(
            "/v1/traces",
            post(|app, request| export(app, Signal::Spans, request)),
        )
        .route(
            "/v1/metrics",
            post(|app, request| export(app, Signal::Metrics, request)),
        )
}

async fn export(State(app): State<App>, signal: Signal, request: Request) -> Response {
    let encoding = match encoding(request.headers()) {
        Ok(encoding) => encoding,
        Err(refused) => {
            count_refusal(signal, &refused);
            return (refused.status, refused.refusal.message).into_response();
        }
    };
    match take(&app, signal, encoding, request).await {
        Ok(body) => answer(StatusCode::OK, encoding, body),
        Err(refused) => {
            count_refusal(signal, &refused);
            refusal(encoding, &refused)
        }
    }
}

/// Reads, decompresses and ingests; the answer's body.
async fn take(
    app: &AppState,
    signal: Signal,
    encoding: Encoding,
    request: Request,
) -> Result<Vec<u8>, Refused> {
    let (parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers)
        .map_err(|err| Refused::invalid(StatusCode::BAD_REQUEST, err.to_string()))?;
    let compression = body::compression(&parts.headers)?;
    let (body, _sent) = body::read(app, &parts.headers, body).await?;
    let (body, _decompressed) = body::decompressed(app, compression, body).await?;
    let outcome = ingest(app, tenant, signal, encoding, body).await?;
    Ok(export_response(signal, encoding, &outcome))
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Ok(Encoding::OtlpProtobuf),
        "application/json" => Ok(Encoding::OtlpJson),
        _ => Err(Refused::invalid(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "unsupported content type {content_type:?}; expected application/x-protobuf or application/json"
            ),
        )),
    }
}

fn refusal(encoding: Encoding, refused: &Refused) -> Response {
    let body = match encoding {
        Encoding::OtlpJson => refused.refusal.to_json(),
        _ => refused.refusal.to_protobuf(),
    };
    let mut response = answer(refused.status, encoding, body);
    if let Some(seconds) = refused.refusal.retry_after {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn answer(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response {
    let content_type = match encoding {
        Encoding::OtlpJson => "application/json",
        _ => "application/x-protobuf",
    };
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}
