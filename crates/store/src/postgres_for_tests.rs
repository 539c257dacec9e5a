//! A PostgreSQL server of the tests' own, started once for all of them.
//!
//! The server refuses to run as root, so a root test starts it as the user `postgres`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server, reached through a socket in its own directory.
pub(crate) struct Postgres {
    binaries: PathBuf,
    directory: PathBuf,
    databases: AtomicU32,
}

impl Postgres {
    /// The server of this test process; `None`, with a line that says so, on a machine without
    /// PostgreSQL.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
        SERVER
            .get_or_init(|| {
                let Some(binaries) = binaries() else {
                    eprintln!("skipped: no PostgreSQL under /usr/lib/postgresql");
                    return None;
                };
                Some(Self::start(binaries))
            })
            .as_ref()
    }

    fn start(binaries: PathBuf) -> Self {
        // Not a `TempDir`: statics are not dropped. The server ends with this process and removes
        // nothing; the directory is small and lies in the temporary folder.
        let directory = tempfile::Builder::new()
            .prefix("watchkeeper-postgres-")
            .tempdir()
            .expect("make a directory for PostgreSQL")
            .keep();
        let server = Self {
            binaries,
            directory,
            databases: AtomicU32::new(0),
        };
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&server.directory));
        }
        let data = server.directory.join("data");
        run(server
            .command("initdb")
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-D"])
            .arg(&data));
        let options = format!(
            "-c listen_addresses= -c unix_socket_directories={} -c fsync=off",
            server.directory.display()
        );
        run(server
            .command("pg_ctl")
            .args(["start", "-w", "-s", "-o", &options, "-l"])
            .arg(server.directory.join("log"))
            .arg("-D")
            .arg(&data));
        server.stop_with_this_process(&data);
        server
    }

    /// A watcher that stops the server when this process is gone, however it ends.
    fn stop_with_this_process(&self, data: &Path) {
        let script = format!(
            "while test -d /proc/{}; do sleep 1; done; exec {} stop -m immediate -s -D {}",
            std::process::id(),
            self.binaries.join("pg_ctl").display(),
            data.display()
        );
        let watcher = as_server_user("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start the watcher of PostgreSQL");
        // It outlives this process by design, so nobody can wait for it.
        drop(watcher);
    }

    /// The URL of a new, empty database.
    pub(crate) fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        run(self
            .command("createdb")
            .args(["-U", "postgres", "-h"])
            .arg(&self.directory)
            .arg(&name));
        let socket = self.directory.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{name}")
    }

    fn command(&self, binary: &str) -> Command {
        as_server_user(self.binaries.join(binary))
    }
}

fn as_server_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The server's user may not enter the directory of the tests.
    command.current_dir("/");
    command
}

fn binaries() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| path.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("start a program of PostgreSQL");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
