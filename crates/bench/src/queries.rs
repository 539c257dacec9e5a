//! The eight log queries that systems are compared by, each with the answer it must give.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::corpus::Meta;
use crate::server::Server;

/// Measured runs of each query, after a first.
const RUNS: u32 = 11;
/// The most records of a page.
const PAGE: u64 = 100;

/// A query and the right answer.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// Its name in tables.
    pub(crate) name: &'static str,
    path: &'static str,
    body: Value,
    answer: Answer,
}

/// What a query must return.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    /// So many records in the page.
    Records(u64),
    /// Records by severity, in capitals.
    Severities(BTreeMap<String, u64>),
    /// Rows of SQL.
    Rows(Vec<Vec<Value>>),
}

/// What a query cost.
#[derive(Debug, Clone)]
pub(crate) struct Cost {
    /// Median wall time.
    pub(crate) wall: Duration,
    /// Mean CPU time of the server.
    pub(crate) cpu: Duration,
    /// Blocks scanned and blocks in all splits looked at; of SQL nothing is known.
    pub(crate) blocks: Option<(u64, u64)>,
}

#[derive(Debug, Deserialize)]
struct Stats {
    blocks_scanned: u64,
    blocks_total: u64,
}

/// The queries over corpora that lie side by side in time; `corpora` is not empty. Needles are those
/// of the first.
pub(crate) fn over(corpora: &[Meta]) -> Vec<Query> {
    let first = &corpora[0];
    let start = corpora.iter().map(|c| c.start).min().unwrap_or(first.start);
    let end = corpora.iter().map(|c| c.end).max().unwrap_or(first.end) + 1;
    let range = move |mut body: Value| {
        body["start"] = json!(format!("{start}000000000"));
        body["end"] = json!(format!("{end}000000000"));
        body
    };
    let sum = |of: fn(&Meta) -> u64| corpora.iter().map(of).sum::<u64>();
    let search = |name, query: String, records| Query {
        name,
        path: "/api/v1/logs/search",
        body: range(json!({"query": query, "limit": PAGE})),
        answer: Answer::Records(records),
    };
    let count = |name, condition: &str, records: u64| Query {
        name,
        path: "/api/v1/sql",
        body: json!({"query": format!("SELECT count(*) FROM logs WHERE {condition}")}),
        answer: Answer::Rows(vec![vec![json!(records.to_string())]]),
    };
    let mut queries = vec![
        search(
            "q1 one trace id",
            format!("trace_id:{}", first.needle_trace_id),
            first.expect.q1_needle,
        ),
        search(
            "q2 phrase + service, newest 100",
            "\"connection pool exhausted\" AND service:billing".to_owned(),
            PAGE.min(sum(|c| c.expect.q2_pool_billing)),
        ),
        search(
            "q3 rare word (1 in 100,000), newest 100",
            "ledgerdesync".to_owned(),
            PAGE.min(sum(|c| c.expect.q3_rare)),
        ),
        Query {
            name: "q4 count by 5 min and severity",
            path: "/api/v1/logs/histogram",
            body: range(json!({"query": "", "step": "5m", "by": ["severity"]})),
            answer: Answer::Severities(severities(corpora)),
        },
    ];
    // The top users of several corpora together cannot be told from those of each.
    if let [only] = corpora {
        queries.push(top_users(only));
    }
    queries.extend([
        search("q6 newest 100, no filter", String::new(), PAGE),
        count(
            "q7 regex over the body, count",
            "body ~ 'timeout after [0-9]{4,}ms'",
            sum(|c| c.expect.q7_regex),
        ),
        count(
            "q8 numeric range, count",
            "number(attributes['duration_ms']) > 900",
            sum(|c| c.expect.q8_slow),
        ),
    ]);
    queries
}

fn severities(corpora: &[Meta]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (severity, count) in corpora.iter().flat_map(|corpus| &corpus.expect.q4_severity) {
        *all.entry(severity.clone()).or_default() += count;
    }
    all
}

fn top_users(corpus: &Meta) -> Query {
    let rows = corpus.expect.q5_top_users.iter().map(|entry| {
        let (user, count) = entry.split_once('=').unwrap_or((entry, ""));
        vec![json!(user), json!(count)]
    });
    Query {
        name: "q5 top 10 of the users",
        path: "/api/v1/sql",
        // Of users with the same count the generator lists the greater first.
        body: json!({"query": "SELECT attributes['user_id'], count(*) AS n FROM logs \
            WHERE attributes['user_id'] IS NOT NULL GROUP BY 1 ORDER BY n DESC, 1 DESC LIMIT 10"}),
        answer: Answer::Rows(rows.collect()),
    }
}

impl Query {
    /// Runs it once and checks the answer; its wall time and what it read.
    ///
    /// # Errors
    ///
    /// The server refuses it, or the answer is wrong.
    pub(crate) async fn run(
        &self,
        client: &reqwest::Client,
        server_url: &str,
    ) -> anyhow::Result<(Duration, Option<(u64, u64)>)> {
        let started = Instant::now();
        let answer = self.send(client, server_url).await?;
        let wall = started.elapsed();
        let got = self.read(&answer)?;
        ensure!(
            got == self.answer,
            "{}: {got:?} instead of {:?}",
            self.name,
            self.answer
        );
        let stats = answer
            .get("stats")
            .cloned()
            .map(serde_json::from_value::<Stats>);
        let blocks = stats
            .transpose()?
            .map(|stats| (stats.blocks_scanned, stats.blocks_total));
        Ok((wall, blocks))
    }

    /// Whether it asks for a stretch of time; SQL here asks for everything.
    pub(crate) fn is_search(&self) -> bool {
        !matches!(self.answer, Answer::Rows(_))
    }

    async fn send(&self, client: &reqwest::Client, server_url: &str) -> anyhow::Result<Value> {
        let url = format!("{server_url}{}", self.path);
        let answer = client
            .post(url)
            .json(&self.body)
            .send()
            .await
            .context("send a query")?;
        let status = answer.status();
        let body = answer.text().await.context("read an answer")?;
        ensure!(status.is_success(), "{}: {status} {body}", self.name);
        serde_json::from_str(&body).with_context(|| format!("{}: read the answer", self.name))
    }

    fn read(&self, answer: &Value) -> anyhow::Result<Answer> {
        ensure!(
            answer["partial"] != json!(true),
            "{}: the answer is partial",
            self.name
        );
        Ok(match self.answer {
            Answer::Records(_) => {
                let records = answer["records"].as_array().context("no records")?;
                Answer::Records(records.len() as u64)
            }
            Answer::Severities(_) => {
                let mut counts = BTreeMap::new();
                for bucket in answer["buckets"].as_array().context("no buckets")? {
                    for (name, count) in bucket["counts"].as_object().context("no counts")? {
                        let count = count.as_u64().context("a count is no number")?;
                        *counts.entry(name.to_uppercase()).or_default() += count;
                    }
                }
                Answer::Severities(counts)
            }
            Answer::Rows(_) => {
                let rows = serde_json::from_value(answer["rows"].clone()).context("no rows")?;
                Answer::Rows(rows)
            }
        })
    }
}

/// Runs a query once, then measures it.
///
/// # Errors
///
/// As [`Query::run`].
pub(crate) async fn measure(
    query: &Query,
    client: &reqwest::Client,
    server: &Server,
) -> anyhow::Result<Cost> {
    query.run(client, &server.url).await?;
    let mut walls = Vec::new();
    let mut blocks = None;
    let before = server.process.cpu()?;
    for _ in 0..RUNS {
        let (wall, read) = query.run(client, &server.url).await?;
        walls.push(wall);
        blocks = read;
    }
    let cpu = server.process.cpu()?.saturating_sub(before) / RUNS;
    walls.sort_unstable();
    Ok(Cost {
        wall: walls[walls.len() / 2],
        cpu,
        blocks,
    })
}
