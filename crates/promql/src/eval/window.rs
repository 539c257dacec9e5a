//! Range vectors: for each series its samples, for each step a window over them.

use std::borrow::Cow;
use std::sync::Arc;

use model::histogram::ResetHint;
use model::metric::is_stale;
use model::{Labels, NativeHistogram};

use super::column::{Column, unite};
use super::error::EvalError;
use super::evaluate::Evaluation;
use super::plan::{Node, Reading};
use super::result::into_series;
use super::selector;
use super::steps::Steps;
use crate::ast::{ExprKind, RangeExtension};
use crate::source::Window;
use crate::value::{FloatColumn, HistogramColumn, Series};

/// Series with the windows that steps have on them.
pub(super) struct RangeVector<'a> {
    pub(super) series: Vec<RangeSeries<'a>>,
    pub(super) reading: Reading,
    pub(super) extension: Option<RangeExtension>,
}

/// A series without stale markers.
pub(super) struct RangeSeries<'a> {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) floats: Cow<'a, FloatColumn>,
    pub(super) histograms: Cow<'a, HistogramColumn>,
}

impl RangeSeries<'_> {
    fn into_owned<'a>(self) -> RangeSeries<'a> {
        RangeSeries {
            labels: self.labels,
            drop_name: self.drop_name,
            floats: Cow::Owned(self.floats.into_owned()),
            histograms: Cow::Owned(self.histograms.into_owned()),
        }
    }
}

/// What one step sees of one series: samples in order of time, never stale markers.
pub(super) struct View<'s> {
    /// The step, Unix ms.
    pub(super) time_ms: i64,
    /// The window; with `anchored` or `smoothed`, samples lie outside of it, too.
    pub(super) window: Window,
    pub(super) times: &'s [i64],
    pub(super) values: &'s [f64],
    pub(super) histogram_times: &'s [i64],
    pub(super) histograms: &'s [Arc<NativeHistogram>],
}

/// A sample of either kind.
#[derive(Debug, Clone, Copy)]
pub(super) enum ViewSample<'s> {
    Float(f64),
    Histogram(&'s Arc<NativeHistogram>),
}

impl<'s> View<'s> {
    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty() && self.histogram_times.is_empty()
    }

    /// Whether there are samples of both kinds.
    pub(super) fn is_mixed(&self) -> bool {
        !self.times.is_empty() && !self.histogram_times.is_empty()
    }

    /// Samples of both kinds in order of time.
    pub(super) fn samples(&self) -> impl Iterator<Item = (i64, ViewSample<'s>)> + use<'s> {
        let floats = self.times.iter().copied().zip(self.values);
        let mut floats = floats
            .map(|(time, value)| (time, ViewSample::Float(*value)))
            .peekable();
        let histograms = self.histogram_times.iter().copied().zip(self.histograms);
        let mut histograms = histograms
            .map(|(time, value)| (time, ViewSample::Histogram(value)))
            .peekable();
        std::iter::from_fn(move || match (floats.peek(), histograms.peek()) {
            (Some((float, _)), Some((histogram, _))) if float > histogram => histograms.next(),
            (Some(_), _) => floats.next(),
            (None, _) => histograms.next(),
        })
    }

    /// The samples, but of each kind only the last `count`.
    pub(super) fn tail(&self, count: usize) -> Self {
        let floats = self.times.len().saturating_sub(count);
        let histograms = self.histogram_times.len().saturating_sub(count);
        View {
            time_ms: self.time_ms,
            window: self.window,
            times: &self.times[floats..],
            values: &self.values[floats..],
            histogram_times: &self.histogram_times[histograms..],
            histograms: &self.histograms[histograms..],
        }
    }

    /// The length of the window in seconds.
    pub(super) fn range_seconds(&self) -> f64 {
        (self.window.until_ms - self.window.after_ms) as f64 / 1_000.0
    }
}

/// The series and windows of a range selector or subquery, in parentheses or not.
pub(super) fn range_vector<'a>(
    evaluation: &mut Evaluation<'a>,
    node: &Node<'_>,
) -> Result<RangeVector<'a>, EvalError> {
    match &node.expr.kind {
        ExprKind::Paren(_) => range_vector(evaluation, &node.children[0]),
        ExprKind::Range(range) => {
            let (reading, series) = selector::reading(evaluation, node)?;
            let vector = RangeVector {
                series: match node.finds_resets {
                    false => series.iter().map(without_stale).collect(),
                    true => series.iter().map(with_resets).collect(),
                },
                reading,
                extension: range.selector.extension,
            };
            evaluation.see(|| vector.samples_seen(node.steps) * node.repeat.unwrap_or(1) as u64);
            Ok(vector)
        }
        ExprKind::Subquery(_) => {
            let (Some(reading), Some(steps)) = (node.reading, node.inner_steps) else {
                let message = "this subquery was not planned";
                return Err(EvalError::execution(node.expr.span, message));
            };
            // Of `a or b`, columns of the same labels that take turns are one series.
            let columns = unite(evaluation.vector(&node.children[0])?, node.expr.span)?;
            let series = columns
                .into_iter()
                .map(|column| evaluated(column, steps))
                .collect();
            Ok(RangeVector {
                series,
                reading,
                extension: None,
            })
        }
        _ => {
            let message = "expected a range vector";
            Err(EvalError::execution(node.expr.span, message))
        }
    }
}

/// The series without its stale markers and with what is known of resets between its histograms.
fn with_resets(series: &Series) -> RangeSeries<'_> {
    match selector::with_resets(series) {
        Cow::Borrowed(series) => without_stale(series),
        Cow::Owned(series) => without_stale(&series).into_owned(),
    }
}

fn evaluated<'a>(column: Column, steps: Steps) -> RangeSeries<'a> {
    let drop_name = column.drop_name;
    let mut series = into_series(column, steps);
    for histogram in &mut series.histograms.values {
        // Samples between steps are not looked at, and one may be looked at at several.
        if matches!(histogram.reset_hint, ResetHint::Reset | ResetHint::NotReset) {
            Arc::make_mut(histogram).reset_hint = ResetHint::Unknown;
        }
    }
    RangeSeries {
        labels: series.labels,
        drop_name,
        floats: Cow::Owned(series.floats),
        histograms: Cow::Owned(series.histograms),
    }
}

/// The series without its stale markers; copied only when there are some.
pub(super) fn without_stale(series: &Series) -> RangeSeries<'_> {
    let floats = if series.floats.values.iter().any(|value| is_stale(*value)) {
        let mut kept = FloatColumn::default();
        for (time, value) in series
            .floats
            .timestamps_ms
            .iter()
            .zip(&series.floats.values)
        {
            if !is_stale(*value) {
                kept.timestamps_ms.push(*time);
                kept.values.push(*value);
            }
        }
        Cow::Owned(kept)
    } else {
        Cow::Borrowed(&series.floats)
    };
    let stale = |histogram: &Arc<NativeHistogram>| is_stale(histogram.sum);
    let histograms = if series.histograms.values.iter().any(stale) {
        let mut kept = HistogramColumn::default();
        let samples = &series.histograms;
        for (time, value) in samples.timestamps_ms.iter().zip(&samples.values) {
            if !stale(value) {
                kept.timestamps_ms.push(*time);
                kept.values.push(Arc::clone(value));
            }
        }
        Cow::Owned(kept)
    } else {
        Cow::Borrowed(&series.histograms)
    };
    RangeSeries {
        labels: series.labels.clone(),
        drop_name: false,
        floats,
        histograms,
    }
}

impl RangeVector<'_> {
    /// How many samples lie in the windows of the steps, one in several counted for each.
    fn samples_seen(&self, steps: Steps) -> u64 {
        let columns = self.series.iter().flat_map(|series| {
            [
                &series.floats.timestamps_ms,
                &series.histograms.timestamps_ms,
            ]
        });
        let mut seen = 0;
        for times in columns {
            let mut slice = Slice::default();
            for step in steps.times() {
                slice.advance(times, self.reading.window(step));
                seen += slice.range().len() as u64;
            }
        }
        seen
    }

    /// Calls `each` with what every step sees of `series`; windows only ever move on.
    pub(super) fn slide<E>(
        &self,
        series: &RangeSeries<'_>,
        steps: Steps,
        lookback_ms: i64,
        mut each: impl FnMut(usize, &View<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (before, after) = match self.extension {
            None => (0, 0),
            Some(RangeExtension::Anchored) => (lookback_ms, 0),
            Some(RangeExtension::Smoothed) => (lookback_ms, lookback_ms),
        };
        let floats = &series.floats;
        let histograms = &series.histograms;
        let mut float_slice = Slice::default();
        let mut histogram_slice = Slice::default();
        for (index, time_ms) in steps.times().enumerate() {
            let window = self.reading.window(time_ms);
            let reach = Window::new(
                window.after_ms.saturating_sub(before),
                window.until_ms.saturating_add(after),
            );
            float_slice.advance(&floats.timestamps_ms, reach);
            histogram_slice.advance(&histograms.timestamps_ms, reach);
            let (f, h) = (float_slice.range(), histogram_slice.range());
            let view = View {
                time_ms,
                window,
                times: &floats.timestamps_ms[f.clone()],
                values: &floats.values[f],
                histogram_times: &histograms.timestamps_ms[h.clone()],
                histograms: &histograms.values[h],
            };
            each(index, &view)?;
        }
        Ok(())
    }
}

/// The samples of a column inside of a window.
#[derive(Default)]
struct Slice {
    start: usize,
    end: usize,
}

impl Slice {
    fn advance(&mut self, times: &[i64], window: Window) {
        self.end = first_behind(times, self.end, window.until_ms);
        self.start = first_behind(&times[..self.end], self.start, window.after_ms);
    }

    fn range(&self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// The first of the ascending `times`, from index `from` on, that is later than `bound`. Windows move
/// by a sample or by thousands, so strides double until one goes too far.
fn first_behind(times: &[i64], from: usize, bound: i64) -> usize {
    let mut behind = from;
    let mut stride = 1;
    while let Some(next) = times.get(behind..behind + stride)
        && next.last().is_some_and(|last| *last <= bound)
    {
        behind += stride;
        stride *= 2;
    }
    let last_stride = &times[behind..times.len().min(behind + stride)];
    behind + last_stride.partition_point(|time| *time <= bound)
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::first_behind;

    proptest! {
        #[test]
        fn what_lies_behind_a_bound_is_found_from_anywhere_before_it(
            times in btree_set(0_i64..500, 0..200),
            bound in -1_i64..501,
            from in any::<prop::sample::Index>(),
        ) {
            let times: Vec<i64> = times.into_iter().collect();
            let expected = times.partition_point(|time| *time <= bound);
            let from = from.index(expected + 1);
            prop_assert_eq!(first_behind(&times, from, bound), expected);
        }
    }
}
