//! Log records as CSV (RFC 4180): a line of names, then a line for each record.

use std::borrow::Cow;

use model::log::severity_name;
use model::time::format_instant;
use model::{Attributes, LogRecord};
use query::schema::{VirtualColumn, virtual_column};
use query::severity::level_number;
use query::text::{json_of, text_of};
use store::FoundRecord;

use crate::http::record_json::row_id;

/// The columns when a request names none.
const DEFAULT_COLUMNS: [&str; 8] = [
    "timestamp",
    "severity",
    "service",
    "body",
    "trace_id",
    "span_id",
    "attributes",
    "resource",
];

/// The columns of a CSV file, by the names that the search syntax uses, and `id`, `attributes`
/// and `resource` besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns(Vec<String>);

impl Default for Columns {
    fn default() -> Self {
        Self(DEFAULT_COLUMNS.map(str::to_owned).into())
    }
}

impl Columns {
    /// Reads a list such as `timestamp,body,http.route`; `None` when a name in it is empty.
    pub(super) fn read(list: &str) -> Option<Self> {
        let names = list.split(',').map(str::trim);
        names
            .map(|name| (!name.is_empty()).then(|| name.to_owned()))
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Writes the line of names.
    pub(super) fn write_names(&self, out: &mut String) {
        write_line(self.0.iter().map(|name| Cow::Borrowed(name.as_str())), out);
    }

    /// Writes a record's line.
    pub(super) fn write(&self, found: &FoundRecord, out: &mut String) {
        write_line(self.0.iter().map(|name| field_text(found, name)), out);
    }
}

fn write_line<'a>(fields: impl Iterator<Item = Cow<'a, str>>, out: &mut String) {
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_field(&field, out);
    }
    out.push_str("\r\n");
}

fn write_field(text: &str, out: &mut String) {
    if !text.contains(['"', ',', '\r', '\n']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push_str("\"\"");
        }
        out.push_str(part);
    }
    out.push('"');
}

/// A record's field as text; empty when it lacks it.
fn field_text<'a>(found: &'a FoundRecord, name: &str) -> Cow<'a, str> {
    let record = &found.record;
    match name {
        "id" => row_id(record.timestamp, found.seq).into(),
        "timestamp" => format_instant(record.timestamp).into(),
        "observed_timestamp" if record.observed_timestamp == 0 => "".into(),
        "observed_timestamp" => format_instant(record.observed_timestamp).into(),
        "severity" | "level" => severity_name(level_number(record)).into(),
        "severity_number" => record.severity_number.to_string().into(),
        "severity_text" => record.severity_text.as_str().into(),
        "body" => text_of(&record.body).unwrap_or_default(),
        "trace_id" => record
            .trace_id
            .map(|id| id.to_string())
            .unwrap_or_default()
            .into(),
        "span_id" => record
            .span_id
            .map(|id| id.to_string())
            .unwrap_or_default()
            .into(),
        "flags" => record.flags.to_string().into(),
        "event_name" => record.event_name.as_str().into(),
        "service" => record.resource.service().into(),
        "scope" | "scope_name" => record.scope.name.as_str().into(),
        "scope_version" => record.scope.version.as_str().into(),
        "attributes" => json_of(&record.attributes).into(),
        "resource" => json_of(&record.resource.attributes).into(),
        name => attribute_text(record, name).unwrap_or_default(),
    }
}

fn attribute_text<'a>(record: &'a LogRecord, name: &str) -> Option<Cow<'a, str>> {
    let of = |attributes: &'a Attributes, key: &str| attributes.get(key).and_then(text_of);
    let resource = &record.resource.attributes;
    match virtual_column(name) {
        Some(VirtualColumn::Attribute(key)) => of(&record.attributes, key),
        Some(VirtualColumn::Resource(key)) => of(resource, key),
        None => of(&record.attributes, name).or_else(|| of(resource, name)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Resource, Scope, Seq, Value};

    use super::*;

    fn found(body: &str) -> FoundRecord {
        let attributes = |entries: [(&str, Value); 2]| {
            let entries = entries.map(|(key, value)| (key.to_owned(), value));
            Attributes(entries.into())
        };
        let record = LogRecord {
            timestamp: 1_500_000_000,
            observed_timestamp: 0,
            severity_number: 17,
            severity_text: "ERR".to_owned(),
            body: Value::from(body),
            attributes: attributes([("n", Value::Int(7)), ("both", Value::from("a"))]),
            dropped_attributes_count: 0,
            trace_id: None,
            span_id: None,
            flags: 1,
            event_name: String::new(),
            resource: Arc::new(Resource {
                attributes: attributes([
                    ("service.name", Value::from("shop")),
                    ("both", Value::from("r")),
                ]),
                ..Resource::default()
            }),
            scope: Arc::new(Scope::default()),
        };
        FoundRecord {
            seq: Seq::new(1, 2),
            record,
        }
    }

    fn line(columns: &str, body: &str) -> String {
        let mut out = String::new();
        Columns::read(columns)
            .unwrap()
            .write(&found(body), &mut out);
        out
    }

    #[test]
    fn fields_are_quoted_when_they_must_be() {
        let cases = [
            ("plain text", "plain text\r\n"),
            ("a,b", "\"a,b\"\r\n"),
            ("say \"hi\"", "\"say \"\"hi\"\"\"\r\n"),
            ("\"", "\"\"\"\"\r\n"),
            ("two\nlines", "\"two\nlines\"\r\n"),
            ("", "\r\n"),
        ];
        for (body, expected) in cases {
            assert_eq!(line("body", body), expected, "{body:?}");
        }
    }

    #[test]
    fn columns_have_the_names_of_the_search_syntax() {
        assert_eq!(
            line(
                "timestamp,level,severity_text,service,flags, trace_id ,scope",
                "x"
            ),
            "1970-01-01T00:00:01.500000000Z,error,ERR,shop,1,,\r\n"
        );
        assert_eq!(
            line("n,both,resource.both,attr.both,absent", "x"),
            "7,a,r,a,\r\n"
        );
        assert_eq!(
            line("attributes", "x"),
            "\"{\"\"n\"\":7,\"\"both\"\":\"\"a\"\"}\"\r\n"
        );
        let mut unset = found("[WARN] disk");
        unset.record.severity_number = 0;
        unset.record.severity_text.clear();
        let mut level = String::new();
        Columns::read("severity,severity_number")
            .unwrap()
            .write(&unset, &mut level);
        assert_eq!(level, "warn,0\r\n");
        let mut names = String::new();
        Columns::default().write_names(&mut names);
        assert_eq!(
            names,
            "timestamp,severity,service,body,trace_id,span_id,attributes,resource\r\n"
        );
        assert_eq!(Columns::read("a,,b"), None);
    }
}
