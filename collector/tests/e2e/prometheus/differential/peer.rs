//! A Prometheus of its own, as Debian has it, empty and on a free port.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};

use crate::server::{Answer, OwnedChild, PATIENCE, answer, client};

/// How often a port may be taken by somebody else between being found free and being used.
const ATTEMPTS: usize = 5;

/// A running Prometheus. Dropping it kills it.
pub(super) struct Peer {
    _child: OwnedChild,
    _home: tempfile::TempDir,
    client: Client,
    pub(super) url: String,
}

impl Peer {
    /// Starts one and waits until it is ready; `None`, and a word about it, when there is none.
    pub(super) async fn start() -> Option<Self> {
        let version = Command::new("prometheus").arg("--version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            println!("skipped: there is no prometheus; .ci/run installs it from Debian");
            return None;
        }
        for _ in 0..ATTEMPTS {
            if let Some(peer) = Self::try_start().await {
                return Some(peer);
            }
        }
        panic!("prometheus did not start, {ATTEMPTS} times");
    }

    async fn try_start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("prometheus.yml");
        std::fs::write(&config, "").unwrap();
        let log = std::fs::File::create(home.path().join("stderr.log")).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut child = OwnedChild(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    home.path().join("data").display()
                ))
                .arg(format!("--web.listen-address={address}"))
                .arg("--web.enable-remote-write-receiver")
                .arg("--log.level=warn")
                .current_dir(home.path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
        let client = client();
        let url = format!("http://{address}");
        let begun = Instant::now();
        loop {
            let ready = client.get(format!("{url}/-/ready")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if child.0.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "prometheus does not get ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self {
            _child: child,
            _home: home,
            client,
            url,
        })
    }

    /// A GET below `/api/v1/`.
    pub(super) async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        let url = format!("{}/api/v1/{path}", self.url);
        answer(self.client.request(Method::GET, url).query(params)).await
    }
}
