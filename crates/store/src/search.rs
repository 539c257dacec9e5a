//! What the log search, histogram, trace and SQL queries take and give.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{LogRecord, Seq, Span, TimeRange};
pub use query::patterns::Change;
pub use query::value_counts::TopValues;

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
    /// At most this many groups are told apart, those with the most records; the records of all
    /// others are in [`HistogramBucket::other`].
    pub groups: usize,
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
    /// Records of groups that are not told apart.
    pub other: u64,
}

/// A question for the most frequent values of fields.
#[derive(Debug, Clone)]
pub struct LogFacets {
    /// Records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax.
    pub query: String,
    /// The fields, by the names that the search syntax uses.
    pub fields: Vec<String>,
    /// At most this many values of each.
    pub limit: usize,
}

/// The most frequent values of fields.
#[derive(Debug, Clone, Default)]
pub struct FacetPage {
    /// One for each field, in the order asked for.
    pub facets: Vec<(String, TopValues)>,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
    /// What the query cost.
    pub stats: SearchStats,
}

/// A question for the names of fields.
#[derive(Debug, Clone)]
pub struct LogFields {
    /// Of records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax.
    pub query: String,
    /// Only names that begin with this.
    pub prefix: String,
    /// At most this many names.
    pub limit: usize,
}

/// Where a field's values lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKind {
    /// Every record has it, perhaps empty.
    Column,
    /// An attribute of the record.
    Attribute,
    /// An attribute of the resource.
    Resource,
}

/// The types that a field's values have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldType {
    /// Strings.
    Text,
    /// Whole numbers.
    Integer,
    /// Doubles.
    Double,
    /// Booleans.
    Boolean,
    /// Bytes, arrays, maps, or values whose type only the records themselves say.
    Mixed,
}

/// A field that records have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName {
    /// The name; of an attribute its key.
    pub name: String,
    /// Where its values lie.
    pub kind: FieldKind,
    /// Their types, each once.
    pub types: Vec<FieldType>,
}

/// The names of fields.
#[derive(Debug, Clone, Default)]
pub struct FieldPage {
    /// In the order of their names.
    pub fields: Vec<FieldName>,
    /// Whether there are more than the limit.
    pub truncated: bool,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
    /// What the query cost.
    pub stats: SearchStats,
}

/// A question for the values of a field.
#[derive(Debug, Clone)]
pub struct LogValues {
    /// Of records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax.
    pub query: String,
    /// The field, by the name that the search syntax uses.
    pub field: String,
    /// Only values that begin with this.
    pub prefix: String,
    /// At most this many values.
    pub limit: usize,
}

/// The values of a field.
#[derive(Debug, Clone, Default)]
pub struct ValuePage {
    /// The values with the number of their records. With a query the most frequent come first;
    /// without one they are in the order of their text, and nobody has counted them.
    pub values: Vec<(String, Option<u64>)>,
    /// Whether these are all values that begin with the prefix, and no others: false when there
    /// are more than the limit, or when memory or the time for completion ran out.
    pub exact: bool,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
    /// What the query cost.
    pub stats: SearchStats,
}

/// A record's permanent identity: its time (Unix ns) and its place in the ingest log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId {
    /// The record's timestamp, Unix ns.
    pub timestamp: i64,
    /// Its place in the ingest log.
    pub seq: Seq,
}

/// A question for the records around one record.
#[derive(Debug, Clone)]
pub struct LogContext {
    /// The record in the middle.
    pub id: RecordId,
    /// At most this many records before it.
    pub before: usize,
    /// At most this many records after it.
    pub after: usize,
    /// [`ContextPage::before_cursor`] of an earlier answer: goes on from there.
    pub before_cursor: Option<String>,
    /// [`ContextPage::after_cursor`] of an earlier answer: goes on from there.
    pub after_cursor: Option<String>,
}

/// The records around one record: of the same resource, by (timestamp, seq).
#[derive(Debug, Clone)]
pub struct ContextPage {
    /// Those before, oldest first.
    pub before: Vec<FoundRecord>,
    /// The record in the middle.
    pub record: FoundRecord,
    /// Those after, oldest first.
    pub after: Vec<FoundRecord>,
    /// Continues before the oldest of `before`; `None` when nothing is left.
    pub before_cursor: Option<String>,
    /// Continues after the newest of `after`; `None` when nothing is there yet.
    pub after_cursor: Option<String>,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
    /// What the query cost.
    pub stats: SearchStats,
}

/// A question for every matching record.
#[derive(Debug, Clone)]
pub struct LogExport {
    /// Records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax.
    pub query: String,
    /// Which records come first.
    pub order: Order,
    /// At most this many records; `None` is all of them.
    pub limit: Option<u64>,
}

/// A question for the patterns of records' bodies.
#[derive(Debug, Clone)]
pub struct LogPatterns {
    /// Records with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The query in search syntax.
    pub query: String,
    /// At most this many patterns.
    pub limit: usize,
    /// The range that the patterns are compared with.
    pub compare: Option<TimeRange>,
}

/// The patterns of records' bodies.
#[derive(Debug, Clone, Default)]
pub struct PatternPage {
    /// The patterns with the most records first; those that only the compared range has last.
    pub patterns: Vec<LogPattern>,
    /// How many there are in all.
    pub distinct: u64,
    /// Records that match.
    pub records: u64,
    /// Records of the compared range that match.
    pub baseline_records: Option<u64>,
    /// Whether there are so many records that only some were looked at: then every count is
    /// estimated from those.
    pub sampled: bool,
    /// As [`LogPage::partial`].
    pub partial: bool,
    /// As [`LogPage::warnings`].
    pub warnings: Vec<String>,
    /// What the query cost.
    pub stats: SearchStats,
}

/// One pattern.
#[derive(Debug, Clone)]
pub struct LogPattern {
    /// The text, with `<_>` for what varies.
    pub pattern: String,
    /// Records that have it.
    pub count: u64,
    /// The same by the names of their severities.
    pub severity: BTreeMap<&'static str, u64>,
    /// Times of the first and the last of them, Unix ns; `None` when the range has none.
    pub times: Option<(i64, i64)>,
    /// A few of them, newest first.
    pub samples: Vec<FoundRecord>,
    /// Records of the compared range that have it.
    pub baseline: Option<u64>,
    /// How the two differ.
    pub change: Option<Change>,
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
