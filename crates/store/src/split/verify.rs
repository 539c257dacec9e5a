//! The complete check of a split.

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::{Int64Type, TimestampNanosecondType};
use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;
use model::{LogRecord, Seq, Span};
use query::schema::{self, Table};

use super::damage::Damage;
use super::open::Split;
use super::parquet_file::SplitSource;
use crate::columns::decode;
use crate::error::StoreError;
use crate::index::{BLOCK_ROWS, BlockTerms};

/// What a check found in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Row groups.
    pub row_groups: usize,
    /// Rows, every one decoded.
    pub rows: u64,
    /// Blocks whose terms in the index are those of their rows.
    pub blocks: usize,
    /// Every row's place in the ingest log, in the file's order.
    pub seqs: Vec<Seq>,
}

/// Reads and decodes everything in a split and makes its index anew to compare.
///
/// # Errors
///
/// The first damage found, with its place.
pub async fn verify(name: &str, source: SplitSource) -> Result<Verified, StoreError> {
    let split = Split::open(name, source).await?;
    split.file().check_regions().await?;
    let mut verified = Verified {
        row_groups: split.file().row_groups(),
        rows: 0,
        blocks: 0,
        seqs: Vec::new(),
    };
    for group in 0..verified.row_groups {
        let batch = read_row_group(&split, group).await?;
        check_rows(&split, &batch)?;
        check_times(&split, group, &batch)?;
        verified.seqs.extend(seqs(&split, &batch)?);
        let blocks = split.file().blocks(group);
        verified.rows += batch.num_rows() as u64;
        verified.blocks += blocks.len();
        let indexed = split
            .index()
            .await?
            .terms_of(blocks)
            .map_err(|err| Damage::new(0, err).in_file(name))?;
        if indexed != BlockTerms::of(&batch).0 {
            let message = format!("the index of row group {group} is not that of its rows");
            return Err(Damage::new(0, message).in_file(name));
        }
    }
    Ok(verified)
}

async fn read_row_group(split: &Split, group: usize) -> Result<RecordBatch, StoreError> {
    let file = split.file();
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let batches: Vec<RecordBatch> = file.read(group, &columns, BLOCK_ROWS).try_collect().await?;
    concat_batches(file.schema(), &batches).map_err(|err| Damage::new(0, err).in_file(file.name()))
}

/// Decodes the rows, so that every typed JSON is read too.
fn check_rows(split: &Split, batch: &RecordBatch) -> Result<(), StoreError> {
    let decoded = match split.table() {
        Table::Logs => decode::<LogRecord>(batch).map(|rows| rows.len()),
        Table::Spans => decode::<Span>(batch).map(|rows| rows.len()),
    };
    decoded
        .map(|_| ())
        .map_err(|err| Damage::new(0, err).in_file(split.file().name()))
}

/// The footer's time range and the order inside each stream's run are those of the rows.
fn check_times(split: &Split, group: usize, batch: &RecordBatch) -> Result<(), StoreError> {
    let damaged = |message: String| Damage::new(0, message).in_file(split.file().name());
    let column = |name: &str| {
        batch
            .column_by_name(name)
            .ok_or_else(|| damaged(format!("column {name} is missing")))
    };
    let times = column(schema::TIMESTAMP)?
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| damaged("timestamps have another type".to_owned()))?;
    let found = (
        times.values().iter().min().copied().unwrap_or(0),
        times.values().iter().max().copied().unwrap_or(0),
    );
    let stated = split.file().times(group)?;
    if found != stated {
        return Err(damaged(format!(
            "row group {group} covers {found:?}, its footer says {stated:?}"
        )));
    }
    Ok(())
}

fn seqs(split: &Split, batch: &RecordBatch) -> Result<Vec<Seq>, StoreError> {
    let column = batch
        .column_by_name(schema::SEQ)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| {
            Damage::new(0, "the column seq is missing or has another type")
                .in_file(split.file().name())
        })?;
    Ok(column
        .values()
        .iter()
        .map(|raw| Seq::from_i64(*raw))
        .collect())
}
