//! Row groups → one split: pages are copied byte for byte, columns that a row group lacks become
//! null chunks, and the blocks of all row groups are stacked into one index behind them.
//!
//! The file is written from its beginning to its end as it is made. In memory are a column chunk,
//! the index, and the tail.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use bytes::{Buf, Bytes, buf};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::{ColumnCloseResult, ColumnWriter};
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor, Type};
use query::schema::Table;

use super::checksums;
use super::damage::{Damage, encoding, from_parquet};
use super::details::{ServiceRows, SplitDetails};
use super::format::{self, Entry};
use super::output::Output;
use super::parquet_file::ParquetFile;
use super::regroup;
use super::row_group::{RowGroup, base_properties};
use crate::columns::layout::is_sparse;
use crate::columns::{Promotion, Promotions};
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::index::{self, BuiltIndex, IndexPart};

const ACTION: &str = "write a split";

/// Writes row groups of one table, in this order, as one split to `out`. CPU-heavy.
///
/// Only when they promote more columns together than a split has room for are some of them encoded
/// anew, with their rarest attributes in the overflow.
///
/// The summary's metadata is [`SplitDetails`].
///
/// # Errors
///
/// `out` failed, no row groups, row groups of different tables, or more than Parquet's 32,767 of
/// them.
pub fn write(
    row_groups: &[Arc<RowGroup>],
    out: impl Write + Send,
) -> Result<SplitSummary, StoreError> {
    let first = one_table(row_groups)?;
    let places = row_groups.iter().map(|group| (&*group.file, 0));
    let kept = regroup::promotions_of(places);
    let row_groups = within_limit(row_groups, &kept)?;
    let mut writer = SplitWriter::new(first.table, first.file.schema(), &kept, out)?;
    for group in &row_groups {
        writer.copy(&group.file, 0)?;
    }
    let parts: Vec<IndexPart<'_>> = row_groups
        .iter()
        .map(|group| IndexPart::RowGroup(&group.terms))
        .collect();
    let index = index::build(&parts).map_err(refused)?;
    let mut services = ServiceRows::default();
    for group in &row_groups {
        services.add(&group.services);
    }
    writer.finish(&index, Some(services.bounded()))
}

fn refused(message: impl ToString) -> StoreError {
    StoreError::Encoding {
        action: ACTION,
        message: message.to_string(),
    }
}

/// Bytes are in memory or mapped as a rule, and else this is a thread that may wait.
pub(super) fn wait<T>(read: impl Future<Output = T>) -> T {
    futures::executor::block_on(read)
}

/// The first of the row groups, when all are of its table.
fn one_table(row_groups: &[Arc<RowGroup>]) -> Result<&RowGroup, StoreError> {
    let Some(first) = row_groups.first() else {
        return Err(refused("there are no rows"));
    };
    if row_groups.iter().any(|group| group.table != first.table) {
        return Err(refused("row groups of logs and spans do not mix"));
    }
    Ok(first)
}

/// The row groups, of which those that promote what the split has no room for are encoded anew.
fn within_limit(
    row_groups: &[Arc<RowGroup>],
    kept: &Promotions,
) -> Result<Vec<Arc<RowGroup>>, StoreError> {
    let fit = |group: &Arc<RowGroup>| {
        if regroup::fits(group.file.schema(), kept) {
            return Ok(Arc::clone(group));
        }
        regroup::regroup(group.table, &[(&group.file, 0)], kept).map(Arc::new)
    };
    row_groups.iter().map(fit).collect()
}

/// A split in the making: row groups are copied one by one, the index comes last.
pub(super) struct SplitWriter<W: Write + Send> {
    table: Table,
    schema: Schema,
    descriptor: SchemaDescriptor,
    /// Which of the descriptor's columns are promoted attributes.
    promotions: Vec<Option<Promotion>>,
    writer: SerializedFileWriter<Output<W>>,
    /// Chunks of nothing but nulls, for columns that a row group lacks.
    nulls: HashMap<(PhysicalType, usize), ParquetFile>,
    /// Of every page and bloom filter so far, in the order of `checksums::regions`.
    checksums: Vec<u32>,
    rows: u64,
    blocks: usize,
    times: (i64, i64),
}

impl<W: Write + Send> SplitWriter<W> {
    /// Begins a split with the fixed columns of `any` file of the table and these sparse and promoted
    /// ones.
    pub(super) fn new(
        table: Table,
        any: &Schema,
        promotions: &Promotions,
        out: W,
    ) -> Result<Self, StoreError> {
        let schema = split_schema(any, promotions);
        let descriptor = ArrowSchemaConverter::new()
            .schema_root("schema")
            .convert(&schema)
            .map_err(encoding(ACTION))?;
        let promotion = |column: &ColumnDescPtr| {
            let root = column.path().parts().first()?;
            Promotion::from_field(schema.field_with_name(root).ok()?)
        };
        let promotions = descriptor.columns().iter().map(promotion).collect();
        let properties = Arc::new(base_properties().build());
        let root = descriptor.root_schema_ptr();
        let writer = SerializedFileWriter::new(Output::new(out), root, properties)
            .map_err(encoding(ACTION))?;
        Ok(Self {
            table,
            schema,
            descriptor,
            promotions,
            writer,
            nulls: HashMap::new(),
            checksums: Vec::new(),
            rows: 0,
            blocks: 0,
            times: (i64::MAX, i64::MIN),
        })
    }

    /// Copies row group `group` of `file` column by column; what is read is checked.
    ///
    /// # Errors
    ///
    /// `file` is damaged, or cannot be read; the split cannot be written.
    pub(super) fn copy(&mut self, file: &ParquetFile, group: usize) -> Result<(), StoreError> {
        let rows = file.rows(group);
        let leaves = self.leaves(file);
        for (column, leaf) in self.descriptor.columns().iter().zip(&leaves) {
            let key = (column.physical_type(), rows);
            if leaf.is_none() && !self.nulls.contains_key(&key) {
                self.nulls.insert(key, null_chunk(column, rows)?);
            }
        }
        let mut writer = self.writer.next_row_group().map_err(encoding(ACTION))?;
        for (column, leaf) in self.descriptor.columns().iter().zip(leaves) {
            let checksums = match leaf {
                Some(leaf) => copy_chunk(file, (group, leaf), column, &mut writer)?,
                None => {
                    let nulls = &self.nulls[&(column.physical_type(), rows)];
                    copy_chunk(nulls, (0, 0), column, &mut writer)?
                }
            };
            self.checksums.extend(checksums);
        }
        writer.close().map_err(encoding(ACTION))?;
        let (first, last) = file.times(group)?;
        self.times = (self.times.0.min(first), self.times.1.max(last));
        self.rows += rows as u64;
        self.blocks += index::blocks_of(rows);
        Ok(())
    }

    /// The leaves of `file` that become the split's; a promoted column may have another name there.
    fn leaves(&self, file: &ParquetFile) -> Vec<Option<usize>> {
        let fields = file.schema().fields().iter();
        let names: HashMap<Promotion, &String> = fields
            .filter_map(|field| Some((Promotion::from_field(field)?, field.name())))
            .collect();
        let columns = self.descriptor.columns().iter().zip(&self.promotions);
        columns
            .map(|(column, promotion)| match promotion {
                Some(promotion) => {
                    let name = names.get(promotion)?;
                    file.leaf_at(std::slice::from_ref(*name))
                }
                None => file.leaf_at(column.path().parts()),
            })
            .collect()
    }

    /// Writes the index and the tail; what the catalog keeps of the split.
    ///
    /// # Errors
    ///
    /// The split cannot be written.
    pub(super) fn finish(
        mut self,
        index: &BuiltIndex,
        services: Option<ServiceRows>,
    ) -> Result<SplitSummary, StoreError> {
        let mut entry = Entry::new(self.table, self.blocks);
        entry.index_offset = self.writer.bytes_written() as u64;
        let mut index_writer = Checksumming::new(&mut self.writer);
        index.write_to(&mut index_writer).map_err(refused)?;
        entry.index_crc32 = index_writer.checksum.finalize();
        entry.tail_offset = self.writer.bytes_written() as u64;
        entry.index_length = entry.tail_offset - entry.index_offset;

        self.writer.flush().map_err(refused)?;
        self.writer.inner_mut().begin_tail();
        let table = checksums::table(&self.checksums);
        entry.checksums_length = table.len() as u64;
        self.writer.write_all(&table).map_err(refused)?;
        let entry = serde_json::to_string(&entry).map_err(refused)?;
        let entry = KeyValue::new(format::KEY.to_owned(), entry);
        self.writer.append_key_value_metadata(entry);
        let output = self.writer.into_inner().map_err(encoding(ACTION))?;
        output.finish().map_err(refused)?;

        let fields = self.schema.fields().iter();
        let details = SplitDetails {
            blocks: self.blocks as u64,
            columns: fields.map(|field| field.name().clone()).collect(),
            services,
            ..SplitDetails::default()
        };
        Ok(SplitSummary {
            rows: self.rows,
            min_time: self.times.0,
            max_time: self.times.1,
            metadata: details.to_metadata(),
        })
    }
}

/// The fixed columns of any file of the table, with the sparse and promoted ones in their place.
fn split_schema(any: &Schema, promotions: &Promotions) -> Schema {
    let fields = any.fields().iter();
    let fixed: Vec<&Arc<Field>> = fields
        .filter(|field| Promotion::from_field(field).is_none() && !is_sparse(field))
        .collect();
    // The three overflow columns come last.
    let (before, overflows) = fixed.split_at(fixed.len().saturating_sub(3));
    let promoted = promotions
        .iter()
        .map(|(promotion, name)| Arc::new(promotion.field(name)));
    let all: Vec<Arc<Field>> = before
        .iter()
        .map(|field| Arc::clone(field))
        .chain(promotions.sparse().iter().map(Arc::clone))
        .chain(promoted)
        .chain(overflows.iter().map(|field| Arc::clone(field)))
        .collect();
    Schema::new(all)
}

/// A column chunk in memory, at the offset it has in its file.
struct Chunk {
    start: u64,
    bytes: Bytes,
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }
}

impl ChunkReader for Chunk {
    type T = buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(self.get_bytes(start, self.bytes.len())?.reader())
    }

    /// At most `length` bytes from `start` on.
    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let from = start
            .checked_sub(self.start)
            .map(|from| from as usize)
            .filter(|from| *from <= self.bytes.len())
            .ok_or_else(|| Damage::new(start, "a page lies outside of its column chunk"))
            .map_err(|damage| parquet::errors::ParquetError::External(Box::new(damage)))?;
        let to = from.saturating_add(length).min(self.bytes.len());
        Ok(self.bytes.slice(from..to))
    }
}

/// Copies a column chunk with its bloom filter; the checksums of its pages and the filter.
fn copy_chunk<W: Write + Send>(
    file: &ParquetFile,
    (group, leaf): (usize, usize),
    column: &ColumnDescPtr,
    writer: &mut SerializedRowGroupWriter<'_, W>,
) -> Result<Vec<u32>, StoreError> {
    let parquet = file.parquet();
    let metadata = parquet.row_group(group).column(leaf);
    let damaged = |err| from_parquet(file.name(), err);
    let (start, length) = metadata.byte_range();
    let bytes = wait(file.checked(start..start + length)).map_err(damaged)?;
    let offset_index = parquet
        .offset_index()
        .map(|index| index[group][leaf].clone())
        .ok_or_else(|| Damage::new(start, "the page index is missing").in_file(file.name()))?;
    let mut checksums: Vec<u32> = checksums::pages_of_chunk(metadata, &offset_index)
        .map(|page| {
            let page = (page.start - start) as usize..(page.end - start) as usize;
            crc32fast::hash(&bytes[page])
        })
        .collect();
    let bloom_filter = bloom_filter(file, metadata)?;
    if let Some(filter) = &bloom_filter {
        let mut written = Vec::new();
        filter.write(&mut written).map_err(encoding(ACTION))?;
        checksums.push(crc32fast::hash(&written));
    }
    let close = ColumnCloseResult {
        bytes_written: length,
        rows_written: file.rows(group) as u64,
        metadata: under_name(metadata, column)?,
        bloom_filter,
        column_index: parquet
            .column_index()
            .map(|index| index[group][leaf].clone()),
        offset_index: Some(offset_index),
    };
    writer
        .append_column(&Chunk { start, bytes }, close)
        .map_err(encoding(ACTION))?;
    Ok(checksums)
}

fn bloom_filter(
    file: &ParquetFile,
    column: &ColumnChunkMetaData,
) -> Result<Option<Sbbf>, StoreError> {
    let (Some(start), Some(length)) = (column.bloom_filter_offset(), column.bloom_filter_length())
    else {
        return Ok(None);
    };
    let damaged = |err| from_parquet(file.name(), err);
    let range = start as u64..start as u64 + length as u64;
    let bytes = wait(file.checked(range)).map_err(damaged)?;
    Sbbf::from_bytes(&bytes).map(Some).map_err(damaged)
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

/// A file of one row group that holds the nullable column `column` with nothing but nulls.
fn null_chunk(column: &ColumnDescPtr, rows: usize) -> Result<ParquetFile, StoreError> {
    let schema = Type::group_type_builder("schema")
        .with_fields(vec![column.self_type_ptr()])
        .build()
        .map_err(encoding(ACTION))?;
    let properties = Arc::new(base_properties().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties)
        .map_err(encoding(ACTION))?;
    let mut group = writer.next_row_group().map_err(encoding(ACTION))?;
    let mut column = group
        .next_column()
        .map_err(encoding(ACTION))?
        .ok_or_else(|| refused("a file of one column has none"))?;
    let levels = vec![0_i16; rows];
    let written = match column.untyped() {
        ColumnWriter::ByteArrayColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::Int32ColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::Int64ColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::DoubleColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        ColumnWriter::BoolColumnWriter(nulls) => nulls.write_batch(&[], Some(&levels), None),
        _ => return Err(refused("row groups differ in a fixed column")),
    };
    written.map_err(encoding(ACTION))?;
    column.close().map_err(encoding(ACTION))?;
    group.close().map_err(encoding(ACTION))?;
    let bytes = writer.into_inner().map_err(encoding(ACTION))?;
    ParquetFile::in_memory("a column of nulls", bytes)
}

/// Passes bytes on into a file and takes their checksum.
struct Checksumming<'a, W: Write> {
    writer: &'a mut SerializedFileWriter<W>,
    checksum: crc32fast::Hasher,
}

impl<'a, W: Write> Checksumming<'a, W> {
    fn new(writer: &'a mut SerializedFileWriter<W>) -> Self {
        Self {
            writer,
            checksum: crc32fast::Hasher::new(),
        }
    }
}

impl<W: Write + Send> Write for Checksumming<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write_all(bytes)?;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl ParquetFile {
    /// The leaf column of this path.
    pub(super) fn leaf_at(&self, path: &[String]) -> Option<usize> {
        let schema = self.parquet().file_metadata().schema_descr();
        schema
            .columns()
            .iter()
            .position(|column| column.path().parts() == path)
    }
}
