//! Attributes as promoted columns plus an overflow, and back.

use std::collections::HashSet;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder,
};
use arrow::datatypes::{Float64Type, Int64Type};
use model::{Attributes, Value};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

use super::ColumnsError;
use super::layout::{ColumnType, Family, Promotion, Promotions};
use super::typed_json::{entries_from_json, entries_to_json};

/// Whether the entry at `index` repeats an earlier key. Such entries overflow, so that a key's
/// first entry is always the one in a column.
fn repeats(entries: &[(String, Value)], index: usize) -> bool {
    let key = &entries[index].0;
    entries[..index].iter().any(|(earlier, _)| earlier == key)
}

/// Entries of one record past which repeated keys are found by hashing instead of comparing.
const COMPARE_UP_TO: usize = 24;

/// Calls `visit` with each entry and whether its key came before.
pub(super) fn for_each_entry<'a>(
    attributes: &'a Attributes,
    mut visit: impl FnMut(&'a str, &'a Value, bool),
) {
    let entries = &attributes.0;
    if entries.len() <= COMPARE_UP_TO {
        for (index, (key, value)) in entries.iter().enumerate() {
            visit(key, value, repeats(entries, index));
        }
        return;
    }
    let mut seen = HashSet::with_capacity(entries.len());
    for (key, value) in entries {
        let repeated = !seen.insert(key.as_str());
        visit(key, value, repeated);
    }
}

/// Builds one family's promoted columns and collects what overflows, row by row.
pub(super) struct FamilyBuilder<'a> {
    family: Family,
    promotions: &'a Promotions,
    /// One for each promotion of the family, by the promotion's index.
    columns: Vec<Option<ColumnBuilder>>,
    rows: usize,
}

enum ColumnBuilder {
    String(StringBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Bool(BooleanBuilder),
}

impl ColumnBuilder {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::String => Self::String(StringBuilder::new()),
            ColumnType::Int => Self::Int(Int64Builder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::String(builder) => arrow::array::ArrayBuilder::len(builder),
            Self::Int(builder) => arrow::array::ArrayBuilder::len(builder),
            Self::Double(builder) => arrow::array::ArrayBuilder::len(builder),
            Self::Bool(builder) => arrow::array::ArrayBuilder::len(builder),
        }
    }

    fn pad_to(&mut self, rows: usize) {
        let missing = rows - self.len();
        match self {
            Self::String(builder) => (0..missing).for_each(|_| builder.append_null()),
            Self::Int(builder) => builder.append_nulls(missing),
            Self::Double(builder) => builder.append_nulls(missing),
            Self::Bool(builder) => builder.append_nulls(missing),
        }
    }

    /// Appends a value of the builder's own type.
    fn append(&mut self, value: &Value) {
        match (self, value) {
            (Self::String(builder), Value::String(text)) => builder.append_value(text),
            (Self::Int(builder), Value::Int(number)) => builder.append_value(*number),
            (Self::Double(builder), Value::Double(number)) => builder.append_value(*number),
            (Self::Bool(builder), Value::Bool(flag)) => builder.append_value(*flag),
            _ => unreachable!("the promotion's position was looked up by the value's type"),
        }
    }

    fn finish(self) -> ArrayRef {
        match self {
            Self::String(mut builder) => Arc::new(builder.finish()),
            Self::Int(mut builder) => Arc::new(builder.finish()),
            Self::Double(mut builder) => Arc::new(builder.finish()),
            Self::Bool(mut builder) => Arc::new(builder.finish()),
        }
    }
}

impl<'a> FamilyBuilder<'a> {
    pub(super) fn new(family: Family, promotions: &'a Promotions) -> Self {
        let columns = promotions
            .iter()
            .map(|(promotion, _)| {
                (promotion.family == family).then(|| ColumnBuilder::new(promotion.kind))
            })
            .collect();
        Self {
            family,
            promotions,
            columns,
            rows: 0,
        }
    }

    /// Adds one row; returns the entries that have no column, in their order.
    pub(super) fn append<'r>(&mut self, attributes: &'r Attributes) -> Vec<(&'r str, &'r Value)> {
        let mut overflow = Vec::new();
        let row = self.rows;
        for_each_entry(attributes, |key, value, repeated| {
            let column = ColumnType::of(value)
                .filter(|_| !repeated)
                .and_then(|kind| self.promotions.position(self.family, key, kind))
                .and_then(|index| self.columns[index].as_mut());
            match column {
                Some(column) => {
                    column.pad_to(row);
                    column.append(value);
                }
                None => overflow.push((key, value)),
            }
        });
        self.rows += 1;
        overflow
    }

    /// The columns by promotion index; `None` for those of the other family.
    pub(super) fn finish(self) -> Vec<Option<ArrayRef>> {
        let rows = self.rows;
        self.columns
            .into_iter()
            .map(|column| {
                column.map(|mut column| {
                    column.pad_to(rows);
                    column.finish()
                })
            })
            .collect()
    }
}

/// An overflow column's JSON, or `None` when nothing overflows.
pub(super) fn overflow_text<N: Into<String>>(
    entries: &[(&str, &Value)],
    others: impl IntoIterator<Item = (N, Json)>,
) -> Option<String> {
    let mut object = Map::new();
    if !entries.is_empty() {
        let json = entries_to_json(entries.iter().copied());
        object.insert("attributes".to_owned(), json);
    }
    for (name, value) in others {
        object.insert(name.into(), value);
    }
    (!object.is_empty()).then(|| Json::Object(object).to_string())
}

/// An overflow column's JSON, read.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    /// The attributes without a column, in their order.
    pub(super) attributes: Vec<(String, Value)>,
    /// The other members.
    pub(super) others: Map<String, Json>,
}

impl Overflow {
    pub(super) fn parse(column: &str, text: &str) -> Result<Self, ColumnsError> {
        let error = |message: String| ColumnsError::new(column, message);
        let mut others = match serde_json::from_str(text) {
            Ok(Json::Object(object)) => object,
            Ok(other) => return Err(error(format!("expected an object, got {other}"))),
            Err(err) => return Err(error(err.to_string())),
        };
        let attributes = match others.remove("attributes") {
            Some(json) => entries_from_json(&json).map_err(|err| error(err.to_string()))?,
            None => Vec::new(),
        };
        Ok(Self { attributes, others })
    }
}

/// The attributes in an overflow column's JSON.
///
/// # Errors
///
/// JSON of another form.
pub(crate) fn overflow_attributes(
    column: &str,
    text: &str,
) -> Result<Vec<(String, Value)>, ColumnsError> {
    Ok(Overflow::parse(column, text)?.attributes)
}

/// The promoted columns of one family in a record batch.
pub(super) struct FamilyReader<'a> {
    /// Sorted by key, so that rows come out sorted.
    columns: Vec<(Promotion, &'a ArrayRef)>,
}

impl<'a> FamilyReader<'a> {
    pub(super) fn new(family: Family, batch: &'a arrow::record_batch::RecordBatch) -> Self {
        let schema = batch.schema_ref();
        let mut columns: Vec<(Promotion, &ArrayRef)> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .filter_map(|(field, column)| Some((Promotion::from_field(field)?, column)))
            .filter(|(promotion, _)| promotion.family == family)
            .collect();
        columns.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self { columns }
    }

    /// The row's attributes: promoted ones and `overflow`, sorted by key.
    pub(super) fn attributes(&self, row: usize, overflow: Vec<(String, Value)>) -> Attributes {
        let mut entries: Vec<(String, Value)> = self
            .columns
            .iter()
            .filter(|(_, column)| column.is_valid(row))
            .map(|(promotion, column)| {
                (promotion.key.clone(), value_at(promotion.kind, column, row))
            })
            .collect();
        if !overflow.is_empty() {
            entries.extend(overflow);
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        Attributes(entries)
    }
}

/// The value at a row where it is not null.
pub(super) fn value_at(kind: ColumnType, column: &ArrayRef, row: usize) -> Value {
    match kind {
        ColumnType::String => Value::String(column.as_string::<i32>().value(row).to_owned()),
        ColumnType::Int => Value::Int(column.as_primitive::<Int64Type>().value(row)),
        ColumnType::Double => Value::Double(column.as_primitive::<Float64Type>().value(row)),
        ColumnType::Bool => Value::Bool(column.as_boolean().value(row)),
    }
}
