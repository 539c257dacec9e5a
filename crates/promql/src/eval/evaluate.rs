//! Walking a plan: each node's columns from those of its children.

use super::column::{Cell, Column, Value, drop_names};
use super::error::EvalError;
use super::options::EvalOptions;
use super::plan::Node;
use super::steps::Steps;
use super::{aggregate, binary, call, result, selector};
use crate::ast::{Expr, ExprKind, ValueType};
use crate::span::Span;
use crate::value::{Annotations, QueryValue, Series};

/// An evaluation under way.
pub(super) struct Evaluation<'a> {
    pub(super) fetched: &'a [Vec<Series>],
    pub(super) query: Steps,
    /// 0 in an instant query.
    pub(super) written_step_ms: i64,
    pub(super) options: &'a EvalOptions,
    pub(super) annotations: Annotations,
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
        }
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
        let value = self.evaluate_steps(node)?;
        let Some(count) = node.repeat else {
            return Ok(value);
        };
        if let Value::Vector(columns) = &value {
            self.check_size(columns.len(), count)?;
        }
        Ok(value.repeated(count))
    }

    fn evaluate_steps(&mut self, node: &Node<'_>) -> Result<Value, EvalError> {
        match &node.expr.kind {
            ExprKind::Number(number) => Ok(Value::Scalar(vec![number.value; node.steps.len()])),
            ExprKind::String(text) => Ok(Value::String(text.clone())),
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

    pub(super) fn check_cancelled(&self) -> Result<(), EvalError> {
        match self.options.cancel.is_cancelled() {
            true => Err(EvalError::Cancelled),
            false => Ok(()),
        }
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
                        Cell::Histogram(_) => {
                            let what = "the sign of native histograms";
                            return Err(EvalError::unsupported(span, what));
                        }
                    }
                }
            }
            Ok(Value::Vector(columns))
        }
        Value::String(_) => Err(EvalError::execution(span, "a string has no sign")),
    }
}
