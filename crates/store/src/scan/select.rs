//! Finds the matching rows of one piece, reading as few columns of as few rows as it can.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{and, prep_null_mask_filter};
use arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampNanosecondType};
use datafusion::physical_plan::PhysicalExpr;
use parquet::arrow::arrow_reader::RowSelection;
use query::schema;
use std::sync::Arc;

use super::filter::{Filter, Stage};
use super::pieces::{Piece, internal};
use super::top::Place;
use crate::columns::logical::{logical_column, physical_columns};
use crate::error::StoreError;

/// The matching rows of a piece; `None` when there is none.
///
/// # Errors
///
/// Damage, a source that cannot be read, or a predicate that fails on a row.
pub(super) async fn select(
    piece: &Piece,
    filter: &Filter,
) -> Result<Option<RowSelection>, StoreError> {
    let mut selection = piece.candidates.clone();
    if !filter.times.covers(piece.times) {
        let places = places(piece, &selection).await?;
        let inside = places
            .iter()
            .map(|place| Some(filter.times.contains(place.0)));
        selection = refine(selection, inside.collect());
    }
    for stage in &filter.stages {
        if !selection.selects_any() {
            return Ok(None);
        }
        let mask = check(piece, stage, &selection).await?;
        selection = refine(selection, mask);
    }
    Ok(Some(selection).filter(RowSelection::selects_any))
}

/// Keeps those selected rows whose bit in `mask` is set.
pub(super) fn refine(selection: RowSelection, mask: BooleanArray) -> RowSelection {
    selection.and_then(&RowSelection::from_filters(&[mask]))
}

/// (timestamp, seq) of the selected rows.
pub(super) async fn places(
    piece: &Piece,
    selection: &RowSelection,
) -> Result<Vec<Place>, StoreError> {
    let file = piece.schema();
    let mut columns = physical_columns(schema::TIMESTAMP, &file);
    columns.extend(physical_columns(schema::SEQ, &file));
    let batch = piece.read(&columns, selection).await?;
    let times = batch
        .column_by_name(schema::TIMESTAMP)
        .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
    let seqs = batch
        .column_by_name(schema::SEQ)
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    let (Some(times), Some(seqs)) = (times, seqs) else {
        let err = crate::columns::ColumnsError::new(schema::TIMESTAMP, "or seq is missing");
        return Err(piece.columns_error(err));
    };
    Ok(times
        .values()
        .iter()
        .zip(seqs.values())
        .map(|(time, seq)| (*time, *seq))
        .collect())
}

async fn check(
    piece: &Piece,
    stage: &Stage,
    selection: &RowSelection,
) -> Result<BooleanArray, StoreError> {
    let columns = physical_of(&stage.schema, &piece.schema());
    let batch = if columns.is_empty() {
        // A predicate of no column, such as `1 = 2`.
        empty_columns(selection.row_count())?
    } else {
        piece.read(&columns, selection).await?
    };
    let logical = to_logical(piece, &stage.schema, &batch)?;
    let mut passed: Option<BooleanArray> = None;
    for predicate in &stage.predicates {
        let mask = evaluate(predicate.as_ref(), &logical)?;
        passed = Some(match passed {
            Some(before) => and(&before, &mask).map_err(|err| internal("join masks", err))?,
            None => mask,
        });
    }
    Ok(passed.unwrap_or_else(|| BooleanArray::from(vec![true; logical.num_rows()])))
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
