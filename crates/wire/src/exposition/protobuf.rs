//! Prometheus' protobuf: `io.prometheus.client.MetricFamily` messages, each behind its length.
//!
//! Fields as in <https://github.com/prometheus/client_model>. A histogram with native buckets
//! becomes one sample that holds it; without them, or where both are wanted, it becomes the
//! series that the text formats show.

mod messages;
#[cfg(test)]
mod tests;

use bytes::Buf;
use model::labels::METRIC_NAME;
use model::{Exemplar, Labels, MetricType, SampleValue};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use self::messages::{ExemplarFields, Histogram, LabelPair, Metric, MetricFamily, Summary, Time};
use super::bound::canonical;
use super::cursor::Series;
use super::{Builder, ExpositionError, MAX_LABELS, ordinary};

/// The largest metric. A message takes many times its bytes once it is read, so one metric is read
/// at a time.
const MAX_METRIC: usize = 256 << 10;
/// The field of a family that holds its metrics.
const METRICS: u32 = 4;

pub(super) fn read(mut body: &[u8], builder: &mut Builder) -> Result<(), ExpositionError> {
    let mut number = 0;
    while body.has_remaining() {
        number += 1;
        let wrong = |message: String| ExpositionError::Protobuf { number, message };
        let malformed = |err: prost::DecodeError| wrong(err.to_string());
        let length = prost::decode_length_delimiter(&mut body).map_err(malformed)?;
        let (message, rest) = body
            .split_at_checked(length)
            .ok_or_else(|| wrong("the message is cut short".to_owned()))?;
        body = rest;
        family(message, builder).map_err(wrong)?;
    }
    Ok(())
}

fn family(message: &[u8], builder: &mut Builder) -> Result<(), String> {
    let family = MetricFamily::decode(message).map_err(|err| err.to_string())?;
    if family.name.is_empty() {
        return Err("it has no name".to_owned());
    }
    let kind = match family.kind {
        0 => MetricType::Counter,
        1 => MetricType::Gauge,
        2 => MetricType::Summary,
        3 => MetricType::Unknown,
        4 => MetricType::Histogram,
        5 => MetricType::GaugeHistogram,
        other => return Err(format!("{:?} has the unknown type {other}", family.name)),
    };
    let described = builder.family(&family.name);
    described.kind = kind;
    described.help = family.help;
    described.unit = family.unit;
    each_metric(message, |metric| {
        if metric.labels.len() > MAX_LABELS {
            let name = &family.name;
            return Err(format!(
                "a metric of {name:?} has more than {MAX_LABELS} labels"
            ));
        }
        Showing {
            builder,
            name: &family.name,
            kind,
            labels: &metric.labels,
            time: metric.timestamp_ms.filter(|time| *time != 0),
            start: None,
        }
        .metric(&metric)
    })
}

/// Reads the metrics of a family, one after the other.
fn each_metric(
    mut message: &[u8],
    mut take: impl FnMut(Metric) -> Result<(), String>,
) -> Result<(), String> {
    let malformed = |err: prost::DecodeError| err.to_string();
    while message.has_remaining() {
        let (field, wire_type) = decode_key(&mut message).map_err(malformed)?;
        if field != METRICS || wire_type != WireType::LengthDelimited {
            let context = DecodeContext::default();
            skip_field(wire_type, field, &mut message, context).map_err(malformed)?;
            continue;
        }
        let length = prost::decode_length_delimiter(&mut message).map_err(malformed)?;
        let (metric, rest) = message
            .split_at_checked(length)
            .ok_or("a metric is cut short")?;
        message = rest;
        if length > MAX_METRIC {
            return Err(format!(
                "a metric of {length} bytes; one may have {MAX_METRIC}"
            ));
        }
        take(Metric::decode(metric).map_err(malformed)?)?;
    }
    Ok(())
}

/// One metric on its way to samples.
struct Showing<'a> {
    builder: &'a mut Builder,
    name: &'a str,
    kind: MetricType,
    labels: &'a [LabelPair],
    time: Option<i64>,
    /// Since when it counts, Unix ms.
    start: Option<i64>,
}

impl Showing<'_> {
    fn metric(mut self, metric: &Metric) -> Result<(), String> {
        if let Some(gauge) = metric.gauge.as_ref().or(metric.untyped.as_ref()) {
            return self.float("", None, gauge.value, None);
        }
        if let Some(counter) = &metric.counter {
            self.start = counter.created.as_ref().map(Time::millis);
            return self.float("", None, counter.value, counter.exemplar.as_ref());
        }
        if let Some(summary) = &metric.summary {
            return self.summary(summary);
        }
        if let Some(histogram) = &metric.histogram {
            return self.histogram(histogram);
        }
        Err(format!("a metric of {:?} has no value", self.name))
    }

    fn summary(&mut self, summary: &Summary) -> Result<(), String> {
        for one in &summary.quantiles {
            let label = ("quantile", canonical(one.quantile));
            self.float("", Some(label), one.value, None)?;
        }
        self.start = summary.created.as_ref().map(Time::millis);
        self.float("_sum", None, summary.sum, None)?;
        self.float("_count", None, summary.count as f64, None)
    }

    fn histogram(&mut self, histogram: &Histogram) -> Result<(), String> {
        self.start = histogram.created.as_ref().map(Time::millis);
        if histogram.is_native() {
            let value = histogram.native(self.kind == MetricType::GaugeHistogram);
            // A native histogram's own exemplars, else those of its classic buckets.
            let of_buckets = histogram
                .buckets
                .iter()
                .filter_map(|bucket| bucket.exemplar.as_ref());
            let exemplars: Vec<Exemplar> = match histogram.exemplars.is_empty() {
                true => of_buckets.map(|one| self.exemplar(one)).collect(),
                false => histogram
                    .exemplars
                    .iter()
                    .map(|one| self.exemplar(one))
                    .collect(),
            };
            self.push("", None, SampleValue::Histogram(Box::new(value)), exemplars)?;
            if !self.builder.reading.keeps_classic || histogram.buckets.is_empty() {
                return Ok(());
            }
        }
        let count = histogram.count();
        let mut has_infinity = false;
        for bucket in &histogram.buckets {
            has_infinity |= bucket.upper_bound == f64::INFINITY;
            let label = ("le", canonical(bucket.upper_bound));
            let exemplar = bucket.exemplar.as_ref();
            self.float("_bucket", Some(label), bucket.count(), exemplar)?;
        }
        if !has_infinity {
            let label = ("le", canonical(f64::INFINITY));
            self.float("_bucket", Some(label), count, None)?;
        }
        self.float("_sum", None, histogram.sum, None)?;
        self.float("_count", None, count, None)
    }

    fn exemplar(&self, fields: &ExemplarFields) -> Exemplar {
        let labels = fields.labels.iter();
        let sample_ms = self.time.unwrap_or(self.builder.reading.at_ms);
        Exemplar {
            labels: Labels::new(labels.map(|pair| (pair.name.as_str(), pair.value.as_str()))),
            value: ordinary(fields.value),
            timestamp_ms: fields.time.as_ref().map_or(sample_ms, Time::millis),
        }
    }

    fn float(
        &mut self,
        suffix: &str,
        label: Option<(&str, String)>,
        value: f64,
        exemplar: Option<&ExemplarFields>,
    ) -> Result<(), String> {
        let exemplars = exemplar.map(|fields| self.exemplar(fields));
        let value = SampleValue::Float(ordinary(value));
        self.push(suffix, label, value, exemplars.into_iter().collect())
    }

    fn push(
        &mut self,
        suffix: &str,
        label: Option<(&str, String)>,
        value: SampleValue,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), String> {
        let name = format!("{}{suffix}", self.name);
        let mut pairs = Vec::with_capacity(self.labels.len() + 2);
        for (index, pair) in self.labels.iter().enumerate() {
            let is_again = self.labels[..index].iter().any(|one| one.name == pair.name);
            if is_again || pair.name.is_empty() || pair.name == METRIC_NAME {
                return Err(format!(
                    "{:?} has the label {:?} twice, or where it must not be",
                    self.name, pair.name
                ));
            }
            pairs.push((pair.name.as_str(), pair.value.as_str()));
        }
        if let Some((label, text)) = &label {
            pairs.push((label, text));
        }
        pairs.push((METRIC_NAME, &name));
        let emptied = pairs.iter().filter(|(_, value)| value.is_empty());
        let series = Series {
            emptied: emptied.map(|(name, _)| (*name).to_owned()).collect(),
            labels: Labels::new(pairs),
        };
        let pushed = self
            .builder
            .sample(self.kind, series, value, self.time, exemplars);
        if !pushed {
            return Err(self.builder.too_many());
        }
        if let Some(last) = self.builder.exposition.samples.last_mut() {
            last.sample.start_ms = self.start;
        }
        Ok(())
    }
}
