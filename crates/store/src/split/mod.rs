//! Splits: sealed Parquet files of logs or spans that carry their own block index.
//!
//! A [`RowGroup`] is up to [`MAX_ROW_GROUP_ROWS`] rows, sorted by stream and time, encoded as a
//! Parquet file of one row group in memory, with the terms of its blocks. [`write`] copies row
//! groups byte for byte into one file, stacks their blocks into one tantivy index behind them, and
//! adds checksums of everything. [`Split`] opens such a file; [`verify`] checks it completely.
//! Heads read their row groups through the same [`ParquetFile`] as splits: `selection` reads selected
//! rows, by whole blocks when these are asked for again, `block_cache` keeps such blocks, `pages`
//! fetches, checks and decompresses pages for the Parquet decoder.
//!
//! `docs/formats/split.md` describes the bytes. What must hold: a flipped bit anywhere is an error
//! that names the file, never another answer.

mod block_cache;
mod bloom_filter;
mod checksums;
mod damage;
mod details;
mod format;
mod merge;
mod open;
mod output;
mod pages;
mod parquet_file;
mod regroup;
mod row_group;
mod selection;
mod value_rows;
mod verify;
mod write;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use block_cache::{BlockCache, QueryBlocks};
pub use details::{ServiceRows, SplitDetails};
pub use merge::{Amount, MergedSplit, merge};
pub use open::Split;
pub use parquet_file::{ParquetFile, SplitSource};
pub use row_group::{MAX_ROW_GROUP_BYTES, MAX_ROW_GROUP_ROWS, RowGroup};
pub(crate) use value_rows::ValueRows;
pub use verify::{Verified, verify};
pub use write::write;
