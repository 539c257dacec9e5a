//! Functions of histograms: quantiles and fractions of classic and native ones alike, and what
//! only native ones have.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::{Labels, NativeHistogram};

use super::classic_histogram::{
    BORDER, Bucket, Repairs, bucket_fraction, bucket_quantile, read_border,
};
use super::column::{Cell, Column, unite};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::native_histogram;
use super::plan::Node;
use super::quantile::{go_float, invalid_quantile};
use super::remark::{Remark, Remarks, with_name};
use crate::span::Span;

/// The function called `name`, when it reads one number off each native histogram.
pub(super) fn find(name: &str) -> Option<fn(&NativeHistogram) -> f64> {
    Some(match name {
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_stddev" => |histogram| native_histogram::variance(histogram).sqrt(),
        "histogram_stdvar" => native_histogram::variance,
        _ => return None,
    })
}

/// Maps native histograms to numbers; floats have no such numbers and are left out.
pub(super) fn map(mut columns: Vec<Column>, function: fn(&NativeHistogram) -> f64) -> Vec<Column> {
    for column in &mut columns {
        column.drop_name = true;
        for cell in &mut column.cells {
            *cell = match cell {
                Cell::Histogram(histogram) => Cell::Float(function(histogram)),
                _ => Cell::Empty,
            };
        }
    }
    columns.retain(|column| !column.is_empty());
    columns
}

/// A histogram among columns, in either form.
struct Family {
    labels: Labels,
    /// Borders and columns of classic buckets.
    classic: Vec<(f64, usize)>,
    /// The column of a native histogram.
    native: Option<usize>,
}

/// A histogram at one step.
enum Found<'c> {
    Nothing,
    Classic(Vec<Bucket>),
    Native(&'c NativeHistogram),
    /// In both forms, of which neither counts.
    Both,
}

impl Family {
    fn at<'c>(&self, columns: &'c [Column], step: usize) -> Found<'c> {
        let bucket = |(border, column): &(f64, usize)| {
            let count = columns[*column].cells[step].float()?;
            Some(Bucket {
                border: *border,
                count,
            })
        };
        let classic: Vec<Bucket> = self.classic.iter().filter_map(bucket).collect();
        let native = self
            .native
            .and_then(|column| match &columns[column].cells[step] {
                Cell::Histogram(histogram) => Some(histogram),
                _ => None,
            });
        match (native, classic.is_empty()) {
            (None, true) => Found::Nothing,
            (None, false) => Found::Classic(classic),
            (Some(histogram), true) => Found::Native(histogram),
            (Some(_), false) => Found::Both,
        }
    }
}

/// The histograms among columns. Classic buckets belong together when they are equal in all labels
/// but the border, and to a native histogram of those labels.
fn families(evaluation: &mut Evaluation<'_>, columns: &[Column], vector_span: Span) -> Vec<Family> {
    let mut index_of: HashMap<Labels, usize> = HashMap::new();
    let mut families: Vec<Family> = Vec::new();
    let mut family_of = |labels: Labels, families: &mut Vec<Family>| {
        *index_of.entry(labels.clone()).or_insert_with(|| {
            families.push(Family {
                labels,
                classic: Vec::new(),
                native: None,
            });
            families.len() - 1
        })
    };
    for (index, column) in columns.iter().enumerate() {
        let any = |wanted: fn(&Cell) -> bool| column.cells.iter().any(wanted);
        if any(|cell| matches!(cell, Cell::Histogram(_))) {
            let family = family_of(column.labels.clone(), &mut families);
            families[family].native = Some(index);
        }
        if !any(|cell| matches!(cell, Cell::Float(_))) {
            continue;
        }
        let written = column.labels.get(BORDER).unwrap_or("");
        let Some(border) = read_border(written) else {
            let message = format!(
                "bucket label {BORDER:?} is missing or has a malformed value of {written:?}"
            );
            let message = with_name(&message, &column.labels);
            evaluation.annotations.warn(vector_span, message);
            continue;
        };
        let family = family_of(column.labels.without(BORDER), &mut families);
        families[family].classic.push((border, index));
    }
    families
}

/// `histogram_quantile(q, vector)`.
pub(super) fn quantile(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [q, vector] = node.children.as_slice() else {
        return Err(wrong_arguments(
            node,
            "histogram_quantile takes 2 arguments",
        ));
    };
    let quantiles = evaluation.scalar(q)?;
    let columns = evaluation.vector(vector)?;
    let input = Input {
        node,
        columns: &columns,
        span: vector.expr.span,
    };
    Ok(quantile_columns(
        evaluation,
        &input,
        &quantiles,
        q.expr.span,
    ))
}

/// `histogram_quantiles(vector, label, q…)`.
pub(super) fn quantiles(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [vector, label, quantiles @ ..] = node.children.as_slice() else {
        let message = "histogram_quantiles takes 3 arguments or more";
        return Err(wrong_arguments(node, message));
    };
    let label = evaluation.label_name(label, |quoted| format!("invalid label name {quoted}"))?;
    let columns = evaluation.vector(vector)?;
    let input = Input {
        node,
        columns: &columns,
        span: vector.expr.span,
    };
    let mut results = Vec::new();
    for q in quantiles {
        let values = evaluation.scalar(q)?;
        let found = quantile_columns(evaluation, &input, &values, q.expr.span);
        // A quantile that changes over the steps makes a series of each of its values.
        let mut distinct: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let more = found.len().saturating_mul(distinct.len());
        evaluation.check_size(results.len().saturating_add(more), node.steps.len())?;
        for bits in distinct {
            let text = open_metrics_float(f64::from_bits(bits));
            results.extend(found.iter().map(|column| {
                let cells = column.cells.iter().zip(&values);
                Column {
                    labels: column.labels.with(&label, &text),
                    drop_name: column.drop_name,
                    cells: cells
                        .map(|(cell, value)| match value.to_bits() == bits {
                            true => cell.clone(),
                            false => Cell::Empty,
                        })
                        .collect(),
                }
            }));
        }
    }
    unite(results, node.expr.span)
}

/// A number as OpenMetrics writes it: `0.5`, `1.0`, `+Inf`.
fn open_metrics_float(value: f64) -> String {
    let text = go_float(value);
    match text.contains(['.', 'e', 'N', 'I']) {
        true => text,
        false => format!("{text}.0"),
    }
}

/// The vector that histograms are looked for in.
struct Input<'i> {
    node: &'i Node<'i>,
    columns: &'i [Column],
    span: Span,
}

fn quantile_columns(
    evaluation: &mut Evaluation<'_>,
    input: &Input<'_>,
    quantiles: &[f64],
    quantile_span: Span,
) -> Vec<Column> {
    for message in quantiles.iter().filter_map(|q| invalid_quantile(*q)) {
        evaluation.annotations.warn(quantile_span, message);
    }
    let mut results = Vec::new();
    for family in families(evaluation, input.columns, input.span) {
        let mut remarks = Remarks::default();
        let mut repairs = Repairs::default();
        let mut cells = Vec::with_capacity(input.node.steps.len());
        for (step, time_ms) in input.node.steps.times().enumerate() {
            let q = quantiles[step];
            cells.push(match family.at(input.columns, step) {
                Found::Nothing => Cell::Empty,
                Found::Both => {
                    remarks.add(Remark::ClassicAndNative);
                    Cell::Empty
                }
                Found::Classic(mut buckets) => {
                    Cell::Float(bucket_quantile(q, &mut buckets, &mut repairs, time_ms))
                }
                Found::Native(histogram) => {
                    let (value, remark) = native_histogram::quantile(q, histogram);
                    remarks.extend(remark);
                    Cell::Float(value)
                }
            });
        }
        let annotations = &mut evaluation.annotations;
        remarks.note(annotations, &family.labels, input.span);
        if let Some(message) = repairs.message(family.labels.get(METRIC_NAME).unwrap_or("")) {
            annotations.info(input.span, message);
        }
        results.push(Column {
            labels: family.labels,
            drop_name: true,
            cells,
        });
    }
    results.retain(|column| !column.is_empty());
    results
}

/// `histogram_fraction(lower, upper, vector)`.
pub(super) fn fraction(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [lower, upper, vector] = node.children.as_slice() else {
        return Err(wrong_arguments(
            node,
            "histogram_fraction takes 3 arguments",
        ));
    };
    let lower = evaluation.scalar(lower)?;
    let upper = evaluation.scalar(upper)?;
    let columns = evaluation.vector(vector)?;
    let span = vector.expr.span;
    let mut results = Vec::new();
    for family in families(evaluation, &columns, span) {
        let mut remarks = Remarks::default();
        let mut cells = Vec::with_capacity(node.steps.len());
        for (step, (lower, upper)) in lower.iter().zip(&upper).enumerate() {
            cells.push(match family.at(&columns, step) {
                Found::Nothing => Cell::Empty,
                Found::Both => {
                    remarks.add(Remark::ClassicAndNative);
                    Cell::Empty
                }
                Found::Classic(mut buckets) => {
                    Cell::Float(bucket_fraction(*lower, *upper, &mut buckets))
                }
                Found::Native(histogram) => {
                    let (value, remark) = native_histogram::fraction(*lower, *upper, histogram);
                    remarks.extend(remark);
                    Cell::Float(value)
                }
            });
        }
        remarks.note(&mut evaluation.annotations, &family.labels, span);
        results.push(Column {
            labels: family.labels,
            drop_name: true,
            cells,
        });
    }
    results.retain(|column| !column.is_empty());
    Ok(results)
}

/// The parser checks arguments, so this tells of a tree that was not made by it.
fn wrong_arguments(node: &Node<'_>, message: &str) -> EvalError {
    EvalError::execution(node.expr.span, message)
}
