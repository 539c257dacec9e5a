//! Exemplars of series, from wherever a snapshot holds them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Exemplar, Labels, Matcher};
use promql::matching::CompiledMatchers;
use promql::{SelectLimits, SourceError, Window};

use super::source::MetricSnapshot;

/// The exemplars of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplars {
    /// The series, metric name included.
    pub labels: Labels,
    /// In the order of time, each once.
    pub exemplars: Vec<Exemplar>,
}

impl MetricSnapshot {
    /// See [`crate::TenantSeries::exemplars`].
    pub(super) fn exemplars_now(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: SelectLimits,
        cancelled: &AtomicBool,
    ) -> Result<Vec<SeriesExemplars>, SourceError> {
        let mut found = Found {
            series: BTreeMap::new(),
            count: 0,
            window,
            limits,
            refused: None,
        };
        let mut add = |labels: &Labels, exemplars: Vec<Exemplar>| {
            if cancelled.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            found.add(labels, exemplars)
        };
        for matchers in selectors {
            let compiled = CompiledMatchers::new(matchers)?;
            for split in &self.splits {
                split.visit_exemplars(matchers, &compiled, &mut add)?;
            }
            for head in &self.generations {
                head.visit_exemplars(matchers, &compiled, |labels, exemplars| {
                    add(labels, exemplars).is_continue()
                });
            }
        }
        found.finish()
    }
}

struct Found {
    series: BTreeMap<Labels, Vec<Exemplar>>,
    count: usize,
    window: Window,
    limits: SelectLimits,
    refused: Option<SourceError>,
}

impl Found {
    fn add(&mut self, labels: &Labels, mut exemplars: Vec<Exemplar>) -> ControlFlow<()> {
        exemplars.retain(|exemplar| self.window.contains(exemplar.timestamp_ms));
        if exemplars.is_empty() {
            return ControlFlow::Continue(());
        }
        self.count += exemplars.len();
        match self.series.get_mut(labels) {
            Some(known) => known.append(&mut exemplars),
            None => {
                self.series.insert(labels.clone(), exemplars);
            }
        }
        let SelectLimits {
            max_series,
            max_samples,
        } = self.limits;
        if self.count > max_samples {
            self.refused = Some(SourceError::TooManySamples { limit: max_samples });
        } else if self.series.len() > max_series {
            self.refused = Some(SourceError::TooManySeries { limit: max_series });
        }
        match self.refused {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn finish(self) -> Result<Vec<SeriesExemplars>, SourceError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let series = self.series.into_iter();
        Ok(series
            .map(|(labels, exemplars)| SeriesExemplars {
                labels,
                exemplars: in_order(exemplars),
            })
            .collect())
    }
}

/// Exemplars in the order of time, each once: a series that two selectors match is met twice, and
/// a sender repeats an exemplar until there is a newer one.
pub(super) fn in_order(mut exemplars: Vec<Exemplar>) -> Vec<Exemplar> {
    exemplars.sort_by_key(|exemplar| exemplar.timestamp_ms);
    let mut unique: Vec<Exemplar> = Vec::with_capacity(exemplars.len());
    for exemplar in exemplars {
        let mut same_time = unique
            .iter()
            .rev()
            .take_while(|known| known.timestamp_ms == exemplar.timestamp_ms);
        if !same_time.any(|known| is_same(known, &exemplar)) {
            unique.push(exemplar);
        }
    }
    unique
}

/// Values are compared as bits: NaN differs from itself.
fn is_same(a: &Exemplar, b: &Exemplar) -> bool {
    a.value.to_bits() == b.value.to_bits() && a.labels == b.labels
}
