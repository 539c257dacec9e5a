//! Rules about other people's code, checked against `Cargo.lock`: cheap enough for every run.
//!
//! One TLS stack, one copy of the large libraries, and crates.io as the only source.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

/// Crates that must not be in the tree, each with the reason.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls with ring"),
    ("native-tls", "TLS is rustls with ring"),
    (
        "aws-lc-sys",
        "TLS is rustls with ring; a second provider costs minutes of C",
    ),
];

/// Crates that may be there once only: a second version doubles minutes of building.
const SINGLE: &[&str] = &[
    "arrow",
    "axum",
    "datafusion",
    "hyper",
    "object_store",
    "opentelemetry",
    "parquet",
    "prost",
    "reqwest",
    "rustls",
    "serde",
    "sqlx",
    "tantivy",
    "tokio",
    "tonic",
];

const SOURCE: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks `Cargo.lock` in `root`.
///
/// # Errors
///
/// Every rule that is broken, in one message.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("read Cargo.lock")?;
    let broken = broken_rules(&lock);
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "Cargo.lock breaks the rules of crates/xtask/src/dependencies.rs:\n  {}",
        broken.join("\n  ")
    )
}

fn broken_rules(lock: &str) -> Vec<String> {
    let mut versions = BTreeMap::<&str, Vec<&str>>::new();
    let mut broken = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            package.lines().find_map(|line| {
                line.strip_prefix(name)?
                    .strip_prefix(" = \"")?
                    .strip_suffix('"')
            })
        };
        let (Some(name), Some(version)) = (field("name"), field("version")) else {
            continue;
        };
        versions.entry(name).or_default().push(version);
        if let Some(source) = field("source").filter(|source| *source != SOURCE) {
            broken.push(format!(
                "{name} {version} comes from {source}, not from crates.io"
            ));
        }
    }
    for (name, reason) in BANNED {
        if versions.contains_key(name) {
            broken.push(format!(
                "{name} is in the tree: {reason}; see `cargo tree -i {name}`"
            ));
        }
    }
    for name in SINGLE {
        if let Some(several) = versions.get(name).filter(|versions| versions.len() > 1) {
            broken.push(format!(
                "{name} is there {} times: {}",
                several.len(),
                several.join(", ")
            ));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::broken_rules;

    fn package(name: &str, version: &str, source: &str) -> String {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{source}\"\n\n"
        )
    }

    #[test]
    fn each_rule_can_be_broken() {
        let own = "[[package]]\nname = \"store\"\nversion = \"0.1.0\"\n\n";
        let good = package("tokio", "1.0.0", super::SOURCE);
        assert!(broken_rules(&format!("{own}{good}")).is_empty());
        for (bad, expected) in [
            (
                package("openssl-sys", "0.9.0", super::SOURCE),
                "openssl-sys is in the tree",
            ),
            (
                package("tokio", "2.0.0", super::SOURCE),
                "tokio is there 2 times: 1.0.0, 2.0.0",
            ),
            (
                package("left-pad", "1.0.0", "git+https://example.org"),
                "not from crates.io",
            ),
        ] {
            let broken = broken_rules(&format!("{own}{good}{bad}"));
            assert!(
                broken.len() == 1 && broken[0].contains(expected),
                "{broken:?}"
            );
        }
    }
}
