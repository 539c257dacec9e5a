//! Prometheus' own query tests, which are not part of this repository.

use std::path::Path;

use crate::script::{self, run};

/// The folder that holds `promqltest/*.test`.
const VARIABLE: &str = "WATCHKEEPER_CONFORMANCE";

#[test]
fn prometheus_own_tests_pass() {
    let Ok(folder) = std::env::var(VARIABLE) else {
        println!("skipped: {VARIABLE} is not set");
        return;
    };
    let folder = Path::new(&folder).join("promqltest");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "test")
        })
        .collect();
    files.sort();
    let mut incomplete = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let commands = script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = run::run(&commands);
        println!("{name}: {}/{} pass", report.passed(), report.total);
        for failure in &report.failures {
            println!(
                "  {name}:{}: {}: {}",
                failure.line, failure.query, failure.reason
            );
        }
        if !report.failures.is_empty() {
            incomplete.push(name);
        }
    }
    assert!(incomplete.is_empty(), "queries fail in {incomplete:?}");
}
