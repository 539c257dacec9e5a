//! The repository as this task sees it: where it lies, its programs, its web UI.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::demo::Programs;
use crate::prerequisite::Prerequisite;

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
/// As [`build`].
pub async fn build_programs(root: &Path) -> anyhow::Result<Programs> {
    let [watchkeeper, instrumented_api] = build(root, ["watchkeeper", "instrumented-api"]).await?;
    Ok(Programs {
        watchkeeper,
        instrumented_api,
    })
}

/// Builds the workspace's programs, as far as they are not, and tells where those of `packages` are.
///
/// The whole workspace, because cargo picks the features of other people's crates by what is built
/// together: with fewer packages it would compile most of them once more for `cargo test`.
///
/// # Errors
///
/// When the build fails; cargo has said why on stderr.
pub async fn build<const N: usize>(
    root: &Path,
    packages: [&str; N],
) -> anyhow::Result<[PathBuf; N]> {
    let built = build_targets(root, &["--bins"]).await?;
    let mut programs = packages.map(|_| PathBuf::new());
    for (package, program) in packages.iter().zip(&mut programs) {
        let found = built.iter().find(|(name, _)| name == package);
        let (_, path) = found.with_context(|| format!("cargo built no program {package}"))?;
        *program = path.clone();
    }
    Ok(programs)
}

/// Builds an example, as far as it is not, and tells where it is.
///
/// # Errors
///
/// As [`build`].
pub async fn build_example(root: &Path, example: &str) -> anyhow::Result<PathBuf> {
    let built = build_targets(root, &["--example", example]).await?;
    let found = built.into_iter().find(|(name, _)| name == example);
    let (_, path) = found.with_context(|| format!("cargo built no example {example}"))?;
    Ok(path)
}

/// Builds targets of the workspace; names and files of the programs among them.
async fn build_targets(root: &Path, targets: &[&str]) -> anyhow::Result<Vec<(String, PathBuf)>> {
    Prerequisite::Make.ensure().await?;
    let mut command = cargo(root);
    command.args(["build", "--workspace"]).args(targets);
    command.args(["--message-format", "json-render-diagnostics"]);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("start cargo")?;
    let stdout = child.stdout.take().context("read cargo's messages")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut programs = Vec::new();
    while let Some(line) = lines.next_line().await.context("read cargo's messages")? {
        let message: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        let name = message["target"]["name"].as_str();
        if let (Some(program), Some(name)) = (message["executable"].as_str(), name) {
            programs.push((name.to_owned(), program.into()));
        }
    }
    let status = child.wait().await.context("wait for cargo")?;
    match status.success() {
        true => Ok(programs),
        false => bail!("the build failed ({status})"),
    }
}

/// `cargo`, the one that runs us if there is one, as if called from a shell.
///
/// What cargo tells the programs it runs about their own package is taken out again: ring's build
/// script watches those variables, so half the tree would be rebuilt at every change of caller.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let about_a_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(about_a_package) {
            command.env_remove(name);
        }
    }
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
