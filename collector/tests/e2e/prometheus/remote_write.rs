//! Samples as Prometheus sends them: remote write 1.0, as far as tests need it.

use prost::Message;
use reqwest::{Client, Method};

use crate::server::{Answer, PATIENCE, answer};

/// A series with its samples in the order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series {
    /// Sorted by name.
    pub(crate) labels: Vec<(String, String)>,
    /// Unix ms and the number.
    pub(crate) samples: Vec<(i64, f64)>,
    /// Trace id, value, Unix ms.
    pub(crate) exemplars: Vec<(String, f64, i64)>,
    /// Native histograms with one bucket from 1 to 2 that holds so many observations.
    pub(crate) histograms: Vec<(i64, u64)>,
}

impl Series {
    /// A series without samples.
    pub(crate) fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        let name = ("__name__", name);
        let mut labels: Vec<(String, String)> = labels
            .iter()
            .chain([&name])
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        Self {
            labels,
            ..Self::default()
        }
    }

    /// The same with these samples.
    pub(crate) fn with(mut self, samples: impl IntoIterator<Item = (i64, f64)>) -> Self {
        self.samples.extend(samples);
        self
    }
}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(double, tag = "3")]
    sum: f64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(double, tag = "5")]
    zero_threshold: f64,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<Span>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(int64, tag = "15")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

fn label((name, value): &(String, String)) -> Label {
    Label {
        name: name.clone(),
        value: value.clone(),
    }
}

fn wire(series: &Series) -> TimeSeries {
    TimeSeries {
        labels: series.labels.iter().map(label).collect(),
        samples: series
            .samples
            .iter()
            .map(|(timestamp, value)| Sample {
                value: *value,
                timestamp: *timestamp,
            })
            .collect(),
        exemplars: series
            .exemplars
            .iter()
            .map(|(trace, value, timestamp)| Exemplar {
                labels: vec![label(&("trace_id".to_owned(), trace.clone()))],
                value: *value,
                timestamp: *timestamp,
            })
            .collect(),
        histograms: series
            .histograms
            .iter()
            .map(|(timestamp, count)| Histogram {
                count: *count,
                sum: *count as f64 * 1.5,
                schema: 0,
                zero_threshold: 1e-128,
                positive_spans: vec![Span {
                    offset: 1,
                    length: 1,
                }],
                positive_deltas: vec![i64::try_from(*count).unwrap()],
                timestamp: *timestamp,
            })
            .collect(),
    }
}

/// Writes the series, and of each counter family named its help and unit.
pub(crate) async fn write(
    client: &Client,
    url: &str,
    series: &[Series],
    counters: &[(&str, &str, &str)],
) -> Answer {
    let request = WriteRequest {
        timeseries: series.iter().map(wire).collect(),
        metadata: counters
            .iter()
            .map(|(family, help, unit)| Metadata {
                kind: 1,
                family: (*family).to_owned(),
                help: (*help).to_owned(),
                unit: (*unit).to_owned(),
            })
            .collect(),
    };
    let body = snap::raw::Encoder::new()
        .compress_vec(&request.encode_to_vec())
        .unwrap();
    let request = client
        .request(Method::POST, url)
        .timeout(PATIENCE)
        .header("content-type", "application/x-protobuf")
        .header("content-encoding", "snappy")
        .header("x-prometheus-remote-write-version", "0.1.0")
        .body(body);
    answer(request).await
}
