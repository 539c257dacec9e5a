//! Prometheus remote write: `POST /api/v1/write`, versions 1.0 and 2.0, also under `/prometheus`.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use model::{Encoding, Signal};
use store::IngestOutcome;
use wire::{Compression, SampleCounts};

use super::{Refused, body, count_refusal, ingest, rejections};
use crate::app::{App, AppState, tenant};
use crate::self_metrics;

/// What senders of 2.0 compare with what they sent.
const SAMPLES_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName =
    HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// The write path, where Prometheus has it and beside the other query paths.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/write", post(write))
        .route("/prometheus/api/v1/write", post(write))
}

/// 204, or a plain sentence. Items that make no sense or lie outside of the window are a 400 that
/// senders do not retry; the rest of the request is stored.
async fn write(State(app): State<App>, request: Request) -> Response {
    let encoding = match encoding(request.headers()) {
        Ok(encoding) => encoding,
        Err(refused) => return refusal(refused),
    };
    let (mut response, written) = match take(&app, encoding, request).await {
        Ok(outcome) => (answer(&outcome), outcome.written),
        Err(refused) => (refusal(refused), SampleCounts::default()),
    };
    count(encoding, written);
    if encoding == Encoding::RemoteWriteV2 {
        let headers = response.headers_mut();
        headers.insert(SAMPLES_WRITTEN, HeaderValue::from(written.floats));
        headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(written.histograms));
        headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(written.exemplars));
    }
    response
}

fn answer(outcome: &IngestOutcome) -> Response {
    if outcome.rejected == 0 {
        return StatusCode::NO_CONTENT.into_response();
    }
    (StatusCode::BAD_REQUEST, rejections(outcome, "items")).into_response()
}

fn refusal(mut refused: Refused) -> Response {
    // Prometheus drops what is answered with these, although it may be taken a little later.
    let passing = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    if passing.contains(&refused.status) {
        refused.status = StatusCode::SERVICE_UNAVAILABLE;
        refused.refusal.retry_after = refused.refusal.retry_after.or(Some(1));
    }
    count_refusal(Signal::Metrics, &refused);
    let mut response = (refused.status, refused.refusal.message).into_response();
    if let Some(seconds) = refused.refusal.retry_after {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

async fn take(
    app: &AppState,
    encoding: Encoding,
    request: Request,
) -> Result<IngestOutcome, Refused> {
    let (parts, body) = request.into_parts();
    let tenant = tenant(&parts.headers)
        .map_err(|err| Refused::invalid(StatusCode::BAD_REQUEST, err.to_string()))?;
    check_compression(&parts.headers)?;
    let (body, _sent) = body::read(app, &parts.headers, body).await?;
    let (body, _decompressed) = body::decompressed(app, Compression::Snappy, body).await?;
    ingest(app, tenant, Signal::Metrics, encoding, body).await
}

/// The message that the content type names: 1.0's when it names none, or when there is no type, as
/// old senders do.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Refused> {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return Ok(Encoding::RemoteWriteV1);
    };
    let content_type = String::from_utf8_lossy(content_type.as_bytes());
    let unsupported = |what: String| {
        Refused::invalid(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "unsupported {what}; expected application/x-protobuf, with \
                 proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request"
            ),
        )
    };
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(unsupported(format!("content type {content_type:?}")));
    }
    let mut parameters = parts.filter_map(|parameter| parameter.split_once('='));
    let message = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("proto"));
    match message.map(|(_, message)| message.trim().trim_matches('"')) {
        None | Some("prometheus.WriteRequest") => Ok(Encoding::RemoteWriteV1),
        Some("io.prometheus.write.v2.Request") => Ok(Encoding::RemoteWriteV2),
        Some(other) => Err(unsupported(format!("message {other:?}"))),
    }
}

/// Remote write is always snappy's block format; a sender that says nothing means it too.
fn check_compression(headers: &HeaderMap) -> Result<(), Refused> {
    match headers.get(CONTENT_ENCODING) {
        None => Ok(()),
        Some(name) if name.as_bytes().eq_ignore_ascii_case(b"snappy") => Ok(()),
        Some(other) => Err(Refused::invalid(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "unsupported content encoding {:?}; remote write is sent as snappy",
                String::from_utf8_lossy(other.as_bytes())
            ),
        )),
    }
}

/// Counts what was written in our own metrics.
fn count(encoding: Encoding, written: SampleCounts) {
    let version = match encoding {
        Encoding::RemoteWriteV2 => "2.0",
        _ => "1.0",
    };
    for (kind, count) in [
        ("sample", written.floats),
        ("histogram", written.histograms),
        ("exemplar", written.exemplars),
    ] {
        metrics::counter!(self_metrics::REMOTE_WRITTEN, "version" => version, "kind" => kind)
            .increment(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &'static str) -> Result<Encoding, Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        encoding(&headers)
    }

    #[test]
    fn what_may_be_taken_later_is_worth_a_retry() {
        for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT] {
            let response = refusal(Refused::invalid(status, "too slow"));
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "1");
        }
        let large = refusal(Refused::invalid(StatusCode::PAYLOAD_TOO_LARGE, "too large"));
        assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn the_content_type_names_the_message() {
        let (v1, v2) = (Ok(Encoding::RemoteWriteV1), Ok(Encoding::RemoteWriteV2));
        assert_eq!(encoding(&HeaderMap::new()), v1);
        assert_eq!(of("application/x-protobuf"), v1);
        assert_eq!(
            of("application/x-protobuf;proto=prometheus.WriteRequest"),
            v1
        );
        for named in [
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "Application/X-Protobuf; charset=utf-8; Proto=\"io.prometheus.write.v2.Request\"",
        ] {
            assert_eq!(of(named), v2, "{named}");
        }
        for other in [
            "application/json",
            "application/x-protobuf;proto=io.prometheus.write.v3.Request",
            "",
        ] {
            let refused = of(other).unwrap_err();
            assert_eq!(
                refused.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{other}"
            );
        }
    }
}
