//! The values that templates compute with.

use std::collections::BTreeMap;

use model::Labels;

use crate::format;

/// A value in a template, with Go's kinds as far as rules and messages meet them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `nil`
    Nil,
    /// `bool`
    Bool(bool),
    /// Any of Go's integers.
    Int(i64),
    /// `float64`
    Float(f64),
    /// `string`
    Text(String),
    /// A string that is HTML already and is not escaped.
    Html(String),
    /// A slice.
    List(Vec<Value>),
    /// A map or struct.
    Map(BTreeMap<String, Value>),
    /// A label set: a map whose absent keys read as "".
    Labels(Labels),
    /// One element of a query's result.
    Sample(Sample),
    /// A point in time, Unix ns, UTC.
    Time(i64),
    /// A `time.Duration`, ns.
    Duration(i64),
}

/// One element of a query's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The series' labels.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Value {
    /// Go's truth: zero values and empty collections are false.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(flag) => *flag,
            Self::Int(number) | Self::Duration(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) | Self::Html(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::Sample(_) | Self::Time(_) => true,
        }
    }

    /// The kind's name in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) | Self::Html(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Labels(_) => "labels",
            Self::Sample(_) => "sample",
            Self::Time(_) => "time",
            Self::Duration(_) => "duration",
        }
    }

    /// As `{{ . }}` prints it.
    pub fn print(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Bool(flag) => flag.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => format::general(*number, None),
            Self::Text(text) | Self::Html(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::print).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map(map) => {
                let entries: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.print()))
                    .collect();
                format!("map[{}]", entries.join(" "))
            }
            Self::Labels(labels) => {
                let entries: Vec<String> = labels
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"))
                    .collect();
                format!("map[{}]", entries.join(" "))
            }
            Self::Sample(sample) => format!(
                "{} => {}",
                sample.labels,
                format::general(sample.value, None)
            ),
            Self::Time(nanos) => format::time(*nanos, "2006-01-02 15:04:05.999999999 -0700 MST"),
            Self::Duration(nanos) => format::duration(*nanos),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A label set as template data.
impl From<&Labels> for Value {
    fn from(labels: &Labels) -> Self {
        Self::Labels(labels.clone())
    }
}
