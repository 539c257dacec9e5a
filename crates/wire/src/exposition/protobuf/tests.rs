//! Families as client libraries write them.

use model::{MetricType, SampleValue};
use prost::Message;

use super::messages::{
    Bucket, Counter, ExemplarFields, Histogram, LabelPair, Metric, Number, Quantile, Span, Summary,
    Time,
};
use crate::exposition::{Exposition, Format, Reading, read};

const AT: i64 = 1_000;

/// A family with its metrics, as it is sent.
#[derive(Clone, PartialEq, Message)]
struct Family {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metrics: Vec<Metric>,
}

fn scraped(families: &[Family], keeps_classic: bool) -> Exposition {
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

fn family(name: &str, kind: i32, metrics: Vec<Metric>) -> Family {
    Family {
        name: name.to_owned(),
        kind,
        metrics,
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
    let large = Metric {
        gauge: Some(Number::default()),
        ..metric(&[("a", &"b".repeat(256 << 10))])
    };
    let body = family("x", 1, vec![large]).encode_length_delimited_to_vec();
    let error = read(Format::Protobuf, &body, Reading::default()).unwrap_err();
    assert!(error.to_string().contains("a metric of 2621"), "{error}");
    let error = read(Format::Protobuf, &[5, 1], Reading::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "metric family 1: the message is cut short"
    );
}
