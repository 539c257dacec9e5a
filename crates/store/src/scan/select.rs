//! Finds the matching rows of one piece, reading as few columns of as few rows as it can, and none
//! of them twice.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, RecordBatch, RecordBatchOptions,
};
use arrow::compute::{and, concat_batches, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{FieldRef, Int64Type, Schema, SchemaRef, TimestampNanosecondType};
use datafusion::physical_plan::PhysicalExpr;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::RowSelection;
use query::schema;

use super::filter::{Filter, Stage};
use super::pieces::{Piece, internal};
use super::tasks::{TASKS, shared};
use super::top::Place;
use crate::columns::ColumnsError;
use crate::columns::logical::{logical_column, physical_columns};
use crate::error::StoreError;

/// Rows that are checked at a time.
const CHECKED_ROWS: usize = 8192;

/// Some rows of a piece, and what has been read of them.
#[derive(Debug, Clone)]
pub(super) struct Selected {
    rows: RowSelection,
    /// Physical columns that checks have read and that are asked for again, of these rows.
    columns: Vec<(FieldRef, ArrayRef)>,
}

impl From<RowSelection> for Selected {
    /// Rows of which nothing has been read.
    fn from(rows: RowSelection) -> Self {
        Self {
            rows,
            columns: Vec::new(),
        }
    }
}

impl Selected {
    pub(super) fn rows(&self) -> &RowSelection {
        &self.rows
    }

    pub(super) fn count(&self) -> usize {
        self.rows.row_count()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.rows.selects_any()
    }

    /// Keeps those rows whose bit in `mask` is set.
    pub(super) fn refine(&mut self, mask: BooleanArray) -> Result<(), StoreError> {
        let mask = match mask.null_count() {
            0 => mask,
            _ => prep_null_mask_filter(&mask),
        };
        if mask.true_count() == mask.len() {
            return Ok(());
        }
        for (_, column) in &mut self.columns {
            *column = arrow::compute::filter(column, &mask)
                .map_err(|err| internal("keep rows that match", err))?;
        }
        let rows = std::mem::take(&mut self.rows);
        let kept = RowSelection::from_filters(&[mask]);
        self.rows = match rows.iter().all(|run| !run.skip) {
            true => kept,
            false => rows.and_then(&kept),
        };
        Ok(())
    }

    /// Keeps the first `rows` rows.
    pub(super) fn truncate(&mut self, rows: usize) -> Result<(), StoreError> {
        let all = self.count();
        self.refine((0..all).map(|row| Some(row < rows)).collect())
    }

    /// Remembers columns of these rows.
    fn remember_all(&mut self, batch: &RecordBatch) {
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if self.known(field.name()).is_none() {
                self.columns.push((Arc::clone(field), Arc::clone(column)));
            }
        }
    }

    fn known(&self, name: &str) -> Option<&ArrayRef> {
        let mut columns = self.columns.iter();
        columns
            .find(|(field, _)| field.name() == name)
            .map(|(_, column)| column)
    }

    /// The physical columns at the indices `columns`, in the file's order, of these rows, in
    /// batches of at most `batch_rows` rows or a block.
    pub(super) fn stream(
        &self,
        piece: &Piece,
        columns: &[usize],
        batch_rows: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        let mut columns = columns.to_vec();
        columns.sort_unstable();
        columns.dedup();
        let schema = piece.schema().project(&columns);
        let schema = Arc::new(schema.map_err(|err| internal("project columns", err))?);
        let known: Vec<Option<ArrayRef>> = schema
            .fields()
            .iter()
            .map(|field| self.known(field.name()).cloned())
            .collect();
        if known.iter().all(Option::is_none) {
            return piece.stream(&columns, &self.rows, batch_rows);
        }
        let unread = columns.iter().zip(&known);
        let unread: Vec<usize> = unread
            .filter(|(_, known)| known.is_none())
            .map(|(column, _)| *column)
            .collect();
        let others = match unread.is_empty() {
            true => stream::iter(without_columns(self.count(), batch_rows)).boxed(),
            false => piece.stream(&unread, &self.rows, batch_rows)?,
        };
        let (piece, count) = (piece.clone(), self.count());
        let mut first = 0;
        Ok(others
            .map(move |others| {
                let others = others?;
                let part = first..first + others.num_rows();
                first = part.end;
                if part.end > count {
                    let what = "has more rows than were selected";
                    return Err(piece.columns_error(ColumnsError::new("a column", what)));
                }
                let mut read = others.columns().iter();
                let columns = known.iter().filter_map(|known| match known {
                    Some(column) => Some(column.slice(part.start, part.len())),
                    None => read.next().cloned(),
                });
                RecordBatch::try_new(Arc::clone(&schema), columns.collect())
                    .map_err(|err| internal("put columns together", err))
            })
            .boxed())
    }

    /// (timestamp, seq) of these rows; they are remembered.
    pub(super) async fn places(&mut self, piece: &Piece) -> Result<Vec<Place>, StoreError> {
        let file = piece.schema();
        let mut columns = physical_columns(schema::TIMESTAMP, &file);
        columns.extend(physical_columns(schema::SEQ, &file));
        let batch = self.read(piece, &columns).await?;
        self.remember_all(&batch);
        let times = batch
            .column_by_name(schema::TIMESTAMP)
            .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let seqs = batch
            .column_by_name(schema::SEQ)
            .and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(times), Some(seqs)) = (times, seqs) else {
            let err = ColumnsError::new(schema::TIMESTAMP, "or seq is missing");
            return Err(piece.columns_error(err));
        };
        Ok(times
            .values()
            .iter()
            .zip(seqs.values())
            .map(|(time, seq)| (*time, *seq))
            .collect())
    }

    /// Reads every column of these rows, several tasks at once; they are remembered.
    pub(super) async fn read_all(&mut self, piece: &Piece) -> Result<(), StoreError> {
        let reading = piece.column_shares(TASKS).into_iter().map(|columns| {
            let (piece, selected) = (piece.clone(), self.clone());
            async move { selected.read(&piece, &columns).await }
        });
        for batch in shared(reading).await? {
            self.remember_all(&batch?);
        }
        Ok(())
    }

    /// As [`Selected::stream`], in one batch.
    async fn read(&self, piece: &Piece, columns: &[usize]) -> Result<RecordBatch, StoreError> {
        let batches: Vec<RecordBatch> = self
            .stream(piece, columns, self.count().max(1))?
            .try_collect()
            .await?;
        // What is found out about these rows is told by their places.
        if batches.iter().map(RecordBatch::num_rows).sum::<usize>() != self.count() {
            return Err(wrong_row_count(piece));
        }
        match batches.as_slice() {
            [only] => Ok(only.clone()),
            [] => {
                let mut columns = columns.to_vec();
                columns.sort_unstable();
                columns.dedup();
                let schema = piece.schema().project(&columns);
                let schema = schema.map_err(|err| internal("project columns", err))?;
                Ok(RecordBatch::new_empty(Arc::new(schema)))
            }
            several => concat_batches(&several[0].schema(), several)
                .map_err(|err| internal("join batches", err)),
        }
    }
}

/// So many rows of no column, in batches of at most `batch_rows`.
fn without_columns(
    rows: usize,
    batch_rows: usize,
) -> impl Iterator<Item = Result<RecordBatch, StoreError>> {
    let firsts = (0..rows).step_by(batch_rows.max(1));
    firsts.map(move |first| empty_columns(batch_rows.min(rows - first)))
}

/// What is asked for of the rows that are selected.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// All of them.
    Rows,
    /// These logical columns.
    Columns(SchemaRef),
}

impl Wanted {
    /// The physical columns of a piece that will be read.
    fn of(&self, piece: &Piece) -> Vec<usize> {
        let file = piece.schema();
        match self {
            Self::Rows => (0..file.fields().len()).collect(),
            Self::Columns(logical) => physical_of(logical, &file),
        }
    }
}

/// The matching rows of a piece, with those of the `wanted` columns that were read to find them;
/// `None` when there is none.
///
/// # Errors
///
/// Damage, a source that cannot be read, or a predicate that fails on a row.
pub(super) async fn select(
    piece: &Piece,
    filter: &Filter,
    wanted: &Wanted,
) -> Result<Option<Selected>, StoreError> {
    let mut selected = Selected::from(piece.candidates.clone());
    if !filter.times.covers(piece.times) {
        let places = selected.places(piece).await?;
        let inside = places
            .iter()
            .map(|place| Some(filter.times.contains(place.0)));
        selected.refine(inside.collect())?;
    }
    let wanted = wanted.of(piece);
    for stage in &filter.stages {
        if selected.is_empty() {
            return Ok(None);
        }
        check(piece, stage, &mut selected, &wanted).await?;
    }
    Ok(Some(selected).filter(|selected| !selected.is_empty()))
}

/// Keeps the rows that pass a stage, and remembers what it reads of the physical columns `wanted`.
async fn check(
    piece: &Piece,
    stage: &Stage,
    selected: &mut Selected,
    wanted: &[usize],
) -> Result<(), StoreError> {
    let columns = physical_of(&stage.schema, &piece.schema());
    if columns.is_empty() {
        // A predicate of no column, such as `1 = 2`.
        let passed = stage.passed(piece, &empty_columns(selected.count())?)?;
        return selected.refine(passed);
    }
    let kept = (0..columns.len()).filter(|index| wanted.contains(&columns[*index]));
    let kept: Vec<usize> = kept.collect();
    let mut batches = selected.stream(piece, &columns, CHECKED_ROWS)?;
    let mut passed = BooleanBufferBuilder::new(selected.count());
    let mut passing: Vec<RecordBatch> = Vec::new();
    while let Some(batch) = batches.try_next().await? {
        let mask = stage.passed(piece, &batch)?;
        passed.append_buffer(mask.values());
        if !kept.is_empty() && mask.true_count() > 0 {
            let batch = batch.project(&kept);
            let batch = batch.and_then(|batch| filter_record_batch(&batch, &mask));
            passing.push(batch.map_err(|err| internal("keep rows that match", err))?);
        }
    }
    drop(batches);
    if passed.len() != selected.count() {
        return Err(wrong_row_count(piece));
    }
    selected.refine(BooleanArray::new(passed.finish(), None))?;
    let Some(first) = passing.first() else {
        return Ok(());
    };
    let read = concat_batches(&first.schema(), &passing);
    selected.remember_all(&read.map_err(|err| internal("join batches", err))?);
    Ok(())
}

impl Stage {
    /// Which rows of some physical columns pass.
    fn passed(&self, piece: &Piece, batch: &RecordBatch) -> Result<BooleanArray, StoreError> {
        let logical = to_logical(piece, &self.schema, batch)?;
        self.passing(&logical)
    }

    /// Which rows of the stage's logical columns pass; none is null.
    pub(super) fn passing(&self, logical: &RecordBatch) -> Result<BooleanArray, StoreError> {
        let mut passed: Option<BooleanArray> = None;
        for predicate in &self.predicates {
            let mask = evaluate(predicate.as_ref(), logical)?;
            passed = Some(match passed {
                Some(before) => and(&before, &mask).map_err(|err| internal("join masks", err))?,
                None => mask,
            });
        }
        let everything = || BooleanArray::from(vec![true; logical.num_rows()]);
        Ok(passed.unwrap_or_else(everything))
    }
}

fn wrong_row_count(piece: &Piece) -> StoreError {
    let what = "has more or fewer rows than were selected";
    piece.columns_error(ColumnsError::new("a column", what))
}

fn evaluate(predicate: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<BooleanArray, StoreError> {
    let result: ArrayRef = predicate
        .evaluate(batch)
        .and_then(|value| value.into_array(batch.num_rows()))
        .map_err(|err| internal("check a filter", err))?;
    let mask = result
        .as_boolean_opt()
        .ok_or_else(|| internal("check a filter", "it is neither true nor false"))?;
    Ok(match mask.null_count() {
        0 => mask.clone(),
        _ => prep_null_mask_filter(mask),
    })
}

fn empty_columns(rows: usize) -> Result<RecordBatch, StoreError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .map_err(|err| internal("count rows", err))
}

/// The physical columns that logical ones are made of, in the file's order.
pub(super) fn physical_of(logical: &Schema, file: &Schema) -> Vec<usize> {
    let fields = logical.fields().iter();
    let mut columns: Vec<usize> = fields
        .flat_map(|field| physical_columns(field.name(), file))
        .collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

/// The logical columns of a physical batch.
pub(super) fn to_logical(
    piece: &Piece,
    logical: &SchemaRef,
    batch: &RecordBatch,
) -> Result<RecordBatch, StoreError> {
    let columns: Vec<ArrayRef> = logical
        .fields()
        .iter()
        .map(|field| logical_column(field, batch))
        .collect::<Result<_, _>>()
        .map_err(|err| piece.columns_error(err))?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(logical), columns, &options)
        .map_err(|err| internal("make logical columns", err))
}
