//! A generation of metrics: every series' samples since the last seal, in memory.
//!
//! A series is found by its labels on the way in and by [`Postings`] on the way out. Delta points
//! are added up here, and a counter that starts inside of [`ZERO_HORIZON_MS`] gets the sample 0 at
//! its start, so that its first value counts as an increase.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::{Temporality, is_stale};
use model::{
    Exemplar, Labels, Matcher, MetricMetadata, NativeHistogram, SampleValue, SeriesSample,
};
use promql::matching::CompiledMatchers;
use serde::{Deserialize, Serialize};

use super::accumulator::Accumulators;
use super::column::{Column, NO_START};
use super::postings::Postings;
use super::split;
use crate::error::StoreError;
use crate::head::{HeadRows, HeadSettings, MetricRows, SplitSummary};

/// Exemplars that a generation keeps of one series: the newest.
const EXEMPLARS_PER_SERIES: usize = 64;

/// How long before its first sample a counter's start may lie to be stored as a sample 0, ms.
///
/// Farther back the increase cannot be dated: the process ran long before it reported here.
const ZERO_HORIZON_MS: i64 = 60 * 60 * 1000;

/// One generation of a tenant's metrics.
pub struct MetricHead {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    series: Vec<HeadSeries>,
    by_labels: HashMap<Labels, u32>,
    postings: Postings,
    metadata: BTreeMap<String, MetricMetadata>,
    accumulators: Accumulators,
    /// Starts that generations before this one dealt with.
    earlier_starts: HashMap<Labels, i64>,
    samples: u64,
    series_bytes: usize,
    sample_bytes: usize,
}

/// A series' samples in one generation or split.
#[derive(Debug, Clone, Default)]
pub(super) struct SeriesColumns {
    pub(super) floats: Column<f64>,
    pub(super) histograms: Column<Arc<NativeHistogram>>,
    pub(super) exemplars: VecDeque<Exemplar>,
}

struct HeadSeries {
    labels: Labels,
    columns: SeriesColumns,
    /// The start time that is dealt with: its zero is stored, or must not be. Unix ms.
    zero_at: Option<i64>,
    last_ms: i64,
}

/// What a generation hands to the next one, through memory or through the checkpoint.
#[derive(Default, Serialize, Deserialize)]
struct Carried {
    totals: Accumulators,
    /// Starts that are dealt with, of counters that a zero could still be stored for, Unix ms.
    starts: Vec<(Labels, i64)>,
}

impl MetricHead {
    fn continuing(carried: Carried) -> Self {
        Self {
            state: Mutex::new(State {
                accumulators: carried.totals,
                earlier_starts: carried.starts.into_iter().collect(),
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `visit` with the label set of each series that passes; stops when it answers `false`.
    pub(super) fn visit_series(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        mut visit: impl FnMut(&Labels, &SeriesColumns) -> bool,
    ) {
        let state = self.state();
        let mut pass = |series: &HeadSeries| {
            !compiled.matches(&series.labels) || visit(&series.labels, &series.columns)
        };
        match state.postings.candidates(matchers) {
            Some(numbers) => {
                numbers
                    .iter()
                    .all(|number| pass(&state.series[*number as usize]));
            }
            None => {
                state.series.iter().all(pass);
            }
        }
    }

    /// What is known of metric families, by family name.
    pub(super) fn metadata(&self) -> Vec<MetricMetadata> {
        self.state().metadata.values().cloned().collect()
    }
}

impl State {
    fn add(&mut self, sample: SeriesSample) {
        let sample = match sample.temporality {
            Temporality::Cumulative => sample,
            Temporality::Delta => self.accumulators.add(&sample),
        };
        let number = self.series_number(&sample.labels);
        let series = &mut self.series[number as usize];
        let before = series.columns.size_bytes();
        let zero = series.zero_before(&sample);
        for (time, value) in zero
            .into_iter()
            .chain([(sample.timestamp_ms, sample.value)])
        {
            series.columns.push(time, sample.start_ms, value);
            series.last_ms = series.last_ms.max(time);
            self.samples += 1;
        }
        series.columns.add_exemplars(sample.exemplars);
        self.sample_bytes += series.columns.size_bytes() - before;
    }

    /// What the next generation has to know. What is older than the horizon, counted back from the
    /// newest sample, cannot matter any more.
    fn carried(&self) -> Carried {
        let newest = self.series.iter().map(|series| series.last_ms).max();
        let Some(newest) = newest.max(self.accumulators.newest_ms()) else {
            return Carried {
                totals: self.accumulators.clone(),
                starts: self.earlier_starts.clone().into_iter().collect(),
            };
        };
        let oldest = newest.saturating_sub(ZERO_HORIZON_MS);
        let mut starts = self.earlier_starts.clone();
        for series in &self.series {
            if let Some(start) = series.zero_at {
                starts.insert(series.labels.clone(), start);
            }
        }
        starts.retain(|_, start| *start >= oldest);
        let mut starts: Vec<(Labels, i64)> = starts.into_iter().collect();
        starts.sort();
        Carried {
            totals: self.accumulators.since(oldest),
            starts,
        }
    }

    fn series_number(&mut self, labels: &Labels) -> u32 {
        if let Some(number) = self.by_labels.get(labels) {
            return *number;
        }
        let number = u32::try_from(self.series.len()).expect("memory ends long before 4 G series");
        self.by_labels.insert(labels.clone(), number);
        self.postings.add(number, labels);
        self.series_bytes += series_overhead_bytes(labels);
        self.series.push(HeadSeries {
            zero_at: self.earlier_starts.get(labels).copied(),
            labels: labels.clone(),
            columns: SeriesColumns::default(),
            last_ms: i64::MIN,
        });
        number
    }
}

/// What a series costs besides its samples: label text once, and its places in map and postings.
fn series_overhead_bytes(labels: &Labels) -> usize {
    let text: usize = labels
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    size_of::<HeadSeries>() + 64 + text + labels.len() * 48
}

impl HeadSeries {
    /// The zero that the start of `sample`'s counter adds before it.
    fn zero_before(&mut self, sample: &SeriesSample) -> Option<(i64, SampleValue)> {
        let start = sample.start_ms?;
        let fresh = self.zero_at != Some(start) && start > self.last_ms;
        // Dealt with from here on, also when no zero is stored: in a later generation, which does
        // not know this sample, a zero at its start could take its place.
        self.zero_at = Some(start);
        let near = start < sample.timestamp_ms && sample.timestamp_ms - start <= ZERO_HORIZON_MS;
        if !fresh || !near {
            return None;
        }
        let zero = match &sample.value {
            SampleValue::Float(value) if is_stale(*value) => return None,
            SampleValue::Float(_) => SampleValue::Float(0.0),
            SampleValue::Histogram(histogram) => {
                SampleValue::Histogram(Box::new(NativeHistogram {
                    schema: histogram.schema,
                    zero_threshold: histogram.zero_threshold,
                    custom_values: histogram.custom_values.clone(),
                    ..NativeHistogram::default()
                }))
            }
        };
        Some((start, zero))
    }
}

impl SeriesColumns {
    pub(super) fn push(&mut self, time: i64, start: Option<i64>, value: SampleValue) {
        match value {
            SampleValue::Float(value) => self.floats.push(time, start, value),
            SampleValue::Histogram(value) => self.histograms.push(time, start, Arc::from(value)),
        }
    }

    pub(super) fn add_exemplars(&mut self, exemplars: impl IntoIterator<Item = Exemplar>) {
        for exemplar in exemplars {
            if self.exemplars.contains(&exemplar) {
                continue;
            }
            if self.exemplars.len() == EXEMPLARS_PER_SERIES {
                self.exemplars.pop_front();
            }
            self.exemplars.push_back(exemplar);
        }
    }

    /// The samples inside of `(after, until]` of both kinds.
    pub(super) fn window(&self, after: i64, until: i64) -> Self {
        Self {
            floats: self.floats.window(after, until),
            histograms: self.histograms.window(after, until),
            exemplars: VecDeque::new(),
        }
    }

    /// Adds what a later generation or split holds of the series.
    pub(super) fn extend(&mut self, later: &Self) {
        self.floats.extend(&later.floats);
        self.histograms.extend(&later.histograms);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// The first and last time, Unix ms, when there is a sample.
    pub(super) fn bounds(&self) -> Option<(i64, i64)> {
        let times = || self.floats.times.iter().chain(&self.histograms.times);
        Some((*times().min()?, *times().max()?))
    }

    fn size_bytes(&self) -> usize {
        // 200: a typical histogram of 20 buckets behind its pointer.
        self.floats.size_bytes()
            + self.histograms.size_bytes()
            + self.histograms.len() * 200
            + self.exemplars.len() * 200
    }
}

impl HeadRows for MetricHead {
    type Batch = MetricRows;

    fn successor(&self) -> Self {
        Self::continuing(self.state().carried())
    }

    fn apply(&self, batch: MetricRows) {
        let mut state = self.state();
        for (_, sample) in batch.samples {
            state.add(sample);
        }
        for family in batch.metadata {
            state.metadata.insert(family.family.clone(), family);
        }
    }

    fn size_bytes(&self) -> usize {
        let state = self.state();
        let carried = (state.accumulators.len() + state.earlier_starts.len()) * 96;
        state.series_bytes + state.sample_bytes + carried
    }

    fn rows(&self) -> u64 {
        self.state().samples
    }

    fn seal(&self, _: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError> {
        let (mut series, metadata) = {
            let state = self.state();
            let series: Vec<(Labels, SeriesColumns)> = state
                .series
                .iter()
                .map(|series| (series.labels.clone(), series.columns.clone()))
                .collect();
            (series, state.metadata.values().cloned().collect::<Vec<_>>())
        };
        series.sort_by(|a, b| a.0.cmp(&b.0));
        split::write(series, &metadata, out)
    }

    fn accumulators(&self) -> Option<String> {
        let carried = self.state().carried();
        if carried.totals.len() == 0 && carried.starts.is_empty() {
            return None;
        }
        Some(serde_json::to_string(&carried).expect("labels and numbers are JSON"))
    }

    fn restore(_settings: &HeadSettings, accumulators: Option<&str>) -> Result<Self, StoreError> {
        let carried = match accumulators {
            Some(text) => serde_json::from_str(text).map_err(|error| StoreError::Damaged {
                file: "accumulators of a metrics checkpoint".to_owned(),
                offset: error.column() as u64,
                message: error.to_string(),
            })?,
            None => Carried::default(),
        };
        Ok(Self::continuing(carried))
    }
}

/// A start time as the columns keep it, for the split's writer.
pub(super) fn start_of(raw: i64) -> Option<i64> {
    (raw != NO_START).then_some(raw)
}
