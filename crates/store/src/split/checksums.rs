//! Checksums of the regions that queries read one by one: dictionary pages, data pages and bloom
//! filters.
//!
//! The table holds one CRC-32 for each region, in the order in which [`regions`] lists them from
//! the footer and the page index; a count comes first. All numbers are little-endian `u32`s.

use std::collections::HashMap;
use std::ops::Range;

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
    by_start: HashMap<u64, (u64, u32)>,
}

impl Checksums {
    /// Reads a table for the regions that the footer describes.
    pub(super) fn open(metadata: &ParquetMetaData, table: &[u8]) -> Result<Self, Damage> {
        let regions = regions(metadata)?;
        let mut numbers = table
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let count = numbers.next().unwrap_or(0) as usize;
        if count != regions.len() || table.len() < table_length(count) {
            return Err(Damage::new(
                0,
                format!("{count} checksums for {} pages", regions.len()),
            ));
        }
        let by_start = regions
            .into_iter()
            .zip(numbers)
            .map(|(region, crc)| (region.start, (region.end, crc)))
            .collect();
        Ok(Self { by_start })
    }

    /// Checks bytes that begin at `offset` and consist of whole regions.
    pub(super) fn check(&self, offset: u64, bytes: &[u8]) -> Result<(), Damage> {
        let end = offset + bytes.len() as u64;
        let mut position = offset;
        while position < end {
            let (region_end, expected) = match self.by_start.get(&position) {
                Some((region_end, crc)) if *region_end <= end => (*region_end, *crc),
                _ => {
                    return Err(Damage::new(
                        position,
                        "a read does not match the page index",
                    ));
                }
            };
            let region = &bytes[(position - offset) as usize..(region_end - offset) as usize];
            let found = crc32fast::hash(region);
            if found != expected {
                return Err(Damage::new(
                    position,
                    format!("checksum of a page is {found:08x}, should be {expected:08x}"),
                ));
            }
            // Regions are never empty, so this ends.
            position = region_end;
        }
        Ok(())
    }
}
