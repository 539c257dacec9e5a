//! One row group's columns brought to the sparse and promoted columns of another.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, new_null_array};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use model::Value;

use super::attributes::{Overflow, overflow_text, value_at};
use super::layout::{Family, Promotion, Promotions, is_sparse};
use super::{ColumnsError, names};

/// The same rows with exactly the columns of `promotions`: those that are missing are null, and
/// the values of promoted ones that have no place are moved into the overflow.
///
/// # Errors
///
/// The batch is none of physical columns, or has a sparse one that `promotions` lacks.
pub fn align(batch: &RecordBatch, promotions: &Promotions) -> Result<RecordBatch, ColumnsError> {
    let mut fixed: Vec<(Arc<Field>, ArrayRef)> = Vec::new();
    let sparse_at = |field: &Field| {
        let mut known = promotions.sparse().iter();
        known.position(|known| known.name() == field.name())
    };
    let mut sparse: Vec<Option<ArrayRef>> = vec![None; promotions.sparse().len()];
    let mut promoted: Vec<Option<ArrayRef>> = vec![None; promotions.len()];
    let mut homeless: Vec<(Promotion, &ArrayRef)> = Vec::new();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        match Promotion::from_field(field) {
            None if is_sparse(field) => match sparse_at(field) {
                Some(position) => sparse[position] = Some(Arc::clone(column)),
                None => return Err(ColumnsError::new(field.name(), "has no place")),
            },
            None => fixed.push((Arc::clone(field), Arc::clone(column))),
            Some(promotion) => {
                let Promotion { family, key, kind } = &promotion;
                match promotions.position(*family, key, *kind) {
                    Some(position) => promoted[position] = Some(Arc::clone(column)),
                    None => homeless.push((promotion, column)),
                }
            }
        }
    }
    for (field, column) in &mut fixed {
        let family = match field.name().as_str() {
            names::OVERFLOW => Family::Attribute,
            names::RESOURCE_OVERFLOW => Family::Resource,
            _ => continue,
        };
        let moved: Vec<_> = homeless
            .iter()
            .filter(|(p, _)| p.family == family)
            .collect();
        if !moved.is_empty() {
            *column = with_moved(field.name(), column, &moved)?;
        }
    }
    let Some(before) = fixed.len().checked_sub(3) else {
        return Err(ColumnsError::new("batch", "has no overflow columns"));
    };
    let overflows = fixed.split_off(before);
    let or_nulls = |(field, column): (Arc<Field>, Option<ArrayRef>)| {
        let column = column.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()));
        (field, column)
    };
    let sparse = promotions.sparse().iter().map(Arc::clone).zip(sparse);
    let promoted = promotions
        .iter()
        .map(|(promotion, name)| Arc::new(promotion.field(name)))
        .zip(promoted);
    let (fields, columns): (Vec<_>, Vec<_>) = fixed
        .into_iter()
        .chain(sparse.chain(promoted).map(or_nulls))
        .chain(overflows)
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|err| ColumnsError::new("batch", err))
}

/// An overflow column that takes in the values of other columns.
fn with_moved(
    name: &str,
    overflow: &ArrayRef,
    moved: &[&(Promotion, &ArrayRef)],
) -> Result<ArrayRef, ColumnsError> {
    let texts = overflow
        .as_string_opt::<i32>()
        .ok_or_else(|| ColumnsError::new(name, "is no text"))?;
    let rows = (0..texts.len()).map(|row| {
        let before = texts.is_valid(row).then(|| texts.value(row));
        let values: Vec<(&str, Value)> = moved
            .iter()
            .filter(|(_, column)| column.is_valid(row))
            .map(|(promotion, column)| {
                let value = value_at(promotion.kind, column, row);
                (promotion.key.as_str(), value)
            })
            .collect();
        if values.is_empty() {
            return Ok(before.map(str::to_owned));
        }
        let before = match before {
            Some(text) => Overflow::parse(name, text)?,
            None => Overflow::default(),
        };
        // What had a column was the first of its key, so it stays before the others.
        let moved = values.iter().map(|(key, value)| (*key, value));
        let others = before
            .attributes
            .iter()
            .map(|(key, value)| (key.as_str(), value));
        let entries: Vec<(&str, &Value)> = moved.chain(others).collect();
        Ok(overflow_text(&entries, before.others))
    });
    let column = rows.collect::<Result<StringArray, ColumnsError>>()?;
    Ok(Arc::new(column))
}

#[cfg(test)]
mod tests {
    use model::{LogRecord, Seq};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::columns::{arbitrary, decode, encode, to_items};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn records_survive_a_change_of_columns(
            records in vec(arbitrary::log(), 1..5),
            others in vec(arbitrary::log(), 1..3),
            keep in any::<u64>(),
        ) {
            let rows: Vec<(Seq, LogRecord)> = records
                .into_iter()
                .enumerate()
                .map(|(n, record)| (Seq::new(1, n as u32), record))
                .collect();
            let others: Vec<(Seq, LogRecord)> =
                others.into_iter().map(|record| (Seq::new(2, 0), record)).collect();
            let columns = |rows: &[(Seq, LogRecord)]| {
                let items = to_items(rows);
                encode::<LogRecord>(&items.iter().collect::<Vec<_>>()).unwrap()
            };
            let batch = columns(&rows);
            let promoted = |batch: &RecordBatch| -> Vec<Promotion> {
                let fields = batch.schema_ref().fields().iter();
                fields.filter_map(|field| Promotion::from_field(field)).collect()
            };
            let mut wanted = Promotions::new();
            wanted.add_sparse_of(columns(&others).schema_ref());
            wanted.add_sparse_of(batch.schema_ref());
            for promotion in promoted(&columns(&others)) {
                wanted.add(promotion);
            }
            for (index, promotion) in promoted(&batch).into_iter().enumerate() {
                if keep & (1 << (index % 64)) != 0 {
                    wanted.add(promotion);
                }
            }
            let aligned = align(&batch, &wanted).unwrap();
            let schema = aligned.schema();
            let sparse = schema.fields().iter().filter(|field| is_sparse(field));
            prop_assert_eq!(sparse.count(), wanted.sparse().len());
            for field in batch.schema_ref().fields().iter().filter(|field| is_sparse(field)) {
                let name = field.name();
                prop_assert_eq!(aligned.column_by_name(name), batch.column_by_name(name));
            }
            let names: Vec<_> = aligned.schema().fields().iter().map(|f| f.name().clone()).collect();
            for (_, name) in wanted.iter() {
                prop_assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
            }
            prop_assert_eq!(decode::<LogRecord>(&aligned).unwrap(), decode::<LogRecord>(&batch).unwrap());
        }
    }
}
