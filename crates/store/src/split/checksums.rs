//! Checksums of the regions that queries read one by one: dictionary pages, data pages and bloom
//! filters.
//!
//! The table holds one CRC-32 for each region, in the order in which [`regions`] lists them from
//! the footer and the page index; a count comes first. All numbers are little-endian `u32`s.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use super::damage::Damage;

/// Byte ranges of everything that is read on its own, in a fixed order: row group by row group,
/// column by column, the dictionary page, the data pages, the bloom filter.
pub(super) fn regions(metadata: &ParquetMetaData) -> Result<Vec<Range<u64>>, Damage> {
    let mut regions = Vec::new();
    let unlocated = || Damage::new(0, "the page index is missing");
    let offset_index = metadata.offset_index().ok_or_else(unlocated)?;
    for (group, pages_of) in metadata.row_groups().iter().zip(offset_index) {
        for (column, pages) in group.columns().iter().zip(pages_of) {
            regions.extend(pages_of_chunk(column, pages));
            if let (Some(offset), Some(length)) =
                (column.bloom_filter_offset(), column.bloom_filter_length())
            {
                regions.push(offset as u64..offset as u64 + length as u64);
            }
        }
    }
    Ok(regions)
}

/// The pages of one column chunk: the dictionary page if there is one, the data pages.
pub(super) fn pages_of_chunk(
    column: &ColumnChunkMetaData,
    pages: &OffsetIndexMetaData,
) -> impl Iterator<Item = Range<u64>> {
    let (start, length) = column.byte_range();
    let locations = pages.page_locations();
    let first = locations
        .first()
        .map_or(start + length, |page| page.offset as u64);
    let dictionary = (first > start).then_some(start..first);
    let data = locations.iter().map(|page| {
        let start = page.offset as u64;
        start..start + page.compressed_page_size as u64
    });
    dictionary.into_iter().chain(data)
}

/// The table of these checksums.
pub(super) fn table(checksums: &[u32]) -> Vec<u8> {
    let mut table = Vec::with_capacity(table_length(checksums.len()));
    table.extend_from_slice(&(checksums.len() as u32).to_le_bytes());
    for checksum in checksums {
        table.extend_from_slice(&checksum.to_le_bytes());
    }
    table
}

/// The bytes that a table of this many checksums takes.
fn table_length(regions: usize) -> usize {
    4 + 4 * regions
}

/// The checksums of an open file, by where their regions begin.
#[derive(Debug, Default)]
pub(super) struct Checksums {
    /// By start, ascending.
    regions: Vec<Region>,
    /// One bit for each region that [`Checksums::check_once`] found whole.
    whole: Vec<AtomicU64>,
}

/// A region and its checksum: sixteen bytes, since an open split has ten thousand of them.
#[derive(Debug, Clone, Copy)]
struct Region {
    start: u64,
    length: u32,
    crc: u32,
}

impl Checksums {
    /// Reads a table for the regions that the footer describes.
    pub(super) fn open(metadata: &ParquetMetaData, table: &[u8]) -> Result<Self, Damage> {
        let ranges = regions(metadata)?;
        let mut numbers = table
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let count = numbers.next().unwrap_or(0) as usize;
        if count != ranges.len() || table.len() < table_length(count) {
            return Err(Damage::new(
                0,
                format!("{count} checksums for {} pages", ranges.len()),
            ));
        }
        let region = |(range, crc): (Range<u64>, u32)| {
            let length = u32::try_from(range.end - range.start)
                .map_err(|_| Damage::new(range.start, "a page of more than 4 GiB"))?;
            Ok(Region {
                start: range.start,
                length,
                crc,
            })
        };
        let mut regions: Vec<Region> = ranges
            .into_iter()
            .zip(numbers)
            .map(region)
            .collect::<Result<_, _>>()?;
        regions.sort_unstable_by_key(|region| region.start);
        let words = regions.len().div_ceil(64);
        Ok(Self {
            regions,
            whole: (0..words).map(|_| AtomicU64::new(0)).collect(),
        })
    }

    /// Memory that it takes, bytes.
    pub(super) fn size_bytes(&self) -> usize {
        self.regions.len() * size_of::<Region>() + self.whole.len() * size_of::<AtomicU64>()
    }

    /// Checks bytes that begin at `offset` and consist of whole regions.
    pub(super) fn check(&self, offset: u64, bytes: &[u8]) -> Result<(), Damage> {
        let end = offset + bytes.len() as u64;
        let mut position = offset;
        let mut index = self.index_of(offset);
        while position < end {
            let region = match index.and_then(|index| self.regions.get(index)) {
                Some(region) if region.start == position && region.end() <= end => region,
                _ => {
                    return Err(Damage::new(
                        position,
                        "a read does not match the page index",
                    ));
                }
            };
            let first = (position - offset) as usize;
            region.check(&bytes[first..first + region.length as usize])?;
            // Regions are never empty, so this ends.
            position = region.end();
            index = index.map(|index| index + 1);
        }
        Ok(())
    }

    /// As [`Checksums::check`] for the one region that begins at `offset`, of which later calls know
    /// that it was whole: for regions of which a query needs a few bytes only.
    pub(super) fn check_once(&self, offset: u64, bytes: &[u8]) -> Result<(), Damage> {
        if let Some(index) = self.index_of(offset) {
            let (word, bit) = (&self.whole[index / 64], 1 << (index % 64));
            if word.load(Ordering::Relaxed) & bit == 0 {
                self.check(offset, bytes)?;
                word.fetch_or(bit, Ordering::Relaxed);
            }
            return Ok(());
        }
        self.check(offset, bytes)
    }

    fn index_of(&self, start: u64) -> Option<usize> {
        self.regions
            .binary_search_by_key(&start, |region| region.start)
            .ok()
    }
}

impl Region {
    fn end(&self) -> u64 {
        self.start + u64::from(self.length)
    }

    fn check(&self, bytes: &[u8]) -> Result<(), Damage> {
        let found = crc32fast::hash(bytes);
        if found == self.crc {
            return Ok(());
        }
        Err(Damage::new(
            self.start,
            format!(
                "checksum of a page is {found:08x}, should be {:08x}",
                self.crc
            ),
        ))
    }
}
