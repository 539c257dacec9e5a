//! Rules about other people's code, cheap enough for every run.
//!
//! One TLS stack, one copy of the large libraries, and crates.io as the only source, by
//! `Cargo.lock`; and the same features whether tests are built or not, as cargo resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::workspace;

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

/// Checks `Cargo.lock` in `root`, and the features that cargo resolves.
///
/// # Errors
///
/// Every rule that is broken, in one message.
pub async fn check(root: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).context("read Cargo.lock")?;
    let mut broken = broken_rules(&lock);
    let programs = resolved(root, "normal,build").await?;
    let tests = resolved(root, "normal,build,dev").await?;
    broken.extend(built_twice(&programs, &tests));
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "the rules of crates/xtask/src/dependencies.rs are broken:\n  {}",
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

/// Each crate with the features that cargo turns on for dependencies of the kinds `edges`.
async fn resolved(root: &Path, edges: &str) -> anyhow::Result<String> {
    let mut tree = workspace::cargo(root);
    tree.args(["tree", "--workspace", "--locked", "--prefix", "none"]);
    tree.args(["--edges", edges, "--format", "{p} [{f}]"]);
    let output = tree.output().await.context("start cargo tree")?;
    if !output.status.success() {
        bail!(
            "cargo tree failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).context("read cargo tree's answer")
}

/// Crates that programs are built of with features that tests do not have: each is compiled once
/// for `cargo build` and once more for `cargo test`, with all that depends on it.
fn built_twice(programs: &str, tests: &str) -> Vec<String> {
    // A crate that was listed before ends in `(*)`.
    let crates = |tree| -> BTreeSet<_> {
        let lines = str::lines(tree).map(|line| line.trim_end_matches(" (*)"));
        lines.filter(|line| !line.is_empty()).collect()
    };
    let tests = crates(tests);
    let differing = crates(programs)
        .into_iter()
        .filter(|line| !tests.contains(line));
    differing
        .map(|line| {
            format!("{line} has other features in tests: a dev-dependency turns one on; name it for both")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{broken_rules, built_twice};

    #[test]
    fn features_of_tests_alone_are_found() {
        let programs = "own v0.1.0 (/own) []\nbytes v1.0.0 [std]\nserde v1.0.0 [derive] (*)\n";
        let tests = "serde v1.0.0 [derive,rc]\nown v0.1.0 (/own) []\nbytes v1.0.0 [std] (*)\n";
        assert!(built_twice(programs, programs).is_empty());
        let found = built_twice(programs, tests);
        assert!(
            found.len() == 1 && found[0].starts_with("serde v1.0.0 [derive] "),
            "{found:?}"
        );
    }

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
