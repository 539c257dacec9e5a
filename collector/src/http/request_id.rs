//! An identifier for each request, which ties an answer to the server's log.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::clock;

const HEADER: &str = "x-request-id";

/// The identifier of the request being handled.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// Gives the request an identifier: the sender's, when it is a sane one, else a new one.
pub(super) async fn assign(mut request: Request, next: Next) -> Response {
    let sent = request
        .headers()
        .get(HEADER)
        .and_then(|value| value.to_str().ok())
        .filter(|text| !text.is_empty() && text.len() <= 100);
    let id = sent.map_or_else(new_id, str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", request_id = %id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// Unique in this process, and across restarts by the time of the first request.
fn new_id() -> String {
    static FIRST: LazyLock<i64> = LazyLock::new(clock::now);
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:x}-{:x}", *FIRST, NEXT.fetch_add(1, Ordering::Relaxed))
}
