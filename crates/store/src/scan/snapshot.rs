//! What one query sees: rows in memory and splits, at one moment.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::columns::RowsInMemory;
use crate::error::StoreError;
use crate::split::{QueryBlocks, RowGroup, Split};

/// A published split that is opened when a query gets to it.
#[async_trait]
pub trait SplitHandle: fmt::Debug + Send + Sync {
    /// The object's key, for messages.
    fn name(&self) -> &str;
    /// First and last timestamp, Unix ns.
    fn times(&self) -> (i64, i64);
    /// How many blocks it has.
    fn blocks(&self) -> u64;
    /// The open split; opened splits are worth keeping.
    ///
    /// # Errors
    ///
    /// The object is damaged or cannot be read.
    async fn open(&self) -> Result<Arc<Split>, StoreError>;
}

/// The rows of one tenant and signal that a query sees: every acknowledged row exactly once.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Rows that are in no row group yet.
    pub open: Vec<Arc<dyn RowsInMemory>>,
    /// Encoded row groups of heads.
    pub row_groups: Vec<Arc<RowGroup>>,
    /// Published splits that no head row repeats.
    pub splits: Vec<Arc<dyn SplitHandle>>,
    /// The cache of blocks, as whoever asks this snapshot uses it.
    pub(crate) cache: Arc<QueryBlocks>,
}

/// A split that is open already.
#[derive(Debug, Clone)]
pub struct OpenedSplit {
    split: Arc<Split>,
    times: (i64, i64),
}

impl OpenedSplit {
    /// A handle to `split`.
    ///
    /// # Errors
    ///
    /// Its footer does not say which times it covers.
    pub fn new(split: Arc<Split>) -> Result<Self, StoreError> {
        let file = split.file();
        let mut times = (i64::MAX, i64::MIN);
        for group in 0..file.row_groups() {
            let (first, last) = file.times(group)?;
            times = (times.0.min(first), times.1.max(last));
        }
        Ok(Self { split, times })
    }
}

#[async_trait]
impl SplitHandle for OpenedSplit {
    fn name(&self) -> &str {
        self.split.file().name()
    }

    fn times(&self) -> (i64, i64) {
        self.times
    }

    fn blocks(&self) -> u64 {
        self.split.blocks() as u64
    }

    async fn open(&self) -> Result<Arc<Split>, StoreError> {
        Ok(Arc::clone(&self.split))
    }
}
