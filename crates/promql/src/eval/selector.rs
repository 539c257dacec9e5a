//! Instant selectors: at each step the last sample within the lookback.

use std::borrow::Cow;
use std::sync::Arc;

use model::NativeHistogram;
use model::histogram::ResetHint;
use model::metric::is_stale;

use super::column::{Cell, Column};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::parallel;
use super::plan::{Node, Reading};
use super::rate::between;
use super::steps::Steps;
use super::window::without_stale;
use crate::ast::{RangeExtension, Selector};
use crate::source::Window;
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
    let (reading, series) = reading(evaluation, node)?;
    evaluation.check_size(series.len(), node.steps.len())?;
    let smoothed = selector.extension == Some(RangeExtension::Smoothed) && take == Take::Value;
    let threads = evaluation.threads_for(series.len().saturating_mul(node.steps.len()));
    let mut columns = parallel::map(series, threads, |one| {
        evaluation.check_cancelled()?;
        let cells = if smoothed {
            smoothed_samples(one, reading, node)?
        } else if node.finds_resets {
            last_samples(&with_resets(one), reading, node.steps, take)
        } else {
            last_samples(one, reading, node.steps, take)
        };
        Ok::<Column, EvalError>(Column {
            labels: one.labels.clone(),
            drop_name: false,
            cells,
        })
    })?;
    columns.retain(|column| !column.is_empty());
    evaluation.see(|| {
        let cells = columns.iter().flat_map(|column| &column.cells);
        cells.filter(|cell| !cell.is_empty()).count() as u64
    });
    Ok(columns)
}

/// At each step the value on the line between the samples around it, or the last sample when none
/// follows within the lookback.
fn smoothed_samples(
    series: &Series,
    reading: Reading,
    node: &Node<'_>,
) -> Result<Vec<Cell>, EvalError> {
    let series = without_stale(series);
    let (floats, histograms) = (&series.floats, &series.histograms);
    let mut cells = Vec::with_capacity(node.steps.len());
    for step in node.steps.times() {
        let until = reading.until(step);
        let before = reading.window(step);
        let reach = Window::new(before.after_ms, until.saturating_add(reading.range_ms));
        if histograms
            .timestamps_ms
            .iter()
            .any(|time| reach.contains(*time))
        {
            return Err(EvalError::extended_histograms(node.expr.span));
        }
        let seen = floats.timestamps_ms.partition_point(|time| *time <= until);
        let sample = |index: usize| {
            let time = floats.timestamps_ms.get(index)?;
            reach.contains(*time).then(|| (*time, floats.values[index]))
        };
        let last = seen.checked_sub(1).and_then(sample);
        cells.push(match (last, sample(seen)) {
            (None, _) => Cell::Empty,
            (Some((time, value)), _) if time == until => Cell::Float(value),
            (Some((_, value)), None) => Cell::Float(value),
            (Some(last), Some(next)) => Cell::Float(between(last, next, until, false)),
        });
    }
    Ok(cells)
}

/// The series with what is known of resets between its histograms.
pub(super) fn with_resets(series: &Series) -> Cow<'_, Series> {
    if series.histograms.values.is_empty() {
        return Cow::Borrowed(series);
    }
    let mut told = series.clone();
    let mut before: Option<&Arc<NativeHistogram>> = None;
    for (histogram, original) in told
        .histograms
        .values
        .iter_mut()
        .zip(&series.histograms.values)
    {
        if is_stale(original.sum) {
            continue;
        }
        if let (ResetHint::Unknown, Some(before)) = (original.reset_hint, before) {
            Arc::make_mut(histogram).reset_hint = match original.is_reset_after(before) {
                true => ResetHint::Reset,
                false => ResetHint::NotReset,
            };
        }
        before = Some(original);
    }
    Cow::Owned(told)
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
pub(super) fn last_samples(
    series: &Series,
    reading: Reading,
    steps: Steps,
    take: Take,
) -> Vec<Cell> {
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
