//! Functions of range vectors: what each makes of the samples that a step sees.

use model::Labels;
use model::labels::METRIC_NAME;

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::quantile::invalid_quantile;
use super::rate::{self, RateKind};
use super::window::{RangeVector, View, range_vector};
use super::{over_time, trend};
use crate::ast::{Call, RangeExtension, ValueType};
use crate::span::Span;

/// What a function makes of one view.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    cell: Cell,
    remark: Option<Remark>,
    needs_histograms: bool,
}

/// What there is to say about a view with histograms in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remark {
    /// The view was left out, since it has samples of both kinds.
    MixedFloatsHistograms,
    /// The view's histograms were left out.
    HistogramsIgnored,
}

impl Outcome {
    /// No sample at this step.
    pub(super) const NOTHING: Self = Self {
        cell: Cell::Empty,
        remark: None,
        needs_histograms: false,
    };
    /// The view needs arithmetic on native histograms.
    pub(super) const NEEDS_HISTOGRAMS: Self = Self {
        needs_histograms: true,
        ..Self::NOTHING
    };

    /// No sample, and why.
    pub(super) fn remark(remark: Remark) -> Self {
        Self {
            remark: Some(remark),
            ..Self::NOTHING
        }
    }

    /// For functions that work on floats alone or histograms alone: what to do with a view that
    /// has histograms.
    pub(super) fn of_histograms(view: &View<'_>) -> Option<Self> {
        match (view.times.is_empty(), view.histogram_times.is_empty()) {
            (_, true) => None,
            (true, false) => Some(Self::NEEDS_HISTOGRAMS),
            (false, false) => Some(Self::remark(Remark::MixedFloatsHistograms)),
        }
    }

    /// The number a function found in the floats, with a remark when it passed over histograms.
    pub(super) fn ignoring_histograms(view: &View<'_>, value: Option<f64>) -> Self {
        let mixed = !view.times.is_empty() && !view.histogram_times.is_empty();
        Self {
            cell: value.into(),
            remark: mixed.then_some(Remark::HistogramsIgnored),
            needs_histograms: false,
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
            steps_between(view, extension, |a, b| {
                a != b && !(a.is_nan() && b.is_nan())
            })
        },
        "resets" => |view, _, extension| steps_between(view, extension, |a, b| b < a),
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
    let lookback_ms = evaluation.options.lookback_ms;
    let mut columns = Vec::with_capacity(vector.series.len());
    for series in &vector.series {
        evaluation.check_cancelled()?;
        let mut cells = vec![Cell::Empty; node.steps.len()];
        let mut at_step: Vec<f64> = vec![0.0; scalars.len()];
        vector.slide(series, node.steps, lookback_ms, |step, view| {
            if view.is_empty() {
                return Ok(());
            }
            for (value, values) in at_step.iter_mut().zip(&scalars) {
                *value = values[step];
            }
            let outcome = function(view, &at_step, vector.extension);
            if outcome.needs_histograms {
                let what = format!("{name} over native histograms");
                return Err(EvalError::unsupported(node.expr.span, what));
            }
            if let Some(remark) = outcome.remark {
                annotate(evaluation, remark, &series.labels, argument.expr.span);
            }
            cells[step] = outcome.cell;
            Ok(())
        })?;
        let column = Column {
            labels: series.labels.clone(),
            drop_name: !keeps_name || series.drop_name,
            cells,
        };
        if column.is_empty() {
            continue;
        }
        if matches!(name, "rate" | "increase") {
            note_possible_non_counter(evaluation, &series.labels, argument.expr.span);
        }
        columns.push(column);
    }
    Ok(columns)
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

fn annotate(evaluation: &mut Evaluation<'_>, remark: Remark, labels: &Labels, span: Span) {
    let name = labels.get(METRIC_NAME).unwrap_or_default();
    match remark {
        Remark::MixedFloatsHistograms => evaluation.annotations.warn(
            span,
            format!("encountered a mix of histograms and floats for metric name {name:?}"),
        ),
        Remark::HistogramsIgnored => evaluation.annotations.info(
            span,
            format!("ignored histograms in a range containing both floats and histograms for metric name {name:?}"),
        ),
    }
}

fn note_possible_non_counter(evaluation: &mut Evaluation<'_>, labels: &Labels, span: Span) {
    let Some(name) = labels.get(METRIC_NAME) else {
        return;
    };
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

/// How many neighbours differ in the way of `counts`; a change of kind always does.
fn steps_between(
    view: &View<'_>,
    extension: Option<RangeExtension>,
    counts: fn(f64, f64) -> bool,
) -> Outcome {
    if !view.histogram_times.is_empty() {
        return Outcome::NEEDS_HISTOGRAMS;
    }
    let mut first = 0;
    if extension == Some(RangeExtension::Anchored) {
        let after_start = view.times.partition_point(|t| *t <= view.window.after_ms);
        if after_start >= view.times.len() {
            return Outcome::NOTHING;
        }
        first = after_start.saturating_sub(1);
    }
    let pairs = view.values[first..].windows(2);
    (pairs.filter(|pair| counts(pair[0], pair[1])).count() as f64).into()
}
