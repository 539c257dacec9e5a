//! A server process with its own data directory, on free ports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;

/// How long anything may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The addresses in the ready file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) http: String,
    pub(crate) otlp_grpc: String,
    pub(crate) otlp_http: String,
    #[serde(default)]
    pub(crate) syslog_tcp: Option<String>,
    #[serde(default)]
    pub(crate) syslog_udp: Option<String>,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// An HTTP answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|err| panic!("{err} in the answer {}", self.text))
    }
}

/// Where a server keeps its things; outlives the process, so that it can be started again.
pub(crate) struct Home {
    directory: tempfile::TempDir,
    extra: Vec<String>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            extra: Vec::new(),
        }
    }

    /// The same with more arguments for `serve`.
    pub(crate) fn with_args(mut self, args: &[&str]) -> Self {
        self.extra = args.iter().map(|arg| (*arg).to_owned()).collect();
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The same with a configuration file.
    pub(crate) fn with_config(self, yaml: &str) -> Self {
        let path = self.write("watchkeeper.yaml", yaml);
        let path = path.to_str().unwrap().to_owned();
        self.with_args(&["--config", &path])
    }

    /// Writes a file into the home.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts a process and waits until it is ready.
    pub(crate) async fn start(&self) -> Process {
        let ready_file = self.path().join("ready.json");
        if ready_file.exists() {
            std::fs::remove_file(&ready_file).unwrap();
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join("stderr.log"))
            .unwrap();
        let mut child = OwnedChild(
            Command::new(env!("CARGO_BIN_EXE_watchkeeper"))
                .args(["serve", "--http", "127.0.0.1:0"])
                .args(["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"])
                .arg("--data-dir")
                .arg(self.path().join("data"))
                .arg("--ready-file")
                .arg(&ready_file)
                .args(&self.extra)
                .current_dir(self.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
        let begun = Instant::now();
        let addresses: Addresses = loop {
            if let Ok(text) = std::fs::read_to_string(&ready_file) {
                break serde_json::from_str(&text).unwrap();
            }
            if let Some(status) = child.0.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Process {
            child,
            addresses,
            client: client(),
            log: self.path().join("stderr.log"),
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("stderr.log")).unwrap_or_default()
    }
}

/// A child process. Dropping it kills it, so that a test that fails leaves nothing running.
pub(crate) struct OwnedChild(pub(crate) Child);

impl Drop for OwnedChild {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct Process {
    child: OwnedChild,
    pub(crate) addresses: Addresses,
    client: reqwest::Client,
    log: PathBuf,
}

impl Process {
    /// `kill -9`, and waits until the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.0.kill().unwrap();
        self.child.0.wait().unwrap();
    }

    /// SIGTERM, and waits until the process is gone.
    pub(crate) async fn terminate(mut self) -> Ended {
        let pid = Pid::from_raw(i32::try_from(self.child.0.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.0.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "the server does not stop");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Ended {
            code: status.code(),
            stdout: String::new(),
            stderr: std::fs::read_to_string(&self.log).unwrap(),
        }
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.0.try_wait().unwrap().is_none()
    }

    /// The most memory the process has had resident so far, bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes << 10
    }

    /// A request on the main port.
    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.addresses.http);
        self.client.request(method, url).timeout(PATIENCE)
    }

    /// A request on OTLP's HTTP port.
    pub(crate) fn otlp(&self, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.addresses.otlp_http);
        self.client.post(url).timeout(PATIENCE)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(reqwest::Method::GET, path)).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &serde_json::Value) -> Answer {
        answer(self.request(reqwest::Method::POST, path).json(body)).await
    }

    /// Records that match, newest first, of the last hour and the next minutes.
    pub(crate) async fn search(&self, query: &str) -> Vec<serde_json::Value> {
        let page = self
            .post_json(
                "/api/v1/logs/search",
                &serde_json::json!({"start": "now-1h", "end": "now+5m", "query": query, "limit": 1000}),
            )
            .await;
        assert_eq!(page.status, 200, "{query}: {}", page.text);
        page.json()["records"].as_array().unwrap().clone()
    }

    /// Waits until so many records match; for senders that are not answered.
    pub(crate) async fn wait_for(&self, query: &str, count: usize) -> Vec<serde_json::Value> {
        let begun = Instant::now();
        loop {
            let found = self.search(query).await;
            if found.len() == count {
                return found;
            }
            assert!(
                found.len() < count && begun.elapsed() < PATIENCE,
                "{query}: {count} records expected, got {found:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        answer(self.request(reqwest::Method::POST, path).form(form)).await
    }
}

/// An HTTP client. The first one chooses the process's TLS provider, which building any needs.
pub(crate) fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .unwrap();
    });
    // A connection for each request: a server may close one after an error, and a client that
    // takes it from its pool at that moment would see a failure that is none.
    reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

/// Sends a request and reads the answer.
pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    Answer {
        status: response.status().as_u16(),
        headers,
        text: String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned(),
    }
}

/// A server with a home of its own.
pub(crate) struct Server {
    process: Process,
    _home: Home,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(Home::new()).await
    }

    pub(crate) async fn start_in(home: Home) -> Self {
        Self {
            process: home.start().await,
            _home: home,
        }
    }

    pub(crate) async fn terminate(self) -> Ended {
        self.process.terminate().await
    }
}

impl std::ops::Deref for Server {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl std::ops::DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Runs the binary until it ends by itself.
pub(crate) fn run_to_end(args: &[&str], environment: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_watchkeeper"))
        .args(args)
        .envs(environment.iter().copied())
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
