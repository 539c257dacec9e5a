//! Rows of either signal → one record batch, and back.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use model::{Attributes, Resource, Scope, Seq, Value};
use query::schema;
use serde_json::{Value as Json, json};

use super::attributes::{FamilyBuilder, FamilyReader, Overflow, for_each_entry, overflow_text};
use super::layout::{ColumnType, Family, Promotions, TypeCounts};
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
    /// Its attributes.
    fn attributes(&self) -> &Attributes;
    /// How many attributes the sender dropped.
    fn dropped_attributes_count(&self) -> u32;
    /// About how much memory it takes, bytes, its resource and scope not counted.
    fn size_bytes(&self) -> usize;

    /// The columns that only this kind of row has, `timestamp` first.
    #[doc(hidden)]
    fn own_fields() -> Vec<Field>;
    /// The values of [`Row::own_fields`].
    #[doc(hidden)]
    fn own_columns(rows: &[&(Seq, Self)]) -> Vec<ArrayRef>;
    /// What of the row, other than attributes, belongs into its overflow.
    #[doc(hidden)]
    fn own_overflow(&self) -> Option<(&'static str, Json)>;
    /// The row at `row`.
    #[doc(hidden)]
    fn read(columns: &Columns<'_>, row: usize, shared: SharedParts) -> Result<Self, ColumnsError>;
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

/// Promotes the attribute keys of `rows`, the most frequent first, while there is room.
pub fn promote<'a, R: Row>(
    rows: impl IntoIterator<Item = &'a (Seq, R)>,
    promotions: &mut Promotions,
) {
    let mut attributes: HashMap<&str, TypeCounts> = HashMap::new();
    let mut resources: HashMap<*const Resource, (&Resource, usize)> = HashMap::new();
    for (_, row) in rows {
        count_types(row.attributes(), 1, &mut attributes);
        let resource = row.resource();
        resources
            .entry(Arc::as_ptr(resource))
            .or_insert((resource, 0))
            .1 += 1;
    }
    let mut resource_keys: HashMap<&str, TypeCounts> = HashMap::new();
    for (resource, rows) in resources.into_values() {
        count_types(&resource.attributes, rows, &mut resource_keys);
    }
    let of = |family: Family| move |(key, types)| (family, key, types);
    promotions.promote(
        resource_keys
            .into_iter()
            .map(of(Family::Resource))
            .chain(attributes.into_iter().map(of(Family::Attribute))),
    );
}

fn count_types<'a>(
    attributes: &'a Attributes,
    weight: usize,
    counts: &mut HashMap<&'a str, TypeCounts>,
) {
    for_each_entry(attributes, |key, value, repeated| {
        if let Some(kind) = ColumnType::of(value)
            && !repeated
        {
            counts.entry(key).or_default()[kind as usize] += weight;
        }
    });
}

/// The rows as one record batch, in their order: the kind's own columns, the common ones, a column
/// for each of `promotions`, the overflows.
///
/// # Errors
///
/// More text in one column than 32-bit offsets can address (2 GiB).
pub fn encode<R: Row>(
    rows: &[&(Seq, R)],
    promotions: &Promotions,
) -> Result<RecordBatch, ColumnsError> {
    let resources = Distinct::of(rows.iter().map(|(_, row)| row.resource()));
    let scopes = Distinct::of(rows.iter().map(|(_, row)| row.scope()));

    let mut fields = R::own_fields();
    let mut columns = R::own_columns(rows);
    let spread = |column: &ArrayRef, ids: &UInt32Array| {
        take(column, ids, None).map_err(|err| ColumnsError::new("resource and scope", err))
    };
    let nullable_text = |name: &str| Field::new(name, DataType::Utf8, true);

    fields.push(Field::new(schema::SERVICE, DataType::Utf8, false));
    let services: StringArray = resources.values.iter().map(|r| Some(r.service())).collect();
    columns.push(spread(&(Arc::new(services) as ArrayRef), &resources.ids)?);
    for (name, text) in [
        (
            names::SCOPE_NAME,
            (|scope| &scope.name) as fn(&Scope) -> &String,
        ),
        (names::SCOPE_VERSION, |scope| &scope.version),
    ] {
        fields.push(nullable_text(name));
        let texts: StringArray = scopes.values.iter().map(|s| non_empty(text(s))).collect();
        columns.push(spread(&(Arc::new(texts) as ArrayRef), &scopes.ids)?);
    }
    fields.push(Field::new(
        names::DROPPED_ATTRIBUTES,
        DataType::UInt32,
        false,
    ));
    columns.push(Arc::new(UInt32Array::from_iter_values(
        rows.iter().map(|(_, row)| row.dropped_attributes_count()),
    )));

    let (own, overflow) = own_attributes(rows, promotions);
    let (of_resource, resource_overflow) = resource_attributes(&resources.values, promotions);
    for ((promotion, name), (own, of_resource)) in
        promotions.iter().zip(own.into_iter().zip(of_resource))
    {
        fields.push(promotion.field(name));
        columns.push(match (own, of_resource) {
            (Some(column), _) => column,
            (None, Some(column)) => spread(&column, &resources.ids)?,
            (None, None) => unreachable!("every promotion belongs to one family"),
        });
    }
    fields.push(nullable_text(names::OVERFLOW));
    columns.push(overflow);
    fields.push(nullable_text(names::RESOURCE_OVERFLOW));
    columns.push(spread(&resource_overflow, &resources.ids)?);
    fields.push(nullable_text(names::SCOPE_OVERFLOW));
    columns.push(spread(&scope_overflow(&scopes.values), &scopes.ids)?);

    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|err| ColumnsError::new("batch", err))
}

fn own_attributes<R: Row>(
    rows: &[&(Seq, R)],
    promotions: &Promotions,
) -> (Vec<Option<ArrayRef>>, ArrayRef) {
    let mut family = FamilyBuilder::new(Family::Attribute, promotions);
    let overflow: StringArray = rows
        .iter()
        .map(|(_, row)| overflow_text(&family.append(row.attributes()), row.own_overflow()))
        .collect();
    (family.finish(), Arc::new(overflow))
}

fn resource_attributes(
    resources: &[&Arc<Resource>],
    promotions: &Promotions,
) -> (Vec<Option<ArrayRef>>, ArrayRef) {
    let mut family = FamilyBuilder::new(Family::Resource, promotions);
    let overflow: StringArray = resources
        .iter()
        .map(|resource| {
            let entries = family.append(&resource.attributes);
            let others = origin_members(resource.dropped_attributes_count, &resource.schema_url);
            overflow_text(&entries, others)
        })
        .collect();
    (family.finish(), Arc::new(overflow))
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

/// Shared values by identity: the distinct ones and which of them each row has.
struct Distinct<'a, T> {
    values: Vec<&'a Arc<T>>,
    ids: UInt32Array,
}

impl<'a, T> Distinct<'a, T> {
    fn of(rows: impl Iterator<Item = &'a Arc<T>>) -> Self {
        let mut index: HashMap<*const T, u32> = HashMap::new();
        let mut values = Vec::new();
        let ids = UInt32Array::from_iter_values(rows.map(|value| {
            *index.entry(Arc::as_ptr(value)).or_insert_with(|| {
                values.push(value);
                (values.len() - 1) as u32
            })
        }));
        Self { values, ids }
    }
}

/// `None` for a text that was not sent.
pub(super) fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The `seq` column.
pub(super) fn seq_column<R>(rows: &[&(Seq, R)]) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(
        rows.iter().map(|(seq, _)| seq.as_i64()),
    ))
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
        let mut promotions = Promotions::new();
        promote(rows, &mut promotions);
        let batch = encode(&rows.iter().collect::<Vec<_>>(), &promotions).unwrap();
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
