//! Operators between two vectors: which samples belong together, and what labels results have.

use std::collections::{HashMap, HashSet};

use model::Labels;
use model::labels::METRIC_NAME;

use super::binary::{Combined, combine};
use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use crate::ast::{Binary, BinaryOp, Cardinality, Number, VectorMatching};
use crate::span::Span;

/// The labels by which samples of both sides find each other.
fn signature(labels: &Labels, matching: &VectorMatching) -> Labels {
    labels.filter(|name| {
        let named = matching.labels.iter().any(|label| label == name);
        match matching.on {
            true => named,
            false => !named && name != METRIC_NAME,
        }
    })
}

/// Columns with equal signatures.
#[derive(Default)]
struct Group {
    left: Vec<usize>,
    right: Vec<usize>,
}

/// The groups and, for each left and each right column, its group.
struct Groups {
    groups: Vec<Group>,
    of_left: Vec<usize>,
    of_right: Vec<usize>,
}

fn group(left: &[Column], right: &[Column], matching: &VectorMatching) -> Groups {
    let mut index_of: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    let mut find = |column: &Column| {
        let next = index_of.len();
        *index_of
            .entry(signature(&column.labels, matching))
            .or_insert(next)
    };
    let of_left: Vec<usize> = left.iter().map(&mut find).collect();
    let of_right: Vec<usize> = right.iter().map(&mut find).collect();
    groups.resize_with(index_of.len(), Group::default);
    for (column, index) in of_left.iter().enumerate() {
        groups[*index].left.push(column);
    }
    for (column, index) in of_right.iter().enumerate() {
        groups[*index].right.push(column);
    }
    Groups {
        groups,
        of_left,
        of_right,
    }
}

/// `and`, `or`, `unless`: samples pass by whether the other side has one of their signature.
pub(super) fn set(
    binary: &Binary,
    mut left: Vec<Column>,
    mut right: Vec<Column>,
    steps: usize,
) -> Vec<Column> {
    let groups = group(&left, &right, &binary.matching);
    let (kept, other, of_kept) = match binary.op {
        BinaryOp::Or => (&mut right, &left, &groups.of_right),
        _ => (&mut left, &right, &groups.of_left),
    };
    // For each group and step, whether the other side has a sample.
    let mut presence: Vec<Option<Vec<bool>>> = vec![None; groups.groups.len()];
    for (column, index) in kept.iter_mut().zip(of_kept) {
        let members = match binary.op {
            BinaryOp::Or => &groups.groups[*index].left,
            _ => &groups.groups[*index].right,
        };
        let present = presence[*index].get_or_insert_with(|| {
            let mut present = vec![false; steps];
            for member in members {
                for (there, cell) in present.iter_mut().zip(&other[*member].cells) {
                    *there |= !cell.is_empty();
                }
            }
            present
        });
        for (cell, there) in column.cells.iter_mut().zip(present) {
            if *there != (binary.op == BinaryOp::And) {
                *cell = Cell::Empty;
            }
        }
    }
    let mut columns = left;
    if binary.op == BinaryOp::Or {
        columns.append(&mut right);
    }
    columns.retain(|column| !column.is_empty());
    columns
}

/// Arithmetic and comparison of the samples that belong together.
pub(super) fn pairs(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    binary: &Binary,
    left: &[Column],
    right: &[Column],
) -> Result<Vec<Column>, EvalError> {
    // The "many" side first: one to many is many to one seen from the other side.
    let swapped = binary.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped {
        (right, left)
    } else {
        (left, right)
    };
    let fills = (binary.matching.fill_left, binary.matching.fill_right);
    let (fill_many, fill_one) = if swapped { (fills.1, fills.0) } else { fills };
    let steps = node.steps.len();
    let mut matcher = Matcher {
        binary,
        span: node.expr.span,
        swapped,
        many,
        one,
        many_at: any_at(many, steps),
        one_at: any_at(one, steps),
        fill_many,
        fill_one,
        results: Vec::new(),
    };
    let groups = group(many, one, &binary.matching);
    for group in &groups.groups {
        evaluation.check_cancelled()?;
        matcher.group(evaluation, group, steps)?;
    }
    // In the order of the many side, whatever the order of the groups.
    matcher.results.sort_by_key(|result| result.order);
    let results = matcher.results.into_iter();
    Ok(results.map(|result| result.column).collect())
}

/// Whether any column has a sample, for each step.
fn any_at(columns: &[Column], steps: usize) -> Vec<bool> {
    let mut any = vec![false; steps];
    for column in columns {
        for (there, cell) in any.iter_mut().zip(&column.cells) {
            *there |= !cell.is_empty();
        }
    }
    any
}

/// A result and its place: the column of the many side (those of the one side come after) and
/// the one matched.
struct PairResult {
    order: (usize, usize),
    column: Column,
}

struct Matcher<'c> {
    binary: &'c Binary,
    span: Span,
    swapped: bool,
    many: &'c [Column],
    one: &'c [Column],
    many_at: Vec<bool>,
    one_at: Vec<bool>,
    fill_many: Option<Number>,
    fill_one: Option<Number>,
    results: Vec<PairResult>,
}

/// A sample that takes part in an operation.
#[derive(Clone, Copy)]
struct Side<'s> {
    cell: &'s Cell,
    labels: &'s Labels,
    drop_name: bool,
}

impl Matcher<'_> {
    fn group(
        &mut self,
        evaluation: &mut Evaluation<'_>,
        group: &Group,
        steps: usize,
    ) -> Result<(), EvalError> {
        let fills = self.fill_many.is_some() || self.fill_one.is_some();
        // Where to put the result of a pair of columns; usize::MAX stands for a filled side.
        let mut result_of: HashMap<(usize, usize), usize> = HashMap::new();
        for step in 0..steps {
            let both = self.many_at[step] && self.one_at[step];
            if !(both || fills) {
                continue;
            }
            let one = self.only_one(group, step)?;
            let mut matched: HashSet<Labels> = HashSet::new();
            let mut any_matched = false;
            for many in &group.left {
                let cell = &self.many[*many].cells[step];
                if cell.is_empty() {
                    continue;
                }
                any_matched |= self.pair(
                    evaluation,
                    (Some(*many), one),
                    step,
                    &mut matched,
                    &mut result_of,
                )?;
            }
            if !any_matched && one.is_some() && self.fill_many.is_some() {
                self.pair(evaluation, (None, one), step, &mut matched, &mut result_of)?;
            }
        }
        Ok(())
    }

    /// The column of the one side with a sample at the step; more than one is an error.
    fn only_one(&self, group: &Group, step: usize) -> Result<Option<usize>, EvalError> {
        let mut present = group
            .right
            .iter()
            .filter(|column| !self.one[**column].cells[step].is_empty());
        let first = present.next();
        if let (Some(first), Some(second)) = (first, present.next()) {
            let side = if self.swapped { "left" } else { "right" };
            let first = &self.one[*first].labels;
            let second = &self.one[*second].labels;
            let shared = signature(first, &self.binary.matching);
            return Err(EvalError::execution(
                self.span,
                format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    braced(&shared),
                    braced(second),
                    braced(first),
                ),
            ));
        }
        Ok(first.copied())
    }

    /// Combines the samples of two columns at a step, either of which may be filled in.
    /// Whether there were two samples to combine.
    fn pair(
        &mut self,
        evaluation: &mut Evaluation<'_>,
        (many, one): (Option<usize>, Option<usize>),
        step: usize,
        matched: &mut HashSet<Labels>,
        result_of: &mut HashMap<(usize, usize), usize>,
    ) -> Result<bool, EvalError> {
        let filled_many = self.fill_many.map(|fill| Cell::Float(fill.value));
        let filled_one = self.fill_one.map(|fill| Cell::Float(fill.value));
        let known = many
            .map(|column| &self.many[column])
            .or(one.map(|column| &self.one[column]));
        let Some(known) = known else {
            return Ok(false);
        };
        // What is filled in has the labels by which it would have matched.
        let shared = signature(&known.labels, &self.binary.matching);
        let side =
            |column: Option<&'_ Column>, filled: &Option<Cell>| -> Option<(Cell, Labels, bool)> {
                match column {
                    Some(column) => Some((
                        column.cells[step].clone(),
                        column.labels.clone(),
                        column.drop_name,
                    )),
                    None => Some((filled.clone()?, shared.clone(), false)),
                }
            };
        let many_side = side(many.map(|column| &self.many[column]), &filled_many);
        let one_side = side(one.map(|column| &self.one[column]), &filled_one);
        let (Some(many_side), Some(one_side)) = (many_side, one_side) else {
            return Ok(false);
        };
        let many_side = Side {
            cell: &many_side.0,
            labels: &many_side.1,
            drop_name: many_side.2,
        };
        let one_side = Side {
            cell: &one_side.0,
            labels: &one_side.1,
            drop_name: one_side.2,
        };
        let (left, right) = match self.swapped {
            true => (one_side, many_side),
            false => (many_side, one_side),
        };
        let op = self.binary.op;
        let annotations = &mut evaluation.annotations;
        let combined = combine(op, left.cell, right.cell, self.span, annotations)?;
        let cell = match combined {
            Combined::Nothing => return Ok(true),
            Combined::Value(value) => Cell::Float(value),
            Combined::Holds(holds) if self.binary.return_bool => {
                Cell::Float(f64::from(u8::from(holds)))
            }
            Combined::Holds(true) => left.cell.clone(),
            Combined::Holds(false) => Cell::Empty,
        };
        let labels = self.result_labels(many_side.labels, one_side.labels);
        self.check_unique(&labels, matched)?;
        if cell.is_empty() {
            return Ok(true);
        }
        let key = (
            many.unwrap_or_else(|| self.many.len() + one.unwrap_or(0)),
            one.unwrap_or(usize::MAX),
        );
        let results = &mut self.results;
        let index = *result_of.entry(key).or_insert_with(|| {
            results.push(PairResult {
                order: key,
                column: Column {
                    labels,
                    drop_name: self.binary.return_bool
                        || (op.is_comparison() && many_side.drop_name),
                    cells: vec![Cell::Empty; self.many_at.len()],
                },
            });
            results.len() - 1
        });
        results[index].column.cells[step] = cell;
        Ok(true)
    }

    /// One to one, a group has one result; many to one, results differ in their labels.
    fn check_unique(
        &self,
        labels: &Labels,
        matched: &mut HashSet<Labels>,
    ) -> Result<(), EvalError> {
        let message = match self.binary.matching.cardinality {
            Cardinality::OneToOne if !matched.is_empty() => {
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            }
            _ if matched.contains(labels) => {
                "multiple matches for labels: grouping labels must ensure unique matches"
            }
            _ => {
                matched.insert(labels.clone());
                return Ok(());
            }
        };
        Err(EvalError::execution(self.span, message))
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let named = |name: &str| matching.labels.iter().any(|label| label == name);
        let mut labels = many.clone();
        if !self.binary.op.is_comparison() {
            labels = labels.without(METRIC_NAME);
        }
        if matching.cardinality == Cardinality::OneToOne {
            labels = labels.filter(|name| named(name) == matching.on);
        }
        for name in &matching.include {
            labels = labels.with(name, one.get(name).unwrap_or(""));
        }
        labels
    }
}

/// A label set as Prometheus' errors print it: all labels inside of the braces.
fn braced(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}
