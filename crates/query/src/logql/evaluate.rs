//! Runs LogQL over whatever holds the table `logs`.

use std::future::Future;

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
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
use crate::logql::labels::{Label, LineLabels, Lines, Needs, Origin};
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
    /// The most bytes that one range function, or the lines of an answer, may take in memory.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Loki's and Prometheus' bound.
            max_steps: 11_000,
            max_series: 100_000,
            max_bytes: 256 << 20,
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
    /// The text is not understood (400). Prints as Loki does, with the line and column where it
    /// is not, which Grafana looks for.
    #[error("parse error at line {line}, col {column}: {}", described(.error))]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong, and at which bytes.
        error: SyntaxError,
    },
    /// The request asks for something that has no meaning (400).
    #[error("{0}")]
    Invalid(String),
    /// The query is larger than its limits (400).
    #[error("{0}")]
    LimitExceeded(String),
    /// Planning or execution failed; a source's own error is inside as `External`.
    #[error(transparent)]
    Execution(#[from] DataFusionError),
}

impl LogQlError {
    /// A mistake in a query's text.
    pub(super) fn syntax(text: &str, error: SyntaxError) -> Self {
        let before = text.get(..error.span.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self::Syntax {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            error,
        }
    }
}

fn described(error: &SyntaxError) -> String {
    match &error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message.clone(),
    }
}

/// Reads a query.
fn read(text: &str) -> Result<Expr, LogQlError> {
    parse(text).map_err(|error| LogQlError::syntax(text, error))
}

/// A query as we write it.
///
/// # Errors
///
/// A text that is not understood.
pub fn format_query(text: &str) -> Result<String, LogQlError> {
    read(text).map(|expr| expr.to_string())
}

/// A log query, read: for whoever asks it more than once.
#[derive(Debug, Clone)]
pub struct LogQuery(LogExpr);

impl LogQuery {
    /// Reads a log query.
    ///
    /// # Errors
    ///
    /// A text that is none.
    pub fn read(text: &str) -> Result<Self, LogQlError> {
        match read(text)?.kind {
            ExprKind::Log(log) => Ok(Self(log)),
            _ => Err(LogQlError::Invalid(format!(
                "lines are asked for, and this query gives numbers: {text}"
            ))),
        }
    }

    /// Its lines in the order asked for, with what was read.
    ///
    /// # Errors
    ///
    /// See [`LogQlError`].
    pub async fn lines(
        &self,
        source: &impl LogSource,
        request: RangeRequest,
        limits: Limits,
    ) -> Result<(Vec<Line>, Stats), LogQlError> {
        lines(source, &self.0, request, limits).await
    }

    /// What the table filters by, the stages that are left, and these compiled.
    pub(super) fn compile(&self) -> Result<(Pushdown, Pipeline), LogQlError> {
        let pushdown = pushdown::split(&self.0);
        let pipeline = compile(&pushdown.stages)?;
        Ok((pushdown, pipeline))
    }

    /// Every line of a source that is small, such as the records that have just arrived, in the
    /// order of their time.
    ///
    /// # Errors
    ///
    /// See [`LogQlError`].
    pub async fn every_line(
        &self,
        source: &impl LogSource,
        limits: Limits,
    ) -> Result<Vec<Line>, LogQlError> {
        let (Pushdown { filter, .. }, pipeline) = self.compile()?;
        let needs = Needs::All;
        let mut columns = needs.columns(true);
        columns.push(SEQ.to_owned());
        let plan = LogPlan::Search(SearchPlan {
            filter,
            range: TimeRange::ALL,
            order: None,
            limit: None,
            after: None,
            columns,
        });
        let mut batches = source.execute(plan).await?;
        let mut found = Found::default();
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            let mut page = Lines::new(&batch, &needs)?;
            let seqs = seqs(&batch)?;
            for row in 0..page.len() {
                found.run(&pipeline, &mut page, (row, seqs.value(row)))?;
            }
            found.check(limits)?;
        }
        found.lines.sort_by_key(|line| (line.timestamp, line.seq));
        Ok(found.lines)
    }
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
    let expr = read(query)?;
    if let ExprKind::Log(log) = &expr.kind {
        let (lines, stats) = lines(source, log, request, limits).await?;
        return Ok(Outcome {
            answer: Answer::Lines(lines),
            stats,
        });
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
    let expr = read(query)?;
    if let ExprKind::Log(_) = expr.kind {
        return Err(LogQlError::Invalid(
            "log queries are not supported as an instant query type, please change your query to a range query type"
                .to_owned(),
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
    if let ExprKind::Aggregate { op, .. } = expr.kind {
        match op {
            AggregateOp::Topk | AggregateOp::ApproxTopk | AggregateOp::SortDesc => {
                samples.sort_by(|a, b| b.value.total_cmp(&a.value));
            }
            AggregateOp::Bottomk | AggregateOp::Sort => {
                samples.sort_by(|a, b| a.value.total_cmp(&b.value));
            }
            _ => {}
        }
    }
    samples
}

/// Rows of the first page when stages of ours may drop some of them.
const FIRST_PAGE: usize = 1_000;
/// Rows of the largest page.
const LARGEST_PAGE: usize = 64_000;

/// The lines of a log query. Without stages of our own the table limits; with them, pages are
/// read until enough lines have passed, each larger than the one before: the fewer lines pass, the
/// more rows there are to look at.
async fn lines(
    source: &impl LogSource,
    log: &LogExpr,
    request: RangeRequest,
    limits: Limits,
) -> Result<(Vec<Line>, Stats), LogQlError> {
    let Pushdown { filter, stages } = pushdown::split(log);
    let pipeline = compile(&stages)?;
    let needs = Needs::All;
    let mut columns = needs.columns(true);
    columns.push(SEQ.to_owned());
    let mut page_size = request.limit;
    if !pipeline.is_empty() {
        page_size = page_size.clamp(FIRST_PAGE, LARGEST_PAGE);
    }
    let mut found = Found::default();
    let mut after = None;
    while found.lines.len() < request.limit {
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
            let seqs = seqs(&batch)?;
            rows += page.len();
            for row in 0..page.len() {
                if found.lines.len() == request.limit {
                    break;
                }
                found.run(&pipeline, &mut page, (row, seqs.value(row)))?;
            }
            found.check(limits)?;
            if let Some(last) = page.len().checked_sub(1) {
                after = Some(Cursor {
                    timestamp: page.timestamp(last),
                    seq: seqs.value(last),
                });
            }
        }
        if rows < page_size {
            break;
        }
        page_size = (page_size * 4).clamp(FIRST_PAGE, LARGEST_PAGE);
    }
    Ok((found.lines, found.stats))
}

/// Lines that have passed a pipeline.
#[derive(Default)]
struct Found {
    lines: Vec<Line>,
    bytes: usize,
    stats: Stats,
}

impl Found {
    /// Runs a row of a page, given with its place in the ingest log, through a pipeline.
    fn run(
        &mut self,
        pipeline: &Pipeline,
        page: &mut Lines<'_>,
        (row, seq): (usize, i64),
    ) -> Result<(), LogQlError> {
        let mut labels = page.labels(row)?;
        let timestamp = page.timestamp(row);
        let line = page.line(row);
        self.stats.lines += 1;
        self.stats.bytes += line.len() as u64;
        if let Some(passed) = pipeline.run(timestamp, line, &mut labels) {
            let line = line_of((timestamp, seq), passed.line.into_owned(), labels);
            self.bytes += line.size();
            self.lines.push(line);
        }
        Ok(())
    }

    fn check(&self, limits: Limits) -> Result<(), LogQlError> {
        if self.bytes <= limits.max_bytes {
            return Ok(());
        }
        Err(LogQlError::LimitExceeded(format!(
            "the lines of the answer take more than {} bytes; ask for fewer of them",
            limits.max_bytes
        )))
    }
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

fn seqs(batch: &RecordBatch) -> Result<&Int64Array, DataFusionError> {
    batch
        .column_by_name(SEQ)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| exec_datafusion_err!("the scan gave no column {SEQ}"))
}

fn line_of((timestamp, seq): (i64, i64), line: String, labels: LineLabels) -> Line {
    let mut answer = Line {
        timestamp,
        seq,
        line,
        stream: Labels::empty(),
        structured_metadata: Vec::new(),
        parsed: Vec::new(),
    };
    let mut stream = Vec::new();
    for Label {
        name,
        value,
        origin,
    } in labels.0
    {
        match origin {
            Origin::Stream => stream.push((name, value)),
            Origin::Structured => answer.structured_metadata.push((name, value)),
            Origin::Parsed => answer.parsed.push((name, value)),
        }
    }
    answer.stream = Labels::new(stream);
    answer.structured_metadata.sort();
    answer.parsed.sort();
    answer
}

pub(super) fn compile(stages: &[Stage]) -> Result<Pipeline, LogQlError> {
    Pipeline::new(stages).map_err(LogQlError::Invalid)
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
            ExprKind::LabelReplace {
                inner,
                destination,
                replacement,
                source,
                pattern,
            } => match self.combine(inner, read)? {
                Value::Vector(series) => Value::Vector(
                    values::replace_label(series, destination, replacement, source, pattern)
                        .map_err(LogQlError::Invalid)?,
                ),
                Value::Scalar(_) => {
                    return Err(LogQlError::Invalid(format!(
                        "label_replace takes label sets, and this is a number: {inner}"
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
            let mut batches = self.source.execute(gathering.plan()).await?;
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
        ExprKind::LabelReplace { inner, .. } => collect_ranges(inner, None, ranges),
        ExprKind::Binary { left, right, .. } => {
            collect_ranges(left, None, ranges);
            collect_ranges(right, None, ranges);
        }
        ExprKind::Log(_) | ExprKind::Vector(_) | ExprKind::Number(_) => {}
    }
}
