//! Programs of the machine that some tasks need, and how to get them.

use std::path::Path;
use std::process::Stdio;

use anyhow::bail;
use nix::unistd::Uid;
use tokio::process::Command;

use crate::postgres::Binaries;

/// Something that Debian packages and we do not build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prerequisite {
    /// Builds the server's memory allocator, which is C.
    Make,
    /// Node.js with npm: builds the web UI.
    Node,
    /// The PostgreSQL server: the task API's primary and replica.
    Postgres,
    /// A browser: tests the web UI.
    Chromium,
    /// Counts instructions.
    Valgrind,
}

impl Prerequisite {
    fn what(self) -> &'static str {
        match self {
            Self::Make => "make",
            Self::Node => "Node.js with npm",
            Self::Postgres => "the PostgreSQL server",
            Self::Chromium => "the Chromium browser",
            Self::Valgrind => "valgrind",
        }
    }

    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Make => &["make"],
            Self::Node => &["nodejs", "npm"],
            Self::Postgres => &["postgresql"],
            Self::Chromium => &["chromium"],
            Self::Valgrind => &["valgrind"],
        }
    }

    /// Whether it is installed.
    pub fn is_there(self) -> bool {
        match self {
            Self::Make => on_path("make"),
            Self::Node => on_path("node") && on_path("npm"),
            Self::Postgres => Binaries::find().is_some(),
            Self::Chromium => on_path("chromium"),
            Self::Valgrind => on_path("valgrind"),
        }
    }

    /// Installs it by apt when it is missing and we may.
    ///
    /// # Errors
    ///
    /// What is missing and the command that installs it.
    pub async fn ensure(self) -> anyhow::Result<()> {
        if self.is_there() {
            return Ok(());
        }
        let (what, packages) = (self.what(), self.packages().join(" "));
        if !Uid::effective().is_root() || !on_path("apt-get") {
            bail!("{what} is missing; install it: apt-get install {packages}");
        }
        println!("{what} is missing, installing {packages} …");
        for arguments in [
            &["update", "-q"][..],
            &["install", "-q", "-y", "--no-install-recommends"],
        ] {
            let mut apt = Command::new("apt-get");
            apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            if arguments[0] == "install" {
                apt.args(self.packages());
            }
            let status = apt
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .await;
            if !status.is_ok_and(|status| status.success()) {
                bail!("{what} is missing, and `apt-get {}` failed", arguments[0]);
            }
        }
        match self.is_there() {
            true => Ok(()),
            false => bail!("{what} is still missing after apt-get install {packages}"),
        }
    }
}

/// Whether a program of that name can be started.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}
