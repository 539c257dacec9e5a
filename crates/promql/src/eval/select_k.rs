//! Aggregations that pass some samples of each group on: `topk`, `bottomk`, `limitk`,
//! `limit_ratio`.

use std::cmp::Ordering;

use model::Labels;
use twox_hash::XxHash64;

use super::aggregate::Group;
use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::quantile::go_float;
use super::remark::{Remark, Remarks};
use crate::ast::AggregateOp;
use crate::span::Span;

/// The columns with all cells emptied that were not selected. With one step, the largest come
/// first for `topk`, the smallest for `bottomk`.
pub(super) fn select(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    op: AggregateOp,
    mut columns: Vec<Column>,
    groups: &[Group],
    parameters: &[f64],
    parameter_span: Span,
) -> Result<Vec<Column>, EvalError> {
    let steps = node.steps.len();
    let mut order: Vec<usize> = Vec::new();
    let mut remarks = Remarks::default();
    for step in 0..steps {
        evaluation.check_cancelled()?;
        let parameter = parameters.get(step).copied().unwrap_or(f64::NAN);
        let quota = quota(evaluation, op, parameter, node.expr.span, parameter_span)?;
        for group in groups {
            let mut candidates: Vec<usize> = group
                .members
                .iter()
                .copied()
                .filter(|member| !columns[*member].cells[step].is_empty())
                .collect();
            if matches!(op, AggregateOp::Topk | AggregateOp::Bottomk) {
                let floats = |member: &usize| columns[*member].cells[step].float().is_some();
                if !candidates.iter().all(floats) {
                    remarks.add(Remark::IgnoredInAggregation(op));
                }
                let (kept, ignored) = candidates.into_iter().partition(floats);
                candidates = kept;
                empty(&mut columns, &ignored, step);
            }
            let value = |member: &usize| columns[*member].cells[step].float().unwrap_or(f64::NAN);
            match op {
                AggregateOp::Topk => candidates.sort_by(|a, b| descending(value(a), value(b))),
                AggregateOp::Bottomk => candidates.sort_by(|a, b| ascending(value(a), value(b))),
                _ => {}
            }
            let dropped = match quota {
                Quota::Count(count) => candidates.split_off(count.min(candidates.len())),
                Quota::Ratio(ratio) => {
                    let sampled = |member: &usize| in_ratio(&columns[*member].labels, ratio);
                    let (kept, dropped) = candidates.into_iter().partition(sampled);
                    candidates = kept;
                    dropped
                }
            };
            empty(&mut columns, &dropped, step);
            if steps == 1 {
                order.extend(candidates);
            }
        }
    }
    remarks.note(
        &mut evaluation.annotations,
        &Labels::empty(),
        node.expr.span,
    );
    if steps == 1 {
        let mut slots: Vec<Option<Column>> = columns.into_iter().map(Some).collect();
        return Ok(order
            .into_iter()
            .filter_map(|index| slots[index].take())
            .collect());
    }
    columns.retain(|column| !column.is_empty());
    Ok(columns)
}

fn empty(columns: &mut [Column], members: &[usize], step: usize) {
    for member in members {
        columns[*member].cells[step] = Cell::Empty;
    }
}

/// How much of each group passes.
#[derive(Clone, Copy)]
enum Quota {
    Count(usize),
    Ratio(f64),
}

fn quota(
    evaluation: &mut Evaluation<'_>,
    op: AggregateOp,
    parameter: f64,
    span: Span,
    parameter_span: Span,
) -> Result<Quota, EvalError> {
    if op == AggregateOp::LimitRatio {
        if parameter.is_nan() {
            return Err(EvalError::execution(span, "Ratio value is NaN"));
        }
        let ratio = parameter.clamp(-1.0, 1.0);
        if ratio != parameter {
            evaluation.annotations.warn(
                parameter_span,
                format!(
                    "ratio value should be between -1 and 1, got {}, capping to {}",
                    go_float(parameter),
                    go_float(ratio)
                ),
            );
        }
        return Ok(Quota::Ratio(ratio));
    }
    if parameter.is_nan() {
        return Err(EvalError::execution(span, "Parameter value is NaN"));
    }
    // 2^63 is the first double past every 64-bit integer.
    if parameter >= 2_f64.powi(63) {
        let parameter = go_float(parameter);
        return Err(EvalError::execution(
            span,
            format!("Scalar value {parameter} overflows int64"),
        ));
    }
    Ok(Quota::Count(parameter.max(0.0) as usize))
}

/// Numbers from the largest, then NaN.
fn descending(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Numbers from the smallest, then NaN.
fn ascending(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Whether a series is in the sample of `ratio`; a negative ratio picks those that its complement
/// leaves out. The choice depends on the labels alone, so it is the same for every query.
fn in_ratio(labels: &Labels, ratio: f64) -> bool {
    let place = label_hash(labels) as f64 / u64::MAX as f64;
    match ratio >= 0.0 {
        true => place < ratio,
        false => place >= 1.0 + ratio,
    }
}

/// Prometheus' hash of a label set, so that both pick the same series: xxHash of each name and
/// value behind its length, of one byte or, from 255 on, that byte and three more.
fn label_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::new();
    for (name, value) in labels.iter() {
        for text in [name, value] {
            match u8::try_from(text.len()) {
                Ok(len) if len < u8::MAX => bytes.push(len),
                _ => {
                    bytes.push(u8::MAX);
                    bytes.extend(&text.len().to_le_bytes()[..3]);
                }
            }
            bytes.extend(text.as_bytes());
        }
    }
    XxHash64::oneshot(0, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_xxhash_of_lengths_and_texts() {
        // The seed's hash of nothing, as the algorithm's authors publish it.
        assert_eq!(label_hash(&Labels::empty()), 0xef46_db37_51d8_e999);
        let bytes = b"\x01a\x02bc";
        let labels = Labels::new([("a", "bc")]);
        assert_eq!(label_hash(&labels), XxHash64::oneshot(0, bytes));
        let long = "x".repeat(300);
        let mut bytes = b"\x01a\xff\x2c\x01\x00".to_vec();
        bytes.extend(long.as_bytes());
        let labels = Labels::new([("a", long.as_str())]);
        assert_eq!(label_hash(&labels), XxHash64::oneshot(0, &bytes));
    }
}
