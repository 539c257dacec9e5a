//! One series of a generation, and all of them by their labels.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hashbrown::HashTable;
use model::metric::is_stale;
use model::{Exemplar, Labels, NativeHistogram, SampleValue};
use wire::metric_batch::BatchSeries;

use super::head::SeriesColumns;
use super::open_column::{Growth, OpenColumn};
use super::postings::Postings;

/// Exemplars that a generation keeps of one series: the newest.
const EXEMPLARS_PER_SERIES: usize = 64;

/// How long before its first sample a counter's start may lie to be stored as a sample 0, ms.
///
/// Farther back the increase cannot be dated: the process ran long before it reported here.
pub(super) const ZERO_HORIZON_MS: i64 = 60 * 60 * 1000;

/// What generations before knew of a counter's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EarlierStart {
    /// The start time that is dealt with, Unix ms.
    pub(super) start_ms: i64,
    /// The newest sample's time, Unix ms; the lowest number when it is not known.
    pub(super) last_ms: i64,
}

/// What generations before knew of all counters' starts.
#[derive(Debug, Default)]
pub(super) struct EarlierStarts {
    pub(super) known: HashMap<Labels, EarlierStart>,
    /// Starts up to this time are dealt with, also those that are not known, Unix ms.
    pub(super) dealt_with_ms: Option<i64>,
}

/// A series and its samples.
pub(super) struct HeadSeries {
    /// Its labels as batches have them, and their hash: what a sample is compared with.
    bytes: Box<[u8]>,
    hash: u64,
    /// The series whose sample came after this one's the last time.
    next: u32,
    pub(super) labels: Labels,
    floats: OpenColumn<f64>,
    /// Most series have no histograms, and no exemplars.
    histograms: Option<Box<OpenColumn<Arc<NativeHistogram>>>>,
    #[allow(
        clippy::box_collection,
        reason = "24 bytes less for each series without exemplars"
    )]
    exemplars: Option<Box<VecDeque<Exemplar>>>,
    /// The start time that is dealt with: its zero is stored, or must not be. Unix ms.
    zero_at: Option<i64>,
    /// The newest sample's time, Unix ms, also of generations before that knew a start.
    pub(super) last_ms: i64,
}

/// A series as it was at one moment: what is encoded is shared and not read yet.
pub(super) struct SeriesMoment {
    pub(super) labels: Labels,
    floats: OpenColumn<f64>,
    histograms: Option<OpenColumn<Arc<NativeHistogram>>>,
}

impl SeriesMoment {
    /// The samples inside of `(after, until]`, without exemplars.
    pub(super) fn columns(self, after: i64, until: i64) -> SeriesColumns {
        let histograms = self.histograms;
        SeriesColumns {
            floats: self.floats.decoded(after, until),
            histograms: histograms.map_or_else(Default::default, |h| h.decoded(after, until)),
            exemplars: VecDeque::new(),
        }
    }
}

impl HeadSeries {
    fn is(&self, wanted: &BatchSeries<'_>) -> bool {
        self.hash == wanted.hash() && *self.bytes == *wanted.bytes()
    }

    /// Adds a sample, and before it the zero that its counter's start adds; how many samples that
    /// are, and how memory grew.
    pub(super) fn add(
        &mut self,
        time: i64,
        start: Option<i64>,
        value: SampleValue,
    ) -> (u64, Growth) {
        let mut growth = Growth::default();
        let mut samples = 0;
        if let Some((at, zero)) = self.zero_before(time, start, &value) {
            growth += self.push(at, start, zero);
            samples += 1;
        }
        growth += self.push(time, start, value);
        (samples + 1, growth)
    }

    fn push(&mut self, time: i64, start: Option<i64>, value: SampleValue) -> Growth {
        self.last_ms = self.last_ms.max(time);
        match value {
            SampleValue::Float(value) => self.floats.push(time, start, value),
            SampleValue::Histogram(value) => {
                let mut growth = Growth::default();
                let column = self.histograms.get_or_insert_with(|| {
                    growth.open += size_of::<OpenColumn<Arc<NativeHistogram>>>() as isize;
                    Box::default()
                });
                growth += column.push(time, start, Arc::from(value));
                growth
            }
        }
    }

    /// The start that is dealt with, for later generations.
    pub(super) fn start(&self) -> Option<(Labels, EarlierStart)> {
        let start = EarlierStart {
            start_ms: self.zero_at?,
            last_ms: self.last_ms,
        };
        Some((self.labels.clone(), start))
    }

    /// The zero that the start of a sample's counter adds before it.
    ///
    /// Only a start after every sample that came before adds one, and only the first sample with
    /// it: a zero amid other samples would look like a reset, or take the place of one. So a run
    /// of a process all of whose samples come after those of a later run gets no zero. That
    /// depends on the order in which samples are in the log, not on what is sealed when.
    fn zero_before(
        &mut self,
        time: i64,
        start: Option<i64>,
        value: &SampleValue,
    ) -> Option<(i64, SampleValue)> {
        let start = start?;
        let fresh = self.zero_at != Some(start) && start > self.last_ms;
        // Dealt with from here on, also when no zero is stored: in a later generation, which does
        // not know this sample, a zero at its start could take its place.
        self.zero_at = Some(start);
        // Senders choose start times freely, also such that lie further back than a number reaches.
        let near = start < time && time.saturating_sub(start) <= ZERO_HORIZON_MS;
        if !fresh || !near {
            return None;
        }
        let zero = match value {
            SampleValue::Float(value) if is_stale(*value) => return None,
            SampleValue::Float(_) => SampleValue::Float(0.0),
            SampleValue::Histogram(histogram) if is_stale(histogram.sum) => return None,
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

    /// Keeps exemplars that are not there yet.
    pub(super) fn add_exemplars(&mut self, exemplars: impl Iterator<Item = Exemplar>) -> Growth {
        let mut growth = Growth::default();
        for exemplar in exemplars {
            let kept = self.exemplars.get_or_insert_default();
            if kept.contains(&exemplar) {
                continue;
            }
            if kept.len() == EXEMPLARS_PER_SERIES
                && let Some(oldest) = kept.pop_front()
            {
                growth.open -= bytes_of(&oldest);
            }
            growth.open += bytes_of(&exemplar);
            kept.push_back(exemplar);
        }
        growth
    }

    /// What is needed to read the samples inside of `(after, until]`.
    pub(super) fn moment(&self, after: i64, until: i64) -> SeriesMoment {
        SeriesMoment {
            labels: self.labels.clone(),
            floats: self.floats.near(after, until),
            histograms: self.histograms.as_ref().map(|h| h.near(after, until)),
        }
    }

    /// The first and last time, Unix ms, of the runs and samples that lie or may lie inside of
    /// `(after, until]`. Nothing is decoded for it.
    pub(super) fn bounds(&self, after: i64, until: i64) -> Option<(i64, i64)> {
        let floats = self.floats.bounds(after, until);
        let histograms = self.histograms.as_ref();
        let both = [floats, histograms.and_then(|h| h.bounds(after, until))];
        both.into_iter()
            .flatten()
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The exemplars that are kept, as they came.
    pub(super) fn exemplars(&self) -> VecDeque<Exemplar> {
        self.exemplars.as_deref().cloned().unwrap_or_default()
    }
}

/// Memory of an exemplar, bytes: each text of its labels lies behind a pointer and two counts.
fn bytes_of(exemplar: &Exemplar) -> isize {
    let label = |(name, value): (&str, &str)| name.len() + value.len() + 2 * 32;
    let labels: usize = exemplar.labels.iter().map(label).sum();
    (size_of::<Exemplar>() + labels) as isize
}

/// Every series of a generation, in the order they were first seen.
#[derive(Default)]
pub(super) struct SeriesTable {
    series: Vec<HeadSeries>,
    by_labels: HashTable<u32>,
    postings: Postings,
    /// The series that was asked for last.
    last: u32,
    /// Memory of the labels as bytes.
    label_bytes: usize,
}

/// Stands for no series.
const NONE: u32 = u32::MAX;

impl SeriesTable {
    /// The series of these labels, made when it is new. `earlier_starts` says which of its starts
    /// was dealt with before, and how far its samples went.
    ///
    /// Senders send their series in the same order again and again: what came next the last time
    /// is looked at before all others.
    pub(super) fn of(
        &mut self,
        wanted: &BatchSeries<'_>,
        earlier_starts: &EarlierStarts,
    ) -> &mut HeadSeries {
        let last = self.series.get(self.last as usize);
        let expected = last.map_or(NONE, |last| last.next);
        let is_expected = self
            .series
            .get(expected as usize)
            .is_some_and(|series| series.is(wanted));
        let number = if is_expected {
            expected
        } else {
            let number = self.find_or_add(wanted, earlier_starts);
            if number != self.last
                && let Some(last) = self.series.get_mut(self.last as usize)
            {
                last.next = number;
            }
            number
        };
        self.last = number;
        &mut self.series[number as usize]
    }

    fn find_or_add(&mut self, wanted: &BatchSeries<'_>, earlier_starts: &EarlierStarts) -> u32 {
        let found = self.by_labels.find(wanted.hash(), |number| {
            self.series[*number as usize].is(wanted)
        });
        match found.copied() {
            Some(number) => number,
            None => self.add(wanted, earlier_starts),
        }
    }

    fn add(&mut self, wanted: &BatchSeries<'_>, earlier_starts: &EarlierStarts) -> u32 {
        let hash = wanted.hash();
        let number = u32::try_from(self.series.len()).expect("memory ends long before 4 G series");
        let labels = self.postings.add(number, wanted.pairs());
        let earlier = earlier_starts.known.get(&labels);
        // As if there had been a sample: a start no later than that adds no zero.
        let dealt_with_ms = earlier_starts.dealt_with_ms.unwrap_or(i64::MIN);
        self.label_bytes += wanted.bytes().len() + 16;
        self.series.push(HeadSeries {
            bytes: wanted.bytes().into(),
            hash,
            next: NONE,
            zero_at: earlier.map(|earlier| earlier.start_ms),
            labels,
            floats: OpenColumn::default(),
            histograms: None,
            exemplars: None,
            last_ms: earlier.map_or(dealt_with_ms, |earlier| earlier.last_ms),
        });
        let series = &self.series;
        self.by_labels
            .insert_unique(hash, number, |number| series[*number as usize].hash);
        number
    }

    pub(super) fn all(&self) -> &[HeadSeries] {
        &self.series
    }

    pub(super) fn postings(&self) -> &Postings {
        &self.postings
    }

    /// Memory held besides samples, bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let numbers = self.by_labels.capacity() * (size_of::<u32>() + 1);
        let series = self.series.capacity() * size_of::<HeadSeries>();
        numbers + series + self.label_bytes + self.postings.size_bytes()
    }
}
