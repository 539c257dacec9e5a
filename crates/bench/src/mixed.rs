//! Ingest at full speed while clients search and follow: no error, no lost record, and how much
//! slower the searches get.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::StreamExt;
use futures::future::try_join_all;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::Setup;
use crate::corpus::Corpus;
use crate::queries::{self, Query};
use crate::server::Server;

/// How long the searches are measured without ingest.
const IDLE: Duration = Duration::from_secs(20);
/// What followers ask for: few enough records that a client can read them.
const FOLLOWED: &str = "severity:>=error";
/// How long followers may take to read what was sent to them.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// A stream on which nothing comes for so long has said everything.
const QUIET: Duration = Duration::from_secs(1);

/// Prints the searches' wall times idle and under load, and what became of every record.
///
/// # Errors
///
/// A request fails, or a record is neither delivered nor reported as dropped.
pub(crate) async fn measure(
    setup: &Setup,
    searchers: usize,
    followers: usize,
) -> anyhow::Result<()> {
    let folder = setup.folder()?;
    let server = Server::start(&setup.server, folder.path()).await?;
    let stored = setup.corpus(&folder, 0).await?;
    stored.send(&setup.loadgen, &server).await?;
    let stored = stored.remove()?;
    // A day lies between the two, since the clock has gone on: the searches stay within the stored
    // day. SQL asks for everything, arriving records too.
    let arriving = setup.corpus(&folder, 2).await?;
    let queries: Vec<Query> = queries::over(std::slice::from_ref(&stored));
    let queries: Arc<[Query]> = queries.into_iter().filter(Query::is_search).collect();

    let idle = Searchers::start(searchers, &queries, &server);
    tokio::time::sleep(IDLE).await;
    let idle = idle.stop().await?;

    let follow: Vec<Follower> =
        try_join_all((0..followers).map(|_| Follower::start(&server.url))).await?;
    let loaded = Searchers::start(searchers, &queries, &server);
    let sent = send(&arriving, &setup.loadgen, &server).await?;
    let loaded = loaded.stop().await?;

    let arrived = arriving.meta.records;
    let matching: u64 = ["ERROR", "FATAL"]
        .iter()
        .filter_map(|severity| arriving.meta.expect.q4_severity.get(*severity))
        .sum();
    let heard: Vec<Heard> = try_join_all(follow.into_iter().map(Follower::finish)).await?;
    for heard in &heard {
        let Heard { delivered, dropped } = *heard;
        ensure!(
            delivered <= matching && matching <= delivered + dropped && dropped <= arrived,
            "of {matching} records a follower got {delivered}, and was told of {dropped} dropped"
        );
    }
    let kept = count(&server.url).await?;
    ensure!(
        kept == stored.records + arrived,
        "{kept} records are there; {} were acknowledged",
        stored.records + arrived
    );

    println!("\n{searchers} searchers and {followers} followers, {arrived} records arriving\n");
    println!("| | idle | under load | factor |\n|---|---:|---:|---:|");
    for (name, share) in [("p50", 0.50), ("p99", 0.99)] {
        let (idle, loaded) = (quantile(&idle, share), quantile(&loaded, share));
        println!(
            "| search {name}, ms | {:.0} | {:.0} | {:.1} |",
            idle.as_secs_f64() * 1e3,
            loaded.as_secs_f64() * 1e3,
            loaded.as_secs_f64() / idle.as_secs_f64()
        );
    }
    println!("| searches | {} | {} | |", idle.len(), loaded.len());
    println!("| records a second | | {sent:.0} | |");
    println!(
        "\nEvery record is stored. Of {matching} records that followers asked for, one got {} on average; \
         it was told of {} of all records that came too fast to be looked at.",
        mean(&heard, |heard| heard.delivered),
        mean(&heard, |heard| heard.dropped),
    );
    server.stop().await
}

async fn send(corpus: &Corpus, loadgen: &Path, server: &Server) -> anyhow::Result<f64> {
    Ok(corpus.send(loadgen, server).await?.items_per_s)
}

async fn count(server_url: &str) -> anyhow::Result<u64> {
    let answer: Value = reqwest::Client::new()
        .post(format!("{server_url}/api/v1/sql"))
        .json(&serde_json::json!({"query": "SELECT count(*) FROM logs"}))
        .send()
        .await?
        .error_for_status()?
        .json()
        .await?;
    let count = answer["rows"][0][0].as_str().context("read a count")?;
    count.parse().context("read a count")
}

fn mean(heard: &[Heard], figure: fn(&Heard) -> u64) -> u64 {
    let sum: u64 = heard.iter().map(figure).sum();
    sum / (heard.len() as u64).max(1)
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share) as usize;
    sorted
        .get(rank.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

/// Clients that send one search after the other.
struct Searchers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<anyhow::Result<Vec<Duration>>>>,
}

impl Searchers {
    fn start(clients: usize, queries: &Arc<[Query]>, server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let tasks = (0..clients).map(|client| {
            let (stop, queries, url) = (Arc::clone(&stop), Arc::clone(queries), server.url.clone());
            tokio::spawn(async move {
                let http = reqwest::Client::new();
                let mut walls = Vec::new();
                // Each begins elsewhere, so that all kinds run side by side.
                for query in queries.iter().cycle().skip(client) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    walls.push(query.run(&http, &url).await?.0);
                }
                Ok(walls)
            })
        });
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    /// Wall times of all searches, ascending.
    async fn stop(self) -> anyhow::Result<Vec<Duration>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut walls = Vec::new();
        for task in self.tasks {
            walls.extend(task.await.context("wait for a searcher")??);
        }
        walls.sort_unstable();
        ensure!(!walls.is_empty(), "no search came to its end");
        Ok(walls)
    }
}

/// A client that follows new records.
struct Follower {
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Follower {
    /// Connects; records that arrive from now on are counted.
    async fn start(server_url: &str) -> anyhow::Result<Self> {
        let answer = reqwest::Client::new()
            .get(format!("{server_url}/api/v1/logs/tail"))
            .query(&[("query", FOLLOWED)])
            .send()
            .await
            .context("follow")?
            .error_for_status()
            .context("follow")?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let task = tokio::spawn({
            let heard = Arc::clone(&heard);
            async move {
                let mut events = EventCounter::default();
                let mut stream = answer.bytes_stream();
                while let Some(bytes) = stream.next().await {
                    events.read(&bytes.context("read events")?)?;
                    *heard.lock().unwrap_or_else(PoisonError::into_inner) = events.heard;
                }
                anyhow::bail!("the server ended a stream of events")
            }
        });
        Ok(Self { heard, task })
    }

    /// Waits until the server has nothing more to say; what it said.
    async fn finish(self) -> anyhow::Result<Heard> {
        let all = async {
            let mut before = None;
            while before != Some(self.heard()) && !self.task.is_finished() {
                before = Some(self.heard());
                tokio::time::sleep(QUIET).await;
            }
        };
        let in_time = tokio::time::timeout(DRAIN_DEADLINE, all).await.is_ok();
        let heard = self.heard();
        if self.task.is_finished() {
            self.task.await.context("wait for a follower")??;
        } else {
            self.task.abort();
        }
        ensure!(in_time, "a follower is still behind: {heard:?}");
        Ok(heard)
    }

    fn heard(&self) -> Heard {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a follower was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Heard {
    /// Records that were delivered.
    delivered: u64,
    /// Records that came too fast to be looked at, whether they would have matched or not.
    dropped: u64,
}

/// Counts records in a stream of server-sent events.
#[derive(Debug, Default)]
struct EventCounter {
    line: Vec<u8>,
    is_dropped: bool,
    heard: Heard,
}

impl EventCounter {
    fn read(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            self.end_line(&line)?;
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }

    fn end_line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        if let Some(event) = line.strip_prefix(b"event:") {
            self.is_dropped = event.trim_ascii() == b"dropped";
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if !self.is_dropped {
                self.heard.delivered += 1;
                return Ok(());
            }
            let data: Value = serde_json::from_slice(data).context("read an event")?;
            let count = &data["count"];
            let text = count.as_str().and_then(|text| text.parse().ok());
            let count = count.as_u64().or(text);
            self.heard.dropped += count.context("an event without a count")?;
        }
        Ok(())
    }
}
