//! Function calls: each function by its name, those of range vectors elsewhere.

use model::Labels;

use super::column::{Cell, Column, Value, repeated};
use super::date::Civil;
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::selector::{self, Take};
use super::window::range_vector;
use super::{histogram_functions, info, label_functions, math, range_functions, sort};
use crate::ast::{Call, ExprKind};

pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    call: &Call,
) -> Result<Value, EvalError> {
    let name = call.function.name;
    if let Some(values) = scalar_function(evaluation, node, name)? {
        return Ok(Value::Scalar(values));
    }
    if let Some(columns) = range_functions::evaluate(evaluation, node, call) {
        return columns.map(Value::Vector);
    }
    if let Some(function) = math::find(name) {
        let columns = evaluation.vector(&node.children[0])?;
        return Ok(Value::Vector(map_floats(columns, |_, value| {
            function(value)
        })));
    }
    if let Some(function) = histogram_functions::find(name) {
        let columns = evaluation.vector(&node.children[0])?;
        return Ok(Value::Vector(histogram_functions::map(columns, function)));
    }
    if let Some(field) = date_field(name) {
        return dates(evaluation, node, field).map(Value::Vector);
    }
    vector_function(evaluation, node, name).map(Value::Vector)
}

/// Functions whose value is a scalar; `None` for other functions.
fn scalar_function(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    name: &str,
) -> Result<Option<Vec<f64>>, EvalError> {
    let steps = node.steps;
    let constant = |value: f64| vec![value; steps.len()];
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    let query = evaluation.query;
    Ok(Some(match name {
        "time" => steps.times().map(seconds).collect(),
        "pi" => constant(std::f64::consts::PI),
        "start" => constant(seconds(query.start_ms)),
        "end" => constant(seconds(query.end_ms)),
        "range" => constant(seconds(query.end_ms.saturating_sub(query.start_ms))),
        "step" => constant(seconds(evaluation.written_step_ms)),
        "max_of" | "min_of" => {
            let [a, b] = node.children.as_slice() else {
                return Ok(None);
            };
            let (a, b) = (evaluation.scalar(a)?, evaluation.scalar(b)?);
            let pick = if name == "max_of" {
                math::max
            } else {
                math::min
            };
            a.iter().zip(&b).map(|(a, b)| pick(*a, *b)).collect()
        }
        "scalar" => {
            let columns = evaluation.vector(&node.children[0])?;
            (0..steps.len())
                .map(|step| only_float(&columns, step))
                .collect()
        }
        _ => return Ok(None),
    }))
}

/// The one number at a step; NaN when there are none or several.
fn only_float(columns: &[Column], step: usize) -> f64 {
    let mut floats = columns
        .iter()
        .filter_map(|column| column.cells[step].float());
    match (floats.next(), floats.next()) {
        (Some(value), None) => value,
        _ => f64::NAN,
    }
}

fn vector_function(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    name: &str,
) -> Result<Vec<Column>, EvalError> {
    match name {
        "vector" => {
            let values = evaluation.scalar(&node.children[0])?;
            Ok(vec![Column {
                labels: Labels::empty(),
                drop_name: false,
                cells: values.into_iter().map(Cell::Float).collect(),
            }])
        }
        "absent" => {
            let columns = evaluation.vector(&node.children[0])?;
            let present = |step: usize| columns.iter().any(|c| !c.cells[step].is_empty());
            Ok(absent(node, present))
        }
        "absent_over_time" => absent_over_time(evaluation, node),
        "clamp" | "clamp_min" | "clamp_max" => clamp(evaluation, node, name),
        "round" => round(evaluation, node),
        "timestamp" => timestamp(evaluation, node),
        "label_replace" => label_functions::replace(evaluation, node),
        "label_join" => label_functions::join(evaluation, node),
        "sort" | "sort_desc" => {
            let columns = evaluation.vector(&node.children[0])?;
            Ok(match sorts(evaluation, node, name) {
                true => sort::by_value(columns, name == "sort_desc"),
                false => sort::only_floats(columns),
            })
        }
        "sort_by_label" | "sort_by_label_desc" => {
            let columns = evaluation.vector(&node.children[0])?;
            let labels = node.children[1..]
                .iter()
                .map(|label| evaluation.string(label))
                .collect::<Result<Vec<String>, EvalError>>()?;
            Ok(match sorts(evaluation, node, name) {
                true => sort::by_labels(columns, &labels, name == "sort_by_label_desc"),
                false => columns,
            })
        }
        "histogram_quantile" => histogram_functions::quantile(evaluation, node),
        "histogram_quantiles" => histogram_functions::quantiles(evaluation, node),
        "histogram_fraction" => histogram_functions::fraction(evaluation, node),
        "info" => info::evaluate(evaluation, node),
        other => Err(EvalError::execution(
            node.expr.span,
            format!("unknown function {other:?}"),
        )),
    }
}

/// Sorting means something for one step only: matrices are sorted by labels.
fn sorts(evaluation: &mut Evaluation<'_>, node: &Node<'_>, name: &str) -> bool {
    if evaluation.query.count() == 1 {
        return true;
    }
    let message = format!(
        "{name} is ineffective for range queries since results are always ordered by labels"
    );
    evaluation.annotations.warn(node.expr.span, message);
    false
}

/// Maps the numbers of columns; histograms are left out.
fn map_floats(columns: Vec<Column>, map: impl Fn(usize, f64) -> f64) -> Vec<Column> {
    let mut mapped: Vec<Column> = columns
        .into_iter()
        .map(|mut column| {
            for (step, cell) in column.cells.iter_mut().enumerate() {
                *cell = cell.float().map(|value| map(step, value)).into();
            }
            column.drop_name = true;
            column
        })
        .collect();
    mapped.retain(|column| !column.is_empty());
    mapped
}

/// 1 with the labels that the selector fixes, at steps where nothing is present.
fn absent(node: &Node<'_>, present: impl Fn(usize) -> bool) -> Vec<Column> {
    let cells = (0..node.steps.len())
        .map(|step| (!present(step)).then_some(1.0).into())
        .collect();
    let column = Column {
        labels: label_functions::fixed_by(node.children[0].expr),
        drop_name: false,
        cells,
    };
    match column.is_empty() {
        true => Vec::new(),
        false => vec![column],
    }
}

fn absent_over_time(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let vector = range_vector(evaluation, &node.children[0])?;
    let mut present = vec![false; node.steps.len()];
    for series in &vector.series {
        vector.slide(series, node.steps, 0, |step, view| {
            present[step] |= !view.is_empty();
            Ok::<(), EvalError>(())
        })?;
    }
    Ok(absent(node, |step| present[step]))
}

fn clamp(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    name: &str,
) -> Result<Vec<Column>, EvalError> {
    let columns = evaluation.vector(&node.children[0])?;
    let mut bounds = Vec::new();
    for bound in &node.children[1..] {
        bounds.push(evaluation.scalar(bound)?);
    }
    let steps = node.steps.len();
    let (low, high) = match (name, bounds.as_slice()) {
        ("clamp_min", [low]) => (low.clone(), vec![f64::INFINITY; steps]),
        ("clamp_max", [high]) => (vec![f64::NEG_INFINITY; steps], high.clone()),
        (_, [low, high]) => (low.clone(), high.clone()),
        _ => {
            return Err(EvalError::execution(
                node.expr.span,
                "clamp takes a vector and its bounds",
            ));
        }
    };
    let mut columns = columns;
    for column in &mut columns {
        for (step, cell) in column.cells.iter_mut().enumerate() {
            if high[step] < low[step] {
                *cell = Cell::Empty;
            }
        }
    }
    Ok(map_floats(columns, |step, value| {
        math::max(low[step], math::min(high[step], value))
    }))
}

fn round(evaluation: &mut Evaluation<'_>, node: &Node<'_>) -> Result<Vec<Column>, EvalError> {
    let columns = evaluation.vector(&node.children[0])?;
    let to_nearest = match node.children.get(1) {
        Some(argument) => evaluation.scalar(argument)?,
        None => vec![1.0; node.steps.len()],
    };
    Ok(map_floats(columns, |step, value| {
        // Multiplying by the inverse is more exact than dividing by 0.1 and the like.
        let inverse = 1.0 / to_nearest[step];
        (value * inverse + 0.5).floor() / inverse
    }))
}

/// The sample's time for a selector, the step's for anything else.
fn timestamp(evaluation: &mut Evaluation<'_>, node: &Node<'_>) -> Result<Vec<Column>, EvalError> {
    let mut argument = &node.children[0];
    while let ExprKind::Paren(_) = argument.expr.kind {
        argument = &argument.children[0];
    }
    if let ExprKind::Selector(selected) = &argument.expr.kind {
        let mut columns = selector::columns(evaluation, argument, selected, Take::Time)?;
        if argument.steps != node.steps {
            evaluation.check_size(columns.len(), node.steps.len())?;
            columns = repeated(columns, node.steps.len());
        }
        columns
            .iter_mut()
            .for_each(|column| column.drop_name = true);
        return Ok(columns);
    }
    let mut columns = evaluation.vector(&node.children[0])?;
    for column in &mut columns {
        column.drop_name = true;
        for (cell, time_ms) in column.cells.iter_mut().zip(node.steps.times()) {
            if !cell.is_empty() {
                *cell = Cell::Float(time_ms as f64 / 1_000.0);
            }
        }
    }
    Ok(columns)
}

/// The calendar field that the function called `name` takes.
fn date_field(name: &str) -> Option<fn(Civil) -> i64> {
    Some(match name {
        "year" => |date| date.year,
        "month" => |date| date.month,
        "day_of_month" => |date| date.day,
        "day_of_week" => Civil::weekday,
        "day_of_year" => Civil::day_of_year,
        "days_in_month" => Civil::days_in_month,
        "hour" => |date| date.hour,
        "minute" => |date| date.minute,
        _ => return None,
    })
}

/// The field of each number as a Unix time; without an argument, of the step.
fn dates(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    field: fn(Civil) -> i64,
) -> Result<Vec<Column>, EvalError> {
    let of = |seconds: f64| Civil::from_unix(seconds).map_or(f64::NAN, |date| field(date) as f64);
    let Some(argument) = node.children.first() else {
        let cells = node.steps.times();
        return Ok(vec![Column {
            labels: Labels::empty(),
            drop_name: false,
            cells: cells
                .map(|ms| Cell::Float(of(ms as f64 / 1_000.0)))
                .collect(),
        }]);
    };
    let columns = evaluation.vector(argument)?;
    Ok(map_floats(columns, |_, value| of(value)))
}
