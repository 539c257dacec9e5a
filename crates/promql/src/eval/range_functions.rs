//! Functions of range vectors: what each makes of the samples that a step sees.

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::{Evaluation, HeldHistograms};
use super::native_histogram;
use super::plan::Node;
use super::quantile::invalid_quantile;
use super::rate::{self, RateKind};
use super::remark::{Remark, Remarks};
use super::window::{RangeSeries, RangeVector, View, ViewSample, range_vector};
use super::{over_time, parallel, trend};
use crate::ast::{Call, RangeExtension, ValueType};
use crate::span::Span;

use model::Labels;
use model::labels::{METRIC_NAME, METRIC_TYPE};

/// What a function makes of one view.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    cell: Cell,
    remarks: Vec<Remark>,
}

impl Outcome {
    /// No sample at this step.
    pub(super) const NOTHING: Self = Self {
        cell: Cell::Empty,
        remarks: Vec::new(),
    };

    /// No sample, and why.
    pub(super) fn remark(remark: Remark) -> Self {
        Self::NOTHING.with(remark)
    }

    /// The same with another remark.
    pub(super) fn with(mut self, remark: Remark) -> Self {
        self.remarks.push(remark);
        self
    }

    /// The number a function found in the floats, with a remark when it passed over histograms.
    pub(super) fn ignoring_histograms(view: &View<'_>, value: Option<f64>) -> Self {
        let outcome = Self::from(Cell::from(value));
        match view.is_mixed() {
            true => outcome.with(Remark::IgnoredInRange),
            false => outcome,
        }
    }
}

impl From<f64> for Outcome {
    fn from(value: f64) -> Self {
        Cell::Float(value).into()
    }
}

impl From<Cell> for Outcome {
    fn from(cell: Cell) -> Self {
        Self {
            cell,
            ..Self::NOTHING
        }
    }
}

/// A function of a view, its scalar arguments at the step, and the selector's extension.
pub(super) type RangeFunction = fn(&View<'_>, &[f64], Option<RangeExtension>) -> Outcome;

/// The function called `name`, when it takes a range vector.
fn find(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "rate" => |view, _, extension| {
            change(
                view,
                RateKind {
                    is_counter: true,
                    per_second: true,
                },
                extension,
            )
        },
        "increase" => |view, _, extension| {
            change(
                view,
                RateKind {
                    is_counter: true,
                    per_second: false,
                },
                extension,
            )
        },
        "delta" => |view, _, extension| {
            change(
                view,
                RateKind {
                    is_counter: false,
                    per_second: false,
                },
                extension,
            )
        },
        "irate" => |view, _, _| rate::instant(view, true),
        "idelta" => |view, _, _| rate::instant(view, false),
        "changes" => |view, _, extension| {
            steps_between(view, extension, |before, now| match (before, now) {
                (ViewSample::Float(a), ViewSample::Float(b)) => {
                    a != b && !(a.is_nan() && b.is_nan())
                }
                (ViewSample::Histogram(a), ViewSample::Histogram(b)) => {
                    !native_histogram::same(a, b)
                }
                _ => true,
            })
        },
        "resets" => |view, _, extension| {
            steps_between(view, extension, |before, now| match (before, now) {
                (ViewSample::Float(a), ViewSample::Float(b)) => b < a,
                (ViewSample::Histogram(a), ViewSample::Histogram(b)) => b.is_reset_after(a),
                _ => true,
            })
        },
        _ => return over_time::find(name).or_else(|| trend::find(name)),
    })
}

/// Evaluates a call of a function that takes a range vector; `None` for other functions.
pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    call: &Call,
) -> Option<Result<Vec<Column>, EvalError>> {
    let function = find(call.function.name)?;
    Some(over_series(evaluation, node, call, function))
}

fn over_series(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    call: &Call,
    function: RangeFunction,
) -> Result<Vec<Column>, EvalError> {
    let mut vector = None;
    let mut argument = &node.children[0];
    let mut scalars: Vec<Vec<f64>> = Vec::new();
    for child in &node.children {
        if child.expr.value_type() == ValueType::Matrix {
            argument = child;
            vector = Some(range_vector(evaluation, child)?);
        } else {
            scalars.push(evaluation.scalar(child)?);
        }
    }
    let Some(vector) = vector else {
        return Err(EvalError::execution(
            node.expr.span,
            "expected a range vector",
        ));
    };
    let name = call.function.name;
    check_extension(name, &vector, argument.expr.span)?;
    check_scalars(evaluation, name, &scalars, node)?;
    evaluation.check_size(vector.series.len(), node.steps.len())?;

    let keeps_name = matches!(name, "first_over_time" | "last_over_time");
    let work = Work {
        evaluation,
        node,
        vector: &vector,
        span: argument.expr.span,
        scalars: &scalars,
        function,
        held: evaluation.held_histograms(),
    };
    let steps = node.steps.len();
    let threads = evaluation.threads_for(vector.series.len().saturating_mul(steps));
    let computed = parallel::map(&vector.series, threads, |series| work.cells(series))?;
    let mut columns = Vec::with_capacity(vector.series.len());
    for (series, (cells, remarks)) in vector.series.iter().zip(computed) {
        let annotations = &mut evaluation.annotations;
        remarks.note(annotations, &series.labels, argument.expr.span);
        let column = Column {
            labels: series.labels.clone(),
            drop_name: !keeps_name || series.drop_name,
            cells,
        };
        if column.is_empty() {
            continue;
        }
        let any_float = column.cells.iter().any(|cell| cell.float().is_some());
        if matches!(name, "rate" | "increase") && any_float {
            note_possible_non_counter(evaluation, &series.labels, argument.expr.span);
        }
        columns.push(column);
    }
    Ok(columns)
}

/// What is to be done with every series.
struct Work<'w, 'e> {
    evaluation: &'w Evaluation<'e>,
    node: &'w Node<'w>,
    vector: &'w RangeVector<'w>,
    /// The range vector's expression.
    span: Span,
    scalars: &'w [Vec<f64>],
    function: RangeFunction,
    held: HeldHistograms,
}

impl Work<'_, '_> {
    /// What the function makes of a series at each step.
    fn cells(&self, series: &RangeSeries<'_>) -> Result<(Vec<Cell>, Remarks), EvalError> {
        self.evaluation.check_cancelled()?;
        let extension = self.vector.extension;
        let mut cells = vec![Cell::Empty; self.node.steps.len()];
        let mut remarks = Remarks::default();
        let mut at_step: Vec<f64> = vec![0.0; self.scalars.len()];
        let lookback_ms = self.evaluation.options.lookback_ms;
        let each = |step: usize, view: &View<'_>| {
            if view.is_empty() {
                return Ok(());
            }
            if extension.is_some() && !view.histograms.is_empty() {
                return Err(EvalError::extended_histograms(self.span));
            }
            for (value, values) in at_step.iter_mut().zip(self.scalars) {
                *value = values[step];
            }
            let outcome = (self.function)(view, &at_step, extension);
            remarks.extend(outcome.remarks);
            self.held.hold(&outcome.cell)?;
            cells[step] = outcome.cell;
            Ok(())
        };
        self.vector
            .slide(series, self.node.steps, lookback_ms, each)?;
        Ok((cells, remarks))
    }
}

/// Samples outside of the window mean something to a few functions only.
fn check_extension(name: &str, vector: &RangeVector<'_>, span: Span) -> Result<(), EvalError> {
    let (extension, functions): (_, &[&str]) = match vector.extension {
        None => return Ok(()),
        Some(RangeExtension::Anchored) => (
            "anchored",
            &["changes", "delta", "increase", "rate", "resets"],
        ),
        Some(RangeExtension::Smoothed) => ("smoothed", &["delta", "increase", "rate"]),
    };
    if functions.contains(&name) {
        return Ok(());
    }
    Err(EvalError::execution(
        span,
        format!(
            "{extension} modifier can only be used with: {} - not with {name}",
            functions.join(", ")
        ),
    ))
}

fn check_scalars(
    evaluation: &mut Evaluation<'_>,
    name: &str,
    scalars: &[Vec<f64>],
    node: &Node<'_>,
) -> Result<(), EvalError> {
    match (name, scalars) {
        ("quantile_over_time", [quantiles]) => {
            let span = node.children[0].expr.span;
            for message in quantiles.iter().filter_map(|q| invalid_quantile(*q)) {
                evaluation.annotations.warn(span, message);
            }
        }
        ("double_exponential_smoothing", [smoothing, trend]) => {
            let factors = [
                ("smoothing factor", "sf", smoothing),
                ("trend factor", "tf", trend),
            ];
            for (what, short, values) in factors {
                // Written so that NaN is outside.
                if let Some(bad) = values.iter().find(|v| !(**v > 0.0 && **v < 1.0)) {
                    return Err(EvalError::execution(
                        node.expr.span,
                        format!("invalid {what}. Expected: 0 < {short} < 1, got: {bad:.6}"),
                    ));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn note_possible_non_counter(evaluation: &mut Evaluation<'_>, labels: &Labels, span: Span) {
    let Some(name) = labels.get(METRIC_NAME) else {
        return;
    };
    if let Some(kind) = labels.get(METRIC_TYPE) {
        if !matches!(kind, "counter" | "histogram") {
            evaluation.annotations.info(
                span,
                format!("metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {kind:?}: {name:?}"),
            );
        }
        return;
    }
    if ["_total", "_sum", "_count", "_bucket"]
        .iter()
        .any(|end| name.ends_with(end))
    {
        return;
    }
    evaluation.annotations.info(
        span,
        format!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"),
    );
}

fn change(view: &View<'_>, kind: RateKind, extension: Option<RangeExtension>) -> Outcome {
    match extension {
        None => rate::extrapolated(view, kind),
        Some(extension) => rate::extended(view, kind, extension),
    }
}

/// How many neighbours are such that `counts` counts them.
fn steps_between(
    view: &View<'_>,
    extension: Option<RangeExtension>,
    counts: fn(&ViewSample<'_>, &ViewSample<'_>) -> bool,
) -> Outcome {
    let mut first = 0;
    if extension == Some(RangeExtension::Anchored) {
        let after_start = view.times.partition_point(|t| *t <= view.window.after_ms);
        if after_start >= view.times.len() {
            return Outcome::NOTHING;
        }
        first = after_start.saturating_sub(1);
    }
    let mut samples = view.samples().skip(first);
    let Some((_, mut before)) = samples.next() else {
        return Outcome::NOTHING;
    };
    let mut counted = 0.0;
    for (_, now) in samples {
        if counts(&before, &now) {
            counted += 1.0;
        }
        before = now;
    }
    counted.into()
}
