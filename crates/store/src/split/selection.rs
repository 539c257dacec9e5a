//! Selected rows of a row group.
//!
//! The Parquet decoder goes from row to row when the selected runs are long, which is the fastest way
//! to rows that nobody has asked for before. It decodes everything from the first row to the last when
//! they are short, and for that wants every page in between. So where runs are short, or most blocks
//! are kept or asked for again, blocks are decoded as a whole and kept for whoever comes next; the rows
//! that are not selected are dropped here.

use std::collections::{BTreeMap, VecDeque};
use std::iter::Peekable;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBufferBuilder};
use arrow::compute::interleave;
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

/// Decoded blocks of which one batch is made, bytes, about.
const MAX_GATHERED_BYTES: usize = 16 << 20;

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
            let blocks =
                SelectedBlocks::open(file, group, columns, blocks, batch_rows, cache).await?;
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

/// The selected rows of a row group: a batch for each whole block, one for several of which some rows
/// are selected.
pub(super) struct SelectedBlocks {
    file: u64,
    group: usize,
    /// The physical columns that are read.
    columns: Vec<usize>,
    schema: SchemaRef,
    blocks: Peekable<std::vec::IntoIter<Block>>,
    decoders: Vec<Decoder>,
    /// The most rows of a batch of several blocks.
    batch_rows: usize,
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

impl Block {
    /// How many of its rows are selected.
    fn selected_rows(&self) -> usize {
        let selected = self.selected.as_ref();
        selected.map_or(self.rows, BooleanArray::true_count)
    }

    /// Memory that its columns take, bytes.
    fn bytes(&self) -> usize {
        let columns = self.columns.iter().flatten();
        columns.map(|column| column.get_array_memory_size()).sum()
    }
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
        batch_rows: usize,
        cache: Arc<QueryBlocks>,
    ) -> Result<Self, ParquetError> {
        debug_assert!(columns.is_sorted_by(|a, b| a < b), "{columns:?}");
        let number = file.number();
        let is_scan = blocks.iter().all(|block| block.selected.is_none());
        // Most often all columns lack the same blocks.
        let mut lacking: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for block in &mut blocks {
            let places = columns.iter().map(|column| BlockColumn {
                file: number,
                group,
                block: block.number,
                column: *column,
            });
            block.columns = match is_scan {
                true => cache.get_for_scan(places),
                false => cache.get(places),
            };
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
            blocks: blocks.into_iter().peekable(),
            decoders,
            batch_rows,
            cache,
        })
    }

    /// The selected rows of the next blocks: of one that is whole, or of several as far as their rows
    /// fit into a batch.
    fn next_batch(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        let first = self.blocks.next()?;
        Some(self.gather(first).and_then(|blocks| self.read(blocks)))
    }

    /// The columns of `first` and, when it is not whole, of those that follow, as far as their rows fit
    /// into a batch and their columns into the memory for one.
    fn gather(&mut self, mut first: Block) -> Result<Vec<Block>, ArrowError> {
        self.complete(&mut first)?;
        let is_whole = first.selected.is_none();
        let (mut rows, mut bytes) = (first.selected_rows(), first.bytes());
        let mut blocks = vec![first];
        while !is_whole
            && bytes < MAX_GATHERED_BYTES
            && let Some(mut block) = self.blocks.next_if(|next| {
                next.selected.is_some() && rows + next.selected_rows() <= self.batch_rows
            })
        {
            self.complete(&mut block)?;
            rows += block.selected_rows();
            bytes += block.bytes();
            blocks.push(block);
        }
        Ok(blocks)
    }

    fn read(&self, mut blocks: Vec<Block>) -> Result<RecordBatch, ArrowError> {
        let schema = Arc::clone(&self.schema);
        if let [
            Block {
                selected: None,
                rows,
                columns,
                ..
            },
        ] = blocks.as_mut_slice()
        {
            let columns = columns.drain(..).flatten().collect();
            let options = RecordBatchOptions::new().with_row_count(Some(*rows));
            return RecordBatch::try_new_with_options(schema, columns, &options);
        }
        // Which row of which block; one step for each column, however many blocks there are.
        let places: Vec<(usize, usize)> = blocks
            .iter()
            .enumerate()
            .flat_map(|(index, block)| {
                let selected = block.selected.iter();
                let rows = selected.flat_map(|selected| selected.values().set_indices());
                rows.map(move |row| (index, row))
            })
            .collect();
        let columns = (0..self.columns.len()).map(|column| {
            let of_blocks = blocks.iter();
            let of_blocks: Vec<&dyn Array> = of_blocks
                .filter_map(|block| block.columns[column].as_deref())
                .collect();
            interleave(&of_blocks, &places)
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        RecordBatch::try_new_with_options(schema, columns, &options)
    }

    /// Decodes the columns of a block that were not in the cache.
    fn complete(&mut self, block: &mut Block) -> Result<(), ArrowError> {
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
        Ok(())
    }
}

impl Iterator for SelectedBlocks {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.next_batch()?;
        if read.is_err() {
            // What follows could be rows of another block.
            self.blocks = Vec::new().into_iter().peekable();
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

/// Batches of the selected rows, of the physical columns `columns`; of all rows without any detour.
async fn decode(
    file: &ParquetFile,
    group: usize,
    columns: impl Iterator<Item = usize>,
    batch_rows: usize,
    selection: RowSelection,
) -> Result<ParquetRecordBatchReader, ParquetError> {
    let schema = file.parquet().file_metadata().schema_descr();
    let mask = ProjectionMask::roots(schema, columns);
    let selection = Some(selection).filter(|rows| rows.row_count() < file.rows(group));
    let pages = FetchedPages::fetch(file, group, &mask, selection.as_ref()).await?;
    let levels = parquet_to_arrow_field_levels(schema, mask, None)?;
    ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, batch_rows, selection)
}
