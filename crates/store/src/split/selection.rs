//! Which rows of a row group the Parquet decoder is told to read, and which of those are kept.
//!
//! The decoder goes from row to row when the selected runs are long, and decodes all rows from the
//! first to the last, to drop the others, when they are short. For that it wants every page in
//! between, which would be fetched for nothing. So where runs are short, it is given the whole blocks
//! of the selected rows, and the others are dropped here.

use arrow::array::{BooleanArray, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection, RowSelector};

use crate::index::BLOCK_ROWS;

/// The mean length of a run, in rows, below which the decoder would read everything in between: the
/// default of its `RowSelectionPolicy`.
const SHORT_RUN: usize = 32;

/// The selected rows of a row group.
pub(super) struct Selection {
    /// What the decoder reads.
    pub(super) read: RowSelection,
    /// Of the rows that it reads, in order, those that are selected; `None` when all are.
    pub(super) kept: Option<BooleanBuffer>,
}

impl Selection {
    /// `selected` of a row group of `rows` rows.
    pub(super) fn new(selected: RowSelection, rows: usize) -> Self {
        match has_short_runs(&selected) {
            false => Self {
                read: selected,
                kept: None,
            },
            true => Self::of_blocks(&selected, rows),
        }
    }

    /// The whole blocks in which a row is selected.
    fn of_blocks(selected: &RowSelection, rows: usize) -> Self {
        let mut all = BooleanBufferBuilder::new(rows);
        for run in selected.iter() {
            let left = rows - all.len();
            all.append_n(run.row_count.min(left), !run.skip);
        }
        all.append_n(rows - all.len(), false);
        let all = all.finish();
        let mut kept = BooleanBufferBuilder::new(selected.row_count());
        let blocks = (0..rows).step_by(BLOCK_ROWS).map(|first| {
            let block = all.slice(first, BLOCK_ROWS.min(rows - first));
            match block.count_set_bits() {
                0 => RowSelector::skip(block.len()),
                _ => {
                    kept.append_buffer(&block);
                    RowSelector::select(block.len())
                }
            }
        });
        let read = blocks.collect::<Vec<_>>().into();
        Self {
            read,
            kept: Some(kept.finish()),
        }
    }
}

/// Whether the decoder may read everything in between. It counts rows and runs before it cuts off
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

/// What the decoder reads, without the rows that were not selected.
pub(super) struct SelectedBatches {
    pub(super) batches: ParquetRecordBatchReader,
    /// As [`Selection::kept`], for what is still to be read.
    pub(super) kept: Option<BooleanBuffer>,
}

impl Iterator for SelectedBatches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(kept) = &mut self.kept else {
            return self.batches.next();
        };
        while kept.count_set_bits() > 0 {
            let batch = match self.batches.next() {
                Some(Ok(batch)) if batch.num_rows() <= kept.len() => batch,
                Some(Err(err)) => return Some(Err(err)),
                _ => {
                    *kept = BooleanBuffer::new_unset(0);
                    let message = "there are more or fewer rows than were to be read";
                    return Some(Err(ArrowError::ParquetError(message.to_owned())));
                }
            };
            let rows = batch.num_rows();
            let of_batch = BooleanArray::from(kept.slice(0, rows));
            *kept = kept.slice(rows, kept.len() - rows);
            if of_batch.true_count() > 0 {
                return Some(filter_record_batch(&batch, &of_batch));
            }
        }
        None
    }
}
