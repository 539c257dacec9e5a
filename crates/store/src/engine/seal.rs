//! From frozen generations to published splits, and what follows: memory and log shrink.
//!
//! The object is durable before the catalog names it, and the log is cut after the catalog's
//! commit: a crash in between leaves an orphan object or some log too many, never a gap.

use std::collections::HashMap;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::object_store::path::Path;
use model::{Signal, TenantId};

use super::{Inner, Store, blocking, log_cut, now, object_key};
use crate::catalog::{NewSplit, Publication};
use crate::error::StoreError;
use crate::head::chain::{Frozen, Head};
use crate::head::tenant::HeadRef;

/// The first wait after a failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Small writes of an encoder are collected up to this size.
pub(super) const WRITE_BUFFER: usize = 256 << 10;

/// What a shutdown left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Rows that were sealed and published while shutting down.
    pub rows_sealed: u64,
    /// Rows that stay in the ingest log and are replayed at the next start.
    pub rows_left_in_log: u64,
    /// Why those could not be sealed.
    pub problems: Vec<String>,
}

/// Heads that could not be sealed, and when to try again.
#[derive(Debug, Default)]
pub(super) struct Failures {
    by_head: Mutex<HashMap<(TenantId, Signal), Failure>>,
}

#[derive(Debug)]
struct Failure {
    message: String,
    wait: Duration,
    since: Instant,
}

impl Failures {
    fn add(&self, head: &dyn Head, error: &StoreError) {
        let mut by_head = self.by_head.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (head.tenant().clone(), head.signal());
        let wait = by_head
            .get(&key)
            .map_or(FIRST_WAIT, |last| (last.wait * 2).min(LONGEST_WAIT));
        let failure = Failure {
            message: error.to_string(),
            wait,
            since: Instant::now(),
        };
        by_head.insert(key, failure);
    }

    fn remove(&self, head: &dyn Head) {
        let key = (head.tenant().clone(), head.signal());
        let mut by_head = self.by_head.lock().unwrap_or_else(PoisonError::into_inner);
        by_head.remove(&key);
    }

    /// Whether sealing this head failed the last time.
    pub(super) fn contains(&self, head: &dyn Head) -> bool {
        let key = (head.tenant().clone(), head.signal());
        let by_head = self.by_head.lock().unwrap_or_else(PoisonError::into_inner);
        by_head.contains_key(&key)
    }

    /// Whether this head failed so recently that it should be left alone for now.
    pub(super) fn should_wait(&self, head: &dyn Head) -> bool {
        let key = (head.tenant().clone(), head.signal());
        let by_head = self.by_head.lock().unwrap_or_else(PoisonError::into_inner);
        by_head
            .get(&key)
            .is_some_and(|failure| failure.since.elapsed() < failure.wait)
    }

    /// One of the failures, when there is any.
    pub(super) fn any(&self) -> Option<String> {
        let by_head = self.by_head.lock().unwrap_or_else(PoisonError::into_inner);
        by_head
            .values()
            .next()
            .map(|failure| failure.message.clone())
    }
}

impl Store {
    /// Seals every head and returns when all of it is published.
    ///
    /// # Errors
    ///
    /// The first failure to seal or publish; what was not published stays in the log.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let mut first_error = None;
        for head in self.inner.heads.all() {
            head.freeze();
            if let Err(error) = self.inner.seal_frozen(&head).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Stops taking requests, seals what can be sealed and closes the log. The data directory may
    /// be opened again when it returns.
    ///
    /// # Errors
    ///
    /// None at present: what could not be sealed is in the report and stays in the log.
    pub async fn shutdown(&self) -> Result<ShutdownReport, StoreError> {
        let inner = &self.inner;
        inner.stop.cancel();
        inner.tasks.close();
        inner.tasks.wait().await;

        let rows_before = inner.unsealed_rows();
        let mut report = ShutdownReport::default();
        if inner.readiness().is_ready() {
            for head in inner.heads.all() {
                head.freeze();
                if let Err(error) = inner.seal_frozen(&head).await {
                    report.problems.push(error.to_string());
                }
            }
        }
        report.rows_left_in_log = inner.unsealed_rows();
        report.rows_sealed = rows_before.saturating_sub(report.rows_left_in_log);
        inner.log.close().await;
        inner.database.close().await;
        let directory = inner
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(directory);
        Ok(report)
    }
}

impl Inner {
    fn unsealed_rows(&self) -> u64 {
        self.heads.all().iter().map(|head| head.status().rows).sum()
    }

    /// Seals and publishes a head's frozen generations in their order.
    pub(super) async fn seal_frozen(&self, head: &HeadRef) -> Result<(), StoreError> {
        let _in_order = head.sealing().lock().await;
        while let Some(frozen) = head.oldest_frozen() {
            let started = Instant::now();
            let sealed = self.seal_one(head, frozen).await;
            metrics::histogram!("watchkeeper_seal_seconds", "signal" => head.signal().as_str())
                .record(started.elapsed());
            match sealed {
                Ok(()) => self.failures.remove(&**head),
                Err(error) => {
                    tracing::warn!(tenant = %head.tenant(), signal = %head.signal(), %error,
                        "sealing failed, will retry");
                    metrics::counter!("watchkeeper_seal_failures_total").increment(1);
                    self.failures.add(&**head, &error);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn seal_one(&self, head: &HeadRef, frozen: Arc<dyn Frozen>) -> Result<(), StoreError> {
        let (from, to) = frozen.covers();
        let at = now();
        // Those of a million series take a second to compress.
        let state = Arc::clone(&frozen);
        let accumulators = blocking("write accumulators", move || Ok(state.accumulators())).await?;
        let mut splits = Vec::new();
        if frozen.rows() > 0 {
            for part in 0..frozen.parts() {
                let key = object_key(head.tenant(), head.signal(), (from, to), at, part);
                match self.write_split(&key, Arc::clone(&frozen), part).await {
                    Ok(split) => splits.push(split),
                    Err(error) => {
                        for split in splits {
                            self.remove_object(&split.object_key).await;
                        }
                        return Err(error);
                    }
                }
            }
        }
        let published = Publication {
            tenant: head.tenant().clone(),
            signal: head.signal(),
            from_position: from,
            to_position: to,
            accumulators,
            splits,
            at,
        };
        match self.catalog.publish(published).await {
            Ok(()) => {}
            // The attempt before was committed although it reported a failure.
            Err(StoreError::StaleCheckpoint { found, .. }) if found == to => {}
            Err(error) => return Err(error),
        }
        head.published(to);
        drop(frozen);
        if let Err(error) = self.cut_log().await {
            // The log stays longer than it has to; the next seal tries again.
            tracing::warn!(%error, "the ingest log could not be cut");
        }
        self.memory_freed.notify_waiters();
        self.splits_changed.notify_one();
        Ok(())
    }

    async fn write_split(
        &self,
        key: &str,
        frozen: Arc<dyn Frozen>,
        part: usize,
    ) -> Result<NewSplit, StoreError> {
        let path = Path::from(key);
        let objects = self.objects.clone();
        let (size_bytes, summary) = blocking("seal a split", move || {
            let write_error = |source| StoreError::Io {
                action: "write split",
                path: path.to_string().into(),
                source,
            };
            let mut writer = BufWriter::with_capacity(WRITE_BUFFER, objects.create(&path)?);
            let summary = frozen.seal(part, &mut writer)?;
            writer.flush().map_err(write_error)?;
            let object = writer
                .into_inner()
                .map_err(|error| write_error(error.into_error()))?;
            Ok((object.finish()?, summary))
        })
        .await?;
        Ok(NewSplit {
            id: key.to_owned(),
            object_key: key.to_owned(),
            size_bytes,
            summary,
        })
    }

    /// Removes an object that was written in vain. What cannot be removed is swept at the next
    /// start.
    pub(super) async fn remove_object(&self, key: &str) {
        let (objects, path) = (self.objects.clone(), Path::from(key));
        let removed = blocking("remove an object", move || objects.remove(&path)).await;
        if let Err(error) = removed {
            tracing::warn!(key, %error, "an unpublished split could not be removed");
        }
    }

    /// Gives up the part of the log that every head's splits cover.
    async fn cut_log(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.cutting.lock().await;
        // Asked first: a record that is handed over later is not yet in the heads looked at.
        let handed_over = self.sequencer.handed_over();
        let unpublished = self
            .heads
            .all()
            .iter()
            .filter_map(|head| head.status().first_unpublished)
            .min();
        let through = unpublished.map_or(handed_over, |first| handed_over.min(first - 1));
        if through > self.log.extent().cut {
            log_cut::write(&self.database, through).await?;
            self.log.cut(through).await?;
        }
        Ok(())
    }
}
