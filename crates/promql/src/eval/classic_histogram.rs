//! Quantiles and fractions of classic histograms, whose buckets are series with an `le` label.

use std::collections::HashMap;

use model::Labels;
use model::labels::METRIC_NAME;
use model::time::{NANOS_PER_MILLI, format_instant};

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::quantile::{go_float, invalid_quantile};
use crate::span::Span;

/// The label of a bucket's upper border.
const BORDER: &str = "le";

/// A bucket: how many observations lie at or below its border.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bucket {
    border: f64,
    count: f64,
}

/// A histogram's buckets as columns, with their borders.
struct Histogram {
    labels: Labels,
    buckets: Vec<(f64, usize)>,
}

/// `histogram_quantile(q, vector)`.
pub(super) fn quantile(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [q, vector] = node.children.as_slice() else {
        return Err(EvalError::execution(
            node.expr.span,
            "histogram_quantile takes 2 arguments",
        ));
    };
    let quantiles = evaluation.scalar(q)?;
    let columns = evaluation.vector(vector)?;
    quantile_columns(
        evaluation,
        node,
        &quantiles,
        q.expr.span,
        &columns,
        vector.expr.span,
    )
}

/// `histogram_quantiles(vector, label, q…)`.
pub(super) fn quantiles(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [vector, label, quantiles @ ..] = node.children.as_slice() else {
        return Err(EvalError::execution(
            node.expr.span,
            "histogram_quantiles takes 3 arguments or more",
        ));
    };
    let label = evaluation.string(label)?;
    let columns = evaluation.vector(vector)?;
    let mut results = Vec::new();
    for q in quantiles {
        let values = evaluation.scalar(q)?;
        let found = quantile_columns(
            evaluation,
            node,
            &values,
            q.expr.span,
            &columns,
            vector.expr.span,
        )?;
        // A quantile that changes over the steps makes a series of each of its values.
        let mut distinct: Vec<u64> = values.iter().map(|value| value.to_bits()).collect();
        distinct.sort_unstable();
        distinct.dedup();
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
    Ok(results)
}

/// A number as OpenMetrics writes it: `0.5`, `1.0`, `+Inf`.
fn open_metrics_float(value: f64) -> String {
    let text = go_float(value);
    match text.contains(['.', 'e', 'N', 'I']) {
        true => text,
        false => format!("{text}.0"),
    }
}

fn quantile_columns(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    quantiles: &[f64],
    quantile_span: Span,
    columns: &[Column],
    vector_span: Span,
) -> Result<Vec<Column>, EvalError> {
    for message in quantiles.iter().filter_map(|q| invalid_quantile(*q)) {
        evaluation.annotations.warn(quantile_span, message);
    }
    let mut results = Vec::new();
    for histogram in histograms(evaluation, node, columns, vector_span)? {
        let mut repairs = Repairs::default();
        let mut cells = Vec::with_capacity(node.steps.len());
        for (step, time_ms) in node.steps.times().enumerate() {
            let Some(mut buckets) = buckets_at(&histogram, columns, step) else {
                cells.push(Cell::Empty);
                continue;
            };
            cells.push(Cell::Float(bucket_quantile(
                quantiles[step],
                &mut buckets,
                &mut repairs,
                time_ms,
            )));
        }
        if let Some(message) = repairs.message(histogram.labels.get(METRIC_NAME).unwrap_or("")) {
            evaluation.annotations.info(vector_span, message);
        }
        results.push(Column {
            labels: histogram.labels,
            drop_name: true,
            cells,
        });
    }
    results.retain(|column| !column.is_empty());
    Ok(results)
}

/// `histogram_fraction(lower, upper, vector)`.
pub(super) fn fraction(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
) -> Result<Vec<Column>, EvalError> {
    let [lower, upper, vector] = node.children.as_slice() else {
        return Err(EvalError::execution(
            node.expr.span,
            "histogram_fraction takes 3 arguments",
        ));
    };
    let lower = evaluation.scalar(lower)?;
    let upper = evaluation.scalar(upper)?;
    let columns = evaluation.vector(vector)?;
    let mut results = Vec::new();
    for histogram in histograms(evaluation, node, &columns, vector.expr.span)? {
        let mut cells = Vec::with_capacity(node.steps.len());
        for step in 0..node.steps.len() {
            let buckets = buckets_at(&histogram, &columns, step);
            cells.push(Cell::from(buckets.map(|mut buckets| {
                bucket_fraction(lower[step], upper[step], &mut buckets)
            })));
        }
        results.push(Column {
            labels: histogram.labels,
            drop_name: true,
            cells,
        });
    }
    results.retain(|column| !column.is_empty());
    Ok(results)
}

/// The histograms among columns: those equal in all labels but the border.
fn histograms(
    evaluation: &mut Evaluation<'_>,
    node: &Node<'_>,
    columns: &[Column],
    vector_span: Span,
) -> Result<Vec<Histogram>, EvalError> {
    let mut index_of: HashMap<Labels, usize> = HashMap::new();
    let mut found: Vec<Histogram> = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        if column
            .cells
            .iter()
            .any(|cell| matches!(cell, Cell::Histogram(_)))
        {
            let what = "quantiles and fractions of native histograms";
            return Err(EvalError::unsupported(node.expr.span, what));
        }
        let written = column.labels.get(BORDER).unwrap_or("");
        let Some(border) = read_border(written) else {
            let name = column.labels.get(METRIC_NAME).unwrap_or("");
            evaluation.annotations.warn(
                vector_span,
                format!("bucket label {BORDER:?} is missing or has a malformed value of {written:?} for metric name {name:?}"),
            );
            continue;
        };
        let labels = column.labels.without(BORDER);
        let histogram = *index_of.entry(labels.clone()).or_insert_with(|| {
            found.push(Histogram {
                labels,
                buckets: Vec::new(),
            });
            found.len() - 1
        });
        found[histogram].buckets.push((border, index));
    }
    Ok(found)
}

fn read_border(text: &str) -> Option<f64> {
    // Rust takes `inf`, `+Inf`, `NaN` and `infinity` in any case, as Go does.
    text.parse().ok()
}

fn buckets_at(histogram: &Histogram, columns: &[Column], step: usize) -> Option<Vec<Bucket>> {
    let buckets: Vec<Bucket> = histogram
        .buckets
        .iter()
        .filter_map(|(border, column)| {
            let count = columns[*column].cells[step].float()?;
            Some(Bucket {
                border: *border,
                count,
            })
        })
        .collect();
    (!buckets.is_empty()).then_some(buckets)
}

/// What had to be changed so that counts do not fall from bucket to bucket.
#[derive(Debug, Default)]
struct Repairs {
    samples: usize,
    first_ms: i64,
    last_ms: i64,
    lowest_border: f64,
    highest_border: f64,
    largest_difference: f64,
}

impl Repairs {
    fn note(&mut self, time_ms: i64, lowest: f64, highest: f64, difference: f64) {
        if self.samples == 0 {
            self.first_ms = time_ms;
            self.lowest_border = lowest;
            self.highest_border = highest;
        }
        self.samples += 1;
        self.last_ms = time_ms;
        self.lowest_border = self.lowest_border.min(lowest);
        self.highest_border = self.highest_border.max(highest);
        self.largest_difference = self.largest_difference.max(difference);
    }

    fn message(&self, name: &str) -> Option<String> {
        if self.samples == 0 {
            return None;
        }
        let instant = |ms: i64| format_instant(ms.saturating_mul(NANOS_PER_MILLI));
        Some(format!(
            "input to histogram_quantile needed to be fixed for monotonicity for metric name {name:?}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            go_float(self.lowest_border),
            go_float(self.highest_border),
            go_float(self.largest_difference),
            self.samples,
            instant(self.first_ms),
            instant(self.last_ms),
        ))
    }
}

/// Sorts buckets, unites those of one border and lifts counts below their predecessors'.
/// Whether the last border is infinite, without which nothing can be said.
fn prepare(buckets: &mut Vec<Bucket>, repairs: &mut Repairs, time_ms: i64) -> bool {
    buckets.sort_by(|a, b| a.border.total_cmp(&b.border));
    if buckets
        .last()
        .is_none_or(|last| last.border != f64::INFINITY)
    {
        return false;
    }
    buckets.dedup_by(|bucket, before| {
        let same = bucket.border == before.border;
        if same {
            before.count += bucket.count;
        }
        same
    });
    let mut before = buckets[0].count;
    let mut fall: Option<(f64, f64, f64)> = None;
    for bucket in buckets.iter_mut().skip(1) {
        if bucket.count >= before {
            before = bucket.count;
            continue;
        }
        if !nearly_equal(before, bucket.count) {
            let difference = before - bucket.count;
            let (low, high, largest) = fall.unwrap_or((bucket.border, bucket.border, 0.0));
            fall = Some((
                low.min(bucket.border),
                high.max(bucket.border),
                largest.max(difference),
            ));
        }
        if bucket.count.is_nan() {
            before = bucket.count;
        } else {
            bucket.count = before;
        }
    }
    if let Some((low, high, largest)) = fall {
        repairs.note(time_ms, low, high, largest);
    }
    true
}

/// Differences this small come from rounding and are not worth a remark.
fn nearly_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>, repairs: &mut Repairs, time_ms: i64) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if !prepare(buckets, repairs, time_ms) || buckets.len() < 2 {
        return f64::NAN;
    }
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let reached = |bucket: &Bucket| bucket.count >= rank;
    let index = buckets[..last].iter().position(reached).unwrap_or(last);
    if index == last {
        return buckets[last - 1].border;
    }
    if index == 0 && buckets[0].border <= 0.0 {
        return buckets[0].border;
    }
    let end = buckets[index].border;
    let mut start = 0.0;
    let mut count = buckets[index].count;
    if let Some(before) = index.checked_sub(1).map(|before| buckets[before]) {
        start = before.border;
        count -= before.count;
        rank -= before.count;
    }
    start + (end - start) * (rank / count)
}

fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !prepare(buckets, &mut Repairs::default(), 0) || buckets.len() < 2 {
        return f64::NAN;
    }
    let observations = buckets[buckets.len() - 1].count;
    if observations == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets) - rank_of(lower, buckets)) / observations
}

/// How many observations lie at or below `value`, interpolated inside of its bucket.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let observations = buckets[buckets.len() - 1].count;
    let mut rank = 0.0;
    for (index, bucket) in buckets.iter().enumerate() {
        let start = match index.checked_sub(1) {
            Some(before) => buckets[before].border,
            // The first bucket begins at 0 unless it ends there or below.
            None if bucket.border > 0.0 => 0.0,
            None => f64::NEG_INFINITY,
        };
        if start >= value {
            return rank;
        }
        if bucket.border > value {
            let share = (value - start) / (bucket.border - start);
            return (rank + (bucket.count - rank) * share).min(observations);
        }
        rank = bucket.count;
    }
    observations
}
