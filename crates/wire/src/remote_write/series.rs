//! A batch in the making: series by series, item by item.

use bytes::Bytes;
use model::metric::Temporality;
use model::time::NANOS_PER_MILLI;
use model::{Exemplar, Labels, MetricMetadata, SampleValue, Seq};

use super::histogram::{self, ReadHistogram};
use super::{Described, Failure};
use crate::admission::{RejectReason, Rejected};
use crate::label_bytes;
use crate::metric_batch::{
    BatchExemplar, BatchSample, LabelHasher, LabelsAt, MetricBatch, SeriesSpan,
};
use crate::otlp::DecodeError;
use crate::otlp::reader::{Content, Fields};

/// Memory that the items of one body may take, besides the body's own bytes.
const MAX_WEIGHT: usize = 128 << 20;
/// Labels that the series of one body may have in all.
const MAX_LABEL_PAIRS: usize = 1 << 23;

/// A string of the body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether it is UTF-8.
    is_text: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            is_text: std::str::from_utf8(bytes).is_ok(),
        }
    }

    pub(super) fn as_str(&self) -> &'a str {
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }
}

/// One label as it was sent.
#[derive(Debug, Clone, Copy)]
struct SentLabel<'a> {
    name: Text<'a>,
    value: Text<'a>,
}

/// The batch that a body becomes.
pub(super) struct Building<'a> {
    body: &'a [u8],
    received_at: i64,
    hasher: LabelHasher,
    batch: MetricBatch,
    described: Described,
    weight: usize,
    /// The labels of the series that is read.
    labels: Vec<SentLabel<'a>>,
    /// The most that one series had so far, and how many all had.
    most_labels: usize,
    all_labels: usize,
    /// Why the series that is read cannot be kept.
    refused: Option<RejectReason>,
    begun: Begun,
}

/// How much there was before the series that is read.
#[derive(Clone, Copy, Default)]
struct Begun {
    points: u32,
    samples: usize,
    exemplars: usize,
    rejected: usize,
}

impl<'a> Building<'a> {
    pub(super) fn new(body: &'a Bytes, received_at: i64) -> Self {
        Self {
            body,
            received_at,
            hasher: LabelHasher::of_process(),
            batch: MetricBatch {
                body: body.clone(),
                ..MetricBatch::default()
            },
            described: Described::default(),
            weight: 0,
            labels: Vec::new(),
            most_labels: 0,
            all_labels: 0,
            refused: None,
            begun: Begun::default(),
        }
    }

    pub(super) fn finish(mut self) -> MetricBatch {
        self.batch.metadata = self.described.in_order;
        self.batch
    }

    pub(super) fn describe(&mut self, family: MetricMetadata) -> Result<(), Failure> {
        // It is held twice until the body ends, and many may be spelled out of one symbol.
        let text = family.family.len() + family.unit.len() + family.help.len();
        self.weigh(2 * (size_of::<MetricMetadata>() + text))?;
        self.described.add(family);
        Ok(())
    }

    /// Begins the next series.
    pub(super) fn begin(&mut self) {
        self.labels.clear();
        self.refused = None;
        self.begun = Begun {
            points: self.batch.points,
            samples: self.batch.samples.len(),
            exemplars: self.batch.exemplars.len(),
            rejected: self.batch.rejected.len(),
        };
    }

    /// Refuses the series that is read, unless it is refused already.
    pub(super) fn refuse(&mut self, reason: RejectReason) {
        self.refused.get_or_insert(reason);
    }

    /// A label of the series that is read.
    pub(super) fn label(&mut self, name: Text<'a>, value: Text<'a>) -> Result<(), Failure> {
        if !name.is_text || !value.is_text {
            self.refuse(RejectReason::InvalidText);
        } else if value.bytes.is_empty() {
            // An empty value means that there is no such label.
        } else if name.bytes.is_empty() {
            self.refuse(RejectReason::NamelessLabel);
        } else {
            self.all_labels += 1;
            if self.all_labels > MAX_LABEL_PAIRS {
                let limit = MAX_LABEL_PAIRS;
                return Err(DecodeError::TooManyLabels { limit }.into());
            }
            if self.labels.len() == self.most_labels {
                self.most_labels += 1;
                self.weigh(size_of::<SentLabel<'_>>())?;
            }
            self.labels.push(SentLabel { name, value });
        }
        Ok(())
    }

    /// A plain sample of the series that is read.
    pub(super) fn sample(&mut self, fields: Fields<'_>) -> Result<(), Failure> {
        let sample = match SentSample::plain(fields.rest()) {
            Some(sample) => sample,
            None => SentSample::read(fields)?,
        };
        self.weigh(size_of::<BatchSample>())?;
        let ordinal = self.next_ordinal()?;
        self.batch.samples.push(BatchSample {
            ordinal,
            timestamp_ms: sample.timestamp_ms,
            start_ms: (sample.start_ms != 0).then_some(sample.start_ms),
            value: SampleValue::Float(sample.value),
        });
        Ok(())
    }

    /// A native histogram of the series that is read.
    pub(super) fn histogram(&mut self, fields: Fields<'_>) -> Result<(), Failure> {
        let read = ReadHistogram::read(fields)?;
        self.weigh(size_of::<BatchSample>() + read.size_bytes())?;
        let ordinal = self.next_ordinal()?;
        let (timestamp_ms, start_ms) = (read.timestamp_ms, read.start_ms);
        match histogram::checked(read) {
            Some(histogram) => self.batch.samples.push(BatchSample {
                ordinal,
                timestamp_ms,
                start_ms: (start_ms != 0).then_some(start_ms),
                value: SampleValue::Histogram(Box::new(histogram)),
            }),
            None => self.batch.rejected.push(Rejected {
                ordinal,
                reason: RejectReason::InvalidHistogram,
            }),
        }
        Ok(())
    }

    /// Accounts for an exemplar and its labels.
    pub(super) fn weigh_exemplar(&mut self, labels: usize) -> Result<(), Failure> {
        // A label's strings are two allocations of their own.
        self.weigh(size_of::<BatchExemplar>() + labels * 128)
    }

    /// An exemplar of the series that is read; labels that make no sense are the reason.
    pub(super) fn exemplar(
        &mut self,
        labels: Result<&[(Text<'a>, Text<'a>)], RejectReason>,
        value: f64,
        timestamp_ms: i64,
    ) -> Result<(), Failure> {
        if let Ok(pairs) = labels {
            let text = |(name, value): &(Text<'a>, Text<'a>)| name.bytes.len() + value.bytes.len();
            self.weigh(pairs.iter().map(text).sum())?;
        }
        let ordinal = self.next_ordinal()?;
        match labels.and_then(exemplar_labels) {
            Ok(labels) => self.batch.exemplars.push(BatchExemplar {
                ordinal,
                is_item: true,
                exemplar: Exemplar {
                    labels,
                    value,
                    timestamp_ms,
                },
            }),
            Err(reason) => self.batch.rejected.push(Rejected { ordinal, reason }),
        }
        Ok(())
    }

    /// Ends the series that is read. Samples without a start of their own get `created_ms` when it
    /// is not 0.
    pub(super) fn end(&mut self, created_ms: i64) -> Result<(), Failure> {
        self.sort_labels();
        if let Some(reason) = self.refused {
            self.drop_series(reason);
            return Ok(());
        }
        let begun = self.begun;
        let samples = &mut self.batch.samples[begun.samples..];
        let last_ms = samples.last().map(|sample| sample.timestamp_ms);
        let default_ms = last_ms.unwrap_or(self.received_at.div_euclid(NANOS_PER_MILLI));
        if created_ms != 0 {
            for sample in samples.iter_mut() {
                sample.start_ms.get_or_insert(created_ms);
            }
        }
        let exemplars = &mut self.batch.exemplars[begun.exemplars..];
        for own in exemplars.iter_mut() {
            if own.exemplar.timestamp_ms == 0 {
                own.exemplar.timestamp_ms = default_ms;
            }
        }
        let (samples, exemplars) = (samples.len(), exemplars.len());
        if samples > 0 || exemplars > 0 {
            let begin = self.batch.written.len();
            for label in &self.labels {
                label_bytes::push(label.name.bytes, label.value.bytes, &mut self.batch.written);
            }
            self.weigh(size_of::<SeriesSpan>() + self.batch.written.len() - begin)?;
            let temporality = Temporality::Cumulative;
            self.batch
                .push_written(begin, samples, exemplars, temporality);
        }
        Ok(())
    }

    /// Ends a series of which nothing but samples was read, and whose labels lie in the body in
    /// the form in which batches have them.
    pub(super) fn end_plain(&mut self, labels: &[u8]) -> Result<(), Failure> {
        let samples = self.batch.samples.len() - self.begun.samples;
        if samples > 0 {
            self.weigh(size_of::<SeriesSpan>())?;
            let start = labels.as_ptr().addr() - self.body.as_ptr().addr();
            self.batch.series.push(SeriesSpan {
                hash: self.hasher.bytes(labels),
                labels: LabelsAt::Body(start as u32, labels.len() as u32),
                samples: samples as u32,
                exemplars: 0,
                temporality: Temporality::Cumulative,
            });
        }
        Ok(())
    }

    /// Forgets what was read of the series, to read it another way.
    pub(super) fn restart(&mut self) {
        let begun = self.begun;
        self.batch.samples.truncate(begun.samples);
        self.batch.points = begun.points;
    }

    /// The metric name of the series that was read, once it ended and was kept.
    pub(super) fn metric_name(&self) -> Option<Text<'a>> {
        if self.refused.is_some() {
            return None;
        }
        let name = model::labels::METRIC_NAME.as_bytes();
        let found = self.labels.iter().find(|label| label.name.bytes == name);
        found.map(|label| label.value)
    }

    fn sort_labels(&mut self) {
        let ascending = |a: &SentLabel<'_>, b: &SentLabel<'_>| a.name.bytes < b.name.bytes;
        if !self.labels.is_sorted_by(ascending) {
            self.labels.sort_by_key(|label| label.name.bytes);
            if !self.labels.is_sorted_by(ascending) {
                self.refuse(RejectReason::DuplicateLabel);
            }
        }
        if self.metric_name().is_none() {
            self.refuse(RejectReason::NoMetricName);
        }
    }

    /// Refuses every item of the series that is read.
    fn drop_series(&mut self, reason: RejectReason) {
        let begun = self.begun;
        self.batch.samples.truncate(begun.samples);
        self.batch.exemplars.truncate(begun.exemplars);
        self.batch.rejected.truncate(begun.rejected);
        let ordinals = begun.points..self.batch.points;
        let rejected = ordinals.map(|ordinal| Rejected { ordinal, reason });
        self.batch.rejected.extend(rejected);
    }

    fn next_ordinal(&mut self) -> Result<u32, Failure> {
        let ordinal = self.batch.points;
        if ordinal as usize >= Seq::MAX_ITEMS {
            let error = DecodeError::TooManyItems {
                count: ordinal as usize + 1,
                limit: Seq::MAX_ITEMS,
            };
            return Err(error.into());
        }
        self.batch.points += 1;
        Ok(ordinal)
    }

    /// Accounts for memory.
    pub(super) fn weigh(&mut self, bytes: usize) -> Result<(), Failure> {
        self.weight += bytes;
        if self.weight > MAX_WEIGHT {
            return Err(DecodeError::TooHeavy { limit: MAX_WEIGHT }.into());
        }
        Ok(())
    }
}

/// A sample as it was sent; a start of 0 is none.
#[derive(Default)]
struct SentSample {
    value: f64,
    timestamp_ms: i64,
    start_ms: i64,
}

impl SentSample {
    /// Reads what nearly every sender writes: a value unless it is 0, and a time.
    #[inline]
    fn plain(message: &[u8]) -> Option<Self> {
        let (value, rest) = match message.split_first_chunk::<9>() {
            Some(([0x09, bits @ ..], rest)) => (f64::from_le_bytes(*bits), rest),
            _ => (0.0, message),
        };
        let [0x10, time @ ..] = rest else {
            return None;
        };
        let (last, others) = time.split_last()?;
        // The last of fewer than ten groups of seven bits.
        if time.len() > 9 || *last > 0x7f || others.iter().any(|byte| *byte < 0x80) {
            return None;
        }
        let timestamp_ms = time
            .iter()
            .rev()
            .fold(0, |number, byte| number << 7 | i64::from(byte & 0x7f));
        Some(Self {
            value,
            timestamp_ms,
            start_ms: 0,
        })
    }

    fn read(mut fields: Fields<'_>) -> Result<Self, Failure> {
        let mut sample = Self::default();
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => sample.value = f64::from_bits(content.fixed64()?),
                2 => sample.timestamp_ms = content.varint()? as i64,
                3 => sample.start_ms = content.varint()? as i64,
                _ => fields.skip()?,
            }
        }
        Ok(sample)
    }
}

fn exemplar_labels(pairs: &[(Text<'_>, Text<'_>)]) -> Result<Labels, RejectReason> {
    if pairs
        .iter()
        .any(|(name, value)| !name.is_text || !value.is_text)
    {
        return Err(RejectReason::InvalidText);
    }
    if pairs.iter().any(|(name, _)| name.bytes.is_empty()) {
        return Err(RejectReason::NamelessLabel);
    }
    let labels: Labels = pairs
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Ok(labels)
}

/// The value and time of an exemplar's message, and its labels by `label`.
pub(super) fn exemplar_fields<'a>(
    mut fields: Fields<'a>,
    mut labels: impl FnMut(&Fields<'a>, Content<'a>) -> Result<(), Failure>,
) -> Result<(f64, i64), Failure> {
    let (mut value, mut timestamp_ms) = (0.0, 0);
    while let Some((number, content)) = fields.next()? {
        match number {
            1 => labels(&fields, content)?,
            2 => value = f64::from_bits(content.fixed64()?),
            3 => timestamp_ms = content.varint()? as i64,
            _ => fields.skip()?,
        }
    }
    Ok((value, timestamp_ms))
}
