//! The whole of alerting as the server runs it: load, start, look, stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Labels;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config_error::{ConfigError, ConfigErrors};
use crate::evaluate::{Surroundings, evaluate};
use crate::group_state::GroupState;
use crate::notify::{self, FiringAlert, FiringSource, NotificationConfig, Notifier};
use crate::rule::{self, Group};
use crate::rule_file;
use crate::schedule::Slots;
use crate::sink::SampleSink;
use crate::slo;
use crate::snapshot::{self, AlertsSnapshot, RulesFilter, RulesSnapshot};
use crate::source::DataSource;
use crate::state::AlertState;
use crate::state_store::{NotifiedAlert, SavedState, StateChange, StateError, StateStore};
use crate::yaml::Source;

/// Where rules and receivers are configured.
#[derive(Debug, Clone)]
pub struct AlertingConfig {
    /// Prometheus rule files.
    pub rule_files: Vec<PathBuf>,
    /// SLO files in Sloth's `prometheus/v1` form; see [`crate::slo`].
    pub slo_files: Vec<PathBuf>,
    /// Routes and receivers, in Alertmanager's form; without it alerts are evaluated and shown,
    /// and nobody is notified.
    pub notification_file: Option<PathBuf>,
    /// Where people reach this server: the base of links, such as `http://127.0.0.1:8770`.
    pub external_url: String,
    /// Labels added to every alert that leaves, unless it has them.
    pub external_labels: Labels,
    /// How often groups without an `interval` are evaluated; at least a millisecond.
    pub evaluation_interval: Duration,
}

/// Rules and routes, read and checked, ready to run.
#[derive(Debug)]
pub struct Configuration {
    groups: Vec<Group>,
    notifications: Option<NotificationConfig>,
    surroundings: Surroundings,
    warnings: Vec<ConfigError>,
}

impl Configuration {
    /// Reads and checks every file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any of the files, with file, line and column.
    pub fn load(config: &AlertingConfig) -> Result<Self, ConfigErrors> {
        let interval_ms = i64::try_from(config.evaluation_interval.as_millis())
            .unwrap_or(i64::MAX)
            .max(1);
        let mut reading = Reading::default();
        let mut groups = Vec::new();
        for path in &config.rule_files {
            groups.extend(reading.file(path, |source, file| {
                Some(rule_file::read(source, file, interval_ms))
            }));
        }
        for path in &config.slo_files {
            groups.extend(reading.file(path, |source, file| {
                Some(slo::read(source, file, interval_ms))
            }));
        }
        let notifications = config
            .notification_file
            .as_ref()
            .and_then(|path| reading.file(path, |source, _| notify::config::read(source)));
        if !reading.errors.is_empty() {
            return Err(ConfigErrors(reading.errors));
        }
        let mut groups: Vec<Group> = groups.into_iter().flatten().collect();
        rule::assign_windows(&mut groups);
        Ok(Self {
            groups,
            notifications,
            surroundings: Surroundings {
                external_url: config.external_url.clone(),
                external_labels: config.external_labels.clone(),
            },
            warnings: reading.warnings,
        })
    }

    /// What does not keep the files from being used, and yet deserves a look.
    pub fn warnings(&self) -> &[ConfigError] {
        &self.warnings
    }

    /// The groups of rules: those of the rule files, then those made from SLOs.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

/// Files read so far and what was found in them.
#[derive(Default)]
struct Reading {
    errors: Vec<ConfigError>,
    warnings: Vec<ConfigError>,
}

impl Reading {
    fn file<T>(
        &mut self,
        path: &Path,
        read: impl FnOnce(&mut Source<'_>, &str) -> Option<T>,
    ) -> Option<T> {
        let name = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                self.errors.push(ConfigError {
                    file: name,
                    line: 0,
                    column: 0,
                    message: format!("cannot read the file: {error}"),
                });
                return None;
            }
        };
        let mut source = Source::new(&name, &text);
        let result = read(&mut source, &name);
        self.errors.append(&mut source.errors);
        self.warnings.append(&mut source.warnings);
        result
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
    board: Arc<Board>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What everyone may look at: the groups and their states after the last evaluation.
pub(crate) struct Board {
    groups: Vec<Group>,
    states: Vec<Mutex<Arc<GroupState>>>,
    external_labels: Labels,
    changed: Notify,
}

impl Engine {
    /// Starts evaluation and notification and returns at once.
    ///
    /// Saved state is loaded first, and what was to be delivered goes out. Rules are evaluated
    /// only after `ready` has completed: pass a future that ends when the store answers queries
    /// over everything it holds.
    ///
    /// To be called inside a tokio runtime. Webhooks need rustls' process-wide crypto provider,
    /// which the binary installs.
    pub fn start(
        configuration: Configuration,
        seams: Seams,
        ready: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let states = configuration
            .groups
            .iter()
            .map(|group| Mutex::new(Arc::new(GroupState::new(group))))
            .collect();
        let engine = Self {
            board: Arc::new(Board {
                groups: configuration.groups,
                states,
                external_labels: configuration.surroundings.external_labels.clone(),
                changed: Notify::new(),
            }),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let begin = engine.clone().begin(
            seams,
            configuration.notifications,
            configuration.surroundings,
            ready,
        );
        let stop = engine.stop.clone();
        engine.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = begin => {}
            }
        });
        engine
    }

    /// Restores state, starts the notifier, waits for `ready`, starts the groups.
    async fn begin(
        self,
        seams: Seams,
        notifications: Option<NotificationConfig>,
        surroundings: Surroundings,
        ready: impl Future<Output = ()> + Send + 'static,
    ) {
        let saved = load(&seams).await;
        self.restore(&saved, seams.state.as_ref()).await;
        if let Some(config) = notifications {
            let notifier = Notifier::start(
                config,
                saved.notifications,
                saved.outbox,
                Arc::clone(&self.board) as Arc<dyn FiringSource>,
                (Arc::clone(&seams.state), Arc::clone(&seams.clock)),
                &surroundings.external_url,
                (&self.tasks, &self.stop),
            )
            .await;
            self.tasks.spawn(notifier.run(self.stop.clone()));
        }
        ready.await;
        for index in 0..self.board.groups.len() {
            let run = run_group(
                Arc::clone(&self.board),
                index,
                seams.clone(),
                surroundings.clone(),
            );
            let stop = self.stop.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = run => {}
                }
            });
        }
    }

    /// Gives saved alerts to their groups; those whose rule is gone end here.
    async fn restore(&self, saved: &SavedState, store: &dyn StateStore) {
        let mut by_group: BTreeMap<&str, Vec<_>> = BTreeMap::new();
        for record in &saved.alerts {
            by_group
                .entry(&record.group)
                .or_default()
                .push(record.clone());
        }
        let mut orphans = Vec::new();
        for (group, state) in self.board.groups.iter().zip(&self.board.states) {
            let id = group.id();
            let records = by_group.remove(id.as_str()).unwrap_or_default();
            let last = saved
                .rule_groups
                .iter()
                .find(|record| record.group == id)
                .map(|record| record.last_evaluation);
            let mut restored = GroupState::new(group);
            orphans.extend(restored.restore(group, records, last));
            *state.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(restored);
        }
        orphans.extend(by_group.into_values().flatten());
        if orphans.is_empty() {
            return;
        }
        for orphan in &orphans {
            tracing::info!(group = %orphan.group, rule = %orphan.rule, labels = %orphan.labels, "alert ended: its rule no longer exists");
        }
        let change = StateChange {
            alerts_deleted: orphans.iter().map(|orphan| orphan.key()).collect(),
            ..StateChange::default()
        };
        if let Err(error) = store.save(change).await {
            tracing::error!(%error, "ended alerts not deleted, will retry after a restart");
        }
    }

    /// The rules and their alerts as of now.
    pub fn rules_snapshot(&self, filter: &RulesFilter) -> RulesSnapshot {
        snapshot::rules(&self.board.look(), filter)
    }

    /// The pending and firing alerts as of now.
    pub fn alerts_snapshot(&self) -> AlertsSnapshot {
        snapshot::alerts(&self.board.look())
    }

    /// Stops all tasks and waits for them.
    ///
    /// An evaluation under way is cut short, and everything that was decided is already saved; a
    /// message being delivered gets five seconds, since one that is cut off may be sent twice.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// The saved state; while the store is unavailable, tried again every second.
async fn load(seams: &Seams) -> SavedState {
    loop {
        match seams.state.load().await {
            Ok(saved) => return saved,
            Err(StateError::Corrupt(reason)) => {
                tracing::error!(%reason, "alert state is damaged; starting without it");
                return SavedState::default();
            }
            Err(StateError::Unavailable(reason)) => {
                tracing::warn!(%reason, "alert state cannot be read yet");
                seams.clock.sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// How long a group sleeps at most before it looks at the clock again, ms: a clock set back must
/// not stall it for as long as it was set back.
const LONGEST_SLEEP_MS: i64 = 1_000;

/// Evaluates a group at its slots for ever.
async fn run_group(board: Arc<Board>, index: usize, seams: Seams, surroundings: Surroundings) {
    let group = &board.groups[index];
    let slots = Slots::new(&group.file, &group.name, group.interval_ms);
    let mut last = slots.at_or_before(seams.clock.now());
    loop {
        let mut next = slots.after(last, seams.clock.now());
        loop {
            let now = seams.clock.now();
            if now < last {
                metrics::counter!("watchkeeper_clock_stepped_back_total").increment(1);
                next = slots.after(last, now);
                last = slots.at_or_before(now);
            }
            if now >= next.at {
                break;
            }
            let wait = (next.at - now).min(LONGEST_SLEEP_MS);
            seams
                .clock
                .sleep(Duration::from_millis(wait.unsigned_abs()))
                .await;
        }
        if next.missed > 0 {
            metrics::counter!(
                "prometheus_rule_group_iterations_missed_total", "rule_group" => group.id()
            )
            .increment(next.missed.unsigned_abs());
            // As in Prometheus, what was missed is among all.
            metrics::counter!("prometheus_rule_group_iterations_total", "rule_group" => group.id())
                .increment(next.missed.unsigned_abs());
        }
        let mut state = GroupState::clone(&board.state(index));
        evaluate(group, &mut state, next.at, &seams, &surroundings).await;
        board.publish(index, state);
        last = next.at;
    }
}

impl Board {
    fn state(&self, index: usize) -> Arc<GroupState> {
        Arc::clone(
            &self.states[index]
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn publish(&self, index: usize, state: GroupState) {
        *self.states[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.changed.notify_waiters();
    }

    fn look(&self) -> Vec<(&Group, Arc<GroupState>)> {
        self.groups
            .iter()
            .enumerate()
            .map(|(index, group)| (group, self.state(index)))
            .collect()
    }

    /// An alert's labels as they leave: with the external ones it does not have itself.
    fn outgoing(&self, labels: &Labels) -> Labels {
        Labels::new(self.external_labels.iter().chain(labels.iter()))
    }
}

impl FiringSource for Board {
    fn firing(&self) -> (Vec<FiringAlert>, BTreeMap<Labels, i64>) {
        let mut firing = Vec::new();
        let mut resolved = BTreeMap::new();
        for (group, state) in self.look() {
            for (rule, rule_state) in group.rules.iter().zip(&state.rules) {
                for (labels, at) in &rule_state.resolved {
                    resolved.insert(self.outgoing(labels), *at);
                }
                for (labels, alert) in &rule_state.alerts {
                    let AlertState::Firing {
                        active_at,
                        fired_at,
                        ..
                    } = alert.state
                    else {
                        continue;
                    };
                    firing.push(FiringAlert {
                        alert: NotifiedAlert {
                            labels: self.outgoing(labels),
                            annotations: alert.annotations.clone(),
                            value: alert.value,
                            active_at,
                            fired_at,
                            resolved_at: None,
                            window_ms: rule.window_ms,
                            query: rule.expression.text().to_owned(),
                        },
                    });
                }
            }
        }
        (firing, resolved)
    }

    fn changed(&self) -> &Notify {
        &self.changed
    }
}
