//! After a start: the log's records that no split covers go to their heads again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::decode::decode_again;
use super::{Inner, blocking};
use crate::error::StoreError;
use crate::ingest::Readiness;
use crate::log::Entry;
use crate::retention;

/// Bodies that are read from the log at once, bytes.
const READ_BYTES: usize = 8 << 20;
/// How long replay waits before it looks again whether memory has become free.
const MEMORY_WAIT: Duration = Duration::from_secs(1);

impl Inner {
    /// Replays until the end of the log, or until the store is stopped.
    pub(super) async fn replay(self: Arc<Self>) {
        let result = tokio::select! {
            () = self.stop.cancelled() => return,
            result = self.replay_all() => result,
        };
        match result {
            Ok(()) => *self.readiness() = Readiness::Ready,
            Err(error) => {
                tracing::error!(%error, "the ingest log cannot be replayed");
                *self.readiness() = Readiness::Failed(error.to_string());
            }
        }
    }

    async fn replay_all(&self) -> Result<(), StoreError> {
        // Before anything is sealed, whatever the catalog does not know was never published.
        match retention::remove_orphans(self.catalog.as_ref(), &self.objects).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "unpublished splits were removed"),
            // Perhaps the objects are read-only: replay goes on, sealing reports it.
            Err(error) => tracing::warn!(%error, "unpublished splits could not be removed"),
        }
        let extent = self.log.extent();
        let mut after = self.sequencer.handed_over().max(extent.cut);
        while after < extent.last {
            self.wait_for_memory(after, extent.last).await;
            let records = self.log.read(after, READ_BYTES).await?;
            let Some((last, _)) = records.last() else {
                break;
            };
            after = *last;
            for (position, entry) in records {
                self.replay_one(position, entry).await?;
            }
            *self.readiness() = Readiness::Replaying {
                position: after,
                last: extent.last,
                waiting_for: None,
            };
        }
        self.sequencer.skip_to(extent.last);
        Ok(())
    }

    async fn replay_one(&self, position: u64, entry: Entry) -> Result<(), StoreError> {
        let heads = self.heads.of(&entry.tenant)?;
        let signal = entry.signal;
        if position > heads.applied(signal) {
            let received_at = entry.received_at;
            let origins = Arc::clone(&self.origins);
            let batch = blocking("replay", move || {
                decode_again(&entry, &origins).map_err(|error| StoreError::Encoding {
                    action: "replay the ingest log",
                    message: format!(
                        "the record at position {position} cannot be decoded any more: {error}"
                    ),
                })
            })
            .await?;
            let (applied, _nobody_waits) = oneshot::channel();
            heads.enqueue(position, received_at, batch, applied);
            heads.apply_waiting(signal);
            self.wake_background(heads.head(signal));
        }
        self.sequencer.skip_to(position);
        Ok(())
    }

    /// Waits until sealing has made room, and says so.
    async fn wait_for_memory(&self, position: u64, last: u64) {
        while self.memory.heads() >= self.memory.limit() / 4 * 3 {
            let reason = match self.failures.any() {
                Some(failure) => format!("memory is full and sealing fails: {failure}"),
                None => "memory is full until heads are sealed".to_owned(),
            };
            *self.readiness() = Readiness::Replaying {
                position,
                last,
                waiting_for: Some(reason),
            };
            self.seal_soon.notify_one();
            // Perhaps it was published just before; then the wait ends by itself.
            drop(tokio::time::timeout(MEMORY_WAIT, self.memory_freed.notified()).await);
        }
    }
}
