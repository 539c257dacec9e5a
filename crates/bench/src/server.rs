//! A server under measurement: its own data directory, free ports, stopped and removed at the end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::process::Process;

/// How long the server may take until it is ready.
const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: TempDir,
    /// Its process.
    pub(crate) process: Process,
    /// `http://host:port` of the main port.
    pub(crate) url: String,
    /// `http://host:port` of OTLP over HTTP.
    pub(crate) otlp: String,
}

#[derive(Debug, Deserialize)]
struct Ready {
    http: String,
    otlp_http: String,
    pid: u32,
}

impl Server {
    /// Starts `binary` with a data directory of its own inside `folder` and waits until it is ready.
    ///
    /// # Errors
    ///
    /// The binary cannot be started or ends early.
    pub(crate) async fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(folder).context("make the server's folder")?;
        let ready_file = folder.path().join("ready.json");
        let mut child = Command::new(binary)
            .args(["serve", "--http", "127.0.0.1:0"])
            .args(["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--ready-file")
            .arg(&ready_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let ready = wait_for(&ready_file, &mut child).await?;
        Ok(Self {
            process: Process(ready.pid),
            url: format!("http://{}", ready.http),
            otlp: format!("http://{}", ready.otlp_http),
            child,
            folder,
        })
    }

    /// Everything that it has on disk.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Asks it to stop and waits for its end.
    ///
    /// # Errors
    ///
    /// It does not end well.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid =
            nix::unistd::Pid::from_raw(i32::try_from(self.process.0).context("read its pid")?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)
            .context("stop the server")?;
        let status = self.child.wait().await.context("wait for the server")?;
        anyhow::ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

async fn wait_for(file: &Path, child: &mut Child) -> anyhow::Result<Ready> {
    let started = Instant::now();
    loop {
        if let Ok(text) = std::fs::read_to_string(file)
            && let Ok(ready) = serde_json::from_str(&text)
        {
            return Ok(ready);
        }
        if let Some(status) = child.try_wait().context("look at the server")? {
            bail!("the server ended before it was ready: {status}");
        }
        if started.elapsed() > START_DEADLINE {
            bail!("the server is not ready after {START_DEADLINE:?}");
        }
        tokio::time::sleep(POLL).await;
    }
}
