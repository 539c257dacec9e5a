//! Strict YAML with places: unknown fields, wrong types and bad values name line and column.

use std::fmt;
use std::marker::PhantomData;

use model::time;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_saphyr::{Location, Spanned, UserMessageFormatter};

use crate::config_error::ConfigError;

/// A file being read, and what was found in it so far.
pub(crate) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    /// Errors and warnings, in the order they were found.
    pub(crate) errors: Vec<ConfigError>,
    /// Findings that do not keep the file from being used.
    pub(crate) warnings: Vec<ConfigError>,
}

impl<'a> Source<'a> {
    /// Nothing read yet; `file` is the name that findings carry.
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The file's first document; `None` when it is empty or, noted as an error, unreadable.
    /// Further documents are ignored with a warning, as Prometheus ignores them.
    pub(crate) fn document<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut bytes = self.text.as_bytes();
        let mut documents = serde_saphyr::read::<_, T>(&mut bytes);
        let first = documents.next()?;
        let more = documents.next().is_some();
        drop(documents);
        match first {
            Ok(document) => {
                if more {
                    self.warnings.push(ConfigError {
                        file: self.file.to_owned(),
                        line: 0,
                        column: 0,
                        message: "only the first YAML document is used".to_owned(),
                    });
                }
                Some(document)
            }
            Err(error) => {
                let place = error.location().unwrap_or(Location::UNKNOWN);
                let text = error
                    .without_snippet()
                    .render_with_formatter(&UserMessageFormatter);
                let suffix = format!(" at line {}, column {}", place.line(), place.column());
                let message = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
                self.error(place, message);
                None
            }
        }
    }

    /// Notes an error at `place`.
    pub(crate) fn error(&mut self, place: Location, message: impl Into<String>) {
        let finding = self.finding(place, message);
        self.errors.push(finding);
    }

    /// Notes a warning at `place`.
    pub(crate) fn warning(&mut self, place: Location, message: impl Into<String>) {
        let finding = self.finding(place, message);
        self.warnings.push(finding);
    }

    /// Notes an error at line and column (from 1) of the scalar that begins at `place`.
    pub(crate) fn error_inside(
        &mut self,
        place: Location,
        (line, column): (usize, usize),
        message: impl Into<String>,
    ) {
        let mut finding = self.finding(place, message);
        let first_line = self.text.lines().nth(finding.line.saturating_sub(1));
        let quoted = first_line
            .and_then(|text| text.chars().nth(finding.column.saturating_sub(1)))
            .is_some_and(|c| matches!(c, '"' | '\''));
        let exact_line = finding.line + line - 1;
        let exact_column = finding.column + column - 1 + usize::from(quoted);
        // Folded scalars join lines: where the sum points outside of the text, stay at the start.
        let exists = self
            .text
            .lines()
            .nth(exact_line.saturating_sub(1))
            .is_some_and(|text| exact_column <= text.chars().count() + 1);
        if exists {
            finding.line = exact_line;
            finding.column = exact_column;
        }
        self.errors.push(finding);
    }

    fn finding(&self, place: Location, message: impl Into<String>) -> ConfigError {
        ConfigError {
            file: self.file.to_owned(),
            line: usize::try_from(place.line()).unwrap_or(0),
            column: usize::try_from(place.column()).unwrap_or(0),
            message: message.into(),
        }
    }

    /// The duration in ms that `text` says, or `None` with an error noted.
    pub(crate) fn duration(&mut self, text: &Spanned<String>) -> Option<i64> {
        if text.value == "0" {
            return Some(0);
        }
        match time::parse_duration(&text.value) {
            Ok(nanos) => Some(nanos / time::NANOS_PER_MILLI),
            Err(error) => {
                self.error(text.referenced, error.to_string());
                None
            }
        }
    }
}

/// A mapping with places for keys and values, in the order of the file.
#[derive(Debug, Clone)]
pub(crate) struct Pairs<V = Spanned<String>>(pub(crate) Vec<(Spanned<String>, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Pairs(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        from.deserialize_map(PairsVisitor(PhantomData))
    }
}
