//! From text to tree: a lexer and a Pratt parser that check types as they go.
//!
//! Reading order: `token`, `lexer` (with `number` and `quote`), `expression` for operators and
//! their precedence, `operand` for what stands between them, `selector`, `duration`, `call`, and
//! `check` for the rules that need types.

mod call;
mod check;
pub(crate) mod cursor;
mod duration;
mod expression;
mod lexer;
pub(crate) mod number;
mod operand;
pub(crate) mod quote;
mod selector;
pub(crate) mod token;

use model::Matcher;

use crate::ast::{Expr, ExprKind};
use crate::error::ParseError;
use cursor::Cursor;

/// The deepest tree that is accepted: walking, printing and dropping recurse as deep as this.
pub const MAX_DEPTH: usize = 256;

/// Parses a PromQL query.
///
/// # Errors
///
/// The first thing that is wrong, with its place and, where known, the way out.
///
/// ```
/// let expr = promql::parse("sum by (job) (rate(http_requests_total[5m]))")?;
/// assert_eq!(expr.to_string(), "sum by (job) (rate(http_requests_total[5m]))");
/// let error = promql::parse("rate(http_requests_total[])").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "parse error at column 26: expected a duration such as 5m, found \"]\""
/// );
/// # Ok::<(), promql::ParseError>(())
/// ```
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    let mut cursor = Cursor::new(query)?;
    if cursor.at_end() {
        return Err(cursor.error_here("the query is empty"));
    }
    let expr = cursor.expression()?;
    cursor.expect_end()?;
    Ok(expr)
}

/// Parses a series selector such as `up{job="api"}`, as `match[]` of the Prometheus API takes it.
///
/// # Errors
///
/// As [`parse`]; also for a query that is no plain selector.
pub fn parse_selector(query: &str) -> Result<Vec<Matcher>, ParseError> {
    let expr = parse(query)?;
    match expr.kind {
        ExprKind::Selector(selector)
            if selector.time == crate::ast::TimeModifiers::default()
                && selector.extension.is_none() =>
        {
            Ok(selector.matchers)
        }
        _ => Err(ParseError::new(
            query,
            expr.span,
            "expected a series selector without modifiers, such as up{job=\"api\"}",
        )),
    }
}
