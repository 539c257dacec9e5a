//! Fault switches: make the service slow or failing on purpose, to see alerts work.
//!
//! They exist only when an admin token is configured, and touch `/api/v1` alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::error::{ApiError, FieldProblem, InternalError};
use crate::input::Body;
use crate::server::App;

/// Longer would only test the callers' timeouts.
const MAX_LATENCY_MS: u64 = 60_000;

/// What is switched on. The default is nothing; a field left out of a request is switched off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Faults {
    /// Added to each request, in milliseconds.
    latency_ms: u64,
    /// Share of requests that fail with a 500, from 0 to 1.
    error_rate: f64,
}

impl Faults {
    fn check(self) -> Result<Self, ApiError> {
        let mut problems = Vec::new();
        if self.latency_ms > MAX_LATENCY_MS {
            let message = format!("must be at most {MAX_LATENCY_MS}; got {}", self.latency_ms);
            problems.push(FieldProblem {
                field: "latency_ms",
                message,
            });
        }
        if !(0.0..=1.0).contains(&self.error_rate) {
            let message = format!("must be between 0 and 1; got {}", self.error_rate);
            problems.push(FieldProblem {
                field: "error_rate",
                message,
            });
        }
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(ApiError::Invalid(problems))
        }
    }
}

/// The switches' present position; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FaultSwitches(Arc<Mutex<Faults>>);

impl FaultSwitches {
    fn get(&self) -> Faults {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, faults: Faults) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}

/// The middleware that plays the faults.
pub(crate) async fn inject(
    State(switches): State<FaultSwitches>,
    request: Request,
    next: Next,
) -> Response {
    let faults = switches.get();
    if faults.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    }
    if faults.error_rate > 0.0 && fastrand::f64() < faults.error_rate {
        return ApiError::from(InternalError::Injected).into_response();
    }
    next.run(request).await
}

/// `GET /admin/faults`: what is switched on.
pub(crate) async fn show(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Json<Faults>, ApiError> {
    require_admin(&app, &headers)?;
    Ok(Json(app.faults.get()))
}

/// `POST /admin/faults {"latency_ms":500,"error_rate":0.3}`: switches all faults at once.
pub(crate) async fn switch(
    State(app): State<App>,
    headers: HeaderMap,
    Body(faults): Body<Faults>,
) -> Result<Json<Faults>, ApiError> {
    require_admin(&app, &headers)?;
    let faults = faults.check()?;
    app.faults.set(faults);
    warn!(
        latency_ms = faults.latency_ms,
        error_rate = faults.error_rate,
        "fault switches set"
    );
    Ok(Json(faults))
}

fn require_admin(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(token) = &app.admin_token else {
        return Err(ApiError::NotFound(
            "path (administration needs TASK_API_ADMIN_TOKEN)",
        ));
    };
    let given = headers
        .get("x-admin-token")
        .and_then(|value| value.to_str().ok());
    match given {
        Some(given) if token.matches(given) => Ok(()),
        _ => Err(ApiError::Unauthorized(
            "expected the header X-Admin-Token: TOKEN",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_out_of_range_are_refused_by_name() {
        assert!(
            Faults {
                latency_ms: 500,
                error_rate: 1.0
            }
            .check()
            .is_ok()
        );
        for (faults, field) in [
            (
                Faults {
                    latency_ms: 60_001,
                    error_rate: 0.0,
                },
                "latency_ms",
            ),
            (
                Faults {
                    latency_ms: 0,
                    error_rate: 1.5,
                },
                "error_rate",
            ),
            (
                Faults {
                    latency_ms: 0,
                    error_rate: f64::NAN,
                },
                "error_rate",
            ),
        ] {
            let Err(ApiError::Invalid(problems)) = faults.check() else {
                panic!("{faults:?}")
            };
            assert_eq!(problems[0].field, field);
        }
    }
}
