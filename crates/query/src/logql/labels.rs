//! How a log record looks to LogQL: stream labels, structured metadata, a line.
//!
//! *Stream labels* come from the resource ([`model::stream`]); `service_name` is always there.
//! Everything else that a record carries is structured metadata: a few fixed names
//! ([`model::stream::OF_RECORDS`]), then the record's attributes, then those of its resource, then
//! those of its scope as `scope_<key>`. Characters that no label has become `_`. Of two keys with
//! the same label the first wins, stream labels before all; an attribute whose label would be a
//! fixed name or always a stream label gets the suffix `_extracted`, as Loki does with parsed
//! fields.

use std::borrow::Cow;
use std::collections::BTreeSet;

use datafusion::arrow::array::{
    Array, AsArray, Int32Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, TimestampNanosecondType};
use datafusion::common::{Result, exec_err};
use model::Labels;
use model::level::level_name;
use model::stream::{self, OF_RECORDS};

use crate::schema::{
    self, ATTRIBUTES, BODY, EVENT_NAME, LEVEL_NUMBER, RESOURCE, SCOPE_ATTRIBUTES, SCOPE_NAME,
    SCOPE_VERSION, SERVICE, SEVERITY_NUMBER, SEVERITY_TEXT, SPAN_ID, TIMESTAMP, TRACE_ID,
    VirtualColumn,
};

/// The label of the service, which every stream has.
pub(super) const SERVICE_NAME: &str = "service_name";
/// The level that Loki would find: `critical`, `error`, `warn`, `info`, `debug`, `trace`,
/// `unknown`.
pub(super) const DETECTED_LEVEL: &str = "detected_level";

/// What is added to the name of a label that another one has already.
pub(super) const EXTRACTED: &str = "_extracted";

/// Whether a label has a meaning of its own, whatever a record's attributes are called.
pub(super) fn is_reserved(label: &str) -> bool {
    OF_RECORDS.contains(&label) || stream::DOTTED.iter().any(|(name, _)| *name == label)
}

/// A key as a label: characters that no label has become `_`, and none begins with a digit.
pub(super) fn label_name(key: &str) -> Cow<'_, str> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_with_digit = key.starts_with(|c: char| c.is_ascii_digit());
    if key.chars().all(valid) && !starts_with_digit && !key.is_empty() {
        return Cow::Borrowed(key);
    }
    let mut label = String::with_capacity(key.len() + 1);
    if starts_with_digit || key.is_empty() {
        label.push('_');
    }
    label.extend(key.chars().map(|c| if valid(c) { c } else { '_' }));
    Cow::Owned(label)
}

/// The only key that can give this label, when there is only one: a label without `_` is not the
/// rewritten form of any other key.
pub(super) fn only_key(label: &str) -> Option<&str> {
    (!label.contains('_') && !is_reserved(label)).then_some(label)
}

/// Where a label came from, which Grafana shows by a letter and filters by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Stream,
    Structured,
    Parsed,
}

/// One label of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The labels of one line, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LineLabels(pub(super) Vec<Label>);

impl LineLabels {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|label| label.name == name)
            .map(|label| label.value.as_str())
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|label| label.name == name)
    }

    /// Adds a label unless the name is taken or the value is empty, which means absent.
    pub(super) fn add(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
        origin: Origin,
    ) {
        let (name, value) = (name.into(), value.into());
        if !value.is_empty() && self.get(&name).is_none() {
            self.0.push(Label {
                name,
                value,
                origin,
            });
        }
    }

    /// Sets a label, whether or not it is there already; an empty value stays.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>, origin: Origin) {
        let value = value.into();
        match self.position(name) {
            Some(index) => {
                let label = &mut self.0[index];
                (label.value, label.origin) = (value, origin);
            }
            None => self.0.push(Label {
                name: name.to_owned(),
                value,
                origin,
            }),
        }
    }

    /// The name under which a field of the line is known: a stream label keeps its own.
    pub(super) fn parsed_name<'n>(&self, name: &'n str) -> Cow<'n, str> {
        let taken = |label: &Label| label.name == name && label.origin == Origin::Stream;
        match self.0.iter().any(taken) {
            true => Cow::Owned(format!("{name}{EXTRACTED}")),
            false => Cow::Borrowed(name),
        }
    }

    /// Adds a field of the line under its [`Self::parsed_name`], before structured metadata of
    /// that name. Of several fields with one name the first counts.
    pub(super) fn add_parsed(&mut self, name: &str, value: &str) {
        match self.position(name) {
            Some(index) if self.0[index].origin == Origin::Parsed => {}
            _ => self.set(name, value, Origin::Parsed),
        }
    }

    /// Takes a label out.
    pub(super) fn take(&mut self, name: &str) -> Option<Label> {
        self.position(name).map(|index| self.0.remove(index))
    }

    /// The labels as a set, without empty ones.
    pub(super) fn to_labels(&self) -> Labels {
        let pairs = self.0.iter();
        Labels::new(pairs.map(|label| (label.name.as_str(), label.value.as_str())))
    }
}

/// Which labels a query looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needs {
    /// All of them: their names are part of the result.
    All,
    /// Only these.
    Names(BTreeSet<String>),
}

impl Needs {
    fn wants(&self, label: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.contains(label),
        }
    }

    /// The columns of `logs` from which [`Lines`] makes these labels, time and line included.
    pub(super) fn columns(&self, line: bool) -> Vec<String> {
        let mut columns = vec![TIMESTAMP.to_owned()];
        if line {
            columns.push(BODY.to_owned());
        }
        let Self::Names(names) = self else {
            let fixed = [
                SERVICE,
                LEVEL_NUMBER,
                SEVERITY_NUMBER,
                SEVERITY_TEXT,
                TRACE_ID,
                SPAN_ID,
                EVENT_NAME,
                SCOPE_NAME,
                SCOPE_VERSION,
                SCOPE_ATTRIBUTES,
                ATTRIBUTES,
                RESOURCE,
            ];
            columns.extend(fixed.map(str::to_owned));
            return columns;
        };
        let mut add = |column: &str| {
            if !columns.iter().any(|known| known == column) {
                columns.push(column.to_owned());
            }
        };
        for name in names {
            if name == SERVICE_NAME {
                add(SERVICE);
            } else if name == DETECTED_LEVEL {
                add(LEVEL_NUMBER);
            } else if OF_RECORDS.contains(&name.as_str()) {
                add(name);
            } else if let Some((_, key)) = stream::DOTTED.iter().find(|(label, _)| label == name) {
                add(&schema::resource_column(key));
            } else if let Some(key) = only_key(name) {
                add(&schema::resource_column(key));
                add(&schema::attribute_column(key));
            } else {
                // The name may stand for several keys, and only the row tells which.
                add(ATTRIBUTES);
                add(RESOURCE);
                add(SCOPE_ATTRIBUTES);
            }
        }
        columns
    }
}

/// The rows of a batch as lines with labels.
pub(super) struct Lines<'a> {
    needs: &'a Needs,
    timestamps: TimestampNanosecondArray,
    body: Option<StringArray>,
    level: Option<Int32Array>,
    severity: Option<Int32Array>,
    /// Columns that are labels as they stand; of equal labels the first that is not empty counts.
    direct: Vec<Direct>,
    attributes: Option<StringArray>,
    resource: Option<StringArray>,
    scope_attributes: Option<StringArray>,
    /// The last resource that was read: rows come sorted by stream, so the next is often the same.
    last_resource: Option<(String, Vec<(String, String)>)>,
}

/// A column that is a label.
struct Direct {
    label: String,
    origin: Origin,
    values: StringArray,
}

impl<'a> Lines<'a> {
    /// Reads a batch with the columns of `needs`.
    pub(super) fn new(batch: &RecordBatch, needs: &'a Needs) -> Result<Self> {
        let Some(timestamps) = batch
            .column_by_name(TIMESTAMP)
            .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>())
        else {
            return exec_err!("the scan gave no column {TIMESTAMP} in nanoseconds");
        };
        let text = |name: &str| -> Result<Option<StringArray>> {
            let Some(column) = batch.column_by_name(name) else {
                return Ok(None);
            };
            let text = cast(column, &DataType::Utf8)?;
            Ok(Some(text.as_string::<i32>().clone()))
        };
        let mut direct = Vec::new();
        for field in batch.schema().fields() {
            if let Some((label, origin)) = direct_label(field.name())
                && let Some(values) = text(field.name())?
            {
                direct.push(Direct {
                    label,
                    origin,
                    values,
                });
            }
        }
        direct.sort_by_key(|column: &Direct| column.origin != Origin::Stream);
        let numbers = |name: &str| {
            let column = batch.column_by_name(name)?;
            column.as_primitive_opt::<Int32Type>().cloned()
        };
        Ok(Self {
            needs,
            timestamps: timestamps.clone(),
            body: text(BODY)?,
            level: numbers(LEVEL_NUMBER),
            severity: numbers(SEVERITY_NUMBER),
            direct,
            attributes: text(ATTRIBUTES)?,
            resource: text(RESOURCE)?,
            scope_attributes: text(SCOPE_ATTRIBUTES)?,
            last_resource: None,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// The row's time, Unix ns.
    pub(super) fn timestamp(&self, row: usize) -> i64 {
        self.timestamps.value(row)
    }

    /// The row's line; a record without body has an empty one.
    pub(super) fn line(&self, row: usize) -> &str {
        present(self.body.as_ref(), row).unwrap_or_default()
    }

    /// The labels of a row that the query looks at, and perhaps others that came with them.
    pub(super) fn labels(&mut self, row: usize) -> Result<LineLabels> {
        let mut labels = LineLabels::default();
        for column in &self.direct {
            if let Some(value) = present(Some(&column.values), row) {
                labels.add(&column.label, value, column.origin);
            }
        }
        if let Some(levels) = &self.level {
            let level = level_name(levels.value(row));
            labels.add(DETECTED_LEVEL, level, Origin::Structured);
        }
        if let Some(severity) = &self.severity {
            let number = severity.value(row);
            if number != 0 && self.needs.wants(SEVERITY_NUMBER) {
                labels.add(SEVERITY_NUMBER, number.to_string(), Origin::Structured);
            }
        }
        self.read_resource(row)?;
        let resource = || self.last_resource.iter().flat_map(|(_, entries)| entries);
        for (key, value) in resource() {
            if let Some(label) = stream::label_of_key(key) {
                labels.add(label, value, Origin::Stream);
            }
        }
        if let Some(attributes) = present(self.attributes.as_ref(), row) {
            for (key, value) in json_entries(attributes)? {
                self.add_structured(&mut labels, label_name(&key), value);
            }
        }
        for (key, value) in resource() {
            if stream::label_of_key(key).is_none() {
                self.add_structured(&mut labels, label_name(key), value);
            }
        }
        if let Some(scope) = present(self.scope_attributes.as_ref(), row) {
            for (key, value) in json_entries(scope)? {
                let label = format!("scope_{}", label_name(&key));
                self.add_structured(&mut labels, Cow::Owned(label), value);
            }
        }
        Ok(labels)
    }

    fn add_structured(
        &self,
        labels: &mut LineLabels,
        label: Cow<'_, str>,
        value: impl Into<String>,
    ) {
        let label = free_name(label);
        if self.needs.wants(&label) {
            labels.add(label, value, Origin::Structured);
        }
    }

    /// Makes `last_resource` the row's.
    fn read_resource(&mut self, row: usize) -> Result<()> {
        let Some(json) = present(self.resource.as_ref(), row) else {
            return Ok(());
        };
        if self
            .last_resource
            .as_ref()
            .is_none_or(|(last, _)| last != json)
        {
            self.last_resource = Some((json.to_owned(), json_entries(json)?));
        }
        Ok(())
    }
}

fn present(texts: Option<&StringArray>, row: usize) -> Option<&str> {
    texts.and_then(|texts| texts.is_valid(row).then(|| texts.value(row)))
}

/// The label that a column of text is.
fn direct_label(column: &str) -> Option<(String, Origin)> {
    if column == SERVICE {
        return Some((SERVICE_NAME.to_owned(), Origin::Stream));
    }
    if column != SEVERITY_NUMBER && OF_RECORDS.contains(&column) {
        return Some((column.to_owned(), Origin::Structured));
    }
    match schema::virtual_column(column)? {
        VirtualColumn::Resource(key) => Some(match stream::label_of_key(key) {
            Some(label) => (label.to_owned(), Origin::Stream),
            None => (key.to_owned(), Origin::Structured),
        }),
        VirtualColumn::Attribute(key) => Some((key.to_owned(), Origin::Structured)),
    }
}

fn free_name(label: Cow<'_, str>) -> Cow<'_, str> {
    if is_reserved(&label) {
        return Cow::Owned(format!("{label}{EXTRACTED}"));
    }
    label
}

/// The keys of a JSON object with their values in text form.
pub(super) fn json_entries(json: &str) -> Result<Vec<(String, String)>> {
    let entries: Entries = match serde_json::from_str(json) {
        Ok(entries) => entries,
        Err(error) => return exec_err!("attributes are no JSON object: {error}"),
    };
    Ok(entries.0)
}

/// A JSON object in its order; `serde_json`'s own map would sort the keys.
struct Entries(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, serde_json::Value>()? {
                    let text = match value {
                        serde_json::Value::Null => String::new(),
                        serde_json::Value::String(text) => text,
                        other => other.to_string(),
                    };
                    entries.push((key, text));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_labels() {
        let cases = [
            ("http.route", "http_route"),
            ("user-id", "user_id"),
            ("plain", "plain"),
            ("0day", "_0day"),
            ("größe", "gr__e"),
            ("", "_"),
        ];
        for (key, label) in cases {
            assert_eq!(label_name(key), label, "{key:?}");
            if let Some(only) = only_key(&label_name(key)) {
                assert_eq!(only, key);
            }
        }
    }

    #[test]
    fn only_the_columns_of_the_needed_labels_are_read() {
        let needs = |names: &[&str]| Needs::Names(names.iter().map(|n| (*n).to_owned()).collect());
        let cases: [(Needs, &[&str]); 4] = [
            (needs(&[]), &["timestamp"]),
            (
                needs(&["level", "detected_level"]),
                &["timestamp", "level_number", "resource.level", "attr.level"],
            ),
            (
                needs(&["service_name", "k8s_pod_name", "trace_id"]),
                &["timestamp", "resource.k8s.pod.name", "service", "trace_id"],
            ),
            (
                needs(&["http_route"]),
                &["timestamp", "attributes", "resource", "scope_attributes"],
            ),
        ];
        for (needs, expected) in cases {
            assert_eq!(needs.columns(false), expected, "{needs:?}");
        }
    }
}
