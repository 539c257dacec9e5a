//! OTLP metrics as Prometheus series.

use model::metric::{MetricType, Temporality, is_stale};
use model::{Encoding, Labels, SampleValue};
use wire::{MetricBatch, RejectReason, Rejected};

fn decode(json: &str) -> MetricBatch {
    wire::otlp::decode_metrics(Encoding::OtlpJson, json.as_bytes(), 9_000_000_000)
        .unwrap_or_else(|err| panic!("{json}: {err}"))
}

/// A request of `metrics` from the resource attributes `resource` (key, value).
fn request(resource: &[(&str, &str)], metrics: &str) -> String {
    let attributes: Vec<String> = resource
        .iter()
        .map(|(key, value)| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#))
        .collect();
    format!(
        r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{}]}},"scopeMetrics":[{{"metrics":[{metrics}]}}]}}]}}"#,
        attributes.join(",")
    )
}

/// Samples as `labels value @ms`, sorted, which shows everything but exemplars and starts.
fn lines(batch: &MetricBatch) -> Vec<String> {
    let mut lines: Vec<String> = batch
        .to_samples()
        .iter()
        .map(|(ordinal, sample)| {
            let value = match &sample.value {
                SampleValue::Float(number) if is_stale(*number) => "stale".to_owned(),
                SampleValue::Float(number) => number.to_string(),
                SampleValue::Histogram(histogram) => {
                    format!("native({})", histogram.count)
                }
            };
            format!(
                "{} {value} @{} #{ordinal}",
                sample.labels, sample.timestamp_ms
            )
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_counter_has_its_names_labels_and_start() {
    let batch = decode(&request(
        &[
            ("service.name", "api"),
            ("service.namespace", "shop"),
            ("service.instance.id", "i1"),
            ("host.name", "h"),
        ],
        r#"{"name":"http.server.requests","unit":"{request}","description":"Requests.","sum":{"isMonotonic":true,"aggregationTemporality":2,
            "dataPoints":[{"attributes":[{"key":"http.route","value":{"stringValue":"/a"}},{"key":"code","value":{"intValue":"200"}}],
            "startTimeUnixNano":"1000000000","timeUnixNano":"5000000000","asInt":"7"}]}}"#,
    ));
    assert_eq!(
        lines(&batch),
        [
            r#"http_server_requests_total{code="200", http_route="/a", instance="i1", job="shop/api"} 7 @5000 #0"#,
            r#"target_info{host_name="h", instance="i1", job="shop/api"} 1 @5000 #0"#,
        ]
    );
    assert_eq!(batch.points, 1);
    let counter = &batch.to_samples()[0].1;
    assert_eq!(counter.start_ms, Some(1000));
    assert_eq!(counter.temporality, Temporality::Cumulative);
    assert_eq!(batch.metadata[0].family, "http_server_requests_total");
    assert_eq!(batch.metadata[0].kind, MetricType::Counter);
    assert_eq!(batch.metadata[0].help, "Requests.");
}

#[test]
fn an_explicit_histogram_is_classic() {
    let batch = decode(&request(
        &[("service.name", "api")],
        r#"{"name":"latency","unit":"s","histogram":{"aggregationTemporality":1,"dataPoints":[{
            "timeUnixNano":"5000000000","startTimeUnixNano":"4000000000","count":"6","sum":1.5,"bucketCounts":["1","2","3"],"explicitBounds":[0.1,1],
            "exemplars":[{"timeUnixNano":"4500000000","asDouble":0.5,"traceId":"0102030405060708090a0b0c0d0e0f10","spanId":"0102030405060708","filteredAttributes":[{"key":"user.id","value":{"stringValue":"u"}}]}]}]}}"#,
    ));
    assert_eq!(
        lines(&batch),
        [
            r#"latency_seconds_bucket{job="api", le="+Inf"} 6 @5000 #0"#,
            r#"latency_seconds_bucket{job="api", le="0.1"} 1 @5000 #0"#,
            r#"latency_seconds_bucket{job="api", le="1"} 3 @5000 #0"#,
            r#"latency_seconds_count{job="api"} 6 @5000 #0"#,
            r#"latency_seconds_sum{job="api"} 1.5 @5000 #0"#,
        ]
    );
    let samples = batch.to_samples();
    assert!(
        samples
            .iter()
            .all(|(_, sample)| sample.temporality == Temporality::Delta)
    );
    let with_exemplar: Vec<_> = samples
        .iter()
        .filter(|(_, sample)| !sample.exemplars.is_empty())
        .collect();
    assert_eq!(with_exemplar.len(), 1);
    let sample = &with_exemplar[0].1;
    assert_eq!(sample.labels.get("le"), Some("1"));
    assert_eq!(sample.exemplars[0].timestamp_ms, 4500);
    assert_eq!(
        sample.exemplars[0].labels,
        Labels::new([
            ("trace_id", "0102030405060708090a0b0c0d0e0f10"),
            ("span_id", "0102030405060708"),
            ("user_id", "u"),
        ])
    );
    assert_eq!(batch.metadata[0].family, "latency_seconds");
    assert_eq!(batch.metadata[0].kind, MetricType::Histogram);
}

#[test]
fn an_exponential_histogram_is_native() {
    let batch = decode(&request(
        &[],
        r#"{"name":"latency","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{
            "timeUnixNano":"5000000000","count":"10","sum":3,"scale":10,"zeroCount":"1","zeroThreshold":0.001,"min":0,"max":2,
            "positive":{"offset":-4,"bucketCounts":["1","1","1","1","5"]}}]}}"#,
    ));
    let samples = batch.to_samples();
    let SampleValue::Histogram(histogram) = &samples[0].1.value else {
        panic!("expected a native histogram");
    };
    assert_eq!(histogram.schema, 8);
    assert_eq!(
        (histogram.count, histogram.sum, histogram.zero_count),
        (10.0, 3.0, 1.0)
    );
    assert_eq!(histogram.zero_threshold, 0.001);
    // Scale 10 to 8 merges four: indexes -4..=-1 are bucket -1, index 0 bucket 0; plus one each.
    assert_eq!(histogram.positive_counts, [4.0, 5.0]);
    assert_eq!(
        (
            histogram.positive_spans[0].offset,
            histogram.positive_spans[0].length
        ),
        (0, 2)
    );
    assert_eq!((histogram.min, histogram.max), (Some(0.0), Some(2.0)));
}

#[test]
fn summaries_gauges_and_non_monotonic_sums_keep_their_forms() {
    let batch = decode(&request(
        &[],
        r#"{"name":"s","summary":{"dataPoints":[{"timeUnixNano":"1000000","count":"2","sum":3,"quantileValues":[{"quantile":0.5,"value":1},{"quantile":1,"value":"NaN"}]}]}},
           {"name":"load","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"1000000","asDouble":0.5}]}},
           {"name":"queue","sum":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000","asInt":3}]}}"#,
    ));
    assert_eq!(
        lines(&batch),
        [
            r#"load_ratio 0.5 @1 #1"#,
            r#"queue 3 @1 #2"#,
            r#"s_count 2 @1 #0"#,
            r#"s_sum 3 @1 #0"#,
            r#"s{quantile="0.5"} 1 @1 #0"#,
            r#"s{quantile="1"} NaN @1 #0"#,
        ]
    );
    let kinds: Vec<MetricType> = batch.metadata.iter().map(|m| m.kind).collect();
    assert_eq!(
        kinds,
        [MetricType::Summary, MetricType::Gauge, MetricType::Gauge]
    );
}

#[test]
fn no_recorded_value_is_a_stale_marker() {
    let batch = decode(&request(
        &[],
        r#"{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":"1000000","flags":1}]}},
           {"name":"h","histogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000","flags":1,"explicitBounds":[1]}]}},
           {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"timeUnixNano":"1000000","flags":1}]}}"#,
    ));
    assert_eq!(
        lines(&batch),
        [
            "e stale @1 #2",
            "g stale @1 #0",
            "h_bucket{le=\"+Inf\"} stale @1 #1",
            "h_bucket{le=\"1\"} stale @1 #1",
            "h_count stale @1 #1",
        ]
    );
}

#[test]
fn a_point_that_makes_no_sense_is_rejected_alone() {
    let batch = decode(&request(
        &[],
        r#"{"name":"a","gauge":{"dataPoints":[{"timeUnixNano":"1000000"},{"asInt":"1"},{"timeUnixNano":"18446744073709551615","asInt":1}]}},
           {"name":"b","sum":{"isMonotonic":true,"dataPoints":[{"asInt":"1"}]}},
           {"name":"c","histogram":{"aggregationTemporality":2,"dataPoints":[
               {"count":"1","bucketCounts":["1"],"explicitBounds":[1]},
               {"count":"1","bucketCounts":["1","0","0"],"explicitBounds":[2,1]},
               {"count":"3"}]}},
           {"name":"d","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"scale":-5}]}},
           {"name":"!","gauge":{"dataPoints":[{"asInt":"1"}]}},
           {"name":"nothing"}"#,
    ));
    assert_eq!(batch.points, 9);
    use RejectReason::{InvalidPoint, NoTemporality, TimeOutOfRange};
    let rejected: Vec<(u32, RejectReason)> = batch
        .rejected
        .iter()
        .map(|r: &Rejected| (r.ordinal, r.reason))
        .collect();
    assert_eq!(
        rejected,
        [
            (0, InvalidPoint),
            (2, TimeOutOfRange),
            (3, NoTemporality),
            (4, InvalidPoint),
            (5, InvalidPoint),
            (7, InvalidPoint),
            (8, InvalidPoint)
        ]
    );
    assert_eq!(
        lines(&batch),
        [
            "a 1 @9000 #1",
            "c_bucket{le=\"+Inf\"} 3 @9000 #6",
            "c_count 3 @9000 #6"
        ]
    );
}

#[test]
fn labels_times_buckets_are_bounded() {
    let attributes: Vec<String> = (0..2000)
        .map(|i| format!(r#"{{"key":"k{i}","value":{{"stringValue":"v"}}}}"#))
        .collect();
    let bounds: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    let counts = vec!["1"; 10_001];
    let metrics = format!(
        r#"{{"name":"h","histogram":{{"aggregationTemporality":2,"dataPoints":[{{"count":"1","attributes":[{}],"explicitBounds":[{}],"bucketCounts":[{}]}}]}}}}"#,
        attributes.join(","),
        bounds.join(","),
        counts.join(",")
    );
    let err = wire::otlp::decode_metrics(Encoding::OtlpJson, request(&[], &metrics).as_bytes(), 1)
        .unwrap_err();
    assert!(err.to_string().contains("labels in all"), "{err}");
}

#[test]
fn text_of_the_resource_times_samples_is_bounded() {
    let long = "x".repeat(1 << 20);
    let points = vec![r#"{"timeUnixNano":"1000000","asInt":"1"}"#; 300].join(",");
    let metrics = format!(r#"{{"name":"g","gauge":{{"dataPoints":[{points}]}}}}"#);
    let body = request(&[("service.name", long.as_str())], &metrics);
    let err = wire::otlp::decode_metrics(Encoding::OtlpJson, body.as_bytes(), 1).unwrap_err();
    assert!(err.to_string().contains("grows past"), "{err}");
}
