//! Telemetry in: OTLP, Prometheus remote write, Loki push, Elasticsearch's `_bulk`, syslog, and what
//! they share.
//!
//! A receiver turns a request into its uncompressed body and hands it to the store, which answers
//! once the body is durable and visible. Nothing is decoded here, and nothing is buffered beyond
//! the budget: when that is spent, senders are told to come back.

mod body;
pub(crate) mod elasticsearch;
pub(crate) mod loki_push;
pub(crate) mod otlp_grpc;
pub(crate) mod otlp_http;
pub(crate) mod remote_write;
pub(crate) mod syslog;

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use model::{Encoding, Signal, TenantId};
use store::{IngestError, IngestOutcome, IngestRequest};
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::rpc::{Code, Refusal};

use crate::app::AppState;
use crate::{clock, self_metrics};

/// When senders should come back while the budget of bodies is spent.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Bytes of request bodies in flight, so that many large requests cannot fill the memory before
/// the store sees them.
pub(crate) struct BodyBudget {
    kibibytes: Semaphore,
    decompressions: Semaphore,
}

/// Bodies that are decompressed at the same time.
const DECOMPRESSIONS: usize = 4;

impl BodyBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            kibibytes: Semaphore::new((bytes >> 10).min(Semaphore::MAX_PERMITS)),
            decompressions: Semaphore::new(DECOMPRESSIONS),
        }
    }

    /// Sets `bytes` aside until the permit is dropped.
    ///
    /// # Errors
    ///
    /// The budget is spent.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refused> {
        let kibibytes = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        self.kibibytes
            .try_acquire_many(kibibytes)
            .map_err(|_| Refused::busy("too many request bodies in flight".to_owned()))
    }

    /// Waits until `bytes` can be set aside, for senders that cannot be told to come back; `None`
    /// never happens, since the semaphore is not closed.
    async fn wait(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let kibibytes = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        self.kibibytes.acquire_many(kibibytes).await.ok()
    }

    /// Waits until one more body may be decompressed; `None` never happens, since the semaphore
    /// is not closed.
    async fn decompression_turn(&self) -> Option<SemaphorePermit<'_>> {
        self.decompressions.acquire().await.ok()
    }
}

/// A request that is not taken: the HTTP status and the same in gRPC's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) refusal: Refusal,
}

impl Refused {
    pub(crate) fn invalid(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            refusal: Refusal {
                code: Code::InvalidArgument,
                message: message.into(),
                retry_after: None,
            },
        }
    }

    fn busy(message: String) -> Self {
        Self::full(message, BUSY_RETRY_AFTER)
    }

    fn full(message: String, retry_after: Duration) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            refusal: Refusal {
                code: Code::ResourceExhausted,
                message,
                // Never 0, which senders would take as "at once".
                retry_after: Some(retry_after.as_secs().max(1)),
            },
        }
    }

    fn unavailable(message: String) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            refusal: Refusal {
                code: Code::Unavailable,
                message,
                retry_after: Some(2),
            },
        }
    }
}

impl From<IngestError> for Refused {
    fn from(err: IngestError) -> Self {
        let message = err.to_string();
        match err {
            IngestError::Malformed(_) | IngestError::TooManyItems { .. } => {
                Self::invalid(StatusCode::BAD_REQUEST, message)
            }
            IngestError::Full { retry_after, .. } => Self::full(message, retry_after),
            IngestError::Unavailable(_) => Self::unavailable(message),
        }
    }
}

/// Hands one export request to the store.
///
/// # Errors
///
/// The store did not take it.
pub(crate) async fn ingest(
    app: &AppState,
    tenant: TenantId,
    signal: Signal,
    encoding: Encoding,
    body: Bytes,
) -> Result<IngestOutcome, Refused> {
    let bytes = body.len() as u64;
    let request = IngestRequest {
        tenant,
        signal,
        encoding,
        body,
        received_at: clock::now(),
    };
    let outcome = app.store.ingest(request).await?;
    let signal = signal.as_str();
    metrics::counter!(self_metrics::INGESTED_BYTES, "signal" => signal).increment(bytes);
    Ok(outcome)
}

/// Counts a refusal in our own metrics.
pub(crate) fn count_refusal(signal: Signal, refused: &Refused) {
    let status = refused.status.as_str().to_owned();
    metrics::counter!(self_metrics::REFUSED_REQUESTS, "signal" => signal.as_str(), "status" => status)
        .increment(1);
}

/// The OTLP answer to a request that was taken: empty, or `partial_success` with the reasons.
pub(crate) fn export_response(
    signal: Signal,
    encoding: Encoding,
    outcome: &IngestOutcome,
) -> Vec<u8> {
    let message = rejections(outcome, "items");
    wire::rpc::export_response(signal, encoding, outcome.rejected, &message)
}

/// How many items were rejected, and why, in one sentence.
fn rejections(outcome: &IngestOutcome, items: &str) -> String {
    let reasons: Vec<String> = outcome
        .reasons
        .iter()
        .map(|rejected| format!("{} because {}", rejected.count, rejected.reason))
        .collect();
    format!(
        "{} of {} {items} rejected: {}",
        outcome.rejected,
        outcome.accepted + outcome.rejected,
        reasons.join("; ")
    )
}
