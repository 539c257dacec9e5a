//! Metrics: series in memory, in splits, and as one source for the evaluator.
//!
//! A metric split holds one row per series: its labels and one [`chunk`] of its samples; the
//! index inside of it names rows, so matchers find series. Samples may come late, out of order or
//! twice: of two samples of one series and millisecond the one written last wins.

mod accumulator;
mod cardinality;
mod carried;
pub mod chunk;
mod column;
mod exemplars;
pub mod head;
mod head_series;
mod open_column;
mod postings;
pub mod source;
pub mod split;

#[cfg(test)]
mod tests;

pub use cardinality::{Cardinality, CardinalityOptions, Count, LabelCount, PairCount};
pub use exemplars::SeriesExemplars;
pub use head::MetricHead;
pub use source::MetricSnapshot;
pub use split::MetricSplit;
