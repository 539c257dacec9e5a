//! People using the task API: a few accounts that list, read, write and now and then mistype.
//!
//! The rate is bounded and spread evenly; failures of the API are what the demo is about, so they
//! are counted and otherwise shrugged off.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Tasks one user keeps; beyond it he deletes instead of creating.
const MAX_TASKS: usize = 40;
/// A new login after so many requests: a hash costs the API far more than anything else.
const REQUESTS_PER_LOGIN: u32 = 400;
const PASSWORD: &str = "correct horse battery staple";

/// What to send, and where.
#[derive(Debug, Clone)]
pub struct TrafficConfig {
    /// Base URLs of the instances, `http://127.0.0.1:8081`; requests alternate between them.
    pub instances: Vec<String>,
    /// Requests per second, all users together.
    pub rate: f64,
    /// Simulated users.
    pub users: usize,
}

/// What was sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Requests answered.
    pub answered: u64,
    /// Of these, with 5xx.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    answered: AtomicU64,
    failed: AtomicU64,
}

/// Running traffic.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    users: JoinSet<()>,
    counters: Arc<Counters>,
}

impl Traffic {
    /// Starts all users.
    ///
    /// # Errors
    ///
    /// When the HTTP client cannot be built.
    pub fn start(config: &TrafficConfig) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(10))
            .build();
        let client = client.context("build the HTTP client")?;
        let (stop, counters) = (CancellationToken::new(), Arc::<Counters>::default());
        #[expect(clippy::cast_precision_loss, reason = "a handful of users")]
        let pause = Duration::from_secs_f64(config.users as f64 / config.rate);
        let mut users = JoinSet::new();
        for number in 0..config.users {
            let user = SimulatedUser {
                client: client.clone(),
                instances: config.instances.clone(),
                email: format!("user{number}-{:08x}@example.org", fastrand::u32(..)),
                token: None,
                requests: 0,
                tasks: Vec::new(),
                read_after: None,
                counters: counters.clone(),
            };
            #[expect(clippy::cast_precision_loss, reason = "a handful of users")]
            let offset = pause.mul_f64(number as f64 / config.users as f64);
            let stop = stop.clone();
            users.spawn(async move {
                stop.run_until_cancelled(user.live(offset, pause)).await;
            });
        }
        Ok(Self {
            stop,
            users,
            counters,
        })
    }

    /// What was sent so far.
    pub fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            answered: self.counters.answered.load(Ordering::Relaxed),
            failed: self.counters.failed.load(Ordering::Relaxed),
        }
    }

    /// Stops all users.
    pub async fn stop(mut self) -> TrafficCounts {
        self.stop.cancel();
        while self.users.join_next().await.is_some() {}
        self.counts()
    }
}

struct SimulatedUser {
    client: reqwest::Client,
    instances: Vec<String>,
    email: String,
    token: Option<String>,
    requests: u32,
    tasks: Vec<String>,
    /// The position of the last write, shown with each read: any instance then knows of it.
    read_after: Option<String>,
    counters: Arc<Counters>,
}

impl SimulatedUser {
    /// One request every `pause`, beginning after `offset`.
    async fn live(mut self, offset: Duration, pause: Duration) {
        tokio::time::sleep(offset).await;
        let mut ticks = tokio::time::interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let credentials = json!({"email": self.email, "password": PASSWORD});
        let mut registered = false;
        loop {
            ticks.tick().await;
            if !registered {
                let request = self
                    .request(Method::POST, "/api/v1/register")
                    .json(&credentials);
                // A lost answer may still have made the account: taken is as good.
                let status = self.send(request).await.map(|answer| answer.status());
                registered = matches!(status, Some(StatusCode::CREATED | StatusCode::CONFLICT));
            } else if self.token.is_none() || self.requests > REQUESTS_PER_LOGIN {
                self.log_in(&credentials).await;
            } else {
                self.act().await;
            }
        }
    }

    async fn log_in(&mut self, credentials: &Value) {
        self.requests = 0;
        let request = self
            .request(Method::POST, "/api/v1/login")
            .json(credentials);
        let Some(answer) = self.send(request).await else {
            return;
        };
        let body: Value = answer.json().await.unwrap_or_default();
        self.token = body["access_token"].as_str().map(ToOwned::to_owned);
    }

    /// One thing a user does, by its share of a working day.
    async fn act(&mut self) {
        match fastrand::u32(0..100) {
            0..40 => self.list().await,
            40..70 if !self.tasks.is_empty() => self.read().await,
            70..85 if self.tasks.len() < MAX_TASKS => self.create().await,
            85..93 if !self.tasks.is_empty() => self.change().await,
            93..98 if self.tasks.len() > 3 => self.delete().await,
            98..100 => self.mistype().await,
            _ if self.tasks.len() < MAX_TASKS => self.create().await,
            _ => self.delete().await,
        }
    }

    async fn list(&mut self) {
        let filter = ["", "?status=open", "?status=done", "?limit=10"];
        let path = format!("/api/v1/tasks{}", filter[fastrand::usize(..filter.len())]);
        let request = self.reading(Method::GET, &path);
        self.send(request).await;
    }

    async fn read(&mut self) {
        let path = format!("/api/v1/tasks/{}", self.some_task());
        let request = self.reading(Method::GET, &path);
        self.send(request).await;
    }

    async fn create(&mut self) {
        let titles = [
            "water the plants",
            "call the dentist",
            "review the release",
            "buy milk",
        ];
        let task = json!({"title": titles[fastrand::usize(..titles.len())]});
        let request = self.request(Method::POST, "/api/v1/tasks").json(&task);
        let Some(answer) = self.send(request).await else {
            return;
        };
        if answer.status() == StatusCode::CREATED {
            let task: Value = answer.json().await.unwrap_or_default();
            self.tasks
                .extend(task["id"].as_str().map(ToOwned::to_owned));
        }
    }

    async fn change(&mut self) {
        let path = format!("/api/v1/tasks/{}", self.some_task());
        let status = ["open", "in_progress", "done"][fastrand::usize(..3)];
        let request = self
            .request(Method::PATCH, &path)
            .json(&json!({"status": status}));
        self.send(request).await;
    }

    async fn delete(&mut self) {
        let index = fastrand::usize(..self.tasks.len());
        let path = format!("/api/v1/tasks/{}", self.tasks[index]);
        let request = self.request(Method::DELETE, &path);
        let status = self.send(request).await.map(|answer| answer.status());
        if matches!(status, Some(StatusCode::NO_CONTENT | StatusCode::NOT_FOUND)) {
            self.tasks.swap_remove(index);
        }
    }

    async fn mistype(&mut self) {
        let request = self
            .request(Method::POST, "/api/v1/tasks")
            .json(&json!({"title": ""}));
        self.send(request).await;
    }

    fn some_task(&self) -> String {
        self.tasks[fastrand::usize(..self.tasks.len())].clone()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let instance = &self.instances[fastrand::usize(..self.instances.len())];
        let request = self.client.request(method, format!("{instance}{path}"));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    fn reading(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.request(method, path);
        match &self.read_after {
            Some(position) => request.header("x-read-after", position),
            None => request,
        }
    }

    /// The answer, if there was one; counted, and looked at for what the next request needs.
    async fn send(&mut self, request: RequestBuilder) -> Option<Response> {
        self.requests += 1;
        let answer = request.send().await.ok()?;
        self.counters.answered.fetch_add(1, Ordering::Relaxed);
        if answer.status().is_server_error() {
            self.counters.failed.fetch_add(1, Ordering::Relaxed);
        }
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.token = None;
        }
        let position = answer
            .headers()
            .get("x-read-after")
            .and_then(|value| value.to_str().ok());
        if let Some(position) = position {
            self.read_after = Some(position.to_owned());
        }
        Some(answer)
    }
}
