//! Prometheus remote write, 1.0 and 2.0, and its samples out again by PromQL.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use model::histogram::BucketSpan;
use model::metric::{Temporality, stale_nan};
use model::{
    Exemplar, Labels, MetricMetadata, MetricType, NativeHistogram, SampleValue, SeriesSample,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::otlp::now;
use crate::server::{Answer, Home, Process, Server, answer};

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// Milliseconds, as remote write and PromQL's answers have them.
fn now_ms() -> i64 {
    i64::try_from(now() / 1_000_000).unwrap()
}

async fn write_to(server: &Process, path: &str, content_type: &str, message: &[u8]) -> Answer {
    let body = snap::raw::Encoder::new().compress_vec(message).unwrap();
    let request = server
        .request(Method::POST, path)
        .header("content-type", content_type)
        .header("content-encoding", "snappy")
        .body(body);
    answer(request).await
}

async fn write(server: &Process, content_type: &str, message: &[u8]) -> Answer {
    write_to(server, "/api/v1/write", content_type, message).await
}

/// The result of an instant query at `at_ms`.
async fn query(server: &Process, query: &str, at_ms: i64) -> Vec<Value> {
    let time = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
    let request = server
        .request(Method::GET, "/api/v1/query")
        .query(&[("query", query), ("time", time.as_str())]);
    let answer = answer(request).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.json()["data"]["result"].as_array().unwrap().clone()
}

/// The text of the only value of a query.
async fn value(server: &Process, text: &str, at_ms: i64) -> String {
    let result = query(server, text, at_ms).await;
    assert_eq!(result.len(), 1, "{text}: {result:?}");
    result[0]["value"][1].as_str().unwrap().to_owned()
}

fn written(answer: &Answer) -> [&str; 3] {
    ["samples", "histograms", "exemplars"].map(|kind| {
        let name = format!("x-prometheus-remote-write-{kind}-written");
        answer.headers.get(&name).map_or("", String::as_str)
    })
}

/// A series' labels, and value and time (Unix ms) of its one sample.
type Written<'a> = (&'a [(&'a str, &'a str)], f64, i64);

/// `prometheus.WriteRequest` of series with one sample each.
fn v1_message(series: &[Written<'_>]) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    };
    let one = |(labels, value, time): &(&[(&str, &str)], f64, i64)| {
        let labels: Vec<u8> = labels
            .iter()
            .flat_map(|(name, value)| {
                let pair = [field(1, name.as_bytes()), field(2, value.as_bytes())];
                field(1, &pair.concat())
            })
            .collect();
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&value.to_le_bytes());
        sample.push(2 << 3);
        prost::encoding::encode_varint(*time as u64, &mut sample);
        field(1, &[labels, field(2, &sample)].concat())
    };
    series.iter().flat_map(one).collect()
}

fn sample(labels: &[(&str, &str)], timestamp_ms: i64, value: SampleValue) -> SeriesSample {
    SeriesSample {
        labels: labels.iter().copied().collect::<Labels>(),
        timestamp_ms,
        start_ms: None,
        temporality: Temporality::Cumulative,
        value,
        exemplars: Vec::new(),
    }
}

#[tokio::test]
async fn samples_of_both_versions_are_seen_as_soon_as_they_are_acknowledged() {
    let home = Home::new();
    let mut server = home.start().await;
    let time = now_ms();
    let labels = [("__name__", "up"), ("job", "old")];
    // Unsorted, as some senders send them.
    let unsorted = [("job", "odd"), ("__name__", "up")];
    let message = v1_message(&[(&labels, 1.0, time), (&unsorted, 2.0, time)]);
    let first = write(&server, V1, &message).await;
    assert_eq!((first.status, first.text.as_str()), (204, ""));
    assert_eq!(value(&server, r#"up{job="old"}"#, time).await, "1");
    assert_eq!(value(&server, r#"up{job="odd"}"#, time).await, "2");

    let histogram = NativeHistogram {
        schema: 0,
        count: 6.0,
        sum: 9.5,
        positive_spans: vec![BucketSpan {
            offset: 1,
            length: 2,
        }],
        positive_counts: vec![2.0, 4.0],
        ..NativeHistogram::default()
    };
    let counter = SeriesSample {
        start_ms: Some(time - 60_000),
        exemplars: vec![Exemplar {
            labels: Labels::new([("trace_id", "0af7651916cd43dd8448eb211c80319c")]),
            value: 0.5,
            timestamp_ms: time,
        }],
        ..sample(
            &[("__name__", "requests_total"), ("job", "new")],
            time,
            SampleValue::Float(30.0),
        )
    };
    let samples = [
        counter,
        sample(
            &[("__name__", "latency"), ("job", "new")],
            time,
            SampleValue::Histogram(Box::new(histogram)),
        ),
        sample(
            &[("__name__", "gone"), ("job", "new")],
            time - 1,
            SampleValue::Float(1.0),
        ),
        sample(
            &[("__name__", "gone"), ("job", "new")],
            time,
            SampleValue::Float(stale_nan()),
        ),
    ];
    let families = [MetricMetadata {
        family: "requests_total".to_owned(),
        kind: MetricType::Counter,
        unit: String::new(),
        help: "Requests so far.".to_owned(),
    }];
    let message = wire::remote_write::encode(&samples, &families);
    let second = write_to(&server, "/prometheus/api/v1/write", V2, &message).await;
    assert_eq!((second.status, second.text.as_str()), (204, ""));
    assert_eq!(written(&second), ["3", "1", "1"]);

    for step in ["from the head", "after a crash", "from a split"] {
        assert_eq!(value(&server, "requests_total", time).await, "30", "{step}");
        // The counter began a minute ago: all of its value is an increase.
        assert_eq!(
            value(&server, "increase(requests_total[2m])", time).await,
            "30",
            "{step}"
        );
        assert_eq!(value(&server, "histogram_count(latency)", time).await, "6");
        assert_eq!(value(&server, "histogram_sum(latency)", time).await, "9.5");
        assert_eq!(query(&server, "gone", time).await, Vec::<Value>::new());
        assert_eq!(value(&server, "gone", time - 1).await, "1");
        let metadata = server.get("/api/v1/metadata").await.json();
        assert_eq!(
            metadata["data"]["requests_total"],
            json!([{"type": "counter", "unit": "", "help": "Requests so far."}]),
            "{step}"
        );
        match step {
            "from the head" => {
                server.kill();
                server = home.start().await;
            }
            "after a crash" => {
                let flushed = answer(server.request(Method::POST, "/-/flush")).await;
                assert_eq!(flushed.status, 200, "{}", flushed.text);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_counted_and_the_rest_is_stored() {
    let server = Server::start().await;
    let time = now_ms();
    let day = 86_400_000;
    let series: [Written<'_>; 6] = [
        (&[("__name__", "kept"), ("empty", "")], 1.0, time),
        (&[("job", "nameless")], 1.0, time),
        (&[("__name__", "m"), ("a", "1"), ("a", "2")], 1.0, time),
        (&[("__name__", "kept")], 1.0, time + day),
        (&[("__name__", "kept")], 1.0, time - 500 * day),
        (&[("__name__", "kept"), ("n", "2")], 2.0, time),
    ];
    let sent = write(&server, V1, &v1_message(&series)).await;
    assert_eq!(sent.status, 400);
    for part in [
        "4 of 6 items rejected",
        "no metric name",
        "occurs twice",
        "future",
        "retention",
    ] {
        assert!(sent.text.contains(part), "{part}: {}", sent.text);
    }
    assert_eq!(value(&server, "sum(kept)", time).await, "3");
    let metrics = server.get("/metrics").await.text;
    let counted = r#"watchkeeper_remote_written_total{version="1.0",kind="sample"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    // A request of which nothing is kept says so in 2.0's headers too.
    let nameless = [sample(&[("job", "x")], time, SampleValue::Float(1.0))];
    let sent = write(&server, V2, &wire::remote_write::encode(&nameless, &[])).await;
    assert_eq!(sent.status, 400);
    assert_eq!(written(&sent), ["0", "0", "0"]);
}

#[tokio::test]
async fn late_and_doubled_samples_are_stored_and_the_last_one_counts() {
    let server = Server::start().await;
    let time = now_ms();
    let labels: &[(&str, &str)] = &[("__name__", "late")];
    for (value, at) in [
        (3.0, time),
        (1.0, time - 2_000),
        (2.0, time - 1_000),
        (4.0, time),
    ] {
        let sent = write(&server, V1, &v1_message(&[(labels, value, at)])).await;
        assert_eq!(sent.status, 204, "{}", sent.text);
    }
    for step in ["from the head", "from a split"] {
        assert_eq!(value(&server, "late", time).await, "4", "{step}");
        assert_eq!(value(&server, "late", time - 1_000).await, "2", "{step}");
        let counted = value(&server, "count_over_time(late[1m])", time).await;
        assert_eq!(counted, "3", "{step}");
        let flushed = answer(server.request(Method::POST, "/-/flush")).await;
        assert_eq!(flushed.status, 200, "{}", flushed.text);
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_others_series() {
    let server = Server::start().await;
    let time = now_ms();
    let labels: &[(&str, &str)] = &[("__name__", "secret")];
    let body = snap::raw::Encoder::new()
        .compress_vec(&v1_message(&[(labels, 1.0, time)]))
        .unwrap();
    let request = server
        .request(Method::POST, "/api/v1/write")
        .header("x-scope-orgid", "a")
        .body(body);
    assert_eq!(answer(request).await.status, 204);
    assert_eq!(query(&server, "secret", time).await, Vec::<Value>::new());
}

#[tokio::test]
async fn descriptions_alone_are_kept() {
    let server = Server::start().await;
    // `prometheus.WriteRequest` with one metadata message: a gauge "g" with a help text.
    let message = [
        &[0x1a, 11][..],
        &[0x08, 2, 0x12, 1, b'g', 0x22, 4, b'h', b'e', b'l', b'p'],
    ]
    .concat();
    assert_eq!(write(&server, V1, &message).await.status, 204);
    let metadata = server.get("/api/v1/metadata").await.json();
    assert_eq!(
        metadata["data"]["g"],
        json!([{"type": "gauge", "unit": "", "help": "help"}])
    );
}

/// Series in each request of the test with kills: requests as large as Prometheus sends.
const CRASH_SERIES: usize = 1000;

/// Sends one request after another until the server is gone; the numbers that were acknowledged.
/// Number n is the value of each series' sample n ms after `begin`.
async fn write_until_killed(url: String, begin: i64, next: Arc<AtomicI64>) -> Vec<i64> {
    let client = crate::server::client();
    let parts: Vec<String> = (0..CRASH_SERIES).map(|part| part.to_string()).collect();
    let series: Vec<_> = parts
        .iter()
        .map(|part| [("__name__", "crash"), ("part", part.as_str())])
        .collect();
    let mut acknowledged = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let samples: Vec<Written<'_>> = series
            .iter()
            .map(|labels| (&labels[..], number as f64, begin + number))
            .collect();
        let body = snap::raw::Encoder::new()
            .compress_vec(&v1_message(&samples))
            .unwrap();
        match client.post(&url).body(body).send().await {
            Ok(answer) if answer.status() == 204 => acknowledged.push(number),
            Ok(answer) if answer.status() == 503 => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(answer) => panic!("unexpected answer {}", answer.status()),
            Err(_) => return acknowledged,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_sample_survives_kills_once() {
    // Heads that are sealed often, so that kills also meet sealing and publishing.
    let home = Home::new().with_config("heads: {max_age: 1s}\n");
    // Far enough back that no number reaches the present.
    let begin = now_ms() - 3_600_000;
    let next = Arc::new(AtomicI64::new(0));
    let mut acknowledged = BTreeSet::new();
    for round in 0..6 {
        let server = home.start().await;
        let url = format!("http://{}/api/v1/write", server.addresses.http);
        let senders: Vec<_> = (0..4)
            .map(|_| tokio::spawn(write_until_killed(url.clone(), begin, Arc::clone(&next))))
            .collect();
        // Each round is killed at another moment of its life.
        tokio::time::sleep(Duration::from_millis(150 + 250 * round)).await;
        server.kill();
        for sender in senders {
            acknowledged.extend(sender.await.unwrap());
        }
    }
    assert!(acknowledged.len() > 20, "{} writes", acknowledged.len());
    let server = home.start().await;
    let found = query(&server, "crash{part=\"7\"}[2h]", now_ms()).await;
    assert_eq!(found.len(), 1);
    let mut numbers = BTreeSet::new();
    for sample in found[0]["values"].as_array().unwrap() {
        let number: i64 = sample[1].as_str().unwrap().parse().unwrap();
        let at = (sample[0].as_f64().unwrap() * 1000.0).round() as i64;
        assert_eq!(at, begin + number);
        assert!(numbers.insert(number), "{number} is doubled");
    }
    let lost: Vec<&i64> = acknowledged.difference(&numbers).take(10).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");

    // A request is there whole or not at all, so that all series have the same samples.
    let series = CRASH_SERIES.to_string();
    let sum: i64 = numbers.iter().sum();
    for (function, expected) in [("count", numbers.len() as i64), ("sum", sum)] {
        let alike = format!("count({function}_over_time(crash[2h]) == {expected})");
        assert_eq!(value(&server, &alike, now_ms()).await, series, "{alike}");
    }
}
