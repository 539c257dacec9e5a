//! Selected rows of a row group.
//!
//! The Parquet decoder goes from row to row when the selected runs are long, which is the fastest way
//! to rows that nobody has asked for before. It decodes everything from the first row to the last when
//! they are short, and for that wants every page in between. So where runs are short, or most blocks
//! are kept or asked for again, blocks are decoded as a whole and kept for whoever comes next; the rows
//! that are not selected are dropped here.

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

/// The mean length of a run, in rows, below which the decoder would read everything in between: the
/// default of its `RowSelectionPolicy`.
const SHORT_RUN: usize = 32;

/// The selected rows of a row group.
pub(super) enum SelectedRows {
    /// By the decoder's own way from row to row.
    Decoded(ParquetRecordBatchReader),
    /// By whole blocks.
    Blocks(SelectedBlocks),
}

impl SelectedRows {
    /// Fetches what has to be decoded; `columns` ascend, each once. Batches have at most `batch_rows`
    /// rows or a block.
    pub(super) async fn open(
        file: &ParquetFile,
        group: usize,
        columns: Vec<usize>,
        selection: RowSelection,
        batch_rows: usize,
        cache: Arc<QueryBlocks>,
    ) -> Result<Self, ParquetError> {
        let blocks = blocks_of(&selection, file.rows(group));
        // One column stands for all that are read with it.
        let places = blocks.iter().map(|block| BlockColumn {
            file: file.number(),
            group,
            block: block.number,
            column: columns.first().copied().unwrap_or_default(),
        });
        let is_worth_it = 2 * cache.worth_a_block(places) > blocks.len();
        if is_worth_it || has_short_runs(&selection) {
            let blocks = SelectedBlocks::open(file, group, columns, blocks, cache).await?;
            return Ok(Self::Blocks(blocks));
        }
        let batches = decode(file, group, columns.into_iter(), batch_rows, selection).await?;
        Ok(Self::Decoded(batches))
    }
}

impl Iterator for SelectedRows {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Decoded(batches) => batches.next(),
            Self::Blocks(blocks) => blocks.next(),
        }
    }
}

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
    async fn open(
        file: &ParquetFile,
        group: usize,
        columns: Vec<usize>,
        mut blocks: Vec<Block>,
        cache: Arc<QueryBlocks>,
    ) -> Result<Self, ParquetError> {
        debug_assert!(columns.is_sorted_by(|a, b| a < b), "{columns:?}");
        let number = file.number();
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
            let whole = whole_blocks(&blocks, file.rows(group));
            let batches = decode(file, group, of_file, BLOCK_ROWS, whole).await?;
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

/// Whether the decoder would read everything in between. It counts rows and runs before it cuts off
/// what follows the last selected row; the rows up to there are counted too, in case it no longer
/// does.
fn has_short_runs(selected: &RowSelection) -> bool {
    let is_short = |rows: usize, runs: usize| rows < runs * SHORT_RUN;
    let (mut rows, mut runs, mut short_to_last) = (0, 0, false);
    for run in selected.iter().filter(|run| run.row_count > 0) {
        rows += run.row_count;
        runs += 1;
        if !run.skip {
            short_to_last = is_short(rows, runs);
        }
    }
    short_to_last || is_short(rows, runs)
}

/// All rows of `blocks`, which ascend, in a row group of `rows` rows.
fn whole_blocks(blocks: &[usize], rows: usize) -> RowSelection {
    let mut selection = Vec::with_capacity(2 * blocks.len());
    let mut end = 0;
    for block in blocks {
        let first = block * BLOCK_ROWS;
        selection.push(RowSelector::skip(first - end));
        end = rows.min(first + BLOCK_ROWS);
        selection.push(RowSelector::select(end - first));
    }
    selection.into()
}

/// Batches of the selected rows, of the physical columns `columns`.
async fn decode(
    file: &ParquetFile,
    group: usize,
    columns: impl Iterator<Item = usize>,
    batch_rows: usize,
    selection: RowSelection,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let schema = file.parquet().file_metadata().schema_descr();
    let mask = ProjectionMask::roots(schema, columns);
    let pages = FetchedPages::fetch(file, group, &mask, Some(&selection)).await?;
    let levels = parquet_to_arrow_field_levels(schema, mask, None)?;
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, batch_rows, Some(selection))
}
