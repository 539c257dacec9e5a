//! Physical columns → the logical tables of `query::schema`.
//!
//! A logical column needs certain physical columns of a file ([`physical_columns`]) and is made of
//! a batch that holds at least those ([`logical_column`]). Virtual columns gather every type of
//! their key and the overflow, which also has the maps that a key with dots reaches into.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array,
    ListArray, StringArray, StringBuilder, StructArray, TimestampNanosecondArray, UInt64Array,
    new_null_array,
};
use arrow::compute::{cast, partition, take_record_batch};
use arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Float64Type, Int32Type, Int64Type, Schema,
    TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use model::Value;
use query::nested;
use query::schema::{self, VirtualColumn, virtual_column};
use query::text::{json_of, text_of};

use super::attributes::{FamilyReader, Overflow};
use super::layout::{ColumnType, Family, Promotion};
use super::read::Columns;
use super::typed_json::entries_from_json;
use super::{ColumnsError, names};

/// The indices of the physical columns that the logical column `name` is made of.
pub(crate) fn physical_columns(name: &str, file: &Schema) -> Vec<usize> {
    let named = |wanted: &[&str]| -> Vec<usize> {
        let of_name = |name: &&str| file.index_of(name).ok();
        wanted.iter().filter_map(of_name).collect()
    };
    let family = |family: Family, overflow: &str, key: Option<&str>| -> Vec<usize> {
        let mut found: Vec<usize> = promotions(file)
            .filter(|(_, promotion)| promotion.family == family)
            .filter(|(_, promotion)| key.is_none_or(|key| promotion.key == key))
            .map(|(index, _)| index)
            .collect();
        found.extend(named(&[overflow]));
        found
    };
    match virtual_column(schema::numbers_of(name).unwrap_or(name)) {
        Some(VirtualColumn::Attribute(key)) => {
            return family(Family::Attribute, names::OVERFLOW, Some(key));
        }
        Some(VirtualColumn::Resource(key)) => {
            return family(Family::Resource, names::RESOURCE_OVERFLOW, Some(key));
        }
        None => {}
    }
    match name {
        schema::ATTRIBUTES => family(Family::Attribute, names::OVERFLOW, None),
        schema::RESOURCE => family(Family::Resource, names::RESOURCE_OVERFLOW, None),
        schema::SCOPE_ATTRIBUTES => named(&[names::SCOPE_OVERFLOW]),
        schema::SCOPE_NAME => named(&[names::SCOPE_NAME]),
        schema::SCOPE_VERSION => named(&[names::SCOPE_VERSION]),
        schema::LEVEL_NUMBER => named(&[schema::SEVERITY_NUMBER, names::SEVERITY_IN_TEXT]),
        schema::OBSERVED_TIMESTAMP => named(&[schema::TIMESTAMP, names::OBSERVED_DELAY]),
        schema::END_TIMESTAMP | schema::DURATION_NS => {
            named(&[schema::TIMESTAMP, schema::DURATION_NS])
        }
        same => named(&[same]),
    }
}

/// The indices of the physical columns that a row's text in the logical column `name` comes from: from
/// the only one that has a value there. `None` when the text is made of them in another way.
pub(crate) fn text_columns(name: &str, file: &Schema) -> Option<Vec<usize>> {
    let is_made = [
        schema::ATTRIBUTES,
        schema::RESOURCE,
        schema::SCOPE_ATTRIBUTES,
    ]
    .contains(&name);
    let columns = physical_columns(name, file);
    let as_stored = virtual_column(name).is_some() || (!is_made && columns.len() == 1);
    as_stored.then_some(columns)
}

/// Whether such a column has the texts as they are.
pub(crate) fn has_texts_as_stored(name: &str, column: &Field) -> bool {
    let is_overflow = virtual_column(name).is_some() && Promotion::from_field(column).is_none();
    *column.data_type() == DataType::Utf8 && !is_overflow
}

fn promotions(file: &Schema) -> impl Iterator<Item = (usize, Promotion)> {
    let fields = file.fields().iter().enumerate();
    fields.filter_map(|(index, field)| Some((index, Promotion::from_field(field)?)))
}

/// The logical column `field` of a physical batch.
///
/// # Errors
///
/// A physical column is missing or holds something else than rows were encoded to.
pub(crate) fn logical_column(field: &Field, batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    let name = field.name().as_str();
    if let Some(column) = schema::numbers_of(name).and_then(virtual_column) {
        return virtual_numbers(column, batch);
    }
    match virtual_column(name) {
        Some(VirtualColumn::Attribute(key)) => {
            return virtual_values(Family::Attribute, names::OVERFLOW, key, batch);
        }
        Some(VirtualColumn::Resource(key)) => {
            return virtual_values(Family::Resource, names::RESOURCE_OVERFLOW, key, batch);
        }
        None => {}
    }
    match name {
        schema::ATTRIBUTES => all_as_json(Family::Attribute, names::OVERFLOW, batch),
        schema::RESOURCE => resources_as_json(batch),
        schema::SCOPE_ATTRIBUTES => scope_as_json(batch),
        schema::SCOPE_NAME => column(names::SCOPE_NAME, batch),
        schema::SCOPE_VERSION => column(names::SCOPE_VERSION, batch),
        schema::LEVEL_NUMBER => level_numbers(batch),
        schema::OBSERVED_TIMESTAMP => instants_after(names::OBSERVED_DELAY, batch),
        schema::END_TIMESTAMP => instants_after(schema::DURATION_NS, batch),
        schema::DURATION_NS => durations(batch),
        schema::TRACE_ID | schema::SPAN_ID | schema::PARENT_SPAN_ID => {
            hex_column(&column(name, batch)?, name)
        }
        schema::EVENTS => events(field, &column(name, batch)?),
        schema::LINKS => links(field, &column(name, batch)?),
        same => column(same, batch),
    }
}

fn column(name: &str, batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    batch
        .column_by_name(name)
        .cloned()
        .ok_or_else(|| ColumnsError::new(name, "is missing"))
}

fn texts<'a>(array: &'a ArrayRef, name: &str) -> Result<&'a StringArray, ColumnsError> {
    array
        .as_string_opt::<i32>()
        .ok_or_else(|| ColumnsError::new(name, "is no text"))
}

/// One key's values as text, whatever their types.
fn virtual_values(
    family: Family,
    overflow: &str,
    key: &str,
    batch: &RecordBatch,
) -> Result<ArrayRef, ColumnsError> {
    let mut promoted: Vec<ArrayRef> = Vec::new();
    for (index, promotion) in promotions(batch.schema_ref()) {
        if promotion.family == family && promotion.key == key {
            promoted.push(as_text(promotion.kind, batch.column(index))?);
        }
    }
    let overflow = column(overflow, batch)?;
    let overflow = texts(&overflow, names::OVERFLOW)?;
    if overflow.null_count() == overflow.len() {
        match promoted.as_slice() {
            [] => return Ok(new_null_array(&DataType::Utf8, batch.num_rows())),
            [only] => return Ok(Arc::clone(only)),
            _ => {}
        }
    }
    let mut values = StringBuilder::new();
    for row in 0..batch.num_rows() {
        let in_column = promoted.iter().find(|column| column.is_valid(row));
        if let Some(column) = in_column {
            values.append_value(column.as_string::<i32>().value(row));
        } else if overflow.is_valid(row) {
            values.append_option(overflow_value(overflow.value(row), key)?);
        } else {
            values.append_null();
        }
    }
    Ok(Arc::new(values.finish()))
}

/// One key's values as numbers: as [`query::units::number`] reads their text, without the text where
/// they are numbers already.
fn virtual_numbers(
    column: VirtualColumn<'_>,
    batch: &RecordBatch,
) -> Result<ArrayRef, ColumnsError> {
    let (family, overflow, key) = match column {
        VirtualColumn::Attribute(key) => (Family::Attribute, names::OVERFLOW, key),
        VirtualColumn::Resource(key) => (Family::Resource, names::RESOURCE_OVERFLOW, key),
    };
    let mut promoted = promotions(batch.schema_ref())
        .filter(|(_, promotion)| promotion.family == family && promotion.key == key);
    let only = promoted.next().filter(|_| promoted.next().is_none());
    let overflows = self::column(overflow, batch)?;
    if let Some((index, promotion)) = only
        && overflows.null_count() == overflows.len()
    {
        let values = batch.column(index);
        match promotion.kind {
            ColumnType::Int => {
                let numbers = values.as_primitive::<Int64Type>();
                return Ok(Arc::new(numbers.unary::<_, Float64Type>(|n| n as f64)));
            }
            ColumnType::Double => return Ok(finite(values)),
            ColumnType::String | ColumnType::Bool => {}
        }
    }
    let texts = virtual_values(family, overflow, key, batch)?;
    let numbers = texts.as_string::<i32>().iter();
    let numbers: Float64Array = numbers.map(|text| query::units::number(text?)).collect();
    Ok(Arc::new(numbers))
}

/// Doubles without those that are no numbers.
fn finite(column: &ArrayRef) -> ArrayRef {
    let numbers = column.as_primitive::<Float64Type>();
    let others = numbers.values().iter().filter(|n| !n.is_finite());
    match others.count() {
        0 => Arc::clone(column),
        _ => Arc::new(numbers.unary_opt::<_, Float64Type>(|n| n.is_finite().then_some(n))),
    }
}

fn as_text(kind: ColumnType, column: &ArrayRef) -> Result<ArrayRef, ColumnsError> {
    match kind {
        ColumnType::String => Ok(Arc::clone(column)),
        ColumnType::Int | ColumnType::Bool => {
            cast(column, &DataType::Utf8).map_err(|err| ColumnsError::new("attribute", err))
        }
        ColumnType::Double => {
            let numbers = column.as_primitive::<Float64Type>().iter();
            let texts: StringArray = numbers
                .map(|number| {
                    let value = Value::Double(number?);
                    text_of(&value).map(|text| text.into_owned())
                })
                .collect();
            Ok(Arc::new(texts))
        }
    }
}

/// The text form of a key's first value in an overflow, or of what a map there has under it.
fn overflow_value(text: &str, key: &str) -> Result<Option<String>, ColumnsError> {
    // Most overflows are about other keys; keys that JSON escapes are not worth a shortcut.
    let outermost = nested::outer_keys(key).next().unwrap_or(key);
    let is_plain = outermost
        .chars()
        .all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    if is_plain && !text.contains(outermost) {
        return Ok(None);
    }
    let overflow = Overflow::parse(names::OVERFLOW, text)?;
    let value = nested::find(&overflow.attributes, key);
    Ok(value.and_then(text_of).map(|text| text.into_owned()))
}

fn all_as_json(
    family: Family,
    overflow: &str,
    batch: &RecordBatch,
) -> Result<ArrayRef, ColumnsError> {
    let reader = FamilyReader::new(family, batch);
    let overflows = column(overflow, batch)?;
    let overflows = texts(&overflows, overflow)?;
    let json = (0..batch.num_rows()).map(|row| {
        let entries = match overflows.is_valid(row) {
            true => Overflow::parse(overflow, overflows.value(row))?.attributes,
            false => Vec::new(),
        };
        Ok(Some(json_of(&reader.attributes(row, entries))))
    });
    Ok(Arc::new(
        json.collect::<Result<StringArray, ColumnsError>>()?,
    ))
}

/// Rows are sorted by stream, so that one text often serves many that follow each other.
fn resources_as_json(batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    let failed = |err: ArrowError| ColumnsError::new(schema::RESOURCE, err);
    let columns = physical_columns(schema::RESOURCE, batch.schema_ref());
    let resources = batch.project(&columns).map_err(failed)?;
    let runs = partition(resources.columns()).map_err(failed)?.ranges();
    let firsts = UInt64Array::from_iter_values(runs.iter().map(|run| run.start as u64));
    let firsts = take_record_batch(&resources, &firsts).map_err(failed)?;
    let json = all_as_json(Family::Resource, names::RESOURCE_OVERFLOW, &firsts)?;
    let json = texts(&json, schema::RESOURCE)?;
    let of_rows = runs
        .iter()
        .zip(json)
        .flat_map(|(run, json)| run.clone().map(move |_| json));
    Ok(Arc::new(of_rows.collect::<StringArray>()))
}

fn scope_as_json(batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    let overflows = column(names::SCOPE_OVERFLOW, batch)?;
    let json = texts(&overflows, names::SCOPE_OVERFLOW)?
        .iter()
        .map(|text| {
            let mut entries = match text {
                Some(text) => Overflow::parse(names::SCOPE_OVERFLOW, text)?.attributes,
                None => Vec::new(),
            };
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Ok(Some(json_of(&model::Attributes(entries))))
        });
    Ok(Arc::new(
        json.collect::<Result<StringArray, ColumnsError>>()?,
    ))
}

/// The severity number or, where it is 0, what the texts state. The numbers as they are when no text
/// states any, as in every file of records that have a severity.
fn level_numbers(batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    let sent = column(schema::SEVERITY_NUMBER, batch)?;
    let Some(stated) = batch.column_by_name(names::SEVERITY_IN_TEXT) else {
        return Ok(sent);
    };
    if stated.null_count() == stated.len() {
        return Ok(sent);
    }
    let numbers = |name: &str, column: &ArrayRef| {
        let numbers = column.as_primitive_opt::<Int32Type>().cloned();
        numbers.ok_or_else(|| ColumnsError::new(name, "is no severity"))
    };
    let sent = numbers(schema::SEVERITY_NUMBER, &sent)?;
    let stated = numbers(names::SEVERITY_IN_TEXT, stated)?;
    let levels = sent.values().iter().zip(&stated);
    Ok(Arc::new(Int32Array::from_iter_values(levels.map(
        |(sent, stated)| match sent {
            0 => stated.unwrap_or(0),
            set => *set,
        },
    ))))
}

/// The row's time plus the column `delay`, null where that is null.
fn instants_after(delay: &str, batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    let times = column(schema::TIMESTAMP, batch)?;
    let times = times
        .as_primitive_opt::<TimestampNanosecondType>()
        .ok_or_else(|| ColumnsError::new(schema::TIMESTAMP, "is no time"))?;
    let delays = whole_numbers(delay, batch)?;
    let instants = times.values().iter().zip(&delays);
    let instants = instants.map(|(time, delay)| Some(time.wrapping_add(delay?)));
    let instants = TimestampNanosecondArray::from_iter(instants);
    Ok(Arc::new(instants.with_timezone("UTC")))
}

fn durations(batch: &RecordBatch) -> Result<ArrayRef, ColumnsError> {
    let starts = column(schema::TIMESTAMP, batch)?;
    let ends = instants_after(schema::DURATION_NS, batch)?;
    // The second has the type by construction, and fails to be made when the first has not.
    let starts = starts.as_primitive::<TimestampNanosecondType>().values();
    let ends = ends.as_primitive::<TimestampNanosecondType>().values();
    let pairs = starts.iter().zip(ends);
    Ok(Arc::new(Int64Array::from_iter_values(
        pairs.map(|(start, end)| end.saturating_sub(*start).max(0)),
    )))
}

fn whole_numbers(name: &str, batch: &RecordBatch) -> Result<Int64Array, ColumnsError> {
    column(name, batch)?
        .as_primitive_opt::<Int64Type>()
        .cloned()
        .ok_or_else(|| ColumnsError::new(name, "is no whole number"))
}

fn hex_column(array: &ArrayRef, name: &str) -> Result<ArrayRef, ColumnsError> {
    let ids: &FixedSizeBinaryArray = array
        .as_fixed_size_binary_opt()
        .ok_or_else(|| ColumnsError::new(name, "is no identifier"))?;
    let mut hex =
        StringBuilder::with_capacity(ids.len(), ids.len() * 2 * ids.value_length() as usize);
    for id in ids.iter() {
        hex.append_option(id.map(const_hex::encode));
    }
    Ok(Arc::new(hex.finish()))
}

fn events(field: &Field, array: &ArrayRef) -> Result<ArrayRef, ColumnsError> {
    map_elements(field, array, |elements, columns| {
        Ok(vec![
            part(elements, schema::TIMESTAMP)?,
            part(elements, schema::NAME)?,
            typed_as_json(columns, elements.len())?,
        ])
    })
}

fn links(field: &Field, array: &ArrayRef) -> Result<ArrayRef, ColumnsError> {
    map_elements(field, array, |elements, columns| {
        Ok(vec![
            hex_column(&part(elements, schema::TRACE_ID)?, schema::TRACE_ID)?,
            hex_column(&part(elements, schema::SPAN_ID)?, schema::SPAN_ID)?,
            part(elements, schema::TRACE_STATE)?,
            typed_as_json(columns, elements.len())?,
            part(elements, schema::FLAGS)?,
        ])
    })
}

/// A list of structs with other columns for its elements.
fn map_elements(
    field: &Field,
    array: &ArrayRef,
    columns: impl FnOnce(&StructArray, &Columns<'_>) -> Result<Vec<ArrayRef>, ColumnsError>,
) -> Result<ArrayRef, ColumnsError> {
    let wrong = || ColumnsError::new(field.name(), "is no list of structs");
    let list: &ListArray = array.as_list_opt::<i32>().ok_or_else(wrong)?;
    let elements = list.values().as_struct_opt().ok_or_else(wrong)?;
    let (element, fields): (&FieldRef, &Fields) = match field.data_type() {
        DataType::List(element) => match element.data_type() {
            DataType::Struct(fields) => (element, fields),
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    let columns = columns(elements, &Columns::of_struct(elements))?;
    let elements = StructArray::new(fields.clone(), columns, elements.nulls().cloned());
    Ok(Arc::new(ListArray::new(
        Arc::clone(element),
        list.offsets().clone(),
        Arc::new(elements),
        list.nulls().cloned(),
    )))
}

fn part(elements: &StructArray, name: &str) -> Result<ArrayRef, ColumnsError> {
    elements
        .column_by_name(name)
        .cloned()
        .ok_or_else(|| ColumnsError::new(name, "is missing"))
}

fn typed_as_json(columns: &Columns<'_>, rows: usize) -> Result<ArrayRef, ColumnsError> {
    let error = |message: String| ColumnsError::new(schema::ATTRIBUTES, message);
    let json = (0..rows).map(|row| {
        let entries = match columns.text(schema::ATTRIBUTES, row)? {
            Some(text) => {
                let json = serde_json::from_str(text).map_err(|err| error(err.to_string()))?;
                entries_from_json(&json).map_err(|err| error(err.to_string()))?
            }
            None => Vec::new(),
        };
        Ok(Some(json_of(&model::Attributes(entries))))
    });
    Ok(Arc::new(
        json.collect::<Result<StringArray, ColumnsError>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Row, arbitrary, encode, to_items};
    use model::{LogRecord, Seq, Span};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use query::schema::Keys;

    fn physical<R: Row>(rows: &[(Seq, R)]) -> RecordBatch {
        let items = to_items(rows);
        encode::<R>(&items.iter().collect::<Vec<_>>()).unwrap()
    }

    /// Every logical column, each made from its own physical columns alone.
    fn logical<R: Row>(rows: &[(Seq, R)], keys: &Keys) -> RecordBatch {
        let batch = physical(rows);
        let schema = R::TABLE.schema(keys);
        let columns = schema.fields().iter().map(|field| {
            let needed = physical_columns(field.name(), batch.schema_ref());
            logical_column(field, &batch.project(&needed).unwrap()).unwrap()
        });
        let columns = columns.collect();
        RecordBatch::try_new(schema, columns).unwrap()
    }

    /// The virtual column `of` as numbers.
    fn numbers<R: Row>(rows: &[(Seq, R)], of: &str) -> Float64Array {
        let field = Field::new(schema::number_column(of), DataType::Float64, true);
        let batch = physical(rows);
        let needed = physical_columns(field.name(), batch.schema_ref());
        let column = logical_column(&field, &batch.project(&needed).unwrap()).unwrap();
        column.as_primitive::<Float64Type>().clone()
    }

    fn text_at<'a>(batch: &'a RecordBatch, name: &str, row: usize) -> Option<&'a str> {
        let column = batch.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn logs_appear_as_the_logical_table_says(records in vec(arbitrary::log(), 1..6)) {
            let rows: Vec<(Seq, LogRecord)> =
                records.into_iter().map(|record| (Seq::new(1, 0), record)).collect();
            let mut keys = Keys::default();
            for (_, record) in &rows {
                keys.attributes.extend(record.attributes.iter().map(|(key, _)| key.to_owned()));
                for (key, value) in record.attributes.iter() {
                    if let Value::Map(inner) = value {
                        keys.attributes.extend(inner.iter().map(|(rest, _)| format!("{key}.{rest}")));
                    }
                }
                keys.resource.extend(
                    record.resource.attributes.iter().map(|(key, _)| key.to_owned()),
                );
            }
            let numbers: std::collections::HashMap<&String, Float64Array> = keys
                .attributes
                .iter()
                .map(|key| (key, numbers(&rows, &schema::attribute_column(key))))
                .collect();
            let batch = logical(&rows, &keys);
            for (row, placed) in rows.iter().enumerate() {
                let (_, record) = arbitrary::stored_log(placed.clone());
                for key in &keys.attributes {
                    let value = nested::find(&record.attributes.0, key).and_then(text_of);
                    let column = schema::attribute_column(key);
                    prop_assert_eq!(text_at(&batch, &column, row), value.as_deref(), "{}", key);
                    let expected = value.as_deref().and_then(query::units::number);
                    prop_assert_eq!(numbers[key].iter().nth(row), Some(expected), "{}", key);
                }
                for key in &keys.resource {
                    let value = nested::find(&record.resource.attributes.0, key).and_then(text_of);
                    let column = schema::resource_column(key);
                    prop_assert_eq!(text_at(&batch, &column, row), value.as_deref(), "{}", key);
                }
                let json = json_of(&record.attributes);
                prop_assert_eq!(text_at(&batch, schema::ATTRIBUTES, row), Some(json.as_str()));
                let id = record.trace_id.map(|id| id.to_string());
                prop_assert_eq!(text_at(&batch, schema::TRACE_ID, row), id.as_deref());
                let levels = batch.column_by_name(schema::LEVEL_NUMBER).unwrap();
                let level = levels.as_primitive::<Int32Type>().value(row);
                prop_assert_eq!(level, query::severity::level_number(&record));
                let body = text_of(&record.body);
                prop_assert_eq!(text_at(&batch, schema::BODY, row), body.as_deref());
            }
        }

        #[test]
        fn a_batch_without_stated_levels_has_no_column_of_them(
            records in vec(arbitrary::log(), 1..4),
        ) {
            let rows: Vec<(Seq, LogRecord)> =
                records.into_iter().map(|record| (Seq::new(1, 0), record)).collect();
            let is_stated = |(_, record): &(Seq, LogRecord)| {
                record.severity_number == 0 && query::severity::level_number(record) != 0
            };
            let column = physical(&rows).column_by_name(names::SEVERITY_IN_TEXT).cloned();
            prop_assert_eq!(column.is_some(), rows.iter().any(is_stated));
            if let Some(column) = column {
                let stated = rows.iter().map(is_stated);
                prop_assert!(stated.eq((0..column.len()).map(|row| column.is_valid(row))));
            }
        }

        #[test]
        fn spans_fill_the_logical_table(spans in vec(arbitrary::span(), 1..6)) {
            let rows: Vec<(Seq, Span)> =
                spans.into_iter().map(|span| (Seq::new(1, 0), span)).collect();
            let batch = logical(&rows, &Keys::default());
            let durations = batch.column_by_name(schema::DURATION_NS).unwrap();
            let durations = durations.as_primitive::<arrow::datatypes::Int64Type>();
            for (row, (_, span)) in rows.iter().enumerate() {
                prop_assert_eq!(durations.value(row), span.duration());
                prop_assert_eq!(text_at(&batch, schema::KIND, row), Some(span.kind.as_str()));
            }
        }
    }
}
