//! Functions named `…_over_time`: one number, or one sample, of all that a step sees.

use std::sync::Arc;

use model::NativeHistogram;

use super::column::Cell;
use super::histogram_sum::{HistogramMean, HistogramSum, Incompatible};
use super::kahan::{KahanSum, Mean, Variance};
use super::quantile::quantile;
use super::range_functions::{Outcome, RangeFunction};
use super::remark::{Operation, Remark};
use super::window::View;

/// The function called `name`, when it is one of these.
pub(super) fn find(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "count_over_time" => {
            |view, _, _| ((view.times.len() + view.histogram_times.len()) as f64).into()
        }
        "present_over_time" => |_, _, _| 1.0.into(),
        "sum_over_time" => |view, _, _| sum(view),
        "avg_over_time" => |view, _, _| average(view),
        "min_over_time" => |view, _, _| {
            Outcome::ignoring_histograms(
                view,
                extreme(view, |a, b| a < b).map(|at| view.values[at]),
            )
        },
        "max_over_time" => |view, _, _| {
            Outcome::ignoring_histograms(
                view,
                extreme(view, |a, b| a > b).map(|at| view.values[at]),
            )
        },
        "ts_of_min_over_time" => |view, _, _| {
            Outcome::ignoring_histograms(
                view,
                extreme(view, |a, b| a <= b).map(|at| seconds(view.times[at])),
            )
        },
        "ts_of_max_over_time" => |view, _, _| {
            Outcome::ignoring_histograms(
                view,
                extreme(view, |a, b| a >= b).map(|at| seconds(view.times[at])),
            )
        },
        "first_over_time" => |view, _, _| first(view).1.into(),
        "last_over_time" => |view, _, _| last(view).1.into(),
        "ts_of_first_over_time" => |view, _, _| seconds(first(view).0).into(),
        "ts_of_last_over_time" => |view, _, _| seconds(last(view).0).into(),
        "stdvar_over_time" => |view, _, _| Outcome::ignoring_histograms(view, variance(view)),
        "stddev_over_time" => {
            |view, _, _| Outcome::ignoring_histograms(view, variance(view).map(f64::sqrt))
        }
        "mad_over_time" => {
            |view, _, _| Outcome::ignoring_histograms(view, median_absolute_deviation(view))
        }
        "quantile_over_time" => |view, scalars, _| {
            let q = scalars.first().copied().unwrap_or(f64::NAN);
            let value = (!view.values.is_empty()).then(|| quantile(q, &mut view.values.to_vec()));
            Outcome::ignoring_histograms(view, value)
        },
        _ => return None,
    })
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1_000.0
}

fn sum(view: &View<'_>) -> Outcome {
    if view.is_mixed() {
        return Outcome::remark(Remark::MixedInRange);
    }
    if let Some((first, rest)) = view.histograms.split_first() {
        let mut sum = HistogramSum::starting_at(first);
        let added = rest.iter().map(|histogram| sum.add(histogram)).collect();
        return aggregated(added, sum.resets_conflict(), || sum.finish());
    }
    let values = view.values.iter().copied();
    values
        .fold(KahanSum::default(), KahanSum::add)
        .total()
        .into()
}

fn average(view: &View<'_>) -> Outcome {
    if view.is_mixed() {
        return Outcome::remark(Remark::MixedInRange);
    }
    if let Some((first, rest)) = view.histograms.split_first() {
        let mut mean = HistogramMean::starting_at(first);
        let added = rest.iter().map(|histogram| mean.add(histogram)).collect();
        return aggregated(added, mean.resets_conflict(), || mean.finish());
    }
    let Some((first, rest)) = view.values.split_first() else {
        return Outcome::NOTHING;
    };
    let mut mean = Mean::starting_at(*first);
    rest.iter().for_each(|value| mean.add(*value));
    mean.value().into()
}

/// The histogram that others were added up to, with what there is to say about it.
fn aggregated(
    added: Result<Vec<bool>, Incompatible>,
    resets_conflict: bool,
    finish: impl FnOnce() -> NativeHistogram,
) -> Outcome {
    let Ok(reconciled) = added else {
        return Outcome::remark(Remark::MixedSchemas);
    };
    let mut outcome = Outcome::from(Cell::Histogram(Arc::new(finish())));
    if resets_conflict {
        outcome = outcome.with(Remark::ConflictingResets(Operation::Aggregation));
    }
    if reconciled.contains(&true) {
        outcome = outcome.with(Remark::BordersReconciled(Operation::Aggregation));
    }
    outcome
}

/// The index of the value that `replaces` all before it; NaN only when there is nothing else.
fn extreme(view: &View<'_>, replaces: impl Fn(f64, f64) -> bool) -> Option<usize> {
    let (mut best, mut at) = (*view.values.first()?, 0);
    for (index, value) in view.values.iter().enumerate() {
        if replaces(*value, best) || best.is_nan() {
            (best, at) = (*value, index);
        }
    }
    Some(at)
}

fn first(view: &View<'_>) -> (i64, Cell) {
    match (view.times.first(), view.histogram_times.first()) {
        (float, Some(histogram)) if float.is_none_or(|float| float >= histogram) => {
            (*histogram, Cell::Histogram(view.histograms[0].clone()))
        }
        (Some(float), _) => (*float, Cell::Float(view.values[0])),
        (None, _) => (0, Cell::Empty),
    }
}

fn last(view: &View<'_>) -> (i64, Cell) {
    let histogram = view.histogram_times.last().zip(view.histograms.last());
    let float = view.times.last().zip(view.values.last());
    match (float, histogram) {
        (float, Some((time, value))) if float.is_none_or(|(float, _)| time >= float) => {
            (*time, Cell::Histogram(value.clone()))
        }
        (Some((time, value)), _) => (*time, Cell::Float(*value)),
        (None, _) => (0, Cell::Empty),
    }
}

fn variance(view: &View<'_>) -> Option<f64> {
    view.values.first()?;
    let mut variance = Variance::default();
    view.values.iter().for_each(|value| variance.add(*value));
    Some(variance.value())
}

fn median_absolute_deviation(view: &View<'_>) -> Option<f64> {
    view.values.first()?;
    if view.values.iter().any(|value| value.is_nan()) {
        return Some(f64::NAN);
    }
    let mut values = view.values.to_vec();
    let median = quantile(0.5, &mut values);
    values
        .iter_mut()
        .for_each(|value| *value = (*value - median).abs());
    Some(quantile(0.5, &mut values))
}
