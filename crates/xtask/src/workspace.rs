//! The repository as this task sees it: where it lies, its programs, its web UI.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::demo::Programs;

/// The repository's folder.
///
/// # Errors
///
/// When it has moved since this program was built.
pub fn root() -> anyhow::Result<PathBuf> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_folder
        .ancestors()
        .nth(2)
        .context("find the repository")?;
    match root.join("Cargo.toml").is_file() {
        true => Ok(root.to_owned()),
        false => bail!(
            "{} is not the repository any more; rebuild xtask",
            root.display()
        ),
    }
}

/// Builds server and task API, as far as they are not, and tells where they are.
///
/// # Errors
///
/// When the build fails; cargo has said why on stderr.
pub async fn build_programs(root: &Path) -> anyhow::Result<Programs> {
    let mut child = cargo(root)
        .args(["build", "-p", "watchkeeper", "-p", "instrumented-api"])
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .context("start cargo")?;
    let stdout = child.stdout.take().context("read cargo's messages")?;
    let mut lines = BufReader::new(stdout).lines();
    let (mut watchkeeper, mut instrumented_api) = (None, None);
    while let Some(line) = lines.next_line().await.context("read cargo's messages")? {
        let message: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(program) = message["executable"].as_str().map(PathBuf::from) else {
            continue;
        };
        match message["target"]["name"].as_str() {
            Some("watchkeeper") => watchkeeper = Some(program),
            Some("instrumented-api") => instrumented_api = Some(program),
            _ => {}
        }
    }
    let status = child.wait().await.context("wait for cargo")?;
    if !status.success() {
        bail!("the build failed ({status})");
    }
    Ok(Programs {
        watchkeeper: watchkeeper.context("cargo built no program watchkeeper")?,
        instrumented_api: instrumented_api.context("cargo built no program instrumented-api")?,
    })
}

/// `cargo`, the one that runs us if there is one.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Whether the web UI has been built.
pub fn ui_is_built(root: &Path) -> bool {
    ui(root).join("dist/index.html").is_file()
}

/// The web UI's sources.
pub fn ui(root: &Path) -> PathBuf {
    root.join("collector/ui")
}

/// Builds the web UI into `collector/ui/dist`.
///
/// # Errors
///
/// When npm fails; it has said why.
pub async fn build_ui(root: &Path) -> anyhow::Result<()> {
    for arguments in [["ci", "--no-fund"], ["run", "build"]] {
        let mut npm = Command::new("npm");
        npm.args(arguments).current_dir(ui(root));
        let status = npm.status().await.context("start npm (apt install npm)")?;
        if !status.success() {
            bail!("npm {} failed ({status})", arguments.join(" "));
        }
    }
    Ok(())
}
