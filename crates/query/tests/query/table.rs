//! Log records as the logical table `logs` in memory, built column by column as the scan would.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
    UInt32Array,
};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use model::{LogRecord, Seq};
use query::functions;
use query::nested;
use query::schema::{Keys, Table, VirtualColumn, virtual_column};
use query::severity::level_number;
use query::text::{json_of, text_of};

/// A session that knows our functions and the table `logs` with these records.
pub(crate) fn session(records: &[LogRecord], keys: &Keys) -> SessionContext {
    let session = SessionContext::new();
    for function in functions::all() {
        session.register_udf(function.as_ref().clone());
    }
    let batch = batch(records, keys);
    let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    session.register_table("logs", Arc::new(table)).unwrap();
    session
}

/// The records as one batch; the n-th one has `Seq::new(1, n)`.
pub(crate) fn batch(records: &[LogRecord], keys: &Keys) -> RecordBatch {
    let schema = Table::Logs.schema(keys);
    let columns = schema
        .fields()
        .iter()
        .map(|field| column(field.name(), records))
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn column(name: &str, records: &[LogRecord]) -> ArrayRef {
    let text = |value: fn(&LogRecord) -> Option<String>| -> ArrayRef {
        Arc::new(records.iter().map(value).collect::<StringArray>())
    };
    let not_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match name {
        "timestamp" => Arc::new(
            TimestampNanosecondArray::from_iter_values(records.iter().map(|r| r.timestamp))
                .with_timezone("UTC"),
        ),
        "observed_timestamp" => Arc::new(
            records
                .iter()
                .map(|r| (r.observed_timestamp != 0).then_some(r.observed_timestamp))
                .collect::<TimestampNanosecondArray>()
                .with_timezone("UTC"),
        ),
        "seq" => Arc::new(Int64Array::from_iter_values(
            (0..records.len()).map(|ordinal| Seq::new(1, ordinal as u32).as_i64()),
        )),
        "severity_number" => Arc::new(Int32Array::from_iter_values(
            records.iter().map(|r| r.severity_number),
        )),
        "level_number" => Arc::new(Int32Array::from_iter_values(
            records.iter().map(level_number),
        )),
        "severity_text" => Arc::new(
            records
                .iter()
                .map(|r| not_empty(&r.severity_text))
                .collect::<StringArray>(),
        ),
        "body" => text(|r| text_of(&r.body).map(|text| text.into_owned())),
        "trace_id" => text(|r| r.trace_id.map(|id| id.to_string())),
        "span_id" => text(|r| r.span_id.map(|id| id.to_string())),
        "flags" => Arc::new(UInt32Array::from_iter_values(
            records.iter().map(|r| r.flags),
        )),
        "event_name" => Arc::new(
            records
                .iter()
                .map(|r| not_empty(&r.event_name))
                .collect::<StringArray>(),
        ),
        "service" => text(|r| Some(r.resource.service().to_owned())),
        "scope_name" => Arc::new(
            records
                .iter()
                .map(|r| not_empty(&r.scope.name))
                .collect::<StringArray>(),
        ),
        "scope_version" => Arc::new(
            records
                .iter()
                .map(|r| not_empty(&r.scope.version))
                .collect::<StringArray>(),
        ),
        "scope_attributes" => text(|r| Some(json_of(&r.scope.attributes))),
        "attributes" => text(|r| Some(json_of(&r.attributes))),
        "resource" => text(|r| Some(json_of(&r.resource.attributes))),
        other => {
            let value = |record: &LogRecord| {
                let (attributes, key) = match virtual_column(other) {
                    Some(VirtualColumn::Attribute(key)) => (&record.attributes, key),
                    Some(VirtualColumn::Resource(key)) => (&record.resource.attributes, key),
                    None => panic!("unknown column {other}"),
                };
                let value = nested::find(&attributes.0, key).and_then(text_of);
                value.map(|text| text.into_owned())
            };
            Arc::new(records.iter().map(value).collect::<StringArray>())
        }
    }
}
