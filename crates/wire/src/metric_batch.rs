//! The metric samples of one body, by series.
//!
//! Most of what comes in is one more sample of a series that is known, so labels stay text in the
//! body, with a hash that finds the series; a label set is made of them only when it is new.

use std::hash::{BuildHasher, Hasher};
use std::sync::OnceLock;

use bytes::Bytes;
use model::metric::Temporality;
use model::time::NANOS_PER_MILLI;
use model::{Exemplar, Labels, MetricMetadata, SampleValue, SeriesSample};

use crate::admission::Rejected;

/// The metric points of one body, as samples of Prometheus' series.
#[derive(Debug, Clone, Default)]
pub struct MetricBatch {
    /// What the labels point into: the body, or text that was made of it.
    pub(crate) text: Bytes,
    pub(crate) labels: Vec<LabelSpan>,
    pub(crate) series: Vec<SeriesSpan>,
    /// Samples in the order of their series, then of the body.
    pub(crate) samples: Vec<BatchSample>,
    /// In the order of their series.
    pub(crate) exemplars: Vec<BatchExemplar>,
    /// The families that the body describes, without duplicates.
    pub metadata: Vec<MetricMetadata>,
    /// Items in the body, rejected ones included: points of OTLP (`target_info` is none), samples
    /// and exemplars of remote write.
    pub points: u32,
    /// Items that cannot be kept, in ascending order of ordinals.
    pub rejected: Vec<Rejected>,
}

/// A string in a batch's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextSpan {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

impl TextSpan {
    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..][..self.length as usize]
    }
}

/// A label of a series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LabelSpan {
    pub(crate) name: TextSpan,
    pub(crate) value: TextSpan,
}

/// A series' part of the columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesSpan {
    pub(crate) hash: u64,
    pub(crate) labels: u32,
    pub(crate) samples: u32,
    pub(crate) exemplars: u32,
    pub(crate) temporality: Temporality,
}

/// One sample of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchSample {
    /// The item of the body that it comes from; a classic histogram's point has many samples.
    pub ordinal: u32,
    /// When, Unix ms.
    pub timestamp_ms: i64,
    /// Since when a counter counts, Unix ms; `None` for gauges and when not sent.
    pub start_ms: Option<i64>,
    /// The value.
    pub value: SampleValue,
}

/// One exemplar of a batch.
#[derive(Debug, Clone)]
pub(crate) struct BatchExemplar {
    pub(crate) ordinal: u32,
    /// Whether it is an item of the body rather than a part of a point.
    pub(crate) is_item: bool,
    pub(crate) exemplar: Exemplar,
}

/// The samples of one series of a batch.
pub type BatchSamples<'a> = std::iter::Take<&'a mut std::vec::IntoIter<BatchSample>>;

/// How many of each kind a batch has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SampleCounts {
    /// Plain numbers.
    pub floats: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

/// A series of a batch: its labels, and what its samples have in common.
#[derive(Debug, Clone, Copy)]
pub struct BatchSeries<'a> {
    text: &'a [u8],
    labels: &'a [LabelSpan],
    hash: u64,
    /// Whether values are since the start or since the previous point.
    pub temporality: Temporality,
}

impl<'a> BatchSeries<'a> {
    /// Names and values, sorted by name, UTF-8.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let text = self.text;
        self.labels
            .iter()
            .map(move |label| (label.name.of(text), label.value.of(text)))
    }

    /// [`LabelHasher::labels`] of the labels.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The label set.
    pub fn to_labels(&self) -> Labels {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        self.pairs()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }
}

impl MetricBatch {
    /// The batch of `samples`, each with the ordinal of its item.
    pub fn of_samples(samples: impl IntoIterator<Item = (u32, SeriesSample)>) -> Self {
        let hasher = LabelHasher::of_process();
        let mut text = Vec::new();
        let mut batch = Self::default();
        for (ordinal, sample) in samples {
            let mut span = |part: &str| {
                let start = text.len() as u32;
                text.extend_from_slice(part.as_bytes());
                TextSpan {
                    start,
                    length: part.len() as u32,
                }
            };
            let spans = sample.labels.iter().map(|(name, value)| LabelSpan {
                name: span(name),
                value: span(value),
            });
            batch.labels.extend(spans);
            batch.series.push(SeriesSpan {
                hash: hasher.labels(&sample.labels),
                labels: sample.labels.len() as u32,
                samples: 1,
                exemplars: sample.exemplars.len() as u32,
                temporality: sample.temporality,
            });
            let exemplars = sample.exemplars.into_iter();
            batch
                .exemplars
                .extend(exemplars.map(|exemplar| BatchExemplar {
                    ordinal,
                    is_item: false,
                    exemplar,
                }));
            batch.samples.push(BatchSample {
                ordinal,
                timestamp_ms: sample.timestamp_ms,
                start_ms: sample.start_ms,
                value: sample.value,
            });
        }
        batch.text = text.into();
        batch
    }

    /// Every sample on its own, with its ordinal. Exemplars go with the last sample of their
    /// series; those of a series without samples are left out.
    pub fn to_samples(&self) -> Vec<(u32, SeriesSample)> {
        let mut all = Vec::with_capacity(self.samples.len());
        self.clone().consume(|series, samples, exemplars| {
            let labels = series.to_labels();
            let mut exemplars: Vec<Exemplar> = exemplars.collect();
            let last = samples.len().wrapping_sub(1);
            all.extend(samples.enumerate().map(|(index, sample)| {
                let exemplars = match index == last {
                    true => std::mem::take(&mut exemplars),
                    false => Vec::new(),
                };
                let own = SeriesSample {
                    labels: labels.clone(),
                    timestamp_ms: sample.timestamp_ms,
                    start_ms: sample.start_ms,
                    temporality: series.temporality,
                    value: sample.value,
                    exemplars,
                };
                (sample.ordinal, own)
            }));
        });
        all
    }

    /// Calls `visit` with each series, its samples in the order of the body, and its exemplars.
    pub fn consume(
        self,
        mut visit: impl FnMut(
            BatchSeries<'_>,
            &mut BatchSamples<'_>,
            &mut dyn Iterator<Item = Exemplar>,
        ),
    ) {
        let mut labels = self.labels.as_slice();
        let mut samples = self.samples.into_iter();
        let mut exemplars = self.exemplars.into_iter().map(|own| own.exemplar);
        for span in &self.series {
            let (own, rest) = labels.split_at(span.labels as usize);
            labels = rest;
            let series = BatchSeries {
                text: &self.text,
                labels: own,
                hash: span.hash,
                temporality: span.temporality,
            };
            // Whoever leaves items behind must not leave them to the next series.
            let mut own_samples = samples.by_ref().take(span.samples as usize);
            let mut own_exemplars = exemplars.by_ref().take(span.exemplars as usize);
            visit(series, &mut own_samples, &mut own_exemplars);
            own_samples.for_each(drop);
            own_exemplars.for_each(drop);
        }
    }

    /// Calls `visit` with each series and its samples.
    pub fn each_series(&self, mut visit: impl FnMut(BatchSeries<'_>, &[BatchSample])) {
        let (mut labels, mut samples) = (self.labels.as_slice(), self.samples.as_slice());
        for span in &self.series {
            let (own_labels, rest) = labels.split_at(span.labels as usize);
            labels = rest;
            let (own, rest) = samples.split_at(span.samples as usize);
            samples = rest;
            let series = BatchSeries {
                text: &self.text,
                labels: own_labels,
                hash: span.hash,
                temporality: span.temporality,
            };
            visit(series, own);
        }
    }

    /// Ordinal and time (Unix ns) of every item, and of a point's samples each.
    pub fn times(&self) -> impl Iterator<Item = (u32, i64)> {
        let samples = self
            .samples
            .iter()
            .map(|sample| (sample.ordinal, sample.timestamp_ms));
        let exemplars = self.exemplars.iter().filter(|exemplar| exemplar.is_item);
        let exemplars = exemplars.map(|own| (own.ordinal, own.exemplar.timestamp_ms));
        samples
            .chain(exemplars)
            .map(|(ordinal, time)| (ordinal, time.saturating_mul(NANOS_PER_MILLI)))
    }

    /// Leaves out the items whose ordinals are among `refused`, which is ascending.
    pub fn refuse(&mut self, refused: &[u32]) {
        let keep = |ordinal: u32| refused.binary_search(&ordinal).is_err();
        let (mut samples, mut exemplars) = (self.samples.iter(), self.exemplars.iter());
        for span in &mut self.series {
            let own = samples.by_ref().take(span.samples as usize);
            span.samples = own.filter(|sample| keep(sample.ordinal)).count() as u32;
            let own = exemplars.by_ref().take(span.exemplars as usize);
            span.exemplars = own.filter(|exemplar| keep(exemplar.ordinal)).count() as u32;
        }
        self.samples.retain(|sample| keep(sample.ordinal));
        self.exemplars.retain(|exemplar| keep(exemplar.ordinal));
    }

    /// How many samples and exemplars there are.
    pub fn counts(&self) -> SampleCounts {
        let floats = |sample: &&BatchSample| matches!(sample.value, SampleValue::Float(_));
        let floats = self.samples.iter().filter(floats).count();
        SampleCounts {
            floats: floats as u64,
            histograms: (self.samples.len() - floats) as u64,
            exemplars: self.exemplars.len() as u64,
        }
    }
}

/// Hashes label sets, the same way as long as the process runs.
///
/// Seeded at random: who chooses labels cannot choose their hashes.
#[derive(Debug, Clone, Copy)]
pub struct LabelHasher(&'static foldhash::fast::RandomState);

impl LabelHasher {
    /// The process's hasher.
    pub fn of_process() -> Self {
        static STATE: OnceLock<foldhash::fast::RandomState> = OnceLock::new();
        Self(STATE.get_or_init(Default::default))
    }

    /// A label set's hash.
    pub fn labels(self, labels: &Labels) -> u64 {
        labels.iter().fold(0, |hash, (name, value)| {
            combine(
                hash,
                self.text(name.as_bytes()),
                self.text(value.as_bytes()),
            )
        })
    }

    pub(crate) fn text(self, text: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(text);
        hasher.finish()
    }
}

/// The hash of a label set with one more label.
pub(crate) fn combine(hash: u64, name: u64, value: u64) -> u64 {
    let product = u128::from(hash.rotate_left(7) ^ name) * u128::from(value | 1);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(series: &str, timestamp_ms: i64) -> SeriesSample {
        SeriesSample {
            labels: Labels::new([("__name__", "m"), ("series", series)]),
            timestamp_ms,
            start_ms: None,
            temporality: Temporality::Cumulative,
            value: SampleValue::Float(1.0),
            exemplars: vec![Exemplar {
                labels: Labels::empty(),
                value: 2.0,
                timestamp_ms,
            }],
        }
    }

    #[test]
    fn samples_go_in_and_out_and_refused_ones_are_left_out() {
        let samples: Vec<(u32, SeriesSample)> = (0..4)
            .map(|n| (n, sample(["a", "b"][n as usize % 2], i64::from(n))))
            .collect();
        let mut batch = MetricBatch::of_samples(samples.clone());
        assert_eq!(batch.to_samples(), samples);
        batch.refuse(&[1, 2]);
        assert_eq!(batch.to_samples(), [samples[0].clone(), samples[3].clone()]);
        assert_eq!((batch.counts().floats, batch.counts().exemplars), (2, 2));
    }

    #[test]
    fn a_hash_tells_sets_apart_and_agrees_with_the_batchs() {
        let hasher = LabelHasher::of_process();
        let sets = [
            Labels::new([("a", "bc")]),
            Labels::new([("ab", "c")]),
            Labels::new([("bc", "a")]),
            Labels::new([("a", "b"), ("b", "a")]),
            Labels::new([("b", "b"), ("a", "a")]),
        ];
        let hashes: std::collections::HashSet<u64> =
            sets.iter().map(|labels| hasher.labels(labels)).collect();
        assert_eq!(hashes.len(), sets.len());
        let batch = MetricBatch::of_samples([(0, sample("a", 1))]);
        batch.clone().consume(|series, _, _| {
            assert_eq!(series.hash(), hasher.labels(&series.to_labels()));
        });
    }
}
