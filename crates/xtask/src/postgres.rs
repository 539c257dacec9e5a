//! A PostgreSQL primary with a streaming standby, from the machine's own binaries.
//!
//! Both listen on 127.0.0.1 alone and ask for a password made for this run. fsync is off: the
//! data is as short-lived as the demo. As root, the servers run as the user `postgres`, since
//! PostgreSQL refuses to be root.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::children::{ManagedChild, StopSignals};

/// SIGINT is PostgreSQL's "fast" shutdown, SIGQUIT its "immediate" one. SIGKILL would leave its
/// shared memory behind.
const SIGNALS: StopSignals = StopSignals {
    orderly: Signal::SIGINT,
    at_once: Signal::SIGQUIT,
};

/// Where Debian and PGDG packages put the server's programs, one folder a major version.
const PACKAGED: &str = "/usr/lib/postgresql";

/// PostgreSQL's server programs and the user who runs them.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
    /// Set when we are root: (name, uid, gid).
    run_as: Option<(String, u32, u32)>,
}

impl Binaries {
    /// The newest installed server; `None` when there is none.
    pub fn find() -> Option<Self> {
        let on_path = std::env::var_os("PATH").unwrap_or_default();
        let folder = packaged()
            .into_iter()
            .chain(std::env::split_paths(&on_path))
            .find(|folder| {
                ["initdb", "postgres"]
                    .iter()
                    .all(|name| folder.join(name).is_file())
            })?;
        let run_as = match Uid::effective().is_root() {
            false => None,
            true => {
                let user = User::from_name("postgres").ok().flatten()?;
                Some((user.name, user.uid.as_raw(), user.gid.as_raw()))
            }
        };
        Some(Self { folder, run_as })
    }

    fn command(&self, program: &str) -> Command {
        let program = self.folder.join(program);
        let mut command = match &self.run_as {
            None => Command::new(program),
            Some((name, _, gid)) => {
                // `setpriv` becomes the program: the process we start is the one we signal.
                let mut command = Command::new("setpriv");
                command.args([
                    "--reuid",
                    name,
                    "--regid",
                    &gid.to_string(),
                    "--init-groups",
                    "--",
                ]);
                command.arg(program);
                command
            }
        };
        // The user postgres may not be allowed into the folder we were called from.
        command
            .current_dir("/")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("PGPASSWORD");
        command
    }

    /// Makes `folder` one that the servers can use, or says why it cannot be.
    async fn prepare(&self, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let Some((name, uid, gid)) = &self.run_as else {
            return Ok(());
        };
        chown(folder, Some(*uid), Some(*gid))
            .with_context(|| format!("give {} to {name}", folder.display()))?;
        let mut probe = Command::new("setpriv");
        probe.args([
            "--reuid",
            name,
            "--regid",
            &gid.to_string(),
            "--init-groups",
            "--",
            "test",
        ]);
        let reached = probe.arg("-w").arg(folder).current_dir("/").status().await;
        match reached
            .context("run setpriv (package util-linux)")?
            .success()
        {
            true => Ok(()),
            false => bail!(
                "user {name} cannot reach {}; choose a folder whose parents it may enter",
                folder.display()
            ),
        }
    }

    /// Whether the user who runs the servers can reach a folder at `place`.
    pub async fn can_use(&self, place: &Path) -> bool {
        self.prepare(place).await.is_ok()
    }

    async fn run(&self, what: &str, mut command: Command) -> anyhow::Result<String> {
        let output = command
            .stdin(Stdio::null())
            .output()
            .await
            .with_context(|| format!("{what}: start {:?}", command.as_std().get_program()))?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{what} failed ({}):\n{}", output.status, errors.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// `/usr/lib/postgresql/*/bin`, newest version first.
fn packaged() -> Vec<PathBuf> {
    let entries = fs::read_dir(PACKAGED).into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .collect()
}

/// How to reach one of the two servers as its superuser; survives in the demo's state file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Admin {
    psql: PathBuf,
    port: u16,
    password: String,
}

impl Admin {
    /// Runs one statement and returns its output, unaligned and without headers.
    ///
    /// # Errors
    ///
    /// PostgreSQL's own message.
    pub async fn query(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let output = Command::new(&self.psql)
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                "127.0.0.1",
            ])
            .args([
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
                "-d",
                database,
                "-c",
                sql,
            ])
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()
            .await
            .with_context(|| format!("start {}", self.psql.display()))?;
        if !output.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Stops replaying the primary's log; the standby keeps answering with what it has.
    ///
    /// # Errors
    ///
    /// When the server is not a standby or cannot be reached.
    pub async fn pause_replay(&self) -> anyhow::Result<()> {
        self.query("postgres", "SELECT pg_wal_replay_pause()")
            .await
            .map(drop)
    }

    /// Takes up replaying again.
    ///
    /// # Errors
    ///
    /// As [`Admin::pause_replay`].
    pub async fn resume_replay(&self) -> anyhow::Result<()> {
        self.query("postgres", "SELECT pg_wal_replay_resume()")
            .await
            .map(drop)
    }
}

/// A running primary and its standby, with an empty database `tasks` owned by the role `tasks`.
#[derive(Debug)]
pub struct PostgresPair {
    primary: ManagedChild,
    standby: ManagedChild,
    primary_port: u16,
    standby_admin: Admin,
    password: String,
}

impl PostgresPair {
    /// Creates both in `folder`, which must be empty or absent, and starts them on free ports.
    ///
    /// # Errors
    ///
    /// What a server or its tools said.
    pub async fn start(binaries: &Binaries, folder: &Path) -> anyhow::Result<Self> {
        binaries.prepare(folder).await?;
        let password = random_password()?;
        let cluster = Cluster {
            binaries,
            folder,
            password: &password,
        };
        cluster.initialise().await?;
        let (primary, admin) = cluster.serve("primary", &[]).await?;
        for sql in [
            format!("CREATE ROLE tasks LOGIN PASSWORD '{password}'"),
            // To see the standby's position in pg_stat_replication.
            "GRANT pg_monitor TO tasks".to_owned(),
            "CREATE DATABASE tasks OWNER tasks".to_owned(),
        ] {
            admin.query("postgres", &sql).await?;
        }
        cluster.copy(admin.port).await?;
        // The standby reports its position each second, which is how fresh the backlog is.
        let (standby, standby_admin) = cluster
            .serve("standby", &["-c", "wal_receiver_status_interval=1s"])
            .await?;
        Ok(Self {
            primary,
            standby,
            primary_port: admin.port,
            standby_admin,
            password,
        })
    }

    /// Where the service writes.
    pub fn primary_url(&self) -> String {
        self.url(self.primary_port)
    }

    /// Where the service reads.
    pub fn standby_url(&self) -> String {
        self.url(self.standby_admin.port)
    }

    /// The standby's superuser.
    pub fn standby_admin(&self) -> &Admin {
        &self.standby_admin
    }

    fn url(&self, port: u16) -> String {
        format!("postgres://tasks:{}@127.0.0.1:{port}/tasks", self.password)
    }

    /// Stops the standby, then the primary.
    ///
    /// # Errors
    ///
    /// When one of them did not stop in order; both are gone in any case.
    pub async fn stop(self) -> anyhow::Result<()> {
        let standby = self.standby.stop().await;
        let primary = self.primary.stop().await;
        standby.and(primary)
    }
}

/// What the steps of creating the pair share.
struct Cluster<'a> {
    binaries: &'a Binaries,
    folder: &'a Path,
    password: &'a str,
}

impl Cluster<'_> {
    async fn initialise(&self) -> anyhow::Result<()> {
        let password_file = self.folder.join("password");
        fs::write(&password_file, self.password).context("write the password file")?;
        if let Some((_, uid, gid)) = &self.binaries.run_as {
            chown(&password_file, Some(*uid), Some(*gid)).context("hand over the password file")?;
        }
        let mut command = self.binaries.command("initdb");
        command
            .arg("-D")
            .arg(self.folder.join("primary"))
            .arg("--pwfile")
            .arg(&password_file);
        command.args([
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]);
        command.args(["--auth-local=scram-sha-256", "--auth-host=scram-sha-256"]);
        self.binaries.run("initdb", command).await?;
        fs::remove_file(&password_file).context("remove the password file")
    }

    /// Copies the primary into a standby that follows it.
    async fn copy(&self, primary_port: u16) -> anyhow::Result<()> {
        let mut command = self.binaries.command("pg_basebackup");
        command.args([
            "-h",
            "127.0.0.1",
            "-p",
            &primary_port.to_string(),
            "-U",
            "postgres",
        ]);
        command.args(["-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-D"]);
        command
            .arg(self.folder.join("standby"))
            .env("PGPASSWORD", self.password);
        self.binaries.run("pg_basebackup", command).await.map(drop)
    }

    async fn serve(&self, name: &str, more: &[&str]) -> anyhow::Result<(ManagedChild, Admin)> {
        let port = free_port()?;
        let mut command = self.binaries.command("postgres");
        command
            .arg("-D")
            .arg(self.folder.join(name))
            .args(["-p", &port.to_string()]);
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "shared_buffers=32MB",
            &format!("cluster_name={name}"),
        ] {
            command.args(["-c", setting]);
        }
        command.args(more);
        let log = self.folder.join(format!("{name}.log"));
        let mut child = ManagedChild::spawn(&format!("PostgreSQL {name}"), command, &log, SIGNALS)?;
        let psql = self.binaries.folder.join("psql");
        let admin = Admin {
            psql,
            port,
            password: self.password.to_owned(),
        };
        child
            .ready(async || admin.query("postgres", "SELECT 1").await.ok())
            .await?;
        Ok((child, admin))
    }
}

/// A port nobody listens on at the moment; PostgreSQL cannot pick one itself.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    Ok(listener.local_addr().context("find a free port")?.port())
}

fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    let mut source = fs::File::open("/dev/urandom").context("open /dev/urandom")?;
    source.read_exact(&mut bytes).context("read /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
