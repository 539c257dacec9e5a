//! Child processes with an owner: started with a log file, awaited by what they do, and stopped
//! in order, or killed when their owner goes away.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// How long a process may take to be ready, on a machine that is busy building.
const START_DEADLINE: Duration = Duration::from_secs(120);
/// How long a process may take to stop before it is killed.
const STOP_DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// Lines of a log that an error shows.
const SHOWN_LINES: usize = 15;

/// The signals a process understands.
#[derive(Debug, Clone, Copy)]
pub struct StopSignals {
    /// Asks for an orderly end.
    pub orderly: Signal,
    /// Ends at once.
    pub at_once: Signal,
}

impl Default for StopSignals {
    fn default() -> Self {
        Self {
            orderly: Signal::SIGTERM,
            at_once: Signal::SIGKILL,
        }
    }
}

/// A running child process; ended at once when dropped.
#[derive(Debug)]
pub struct ManagedChild {
    name: String,
    child: Child,
    log: PathBuf,
    signals: StopSignals,
}

impl ManagedChild {
    /// Starts `command`; stdout and stderr go to the file `log`.
    ///
    /// The child gets a process group of its own, so that Ctrl-C in a terminal reaches only us
    /// and children end in our order.
    ///
    /// # Errors
    ///
    /// When the program cannot be started or the log not be written.
    pub fn spawn(
        name: &str,
        mut command: Command,
        log: &Path,
        signals: StopSignals,
    ) -> anyhow::Result<Self> {
        let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
        let errors = output.try_clone().context("share the log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}: {:?}", command.as_std()))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
            signals,
        })
    }

    /// The process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// # Errors
    ///
    /// When the process has ended; with the log's last lines.
    pub fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.ended() {
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.last_lines()),
            None => Ok(()),
        }
    }

    /// Waits until `probe` gives a value.
    ///
    /// # Errors
    ///
    /// When the process ends first or the deadline passes; with the log's last lines.
    pub async fn ready<T>(
        &mut self,
        mut probe: impl AsyncFnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let started = Instant::now();
        loop {
            if let Some(value) = probe().await {
                return Ok(value);
            }
            if let Some(status) = self.ended() {
                bail!(
                    "{} ended before it was ready ({status}):\n{}",
                    self.name,
                    self.last_lines()
                );
            }
            if started.elapsed() > START_DEADLINE {
                bail!(
                    "{} was not ready within {} s:\n{}",
                    self.name,
                    START_DEADLINE.as_secs(),
                    self.last_lines()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Asks the process to end and waits; kills it past the deadline.
    ///
    /// # Errors
    ///
    /// When it had to be killed or ended with a failure.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(self.signals.orderly);
        match tokio::time::timeout(STOP_DEADLINE, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => {
                bail!("{} ended with {status}:\n{}", self.name, self.last_lines())
            }
            Ok(Err(error)) => Err(error).with_context(|| format!("wait for {}", self.name)),
            Err(_) => {
                self.signal(self.signals.at_once);
                self.child.wait().await.ok();
                bail!(
                    "{} did not stop within {} s",
                    self.name,
                    STOP_DEADLINE.as_secs()
                )
            }
        }
    }

    /// Sends `signal`; a process that is gone already is no error.
    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            kill(Pid::from_raw(id), signal).ok();
        }
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        format!(
            "{}\n(all of it in {})",
            shown.join("\n"),
            self.log.display()
        )
    }
}

impl Drop for ManagedChild {
    fn drop(&mut self) {
        self.signal(self.signals.at_once);
    }
}
