//! Rows of either signal → one record batch, and back.
//!
//! Columns are built in one pass over the rows' messages, which are read in place.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder, UInt32Array, UInt32Builder};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::{Attributes, Resource, Scope, Seq, Value};
use query::schema;
use serde_json::{Value as Json, json};
use wire::otlp::{Entries, Item};

use super::attributes::{
    FamilyBuilder, FamilyColumn, FamilyReader, KeyCounts, Overflow, overflow_text,
};
use super::layout::{Family, MAX_PROMOTED, Promotions};
use super::read::Columns;
use super::{ColumnsError, names};

/// What a log record and a span have in common for storage.
pub trait Row: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// The logical table its rows appear in.
    const TABLE: schema::Table;

    /// The row's time, Unix ns.
    fn time(&self) -> i64;
    /// Who produced it.
    fn resource(&self) -> &Arc<Resource>;
    /// The library that emitted it.
    fn scope(&self) -> &Arc<Scope>;
    /// About how much memory it takes, bytes, its resource and scope not counted.
    fn size_bytes(&self) -> usize;
    /// The row in the form in which heads hold rows.
    fn to_item(&self) -> Item;

    /// Reads a row's attributes; they replace what is in `attributes`.
    #[doc(hidden)]
    fn attributes<'a>(item: &'a Item, attributes: &mut Entries<'a>) -> Result<(), ColumnsError>;
    /// Builds the columns that only this kind of row has.
    #[doc(hidden)]
    type OwnColumns: OwnColumns;
    /// Those columns, `timestamp` first.
    #[doc(hidden)]
    fn own_fields() -> Vec<Field>;
    /// The row at `row`.
    #[doc(hidden)]
    fn read(columns: &Columns<'_>, row: usize, shared: SharedParts) -> Result<Self, ColumnsError>;
}

/// Builds the columns that only one kind of row has, row by row.
#[doc(hidden)]
pub trait OwnColumns {
    /// Columns for this many rows.
    fn with_capacity(rows: usize) -> Self;
    /// Adds one row. Its attributes replace what is in `attributes`.
    fn append<'a>(
        &mut self,
        seq: Seq,
        item: &'a Item,
        attributes: &mut Entries<'a>,
    ) -> Result<Remainder, ColumnsError>;
    /// The column of this kind of row that a batch has only when a row has a value in it
    /// ([`super::layout::is_sparse`]); taken before the others are finished.
    fn take_sparse(&mut self) -> Option<(Field, ArrayRef)>;
    /// The columns, in the order of [`Row::own_fields`].
    fn finish(self) -> Vec<ArrayRef>;
}

/// What of a row is stored alike for both kinds.
#[doc(hidden)]
#[derive(Debug)]
pub struct Remainder {
    pub(super) dropped_attributes_count: u32,
    /// What, other than attributes, belongs into the overflow.
    pub(super) overflow: Option<(&'static str, Json)>,
}

/// The parts of a row that are read alike for both kinds.
#[doc(hidden)]
#[derive(Debug)]
pub struct SharedParts {
    pub(super) attributes: Attributes,
    pub(super) dropped_attributes_count: u32,
    pub(super) resource: Arc<Resource>,
    pub(super) scope: Arc<Scope>,
    pub(super) others: serde_json::Map<String, Json>,
}

/// Owned rows in the form in which heads hold rows.
pub fn to_items<'a, R: Row>(rows: impl IntoIterator<Item = &'a (Seq, R)>) -> Vec<(Seq, Item)> {
    let item = |(seq, row): &(Seq, R)| (*seq, row.to_item());
    rows.into_iter().map(item).collect()
}

/// The rows as one record batch, in their order: the kind's own columns, the common ones, a sparse
/// one if it has a value, a column for each promoted attribute, the overflows. The attribute keys of the rows are promoted, the
/// most frequent first, while there is room.
///
/// # Errors
///
/// A message that is no checked one, or more text in one column than 32-bit offsets can address
/// (2 GiB).
pub fn encode<R: Row>(rows: &[&(Seq, Item)]) -> Result<RecordBatch, ColumnsError> {
    if let Some(batch) = assemble::<R>(rows, None)? {
        return Ok(batch);
    }
    let promotions = most_frequent::<R>(rows)?;
    let batch = assemble::<R>(rows, Some(&promotions))?;
    Ok(batch.expect("given promotions are as many as there is room for"))
}

/// The promotions for rows with more keys than there is room for.
fn most_frequent<R: Row>(rows: &[&(Seq, Item)]) -> Result<Promotions, ColumnsError> {
    let resources = Distinct::of(rows.iter().map(|(_, item)| &item.resource));
    let mut of_resources = KeyCounts::new(Family::Resource);
    for (resource, weight) in resources.values.iter().zip(&resources.weights) {
        of_resources.add(resource.attributes.iter(), *weight);
    }
    let mut of_rows = KeyCounts::new(Family::Attribute);
    let mut attributes = Entries::new();
    for (_, item) in rows {
        R::attributes(item, &mut attributes)?;
        of_rows.add(attributes.iter().copied(), 1);
    }
    let promotable = of_resources.promotable().chain(of_rows.promotable());
    Ok(Promotions::by_frequency(promotable))
}

/// `None` when nothing is given and the rows have more keys than there is room for.
fn assemble<R: Row>(
    rows: &[&(Seq, Item)],
    promotions: Option<&Promotions>,
) -> Result<Option<RecordBatch>, ColumnsError> {
    let family = |family, taken: usize| match promotions {
        Some(promotions) => FamilyBuilder::fixed(family, promotions),
        None => FamilyBuilder::growing(family, MAX_PROMOTED - taken),
    };
    let resources = Distinct::of(rows.iter().map(|(_, item)| &item.resource));
    let mut of_resources = family(Family::Resource, 0);
    let resource_overflow = resource_overflow(&resources, &mut of_resources);
    if of_resources.lacked_room() {
        return Ok(None);
    }

    let mut of_rows = family(Family::Attribute, of_resources.len());
    let mut own = R::OwnColumns::with_capacity(rows.len());
    let mut dropped = UInt32Builder::with_capacity(rows.len());
    let mut overflow = StringBuilder::new();
    let (mut attributes, mut without_column) = (Entries::new(), Entries::new());
    for (seq, item) in rows {
        let remainder = own.append(*seq, item, &mut attributes)?;
        of_rows.append(attributes.iter().copied(), 1, &mut without_column);
        if of_rows.lacked_room() {
            return Ok(None);
        }
        dropped.append_value(remainder.dropped_attributes_count);
        if without_column.is_empty() && remainder.overflow.is_none() {
            overflow.append_null();
        } else {
            overflow.append_option(overflow_text(&without_column, remainder.overflow));
        }
    }

    let spread = |column: ArrayRef, ids: &UInt32Array| {
        take(&column, ids, None).map_err(|err| ColumnsError::new("resource and scope", err))
    };
    let nullable_text = |name: &str| Field::new(name, DataType::Utf8, true);
    let mut fields = R::own_fields();
    let sparse = own.take_sparse();
    let mut columns = own.finish();

    fields.push(Field::new(schema::SERVICE, DataType::Utf8, false));
    let services: StringArray = resources.values.iter().map(|r| Some(r.service())).collect();
    columns.push(spread(Arc::new(services), &resources.ids)?);
    let scopes = Distinct::of(rows.iter().map(|(_, item)| &item.scope));
    for (name, text) in [
        (
            names::SCOPE_NAME,
            (|scope| &scope.name) as fn(&Scope) -> &String,
        ),
        (names::SCOPE_VERSION, |scope| &scope.version),
    ] {
        fields.push(nullable_text(name));
        let texts: StringArray = scopes.values.iter().map(|s| non_empty(text(s))).collect();
        columns.push(spread(Arc::new(texts), &scopes.ids)?);
    }
    fields.push(Field::new(
        names::DROPPED_ATTRIBUTES,
        DataType::UInt32,
        false,
    ));
    columns.push(Arc::new(dropped.finish()));
    if let Some((field, column)) = sparse {
        fields.push(field);
        columns.push(column);
    }

    let mut promoted: Vec<FamilyColumn> = of_resources.finish().chain(of_rows.finish()).collect();
    let promotions = match promotions {
        Some(promotions) => promotions.clone(),
        None => Promotions::by_frequency(promoted.iter().map(|c| (c.count, c.promotion.clone()))),
    };
    promoted.sort_by_key(|c| {
        promotions.position(c.promotion.family, &c.promotion.key, c.promotion.kind)
    });
    for (column, (promotion, name)) in promoted.into_iter().zip(promotions.iter()) {
        fields.push(promotion.field(name));
        columns.push(match promotion.family {
            Family::Attribute => column.values,
            Family::Resource => spread(column.values, &resources.ids)?,
        });
    }
    fields.push(nullable_text(names::OVERFLOW));
    columns.push(Arc::new(overflow.finish()));
    fields.push(nullable_text(names::RESOURCE_OVERFLOW));
    columns.push(spread(resource_overflow, &resources.ids)?);
    fields.push(nullable_text(names::SCOPE_OVERFLOW));
    columns.push(spread(scope_overflow(&scopes.values), &scopes.ids)?);

    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|err| ColumnsError::new("batch", err))?;
    Ok(Some(batch))
}

fn resource_overflow<'a>(
    resources: &Distinct<'a, Resource>,
    family: &mut FamilyBuilder<'a>,
) -> ArrayRef {
    let mut entries = Vec::new();
    let overflow: StringArray = resources
        .values
        .iter()
        .zip(&resources.weights)
        .map(|(resource, weight)| {
            family.append(resource.attributes.iter(), *weight, &mut entries);
            let others = origin_members(resource.dropped_attributes_count, &resource.schema_url);
            overflow_text(&entries, others)
        })
        .collect();
    Arc::new(overflow)
}

fn scope_overflow(scopes: &[&Arc<Scope>]) -> ArrayRef {
    let overflow: StringArray = scopes
        .iter()
        .map(|scope| {
            let entries: Vec<(&str, &Value)> = scope.attributes.iter().collect();
            let others = origin_members(scope.dropped_attributes_count, &scope.schema_url);
            overflow_text(&entries, others)
        })
        .collect();
    Arc::new(overflow)
}

const DROPPED: &str = "droppedAttributesCount";
const SCHEMA_URL: &str = "schemaUrl";

/// What a resource or scope has beside attributes, for its overflow.
fn origin_members(dropped: u32, schema_url: &str) -> Vec<(&'static str, Json)> {
    let mut members = Vec::new();
    if dropped != 0 {
        members.push((DROPPED, json!(dropped)));
    }
    if !schema_url.is_empty() {
        members.push((SCHEMA_URL, json!(schema_url)));
    }
    members
}

/// Shared values by identity: the distinct ones, which of them each row has, and how many rows
/// each has.
struct Distinct<'a, T> {
    values: Vec<&'a Arc<T>>,
    weights: Vec<usize>,
    ids: UInt32Array,
}

impl<'a, T> Distinct<'a, T> {
    fn of(rows: impl Iterator<Item = &'a Arc<T>>) -> Self {
        let mut index: HashMap<*const T, u32> = HashMap::new();
        let mut values: Vec<&Arc<T>> = Vec::new();
        let mut weights: Vec<usize> = Vec::new();
        let mut last: Option<(&Arc<T>, u32)> = None;
        let ids = UInt32Array::from_iter_values(rows.map(|value| {
            let id = match last {
                Some((before, id)) if Arc::ptr_eq(before, value) => id,
                _ => *index.entry(Arc::as_ptr(value)).or_insert_with(|| {
                    values.push(value);
                    weights.push(0);
                    (values.len() - 1) as u32
                }),
            };
            weights[id as usize] += 1;
            last = Some((value, id));
            id
        }));
        Self {
            values,
            weights,
            ids,
        }
    }
}

/// `None` for a text that was not sent.
pub(super) fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The rows of a batch made by [`encode`], in its order.
///
/// # Errors
///
/// A column is missing, has another type or holds something that `encode` does not write.
pub fn decode<R: Row>(batch: &RecordBatch) -> Result<Vec<(Seq, R)>, ColumnsError> {
    let columns = Columns::new(batch);
    let own = FamilyReader::new(Family::Attribute, batch);
    let of_resource = FamilyReader::new(Family::Resource, batch);
    let mut rows: Vec<(Seq, R)> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let overflow = overflow_at(&columns, names::OVERFLOW, row)?;
        let mut resource = read_resource(&columns, &of_resource, row)?;
        let mut scope = read_scope(&columns, row)?;
        // Neighbours usually share both, as they did when they arrived.
        if let Some((_, before)) = rows.last() {
            if **before.resource() == *resource {
                resource = Arc::clone(before.resource());
            }
            if **before.scope() == *scope {
                scope = Arc::clone(before.scope());
            }
        }
        let shared = SharedParts {
            attributes: own.attributes(row, overflow.attributes),
            dropped_attributes_count: columns.u32(names::DROPPED_ATTRIBUTES, row)?,
            resource,
            scope,
            others: overflow.others,
        };
        let seq = Seq::from_i64(columns.i64(schema::SEQ, row)?);
        rows.push((seq, R::read(&columns, row, shared)?));
    }
    Ok(rows)
}

fn overflow_at(columns: &Columns<'_>, name: &str, row: usize) -> Result<Overflow, ColumnsError> {
    match columns.text(name, row)? {
        Some(text) => Overflow::parse(name, text),
        None => Ok(Overflow::default()),
    }
}

fn read_resource(
    columns: &Columns<'_>,
    attributes: &FamilyReader<'_>,
    row: usize,
) -> Result<Arc<Resource>, ColumnsError> {
    let overflow = overflow_at(columns, names::RESOURCE_OVERFLOW, row)?;
    Ok(Arc::new(Resource {
        dropped_attributes_count: dropped_of(&overflow),
        schema_url: schema_url_of(&overflow),
        attributes: attributes.attributes(row, overflow.attributes),
    }))
}

fn read_scope(columns: &Columns<'_>, row: usize) -> Result<Arc<Scope>, ColumnsError> {
    let overflow = overflow_at(columns, names::SCOPE_OVERFLOW, row)?;
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut entries = overflow.attributes.clone();
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Arc::new(Scope {
        name: owned(columns.text(names::SCOPE_NAME, row)?),
        version: owned(columns.text(names::SCOPE_VERSION, row)?),
        dropped_attributes_count: dropped_of(&overflow),
        schema_url: schema_url_of(&overflow),
        attributes: Attributes(entries),
    }))
}

fn dropped_of(overflow: &Overflow) -> u32 {
    let count = overflow.others.get(DROPPED).and_then(Json::as_u64);
    count.and_then(|count| count.try_into().ok()).unwrap_or(0)
}

fn schema_url_of(overflow: &Overflow) -> String {
    let url = overflow.others.get(SCHEMA_URL).and_then(Json::as_str);
    url.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::arbitrary;
    use bytes::Bytes;
    use model::{LogRecord, Span};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
    use parquet::arrow::arrow_writer::ArrowWriterOptions;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn numbered<R>(rows: Vec<R>) -> Vec<(Seq, R)> {
        let number = |(index, row)| (Seq::new(3, index as u32), row);
        rows.into_iter().enumerate().map(number).collect()
    }

    /// Through columns and a Parquet file without Arrow's own schema, as splits are.
    fn through_parquet<R: Row>(rows: &[(Seq, R)]) -> Vec<(Seq, R)> {
        let items = to_items(rows);
        let batch = encode::<R>(&items.iter().collect::<Vec<_>>()).unwrap();
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let mut file = Vec::new();
        let mut writer =
            ArrowWriter::try_new_with_options(&mut file, batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(
            Bytes::from(file),
            ArrowReaderOptions::new(),
        )
        .unwrap();
        for (read, written) in reader.schema().fields().iter().zip(batch.schema().fields()) {
            assert_eq!(read.data_type(), written.data_type(), "{}", written.name());
        }
        reader
            .build()
            .unwrap()
            .flat_map(|batch| decode::<R>(&batch.unwrap()).unwrap())
            .collect()
    }

    proptest! {
        #[test]
        fn log_records_survive_columns_and_parquet(records in vec(arbitrary::log(), 1..6)) {
            let rows = numbered(records);
            let expected: Vec<(Seq, LogRecord)> =
                rows.iter().cloned().map(arbitrary::stored_log).collect();
            prop_assert_eq!(through_parquet(&rows), expected);
        }

        #[test]
        fn spans_survive_columns_and_parquet(spans in vec(arbitrary::span(), 1..6)) {
            let rows = numbered(spans);
            let expected: Vec<(Seq, Span)> =
                rows.iter().cloned().map(arbitrary::stored_span).collect();
            prop_assert_eq!(through_parquet(&rows), expected);
        }
    }
}
