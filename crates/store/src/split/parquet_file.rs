//! One Parquet file of ours, open for reading: a head's row group in memory, or a split.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use datafusion::object_store::path::Path;
use datafusion::object_store::{ObjectStore, ObjectStoreExt};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use model::TimeRange;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, RowSelection,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use query::schema;

use super::block_cache::QueryBlocks;
use super::bloom_filter;
use super::checksums::{Checksums, regions};
use super::damage::{Damage, from_parquet};
use super::pages::FetchedPages;
use super::selection::SelectedRows;
use crate::error::StoreError;
use crate::index::{BLOCK_ROWS, BlockSet, blocks_of};

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum SplitSource {
    /// In memory, or mapped into it.
    Memory(Bytes),
    /// In an object store; ranges are fetched as they are needed.
    Object {
        /// The store.
        store: Arc<dyn ObjectStore>,
        /// The object.
        path: Path,
        /// Its size in bytes.
        size: u64,
    },
}

impl SplitSource {
    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Object { size, .. } => *size,
        }
    }

    /// The bytes of `range`, which must lie inside the file.
    pub(super) async fn bytes(&self, file: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.fetch(range)
            .await
            .map_err(|err| from_parquet(file, err))
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        if range.start > range.end || range.end > self.size() {
            let damage = Damage::new(range.start, "a read goes past the end of the file");
            return Err(ParquetError::External(Box::new(damage)));
        }
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(range.start as usize..range.end as usize)),
            Self::Object { store, path, .. } => store
                .get_range(path, range)
                .await
                .map_err(|err| ParquetError::External(Box::new(err))),
        }
    }
}

/// How many files were opened.
static FILES: AtomicU64 = AtomicU64::new(0);

/// An open file: its footer and page index are in memory, its pages are read on demand and
/// checked against their checksums.
#[derive(Debug)]
pub struct ParquetFile {
    name: String,
    source: SplitSource,
    metadata: ArrowReaderMetadata,
    /// Absent for files that never left memory.
    checksums: Option<Checksums>,
    /// What caches of blocks know it by; no other file of this process has it.
    number: u64,
}

impl ParquetFile {
    pub(super) fn new(
        name: String,
        source: SplitSource,
        metadata: ParquetMetaData,
        checksums: Option<Checksums>,
    ) -> Result<Self, StoreError> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            .map_err(|err| from_parquet(&name, err))?;
        Ok(Self {
            name,
            source,
            metadata,
            checksums,
            number: FILES.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// A file that was just encoded and never leaves memory, so nothing in it is checked.
    pub(super) fn in_memory(name: &str, bytes: Vec<u8>) -> Result<Self, StoreError> {
        let bytes = Bytes::from(bytes);
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Required)
            .parse_and_finish(&bytes)
            .map_err(|err| from_parquet(name, err))?;
        Self::new(name.to_owned(), SplitSource::Memory(bytes), metadata, None)
    }

    /// The file's name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's size in bytes.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// The physical columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub(super) fn source(&self) -> &SplitSource {
        &self.source
    }

    pub(super) fn parquet(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    /// What caches of blocks know the file by.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Memory that the footer, page index and checksums take, bytes.
    pub fn metadata_bytes(&self) -> usize {
        let checksums = self.checksums.as_ref().map_or(0, Checksums::size_bytes);
        self.parquet().memory_size() + checksums
    }

    /// How many row groups there are.
    pub fn row_groups(&self) -> usize {
        self.parquet().num_row_groups()
    }

    /// Rows in row group `group`.
    pub fn rows(&self, group: usize) -> usize {
        self.parquet().row_group(group).num_rows().max(0) as usize
    }

    /// The file's blocks that are those of row group `group`.
    pub fn blocks(&self, group: usize) -> Range<usize> {
        let first = (0..group).map(|before| blocks_of(self.rows(before))).sum();
        first..first + blocks_of(self.rows(group))
    }

    pub(super) fn leaf(&self, name: &str) -> Option<usize> {
        let columns = self.metadata.parquet_schema().columns();
        columns
            .iter()
            .position(|column| column.path().parts() == [name])
    }

    /// First and last timestamp in row group `group`, Unix ns.
    ///
    /// # Errors
    ///
    /// The footer does not say.
    pub fn times(&self, group: usize) -> Result<(i64, i64), StoreError> {
        let statistics = self
            .leaf(schema::TIMESTAMP)
            .and_then(|leaf| self.parquet().row_group(group).column(leaf).statistics());
        match statistics {
            Some(Statistics::Int64(times)) => {
                times.min_opt().copied().zip(times.max_opt().copied())
            }
            _ => None,
        }
        .ok_or_else(|| {
            Damage::new(0, format!("row group {group} has no time range")).in_file(&self.name)
        })
    }

    /// Whether any row of row group `group` has a value in the column `name`.
    pub(crate) fn has_values(&self, group: usize, name: &str) -> bool {
        let Some(leaf) = self.leaf(name) else {
            return false;
        };
        let column = self.parquet().row_group(group).column(leaf);
        let nulls = column.statistics().and_then(Statistics::null_count_opt);
        nulls.is_none_or(|nulls| (nulls as i64) < column.num_values())
    }

    /// The blocks of row group `group` that may have rows in `range`, counted from its first.
    pub fn blocks_in(&self, group: usize, range: TimeRange) -> BlockSet {
        let rows = self.rows(group);
        let everything = BlockSet::all(blocks_of(rows));
        let pages = self.leaf(schema::TIMESTAMP).and_then(|leaf| {
            let times = self.parquet().column_index()?.get(group)?.get(leaf)?;
            let locations = self.parquet().offset_index()?.get(group)?.get(leaf)?;
            match times {
                ColumnIndexMetaData::INT64(times) => Some((times, locations.page_locations())),
                _ => None,
            }
        });
        let Some((times, locations)) = pages else {
            return everything;
        };
        let mut found = BlockSet::none(everything.len());
        for (page, location) in locations.iter().enumerate() {
            let first_row = location.first_row_index.max(0) as usize;
            let end_row = locations
                .get(page + 1)
                .map_or(rows, |next| next.first_row_index.max(0) as usize);
            let inside = match (times.min_value(page), times.max_value(page)) {
                (Some(first), Some(last)) => range.overlaps_inclusive(*first, *last),
                _ => true,
            };
            if inside && end_row > first_row {
                for block in first_row / BLOCK_ROWS..=(end_row - 1) / BLOCK_ROWS {
                    found.insert(block);
                }
            }
        }
        found
    }

    /// Whether row group `group` may hold `id` in the identifier column `name`.
    ///
    /// # Errors
    ///
    /// The bloom filter is damaged or cannot be read.
    pub async fn may_hold_id(
        &self,
        group: usize,
        name: &str,
        id: &[u8],
    ) -> Result<bool, StoreError> {
        let Some(leaf) = self.leaf(name) else {
            return Ok(false);
        };
        let column = self.parquet().row_group(group).column(leaf);
        let (Some(offset), Some(length)) =
            (column.bloom_filter_offset(), column.bloom_filter_length())
        else {
            return Ok(true);
        };
        let start = offset as u64;
        let bytes = self
            .source
            .bytes(&self.name, start..start + length as u64)
            .await?;
        if let Some(checksums) = &self.checksums {
            checksums
                .check_once(start, &bytes)
                .map_err(|damage| damage.in_file(&self.name))?;
        }
        bloom_filter::may_hold(&bytes, id).ok_or_else(|| {
            Damage::new(start, "a bloom filter of an unknown form").in_file(&self.name)
        })
    }

    /// Checks every page and bloom filter against its checksum.
    pub(super) async fn check_regions(&self) -> Result<(), StoreError> {
        let regions = regions(self.parquet()).map_err(|damage| damage.in_file(&self.name))?;
        for region in regions {
            self.checked(region)
                .await
                .map_err(|err| from_parquet(&self.name, err))?;
        }
        Ok(())
    }

    /// The bytes of whole pages or of one bloom filter, checked.
    pub(super) async fn checked(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        let offset = range.start;
        let bytes = self.source.fetch(range).await?;
        if let Some(checksums) = &self.checksums {
            checksums
                .check(offset, &bytes)
                .map_err(|damage| ParquetError::External(Box::new(damage)))?;
        }
        Ok(bytes)
    }

    /// The compressed bytes of each column in row group `group`, columns as in the schema.
    pub(crate) fn column_bytes(&self, group: usize) -> Vec<u64> {
        let schema = self.metadata.parquet_schema();
        let mut bytes = vec![0; self.schema().fields().len()];
        let leaves = self.parquet().row_group(group).columns().iter();
        for (leaf, column) in leaves.enumerate() {
            bytes[schema.get_column_root_idx(leaf)] += column.compressed_size().unsigned_abs();
        }
        bytes
    }

    /// Reads the physical columns at the indices `columns` of row group `group`, in the file's
    /// order, in batches of at most `batch_rows` rows.
    ///
    /// # Errors
    ///
    /// While the stream runs: damage, or the source cannot be read.
    pub fn read(
        self: &Arc<Self>,
        group: usize,
        columns: &[usize],
        batch_rows: usize,
    ) -> BoxStream<'static, Result<RecordBatch, StoreError>> {
        let file = Arc::clone(self);
        let schema = self.metadata.parquet_schema();
        let mask = ProjectionMask::roots(schema, columns.iter().copied());
        self.batches(async move { file.open_group(group, mask, batch_rows).await })
    }

    /// As [`ParquetFile::read`], of the selected rows, in batches of at most `batch_rows` rows or a
    /// block; what `cache` has is not decoded again. `columns` ascend, each once.
    pub(crate) fn read_selected(
        self: &Arc<Self>,
        group: usize,
        columns: &[usize],
        selection: RowSelection,
        batch_rows: usize,
        cache: &Arc<QueryBlocks>,
    ) -> BoxStream<'static, Result<RecordBatch, StoreError>> {
        let (file, columns, cache) = (Arc::clone(self), columns.to_vec(), Arc::clone(cache));
        self.batches(async move {
            SelectedRows::open(&file, group, columns, selection, batch_rows, cache).await
        })
    }

    /// The batches of a reader, once it is open.
    fn batches<B>(
        self: &Arc<Self>,
        opening: impl Future<Output = Result<B, ParquetError>> + Send + 'static,
    ) -> BoxStream<'static, Result<RecordBatch, StoreError>>
    where
        B: Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    {
        let file = Arc::clone(self);
        stream::once(async move {
            let batches = opening.await.map_err(|err| from_parquet(&file.name, err))?;
            Ok::<_, StoreError>(stream::iter(batches.map(move |batch| {
                batch.map_err(|err| from_parquet(&file.name, err.into()))
            })))
        })
        .try_flatten()
        .boxed()
    }

    async fn open_group(
        &self,
        group: usize,
        mask: ProjectionMask,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let pages = FetchedPages::fetch(self, group, &mask, None).await?;
        let levels = parquet_to_arrow_field_levels(self.metadata.parquet_schema(), mask, None)?;
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, batch_rows, None)
    }
}
