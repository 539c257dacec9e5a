//! `cargo xtask gate`: what ingest costs in figures that no clock decides, held against limits.
//!
//! Instructions are counted by callgrind over the development build of the examples `ingest_logs`
//! and `ingest_metrics`, bytes by what they print. Both are the same in every run of the same build;
//! limits are a tenth and a hundredth above what CI's build takes. A change that pays less lowers
//! them in the same commit; one that pays more says why. How many blocks a query scans is asserted
//! exactly by the store's own tests.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;
use tokio::process::Command;

use crate::prerequisite::Prerequisite;
use crate::workspace;

/// Where the limits are kept.
const LIMITS: &str = "docs/ingest-limits.json";
/// The function of each example whose instructions are counted, callees included.
const MEASURED: &str = "*ingest_once*";

/// What an example's items may cost at most.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    /// The example's name.
    example: String,
    /// What it prints the number of items as.
    items: String,
    /// Instructions for each item.
    instructions: f64,
    /// Bytes of the split for each item.
    split_bytes: f64,
}

/// Counts, prints and compares.
///
/// # Errors
///
/// A count is above its limit, or cannot be taken.
pub async fn check(root: &Path) -> anyhow::Result<()> {
    Prerequisite::Valgrind.ensure().await?;
    let limits = std::fs::read(root.join(LIMITS)).with_context(|| format!("read {LIMITS}"))?;
    let limits: Vec<Limits> =
        serde_json::from_slice(&limits).with_context(|| format!("read {LIMITS}"))?;
    let mut above = Vec::new();
    for limits in &limits {
        let program = workspace::build_example(root, &limits.example).await?;
        let (printed, instructions) = count(&program).await?;
        let figure = |name: &str| {
            let value = printed.get(name).and_then(Value::as_f64);
            value.with_context(|| format!("{} printed no {name:?}", limits.example))
        };
        let items = figure(&limits.items)?;
        for (what, found, limit) in [
            ("instructions", instructions as f64, limits.instructions),
            ("split bytes", figure("split_bytes")?, limits.split_bytes),
        ] {
            let each = found / items;
            let what = format!("{}: {what} for each of {}", limits.example, limits.items);
            println!("{what}: {each:.2}, at most {limit}");
            if each > limit {
                above.push(what);
            }
        }
    }
    match above.as_slice() {
        [] => Ok(()),
        above => bail!("above the limits of {LIMITS}: {}", above.join(", ")),
    }
}

/// Runs an example under callgrind: what it prints, and the instructions of what is measured.
async fn count(program: &Path) -> anyhow::Result<(Value, u64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(program)
        .stdin(Stdio::null())
        .output()
        .await
        .context("start valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!(
            "{} under valgrind ended with {}:\n{said}",
            program.display(),
            output.status
        );
    }
    let printed =
        serde_json::from_slice(&output.stdout).context("read what the example printed")?;
    let instructions = collected(&said).context("find valgrind's count of instructions")?;
    Ok((printed, instructions))
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
