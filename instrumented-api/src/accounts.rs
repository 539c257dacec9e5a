//! Registration and login, and the [`Caller`] that every other endpoint asks for.
//!
//! Passwords are hashed by Argon2id on the blocking pool, a few at a time: a hash costs tens of
//! milliseconds and 19 MiB by design, and must not stall the async workers or exhaust memory.

use std::sync::{Arc, LazyLock};

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use axum::Json;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, info, info_span};
use uuid::Uuid;

use crate::database::{Reader, WritePosition, operation};
use crate::error::{ApiError, FieldProblem, InternalError};
use crate::input::Body;
use crate::request::{READ_AFTER, RequestFacts};
use crate::server::App;
use crate::token::Tokens;

/// Hashes computed at the same time; more would only wait for a core.
const PARALLEL_HASHES: usize = 2;

static HASHING: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(PARALLEL_HASHES)));

/// What both endpoints take.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    email: String,
    password: String,
}

/// An account as its owner sees it.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    id: String,
    email: String,
    created_at: String,
}

/// OAuth 2's form of a token answer.
#[derive(Debug, Serialize)]
pub(crate) struct AccessToken {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// `POST /api/v1/register`: 201 with the account, 409 when the address is taken.
pub(crate) async fn register(
    State(app): State<App>,
    facts: axum::Extension<RequestFacts>,
    Body(credentials): Body<Credentials>,
) -> Result<(StatusCode, Json<Account>), ApiError> {
    let email = credentials.checked_email()?;
    let password_hash = hash(credentials.password).await?;
    let (id, now) = (Uuid::new_v4().to_string(), Timestamp::now());
    let row = (
        id.clone(),
        email.clone(),
        password_hash,
        now.as_millisecond(),
    );
    let inserted = app
        .database
        .on_primary(operation!("INSERT", "users"), |pool| async move {
            let inserted = sqlx::query(
                "INSERT INTO users (id, email, password_hash, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (email) DO NOTHING",
            )
            .bind(row.0)
            .bind(row.1)
            .bind(row.2)
            .bind(row.3)
            .execute(&pool)
            .await?;
            Ok(inserted.rows_affected() == 1)
        });
    if !inserted.await? {
        return Err(ApiError::EmailTaken);
    }
    facts.set_user(&id);
    app.instruments.account_registered();
    info!(user.id = id, "account registered");
    let account = Account {
        id,
        email,
        created_at: now.to_string(),
    };
    Ok((StatusCode::CREATED, Json(account)))
}

/// `POST /api/v1/login`: 200 with an access token, 401 for any wrong pair.
pub(crate) async fn login(
    State(app): State<App>,
    facts: axum::Extension<RequestFacts>,
    Body(credentials): Body<Credentials>,
) -> Result<Json<AccessToken>, ApiError> {
    let email = credentials.email.trim().to_lowercase();
    // From the primary: someone who registered a moment ago must be able to log in.
    let account = app
        .database
        .on_primary(operation!("SELECT", "users"), |pool| async move {
            sqlx::query_as::<_, (String, String)>(
                "SELECT id, password_hash FROM users WHERE email = $1",
            )
            .bind(email)
            .fetch_optional(&pool)
            .await
        });
    let (user_id, stored) = match account.await? {
        Some((id, hash)) => (Some(id), hash),
        // An unknown address costs one verification too, so that time does not tell it apart.
        None => (None, NOBODYS_HASH.clone()),
    };
    let right = verify(credentials.password, stored).await?;
    let Some(user_id) = user_id.filter(|_| right) else {
        return Err(ApiError::Unauthorized("wrong e-mail address or password"));
    };
    facts.set_user(&user_id);
    let token = app
        .tokens
        .issue(&user_id, Timestamp::now())
        .map_err(InternalError::from)?;
    Ok(Json(AccessToken {
        access_token: token,
        token_type: "Bearer",
        expires_in: Tokens::LIFETIME.as_secs(),
    }))
}

impl Credentials {
    /// The address in lower case, once address and password follow the rules.
    fn checked_email(&self) -> Result<String, ApiError> {
        let email = self.email.trim().to_lowercase();
        let mut problems = Vec::new();
        if !is_address(&email) {
            let message = format!("expected an address such as ann@example.org, got {email:?}");
            problems.push(FieldProblem {
                field: "email",
                message,
            });
        }
        let length = self.password.chars().count();
        if !(8..=128).contains(&length) {
            let message = format!("must have 8 to 128 characters; got {length}");
            problems.push(FieldProblem {
                field: "password",
                message,
            });
        }
        if problems.is_empty() {
            Ok(email)
        } else {
            Err(ApiError::Invalid(problems))
        }
    }
}

/// Whether mail could be sent there; only sending one would tell more.
fn is_address(text: &str) -> bool {
    let plain = text.len() <= 254 && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    let named = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    plain && named
}

/// A hash that no password opens.
static NOBODYS_HASH: LazyLock<String> = LazyLock::new(|| {
    let unguessable = Uuid::new_v4();
    hash_now(unguessable.as_bytes()).unwrap_or_default()
});

fn hash_now(password: &[u8]) -> Result<String, InternalError> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default().hash_password(password, &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| InternalError::Password(error.to_string()))
}

async fn hash(password: String) -> Result<String, InternalError> {
    on_blocking_pool("hash password", move || hash_now(password.as_bytes())).await
}

async fn verify(password: String, stored: String) -> Result<bool, InternalError> {
    on_blocking_pool("verify password", move || {
        let parsed = PasswordHash::new(&stored)
            .map_err(|error| InternalError::Password(format!("stored hash: {error}")))?;
        match Argon2::default().verify_password(password.as_bytes(), &parsed) {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::Password) => Ok(false),
            Err(error) => Err(InternalError::Password(error.to_string())),
        }
    })
    .await
}

async fn on_blocking_pool<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> Result<T, InternalError> + Send + 'static,
) -> Result<T, InternalError> {
    async move {
        let permit = HASHING.clone().acquire_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let _held = permit;
            work()
        });
        task.await
            .map_err(|error| InternalError::Password(error.to_string()))?
    }
    .instrument(info_span!("password", otel.name = name))
    .await
}

/// The authenticated user behind a request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user_id: String,
    pub(crate) facts: RequestFacts,
    read_after: Option<WritePosition>,
}

impl Caller {
    /// How the caller reads: no older than what he has written or asks for.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            user_id: self.user_id.clone(),
            read_after: self.read_after,
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    App: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(ApiError::Unauthorized(
                "expected the header Authorization: Bearer TOKEN",
            ))?;
        let user_id = App::from_ref(state)
            .tokens
            .user_of(token)
            .ok_or(ApiError::Unauthorized(
                "the access token is invalid or has expired",
            ))?;
        let facts = parts
            .extensions
            .get::<RequestFacts>()
            .cloned()
            .unwrap_or_default();
        facts.set_user(&user_id);
        Ok(Self {
            user_id,
            facts,
            read_after: read_after(parts)?,
        })
    }
}

fn read_after(parts: &Parts) -> Result<Option<WritePosition>, ApiError> {
    let Some(value) = parts.headers.get(READ_AFTER) else {
        return Ok(None);
    };
    let position = value.to_str().ok().and_then(|text| text.parse().ok());
    match position {
        Some(position) => Ok(Some(WritePosition(position))),
        None => Err(ApiError::Malformed {
            status: StatusCode::BAD_REQUEST,
            message: format!("header {READ_AFTER}: expected a number that a write returned"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_for_form() {
        for (text, expected) in [
            ("ann@example.org", true),
            ("a@b", true),
            ("", false),
            ("ann", false),
            ("@example.org", false),
            ("ann@", false),
            ("ann@b@c", false),
            ("ann smith@example.org", false),
        ] {
            assert_eq!(is_address(text), expected, "{text:?}");
        }
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let credentials = Credentials {
            email: "ann".into(),
            password: "short".into(),
        };
        let Err(ApiError::Invalid(problems)) = credentials.checked_email() else {
            panic!("accepted")
        };
        let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["email", "password"]);
    }
}
