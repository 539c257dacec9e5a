//! OTLP over HTTP: `POST /v1/{logs,traces,metrics}` in protobuf or JSON, on its own port and under
//! `/otlp` of the main one.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use model::{Encoding, Signal};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use wire::{Compression, DecompressError};

use super::{Refused, count_refusal, export_response, ingest};
use crate::app::{App, AppState, tenant};

/// Bodies larger than this are decompressed off the async threads.
const INLINE_DECOMPRESSION: usize = 64 << 10;

/// How long a body may take to arrive: until then it holds its part of the budget.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read and dropped, and for how long.
const DISCARDED_BYTES: usize = 128 << 20;
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

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
    let compression = compression(&parts.headers)?;
    let (body, _sent) = read_body(app, &parts.headers, body).await?;
    let (body, _decompressed) = decompressed(app, compression, body).await?;
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

fn compression(headers: &HeaderMap) -> Result<Compression, Refused> {
    let name = match headers.get(CONTENT_ENCODING) {
        None => return Ok(Compression::Identity),
        Some(value) => String::from_utf8_lossy(value.as_bytes()),
    };
    name.parse().map_err(|err: DecompressError| {
        Refused::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, err.to_string())
    })
}

/// The body as sent, and the budget it takes.
async fn read_body<'a>(
    app: &'a AppState,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, SemaphorePermit<'a>), Refused> {
    let limit = app.limits.body;
    let too_large = || {
        Refused::invalid(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is larger than the limit of {limit} bytes; send smaller batches"),
        )
    };
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        discard(body).await;
        return Err(too_large());
    }
    let permit = app.bodies.reserve(announced.unwrap_or(limit))?;
    let mut body = body;
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0));
    let patience = Instant::now() + BODY_PATIENCE;
    loop {
        let frame = tokio::time::timeout_at(patience, body.frame())
            .await
            .map_err(|_| {
                Refused::invalid(
                    StatusCode::REQUEST_TIMEOUT,
                    format!(
                        "the body did not arrive within {} s",
                        BODY_PATIENCE.as_secs()
                    ),
                )
            })?;
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|err| {
            Refused::invalid(
                StatusCode::BAD_REQUEST,
                format!("the body ended early: {err}"),
            )
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            discard(body).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
    Ok((bytes.freeze(), permit))
}

/// Reads on for a while without keeping anything: a sender that still writes would meet a closed
/// connection instead of the answer that says why.
async fn discard(mut body: Body) {
    let read = async {
        let mut left = DISCARDED_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether the body ended or the patience did, the answer is the same.
    tokio::time::timeout(DISCARD_PATIENCE, read).await.ok();
}

async fn decompressed(
    app: &AppState,
    compression: Compression,
    body: Bytes,
) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Refused> {
    let limit = app.limits.decompressed_body;
    if compression == Compression::Identity {
        return Ok((body, None));
    }
    // How large it becomes is known only afterwards; few at a time bound what is not yet counted.
    let _turn = app.bodies.decompression_turn().await;
    let result = if body.len() <= INLINE_DECOMPRESSION {
        wire::decompress(compression, body, limit)
    } else {
        tokio::task::spawn_blocking(move || wire::decompress(compression, body, limit))
            .await
            .map_err(|_| Refused::unavailable("the server is stopping".to_owned()))?
    };
    match result {
        Ok(bytes) => {
            let permit = app.bodies.reserve(bytes.len())?;
            Ok((bytes, Some(permit)))
        }
        Err(err @ DecompressError::TooLarge { .. }) => Err(Refused::invalid(
            StatusCode::PAYLOAD_TOO_LARGE,
            err.to_string(),
        )),
        Err(err) => Err(Refused::invalid(StatusCode::BAD_REQUEST, err.to_string())),
    }
}

fn refusal(encoding: Encoding, refused: &Refused) -> Response {
    let body = match encoding {
        Encoding::OtlpJson => refused.refusal.to_json(),
        Encoding::OtlpProtobuf | Encoding::DerivedSamples => refused.refusal.to_protobuf(),
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
        Encoding::OtlpProtobuf | Encoding::DerivedSamples => "application/x-protobuf",
    };
    (status, [(CONTENT_TYPE, content_type)], body).into_response()
}
