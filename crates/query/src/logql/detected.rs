//! What lines hold beside their stream labels: the fields that Logs Drilldown offers.
//!
//! They are found in the newest lines of a query: structured metadata as it is, and what `json` or
//! `logfmt` would read out of the line.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::logql::answer::Line;
use crate::logql::evaluate::{Limits, LogQlError, LogQuery, LogSource, RangeRequest};
use crate::logql::json_text::{self, JsonValue, Walk};
use crate::logql::labels::{EXTRACTED, label_name};
use crate::logql::logfmt;
use crate::logql::pipeline::{ERROR, ERROR_DETAILS};
use crate::units;

/// What values of a field are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Whole numbers.
    Int,
    /// Numbers.
    Float,
    /// `true` and `false`.
    Boolean,
    /// Durations with units.
    Duration,
    /// Sizes with units.
    Bytes,
    /// Anything else.
    String,
}

impl FieldType {
    fn of(value: &str) -> Self {
        if value.parse::<i64>().is_ok() {
            Self::Int
        } else if units::number(value).is_some() {
            Self::Float
        } else if matches!(value, "true" | "false") {
            Self::Boolean
        } else if units::duration_seconds(value).is_some() {
            Self::Duration
        } else if units::size_bytes(value).is_some() {
            Self::Bytes
        } else {
            Self::String
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            _ => Self::String,
        }
    }
}

/// A field that lines have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetectedField {
    /// The label that it is or would be.
    pub label: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// How many different values were seen.
    pub cardinality: usize,
    /// The stages that read it out of the line; `None` for structured metadata.
    pub parsers: Option<BTreeSet<&'static str>>,
    /// The keys that lead to it in JSON.
    #[serde(rename = "jsonPath", skip_serializing_if = "Vec::is_empty")]
    pub json_path: Vec<String>,
}

/// What is known of a field while lines are read.
struct Seen {
    field_type: FieldType,
    values: BTreeSet<String>,
    parsers: BTreeSet<&'static str>,
    structured: bool,
    json_path: Vec<String>,
}

/// The fields of the newest `request.limit` lines of a log query, by label; at most `max_fields`.
///
/// # Errors
///
/// A `query` that is no log query, or a source that fails.
pub async fn detected_fields(
    source: &impl LogSource,
    query: &str,
    request: RangeRequest,
    max_fields: usize,
    limits: Limits,
) -> Result<Vec<DetectedField>, LogQlError> {
    let seen = fields(source, query, request, limits).await?;
    Ok(seen
        .into_iter()
        .take(max_fields)
        .map(|(label, seen)| DetectedField {
            label,
            field_type: seen.field_type,
            cardinality: seen.values.len(),
            parsers: (!seen.structured).then_some(seen.parsers),
            json_path: seen.json_path,
        })
        .collect())
}

/// The values of one field in the newest `request.limit` lines of a log query, sorted; at most
/// `max_values`.
///
/// # Errors
///
/// A `query` that is no log query, or a source that fails.
pub async fn detected_values(
    source: &impl LogSource,
    field: &str,
    query: &str,
    request: RangeRequest,
    max_values: usize,
    limits: Limits,
) -> Result<Vec<String>, LogQlError> {
    let mut seen = fields(source, query, request, limits).await?;
    let values = seen.remove(field).map(|seen| seen.values);
    Ok(values.into_iter().flatten().take(max_values).collect())
}

async fn fields(
    source: &impl LogSource,
    query: &str,
    request: RangeRequest,
    limits: Limits,
) -> Result<BTreeMap<String, Seen>, LogQlError> {
    let (found, _) = LogQuery::read(query)?
        .lines(source, request, limits)
        .await?;
    let mut seen = BTreeMap::new();
    for line in &found {
        for (name, value) in &line.structured_metadata {
            add(&mut seen, name, value, None, Vec::new());
        }
        read_line(&mut seen, line);
        // What the query itself made, by stages that are not tried here.
        for (name, value) in &line.parsed {
            if name != ERROR && name != ERROR_DETAILS && !seen.contains_key(name) {
                add(&mut seen, name, value, Some("regexp"), Vec::new());
            }
        }
    }
    Ok(seen)
}

fn read_line(seen: &mut BTreeMap<String, Seen>, line: &Line) {
    let field_name = |name: String| match line.stream.get(&name) {
        Some(_) => format!("{name}{EXTRACTED}"),
        None => name,
    };
    if line.line.trim_start().starts_with('{') {
        // Fields before a break are fields too.
        json_text::walk(&line.line, |keys, value| {
            let text = match value {
                JsonValue::Object(_) => return Walk::Enter,
                JsonValue::Array(_) | JsonValue::Null => return Walk::Skip,
                JsonValue::Text(text) => text.as_ref(),
                JsonValue::Plain(text) => text,
            };
            let path: Vec<String> = keys.iter().map(|key| key.clone().into_owned()).collect();
            let name = field_name(label_name(&path.join("_")).into_owned());
            add(seen, &name, text, Some("json"), path);
            Walk::Skip
        })
        .ok();
        return;
    }
    logfmt::walk(&line.line, false, |key, value| {
        if !value.is_empty() {
            let name = field_name(label_name(key).into_owned());
            add(seen, &name, &value, Some("logfmt"), Vec::new());
        }
    })
    .ok();
}

fn add(
    seen: &mut BTreeMap<String, Seen>,
    name: &str,
    value: &str,
    parser: Option<&'static str>,
    json_path: Vec<String>,
) {
    let field_type = FieldType::of(value);
    let field = seen.entry(name.to_owned()).or_insert_with(|| Seen {
        field_type,
        values: BTreeSet::new(),
        parsers: BTreeSet::new(),
        structured: parser.is_none(),
        json_path,
    });
    field.field_type = field.field_type.and(field_type);
    field.structured |= parser.is_none();
    field.parsers.extend(parser);
    if !field.values.contains(value) {
        field.values.insert(value.to_owned());
    }
}
