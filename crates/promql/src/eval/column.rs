//! Values in columns: for each series, one cell per step.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Labels, NativeHistogram};

use super::error::EvalError;
use crate::span::Span;

/// A series' value at one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Cell {
    /// No sample.
    #[default]
    Empty,
    /// A plain number.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<NativeHistogram>),
}

impl Cell {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The number, when it is one.
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }
}

impl From<Option<f64>> for Cell {
    fn from(value: Option<f64>) -> Self {
        value.map_or(Self::Empty, Self::Float)
    }
}

/// A series' values over the steps.
#[derive(Debug, Clone)]
pub(super) struct Column {
    /// With the metric name for as long as possible, see `drop_name`.
    pub(super) labels: Labels,
    /// Whether the metric name goes when the query is done. Until then it tells series apart that
    /// differ in nothing else, so that `sum(rate({job="a"}[5m]))` works over several metrics.
    pub(super) drop_name: bool,
    /// One per step.
    pub(super) cells: Vec<Cell>,
}

impl Column {
    /// Whether there is no sample at any step.
    pub(super) fn is_empty(&self) -> bool {
        self.cells.iter().all(Cell::is_empty)
    }
}

/// What a node evaluates to.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// One number per step.
    Scalar(Vec<f64>),
    /// A text, the same at every step.
    String(String),
    /// One column per series.
    Vector(Vec<Column>),
}

impl Value {
    /// The value at the one step it was computed for, at `count` steps.
    pub(super) fn repeated(self, count: usize) -> Self {
        match self {
            Self::Scalar(values) => {
                Self::Scalar(values.first().map_or_else(Vec::new, |v| vec![*v; count]))
            }
            Self::String(text) => Self::String(text),
            Self::Vector(columns) => Self::Vector(repeated(columns, count)),
        }
    }
}

/// Columns of one cell as columns of `count` equal cells.
pub(super) fn repeated(mut columns: Vec<Column>, count: usize) -> Vec<Column> {
    for column in &mut columns {
        let cell = column.cells.pop().unwrap_or_default();
        column.cells = vec![cell; count];
    }
    columns
}

/// Drops the names that were to be dropped and unites columns that now have equal labels.
pub(super) fn drop_names(mut columns: Vec<Column>, span: Span) -> Result<Vec<Column>, EvalError> {
    for column in &mut columns {
        if column.drop_name {
            column.labels = column.labels.without_metric();
            column.drop_name = false;
        }
    }
    unite(columns, span)
}

/// Unites columns with equal labels, whose samples must lie at different steps.
pub(super) fn unite(columns: Vec<Column>, span: Span) -> Result<Vec<Column>, EvalError> {
    let mut index_of: HashMap<Labels, usize> = HashMap::with_capacity(columns.len());
    let mut united: Vec<Column> = Vec::with_capacity(columns.len());
    for column in columns {
        let Some(index) = index_of.get(&column.labels) else {
            index_of.insert(column.labels.clone(), united.len());
            united.push(column);
            continue;
        };
        for (cell, other) in united[*index].cells.iter_mut().zip(column.cells) {
            if other.is_empty() {
                continue;
            }
            if !cell.is_empty() {
                return Err(EvalError::Execution {
                    message: "vector cannot contain metrics with the same labelset".to_owned(),
                    span,
                });
            }
            *cell = other;
        }
    }
    Ok(united)
}
