//! What Grafana's Prometheus data source sends, as it sends it.

use crate::server::Server;

#[tokio::test]
async fn save_and_test_succeeds_by_post_and_get() {
    let server = Server::start().await;
    for path in ["/api/v1/query", "/prometheus/api/v1/query"] {
        let posted = server
            .post_form(path, &[("query", "1+1"), ("time", "4")])
            .await;
        assert_eq!(
            posted.text,
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#
        );
        let got = server.get(&format!("{path}?query=1%2B1&time=4")).await;
        assert_eq!(got.text, posted.text);
    }
}

#[tokio::test]
async fn probes_of_absurd_times_are_empty_not_errors() {
    let server = Server::start().await;
    for path in [
        "/api/v1/query?query=up&time=4",
        "/api/v1/query?query=up&time=99999999999999",
        "/api/v1/query_exemplars?query=test&start=1737000000000&end=1737003600000",
        "/api/v1/labels?start=1737000000000&end=1737003600000",
        "/api/v1/label/__name__/values?limit=40000&start=0&end=4",
        "/api/v1/series?match[]=up&start=0&end=4",
        "/api/v1/metadata?limit=40000",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(
            answer.text.starts_with(r#"{"status":"success","data":"#),
            "{path}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn it_is_taken_for_prometheus() {
    let server = Server::start().await;
    let info = server
        .get("/prometheus/api/v1/status/buildinfo")
        .await
        .json();
    assert!(info["data"]["version"].is_string());
    assert!(
        info["data"].get("features").is_none(),
        "would be taken for Mimir"
    );
    let rules = server.get("/api/v1/rules").await;
    assert!(rules.headers["content-type"].contains("json"));
    assert_eq!(rules.text, r#"{"status":"success","data":{"groups":[]}}"#);
    let alerts = server.get("/api/v1/alerts").await;
    assert_eq!(alerts.text, r#"{"status":"success","data":{"alerts":[]}}"#);
}

#[tokio::test]
async fn request_lines_of_64_kib_are_read() {
    let server = Server::start().await;
    let query = format!("up{{a=\"{}\"}}", "x".repeat(60 << 10));
    let encoded: String = query
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        })
        .collect();
    let answer = server.get(&format!("/api/v1/query?query={encoded}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}
