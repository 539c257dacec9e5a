//! Telemetry in by OTLP, out by the query APIs.

use std::io::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;
use reqwest::Method;
use serde_json::{Value, json};

use crate::otlp::{self, logs, now, record};
use crate::server::{Answer, Process, Server, answer};

const PROTOBUF: &str = "application/x-protobuf";

async fn search(server: &Process, query: &str) -> Vec<Value> {
    server.search(query).await
}

async fn export(server: &Process, path: &str, body: Vec<u8>) -> Answer {
    answer(
        server
            .otlp(path)
            .header("content-type", PROTOBUF)
            .body(body),
    )
    .await
}

#[tokio::test]
async fn a_log_record_is_found_as_soon_as_it_is_acknowledged() {
    let server = Server::start().await;
    let time = now();
    let sent = record(time, "payment refused by issuer", &[("user.id", "u1")]);
    let answer = export(&server, "/v1/logs", otlp::body(&logs("shop", vec![sent]))).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));

    let records = search(&server, "refused service:shop").await;
    assert_eq!(records.len(), 1);
    let found = &records[0];
    assert_eq!(found["body"], "payment refused by issuer");
    assert_eq!(found["attributes"]["user.id"], "u1");
    assert_eq!(found["resource"]["service.name"], "shop");
    assert_eq!(found["severity_number"], 9);
    assert!(search(&server, "granted").await.is_empty());
}

fn compressed(encoding: &str, body: &[u8]) -> Vec<u8> {
    match encoding {
        "gzip" => {
            let fast = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(body).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::encode_all(body, 1).unwrap(),
        _ => body.to_vec(),
    }
}

#[tokio::test]
async fn every_encoding_compression_and_path_is_taken() {
    let server = Server::start().await;
    let mut sent = 0;
    for main_port in [false, true] {
        for encoding in ["identity", "gzip", "zstd"] {
            for content_type in [PROTOBUF, "application/json; charset=utf-8"] {
                sent += 1;
                let request = logs("every", vec![record(now(), &format!("record{sent}"), &[])]);
                let body = if content_type == PROTOBUF {
                    otlp::body(&request)
                } else {
                    serde_json::to_vec(&request).unwrap()
                };
                let to = if main_port {
                    server.request(Method::POST, "/otlp/v1/logs")
                } else {
                    server.otlp("/v1/logs")
                };
                let answer = answer(
                    to.header("content-type", content_type)
                        .header("content-encoding", encoding)
                        .body(compressed(encoding, &body)),
                )
                .await;
                assert_eq!(
                    answer.status, 200,
                    "{encoding} {content_type}: {}",
                    answer.text
                );
                assert_eq!(
                    answer.headers["content-type"],
                    content_type.split(';').next().unwrap()
                );
            }
        }
    }
    assert_eq!(search(&server, "service:every").await.len(), sent);
}

#[tokio::test]
async fn a_trace_leads_to_its_log_records_and_back() {
    let server = Server::start().await;
    let id = "0af7651916cd43dd8448eb211c80319c";
    let span = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": id, "spanId": "b7ad6b7169203331", "name": "pay",
        "startTimeUnixNano": now().to_string(), "endTimeUnixNano": (now() + 1_000_000).to_string(),
    }]}]}]});
    let record = json!({"resourceLogs": [{"scopeLogs": [{"logRecords": [
        {"timeUnixNano": now().to_string(), "traceId": id, "body": {"stringValue": "of the trace"}},
        {"timeUnixNano": now().to_string(), "body": {"stringValue": "of none"}},
    ]}]}]});
    for (path, request) in [("/otlp/v1/traces", span), ("/otlp/v1/logs", record)] {
        assert_eq!(server.post_json(path, &request).await.status, 200);
    }
    let trace = server.get(&format!("/api/v1/traces/{id}")).await.json();
    let page = server
        .post_json("/api/v1/logs/search", &trace["logs"])
        .await
        .json();
    let records = page["records"].as_array().unwrap();
    assert_eq!(records.len(), 1, "{page}");
    assert_eq!(records[0]["body"], "of the trace");
    let id_of_record = records[0]["trace_id"].as_str().unwrap();
    let back = server.get(&format!("/api/v1/traces/{id_of_record}")).await;
    assert_eq!(back.json()["spans"][0]["name"], "pay");
}

#[tokio::test]
async fn records_outside_of_the_window_are_rejected_one_by_one() {
    let server = Server::start().await;
    let day = 86_400_000_000_000;
    let request = logs(
        "window",
        vec![
            record(now(), "good", &[]),
            record(now() - 40 * day, "ancient", &[]),
            record(now() + day, "future", &[]),
        ],
    );
    let response = server
        .otlp("/v1/logs")
        .header("content-type", PROTOBUF)
        .body(otlp::body(&request))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let read = ExportLogsServiceResponse::decode(response.bytes().await.unwrap()).unwrap();
    let partial = read.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 2);
    assert!(
        partial.error_message.contains("retention"),
        "{}",
        partial.error_message
    );
    assert!(
        partial.error_message.contains("future"),
        "{}",
        partial.error_message
    );
    assert_eq!(search(&server, "service:window").await.len(), 1);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let server = Server::start().await;
    let body = otlp::body(&logs("shop", vec![record(now(), "secret", &[])]));
    let sent = server
        .otlp("/v1/logs")
        .header("content-type", PROTOBUF)
        .header("x-scope-orgid", "other")
        .body(body);
    assert_eq!(answer(sent).await.status, 200);
    assert!(search(&server, "secret").await.is_empty());
    let seen = answer(
        server
            .request(Method::POST, "/api/v1/logs/search")
            .header("x-scope-orgid", "other")
            .json(&json!({"start": "now-1h", "end": "now+5m", "query": "secret"})),
    )
    .await;
    assert_eq!(seen.json()["records"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_histogram_counts_what_a_search_finds() {
    let server = Server::start().await;
    let records = (0..50)
        .map(|i| record(now(), &format!("tick {i}"), &[]))
        .collect();
    export(&server, "/v1/logs", otlp::body(&logs("clock", records))).await;
    let page = server
        .post_json(
            "/api/v1/logs/histogram",
            &json!({"start": "now-1h", "end": "now+5m", "query": "tick", "buckets": 20, "by": ["severity"]}),
        )
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    let total: u64 = page.json()["buckets"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|bucket| bucket["counts"].as_object().unwrap().values())
        .map(|count| count.as_u64().unwrap())
        .sum();
    assert_eq!(total, 50);
}

#[tokio::test]
async fn flushed_records_are_found_in_their_split_after_a_restart() {
    let home = crate::server::Home::new();
    let server = home.start().await;
    let records = (0..500)
        .map(|i| {
            record(
                now(),
                &format!("order number{i}"),
                &[("user.id", &format!("u{i}"))],
            )
        })
        .collect();
    export(&server, "/v1/logs", otlp::body(&logs("shop", records))).await;
    let flushed = answer(server.request(Method::POST, "/-/flush")).await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
    assert_eq!(search(&server, "number77").await.len(), 1);
    let ended = server.terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let server = home.start().await;
    let records = search(&server, "number77").await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["attributes"]["user.id"], "u77");
    assert_eq!(search(&server, "service:shop").await.len(), 500);
}

mod sdk {
    //! The OpenTelemetry SDK as the sender.

    use std::time::Duration;

    use opentelemetry::logs::{
        AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity,
    };
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};
    use opentelemetry::{Key, KeyValue};
    use opentelemetry_otlp::WithExportConfig as _;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::logs::SdkLoggerProvider;
    use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use serde_json::Value;

    use super::search;
    use crate::server::Server;

    fn resource() -> Resource {
        Resource::builder_empty()
            .with_attributes([
                KeyValue::new("service.name", "sdk"),
                KeyValue::new("service.instance.id", "one"),
            ])
            .build()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn logs_sent_over_grpc_are_found() {
        let server = Server::start().await;
        let exporter = opentelemetry_otlp::LogExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", server.addresses.otlp_grpc))
            .build()
            .unwrap();
        let provider = SdkLoggerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        let logger = provider.logger("test");
        let mut record = logger.create_log_record();
        record.set_severity_number(Severity::Error);
        record.set_body(AnyValue::from("the disk is full"));
        record.add_attribute(Key::new("disk.name"), AnyValue::from("sda1"));
        logger.emit(record);
        provider.shutdown().unwrap();

        let records = search(&server, "disk severity:error").await;
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["attributes"]["disk.name"], "sda1");
        assert_eq!(records[0]["service"], "sdk");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn spans_sent_over_grpc_are_a_trace() {
        let server = Server::start().await;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", server.addresses.otlp_grpc))
            .build()
            .unwrap();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        let tracer = provider.tracer("test");
        let mut span = tracer.start("GET /orders");
        span.set_attribute(KeyValue::new("http.response.status_code", 503));
        span.add_event("retried", vec![KeyValue::new("attempt", 2)]);
        let id = span.span_context().trace_id().to_string();
        span.end();
        provider.shutdown().unwrap();

        let trace = server.get(&format!("/api/v1/traces/{id}")).await;
        assert_eq!(trace.status, 200, "{}", trace.text);
        let spans = trace.json()["spans"].clone();
        assert_eq!(spans.as_array().unwrap().len(), 1);
        assert_eq!(spans[0]["name"], "GET /orders");
        assert_eq!(spans[0]["attributes"]["http.response.status_code"], "503");
        assert_eq!(spans[0]["events"][0]["name"], "retried");
        assert_eq!(spans[0]["service"], "sdk");
        let unknown = server
            .get("/api/v1/traces/00000000000000000000000000000001")
            .await;
        assert_eq!(unknown.status, 404);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn metrics_sent_over_grpc_answer_promql() {
        let server = Server::start().await;
        let exporter = opentelemetry_otlp::MetricExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", server.addresses.otlp_grpc))
            .build()
            .unwrap();
        let reader = PeriodicReader::builder(exporter)
            .with_interval(Duration::from_secs(3_600))
            .build();
        let provider = SdkMeterProvider::builder()
            .with_resource(resource())
            .with_reader(reader)
            .build();
        let meter = provider.meter("test");
        let requests = meter.u64_counter("http.server.requests").build();
        requests.add(7, &[KeyValue::new("code", "200")]);
        requests.add(2, &[KeyValue::new("code", "500")]);
        let latency = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_boundaries(vec![0.1, 1.0])
            .build();
        latency.record(0.05, &[]);
        latency.record(0.5, &[]);
        // A start in the first value's own millisecond would leave no time to grow in.
        tokio::time::sleep(Duration::from_millis(5)).await;
        provider.force_flush().unwrap();

        let value = async |query: &str| -> Value {
            let answer = server.post_form("/api/v1/query", &[("query", query)]).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text);
            answer.json()["data"]["result"].clone()
        };
        let total = value("sum(http_server_requests_total{job=\"sdk\"})").await;
        assert_eq!(total[0]["value"][1], "9");
        let errors = value("http_server_requests_total{code=~\"5..\"}").await;
        assert_eq!(errors[0]["value"][1], "2");
        assert_eq!(errors[0]["metric"]["instance"], "one");
        let bucket = value("http_server_request_duration_seconds_bucket{le=\"0.1\"}").await;
        assert_eq!(bucket[0]["value"][1], "1");
        // A counter's first value counts from its start time on.
        let increase = value("sum(increase(http_server_requests_total[5m]))").await;
        assert!(
            increase[0]["value"][1]
                .as_str()
                .unwrap()
                .parse::<f64>()
                .unwrap()
                > 0.0
        );
        provider.shutdown().unwrap();
    }
}
