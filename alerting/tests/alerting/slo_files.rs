//! SLO files: the rules that are made from them, and what each mistake is answered with.

use std::fmt::Write as _;
use std::time::Duration;

use alerting::rule::{Group, Kind};
use alerting::{AlertingConfig, Configuration};

use crate::rule_files::config;

fn load(text: &str) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("slos.yml");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    Configuration::load(&AlertingConfig {
        slo_files: vec![path],
        ..config()
    })
    .map_err(|errors| errors.to_string().replace(&prefix, ""))
}

fn show(groups: &[Group]) -> String {
    let mut out = String::new();
    for group in groups {
        writeln!(out, "group {} every {} ms", group.name, group.interval_ms).unwrap();
        for rule in &group.rules {
            match &rule.kind {
                Kind::Recording => writeln!(out, "record {}", rule.name).unwrap(),
                Kind::Alerting(alerting) => {
                    writeln!(out, "alert {} for {} ms", rule.name, alerting.timing.for_ms).unwrap();
                }
            }
            for line in rule.expression.text().lines() {
                writeln!(out, "  {line}").unwrap();
            }
            writeln!(
                out,
                "  labels {:?}, window {} ms",
                rule.labels, rule.window_ms
            )
            .unwrap();
            if let Kind::Alerting(alerting) = &rule.kind {
                for (name, template) in &alerting.annotations {
                    writeln!(out, "  {name}: {}", template.text()).unwrap();
                }
            }
        }
    }
    out
}

/// Compares with `golden/NAME.txt`; `UPDATE_GOLDEN=1 cargo test -p alerting slo_files` rewrites it.
fn check_golden(name: &str, slo: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/alerting/golden")
        .join(format!("{name}.txt"));
    let got = show(load(slo).unwrap().groups());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &got).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(got, expected, "{} differs", path.display());
}

const EVENTS: &str = "version: prometheus/v1
service: shop
labels: {team: web}
slos:
- name: availability
  objective: 99.9
  description: Orders work.
  sli:
    events:
      error_query: sum(rate(http_requests_total{code=~\"5..\"}[{{.window}}]))
      total_query: sum(rate(http_requests_total[{{.window}}]))
  alerting:
    name: ShopFails
    labels: {channel: shop}
    page_alert: {labels: {severity: page}}
    ticket_alert: {labels: {severity: ticket}, annotations: {summary: own}}
";

#[test]
fn an_events_slo_becomes_these_rules() {
    check_golden("events", EVENTS);
}

#[test]
fn a_latency_slo_becomes_these_rules() {
    check_golden(
        "latency",
        "version: prometheus/v1
service: shop
slos:
- name: latency
  objective: 99
  sli:
    plugin:
      id: watchkeeper/latency/v1
      options: {histogram: request_seconds, threshold: 1s, filter: 'job=\"api\"'}
  alerting:
    name: ShopSlow
    ticket_alert: {disable: true}
  plugins:
    chain:
    - id: watchkeeper/burn-rate/v1
      config: {shorten_windows_by: 60, min_bad_events: 3}
",
    );
}

#[test]
fn a_replica_lag_slo_becomes_these_rules() {
    check_golden(
        "replica_lag",
        "version: prometheus/v1
service: db
slo_plugins:
  chain:
  - id: watchkeeper/burn-rate/v1
    config:
      period: 28d
      windows: [{severity: page, long: 1h, short: 5m, factor: 10}]
slos:
- name: lag
  objective: 99
  sli:
    plugin:
      id: watchkeeper/replica-lag/v1
      options: {metric: lag_seconds, threshold: 30s, by: 'cluster, replica'}
  alerting: {name: ReplicaLags}
",
    );
}

#[test]
fn a_raw_slo_becomes_these_rules() {
    check_golden(
        "raw",
        "version: prometheus/v1
service: shop
slos:
- name: raw
  objective: 95
  sli: {raw: {error_ratio_query: 'avg_over_time(bad_ratio[{{ .window }}])'}}
  alerting: {name: Raw, ticket_alert: {disable: true}}
",
    );
}

#[test]
fn short_windows_are_evaluated_often_enough() {
    let configuration = Configuration::load(&AlertingConfig {
        evaluation_interval: Duration::from_secs(60),
        ..config()
    });
    assert!(configuration.unwrap().groups().is_empty());
    let short = EVENTS.replace(
        "slos:\n",
        "slo_plugins: {chain: [{id: watchkeeper/burn-rate/v1, config: {shorten_windows_by: 30}}]}\nslos:\n",
    );
    // The shortest window is 10 s: at least four evaluations must fall into it.
    assert_eq!(load(&short).unwrap().groups()[0].interval_ms, 2_500);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let change = |from: &str, to: &str| {
        assert!(EVENTS.contains(from), "{from}");
        EVENTS.replace(from, to)
    };
    let plugin = |config: &str| {
        change(
            "slos:\n",
            &format!(
                "slo_plugins: {{chain: [{{id: watchkeeper/burn-rate/v1, config: {config}}}]}}\nslos:\n"
            ),
        )
    };
    let cases = [
        (
            change("prometheus/v1", "prometheus/v2"),
            "slos.yml:1:10: unknown version \"prometheus/v2\"",
        ),
        (
            change("objective: 99.9", "objective: 100"),
            "slos.yml:6:14: the objective must be above 0 and below 100 percent; got 100",
        ),
        (
            change("objective: 99.9", "objective: 90"),
            "so it can never fire",
        ),
        (
            change("    name: ShopFails\n", ""),
            "alerting.name must be set",
        ),
        (
            change(
                "total_query: sum(rate(http_requests_total[{{.window}}]))",
                "total_query: sum(rate(http_requests_total[5m]))",
            ),
            "does not use {{.window}}",
        ),
        (
            change("[{{.window}}]))\n  alerting", "[{{.window}}])\n  alerting"),
            "slos.yml:11:20: parse error",
        ),
        (
            change("{{.window}}", "{{.windw}}"),
            "no entry for key \"windw\"",
        ),
        (
            change(
                "    events:\n",
                "    raw: {error_ratio_query: 'x'}\n    events:\n",
            ),
            "an SLI has exactly one of raw, events and plugin",
        ),
        (
            change("team: web", "team: web, team: x"),
            "slos.yml:3:21: duplicate mapping key",
        ),
        (
            change("  objective", "  objektive"),
            "unknown field `objektive`",
        ),
        (
            change("summary: own", "summary: '{{ nope }}'"),
            "function \"nope\" not defined",
        ),
        (
            plugin("{windows: [{severity: page, long: 5m, short: 5m, factor: 2}]}"),
            "the short window must be shorter",
        ),
        (
            plugin("{shorten_windows_by: 0.5}"),
            "shorten_windows_by must be at least 1; got 0.5",
        ),
        (
            plugin("{evaluation_interval: 2m}"),
            "evaluation_interval must be at most a quarter of the shortest window (75000 ms)",
        ),
        (plugin("{perod: 1d}"), "unknown field `perod`"),
    ];
    for (text, expected) in cases {
        let message = load(&text).expect_err(expected);
        assert!(message.contains(expected), "{expected}\n{message}");
    }
}

#[test]
fn errors_that_cannot_be_counted_are_a_warning() {
    let text = EVENTS.replace(
        "sum(rate(http_requests_total{code=~\"5..\"}[{{.window}}]))",
        "sum(errors_per_second offset {{.window}})",
    );
    let configuration = load(&text).unwrap();
    let warnings = configuration.warnings();
    assert!(
        warnings[0]
            .message
            .contains("neither rate() nor increase()")
    );
}
