//! Instant selectors: at each step the last sample within the lookback.

use std::sync::Arc;

use model::metric::is_stale;

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::{Node, Reading};
use super::steps::Steps;
use crate::ast::Selector;
use crate::value::Series;

/// What an instant selector puts into its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Take {
    /// The sample's value.
    Value,
    /// The sample's time in seconds, for `timestamp`.
    Time,
}

pub(super) fn evaluate(
    evaluation: &Evaluation<'_>,
    node: &Node<'_>,
    selector: &Selector,
) -> Result<Vec<Column>, EvalError> {
    columns(evaluation, node, selector, Take::Value)
}

/// The columns of a selector; series without any sample in reach are left out.
pub(super) fn columns(
    evaluation: &Evaluation<'_>,
    node: &Node<'_>,
    selector: &Selector,
    take: Take,
) -> Result<Vec<Column>, EvalError> {
    if let Some(extension) = selector.extension {
        let what = format!("{} on an instant selector", extension.as_str());
        return Err(EvalError::unsupported(node.expr.span, what));
    }
    let (reading, series) = reading(evaluation, node)?;
    evaluation.check_size(series.len(), node.steps.len())?;
    let mut columns = Vec::with_capacity(series.len());
    for one in series {
        let column = Column {
            labels: one.labels.clone(),
            drop_name: false,
            cells: last_samples(one, reading, node.steps, take),
        };
        if !column.is_empty() {
            columns.push(column);
        }
    }
    Ok(columns)
}

/// A selector's reading and the series fetched for it.
pub(super) fn reading<'a>(
    evaluation: &Evaluation<'a>,
    node: &Node<'_>,
) -> Result<(Reading, &'a [Series]), EvalError> {
    node.reading
        .and_then(|reading| {
            let fetched: &'a [Vec<Series>] = evaluation.fetched;
            let series = fetched.get(reading.selection?)?;
            Some((reading, series.as_slice()))
        })
        .ok_or_else(|| EvalError::execution(node.expr.span, "this selector was not planned"))
}

/// At each step the last sample at or before it, unless it is too old or ends the series.
fn last_samples(series: &Series, reading: Reading, steps: Steps, take: Take) -> Vec<Cell> {
    let (floats, histograms) = (&series.floats, &series.histograms);
    // How many samples lie at or before the step; steps ascend, so these do as well.
    let (mut floats_seen, mut histograms_seen) = (0, 0);
    let mut cells = Vec::with_capacity(steps.len());
    for step in steps.times() {
        let window = reading.window(step);
        advance(&mut floats_seen, &floats.timestamps_ms, window.until_ms);
        advance(
            &mut histograms_seen,
            &histograms.timestamps_ms,
            window.until_ms,
        );
        let float = floats_seen.checked_sub(1);
        let histogram = histograms_seen.checked_sub(1);
        let float_time = float.map(|index| floats.timestamps_ms[index]);
        let histogram_time = histogram.map(|index| histograms.timestamps_ms[index]);
        let (time, value) = match (float, histogram) {
            (None, None) => {
                cells.push(Cell::Empty);
                continue;
            }
            (_, Some(index)) if histogram_time > float_time => {
                let value = &histograms.values[index];
                let stale = is_stale(value.sum);
                let cell = (!stale).then(|| Cell::Histogram(Arc::clone(value)));
                (histogram_time, cell)
            }
            (Some(index), _) => {
                let value = floats.values[index];
                let cell = (!is_stale(value)).then_some(Cell::Float(value));
                (float_time, cell)
            }
            (None, Some(_)) => (None, None),
        };
        let in_reach = time.filter(|time| window.contains(*time));
        cells.push(match (in_reach, value) {
            (Some(_), Some(cell)) if take == Take::Value => cell,
            (Some(time), Some(_)) => Cell::Float(time as f64 / 1_000.0),
            _ => Cell::Empty,
        });
    }
    cells
}

/// Moves `seen` on to the number of `times` that are at most `until`.
fn advance(seen: &mut usize, times: &[i64], until: i64) {
    while times.get(*seen).is_some_and(|time| *time <= until) {
        *seen += 1;
    }
}
