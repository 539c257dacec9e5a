//! Samples as a remote write 2.0 message.
//!
//! Strings lie once, in the message's symbols; series refer to them by number. Counts of native
//! histograms are written as floats, which hold what the model holds.

use std::collections::HashMap;

use model::histogram::{BucketSpan, ResetHint};
use model::labels::METRIC_NAME;
use model::{Exemplar, MetricMetadata, MetricType, NativeHistogram, SampleValue, SeriesSample};
use prost::encoding::encode_varint;

use super::family;

/// The body of an [`io.prometheus.write.v2.Request`](model::Encoding::RemoteWriteV2), not
/// compressed, that carries `samples` and describes their families.
///
/// Samples that follow each other and have the same labels share a series of the message; their
/// order is kept. A family is described on each of its series, one without a series here on a
/// series without samples. Values keep their bits. What the message has no place for is left out:
/// the smallest and largest observation of a histogram, a start time of 0, and the difference
/// between deltas and cumulative samples, as which all are read.
///
/// Reading it back needs no more than [`model::Seq::MAX_ITEMS`] samples and exemplars in all.
pub fn encode(samples: &[SeriesSample], metadata: &[MetricMetadata]) -> Vec<u8> {
    let mut message = Message::new();
    let by_family: HashMap<&str, usize> = metadata
        .iter()
        .enumerate()
        .map(|(index, family)| (family.family.as_str(), index))
        .collect();
    let mut is_described = vec![false; metadata.len()];
    for run in samples.chunk_by(|a, b| a.labels == b.labels && kind(a) == kind(b)) {
        let labels = &run[0].labels;
        let name = labels.metric_name().unwrap_or_default();
        let described = family::candidates(name).find_map(|family| by_family.get(family));
        if let Some(index) = described {
            is_described[*index] = true;
        }
        message.series(labels.iter(), run, described.map(|index| &metadata[*index]));
    }
    for (family, _) in metadata.iter().zip(is_described).filter(|(_, done)| !done) {
        let labels = [(METRIC_NAME, family.family.as_str())];
        message.series(labels.into_iter(), &[], Some(family));
    }
    message.finish()
}

/// A series of the message has floats or histograms, never both.
fn kind(sample: &SeriesSample) -> bool {
    matches!(sample.value, SampleValue::Histogram(_))
}

/// A message in the making.
struct Message<'a> {
    numbers: HashMap<&'a str, u32>,
    symbols: Vec<u8>,
    series: Vec<u8>,
    /// Space for one series, and for a message inside of it: their lengths go before them.
    outer: Vec<u8>,
    inner: Vec<u8>,
}

impl<'a> Message<'a> {
    fn new() -> Self {
        let mut message = Self {
            numbers: HashMap::new(),
            symbols: Vec::new(),
            series: Vec::new(),
            outer: Vec::new(),
            inner: Vec::new(),
        };
        // The first symbol is the empty string.
        message.symbol("");
        message
    }

    fn finish(mut self) -> Vec<u8> {
        self.symbols.append(&mut self.series);
        self.symbols
    }

    fn symbol(&mut self, text: &'a str) -> u32 {
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            delimited(&mut self.symbols, 4, text.as_bytes());
        }
        number
    }

    fn references(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
        let mut packed = Vec::new();
        for (name, value) in pairs {
            for text in [name, value] {
                encode_varint(u64::from(self.symbol(text)), &mut packed);
            }
        }
        packed
    }

    fn series(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        samples: &'a [SeriesSample],
        family: Option<&'a MetricMetadata>,
    ) {
        self.outer.clear();
        let references = self.references(labels);
        delimited(&mut self.outer, 1, &references);
        for sample in samples {
            self.inner.clear();
            let field = match &sample.value {
                SampleValue::Float(value) => {
                    double(&mut self.inner, 1, *value);
                    integer(&mut self.inner, 2, sample.timestamp_ms);
                    integer(&mut self.inner, 3, sample.start_ms.unwrap_or(0));
                    2
                }
                SampleValue::Histogram(histogram) => {
                    histogram_fields(&mut self.inner, histogram);
                    integer(&mut self.inner, 15, sample.timestamp_ms);
                    integer(&mut self.inner, 17, sample.start_ms.unwrap_or(0));
                    3
                }
            };
            delimited(&mut self.outer, field, &self.inner);
        }
        for exemplar in samples.iter().flat_map(|sample| &sample.exemplars) {
            self.exemplar(exemplar);
        }
        if let Some(family) = family {
            self.metadata(family);
        }
        delimited(&mut self.series, 5, &self.outer);
    }

    fn exemplar(&mut self, exemplar: &'a Exemplar) {
        let references = self.references(exemplar.labels.iter());
        self.inner.clear();
        delimited(&mut self.inner, 1, &references);
        double(&mut self.inner, 2, exemplar.value);
        integer(&mut self.inner, 3, exemplar.timestamp_ms);
        delimited(&mut self.outer, 4, &self.inner);
    }

    fn metadata(&mut self, family: &'a MetricMetadata) {
        let help = self.symbol(&family.help);
        let unit = self.symbol(&family.unit);
        self.inner.clear();
        integer(&mut self.inner, 1, type_number(family.kind));
        integer(&mut self.inner, 3, i64::from(help));
        integer(&mut self.inner, 4, i64::from(unit));
        delimited(&mut self.outer, 5, &self.inner);
    }
}

fn histogram_fields(out: &mut Vec<u8>, histogram: &NativeHistogram) {
    // Written also when 0: it says that the counts are floats.
    key(out, 2, 1);
    out.extend_from_slice(&histogram.count.to_le_bytes());
    double(out, 3, histogram.sum);
    zigzag(out, 4, i64::from(histogram.schema));
    double(out, 5, histogram.zero_threshold);
    double(out, 7, histogram.zero_count);
    for (field, spans, counts) in [
        (8, &histogram.negative_spans, &histogram.negative_counts),
        (11, &histogram.positive_spans, &histogram.positive_counts),
    ] {
        for span in spans {
            delimited(out, field, &span_fields(*span));
        }
        doubles(out, field + 2, counts);
    }
    let hint = match histogram.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    };
    integer(out, 14, hint);
    doubles(out, 16, &histogram.custom_values);
}

fn span_fields(span: BucketSpan) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    zigzag(&mut out, 1, i64::from(span.offset));
    integer(&mut out, 2, i64::from(span.length));
    out
}

fn type_number(kind: MetricType) -> i64 {
    match kind {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

fn key(out: &mut Vec<u8>, field: u32, wire_type: u32) {
    encode_varint(u64::from(field << 3 | wire_type), out);
}

fn delimited(out: &mut Vec<u8>, field: u32, content: &[u8]) {
    key(out, field, 2);
    encode_varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Left out when 0, which is what a reader takes an absent field for.
fn integer(out: &mut Vec<u8>, field: u32, value: i64) {
    if value != 0 {
        key(out, field, 0);
        encode_varint(value as u64, out);
    }
}

fn zigzag(out: &mut Vec<u8>, field: u32, value: i64) {
    integer(out, field, (value << 1) ^ (value >> 63));
}

/// Left out when its bits are 0: −0 is written.
fn double(out: &mut Vec<u8>, field: u32, value: f64) {
    if value.to_bits() != 0 {
        key(out, field, 1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn doubles(out: &mut Vec<u8>, field: u32, values: &[f64]) {
    if !values.is_empty() {
        key(out, field, 2);
        encode_varint(size_of_val(values) as u64, out);
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}
