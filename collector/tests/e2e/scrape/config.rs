//! Scrape configurations that are good, bad, or a Prometheus' own.

use super::target::{Page, Target};
use super::until;
use crate::server::{Home, run_to_end};

/// As Prometheus' own documentation begins, with more of what a real one has.
const PROMETHEUS: &str = r#"
global:
  scrape_interval: 200ms
  evaluation_interval: 15s
  external_labels: {cluster: a}
  metric_name_validation_scheme: utf8
rule_files: ["rules/*.yml"]
alerting:
  alertmanagers: [{static_configs: [{targets: ["alertmanager:9093"]}]}]
remote_write: [{url: "http://other/api/v1/write"}]
scrape_configs:
  - job_name: "prometheus"
    scrape_failure_log_file: failures.log
    static_configs:
      - targets: ["ADDRESS"]
        labels: {app: "prometheus"}
"#;

fn check(home: &Home, name: &str, text: &str) -> crate::server::Ended {
    let path = home.write(name, text);
    run_to_end(&["check", path.to_str().unwrap()], &[])
}

#[tokio::test]
async fn a_prometheus_yml_is_taken_as_it_is() {
    let target = Target::start(Page::text("x 1\n")).await;
    let home = Home::new();
    let yaml = PROMETHEUS.replace("ADDRESS", &target.address);
    let checked = check(&home, "prometheus.yml", &yaml);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    for expected in [
        "prometheus.yml: scrape configuration is valid",
        "prometheus.yml:4:24: global.evaluation_interval is not used here",
        "prometheus.yml:7:13: rule_files (see alerting.rules) is not used here",
        "remote_write is not used here",
        "global.metric_name_validation_scheme is not used here",
        "prometheus.yml:13:30: scrape_failure_log_file is not used here",
    ] {
        assert!(checked.stdout.contains(expected), "{}", checked.stdout);
    }
    let file = home.path().join("prometheus.yml");
    let home = home.with_args(&["--scrape", file.to_str().unwrap()]);
    let server = home.start().await;
    let labels = format!(
        "app=\"prometheus\",instance=\"{}\",job=\"prometheus\"",
        target.address
    );
    until(&server, "x", &[(&format!("x{{{labels}}}"), "1")]).await;
    assert_eq!(
        server.get("/api/v1/scrape_pools").await.json()["data"]["scrapePools"],
        serde_json::json!(["prometheus"])
    );
    let config = server.get("/api/v1/status/config").await.json();
    let yaml = config["data"]["yaml"].as_str().unwrap();
    let expected = "scrape_configs:\n  - job_name: \"prometheus\"\n";
    assert!(yaml.contains(expected), "{yaml}");
    let ended = server.terminate().await;
    assert!(
        ended.stderr.contains("remote_write is not used here"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let home = Home::new();
    let job = |more: &str| format!("scrape_configs:\n  - job_name: a\n{more}");
    for (name, text, expected) in [
        ("a.yml", job("    scrape_intervall: 1m\n"), "a.yml:3:5: "),
        ("b.yml", job("    scrape_interval: soon\n"), "b.yml:3:22: "),
        (
            "c.yml",
            job("    relabel_configs:\n      - {regex: '(', action: keep}\n"),
            "c.yml:4:17: ",
        ),
        (
            "d.yml",
            job("    relabel_configs:\n      - {action: hashmod, target_label: x}\n"),
            "hashmod needs a modulus above 0",
        ),
        (
            "e.yml",
            job("    scrape_interval: 5s\n    scrape_timeout: 6s\n"),
            "e.yml:2:15: job \"a\": scrape_timeout 6s is longer than its scrape_interval 5s",
        ),
        (
            "f.yml",
            job("  - job_name: a\n"),
            "f.yml:3:15: job_name \"a\" is used twice; give each job its own",
        ),
        (
            "g.yml",
            job("    basic_auth: {username: u}\n    authorization: {credentials: c}\n"),
            "at most one of basic_auth, authorization and bearer_token can be set",
        ),
        (
            "h.yml",
            job("    tls_config: {ca_file: missing.pem}\n"),
            "missing.pem",
        ),
        (
            "i.yml",
            job("    kubernetes_sd_configs: []\n"),
            "kubernetes_sd_configs",
        ),
        (
            "j.yml",
            "scrape_config_files: [missing.yml]\n".to_owned(),
            "missing.yml",
        ),
        (
            "k.yml",
            job("    file_sd_configs: [{files: [targets.txt]}]\n"),
            "\"targets.txt\" must end with .json, .yml or .yaml",
        ),
        (
            "l.yml",
            "global: {scrape_interval: 5s, scrape_timeout: 6s}\n".to_owned(),
            "l.yml:1:47: global.scrape_timeout 6s is longer than global.scrape_interval 5s",
        ),
        (
            "m.yml",
            job("    http_headers: {Authorization: {values: [x]}}\n"),
            "m.yml:2:15: job \"a\": http_headers cannot set \"Authorization\"",
        ),
    ] {
        let checked = check(&home, name, &text);
        assert_eq!(checked.code, Some(1), "{text}: {}", checked.stdout);
        assert!(
            checked.stderr.contains(expected),
            "{text}: {}",
            checked.stderr
        );
    }
    // The server does not start with it either.
    let path = home.path().join("h.yml");
    let ended = run_to_end(&["serve", "--scrape", path.to_str().unwrap()], &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.stderr);
}
