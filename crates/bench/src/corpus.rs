//! Corpora of log records: made and sent by the load generator, with what queries must find in them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::server::Server;

/// Seconds of time that a corpus covers.
pub(crate) const SPAN_SECONDS: u64 = 86_400;
/// Records of one request.
const BATCH: u64 = 1_000;
/// Connections that send.
const CONNECTIONS: u64 = 4;
/// How long sending may take; the generator stops then, and the answers would be wrong.
const MOST_SECONDS: &str = "3600";

/// A corpus file.
#[derive(Debug)]
pub(crate) struct Corpus {
    /// The requests.
    pub(crate) file: PathBuf,
    /// What is in it.
    pub(crate) meta: Meta,
}

/// What the generator says of a corpus.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Meta {
    /// How many records there are.
    pub(crate) records: u64,
    /// First second, Unix.
    pub(crate) start: u64,
    /// Last second, Unix.
    pub(crate) end: u64,
    /// All requests, uncompressed.
    pub(crate) otlp_bytes: u64,
    /// A trace that has some records.
    pub(crate) needle_trace_id: String,
    /// What queries must return.
    pub(crate) expect: Expected,
}

/// The right answers.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Expected {
    /// Records of the needle's trace.
    pub(crate) q1_needle: u64,
    /// Records of the service billing with the phrase.
    pub(crate) q2_pool_billing: u64,
    /// Records with the rare word.
    pub(crate) q3_rare: u64,
    /// Records by severity, in capitals.
    pub(crate) q4_severity: BTreeMap<String, u64>,
    /// `user=count`, the most frequent first.
    pub(crate) q5_top_users: Vec<String>,
    /// Records whose body matches the pattern.
    pub(crate) q7_regex: u64,
    /// Records slower than the bound.
    pub(crate) q8_slow: u64,
}

/// What sending a corpus cost, as the generator measured it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Sent {
    /// Records a second.
    pub(crate) items_per_s: f64,
    /// Everything else that it printed.
    #[serde(flatten)]
    pub(crate) others: serde_json::Map<String, serde_json::Value>,
}

impl Corpus {
    /// Makes a corpus of `records` that ends at `end` (Unix seconds).
    ///
    /// # Errors
    ///
    /// The generator fails.
    pub(crate) async fn generate(
        loadgen: &Path,
        folder: &Path,
        records: u64,
        seed: u64,
        end: u64,
    ) -> anyhow::Result<Self> {
        let file = folder.join(format!("logs-{seed}.otlp"));
        let mut command = Command::new(loadgen);
        command.arg("gen-logs").arg("--out-otlp").arg(&file);
        for (name, value) in [
            ("--records", records),
            ("--seed", seed),
            ("--end", end),
            ("--span-secs", SPAN_SECONDS),
            ("--batch", BATCH),
        ] {
            command.args([name, &value.to_string()]);
        }
        let meta = serde_json::from_slice(&run(command).await?.stdout)
            .context("read what loadgen printed")?;
        Ok(Self { file, meta })
    }

    /// Sends everything at full speed, seals it and waits until the server is quiet.
    ///
    /// # Errors
    ///
    /// The generator fails, or a request was refused for good.
    pub(crate) async fn send(&self, loadgen: &Path, server: &Server) -> anyhow::Result<Sent> {
        let url = format!("{}/v1/logs", server.otlp);
        send(loadgen, &self.file, &url, server, &[]).await
    }

    /// Removes the file.
    ///
    /// # Errors
    ///
    /// The file system refuses.
    pub(crate) fn remove(self) -> anyhow::Result<Meta> {
        std::fs::remove_file(&self.file).context("remove a corpus")?;
        Ok(self.meta)
    }
}

impl Sent {
    /// A figure by its name.
    ///
    /// # Errors
    ///
    /// The generator did not print it.
    pub(crate) fn figure(&self, name: &str) -> anyhow::Result<f64> {
        let value = self.others.get(name).and_then(serde_json::Value::as_f64);
        value.with_context(|| format!("loadgen printed no {name:?}"))
    }
}

/// Sends a corpus file to `url` of a server at full speed, seals it as far as the server can be told
/// to, and waits until it is quiet. `more` are further arguments of the generator.
///
/// # Errors
///
/// The generator fails, or a request was refused for good.
pub(crate) async fn send(
    loadgen: &Path,
    file: &Path,
    url: &str,
    server: &Server,
    more: &[&str],
) -> anyhow::Result<Sent> {
    let mut command = Command::new(loadgen);
    command
        .args(["send", "--content-type", "application/x-protobuf"])
        .args(["--url", url])
        .arg("--corpus")
        .arg(file)
        .args(["--connections", &CONNECTIONS.to_string()])
        .args(["--max-seconds", MOST_SECONDS])
        .args(["--pid", &server.process.0.to_string()])
        .arg("--disk")
        .arg(server.data_dir())
        .args(["--settle-seconds", "60"])
        .args(more);
    if let Some((method, url)) = server.flush() {
        command.args(["--flush-url", &url, "--flush-method", method]);
    }
    let output = run(command).await?;
    let sent: Sent = serde_json::from_slice(&output.stdout).context("read what loadgen printed")?;
    let failed = sent.figure("failed_requests")?;
    let reason = sent.others.get("first_error");
    ensure!(
        failed == 0.0,
        "{failed} requests were refused for good, the first: {reason:?}"
    );
    Ok(sent)
}

/// Appends the body of a corpus file's next request to `bodies`; how many items it has, `None` at the
/// end of the file. Before each body are its length, its items and its uncompressed length: `u32`,
/// little-endian.
///
/// # Errors
///
/// The file cannot be read or is no corpus.
pub(crate) fn read_request(
    file: &mut impl Read,
    bodies: &mut Vec<u8>,
) -> anyhow::Result<Option<u32>> {
    let mut header = [0; 12];
    match file.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error).context("read the corpus"),
    }
    let length = u32::from_le_bytes([header[0], header[1], header[2], header[3]]);
    let items = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let read = file
        .take(u64::from(length))
        .read_to_end(bodies)
        .context("read the corpus")?;
    ensure!(read == length as usize, "the corpus ends inside a request");
    Ok(Some(items))
}

/// Runs the generator.
///
/// # Errors
///
/// It cannot be started or fails.
pub(crate) async fn run(mut command: Command) -> anyhow::Result<Output> {
    let output = command.kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("start {:?}", command.as_std().get_program()))?;
    if !output.status.success() {
        bail!(
            "loadgen ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}
