//! Bytes of a sealed file that are checked before they are used.
//!
//! Parquet pages carry no checksums that our writer could set, so a flipped bit could become a
//! wrong sample. The catalog keeps a CRC-32 of every [`SECTOR_BYTES`] of a metric split, and every
//! read of the file goes through [`CheckedBytes`], which checks a sector the first time it is
//! touched. Damage is an error that names file and offset.

use std::io::{Cursor, Write};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;

/// How many bytes one checksum covers: small enough that a needle reads little more than its
/// pages, large enough that the checksums of a split are a few KiB.
pub const SECTOR_BYTES: usize = 128 << 10;

/// The checksums of one file, in the form the catalog keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// The file's length, bytes.
    length: u64,
    /// CRC-32 of each sector as eight hex digits, one after the other; the last sector may be short.
    sectors: String,
}

impl Checksums {
    /// The checksums of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let sectors = bytes
            .chunks(SECTOR_BYTES)
            .map(|sector| hex(crc32fast::hash(sector)))
            .collect();
        Self {
            length: bytes.len() as u64,
            sectors,
        }
    }

    fn sector(&self, number: usize) -> Option<u32> {
        u32::from_str_radix(self.sectors.get(number * 8..number * 8 + 8)?, 16).ok()
    }
}

fn hex(checksum: u32) -> String {
    format!("{checksum:08x}")
}

/// Passes everything on to a writer and keeps the checksums of what went through.
pub struct ChecksummingWriter<W> {
    inner: W,
    sectors: String,
    sector: crc32fast::Hasher,
    in_sector: usize,
    length: u64,
}

impl<W: Write> ChecksummingWriter<W> {
    /// A writer at the beginning of a file.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            sectors: String::new(),
            sector: crc32fast::Hasher::new(),
            in_sector: 0,
            length: 0,
        }
    }

    /// The writer below and the checksums of everything written.
    pub fn finish(mut self) -> (W, Checksums) {
        if self.in_sector > 0 {
            self.end_sector();
        }
        (
            self.inner,
            Checksums {
                length: self.length,
                sectors: self.sectors,
            },
        )
    }

    fn end_sector(&mut self) {
        let sector = std::mem::take(&mut self.sector);
        self.sectors.push_str(&hex(sector.finalize()));
        self.in_sector = 0;
    }
}

impl<W: Write> Write for ChecksummingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self
            .inner
            .write(&bytes[..bytes.len().min(SECTOR_BYTES - self.in_sector)])?;
        self.sector.update(&bytes[..written]);
        self.in_sector += written;
        self.length += written as u64;
        if self.in_sector == SECTOR_BYTES {
            self.end_sector();
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// A whole file whose sectors are checked when they are first read. Cheap to clone.
#[derive(Clone)]
pub struct CheckedBytes {
    file: Arc<File>,
}

struct File {
    key: String,
    bytes: Bytes,
    checksums: Checksums,
    /// One bit a sector: checked and found right.
    checked: Vec<AtomicU64>,
}

impl CheckedBytes {
    /// The file `key` with the content `bytes`, usually a memory map.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when the length is not the one that was written.
    pub fn new(
        key: impl Into<String>,
        bytes: Bytes,
        checksums: Checksums,
    ) -> Result<Self, StoreError> {
        let key = key.into();
        if checksums.length != bytes.len() as u64 {
            return Err(StoreError::Damaged {
                file: key,
                offset: checksums.length.min(bytes.len() as u64),
                message: format!(
                    "it has {} bytes instead of {}",
                    bytes.len(),
                    checksums.length
                ),
            });
        }
        let words = bytes.len().div_ceil(SECTOR_BYTES).div_ceil(64);
        let checked = (0..words).map(|_| AtomicU64::new(0)).collect();
        Ok(Self {
            file: Arc::new(File {
                key,
                bytes,
                checksums,
                checked,
            }),
        })
    }

    /// The file's key, for messages.
    pub fn key(&self) -> &str {
        &self.file.key
    }

    /// The file's length, bytes.
    pub fn size(&self) -> usize {
        self.file.bytes.len()
    }

    /// The bytes of `range`, checked.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] when a sector is not what was written, or the range does not exist.
    pub fn slice(&self, range: Range<usize>) -> Result<Bytes, StoreError> {
        if range.start > range.end || range.end > self.size() {
            return Err(self.damaged(
                range.start,
                format!(
                    "bytes {}..{} of {} are asked for",
                    range.start,
                    range.end,
                    self.size()
                ),
            ));
        }
        for sector in range.start / SECTOR_BYTES..range.end.div_ceil(SECTOR_BYTES) {
            self.check(sector)?;
        }
        Ok(self.file.bytes.slice(range))
    }

    fn check(&self, sector: usize) -> Result<(), StoreError> {
        let (word, bit) = (&self.file.checked[sector / 64], 1_u64 << (sector % 64));
        if word.load(Ordering::Relaxed) & bit != 0 {
            return Ok(());
        }
        let start = sector * SECTOR_BYTES;
        let end = (start + SECTOR_BYTES).min(self.size());
        let found = crc32fast::hash(&self.file.bytes[start..end]);
        match self.file.checksums.sector(sector) {
            Some(expected) if expected == found => {
                word.fetch_or(bit, Ordering::Relaxed);
                Ok(())
            }
            Some(expected) => Err(self.damaged(
                start,
                format!(
                    "checksum of bytes {start}..{end} is {found:08x} instead of {expected:08x}"
                ),
            )),
            None => Err(self.damaged(start, "its checksum is missing from the catalog".to_owned())),
        }
    }

    fn damaged(&self, offset: usize, message: String) -> StoreError {
        StoreError::Damaged {
            file: self.file.key.clone(),
            offset: offset as u64,
            message,
        }
    }
}

impl Length for CheckedBytes {
    fn len(&self) -> u64 {
        self.size() as u64
    }
}

impl ChunkReader for CheckedBytes {
    type T = Cursor<Bytes>;

    /// The rest of the file from `start` on; all of it is checked, so prefer `get_bytes`.
    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let rest = self.slice(start..self.size());
        rest.map(Cursor::new)
            .map_err(|error| ParquetError::External(Box::new(error)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        self.slice(start..start.saturating_add(length))
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        (0..3 * SECTOR_BYTES + 17)
            .map(|at| (at % 251) as u8)
            .collect()
    }

    #[test]
    fn a_writers_checksums_are_those_of_the_bytes() {
        let bytes = file();
        let mut writer = ChecksummingWriter::new(Vec::new());
        for part in bytes.chunks(10_007) {
            writer.write_all(part).unwrap();
        }
        let (written, checksums) = writer.finish();
        assert_eq!(written, bytes);
        assert_eq!(checksums, Checksums::of(&bytes));
    }

    #[test]
    fn a_flipped_bit_is_met_where_it_lies_and_nowhere_else() {
        let mut bytes = file();
        let checksums = Checksums::of(&bytes);
        let at = SECTOR_BYTES + 5;
        bytes[at] ^= 1;
        let file = CheckedBytes::new("s", Bytes::from(bytes), checksums).unwrap();
        file.slice(0..SECTOR_BYTES).unwrap();
        file.slice(2 * SECTOR_BYTES..file.size()).unwrap();
        let error = file.slice(at + 10..at + 11).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { offset, .. } if offset == SECTOR_BYTES as u64),
            "{error}"
        );
    }

    #[test]
    fn a_cut_file_is_refused() {
        let bytes = file();
        let checksums = Checksums::of(&bytes);
        assert!(CheckedBytes::new("s", Bytes::from(bytes).slice(1..), checksums).is_err());
    }

    #[test]
    fn a_range_past_the_end_is_an_error() {
        let file =
            CheckedBytes::new("s", Bytes::from_static(b"abc"), Checksums::of(b"abc")).unwrap();
        assert!(file.slice(2..4).is_err());
        assert_eq!(&file.slice(1..3).unwrap()[..], b"bc");
    }
}
