//! The index of blocks: which words and values the rows of each block hold.
//!
//! A *block* is a run of [`BLOCK_ROWS`] rows of one row group, the last of a row group shorter. A
//! row group in memory keeps its blocks' terms in a [`BlockTerms`]; a split holds a tantivy index
//! with one document for each block ([`BlockIndex`]), located inside the Parquet file. Both answer
//! a [`query::lookup::Lookup`] with the blocks that may hold matching rows ([`lookup`]); the rows
//! are always checked afterwards.
//!
//! There are two fields. *Words*: the distinct words of the text column (a log's body, a span's
//! status message), cut by [`query::words::indexed`]. *Pairs*: `column NUL value` for columns whose
//! values repeat; where a row group's values of a column are not in it (too many, too long, or
//! without a column of their own), the block has the *marker* `NUL column` instead, so that the
//! absence of a pair always means the absence of the value.

mod blocks;
mod container;
mod lookup;
mod segment;
mod terms;
mod walk;

pub use blocks::BlockSet;
pub(crate) use container::file_slice;
pub use lookup::{BlockLookup, Terms};
pub(crate) use lookup::{IdBlocks, knows_values};
pub use segment::{BlockIndex, BuiltIndex, IndexError, IndexPart, build};
pub use terms::{BlockTerms, TermsBuilder};

/// Rows in a block; also the rows of a data page.
pub const BLOCK_ROWS: usize = 2048;

/// Blocks of a full row group: one bit each in a term's mask.
pub const MAX_BLOCKS: usize = 32;

/// How many blocks a row group of `rows` rows has.
pub fn blocks_of(rows: usize) -> usize {
    rows.div_ceil(BLOCK_ROWS)
}

/// The two fields of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IndexField {
    /// Words of the text column.
    Words,
    /// `column NUL value`, and markers `NUL column`.
    Pairs,
}

impl IndexField {
    /// Both fields, in the order of their tantivy fields.
    pub const ALL: [Self; 2] = [Self::Words, Self::Pairs];

    /// The name of the tantivy field.
    pub fn name(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Pairs => "pairs",
        }
    }
}

/// What separates a column's name from the value in a pair.
pub(crate) const SEPARATOR: char = '\0';

/// The term that says that a row of the block has `value` in `column`.
pub(crate) fn pair(column: &str, value: &str) -> String {
    format!("{column}{SEPARATOR}{value}")
}

/// The term that says that a row of the block may have any value in `column`.
pub(crate) fn marker(column: &str) -> String {
    format!("{SEPARATOR}{column}")
}
