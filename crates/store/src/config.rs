//! What a store is told at start: where data lies, how much it may use, how long it is kept.

use std::path::PathBuf;
use std::time::Duration;

pub use crate::retention::{MetricPattern, Retention, RetentionRule, ServicePattern};

/// The settings of one [`crate::Store`].
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// The data directory; made when absent. One process at a time holds its lock.
    pub data_dir: PathBuf,
    /// The catalog's database: `postgres://…`; `None` is SQLite in the data directory.
    pub database_url: Option<String>,
    /// Memory for requests in flight and heads together, bytes. At the limit requests wait for a
    /// second and are then answered with [`crate::IngestError::Full`].
    pub memory_bytes: usize,
    /// The ingest log.
    pub log: LogConfig,
    /// When heads are sealed.
    pub head: HeadConfig,
    /// How long telemetry is kept.
    pub retention: Retention,
    /// Which splits are merged.
    pub compaction: CompactionConfig,
    /// How much of the disk may be taken.
    pub storage: StorageConfig,
    /// Bounds of queries.
    pub query: QueryConfig,
    /// How many series there may be.
    pub series: SeriesConfig,
}

/// Settings of the ingest log's segments.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A segment is closed when it has grown past this, bytes.
    pub segment_bytes: u64,
    /// All segments together, bytes: at half of it the oldest head is sealed so that the log can
    /// be cut, at the whole of it requests are answered with [`crate::IngestError::Full`].
    pub max_bytes: u64,
}

/// When a head is sealed into a split.
#[derive(Debug, Clone)]
pub struct HeadConfig {
    /// Rows of one row group; a full one is encoded at once.
    pub row_group_rows: usize,
    /// A head of logs or spans with this many rows is sealed.
    pub split_rows: usize,
    /// A head that holds this many bytes, of logs and spans in encoded row groups, is sealed.
    pub split_bytes: usize,
    /// A head whose oldest row was received longer ago than this is sealed.
    pub max_age: Duration,
}

/// Which splits are merged into larger ones.
#[derive(Debug, Clone)]
pub struct CompactionConfig {
    /// Rows that a split grows to by being merged with its neighbours.
    pub target_rows: u64,
    /// The same, bytes.
    pub target_bytes: u64,
    /// So many of the newest splits are waited for before they are merged.
    pub fan_in: usize,
}

/// How much of the disk may be taken. Beyond it the oldest splits are deleted.
#[derive(Debug, Clone, Default)]
pub struct StorageConfig {
    /// Splits and ingest log together, bytes; `None` sets no limit.
    pub max_bytes: Option<u64>,
    /// What the file system should have left, bytes.
    pub min_free_bytes: u64,
}

/// How many series a tenant may have at the same time. A series is active when it had a sample in
/// the last hour; samples of series that would be too many are refused one by one.
#[derive(Debug, Clone, Default)]
pub struct SeriesConfig {
    /// Active series of one tenant; `None` sets no limit.
    pub per_tenant: Option<usize>,
    /// Active series of one tenant and metric name; `None` sets no limit.
    pub per_metric: Option<usize>,
}

/// Bounds of every query.
#[derive(Debug, Clone)]
pub struct QueryConfig {
    /// The longest a query may run.
    pub timeout: Duration,
    /// Memory of one query, bytes.
    pub memory_bytes: usize,
    /// Followers of arriving rows ([`crate::Store::follow`]) at the same time.
    pub max_followers: usize,
    /// Memory for what queries keep, bytes: a third each for open splits of logs and spans (footers,
    /// page indexes and dictionaries), for those of metrics, and for decoded blocks.
    pub cache_bytes: usize,
}

impl StoreConfig {
    /// The defaults of design and documentation, for `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            memory_bytes: 140 << 20,
            log: LogConfig::default(),
            head: HeadConfig::default(),
            retention: Retention::default(),
            compaction: CompactionConfig::default(),
            storage: StorageConfig::default(),
            query: QueryConfig::default(),
            series: SeriesConfig::default(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_bytes: 2 << 30,
        }
    }
}

impl Default for HeadConfig {
    fn default() -> Self {
        Self {
            row_group_rows: 65_536,
            split_rows: 8 * 65_536,
            split_bytes: 128 << 20,
            max_age: Duration::from_secs(15 * 60),
        }
    }
}

impl Default for CompactionConfig {
    fn default() -> Self {
        Self {
            target_rows: 4 << 20,
            target_bytes: 512 << 20,
            fan_in: 8,
        }
    }
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            memory_bytes: 512 << 20,
            max_followers: 64,
            cache_bytes: 384 << 20,
        }
    }
}
