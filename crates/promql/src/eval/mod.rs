//! Evaluation: plan the windows, fetch the series, compute all steps column by column.
//!
//! Reading order: `plan` decides what is read, `evaluate` walks the plan; `selector`, `window`
//! and `range_functions` turn samples into columns; `binary`, `vector_matching`, `aggregate`,
//! `select_k` and `call` combine columns.

mod aggregate;
mod binary;
mod call;
mod classic_histogram;
mod column;
mod date;
mod duration;
mod error;
mod evaluate;
mod histogram_functions;
pub(crate) mod histogram_sum;
mod info;
mod kahan;
mod label_functions;
mod math;
mod native_histogram;
mod options;
mod over_time;
mod parallel;
mod plan;
mod quantile;
mod range_functions;
mod rate;
mod remark;
mod result;
mod select_k;
mod selector;
mod sort;
mod steps;
mod trend;
mod trim;
mod vector_matching;
mod window;

pub use error::{ErrorKind, EvalError};
pub use options::{CancelFlag, EvalOptions, Limits};

use crate::ast::{Expr, ValueType};
use crate::source::{SelectLimits, SeriesSource};
use crate::value::{QueryResult, Series};
use evaluate::Evaluation;
use plan::{Planner, Selection};
use steps::Steps;

/// Evaluates `expr` at one instant, Unix ms.
///
/// Samples are fetched first, which dropping the future stops; the computation then runs without
/// awaiting, until done or [`EvalOptions::cancel`] is raised: it belongs on a blocking thread
/// when queries are large.
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
    run(expr, source, Steps::single(time_ms), 0, options).await
}

/// Evaluates `expr` at `start_ms`, `start_ms + step_ms`, … up to `end_ms`, all Unix ms.
///
/// The value is a matrix, sorted by labels. See [`instant()`] on cancelling.
///
/// # Errors
///
/// See [`EvalError`]; also for an expression that is no scalar or instant vector, a step that is
/// not positive and an end before the start.
pub async fn range(
    expr: &Expr,
    source: &dyn SeriesSource,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    options: &EvalOptions,
) -> Result<QueryResult, EvalError> {
    if step_ms <= 0 {
        return Err(EvalError::BadRequest(format!(
            "the step must be greater than 0, got {step_ms}ms"
        )));
    }
    if end_ms < start_ms {
        return Err(EvalError::BadRequest(
            "the end lies before the start".to_owned(),
        ));
    }
    let value_type = expr.value_type();
    if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
        return Err(EvalError::BadRequest(format!(
            "a range query needs a scalar or an instant vector, got {}",
            value_type.with_article()
        )));
    }
    let steps = Steps {
        start_ms,
        end_ms,
        step_ms,
    };
    if steps.count() > options.limits.max_steps as u64 {
        return Err(EvalError::TooManySteps {
            steps: steps.count(),
            limit: options.limits.max_steps,
        });
    }
    let result = run(expr, source, steps, step_ms, options).await?;
    Ok(QueryResult {
        value: result::into_matrix(result.value),
        ..result
    })
}

async fn run(
    expr: &Expr,
    source: &dyn SeriesSource,
    query: Steps,
    written_step_ms: i64,
    options: &EvalOptions,
) -> Result<QueryResult, EvalError> {
    let mut planner = Planner {
        query,
        written_step_ms,
        options,
        selections: Vec::new(),
    };
    let plan = planner.node(expr, query)?;
    let selections = planner.selections;
    let fetched = fetch(&selections, source, options).await?;
    let samples_read = fetched.iter().flatten().map(Series::sample_count).sum();
    let series_read = fetched.iter().map(Vec::len).sum();
    let mut evaluation = Evaluation::new(&fetched, query, written_step_ms, options);
    let value = evaluation.finish(&plan)?;
    Ok(QueryResult {
        value,
        samples_read,
        series_read,
        samples_seen: evaluation.samples_seen(),
        annotations: evaluation.into_annotations(),
    })
}

/// Fetches every selection within what the limits leave after the ones before it.
async fn fetch(
    selections: &[Selection],
    source: &dyn SeriesSource,
    options: &EvalOptions,
) -> Result<Vec<Vec<Series>>, EvalError> {
    let limits = options.limits;
    let mut left = SelectLimits {
        max_series: limits.max_series,
        max_samples: limits.max_samples,
    };
    let mut fetched = Vec::with_capacity(selections.len());
    for selection in selections {
        if options.cancel.is_cancelled() {
            return Err(EvalError::Cancelled);
        }
        let series = source
            .select(&selection.matchers, selection.window, left)
            .await
            // Tell the limit of the query, not what the selections before this one left of it.
            .map_err(|error| EvalError::from_source(error, limits))?;
        left.max_series = left.max_series.saturating_sub(series.len());
        let weight: usize = series.iter().map(Series::weight).sum();
        left.max_samples =
            left.max_samples
                .checked_sub(weight)
                .ok_or(EvalError::TooManySamples {
                    limit: limits.max_samples,
                })?;
        fetched.push(series);
    }
    Ok(fetched)
}
