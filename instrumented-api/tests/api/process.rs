//! The API as a child process, and a client that knows its tokens.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::receiver::Receiver;

pub(crate) const ADMIN_TOKEN: &str = "let-me-break-it";
pub(crate) const PASSWORD: &str = "correct horse";

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value; the value decides, never the clock.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A running API; killed when dropped.
pub(crate) struct Api {
    child: Child,
    base: String,
    client: reqwest::Client,
    directory: TempDir,
}

impl Api {
    /// Starts the API on SQLite with its telemetry going to `receiver`.
    pub(crate) async fn start(receiver: &Receiver) -> Self {
        Self::start_with(receiver, &[]).await
    }

    /// As [`Api::start`], with more environment.
    pub(crate) async fn start_with(receiver: &Receiver, environment: &[(&str, &str)]) -> Self {
        // reqwest is built without a TLS provider; none is needed on loopback, but it asks.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let directory = tempfile::tempdir().unwrap();
        let ready_file = directory.path().join("ready.json");
        let database = format!(
            "sqlite:{}?mode=rwc",
            directory.path().join("tasks.db").display()
        );
        let child = Command::new(env!("CARGO_BIN_EXE_instrumented-api"))
            .args(["--listen", "127.0.0.1:0", "--heartbeat-ms", "50"])
            .arg("--ready-file")
            .arg(&ready_file)
            .env("DATABASE_URL", database)
            .env("TASK_API_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("TASK_API_INSTANCE_ID", "test-1")
            .env("TASK_API_ENVIRONMENT", "test")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint())
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .env("OTEL_BLRP_SCHEDULE_DELAY", "50")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let base = eventually("the API is ready", || async { address(&ready_file) }).await;
        Self {
            child,
            base,
            client: reqwest::Client::new(),
            directory,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Registers `email`, logs in and returns a client of that user.
    pub(crate) async fn user(&self, email: &str) -> User<'_> {
        let credentials = json!({"email": email, "password": PASSWORD});
        let answer = self
            .request(Method::POST, "/api/v1/register")
            .json(&credentials);
        let account = expect(StatusCode::CREATED, answer.send().await.unwrap()).await;
        let answer = self
            .request(Method::POST, "/api/v1/login")
            .json(&credentials);
        let token = expect(StatusCode::OK, answer.send().await.unwrap()).await;
        User {
            api: self,
            id: account["id"].as_str().unwrap().to_owned(),
            token: token["access_token"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) async fn switch_faults(&self, faults: Value) {
        let request = self.request(Method::POST, "/admin/faults").json(&faults);
        let answer = request
            .header("x-admin-token", ADMIN_TOKEN)
            .send()
            .await
            .unwrap();
        expect(StatusCode::OK, answer).await;
    }

    /// `/metrics`, as scraped.
    pub(crate) async fn scrape(&self) -> String {
        let answer = self.request(Method::GET, "/metrics").send().await.unwrap();
        answer.error_for_status().unwrap().text().await.unwrap()
    }

    /// Sends SIGTERM and waits for the end; the exit must be clean.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success());
        assert!(self.directory.path().join("tasks.db").exists() || cfg!(not(unix)));
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn address(ready_file: &Path) -> Option<String> {
    let ready: Value = serde_json::from_str(&std::fs::read_to_string(ready_file).ok()?).unwrap();
    Some(format!("http://{}", ready["http"].as_str().unwrap()))
}

/// A logged-in user.
pub(crate) struct User<'a> {
    api: &'a Api,
    pub(crate) id: String,
    pub(crate) token: String,
}

impl User<'_> {
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.api.request(method, path).bearer_auth(&self.token)
    }

    /// Creates a task and returns its id.
    pub(crate) async fn create(&self, task: Value) -> String {
        let answer = self
            .request(Method::POST, "/api/v1/tasks")
            .json(&task)
            .send()
            .await
            .unwrap();
        let task = expect(StatusCode::CREATED, answer).await;
        task["id"].as_str().unwrap().to_owned()
    }

    /// The body of a `GET` that must succeed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        expect(StatusCode::OK, answer).await
    }
}

/// The JSON body of `answer`, which must have `status`; `null` when there is none.
pub(crate) async fn expect(status: StatusCode, answer: Response) -> Value {
    let got = answer.status();
    let text = answer.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap()
    }
}
