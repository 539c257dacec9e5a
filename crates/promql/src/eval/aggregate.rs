//! Aggregations that make one number of each group.

use std::collections::HashMap;

use model::Labels;
use model::labels::METRIC_NAME;

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::kahan::{KahanSum, Mean, Variance};
use super::plan::Node;
use super::quantile::{invalid_quantile, quantile};
use super::select_k;
use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::span::Span;
use crate::value::Annotations;

/// The columns of a group, by their index.
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) members: Vec<usize>,
}

/// The labels that stay.
pub(super) fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    labels.filter(|name| {
        let named = grouping.labels.iter().any(|label| label == name);
        match grouping.without {
            true => !named && name != METRIC_NAME,
            false => named,
        }
    })
}

/// Columns by the labels that stay, in the order of their first members.
pub(super) fn group(columns: &[Column], grouping: &Grouping) -> Vec<Group> {
    let mut index_of: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (member, column) in columns.iter().enumerate() {
        let labels = group_labels(&column.labels, grouping);
        let index = *index_of.entry(labels.clone()).or_insert_with(|| {
            groups.push(Group {
                labels,
                members: Vec::new(),
            });
            groups.len() - 1
        });
        groups[index].members.push(member);
    }
    groups
}

pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    aggregate: &Aggregate,
) -> Result<Vec<Column>, EvalError> {
    let span = node.expr.span;
    let (parameter, operand) = match node.children.as_slice() {
        [operand] => (None, operand),
        [parameter, operand] => (Some(parameter), operand),
        _ => return Err(EvalError::execution(span, "an aggregation needs a vector")),
    };
    let columns = evaluation.vector(operand)?;
    let number = match aggregate.op {
        AggregateOp::CountValues => {
            let label = match parameter {
                Some(parameter) => evaluation.string(parameter)?,
                None => String::new(),
            };
            return count_values(evaluation, node, aggregate, &columns, &label);
        }
        _ => match parameter {
            Some(parameter) => evaluation.scalar(parameter)?,
            None => Vec::new(),
        },
    };
    let groups = group(&columns, &aggregate.grouping);
    match aggregate.op {
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => {
            let parameter_span = parameter.map_or(span, |node| node.expr.span);
            select_k::select(
                evaluation,
                node,
                aggregate.op,
                columns,
                &groups,
                &number,
                parameter_span,
            )
        }
        op => {
            if let (AggregateOp::Quantile, Some(parameter)) = (op, parameter) {
                for message in number.iter().filter_map(|q| invalid_quantile(*q)) {
                    evaluation.annotations.warn(parameter.expr.span, message);
                }
            }
            evaluation.check_size(groups.len(), node.steps.len())?;
            reduce(
                evaluation,
                node,
                operand.expr.span,
                op,
                &columns,
                &groups,
                &number,
            )
        }
    }
}

fn reduce(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    operand: Span,
    op: AggregateOp,
    columns: &[Column],
    groups: &[Group],
    number: &[f64],
) -> Result<Vec<Column>, EvalError> {
    let steps = node.steps.len();
    let mut results = Vec::with_capacity(groups.len());
    let mut floats: Vec<f64> = Vec::new();
    for group in groups {
        evaluation.check_cancelled()?;
        let mut cells = Vec::with_capacity(steps);
        for step in 0..steps {
            floats.clear();
            let mut histograms = 0;
            for member in &group.members {
                match &columns[*member].cells[step] {
                    Cell::Empty => {}
                    Cell::Float(value) => floats.push(*value),
                    Cell::Histogram(_) => histograms += 1,
                }
            }
            if histograms > 0 {
                let annotations = &mut evaluation.annotations;
                if !with_histograms(op, &floats, operand, annotations)? {
                    cells.push(Cell::Empty);
                    continue;
                }
            }
            let parameter = number.get(step).copied().unwrap_or(f64::NAN);
            cells.push(of_group(op, &mut floats, histograms, parameter).into());
        }
        let column = Column {
            labels: group.labels.clone(),
            // `by (__name__)` keeps a name, which may be one to be dropped.
            drop_name: columns[group.members[0]].drop_name,
            cells,
        };
        if !column.is_empty() {
            results.push(column);
        }
    }
    Ok(results)
}

/// What to do with a group that has histograms; whether its floats are to be aggregated.
fn with_histograms(
    op: AggregateOp,
    floats: &[f64],
    operand: Span,
    annotations: &mut Annotations,
) -> Result<bool, EvalError> {
    let name = op.as_str();
    match op {
        AggregateOp::Count | AggregateOp::Group => Ok(true),
        AggregateOp::Sum | AggregateOp::Avg if floats.is_empty() => Err(EvalError::unsupported(
            operand,
            format!("{name} of native histograms"),
        )),
        AggregateOp::Sum | AggregateOp::Avg => {
            let message = "encountered a mix of histograms and floats for aggregation";
            annotations.warn(operand, message);
            Ok(false)
        }
        _ => {
            annotations.info(operand, format!("ignored histogram in {name} aggregation"));
            Ok(true)
        }
    }
}

/// The number of a group at one step; `None` when nothing is in it.
fn of_group(op: AggregateOp, floats: &mut [f64], histograms: usize, parameter: f64) -> Option<f64> {
    let count = floats.len() + histograms;
    match op {
        AggregateOp::Count if count > 0 => return Some(count as f64),
        AggregateOp::Group if count > 0 => return Some(1.0),
        _ => {}
    }
    let (first, rest) = floats.split_first()?;
    let (first, rest) = (*first, rest.iter().copied());
    Some(match op {
        AggregateOp::Sum => rest
            .fold(KahanSum::starting_at(first), KahanSum::add)
            .total(),
        AggregateOp::Avg => {
            let mut mean = Mean::starting_at(first);
            rest.for_each(|value| mean.add(value));
            mean.value()
        }
        // NaN gives way to any number.
        AggregateOp::Min => rest.fold(
            first,
            |best, v| if v < best || best.is_nan() { v } else { best },
        ),
        AggregateOp::Max => rest.fold(
            first,
            |best, v| if v > best || best.is_nan() { v } else { best },
        ),
        AggregateOp::Stdvar | AggregateOp::Stddev => {
            let mut variance = Variance::default();
            variance.add(first);
            rest.for_each(|value| variance.add(value));
            match op {
                AggregateOp::Stddev => variance.value().sqrt(),
                _ => variance.value(),
            }
        }
        AggregateOp::Quantile => quantile(parameter, floats),
        _ => return None,
    })
}

/// How often each value occurs, in a label of its own.
fn count_values(
    evaluation: &Evaluation<'_>,
    node: &Node<'_>,
    aggregate: &Aggregate,
    columns: &[Column],
    label: &str,
) -> Result<Vec<Column>, EvalError> {
    if label.is_empty() {
        let message = format!("invalid label name {label:?}");
        return Err(EvalError::execution(node.expr.span, message));
    }
    let steps = node.steps.len();
    // The label of the value stays even when `by` does not name it, and goes when `without` does.
    let mut grouping = aggregate.grouping.clone();
    if !grouping.without {
        grouping.labels.push(label.to_owned());
    }
    let mut index_of: HashMap<Labels, usize> = HashMap::new();
    let mut results: Vec<Column> = Vec::new();
    for column in columns {
        for (step, cell) in column.cells.iter().enumerate() {
            let value = match cell {
                Cell::Empty => continue,
                Cell::Float(value) => go_decimal(*value),
                Cell::Histogram(_) => {
                    let what = "count_values of native histograms";
                    return Err(EvalError::unsupported(node.expr.span, what));
                }
            };
            let labels = group_labels(&column.labels.with(label, &value), &grouping);
            let index = match index_of.get(&labels) {
                Some(index) => *index,
                None => {
                    evaluation.check_size(results.len() + 1, steps)?;
                    index_of.insert(labels.clone(), results.len());
                    results.push(Column {
                        labels,
                        drop_name: column.drop_name,
                        cells: vec![Cell::Empty; steps],
                    });
                    results.len() - 1
                }
            };
            let cell = &mut results[index].cells[step];
            *cell = Cell::Float(cell.float().unwrap_or(0.0) + 1.0);
        }
    }
    Ok(results)
}

/// A number as Go's `%f` with the shortest exact digits: no exponent, `+Inf`, `NaN`.
fn go_decimal(value: f64) -> String {
    match value.is_infinite() {
        true if value > 0.0 => "+Inf".to_owned(),
        true => "-Inf".to_owned(),
        false => value.to_string(),
    }
}
