//! Errors of the native APIs:
//! `{"error":{"code","message","hint","position":{"offset","length"},"request_id"}}`.

use axum::extract::Request;
use axum::extract::rejection::{FormRejection, JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use model::tenant::InvalidTenant;
use model::time::TimeError;
use serde_json::json;
use store::{Position, QueryError};

use super::json_text;
use super::request_id::RequestId;
use crate::query_cost::TimedOut;

/// Why a request has no answer, in words that are safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    /// Stable; clients may act on it.
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// Where in the query, in UTF-8 bytes.
    position: Option<Position>,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: None,
            position: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<QueryError> for ApiError {
    fn from(err: QueryError) -> Self {
        let message = err.to_string();
        match err {
            QueryError::Invalid { hint, position, .. } => Self {
                hint,
                position,
                ..Self::new(StatusCode::BAD_REQUEST, "invalid_query", message)
            },
            QueryError::Timeout(_) => Self::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message),
            QueryError::LimitExceeded(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "limit_exceeded", message)
            }
            QueryError::NotReady(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message)
            }
            QueryError::Store(_) | QueryError::Internal(_) => {
                // The chain goes to the log; the caller gets the identifier to find it by.
                tracing::error!(error = message, "a query failed");
                Self::internal("the query failed inside the server; its log has the details")
            }
        }
    }
}

impl From<TimedOut> for ApiError {
    fn from(TimedOut(timeout): TimedOut) -> Self {
        QueryError::Timeout(timeout).into()
    }
}

impl From<InvalidTenant> for ApiError {
    fn from(err: InvalidTenant) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_tenant", err.to_string())
    }
}

impl From<TimeError> for ApiError {
    fn from(err: TimeError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_time", err.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        let code = match rejection {
            JsonRejection::MissingJsonContentType(_) => "unsupported_media_type",
            _ => "invalid_body",
        };
        // A body of the right syntax and the wrong shape is a bad request too.
        let status = match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        };
        Self::new(status, code, rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<FormRejection> for ApiError {
    fn from(rejection: FormRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    /// The bare status with the error beside it; [`render`] writes the body, since it knows the
    /// request's identifier.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the bodies of errors that handlers answered.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let Some(error) = response.extensions_mut().remove::<ApiError>() else {
        return response;
    };
    let mut fields = serde_json::Map::new();
    fields.insert("code".to_owned(), error.code.into());
    fields.insert("message".to_owned(), error.message.into());
    if let Some(hint) = error.hint {
        fields.insert("hint".to_owned(), hint.into());
    }
    if let Some(position) = error.position {
        let position = json!({"offset": position.offset, "length": position.length});
        fields.insert("position".to_owned(), position);
    }
    if let Some(RequestId(id)) = id {
        fields.insert("request_id".to_owned(), id.into());
    }
    json_text(error.status, json!({ "error": fields }).to_string())
}
