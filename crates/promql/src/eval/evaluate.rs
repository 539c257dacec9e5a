//! Walking a plan: each node's columns from those of its children.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::column::{Cell, Column, Value, drop_names};
use super::error::EvalError;
use super::options::EvalOptions;
use super::plan::Node;
use super::steps::Steps;
use super::{aggregate, binary, call, native_histogram, result, selector};
use crate::ast::{Expr, ExprKind, ValueType};
use crate::span::Span;
use crate::value::{Annotations, QueryValue, Series, histogram_weight};

/// An evaluation under way.
pub(super) struct Evaluation<'a> {
    pub(super) fetched: &'a [Vec<Series>],
    pub(super) query: Steps,
    /// 0 in an instant query.
    pub(super) written_step_ms: i64,
    pub(super) options: &'a EvalOptions,
    pub(super) annotations: Annotations,
    /// See [`crate::QueryResult::samples_seen`].
    seen: AtomicU64,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(
        fetched: &'a [Vec<Series>],
        query: Steps,
        written_step_ms: i64,
        options: &'a EvalOptions,
    ) -> Self {
        Self {
            fetched,
            query,
            written_step_ms,
            options,
            annotations: Annotations::default(),
            seen: AtomicU64::new(0),
        }
    }

    /// Counts samples that steps looked at, when that is asked for.
    pub(super) fn see(&self, samples: impl FnOnce() -> u64) {
        if self.options.counts_samples {
            self.seen.fetch_add(samples(), Ordering::Relaxed);
        }
    }

    pub(super) fn samples_seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(super) fn into_annotations(self) -> Annotations {
        self.annotations
    }

    /// The query's value.
    pub(super) fn finish(&mut self, plan: &Node<'_>) -> Result<QueryValue, EvalError> {
        if plan.expr.value_type() == ValueType::Matrix {
            return result::window(self, plan);
        }
        let value = match self.evaluate(plan)? {
            Value::Vector(columns) => Value::Vector(drop_names(columns, plan.expr.span)?),
            other => other,
        };
        Ok(result::from_columns(value, self.query))
    }

    /// The value of a node at each of its steps.
    pub(super) fn evaluate(&mut self, node: &Node<'_>) -> Result<Value, EvalError> {
        self.check_cancelled()?;
        let seen_before = self.samples_seen();
        let value = self.evaluate_steps(node)?;
        let Some(count) = node.repeat else {
            return Ok(value);
        };
        // Every step would have looked at the same.
        let seen_once = self.samples_seen() - seen_before;
        self.see(|| seen_once * (count as u64 - 1));
        if let Value::Vector(columns) = &value {
            self.check_size(columns.len(), count)?;
        }
        Ok(value.repeated(count))
    }

    fn evaluate_steps(&mut self, node: &Node<'_>) -> Result<Value, EvalError> {
        match &node.expr.kind {
            ExprKind::Number(number) => Ok(Value::Scalar(vec![number.value; node.steps.len()])),
            ExprKind::String(text) => Ok(Value::String(text.clone())),
            ExprKind::Bytes(bytes) => {
                Ok(Value::String(String::from_utf8_lossy(bytes).into_owned()))
            }
            ExprKind::Paren(_) => self.evaluate(&node.children[0]),
            ExprKind::Unary(unary) => {
                let operand = self.evaluate(&node.children[0])?;
                match unary.negative {
                    true => negated(operand, node.expr.span),
                    false => Ok(operand),
                }
            }
            ExprKind::Binary(binary) => binary::evaluate(self, node, binary),
            ExprKind::Aggregate(aggregate) => {
                aggregate::evaluate(self, node, aggregate).map(Value::Vector)
            }
            ExprKind::Call(call) => call::evaluate(self, node, call),
            ExprKind::Selector(selected) => {
                selector::evaluate(self, node, selected).map(Value::Vector)
            }
            ExprKind::Range(_) | ExprKind::Subquery(_) => Err(EvalError::execution(
                node.expr.span,
                "a range vector can only be an argument of a function",
            )),
        }
    }

    /// The columns of a node that is an instant vector.
    pub(super) fn vector(&mut self, node: &Node<'_>) -> Result<Vec<Column>, EvalError> {
        match self.evaluate(node)? {
            Value::Vector(columns) => Ok(columns),
            _ => Err(wrong_type(node.expr, ValueType::Vector)),
        }
    }

    /// The numbers of a node that is a scalar.
    pub(super) fn scalar(&mut self, node: &Node<'_>) -> Result<Vec<f64>, EvalError> {
        match self.evaluate(node)? {
            Value::Scalar(values) => Ok(values),
            _ => Err(wrong_type(node.expr, ValueType::Scalar)),
        }
    }

    /// The text of a node that is a string.
    pub(super) fn string(&mut self, node: &Node<'_>) -> Result<String, EvalError> {
        match self.evaluate(node)? {
            Value::String(text) => Ok(text),
            _ => Err(wrong_type(node.expr, ValueType::String)),
        }
    }

    /// The text of a node that is the name of a label; otherwise the error with what `refuse`
    /// says about the text as it was written, in quotes.
    pub(super) fn label_name(
        &mut self,
        node: &Node<'_>,
        refuse: impl FnOnce(&str) -> String,
    ) -> Result<String, EvalError> {
        let literal = node.expr.unparenthesized();
        let name = self.string(node)?;
        if name.is_empty() || matches!(literal.kind, ExprKind::Bytes(_)) {
            let message = refuse(&literal.to_string());
            return Err(EvalError::execution(node.expr.span, message));
        }
        Ok(name)
    }

    pub(super) fn check_cancelled(&self) -> Result<(), EvalError> {
        match self.options.cancel.is_cancelled() {
            true => Err(EvalError::Cancelled),
            false => Ok(()),
        }
    }

    /// An account of the histograms that a node computes.
    pub(super) fn held_histograms(&self) -> HeldHistograms {
        HeldHistograms {
            weight: AtomicUsize::new(0),
            limit: self.options.limits.max_samples,
        }
    }

    /// On how many threads so many cells are worth computing.
    pub(super) fn threads_for(&self, cells: usize) -> usize {
        // Starting a thread takes about as long as computing this many.
        const CELLS_PER_THREAD: usize = 20_000;
        (cells / CELLS_PER_THREAD).clamp(1, self.options.threads.max(1))
    }

    /// Whether a vector of so many columns over so many steps may be made.
    pub(super) fn check_size(&self, columns: usize, steps: usize) -> Result<(), EvalError> {
        let limit = self.options.limits.max_samples;
        match columns.saturating_mul(steps) > limit {
            true => Err(EvalError::TooManySamples { limit }),
            false => Ok(()),
        }
    }
}

/// Histograms that were computed for one node, by what they weigh.
///
/// Numbers are accounted for before they are computed; how large a histogram is shows afterwards.
pub(super) struct HeldHistograms {
    weight: AtomicUsize,
    limit: usize,
}

impl HeldHistograms {
    /// Accounts for a computed cell.
    ///
    /// # Errors
    ///
    /// When the histograms of the node weigh more samples than are allowed.
    pub(super) fn hold(&self, cell: &Cell) -> Result<(), EvalError> {
        let Cell::Histogram(histogram) = cell else {
            return Ok(());
        };
        let weight = histogram_weight(histogram);
        let before = self.weight.fetch_add(weight, Ordering::Relaxed);
        match before.saturating_add(weight) > self.limit {
            true => Err(EvalError::TooManySamples { limit: self.limit }),
            false => Ok(()),
        }
    }
}

/// The parser checks types, so this tells of a tree that was not made by it.
fn wrong_type(expr: &Expr, expected: ValueType) -> EvalError {
    let message = format!(
        "expected {} here, got {}",
        expected.with_article(),
        expr.value_type().with_article()
    );
    EvalError::execution(expr.span, message)
}

fn negated(value: Value, span: Span) -> Result<Value, EvalError> {
    match value {
        Value::Scalar(mut values) => {
            values.iter_mut().for_each(|value| *value = -*value);
            Ok(Value::Scalar(values))
        }
        Value::Vector(mut columns) => {
            for column in &mut columns {
                column.drop_name = true;
                for cell in &mut column.cells {
                    match cell {
                        Cell::Empty => {}
                        Cell::Float(value) => *value = -*value,
                        Cell::Histogram(histogram) => {
                            *histogram = Arc::new(native_histogram::multiplied(histogram, -1.0));
                        }
                    }
                }
            }
            Ok(Value::Vector(columns))
        }
        Value::String(_) => Err(EvalError::execution(span, "a string has no sign")),
    }
}
