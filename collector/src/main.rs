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

fn main() -> ExitCode {
    bound_arenas();
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

/// Lets the C library keep one arena of memory for each core instead of eight.
///
/// A row group's columns are made by one thread and given back by another, so that each arena ends
/// up holding as much as the largest of them: the default's peak was 2.3 times as high. With a single
/// one, threads that share a query's work wait for its lock (`docs/benchmarks.md`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the C library has no other way to be told")]
fn bound_arenas() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let arenas = libc::c_int::try_from(cores).unwrap_or(libc::c_int::MAX);
    // SAFETY: mallopt takes two numbers and no pointer, and no other thread runs yet. A refusal
    // leaves the default.
    let _accepted = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn bound_arenas() {}
