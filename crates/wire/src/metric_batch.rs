//! The metric samples of one body, by series.
//!
//! Most of what comes in is one more sample of a series that is known, so labels stay bytes, where
//! possible the body's, with a hash that finds the series; a label set is made of them only when it
//! is new.

use bytes::Bytes;
use model::metric::Temporality;
use model::time::NANOS_PER_MILLI;
use model::{Exemplar, Labels, MetricMetadata, SampleValue, SeriesSample};

use crate::admission::Rejected;
use crate::label_bytes;

pub use crate::label_bytes::{LabelHasher, Pairs};

/// The metric points of one body, as samples of Prometheus' series.
#[derive(Debug, Clone, Default)]
pub struct MetricBatch {
    /// The body, where labels lie in it as they should.
    pub(crate) body: Bytes,
    /// Labels that had to be written anew.
    pub(crate) written: Vec<u8>,
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

/// A series' part of the columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeriesSpan {
    pub(crate) hash: u64,
    pub(crate) labels: LabelsAt,
    pub(crate) samples: u32,
    pub(crate) exemplars: u32,
    pub(crate) temporality: Temporality,
}

/// Where a series' labels lie: where they begin, and their length.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LabelsAt {
    Body(u32, u32),
    Written(u32, u32),
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
    bytes: &'a [u8],
    hash: u64,
    /// Whether values are since the start or since the previous point.
    pub temporality: Temporality,
}

impl<'a> BatchSeries<'a> {
    /// Names and values, sorted by name.
    pub fn pairs(&self) -> Pairs<'a> {
        Pairs(self.bytes)
    }

    /// The labels as bytes: equal for equal labels.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// [`LabelHasher::labels`] of the labels.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The metric's name; empty when there is none.
    pub fn metric_name(&self) -> &'a str {
        let named = |(name, _): &(&str, &str)| *name == model::labels::METRIC_NAME;
        self.pairs().find(named).map_or("", |(_, value)| value)
    }

    /// The label set.
    pub fn to_labels(&self) -> Labels {
        self.pairs().collect()
    }
}

impl MetricBatch {
    /// The batch of `samples`, each with the ordinal of its item.
    pub fn of_samples(samples: impl IntoIterator<Item = (u32, SeriesSample)>) -> Self {
        let mut batch = Self::default();
        for (ordinal, sample) in samples {
            let begin = batch.written.len();
            label_bytes::of(&sample.labels, &mut batch.written);
            batch.push_written(begin, 1, sample.exemplars.len(), sample.temporality);
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
        batch
    }

    /// Adds a series whose labels were written from `begin` on.
    pub(crate) fn push_written(
        &mut self,
        begin: usize,
        samples: usize,
        exemplars: usize,
        temporality: Temporality,
    ) {
        let bytes = &self.written[begin..];
        self.series.push(SeriesSpan {
            hash: LabelHasher::of_process().bytes(bytes),
            labels: LabelsAt::Written(begin as u32, bytes.len() as u32),
            samples: samples as u32,
            exemplars: exemplars as u32,
            temporality,
        });
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
        let (body, written) = (&self.body, &self.written);
        let mut samples = self.samples.into_iter();
        let mut exemplars = self.exemplars.into_iter().map(|own| own.exemplar);
        for span in &self.series {
            // Whoever leaves items behind must not leave them to the next series.
            let mut own_samples = samples.by_ref().take(span.samples as usize);
            let mut own_exemplars = exemplars.by_ref().take(span.exemplars as usize);
            let series = span.of(body, written);
            visit(series, &mut own_samples, &mut own_exemplars);
            own_samples.for_each(drop);
            own_exemplars.for_each(drop);
        }
    }

    /// Calls `visit` with each series and the ordinals of its samples and of its exemplars, as far
    /// as these are items of the body.
    pub fn each_series(
        &self,
        mut visit: impl FnMut(BatchSeries<'_>, &mut dyn Iterator<Item = u32>),
    ) {
        let (mut samples, mut exemplars) = (self.samples.as_slice(), self.exemplars.as_slice());
        for span in &self.series {
            let (own_samples, rest) = samples.split_at(span.samples as usize);
            samples = rest;
            let (own_exemplars, rest) = exemplars.split_at(span.exemplars as usize);
            exemplars = rest;
            let of_samples = own_samples.iter().map(|sample| sample.ordinal);
            let items = own_exemplars.iter().filter(|exemplar| exemplar.is_item);
            let mut ordinals = of_samples.chain(items.map(|exemplar| exemplar.ordinal));
            visit(span.of(&self.body, &self.written), &mut ordinals);
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

    /// Leaves out the items whose ordinals are among `refused`, which is ascending, and the series
    /// of which nothing is left.
    pub fn refuse(&mut self, refused: &[u32]) {
        let keep = |ordinal: u32| refused.binary_search(&ordinal).is_err();
        let (mut samples, mut exemplars) = (self.samples.iter(), self.exemplars.iter());
        for span in &mut self.series {
            let own = samples.by_ref().take(span.samples as usize);
            span.samples = own.filter(|sample| keep(sample.ordinal)).count() as u32;
            let own = exemplars.by_ref().take(span.exemplars as usize);
            span.exemplars = own.filter(|exemplar| keep(exemplar.ordinal)).count() as u32;
        }
        self.series
            .retain(|span| span.samples > 0 || span.exemplars > 0);
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

impl SeriesSpan {
    fn of<'a>(&self, body: &'a [u8], written: &'a [u8]) -> BatchSeries<'a> {
        let (text, start, length) = match self.labels {
            LabelsAt::Body(start, length) => (body, start, length),
            LabelsAt::Written(start, length) => (written, start, length),
        };
        BatchSeries {
            bytes: &text[start as usize..][..length as usize],
            hash: self.hash,
            temporality: self.temporality,
        }
    }
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
        // A series that was refused must not be made by whoever reads the batch.
        let mut series = 0;
        batch.consume(|_, _, _| series += 1);
        assert_eq!(series, 2);
    }

    #[test]
    fn a_series_has_its_labels_hash_and_name() {
        let hasher = LabelHasher::of_process();
        let batch = MetricBatch::of_samples([(0, sample("a", 1))]);
        batch.each_series(|series, ordinals| {
            assert_eq!(series.hash(), hasher.labels(&series.to_labels()));
            assert_eq!((series.metric_name(), ordinals.count()), ("m", 1));
        });
    }
}
