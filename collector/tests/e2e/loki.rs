//! What Grafana's Loki data source sends, as it sends it.

mod contract;
mod tail;

use reqwest::Method;

use crate::otlp::{self, logs, now, record};
use crate::server::{Answer, Process, Server, answer};

async fn with_lines() -> Server {
    let server = Server::start().await;
    let mut records = vec![
        record(
            now() - 2_000_000_000,
            r#"{"status":500,"path":"/a"}"#,
            &[("user.id", "u1")],
        ),
        record(now() - 1_000_000_000, "plain line", &[("user.id", "u2")]),
    ];
    records[0].severity_number = 17;
    records[0].severity_text = "ERROR".to_owned();
    let sent = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&logs("shop", records)));
    assert_eq!(answer(sent).await.status, 200);
    server
}

/// A GET with the query in the URL and nanoseconds for times.
async fn range(server: &Process, query: &str, more: &[(&str, &str)], categorize: bool) -> Answer {
    let start = (now() - 3_600_000_000_000).to_string();
    let end = (now() + 1_000_000_000).to_string();
    let mut request = server
        .request(Method::GET, "/loki/api/v1/query_range")
        .query(&[("query", query), ("start", &start), ("end", &end)])
        .query(more);
    if categorize {
        request = request.header("X-Loki-Response-Encoding-Flags", "categorize-labels");
    }
    answer(request).await
}

#[tokio::test]
async fn save_and_test_is_one_sample_of_two() {
    let server = Server::start().await;
    let answer = server
        .get("/loki/api/v1/query?query=vector(1)%2Bvector(1)&direction=backward&time=4000000000")
        .await;
    let result = answer.json()["data"]["result"].clone();
    assert_eq!(result.as_array().unwrap().len(), 1);
    assert_eq!(result[0]["value"][1], "2");
}

#[tokio::test]
async fn values_have_two_or_three_elements_as_asked() {
    let server = with_lines().await;
    let plain = range(&server, r#"{service_name="shop"}"#, &[], false).await;
    assert_eq!(plain.status, 200, "{}", plain.text);
    assert!(
        plain
            .text
            .starts_with(r#"{"status":"success","data":{"resultType":"streams","result":"#),
        "{}",
        plain.text
    );
    for stream in plain.json()["data"]["result"].as_array().unwrap() {
        for value in stream["values"].as_array().unwrap() {
            assert_eq!(value.as_array().unwrap().len(), 2, "{value}");
        }
    }
    let flagged = range(&server, r#"{service_name="shop"}"#, &[], true).await;
    assert!(
        flagged.text.starts_with(
            r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":"#
        ),
        "{}",
        flagged.text
    );
    let result = flagged.json()["data"]["result"].clone();
    assert_eq!(result.as_array().unwrap().len(), 1, "one stream: {result}");
    assert_eq!(
        result[0]["stream"],
        serde_json::json!({"service_name": "shop"})
    );
    let values = result[0]["values"].as_array().unwrap();
    assert_eq!(values.len(), 2);
    // Newest first, each with its structured metadata.
    assert_eq!(values[0][1], "plain line");
    assert_eq!(values[0][2]["structuredMetadata"]["user_id"], "u2");
    assert_eq!(
        values[1][2]["structuredMetadata"]["detected_level"],
        "error"
    );
}

#[tokio::test]
async fn the_log_volume_counts_by_level() {
    let server = with_lines().await;
    let query = r#"sum by (level, detected_level) (count_over_time({service_name="shop"} | drop __error__[1h]))"#;
    let answer = range(&server, query, &[("step", "3600000ms")], true).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let mut counts: Vec<(String, String)> = answer.json()["data"]["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|series| {
            let last = series["values"].as_array().unwrap().last().unwrap().clone();
            (
                series["metric"]["detected_level"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
                last[1].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    counts.sort();
    let expected = [("error", "1"), ("info", "1")];
    assert_eq!(
        counts,
        expected.map(|(level, count)| (level.to_owned(), count.to_owned()))
    );
}

#[tokio::test]
async fn labels_values_and_streams_are_listed() {
    let server = with_lines().await;
    let labels = server.get("/loki/api/v1/labels").await;
    assert_eq!(
        labels.text,
        r#"{"status":"success","data":["service_name"]}"#
    );
    let values = server.get("/loki/api/v1/label/service_name/values").await;
    assert_eq!(values.text, r#"{"status":"success","data":["shop"]}"#);
    let none = server
        .get("/loki/api/v1/label/__stream_shard__/values")
        .await;
    assert_eq!(none.text, r#"{"status":"success","data":[]}"#);
    let streams = server
        .get("/loki/api/v1/series?match[]=%7Bservice_name%3D~%22s.%2B%22%7D")
        .await;
    assert_eq!(
        streams.text,
        r#"{"status":"success","data":[{"service_name":"shop"}]}"#
    );
}

#[tokio::test]
async fn line_filters_and_labels_select() {
    let server = with_lines().await;
    for (query, expected) in [
        (r#"{service_name="shop"} |= "plain""#, 1),
        (r#"{service_name="shop"} != "plain""#, 1),
        (r#"{service_name="shop"} | user_id="u1""#, 1),
        (r#"{service_name="shop"} | json | status=500"#, 1),
        (r#"{service_name="other"}"#, 0),
    ] {
        let answer = range(&server, query, &[], false).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        let lines: usize = answer.json()["data"]["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|stream| stream["values"].as_array().unwrap().len())
            .sum();
        assert_eq!(lines, expected, "{query}: {}", answer.text);
    }
}
