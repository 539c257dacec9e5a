//! Where in a query something was written.

/// Bytes `start..end` of the query text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The first byte after.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that covers both.
    pub fn to(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// How many bytes.
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether no byte is covered, as at the end of a query.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Line and column of the first byte in `query`, both from 1; columns count characters.
    pub fn line_column(self, query: &str) -> (usize, usize) {
        let mut end = self.start.min(query.len());
        while !query.is_char_boundary(end) {
            end -= 1;
        }
        let before = &query[..end];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |tail| tail.chars().count())
            + 1;
        (line, column)
    }
}
