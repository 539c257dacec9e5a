//! Remote write 1.0 and 2.0, against messages that another library writes.

use bytes::Bytes;
use model::histogram::{BucketSpan, ResetHint};
use model::metric::{Temporality, stale_nan};
use model::{
    Encoding, Exemplar, Labels, MetricMetadata, MetricType, NativeHistogram, SampleValue,
    SeriesSample,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use prost::Message;
use wire::otlp::DecodeError;
use wire::{MetricBatch, RejectReason};

use crate::RECEIVED;

/// The messages of 1.0.
pub(crate) mod v1 {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        pub(crate) timeseries: Vec<TimeSeries>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) metadata: Vec<Metadata>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct TimeSeries {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        pub(crate) samples: Vec<super::Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) exemplars: Vec<Exemplar>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) histograms: Vec<super::Histogram>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Label {
        #[prost(bytes = "vec", tag = "1")]
        pub(crate) name: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(crate) value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Exemplar {
        #[prost(message, repeated, tag = "1")]
        pub(crate) labels: Vec<Label>,
        #[prost(double, tag = "2")]
        pub(crate) value: f64,
        #[prost(int64, tag = "3")]
        pub(crate) timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(crate) kind: i32,
        #[prost(string, tag = "2")]
        pub(crate) family: String,
        #[prost(string, tag = "4")]
        pub(crate) help: String,
        #[prost(string, tag = "5")]
        pub(crate) unit: String,
    }
}

/// The messages of 2.0.
mod v2 {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Request {
        #[prost(string, repeated, tag = "4")]
        pub(super) symbols: Vec<String>,
        #[prost(message, repeated, tag = "5")]
        pub(super) timeseries: Vec<TimeSeries>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct TimeSeries {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels: Vec<u32>,
        #[prost(message, repeated, tag = "2")]
        pub(super) samples: Vec<super::Sample>,
        #[prost(message, repeated, tag = "3")]
        pub(super) histograms: Vec<super::Histogram>,
        #[prost(message, repeated, tag = "4")]
        pub(super) exemplars: Vec<Exemplar>,
        #[prost(message, optional, tag = "5")]
        pub(super) metadata: Option<Metadata>,
        #[prost(int64, tag = "6")]
        pub(super) created_timestamp: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Exemplar {
        #[prost(uint32, repeated, tag = "1")]
        pub(super) labels: Vec<u32>,
        #[prost(double, tag = "2")]
        pub(super) value: f64,
        #[prost(int64, tag = "3")]
        pub(super) timestamp: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Metadata {
        #[prost(int32, tag = "1")]
        pub(super) kind: i32,
        #[prost(uint32, tag = "3")]
        pub(super) help: u32,
        #[prost(uint32, tag = "4")]
        pub(super) unit: u32,
    }
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Sample {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
    #[prost(int64, tag = "3")]
    pub(crate) start: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count_int: Option<u64>,
    #[prost(double, optional, tag = "2")]
    count_float: Option<f64>,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(uint64, optional, tag = "6")]
    zero_int: Option<u64>,
    #[prost(double, optional, tag = "7")]
    zero_float: Option<f64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "10")]
    negative_counts: Vec<f64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(double, repeated, tag = "13")]
    positive_counts: Vec<f64>,
    #[prost(int32, tag = "14")]
    reset_hint: i32,
    #[prost(int64, tag = "15")]
    timestamp: i64,
    #[prost(double, repeated, tag = "16")]
    custom_values: Vec<f64>,
    #[prost(int64, tag = "17")]
    start: i64,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

fn read(encoding: Encoding, body: Vec<u8>) -> MetricBatch {
    wire::read_metrics(encoding, &Bytes::from(body), RECEIVED).unwrap()
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> v1::TimeSeries {
    let label = |(name, value): &(&str, &str)| v1::Label {
        name: name.as_bytes().to_vec(),
        value: value.as_bytes().to_vec(),
    };
    let sample = |(timestamp, value): &(i64, f64)| Sample {
        value: *value,
        timestamp: *timestamp,
        start: 0,
    };
    v1::TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        ..v1::TimeSeries::default()
    }
}

fn v1_body(timeseries: Vec<v1::TimeSeries>) -> Vec<u8> {
    v1::WriteRequest {
        timeseries,
        metadata: Vec::new(),
    }
    .encode_to_vec()
}

/// Kept samples as `labels value @ms #ordinal`, and refused ordinals with their reasons.
fn shown(batch: &MetricBatch) -> (Vec<String>, Vec<(u32, RejectReason)>) {
    let samples = batch.to_samples();
    let lines = samples.iter().map(|(ordinal, sample)| {
        let value = match &sample.value {
            SampleValue::Float(value) => value.to_string(),
            SampleValue::Histogram(histogram) => format!("native({})", histogram.count),
        };
        format!(
            "{} {value} @{} #{ordinal}",
            sample.labels, sample.timestamp_ms
        )
    });
    let rejected = batch.rejected.iter();
    (
        lines.collect(),
        rejected.map(|item| (item.ordinal, item.reason)).collect(),
    )
}

#[test]
fn a_message_of_1_0_is_series_exemplars_histograms_and_families() {
    let mut counter = series(
        &[("__name__", "c_total"), ("job", "a")],
        &[(5, 1.5), (9, 2.0)],
    );
    counter.exemplars.push(v1::Exemplar {
        labels: vec![v1::Label {
            name: b"trace_id".to_vec(),
            value: b"ab".to_vec(),
        }],
        value: 0.25,
        timestamp: 7,
    });
    let mut native = series(&[("__name__", "h")], &[]);
    native.histograms.push(Histogram {
        count_int: Some(12),
        zero_int: Some(2),
        sum: 18.5,
        schema: 1,
        zero_threshold: 0.001,
        positive_spans: vec![
            Span {
                offset: 0,
                length: 2,
            },
            Span {
                offset: 1,
                length: 1,
            },
        ],
        // 1, 3, 2
        positive_deltas: vec![1, 2, -1],
        negative_spans: vec![Span {
            offset: -2,
            length: 1,
        }],
        negative_deltas: vec![4],
        reset_hint: 1,
        timestamp: 8,
        ..Histogram::default()
    });
    let request = v1::WriteRequest {
        timeseries: vec![counter, native],
        metadata: vec![v1::Metadata {
            kind: 4,
            family: "h".to_owned(),
            help: "help".to_owned(),
            unit: "s".to_owned(),
        }],
    };
    let batch = read(Encoding::RemoteWriteV1, request.encode_to_vec());
    assert_eq!((batch.points, batch.rejected.len()), (4, 0));
    let samples = batch.to_samples();
    assert_eq!(
        shown(&batch).0,
        [
            r#"c_total{job="a"} 1.5 @5 #0"#,
            r#"c_total{job="a"} 2 @9 #1"#,
            "h native(12) @8 #3"
        ]
    );
    assert_eq!(
        samples[1].1.exemplars,
        [Exemplar {
            labels: Labels::new([("trace_id", "ab")]),
            value: 0.25,
            timestamp_ms: 7
        }]
    );
    let span = |offset, length| BucketSpan { offset, length };
    let expected = NativeHistogram {
        reset_hint: ResetHint::Reset,
        schema: 1,
        zero_threshold: 0.001,
        zero_count: 2.0,
        count: 12.0,
        sum: 18.5,
        positive_spans: vec![span(0, 2), span(1, 1)],
        positive_counts: vec![1.0, 3.0, 2.0],
        negative_spans: vec![span(-2, 1)],
        negative_counts: vec![4.0],
        ..NativeHistogram::default()
    };
    assert_eq!(
        samples[2].1.value,
        SampleValue::Histogram(Box::new(expected))
    );
    assert_eq!(
        batch.metadata,
        [MetricMetadata {
            family: "h".to_owned(),
            kind: MetricType::GaugeHistogram,
            unit: "s".to_owned(),
            help: "help".to_owned(),
        }]
    );
}

#[test]
fn a_message_of_2_0_refers_to_symbols_and_describes_series() {
    let symbols = [
        "", "__name__", "h_bucket", "le", "1", "h_count", "help", "s", "trace_id", "ab", "h",
    ];
    let described = Some(v2::Metadata {
        kind: 3,
        help: 6,
        unit: 7,
    });
    let sample = |value, timestamp, start| Sample {
        value,
        timestamp,
        start,
    };
    let request = v2::Request {
        symbols: symbols.map(str::to_owned).to_vec(),
        timeseries: vec![
            v2::TimeSeries {
                labels: vec![1, 2, 3, 4],
                samples: vec![sample(1.0, 10, 3), sample(2.0, 20, 0)],
                exemplars: vec![v2::Exemplar {
                    labels: vec![8, 9],
                    value: 0.5,
                    timestamp: 0,
                }],
                metadata: described,
                created_timestamp: 2,
                ..v2::TimeSeries::default()
            },
            v2::TimeSeries {
                labels: vec![1, 5],
                samples: vec![sample(stale_nan(), 20, 0)],
                metadata: described,
                ..v2::TimeSeries::default()
            },
            v2::TimeSeries {
                labels: vec![1, 10],
                histograms: vec![Histogram {
                    count_float: Some(2.5),
                    sum: 1.0,
                    schema: -53,
                    positive_spans: vec![Span {
                        offset: 0,
                        length: 2,
                    }],
                    positive_counts: vec![1.0, 1.5],
                    custom_values: vec![0.5],
                    reset_hint: 3,
                    timestamp: 20,
                    start: 1,
                    ..Histogram::default()
                }],
                metadata: described,
                ..v2::TimeSeries::default()
            },
        ],
    };
    let batch = read(Encoding::RemoteWriteV2, request.encode_to_vec());
    assert_eq!((batch.points, batch.rejected.len()), (5, 0));
    let samples = batch.to_samples();
    let starts: Vec<Option<i64>> = samples.iter().map(|(_, one)| one.start_ms).collect();
    assert_eq!(starts, [Some(3), Some(2), None, Some(1)]);
    // Without a time of its own an exemplar has that of the last sample.
    assert_eq!(samples[1].1.exemplars[0].timestamp_ms, 20);
    let SampleValue::Float(marker) = samples[2].1.value else {
        panic!("expected a float");
    };
    assert!(model::metric::is_stale(marker));
    let SampleValue::Histogram(custom) = &samples[3].1.value else {
        panic!("expected a histogram");
    };
    assert_eq!(custom.custom_values, [0.5]);
    assert_eq!(custom.reset_hint, ResetHint::Gauge);
    let family = MetricMetadata {
        family: "h".to_owned(),
        kind: MetricType::Histogram,
        unit: "s".to_owned(),
        help: "help".to_owned(),
    };
    assert_eq!(batch.metadata, [family]);
    let counts = batch.counts();
    assert_eq!(
        (counts.floats, counts.histograms, counts.exemplars),
        (3, 1, 1)
    );
}

#[test]
fn labels_are_sorted_and_empty_ones_are_left_out() {
    let body = v1_body(vec![series(
        &[("z", "1"), ("empty", ""), ("__name__", "up"), ("a", "2")],
        &[(1, 1.0)],
    )]);
    let batch = read(Encoding::RemoteWriteV1, body);
    assert_eq!(shown(&batch).0, [r#"up{a="2", z="1"} 1 @1 #0"#]);
}

#[test]
fn what_makes_no_sense_is_refused_alone() {
    use RejectReason::{
        DuplicateLabel, InvalidHistogram, InvalidText, NamelessLabel, NoMetricName,
    };
    let mut not_text = series(&[("__name__", "m"), ("a", "x")], &[(1, 1.0)]);
    not_text.labels[1].value = vec![0xff];
    let mut bad_histogram = series(&[("__name__", "kept")], &[(1, 3.0)]);
    bad_histogram.histograms.push(Histogram {
        count_int: Some(1),
        ..Histogram::default()
    });
    let mut bad_exemplar = series(&[("__name__", "kept")], &[(2, 4.0)]);
    bad_exemplar.exemplars.push(v1::Exemplar {
        labels: not_text.labels.clone(),
        ..v1::Exemplar::default()
    });
    let batch = read(
        Encoding::RemoteWriteV1,
        v1_body(vec![
            series(&[("job", "a")], &[(1, 1.0), (2, 1.0)]),
            series(&[("__name__", ""), ("job", "a")], &[(1, 1.0)]),
            series(&[("__name__", "m"), ("a", "1"), ("a", "2")], &[(1, 1.0)]),
            series(&[("__name__", "m"), ("", "1")], &[(1, 1.0)]),
            not_text,
            bad_histogram,
            bad_exemplar,
        ]),
    );
    let (kept, refused) = shown(&batch);
    assert_eq!(kept, ["kept 3 @1 #6", "kept 4 @2 #8"]);
    assert_eq!(
        refused,
        [
            (0, NoMetricName),
            (1, NoMetricName),
            (2, NoMetricName),
            (3, DuplicateLabel),
            (4, NamelessLabel),
            (5, InvalidText),
            (7, InvalidHistogram),
            (9, InvalidText),
        ]
    );
    assert_eq!(batch.points, 10);
}

#[test]
fn references_without_symbols_refuse_their_series() {
    let one = |labels: &[u32]| v2::TimeSeries {
        labels: labels.to_vec(),
        samples: vec![Sample {
            value: 1.0,
            timestamp: 1,
            start: 0,
        }],
        ..v2::TimeSeries::default()
    };
    let request = v2::Request {
        symbols: ["", "__name__", "up"].map(str::to_owned).to_vec(),
        timeseries: vec![one(&[1, 2]), one(&[1, 3]), one(&[1]), one(&[u32::MAX, 2])],
    };
    let (kept, refused) = shown(&read(Encoding::RemoteWriteV2, request.encode_to_vec()));
    assert_eq!(kept, ["up 1 @1 #0"]);
    let unknown = RejectReason::UnknownSymbol;
    assert_eq!(refused, [(1, unknown), (2, unknown), (3, unknown)]);
}

#[test]
fn histograms_that_contradict_themselves_are_refused() {
    let span = |offset, length| Span { offset, length };
    let integers = Histogram {
        count_int: Some(3),
        positive_spans: vec![span(0, 2)],
        positive_deltas: vec![1, 1],
        ..Histogram::default()
    };
    let custom = Histogram {
        count_float: Some(1.0),
        schema: -53,
        positive_spans: vec![span(0, 1)],
        positive_counts: vec![1.0],
        custom_values: vec![1.0, 2.0],
        ..Histogram::default()
    };
    let cases = [
        ("good", true, integers.clone()),
        ("good custom", true, custom.clone()),
        ("nothing in it", true, Histogram::default()),
        (
            "observations that are no numbers",
            true,
            Histogram {
                count_int: Some(4),
                sum: f64::NAN,
                ..integers.clone()
            },
        ),
        (
            "a stale marker",
            true,
            Histogram {
                sum: stale_nan(),
                ..Histogram::default()
            },
        ),
        (
            "buckets that do not add up",
            false,
            Histogram {
                count_int: Some(4),
                ..integers.clone()
            },
        ),
        (
            "an unknown schema",
            false,
            Histogram {
                schema: 9,
                ..integers.clone()
            },
        ),
        (
            "spans that cover too much",
            false,
            Histogram {
                positive_spans: vec![span(0, 2), span(0, u32::MAX)],
                ..integers.clone()
            },
        ),
        (
            "spans that go back",
            false,
            Histogram {
                positive_spans: vec![span(0, 1), span(-1, 1)],
                ..integers.clone()
            },
        ),
        (
            "a negative count",
            false,
            Histogram {
                positive_deltas: vec![-1, 5],
                ..integers.clone()
            },
        ),
        (
            "counts that overflow",
            false,
            Histogram {
                positive_deltas: vec![i64::MAX, i64::MAX],
                ..integers.clone()
            },
        ),
        (
            "borders with powers of two",
            false,
            Histogram {
                custom_values: vec![1.0],
                ..integers
            },
        ),
        (
            "borders that do not ascend",
            false,
            Histogram {
                custom_values: vec![2.0, 1.0],
                ..custom.clone()
            },
        ),
        (
            "a bucket past the borders",
            false,
            Histogram {
                positive_spans: vec![span(3, 1)],
                ..custom.clone()
            },
        ),
        (
            "a zero bucket beside borders",
            false,
            Histogram {
                zero_float: Some(1.0),
                ..custom
            },
        ),
    ];
    for (name, is_good, histogram) in cases {
        let mut one = series(&[("__name__", "h")], &[]);
        one.histograms.push(histogram);
        let batch = read(Encoding::RemoteWriteV1, v1_body(vec![one]));
        assert_eq!(batch.rejected.is_empty(), is_good, "{name}");
        assert_eq!(batch.to_samples().len(), usize::from(is_good), "{name}");
    }
}

#[test]
fn a_damaged_message_says_which_series() {
    let mut body = v1_body(vec![series(&[("__name__", "up")], &[(1, 1.0)])]);
    // A second series that claims more than there is.
    body.extend([0x0a, 0x04, 0x0a, 0x7f, 0x01, 0x01]);
    let error = wire::read_metrics(Encoding::RemoteWriteV1, &Bytes::from(body), 0).unwrap_err();
    assert!(error.to_string().contains("timeseries[1]"), "{error}");
}

#[test]
fn small_bodies_do_not_grow_without_bound() {
    let repeated = |field: u8, inner: &[u8], count: usize| {
        let content = inner.repeat(count);
        let mut body = vec![field];
        prost::encoding::encode_varint(content.len() as u64, &mut body);
        body.extend(content);
        Bytes::from(body)
    };
    let cases = [
        (Encoding::RemoteWriteV1, repeated(0x0a, &[0x12, 0], 2 << 20)),
        (Encoding::RemoteWriteV1, repeated(0x0a, &[0x1a, 0], 2 << 20)),
        (Encoding::RemoteWriteV1, repeated(0x0a, &[0x22, 0], 2 << 20)),
        (Encoding::RemoteWriteV2, repeated(0x2a, &[0x12, 0], 2 << 20)),
        (Encoding::RemoteWriteV2, repeated(0x2a, &[0x1a, 0], 2 << 20)),
    ];
    for (encoding, body) in cases {
        let error = wire::read_metrics(encoding, &body, 0).unwrap_err();
        assert!(
            matches!(
                error,
                DecodeError::TooManyItems { .. } | DecodeError::TooHeavy { .. }
            ),
            "{encoding:?}: {error}"
        );
    }
    // One series that refers to a label again and again.
    let symbols = [&[0x22, 1, b'a', 0x22, 1, b'b'][..], &[0x2a]].concat();
    let references = repeated(0x0a, &[0, 1], 9 << 20);
    let mut body = symbols;
    prost::encoding::encode_varint(references.len() as u64, &mut body);
    body.extend_from_slice(&references);
    let error = wire::read_metrics(Encoding::RemoteWriteV2, &Bytes::from(body), 0).unwrap_err();
    assert!(matches!(error, DecodeError::TooHeavy { .. }), "{error}");
}

#[test]
fn one_long_symbol_does_not_fill_the_memory_again_and_again() {
    let names = (0..200).map(|number| format!("m{number}"));
    let symbols = [String::new(), "__name__".to_owned(), "x".repeat(1 << 20)];
    let symbols: Vec<String> = symbols.into_iter().chain(names).collect();
    let series = |name: u32| v2::TimeSeries {
        labels: vec![1, name],
        samples: vec![Sample {
            value: 1.0,
            timestamp: 1,
            start: 0,
        }],
        ..v2::TimeSeries::default()
    };
    let described = |name| v2::TimeSeries {
        metadata: Some(v2::Metadata {
            kind: 1,
            help: 2,
            unit: 0,
        }),
        ..series(name)
    };
    let with_exemplar = |name| v2::TimeSeries {
        exemplars: vec![v2::Exemplar {
            labels: vec![1, 2],
            value: 1.0,
            timestamp: 1,
        }],
        ..series(name)
    };
    let cases: [Vec<v2::TimeSeries>; 2] = [
        (3..203).map(described).collect(),
        (3..203).map(with_exemplar).collect(),
    ];
    for timeseries in cases {
        let request = v2::Request {
            symbols: symbols.clone(),
            timeseries,
        };
        let body = Bytes::from(request.encode_to_vec());
        let error = wire::read_metrics(Encoding::RemoteWriteV2, &body, 0).unwrap_err();
        assert!(matches!(error, DecodeError::TooHeavy { .. }), "{error}");
    }
}

fn bits() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits)
}

fn labels() -> impl Strategy<Value = Labels> {
    ("[a-c]", btree_map("[a-cé]{1,2}", "\\PC{0,3}", 0..3)).prop_map(|(name, others)| {
        let others = others.into_iter();
        others.chain([("__name__".to_owned(), name)]).collect()
    })
}

fn native_histogram() -> impl Strategy<Value = NativeHistogram> {
    let counts = || vec(0.0..1e300_f64, 0..4);
    (-4_i8..=8, counts(), counts(), bits(), 0_u8..4).prop_map(
        |(schema, positive_counts, negative_counts, sum, hint)| {
            let spans = |counts: &[f64]| {
                vec![BucketSpan {
                    offset: -3,
                    length: counts.len() as u32,
                }]
            };
            NativeHistogram {
                reset_hint: [
                    ResetHint::Unknown,
                    ResetHint::Reset,
                    ResetHint::NotReset,
                    ResetHint::Gauge,
                ][usize::from(hint)],
                schema,
                zero_threshold: 0.5,
                zero_count: 2.5,
                count: 1.0,
                sum,
                positive_spans: spans(&positive_counts),
                positive_counts,
                negative_spans: spans(&negative_counts),
                negative_counts,
                ..NativeHistogram::default()
            }
        },
    )
}

fn sample() -> impl Strategy<Value = SeriesSample> {
    let value = prop_oneof![
        bits().prop_map(SampleValue::Float),
        native_histogram().prop_map(|histogram| SampleValue::Histogram(Box::new(histogram))),
    ];
    let exemplar =
        (labels(), bits(), 1_i64..9).prop_map(|(labels, value, timestamp_ms)| Exemplar {
            labels,
            value,
            timestamp_ms,
        });
    let start = prop_oneof![Just(None), (1_i64..i64::MAX).prop_map(Some)];
    (labels(), any::<i64>(), start, value, vec(exemplar, 0..2)).prop_map(
        |(labels, timestamp_ms, start_ms, value, exemplars)| SeriesSample {
            labels,
            timestamp_ms,
            start_ms,
            temporality: Temporality::Cumulative,
            value,
            exemplars,
        },
    )
}

/// Bits and all, with every exemplar at its series' last sample, where reading puts them.
fn comparable(samples: &[SeriesSample]) -> Vec<u8> {
    wire::derived::encode(samples)
}

proptest! {
    #[test]
    fn what_was_encoded_is_read_back(samples in vec(sample(), 0..8)) {
        let body = wire::remote_write::encode(&samples, &[]);
        let batch = read(Encoding::RemoteWriteV2, body);
        prop_assert_eq!(&batch.rejected, &[]);
        let back: Vec<SeriesSample> =
            batch.to_samples().into_iter().map(|(_, sample)| sample).collect();
        let exemplars = |samples: &[SeriesSample]| -> usize {
            samples.iter().map(|sample| sample.exemplars.len()).sum()
        };
        prop_assert_eq!(exemplars(&back), exemplars(&samples));
        let without = |samples: &[SeriesSample]| -> Vec<SeriesSample> {
            samples
                .iter()
                .map(|sample| SeriesSample { exemplars: Vec::new(), ..sample.clone() })
                .collect()
        };
        prop_assert_eq!(comparable(&without(&back)), comparable(&without(&samples)));
        let hints = |samples: &[SeriesSample]| -> Vec<Option<ResetHint>> {
            samples
                .iter()
                .map(|sample| match &sample.value {
                    SampleValue::Histogram(histogram) => Some(histogram.reset_hint),
                    SampleValue::Float(_) => None,
                })
                .collect()
        };
        prop_assert_eq!(hints(&back), hints(&samples));
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in vec(any::<u8>(), 0..300)) {
        for encoding in [Encoding::RemoteWriteV1, Encoding::RemoteWriteV2] {
            let _read: Result<_, _> =
                wire::read_metrics(encoding, &Bytes::from(body.clone()), RECEIVED);
        }
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        samples in vec(sample(), 1..4),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut body = wire::remote_write::encode(&samples, &[]);
        let index = at.index(body.len());
        let cut = Bytes::copy_from_slice(&body[..index]);
        let _cut: Result<_, _> = wire::read_metrics(Encoding::RemoteWriteV2, &cut, RECEIVED);
        body[index] = byte;
        let _changed: Result<_, _> =
            wire::read_metrics(Encoding::RemoteWriteV2, &Bytes::from(body), RECEIVED);
    }
}

#[test]
fn families_come_back_from_what_was_encoded() {
    let family = |family: &str, kind, help: &str| MetricMetadata {
        family: family.to_owned(),
        kind,
        unit: String::new(),
        help: help.to_owned(),
    };
    let sample = |name: &str| SeriesSample {
        labels: Labels::new([("__name__", name)]),
        timestamp_ms: 1,
        start_ms: None,
        temporality: Temporality::Cumulative,
        value: SampleValue::Float(1.0),
        exemplars: Vec::new(),
    };
    let samples = ["h_bucket", "h_sum", "h_count", "up"].map(sample);
    let families = [
        family("h", MetricType::Histogram, "a histogram"),
        family("up", MetricType::Gauge, "is it up"),
        family("alone", MetricType::Info, "no series here"),
    ];
    let batch = read(
        Encoding::RemoteWriteV2,
        wire::remote_write::encode(&samples, &families),
    );
    assert_eq!(batch.metadata, families);
    assert_eq!(batch.to_samples().len(), samples.len());
}
