//! The one error an endpoint can answer: a stable code and a safe sentence for the caller, the
//! whole story for the request's log line.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use opentelemetry::trace::TraceContextExt as _;
use serde::Serialize;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Why a request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The request could not be read at all: broken JSON, wrong types, unknown fields.
    #[error("{message}")]
    Malformed { status: StatusCode, message: String },
    /// The request was read, but fields break rules; all of them are named at once.
    #[error("the request has invalid fields")]
    Invalid(Vec<FieldProblem>),
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("{0} not found")]
    NotFound(&'static str),
    #[error("an account with this e-mail address exists already")]
    EmailTaken,
    #[error("internal error")]
    Internal(#[from] InternalError),
}

/// One field and what it must be like.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// What went wrong on our side. The caller is told "internal error", the log everything.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InternalError {
    #[error("{operation} on the {pool} database failed: {source}")]
    Database {
        operation: &'static str,
        pool: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("password hashing failed: {0}")]
    Password(String),
    #[error("signing an access token failed: {0}")]
    Token(#[from] jsonwebtoken::errors::Error),
    #[error("row {id:?} of {table} holds an invalid {column}: {value:?}")]
    CorruptRow {
        table: &'static str,
        id: String,
        column: &'static str,
        value: String,
    },
    #[error("injected fault: the connection to the task store was lost")]
    Injected,
    #[error("the request handler panicked: {0}")]
    Panic(String),
}

impl InternalError {
    /// One word of a closed set, fit for a metric's label (`error.type`).
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Database { source, .. } => database_error_type(source),
            Self::Password(_) => "password_hash",
            Self::Token(_) => "token",
            Self::CorruptRow { .. } => "corrupt_row",
            Self::Injected => "injected_fault",
            Self::Panic(_) => "panic",
        }
    }
}

/// The word for a database error: what an operator would do something different about.
pub(crate) fn database_error_type(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::PoolTimedOut => "db_pool_timeout",
        sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            "db_connection"
        }
        sqlx::Error::Database(_) => "db_statement",
        _ => "db_client",
    }
}

/// Travels in the response's extensions to the middleware that writes the log line.
#[derive(Debug, Clone)]
pub(crate) struct ErrorDetails(pub(crate) Arc<ApiError>);

#[derive(Serialize)]
struct Body<'a> {
    error: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldProblem],
    /// What to quote in a bug report: it finds the trace and the log line.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
}

impl ApiError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed { status, .. } => (*status, "malformed_request"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields"),
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::EmailTaken => (StatusCode::CONFLICT, "email_taken"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let fields = match &self {
            Self::Invalid(fields) => fields.as_slice(),
            _ => &[],
        };
        let content = Content {
            code,
            message: self.to_string(),
            fields,
            trace_id: trace_id(),
        };
        let mut response = (status, Json(Body { error: content })).into_response();
        response
            .extensions_mut()
            .insert(ErrorDetails(Arc::new(self)));
        response
    }
}

fn trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span = context.span();
    let id = span.span_context().trace_id();
    span.span_context().is_valid().then(|| id.to_string())
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::Malformed {
            status: rejection.status(),
            message: rejection.body_text(),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::Malformed {
            status: rejection.status(),
            message: rejection.body_text(),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::Malformed {
            status: rejection.status(),
            message: rejection.body_text(),
        }
    }
}
