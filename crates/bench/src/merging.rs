//! What merging small splits costs: the same records in the same small splits, taken in without
//! and with merging.
//!
//! Merging cannot be switched off, but a tenant's newest splits wait until there are eight of them.
//! So the first server gets the records as those of many tenants with a few splits each, the second
//! as those of one tenant. Either seals a split and is then left alone until it has settled: what
//! the second uses meanwhile beyond the first is merging's.

use std::fs::File;
use std::io::BufReader;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::Setup;
use crate::corpus::{Corpus, read_request};
use crate::process::Process;
use crate::queries;
use crate::server::Server;
use crate::yardstick::{self, Yardstick};

/// Splits of one tenant that merging leaves alone: fewer than the eight that it waits for.
const TOO_FEW: u64 = 4;
/// A server has settled when for so long it was idle and published no merge.
const QUIET: Duration = Duration::from_secs(2);
/// The CPU time that an idle server takes in [`QUIET`], at most.
const IDLE: Duration = Duration::from_millis(40);
/// How long settling may take.
const SETTLE_DEADLINE: Duration = Duration::from_secs(600);

/// Prints what is stored and what it cost without and with merging, and merging's own figures.
///
/// # Errors
///
/// Something fails, or an answer is wrong after merging.
pub(crate) async fn measure(setup: &Setup, split_records: u64) -> anyhow::Result<()> {
    ensure!(split_records > 0, "a split has at least one record; got 0");
    let folder = setup.folder()?;
    let corpus = setup.corpus(&folder, 0).await?;
    let yardstick = yardstick::measure(&corpus.file)?;

    let server = Server::start(&setup.server, folder.path()).await?;
    let tenant_of = |split: u64| format!("few-{}", split / TOO_FEW);
    let apart = take_in(&server, &corpus, split_records, tenant_of).await?;
    server.stop().await?;
    ensure!(
        apart.merges == Merges::default(),
        "splits were merged that should have been too few: {:?}",
        apart.merges
    );

    let server = Server::start(&setup.server, folder.path()).await?;
    let tenant_of = |_: u64| "default".to_owned();
    let merged = take_in(&server, &corpus, split_records, tenant_of).await?;
    let client = reqwest::Client::new();
    for query in queries::over(std::slice::from_ref(&corpus.meta)) {
        query.run(&client, &server.url).await?;
    }
    server.stop().await?;
    ensure!(
        merged.merges.count > 0,
        "nothing was merged: {} splits are too few; take more --records or fewer --split-records",
        merged.sealed
    );

    print_both(&corpus, &apart, &merged);
    print_merging(&corpus, &yardstick, &apart, &merged);
    Ok(())
}

/// What a corpus cost a server.
#[derive(Debug, Default)]
struct Cost {
    /// How often records were sealed.
    sealed: u64,
    /// From the first record of each split until it was sealed.
    ingest: Stage,
    /// From then until the server had settled.
    afterwards: Stage,
    /// What was merged.
    merges: Merges,
    /// What is there at the end.
    stored: Stored,
}

/// A stage that comes again with every split.
#[derive(Debug, Default)]
struct Stage {
    /// CPU time of all of them.
    cpu: Duration,
    /// The most memory that was resident in one of them, bytes.
    peak_resident: u64,
}

impl Stage {
    /// Adds what the process has used since its CPU time was `before` and its peak was forgotten.
    fn add(&mut self, process: Process, before: Duration) -> anyhow::Result<()> {
        self.cpu += process.cpu()?.saturating_sub(before);
        self.peak_resident = self.peak_resident.max(process.peak_resident()?);
        Ok(())
    }

    /// CPU seconds for each of so many millions of records.
    fn cpu_per(&self, millions: f64) -> f64 {
        self.cpu.as_secs_f64() / millions
    }

    fn peak_mib(&self) -> u64 {
        self.peak_resident >> 20
    }
}

/// Sends the corpus in splits of `split_records`; `tenant_of` says whose the split of a number is.
async fn take_in(
    server: &Server,
    corpus: &Corpus,
    split_records: u64,
    tenant_of: impl Fn(u64) -> String,
) -> anyhow::Result<Cost> {
    let client = reqwest::Client::new();
    let mut file = BufReader::new(File::open(&corpus.file).context("open the corpus")?);
    let mut cost = Cost::default();
    // What starting took is nobody's.
    settle(&client, server).await?;
    loop {
        let requests = next_requests(&mut file, split_records)?;
        if requests.is_empty() {
            break;
        }
        let tenant = tenant_of(cost.sealed);
        make_split(&client, server, &tenant, requests, &mut cost).await?;
    }
    cost.stored = Stored::read(&client, server).await?;
    ensure!(
        cost.stored.records == corpus.meta.records,
        "{} records are in splits; {} were acknowledged",
        cost.stored.records,
        corpus.meta.records
    );
    ensure!(cost.merges.failures == 0, "merges failed: {cost:?}");
    Ok(cost)
}

/// The bodies of the next requests, which have `records` together or a few more; at the end of the
/// file fewer.
fn next_requests(file: &mut BufReader<File>, records: u64) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    let mut read = 0;
    while read < records {
        let mut body = Vec::new();
        let Some(items) = read_request(file, &mut body)? else {
            break;
        };
        read += u64::from(items);
        requests.push(body);
    }
    Ok(requests)
}

/// Sends requests, has them sealed and waits until the server has settled.
async fn make_split(
    client: &reqwest::Client,
    server: &Server,
    tenant: &str,
    requests: Vec<Vec<u8>>,
    cost: &mut Cost,
) -> anyhow::Result<()> {
    let process = server.process;
    process.forget_peak()?;
    let begun = process.cpu()?;
    for body in requests {
        send(client, server, tenant, body).await?;
    }
    // Merging waits while records take half of the memory, and would then go on beside the next ones.
    let merges = Merges::read(client, server).await?;
    ensure!(
        merges == cost.merges,
        "splits were merged while records were sent; take fewer --split-records"
    );
    seal(client, server).await?;
    cost.sealed += 1;
    cost.ingest.add(process, begun)?;

    process.forget_peak()?;
    let sealed = process.cpu()?;
    cost.merges = settle(client, server).await?;
    cost.afterwards.add(process, sealed)
}

async fn send(
    client: &reqwest::Client,
    server: &Server,
    tenant: &str,
    body: Vec<u8>,
) -> anyhow::Result<()> {
    let answer = client
        .post(format!("{}/v1/logs", server.otlp))
        .header("content-type", "application/x-protobuf")
        .header("x-scope-orgid", tenant)
        .body(body)
        .send()
        .await
        .context("send records")?;
    let status = answer.status();
    let reply = answer.bytes().await.context("send records")?;
    // An answer says something only when it refuses records.
    ensure!(
        status.is_success() && reply.is_empty(),
        "records were refused: {status} {}",
        String::from_utf8_lossy(&reply)
    );
    Ok(())
}

async fn seal(client: &reqwest::Client, server: &Server) -> anyhow::Result<()> {
    let answer = client.post(format!("{}/-/flush", server.url)).send().await;
    let answer = answer.context("seal what was sent")?;
    answer.error_for_status().context("seal what was sent")?;
    Ok(())
}

/// Waits until the server has settled; what it has merged by then.
async fn settle(client: &reqwest::Client, server: &Server) -> anyhow::Result<Merges> {
    let started = Instant::now();
    loop {
        let merges = Merges::read(client, server).await?;
        let before = server.process.cpu()?;
        tokio::time::sleep(QUIET).await;
        let used = server.process.cpu()?.saturating_sub(before);
        if used <= IDLE && Merges::read(client, server).await? == merges {
            return Ok(merges);
        }
        ensure!(
            started.elapsed() < SETTLE_DEADLINE,
            "the server is still busy after {SETTLE_DEADLINE:?}: {merges:?}"
        );
    }
}

/// What the server says that it has merged since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Merges {
    /// Merges that were published.
    count: u64,
    /// Merges that failed.
    failures: u64,
    /// Records that were copied as they were.
    copied: u64,
    /// Records that were encoded anew.
    encoded: u64,
    /// Encoded bytes of both in the new splits, indexes not included.
    bytes: u64,
}

impl Merges {
    async fn read(client: &reqwest::Client, server: &Server) -> anyhow::Result<Self> {
        let metrics = get(client, format!("{}/metrics", server.url)).await?;
        let rows = "watchkeeper_compaction_rows_total";
        Ok(Self {
            count: sum(&metrics, "watchkeeper_compaction_merges_total", "")?,
            failures: sum(&metrics, "watchkeeper_compaction_failures_total", "")?,
            copied: sum(&metrics, rows, "how=\"copied\"")?,
            encoded: sum(&metrics, rows, "how=\"encoded\"")?,
            bytes: sum(&metrics, "watchkeeper_compaction_bytes_total", "")?,
        })
    }

    /// Records in the new splits; one that was merged twice counts twice.
    fn records(self) -> u64 {
        self.copied + self.encoded
    }
}

/// The splits of logs that queries see.
#[derive(Debug, Default)]
struct Stored {
    splits: u64,
    bytes: u64,
    records: u64,
}

impl Stored {
    async fn read(client: &reqwest::Client, server: &Server) -> anyhow::Result<Self> {
        // The metrics of what is stored are taken once a minute, and when somebody asks for this.
        get(client, format!("{}/api/v1/storage", server.url)).await?;
        let metrics = get(client, format!("{}/metrics", server.url)).await?;
        let logs = "signal=\"logs\"";
        Ok(Self {
            splits: sum(&metrics, "watchkeeper_storage_splits", logs)?,
            bytes: sum(&metrics, "watchkeeper_storage_bytes", logs)?,
            records: sum(&metrics, "watchkeeper_storage_rows", logs)?,
        })
    }

    fn bytes_a_record(&self) -> f64 {
        self.bytes as f64 / self.records as f64
    }
}

async fn get(client: &reqwest::Client, url: String) -> anyhow::Result<String> {
    let answer = client.get(url).send().await?.error_for_status()?;
    Ok(answer.text().await?)
}

/// The sum of a metric's series that have `label`, in Prometheus' text; 0 when there are none.
fn sum(metrics: &str, name: &str, label: &str) -> anyhow::Result<u64> {
    let mut sum = 0.0;
    for line in metrics.lines() {
        let series = line.strip_prefix(name).and_then(|series| {
            let labels_and_value = series.strip_prefix('{')?;
            labels_and_value.rsplit_once("} ")
        });
        if let Some((labels, value)) = series
            && labels.contains(label)
        {
            let value: f64 = value.parse().with_context(|| format!("read {line:?}"))?;
            sum += value;
        }
    }
    Ok(sum as u64)
}

fn print_both(corpus: &Corpus, apart: &Cost, merged: &Cost) {
    let meta = &corpus.meta;
    let millions = meta.records as f64 / 1e6;
    println!(
        "\n{} records of {} bytes, sealed {} times; answers are right after merging\n",
        meta.records,
        meta.otlp_bytes / meta.records,
        merged.sealed
    );
    println!("| | not merged | merged |\n|---|---:|---:|");
    println!(
        "| splits | {} | {} |",
        apart.stored.splits, merged.stored.splits
    );
    println!(
        "| bytes a record, in splits | {:.1} | {:.1} |",
        apart.stored.bytes_a_record(),
        merged.stored.bytes_a_record()
    );
    println!(
        "| CPU-s per million, until sealed | {:.2} | {:.2} |",
        apart.ingest.cpu_per(millions),
        merged.ingest.cpu_per(millions)
    );
    println!(
        "| CPU-s per million, from then until settled | {:.2} | {:.2} |",
        apart.afterwards.cpu_per(millions),
        merged.afterwards.cpu_per(millions)
    );
    println!(
        "| peak resident memory until sealed, MiB | {} | {} |",
        apart.ingest.peak_mib(),
        merged.ingest.peak_mib()
    );
    println!(
        "| peak resident memory from then until settled, MiB | {} | {} |",
        apart.afterwards.peak_mib(),
        merged.afterwards.peak_mib()
    );
}

fn print_merging(corpus: &Corpus, yardstick: &Yardstick, apart: &Cost, merged: &Cost) {
    let cpu = merged.afterwards.cpu.saturating_sub(apart.afterwards.cpu);
    let cpu = cpu.as_secs_f64();
    let merges = merged.merges;
    let stored = merged.stored.records as f64;
    let moved = merges.records() as f64;
    let z = yardstick.cpu.as_secs_f64() / (corpus.meta.records as f64 / 1e6);
    println!("\n| merging | measured | in Z |\n|---|---:|---:|");
    for (name, records) in [("merged", moved), ("stored", stored)] {
        let per_million = cpu / (records / 1e6);
        println!(
            "| CPU-s per million records {name} | {per_million:.2} | {:.2} |",
            per_million / z
        );
    }
    println!("| merges | {} | |", merges.count);
    println!(
        "| times that a record is merged | {:.2} | |",
        moved / stored
    );
    println!(
        "| records copied as they were, per cent of those merged | {:.0} | |",
        merges.copied as f64 / moved * 100.0
    );
    println!(
        "| encoded bytes written, per byte stored | {:.2} | |",
        merges.bytes as f64 / merged.stored.bytes as f64
    );
    println!("| Z: `zstd -1`, CPU-s per million | {z:.2} | 1 |");
}
