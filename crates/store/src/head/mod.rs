//! Unsealed rows in memory: durable in the ingest log, searchable at once, sealed into splits.
//!
//! A head is a chain of *generations*, each the rows of the log positions `(from, to]` of one
//! tenant and signal. The newest takes rows; the others are frozen and wait to be sealed and
//! published, oldest first. What differs between signals lies behind [`HeadRows`]; logs and spans
//! share [`classes::ClassedHead`], metrics have their own.

pub mod chain;
pub mod classes;
pub mod memory;
pub mod rows;
pub(crate) mod tenant;

use std::io::Write;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::follow::Arrived;
use crate::retention::StreamRetention;

/// What one generation does with its rows. All of it is called from several threads.
///
/// Applying is fast and never fails: whatever can be refused was refused before the request was
/// appended to the log, and replay must come to the same rows.
pub trait HeadRows: Send + Sync + Sized + 'static {
    /// The accepted items of one log record.
    type Batch: Send + 'static;

    /// An empty generation for positions after this one's last. Accumulators (delta →
    /// cumulative) go along. Called once, when this one freezes, after its last `apply`.
    fn successor(&self) -> Self;

    /// Adds the items of one log record; queries see them when it returns. Calls come in the
    /// order of positions, one at a time.
    fn apply(&self, batch: Self::Batch);

    /// A batch as followers of the head see it; `None` when its rows cannot be followed. Called
    /// before [`HeadRows::apply`] takes the batch, and only while somebody follows.
    fn arrived(_batch: &Self::Batch) -> Option<Arrived> {
        None
    }

    /// Memory held, bytes, accumulators included.
    fn size_bytes(&self) -> usize;

    /// The part of it that stays until the generation is sealed: what is encoded.
    fn settled_bytes(&self) -> usize {
        self.size_bytes()
    }

    /// Rows (of metrics: samples) held.
    fn rows(&self) -> u64;

    /// Whether [`HeadRows::encode_full`] has something to do.
    fn has_full(&self) -> bool {
        false
    }

    /// Encodes what is full so that it takes less memory. CPU-heavy: runs on the blocking pool
    /// while rows are applied and read.
    ///
    /// # Errors
    ///
    /// The encoder refused the rows; they stay as they are.
    fn encode_full(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// How many splits the generation becomes: one for each retention that its rows have. Asked
    /// after it froze.
    fn parts(&self) -> usize {
        1
    }

    /// Writes one of the generation's splits. Called after the generation froze, on the blocking
    /// pool, while it is still read; again from the start when `out` failed.
    ///
    /// # Errors
    ///
    /// `out` failed, or the encoder refused the rows.
    fn seal(&self, part: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError>;

    /// Accumulators after the last position, for the checkpoint: text that
    /// `restore` of the same type reads. Called after the generation froze.
    fn accumulators(&self) -> Option<String> {
        None
    }

    /// An empty generation that continues from a checkpoint's accumulators.
    ///
    /// # Errors
    ///
    /// The text is not what [`HeadRows::accumulators`] wrote.
    fn restore(settings: &HeadSettings, accumulators: Option<&str>) -> Result<Self, StoreError>;
}

/// What a generation needs to know of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadSettings {
    /// Rows of one row group.
    pub row_group_rows: usize,
    /// How long the rows are kept; those that differ come into different splits.
    pub retention: Arc<StreamRetention>,
}

/// What the catalog keeps of a split besides its key, size and positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Rows (of metrics: samples).
    pub rows: u64,
    /// The earliest row's time, Unix ns.
    pub min_time: i64,
    /// The latest row's time, Unix ns.
    pub max_time: i64,
    /// What queries want to know before they open the file; the split format's own JSON.
    pub metadata: serde_json::Value,
}
