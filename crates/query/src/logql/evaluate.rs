//! Runs LogQL over whatever holds the table `logs`.

use std::future::Future;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int64Type, TimestampNanosecondType};
use datafusion::common::exec_datafusion_err;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt as _;
use model::{Labels, TimeRange};

use crate::error::SyntaxError;
use crate::logql::answer::{Answer, Line, MatrixSeries, Stats, VectorSample};
use crate::logql::ast::{AggregateOp, Expr, ExprKind, Grouping, LogExpr, RangeAggregation, Stage};
use crate::logql::gather::Gathering;
use crate::logql::labels::{LineLabels, Lines, Needs, Origin};
use crate::logql::parser::parse;
use crate::logql::pipeline::Pipeline;
use crate::logql::pushdown::{self, Pushdown};
use crate::logql::values::{self, Series, Value};
use crate::logql::windows::Windows;
use crate::plans::{Cursor, LogPlan, Order, SearchPlan};
use crate::schema::{SEQ, TIMESTAMP};

/// Whatever holds the table `logs` of one tenant.
pub trait LogSource: Send + Sync {
    /// Executes a plan over the table: makes an input whose schema holds [`LogPlan::keys`], calls
    /// [`LogPlan::build`] and streams the result.
    ///
    /// # Errors
    ///
    /// What planning says; an error while rows arrive comes through the stream.
    fn execute(
        &self,
        plan: LogPlan,
    ) -> impl Future<Output = Result<SendableRecordBatchStream, DataFusionError>> + Send;
}

/// Which lines of a range come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// The newest, `direction=backward`.
    #[default]
    Backward,
    /// The oldest, `direction=forward`.
    Forward,
}

/// The parameters of a range query.
#[derive(Debug, Clone, Copy)]
pub struct RangeRequest {
    /// The first instant, Unix ns: inclusive for lines, the first step of numbers.
    pub start: i64,
    /// The last instant, Unix ns: exclusive for lines, inclusive for steps.
    pub end: i64,
    /// The distance of steps, ns, positive.
    pub step: i64,
    /// At most this many lines.
    pub limit: usize,
    /// Which lines come first.
    pub direction: Direction,
}

/// Bounds of one query.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most steps.
    pub max_steps: usize,
    /// The most label sets of one range function.
    pub max_series: usize,
    /// The most values, over all label sets of one range function.
    pub max_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Loki's and Prometheus' bound.
            max_steps: 11_000,
            max_series: 100_000,
            max_values: 20_000_000,
        }
    }
}

/// A result with what it cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The result.
    pub answer: Answer,
    /// What was read.
    pub stats: Stats,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LogQlError {
    /// The text is not understood (400).
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// The request asks for something that has no meaning (400).
    #[error("{0}")]
    Invalid(String),
    /// The query is larger than its limits (422).
    #[error("{0}")]
    LimitExceeded(String),
    /// Planning or execution failed; a source's own error is inside as `External`.
    #[error(transparent)]
    Execution(#[from] DataFusionError),
}

/// Answers a range query: lines for a log query, else a matrix.
///
/// # Errors
///
/// See [`LogQlError`].
pub async fn query_range(
    source: &impl LogSource,
    query: &str,
    request: RangeRequest,
    limits: Limits,
) -> Result<Outcome, LogQlError> {
    let expr = parse(query)?;
    if let ExprKind::Log(log) = &expr.kind {
        return lines(source, log, request).await;
    }
    let steps = step_count(&request, limits)?;
    let mut evaluation = Evaluation {
        source,
        limits,
        start: request.start,
        step: request.step,
        steps,
        stats: Stats::default(),
    };
    let value = evaluation.value(&expr).await?;
    let series = match value {
        Value::Vector(series) => series,
        Value::Scalar(number) => vec![Series {
            labels: Labels::empty(),
            points: vec![Some(number); steps],
        }],
    };
    Ok(Outcome {
        answer: Answer::Matrix(matrix(series, &request)),
        stats: evaluation.stats,
    })
}

/// Answers an instant query: a vector, or a scalar for a bare number.
///
/// # Errors
///
/// A log query, as in Loki; else see [`LogQlError`].
pub async fn query_instant(
    source: &impl LogSource,
    query: &str,
    time: i64,
    limits: Limits,
) -> Result<Outcome, LogQlError> {
    let expr = parse(query)?;
    if let ExprKind::Log(_) = expr.kind {
        return Err(LogQlError::Invalid(
            "log queries are not supported as an instant query type, please change your query to a range query type".to_owned(),
        ));
    }
    let mut evaluation = Evaluation {
        source,
        limits,
        start: time,
        step: 1,
        steps: 1,
        stats: Stats::default(),
    };
    let answer = match evaluation.value(&expr).await? {
        Value::Scalar(value) => Answer::Scalar {
            timestamp: time,
            value,
        },
        Value::Vector(series) => Answer::Vector(vector(series, time, &expr)),
    };
    Ok(Outcome {
        answer,
        stats: evaluation.stats,
    })
}

fn step_count(request: &RangeRequest, limits: Limits) -> Result<usize, LogQlError> {
    if request.step <= 0 {
        return Err(LogQlError::Invalid(
            "step must be a positive duration such as 30s".to_owned(),
        ));
    }
    if request.end < request.start {
        return Ok(0);
    }
    let distance = i128::from(request.end) - i128::from(request.start);
    let steps = usize::try_from(distance / i128::from(request.step) + 1).unwrap_or(usize::MAX);
    if steps > limits.max_steps {
        return Err(LogQlError::Invalid(format!(
            "exceeded maximum resolution of {} points per time series: {steps} steps; try a larger step or a shorter range",
            limits.max_steps
        )));
    }
    Ok(steps)
}

fn matrix(mut series: Vec<Series>, request: &RangeRequest) -> Vec<MatrixSeries> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
        .into_iter()
        .map(|one| {
            let at = |step: usize| request.start + step as i64 * request.step;
            let samples = one
                .points
                .into_iter()
                .enumerate()
                .filter_map(|(step, point)| point.map(|value| (at(step), value)))
                .collect();
            MatrixSeries {
                labels: one.labels,
                samples,
            }
        })
        .filter(|one: &MatrixSeries| !one.samples.is_empty())
        .collect()
}

fn vector(mut series: Vec<Series>, time: i64, expr: &Expr) -> Vec<VectorSample> {
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut samples: Vec<VectorSample> = series
        .into_iter()
        .filter_map(|one| {
            let value = one.points.first().copied().flatten()?;
            Some(VectorSample {
                labels: one.labels,
                timestamp: time,
                value,
            })
        })
        .collect();
    match expr.kind {
        ExprKind::Aggregate {
            op: AggregateOp::Topk,
            ..
        } => samples.sort_by(|a, b| b.value.total_cmp(&a.value)),
        ExprKind::Aggregate {
            op: AggregateOp::Bottomk,
            ..
        } => samples.sort_by(|a, b| a.value.total_cmp(&b.value)),
        _ => {}
    }
    samples
}

/// The lines of a log query. Without stages of our own the table limits; with them, pages are
/// read until enough lines have passed.
async fn lines(
    source: &impl LogSource,
    log: &LogExpr,
    request: RangeRequest,
) -> Result<Outcome, LogQlError> {
    let Pushdown { filter, stages } = pushdown::split(log);
    let pipeline = compile(&stages)?;
    let needs = Needs::All;
    let mut columns = needs.columns(true);
    columns.push(SEQ.to_owned());
    let mut page_size = request.limit;
    if !pipeline.is_empty() {
        page_size = page_size.clamp(1_000, 50_000);
    }
    let mut found = Vec::new();
    let mut stats = Stats::default();
    let mut after = None;
    while found.len() < request.limit {
        let mut plan = SearchPlan {
            filter: filter.clone(),
            range: TimeRange::new(request.start, request.end),
            order: Some(match request.direction {
                Direction::Backward => Order::Newest,
                Direction::Forward => Order::Oldest,
            }),
            limit: Some(page_size),
            after,
            columns: columns.clone(),
        };
        plan.range = page_range(source, &plan).await?;
        if plan.range.is_empty() {
            break;
        }
        let mut batches = source.execute(LogPlan::Search(plan)).await?;
        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let mut page = Lines::new(&batch, &needs)?;
            rows += page.len();
            for row in 0..page.len() {
                let mut labels = page.labels(row)?;
                let line = page.line(row);
                stats.lines += 1;
                stats.bytes += line.len() as u64;
                if found.len() < request.limit && pipeline.run(line, &mut labels).is_some() {
                    found.push(line_of(page.timestamp(row), line, labels));
                }
            }
            after = last_row(&batch, &page).or(after);
        }
        if rows < page_size {
            break;
        }
    }
    Ok(Outcome {
        answer: Answer::Lines(found),
        stats,
    })
}

/// The time from a page's first to its last row; empty when it has none.
///
/// A page needs every column of few rows, but finding those few looks at every row that matches.
/// So the times come first, alone; then the page is read from its own stretch of time.
async fn page_range(source: &impl LogSource, page: &SearchPlan) -> Result<TimeRange, LogQlError> {
    let times_only = SearchPlan {
        columns: vec![TIMESTAMP.to_owned()],
        ..page.clone()
    };
    let mut batches = source.execute(LogPlan::Search(times_only)).await?;
    let mut range = TimeRange::new(i64::MAX, i64::MIN);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let Some(times) = batch
            .column(0)
            .as_primitive_opt::<TimestampNanosecondType>()
        else {
            return Err(
                exec_datafusion_err!("the scan gave no column {TIMESTAMP} in nanoseconds").into(),
            );
        };
        for time in times.iter().flatten() {
            range.start = range.start.min(time);
            range.end = range.end.max(time.saturating_add(1));
        }
    }
    Ok(range)
}

fn last_row(batch: &RecordBatch, page: &Lines<'_>) -> Option<Cursor> {
    let row = page.len().checked_sub(1)?;
    let seq = batch.column_by_name(SEQ)?.as_primitive_opt::<Int64Type>()?;
    Some(Cursor {
        timestamp: page.timestamp(row),
        seq: seq.value(row),
    })
}

fn line_of(timestamp: i64, line: &str, labels: LineLabels) -> Line {
    let of = |origin: Origin| {
        let chosen = labels.0.iter().filter(|label| label.origin == origin);
        Labels::new(chosen.map(|label| (label.name.as_str(), label.value.as_str())))
    };
    Line {
        timestamp,
        line: line.to_owned(),
        stream: of(Origin::Stream),
        structured_metadata: of(Origin::Structured),
        parsed: of(Origin::Parsed),
    }
}

pub(super) fn compile(stages: &[Stage]) -> Result<Pipeline, LogQlError> {
    Pipeline::new(stages).map_err(|error| LogQlError::Invalid(error.to_string()))
}

/// One evaluation of a metric query, at `start + k·step` for `steps` steps.
struct Evaluation<'a, S> {
    source: &'a S,
    limits: Limits,
    start: i64,
    step: i64,
    steps: usize,
    stats: Stats,
}

impl<S: LogSource> Evaluation<'_, S> {
    /// The range functions are read from the table first, one after the other; then the operators
    /// above them are a walk over numbers.
    async fn value(&mut self, expr: &Expr) -> Result<Value, LogQlError> {
        let mut ranges = Vec::new();
        collect_ranges(expr, None, &mut ranges);
        let mut read = Vec::with_capacity(ranges.len());
        for (range, summed_by) in ranges {
            read.push(self.range(range, summed_by).await?);
        }
        // Taken from the end, hence reversed: the walk below meets them in the same order.
        read.reverse();
        self.combine(expr, &mut read)
    }

    fn combine(&self, expr: &Expr, read: &mut Vec<Vec<Series>>) -> Result<Value, LogQlError> {
        Ok(match &expr.kind {
            ExprKind::Number(number) => Value::Scalar(*number),
            ExprKind::Vector(number) => Value::Vector(vec![Series {
                labels: Labels::empty(),
                points: vec![Some(*number); self.steps],
            }]),
            ExprKind::Range(_) => Value::Vector(read.pop().unwrap_or_default()),
            ExprKind::Aggregate {
                op,
                parameter,
                grouping,
                inner,
            } => match self.combine(inner, read)? {
                Value::Vector(series) => Value::Vector(values::aggregate(
                    *op,
                    *parameter,
                    grouping.as_ref(),
                    series,
                )),
                Value::Scalar(_) => {
                    return Err(LogQlError::Invalid(format!(
                        "{} takes label sets, and this is a number: {inner}",
                        op.as_str()
                    )));
                }
            },
            ExprKind::Binary {
                op,
                bool_modifier,
                matching,
                left,
                right,
            } => {
                let left = self.combine(left, read)?;
                let right = self.combine(right, read)?;
                values::binary(
                    *op,
                    *bool_modifier,
                    matching.as_ref(),
                    left,
                    right,
                    self.steps,
                )
                .map_err(LogQlError::Invalid)?
            }
            ExprKind::Log(_) => {
                return Err(LogQlError::Invalid(format!(
                    "a log query is no number: {expr}"
                )));
            }
        })
    }

    async fn range(
        &mut self,
        range: &RangeAggregation,
        summed_by: Option<&Grouping>,
    ) -> Result<Vec<Series>, LogQlError> {
        let windows = Windows {
            start: self.start,
            step: self.step,
            count: self.steps,
            range: range.range,
            offset: range.offset,
        };
        let mut gathering = Gathering::new(range, summed_by, windows, self.limits)?;
        if windows.count > 0 {
            let plan = LogPlan::Search(SearchPlan {
                filter: gathering.filter.clone(),
                range: windows.time_range(),
                order: None,
                limit: None,
                after: None,
                columns: gathering.columns(),
            });
            let mut batches = self.source.execute(plan).await?;
            while let Some(batch) = batches.next().await {
                gathering.add(&batch?)?;
            }
        }
        self.stats.lines += gathering.stats.lines;
        self.stats.bytes += gathering.stats.bytes;
        Ok(gathering.finish())
    }
}

/// The range functions of an expression from left to right, each with the grouping of the `sum`
/// directly around it.
fn collect_ranges<'e>(
    expr: &'e Expr,
    summed_by: Option<&'e Grouping>,
    ranges: &mut Vec<(&'e RangeAggregation, Option<&'e Grouping>)>,
) {
    /// `sum(…)` without grouping sums by nothing.
    static BY_NOTHING: Grouping = Grouping {
        without: false,
        labels: Vec::new(),
    };
    match &expr.kind {
        ExprKind::Range(range) => ranges.push((range, summed_by)),
        ExprKind::Aggregate {
            op,
            grouping,
            inner,
            ..
        } => {
            let grouping = grouping.as_ref().unwrap_or(&BY_NOTHING);
            let summed_by = (*op == AggregateOp::Sum && !grouping.without).then_some(grouping);
            collect_ranges(inner, summed_by, ranges);
        }
        ExprKind::Binary { left, right, .. } => {
            collect_ranges(left, None, ranges);
            collect_ranges(right, None, ranges);
        }
        ExprKind::Log(_) | ExprKind::Vector(_) | ExprKind::Number(_) => {}
    }
}
