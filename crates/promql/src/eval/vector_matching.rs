//! Operators between two vectors: which samples belong together, and what labels results have.

use std::collections::{HashMap, HashSet};

use model::Labels;
use model::labels::METRIC_NAME;

use super::binary::{Combined, combine};
use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::{Evaluation, HeldHistograms};
use super::plan::Node;
use super::remark::Remarks;
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
        held: evaluation.held_histograms(),
        remarks: Remarks::default(),
    };
    let groups = group(many, one, &binary.matching);
    for group in &groups.groups {
        evaluation.check_cancelled()?;
        matcher.group(group, steps)?;
    }
    let annotations = &mut evaluation.annotations;
    matcher
        .remarks
        .note(annotations, &Labels::empty(), node.expr.span);
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
    held: HeldHistograms,
    remarks: Remarks,
}

/// Two columns that belong together, either of which may be filled in, and where their results go.
struct Pair {
    labels: Labels,
    drop_name: bool,
    result: Option<usize>,
}

/// What is known of a group: its pairs, by the columns of the many and the one side, and the
/// labels of the results at the current step.
#[derive(Default)]
struct Known {
    pairs: HashMap<(usize, usize), Pair>,
    at_step: HashSet<Labels>,
}

/// Stands for a column that is filled in.
const FILLED: usize = usize::MAX;

impl Matcher<'_> {
    fn group(&mut self, group: &Group, steps: usize) -> Result<(), EvalError> {
        let fills = self.fill_many.is_some() || self.fill_one.is_some();
        let mut known = Known::default();
        for step in 0..steps {
            let both = self.many_at[step] && self.one_at[step];
            if !(both || fills) {
                continue;
            }
            let one = self.only_one(group, step)?;
            known.at_step.clear();
            let mut any_matched = false;
            for many in &group.left {
                if !self.many[*many].cells[step].is_empty() {
                    any_matched |= self.pair((*many, one), step, &mut known)?;
                }
            }
            if !any_matched && one != FILLED {
                self.pair((FILLED, one), step, &mut known)?;
            }
        }
        Ok(())
    }

    /// The column of the one side with a sample at the step; more than one is an error.
    fn only_one(&self, group: &Group, step: usize) -> Result<usize, EvalError> {
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
        Ok(first.copied().unwrap_or(FILLED))
    }

    /// Combines the samples of two columns at a step, either of which may be filled in.
    /// Whether there were two samples to combine.
    fn pair(
        &mut self,
        (many, one): (usize, usize),
        step: usize,
        known: &mut Known,
    ) -> Result<bool, EvalError> {
        let many_cell = cell_at(self.many, many, self.fill_many, step);
        let one_cell = cell_at(self.one, one, self.fill_one, step);
        if many_cell.is_empty() || one_cell.is_empty() {
            return Ok(false);
        }
        let (left, right) = match self.swapped {
            true => (&one_cell, &many_cell),
            false => (&many_cell, &one_cell),
        };
        let cell = match combine(self.binary.op, left, right, &mut self.remarks) {
            Combined::Nothing => return Ok(false),
            Combined::Value(value) => {
                self.held.hold(&value)?;
                value
            }
            Combined::Holds(holds) if self.binary.return_bool => {
                Cell::Float(f64::from(u8::from(holds)))
            }
            Combined::Holds(true) => left.clone(),
            Combined::Holds(false) => Cell::Empty,
        };
        let pairs = &mut known.pairs;
        let pair = pairs
            .entry((many, one))
            .or_insert_with(|| self.describe(many, one));
        // Too many matches are an error even where a comparison filters them out.
        self.check_unique(&pair.labels, &mut known.at_step)?;
        if !cell.is_empty() {
            let index = *pair.result.get_or_insert_with(|| {
                let order = match many {
                    FILLED => self.many.len().saturating_add(one),
                    many => many,
                };
                self.results.push(PairResult {
                    order: (order, one),
                    column: Column {
                        labels: pair.labels.clone(),
                        drop_name: pair.drop_name,
                        cells: vec![Cell::Empty; self.many_at.len()],
                    },
                });
                self.results.len() - 1
            });
            self.results[index].column.cells[step] = cell;
        }
        Ok(true)
    }

    /// The labels of a pair's results. What is filled in has those by which it would have matched.
    fn describe(&self, many: usize, one: usize) -> Pair {
        let matching = &self.binary.matching;
        let shared = |column: Option<&Column>| {
            column.map_or_else(Labels::empty, |column| signature(&column.labels, matching))
        };
        let (many_column, one_column) = (self.many.get(many), self.one.get(one));
        let many_labels = match many_column {
            Some(column) => column.labels.clone(),
            None => shared(one_column),
        };
        let one_labels = match one_column {
            Some(column) => column.labels.clone(),
            None => shared(many_column),
        };
        let many_drops = many_column.is_some_and(|column| column.drop_name);
        Pair {
            labels: self.result_labels(&many_labels, &one_labels),
            drop_name: self.binary.return_bool || (self.binary.op.keeps_metric() && many_drops),
            result: None,
        }
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
        if !self.binary.op.keeps_metric() {
            labels = labels.without_metric();
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

/// The cell of a column, or what is filled in for it.
fn cell_at(columns: &[Column], column: usize, fill: Option<Number>, step: usize) -> Cell {
    match columns.get(column) {
        Some(column) => column.cells[step].clone(),
        None => fill.map(|fill| fill.value).into(),
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
