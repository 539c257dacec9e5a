//! `cargo xtask …`: run the demo, break it, build the web UI, run every test.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use xtask::demo::{Demo, DemoOptions, DemoState, Ports};
use xtask::fault::Fault;
use xtask::postgres::Binaries;
use xtask::prerequisite::Prerequisite;
use xtask::{checks, gate, workspace};

/// The workspace's chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs the task API on PostgreSQL, Watchkeeper, a mail catcher and traffic, until Ctrl-C.
    Demo {
        /// Requests per second.
        #[arg(long, default_value_t = 20.0)]
        rate: f64,
        /// Use ports that are free now instead of the usual ones.
        #[arg(long)]
        free_ports: bool,
        /// Run the task API on SQLite, without a replica.
        #[arg(long)]
        sqlite: bool,
    },
    /// Breaks the running demo, or mends it.
    Fault { fault: Fault, switch: Switch },
    /// Builds the web UI and runs all tests.
    Test,
    /// Checks format, lints, the rules about dependencies and the page of metrics.
    Lint,
    /// Counts instructions and bytes of ingest and holds them against limits.
    Gate,
    /// `lint`, then `test`.
    Ci,
    /// Builds the web UI.
    Ui,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // reqwest is built without a TLS provider, so that the workspace has one choice of it.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let root = workspace::root()?;
    let folder = root.join(".demo");
    match Arguments::parse().task {
        Task::Demo {
            rate,
            free_ports,
            sqlite,
        } => demo(root, folder, rate, free_ports, sqlite).await,
        Task::Fault { fault, switch } => {
            let state = DemoState::read(&folder)?;
            fault.switch(&state, matches!(switch, Switch::On)).await?;
            println!("{}", expectation(fault, switch, &state));
            Ok(())
        }
        Task::Test => checks::test(&root).await,
        Task::Lint => checks::lint(&root).await,
        Task::Gate => gate::check(&root).await,
        Task::Ci => checks::ci(&root).await,
        Task::Ui => {
            Prerequisite::Node.ensure().await?;
            workspace::build_ui(&root).await
        }
    }
}

async fn demo(
    root: PathBuf,
    folder: PathBuf,
    rate: f64,
    free_ports: bool,
    sqlite: bool,
) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    if !workspace::ui_is_built(&root) {
        build_ui_if_possible(&root).await;
    }
    let programs = workspace::build_programs(&root).await?;
    let postgres = if sqlite { None } else { find_postgres().await };
    let ports = if free_ports {
        Ports::free()?
    } else {
        Ports::FIXED
    };
    let options = DemoOptions {
        root,
        folder,
        ports,
        programs,
        postgres,
        rate,
    };

    println!("starting …");
    let started = Demo::start(&options, |mail| println!("mail: {}", mail.subject));
    let mut demo = tokio::select! {
        started = started => started?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    welcome(demo.state());
    let mut looks = tokio::time::interval(Duration::from_secs(1));
    let ended = loop {
        tokio::select! {
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
            _ = looks.tick() => if let Err(error) = demo.check_alive() { break Err(error) },
        }
    };
    println!("\nstopping …");
    let stopped = demo.stop().await;
    ended.and(stopped)
}

/// The server runs without its UI and says how to build it, so this is no reason to stop.
async fn build_ui_if_possible(root: &std::path::Path) {
    if !workspace::ui(root).join("package.json").is_file() {
        return;
    }
    let built = match Prerequisite::Node.ensure().await {
        Ok(()) => workspace::build_ui(root).await,
        Err(error) => Err(error),
    };
    if let Err(error) = built {
        eprintln!("without web pages: {error:#}");
    }
}

async fn find_postgres() -> Option<Binaries> {
    if let Err(error) = Prerequisite::Postgres.ensure().await {
        eprintln!("{error:#}\nthe task API runs on SQLite; replica lag needs PostgreSQL");
    }
    Binaries::find()
}

fn welcome(state: &DemoState) {
    println!(
        "
  Logs      {0}/ui/logs
  Alerts    {0}/ui/alerts
  Mail      {1}
  Task API  {2}

  Prometheus' API at {0}/prometheus, Loki's at {0}

  In another terminal:  cargo xtask fault errors|latency|replica-lag on|off
  Stop with Ctrl-C.
",
        state.watchkeeper,
        state.mail,
        state.apis.join("  "),
    );
    if state.standby.is_none() {
        println!("  The task API runs on SQLite: no replica, so no replica lag.\n");
    }
}

/// What to look at next.
fn expectation(fault: Fault, switch: Switch, state: &DemoState) -> String {
    let what = match (fault, switch) {
        (Fault::Errors, Switch::On) => "four requests of ten fail now; an alert fires",
        (Fault::Latency, Switch::On) => "requests take 600 ms longer now; an alert fires",
        (Fault::ReplicaLag, Switch::On) => "the standby stands still now; an alert fires",
        (_, Switch::Off) => "mended; the alert resolves",
    };
    format!(
        "{what} within a minute: {}/ui/alerts, mail at {}",
        state.watchkeeper, state.mail
    )
}
