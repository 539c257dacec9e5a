//! Whole jobs against targets on this machine, with a sink that only remembers.

mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use model::TenantId;
use tokio_util::sync::CancellationToken;

use super::config::Written;
use super::sink::{NotWritten, Sink, Written as Taken};
use super::status::Health;
use super::{Scraper, TargetView};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Remembers what it is given, or refuses it.
#[derive(Default)]
struct Memory {
    bodies: Mutex<Vec<Bytes>>,
    refuses: Mutex<bool>,
}

#[async_trait]
impl Sink for Memory {
    async fn write(&self, tenant: &TenantId, body: Bytes, at: i64) -> Result<Taken, NotWritten> {
        assert!(at > 0 && *tenant == TenantId::default_tenant());
        if *self.refuses.lock().unwrap() {
            return Err(NotWritten("full".to_owned()));
        }
        self.bodies.lock().unwrap().push(body);
        Ok(Taken::default())
    }
}

/// What a target answers.
#[derive(Clone, Default)]
struct Page {
    body: Arc<Mutex<String>>,
    requests: Arc<Mutex<Vec<HeaderMap>>>,
}

/// A target on this machine; it ends when the test's runtime does.
async fn target(page: Page) -> String {
    async fn show(State(page): State<Page>, headers: HeaderMap) -> Response {
        page.requests.lock().unwrap().push(headers);
        let body = page.body.lock().unwrap().clone();
        let status = if body == "gone" { 410 } else { 200 };
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        (status, [(CONTENT_TYPE, "text/plain; version=0.0.4")], body).into_response()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let routes = Router::new().route("/metrics", get(show)).with_state(page);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

struct Running {
    scraper: Scraper,
    sink: Arc<Memory>,
}

/// Chooses the process's TLS provider, which building any client needs.
fn install_provider() {
    // Fails only when another test was first.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

fn start(yaml: &str) -> Running {
    install_provider();
    let written = Written {
        jobs: serde_saphyr::from_str(yaml).unwrap(),
        ..Written::default()
    };
    let sink = Arc::new(Memory::default());
    let jobs = written.check(None).unwrap().jobs;
    let scraper = Scraper::start(jobs, Arc::clone(&sink) as Arc<dyn Sink>, async {}).unwrap();
    Running { scraper, sink }
}

impl Running {
    fn targets(&self) -> Vec<TargetView> {
        let pools = self.scraper.pools(&TenantId::default_tenant());
        pools.iter().flat_map(|pool| pool.active()).collect()
    }

    async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {:?}", self.targets());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn writes(&self) -> usize {
        self.sink.bodies.lock().unwrap().len()
    }
}

#[tokio::test]
async fn a_target_is_scraped_fails_and_comes_back() {
    let page = Page::default();
    let address = target(page.clone()).await;
    let running = start(&format!(
        "[{{job_name: j, scrape_interval: 50ms, static_configs: [{{targets: ['{address}']}}], \
         basic_auth: {{username: u, password: p}}}}]"
    ));
    let health = |running: &Running| running.targets().first().map(|view| view.last.health);
    running
        .until("up", |running| health(running) == Some(Health::Up))
        .await;
    let asked = page.requests.lock().unwrap()[0].clone();
    // base64 of u:p.
    assert_eq!(asked[AUTHORIZATION], "Basic dTpw");
    assert_eq!(asked["x-prometheus-scrape-timeout-seconds"], "0.05");
    assert!(
        asked["accept"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );

    "gone".clone_into(&mut page.body.lock().unwrap());
    running
        .until("down", |running| health(running) == Some(Health::Down))
        .await;
    let error = running.targets()[0].last.error.clone();
    assert_eq!(error, "server returned HTTP status 410 Gone");
    "x one\n".clone_into(&mut page.body.lock().unwrap());
    let is_malformed = |running: &Running| {
        let targets = running.targets();
        targets[0].last.error == "line 1, column 3: expected a value, found \"one\""
    };
    running.until("malformed", is_malformed).await;
    "x 1\n".clone_into(&mut page.body.lock().unwrap());
    running
        .until("up again", |running| health(running) == Some(Health::Up))
        .await;
    running.scraper.shutdown().await;
    let writes = running.writes();
    tokio::task::yield_now().await;
    assert_eq!(
        running.writes(),
        writes,
        "nothing is written after the shutdown"
    );
}

#[tokio::test]
async fn a_full_store_is_said_and_survived() {
    let address = target(Page::default()).await;
    let running = start(&format!(
        "[{{job_name: j, scrape_interval: 50ms, static_configs: [{{targets: ['{address}']}}]}}]"
    ));
    *running.sink.refuses.lock().unwrap() = true;
    let error = |running: &Running| {
        let targets = running.targets();
        targets
            .first()
            .map(|view| view.last.error.clone())
            .unwrap_or_default()
    };
    running
        .until("refused", |running| {
            error(running) == "the samples were not stored: full"
        })
        .await;
    assert_eq!(running.targets()[0].last.health, Health::Up);
    *running.sink.refuses.lock().unwrap() = false;
    running
        .until("stored", |running| {
            running.writes() > 0 && error(running).is_empty()
        })
        .await;
    running.scraper.shutdown().await;
}

#[tokio::test]
async fn a_target_that_is_too_slow_is_down_and_does_not_hold_up_the_shutdown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = start(&format!(
        "[{{job_name: slow, scrape_interval: 100ms, static_configs: [{{targets: ['{address}']}}]}}, \
         {{job_name: slower, scrape_interval: 1h, scrape_timeout: 1h, \
           static_configs: [{{targets: ['{address}']}}]}}]"
    ));
    let is_late = |running: &Running| {
        let targets = running.targets();
        targets
            .iter()
            .any(|view| view.last.error == "no answer within 100ms")
    };
    running.until("late", is_late).await;
    let stopped = tokio::time::timeout(PATIENCE, running.scraper.shutdown()).await;
    assert!(stopped.is_ok());
}

#[tokio::test]
async fn http_discovery_brings_targets_keeps_them_and_takes_them_away() {
    let (first, second) = (target(Page::default()).await, target(Page::default()).await);
    let list = Arc::new(Mutex::new(format!(
        r#"[{{"targets": ["{first}"], "labels": {{"env": "test"}}}}]"#
    )));
    let shown = Arc::clone(&list);
    let routes = Router::new().route(
        "/",
        get(move || async move {
            let body = shown.lock().unwrap().clone();
            ([(CONTENT_TYPE, "application/json")], body)
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let running = start(&format!(
        "[{{job_name: j, scrape_interval: 50ms, http_sd_configs: [{{url: '{url}', refresh_interval: 20ms}}], \
         relabel_configs: [{{source_labels: [__meta_url], target_label: from}}]}}]"
    ));
    let instances = |running: &Running| -> BTreeMap<String, String> {
        let targets = running.targets();
        let labels = targets.iter().map(|view| view.target.labels.clone());
        labels
            .map(|labels| {
                let get = |name: &str| labels.get(name).unwrap_or_default().to_owned();
                (get("instance"), format!("{} {}", get("env"), get("from")))
            })
            .collect()
    };
    let only =
        |address: &str, env: &str| BTreeMap::from([(address.to_owned(), format!("{env} {url}"))]);
    running
        .until("found", |running| {
            instances(running) == only(&first, "test")
        })
        .await;
    running
        .until("scraped", |running| running.writes() > 0)
        .await;
    "[{".clone_into(&mut list.lock().unwrap());
    let writes = running.writes();
    running
        .until("still scraped", |running| running.writes() > writes + 2)
        .await;
    assert_eq!(instances(&running), only(&first, "test"));
    *list.lock().unwrap() = format!(r#"[{{"targets": ["{second}"]}}]"#);
    running
        .until("changed", |running| instances(running) == only(&second, ""))
        .await;
    running.scraper.shutdown().await;
}

#[tokio::test]
async fn a_discovery_urls_password_is_used_and_not_shown() {
    async fn list(headers: HeaderMap) -> Response {
        // base64 of u:p.
        let is_known = headers
            .get(AUTHORIZATION)
            .is_some_and(|value| value == "Basic dTpw");
        let body = match is_known {
            true => r#"[{"targets": ["127.0.0.1:1"]}]"#,
            false => "[]",
        };
        ([(CONTENT_TYPE, "application/json")], body).into_response()
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/", get(list));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let running = start(&format!(
        "[{{job_name: j, scrape_interval: 1h, http_sd_configs: [{{url: 'http://u:p@{address}/'}}]}}]"
    ));
    running
        .until("found", |running| !running.targets().is_empty())
        .await;
    let discovered = running.targets()[0].discovered.clone();
    let shown = format!("http://u:xxxxx@{address}/");
    assert_eq!(discovered.get("__meta_url"), Some(shown.as_str()));
    running.scraper.shutdown().await;
}

#[tokio::test]
async fn nothing_is_scraped_before_the_store_is_ready() {
    install_provider();
    let page = Page::default();
    let address = target(page.clone()).await;
    let written = Written {
        jobs: serde_saphyr::from_str(&format!(
            "[{{job_name: j, scrape_interval: 10ms, static_configs: [{{targets: ['{address}']}}]}}]"
        ))
        .unwrap(),
        ..Written::default()
    };
    let ready = CancellationToken::new();
    let jobs = written.check(None).unwrap().jobs;
    let sink: Arc<dyn Sink> = Arc::new(Memory::default());
    let scraper = Scraper::start(jobs, sink, ready.clone().cancelled_owned()).unwrap();
    tokio::task::yield_now().await;
    assert!(page.requests.lock().unwrap().is_empty());
    ready.cancel();
    let begun = Instant::now();
    while page.requests.lock().unwrap().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "not scraped");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    scraper.shutdown().await;
}
