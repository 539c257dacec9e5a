//! Remote write and five PromQL queries, for the server and its peers in one run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use tokio::process::Command;

use crate::Setup;
use crate::corpus::{self, Sent};
use crate::server::{Peer, Server};

/// Measured runs of each query, after a first.
const RUNS: u32 = 11;
const SEED: u64 = 42;
/// How long after the last sample queries ask, seconds: at a sample's own time windows of
/// Prometheus 2 have one sample more than those of Prometheus 3.
const AFTER: u64 = 7;
/// How far two values of the same query may be apart, relative to the greater.
const TOLERANCE: f64 = 1e-9;

/// The queries, by the names of the goals. All but m2 are asked for one moment.
const QUERIES: [Query; 5] = [
    Query {
        name: "m1",
        text: "sum by (job) (rate(http_requests_total[5m]))",
        over: None,
    },
    Query {
        name: "m2",
        text: "histogram_quantile(0.99, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))",
        over: Some((55 * 60, 60)),
    },
    Query {
        name: "m3",
        text: "topk(10, sum by (instance) (rate(http_requests_total[5m])))",
        over: None,
    },
    Query {
        name: SERIES_COUNT,
        text: "count({__name__=~\".+\"})",
        over: None,
    },
    Query {
        name: "m5",
        text: "sum(rate(http_requests_total{code=\"500\"}[1h])) / sum(rate(http_requests_total[1h])) / (1 - 0.999)",
        over: None,
    },
];

/// The query that must return how many series there are.
const SERIES_COUNT: &str = "m4";

/// What a dashboard asks of a day and of a month, 720 points each; asked when so much was sent.
const LONG_QUERIES: [Query; 2] = [
    Query {
        name: "m1 over 1 d",
        text: "sum by (job) (rate(http_requests_total[5m]))",
        over: Some((24 * 60 * 60, 2 * 60)),
    },
    Query {
        name: "m1 over 30 d",
        text: "sum by (job) (rate(http_requests_total[1h]))",
        over: Some((30 * 24 * 60 * 60, 60 * 60)),
    },
];

/// A query of the measurement.
#[derive(Debug, Clone, Copy)]
struct Query {
    name: &'static str,
    text: &'static str,
    /// The stretch before the end and the step, seconds; absent for one moment.
    over: Option<(u64, u64)>,
}

/// How much data there is.
#[derive(Debug, clap::Args)]
pub(crate) struct Shape {
    /// Time series.
    #[arg(long, default_value_t = 50_000)]
    series: u64,
    /// Samples of each.
    #[arg(long, default_value_t = 240)]
    samples: u64,
    /// Milliseconds between two samples of a series.
    #[arg(long, default_value_t = 15_000)]
    step_ms: u64,
}

impl Shape {
    /// The queries that so much data can answer.
    fn queries(&self) -> Vec<Query> {
        let seconds = self.samples * self.step_ms / 1000;
        let long = LONG_QUERIES.into_iter();
        let long = long.filter(|query| query.over.is_some_and(|(stretch, _)| stretch <= seconds));
        QUERIES.into_iter().chain(long).collect()
    }
}

/// A corpus of samples.
#[derive(Debug)]
struct Corpus {
    file: PathBuf,
    meta: Meta,
}

#[derive(Debug, Deserialize)]
struct Meta {
    samples: u64,
    raw_bytes: u64,
    /// The last sample's time, Unix seconds.
    end: u64,
}

/// What one system cost.
#[derive(Debug)]
struct Figures {
    name: &'static str,
    sent: Sent,
    /// After ingest, bytes.
    peak_resident: u64,
    queries: Vec<Cost>,
}

/// What a query returned and what it cost.
#[derive(Debug)]
struct Cost {
    query: Query,
    /// Median wall time.
    wall: Duration,
    /// Mean CPU time of the server.
    cpu: Duration,
    answer: Values,
}

/// Values by labels, in the order of time.
type Values = BTreeMap<String, Vec<f64>>;

/// Prints a table with a column for each system.
///
/// # Errors
///
/// Something fails, or the server's answers are not those of Prometheus.
pub(crate) async fn measure(
    setup: &Setup,
    shape: &Shape,
    peers: [(Peer, Option<PathBuf>); 2],
) -> anyhow::Result<()> {
    let folder = setup.folder()?;
    let corpus = Corpus::generate(&setup.loadgen, folder.path(), shape).await?;
    let server = Server::start(&setup.server, folder.path()).await?;
    let queries = shape.queries();
    let mut all = vec![figures("Watchkeeper", server, setup, &corpus, &queries).await?];
    for (peer, binary) in peers {
        let Some(binary) = binary else { continue };
        let name = match peer {
            Peer::Prometheus => "Prometheus",
            Peer::VictoriaMetrics => "VictoriaMetrics",
        };
        let server = Server::start_peer(peer, &binary, folder.path()).await?;
        let of_peer = figures(name, server, setup, &corpus, &queries).await?;
        // VictoriaMetrics defines rates otherwise, so its values are not ours.
        if peer == Peer::Prometheus {
            compare(&all[0], &of_peer)?;
        }
        all.push(of_peer);
    }
    let counted = all[0].queries.iter();
    let counted = counted.filter(|cost| cost.query.name == SERIES_COUNT);
    let counted: Vec<f64> = counted
        .flat_map(|cost| cost.answer.values().flatten().copied())
        .collect();
    ensure!(
        counted == [shape.series as f64],
        "{SERIES_COUNT} counts {counted:?} series instead of {}",
        shape.series
    );
    print(shape, &corpus.meta, &all)
}

impl Corpus {
    async fn generate(loadgen: &Path, folder: &Path, shape: &Shape) -> anyhow::Result<Self> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("read the clock")?;
        let file = folder.join("metrics.rw");
        let mut command = Command::new(loadgen);
        command.arg("gen-metrics").arg("--out").arg(&file);
        for (name, value) in [
            ("--seed", SEED),
            ("--series", shape.series),
            ("--samples", shape.samples),
            ("--step-ms", shape.step_ms),
            ("--end", now.as_secs()),
        ] {
            command.args([name, &value.to_string()]);
        }
        let meta = serde_json::from_slice(&corpus::run(command).await?.stdout)
            .context("read what loadgen printed")?;
        Ok(Self { file, meta })
    }
}

async fn figures(
    name: &'static str,
    server: Server,
    setup: &Setup,
    corpus: &Corpus,
    queries: &[Query],
) -> anyhow::Result<Figures> {
    let url = format!("{}/api/v1/write", server.url);
    let protocol = [
        "--content-encoding",
        "snappy",
        "--header",
        "X-Prometheus-Remote-Write-Version:0.1.0",
    ];
    let sent = corpus::send(&setup.loadgen, &corpus.file, &url, &server, &protocol).await?;
    let peak_resident = server.process.peak_resident()?;
    let client = reqwest::Client::new();
    let mut costs = Vec::new();
    for query in queries {
        costs.push(cost(*query, corpus.meta.end + AFTER, &client, &server).await?);
    }
    server.stop().await?;
    Ok(Figures {
        name,
        sent,
        peak_resident,
        queries: costs,
    })
}

async fn cost(
    query: Query,
    end: u64,
    client: &reqwest::Client,
    server: &Server,
) -> anyhow::Result<Cost> {
    let mut answer = run(query, end, client, server).await?;
    let mut walls = Vec::new();
    let before = server.process.cpu()?;
    for _ in 0..RUNS {
        let started = Instant::now();
        answer = run(query, end, client, server).await?;
        walls.push(started.elapsed());
    }
    walls.sort_unstable();
    Ok(Cost {
        query,
        wall: walls[walls.len() / 2],
        cpu: server.process.cpu()?.saturating_sub(before) / RUNS,
        answer,
    })
}

async fn run(
    query: Query,
    end: u64,
    client: &reqwest::Client,
    server: &Server,
) -> anyhow::Result<Values> {
    // VictoriaMetrics keeps results; what is measured is how they come about.
    let mut form = vec![
        ("query", query.text.to_owned()),
        ("nocache", "1".to_owned()),
    ];
    let path = match query.over {
        Some((stretch, step)) => {
            form.push(("start", (end - stretch).to_string()));
            form.push(("end", end.to_string()));
            form.push(("step", step.to_string()));
            "query_range"
        }
        None => {
            form.push(("time", end.to_string()));
            "query"
        }
    };
    let url = format!("{}/api/v1/{path}", server.url);
    let answer = client.post(url).form(&form).send().await;
    let answer = answer.context("send a query")?;
    let status = answer.status();
    let body = answer.text().await.context("read an answer")?;
    let name = query.name;
    ensure!(status.is_success(), "{name}: {status} {body}");
    let answer: Answer =
        serde_json::from_str(&body).with_context(|| format!("{name}: read the answer"))?;
    answer.data.result.into_iter().map(Element::read).collect()
}

#[derive(Debug, Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    result: Vec<Element>,
}

#[derive(Debug, Deserialize)]
struct Element {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Element {
    fn read(self) -> anyhow::Result<(String, Vec<f64>)> {
        let values = self.value.into_iter().chain(self.values);
        let numbers = values.map(|(_, text)| text.parse().context("a value is no number"));
        Ok((
            format!("{:?}", self.metric),
            numbers.collect::<anyhow::Result<_>>()?,
        ))
    }
}

/// Whether the answers agree.
fn compare(ours: &Figures, theirs: &Figures) -> anyhow::Result<()> {
    let is_close = |a: &f64, b: &f64| {
        let both_nan = a.is_nan() && b.is_nan();
        both_nan || a == b || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
    };
    for (our_cost, their_cost) in ours.queries.iter().zip(&theirs.queries) {
        let name = our_cost.query.name;
        let (a, b) = (&our_cost.answer, &their_cost.answer);
        let agrees = a.len() == b.len()
            && a.iter().zip(b).all(|((a_labels, a), (b_labels, b))| {
                a_labels == b_labels
                    && a.len() == b.len()
                    && a.iter().zip(b).all(|(a, b)| is_close(a, b))
            });
        ensure!(agrees, "{name}: {a:?} is not {}'s {b:?}", theirs.name);
    }
    Ok(())
}

fn print(shape: &Shape, meta: &Meta, all: &[Figures]) -> anyhow::Result<()> {
    println!(
        "\n{} series × {} samples, one every {} ms; {} bytes a sample, uncompressed\n",
        shape.series,
        shape.samples,
        shape.step_ms,
        meta.raw_bytes / meta.samples
    );
    let row = |name: &str, cells: Vec<String>| println!("| {name} | {} |", cells.join(" | "));
    let each = |cell: &dyn Fn(&Figures) -> anyhow::Result<String>| {
        all.iter().map(cell).collect::<anyhow::Result<Vec<_>>>()
    };
    row("", each(&|of| Ok(of.name.to_owned()))?);
    println!("|---|{}", "---:|".repeat(all.len()));
    let millions = meta.samples as f64 / 1e6;
    row(
        "samples a second",
        each(&|of| Ok(format!("{:.0}", of.sent.items_per_s)))?,
    );
    for (name, figure) in [
        ("CPU-s per million, sending", "server_cpu_s_during"),
        ("CPU-s per million, settled", "server_cpu_s_settled"),
    ] {
        let cells = each(&|of| Ok(format!("{:.2}", of.sent.figure(figure)? / millions)))?;
        row(name, cells);
    }
    row(
        "bytes a sample, everything in the data directory",
        each(&|of| {
            let bytes = of.sent.figure("disk_bytes")?;
            Ok(format!("{:.2}", bytes / meta.samples as f64))
        })?,
    );
    row(
        "peak resident memory after ingest, MiB",
        each(&|of| Ok((of.peak_resident >> 20).to_string()))?,
    );
    row(
        "of that, bytes a series",
        each(&|of| Ok((of.peak_resident / shape.series).to_string()))?,
    );
    for (index, query) in shape.queries().iter().enumerate() {
        let cells = each(&|of| {
            let cost = &of.queries[index];
            let (wall, cpu) = (cost.wall.as_secs_f64() * 1e3, cost.cpu.as_secs_f64() * 1e3);
            Ok(format!("{wall:.1} / {cpu:.1}"))
        })?;
        row(&format!("{}, wall / CPU ms", query.name), cells);
    }
    Ok(())
}
