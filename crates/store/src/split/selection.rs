//! Selected rows of a row group, block by block.
//!
//! Columns of a block come from the cache, or their pages are decoded as a whole: the Parquet decoder
//! goes from row to row only when the selected runs are long, and otherwise wants every page between
//! the first row and the last. The rows that are not selected are dropped here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;

use super::block_cache::{BlockColumn, QueryBlocks};
use super::pages::FetchedPages;
use super::parquet_file::ParquetFile;
use crate::index::BLOCK_ROWS;

/// The selected rows of a row group: a batch for each block that has any.
pub(super) struct SelectedBlocks {
    file: u64,
    group: usize,
    /// The physical columns that are read.
    columns: Vec<usize>,
    schema: SchemaRef,
    blocks: std::vec::IntoIter<Block>,
    decoders: Vec<Decoder>,
    cache: Arc<QueryBlocks>,
}

/// A block in which rows are selected.
struct Block {
    /// Counted from the row group's first.
    number: usize,
    rows: usize,
    /// Which of its rows are selected; `None` when all are.
    selected: Option<BooleanArray>,
    /// Its columns, as far as they were in the cache.
    columns: Vec<Option<ArrayRef>>,
}

/// Decodes columns of blocks that were not in the cache.
struct Decoder {
    /// Which of the columns that are read.
    columns: Vec<usize>,
    /// The blocks that are still to come.
    blocks: VecDeque<usize>,
    batches: ParquetRecordBatchReader,
}

impl SelectedBlocks {
    /// Fetches what has to be decoded; `columns` ascend, each once.
    pub(super) async fn open(
        file: &ParquetFile,
        group: usize,
        columns: Vec<usize>,
        selection: &RowSelection,
        cache: Arc<QueryBlocks>,
    ) -> Result<Self, ParquetError> {
        debug_assert!(columns.is_sorted_by(|a, b| a < b), "{columns:?}");
        let rows = file.rows(group);
        let number = file.number();
        let mut blocks = blocks_of(selection, rows);
        // Most often all columns lack the same blocks.
        let mut lacking: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for block in &mut blocks {
            let places = columns.iter().map(|column| BlockColumn {
                file: number,
                group,
                block: block.number,
                column: *column,
            });
            block.columns = cache.get(places);
        }
        for index in 0..columns.len() {
            let lacks = blocks.iter().filter(|block| block.columns[index].is_none());
            let lacks: Vec<usize> = lacks.map(|block| block.number).collect();
            if !lacks.is_empty() {
                lacking.entry(lacks).or_default().push(index);
            }
        }
        let mut decoders = Vec::with_capacity(lacking.len());
        for (blocks, indices) in lacking {
            let of_file = indices.iter().map(|index| columns[*index]);
            let batches = decode(file, group, of_file, &blocks).await?;
            decoders.push(Decoder {
                columns: indices,
                blocks: blocks.into(),
                batches,
            });
        }
        Ok(Self {
            file: number,
            group,
            schema: Arc::new(file.schema().project(&columns)?),
            columns,
            blocks: blocks.into_iter(),
            decoders,
            cache,
        })
    }

    /// The selected rows of `block`, all columns together.
    fn read(&mut self, mut block: Block) -> Result<RecordBatch, ArrowError> {
        for decoder in &mut self.decoders {
            if decoder.blocks.front() != Some(&block.number) {
                continue;
            }
            decoder.blocks.pop_front();
            let decoded = decoder.batches.next().transpose()?;
            let decoded = decoded.filter(|decoded| decoded.num_rows() == block.rows);
            let decoded = decoded.ok_or_else(|| {
                let block = block.number;
                let message = format!("block {block} has more or fewer rows than were to be read");
                ArrowError::ParquetError(message)
            })?;
            for (index, column) in decoder.columns.iter().zip(decoded.columns()) {
                let place = BlockColumn {
                    file: self.file,
                    group: self.group,
                    block: block.number,
                    column: self.columns[*index],
                };
                self.cache.keep(place, column);
                block.columns[*index] = Some(Arc::clone(column));
            }
        }
        let columns = block.columns.into_iter().flatten().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(block.rows));
        let schema = Arc::clone(&self.schema);
        let whole = RecordBatch::try_new_with_options(schema, columns, &options)?;
        match block.selected {
            None => Ok(whole),
            Some(selected) => filter_record_batch(&whole, &selected),
        }
    }
}

impl Iterator for SelectedBlocks {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.blocks.next()?;
        let read = self.read(block);
        if read.is_err() {
            // What follows could be rows of another block.
            self.blocks = Vec::new().into_iter();
        }
        Some(read)
    }
}

/// The blocks of a row group of `rows` rows in which a row is selected, nothing of them read.
fn blocks_of(selection: &RowSelection, rows: usize) -> Vec<Block> {
    let mut all = BooleanBufferBuilder::new(rows);
    for run in selection.iter() {
        let left = rows - all.len();
        all.append_n(run.row_count.min(left), !run.skip);
    }
    all.append_n(rows - all.len(), false);
    let all = all.finish();
    let blocks = (0..rows).step_by(BLOCK_ROWS).enumerate();
    let blocks = blocks.filter_map(|(number, first)| {
        let selected = all.slice(first, BLOCK_ROWS.min(rows - first));
        let count = selected.count_set_bits();
        let whole = count == selected.len();
        (count > 0).then(|| Block {
            number,
            rows: selected.len(),
            selected: (!whole).then(|| BooleanArray::new(selected, None)),
            columns: Vec::new(),
        })
    });
    blocks.collect()
}

/// Batches of the physical columns `columns`, one for each of `blocks`, which ascend.
async fn decode(
    file: &ParquetFile,
    group: usize,
    columns: impl Iterator<Item = usize>,
    blocks: &[usize],
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let rows = file.rows(group);
    let mut selection = Vec::with_capacity(2 * blocks.len());
    let mut end = 0;
    for block in blocks {
        let first = block * BLOCK_ROWS;
        selection.push(RowSelector::skip(first - end));
        end = rows.min(first + BLOCK_ROWS);
        selection.push(RowSelector::select(end - first));
    }
    let selection = RowSelection::from(selection);
    let schema = file.parquet().file_metadata().schema_descr();
    let mask = ProjectionMask::roots(schema, columns);
    let pages = FetchedPages::fetch(file, group, &mask, Some(&selection)).await?;
    let levels = parquet_to_arrow_field_levels(schema, mask, None)?;
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, BLOCK_ROWS, Some(selection))
}
