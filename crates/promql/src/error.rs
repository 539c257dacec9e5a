//! Why a text is no PromQL.

use std::fmt;

use crate::span::Span;

/// A text that is no PromQL: what was expected, what was found, where, and a way out if known.
///
/// Prints as `parse error at column 23: expected a duration such as 5m, found "]"`, with
/// `line 2, column 3` in texts of several lines, and the hint behind a semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, lowercase, without the place.
    pub message: String,
    /// The bytes at fault; empty at the end of the text.
    pub span: Span,
    /// The line of the first byte, from 1.
    pub line: usize,
    /// The column of the first byte in its line, in characters, from 1.
    pub column: usize,
    /// What to write instead, when that is known.
    pub hint: Option<String>,
}

impl ParseError {
    /// The error `message` about the bytes `span` of `query`.
    pub fn new(query: &str, span: Span, message: impl Into<String>) -> Self {
        let (line, column) = span.line_column(query);
        Self {
            message: message.into(),
            span,
            line,
            column,
            hint: None,
        }
    }

    /// This error with a way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("parse error at ")?;
        if self.line > 1 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "column {}: {}", self.column, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}
