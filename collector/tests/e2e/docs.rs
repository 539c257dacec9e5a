//! The `curl` examples of the documentation, as a reader pastes them, against the real binary.
//!
//! The examples of one page run one after the other in one shell, so that variables live on. Every
//! `curl` must end with a status of success, and an answer that the page shows as JSON after an
//! example must have been given with the same keys and types. What differs from the reader's shell:
//! the server is already there, on other ports, and `/tmp` is a directory of the test's own.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Method;
use serde_json::Value;

use crate::otlp::{self, logs, now, record};
use crate::server::{Addresses, Process, Server, answer};

/// One fenced block of shell, and the answer that the page shows for its last command.
#[derive(Debug)]
struct Example {
    shell: String,
    shown: Option<Value>,
}

/// The blocks of a page that call curl.
fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    // Whether the last block was an example, so that the next may be its answer.
    let mut open = false;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        match language {
            "sh" | "console" if block.contains("curl") => {
                open = true;
                let (shell, shown) = (block, None);
                found.push(Example { shell, shown });
            }
            "json" if open => {
                let shown = serde_json::from_str(&block);
                let shown = shown.unwrap_or_else(|err| panic!("{err} in {block}"));
                found.last_mut().unwrap().shown = Some(shown);
                open = false;
            }
            _ => open = false,
        }
    }
    found
}

/// Where a program lies; `None`, and a word about it, when it is not installed.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|directory| directory.join(name));
    let found = files.find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: there is no {name}; .ci/run installs it");
    }
    found
}

fn executable(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
}

/// The page's examples as one script whose n-th block prints to `<n>` in `directory`.
fn script(examples: &[Example], addresses: &Addresses, directory: &Path) -> String {
    let mut script = String::from("set -euo pipefail\n");
    for (number, example) in examples.iter().enumerate() {
        let out = directory.join(number.to_string());
        let shell = example
            .shell
            .replace("127.0.0.1:8770", &addresses.http)
            .replace("127.0.0.1:4318", &addresses.otlp_http)
            .replace("/tmp/", &format!("{}/", directory.display()));
        script.push_str(&format!("exec >'{}'\n{shell}\n", out.display()));
    }
    script
}

/// What each block printed; all of them must succeed.
async fn run(server: &Process, page: &str, examples: &[Example]) -> Option<Vec<String>> {
    let (curl, timeout) = (program("curl")?, program("timeout")?);
    let directory = tempfile::tempdir().unwrap();
    let programs = directory.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    let curl = format!(
        "exec '{}' --fail-with-body --max-time 60 \"$@\"",
        curl.display()
    );
    executable(&programs, "curl", &curl);
    // An example that lasts until it is cut off has succeeded when it is.
    let timeout = format!("'{}' \"$@\" || [ $? -eq 124 ]", timeout.display());
    executable(&programs, "timeout", &timeout);
    // The server is there already.
    executable(&programs, "watchkeeper", "exit 0");
    let script = script(examples, &server.addresses, directory.path());
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(directory.path())
        .env("PATH", format!("{}:{path}", programs.display()));
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let printed: Vec<String> = (0..examples.len())
        .map_while(|number| std::fs::read_to_string(directory.path().join(number.to_string())).ok())
        .collect();
    if !output.status.success() {
        let failed = printed.len().saturating_sub(1);
        panic!(
            "{page}: {} of\n{}\n{}{}",
            output.status,
            examples[failed].shell,
            printed.last().map_or("", String::as_str),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Some(printed)
}

/// The JSON values that a block printed; none when it printed anything else.
fn answers(printed: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(printed).into_iter::<Value>();
    values.collect::<Result<_, _>>().unwrap_or_default()
}

/// Where `given` lacks what `shown` has, or has it with another type. The first element of a list
/// stands for all.
fn difference(shown: &Value, given: &Value, place: &str) -> Option<String> {
    match (shown, given) {
        (Value::Object(shown), Value::Object(given)) => shown.iter().find_map(|(key, shown)| {
            let place = format!("{place}.{key}");
            match given.get(key) {
                Some(given) => difference(shown, given, &place),
                None => Some(format!("{place} is missing")),
            }
        }),
        (Value::Array(shown), Value::Array(given)) => match (shown.first(), given.first()) {
            (Some(shown), Some(given)) => difference(shown, given, &format!("{place}[0]")),
            (Some(_), None) => Some(format!("{place} is empty")),
            (None, _) => None,
        },
        (Value::Null, _) | (_, Value::Null) => None,
        _ => {
            let is_alike = std::mem::discriminant(shown) == std::mem::discriminant(given);
            (!is_alike).then(|| format!("{place} is {given}, and shown as {shown}"))
        }
    }
}

/// Runs a page's examples and compares the answers that it shows.
async fn check(server: &Process, page: &str, text: &str) -> Option<()> {
    let examples = examples(text);
    assert!(!examples.is_empty(), "{page} has no example");
    let printed = run(server, page, &examples).await?;
    for (example, printed) in examples.iter().zip(&printed) {
        let answers = answers(printed);
        for answer in &answers {
            let failed = !answer["error"].is_null() || answer["errors"] == true;
            assert!(!failed, "{page}: {}\n{printed}", example.shell);
        }
        if let Some(shown) = &example.shown {
            let given = answers.last().unwrap_or(&Value::Null);
            assert!(given.is_object(), "{page}: {}\n{printed}", example.shell);
            let difference = difference(shown, given, "answer");
            assert_eq!(difference, None, "{page}: {}\n{printed}", example.shell);
        }
    }
    Some(())
}

/// A server that has sealed a record of the service `shop` that states its level.
async fn with_a_record() -> Server {
    let server = Server::start().await;
    let mut sent = record(now(), "[ERROR] payment refused", &[]);
    sent.severity_number = 0;
    sent.severity_text = String::new();
    let request = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&logs("shop", vec![sent])));
    assert_eq!(answer(request).await.status, 200);
    let flushed = answer(server.request(Method::POST, "/-/flush")).await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
    server
}

#[tokio::test]
async fn the_examples_of_the_inputs_run_and_are_found_as_the_page_says() {
    let server = Server::start().await;
    let text = include_str!("../../../docs/inputs.md");
    if check(&server, "inputs.md", text).await.is_none() {
        return;
    }
    for query in [
        "service:shop user:u1 refused",
        "service:shop host.name:web-1 severity:error",
    ] {
        assert_eq!(server.search(query).await.len(), 1, "{query}");
    }
}

#[tokio::test]
async fn the_examples_of_the_logs_api_run() {
    let server = Server::start().await;
    let text = include_str!("../../../docs/logs-api.md");
    if check(&server, "logs-api.md", text).await.is_some() {
        assert_eq!(server.search("service:shop GET").await.len(), 60);
    }
}

#[tokio::test]
async fn the_examples_of_storage_and_logql_run() {
    let server = with_a_record().await;
    for (page, text) in [
        ("storage.md", include_str!("../../../docs/storage.md")),
        ("logql.md", include_str!("../../../docs/logql.md")),
    ] {
        if check(&server, page, text).await.is_none() {
            return;
        }
    }
}

#[tokio::test]
async fn the_examples_of_the_prometheus_api_run() {
    let server = Server::start().await;
    let text = include_str!("../../../docs/prometheus-api.md");
    check(&server, "prometheus-api.md", text).await;
}

#[test]
fn an_answer_must_have_what_the_page_shows() {
    let shown = serde_json::json!({"a": [{"b": "x", "c": null}], "d": 1});
    let cases = [
        (r#"{"a":[{"b":"y","c":2,"more":0}],"d":7}"#, None),
        (
            r#"{"a":[{"b":"y"}],"d":7}"#,
            Some("answer.a[0].c is missing"),
        ),
        (r#"{"a":[],"d":7}"#, Some("answer.a is empty")),
        (
            r#"{"a":[{"b":"y","c":2}],"d":"7"}"#,
            Some("answer.d is \"7\", and shown as 1"),
        ),
    ];
    for (given, expected) in cases {
        let given = serde_json::from_str(given).unwrap();
        assert_eq!(difference(&shown, &given, "answer").as_deref(), expected);
    }
    let page =
        "```sh\nls\n```\n```json\n{}\n```\n```sh\ncurl x\n```\ntext\n```json\n{\"a\":1}\n```\n";
    let found = examples(page);
    assert_eq!((found.len(), found[0].shell.as_str()), (1, "curl x"));
    assert_eq!(found[0].shown, Some(serde_json::json!({"a": 1})));
}
