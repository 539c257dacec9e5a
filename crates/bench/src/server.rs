//! A server under measurement: its own data directory, free ports, stopped and removed at the end.

use std::net::{SocketAddr, TcpListener};
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
    /// `http://host:port` of OTLP over HTTP; the main port of a peer.
    pub(crate) otlp: String,
    /// Method and path that seal what was taken in.
    flush: Option<(&'static str, &'static str)>,
}

/// Another system of metrics, for the same figures beside ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Prometheus 2.
    Prometheus,
    /// VictoriaMetrics, the single-node server.
    VictoriaMetrics,
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
            flush: Some(("POST", "/-/flush")),
            child,
            folder,
        })
    }

    /// Starts a peer likewise.
    ///
    /// # Errors
    ///
    /// The binary cannot be started or is not ready in time.
    pub(crate) async fn start_peer(
        peer: Peer,
        binary: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(folder).context("make the peer's folder")?;
        let address = free_address()?;
        let data = folder.path().join("data");
        let mut command = Command::new(binary);
        match peer {
            Peer::Prometheus => {
                let config = folder.path().join("prometheus.yml");
                // Requests of several connections may overtake each other.
                let text = "storage:\n  tsdb:\n    out_of_order_time_window: 1h\n";
                std::fs::write(&config, text).context("write the peer's configuration")?;
                command
                    .arg(format!("--config.file={}", config.display()))
                    .arg(format!("--storage.tsdb.path={}", data.display()))
                    .arg(format!("--web.listen-address={address}"))
                    .args(["--web.enable-remote-write-receiver", "--log.level=error"]);
            }
            Peer::VictoriaMetrics => {
                command
                    .arg(format!("-storageDataPath={}", data.display()))
                    .arg(format!("-httpListenAddr={address}"))
                    .args(["-retentionPeriod=100y", "-loggerLevel=ERROR"]);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let url = format!("http://{address}");
        let server = Self {
            process: Process(child.id().context("the peer ended at once")?),
            otlp: url.clone(),
            url,
            flush: match peer {
                Peer::Prometheus => None,
                Peer::VictoriaMetrics => Some(("GET", "/internal/force_flush")),
            },
            child,
            folder,
        };
        let started = Instant::now();
        loop {
            // Both answer this path, and Prometheus with an error until it has read its log.
            let path = format!("{}/api/v1/query?query=1", server.url);
            if let Ok(answer) = reqwest::get(path).await
                && answer.status().is_success()
            {
                return Ok(server);
            }
            if started.elapsed() > START_DEADLINE {
                bail!("{} is not ready after {START_DEADLINE:?}", binary.display());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Method and URL that seal what was taken in, if there is such a thing.
    pub(crate) fn flush(&self) -> Option<(&'static str, String)> {
        let (method, path) = self.flush?;
        Some((method, format!("{}{path}", self.url)))
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

/// An address of this machine that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    listener.local_addr().context("find a free port")
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
