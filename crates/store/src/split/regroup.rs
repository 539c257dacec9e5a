//! Row groups made of the rows of others: columns without room move into the overflow, and the rows
//! of several short row groups are sorted into one.
//!
//! All of it works on columns; no row is decoded.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt32Array};
use arrow::compute::{concat_batches, partition, take, take_record_batch};
use arrow::datatypes::{Int64Type, Schema, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use futures::TryStreamExt;
use query::schema::{self, Table};

use super::parquet_file::ParquetFile;
use super::row_group::{RowGroup, columns_error};
use super::write::wait;
use crate::columns::{Family, MAX_PROMOTED, Promotion, Promotions, align, names};
use crate::error::StoreError;
use crate::index::BLOCK_ROWS;

/// A row group of a file.
pub(super) type Place<'a> = (&'a Arc<ParquetFile>, usize);

/// The sparse and promoted columns of a split with these row groups: all of theirs or, when there
/// are too many promoted ones, those with the most values.
pub(super) fn promotions_of<'a>(
    row_groups: impl IntoIterator<Item = (&'a ParquetFile, usize)>,
) -> Promotions {
    let mut promotions = Promotions::new();
    let mut order: Vec<Promotion> = Vec::new();
    let mut values: HashMap<Promotion, i64> = HashMap::new();
    for (file, group) in row_groups {
        promotions.add_sparse_of(file.schema());
        for field in file.schema().fields() {
            if let Some(promotion) = Promotion::from_field(field) {
                let count = values.entry(promotion.clone()).or_insert_with(|| {
                    order.push(promotion);
                    0
                });
                *count += values_in(file, group, field.name());
            }
        }
    }
    if order.len() > MAX_PROMOTED {
        order.sort_by(|a, b| values[b].cmp(&values[a]).then_with(|| a.cmp(b)));
        order.truncate(MAX_PROMOTED);
    }
    for promotion in order {
        promotions.add(promotion);
    }
    promotions
}

/// Values that are not null in a promoted column.
fn values_in(file: &ParquetFile, group: usize, name: &str) -> i64 {
    let Some(leaf) = file.leaf_at(&[name.to_owned()]) else {
        return 0;
    };
    let column = file.parquet().row_group(group).column(leaf);
    let nulls = column
        .statistics()
        .and_then(|statistics| statistics.null_count_opt())
        .unwrap_or(0);
    column.num_values() - nulls as i64
}

/// Whether every promoted column of a file is among `kept`.
pub(super) fn fits(file: &Schema, kept: &Promotions) -> bool {
    let mut promoted = file
        .fields()
        .iter()
        .filter_map(|f| Promotion::from_field(f));
    promoted.all(|promotion| kept.has(&promotion))
}

/// The rows of row groups of one table as one row group, with only the promoted columns that are
/// `kept`. CPU-heavy.
///
/// # Errors
///
/// A file is damaged or cannot be read, or there are more rows or text than a row group holds.
pub(super) fn regroup(
    table: Table,
    row_groups: &[Place<'_>],
    kept: &Promotions,
) -> Result<RowGroup, StoreError> {
    let mut promotions = Promotions::new();
    for (file, _) in row_groups {
        promotions.add_sparse_of(file.schema());
        let promoted = file.schema().fields().iter();
        for promotion in promoted.filter_map(|field| Promotion::from_field(field)) {
            if kept.has(&promotion) {
                promotions.add(promotion);
            }
        }
    }
    let mut batches = Vec::new();
    for (file, group) in row_groups {
        let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
        let read = file.read(*group, &columns, BLOCK_ROWS);
        let read: Vec<RecordBatch> = wait(read.try_collect())?;
        for batch in read {
            batches.push(align(&batch, &promotions).map_err(columns_error)?);
        }
    }
    let refused = |err: arrow::error::ArrowError| StoreError::Encoding {
        action: "merge row groups",
        message: err.to_string(),
    };
    let Some(first) = batches.first() else {
        return Err(StoreError::Encoding {
            action: "merge row groups",
            message: "there are no rows".to_owned(),
        });
    };
    let mut batch = concat_batches(first.schema_ref(), &batches).map_err(refused)?;
    drop(batches);
    // One row group is in its order already.
    if row_groups.len() > 1 {
        let order = order_of(&batch).map_err(refused)?;
        batch = take_record_batch(&batch, &order).map_err(refused)?;
    }
    RowGroup::of_sorted(table, &batch)
}

/// The rows by stream (service, then resource), time and seq.
fn order_of(batch: &RecordBatch) -> Result<UInt32Array, arrow::error::ArrowError> {
    let streams = stream_of_each_row(batch)?;
    let times = column(batch, schema::TIMESTAMP)?.as_primitive::<TimestampNanosecondType>();
    let seqs = column(batch, schema::SEQ)?.as_primitive::<Int64Type>();
    let mut order: Vec<u32> = (0..batch.num_rows() as u32).collect();
    order.sort_unstable_by_key(|row| {
        let row = *row as usize;
        (streams[row], times.value(row), seqs.value(row))
    });
    Ok(UInt32Array::from(order))
}

/// A number for each row's stream, in the order of streams.
fn stream_of_each_row(batch: &RecordBatch) -> Result<Vec<u32>, arrow::error::ArrowError> {
    let mut identity = vec![Arc::clone(column(batch, schema::SERVICE)?)];
    for (field, values) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let is_of_resource =
            Promotion::from_field(field).is_some_and(|p| p.family == Family::Resource);
        if is_of_resource || field.name() == names::RESOURCE_OVERFLOW {
            identity.push(Arc::clone(values));
        }
    }
    // Rows of a stream lie together, so few have to be compared.
    let runs = partition(&identity)?.ranges();
    let starts = UInt32Array::from_iter_values(runs.iter().map(|run| run.start as u32));
    let of_runs = identity
        .iter()
        .map(|values| take(values, &starts, None))
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let fields = of_runs
        .iter()
        .map(|values| SortField::new(values.data_type().clone()));
    let keys = RowConverter::new(fields.collect())?.convert_columns(&of_runs)?;
    let mut distinct: Vec<_> = keys.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let mut streams = vec![0; batch.num_rows()];
    for (run, key) in runs.into_iter().zip(&keys) {
        let stream = distinct.partition_point(|other| *other < key) as u32;
        streams[run].fill(stream);
    }
    Ok(streams)
}

fn column<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a ArrayRef, arrow::error::ArrowError> {
    let found = batch.column_by_name(name);
    found.ok_or_else(|| arrow::error::ArrowError::SchemaError(format!("column {name} is missing")))
}
