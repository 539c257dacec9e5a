//! Rule files: what is accepted, and what each mistake is answered with.

use std::path::Path;
use std::time::Duration;

use alerting::rule::Kind;
use alerting::{AlertingConfig, ConfigErrors, Configuration};
use model::Labels;

use crate::conformance;

pub(crate) fn config() -> AlertingConfig {
    AlertingConfig {
        rule_files: Vec::new(),
        slo_files: Vec::new(),
        notification_file: None,
        external_url: "http://watch.example".to_owned(),
        external_labels: Labels::empty(),
        evaluation_interval: Duration::from_secs(60),
    }
}

fn load_path(path: &Path) -> Result<Configuration, ConfigErrors> {
    Configuration::load(&AlertingConfig {
        rule_files: vec![path.to_owned()],
        ..config()
    })
}

fn load(text: &str) -> Result<Configuration, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    load_path(&path).map_err(|errors| errors.to_string().replace(&prefix, ""))
}

#[test]
fn a_group_is_read_with_all_its_fields() {
    let configuration = load(
        "groups:\n- name: g\n  interval: 30s\n  query_offset: 5s\n  limit: 7\n  labels: {team: web, env: x}\n  rules:\n  - record: job:up:sum\n    expr: sum by (job) (up)\n  - alert: Down\n    expr: |\n      job:up:sum == 0\n    for: 1m\n    keep_firing_for: 2m\n    labels: {env: prod}\n    annotations: {summary: '{{ $labels.job }} is down'}\n  - alert: Errors\n    expr: rate(errors_total[10m]) > 1 and avg_over_time(job:up:sum[1h] offset 5m) < 1\n---\nignored: true\n",
    )
    .unwrap();
    let [group] = configuration.groups() else {
        panic!("one group");
    };
    assert_eq!(
        (group.interval_ms, group.query_offset_ms, group.limit),
        (30_000, 5_000, 7)
    );
    let down = &group.rules[1];
    assert_eq!(down.expression.text(), "job:up:sum == 0");
    assert_eq!(down.labels["team"], "web");
    assert_eq!(down.labels["env"], "prod", "the rule's label wins");
    let Kind::Alerting(alerting) = &down.kind else {
        panic!("an alerting rule");
    };
    assert_eq!(
        (alerting.timing.for_ms, alerting.timing.keep_firing_for_ms),
        (60_000, 120_000)
    );
    assert_eq!(group.rules[2].window_ms, 65 * 60_000);
    assert_eq!(configuration.warnings().len(), 1, "the second document");
}

#[test]
fn a_window_reaches_through_recording_rules() {
    let configuration = load(
        "groups:\n- name: g\n  rules:\n  - {record: a, expr: 'rate(x_total[5m])'}\n  - {record: b, expr: 'avg_over_time(a[1h])'}\n  - {alert: C, expr: 'b > 1'}\n",
    )
    .unwrap();
    assert_eq!(configuration.groups()[0].rules[2].window_ms, 65 * 60_000);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let rule = |body: &str| format!("groups:\n- name: g\n  rules:\n  - {body}\n");
    let cases = [
        (
            rule("{alert: A, expr: up, fro: 1m}"),
            "rules.yml:4:26: unknown field `fro`",
        ),
        (
            "groups:\n- name: g\n- name: g\n".to_owned(),
            "rules.yml:3:9: the group name \"g\" is repeated",
        ),
        (
            rule("{alert: A, record: b, expr: up}"),
            "rules.yml:4:5: a rule has either \"record\" or \"alert\"",
        ),
        (
            rule("{expr: up}"),
            "rules.yml:4:5: a rule needs \"record\" or \"alert\"",
        ),
        (
            rule("{alert: A}"),
            "rules.yml:4:5: rule \"A\": field \"expr\" must be set",
        ),
        (
            rule("{alert: A, expr: 'up +'}"),
            "rules.yml:4:27: rule \"A\": parse error",
        ),
        (
            rule("{alert: A, expr: 'up[5m]'}"),
            "a rule needs a scalar or an instant vector, got a range vector",
        ),
        (
            rule("{record: a, expr: up, for: 5m}"),
            "rules.yml:4:32: rule \"a\": a recording rule has no \"for\"",
        ),
        (
            rule("{record: a, expr: up, annotations: {x: y}}"),
            "a recording rule has no \"annotations\"",
        ),
        (rule("{record: 'a{b=\"c\"}', expr: up}"), "has no braces"),
        (
            rule("{alert: A, expr: up, for: 5x}"),
            "rules.yml:4:31: cannot read \"5x\" as a duration",
        ),
        (
            rule("{alert: A, expr: up, labels: {__name__: x}}"),
            "\"__name__\" is no name for a label",
        ),
        (
            rule("{alert: A, expr: up, annotations: {s: '{{ $label.x }}'}}"),
            "undefined variable \"$label\"",
        ),
        ("groups: {".to_owned(), "rules.yml:1:9"),
        (
            "groups:\n- name: g\n  limit: many\n".to_owned(),
            "rules.yml:3:10",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: |\n      up\n        == ]\n"
                .to_owned(),
            "rules.yml:7:12",
        ),
    ];
    for (text, expected) in cases {
        let message = load(&text).expect_err(&text);
        assert!(message.contains(expected), "{text}\n{message}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let message = load("groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'up +'}\n  - {record: b, expr: up, for: 1m}\n")
        .unwrap_err();
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn promtool_verdicts_hold() {
    let Some(folder) = conformance::folder("promtool check rules") else {
        return;
    };
    let folder = folder.join("promtool/cmd/promtool/testdata");
    let cases = [
        ("rules.yml", true),
        ("rules-bad.yml", false),
        ("rules_duplicates.yml", true),
        ("prometheus-rules.lint.yml", true),
        ("rules_extrafields.yml", false),
        ("at-modifier.yml", true),
        ("bad-rules-error.yml", true),
        ("bad-rules-syntax.yml", false),
        ("negative-offset.yml", true),
    ];
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|(file, good)| {
            let outcome = load_path(&folder.join(file));
            (outcome.is_ok() != *good).then(|| {
                format!(
                    "{file}: {:?}",
                    outcome.map(|_| ()).map_err(|e| e.to_string())
                )
            })
        })
        .collect();
    conformance::report("promtool check rules", &failures, cases.len(), cases.len());
}
