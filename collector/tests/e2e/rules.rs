//! Rules over telemetry that came in by OTLP, states out by the API, across a restart.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::otlp::now;
use crate::server::{Home, PATIENCE, Process, answer};

const RULES: &str = r#"
groups:
  - name: shop
    interval: 1s
    rules:
      - record: shop:errors:sum
        expr: sum(errors_total)
      - alert: ShopErrors
        expr: shop:errors:sum > 3
        labels: {severity: page}
        annotations: {summary: "{{ $value }} errors"}
      - alert: NeverFires
        expr: shop:errors:sum > 1000
"#;

/// Sends the counter's value as of now.
async fn send_errors(server: &Process, value: u64) {
    let point = json!({"timeUnixNano": now().to_string(), "asInt": value.to_string()});
    let body = json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [{
        "name": "errors",
        "sum": {"isMonotonic": true, "aggregationTemporality": 2, "dataPoints": [point]},
    }]}]}]});
    let sent = answer(server.otlp("/v1/metrics").json(&body)).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
}

async fn alerts(server: &Process) -> Vec<Value> {
    let answer = server.get("/api/v1/alerts").await;
    answer.json()["data"]["alerts"].as_array().unwrap().clone()
}

/// Waits until `condition` holds of the alerts.
async fn until(server: &Process, condition: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let found = alerts(server).await;
        if condition(&found) {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "the alerts stay {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_alert_fires_survives_kill_9_and_resolves() {
    let home = Home::new();
    let rules = home.write("rules.yml", RULES);
    let home = home.with_args(&["--rules", rules.to_str().unwrap()]);
    let server = home.start().await;
    send_errors(&server, 2).await;
    let recorded = async |server: &Process| {
        let answer = server
            .post_form("/api/v1/query", &[("query", "shop:errors:sum")])
            .await;
        answer.json()["data"]["result"][0]["value"][1]
            .as_str()
            .map(str::to_owned)
    };
    let begun = Instant::now();
    while recorded(&server).await.as_deref() != Some("2") {
        assert!(begun.elapsed() < PATIENCE, "the rule records nothing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(alerts(&server).await.is_empty());

    send_errors(&server, 5).await;
    let firing = until(&server, |alerts| !alerts.is_empty()).await;
    assert_eq!(firing.len(), 1);
    assert_eq!(firing[0]["labels"]["alertname"], "ShopErrors");
    assert_eq!(firing[0]["labels"]["severity"], "page");
    assert_eq!(firing[0]["state"], "firing");
    assert_eq!(firing[0]["annotations"]["summary"], "5 errors");
    let since = firing[0]["activeAt"].clone();

    server.kill();
    let server = home.start().await;
    let firing = until(&server, |alerts| !alerts.is_empty()).await;
    assert_eq!(
        firing[0]["activeAt"], since,
        "the same alert, not a new one"
    );

    send_errors(&server, 0).await;
    until(&server, <[Value]>::is_empty).await;
}

#[test]
fn bad_rules_keep_the_server_from_starting_and_say_where() {
    let home = Home::new();
    let rules = home.write(
        "rules.yml",
        "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum(\n",
    );
    let rules = rules.to_str().unwrap();
    let ended = crate::server::run_to_end(&["serve", "--rules", rules], &[]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("rules.yml:5:"), "{}", ended.stderr);
    let checked = crate::server::run_to_end(&["check", rules], &[]);
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.stderr.contains("rules.yml:5:"),
        "{}",
        checked.stderr
    );
}

#[test]
fn what_the_server_refuses_is_a_finding() {
    let home = Home::new();
    let good = home.write("rules.yml", "groups: []\n");
    let good = good.display();
    for (name, yaml, finding) in [
        (
            "a.yaml",
            "memory: 1MiB\n".to_owned(),
            "a.yaml: memory: must be at least",
        ),
        (
            "b.yaml",
            "http: {listen: \"0.0.0.0:80\"}\n".to_owned(),
            "b.yaml: http.listen: ",
        ),
        (
            "e.yaml",
            "log_filter: \"watchkeeper=loud\"\n".to_owned(),
            "e.yaml: log_filter: ",
        ),
        (
            "c.yaml",
            format!("alerting: {{rules: [\"{good}\", missing.yml]}}\n"),
            "missing.yml",
        ),
        ("d.yaml", format!("alerting: {{rules: [\"{good}\"]}}\n"), ""),
    ] {
        let config = home.write(name, &yaml);
        let config = config.to_str().unwrap();
        let checked = crate::server::run_to_end(&["check", config], &[]);
        assert!(checked.stderr.contains(finding), "{}", checked.stderr);
        assert_eq!(checked.code, Some(i32::from(!finding.is_empty())), "{yaml}");
    }
}
