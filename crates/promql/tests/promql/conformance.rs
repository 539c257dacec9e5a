//! Prometheus' own query tests, which are not part of this repository.

use std::path::Path;

use crate::script::{self, run};

/// The folder that holds `promqltest/*.test`.
const VARIABLE: &str = "WATCHKEEPER_CONFORMANCE";

/// How many queries of each file pass at least. These only ever go up.
const FLOORS: &[(&str, usize)] = &[
    ("aggregators.test", 154),
    ("functions.test", 408),
    ("literals.test", 25),
    ("native_histograms.test", 68),
    ("selectors.test", 31),
    ("staleness.test", 17),
    ("trig_functions.test", 19),
];

#[test]
fn prometheus_own_tests_pass_at_least_as_far_as_before() {
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
    let mut below = Vec::new();
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
        let floor = FLOORS.iter().find(|(file, _)| *file == name);
        if floor.is_some_and(|(_, floor)| report.passed() < *floor) {
            below.push(name);
        }
    }
    assert!(
        below.is_empty(),
        "fewer queries pass than before in {below:?}"
    );
}
