//! The disk's bound: what is over it is deleted, oldest first. And what is stored, for operators.

use std::time::Duration;

use model::Signal;

use super::{Inner, Store, blocking, now};
use crate::catalog::{DeletedSplit, SplitEntry};
use crate::disk::DiskSpace;
use crate::error::{QueryError, StoreError};
use crate::retention;
use crate::storage::{self, DiskUse, StorageReport};

/// A hidden split's file goes after so many times the grace, whoever may still want to open it.
const GRACES_AT_MOST: i64 = 6;

/// How urgently the files of hidden splits are to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// After the grace.
    Usual,
    /// As soon as no running query can still open them: the disk is over its bound.
    Full,
}

/// What the store takes of the disk, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    /// Splits that queries see.
    visible: u64,
    /// Hidden splits whose files are still there.
    hidden: u64,
    log: u64,
}

impl Store {
    /// What is stored, how fast it grows, and when the disk will be full.
    ///
    /// # Errors
    ///
    /// The store is not ready, or the catalog or the disk failed.
    pub async fn storage(&self) -> Result<StorageReport, QueryError> {
        self.inner.check_ready()?;
        Ok(self.inner.storage_report(now()).await?)
    }
}

impl Inner {
    async fn storage_report(&self, now: i64) -> Result<StorageReport, StoreError> {
        let splits = self.catalog.splits().await?;
        let used = self.used(&splits).await?;
        let space = self.space().await?;
        let streams = storage::streams(&splits, &self.config.retention, now);
        let limits = &self.config.storage;
        let below_limit = limits.max_bytes.map(|max| max.saturating_sub(used.total()));
        let on_disk = space.available.saturating_sub(limits.min_free_bytes);
        let room = below_limit.map_or(on_disk, |below| below.min(on_disk));
        let disk = DiskUse {
            used_bytes: used.total(),
            capacity_bytes: space.capacity,
            limit_bytes: limits.max_bytes,
            full_at: storage::full_at(&streams, room, now),
        };
        let report = StorageReport { disk, streams };
        show(&report, &splits);
        Ok(report)
    }

    async fn used(&self, splits: &[SplitEntry]) -> Result<Used, StoreError> {
        let hidden = self.catalog.deleted_before(i64::MAX).await?;
        Ok(Used {
            visible: splits.iter().map(|split| split.size_bytes).sum(),
            hidden: hidden.iter().map(|split| split.size_bytes).sum(),
            log: self.log.extent().bytes,
        })
    }

    async fn space(&self) -> Result<DiskSpace, StoreError> {
        let objects = self.objects.clone();
        blocking("look at the disk's space", move || objects.space()).await
    }

    /// Updates the metrics about what is stored.
    pub(super) async fn report_storage(&self, now: i64) {
        if let Err(error) = self.storage_report(now).await {
            tracing::warn!(%error, "what is stored could not be added up");
        }
    }

    /// Deletes the oldest splits until what is stored is within its bounds.
    ///
    /// # Errors
    ///
    /// The catalog or the disk failed.
    pub(super) async fn keep_within_bounds(&self, now: i64) -> Result<(), StoreError> {
        let limits = &self.config.storage;
        if limits.max_bytes.is_none() && limits.min_free_bytes == 0 {
            return Ok(());
        }
        let splits = self.catalog.splits().await?;
        let used = self.used(&splits).await?;
        let space = self.space().await?;
        let excess = used.excess(limits.max_bytes, limits.min_free_bytes, space);
        let oldest = storage::oldest(&splits, excess);
        if !oldest.is_empty() {
            self.delete_for_room(&oldest, now).await?;
        }
        let is_over = limits.max_bytes.is_some_and(|max| used.total() > max)
            || space.available < limits.min_free_bytes;
        if is_over {
            self.sweep(Urgency::Full, now).await?;
        }
        Ok(())
    }

    async fn delete_for_room(&self, splits: &[&SplitEntry], now: i64) -> Result<(), StoreError> {
        let ids: Vec<String> = splits.iter().map(|split| split.id.clone()).collect();
        let hidden = self.catalog.hide(&ids, now).await?;
        let is_hidden = |split: &&&SplitEntry| hidden.iter().any(|other| other.id == split.id);
        for split in splits.iter().filter(is_hidden) {
            let signal = split.signal.as_str();
            metrics::counter!("watchkeeper_storage_deleted_splits_total", "signal" => signal)
                .increment(1);
            metrics::counter!("watchkeeper_storage_deleted_bytes_total", "signal" => signal)
                .increment(split.size_bytes);
            tracing::warn!(tenant = %split.tenant, signal, split_id = %split.id,
                rows = split.summary.rows, bytes = split.size_bytes,
                newest = %model::time::format_instant(split.summary.max_time),
                "the disk's bound is reached: a split was deleted before its retention was over");
        }
        Ok(())
    }

    /// Removes the files of hidden splits that nobody needs any more; how many.
    ///
    /// # Errors
    ///
    /// The catalog failed.
    pub(super) async fn sweep(&self, urgency: Urgency, now: i64) -> Result<usize, StoreError> {
        let grace = self.config.retention.grace.max(self.config.query.timeout);
        let grace = i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX);
        let oldest_query = self.leases.oldest();
        let may_go =
            |split: &DeletedSplit| may_go(split.deleted_at, oldest_query, urgency, grace, now);
        let swept = retention::sweep(self.catalog.as_ref(), &self.objects, may_go).await?;
        for split in &swept {
            self.splits.remove(&split.object_key);
            self.metric_splits.remove(&split.object_key);
        }
        Ok(swept.len())
    }
}

/// Whether the file of a split that was hidden at `deleted_at` may be removed at `now`.
fn may_go(
    deleted_at: i64,
    oldest_query: Option<i64>,
    urgency: Urgency,
    grace: i64,
    now: i64,
) -> bool {
    let hidden_for = now.saturating_sub(deleted_at);
    let is_wanted = oldest_query.is_some_and(|begun| begun <= deleted_at);
    match urgency {
        _ if hidden_for > grace.saturating_mul(GRACES_AT_MOST) => true,
        Urgency::Usual => hidden_for > grace && !is_wanted,
        Urgency::Full => !is_wanted,
    }
}

impl Used {
    fn total(self) -> u64 {
        self.visible + self.hidden + self.log
    }

    /// Bytes of visible splits that have to go. What is hidden goes anyway.
    fn excess(self, max_bytes: Option<u64>, min_free_bytes: u64, space: DiskSpace) -> u64 {
        let kept = self.visible + self.log;
        let over = max_bytes.map_or(0, |max| kept.saturating_sub(max));
        let missing = min_free_bytes.saturating_sub(space.available);
        over.max(missing.saturating_sub(self.hidden))
    }
}

fn show(report: &StorageReport, splits: &[SplitEntry]) {
    let disk = &report.disk;
    metrics::gauge!("watchkeeper_storage_used_bytes").set(disk.used_bytes as f64);
    metrics::gauge!("watchkeeper_storage_capacity_bytes").set(disk.capacity_bytes as f64);
    metrics::gauge!("watchkeeper_storage_limit_bytes")
        .set(disk.limit_bytes.map_or(f64::INFINITY, |limit| limit as f64));
    let full_at = disk.full_at.map_or(f64::INFINITY, |at| at as f64 / 1e9);
    metrics::gauge!("watchkeeper_storage_full_timestamp_seconds").set(full_at);
    let mut tenants: Vec<_> = splits.iter().map(|split| &split.tenant).collect();
    tenants.sort();
    tenants.dedup();
    for tenant in tenants {
        for signal in Signal::ALL {
            let held = splits
                .iter()
                .filter(|s| s.tenant == *tenant && s.signal == signal);
            let (mut count, mut bytes, mut rows) = (0_u64, 0, 0);
            for split in held {
                count += 1;
                bytes += split.size_bytes;
                rows += split.summary.rows;
            }
            let labels = [
                ("tenant", tenant.to_string()),
                ("signal", signal.as_str().to_owned()),
            ];
            metrics::gauge!("watchkeeper_storage_splits", &labels).set(count as f64);
            metrics::gauge!("watchkeeper_storage_bytes", &labels).set(bytes as f64);
            metrics::gauge!("watchkeeper_storage_rows", &labels).set(rows as f64);
        }
    }
}

/// How often what is stored is measured against its bounds.
pub(super) const BOUNDS_TICK: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_file_goes_after_the_grace_or_at_once_when_the_disk_is_full() {
        let cases = [
            // hidden at, oldest query, urgency, now
            (100, None, Urgency::Usual, 105, false),
            (100, None, Urgency::Usual, 111, true),
            (100, Some(90), Urgency::Usual, 111, false),
            (100, Some(101), Urgency::Usual, 111, true),
            (100, None, Urgency::Full, 101, true),
            (100, Some(100), Urgency::Full, 101, false),
            // A query that never ends does not keep the file for ever.
            (100, Some(90), Urgency::Usual, 161, true),
        ];
        for (deleted_at, oldest_query, urgency, now, expected) in cases {
            let found = may_go(deleted_at, oldest_query, urgency, 10, now);
            assert_eq!(
                found, expected,
                "{deleted_at} {oldest_query:?} {urgency:?} {now}"
            );
        }
    }

    #[test]
    fn what_is_hidden_already_makes_room_too() {
        let used = Used {
            visible: 50,
            hidden: 20,
            log: 10,
        };
        let space = DiskSpace {
            capacity: 1_000,
            available: 100,
        };
        assert_eq!(used.excess(None, 0, space), 0);
        assert_eq!(used.excess(Some(60), 0, space), 0);
        assert_eq!(used.excess(Some(45), 0, space), 15);
        assert_eq!(used.excess(None, 130, space), 10);
        assert_eq!(used.excess(Some(45), 150, space), 30);
    }
}
