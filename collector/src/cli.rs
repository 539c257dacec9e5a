//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Observability in one binary: OpenTelemetry in, log search, metrics, traces and alerts out.
#[derive(Debug, Parser)]
#[command(name = "watchkeeper", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one in the whole process"
)]
pub(crate) enum Command {
    /// Run the server: every role in one process, no other service needed
    Serve(ServeArgs),
    /// Check rule, SLO, notification and server configuration files
    Check(CheckArgs),
    /// Check a data directory: ingest log, splits, catalog
    Verify(VerifyArgs),
}

/// A flag overrides the environment (`WATCHKEEPER_…`), which overrides the configuration file.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file; without it `watchkeeper.yaml` is read when it exists
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything durable lies [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Web UI, query APIs and OTLP under /otlp [default: 127.0.0.1:8770]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
    /// OTLP over gRPC [default: 127.0.0.1:4317]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) otlp_grpc: Option<String>,
    /// OTLP over HTTP [default: 127.0.0.1:4318]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) otlp_http: Option<String>,
    /// Where people reach this server; the base of links in messages
    #[arg(long, value_name = "URL")]
    pub(crate) external_url: Option<String>,
    /// Prometheus rule files
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) rules: Vec<PathBuf>,
    /// SLO files (Sloth prometheus/v1)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) slos: Vec<PathBuf>,
    /// Routes and receivers, in Alertmanager's form
    #[arg(long, value_name = "FILE")]
    pub(crate) notify: Option<PathBuf>,
    /// What to scrape: files with `scrape_configs`; a `prometheus.yml` will do
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) scrape: Vec<PathBuf>,
    /// When ready, write the addresses and the process id to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files of any kind; the kind is told by their contents
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The server's configuration file, which names data directory and database
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory [default: ./data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}
