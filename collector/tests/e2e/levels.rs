//! Levels that only the text states: records without a severity are found, counted and shown by
//! them, whichever way they came in and wherever they lie.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::otlp::{self, logs, now, record};
use crate::server::{Home, Process, answer};

const CONFIG: &str = "syslog: {tcp: '127.0.0.1:0'}\n";

/// Lines as programs print them; the last states no level.
const LINES: [&str; 4] = [
    "[ERROR] payment refused",
    "ts=1 level=warn msg=\"slow payment\"",
    r#"{"level":"debug","msg":"payment cached"}"#,
    "no error was found in payment",
];

/// The ways in.
const INPUTS: u64 = 3;

/// Sends every line by OTLP, by Loki push and by syslog, all without a severity.
async fn send(server: &Process) {
    let plain = |line: &str| {
        let mut plain = record(now(), line, &[]);
        plain.severity_number = 0;
        plain.severity_text = String::new();
        plain
    };
    let sent = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&logs("otlp", LINES.map(plain).into())));
    assert_eq!(answer(sent).await.status, 200);

    let values = LINES.map(|line| json!([now().to_string(), line]));
    let body = json!({"streams": [{"stream": {"app": "loki"}, "values": values}]});
    let pushed = server.post_json("/loki/api/v1/push", &body).await;
    assert_eq!(pushed.status, 204, "{}", pushed.text);

    let address = server.addresses.syslog_tcp.as_deref().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("{}\n", LINES.join("\n"));
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    server
        .wait_for("payment", LINES.len() * INPUTS as usize)
        .await;
}

async fn ask(server: &Process, what: &str, mut question: Value) -> Value {
    question["start"] = json!("now-1h");
    question["end"] = json!("now+5m");
    let path = format!("/api/v1/logs/{what}");
    let answer = server.post_json(&path, &question).await;
    assert_eq!(answer.status, 200, "{what} {question}: {}", answer.text);
    answer.json()
}

async fn searches_and_records(server: &Process) {
    for (query, count) in [
        ("severity:error", 3),
        ("severity:>=warn", 6),
        ("level:debug service:loki", 1),
        ("severity:unset", 3),
        ("NOT severity:*", 3),
        ("severity_number:0", 12),
    ] {
        assert_eq!(server.search(query).await.len(), count, "{query}");
    }
    for found in server.search("severity:error").await {
        assert_eq!(found["body"], LINES[0]);
        assert_eq!(found["detected_level"], "error");
        assert_eq!(found["severity_number"], 0);
        assert_eq!(found["severity_text"], "");
    }
}

async fn counts(server: &Process) {
    let by = json!({"query": "payment", "by": ["severity"], "buckets": 10});
    let histogram = ask(server, "histogram", by).await;
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for bucket in histogram["buckets"].as_array().unwrap() {
        for (level, count) in bucket["counts"].as_object().unwrap() {
            *counted.entry(level.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    let each = ["debug", "error", "unset", "warn"];
    let expected = each.map(|level| (level.to_owned(), INPUTS));
    assert_eq!(counted, BTreeMap::from(expected));

    let facets = ask(server, "facets", json!({"fields": ["severity"]})).await;
    let values = each.map(|level| json!({"value": level, "count": INPUTS.to_string()}));
    assert_eq!(facets["facets"][0]["values"], json!(values));

    let listed = ask(server, "values", json!({"field": "severity"})).await;
    let values = each.map(|level| json!({"value": level, "count": null}));
    assert_eq!(listed["values"], json!(values));
    assert_eq!(listed["exact"], true);

    let patterns = ask(server, "patterns", json!({"query": "refused"})).await;
    assert_eq!(patterns["patterns"][0]["severity"], json!({"error": "3"}));

    let question = json!({
        "start": "now-1h", "end": "now+5m", "query": "severity:warn",
        "format": "csv", "fields": "severity,severity_number",
    });
    let export = server.post_json("/api/v1/logs/export", &question).await;
    assert_eq!(
        export.text,
        format!("severity,severity_number\r\n{}", "warn,0\r\n".repeat(3))
    );
}

async fn logql(server: &Process) {
    let ask = async |query: &str| -> Value {
        let start = (now() - 3_600_000_000_000).to_string();
        let end = (now() + 1_000_000_000).to_string();
        let request = server
            .request(Method::GET, "/loki/api/v1/query_range")
            .query(&[("query", query), ("start", &start), ("end", &end)])
            .query(&[("step", "7200")]);
        let answer = answer(request).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        answer.json()["data"]["result"].clone()
    };
    // Answered by the table, and by the pipeline.
    for query in [
        r#"{service_name=~".+"} | detected_level="error""#,
        r#"{service_name=~".+"} | drop nothing | detected_level="error""#,
    ] {
        let streams = ask(query).await;
        let lines = streams.as_array().unwrap().iter();
        let lines: Vec<&Value> = lines
            .flat_map(|stream| stream["values"].as_array().unwrap())
            .map(|value| &value[1])
            .collect();
        assert_eq!(lines, [LINES[0]; 3], "{query}");
    }
    let volume = r#"sum by (detected_level) (count_over_time({service_name=~".+"}[2h]))"#;
    let request = server
        .request(Method::GET, "/loki/api/v1/query")
        .query(&[("query", volume)]);
    let answer = answer(request).await.json();
    let series = answer["data"]["result"].as_array().unwrap();
    let counted: BTreeMap<&str, &str> = series
        .iter()
        .map(|one| {
            let level = one["metric"]["detected_level"].as_str().unwrap();
            (level, one["value"][1].as_str().unwrap())
        })
        .collect();
    let levels = ["debug", "error", "unknown", "warn"];
    assert_eq!(counted, BTreeMap::from(levels.map(|level| (level, "3"))));
}

#[tokio::test]
async fn levels_of_plain_text_count_like_those_that_were_sent() {
    let home = Home::new().with_config(CONFIG);
    let mut server = home.start().await;
    send(&server).await;
    for step in ["from the head", "after a crash", "on disk"] {
        println!("{step}");
        searches_and_records(&server).await;
        counts(&server).await;
        logql(&server).await;
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
