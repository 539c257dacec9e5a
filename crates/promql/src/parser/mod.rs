//! From text to tree: a lexer and a Pratt parser that check types as they go.

use crate::ast::Expr;
use crate::error::ParseError;
use crate::span::Span;

/// Parses a PromQL query.
///
/// # Errors
///
/// The first thing that is wrong, with its place and, where known, the way out.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    Err(ParseError::new(
        query,
        Span::new(0, query.len()),
        "the parser is not built yet",
    ))
}
