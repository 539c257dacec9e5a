//! Where samples are heading: `deriv`, `predict_linear`, `double_exponential_smoothing`.

use super::kahan::KahanSum;
use super::range_functions::{Outcome, RangeFunction};
use super::window::View;

/// The function called `name`, when it is one of these.
pub(super) fn find(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "deriv" => |view, _, _| {
            let line = (view.times.len() >= 2).then(|| regression(view, view.times[0]).0);
            Outcome::ignoring_histograms(view, line)
        },
        "predict_linear" => |view, scalars, _| {
            let ahead = scalars.first().copied().unwrap_or(f64::NAN);
            let predicted = (view.times.len() >= 2).then(|| {
                let (slope, intercept) = regression(view, view.time_ms);
                slope * ahead + intercept
            });
            Outcome::ignoring_histograms(view, predicted)
        },
        "double_exponential_smoothing" => |view, scalars, _| {
            let (smoothing, trend) = match scalars {
                [smoothing, trend, ..] => (*smoothing, *trend),
                _ => (f64::NAN, f64::NAN),
            };
            Outcome::ignoring_histograms(view, smoothed(view.values, smoothing, trend))
        },
        _ => return None,
    })
}

/// Slope per second and value at `at_ms` of the least-squares line through the samples.
fn regression(view: &View<'_>, at_ms: i64) -> (f64, f64) {
    let initial = view.values[0];
    if view.values.iter().all(|value| *value == initial) {
        return match initial.is_infinite() {
            true => (f64::NAN, f64::NAN),
            false => (0.0, initial),
        };
    }
    let n = view.times.len() as f64;
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [KahanSum::default(); 4];
    for (time, y) in view.times.iter().zip(view.values) {
        // With @, the step may lie anywhere.
        let x = time.saturating_sub(at_ms) as f64 / 1_000.0;
        x_sum = x_sum.add(x);
        y_sum = y_sum.add(*y);
        xy_sum = xy_sum.add(x * y);
        xx_sum = xx_sum.add(x * x);
    }
    let (x, y) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x * y / n;
    let variance = xx_sum.total() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

/// Holt's linear trend method: the smoothed value at the last sample.
fn smoothed(values: &[f64], smoothing: f64, trend_factor: f64) -> Option<f64> {
    let [first, second, ..] = values else {
        return None;
    };
    let (mut before, mut level) = (0.0, *first);
    let mut trend = second - first;
    for (index, value) in values.iter().enumerate().skip(1) {
        if index > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + trend);
        (before, level) = (level, next);
    }
    Some(level)
}
