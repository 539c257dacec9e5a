//! From columns to what a query returns.

use std::borrow::Cow;
use std::sync::Arc;

use model::SampleValue;

use super::column::{Cell, Column, Value, drop_names};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::Node;
use super::rate::extended_samples;
use super::steps::Steps;
use super::window::range_vector;
use crate::value::{QueryValue, Series, VectorSample};

/// One step becomes a scalar, string or vector, several a matrix.
pub(super) fn from_columns(value: Value, steps: Steps) -> QueryValue {
    let timestamp_ms = steps.start_ms;
    match value {
        Value::String(value) => QueryValue::String {
            timestamp_ms,
            value,
        },
        Value::Scalar(values) if values.len() == 1 => QueryValue::Scalar {
            timestamp_ms,
            value: values[0],
        },
        Value::Scalar(values) => {
            let mut series = Series::default();
            series.floats.timestamps_ms = steps.times().collect();
            series.floats.values = values;
            QueryValue::Matrix(vec![series])
        }
        Value::Vector(columns) if steps.count() == 1 => {
            let samples = columns.into_iter().filter_map(|mut column| {
                let value = match column.cells.pop()? {
                    Cell::Empty => return None,
                    Cell::Float(value) => SampleValue::Float(value),
                    Cell::Histogram(value) => {
                        SampleValue::Histogram(Box::new(Arc::unwrap_or_clone(value)))
                    }
                };
                Some(VectorSample {
                    labels: column.labels,
                    timestamp_ms,
                    value,
                })
            });
            QueryValue::Vector(samples.collect())
        }
        Value::Vector(columns) => {
            let mut matrix: Vec<Series> = columns
                .into_iter()
                .map(|column| into_series(column, steps))
                .filter(|series| series.sample_count() > 0)
                .collect();
            matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
            QueryValue::Matrix(matrix)
        }
    }
}

/// The samples of a column at the times of its steps.
pub(super) fn into_series(column: Column, steps: Steps) -> Series {
    let mut series = Series {
        labels: column.labels,
        ..Series::default()
    };
    for (time, cell) in steps.times().zip(column.cells) {
        match cell {
            Cell::Empty => {}
            Cell::Float(value) => {
                series.floats.timestamps_ms.push(time);
                series.floats.values.push(value);
            }
            Cell::Histogram(value) => {
                series.histograms.timestamps_ms.push(time);
                series.histograms.values.push(value);
            }
        }
    }
    series
}

/// A range query with one step is a matrix, too.
pub(super) fn into_matrix(value: QueryValue) -> QueryValue {
    match value {
        QueryValue::Scalar {
            timestamp_ms,
            value,
        } => {
            let mut series = Series::default();
            series.floats.timestamps_ms.push(timestamp_ms);
            series.floats.values.push(value);
            QueryValue::Matrix(vec![series])
        }
        QueryValue::Vector(samples) => {
            let mut matrix: Vec<Series> = samples
                .into_iter()
                .map(|sample| {
                    let mut series = Series {
                        labels: sample.labels,
                        ..Series::default()
                    };
                    match sample.value {
                        SampleValue::Float(value) => {
                            series.floats.timestamps_ms.push(sample.timestamp_ms);
                            series.floats.values.push(value);
                        }
                        SampleValue::Histogram(value) => {
                            series.histograms.timestamps_ms.push(sample.timestamp_ms);
                            series.histograms.values.push(Arc::from(value));
                        }
                    }
                    series
                })
                .collect();
            matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
            QueryValue::Matrix(matrix)
        }
        other => other,
    }
}

/// The samples themselves, for an instant query such as `metric[5m]`.
pub(super) fn window(
    evaluation: &mut Evaluation<'_>,
    plan: &Node<'_>,
) -> Result<QueryValue, EvalError> {
    let vector = range_vector(evaluation, plan)?;
    let window = vector.reading.window(plan.steps.start_ms);
    let mut columns_names = Vec::new();
    let mut matrix = Vec::new();
    for series in vector.series {
        let mut kept = Series {
            labels: series.labels,
            ..Series::default()
        };
        if let Some(extension) = vector.extension {
            if !series.histograms.values.is_empty() {
                return Err(EvalError::extended_histograms(plan.expr.span));
            }
            kept.floats = extended_samples(&series.floats, window, extension);
        }
        let floats = match vector.extension {
            None => series.floats,
            Some(_) => Cow::default(),
        };
        for (time, value) in floats.timestamps_ms.iter().zip(&floats.values) {
            if window.contains(*time) {
                kept.floats.timestamps_ms.push(*time);
                kept.floats.values.push(*value);
            }
        }
        let histograms = &series.histograms;
        for (time, value) in histograms.timestamps_ms.iter().zip(&histograms.values) {
            if window.contains(*time) {
                kept.histograms.timestamps_ms.push(*time);
                kept.histograms.values.push(Arc::clone(value));
            }
        }
        if kept.sample_count() == 0 {
            continue;
        }
        columns_names.push(Column {
            labels: kept.labels.clone(),
            drop_name: series.drop_name,
            cells: vec![Cell::Float(0.0)],
        });
        matrix.push(kept);
    }
    // A subquery's columns may have names to drop, which may make their labels equal.
    let named = drop_names(columns_names, plan.expr.span)?;
    for (series, column) in matrix.iter_mut().zip(named) {
        series.labels = column.labels;
    }
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(QueryValue::Matrix(matrix))
}
