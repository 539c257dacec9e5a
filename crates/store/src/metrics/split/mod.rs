//! Metric splits: one Parquet file with a row per chunk of a series, sorted by labels, and an
//! index of labels behind the rows.
//!
//! Everything but `samples` is plain Parquet; the chunks need [`super::chunk`]
//! (`docs/formats/metric-split.md`). A matcher is answered by the index (`candidates.rs`), and only
//! the rows it names are read (`read.rs`).

mod candidates;
mod chunks;
mod format;
mod label_index;
mod listing;
mod merge;
mod read;
mod row_set;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use merge::{MergedMetrics, merge};
pub use read::MetricSplit;
pub(super) use write::write;
