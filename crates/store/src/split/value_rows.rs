//! How many rows have each value of a text column, by the list of its values that a row group has.
//!
//! A column whose values repeat is stored as numbers of the places in a list, so that its values are
//! counted without making a text for each row.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, DictionaryArray, StringArray};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Fields, Int32Type};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use query::value_counts::ValueCounts;

use super::damage::{Damage, from_parquet};
use super::pages::FetchedPages;
use super::parquet_file::ParquetFile;
use crate::columns::logical::{has_texts_as_stored, text_columns};
use crate::error::StoreError;
use crate::index::BLOCK_ROWS;

/// Values of a text column, and how many of some rows have each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValueRows {
    /// Values that at least one row has; most often each once.
    pub(crate) values: StringArray,
    /// For each of them its rows.
    pub(crate) rows: Vec<u64>,
    /// Rows without a value.
    pub(crate) missing: u64,
}

impl From<ValueCounts> for ValueRows {
    /// What was counted row by row.
    fn from(counts: ValueCounts) -> Self {
        let (counts, missing) = counts.into_counts();
        let (values, rows): (Vec<Box<str>>, Vec<u64>) = counts.unzip();
        Self {
            values: StringArray::from_iter_values(values),
            rows,
            missing,
        }
    }
}

impl ValueRows {
    /// Whether no row has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl ParquetFile {
    /// The values of the logical text column `name` in the selected rows of row group `group`; `None`
    /// when the row group has no list of them. The whole column is read, whatever is selected.
    ///
    /// # Errors
    ///
    /// Damage, or the source cannot be read.
    pub(crate) async fn listed_values(
        self: &Arc<Self>,
        group: usize,
        name: &str,
        selection: &RowSelection,
    ) -> Result<Option<ValueRows>, StoreError> {
        let Some(mut columns) = text_columns(name, self.schema()) else {
            return Ok(None);
        };
        columns.retain(|column| self.has_values(group, self.schema().field(*column).name()));
        let mut valued = None;
        for column in columns {
            let field = self.schema().field(column);
            if !has_texts_as_stored(name, field) {
                // Of an overflow the footer does not say whether it has any value.
                if *field.data_type() != DataType::Utf8 || !self.is_all_null(group, column).await? {
                    return Ok(None);
                }
            } else if valued.is_none() && self.has_list(group, field.name()) {
                valued = Some(column);
            } else {
                return Ok(None);
            }
        }
        let Some(column) = valued else {
            return Ok(Some(ValueRows {
                values: StringArray::new_null(0),
                rows: Vec::new(),
                missing: selection.row_count() as u64,
            }));
        };
        let places = self.places_in_list(group, column).await;
        let places = places.map_err(|err| from_parquet(self.name(), err))?;
        let counted = places.and_then(|places| count(&places, selection));
        match counted {
            Some(counted) => Ok(Some(counted)),
            None => {
                let message = format!("{name} has more or fewer rows than were to be read");
                Err(Damage::new(0, message).in_file(self.name()))
            }
        }
    }

    /// Whether a column of texts is stored as places in a list of its values, all of it: a list that
    /// grows too long is given up on the way.
    fn has_list(&self, group: usize, column: &str) -> bool {
        self.leaf(column).is_some_and(|leaf| {
            let chunk = self.parquet().row_group(group).column(leaf);
            let pages = chunk.page_encoding_stats_mask();
            chunk.dictionary_page_offset().is_some()
                && pages.is_none_or(|pages| pages.is_only(Encoding::RLE_DICTIONARY))
        })
    }

    /// Whether no row has a value in a column.
    async fn is_all_null(
        self: &Arc<Self>,
        group: usize,
        column: usize,
    ) -> Result<bool, StoreError> {
        let mut batches = self.read(group, &[column], BLOCK_ROWS);
        while let Some(batch) = batches.try_next().await? {
            if batch.column(0).null_count() < batch.num_rows() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A column as places in its list of values; `None` when it is no such column after all.
    async fn places_in_list(
        &self,
        group: usize,
        column: usize,
    ) -> Result<Option<DictionaryArray<Int32Type>>, ParquetError> {
        let schema = self.parquet().file_metadata().schema_descr();
        let mask = ProjectionMask::roots(schema, [column]);
        let pages = FetchedPages::fetch(self, group, &mask, None).await?;
        let wanted = self.with_places(column);
        let levels = parquet_to_arrow_field_levels(schema, mask, Some(&wanted))?;
        let rows = self.rows(group);
        let mut batches =
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, rows, None)?;
        let Some(batch) = batches.next().transpose()? else {
            return Ok(None);
        };
        let places = batch.column(0).as_dictionary_opt::<Int32Type>().cloned();
        Ok(places.filter(|places| places.len() == rows))
    }

    /// The file's fields, with `column` as places in a list of texts.
    fn with_places(&self, column: usize) -> Fields {
        let places = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
        let fields = self.schema().fields().iter().enumerate();
        let fields = fields.map(|(index, field)| match index == column {
            true => Arc::new(Field::new(field.name(), places.clone(), true)),
            false => Arc::clone(field),
        });
        fields.collect()
    }
}

/// Counts the selected rows; `None` when more are selected than there are.
fn count(places: &DictionaryArray<Int32Type>, selection: &RowSelection) -> Option<ValueRows> {
    let values = places.values().as_string_opt::<i32>()?;
    let keys = places.keys();
    let mut rows = vec![0_u64; values.len()];
    let mut missing = 0;
    let mut first = 0;
    for run in selection.iter() {
        let run_rows = first..first + run.row_count;
        first = run_rows.end;
        if run.skip {
            continue;
        }
        let run_keys = keys.values().get(run_rows.clone())?;
        for (row, key) in run_rows.zip(run_keys) {
            match keys.is_null(row) {
                true => missing += 1,
                false => *rows.get_mut(usize::try_from(*key).ok()?)? += 1,
            }
        }
    }
    let occurs: BooleanArray = rows.iter().map(|rows| Some(*rows > 0)).collect();
    if occurs.true_count() == occurs.len() {
        let values = values.clone();
        return Some(ValueRows {
            values,
            rows,
            missing,
        });
    }
    let values = filter(values, &occurs).ok()?;
    rows.retain(|rows| *rows > 0);
    Some(ValueRows {
        values: values.as_string_opt::<i32>()?.clone(),
        rows,
        missing,
    })
}
