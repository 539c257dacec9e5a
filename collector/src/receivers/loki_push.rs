//! Loki's push API: `POST /loki/api/v1/push`, in JSON, or in protobuf compressed by snappy.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use model::{Encoding, Signal};
use store::IngestOutcome;
use wire::Compression;

use super::{Refused, body, count_refusal, ingest, rejections};
use crate::app::{App, AppState, tenant};

/// The push path.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/loki/api/v1/push", post(push))
}

/// 204, or a plain sentence. Entries outside of the window are a 400 that clients do not retry;
/// the rest of the request is stored.
async fn push(State(app): State<App>, request: Request) -> Response {
    match take(&app, request).await {
        Ok(outcome) if outcome.rejected == 0 => StatusCode::NO_CONTENT.into_response(),
        Ok(outcome) => (StatusCode::BAD_REQUEST, rejections(&outcome, "entries")).into_response(),
        Err(refused) => {
            count_refusal(Signal::Logs, &refused);
            let retry_after = refused.refusal.retry_after;
            let mut response = (refused.status, refused.refusal.message).into_response();
            if let Some(seconds) = retry_after {
                let seconds = HeaderValue::from(seconds);
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
            response
        }
    }
}

async fn take(app: &AppState, request: Request) -> Result<IngestOutcome, Refused> {
    let (parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers)
        .map_err(|err| Refused::invalid(StatusCode::BAD_REQUEST, err.to_string()))?;
    let encoding = encoding(&parts.headers);
    let compression = compression(&parts.headers)?;
    let (body, _sent) = body::read(app, &parts.headers, body).await?;
    let (mut body, _decompressed) = body::decompressed(app, compression, body).await?;
    let mut _unpacked = None;
    if encoding == Encoding::LokiProtobuf && compression != Compression::Snappy {
        // Whatever the headers say, the message itself is snappy.
        (body, _unpacked) = body::decompressed(app, Compression::Snappy, body).await?;
    }
    ingest(app, tenant, Signal::Logs, encoding, body).await
}

/// JSON when the sender says so, else protobuf: Loki's own rule.
fn encoding(headers: &HeaderMap) -> Encoding {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let media_type = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
    match media_type {
        Some(name) if name.trim_ascii().eq_ignore_ascii_case(b"application/json") => {
            Encoding::LokiJson
        }
        _ => Encoding::LokiProtobuf,
    }
}

fn compression(headers: &HeaderMap) -> Result<Compression, Refused> {
    match headers.get(CONTENT_ENCODING) {
        Some(name) if name.as_bytes().eq_ignore_ascii_case(b"snappy") => Ok(Compression::Snappy),
        _ => body::compression(headers),
    }
}
