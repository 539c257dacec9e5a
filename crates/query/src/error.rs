//! Why a query text cannot be honoured, and where in it.

use std::fmt;

/// A place in a query's text, in UTF-8 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Where it begins.
    pub offset: usize,
    /// How long it is; 0 for a place between two characters.
    pub length: usize,
}

impl Span {
    /// The bytes `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self {
            offset: start,
            length: end.saturating_sub(start),
        }
    }

    /// The first byte after.
    pub fn end(self) -> usize {
        self.offset + self.length
    }

    /// The shortest span that covers both.
    pub fn to(self, other: Self) -> Self {
        Self::new(self.offset.min(other.offset), self.end().max(other.end()))
    }
}

/// A query that cannot be honoured as written.
///
/// Prints as `parse error at byte 8: expected a value after "status:" (…hint…)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SyntaxError {
    /// What is wrong, quoting the query.
    pub message: String,
    /// The way out, when one is known.
    pub hint: Option<String>,
    /// Where in the query.
    pub span: Span,
}

impl SyntaxError {
    /// What is wrong at `span`.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            span,
        }
    }

    /// The same with the way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "parse error at byte {}: {}",
            self.span.offset, self.message
        )?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}
