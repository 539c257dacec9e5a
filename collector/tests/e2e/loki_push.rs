//! Loki's push API, and its lines out again by LogQL.

use std::io::Write as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::otlp::now;
use crate::server::{Answer, Home, Process, Server, answer};

async fn push(server: &Process, body: &Value) -> Answer {
    server.post_json("/loki/api/v1/push", body).await
}

/// The streams of a log query over the last hour.
async fn query(server: &Process, query: &str) -> Vec<Value> {
    let start = (now() - 3_600_000_000_000).to_string();
    let request = server
        .request(Method::GET, "/loki/api/v1/query_range")
        .query(&[("query", query), ("start", start.as_str())])
        .header("X-Loki-Response-Encoding-Flags", "categorize-labels");
    let answer = answer(request).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    answer.json()["data"]["result"].as_array().unwrap().clone()
}

#[tokio::test]
async fn pushed_labels_select_their_lines_before_and_after_a_restart_and_a_flush() {
    let home = Home::new();
    let mut server = home.start().await;
    let time = now().to_string();
    let body = json!({"streams": [
        {"stream": {"app": "x", "env": "y", "k8s_pod_name": "x-1"}, "values": [
            [time, "first line", {"trace_id": "0af7651916cd43dd8448eb211c80319c", "user": "u1"}],
        ]},
        {"stream": {"app": "other", "env": "y"}, "values": [[time, "second line"]]},
    ]});
    let pushed = push(&server, &body).await;
    assert_eq!((pushed.status, pushed.text.as_str()), (204, ""));
    for step in ["from the head", "after a crash", "from a split"] {
        for selector in [
            r#"{app="x"}"#,
            r#"{app="x", env="y"}"#,
            r#"{env="y", app!="other"}"#,
            r#"{k8s_pod_name=~"x-.*"}"#,
            r#"{service_name="x"} | user="u1""#,
            r#"{env="y"} | app="x""#,
        ] {
            let streams = query(&server, selector).await;
            assert_eq!(streams.len(), 1, "{step}: {selector}: {streams:?}");
            assert_eq!(
                streams[0]["stream"],
                json!({"app": "x", "env": "y", "k8s_pod_name": "x-1", "service_name": "x"})
            );
            let value = &streams[0]["values"][0];
            assert_eq!((&value[0], &value[1]), (&json!(time), &json!("first line")));
            let metadata = &value[2]["structuredMetadata"];
            assert_eq!(metadata["user"], "u1");
            assert_eq!(metadata["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        }
        assert!(query(&server, r#"{app="absent"}"#).await.is_empty());
        let labels = server.get("/loki/api/v1/labels").await.json();
        assert_eq!(
            labels["data"],
            json!(["app", "env", "k8s_pod_name", "service_name"]),
            "{step}"
        );
        let values = server.get("/loki/api/v1/label/app/values").await.json();
        assert_eq!(values["data"], json!(["other", "x"]));
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
async fn the_native_search_finds_pushed_lines_by_their_labels() {
    let server = Server::start().await;
    let body = json!({"streams": [{"stream": {"job": "shop", "level": "error"}, "values": [
        [now().to_string(), "payment refused", {"user_id": "u1"}],
    ]}]});
    assert_eq!(push(&server, &body).await.status, 204);
    let found = server
        .search("service:shop severity:error user_id:u1 refused")
        .await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["resource"]["job"], "shop");
    // Without a level of the sender's the text tells, and the severity stays what it was.
    let body = json!({"streams": [{"stream": {"job": "unset"}, "values": [
        [now().to_string(), "2026-01-02 15:04:05,123 WARN  [main] c.e.App - slow"],
    ]}]});
    assert_eq!(push(&server, &body).await.status, 204);
    let found = server.search("service:unset").await;
    assert_eq!(found[0]["detected_level"], "warn");
    assert_eq!(found[0]["severity_number"], 0);
}

#[tokio::test]
async fn every_content_encoding_is_read() {
    let server = Server::start().await;
    let line = |name: &str| {
        json!({"streams": [{"stream": {"app": name}, "values": [[now().to_string(), name]]}]})
            .to_string()
    };
    let gzip = |body: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zlib = |body: &str| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    for (encoding, body) in [
        ("identity", line("identity").into_bytes()),
        ("gzip", gzip(&line("gzip"))),
        ("deflate", zlib(&line("deflate"))),
    ] {
        let request = server
            .request(Method::POST, "/loki/api/v1/push")
            .header("content-type", "application/json; charset=utf-8")
            .header("content-encoding", encoding)
            .body(body);
        assert_eq!(answer(request).await.status, 204, "{encoding}");
        assert_eq!(
            query(&server, &format!("{{app=\"{encoding}\"}}"))
                .await
                .len(),
            1
        );
    }
    // Protobuf is compressed by snappy without a header's word.
    let time = now();
    let message = push_request(r#"{app="snappy"}"#, time, b"from promtail");
    let body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
    let request = server
        .request(Method::POST, "/loki/api/v1/push")
        .header("content-type", "application/x-protobuf")
        .body(body);
    let pushed = answer(request).await;
    assert_eq!(pushed.status, 204, "{}", pushed.text);
    let streams = query(&server, r#"{app="snappy"}"#).await;
    assert_eq!(streams[0]["values"][0][0], time.to_string());
    assert_eq!(streams[0]["values"][0][1], "from promtail");
}

/// A `PushRequest` of one entry in protobuf.
fn push_request(labels: &str, time: u64, line: &[u8]) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let mut out = vec![number << 3 | 2];
        prost::encoding::encode_varint(content.len() as u64, &mut out);
        out.extend_from_slice(content);
        out
    };
    let varint = |number: u8, value: u64| {
        let mut out = vec![number << 3];
        prost::encoding::encode_varint(value, &mut out);
        out
    };
    let second = 1_000_000_000;
    let time = [varint(1, time / second), varint(2, time % second)].concat();
    let entry = [field(1, &time), field(2, line)].concat();
    field(1, &[field(1, labels.as_bytes()), field(2, &entry)].concat())
}

#[tokio::test]
async fn entries_outside_of_the_window_are_counted_and_the_rest_is_stored() {
    let server = Server::start().await;
    let day = 86_400_000_000_000;
    let body = json!({"streams": [{"stream": {"app": "window"}, "values": [
        [now().to_string(), "good"],
        [(now() - 40 * day).to_string(), "ancient"],
        [(now() + day).to_string(), "future"],
    ]}]});
    let pushed = push(&server, &body).await;
    assert_eq!(pushed.status, 400);
    for part in ["2 of 3 entries rejected", "retention", "future"] {
        assert!(pushed.text.contains(part), "{}", pushed.text);
    }
    assert_eq!(server.search("service:window").await.len(), 1);
}

#[tokio::test]
async fn a_malformed_push_says_what_is_wrong() {
    let server = Server::start().await;
    for (body, expected) in [
        (
            json!({"streams": [{"stream": {}, "values": [["x"]]}]}),
            "streams[0].values[0]",
        ),
        (json!([]), "an object"),
    ] {
        let pushed = push(&server, &body).await;
        assert_eq!(pushed.status, 400);
        assert!(pushed.text.contains(expected), "{}", pushed.text);
    }
    let request = server
        .request(Method::POST, "/loki/api/v1/push")
        .header("content-type", "application/x-protobuf")
        .body(vec![0xff; 100]);
    let pushed = answer(request).await;
    assert_eq!(pushed.status, 400);
    assert!(pushed.text.contains("snappy"), "{}", pushed.text);
}
