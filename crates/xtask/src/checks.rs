//! `cargo xtask lint`, `test` and `ci`: every check in turn, its output as it comes, and at the end each
//! runner's own closing line.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::prerequisite::{Prerequisite, on_path};
use crate::workspace;

/// How a check went.
struct Outcome {
    name: &'static str,
    passed: bool,
    closing: Vec<String>,
}

/// Builds the web UI and runs all tests: Rust's, then the browser's.
///
/// # Errors
///
/// When something is missing or a check fails.
pub async fn test(root: &Path) -> anyhow::Result<()> {
    conclude(run_tests(root).await?)
}

/// Checks format, lints, the rules about dependencies and the page of metrics.
///
/// # Errors
///
/// When a check fails.
pub async fn lint(root: &Path) -> anyhow::Result<()> {
    Prerequisite::Make.ensure().await?;
    crate::dependencies::check(root).await?;
    crate::own_metrics::check(root)?;
    let mut format = workspace::cargo(root);
    format.args(["fmt", "--all", "--check"]);
    conclude(vec![
        run("format", format).await?,
        run("lints", lints(root)).await?,
    ])
}

/// What reports lints. A caller that has cargo compile with clippy's driver gets them from a build,
/// which the tests after it need anyway; `cargo clippy` would go through every crate on its own.
fn lints(root: &Path) -> Command {
    let mut lints = workspace::cargo(root);
    let all = ["-q", "--workspace", "--all-targets"];
    match std::env::var_os("RUSTC_WORKSPACE_WRAPPER") {
        Some(_) => lints.arg("build").args(all),
        None => lints.arg("clippy").args(all).args(["--", "-D", "warnings"]),
    };
    lints
}

/// [`lint`], then [`test`].
///
/// # Errors
///
/// As theirs.
pub async fn ci(root: &Path) -> anyhow::Result<()> {
    lint(root).await?;
    test(root).await
}

async fn run_tests(root: &Path) -> anyhow::Result<Vec<Outcome>> {
    Prerequisite::Make.ensure().await?;
    Prerequisite::Postgres.ensure().await?;
    let has_ui = workspace::ui(root).join("package.json").is_file();
    if has_ui {
        Prerequisite::Node.ensure().await?;
        Prerequisite::Chromium.ensure().await?;
        workspace::build_ui(root).await?;
    }
    let mut outcomes = Vec::new();
    let mut tests = workspace::cargo(root);
    match on_path("cargo-nextest") {
        true => tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]),
        false => tests.args(["test", "--workspace", "--no-fail-fast"]),
    };
    outcomes.push(run("Rust tests", tests).await?);
    if has_ui {
        let npm = |arguments: &[&str]| {
            let mut npm = Command::new("npm");
            npm.args(arguments).current_dir(workspace::ui(root));
            npm
        };
        outcomes.push(run("web page checks", npm(&["run", "check"])).await?);
        outcomes.push(run("web unit tests", npm(&["test"])).await?);
        let programs = workspace::build_programs(root).await?;
        let mut browser = npm(&["run", "e2e"]);
        browser.env("WATCHKEEPER_BIN", programs.watchkeeper);
        outcomes.push(run("browser tests", browser).await?);
    }
    Ok(outcomes)
}

/// Runs a check with its output passed on line by line.
async fn run(name: &'static str, mut command: Command) -> anyhow::Result<Outcome> {
    println!("\n── {name}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {:?}", command.as_std().get_program()))?;
    let stdout = child.stdout.take().context("read the check's output")?;
    let stderr = child.stderr.take().context("read the check's errors")?;
    let (mut closing, said) = tokio::try_join!(pass_on(stdout), pass_on(stderr))?;
    closing.extend(said);
    let status = child.wait().await.context("wait for the check")?;
    Ok(Outcome {
        name,
        passed: status.success(),
        closing,
    })
}

async fn pass_on(output: impl AsyncRead + Unpin) -> anyhow::Result<Vec<String>> {
    let mut closing = Vec::new();
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.context("read the check's output")? {
        println!("{line}");
        if is_closing(&line) {
            closing.push(line.trim().to_owned());
        }
    }
    Ok(closing)
}

/// Whether a runner sums up with this line: libtest, nextest, vitest or Playwright.
///
/// nextest shows libtest's own line of each failed test, which sums up nothing.
fn is_closing(line: &str) -> bool {
    let line = line.trim_start();
    let counted = |word: &str| {
        let mut words = line.split_whitespace();
        let number = words
            .next()
            .is_some_and(|first| first.parse::<u32>().is_ok());
        number && words.next() == Some(word)
    };
    (line.starts_with("test result:") && !line.contains("FAILED. 0 passed; 1 failed"))
        || line.starts_with("Tests  ")
        || (line.starts_with("Summary [") && line.contains("tests run"))
        || ["passed", "failed", "flaky", "skipped"]
            .into_iter()
            .any(counted)
}

fn conclude(outcomes: Vec<Outcome>) -> anyhow::Result<()> {
    println!();
    for outcome in &outcomes {
        let verdict = if outcome.passed { "passed" } else { "FAILED" };
        println!("{verdict}  {}", outcome.name);
        for line in &outcome.closing {
            println!("        {line}");
        }
    }
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|o| !o.passed)
        .map(|o| o.name)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::is_closing;

    #[test]
    fn closing_lines_of_each_runner_are_known() {
        for (line, expected) in [
            (
                "test result: ok. 3 passed; 0 failed; 0 ignored; finished in 0.00s",
                true,
            ),
            (
                "     Summary [   0.011s] 3 tests run: 3 passed, 0 skipped",
                true,
            ),
            ("  12 passed (8.4s)", true),
            ("      Tests  109 passed (109)", true),
            ("test result: FAILED. 0 passed; 1 failed; 0 ignored", false),
            ("  1 failed", true),
            ("test a::b ... ok", false),
            ("running 3 tests", false),
            ("12 passengers", false),
        ] {
            assert_eq!(is_closing(line), expected, "{line:?}");
        }
    }
}
