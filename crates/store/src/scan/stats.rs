//! What a query reads, counted while it runs, and the damage it meets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::StoreError;
use crate::search::SearchStats;

/// Counters of one query, shared by the tasks that work on it.
#[derive(Debug, Default)]
pub struct ScanStats {
    splits: AtomicU64,
    blocks_total: AtomicU64,
    blocks_scanned: AtomicU64,
    rows_scanned: AtomicU64,
    /// What damage hid, when the query may go on without.
    warnings: Mutex<Vec<String>>,
}

impl ScanStats {
    pub(crate) fn add_split(&self, blocks: u64) {
        self.splits.fetch_add(1, Ordering::Relaxed);
        self.blocks_total.fetch_add(blocks, Ordering::Relaxed);
    }

    pub(crate) fn add_scanned_blocks(&self, blocks: u64) {
        self.blocks_scanned.fetch_add(blocks, Ordering::Relaxed);
    }

    pub(crate) fn add_scanned_rows(&self, rows: u64) {
        metrics::counter!("watchkeeper_scanned_rows_total").increment(rows);
        self.rows_scanned.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn add_damage(&self, err: &StoreError) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let warning = format!("some records are missing: {err}");
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    /// What is missing from the answer and why; empty when it is complete.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.clone()
    }

    /// The counters, with the query's wall time.
    pub fn read(&self, elapsed: Duration) -> SearchStats {
        SearchStats {
            splits: self.splits.load(Ordering::Relaxed),
            blocks_total: self.blocks_total.load(Ordering::Relaxed),
            blocks_scanned: self.blocks_scanned.load(Ordering::Relaxed),
            rows_scanned: self.rows_scanned.load(Ordering::Relaxed),
            elapsed,
        }
    }
}

/// What a scan does about a damaged piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDamage {
    /// The query fails.
    Fail,
    /// The query goes on and its answer says that it is partial.
    Warn,
}
