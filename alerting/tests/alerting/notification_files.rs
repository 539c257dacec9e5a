//! Notification configs: what is accepted, and what each mistake is answered with.

use alerting::{AlertingConfig, Configuration};

use crate::conformance;
use crate::rule_files::config;

fn load(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.yml");
    std::fs::write(&path, text).unwrap();
    let prefix = format!("{}/", folder.path().display());
    Configuration::load(&AlertingConfig {
        notification_file: Some(path),
        ..config()
    })
    .map(drop)
    .map_err(|errors| errors.to_string().replace(&prefix, ""))
}

const MAIL: &str = "receivers:\n- name: a\n  email_configs:\n  - {to: 'a@example.org', from: 'w@example.org', smarthost: 'mail:587'}\n";

#[test]
fn a_tree_of_routes_is_accepted() {
    let text = format!(
        "route:\n  receiver: a\n  group_by: [alertname]\n  routes:\n  - matchers: ['severity=~\"page|ticket\"']\n    group_wait: 0s\n    continue: true\n  - match: {{team: web}}\n    group_by: ['...']\n{MAIL}"
    );
    assert_eq!(load(&text), Ok(()));
}

#[test]
fn mistakes_are_named_with_their_place() {
    let route = |body: &str| format!("route:\n  receiver: a\n{body}{MAIL}");
    let cases = [
        (MAIL.to_owned(), "no route provided"),
        (
            format!("route: {{}}\n{MAIL}"),
            "root route must specify a default receiver",
        ),
        (
            route("  continue: true\n"),
            "notify.yml:3:13: cannot have continue in root route",
        ),
        (
            route("  matchers: [a=b]\n"),
            "root route must not have any matchers",
        ),
        (
            route("  routes:\n  - receiver: nobody\n"),
            "notify.yml:4:15: undefined receiver \"nobody\" used in route; defined: a",
        ),
        (
            route("  group_by: [x, '...']\n"),
            "cannot have wildcard group_by",
        ),
        (
            route("  group_by: [x, x]\n"),
            "duplicated label \"x\" in group_by",
        ),
        (
            route("  group_interval: 0s\n"),
            "group_interval cannot be zero",
        ),
        (
            route("  routes:\n  - matchers: ['a']\n"),
            "notify.yml:4:16: \"a\" is no matcher",
        ),
        (
            route("  routes:\n  - match_re: {a: '('}\n"),
            "invalid regular expression",
        ),
        (
            route("  mute_time_intervals: [x]\n"),
            "unknown field `mute_time_intervals`",
        ),
        (
            route("inhibit_rules: []\n"),
            "unknown field `inhibit_rules`",
        ),
        (
            format!("{}- name: a\n", route("")),
            "the receiver name \"a\" is not unique",
        ),
        (
            format!("{}- name: b\n  slack_configs: []\n", route("")),
            "unknown field `slack_configs`",
        ),
        (
            format!("{}- name: b\n  email_configs: [{{to: x}}]\n", route("")),
            "\"x\" is no list of mail addresses",
        ),
        (
            format!(
                "{}- name: b\n  email_configs: [{{to: a@b.c, from: a@b.c}}]\n",
                route("")
            ),
            "no mail server set",
        ),
        (
            format!(
                "{}- name: b\n  webhook_configs: [{{url: 'ftp://x'}}]\n",
                route("")
            ),
            "must be http:// or https://",
        ),
        (
            format!(
                "{}- name: b\n  webhook_configs: [{{url: 'http://x', url_file: f}}]\n",
                route("")
            ),
            "at most one of url & url_file",
        ),
    ];
    for (text, expected) in cases {
        let message = load(&text).expect_err(&text);
        assert!(message.contains(expected), "{text}\n{message}");
    }
}

#[test]
fn configurations_alertmanager_refuses_are_refused() {
    let Some(folder) = conformance::folder("Alertmanager configurations") else {
        return;
    };
    let text =
        std::fs::read_to_string(folder.join("alertmanager/config_expectations.json")).unwrap();
    let expectations: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut failures = Vec::new();
    let mut total = 0;
    let mut accepted = 0;
    let files = expectations["files"].as_object().unwrap().iter();
    let inline = expectations["inline"].as_array().unwrap().iter();
    let texts = files
        .map(|(file, verdict)| {
            let path = folder.join("alertmanager/configs").join(file);
            (
                file.clone(),
                std::fs::read_to_string(path).unwrap(),
                verdict,
            )
        })
        .chain(inline.map(|case| {
            let name = case["test"].as_str().unwrap().to_owned();
            (name, case["yaml"].as_str().unwrap().to_owned(), case)
        }));
    for (name, text, verdict) in texts {
        let outcome = load(&text);
        if verdict["valid"] == true {
            // Valid ones are accepted as far as their integrations are built.
            accepted += usize::from(outcome.is_ok());
            continue;
        }
        total += 1;
        if outcome.is_ok() {
            failures.push(format!("{name}: accepted, {}", verdict["error"]));
        }
    }
    eprintln!("Alertmanager configurations: {accepted} of the valid ones accepted");
    conformance::report(
        "Alertmanager configurations refused",
        &failures,
        total,
        // One file is refused only by Alertmanager's classic mode: "-invalid-" is a label name now.
        total - 1,
    );
}
