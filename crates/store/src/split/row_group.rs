//! Up to 65,536 rows, sorted and encoded as a Parquet file of one row group in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use model::{Resource, Seq};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{
    BloomFilterPosition, EnabledStatistics, WriterProperties, WriterPropertiesBuilder,
};
use parquet::schema::types::ColumnPath;
use query::schema::{self, Table};
use wire::otlp::Item;

use super::damage::encoding;
use super::details::ServiceRows;
use super::parquet_file::ParquetFile;
use crate::columns::typed_json::entries_to_json;
use crate::columns::{self, ColumnsError, Row, names};
use crate::error::StoreError;
use crate::index::{BLOCK_ROWS, BlockTerms, MAX_BLOCKS};

/// The most rows a row group holds.
pub const MAX_ROW_GROUP_ROWS: usize = BLOCK_ROWS * MAX_BLOCKS;

/// Rows are collected for a row group until they take this much memory, bytes. Arrow addresses the
/// texts of a column with 31 bits; this leaves room for one more request and for JSON's escapes.
pub const MAX_ROW_GROUP_BYTES: usize = 256 << 20;

/// A dearer level gains little on columns that are sorted and encoded already.
const ZSTD_LEVEL: i32 = 3;

/// At most so many identifiers are looked for in a row group that does not hold them. Filters have a
/// power of two of bytes: one in forty is what a full row group gets from a byte an identifier, and
/// one in a hundred would take two.
const BLOOM_FALSE_POSITIVES: f64 = 0.03;

/// Rows that are sorted by stream (service, then resource), time and seq, encoded, with the terms
/// of their blocks.
#[derive(Debug)]
pub struct RowGroup {
    pub(super) table: Table,
    pub(super) file: Arc<ParquetFile>,
    pub(super) terms: BlockTerms,
    pub(super) services: ServiceRows,
}

impl RowGroup {
    /// Sorts and encodes rows of a head. CPU-heavy.
    ///
    /// # Errors
    ///
    /// No rows, more than [`MAX_ROW_GROUP_ROWS`], or more text in one column than 2 GiB.
    pub fn encode<'a, R: Row>(
        rows: impl IntoIterator<Item = &'a (Seq, Item)>,
    ) -> Result<Self, StoreError> {
        let rows = sorted(rows.into_iter().collect())?;
        let batch = columns::encode::<R>(&rows).map_err(columns_error)?;
        Self::of_sorted(R::TABLE, &batch)
    }

    /// Sorts and encodes rows on their own. CPU-heavy.
    ///
    /// # Errors
    ///
    /// As [`RowGroup::encode`].
    pub fn build<'a, R: Row>(
        rows: impl IntoIterator<Item = &'a (Seq, R)>,
    ) -> Result<Self, StoreError> {
        Self::encode::<R>(&columns::to_items(rows))
    }

    /// Encodes physical columns whose rows are in their final order already. CPU-heavy.
    pub(super) fn of_sorted(table: Table, batch: &RecordBatch) -> Result<Self, StoreError> {
        let (terms, unrepeated) = BlockTerms::of(batch);
        let file = Arc::new(encode_file(batch, &unrepeated)?);
        let services = batch.column_by_name(schema::SERVICE);
        Ok(Self {
            table,
            file,
            terms,
            services: services.map(ServiceRows::of).unwrap_or_default(),
        })
    }

    /// The logical table of the rows.
    pub fn table(&self) -> Table {
        self.table
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.file.rows(0)
    }

    /// First and last timestamp, Unix ns.
    ///
    /// # Errors
    ///
    /// Never for a row group that [`RowGroup::build`] made.
    pub fn times(&self) -> Result<(i64, i64), StoreError> {
        self.file.times(0)
    }

    /// Memory it takes, bytes.
    pub fn size_bytes(&self) -> usize {
        self.file.size() as usize + self.file.metadata_bytes() + self.terms.size_bytes()
    }

    /// The encoded rows.
    pub fn file(&self) -> &Arc<ParquetFile> {
        &self.file
    }

    /// The terms of its blocks.
    pub fn terms(&self) -> &BlockTerms {
        &self.terms
    }
}

pub(super) fn columns_error(err: ColumnsError) -> StoreError {
    StoreError::Encoding {
        action: "encode rows",
        message: err.to_string(),
    }
}

/// The rows by stream, time and seq.
fn sorted(mut rows: Vec<&(Seq, Item)>) -> Result<Vec<&(Seq, Item)>, StoreError> {
    if rows.is_empty() || rows.len() > MAX_ROW_GROUP_ROWS {
        return Err(StoreError::Encoding {
            action: "encode a row group",
            message: format!("{} rows; expected 1 to {MAX_ROW_GROUP_ROWS}", rows.len()),
        });
    }
    let streams = stream_ranks(&rows).into_iter();
    let mut keyed: Vec<_> = streams.zip(rows.drain(..)).collect();
    keyed.sort_unstable_by_key(|(stream, (seq, item))| (*stream, item.time, *seq));
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(rows)
}

/// For each row the rank of the stream it belongs to, by service, then resource. Equal resources
/// have equal ranks, whether they are shared or not.
fn stream_ranks(rows: &[&(Seq, Item)]) -> Vec<usize> {
    let mut known: HashMap<*const Resource, usize> = HashMap::new();
    let mut identities: Vec<(&str, String)> = Vec::new();
    let mut last: Option<(&Arc<Resource>, usize)> = None;
    let mut of_rows: Vec<usize> = Vec::with_capacity(rows.len());
    for (_, item) in rows {
        let resource = &item.resource;
        let index = match last {
            Some((before, index)) if Arc::ptr_eq(before, resource) => index,
            _ => *known.entry(Arc::as_ptr(resource)).or_insert_with(|| {
                identities.push((resource.service(), identity(resource)));
                identities.len() - 1
            }),
        };
        last = Some((resource, index));
        of_rows.push(index);
    }
    let mut ordered: Vec<&(&str, String)> = identities.iter().collect();
    ordered.sort_unstable();
    ordered.dedup();
    let ranks: Vec<usize> = identities
        .iter()
        .map(|key| ordered.partition_point(|other| *other < key))
        .collect();
    of_rows.into_iter().map(|index| ranks[index]).collect()
}

fn identity(resource: &Resource) -> String {
    format!(
        "{}{}{}",
        entries_to_json(resource.attributes.iter()),
        resource.dropped_attributes_count,
        resource.schema_url
    )
}

fn encode_file(
    batch: &RecordBatch,
    unrepeated: &HashSet<String>,
) -> Result<ParquetFile, StoreError> {
    let action = "encode a row group";
    let options = ArrowWriterOptions::new()
        .with_properties(properties(batch, unrepeated))
        // Parquet's own types say everything; Arrow's schema would only repeat them.
        .with_skip_arrow_metadata(true);
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options)
        .map_err(encoding(action))?;
    writer.write(batch).map_err(encoding(action))?;
    writer.close().map_err(encoding(action))?;
    ParquetFile::in_memory("a row group in memory", bytes)
}

/// What row groups and the null columns beside them are written with.
pub(super) fn base_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_created_by("watchkeeper".to_owned())
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(ZSTD_LEVEL).expect("3 is a level of zstd"),
        ))
        .set_data_page_row_count_limit(BLOCK_ROWS)
        .set_write_batch_size(BLOCK_ROWS)
        .set_max_row_group_row_count(Some(MAX_ROW_GROUP_ROWS))
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
}

fn properties(batch: &RecordBatch, unrepeated: &HashSet<String>) -> WriterProperties {
    // Only times are looked up page by page; the rest is found by the index.
    let mut properties = base_properties()
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_column_statistics_enabled(
            ColumnPath::from(schema::TIMESTAMP),
            EnabledStatistics::Page,
        );
    for field in batch.schema_ref().fields() {
        let name = field.name().as_str();
        let path = || ColumnPath::from(name);
        let is_unrepeated = unrepeated.contains(name);
        match field.data_type() {
            DataType::Timestamp(..) | DataType::Int64 if is_gradual(name) || is_unrepeated => {
                properties = properties
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED);
            }
            DataType::FixedSizeBinary(_) => {
                properties = properties
                    .set_column_dictionary_enabled(path(), false)
                    .set_column_statistics_enabled(path(), EnabledStatistics::None);
                // Spans are looked for with their trace; alone they cost a reading of their column.
                if name == schema::TRACE_ID {
                    properties = properties
                        .set_column_bloom_filter_fpp(path(), BLOOM_FALSE_POSITIVES)
                        .set_column_bloom_filter_max_ndv(path(), batch.num_rows() as u64);
                }
            }
            DataType::Utf8 if name == schema::BODY => {
                properties = texts_in_a_row(properties, path())
                    .set_column_statistics_enabled(path(), EnabledStatistics::None);
            }
            DataType::Utf8 if is_long_text(name) => {
                properties =
                    properties.set_column_statistics_enabled(path(), EnabledStatistics::None);
            }
            // A dictionary as long as the column would have to be read for every row of it.
            DataType::Utf8 if is_unrepeated => properties = texts_in_a_row(properties, path()),
            _ => {}
        }
    }
    properties.build()
}

/// Texts one after the other, their lengths apart: texts of random digits then compress to their
/// digits' information alone, and a page is read by one copy instead of one for each text.
fn texts_in_a_row(
    properties: WriterPropertiesBuilder,
    path: ColumnPath,
) -> WriterPropertiesBuilder {
    properties
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY)
}

/// Columns whose neighbouring values are near each other.
fn is_gradual(name: &str) -> bool {
    [
        schema::TIMESTAMP,
        names::OBSERVED_DELAY,
        schema::DURATION_NS,
        schema::SEQ,
    ]
    .contains(&name)
}

/// Columns besides the body whose smallest and largest value say nothing.
fn is_long_text(name: &str) -> bool {
    [
        names::OVERFLOW,
        names::RESOURCE_OVERFLOW,
        names::SCOPE_OVERFLOW,
    ]
    .contains(&name)
}
