//! What goes on while requests are served: encoding, sealing, merging, deleting.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use super::choose::{Candidate, Pressure, to_freeze};
use super::storage::{BOUNDS_TICK, Urgency};
use super::{Inner, Store, blocking, now};
use crate::error::StoreError;
use crate::head::chain::Head;
use crate::retention;

/// How often heads are looked at when nothing wakes the sealer.
const SEAL_TICK: Duration = Duration::from_secs(1);
/// How often old splits are looked for.
const RETENTION_TICK: Duration = Duration::from_secs(60);
/// How often splits to merge are looked for when none was published.
const COMPACTION_TICK: Duration = Duration::from_secs(60);
/// Heads that are sealed at the same time.
const SEALED_AT_ONCE: usize = 2;

impl Store {
    /// Starts replay and everything in the background.
    pub(super) fn start(&self) {
        let inner = &self.inner;
        inner.tasks.spawn(Arc::clone(inner).replay());
        inner.tasks.spawn(Arc::clone(inner).encode_loop());
        inner.tasks.spawn(Arc::clone(inner).seal_loop());
        inner.tasks.spawn(Arc::clone(inner).retention_loop());
        inner.tasks.spawn(Arc::clone(inner).bounds_loop());
        inner.tasks.spawn(Arc::clone(inner).compaction_loop());
    }
}

impl Inner {
    /// Wakes whoever has something to do after rows were applied to `head`.
    pub(super) fn wake_background(&self, head: &dyn Head) {
        if head.has_full() {
            self.encode_soon.notify_one();
        }
        if self.memory.heads() >= self.memory.limit() / 4 * 3 {
            self.seal_soon.notify_one();
        }
    }

    async fn encode_loop(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.encode_soon.notified() => {}
            }
            self.encode_full().await;
        }
    }

    async fn encode_full(&self) {
        for head in self.heads.all().into_iter().filter(|head| head.has_full()) {
            let (tenant, signal) = (head.tenant().clone(), head.signal());
            let encoded = blocking("encode a row group", move || head.encode_full()).await;
            if let Err(error) = encoded {
                // The rows stay as they are; sealing meets the same error and reports it.
                tracing::warn!(%tenant, %signal, %error, "a row group could not be encoded");
            }
            self.memory_freed.notify_waiters();
            self.seal_soon.notify_one();
        }
    }

    async fn seal_loop(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.seal_soon.notified() => {}
                () = tokio::time::sleep(SEAL_TICK) => {}
            }
            self.freeze_due(now());
            let waiting = self
                .heads
                .all()
                .into_iter()
                .filter(|head| head.oldest_frozen().is_some())
                .filter(|head| !self.failures.should_wait(&**head));
            stream::iter(waiting)
                .for_each_concurrent(SEALED_AT_ONCE, |head| {
                    let inner = Arc::clone(&self);
                    // Failures are logged and kept where they happen.
                    async move { drop(inner.seal_frozen(&head).await) }
                })
                .await;
            self.report_state(now());
        }
    }

    /// Freezes what is due to be sealed.
    pub(super) fn freeze_due(&self, now: i64) {
        let heads = self.heads.all();
        let candidates: Vec<Candidate> = heads
            .iter()
            .map(|head| Candidate {
                signal: head.signal(),
                status: head.status(),
                is_failing: self.failures.contains(&**head),
            })
            .collect();
        let is_starved = self.memory.take_starved();
        let taken = if is_starved {
            self.memory.limit()
        } else {
            self.memory.heads()
        };
        let pressure = Pressure {
            memory: taken as u64,
            memory_limit: self.memory.limit() as u64,
            log: self.log.extent().bytes,
            log_limit: self.config.log.max_bytes,
        };
        for index in to_freeze(&candidates, pressure, now, &self.config.head) {
            heads[index].freeze();
        }
    }

    fn report_state(&self, now: i64) {
        let heads = self.heads.all();
        let statuses: Vec<_> = heads.iter().map(|head| head.status()).collect();
        let rows: u64 = statuses.iter().map(|status| status.rows).sum();
        let oldest = statuses.iter().filter_map(|s| s.oldest_received_at).min();
        let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest));
        metrics::gauge!("watchkeeper_head_rows").set(rows as f64);
        metrics::gauge!("watchkeeper_head_bytes").set(self.memory.heads() as f64);
        metrics::gauge!("watchkeeper_head_oldest_age_seconds").set(age as f64 / 1e9);
        metrics::gauge!("watchkeeper_ingest_log_bytes").set(self.log.extent().bytes as f64);
        self.series_limits.report(now);
    }

    async fn retention_loop(self: Arc<Self>) {
        loop {
            self.report_storage(now()).await;
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RETENTION_TICK) => {}
            }
            if let Err(error) = self.delete_old(now()).await {
                tracing::warn!(%error, "old splits could not be deleted, will retry");
            }
        }
    }

    async fn bounds_loop(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(BOUNDS_TICK) => {}
            }
            if let Err(error) = self.keep_within_bounds(now()).await {
                tracing::warn!(%error, "the disk's bounds could not be kept, will retry");
            }
        }
    }

    async fn compaction_loop(self: Arc<Self>) {
        // While the log is replayed, what sealing needs comes first.
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.splits_changed.notified() => {}
                () = tokio::time::sleep(COMPACTION_TICK) => {}
            }
            if !self.readiness().is_ready() {
                continue;
            }
            if let Err(error) = self.compact(now()).await {
                tracing::warn!(%error, "splits could not be merged, will retry");
            }
        }
    }
}

impl Inner {
    /// Hides splits that have passed their retention and removes files that nobody needs.
    pub(super) async fn delete_old(&self, now: i64) -> Result<(), StoreError> {
        let expired = retention::expire(self.catalog.as_ref(), &self.config.retention, now).await?;
        let removed = self.sweep(Urgency::Usual, now).await?;
        if expired > 0 {
            tracing::info!(expired, removed, "old splits were deleted");
        }
        Ok(())
    }
}
