//! The search syntax of the Logs page: words, phrases, fields, `AND`, `OR`, `NOT`.
//!
//! `docs/search-syntax.md` describes it to its users. [`compile`] is all that a caller needs: it
//! reads a query and turns it into a filter over the logical table `logs`. In between lie a syntax
//! tree with positions ([`ast`]), its parser ([`parser`]) and its meaning ([`filter`]).

pub mod ast;
pub mod filter;
pub mod parser;

use datafusion::logical_expr::Expr;

pub use ast::Query;
pub use filter::{group_columns, group_value};
pub use parser::parse;

use crate::error::SyntaxError;
use crate::schema::Keys;

/// A query as a filter over `logs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// True for the records that match; never null.
    pub expr: Expr,
    /// The attribute keys that it references.
    pub keys: Keys,
}

/// Reads a search and turns it into a filter; relative times count from `now`, Unix ns.
///
/// # Errors
///
/// Anything that is not understood, with its position and mostly a hint.
pub fn compile(text: &str, now: i64) -> Result<Filter, SyntaxError> {
    let expr = filter::lower(&parse(text)?, now)?;
    let keys = Keys::of(&expr);
    Ok(Filter { expr, keys })
}
