//! Operators between scalars and vectors.

use super::column::{Cell, Column, Value};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::vector_matching;
use crate::ast::{Binary, BinaryOp, ValueType};
use crate::span::Span;
use crate::value::Annotations;

pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    binary: &Binary,
) -> Result<Value, EvalError> {
    let [left, right] = node.children.as_slice() else {
        return Err(EvalError::execution(
            node.expr.span,
            "an operator needs two operands",
        ));
    };
    let types = (binary.left.value_type(), binary.right.value_type());
    match types {
        (ValueType::Scalar, ValueType::Scalar) => {
            let left = evaluation.scalar(left)?;
            let right = evaluation.scalar(right)?;
            let values = left
                .iter()
                .zip(&right)
                .map(|(a, b)| scalars(binary.op, *a, *b));
            Ok(Value::Scalar(values.collect()))
        }
        (ValueType::Vector, ValueType::Scalar) => {
            let columns = evaluation.vector(left)?;
            let numbers = evaluation.scalar(right)?;
            with_scalar(evaluation, node, binary, columns, &numbers, false)
        }
        (ValueType::Scalar, ValueType::Vector) => {
            let numbers = evaluation.scalar(left)?;
            let columns = evaluation.vector(right)?;
            with_scalar(evaluation, node, binary, columns, &numbers, true)
        }
        _ => {
            let left = evaluation.vector(left)?;
            let right = evaluation.vector(right)?;
            let columns = match binary.op.is_set() {
                true => vector_matching::set(binary, left, right, node.steps.len()),
                false => vector_matching::pairs(evaluation, node, binary, &left, &right)?,
            };
            Ok(Value::Vector(columns))
        }
    }
}

fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    match compare(op, a, b) {
        Some(holds) => f64::from(u8::from(holds)),
        None => arithmetic(op, a, b).unwrap_or(f64::NAN),
    }
}

/// The result of an arithmetic operator; `None` for others.
fn arithmetic(op: BinaryOp, a: f64, b: f64) -> Option<f64> {
    Some(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => return None,
    })
}

/// Whether a comparison holds; `None` for other operators.
fn compare(op: BinaryOp, a: f64, b: f64) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Less => a < b,
        BinaryOp::LessEqual => a <= b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterEqual => a >= b,
        _ => return None,
    })
}

/// What an operator makes of two samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Combined {
    /// A new value.
    Value(f64),
    /// A comparison; the result is the left sample, the number of the vector's side, or 0 and 1.
    Holds(bool),
    /// Nothing, since the samples' kinds do not go together.
    Nothing,
}

/// Applies `op` to two samples.
///
/// Operators on native histograms come with their arithmetic; combinations that mean nothing
/// give nothing and a remark, as in Prometheus.
pub(super) fn combine(
    op: BinaryOp,
    left: &Cell,
    right: &Cell,
    span: Span,
    annotations: &mut Annotations,
) -> Result<Combined, EvalError> {
    let (left_kind, right_kind) = match (left, right) {
        (Cell::Float(a), Cell::Float(b)) => {
            if let Some(holds) = compare(op, *a, *b) {
                return Ok(Combined::Holds(holds));
            }
            if let Some(value) = arithmetic(op, *a, *b) {
                return Ok(Combined::Value(value));
            }
            ("float", "float")
        }
        (Cell::Histogram(_), Cell::Float(_)) => {
            let works = matches!(
                op,
                BinaryOp::Mul | BinaryOp::Div | BinaryOp::TrimUpper | BinaryOp::TrimLower
            );
            if works {
                return Err(unsupported(op, span));
            }
            ("histogram", "float")
        }
        (Cell::Float(_), Cell::Histogram(_)) => {
            if op == BinaryOp::Mul {
                return Err(unsupported(op, span));
            }
            ("float", "histogram")
        }
        (Cell::Histogram(_), Cell::Histogram(_)) => {
            let works = matches!(
                op,
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Equal | BinaryOp::NotEqual
            );
            if works {
                return Err(unsupported(op, span));
            }
            ("histogram", "histogram")
        }
        (Cell::Empty, _) | (_, Cell::Empty) => return Ok(Combined::Nothing),
    };
    let op = op.as_str();
    annotations.info(
        span,
        format!("incompatible sample types encountered for binary operator {op:?}: {left_kind} {op} {right_kind}"),
    );
    Ok(Combined::Nothing)
}

fn unsupported(op: BinaryOp, span: Span) -> EvalError {
    EvalError::unsupported(span, format!("{:?} on native histograms", op.as_str()))
}

/// A vector and a scalar; `swapped` when the scalar is the left operand.
fn with_scalar(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    binary: &Binary,
    mut columns: Vec<Column>,
    numbers: &[f64],
    swapped: bool,
) -> Result<Value, EvalError> {
    let drops_name = !binary.op.is_comparison() || binary.return_bool;
    let annotations = &mut evaluation.annotations;
    for column in &mut columns {
        column.drop_name |= drops_name;
        for (cell, number) in column.cells.iter_mut().zip(numbers) {
            if cell.is_empty() {
                continue;
            }
            let number = Cell::Float(*number);
            let (left, right) = if swapped {
                (&number, &*cell)
            } else {
                (&*cell, &number)
            };
            let combined = combine(binary.op, left, right, node.expr.span, annotations)?;
            match combined {
                Combined::Value(value) => *cell = Cell::Float(value),
                Combined::Holds(holds) if binary.return_bool => {
                    *cell = Cell::Float(f64::from(u8::from(holds)));
                }
                // A comparison that holds passes the vector's own sample on.
                Combined::Holds(true) => {}
                Combined::Holds(false) | Combined::Nothing => *cell = Cell::Empty,
            }
        }
    }
    columns.retain(|column| !column.is_empty());
    Ok(Value::Vector(columns))
}
