//! The whole stack as local processes: what `cargo xtask demo` shows and end-to-end tests drive.
//!
//! ```text
//!  traffic ──▶ task API 1 ─┬─▶ PostgreSQL primary ──▶ standby
//!         └──▶ task API 2 ─┘
//!                 │ OTLP/gRPC
//!                 ▼
//!            watchkeeper ──SMTP──▶ mail catcher
//! ```

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::children::{ManagedChild, StopSignals};
use crate::mail::{CaughtMail, MailCatcher};
use crate::postgres::{Admin, Binaries, PostgresPair};
use crate::traffic::{Traffic, TrafficConfig};

/// The token that opens the demo's fault switches. The APIs listen on loopback alone.
const ADMIN_TOKEN: &str = "demo";
/// Signs the demo's access tokens, so that both instances accept them.
const JWT_SECRET: &str = "only for the demo";
/// The mail catcher's address as `deploy/demo/notify.yml` names it.
const CONFIGURED_SMTP: &str = "127.0.0.1:2525";
/// How often the APIs export, in milliseconds. The demo's SLO windows are chosen for it: the
/// shortest is at least four times as long.
const EXPORT_INTERVAL_MS: &str = "1000";
const STATE_FILE: &str = "state.json";

/// Where each part listens, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Watchkeeper's pages and APIs.
    pub watchkeeper: u16,
    /// Its OTLP over gRPC.
    pub otlp_grpc: u16,
    /// Its OTLP over HTTP.
    pub otlp_http: u16,
    /// The task API's instances.
    pub apis: [u16; 2],
    /// The mail catcher's web page.
    pub mail: u16,
    /// The mail catcher's SMTP.
    pub smtp: u16,
}

impl Ports {
    /// The same at every start, so that bookmarks work.
    pub const FIXED: Self = Self {
        watchkeeper: 8770,
        otlp_grpc: 4317,
        otlp_http: 4318,
        apis: [8081, 8082],
        mail: 8025,
        smtp: 2525,
    };

    /// Ports nobody listens on at the moment.
    ///
    /// # Errors
    ///
    /// When the machine has none left.
    pub fn free() -> anyhow::Result<Self> {
        // All are held until the last is known, so that they differ.
        let held: Vec<_> = (0..7)
            .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .collect::<Result<_, _>>()
            .context("find free ports")?;
        let port = |index: usize| held[index].local_addr().map(|address| address.port());
        Ok(Self {
            watchkeeper: port(0)?,
            otlp_grpc: port(1)?,
            otlp_http: port(2)?,
            apis: [port(3)?, port(4)?],
            mail: port(5)?,
            smtp: port(6)?,
        })
    }

    /// Names the first port that is taken, and by which part it is wanted.
    fn check(&self) -> anyhow::Result<()> {
        for (port, part) in [
            (self.watchkeeper, "Watchkeeper's web page"),
            (self.otlp_grpc, "Watchkeeper's OTLP over gRPC"),
            (self.otlp_http, "Watchkeeper's OTLP over HTTP"),
            (self.apis[0], "the first task API"),
            (self.apis[1], "the second task API"),
            (self.mail, "the mail catcher's web page"),
            (self.smtp, "the mail catcher's SMTP"),
        ] {
            if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                bail!(
                    "port {port}, wanted for {part}, is not free ({error}); \
                     stop what listens there, or use --free-ports"
                );
            }
        }
        Ok(())
    }
}

/// The executables to run.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `watchkeeper`.
    pub watchkeeper: PathBuf,
    /// `instrumented-api`.
    pub instrumented_api: PathBuf,
}

/// How to run the stack.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The repository: `deploy/demo` holds rules, SLOs and routes.
    pub root: PathBuf,
    /// Data, logs and state; made empty at the start.
    pub folder: PathBuf,
    /// Where each part listens.
    pub ports: Ports,
    /// What runs.
    pub programs: Programs,
    /// PostgreSQL; without it each API has an SQLite file of its own and there is no replica.
    pub postgres: Option<Binaries>,
    /// Requests per second.
    pub rate: f64,
}

/// What another process needs to find the stack; kept in the folder's `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DemoState {
    /// Base URL of Watchkeeper.
    pub watchkeeper: String,
    /// Base URLs of the task API's instances.
    pub apis: Vec<String>,
    /// Their admin token.
    pub admin_token: String,
    /// Base URL of the mail catcher's page.
    pub mail: String,
    /// The standby's superuser; `None` on SQLite.
    pub standby: Option<Admin>,
    /// Process ids of server and APIs.
    pub processes: Vec<u32>,
}

impl DemoState {
    /// Reads the state of the stack that runs in `folder`.
    ///
    /// # Errors
    ///
    /// When none runs there.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(STATE_FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "no demo is running here ({}); start `cargo xtask demo` first",
                path.display()
            )
        })?;
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))
    }

    fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let (path, text) = (folder.join(STATE_FILE), serde_json::to_string_pretty(self)?);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))
    }
}

/// The running stack. Dropped without [`Demo::stop`], its processes end at once.
#[derive(Debug)]
pub struct Demo {
    folder: PathBuf,
    state: DemoState,
    traffic: Traffic,
    apis: Vec<ManagedChild>,
    watchkeeper: ManagedChild,
    postgres: Option<PostgresPair>,
    mail: MailCatcher,
}

impl Demo {
    /// Starts everything, in the order of dependence, and waits until each part is ready.
    ///
    /// # Errors
    ///
    /// What could not be started and why; nothing keeps running then.
    pub async fn start(
        options: &DemoOptions,
        on_mail: impl Fn(&CaughtMail) + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        refuse_second(&options.folder)?;
        options.ports.check()?;
        empty(&options.folder)?;
        let mail = MailCatcher::start(
            local(options.ports.smtp),
            local(options.ports.mail),
            options.folder.join("mail"),
            on_mail,
        )
        .await
        .context("start the mail catcher")?;
        let postgres = match &options.postgres {
            Some(binaries) => Some(options.start_postgres(binaries).await?),
            None => None,
        };
        let watchkeeper = options.start_watchkeeper(&mail).await?;
        let mut apis = Vec::new();
        for number in 0..options.ports.apis.len() {
            apis.push(options.start_api(number, postgres.as_ref()).await?);
        }
        let instances: Vec<_> = options.ports.apis.iter().map(|port| url(*port)).collect();
        let traffic = Traffic::start(&TrafficConfig {
            instances: instances.clone(),
            rate: options.rate,
            users: 8,
        })?;
        let state = DemoState {
            watchkeeper: url(options.ports.watchkeeper),
            apis: instances,
            admin_token: ADMIN_TOKEN.to_owned(),
            mail: format!("http://{}", mail.http()),
            standby: postgres.as_ref().map(|pair| pair.standby_admin().clone()),
            processes: apis
                .iter()
                .chain([&watchkeeper])
                .filter_map(ManagedChild::pid)
                .collect(),
        };
        state.write(&options.folder)?;
        let folder = options.folder.clone();
        Ok(Self {
            folder,
            state,
            traffic,
            apis,
            watchkeeper,
            postgres,
            mail,
        })
    }

    /// Where everything is.
    pub fn state(&self) -> &DemoState {
        &self.state
    }

    /// What was mailed.
    pub fn mail(&self) -> &MailCatcher {
        &self.mail
    }

    /// The traffic.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Fails when one of the processes has ended by itself.
    ///
    /// # Errors
    ///
    /// Names the process.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        let children = self.apis.iter_mut().chain([&mut self.watchkeeper]);
        for child in children {
            child.check_alive()?;
        }
        Ok(())
    }

    /// Stops everything, in the reverse order of the start.
    ///
    /// # Errors
    ///
    /// The first part that did not stop in order; all are gone in any case.
    pub async fn stop(self) -> anyhow::Result<()> {
        fs::remove_file(self.folder.join(STATE_FILE)).ok();
        self.traffic.stop().await;
        let mut outcome = Ok(());
        for api in self.apis {
            outcome = outcome.and(api.stop().await);
        }
        outcome = outcome.and(self.watchkeeper.stop().await);
        if let Some(postgres) = self.postgres {
            outcome = outcome.and(postgres.stop().await);
        }
        self.mail.stop().await;
        outcome
    }
}

impl DemoOptions {
    async fn start_postgres(&self, binaries: &Binaries) -> anyhow::Result<PostgresPair> {
        let inside = self.folder.join("postgres");
        // As root the servers run as another user, who may not enter the repository's folder.
        let place = match binaries.can_use(&inside).await {
            true => inside,
            false => {
                let name = format!("watchkeeper-demo-postgres-{}", self.ports.watchkeeper);
                let outside = std::env::temp_dir().join(name);
                empty(&outside)?;
                outside
            }
        };
        PostgresPair::start(binaries, &place)
            .await
            .context("start PostgreSQL")
    }

    async fn start_watchkeeper(&self, mail: &MailCatcher) -> anyhow::Result<ManagedChild> {
        let (demo, ready_file) = (
            self.root.join("deploy/demo"),
            self.folder.join("server.json"),
        );
        let notify = self.notify_file(&demo, mail.smtp())?;
        let mut command = Command::new(&self.programs.watchkeeper);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(self.folder.join("data"));
        command.args(["--http", &local(self.ports.watchkeeper).to_string()]);
        command.args(["--otlp-grpc", &local(self.ports.otlp_grpc).to_string()]);
        command.args(["--otlp-http", &local(self.ports.otlp_http).to_string()]);
        command.args(["--external-url", &url(self.ports.watchkeeper)]);
        command.arg("--rules").arg(demo.join("rules.yml"));
        command.arg("--slos").arg(demo.join("slos.yml"));
        command
            .arg("--notify")
            .arg(notify)
            .arg("--ready-file")
            .arg(&ready_file);
        let log = self.folder.join("watchkeeper.log");
        let mut child = ManagedChild::spawn("watchkeeper", command, &log, StopSignals::default())?;
        child
            .ready(async || ready_file.exists().then_some(()))
            .await?;
        Ok(child)
    }

    /// The demo's routes, with the catcher's real address in place of the usual one.
    fn notify_file(&self, demo: &Path, smtp: SocketAddr) -> anyhow::Result<PathBuf> {
        let (from, to) = (demo.join("notify.yml"), self.folder.join("notify.yml"));
        let text = fs::read_to_string(&from).with_context(|| format!("read {}", from.display()))?;
        if !text.contains(CONFIGURED_SMTP) {
            bail!("{} does not name {CONFIGURED_SMTP}", from.display());
        }
        let text = text.replace(CONFIGURED_SMTP, &smtp.to_string());
        fs::write(&to, text).with_context(|| format!("write {}", to.display()))?;
        Ok(to)
    }

    async fn start_api(
        &self,
        number: usize,
        postgres: Option<&PostgresPair>,
    ) -> anyhow::Result<ManagedChild> {
        let name = format!("task-api-{}", number + 1);
        let ready_file = self.folder.join(format!("{name}.json"));
        let mut command = Command::new(&self.programs.instrumented_api);
        command.args(["--listen", &local(self.ports.apis[number]).to_string()]);
        command.args(["--instance-id", &name, "--environment", "demo"]);
        command.arg("--ready-file").arg(&ready_file);
        command.env("TASK_API_ADMIN_TOKEN", ADMIN_TOKEN);
        command.env("TASK_API_JWT_SECRET", JWT_SECRET);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", url(self.ports.otlp_grpc));
        command.env("OTEL_METRIC_EXPORT_INTERVAL", EXPORT_INTERVAL_MS);
        command.env("OTEL_BSP_SCHEDULE_DELAY", EXPORT_INTERVAL_MS);
        command.env("OTEL_BLRP_SCHEDULE_DELAY", EXPORT_INTERVAL_MS);
        match postgres {
            Some(pair) => command
                .env("DATABASE_URL", pair.primary_url())
                .env("REPLICA_DATABASE_URL", pair.standby_url()),
            None => {
                let file = self.folder.join(format!("{name}.db"));
                command.env(
                    "DATABASE_URL",
                    format!("sqlite:{}?mode=rwc", file.display()),
                )
            }
        };
        let log = self.folder.join(format!("{name}.log"));
        let mut child = ManagedChild::spawn(&name, command, &log, StopSignals::default())?;
        child
            .ready(async || ready_file.exists().then_some(()))
            .await?;
        Ok(child)
    }
}

/// A second stack in the same folder would take the first one's data away under it.
fn refuse_second(folder: &Path) -> anyhow::Result<()> {
    let Ok(state) = DemoState::read(folder) else {
        return Ok(());
    };
    let address = state.watchkeeper.trim_start_matches("http://");
    if TcpStream::connect(address).is_ok() {
        bail!(
            "a demo is running already: {}; stop it with Ctrl-C, or end its processes {:?}",
            state.watchkeeper,
            state.processes
        );
    }
    Ok(())
}

fn empty(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("empty {}", folder.display())),
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn url(port: u16) -> String {
    format!("http://{}", local(port))
}
