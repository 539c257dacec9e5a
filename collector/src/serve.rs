//! The server's life: start, run, and a stop that mirrors the start.

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alerting::{Configuration, Engine, Seams, SystemClock};
use anyhow::Context as _;
use axum::Router;
use model::TenantId;
use serde_json::json;
use store::{Readiness, Store};
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::app::{App, AppState};
use crate::cli::ServeArgs;
use crate::config::{Config, SyslogConfig};
use crate::query_cost::QueryGate;
use crate::receivers::{BodyBudget, otlp_grpc, syslog};
use crate::rules::{DatabaseStateStore, StoreDataSource, StoreSampleSink};
use crate::scrape::{Scraper, StoreSink};
use crate::{clock, http, scrape, self_metrics};

/// Exit code for a configuration that cannot be used (sysexits' EX_CONFIG).
const EX_CONFIG: u8 = 78;

/// How often readiness is looked at while the log is replayed.
const READY_POLL: Duration = Duration::from_millis(20);

/// Runs the server until it is told to stop.
///
/// # Errors
///
/// What kept it from starting, or from stopping cleanly.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    // Everything is checked before a port opens.
    let config = match Config::load(&args, std::env::vars()) {
        Ok(config) => config,
        Err(err) => {
            eprintln!("watchkeeper: {err}");
            return Ok(ExitCode::from(EX_CONFIG));
        }
    };
    start_logging(&config.log_filter)?;
    let rules = match Configuration::load(&config.alerting(String::new())) {
        Ok(rules) => rules,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EX_CONFIG));
        }
    };
    drop(rules);
    for remark in &config.scrape.remarks {
        tracing::warn!("{remark}");
    }
    if let Err(problem) = scrape::check(&config.scrape.jobs) {
        eprintln!("watchkeeper: scrape_configs: {problem}");
        return Ok(ExitCode::from(EX_CONFIG));
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(serve(config, args.ready_file.as_deref()))
}

/// Start and stop in one screen: what starts last stops first.
async fn serve(config: Config, ready_file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let stop = signals()?;
    let ports = Ports::bind(&config).await?;
    let metrics = self_metrics::install().context("install the metrics recorder")?;
    let store = Store::open(config.store.clone())
        .await
        .context("open the data directory")?;
    let engine = start_rules(&config, &ports, &store).await?;
    let scraper = start_scraping(&config, &store)?;
    let app: App = Arc::new(AppState {
        store: store.clone(),
        engine: engine.clone(),
        scraper: scraper.clone(),
        config: config.clone(),
        started: clock::now(),
        limits: config.limits,
        bodies: BodyBudget::new(config.limits.bodies_in_flight),
        queries: QueryGate::new(
            config.limits.concurrent_queries,
            config.limits.query_timeout,
        ),
        metrics,
        stopping: stop.clone(),
    });
    let addresses = ports.addresses()?;
    let servers = Servers::start(ports, &app, &config.syslog);

    let outcome = tokio::select! {
        failure = announce_when_ready(&store, &addresses, ready_file) => failure,
        () = stop.cancelled() => Ok(()),
    };
    if outcome.is_ok() {
        stop.cancelled().await;
    }

    tracing::info!("stopping: no new requests are taken");
    servers.stop(config.limits.drain).await;
    scraper.shutdown().await;
    engine.shutdown().await;
    let report = store.shutdown().await.context("close the store")?;
    tracing::info!(
        rows_sealed = report.rows_sealed,
        rows_left_in_log = report.rows_left_in_log,
        "stopped"
    );
    for problem in &report.problems {
        tracing::warn!(problem, "not sealed; replayed at the next start");
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

fn start_logging(filter: &str) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .with_context(|| format!("log_filter {filter:?}"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Standard output carries only the line of addresses.
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|err| anyhow::anyhow!("start logging: {err}"))
}

/// A token that SIGTERM and SIGINT cancel.
fn signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}

/// The listening sockets.
struct Ports {
    http: TcpListener,
    otlp_grpc: TcpListener,
    otlp_http: TcpListener,
    syslog_tcp: Option<TcpListener>,
    syslog_udp: Option<UdpSocket>,
}

/// Where they listen: with the ports that were picked for port 0.
struct Addresses {
    http: SocketAddr,
    otlp_grpc: SocketAddr,
    otlp_http: SocketAddr,
    syslog_tcp: Option<SocketAddr>,
    syslog_udp: Option<SocketAddr>,
}

impl Ports {
    async fn bind(config: &Config) -> anyhow::Result<Self> {
        let bind = async |name: &str, address: SocketAddr| {
            TcpListener::bind(address)
                .await
                .with_context(|| format!("listen on {address} for {name}"))
        };
        Ok(Self {
            http: bind("HTTP", config.http).await?,
            otlp_grpc: bind("OTLP over gRPC", config.otlp_grpc).await?,
            otlp_http: bind("OTLP over HTTP", config.otlp_http).await?,
            syslog_tcp: match config.syslog.tcp {
                Some(address) => Some(bind("syslog over TCP", address).await?),
                None => None,
            },
            syslog_udp: match config.syslog.udp {
                Some(address) => Some(
                    UdpSocket::bind(address)
                        .await
                        .with_context(|| format!("listen on {address} for syslog over UDP"))?,
                ),
                None => None,
            },
        })
    }

    fn addresses(&self) -> anyhow::Result<Addresses> {
        let address =
            |listener: &TcpListener| listener.local_addr().context("read a port's address");
        Ok(Addresses {
            http: address(&self.http)?,
            otlp_grpc: address(&self.otlp_grpc)?,
            otlp_http: address(&self.otlp_http)?,
            syslog_tcp: self.syslog_tcp.as_ref().map(address).transpose()?,
            syslog_udp: match &self.syslog_udp {
                Some(socket) => Some(socket.local_addr().context("read a port's address")?),
                None => None,
            },
        })
    }
}

/// Starts the rules, which wait until the store answers over everything it holds.
async fn start_rules(config: &Config, ports: &Ports, store: &Store) -> anyhow::Result<Engine> {
    let external_url = match &config.external_url {
        Some(url) => url.clone(),
        None => format!("http://{}", ports.addresses()?.http),
    };
    let configuration =
        Configuration::load(&config.alerting(external_url)).context("load rules")?;
    let tenant = TenantId::default_tenant();
    let state = DatabaseStateStore::open(store.database().clone(), tenant.clone())
        .await
        .context("open the alert states")?;
    let seams = Seams {
        data: Arc::new(StoreDataSource {
            store: store.clone(),
            tenant: tenant.clone(),
            timeout: config.limits.query_timeout,
            evaluation_interval: config.evaluation_interval,
        }),
        sink: Arc::new(StoreSampleSink {
            store: store.clone(),
            tenant,
        }),
        state: Arc::new(state),
        clock: Arc::new(SystemClock),
    };
    Ok(Engine::start(configuration, seams, ready(store.clone())))
}

/// Starts the scrapes, which wait for the store as the rules do.
fn start_scraping(config: &Config, store: &Store) -> anyhow::Result<Scraper> {
    let sink = StoreSink {
        store: store.clone(),
    };
    let jobs = config.scrape.jobs.clone();
    Scraper::start(jobs, Arc::new(sink), ready(store.clone()))
        .map_err(|problem| anyhow::anyhow!("start scraping: {problem}"))
}

/// Ends when the store is ready; never, when its replay has failed.
async fn ready(store: Store) {
    while !store.ready().is_ready() {
        tokio::time::sleep(READY_POLL).await;
    }
}

/// Waits for the replay, then says where the server listens.
async fn announce_when_ready(
    store: &Store,
    addresses: &Addresses,
    ready_file: Option<&Path>,
) -> anyhow::Result<()> {
    loop {
        match store.ready() {
            Readiness::Ready => break,
            Readiness::Replaying { .. } => tokio::time::sleep(READY_POLL).await,
            Readiness::Failed(message) => anyhow::bail!(
                "{message}; run `watchkeeper verify`, or start with another --data-dir"
            ),
        }
    }
    let Addresses {
        http,
        otlp_grpc,
        otlp_http,
        syslog_tcp,
        syslog_udp,
    } = addresses;
    let mut line = format!(
        "watchkeeper is ready: http=http://{http} otlp_grpc=http://{otlp_grpc} otlp_http=http://{otlp_http}"
    );
    let mut ready = json!({
        "http": http.to_string(),
        "otlp_grpc": otlp_grpc.to_string(),
        "otlp_http": otlp_http.to_string(),
        "pid": std::process::id(),
    });
    for (name, scheme, address) in [
        ("syslog_tcp", "tcp", syslog_tcp),
        ("syslog_udp", "udp", syslog_udp),
    ] {
        if let Some(address) = address {
            line.push_str(&format!(" {name}={scheme}://{address}"));
            ready[name] = address.to_string().into();
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("print the addresses")?;
    if let Some(path) = ready_file {
        write_whole(path, &format!("{ready}\n"))
            .with_context(|| format!("write the ready file {}", path.display()))?;
    }
    Ok(())
}

/// Writes a file that readers see whole or not at all.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    std::fs::write(&name, text)?;
    std::fs::rename(&name, path)
}

/// The servers and how they are stopped.
struct Servers {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Servers {
    fn start(ports: Ports, app: &App, syslog: &SyslogConfig) -> Self {
        let servers = Self {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        servers.http("HTTP", ports.http, http::routes(App::clone(app)));
        servers.http(
            "OTLP over HTTP",
            ports.otlp_http,
            http::otlp_routes(App::clone(app)),
        );
        servers.grpc(ports.otlp_grpc, otlp_grpc::routes(App::clone(app)));
        let sink = syslog::Sink {
            app: App::clone(app),
            tenant: syslog.tenant.clone(),
            utc_offset: syslog.utc_offset,
            stop: servers.stop.clone(),
        };
        if let Some(listener) = ports.syslog_tcp {
            let served = syslog::serve_tcp(listener, sink.clone());
            servers.tasks.spawn(served);
        }
        if let Some(socket) = ports.syslog_udp {
            servers.tasks.spawn(syslog::serve_udp(socket, sink));
        }
        servers.tasks.close();
        servers
    }

    fn http(&self, name: &'static str, listener: TcpListener, routes: Router) {
        let stop = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move {
            let served = axum::serve(listener, routes)
                .with_graceful_shutdown(stop)
                .await;
            if let Err(err) = served {
                tracing::error!(error = %err, "{name} ended");
            }
        });
    }

    fn grpc(&self, listener: TcpListener, routes: Router) {
        let stop = self.stop.clone().cancelled_owned();
        self.tasks.spawn(async move {
            let served = tonic::transport::Server::builder()
                .tcp_nodelay(true)
                // Each stream may hold a whole message before the budget sees it.
                .max_concurrent_streams(64)
                .http2_keepalive_interval(Some(Duration::from_secs(60)))
                .add_routes(Routes::from(routes))
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
                .await;
            if let Err(err) = served {
                tracing::error!(error = %err, "OTLP over gRPC ended");
            }
        });
    }

    /// Takes no more connections and waits for requests in flight, at most `drain`.
    async fn stop(self, drain: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(drain, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                seconds = drain.as_secs_f64(),
                "connections were still open at the end of the drain and are cut"
            );
        }
    }
}
