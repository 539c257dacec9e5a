//! Watches each request from outside: one server span, one measurement, one log line.
//!
//! The line is the place to look first, so it carries everything the span does: route, status,
//! duration, user, task, and for a 5xx the error in full at level ERROR.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, error, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::database::WritePosition;
use crate::error::{ApiError, ErrorDetails};
use crate::instruments::{Instruments, RequestOutcome};

/// Response header naming how far the primary had got after this request's write; sent back
/// with a read (to any instance), it makes sure the answer contains that write.
pub(crate) const READ_AFTER: HeaderName = HeaderName::from_static("x-read-after");

/// What handlers learn about a request while they answer it. Cheap to clone; each fact is set
/// at most once.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestFacts(Arc<Facts>);

#[derive(Debug, Default)]
struct Facts {
    user_id: OnceLock<String>,
    task_id: OnceLock<String>,
    wrote_up_to: OnceLock<WritePosition>,
}

impl RequestFacts {
    /// Notes who is asking, on the span at once and later in the log line.
    pub(crate) fn set_user(&self, user_id: &str) {
        Span::current().record("user.id", user_id);
        self.0.user_id.get_or_init(|| user_id.to_owned());
    }

    /// Notes which task the request is about.
    pub(crate) fn set_task(&self, task_id: &str) {
        Span::current().record("task.id", task_id);
        self.0.task_id.get_or_init(|| task_id.to_owned());
    }

    /// Notes the primary's position after a write, for [`READ_AFTER`].
    pub(crate) fn set_wrote_up_to(&self, position: WritePosition) {
        self.0.wrote_up_to.get_or_init(|| position);
    }
}

/// The middleware. Outermost on every route that counts as traffic.
pub(crate) async fn observe(
    State(instruments): State<Instruments>,
    mut request: Request,
    next: Next,
) -> Response {
    let method = known_method(request.method().as_str());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let path = request.uri().path().to_owned();
    let span = server_span(method, route.as_deref(), &path, request.headers());
    let facts = RequestFacts::default();
    request.extensions_mut().insert(facts.clone());
    let active = ActiveRequest::begin(instruments.clone(), method);

    async move {
        let started = Instant::now();
        let mut response = next.run(request).await;
        drop(active);
        let line = RequestLine {
            method,
            route: route.as_deref(),
            path: &path,
            status: response.status().as_u16(),
            duration: started.elapsed(),
            facts: &facts.0,
            error: response
                .extensions()
                .get::<ErrorDetails>()
                .map(|details| &*details.0),
        };
        line.record_on(&Span::current());
        line.log();
        instruments.request_answered(&line.outcome());
        if let Some(position) = facts.0.wrote_up_to.get() {
            response
                .headers_mut()
                .insert(READ_AFTER, HeaderValue::from(position.0));
        }
        response
    }
    .instrument(span)
    .await
}

fn server_span(method: &str, route: Option<&str>, path: &str, headers: &HeaderMap) -> Span {
    let name = match route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    };
    let span = info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        url.scheme = "http",
        url.path = path,
        user.id = Empty,
        task.id = Empty,
        error.type = Empty,
    );
    let caller = global::get_text_map_propagator(|w3c| w3c.extract(&Headers(headers)));
    // Fails only when the layer is filtered out, and then there is no trace to join.
    span.set_parent(caller).ok();
    span
}

/// Everything one answered request is remembered by.
struct RequestLine<'a> {
    method: &'static str,
    route: Option<&'a str>,
    path: &'a str,
    status: u16,
    duration: Duration,
    facts: &'a Facts,
    error: Option<&'a ApiError>,
}

impl RequestLine<'_> {
    fn failed(&self) -> bool {
        self.status >= 500
    }

    fn error_type(&self) -> Option<&'static str> {
        match self.error {
            Some(ApiError::Internal(cause)) => Some(cause.kind()),
            _ => self.failed().then_some("unknown"),
        }
    }

    fn outcome(&self) -> RequestOutcome<'_> {
        RequestOutcome {
            method: self.method,
            route: self.route,
            status: self.status,
            error_type: self.error_type(),
            duration: self.duration,
        }
    }

    fn record_on(&self, span: &Span) {
        span.record("http.response.status_code", self.status);
        if let Some(error_type) = self.error_type() {
            span.record("error.type", error_type);
            span.record("otel.status_code", "ERROR");
        }
    }

    fn log(&self) {
        let Self {
            method,
            route,
            path,
            status,
            ..
        } = *self;
        let shown = route.unwrap_or(path);
        let duration_ms = (self.duration.as_secs_f64() * 1e6).round() / 1e3;
        let user_id = self.facts.user_id.get().map(String::as_str);
        let task_id = self.facts.task_id.get().map(String::as_str);
        // `tracing` fixes level and fields at compile time, hence one call for each.
        match self.error {
            Some(ApiError::Internal(cause)) => error!(
                http.request.method = method,
                http.route = route,
                http.response.status_code = status,
                url.path = path,
                duration_ms,
                user.id = user_id,
                task.id = task_id,
                error.type = cause.kind(),
                exception.message = %cause,
                "{method} {shown} failed: {cause}"
            ),
            _ if self.failed() => error!(
                http.request.method = method,
                http.route = route,
                http.response.status_code = status,
                url.path = path,
                duration_ms,
                user.id = user_id,
                task.id = task_id,
                "{method} {shown} answered {status}"
            ),
            refused => info!(
                http.request.method = method,
                http.route = route,
                http.response.status_code = status,
                url.path = path,
                duration_ms,
                user.id = user_id,
                task.id = task_id,
                refusal = refused.map(ToString::to_string),
                "{method} {shown} answered {status}"
            ),
        }
    }
}

/// Counts a request as active until dropped, also when the caller hangs up halfway.
struct ActiveRequest {
    instruments: Instruments,
    method: &'static str,
}

impl ActiveRequest {
    fn begin(instruments: Instruments, method: &'static str) -> Self {
        instruments.active_requests_changed(method, 1);
        Self {
            instruments,
            method,
        }
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.instruments.active_requests_changed(self.method, -1);
    }
}

/// The conventions' closed set: a caller must not be able to invent label values.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("_OTHER")
}

/// Lets the W3C propagator read `traceparent` and `tracestate`.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
