//! `watchkeeper`: the server and its tools in one binary.
//!
//! Reading order: [`cli`] (what can be asked), [`config`] (one checked configuration), [`serve`]
//! (start and its mirrored stop), [`receivers`] (telemetry in), [`http`] (queries and the web UI),
//! [`rules`] (the alerting engine's seams over the store), [`scrape`] (targets that are asked for
//! their metrics).

mod app;
mod check;
mod cli;
mod clock;
mod config;
mod http;
mod query_cost;
mod receivers;
mod rules;
mod scrape;
mod self_metrics;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// A row group's columns are made by one thread and given back by another, which leaves holes of every
/// size: jemalloc keeps fewer of them than glibc does (`docs/adr/0008-allocator.md`). Its options are
/// in `.cargo/config.toml`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // One TLS stack for everything that dials out: rustls with ring.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("watchkeeper: a TLS provider is already installed");
        return ExitCode::FAILURE;
    }
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(&args),
        Command::Verify(args) => check::verify(args),
    };
    match result {
        Ok(code) => code,
        Err(err) => {
            eprintln!("watchkeeper: {err:#}");
            ExitCode::FAILURE
        }
    }
}
