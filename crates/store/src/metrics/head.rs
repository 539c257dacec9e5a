//! A generation of metrics: every series' samples since the last seal, in memory.
//!
//! A series is found by its labels on the way in ([`SeriesTable`]) and by postings on the way out.
//! Delta points are added up here, and a counter that starts shortly before its first sample gets
//! the sample 0 at its start, so that its first value counts as an increase.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::Temporality;
use model::{Exemplar, Labels, Matcher, MetricMetadata, NativeHistogram, SeriesSample};
use promql::Window;
use promql::matching::CompiledMatchers;
use wire::MetricBatch;
use wire::metric_batch::{BatchSamples, BatchSeries};

use super::accumulator::Accumulators;
use super::carried::{Carried, LeftOut, MAX_CARRIED_BYTES};
use super::column::Column;
use super::head_series::{
    EarlierStart, EarlierStarts, HeadSeries, SeriesMoment, SeriesTable, ZERO_HORIZON_MS,
};
use super::open_column::Growth;
use super::split;
use crate::error::StoreError;
use crate::head::{HeadRows, HeadSettings, SplitSummary};

/// Series that are looked at while the generation is held: samples wait so long.
const SERIES_AT_ONCE: usize = 512;
/// Memory for descriptions of families, bytes: some ten thousands of them.
const MAX_METADATA_BYTES: usize = 16 << 20;

/// One generation of a tenant's metrics.
pub struct MetricHead {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    series: SeriesTable,
    metadata: BTreeMap<String, MetricMetadata>,
    metadata_bytes: usize,
    accumulators: Accumulators,
    /// Starts that generations before this one dealt with.
    earlier_starts: EarlierStarts,
    /// Whether the generation before could not hand on everything: that is logged.
    lacks_earlier: bool,
    samples: u64,
    sample_bytes: Growth,
}

/// A series' samples in one generation or split, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct SeriesColumns {
    pub(super) floats: Column<f64>,
    pub(super) histograms: Column<Arc<NativeHistogram>>,
    pub(super) exemplars: VecDeque<Exemplar>,
}

impl MetricHead {
    fn continuing(carried: Carried) -> Self {
        let mut state = State {
            accumulators: carried.totals,
            earlier_starts: EarlierStarts {
                known: carried.starts.into_iter().collect(),
                dealt_with_ms: carried.dealt_with_ms,
            },
            ..State::default()
        };
        for family in carried.metadata {
            state.describe(family);
        }
        Self {
            state: Mutex::new(state),
        }
    }

    /// The next generation, which learns at most `limit` bytes of labels.
    pub(super) fn successor_within(&self, limit: usize) -> Self {
        let ((carried, left_out), lacks_earlier) = {
            let state = self.state();
            (state.carried(limit), state.lacks_earlier)
        };
        left_out.report(lacks_earlier);
        let next = Self::continuing(carried);
        next.state().lacks_earlier = !left_out.is_nothing();
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `visit` with the label set of each series that passes and its samples inside of
    /// `window`; stops when it answers `false`. Samples go on coming in meanwhile.
    pub(super) fn visit_series(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        mut visit: impl FnMut(&Labels, SeriesColumns) -> bool,
    ) {
        let (after, until) = (window.after_ms, window.until_ms);
        let take = |series: &HeadSeries| series.moment(after, until);
        self.visit_taken(matchers, compiled, take, |moment: SeriesMoment| {
            let labels = moment.labels.clone();
            visit(&labels, moment.columns(after, until))
        });
    }

    /// Calls `visit` with the label set of each series that passes and the first and last time
    /// (Unix ms) of its samples around `window`; stops when it answers `false`.
    ///
    /// Encoded runs of samples count as a whole, as chunks of splits do.
    pub(super) fn visit_times(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        mut visit: impl FnMut(&Labels, Option<(i64, i64)>) -> bool,
    ) {
        let (after, until) = (window.after_ms, window.until_ms);
        let take = |series: &HeadSeries| (series.labels.clone(), series.bounds(after, until));
        self.visit_taken(matchers, compiled, take, |(labels, times)| {
            visit(&labels, times)
        });
    }

    /// Calls `visit` with the label set and the exemplars of each series that passes; stops when it
    /// answers `false`.
    pub(super) fn visit_exemplars(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        mut visit: impl FnMut(&Labels, Vec<Exemplar>) -> bool,
    ) {
        let take = |series: &HeadSeries| (series.labels.clone(), series.exemplars());
        self.visit_taken(matchers, compiled, take, |(labels, exemplars)| {
            visit(&labels, exemplars.into())
        });
    }

    /// Calls `visit` with what `take` takes of each series that passes; stops when it answers
    /// `false`. The generation is held while some are taken, and not while they are visited.
    fn visit_taken<T>(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        take: impl Fn(&HeadSeries) -> T,
        mut visit: impl FnMut(T) -> bool,
    ) {
        let numbers: Vec<u32> = {
            let state = self.state();
            match state.series.postings().candidates(matchers) {
                Some(numbers) => numbers.to_vec(),
                None => (0..state.series.all().len() as u32).collect(),
            }
        };
        for numbers in numbers.chunks(SERIES_AT_ONCE) {
            let taken: Vec<T> = {
                let state = self.state();
                let series = state.series.all();
                let chosen = numbers.iter().map(|number| &series[*number as usize]);
                let chosen = chosen.filter(|series| compiled.matches(&series.labels));
                chosen.map(&take).collect()
            };
            for one in taken {
                if !visit(one) {
                    return;
                }
            }
        }
    }

    /// What is known of metric families, by family name.
    pub(super) fn metadata(&self) -> Vec<MetricMetadata> {
        self.state().metadata.values().cloned().collect()
    }

    /// Every series with its samples and exemplars, sorted by labels, read as they are asked for.
    fn sorted(&self) -> impl Iterator<Item = (Labels, SeriesColumns)> + '_ {
        let mut order: Vec<(Labels, u32)> = {
            let state = self.state();
            let labels = state
                .series
                .all()
                .iter()
                .map(|series| series.labels.clone());
            labels.zip(0..).collect()
        };
        order.sort_by(|a, b| a.0.cmp(&b.0));
        let (after, until) = (Window::ALL.after_ms, Window::ALL.until_ms);
        order.into_iter().map(move |(labels, number)| {
            let (moment, exemplars) = {
                let state = self.state();
                let series = &state.series.all()[number as usize];
                (series.moment(after, until), series.exemplars())
            };
            let mut columns = moment.columns(after, until);
            columns.exemplars = exemplars;
            (labels, columns)
        })
    }
}

impl State {
    fn add(
        &mut self,
        series: BatchSeries<'_>,
        samples: &mut BatchSamples<'_>,
        exemplars: &mut dyn Iterator<Item = Exemplar>,
    ) {
        let known = self.series.of(&series, &self.earlier_starts);
        for sample in samples {
            let (time, start, value) = match series.temporality {
                Temporality::Cumulative => (sample.timestamp_ms, sample.start_ms, sample.value),
                Temporality::Delta => {
                    let total = self.accumulators.add(&SeriesSample {
                        labels: known.labels.clone(),
                        timestamp_ms: sample.timestamp_ms,
                        start_ms: sample.start_ms,
                        temporality: Temporality::Delta,
                        value: sample.value,
                        exemplars: Vec::new(),
                    });
                    (total.timestamp_ms, total.start_ms, total.value)
                }
            };
            let (added, growth) = known.add(time, start, value);
            self.samples += added;
            self.sample_bytes += growth;
        }
        self.sample_bytes += known.add_exemplars(exemplars);
    }

    /// Adds a description or replaces one. Of more than there is room for, those that come last are
    /// left out: no limit on samples or series bounds them.
    fn describe(&mut self, family: MetricMetadata) {
        let size = |family: &MetricMetadata| {
            let text = family.family.len() * 2 + family.unit.len() + family.help.len();
            size_of::<MetricMetadata>() + text + 64
        };
        let (before, now) = (
            self.metadata.get(&family.family).map_or(0, size),
            size(&family),
        );
        let held = self.metadata_bytes - before + now;
        if now > before && held > MAX_METADATA_BYTES {
            return;
        }
        self.metadata_bytes = held;
        self.metadata.insert(family.family.clone(), family);
    }

    /// What the next generation has to know, at most `limit` bytes of labels, and how much there
    /// was no room for. What is older than the horizon, counted back from the newest sample, cannot
    /// matter any more.
    fn carried(&self, limit: usize) -> (Carried, LeftOut) {
        let all = self.series.all();
        let newest = all.iter().map(|series| series.last_ms).max();
        let newest = newest.max(self.accumulators.newest_ms());
        let oldest = newest.map_or(i64::MIN, |newest| newest.saturating_sub(ZERO_HORIZON_MS));
        let mut starts = self.earlier_starts.known.clone();
        starts.extend(all.iter().filter_map(HeadSeries::start));
        starts.retain(|_, start| start.start_ms >= oldest);
        let mut starts: Vec<(Labels, EarlierStart)> = starts.into_iter().collect();
        starts.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        // A generation without samples leaves no split behind that could hold its descriptions.
        let metadata = match self.samples {
            0 => self.metadata.values().cloned().collect(),
            _ => Vec::new(),
        };
        let dealt_with_ms = self.earlier_starts.dealt_with_ms;
        let mut carried = Carried {
            totals: self.accumulators.since(oldest),
            starts,
            dealt_with_ms: dealt_with_ms.filter(|until_ms| *until_ms >= oldest),
            metadata,
        };
        let left_out = carried.bound(newest.unwrap_or(i64::MAX), limit);
        (carried, left_out)
    }
}

impl SeriesColumns {
    /// The samples inside of `(after, until]` of both kinds.
    pub(super) fn into_window(self, after: i64, until: i64) -> Self {
        Self {
            floats: self.floats.into_window(after, until),
            histograms: self.histograms.into_window(after, until),
            exemplars: VecDeque::new(),
        }
    }

    /// Adds what a later generation or split holds of the series.
    pub(super) fn extend(&mut self, later: &Self) {
        self.floats.extend(&later.floats);
        self.histograms.extend(&later.histograms);
    }

    /// As [`SeriesColumns::extend`], of one after the other.
    pub(super) fn extend_all(&mut self, later: &[Self]) {
        let samples = |of: fn(&Self) -> usize| later.iter().map(of).sum();
        self.floats.reserve(samples(|columns| columns.floats.len()));
        self.histograms
            .reserve(samples(|columns| columns.histograms.len()));
        later.iter().for_each(|columns| self.extend(columns));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// The first and last time, Unix ms, when there is a sample.
    pub(super) fn bounds(&self) -> Option<(i64, i64)> {
        let both = [self.floats.bounds(), self.histograms.bounds()];
        both.into_iter()
            .flatten()
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl HeadRows for MetricHead {
    type Batch = MetricBatch;

    fn successor(&self) -> Self {
        self.successor_within(MAX_CARRIED_BYTES)
    }

    fn apply(&self, mut batch: MetricBatch) {
        let metadata = std::mem::take(&mut batch.metadata);
        let mut state = self.state();
        let state = &mut *state;
        batch.consume(|series, samples, exemplars| state.add(series, samples, exemplars));
        for family in metadata {
            state.describe(family);
        }
    }

    fn size_bytes(&self) -> usize {
        let state = self.state();
        let carried = (state.accumulators.len() + state.earlier_starts.known.len()) * 96;
        let samples = state.sample_bytes.open + state.sample_bytes.encoded;
        let samples = samples.max(0) as usize;
        state.series.size_bytes() + samples + carried + state.metadata_bytes
    }

    /// Samples that are not encoded yet and the series themselves do not grow with time: sealing
    /// early for their sake would only make more splits.
    fn settled_bytes(&self) -> usize {
        self.state().sample_bytes.encoded.max(0) as usize
    }

    fn rows(&self) -> u64 {
        self.state().samples
    }

    fn seal(&self, _: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError> {
        let metadata = self.metadata();
        split::write(self.sorted(), &metadata, out)
    }

    fn accumulators(&self) -> Option<String> {
        let (carried, _) = self.state().carried(MAX_CARRIED_BYTES);
        carried.encode()
    }

    fn restore(_settings: &HeadSettings, accumulators: Option<&str>) -> Result<Self, StoreError> {
        let carried = match accumulators {
            Some(text) => Carried::decode(text).map_err(|message| StoreError::Damaged {
                file: "accumulators of a metrics checkpoint".to_owned(),
                offset: 0,
                message,
            })?,
            None => Carried::default(),
        };
        Ok(Self::continuing(carried))
    }
}
