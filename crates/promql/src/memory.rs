//! Series in memory: the source that tests, rule tests and tools evaluate over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use model::histogram::ResetHint;
use model::{Labels, Matcher, NativeHistogram, SampleValue};

use crate::matching::CompiledMatchers;
use crate::source::{Names, SelectLimits, SeriesSource, SourceError, Window};
use crate::value::Series;

/// Series in memory, sorted by labels, samples by time.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, BTreeMap<i64, SampleValue>>,
}

impl MemorySource {
    /// A source without any series.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one sample; a later one of the same series and millisecond replaces it.
    pub fn insert(&mut self, labels: Labels, timestamp_ms: i64, value: SampleValue) {
        self.series
            .entry(labels)
            .or_default()
            .insert(timestamp_ms, value);
    }

    /// Adds one plain sample.
    pub fn insert_float(&mut self, labels: Labels, timestamp_ms: i64, value: f64) {
        self.insert(labels, timestamp_ms, SampleValue::Float(value));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    fn matching(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
    ) -> Result<impl Iterator<Item = &Labels>, SourceError> {
        let compiled: Vec<CompiledMatchers> = selectors
            .iter()
            .map(|matchers| CompiledMatchers::new(matchers))
            .collect::<Result<_, _>>()?;
        Ok(self.series.iter().filter_map(move |(labels, samples)| {
            let wanted =
                compiled.is_empty() || compiled.iter().any(|matchers| matchers.matches(labels));
            (wanted && samples.keys().any(|time| window.contains(*time))).then_some(labels)
        }))
    }
}

/// What a store knows of a reset that keeps counter histograms in runs: within a run of one layout
/// that only grows there was none; a run may begin for any reason.
fn reset_hint(histogram: &NativeHistogram, before: Option<&SampleValue>) -> ResetHint {
    if histogram.reset_hint == ResetHint::Gauge {
        return ResetHint::Gauge;
    }
    let Some(SampleValue::Histogram(before)) = before else {
        return ResetHint::Unknown;
    };
    let goes_on = before.reset_hint != ResetHint::Gauge
        && before.schema == histogram.schema
        && before.zero_threshold == histogram.zero_threshold
        && before.custom_values == histogram.custom_values
        && !histogram.is_reset_after(before);
    match goes_on {
        true => ResetHint::NotReset,
        false => ResetHint::Unknown,
    }
}

fn cut(names: BTreeSet<&str>, limit: usize) -> Names {
    Names {
        truncated: names.len() > limit,
        names: names.into_iter().take(limit).map(str::to_owned).collect(),
    }
}

#[async_trait]
impl SeriesSource for MemorySource {
    async fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<Series>, SourceError> {
        let matchers = CompiledMatchers::new(matchers)?;
        let mut selected = Vec::new();
        let mut sample_count = 0;
        for (labels, samples) in &self.series {
            if !matchers.matches(labels) {
                continue;
            }
            let mut series = Series {
                labels: labels.clone(),
                ..Series::default()
            };
            let mut before = None;
            for (time, value) in samples {
                let wanted = window.contains(*time);
                match value {
                    SampleValue::Float(value) if wanted => {
                        series.floats.timestamps_ms.push(*time);
                        series.floats.values.push(*value);
                    }
                    SampleValue::Histogram(value) if wanted => {
                        series.histograms.timestamps_ms.push(*time);
                        series.histograms.values.push(Arc::new(NativeHistogram {
                            reset_hint: reset_hint(value, before),
                            ..(**value).clone()
                        }));
                    }
                    _ => {}
                }
                before = Some(value);
            }
            if series.sample_count() == 0 {
                continue;
            }
            sample_count += series.sample_count();
            if sample_count > limits.max_samples {
                return Err(SourceError::TooManySamples {
                    limit: limits.max_samples,
                });
            }
            if selected.len() == limits.max_series {
                return Err(SourceError::TooManySeries {
                    limit: limits.max_series,
                });
            }
            selected.push(series);
        }
        Ok(selected)
    }

    async fn series(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Vec<Labels>, SourceError> {
        Ok(self
            .matching(selectors, window)?
            .take(limit)
            .cloned()
            .collect())
    }

    async fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError> {
        let names = self
            .matching(selectors, window)?
            .flat_map(|labels| labels.iter().map(|(name, _)| name))
            .collect();
        Ok(cut(names, limit))
    }

    async fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError> {
        let values = self
            .matching(selectors, window)?
            .filter_map(|labels| labels.get(name))
            .collect();
        Ok(cut(values, limit))
    }
}
