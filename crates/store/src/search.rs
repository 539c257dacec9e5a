//! What the log search, histogram, trace and SQL queries take and give.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{LogRecord, Seq, Span, TimeRange};

/// Which end of a time range comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Descending (timestamp, seq).
    #[default]
    Newest,
    /// Ascending (timestamp, seq).
    Oldest,
}

/// A search for log records.
#[derive(Debug, Clone)]
pub struct LogSearch {
    /// Records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax; empty matches everything.
    pub query: String,
    /// At most this many records.
    pub limit: usize,
    /// Which records come first.
    pub order: Order,
    /// [`LogPage::cursor`] of the page before.
    pub cursor: Option<String>,
}

/// One page of a search.
#[derive(Debug, Clone, Default)]
pub struct LogPage {
    /// The records in the order asked for.
    pub records: Vec<FoundRecord>,
    /// Continues after the last record; `None` when nothing is left.
    pub cursor: Option<String>,
    /// Whether damage kept some records from being searched; `warnings` says what.
    pub partial: bool,
    /// What is missing and why, one sentence each.
    pub warnings: Vec<String>,
    /// What the search cost.
    pub stats: SearchStats,
}

/// A log record with its identity.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// Its place in the ingest log; with the timestamp its permanent identity.
    pub seq: Seq,
    /// The record.
    pub record: LogRecord,
}

/// What a search read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Splits whose time range meets the query's.
    pub splits: u64,
    /// Blocks in those splits.
    pub blocks_total: u64,
    /// Blocks that were read.
    pub blocks_scanned: u64,
    /// Rows that the predicate was checked on, head included.
    pub rows_scanned: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// A question for counts over time.
#[derive(Debug, Clone)]
pub struct LogHistogram {
    /// Records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax.
    pub query: String,
    /// How wide the buckets are.
    pub step: HistogramStep,
    /// Fields to count by; empty counts everything together.
    pub by: Vec<String>,
}

/// The width of a histogram's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistogramStep {
    /// About this many buckets over the range, of a round width.
    Buckets(u32),
    /// Exactly this width.
    Width(Duration),
}

/// Counts over time.
#[derive(Debug, Clone, Default)]
pub struct HistogramPage {
    /// The width of each bucket.
    pub step: Duration,
    /// Every bucket of the range in ascending order, empty ones included.
    pub buckets: Vec<HistogramBucket>,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
    /// What the query cost.
    pub stats: SearchStats,
}

/// One bucket of a histogram.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistogramBucket {
    /// Its first instant, Unix ns.
    pub start: i64,
    /// Records by the values of `by` joined with `,`; the empty key without `by`.
    pub counts: BTreeMap<String, u64>,
}

/// All spans of one trace.
#[derive(Debug, Clone, Default)]
pub struct TracePage {
    /// The spans by (start, seq).
    pub spans: Vec<(Seq, Span)>,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
}

/// Bounds of one SQL query.
#[derive(Debug, Clone)]
pub struct SqlLimits {
    /// The longest it may run.
    pub timeout: Duration,
    /// Memory it may use, bytes.
    pub memory_bytes: usize,
    /// Rows it may return; more is an error.
    pub max_rows: usize,
}
