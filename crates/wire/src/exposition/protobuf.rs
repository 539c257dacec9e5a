//! Prometheus' protobuf: `io.prometheus.client.MetricFamily` messages, each behind its length.
//!
//! Fields as in <https://github.com/prometheus/client_model>. A histogram with native buckets
//! becomes one sample that holds it; without them, or where both are wanted, it becomes the
//! series that the text formats show.

use bytes::Buf;
use model::histogram::{BucketSpan, ResetHint};
use model::labels::METRIC_NAME;
use model::{Exemplar, Labels, MetricType, NativeHistogram, SampleValue};
use prost::Message;

use super::bound::canonical;
use super::cursor::Series;
use super::{Builder, ExpositionError, MAX_LABELS, ordinary};

/// The largest family. A message takes several times its bytes once it is read.
const MAX_FAMILY: usize = 8 << 20;

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<Metric>,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Counter>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "5")]
    untyped: Option<Number>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

/// A gauge, or a value without a type.
#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Counter {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<ExemplarFields>,
    #[prost(message, optional, tag = "3")]
    created: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    quantiles: Vec<Quantile>,
    #[prost(message, optional, tag = "4")]
    created: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "2")]
    sum: f64,
    #[prost(message, repeated, tag = "3")]
    buckets: Vec<Bucket>,
    #[prost(double, tag = "4")]
    count_float: f64,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(double, tag = "8")]
    zero_count_float: f64,
    #[prost(message, repeated, tag = "9")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "10")]
    negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "11")]
    negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "12")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "14")]
    positive_counts: Vec<f64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Time>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<ExemplarFields>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<ExemplarFields>,
    #[prost(double, tag = "4")]
    cumulative_count_float: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarFields {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(message, optional, tag = "3")]
    time: Option<Time>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl Time {
    fn millis(&self) -> i64 {
        let fraction = i64::from(self.nanos / 1_000_000);
        self.seconds.saturating_mul(1_000).saturating_add(fraction)
    }
}

pub(super) fn read(mut body: &[u8], builder: &mut Builder) -> Result<(), ExpositionError> {
    let mut number = 0;
    while body.has_remaining() {
        number += 1;
        let wrong = |message: String| ExpositionError::Protobuf { number, message };
        let malformed = |err: prost::DecodeError| wrong(err.to_string());
        let length = prost::decode_length_delimiter(&mut body).map_err(malformed)?;
        if length > MAX_FAMILY {
            return Err(wrong(format!(
                "{length} bytes are more than the {MAX_FAMILY} that one may have"
            )));
        }
        let (message, rest) = body
            .split_at_checked(length)
            .ok_or_else(|| wrong("the message is cut short".to_owned()))?;
        body = rest;
        let family = MetricFamily::decode(message).map_err(malformed)?;
        self::family(family, builder).map_err(wrong)?;
    }
    Ok(())
}

fn family(family: MetricFamily, builder: &mut Builder) -> Result<(), String> {
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
    for metric in family.metrics {
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
        .metric(&metric)?;
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

impl Bucket {
    fn count(&self) -> f64 {
        match self.cumulative_count_float > 0.0 {
            true => self.cumulative_count_float,
            false => self.cumulative_count as f64,
        }
    }
}

impl Histogram {
    /// Whether it has native buckets. One without observations has an empty span to say so.
    fn is_native(&self) -> bool {
        !self.positive_spans.is_empty()
            || !self.negative_spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
            || self.zero_count_float > 0.0
    }

    fn count(&self) -> f64 {
        match self.count_float > 0.0 {
            true => self.count_float,
            false => self.count as f64,
        }
    }

    fn native(&self, is_gauge: bool) -> NativeHistogram {
        let is_float = self.count_float > 0.0 || self.zero_count_float > 0.0;
        let spans = |spans: &[Span]| -> Vec<BucketSpan> {
            let populated = spans
                .iter()
                .filter(|span| span.length > 0 || span.offset != 0);
            populated
                .map(|span| BucketSpan {
                    offset: span.offset,
                    length: span.length,
                })
                .collect()
        };
        let counts = |deltas: &[i64], counts: &[f64]| -> Vec<f64> {
            if is_float {
                return counts.to_vec();
            }
            let absolute = deltas.iter().scan(0_i64, |count, delta| {
                *count = count.saturating_add(*delta);
                Some(*count as f64)
            });
            absolute.collect()
        };
        NativeHistogram {
            reset_hint: match is_gauge {
                true => ResetHint::Gauge,
                false => ResetHint::Unknown,
            },
            // The store refuses a resolution that does not exist.
            schema: i8::try_from(self.schema).unwrap_or(i8::MAX),
            zero_threshold: self.zero_threshold,
            zero_count: match is_float {
                true => self.zero_count_float,
                false => self.zero_count as f64,
            },
            count: self.count(),
            sum: ordinary(self.sum),
            positive_spans: spans(&self.positive_spans),
            positive_counts: counts(&self.positive_deltas, &self.positive_counts),
            negative_spans: spans(&self.negative_spans),
            negative_counts: counts(&self.negative_deltas, &self.negative_counts),
            ..NativeHistogram::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Exposition, Format, Reading, read};
    use super::*;

    const AT: i64 = 1_000;

    fn scraped(families: &[MetricFamily], keeps_classic: bool) -> Exposition {
        let mut body = Vec::new();
        for family in families {
            family.encode_length_delimited(&mut body).unwrap();
        }
        let reading = Reading {
            at_ms: AT,
            max_samples: 100,
            keeps_classic,
        };
        read(Format::Protobuf, &body, reading).unwrap()
    }

    fn shown(exposition: &Exposition) -> Vec<String> {
        let samples = exposition.samples.iter().map(|exposed| {
            let sample = &exposed.sample;
            let value = match &sample.value {
                SampleValue::Float(value) => value.to_string(),
                SampleValue::Histogram(histogram) => format!("native {}", histogram.count),
            };
            let since = sample.start_ms.map(|start| format!(" since {start}"));
            let exemplars = sample.exemplars.len();
            let time = sample.timestamp_ms;
            let since = since.unwrap_or_default();
            format!("{} {value} at {time}{since}, {exemplars}", sample.labels)
        });
        samples.collect()
    }

    fn metric(labels: &[(&str, &str)]) -> Metric {
        let pair = |(name, value): &(&str, &str)| LabelPair {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        Metric {
            labels: labels.iter().map(pair).collect(),
            ..Metric::default()
        }
    }

    fn family(name: &str, kind: i32, metrics: Vec<Metric>) -> MetricFamily {
        MetricFamily {
            name: name.to_owned(),
            kind,
            metrics,
            ..MetricFamily::default()
        }
    }

    fn histogram() -> Histogram {
        Histogram {
            count: 6,
            sum: 7.5,
            buckets: vec![Bucket {
                cumulative_count: 4,
                upper_bound: 1.0,
                exemplar: Some(ExemplarFields::default()),
                ..Bucket::default()
            }],
            created: Some(Time {
                seconds: 2,
                nanos: 5_000_000,
            }),
            ..Histogram::default()
        }
    }

    #[test]
    fn families_become_the_series_of_the_text_formats() {
        let counter = Metric {
            counter: Some(Counter {
                value: 3.0,
                exemplar: Some(ExemplarFields::default()),
                created: Some(Time::default()),
            }),
            timestamp_ms: Some(7),
            ..metric(&[("a", "b")])
        };
        let summary = Metric {
            summary: Some(Summary {
                count: 2,
                sum: 1.5,
                quantiles: vec![Quantile {
                    quantile: 1.0,
                    value: 4.0,
                }],
                created: None,
            }),
            ..metric(&[])
        };
        let classic = Metric {
            histogram: Some(histogram()),
            ..metric(&[])
        };
        let exposition = scraped(
            &[
                family("c_total", 0, vec![counter]),
                family("s", 2, vec![summary]),
                family("h", 4, vec![classic]),
            ],
            false,
        );
        assert_eq!(
            shown(&exposition),
            [
                r#"c_total{a="b"} 3 at 7 since 0, 1"#,
                r#"s{quantile="1.0"} 4 at 1000, 0"#,
                "s_sum 1.5 at 1000, 0",
                "s_count 2 at 1000, 0",
                r#"h_bucket{le="1.0"} 4 at 1000 since 2005, 1"#,
                r#"h_bucket{le="+Inf"} 6 at 1000 since 2005, 0"#,
                "h_sum 7.5 at 1000 since 2005, 0",
                "h_count 6 at 1000 since 2005, 0",
            ]
        );
        let kinds: Vec<MetricType> = exposition.metadata.iter().map(|one| one.kind).collect();
        let (counter, histogram) = (MetricType::Counter, MetricType::Histogram);
        assert_eq!(kinds, [counter, MetricType::Summary, histogram]);
    }

    #[test]
    fn a_native_histogram_stays_one() {
        let native = Histogram {
            schema: 3,
            zero_threshold: 0.5,
            zero_count: 1,
            positive_spans: vec![
                Span {
                    offset: -2,
                    length: 2,
                },
                Span {
                    offset: 3,
                    length: 1,
                },
            ],
            positive_deltas: vec![1, 1, 0],
            ..histogram()
        };
        let families = |native: Histogram| {
            let metric = Metric {
                histogram: Some(native),
                ..metric(&[])
            };
            [family("h", 4, vec![metric])]
        };
        let exposition = scraped(&families(native.clone()), false);
        assert_eq!(shown(&exposition), ["h native 6 at 1000 since 2005, 1"]);
        let SampleValue::Histogram(read) = &exposition.samples[0].sample.value else {
            panic!("no histogram");
        };
        assert_eq!(read.positive_counts, [1.0, 2.0, 2.0]);
        assert_eq!((read.schema, read.zero_count, read.sum), (3, 1.0, 7.5));
        assert_eq!(scraped(&families(native), true).samples.len(), 5);
        // One that has seen nothing yet is told by an empty span.
        let empty = Histogram {
            positive_spans: vec![Span::default()],
            ..Histogram::default()
        };
        assert_eq!(
            shown(&scraped(&families(empty), false)),
            ["h native 0 at 1000, 0"]
        );
    }

    #[test]
    fn what_no_metric_can_say_is_refused() {
        let again = metric(&[("a", "b"), ("a", "c")]);
        let again = Metric {
            gauge: Some(Number::default()),
            ..again
        };
        for (family, expected) in [
            (family("", 1, Vec::new()), "metric family 1: it has no name"),
            (
                family("x", 9, Vec::new()),
                "metric family 1: \"x\" has the unknown type 9",
            ),
            (
                family("x", 1, vec![metric(&[])]),
                "metric family 1: a metric of \"x\" has no value",
            ),
            (
                family("x", 1, vec![again]),
                "metric family 1: \"x\" has the label \"a\" twice, or where it must not be",
            ),
        ] {
            let body = family.encode_length_delimited_to_vec();
            let error = read(Format::Protobuf, &body, Reading::default()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let error = read(Format::Protobuf, &[5, 1], Reading::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "metric family 1: the message is cut short"
        );
    }
}
