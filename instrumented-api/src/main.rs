//! `instrumented-api`: a task API that shows how a Rust service is instrumented.
//!
//! In reading order: `request` watches every HTTP request, `database` every statement,
//! `replication` the replica; `instruments` names the numbers; `telemetry` sends it all away.
//! `accounts`, `tasks` and `faults` are the product.

mod config;
mod telemetry;

mod instruments;
mod request;

mod database;
mod replication;

mod accounts;
mod error;
mod faults;
mod input;
mod server;
mod tasks;
mod token;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::config::Config;
use crate::database::Database;
use crate::instruments::Instruments;
use crate::replication::Replication;
use crate::server::App;
use crate::telemetry::{Identity, Telemetry};
use crate::token::Tokens;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let identity = Identity {
        instance_id: config
            .instance_id
            .clone()
            .unwrap_or_else(|| Uuid::new_v4().to_string()),
        environment: config.environment.clone(),
    };
    let telemetry = Telemetry::start(&identity)?;
    let outcome = run(config, identity, &telemetry).await;
    if let Err(reason) = &outcome {
        error!(
            exception.message = format!("{reason:#}"),
            "task API stopped"
        );
    }
    // Last, so that what happened on the way down is sent too.
    telemetry.shutdown().await;
    outcome
}

/// Start, serve, stop; the stop mirrors the start.
async fn run(config: Config, identity: Identity, telemetry: &Telemetry) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let instruments = Instruments::new();
    let database = Database::open(&config, instruments.clone()).await?;
    let replication = Replication::new(
        database.clone(),
        identity.instance_id.clone(),
        config.heartbeat_ms,
    );
    observe(&instruments, &database, &replication);
    let heartbeat = tokio::spawn(replication.clone().run(stop.child_token()));

    if config.jwt_secret.is_none() {
        warn!("no TASK_API_JWT_SECRET: tokens end with this process and no other accepts them");
    }
    let app = App {
        database: database.clone(),
        replication,
        instruments,
        tokens: Arc::new(Tokens::new(config.jwt_secret.as_ref())),
        faults: faults::FaultSwitches::default(),
        admin_token: config.admin_token.clone(),
        prometheus: telemetry.prometheus.clone(),
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listen on {}", config.listen))?;
    announce(&listener, config.ready_file.as_deref(), &identity)?;

    let served = server::serve(listener, server::routes(app), stop.clone()).await;
    stop.cancel();
    heartbeat.await.context("stop the heartbeat")?;
    database.close().await;
    info!("task API stopped");
    served
}

/// Registers what is asked for at each export rather than recorded when it happens.
fn observe(instruments: &Instruments, database: &Database, replication: &Replication) {
    let pools = database.clone();
    instruments.observe_pools(move || pools.pool_use());
    let replication = replication.clone();
    instruments.observe_lag(move || replication.lag_at(Timestamp::now()));
}

/// A token cancelled by SIGTERM or SIGINT.
fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

/// Says where we listen, on stdout and in the ready file (renamed into place, so that a reader
/// never finds half of it).
fn announce(
    listener: &TcpListener,
    ready_file: Option<&Path>,
    identity: &Identity,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("read the bound address")?;
    println!("task API listening on http://{address}");
    info!(
        server.address = %address.ip(),
        server.port = address.port(),
        service.instance.id = identity.instance_id,
        "task API started"
    );
    let Some(path) = ready_file else {
        return Ok(());
    };
    let ready = serde_json::json!({"http": address.to_string(), "pid": std::process::id()});
    let draft = path.with_extension("tmp");
    std::fs::write(&draft, ready.to_string())
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("write the ready file {}", path.display()))
}
