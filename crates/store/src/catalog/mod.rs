//! Which splits exist, and how far each tenant's and signal's log is sealed.
//!
//! Splits become visible and their checkpoint moves in one transaction, so replaying the log
//! after a crash is harmless: what a split covers is never applied again, what none covers always
//! is. Positions of one (tenant, signal) are published in order and without gaps.

mod sql;

#[cfg(test)]
mod conformance;

use async_trait::async_trait;
use model::{Signal, TenantId, TimeRange};

use crate::error::StoreError;
use crate::head::SplitSummary;

pub use sql::SqlCatalog;

/// A published split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitEntry {
    /// Its identifier, unique for ever.
    pub id: String,
    /// Whose telemetry it holds.
    pub tenant: TenantId,
    /// Which signal.
    pub signal: Signal,
    /// Where the file lies in the object store.
    pub object_key: String,
    /// The file's size, bytes.
    pub size_bytes: u64,
    /// It covers the log positions after this one …
    pub from_position: u64,
    /// … up to this one.
    pub to_position: u64,
    /// When it was published, Unix ns.
    pub created_at: i64,
    /// Rows, times and what the format wants to know before the file is opened.
    pub summary: SplitSummary,
}

/// How far a (tenant, signal) is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose.
    pub tenant: TenantId,
    /// Which signal.
    pub signal: Signal,
    /// The last log position that splits cover.
    pub position: u64,
    /// State that later positions build on (delta → cumulative), as its owner wrote it.
    pub accumulators: Option<String>,
    /// When it moved last, Unix ns.
    pub updated_at: i64,
}

/// The next step of one (tenant, signal): from one checkpoint to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Whose.
    pub tenant: TenantId,
    /// Which signal.
    pub signal: Signal,
    /// Where the checkpoint must stand; 0 when there is none yet.
    pub from_position: u64,
    /// Where it moves.
    pub to_position: u64,
    /// Accumulators after `to_position`.
    pub accumulators: Option<String>,
    /// The splits that cover the positions together, one for each retention; none when nothing in
    /// them was kept.
    pub splits: Vec<NewSplit>,
    /// When, Unix ns.
    pub at: i64,
}

/// A split that lies in the object store and waits to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSplit {
    /// Its identifier.
    pub id: String,
    /// Where the file lies in the object store.
    pub object_key: String,
    /// The file's size, bytes.
    pub size_bytes: u64,
    /// Rows, times, format's own.
    pub summary: SplitSummary,
}

/// Splits and checkpoint of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogSnapshot {
    /// Visible splits that overlap the range, in the order of their positions.
    pub splits: Vec<SplitEntry>,
    /// The last log position that splits cover; 0 when there is no checkpoint.
    pub checkpoint: u64,
}

/// A split that queries no longer see and whose file waits to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedSplit {
    /// Its identifier.
    pub id: String,
    /// Where the file lies.
    pub object_key: String,
    /// The file's size, bytes.
    pub size_bytes: u64,
    /// When it was hidden, Unix ns.
    pub deleted_at: i64,
}

/// The list of visible splits, with checkpoints. Every change is atomic and durable on return.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// Publishes splits and moves the checkpoint, all or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::StaleCheckpoint`] when the checkpoint does not stand at `from_position`.
    async fn publish(&self, publication: Publication) -> Result<(), StoreError>;

    /// The visible splits that overlap `range`, and the checkpoint, of one moment.
    ///
    /// # Errors
    ///
    /// The database failed.
    async fn snapshot(
        &self,
        tenant: &TenantId,
        signal: Signal,
        range: TimeRange,
    ) -> Result<CatalogSnapshot, StoreError>;

    /// Every checkpoint, by tenant and signal.
    ///
    /// # Errors
    ///
    /// The database failed.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError>;

    /// Every visible split of every tenant, by tenant, signal and position.
    ///
    /// # Errors
    ///
    /// The database failed.
    async fn splits(&self) -> Result<Vec<SplitEntry>, StoreError>;

    /// Puts `added` in the place of the splits `removed`, of one tenant and signal: what
    /// compaction does. `added` covers the same rows and carries the identity of `removed`.
    ///
    /// # Errors
    ///
    /// [`StoreError::SplitsChanged`] when one of `removed` is no longer visible; nothing changes.
    async fn replace(
        &self,
        removed: &[String],
        added: &[SplitEntry],
        at: i64,
    ) -> Result<(), StoreError>;

    /// Hides the splits `ids`, and says which of them were visible.
    ///
    /// # Errors
    ///
    /// The database failed; nothing changes.
    async fn hide(&self, ids: &[String], at: i64) -> Result<Vec<DeletedSplit>, StoreError>;

    /// Splits hidden before `before` (Unix ns), whose files are still there.
    ///
    /// # Errors
    ///
    /// The database failed.
    async fn deleted_before(&self, before: i64) -> Result<Vec<DeletedSplit>, StoreError>;

    /// Forgets a hidden split whose file is gone.
    ///
    /// # Errors
    ///
    /// The database failed.
    async fn forget(&self, id: &str) -> Result<(), StoreError>;

    /// Keys of all files that the catalog knows, hidden ones included: any other file in the
    /// object store was never published.
    ///
    /// # Errors
    ///
    /// The database failed.
    async fn object_keys(&self) -> Result<Vec<String>, StoreError>;
}
