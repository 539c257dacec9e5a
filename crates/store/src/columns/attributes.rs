//! Attributes as promoted columns plus an overflow, and back.

use std::collections::HashMap;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder,
    StringBuilder,
};
use arrow::datatypes::{Float64Type, Int64Type};
use model::{Attributes, Value};
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use wire::otlp::ValueView;

use super::ColumnsError;
use super::layout::{ColumnType, Family, MAX_PROMOTED, Promotion, Promotions, is_promotable};
use super::typed_json::{entries_from_json, entries_to_json};

/// A value of an attribute: owned, or in the message it came in.
pub(super) trait AttributeValue: Copy {
    /// What a column can hold; `None` for values that always overflow.
    fn scalar(&self) -> Option<Scalar<'_>>;

    /// The value on its own.
    fn to_value(self) -> Value;
}

/// A value that a column can hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    String(&'a str),
    Int(i64),
    Double(f64),
    Bool(bool),
}

impl Scalar<'_> {
    fn kind(self) -> ColumnType {
        match self {
            Self::String(_) => ColumnType::String,
            Self::Int(_) => ColumnType::Int,
            Self::Double(_) => ColumnType::Double,
            Self::Bool(_) => ColumnType::Bool,
        }
    }
}

impl AttributeValue for &Value {
    fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Value::String(text) => Some(Scalar::String(text)),
            Value::Int(number) => Some(Scalar::Int(*number)),
            Value::Double(number) => Some(Scalar::Double(*number)),
            Value::Bool(flag) => Some(Scalar::Bool(*flag)),
            Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => None,
        }
    }

    fn to_value(self) -> Value {
        self.clone()
    }
}

impl AttributeValue for ValueView<'_> {
    fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Self::String(text) => Some(Scalar::String(text)),
            Self::Int(number) => Some(Scalar::Int(*number)),
            Self::Double(number) => Some(Scalar::Double(*number)),
            Self::Bool(flag) => Some(Scalar::Bool(*flag)),
            Self::Empty | Self::Bytes(_) | Self::Nested(_) => None,
        }
    }

    fn to_value(self) -> Value {
        Self::to_value(self)
    }
}

/// The keys of many records in their order. Records of one kind have the same keys in the same
/// order, so the key after another is guessed before it is looked up.
#[derive(Debug)]
struct Keys<'a, T> {
    /// The first stands for a record's beginning and has no name.
    keys: Vec<Key<'a, T>>,
    by_name: HashMap<&'a str, usize>,
    previous: usize,
    row: usize,
}

#[derive(Debug)]
struct Key<'a, T> {
    name: &'a str,
    /// The key that came after it the last time.
    next: usize,
    /// The last record that had it, counted from one.
    last_row: usize,
    content: T,
}

impl<'a, T: Default> Keys<'a, T> {
    fn new() -> Self {
        let beginning = Key {
            name: "",
            next: 0,
            last_row: 0,
            content: T::default(),
        };
        Self {
            keys: vec![beginning],
            by_name: HashMap::new(),
            previous: 0,
            row: 0,
        }
    }

    fn begin_row(&mut self) {
        self.previous = 0;
        self.row += 1;
    }

    /// The key's index, and whether this record had it already.
    fn find(&mut self, name: &'a str) -> (usize, bool) {
        let guess = self.keys[self.previous].next;
        let index = if guess != 0 && self.keys[guess].name == name {
            guess
        } else {
            let index = self.look_up(name);
            self.keys[self.previous].next = index;
            index
        };
        self.previous = index;
        let row = std::mem::replace(&mut self.keys[index].last_row, self.row);
        (index, row == self.row)
    }

    fn look_up(&mut self, name: &'a str) -> usize {
        let next = self.keys.len();
        let index = *self.by_name.entry(name).or_insert(next);
        if index == next {
            self.keys.push(Key {
                name,
                next: 0,
                last_row: 0,
                content: T::default(),
            });
        }
        index
    }
}

/// Counts the values of one family's keys by their types, for choosing what is promoted.
pub(super) struct KeyCounts<'a> {
    family: Family,
    /// By [`ColumnType`].
    keys: Keys<'a, [usize; 4]>,
}

impl<'a> KeyCounts<'a> {
    pub(super) fn new(family: Family) -> Self {
        Self {
            family,
            keys: Keys::new(),
        }
    }

    /// Adds the attributes that `weight` rows have.
    pub(super) fn add<V: AttributeValue>(
        &mut self,
        entries: impl IntoIterator<Item = (&'a str, V)>,
        weight: usize,
    ) {
        self.keys.begin_row();
        for (name, value) in entries {
            let (key, repeated) = self.keys.find(name);
            if let Some(scalar) = value.scalar()
                && !repeated
            {
                self.keys.keys[key].content[scalar.kind() as usize] += weight;
            }
        }
    }

    /// What could be promoted, with the number of its values.
    pub(super) fn promotable(&self) -> impl Iterator<Item = (usize, Promotion)> {
        let keys = self.keys.keys.iter().filter(|key| is_promotable(key.name));
        keys.flat_map(move |key| {
            ColumnType::ALL.into_iter().filter_map(move |kind| {
                let count = key.content[kind as usize];
                let promotion = || Promotion {
                    family: self.family,
                    key: key.name.to_owned(),
                    kind,
                };
                (count > 0).then(|| (count, promotion()))
            })
        })
    }
}

/// Builds one family's promoted columns and collects what overflows, row by row.
pub(super) struct FamilyBuilder<'a> {
    family: Family,
    /// What is promoted; `None` promotes what comes, while there is room.
    fixed: Option<&'a Promotions>,
    room: usize,
    lacked_room: bool,
    keys: Keys<'a, [Slot; 4]>,
    columns: Vec<Column>,
}

/// Where the values of one key and type go, by [`ColumnType`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Slot {
    /// Nobody asked yet.
    #[default]
    Unknown,
    Overflow,
    Column(usize),
}

struct Column {
    promotion: Promotion,
    /// In how many rows it has a value.
    count: usize,
    builder: ColumnBuilder,
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

    /// Appends nulls until there are `rows` rows.
    fn pad_to(&mut self, rows: usize) {
        match self {
            Self::String(builder) => builder.append_nulls(rows - builder.len()),
            Self::Int(builder) => builder.append_nulls(rows - builder.len()),
            Self::Double(builder) => builder.append_nulls(rows - builder.len()),
            Self::Bool(builder) => builder.append_nulls(rows - builder.len()),
        }
    }

    /// Appends a value of the builder's own type.
    fn append(&mut self, value: Scalar<'_>) {
        match (self, value) {
            (Self::String(builder), Scalar::String(text)) => builder.append_value(text),
            (Self::Int(builder), Scalar::Int(number)) => builder.append_value(number),
            (Self::Double(builder), Scalar::Double(number)) => builder.append_value(number),
            (Self::Bool(builder), Scalar::Bool(flag)) => builder.append_value(flag),
            _ => unreachable!("the column was looked up by the value's type"),
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

/// A finished column of a family.
pub(super) struct FamilyColumn {
    pub(super) promotion: Promotion,
    /// In how many rows it has a value.
    pub(super) count: usize,
    pub(super) values: ArrayRef,
}

impl<'a> FamilyBuilder<'a> {
    /// Promotes what comes, up to `room` columns.
    pub(super) fn growing(family: Family, room: usize) -> Self {
        Self {
            family,
            fixed: None,
            room,
            lacked_room: false,
            keys: Keys::new(),
            columns: Vec::new(),
        }
    }

    /// Promotes these and no others.
    pub(super) fn fixed(family: Family, promotions: &'a Promotions) -> Self {
        let own = promotions.iter().map(|(promotion, _)| promotion);
        let columns = own.filter(|promotion| promotion.family == family);
        Self {
            fixed: Some(promotions),
            columns: columns.cloned().map(Column::new).collect(),
            ..Self::growing(family, MAX_PROMOTED)
        }
    }

    /// Whether something that might have been promoted was not, for want of room.
    pub(super) fn lacked_room(&self) -> bool {
        self.lacked_room
    }

    /// How many columns there are.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Adds one row, which stands for `weight` rows; the entries that have no column replace what
    /// is in `overflow`.
    pub(super) fn append<V: AttributeValue>(
        &mut self,
        entries: impl IntoIterator<Item = (&'a str, V)>,
        weight: usize,
        overflow: &mut Vec<(&'a str, V)>,
    ) {
        overflow.clear();
        self.keys.begin_row();
        let rows_before = self.keys.row - 1;
        for (name, value) in entries {
            let (key, repeated) = self.keys.find(name);
            // A repeated key overflows, so that the first entry is the one in a column.
            let column = match value.scalar() {
                Some(scalar) if !repeated => self.slot(key, scalar.kind()).zip(Some(scalar)),
                _ => None,
            };
            match column {
                Some((column, scalar)) => {
                    let column = &mut self.columns[column];
                    column.count += weight;
                    column.builder.pad_to(rows_before);
                    column.builder.append(scalar);
                }
                None => overflow.push((name, value)),
            }
        }
    }

    /// The column of a key's values of one type.
    #[inline]
    fn slot(&mut self, key: usize, kind: ColumnType) -> Option<usize> {
        match self.keys.keys[key].content[kind as usize] {
            Slot::Column(column) => Some(column),
            Slot::Overflow => None,
            Slot::Unknown => {
                let found = self.find_column(self.keys.keys[key].name, kind);
                let slot = found.map_or(Slot::Overflow, Slot::Column);
                self.keys.keys[key].content[kind as usize] = slot;
                found
            }
        }
    }

    fn find_column(&mut self, key: &str, kind: ColumnType) -> Option<usize> {
        if let Some(promotions) = self.fixed {
            promotions.position(self.family, key, kind)?;
            let wanted =
                |column: &Column| column.promotion.key == key && column.promotion.kind == kind;
            return self.columns.iter().position(wanted);
        }
        if !is_promotable(key) {
            return None;
        }
        if self.columns.len() >= self.room {
            self.lacked_room = true;
            return None;
        }
        self.columns.push(Column::new(Promotion {
            family: self.family,
            key: key.to_owned(),
            kind,
        }));
        Some(self.columns.len() - 1)
    }

    /// The columns, in no particular order.
    pub(super) fn finish(self) -> impl Iterator<Item = FamilyColumn> {
        let rows = self.keys.row;
        self.columns.into_iter().map(move |mut column| {
            column.builder.pad_to(rows);
            FamilyColumn {
                promotion: column.promotion,
                count: column.count,
                values: column.builder.finish(),
            }
        })
    }
}

impl Column {
    fn new(promotion: Promotion) -> Self {
        Self {
            builder: ColumnBuilder::new(promotion.kind),
            count: 0,
            promotion,
        }
    }
}

/// An overflow column's JSON, or `None` when nothing overflows.
pub(super) fn overflow_text<N: Into<String>, V: AttributeValue>(
    entries: &[(&str, V)],
    others: impl IntoIterator<Item = (N, Json)>,
) -> Option<String> {
    let mut object = Map::new();
    if !entries.is_empty() {
        let owned: Vec<(&str, Value)> = entries
            .iter()
            .map(|(key, value)| (*key, value.to_value()))
            .collect();
        let json = entries_to_json(owned.iter().map(|(key, value)| (*key, value)));
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
