//! Operators between scalars and vectors.

use std::sync::Arc;

use model::histogram::ResetHint;
use model::{Labels, NativeHistogram};

use super::column::{Cell, Column, Value};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::histogram_sum::HistogramSum;
use super::native_histogram;
use super::plan::Node;
use super::remark::{Operation, Remark, Remarks};
use super::trim::{Trim, trimmed};
use super::vector_matching;
use crate::ast::{Binary, BinaryOp, ValueType};

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
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Combined {
    /// A new value.
    Value(Cell),
    /// A comparison; the result is the left sample, the number of the vector's side, or 0 and 1.
    Holds(bool),
    /// Nothing, since the samples' kinds do not go together.
    Nothing,
}

/// Applies `op` to two samples; combinations that mean nothing give nothing and a remark.
pub(super) fn combine(op: BinaryOp, left: &Cell, right: &Cell, remarks: &mut Remarks) -> Combined {
    let combined = match (left, right) {
        (Cell::Float(a), Cell::Float(b)) => match compare(op, *a, *b) {
            Some(holds) => Some(Combined::Holds(holds)),
            None => arithmetic(op, *a, *b).map(|value| Combined::Value(Cell::Float(value))),
        },
        (Cell::Histogram(a), Cell::Float(b)) => histogram_and_number(op, a, *b).map(value),
        (Cell::Float(a), Cell::Histogram(b)) => {
            (op == BinaryOp::Mul).then(|| value(native_histogram::multiplied(b, *a)))
        }
        (Cell::Histogram(a), Cell::Histogram(b)) => histograms(op, a, b, remarks),
        (Cell::Empty, _) | (_, Cell::Empty) => return Combined::Nothing,
    };
    combined.unwrap_or_else(|| {
        let are_histograms = [left, right].map(|cell| matches!(cell, Cell::Histogram(_)));
        remarks.add(Remark::IncompatibleKinds(op, are_histograms));
        Combined::Nothing
    })
}

fn value(histogram: NativeHistogram) -> Combined {
    Combined::Value(Cell::Histogram(Arc::new(histogram)))
}

fn histogram_and_number(
    op: BinaryOp,
    histogram: &NativeHistogram,
    number: f64,
) -> Option<NativeHistogram> {
    Some(match op {
        BinaryOp::Mul => native_histogram::multiplied(histogram, number),
        BinaryOp::Div => native_histogram::divided(histogram, number),
        BinaryOp::TrimUpper => trimmed(histogram, Trim::Upper, number),
        BinaryOp::TrimLower => trimmed(histogram, Trim::Lower, number),
        _ => return None,
    })
}

fn histograms(
    op: BinaryOp,
    left: &NativeHistogram,
    right: &NativeHistogram,
    remarks: &mut Remarks,
) -> Option<Combined> {
    let operation = match op {
        BinaryOp::Equal => return Some(Combined::Holds(native_histogram::same(left, right))),
        BinaryOp::NotEqual => return Some(Combined::Holds(!native_histogram::same(left, right))),
        BinaryOp::Add => Operation::Addition,
        BinaryOp::Sub => Operation::Subtraction,
        _ => return None,
    };
    let mut sum = HistogramSum::starting_at(left);
    let combined = match operation {
        Operation::Subtraction => sum.subtract(right),
        _ => sum.add(right),
    };
    let Ok(reconciled) = combined else {
        remarks.add(Remark::IncompatibleSchemas(op));
        return Some(Combined::Nothing);
    };
    if sum.resets_conflict() {
        remarks.add(Remark::ConflictingResets(operation));
    }
    if reconciled {
        remarks.add(Remark::BordersReconciled(operation));
    }
    let mut result = sum.finish();
    if operation == Operation::Subtraction {
        result.reset_hint = ResetHint::Gauge;
    }
    Some(value(result))
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
    let drops_name = !binary.op.keeps_metric() || binary.return_bool;
    let held = evaluation.held_histograms();
    let mut remarks = Remarks::default();
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
            match combine(binary.op, left, right, &mut remarks) {
                Combined::Value(value) => {
                    held.hold(&value)?;
                    *cell = value;
                }
                Combined::Holds(holds) if binary.return_bool => {
                    *cell = Cell::Float(f64::from(u8::from(holds)));
                }
                // A comparison that holds passes the vector's own sample on.
                Combined::Holds(true) => {}
                Combined::Holds(false) | Combined::Nothing => *cell = Cell::Empty,
            }
        }
    }
    remarks.note(
        &mut evaluation.annotations,
        &Labels::empty(),
        node.expr.span,
    );
    columns.retain(|column| !column.is_empty());
    Ok(Value::Vector(columns))
}
