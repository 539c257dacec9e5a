//! Evaluation: plan the windows, fetch the series, compute all steps column by column.

mod error;
mod options;

pub use error::{ErrorKind, EvalError};
pub use options::{CancelFlag, EvalOptions, Limits};

use crate::ast::Expr;
use crate::source::SeriesSource;
use crate::value::QueryResult;

/// Evaluates `expr` at one instant, Unix ms.
///
/// # Errors
///
/// See [`EvalError`].
pub async fn instant(
    expr: &Expr,
    source: &dyn SeriesSource,
    time_ms: i64,
    options: &EvalOptions,
) -> Result<QueryResult, EvalError> {
    range(expr, source, time_ms, time_ms, 1, options).await
}

/// Evaluates `expr` at `start_ms`, `start_ms + step_ms`, … up to `end_ms`, all Unix ms.
///
/// The value is a matrix, sorted by labels.
///
/// # Errors
///
/// See [`EvalError`]; also for an expression that is no scalar or instant vector, a step that is
/// not positive and an end before the start.
pub async fn range(
    expr: &Expr,
    _source: &dyn SeriesSource,
    _start_ms: i64,
    _end_ms: i64,
    _step_ms: i64,
    _options: &EvalOptions,
) -> Result<QueryResult, EvalError> {
    Err(EvalError::Unsupported {
        what: "every query, until the evaluator is built".to_owned(),
        span: expr.span,
    })
}
