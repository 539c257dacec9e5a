//! Reading rows wherever they lie: open rows, a head's row groups, splits.
//!
//! A query takes one [`Snapshot`] and asks it in one of two ways: as the DataFusion tables `logs`
//! and `spans` ([`LogicalTable`]) for SQL, LogQL and histograms, or for whole records
//! ([`search_logs`], [`find_trace`], [`log_context`]) and what they hold ([`log_facets`],
//! [`log_fields`], [`log_values`], [`log_patterns`], [`RecordPages`]). Both work alike, piece by piece, the newest first or last:
//!
//! 1. pieces whose times lie outside of the filter's range are left out;
//! 2. the index and the bloom filters are asked for blocks, when a file is opened;
//! 3. the filter's conditions are checked on the rows of those blocks, cheap columns first, each
//!    on the rows that passed the one before;
//! 4. with an order and a limit, time and seq decide which rows are wanted, and pieces that cannot
//!    hold a better row than those found are never opened;
//! 5. only then are the other columns read, for the rows that are left.

mod condition;
mod context;
mod exec;
mod export;
mod facets;
mod field_names;
mod field_values;
mod filter;
mod group_counts;
mod group_table;
mod histogram;
mod level_counts;
mod log_plans;
mod matches;
mod patterns;
mod pieces;
mod records;
mod select;
mod session;
mod snapshot;
mod sql;
mod stats;
mod table;
mod tasks;
mod top;
mod values;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;

pub use context::log_context;
pub use export::RecordPages;
pub use facets::log_facets;
pub use field_names::log_fields;
pub use histogram::log_histogram;
pub use log_plans::SnapshotLogs;
pub use matches::LogFilter;
pub use patterns::log_patterns;
pub use records::{find_trace, search_logs};
pub use session::QueryBounds;
pub use snapshot::{OpenedSplit, Snapshot, SplitHandle};
pub use sql::run_sql;
pub use stats::ScanStats;
pub use table::LogicalTable;
pub use values::log_values;
