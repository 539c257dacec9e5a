//! The main job, end to end: real processes, a real PostgreSQL pair, a real mail server, and the
//! OpenTelemetry SDKs as the only senders.
//!
//! Quiet first: as long as the longest alert window, with traffic and without a fault, nothing
//! may fire. Then a fault is switched on, its page arrives by mail, the mail's link finds the
//! failing requests, a trace of one of them is there; the fault is switched off, and the page is
//! resolved.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use reqwest::Url;
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::demo::{Demo, DemoOptions, Ports};
use xtask::fault::Fault;
use xtask::mail::CaughtMail;
use xtask::postgres::Binaries;
use xtask::workspace;

/// How long the stack runs undisturbed: the page alerts look back a minute.
const QUIET: Duration = Duration::from_secs(75);
/// An alert needs half a minute; the rest is for machines that are busy.
const UNTIL_FIRING: Duration = Duration::from_secs(180);
/// What the README promises.
const UNTIL_RESOLVED: Duration = Duration::from_secs(120);

struct Stack {
    demo: Demo,
    client: reqwest::Client,
    _folder: TempDir,
}

impl Stack {
    /// `None`, said aloud, where PostgreSQL is not installed.
    async fn start() -> Option<Self> {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let Some(postgres) = Binaries::find() else {
            eprintln!("SKIPPED: no PostgreSQL server programs here (apt install postgresql)");
            return None;
        };
        let root = workspace::root().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The user postgres has to pass through it.
        let open = PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let options = DemoOptions {
            programs: workspace::build_programs(&root).await.unwrap(),
            root,
            folder: folder.path().join("demo"),
            ports: Ports::free().unwrap(),
            postgres: Some(postgres),
            rate: 20.0,
        };
        let demo = Demo::start(&options, |_| {}).await.unwrap();
        Some(Self {
            demo,
            client: reqwest::Client::new(),
            _folder: folder,
        })
    }

    async fn get(&self, path: &str) -> Value {
        let request = self
            .client
            .get(format!("{}{path}", self.demo.state().watchkeeper));
        json_of(request).await
    }

    async fn search(&self, body: Value) -> Vec<Value> {
        let url = format!("{}/api/v1/logs/search", self.demo.state().watchkeeper);
        let answer = json_of(self.client.post(url).json(&body)).await;
        assert_eq!(answer["partial"], false, "{answer}");
        answer["records"].as_array().unwrap().clone()
    }

    /// `alertname` and `state` of each active alert.
    async fn alerts(&self) -> Vec<(String, String)> {
        let answer = self.get("/prometheus/api/v1/alerts").await;
        let alerts = answer["data"]["alerts"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        alerts
            .map(|alert| (text(&alert["labels"]["alertname"]), text(&alert["state"])))
            .collect()
    }

    /// The first mail about `alert` whose subject begins with `kind`.
    fn mail(&self, kind: &str, alert: &str) -> Option<CaughtMail> {
        let mut messages = self.demo.mail().messages().into_iter();
        messages.find(|mail| mail.subject.starts_with(kind) && mail.subject.contains(alert))
    }

    async fn switch(&self, fault: Fault, on: bool) {
        fault.switch(self.demo.state(), on).await.unwrap();
    }

    async fn wait_for_mail(&mut self, kind: &str, alert: &str, patience: Duration) -> CaughtMail {
        let started = Instant::now();
        loop {
            if let Some(mail) = self.mail(kind, alert) {
                return mail;
            }
            self.demo.check_alive().unwrap();
            if started.elapsed() > patience {
                let subjects: Vec<_> = self
                    .demo
                    .mail()
                    .messages()
                    .into_iter()
                    .map(|mail| mail.subject)
                    .collect();
                let rules = self.get("/prometheus/api/v1/rules").await;
                panic!("no {kind} mail about {alert}; mails: {subjects:?}; rules: {rules:#}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The link to the logs that a mail carries, and its parameters `q`, `from` and `to`.
fn logs_link(mail: &CaughtMail) -> (Url, String, String, String) {
    let html = mail.html.clone().unwrap_or_default().replace("&amp;", "&");
    let everything = format!("{}\n{html}", mail.text);
    let link = everything
        .split(|c: char| c.is_whitespace() || "\"'<>()".contains(c))
        .find(|word| word.contains("/ui/logs?"))
        .unwrap_or_else(|| panic!("no link to logs in {everything}"));
    let url = Url::parse(link).unwrap();
    let parameter = |name: &str| {
        let found = url.query_pairs().find(|(key, _)| key == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {url}"))
            .1
            .into_owned()
    };
    let (query, from, to) = (parameter("q"), parameter("from"), parameter("to"));
    (url, query, from, to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_is_paged_found_in_the_logs_and_resolved() {
    let Some(mut stack) = Stack::start().await else {
        return;
    };
    nothing_fires_without_a_fault(&mut stack).await;
    errors_are_paged_found_and_resolved(&mut stack).await;
    slowness_and_replica_lag_are_paged_and_resolved(&mut stack).await;
    stack.demo.stop().await.unwrap();
}

async fn nothing_fires_without_a_fault(stack: &mut Stack) {
    let started = Instant::now();
    let mut evaluated = false;
    while started.elapsed() < QUIET {
        stack.demo.check_alive().unwrap();
        assert_eq!(stack.alerts().await, [], "an alert without a fault");
        let rules = stack.get("/prometheus/api/v1/rules").await;
        let groups = rules["data"]["groups"].as_array().unwrap().clone();
        let unhealthy = |rule: &&Value| rule["health"] == "err";
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap());
        assert_eq!(rules.clone().find(unhealthy), None, "a rule fails");
        evaluated = rules.clone().count() > 0 && rules.clone().all(|rule| rule["health"] == "ok");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Quiet because all was well, not because nothing was looked at.
    assert!(evaluated, "not all rules were evaluated");
    let counts = stack.demo.traffic().counts();
    assert!(counts.answered > 500 && counts.failed == 0, "{counts:?}");
    assert_eq!(
        stack.demo.mail().messages().len(),
        0,
        "a mail without a fault"
    );
    for (query, least) in [
        (
            r#"sum(http_server_request_duration_seconds_count{job="task-api"})"#,
            500.0,
        ),
        (
            r#"count(count by (instance) (http_server_request_duration_seconds_count))"#,
            2.0,
        ),
        (r#"count(task_api_replication_lag_seconds < 5)"#, 2.0),
    ] {
        let url = format!("{}/prometheus/api/v1/query", stack.demo.state().watchkeeper);
        let answer = json_of(stack.client.get(url).query(&[("query", query)])).await;
        let value = answer["data"]["result"][0]["value"][1].as_str();
        let value: f64 = value
            .unwrap_or_else(|| panic!("{query}: {answer}"))
            .parse()
            .unwrap();
        assert!(value >= least, "{query} is {value}");
    }
}

async fn errors_are_paged_found_and_resolved(stack: &mut Stack) {
    stack.switch(Fault::Errors, true).await;
    let page = stack
        .wait_for_mail("[FIRING:", "TaskApiAvailability", UNTIL_FIRING)
        .await;
    stack
        .wait_for_mail("[FIRING:", "TaskApiFailing", UNTIL_FIRING)
        .await;
    let firing = ("TaskApiAvailability".to_owned(), "firing".to_owned());
    assert!(stack.alerts().await.contains(&firing));

    // The mail's link finds the failing requests and nothing else.
    let (url, query, from, to) = logs_link(&page);
    assert!(
        url.as_str().starts_with(&stack.demo.state().watchkeeper),
        "{url}"
    );
    let records = stack
        .search(json!({"start": from, "end": to, "query": query, "limit": 100}))
        .await;
    assert!(!records.is_empty(), "the link {url} finds nothing");
    for record in &records {
        assert_eq!(record["service"], "task-api", "{record}");
        assert_eq!(record["severity_text"], "ERROR", "{record}");
        assert_eq!(
            record["attributes"]["http.response.status_code"], "500",
            "{record}"
        );
        assert_eq!(
            record["attributes"]["error.type"], "injected_fault",
            "{record}"
        );
    }
    a_trace_is_there(stack, &records).await;

    stack.switch(Fault::Errors, false).await;
    for alert in ["TaskApiAvailability", "TaskApiFailing"] {
        stack
            .wait_for_mail("[RESOLVED]", alert, UNTIL_RESOLVED)
            .await;
    }
}

/// The trace that one of `records` names, with the failed request's span in it.
async fn a_trace_is_there(stack: &Stack, records: &[Value]) {
    // Not the newest: spans and records are exported at different moments.
    let record = records.last().unwrap();
    let trace = record["trace_id"].as_str().unwrap();
    let answer = stack.get(&format!("/api/v1/traces/{trace}")).await;
    let spans = answer["spans"].as_array().unwrap();
    let failed = spans
        .iter()
        .find(|span| span["span_id"] == record["span_id"]);
    let failed = failed.unwrap_or_else(|| panic!("no span of {record} in {answer}"));
    assert_eq!(
        failed["attributes"]["http.response.status_code"], "500",
        "{failed}"
    );
}

async fn slowness_and_replica_lag_are_paged_and_resolved(stack: &mut Stack) {
    let faults = [
        (Fault::Latency, "TaskApiLatency"),
        (Fault::ReplicaLag, "TaskApiReplicaLag"),
    ];
    for (fault, _) in faults {
        stack.switch(fault, true).await;
    }
    for (_, alert) in faults {
        stack.wait_for_mail("[FIRING:", alert, UNTIL_FIRING).await;
    }
    for (fault, _) in faults {
        stack.switch(fault, false).await;
    }
    for (_, alert) in faults {
        stack
            .wait_for_mail("[RESOLVED]", alert, UNTIL_RESOLVED)
            .await;
    }
}
