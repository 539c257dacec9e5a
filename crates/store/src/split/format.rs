//! The split's own entry in the Parquet footer, and the checks that come before the footer is
//! believed.
//!
//! The entry `watchkeeper.split` is JSON. It says where the index lies and where the *tail*
//! begins: everything from the table of checksums to the end of the file, page indexes and footer
//! included. The tail's own checksum is taken with its eight digits as zeros.

use model::Signal;
use query::schema::Table;
use serde::{Deserialize, Serialize};

use super::damage::Damage;
use crate::error::StoreError;
use crate::index::BLOCK_ROWS;

/// The key of the footer's metadata.
pub(super) const KEY: &str = "watchkeeper.split";

/// The version of the format that is written.
pub(super) const VERSION: u64 = 1;

/// What the JSON begins with; how it is found before the footer is parsed.
const BEGINNING: &[u8] = b"{\"format\":";

/// What stands before the tail's checksum.
const BEFORE_CHECKSUM: &[u8] = b"\"tail_crc32\":\"";

const NO_CHECKSUM: &str = "00000000";

/// Parquet's last eight bytes: the footer's length and the magic.
pub(super) const END_BYTES: u64 = 8;

const MAGIC: &[u8] = b"PAR1";

/// The footer's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The format's version. First, so that an unknown version is found out whatever follows.
    pub(super) format: u64,
    /// `logs` or `spans`.
    pub(super) signal: Signal,
    /// Rows in a block.
    pub(super) block_rows: usize,
    /// Blocks in the file.
    pub(super) blocks: usize,
    /// First byte of the index.
    pub(super) index_offset: u64,
    /// Length of the index.
    pub(super) index_length: u64,
    /// CRC-32 of the index.
    pub(super) index_crc32: u32,
    /// First byte of the tail, which begins with the table of checksums.
    pub(super) tail_offset: u64,
    /// Length of the table of checksums.
    pub(super) checksums_length: u64,
    /// CRC-32 of the tail in hex, taken with `00000000` here.
    pub(super) tail_crc32: String,
}

impl Entry {
    pub(super) fn new(table: Table, blocks: usize) -> Self {
        Self {
            format: VERSION,
            signal: signal_of(table),
            block_rows: BLOCK_ROWS,
            blocks,
            index_offset: 0,
            index_length: 0,
            index_crc32: 0,
            tail_offset: 0,
            checksums_length: 0,
            tail_crc32: NO_CHECKSUM.to_owned(),
        }
    }

    /// The table whose rows the split holds.
    pub(super) fn table(&self) -> Option<Table> {
        match self.signal {
            Signal::Logs => Some(Table::Logs),
            Signal::Spans => Some(Table::Spans),
            Signal::Metrics => None,
        }
    }
}

/// The signal of a table.
pub(super) const fn signal_of(table: Table) -> Signal {
    match table {
        Table::Logs => Signal::Logs,
        Table::Spans => Signal::Spans,
    }
}

/// Puts the tail's checksum into a finished tail.
///
/// # Errors
///
/// It has no entry.
pub(super) fn stamp(tail: &mut [u8]) -> Result<(), Damage> {
    let digits = digits_in(tail).ok_or_else(|| no_entry(0))?;
    let checksum = format!("{:08x}", crc32fast::hash(tail));
    tail[digits..digits + checksum.len()].copy_from_slice(checksum.as_bytes());
    Ok(())
}

/// Checks a tail against the checksum inside it.
pub(super) fn check_tail(entry: &Entry, tail: &[u8]) -> Result<(), Damage> {
    let mut unstamped = tail.to_vec();
    let digits = digits_in(&unstamped).ok_or_else(|| no_entry(entry.tail_offset))?;
    unstamped[digits..digits + NO_CHECKSUM.len()].copy_from_slice(NO_CHECKSUM.as_bytes());
    let found = format!("{:08x}", crc32fast::hash(&unstamped));
    if found != entry.tail_crc32 {
        return Err(Damage::new(
            entry.tail_offset,
            format!(
                "checksum of footer and page indexes is {found}, should be {}",
                entry.tail_crc32
            ),
        ));
    }
    Ok(())
}

/// Where the checksum's digits stand. The last place counts: the footer comes after everything a
/// user can have written.
fn digits_in(tail: &[u8]) -> Option<usize> {
    let start = rfind(tail, BEFORE_CHECKSUM)? + BEFORE_CHECKSUM.len();
    (start + NO_CHECKSUM.len() <= tail.len()).then_some(start)
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .rposition(|window| window == needle)
}

fn no_entry(offset: u64) -> Damage {
    Damage::new(offset, format!("the footer has no entry {KEY:?}"))
}

/// The length of the footer, from the file's last eight bytes.
pub(super) fn footer_length(end: &[u8], file_size: u64) -> Result<u64, Damage> {
    let offset = file_size - END_BYTES;
    if &end[4..] != MAGIC {
        return Err(Damage::new(offset, "the file does not end with PAR1"));
    }
    let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    if length + END_BYTES + MAGIC.len() as u64 > file_size {
        return Err(Damage::new(
            offset,
            format!("a footer of {length} bytes does not fit into the file"),
        ));
    }
    Ok(length)
}

/// Reads the entry out of a footer that is not yet known to be whole.
pub(super) fn entry_in(file: &str, footer: &[u8], file_size: u64) -> Result<Entry, StoreError> {
    let offset = file_size - END_BYTES - footer.len() as u64;
    let damaged = |message: String| Damage::new(offset, message).in_file(file);
    let start = rfind(footer, BEGINNING).ok_or_else(|| no_entry(offset).in_file(file))?;
    let mut values =
        serde_json::Deserializer::from_slice(&footer[start..]).into_iter::<serde_json::Value>();
    let json = match values.next() {
        Some(Ok(json)) => json,
        _ => return Err(damaged(format!("the entry {KEY:?} is no JSON"))),
    };
    let version = json.get("format").and_then(serde_json::Value::as_u64);
    if let Some(found) = version.filter(|version| *version > VERSION) {
        return Err(StoreError::NewerFormat {
            what: file.to_owned(),
            found,
            supported: VERSION,
        });
    }
    let entry: Entry = serde_json::from_value(json)
        .map_err(|err| damaged(format!("the entry {KEY:?} is incomplete: {err}")))?;
    let tail_ends = entry.tail_offset.checked_add(entry.checksums_length);
    let index_ends = entry.index_offset.checked_add(entry.index_length);
    if tail_ends.is_none_or(|end| end > offset)
        || index_ends.is_none_or(|end| end > entry.tail_offset)
        || entry.block_rows == 0
    {
        return Err(damaged(format!(
            "the entry {KEY:?} points outside of the file"
        )));
    }
    Ok(entry)
}
