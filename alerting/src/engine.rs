//! The whole of alerting as the server runs it: load, start, look, stop.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config_error::ConfigErrors;
use crate::sink::SampleSink;
use crate::snapshot::{AlertsSnapshot, RulesFilter, RulesSnapshot};
use crate::source::DataSource;
use crate::state_store::StateStore;

/// Where rules and receivers are configured.
#[derive(Debug, Clone)]
pub struct AlertingConfig {
    /// Prometheus rule files.
    pub rule_files: Vec<PathBuf>,
    /// SLO files in Sloth's `prometheus/v1` form.
    pub slo_files: Vec<PathBuf>,
    /// Routes and receivers, in Alertmanager's form; without it alerts are evaluated and shown,
    /// and nobody is notified.
    pub notification_file: Option<PathBuf>,
    /// Where people reach this server: the base of links, such as `http://127.0.0.1:8770`.
    pub external_url: String,
    /// Labels added to every alert that leaves, unless it has them.
    pub external_labels: Labels,
    /// How often groups without an `interval` are evaluated.
    pub evaluation_interval: Duration,
}

/// Rules and routes, read and checked, ready to run.
#[derive(Debug)]
pub struct Configuration {}

impl Configuration {
    /// Reads and checks every file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any of the files, with file, line and column.
    pub fn load(_config: &AlertingConfig) -> Result<Self, ConfigErrors> {
        Ok(Self {})
    }
}

/// What the engine works with.
#[derive(Clone)]
pub struct Seams {
    /// Answers the rules' queries.
    pub data: Arc<dyn DataSource>,
    /// Takes the rules' samples.
    pub sink: Arc<dyn SampleSink>,
    /// Remembers states and messages.
    pub state: Arc<dyn StateStore>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Running rules and notifications of one tenant. Clones share it.
#[derive(Clone)]
pub struct Engine {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Engine {
    /// Starts evaluation and notification and returns at once.
    ///
    /// Saved state is loaded first. Rules are evaluated only after `ready` has completed: pass
    /// a future that ends when the store answers queries over everything it holds.
    pub fn start(
        _configuration: Configuration,
        _seams: Seams,
        _ready: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// The rules and their alerts as of now.
    pub fn rules_snapshot(&self, _filter: &RulesFilter) -> RulesSnapshot {
        RulesSnapshot::default()
    }

    /// The pending and firing alerts as of now.
    pub fn alerts_snapshot(&self) -> AlertsSnapshot {
        AlertsSnapshot::default()
    }

    /// Stops all tasks and waits for them; an evaluation under way is cut short, and everything
    /// that was decided is already saved.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
