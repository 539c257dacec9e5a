//! Everything durable: the ingest log, heads, splits, the catalog, and the queries over them.
//!
//! One path for three signals: a request is appended to the *ingest log* (fsynced), applied to a
//! *head* (in memory, searchable at once), sealed into a *split* (an immutable object), and
//! published in the *catalog* together with the checkpoint that says how far the log is covered.
//! [`Store`] ties these together; the modules below are listed in the order data passes them.
//!
//! What must hold: an acknowledged request survives `kill -9` and power loss; a query sees it
//! from the acknowledgement on, exactly once; replaying the log changes no answer.

pub mod catalog;
pub mod checked;
pub mod columns;
mod compaction;
pub mod config;
pub mod database;
pub mod disk;
pub mod error;
pub mod follow;
pub mod head;
pub mod index;
pub mod ingest;
pub mod lock;
pub mod log;
pub mod metrics;
pub mod objects;
pub mod retention;
pub mod scan;
pub mod search;
pub mod split;
pub mod storage;
pub mod verify;

mod engine;
#[cfg(test)]
mod postgres_for_tests;

pub use config::{
    CompactionConfig, HeadConfig, LogConfig, MetricPattern, QueryConfig, Retention, RetentionRule,
    SeriesConfig, ServicePattern, StorageConfig, StoreConfig,
};
pub use database::{Database, DatabaseKind, Migration};
pub use engine::{LogPages, ShutdownReport, Store, TenantSeries};
pub use error::{IngestError, Position, QueryError, StoreError};
pub use follow::{Followed, Follower};
pub use ingest::{IngestOutcome, IngestRequest, Readiness, RejectedCount};
pub use metrics::{Cardinality, CardinalityOptions, SeriesExemplars};
pub use search::{
    Change, ContextPage, FacetPage, FieldKind, FieldName, FieldPage, FieldType, FoundRecord,
    HistogramBucket, HistogramPage, HistogramStep, LogContext, LogExport, LogFacets, LogFields,
    LogHistogram, LogPage, LogPattern, LogPatterns, LogSearch, LogValues, Order, PatternPage,
    RecordId, SearchStats, SqlLimits, TopValues, TracePage, ValuePage,
};
pub use storage::{DiskUse, StorageReport, StreamUse};
pub use verify::{Finding, VerifyReport, verify};
