//! `cargo xtask gate`: what ingest costs in figures that no clock decides, held against limits.
//!
//! Instructions are counted by callgrind over the development build of the example `ingest_logs`,
//! bytes by what it prints. Both are the same in every run of the same code, so that a limit can be
//! tight. A change that pays less lowers the limits in the same commit; one that pays more says why.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::process::Command;

use crate::prerequisite::Prerequisite;
use crate::workspace;

/// Where the limits are kept.
const LIMITS: &str = "docs/benchmarks/ingest-limits.json";
const EXAMPLE: &str = "ingest_logs";
/// The function whose instructions are counted, callees included.
const MEASURED: &str = "*ingest_once*";

/// What a record may cost at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    instructions_per_record: f64,
    split_bytes_per_record: f64,
}

/// What the example prints.
#[derive(Debug, Deserialize)]
struct Ingested {
    records: u64,
    split_bytes_per_record: f64,
}

/// Counts, prints and compares.
///
/// # Errors
///
/// A count is above its limit, or cannot be taken.
pub async fn check(root: &Path) -> anyhow::Result<()> {
    Prerequisite::Valgrind.ensure().await?;
    let limits = std::fs::read(root.join(LIMITS)).with_context(|| format!("read {LIMITS}"))?;
    let limits: Limits =
        serde_json::from_slice(&limits).with_context(|| format!("read {LIMITS}"))?;
    let example = workspace::build_example(root, EXAMPLE).await?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(&example)
        .stdin(Stdio::null())
        .output()
        .await
        .context("start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "{EXAMPLE} under valgrind ended with {}:\n{said}",
            output.status
        );
    }
    let ingested: Ingested =
        serde_json::from_slice(&output.stdout).context("read what the example printed")?;
    let instructions = collected(&said).context("find valgrind's count of instructions")?;
    let per_record = instructions as f64 / ingested.records as f64;
    let mut above = Vec::new();
    for (what, found, limit) in [
        (
            "instructions a record",
            per_record,
            limits.instructions_per_record,
        ),
        (
            "bytes a record in its split",
            ingested.split_bytes_per_record,
            limits.split_bytes_per_record,
        ),
    ] {
        println!("{what}: {found:.1}, at most {limit}");
        if found > limit {
            above.push(what);
        }
    }
    match above.as_slice() {
        [] => Ok(()),
        above => bail!("above the limits of {LIMITS}: {}", above.join(", ")),
    }
}

/// The number in callgrind's line `Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_is_read_from_callgrinds_words() {
        let said = "==7== Events    : Ir\n==7== Collected : 2519287344\n==7==\n";
        assert_eq!(collected(said), Some(2_519_287_344));
        assert_eq!(collected("==7== no such thing"), None);
    }
}
