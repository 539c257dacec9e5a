//! Typed access to a physical batch's columns by name.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, ListArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type,
};
use arrow::record_batch::RecordBatch;

use super::ColumnsError;

/// A batch's columns by name.
#[doc(hidden)]
#[derive(Debug)]
pub struct Columns<'a> {
    by_name: HashMap<&'a str, &'a ArrayRef>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        let fields = batch.schema_ref().fields().iter();
        Self {
            by_name: fields
                .map(|field| field.name().as_str())
                .zip(batch.columns())
                .collect(),
        }
    }

    pub(super) fn of_struct(array: &'a arrow::array::StructArray) -> Self {
        Self {
            by_name: array
                .column_names()
                .into_iter()
                .zip(array.columns())
                .collect(),
        }
    }

    fn column(&self, name: &str) -> Result<&'a ArrayRef, ColumnsError> {
        self.by_name
            .get(name)
            .copied()
            .ok_or_else(|| ColumnsError::new(name, "is missing"))
    }

    fn wrong_type(name: &str, column: &ArrayRef) -> ColumnsError {
        ColumnsError::new(name, format!("unexpected type {}", column.data_type()))
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        name: &str,
        row: usize,
    ) -> Result<Option<T::Native>, ColumnsError> {
        let column = self.column(name)?;
        let array = column
            .as_primitive_opt::<T>()
            .ok_or_else(|| Self::wrong_type(name, column))?;
        Ok(array.is_valid(row).then(|| array.value(row)))
    }

    pub(super) fn i64(&self, name: &str, row: usize) -> Result<i64, ColumnsError> {
        Ok(self.primitive::<Int64Type>(name, row)?.unwrap_or(0))
    }

    pub(super) fn optional_i64(&self, name: &str, row: usize) -> Result<Option<i64>, ColumnsError> {
        self.primitive::<Int64Type>(name, row)
    }

    pub(super) fn i32(&self, name: &str, row: usize) -> Result<i32, ColumnsError> {
        Ok(self.primitive::<Int32Type>(name, row)?.unwrap_or(0))
    }

    pub(super) fn u32(&self, name: &str, row: usize) -> Result<u32, ColumnsError> {
        Ok(self.primitive::<UInt32Type>(name, row)?.unwrap_or(0))
    }

    /// Unix ns; 0 for null.
    pub(super) fn time(&self, name: &str, row: usize) -> Result<i64, ColumnsError> {
        Ok(self
            .primitive::<TimestampNanosecondType>(name, row)?
            .unwrap_or(0))
    }

    pub(super) fn text(&self, name: &str, row: usize) -> Result<Option<&'a str>, ColumnsError> {
        let column = self.column(name)?;
        let array = column
            .as_string_opt::<i32>()
            .ok_or_else(|| Self::wrong_type(name, column))?;
        Ok(array.is_valid(row).then(|| array.value(row)))
    }

    /// The text, empty for null.
    pub(super) fn string(&self, name: &str, row: usize) -> Result<String, ColumnsError> {
        Ok(self.text(name, row)?.unwrap_or_default().to_owned())
    }

    pub(super) fn fixed(&self, name: &str, row: usize) -> Result<Option<&'a [u8]>, ColumnsError> {
        let column = self.column(name)?;
        let array = column
            .as_fixed_size_binary_opt()
            .ok_or_else(|| Self::wrong_type(name, column))?;
        Ok(array.is_valid(row).then(|| array.value(row)))
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a ListArray, ColumnsError> {
        let column = self.column(name)?;
        column
            .as_list_opt::<i32>()
            .ok_or_else(|| Self::wrong_type(name, column))
    }
}
