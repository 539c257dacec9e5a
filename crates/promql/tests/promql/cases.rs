//! Our own query tests, in Prometheus' script language: `cases/*.test`.

use std::path::Path;

use crate::script::{self, run};

#[test]
fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql/cases");
    let mut total = 0;
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let commands = script::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = run::run(&commands);
        total += report.total;
        for failure in report.failures {
            failures.push(format!(
                "{name}:{}: {}: {}",
                failure.line, failure.query, failure.reason
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(total >= 190, "only {total} cases were found");
}
