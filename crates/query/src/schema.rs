//! The logical tables `logs` and `spans`: what SQL, searches and LogQL see, wherever a row lies.
//!
//! Each table has fixed columns, listed below, and two families of *virtual* columns:
//! `attr.<key>` and `resource.<key>`, nullable text, one for every attribute key. Keys are
//! unbounded, so a schema holds only the virtual columns that a query references ([`Keys`]); the
//! scan finds out, file by file, where such a key lies. A key with dots that a row does not have
//! reaches into the row's maps ([`crate::nested`]). Whoever needs all attributes of a row reads the
//! JSON columns `attributes` and `resource`.
//!
//! Values as text ([`crate::text::text_of`]): strings as they are, `true`/`false`, integers in
//! decimal, doubles in their shortest exact form, bytes in base64, arrays and maps as JSON. Text
//! that was not sent or is empty is null in a fixed column; an attribute that is an empty text is
//! that in its virtual column, one that was sent without a value is null.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

/// The row's time: a log record's timestamp, a span's start.
pub const TIMESTAMP: &str = "timestamp";
/// When the collector first saw a log record.
pub const OBSERVED_TIMESTAMP: &str = "observed_timestamp";
/// The row's place in the ingest log (`model::Seq::as_i64`).
pub const SEQ: &str = "seq";
/// OTLP's severity number; 0 when not set.
pub const SEVERITY_NUMBER: &str = "severity_number";
/// The severity number that a record counts as: its own when it is not 0, else the lowest one of the
/// level that its severity text or its body states, else 0.
pub const LEVEL_NUMBER: &str = "level_number";
/// The source's own word for the severity.
pub const SEVERITY_TEXT: &str = "severity_text";
/// A log record's message; a body that is no string is JSON.
pub const BODY: &str = "body";
/// 32 lowercase hex digits.
pub const TRACE_ID: &str = "trace_id";
/// 16 lowercase hex digits.
pub const SPAN_ID: &str = "span_id";
/// W3C trace flags.
pub const FLAGS: &str = "flags";
/// The event's name.
pub const EVENT_NAME: &str = "event_name";
/// The resource's `service.name`, or `unknown_service`.
pub const SERVICE: &str = "service";
/// The instrumentation library's name.
pub const SCOPE_NAME: &str = "scope_name";
/// The instrumentation library's version.
pub const SCOPE_VERSION: &str = "scope_version";
/// The scope's attributes as a JSON object.
pub const SCOPE_ATTRIBUTES: &str = "scope_attributes";
/// All attributes as a JSON object, sorted by key: their order means nothing in OpenTelemetry.
pub const ATTRIBUTES: &str = "attributes";
/// All resource attributes as a JSON object, sorted by key.
pub const RESOURCE: &str = "resource";
/// 16 lowercase hex digits; null for a root span.
pub const PARENT_SPAN_ID: &str = "parent_span_id";
/// A span's operation.
pub const NAME: &str = "name";
/// A span's kind in lowercase: `server`, `client`, …
pub const KIND: &str = "kind";
/// A span's end.
pub const END_TIMESTAMP: &str = "end_timestamp";
/// End minus start, never negative.
pub const DURATION_NS: &str = "duration_ns";
/// `unset`, `ok` or `error`.
pub const STATUS_CODE: &str = "status_code";
/// A developer-facing message.
pub const STATUS_MESSAGE: &str = "status_message";
/// W3C trace state.
pub const TRACE_STATE: &str = "trace_state";
/// A span's events, in the order they were sent.
pub const EVENTS: &str = "events";
/// A span's links, in the order they were sent.
pub const LINKS: &str = "links";

const ATTRIBUTE_PREFIX: &str = "attr.";
const RESOURCE_PREFIX: &str = "resource.";

/// The two logical tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// One row for each log record.
    Logs,
    /// One row for each span.
    Spans,
}

impl Table {
    /// The table's name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Spans => "spans",
        }
    }

    /// The fixed columns, in their order.
    pub fn fixed_fields(self) -> Vec<Field> {
        match self {
            Self::Logs => logs_fields(),
            Self::Spans => spans_fields(),
        }
    }

    /// The fixed columns followed by one virtual column for each of `keys`: attributes first,
    /// each family in the keys' order.
    pub fn schema(self, keys: &Keys) -> SchemaRef {
        let virtual_fields = keys
            .columns()
            .map(|name| Field::new(name, DataType::Utf8, true));
        let fields: Vec<Field> = self
            .fixed_fields()
            .into_iter()
            .chain(virtual_fields)
            .collect();
        Arc::new(Schema::new(fields))
    }
}

/// The attribute keys that a query references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Keys of record or span attributes.
    pub attributes: BTreeSet<String>,
    /// Keys of resource attributes.
    pub resource: BTreeSet<String>,
}

impl Keys {
    /// Whether no key is referenced.
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.resource.is_empty()
    }

    /// The virtual columns' names: attributes first, each family in its keys' order.
    pub fn columns(&self) -> impl Iterator<Item = String> {
        let attributes = self.attributes.iter().map(|key| attribute_column(key));
        let resource = self.resource.iter().map(|key| resource_column(key));
        attributes.chain(resource)
    }

    /// Adds the key of a virtual column; any other column changes nothing.
    pub fn add_column(&mut self, name: &str) {
        match virtual_column(name) {
            Some(VirtualColumn::Attribute(key)) => self.attributes.insert(key.to_owned()),
            Some(VirtualColumn::Resource(key)) => self.resource.insert(key.to_owned()),
            None => false,
        };
    }

    /// The keys of every virtual column that an expression references.
    pub fn of(expr: &Expr) -> Self {
        let mut keys = Self::default();
        for column in expr.column_refs() {
            keys.add_column(&column.name);
        }
        keys
    }

    /// Adds every key of `other`.
    pub fn extend(&mut self, other: Keys) {
        self.attributes.extend(other.attributes);
        self.resource.extend(other.resource);
    }
}

/// What the name of a virtual column stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VirtualColumn<'a> {
    /// The record's or span's attribute of this key.
    Attribute(&'a str),
    /// The resource's attribute of this key.
    Resource(&'a str),
}

/// Reads a virtual column's name; dots after the prefix belong to the key.
pub fn virtual_column(name: &str) -> Option<VirtualColumn<'_>> {
    if let Some(key) = name.strip_prefix(ATTRIBUTE_PREFIX) {
        return Some(VirtualColumn::Attribute(key));
    }
    name.strip_prefix(RESOURCE_PREFIX)
        .map(VirtualColumn::Resource)
}

/// The virtual column of a record's or span's attribute.
pub fn attribute_column(key: &str) -> String {
    format!("{ATTRIBUTE_PREFIX}{key}")
}

/// The virtual column of a resource's attribute.
pub fn resource_column(key: &str) -> String {
    format!("{RESOURCE_PREFIX}{key}")
}

/// The column of a virtual column's values read as numbers: what `number(…)` over it gives, for a
/// scan that has the numbers and need not print and read them.
pub fn number_column(of: &str) -> String {
    format!("{NUMBER_PREFIX}{of}{NUMBER_SUFFIX}")
}

/// The virtual column whose numbers a column holds.
pub fn numbers_of(name: &str) -> Option<&str> {
    name.strip_prefix(NUMBER_PREFIX)?
        .strip_suffix(NUMBER_SUFFIX)
}

const NUMBER_PREFIX: &str = "number(";
const NUMBER_SUFFIX: &str = ")";

/// The type of every time column: nanoseconds, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// An instant as a constant to compare time columns with.
pub fn instant(nanos: i64) -> Expr {
    let value = ScalarValue::TimestampNanosecond(Some(nanos), Some("UTC".into()));
    Expr::Literal(value, None)
}

/// The fields of one element of [`EVENTS`].
pub fn event_fields() -> Fields {
    Fields::from(vec![
        Field::new(TIMESTAMP, timestamp_type(), false),
        Field::new(NAME, DataType::Utf8, true),
        Field::new(ATTRIBUTES, DataType::Utf8, false),
    ])
}

/// The fields of one element of [`LINKS`].
pub fn link_fields() -> Fields {
    Fields::from(vec![
        Field::new(TRACE_ID, DataType::Utf8, false),
        Field::new(SPAN_ID, DataType::Utf8, false),
        Field::new(TRACE_STATE, DataType::Utf8, true),
        Field::new(ATTRIBUTES, DataType::Utf8, false),
        Field::new(FLAGS, DataType::UInt32, false),
    ])
}

fn logs_fields() -> Vec<Field> {
    vec![
        Field::new(TIMESTAMP, timestamp_type(), false),
        Field::new(OBSERVED_TIMESTAMP, timestamp_type(), true),
        Field::new(SEQ, DataType::Int64, false),
        Field::new(SEVERITY_NUMBER, DataType::Int32, false),
        Field::new(SEVERITY_TEXT, DataType::Utf8, true),
        Field::new(LEVEL_NUMBER, DataType::Int32, false),
        Field::new(BODY, DataType::Utf8, true),
        Field::new(TRACE_ID, DataType::Utf8, true),
        Field::new(SPAN_ID, DataType::Utf8, true),
        Field::new(FLAGS, DataType::UInt32, false),
        Field::new(EVENT_NAME, DataType::Utf8, true),
        Field::new(SERVICE, DataType::Utf8, false),
        Field::new(SCOPE_NAME, DataType::Utf8, true),
        Field::new(SCOPE_VERSION, DataType::Utf8, true),
        Field::new(SCOPE_ATTRIBUTES, DataType::Utf8, false),
        Field::new(ATTRIBUTES, DataType::Utf8, false),
        Field::new(RESOURCE, DataType::Utf8, false),
    ]
}

fn spans_fields() -> Vec<Field> {
    let list = |name: &str, fields: Fields| {
        let element = Field::new_list_field(DataType::Struct(fields), false);
        Field::new(name, DataType::List(Arc::new(element)), false)
    };
    vec![
        Field::new(TIMESTAMP, timestamp_type(), false),
        Field::new(END_TIMESTAMP, timestamp_type(), false),
        Field::new(DURATION_NS, DataType::Int64, false),
        Field::new(SEQ, DataType::Int64, false),
        Field::new(TRACE_ID, DataType::Utf8, false),
        Field::new(SPAN_ID, DataType::Utf8, false),
        Field::new(PARENT_SPAN_ID, DataType::Utf8, true),
        Field::new(NAME, DataType::Utf8, true),
        Field::new(KIND, DataType::Utf8, false),
        Field::new(STATUS_CODE, DataType::Utf8, false),
        Field::new(STATUS_MESSAGE, DataType::Utf8, true),
        Field::new(TRACE_STATE, DataType::Utf8, true),
        Field::new(FLAGS, DataType::UInt32, false),
        Field::new(SERVICE, DataType::Utf8, false),
        Field::new(SCOPE_NAME, DataType::Utf8, true),
        Field::new(SCOPE_VERSION, DataType::Utf8, true),
        Field::new(SCOPE_ATTRIBUTES, DataType::Utf8, false),
        Field::new(ATTRIBUTES, DataType::Utf8, false),
        Field::new(RESOURCE, DataType::Utf8, false),
        list(EVENTS, event_fields()),
        list(LINKS, link_fields()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_ends_with_the_referenced_keys() {
        let mut keys = Keys::default();
        for column in ["resource.host.name", "attr.http.route", "body", "attr.a"] {
            keys.add_column(column);
        }
        let schema = Table::Logs.schema(&keys);
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let fixed = Table::Logs.fixed_fields().len();
        assert_eq!(
            names[fixed..],
            ["attr.a", "attr.http.route", "resource.host.name"]
        );
    }

    #[test]
    fn no_fixed_column_reads_as_a_virtual_one() {
        for table in [Table::Logs, Table::Spans] {
            for field in table.fixed_fields() {
                assert_eq!(virtual_column(field.name()), None, "{}", field.name());
            }
        }
    }
}
