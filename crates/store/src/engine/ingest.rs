//! A request's way in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::{Encoding, SeriesSample, Signal, TenantId};
use tokio::sync::oneshot;
use wire::Window;

use super::decode::{Admitted, admit};
use super::sequencer::Durable;
use super::{Inner, Store};
use crate::error::IngestError;
use crate::head::memory::Reservation;
use crate::ingest::{IngestOutcome, IngestRequest, Readiness};
use crate::log::{Entry, LogError};

/// Memory that a request takes until it is applied, as a multiple of its body: what is read in
/// place takes the body and its rows, anything else is built of owned messages.
const MEMORY_PER_BODY_IN_PLACE: usize = 2;
const MEMORY_PER_BODY_OWNED: usize = 8;
/// How long a request waits for memory: senders that are a little too fast are slowed down, and
/// only told so when that does not help.
const MEMORY_WAIT: Duration = Duration::from_secs(1);
/// Memory may also become free without a word, as when a query ends.
const MEMORY_POLL: Duration = Duration::from_millis(50);
/// Bodies up to this size are decoded where the request is served.
const DECODED_IN_PLACE: usize = 128 << 10;
/// What a sender is told when memory or the log is full: sealing takes about this long.
const RETRY_AFTER: Duration = Duration::from_secs(2);

impl Store {
    /// Makes a request durable and visible. When it returns `Ok`, the body is on disk and queries
    /// see its accepted items.
    ///
    /// # Errors
    ///
    /// See [`IngestError`].
    pub async fn ingest(&self, request: IngestRequest) -> Result<IngestOutcome, IngestError> {
        let started = Instant::now();
        let signal = request.signal;
        let result = self.inner.clone().ingest(request).await;
        match &result {
            Ok(outcome) => count(signal, outcome, started.elapsed()),
            Err(error) => {
                let reason = match error {
                    IngestError::Malformed(_) | IngestError::TooManyItems { .. } => "malformed",
                    IngestError::Full { .. } => "full",
                    IngestError::Unavailable(_) => "unavailable",
                };
                metrics::counter!("watchkeeper_ingest_refused_requests_total",
                    "signal" => signal.as_str(), "reason" => reason)
                .increment(1);
            }
        }
        result
    }

    /// Makes samples that we derived ourselves durable and visible; `at` is the time of the
    /// evaluation, Unix ns.
    ///
    /// # Errors
    ///
    /// See [`IngestError`].
    pub async fn write_samples(
        &self,
        tenant: &TenantId,
        samples: Vec<SeriesSample>,
        at: i64,
    ) -> Result<IngestOutcome, IngestError> {
        self.ingest(IngestRequest {
            tenant: tenant.clone(),
            signal: Signal::Metrics,
            encoding: Encoding::DerivedSamples,
            body: Bytes::from(wire::derived::encode(&samples)),
            received_at: at,
        })
        .await
    }
}

impl Inner {
    async fn ingest(self: Arc<Self>, request: IngestRequest) -> Result<IngestOutcome, IngestError> {
        self.check_open()?;
        let reservation = self.reserve(memory_of(&request)).await?;
        let (request, admitted) = self.admit(request).await?;
        if admitted.is_empty() {
            return Ok(admitted.outcome);
        }
        // From the append on nobody may cancel it: what is durable must reach its head.
        let inner = Arc::clone(&self);
        let kept = self.tasks.spawn(async move {
            let kept = inner.keep(request, admitted).await;
            drop(reservation);
            kept
        });
        kept.await
            .map_err(|error| IngestError::Unavailable(error.to_string()))?
    }

    fn check_open(&self) -> Result<(), IngestError> {
        if self.stop.is_cancelled() {
            return Err(IngestError::Unavailable(
                "the store is shutting down".to_owned(),
            ));
        }
        match &*self.readiness() {
            Readiness::Ready => Ok(()),
            other => Err(IngestError::Unavailable(other.to_string())),
        }
    }

    async fn reserve(&self, wanted: usize) -> Result<Reservation, IngestError> {
        let started = Instant::now();
        loop {
            let taken = match self.memory.reserve(wanted) {
                Ok(reservation) => return Ok(reservation),
                Err(taken) => taken,
            };
            self.seal_soon.notify_one();
            if started.elapsed() >= MEMORY_WAIT || wanted > self.memory.limit() {
                return Err(IngestError::Full {
                    reason: format!(
                        "{taken} of {} bytes of memory are taken, this request needs {wanted}",
                        self.memory.limit()
                    ),
                    retry_after: RETRY_AFTER,
                });
            }
            drop(tokio::time::timeout(MEMORY_POLL, self.memory_freed.notified()).await);
        }
    }

    async fn admit(
        self: &Arc<Self>,
        request: IngestRequest,
    ) -> Result<(IngestRequest, Admitted), IngestError> {
        // What is older than its own service's retention goes with its split.
        let retention = self
            .config
            .retention
            .of(&request.tenant, request.signal)
            .longest();
        let retention = i64::try_from(retention.as_nanos()).unwrap_or(i64::MAX);
        let window = Window::at(request.received_at, retention);
        let active = self.active_series(&request).await;
        if request.body.len() <= DECODED_IN_PLACE {
            let admitted = admit(&request, window, &self.origins, active.as_deref())?;
            return Ok((request, admitted));
        }
        let origins = Arc::clone(&self.origins);
        let decoded = tokio::task::spawn_blocking(move || {
            let admitted = admit(&request, window, &origins, active.as_deref())?;
            Ok((request, admitted))
        });
        decoded
            .await
            .map_err(|error| IngestError::Malformed(format!("decoding failed: {error}")))?
    }

    /// Appends and applies; done when queries see it.
    async fn keep(
        &self,
        request: IngestRequest,
        admitted: Admitted,
    ) -> Result<IngestOutcome, IngestError> {
        let unavailable = |error: String| IngestError::Unavailable(error);
        let heads = self
            .heads
            .of(&request.tenant)
            .map_err(|error| unavailable(error.to_string()))?;
        let entry = Entry {
            tenant: request.tenant,
            signal: request.signal,
            encoding: request.encoding,
            received_at: request.received_at,
            rejected: admitted.refused,
            body: request.body,
        };
        let position = self
            .log
            .append(entry)
            .await
            .map_err(|error| self.append_error(&error))?;
        let (applied, is_applied) = oneshot::channel();
        self.sequencer.take(
            position,
            Durable {
                heads: Arc::clone(&heads),
                received_at: request.received_at,
                batch: admitted.batch,
                applied,
            },
        );
        is_applied
            .await
            .map_err(|_| unavailable("the store is shutting down".to_owned()))?;
        self.wake_background(heads.head(request.signal));
        Ok(IngestOutcome {
            position,
            ..admitted.outcome
        })
    }

    fn append_error(&self, error: &LogError) -> IngestError {
        match error {
            LogError::Full { .. } => {
                self.seal_soon.notify_one();
                IngestError::Full {
                    reason: error.to_string(),
                    retry_after: RETRY_AFTER,
                }
            }
            LogError::TooLarge { .. } => IngestError::Malformed(error.to_string()),
            _ => IngestError::Unavailable(error.to_string()),
        }
    }
}

/// Memory that a request takes until it is applied, bytes.
fn memory_of(request: &IngestRequest) -> usize {
    // Remote write 2.0 is read in place too, but its body is small beside its labels.
    let is_read_in_place = match request.encoding {
        Encoding::OtlpProtobuf => request.signal != Signal::Metrics,
        Encoding::RemoteWriteV1 => true,
        _ => false,
    };
    let per_body = if is_read_in_place {
        MEMORY_PER_BODY_IN_PLACE
    } else {
        MEMORY_PER_BODY_OWNED
    };
    request.body.len().saturating_mul(per_body)
}

fn count(signal: Signal, outcome: &IngestOutcome, elapsed: Duration) {
    let signal = signal.as_str();
    metrics::counter!("watchkeeper_ingested_items_total", "signal" => signal)
        .increment(outcome.accepted);
    for rejected in &outcome.reasons {
        metrics::counter!("watchkeeper_rejected_items_total",
            "signal" => signal, "reason" => rejected.reason.as_str())
        .increment(rejected.count);
    }
    metrics::histogram!("watchkeeper_ingest_to_visible_seconds", "signal" => signal)
        .record(elapsed);
}
