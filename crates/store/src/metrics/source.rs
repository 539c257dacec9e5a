//! A tenant's series for the evaluator: one snapshot of splits and generations, read as one.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use model::{Labels, Matcher, MetricMetadata};
use promql::matching::CompiledMatchers;
use promql::{FloatColumn, HistogramColumn, Series};
use promql::{Names, SelectLimits, SeriesSource, SourceError, Window};

use super::cardinality::{Cardinality, CardinalityOptions};
use super::exemplars::SeriesExemplars;
use super::head::{MetricHead, SeriesColumns};
use super::split::MetricSplit;
use crate::error::StoreError;

/// Threads that read the samples of one selector.
static THREADS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));

/// Everything that is stored of one tenant's metrics at one moment.
///
/// Oldest first: where two hold a sample of the same series and millisecond, the later one wins.
///
/// Names, values and label sets are listed by chunks: a series of a split counts as soon as one of
/// its chunks begins before the window's end and ends after its beginning, even if no sample of it
/// lies between. So does one of a generation by its encoded runs of a few samples.
#[derive(Clone, Default)]
pub struct MetricSnapshot {
    /// Published splits in the order of their log positions.
    pub splits: Vec<Arc<MetricSplit>>,
    /// Generations that no split of `splits` covers, oldest first.
    pub generations: Vec<Arc<MetricHead>>,
}

impl MetricSnapshot {
    /// What is known of metric families, by family name; the newest description wins.
    ///
    /// # Errors
    ///
    /// A split is damaged.
    pub fn metadata(&self) -> Result<Vec<MetricMetadata>, StoreError> {
        let mut by_family: BTreeMap<String, MetricMetadata> = BTreeMap::new();
        // The newest first: of most families nothing older has to be copied.
        let mut add = |family: &MetricMetadata| {
            if !by_family.contains_key(&family.family) {
                by_family.insert(family.family.clone(), family.clone());
            }
        };
        for head in self.generations.iter().rev() {
            head.metadata().iter().for_each(&mut add);
        }
        for split in self.splits.iter().rev() {
            split.metadata()?.iter().for_each(&mut add);
        }
        Ok(by_family.into_values().collect())
    }

    /// Every series with samples in `window`, in the order of their labels.
    fn select_now(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SelectLimits,
        cancelled: &AtomicBool,
    ) -> Result<Vec<Series>, SourceError> {
        let compiled = CompiledMatchers::new(matchers)?;
        let samples = AtomicUsize::new(0);
        let is_too_much = |samples: usize| samples > limits.max_samples;
        let may_go_on = |columns: &SeriesColumns| {
            let before = samples.fetch_add(columns.len(), Ordering::Relaxed);
            !is_too_much(before + columns.len()) && !cancelled.load(Ordering::Relaxed)
        };
        let check = |found: &[(Labels, SeriesColumns)]| {
            if is_too_much(samples.load(Ordering::Relaxed)) {
                return Err(SourceError::TooManySamples {
                    limit: limits.max_samples,
                });
            }
            // Those of one place are in order, so that neighbours are compared.
            let series = found.chunk_by(|a, b| a.0 == b.0).count();
            match series > limits.max_series {
                true => Err(SourceError::TooManySeries {
                    limit: limits.max_series,
                }),
                false => Ok(()),
            }
        };
        let mut found: Vec<(Labels, SeriesColumns)> = Vec::new();
        for split in self.splits_until(cancelled) {
            let of_split = split.select(matchers, &compiled, window, *THREADS, &may_go_on)?;
            check(&of_split)?;
            found.extend(of_split);
        }
        for head in &self.generations {
            let mut of_head = Vec::new();
            head.visit_series(matchers, &compiled, window, |labels, columns| {
                if columns.is_empty() {
                    return !cancelled.load(Ordering::Relaxed);
                }
                let goes_on = may_go_on(&columns) && of_head.len() < limits.max_series;
                of_head.push((labels.clone(), columns));
                goes_on
            });
            check(&of_head)?;
            found.extend(of_head);
        }
        // Stable: what came later stays later. Sorted runs are only merged.
        found.sort_by(|a, b| a.0.cmp(&b.0));
        check(&found)?;
        Ok(joined(found))
    }

    /// Label sets that match any of the selectors; all of them when there is none.
    fn labels_now(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        cancelled: &AtomicBool,
    ) -> Result<BTreeSet<Labels>, SourceError> {
        let mut found = BTreeSet::new();
        for matchers in or_everything(selectors) {
            let compiled = CompiledMatchers::new(matchers)?;
            let mut add = |labels: &Labels| {
                if !found.contains(labels) {
                    found.insert(labels.clone());
                }
                go_on(cancelled)
            };
            for split in &self.splits {
                split.visit_rows(matchers, &compiled, window, &mut |row| add(&row.labels))?;
            }
            self.visit_heads(matchers, &compiled, window, cancelled, &mut add);
        }
        Ok(found)
    }

    fn label_names_now(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        cancelled: &AtomicBool,
    ) -> Result<BTreeSet<String>, SourceError> {
        let mut found = BTreeSet::new();
        for matchers in or_everything(selectors) {
            let compiled = CompiledMatchers::new(matchers)?;
            for split in self.splits_until(cancelled) {
                split.add_label_names((matchers, &compiled), window, &mut found)?;
            }
            self.visit_heads(matchers, &compiled, window, cancelled, &mut |labels| {
                for (name, _) in labels.iter() {
                    if !found.contains(name) {
                        found.insert(name.to_owned());
                    }
                }
                go_on(cancelled)
            });
        }
        Ok(found)
    }

    fn label_values_now(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
        cancelled: &AtomicBool,
    ) -> Result<BTreeSet<String>, SourceError> {
        let mut found = BTreeSet::new();
        for matchers in or_everything(selectors) {
            let compiled = CompiledMatchers::new(matchers)?;
            for split in self.splits_until(cancelled) {
                split.add_label_values(name, (matchers, &compiled), window, &mut found)?;
            }
            self.visit_heads(matchers, &compiled, window, cancelled, &mut |labels| {
                if let Some(value) = labels.get(name)
                    && !found.contains(value)
                {
                    found.insert(value.to_owned());
                }
                go_on(cancelled)
            });
        }
        Ok(found)
    }

    /// The splits, as long as somebody waits for what they say.
    fn splits_until(&self, cancelled: &AtomicBool) -> impl Iterator<Item = &Arc<MetricSplit>> {
        let is_waited_for = move |_: &&Arc<MetricSplit>| !cancelled.load(Ordering::Relaxed);
        self.splits.iter().take_while(is_waited_for)
    }

    /// Visits the labels of the generations' series that count in `window`.
    fn visit_heads(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        cancelled: &AtomicBool,
        visit: &mut dyn FnMut(&Labels) -> ControlFlow<()>,
    ) {
        for head in &self.generations {
            head.visit_times(matchers, compiled, window, |labels, times| {
                let flow = match times {
                    Some(_) => visit(labels),
                    None => go_on(cancelled),
                };
                flow.is_continue()
            });
        }
    }

    /// See [`crate::TenantSeries::exemplars`].
    pub(crate) async fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<SeriesExemplars>, SourceError> {
        let selectors = selectors.to_vec();
        self.blocking(move |this, cancelled| {
            this.exemplars_now(&selectors, window, limits, cancelled)
        })
        .await
    }

    /// See [`crate::TenantSeries::cardinality`].
    pub(crate) async fn cardinality(
        &self,
        options: CardinalityOptions,
    ) -> Result<Cardinality, SourceError> {
        self.blocking(move |this, cancelled| this.cardinality_now(&options, cancelled))
            .await
    }

    /// Calls `visit` with the labels and the last sample (Unix ms) of every series that counts in
    /// `window`, once for each place that holds it: the last of the chunks that overlap it.
    pub(crate) async fn each_series(
        &self,
        window: Window,
        mut visit: impl FnMut(&Labels, i64) + Send + 'static,
    ) -> Result<(), SourceError> {
        self.blocking(move |this, cancelled| {
            let everything = CompiledMatchers::new(&[])?;
            for split in this.splits_until(cancelled) {
                split.visit_rows(&[], &everything, window, &mut |row| {
                    visit(&row.labels, row.max_ms);
                    go_on(cancelled)
                })?;
            }
            for head in &this.generations {
                head.visit_times(&[], &everything, window, |labels, times| {
                    if let Some((_, last_ms)) = times {
                        visit(labels, last_ms);
                    }
                    go_on(cancelled).is_continue()
                });
            }
            Ok(())
        })
        .await
    }

    /// Runs `work` on the blocking pool; it is told when nobody waits for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self, &AtomicBool) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let cancelled = CancelOnDrop(Arc::new(AtomicBool::new(false)));
        let (snapshot, flag) = (self.clone(), Arc::clone(&cancelled.0));
        tokio::task::spawn_blocking(move || work(&snapshot, &flag))
            .await
            .unwrap_or_else(|error| Err(SourceError::Unavailable(format!("read series: {error}"))))
    }
}

/// Without a selector everything is selected.
fn or_everything(selectors: &[Vec<Matcher>]) -> &[Vec<Matcher>] {
    const EVERYTHING: &[Vec<Matcher>] = &[Vec::new()];
    match selectors {
        [] => EVERYTHING,
        some => some,
    }
}

fn go_on(cancelled: &AtomicBool) -> ControlFlow<()> {
    match cancelled.load(Ordering::Relaxed) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The series of places in the order of their labels, oldest first among equals.
fn joined(places: Vec<(Labels, SeriesColumns)>) -> Vec<Series> {
    let mut all = Vec::with_capacity(places.len());
    let mut places = places.into_iter().peekable();
    while let Some((labels, mut columns)) = places.next() {
        let mut later = Vec::new();
        while let Some((_, columns)) = places.next_if(|(next, _)| *next == labels) {
            later.push(columns);
        }
        columns.extend_all(&later);
        all.push(series(labels, columns));
    }
    all
}

/// A series whose places were joined, in order of time and one sample a millisecond.
fn series(labels: Labels, columns: SeriesColumns) -> Series {
    let floats = columns.floats.in_order();
    let histograms = columns.histograms.in_order();
    Series {
        labels,
        floats: FloatColumn {
            timestamps_ms: floats.times,
            values: floats.values,
        },
        histograms: HistogramColumn {
            timestamps_ms: histograms.times,
            values: histograms.values,
        },
    }
}

fn names(found: BTreeSet<String>, limit: usize) -> Names {
    let truncated = found.len() > limit;
    Names {
        names: found.into_iter().take(limit).collect(),
        truncated,
    }
}

#[async_trait]
impl SeriesSource for MetricSnapshot {
    async fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<Series>, SourceError> {
        let matchers = matchers.to_vec();
        self.blocking(move |this, cancelled| this.select_now(&matchers, window, limits, cancelled))
            .await
    }

    async fn series(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Vec<Labels>, SourceError> {
        let selectors = selectors.to_vec();
        self.blocking(move |this, cancelled| {
            let found = this.labels_now(&selectors, window, cancelled)?;
            Ok(found.into_iter().take(limit).collect())
        })
        .await
    }

    async fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError> {
        let selectors = selectors.to_vec();
        self.blocking(move |this, cancelled| {
            let found = this.label_names_now(&selectors, window, cancelled)?;
            Ok(names(found, limit))
        })
        .await
    }

    async fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError> {
        let (name, selectors) = (name.to_owned(), selectors.to_vec());
        self.blocking(move |this, cancelled| {
            let found = this.label_values_now(&name, &selectors, window, cancelled)?;
            Ok(names(found, limit))
        })
        .await
    }
}
