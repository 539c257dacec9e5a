//! A rule about documentation: `docs/own-metrics.md` has every metric that the server shows, and no
//! others.
//!
//! The sources are read as text, so a metric's name must stand where it is counted, as a literal or
//! as a constant. A name that is put together fails the check, since nobody would find it by
//! searching for it either.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};

/// Where the metrics are described to operators.
const PAGE: &str = "docs/own-metrics.md";

/// What the server is made of.
const SOURCES: &[&str] = &[
    "alerting/src",
    "collector/src",
    "crates/promql/src",
    "crates/query/src",
    "crates/store/src",
    "crates/wire/src",
];

/// The macros that count, and with `describe_` before them describe.
const KINDS: &[&str] = &["counter", "gauge", "histogram"];

/// What names begin with: our own, and those that are called as in Prometheus and Alertmanager.
const PREFIXES: &[&str] = &["watchkeeper_", "prometheus_", "alertmanager_"];

/// What the names of a histogram's series end with.
const HISTOGRAM_SUFFIXES: &[&str] = &["_bucket", "_sum", "_count"];

/// Where a file's tests begin; nothing comes after them.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

/// A file of the server: its path and its code.
struct Source {
    path: String,
    code: String,
}

/// What the code does with metrics.
#[derive(Debug, Default)]
struct Metrics<'a> {
    /// Kinds of the metrics that are counted, by name.
    counted: BTreeMap<&'a str, &'static str>,
    described: BTreeSet<&'a str>,
    /// Calls whose name cannot be read, each a sentence.
    unreadable: Vec<String>,
}

/// Compares the page in `root` with the code.
///
/// # Errors
///
/// Every metric that only one of them has, in one message.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let mut sources = Vec::new();
    for folder in SOURCES {
        read_sources(root, &root.join(folder), &mut sources)?;
    }
    sources.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let page = std::fs::read_to_string(root.join(PAGE)).with_context(|| format!("read {PAGE}"))?;
    let broken = broken_rules(&sources, &page);
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "{PAGE} and the metrics of the server differ:\n  {}",
        broken.join("\n  ")
    )
}

/// Adds the files below `folder`, those of tests left out.
fn read_sources(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> anyhow::Result<()> {
    let reading = || format!("read {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            read_sources(root, &path, sources)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("read {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path);
            sources.push(Source {
                path: path.display().to_string(),
                code: code_of(&text),
            });
        }
    }
    Ok(())
}

/// A file's text without its tests and comments.
fn code_of(text: &str) -> String {
    let end = text.find(TESTS).unwrap_or(text.len());
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let lines: Vec<&str> = text[..end].lines().filter(is_code).collect();
    lines.join("\n")
}

fn broken_rules(sources: &[Source], page: &str) -> Vec<String> {
    let Metrics {
        counted,
        described,
        unreadable,
    } = metrics_of(sources);
    let mut broken = unreadable;
    for (name, kind) in &counted {
        if !page.contains(&format!("`{name}`")) {
            broken.push(format!("the {kind} {name} is not on the page"));
        }
    }
    for name in described {
        if !counted.contains_key(name) {
            broken.push(format!("{name} is described, but nothing counts it"));
        }
    }
    for name in names_on(page) {
        let histogram = HISTOGRAM_SUFFIXES
            .iter()
            .find_map(|suffix| name.strip_suffix(*suffix));
        let is_of_histogram =
            histogram.is_some_and(|name| counted.get(name).copied() == Some("histogram"));
        if !counted.contains_key(name) && !is_of_histogram {
            broken.push(format!("{name} is on the page, but nothing counts it"));
        }
    }
    broken
}

/// Every metric that `sources` count or describe.
fn metrics_of(sources: &[Source]) -> Metrics<'_> {
    let mut constants = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (name, value) in sources.iter().flat_map(|source| constants_of(&source.code)) {
        constants.entry(name).or_default().insert(value);
    }
    let mut metrics = Metrics::default();
    for source in sources {
        for call in calls_of(&source.code) {
            let Some(name) = name_of(call.argument, &constants) else {
                metrics.unreadable.push(format!(
                    "{}: {}!({} …) names its metric neither by a literal nor by a constant of one value",
                    source.path, call.kind, call.argument
                ));
                continue;
            };
            if call.describes {
                metrics.described.insert(name);
            } else {
                metrics.counted.insert(name, call.kind);
            }
        }
    }
    metrics
}

/// The constants of `code` that are text: name and value.
fn constants_of(code: &str) -> Vec<(&str, &str)> {
    let items = code.split("const ").skip(1);
    let text = items.filter_map(|item| {
        let (name, rest) = item.split_once(": &str =")?;
        let value = rest.trim_start().strip_prefix('"')?;
        let (value, _) = value.split_once('"')?;
        name.chars().all(is_word).then_some((name, value))
    });
    text.collect()
}

/// A metric's macro where it is called.
struct Call<'a> {
    kind: &'static str,
    describes: bool,
    /// What stands for the metric's name, as written.
    argument: &'a str,
}

fn calls_of(code: &str) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    for &kind in KINDS {
        for (at, begun) in code.match_indices(&format!("{kind}!(")) {
            let (before, rest) = (&code[..at], &code[at + begun.len()..]);
            let describes = before.ends_with("describe_");
            if !describes && before.ends_with(is_word) {
                // A macro of another name.
                continue;
            }
            let argument = rest.split([',', ')']).next().unwrap_or_default();
            calls.push(Call {
                kind,
                describes,
                argument: argument.trim(),
            });
        }
    }
    calls
}

/// The name that a call's first argument stands for.
fn name_of<'a>(
    argument: &'a str,
    constants: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<&'a str> {
    if let Some(literal) = argument.strip_prefix('"') {
        return literal.strip_suffix('"');
    }
    let constant = argument.rsplit("::").next()?;
    let values = constants.get(constant)?;
    values.first().copied().filter(|_| values.len() == 1)
}

/// The words of `page` that are names of metrics.
fn names_on(page: &str) -> BTreeSet<&str> {
    let is_name = |word: &&str| {
        let begins = |prefix: &&str| word.len() > prefix.len() && word.starts_with(*prefix);
        PREFIXES.iter().any(begins)
    };
    page.split(|letter: char| !is_word(letter))
        .filter(is_name)
        .collect()
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::{Source, broken_rules, code_of, metrics_of};

    /// Every form in which the server counts, and what looks like one.
    const CODE: &str = r#"
pub(crate) const SCRAPES: &str = "watchkeeper_scrapes_total";
const LONG: &str =
    "watchkeeper_tails";
const OTHER: u64 = 1;

fn work() {
    describe_counter!(SCRAPES, "Scrapes");
    metrics::counter!(self_metrics::SCRAPES, "outcome" => "ok").increment(1);
    gauge!(LONG).set(1.0);
    metrics::histogram!(
        "watchkeeper_seal_seconds", "signal" => signal
    )
    .record(1.0);
    // metrics::counter!("watchkeeper_commented_total").increment(1);
    my_counter!("watchkeeper_of_another_macro");
}

#[cfg(test)]
mod tests {
    fn test() {
        metrics::counter!("watchkeeper_tested_total").increment(1);
    }
}
"#;

    const PAGE: &str = "Names begin with `watchkeeper_`.\n\n\
        | `watchkeeper_scrapes_total` | counter |\n\
        | `watchkeeper_seal_seconds` | histogram |\n\
        | `watchkeeper_tails` | gauge |\n\n\
        `rate(watchkeeper_seal_seconds_count[5m]) > 0 and up{job=\"watchkeeper\"}`\n";

    fn sources(text: &str) -> Vec<Source> {
        vec![Source {
            path: "collector/src/a.rs".to_owned(),
            code: code_of(text),
        }]
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        let sources = sources(CODE);
        let found = metrics_of(&sources);
        let counted: Vec<_> = found.counted.into_iter().collect();
        let expected = [
            ("watchkeeper_scrapes_total", "counter"),
            ("watchkeeper_seal_seconds", "histogram"),
            ("watchkeeper_tails", "gauge"),
        ];
        assert_eq!(counted, expected);
        let described: Vec<_> = found.described.into_iter().collect();
        assert_eq!(described, ["watchkeeper_scrapes_total"]);
        assert!(found.unreadable.is_empty(), "{:?}", found.unreadable);
        assert!(broken_rules(&sources, PAGE).is_empty());
    }

    #[test]
    fn each_rule_can_be_broken() {
        let unknown = "fn work() { counter!(name(1)).increment(1); }";
        let unlisted = "fn work() { counter!(\"watchkeeper_new_total\").increment(1); }";
        let described = "fn start() { describe_gauge!(\"watchkeeper_gone\", \"Gone\"); }";
        for (code, page, expected) in [
            (unknown, "", "collector/src/a.rs: counter!(name(1 …)"),
            (unlisted, "", "the counter watchkeeper_new_total is not"),
            // Not in backticks of its own.
            (
                unlisted,
                "`watchkeeper_new_total > 0`",
                "the counter watchkeeper_new_total is not",
            ),
            (described, "", "watchkeeper_gone is described"),
            ("", "`prometheus_old_total`", "prometheus_old_total is on"),
            // Only histograms have such series.
            (
                unlisted,
                "`watchkeeper_new_total`, watchkeeper_new_total_sum",
                "watchkeeper_new_total_sum is on",
            ),
        ] {
            let broken = broken_rules(&sources(code), page);
            assert!(
                broken.len() == 1 && broken[0].starts_with(expected),
                "{code}: {broken:?}"
            );
        }
    }
}
