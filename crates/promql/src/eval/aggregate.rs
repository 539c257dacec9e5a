//! Aggregations that make one sample of each group.

use std::collections::HashMap;
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::{Labels, NativeHistogram};

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::histogram_sum::{HistogramMean, HistogramSum, Incompatible};
use super::kahan::{KahanSum, Mean, Variance};
use super::native_histogram;
use super::parallel;
use super::plan::Node;
use super::quantile::{invalid_quantile, quantile};
use super::remark::{Operation, Remark, Remarks};
use super::select_k;
use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::span::Span;

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
                Some(parameter) => evaluation
                    .label_name(parameter, |quoted| format!("invalid label name {quoted}"))?,
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
    let held = evaluation.held_histograms();
    let reduced = |group: &Group| -> Result<Reduced, EvalError> {
        evaluation.check_cancelled()?;
        let mut members = Members::default();
        let mut remarks = Remarks::default();
        let mut cells = Vec::with_capacity(steps);
        for step in 0..steps {
            members.collect(columns, group, step);
            let parameter = number.get(step).copied().unwrap_or(f64::NAN);
            let cell = members.reduced(op, parameter, &mut remarks);
            held.hold(&cell)?;
            cells.push(cell);
        }
        let column = Column {
            labels: group.labels.clone(),
            // `by (__name__)` keeps a name, which may be one to be dropped.
            drop_name: group
                .members
                .iter()
                .any(|member| columns[*member].drop_name),
            cells,
        };
        Ok(Reduced { column, remarks })
    };
    let threads = evaluation.threads_for(columns.len().saturating_mul(steps));
    let mut results = Vec::with_capacity(groups.len());
    for (group, reduced) in groups.iter().zip(parallel::map(groups, threads, reduced)?) {
        let about = &columns[group.members[0]].labels;
        reduced
            .remarks
            .note(&mut evaluation.annotations, about, operand);
        if !reduced.column.is_empty() {
            results.push(reduced.column);
        }
    }
    Ok(results)
}

/// What became of a group.
struct Reduced {
    column: Column,
    remarks: Remarks,
}

/// The samples of a group at one step.
#[derive(Default)]
struct Members<'c> {
    floats: Vec<f64>,
    histograms: Vec<&'c NativeHistogram>,
}

impl<'c> Members<'c> {
    fn collect(&mut self, columns: &'c [Column], group: &Group, step: usize) {
        self.floats.clear();
        self.histograms.clear();
        for member in &group.members {
            match &columns[*member].cells[step] {
                Cell::Empty => {}
                Cell::Float(value) => self.floats.push(*value),
                Cell::Histogram(histogram) => self.histograms.push(histogram),
            }
        }
    }

    /// What the aggregation makes of the samples, with remarks about histograms among them.
    fn reduced(&mut self, op: AggregateOp, parameter: f64, remarks: &mut Remarks) -> Cell {
        let count = self.floats.len() + self.histograms.len();
        match op {
            AggregateOp::Count if count > 0 => return Cell::Float(count as f64),
            AggregateOp::Group if count > 0 => return Cell::Float(1.0),
            _ => {}
        }
        if self.histograms.is_empty() {
            return of_floats(op, &mut self.floats, parameter).into();
        }
        if !matches!(op, AggregateOp::Sum | AggregateOp::Avg) {
            remarks.add(Remark::IgnoredInAggregation(op));
            return of_floats(op, &mut self.floats, parameter).into();
        }
        if !self.floats.is_empty() {
            remarks.add(Remark::MixedInAggregation);
            return Cell::Empty;
        }
        of_histograms(op, &self.histograms, remarks)
    }
}

/// The sum or mean of histograms.
fn of_histograms(op: AggregateOp, histograms: &[&NativeHistogram], remarks: &mut Remarks) -> Cell {
    let Some((first, rest)) = histograms.split_first() else {
        return Cell::Empty;
    };
    let result = if op == AggregateOp::Avg {
        let mut mean = HistogramMean::starting_at(first);
        add_all(rest, remarks, |histogram| mean.add(histogram))
            .then(|| (mean.resets_conflict(), mean.finish()))
    } else {
        let mut sum = HistogramSum::starting_at(first);
        add_all(rest, remarks, |histogram| sum.add(histogram))
            .then(|| (sum.resets_conflict(), sum.finish()))
    };
    let Some((resets_conflict, result)) = result else {
        return Cell::Empty;
    };
    if resets_conflict {
        remarks.add(Remark::ConflictingResets(Operation::Aggregation));
    }
    Cell::Histogram(Arc::new(result))
}

/// Adds histograms up; whether all of them go together.
fn add_all(
    histograms: &[&NativeHistogram],
    remarks: &mut Remarks,
    mut add: impl FnMut(&NativeHistogram) -> Result<bool, Incompatible>,
) -> bool {
    for histogram in histograms {
        match add(histogram) {
            Ok(false) => {}
            Ok(true) => remarks.add(Remark::BordersReconciled(Operation::Aggregation)),
            Err(Incompatible) => {
                remarks.add(Remark::MixedSchemas);
                return false;
            }
        }
    }
    true
}

/// The number of a group's numbers; `None` when there are none.
fn of_floats(op: AggregateOp, floats: &mut [f64], parameter: f64) -> Option<f64> {
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
                Cell::Histogram(histogram) => native_histogram::text(histogram),
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
    // Not in the order in which values came up, which depends on the steps.
    results.sort_by(|a, b| a.labels.cmp(&b.labels));
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
