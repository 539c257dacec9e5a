//! Row groups → one split: pages are copied byte for byte, columns that a row group lacks become
//! null chunks, and the blocks of all row groups are stacked into one index behind them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use bytes::Bytes;
use futures::TryStreamExt;
use model::{LogRecord, Seq, Span};
use parquet::arrow::ArrowSchemaConverter;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::{ColumnCloseResult, ColumnWriter};
use parquet::file::metadata::{
    ColumnChunkMetaData, KeyValue, PageIndexPolicy, ParquetMetaDataReader,
};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};
use query::schema::Table;
use serde_json::json;

use super::checksums;
use super::damage::{Damage, encoding};
use super::format::{self, Entry};
use super::parquet_file::{ParquetFile, SplitSource};
use super::row_group::{RowGroup, base_properties};
use crate::columns::{MAX_PROMOTED, Promotion, Promotions, Row, decode};
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::index::{self, BlockTerms};

const ACTION: &str = "write a split";

/// A split's bytes and what the catalog keeps of it.
#[derive(Debug, Clone)]
pub struct WrittenSplit {
    /// The file.
    pub bytes: Vec<u8>,
    /// Rows, times, and as metadata the number of `blocks` and the names of the `columns`.
    pub summary: SplitSummary,
}

/// Writes row groups of one table, in this order, as one split. CPU-heavy.
///
/// Only when they promote more than [`MAX_PROMOTED`] columns together are some of them encoded
/// anew, with their rarest attributes in the overflow.
///
/// # Errors
///
/// No row groups, row groups of different tables, or more than Parquet's 32,767 of them.
pub fn write(row_groups: &[Arc<RowGroup>]) -> Result<WrittenSplit, StoreError> {
    let table = one_table(row_groups)?;
    let row_groups = within_limit(table, row_groups)?;
    let mut promotions = Promotions::new();
    for group in &row_groups {
        for (promotion, _) in group.promotions.iter() {
            promotions.add(promotion.clone());
        }
    }
    let schema = split_schema(&row_groups[0], &promotions);
    let descriptor = ArrowSchemaConverter::new()
        .schema_root("schema")
        .convert(&schema)
        .map_err(encoding(ACTION))?;
    let properties = Arc::new(base_properties().build());
    let mut writer =
        SerializedFileWriter::new(Vec::new(), descriptor.root_schema_ptr(), properties)
            .map_err(encoding(ACTION))?;
    let mut pages = 0;
    for group in &row_groups {
        let next = writer.next_row_group().map_err(encoding(ACTION))?;
        pages += copy_row_group(group, &descriptor, &promotions, next)?;
    }
    let blocks = row_groups.iter().map(|group| group.terms.blocks()).sum();
    let mut entry = Entry::new(table, blocks);
    write_index(&row_groups, &mut writer, &mut entry)?;
    let bytes = write_tail(writer, entry, pages)?;
    let summary = summary(&row_groups, &schema, blocks)?;
    Ok(WrittenSplit { bytes, summary })
}

fn refused(message: impl ToString) -> StoreError {
    StoreError::Encoding {
        action: ACTION,
        message: message.to_string(),
    }
}

fn one_table(row_groups: &[Arc<RowGroup>]) -> Result<Table, StoreError> {
    let Some(first) = row_groups.first() else {
        return Err(refused("there are no rows"));
    };
    if row_groups.iter().any(|group| group.table != first.table) {
        return Err(refused("row groups of logs and spans do not mix"));
    }
    Ok(first.table)
}

/// The row groups, of which those that promote more than the split has room for are encoded anew.
fn within_limit(
    table: Table,
    row_groups: &[Arc<RowGroup>],
) -> Result<Vec<Arc<RowGroup>>, StoreError> {
    let mut values: HashMap<&Promotion, i64> = HashMap::new();
    for group in row_groups {
        for (promotion, name) in group.promotions.iter() {
            *values.entry(promotion).or_default() += group.file.values(name);
        }
    }
    if values.len() <= MAX_PROMOTED {
        return Ok(row_groups.to_vec());
    }
    let mut ranked: Vec<(&Promotion, i64)> = values.into_iter().collect();
    ranked.sort_by(|(a, a_values), (b, b_values)| b_values.cmp(a_values).then_with(|| a.cmp(b)));
    let mut kept = Promotions::new();
    for (promotion, _) in ranked.into_iter().take(MAX_PROMOTED) {
        kept.add(promotion.clone());
    }
    row_groups
        .iter()
        .map(|group| {
            let fits = group
                .promotions
                .iter()
                .all(|(p, _)| kept.position(p.family, &p.key, p.kind).is_some());
            if fits {
                return Ok(Arc::clone(group));
            }
            let group = match table {
                Table::Logs => encode_anew::<LogRecord>(group, &kept),
                Table::Spans => encode_anew::<Span>(group, &kept),
            };
            group.map(Arc::new)
        })
        .collect()
}

fn encode_anew<R: Row>(group: &RowGroup, kept: &Promotions) -> Result<RowGroup, StoreError> {
    let columns: Vec<usize> = (0..group.file.schema().fields().len()).collect();
    let batches = group.file.read(0, &columns, None, group.rows())?;
    // The bytes are in memory, so nothing is waited for.
    let batches: Vec<_> = futures::executor::block_on(batches.try_collect())?;
    let mut rows: Vec<(Seq, R)> = Vec::with_capacity(group.rows());
    for batch in &batches {
        rows.extend(decode::<R>(batch).map_err(refused)?);
    }
    let mut promotions = Promotions::new();
    for (promotion, _) in group.promotions.iter() {
        if kept
            .position(promotion.family, &promotion.key, promotion.kind)
            .is_some()
        {
            promotions.add(promotion.clone());
        }
    }
    RowGroup::build_with(rows.iter().collect(), promotions)
}

/// The fixed columns of any row group, with the split's promoted ones in their place.
fn split_schema(any: &RowGroup, promotions: &Promotions) -> Schema {
    let fields = any.file.schema().fields();
    let fixed: Vec<&Arc<Field>> = fields
        .iter()
        .filter(|field| Promotion::from_field(field).is_none())
        .collect();
    // The three overflow columns come last.
    let (before, overflows) = fixed.split_at(fixed.len() - 3);
    let promoted = promotions
        .iter()
        .map(|(promotion, name)| Arc::new(promotion.field(name)));
    let all: Vec<Arc<Field>> = before
        .iter()
        .map(|field| Arc::clone(field))
        .chain(promoted)
        .chain(overflows.iter().map(|field| Arc::clone(field)))
        .collect();
    Schema::new(all)
}

/// Copies a row group column by column; returns how many regions have a checksum at most.
fn copy_row_group<W: std::io::Write + Send>(
    group: &RowGroup,
    descriptor: &SchemaDescriptor,
    promotions: &Promotions,
    mut writer: SerializedRowGroupWriter<'_, W>,
) -> Result<usize, StoreError> {
    // A promoted column may have another name here than in its row group.
    let renamed: HashMap<&str, &str> = promotions
        .iter()
        .filter_map(|(promotion, name)| {
            let index =
                group
                    .promotions
                    .position(promotion.family, &promotion.key, promotion.kind)?;
            let (_, own_name) = group.promotions.iter().nth(index)?;
            Some((name, own_name))
        })
        .collect();
    let is_promoted = |name: &str| promotions.iter().any(|(_, other)| other == name);
    let mut regions = 0;
    for column in descriptor.columns() {
        let path = column.path().parts();
        let source = match path {
            [name] if is_promoted(name) => renamed
                .get(name.as_str())
                .and_then(|own_name| group.file.leaf_at(&[(*own_name).to_owned()])),
            path => group.file.leaf_at(path),
        };
        regions += match source {
            Some(leaf) => copy_column(group, leaf, column, &mut writer)?,
            None => write_nulls(group.rows(), &mut writer)?,
        };
    }
    writer.close().map_err(encoding(ACTION))?;
    Ok(regions)
}

fn copy_column<W: std::io::Write + Send>(
    group: &RowGroup,
    leaf: usize,
    column: &ColumnDescPtr,
    writer: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<usize, StoreError> {
    let bytes = group
        .file
        .in_memory()
        .ok_or_else(|| refused("a row group is not in memory"))?;
    let parquet = group.file.parquet();
    let metadata = parquet.row_group(0).column(leaf);
    let bloom_filter = Sbbf::read_from_column_chunk(metadata, bytes).map_err(encoding(ACTION))?;
    let offset_index = parquet.offset_index().map(|index| index[0][leaf].clone());
    let pages = offset_index
        .as_ref()
        .map_or(0, |index| index.page_locations().len());
    let close = ColumnCloseResult {
        bytes_written: metadata.compressed_size().max(0) as u64,
        rows_written: group.rows() as u64,
        metadata: under_name(metadata, column)?,
        bloom_filter,
        column_index: parquet.column_index().map(|index| index[0][leaf].clone()),
        offset_index,
    };
    writer
        .append_column(bytes, close)
        .map_err(encoding(ACTION))?;
    // A dictionary page and a bloom filter, perhaps.
    Ok(pages + 2)
}

/// A column chunk's metadata under the split's descriptor, whose name may differ.
fn under_name(
    metadata: &ColumnChunkMetaData,
    column: &ColumnDescPtr,
) -> Result<ColumnChunkMetaData, StoreError> {
    if metadata.column_descr() == column.as_ref() {
        return Ok(metadata.clone());
    }
    let mut builder = ColumnChunkMetaData::builder(Arc::clone(column))
        .set_compression_codec(metadata.compression_codec())
        .set_encodings_mask(*metadata.encodings_mask())
        .set_total_compressed_size(metadata.compressed_size())
        .set_total_uncompressed_size(metadata.uncompressed_size())
        .set_num_values(metadata.num_values())
        .set_data_page_offset(metadata.data_page_offset())
        .set_dictionary_page_offset(metadata.dictionary_page_offset())
        .set_unencoded_byte_array_data_bytes(metadata.unencoded_byte_array_data_bytes())
        .set_repetition_level_histogram(metadata.repetition_level_histogram().cloned())
        .set_definition_level_histogram(metadata.definition_level_histogram().cloned());
    if let Some(statistics) = metadata.statistics() {
        builder = builder.set_statistics(statistics.clone());
    }
    if let Some(statistics) = metadata.page_encoding_stats() {
        builder = builder.set_page_encoding_stats(statistics.clone());
    }
    builder.build().map_err(encoding(ACTION))
}

/// Writes a promoted column that the row group does not have.
fn write_nulls<W: std::io::Write + Send>(
    rows: usize,
    writer: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<usize, StoreError> {
    let mut column = writer
        .next_column()
        .map_err(encoding(ACTION))?
        .ok_or_else(|| refused("the row group has more columns than the split"))?;
    let levels = vec![0_i16; rows];
    let written = match column.untyped() {
        ColumnWriter::ByteArrayColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::Int64ColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::DoubleColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::BoolColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        _ => return Err(refused("row groups differ in a fixed column")),
    };
    written.map_err(encoding(ACTION))?;
    column.close().map_err(encoding(ACTION))?;
    Ok(index::blocks_of(rows) + 2)
}

fn write_index(
    row_groups: &[Arc<RowGroup>],
    writer: &mut SerializedFileWriter<Vec<u8>>,
    entry: &mut Entry,
) -> Result<(), StoreError> {
    let terms: Vec<&BlockTerms> = row_groups.iter().map(|group| &group.terms).collect();
    let bytes = index::build(&terms).map_err(refused)?;
    entry.index_offset = writer.bytes_written() as u64;
    entry.index_length = bytes.len() as u64;
    entry.index_crc32 = crc32fast::hash(&bytes);
    writer.write_all(&bytes).map_err(refused)
}

/// Writes the table of checksums, page indexes and footer. Checksums are filled in at the end,
/// since only the finished footer says where every page lies.
fn write_tail(
    mut writer: SerializedFileWriter<Vec<u8>>,
    mut entry: Entry,
    regions_at_most: usize,
) -> Result<Vec<u8>, StoreError> {
    let table_length = checksums::table_length(regions_at_most);
    let table_start = writer.bytes_written();
    entry.tail_offset = table_start as u64;
    entry.checksums_length = table_length as u64;
    writer.write_all(&vec![0; table_length]).map_err(refused)?;
    let entry = serde_json::to_string(&entry).map_err(refused)?;
    writer.append_key_value_metadata(KeyValue::new(format::KEY.to_owned(), entry));
    let bytes = Bytes::from(writer.into_inner().map_err(encoding(ACTION))?);

    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&bytes)
        .map_err(encoding(ACTION))?;
    let mut bytes = Vec::from(bytes);
    let damage = |damage: Damage| refused(damage);
    let regions = checksums::regions(&metadata).map_err(damage)?;
    let table = checksums::table(&bytes, &regions, table_length).map_err(damage)?;
    bytes[table_start..table_start + table_length].copy_from_slice(&table);
    format::stamp(&mut bytes, table_start).map_err(damage)?;
    Ok(bytes)
}

fn summary(
    row_groups: &[Arc<RowGroup>],
    schema: &Schema,
    blocks: usize,
) -> Result<SplitSummary, StoreError> {
    let mut times = (i64::MAX, i64::MIN);
    for group in row_groups {
        let (first, last) = group.times()?;
        times = (times.0.min(first), times.1.max(last));
    }
    let columns: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    Ok(SplitSummary {
        rows: row_groups.iter().map(|group| group.rows() as u64).sum(),
        min_time: times.0,
        max_time: times.1,
        metadata: json!({ "blocks": blocks, "columns": columns }),
    })
}

impl ParquetFile {
    /// The leaf column of this path.
    fn leaf_at(&self, path: &[String]) -> Option<usize> {
        let schema = self.parquet().file_metadata().schema_descr();
        schema
            .columns()
            .iter()
            .position(|column| column.path().parts() == path)
    }

    /// Values that are not null in the first row group's column `name`.
    fn values(&self, name: &str) -> i64 {
        let Some(leaf) = self.leaf_at(&[name.to_owned()]) else {
            return 0;
        };
        let column = self.parquet().row_group(0).column(leaf);
        let nulls = column
            .statistics()
            .and_then(|s| s.null_count_opt())
            .unwrap_or(0);
        column.num_values() - nulls as i64
    }

    fn in_memory(&self) -> Option<&Bytes> {
        match self.source() {
            SplitSource::Memory(bytes) => Some(bytes),
            SplitSource::Object { .. } => None,
        }
    }
}
