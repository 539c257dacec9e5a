//! A request's body on its way in: read and decompressed within the limits and the budget.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use wire::{Compression, DecompressError};

use super::Refused;
use crate::app::AppState;

/// Bodies larger than this are decompressed off the async threads.
const INLINE_DECOMPRESSION: usize = 64 << 10;

/// How long a body may take to arrive: until then it holds its part of the budget.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// How much of a body that is too large is read and dropped, and for how long.
const DISCARDED_BYTES: usize = 128 << 20;
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

/// The compression that `Content-Encoding` names.
///
/// # Errors
///
/// One that receivers do not understand.
pub(super) fn compression(headers: &HeaderMap) -> Result<Compression, Refused> {
    let name = match headers.get(CONTENT_ENCODING) {
        None => return Ok(Compression::Identity),
        Some(value) => String::from_utf8_lossy(value.as_bytes()),
    };
    name.parse().map_err(|err: DecompressError| {
        Refused::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, err.to_string())
    })
}

/// The body as sent, and the budget it takes.
///
/// # Errors
///
/// Too large, too slow, or the budget is spent.
pub(super) async fn read<'a>(
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

/// The body without its compression, and the budget that takes.
///
/// # Errors
///
/// Not of this compression, too large, or the budget is spent.
pub(super) async fn decompressed(
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
