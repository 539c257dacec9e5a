//! Rows as columns: log records and spans ↔ the Arrow columns of a split.
//!
//! [`encode`] turns rows into one record batch of the *physical* schema: fixed columns, promoted
//! attribute columns ([`layout`]) and three overflow columns in typed JSON ([`typed_json`]) for
//! what has no column. [`decode`] is its inverse: every field of the model survives. Attributes
//! come back sorted by key (their order means nothing in OpenTelemetry); entries of a repeated key
//! keep their order among themselves.
//!
//! Queries see them as the logical tables of `query::schema` ([`logical`]).
//!
//! A head's open rows ([`OpenRows`]), its row groups and the splits all hold these columns.

pub mod layout;
pub mod typed_json;

mod align;
#[cfg(test)]
pub(crate) mod arbitrary;
mod attributes;
mod encode;
pub(crate) mod logical;
mod logs;
mod open_rows;
mod read;
mod spans;

pub use align::align;
pub(crate) use attributes::overflow_attributes;
pub use encode::{Row, decode, encode, to_items};
pub use layout::{ColumnType, Family, MAX_PROMOTED, Promotion, Promotions};
pub(crate) use open_rows::item_bytes;
pub use open_rows::{OpenChunk, OpenRows, RowsInMemory};

/// Names of the physical columns that the logical tables (`query::schema`) do not have.
pub(crate) mod names {
    /// Observed timestamp minus timestamp of a log record, ns, wrapping; null when not sent. It
    /// takes a fraction of the bytes that a second timestamp would.
    pub(crate) const OBSERVED_DELAY: &str = "observed_delay_ns";
    /// The lowest severity number of the level that the texts of a log record without a severity
    /// number state; null where they state none, and where there is a number. A file has the
    /// column only when a row has a value in it.
    pub(crate) const SEVERITY_IN_TEXT: &str = "severity_in_text";
    /// The instrumentation library's name.
    pub(crate) const SCOPE_NAME: &str = "scope.name";
    /// The instrumentation library's version.
    pub(crate) const SCOPE_VERSION: &str = "scope.version";
    /// How many attributes of the record or span the sender dropped.
    pub(crate) const DROPPED_ATTRIBUTES: &str = "dropped_attributes_count";
    /// How many events of the span the sender dropped.
    pub(crate) const DROPPED_EVENTS: &str = "dropped_events_count";
    /// How many links of the span the sender dropped.
    pub(crate) const DROPPED_LINKS: &str = "dropped_links_count";
    /// Attributes without a column, and a log body that is no string: `{"attributes":[…],"body":…}`.
    pub(crate) const OVERFLOW: &str = "overflow";
    /// `{"attributes":[…],"droppedAttributesCount":…,"schemaUrl":…}` of the resource.
    pub(crate) const RESOURCE_OVERFLOW: &str = "resource_overflow";
    /// The same of the scope.
    pub(crate) const SCOPE_OVERFLOW: &str = "scope_overflow";
}

/// Columns that are not what this module writes, or rows it cannot write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct ColumnsError {
    /// The physical column.
    pub column: String,
    /// What is wrong with it.
    pub message: String,
}

impl ColumnsError {
    pub(crate) fn new(column: &str, message: impl ToString) -> Self {
        Self {
            column: column.to_owned(),
            message: message.to_string(),
        }
    }
}
