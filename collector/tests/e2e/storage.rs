//! What is stored, for how long, and what `/api/v1/storage` says of it.

use reqwest::Method;
use serde_json::Value;

use crate::otlp::{self, logs, now, record};
use crate::server::{Home, Process, Server, answer};

async fn export(server: &Process, tenant: &str, service: &str, bodies: &[&str]) {
    let records = bodies.iter().map(|body| record(now(), body, &[])).collect();
    let request = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .header("x-scope-orgid", tenant)
        .body(otlp::body(&logs(service, records)));
    assert_eq!(answer(request).await.status, 200);
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn storage_says_what_each_service_holds_and_how_long_it_is_kept() {
    let home = Home::new();
    let config = home.write(
        "watchkeeper.yaml",
        "retention:\n  logs: 7d\n  rules:\n    - {service: \"debug-*\", keep: 6h}\nstorage: {max_bytes: 1GiB}\n",
    );
    let server = Server::start_in(home.with_args(&["--config", config.to_str().unwrap()])).await;
    export(&server, "acme", "api", &["one", "two"]).await;
    export(&server, "acme", "debug-1", &["three"]).await;
    export(&server, "other", "api", &["four"]).await;
    assert_eq!(
        answer(server.request(Method::POST, "/-/flush"))
            .await
            .status,
        200
    );

    let all = server.get("/api/v1/storage").await;
    assert_eq!(all.status, 200, "{}", all.text);
    let all = all.json();
    let disk = &all["disk"];
    assert_eq!(disk["limit_bytes"], (1_u64 << 30).to_string());
    assert!(number(&disk["used_bytes"]) > 0);
    assert!(number(&disk["capacity_bytes"]) > number(&disk["used_bytes"]));
    let streams = all["streams"].as_array().unwrap();
    let shown: Vec<String> = streams
        .iter()
        .map(|stream| {
            for field in ["bytes", "bytes_per_day"] {
                assert!(number(&stream[field]) > 0, "{field} of {stream}");
            }
            assert!(stream["oldest"].as_str().unwrap() <= stream["newest"].as_str().unwrap());
            let field = |name: &str| stream[name].as_str().unwrap().to_owned();
            [
                "tenant",
                "signal",
                "service",
                "rows",
                "splits",
                "retention_seconds",
            ]
            .map(field)
            .join(" ")
        })
        .collect();
    assert_eq!(
        shown,
        [
            "acme logs api 2 1 604800",
            "acme logs debug-1 1 1 21600",
            "other logs api 1 1 604800",
        ]
    );

    let own = server
        .request(Method::GET, "/api/v1/storage")
        .header("x-scope-orgid", "other");
    let own = answer(own).await.json();
    assert_eq!(own["streams"].as_array().unwrap().len(), 1);
    let wrong = server
        .request(Method::GET, "/api/v1/storage")
        .header("x-scope-orgid", "no/tenant");
    let wrong = answer(wrong).await;
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["code"]),
        (400, &"invalid_tenant".into())
    );

    let metrics = server.get("/metrics").await.text;
    for line in [
        "watchkeeper_storage_rows{tenant=\"acme\",signal=\"logs\"} 3",
        "watchkeeper_storage_splits{tenant=\"acme\",signal=\"logs\"} 2",
        "watchkeeper_storage_limit_bytes 1073741824",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

/// Rows that compaction copied or encoded so far.
async fn compacted_rows(server: &Process) -> u64 {
    let metrics = server.get("/metrics").await.text;
    let lines = metrics.lines();
    let counts = lines.filter(|line| line.starts_with("watchkeeper_compaction_rows_total{"));
    counts
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn many_small_splits_become_few_and_answer_the_same() {
    let server = Server::start().await;
    for n in 0..24 {
        export(&server, "default", "api", &[&format!("record {n}")]).await;
        assert_eq!(
            answer(server.request(Method::POST, "/-/flush"))
                .await
                .status,
            200
        );
    }
    let begun = std::time::Instant::now();
    while compacted_rows(&server).await < 8 {
        assert!(
            begun.elapsed() < crate::server::PATIENCE,
            "nothing is merged"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let storage = server.get("/api/v1/storage").await.json();
    let stream = &storage["streams"][0];
    assert_eq!(number(&stream["rows"]), 24);
    assert!(number(&stream["splits"]) < 24, "{stream}");
    let search =
        serde_json::json!({"start": "now-1h", "end": "now+5m", "query": "record", "limit": 100});
    let page = server
        .post_json("/api/v1/logs/search", &search)
        .await
        .json();
    assert_eq!(page["records"].as_array().unwrap().len(), 24);
    let first: std::collections::BTreeSet<&str> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["body"].as_str().unwrap())
        .collect();
    assert_eq!(first.len(), 24);
}
