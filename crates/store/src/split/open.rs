//! An open split.

use std::sync::{Arc, OnceLock};

use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use query::schema::Table;

use super::checksums::Checksums;
use super::damage::{Damage, from_parquet};
use super::format::{self, END_BYTES, Entry};
use super::parquet_file::{ParquetFile, SplitSource};
use crate::error::StoreError;
use crate::index::{BLOCK_ROWS, BlockIndex, blocks_of};

/// A split, open: its footer is checked and parsed, its index is opened at the first look-up.
#[derive(Debug)]
pub struct Split {
    file: Arc<ParquetFile>,
    entry: Entry,
    table: Table,
    index: OnceLock<BlockIndex>,
}

impl Split {
    /// Opens a split; `name` is its object key, for messages. Reads the file's tail, not its data.
    ///
    /// # Errors
    ///
    /// The tail is damaged, the format is newer than this binary, or the source cannot be read.
    pub async fn open(name: &str, source: SplitSource) -> Result<Self, StoreError> {
        let size = source.size();
        if size < END_BYTES {
            return Err(Damage::new(0, format!("{size} bytes are no split")).in_file(name));
        }
        let end = source.bytes(name, size - END_BYTES..size).await?;
        let footer_length =
            format::footer_length(&end, size).map_err(|damage| damage.in_file(name))?;
        let footer_start = size - END_BYTES - footer_length;
        let footer = source.bytes(name, footer_start..size - END_BYTES).await?;
        let entry = format::entry_in(name, &footer, size)?;
        let tail = source.bytes(name, entry.tail_offset..size).await?;
        format::check_tail(&entry, &tail).map_err(|damage| damage.in_file(name))?;

        // From here on the footer is what was written, so the parser may trust its lengths.
        let metadata = ParquetMetaDataReader::decode_metadata(&footer)
            .map_err(|err| from_parquet(name, err))?;
        let mut indexes = ParquetMetaDataReader::new_with_metadata(metadata)
            .with_page_index_policy(PageIndexPolicy::Required);
        indexes
            .read_page_indexes_sized(&tail, size)
            .map_err(|err| from_parquet(name, err))?;
        let metadata = indexes.finish().map_err(|err| from_parquet(name, err))?;
        let table = &tail[..entry.checksums_length as usize];
        let checksums = Checksums::open(&metadata, table).map_err(|damage| damage.in_file(name))?;
        let file = ParquetFile::new(name.to_owned(), source, metadata, Some(checksums))?;
        Self::new(file, entry)
    }

    fn new(file: ParquetFile, entry: Entry) -> Result<Self, StoreError> {
        let damaged =
            |message: String| Damage::new(entry.tail_offset, message).in_file(file.name());
        let table = entry
            .table()
            .ok_or_else(|| damaged(format!("a split of {} is of another format", entry.signal)))?;
        let blocks: usize = (0..file.row_groups())
            .map(|group| blocks_of(file.rows(group)))
            .sum();
        if blocks != entry.blocks || entry.block_rows != BLOCK_ROWS {
            return Err(damaged(format!(
                "it has {blocks} blocks of {BLOCK_ROWS} rows, its entry says {} of {}",
                entry.blocks, entry.block_rows
            )));
        }
        Ok(Self {
            file: Arc::new(file),
            entry,
            table,
            index: OnceLock::new(),
        })
    }

    /// The logical table of the rows.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The rows.
    pub fn file(&self) -> &Arc<ParquetFile> {
        &self.file
    }

    /// How many blocks the split has.
    pub fn blocks(&self) -> usize {
        self.entry.blocks
    }

    /// Memory that the open split takes besides what is mapped, bytes.
    pub fn size_bytes(&self) -> usize {
        self.file.metadata_bytes()
    }

    /// The index of the split's blocks, checked when it is first asked for.
    ///
    /// # Errors
    ///
    /// The index is damaged or cannot be read.
    pub async fn index(&self) -> Result<&BlockIndex, StoreError> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let name = self.file.name();
        let offset = self.entry.index_offset;
        let range = offset..offset + self.entry.index_length;
        let bytes = self.file.source().bytes(name, range).await?;
        let found = crc32fast::hash(&bytes);
        if found != self.entry.index_crc32 {
            let message = format!(
                "checksum of the index is {found:08x}, should be {:08x}",
                self.entry.index_crc32
            );
            return Err(Damage::new(offset, message).in_file(name));
        }
        let index = BlockIndex::open(bytes, self.entry.blocks)
            .map_err(|err| Damage::new(offset, err).in_file(name))?;
        Ok(self.index.get_or_init(|| index))
    }
}
