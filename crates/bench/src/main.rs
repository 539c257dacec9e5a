//! Measures the whole server, as its users run it: a real binary, real OTLP over loopback, real
//! queries whose answers are checked, and a yardstick taken in the same run.
//!
//! Every figure is CPU time, bytes or a count of the server's process; wall times are printed too
//! but swing with the machine. A figure stands only when the answers are right: any wrong answer
//! ends the run with an error.

mod corpus;
mod logs;
mod merging;
mod metrics;
mod mixed;
mod process;
mod queries;
mod server;
mod yardstick;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::server::Peer;

/// Measures a server binary.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Ingest and the eight log queries, at one or more sizes of the stored data.
    Logs {
        #[command(flatten)]
        setup: Setup,
        /// Sizes at which the queries are measured, as multiples of the corpus, ascending.
        #[arg(long, value_delimiter = ',', default_value = "1")]
        sizes: Vec<u32>,
    },
    /// Remote write and five PromQL queries, beside Prometheus and VictoriaMetrics.
    Metrics {
        #[command(flatten)]
        setup: Setup,
        #[command(flatten)]
        shape: metrics::Shape,
        /// Prometheus' binary.
        #[arg(long)]
        prometheus: Option<PathBuf>,
        /// VictoriaMetrics' binary.
        #[arg(long)]
        victoria_metrics: Option<PathBuf>,
    },
    /// Ingest in many small splits, without and with merging them.
    Merging {
        #[command(flatten)]
        setup: Setup,
        /// Records of each split before it is merged, rounded up to whole requests.
        #[arg(long, default_value_t = 32_000)]
        split_records: u64,
    },
    /// Ingest at full speed while clients search and follow, beside the same searches when idle.
    Mixed {
        #[command(flatten)]
        setup: Setup,
        /// Clients that search, one search after the other.
        #[arg(long, default_value_t = 20)]
        searchers: usize,
        /// Clients that follow new records.
        #[arg(long, default_value_t = 20)]
        followers: usize,
    },
}

/// What every measurement is told.
#[derive(Debug, clap::Args)]
struct Setup {
    /// The server to measure, a release build.
    #[arg(long, default_value = "target/release/watchkeeper")]
    server: PathBuf,
    /// The load generator that makes and sends the corpora.
    #[arg(long, env = "WATCHKEEPER_LOADGEN")]
    loadgen: PathBuf,
    /// Records of the corpus.
    #[arg(long, default_value_t = 2_000_000)]
    records: u64,
    /// Where corpora and data directories go; several gigabytes. A temporary folder when absent.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Fails only when one is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    match Arguments::parse().measurement {
        Measurement::Logs { setup, sizes } => logs::measure(&setup, &sizes).await,
        Measurement::Merging {
            setup,
            split_records,
        } => merging::measure(&setup, split_records).await,
        Measurement::Metrics {
            setup,
            shape,
            prometheus,
            victoria_metrics,
        } => {
            let peers = [
                (Peer::Prometheus, prometheus),
                (Peer::VictoriaMetrics, victoria_metrics),
            ];
            metrics::measure(&setup, &shape, peers).await
        }
        Measurement::Mixed {
            setup,
            searchers,
            followers,
        } => mixed::measure(&setup, searchers, followers).await,
    }
}
