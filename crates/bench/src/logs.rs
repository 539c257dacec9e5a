//! Ingest, then the eight queries, at growing sizes of the stored data.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::Setup;
use crate::corpus::{Corpus, Meta, SPAN_SECONDS, Sent};
use crate::queries;
use crate::server::Server;
use crate::yardstick::{self, Yardstick};

/// The seed of the first corpus; others follow.
const SEED: u64 = 42;

/// Prints one table for ingest and one for the queries at each size.
///
/// # Errors
///
/// Something fails, or an answer is wrong.
pub(crate) async fn measure(setup: &Setup, sizes: &[u32]) -> anyhow::Result<()> {
    ensure!(
        sizes.is_sorted() && sizes.first().is_some_and(|first| *first > 0),
        "sizes must ascend from at least 1; got {sizes:?}"
    );
    let folder = setup.folder()?;
    let server = Server::start(&setup.server, folder.path()).await?;
    let client = reqwest::Client::new();
    let mut stored: Vec<Meta> = Vec::new();
    for size in sizes {
        while stored.len() < *size as usize {
            let number = stored.len() as u64;
            let corpus = setup.corpus(&folder, number).await?;
            let yardstick = (number == 0)
                .then(|| yardstick::measure(&corpus.file))
                .transpose()?;
            let sent = corpus.send(&setup.loadgen, &server).await?;
            if let Some(yardstick) = yardstick {
                print_ingest(&corpus.meta, &sent, &yardstick, &server)?;
            }
            stored.push(corpus.remove()?);
        }
        let records: u64 = stored.iter().map(|corpus| corpus.records).sum();
        println!("\nQueries over {records} records, sealed and settled\n");
        println!("| query | wall, ms | CPU, ms | blocks scanned |\n|---|---:|---:|---:|");
        for query in queries::over(&stored) {
            let cost = queries::measure(&query, &client, &server).await?;
            let blocks = cost
                .blocks
                .map(|(scanned, of)| format!("{scanned} of {of}"));
            println!(
                "| {} | {:.1} | {:.1} | {} |",
                query.name,
                cost.wall.as_secs_f64() * 1e3,
                cost.cpu.as_secs_f64() * 1e3,
                blocks.unwrap_or_default()
            );
        }
    }
    println!(
        "\npeak resident memory, queries included: {} MiB",
        server.process.peak_resident()? >> 20
    );
    server.stop().await
}

impl Setup {
    /// The folder that holds everything, removed at the end.
    pub(crate) fn folder(&self) -> anyhow::Result<TempDir> {
        match &self.folder {
            Some(folder) => TempDir::new_in(folder),
            None => TempDir::new(),
        }
        .context("make the folder of the measurement")
    }

    /// Corpus `number`: number 0 ends now, each other a day before the one before.
    pub(crate) async fn corpus(&self, folder: &TempDir, number: u64) -> anyhow::Result<Corpus> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("read the clock")?;
        let end = now.as_secs() - number * SPAN_SECONDS;
        Corpus::generate(
            &self.loadgen,
            folder.path(),
            self.records,
            SEED + number,
            end,
        )
        .await
    }
}

fn print_ingest(
    meta: &Meta,
    sent: &Sent,
    yardstick: &Yardstick,
    server: &Server,
) -> anyhow::Result<()> {
    let millions = meta.records as f64 / 1e6;
    let z = yardstick.cpu.as_secs_f64() / millions;
    let during = sent.figure("server_cpu_s_during")? / millions;
    let settled = sent.figure("server_cpu_s_settled")? / millions;
    let bytes = sent.figure("disk_bytes")? / meta.records as f64;
    println!(
        "\nIngest of {} records, {} bytes each\n",
        meta.records,
        meta.otlp_bytes / meta.records
    );
    println!("| | measured | in Z |\n|---|---:|---:|");
    println!("| records a second | {:.0} | |", sent.items_per_s);
    println!(
        "| CPU-s per million, sending | {during:.2} | {:.2} |",
        during / z
    );
    println!(
        "| CPU-s per million, sealed and settled | {settled:.2} | {:.2} |",
        settled / z
    );
    println!("| bytes a record, everything in the data directory | {bytes:.1} | |");
    println!(
        "| peak resident memory, MiB | {} | |",
        server.process.peak_resident()? >> 20
    );
    println!("| Z: `zstd -1`, CPU-s per million | {z:.2} | 1 |");
    println!(
        "| Z: bytes a record | {:.1} of {:.1} | |",
        yardstick.compressed_bytes as f64 / meta.records as f64,
        yardstick.raw_bytes as f64 / meta.records as f64
    );
    Ok(())
}
