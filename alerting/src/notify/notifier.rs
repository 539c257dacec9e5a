//! The task that turns firing alerts into messages, and starts their senders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::Labels;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::state_store::{NotificationRecord, OutboxEntry, StateChange, StateStore};

use super::config::{IntegrationConfig, NotificationConfig};
use super::dispatch::{Dispatcher, FiringAlert};
use super::sender::{Mailbox, Sender, replace};

/// Where the notifier looks for alerts.
pub(crate) trait FiringSource: Send + Sync + 'static {
    /// The alerts that fire, and when alerts ended that ended lately (Unix ms).
    fn firing(&self) -> (Vec<FiringAlert>, BTreeMap<Labels, i64>);
    /// Notified after each evaluation that changed anything.
    fn changed(&self) -> &Notify;
}

/// How long the notifier sleeps at most, so that a clock set back cannot stall it.
const LONGEST_SLEEP_MS: i64 = 1_000;

/// Turns firing alerts into messages.
pub(crate) struct Notifier {
    dispatcher: Dispatcher,
    mailboxes: BTreeMap<String, Arc<Mailbox>>,
    alerts: Arc<dyn FiringSource>,
    state: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    /// Writes that failed and are made good with the next.
    unsaved: StateChange,
}

impl Notifier {
    /// A notifier that continues where `records` and `outbox` left off, its senders started on
    /// `tasks`.
    pub(crate) async fn start(
        config: NotificationConfig,
        records: Vec<NotificationRecord>,
        outbox: Vec<OutboxEntry>,
        alerts: Arc<dyn FiringSource>,
        (state, clock): (Arc<dyn StateStore>, Arc<dyn Clock>),
        external_url: &str,
        (tasks, stop): (&TaskTracker, &CancellationToken),
    ) -> Self {
        let integrations: Vec<IntegrationConfig> =
            config.receivers.values().flatten().cloned().collect();
        let mailboxes: BTreeMap<String, Arc<Mailbox>> = integrations
            .iter()
            .map(|integration| (integration.id.clone(), Arc::default()))
            .collect();
        let (dispatcher, orphans) = Dispatcher::restore(config, records, clock.now());
        let mut notifier = Self {
            dispatcher,
            mailboxes,
            alerts,
            state,
            clock,
            unsaved: StateChange {
                notifications_deleted: orphans,
                ..StateChange::default()
            },
        };
        // The newest of a group last: it replaces an older one that a crash left behind.
        let mut outbox = outbox;
        outbox.sort_by_key(|entry| entry.created_at);
        for entry in outbox {
            match notifier.mailboxes.get(&entry.integration) {
                Some(mailbox) => {
                    let older = mailbox.waiting(&entry.group_key);
                    notifier
                        .unsaved
                        .outbox_deleted
                        .extend(older.map(|older| older.id));
                    mailbox.put(entry);
                }
                None => {
                    tracing::warn!(integration = %entry.integration, id = %entry.id, "message dropped: its receiver is no longer configured");
                    notifier.unsaved.outbox_deleted.push(entry.id);
                }
            }
        }
        notifier.save(StateChange::default()).await;
        for integration in integrations {
            let Some(mailbox) = notifier.mailboxes.get(&integration.id) else {
                continue;
            };
            let sender = Sender {
                mailbox: Arc::clone(mailbox),
                integration,
                state: Arc::clone(&notifier.state),
                clock: Arc::clone(&notifier.clock),
                external_url: external_url.to_owned(),
            };
            tasks.spawn(sender.run(stop.clone()));
        }
        notifier
    }

    /// Looks at the alerts whenever they change or a group is due, until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let alerts = Arc::clone(&self.alerts);
        loop {
            // Registered before looking, so that no change in between is missed.
            let changed = alerts.changed().notified();
            let now = self.clock.now();
            let (firing, resolved) = self.alerts.firing();
            self.dispatcher.update(&firing, &resolved, now);
            self.flush(now).await;
            metrics::gauge!("alertmanager_dispatcher_aggregation_groups")
                .set(self.dispatcher.group_count() as f64);
            let wait = self
                .dispatcher
                .next_flush()
                .map_or(LONGEST_SLEEP_MS, |due| {
                    (due - now).clamp(1, LONGEST_SLEEP_MS)
                });
            tokio::select! {
                () = stop.cancelled() => return,
                () = changed => {}
                () = self.clock.sleep(Duration::from_millis(wait.unsigned_abs())) => {}
            }
        }
    }

    async fn flush(&mut self, now: i64) {
        for mut notice in self.dispatcher.flush(now) {
            let mut change = StateChange::default();
            match &notice.record {
                Some(record) => change.notifications_put.push(record.clone()),
                None => change.notifications_deleted.push(notice.record_key.clone()),
            }
            let entry = notice.entry.take().and_then(|entry| {
                let mailbox = Arc::clone(self.mailboxes.get(&entry.integration)?);
                let (entry, replaced) = replace(&mailbox, entry);
                change.outbox_deleted.extend(replaced);
                change.outbox_put.push(entry.clone());
                Some((mailbox, entry))
            });
            self.save(change).await;
            self.dispatcher.told(&notice);
            if let Some((mailbox, entry)) = entry {
                mailbox.put(entry);
            }
        }
        self.dispatcher.forget_idle(now);
        if !self.unsaved.is_empty() {
            self.save(StateChange::default()).await;
        }
    }

    /// Saves `change` with what could not be saved before. When that fails the notifier goes on:
    /// people must be paged even when the disk is full, and a restart may then repeat a message.
    async fn save(&mut self, change: StateChange) {
        // A message that was delivered meanwhile must not come back.
        self.unsaved.outbox_put.retain(|entry| {
            self.mailboxes
                .get(&entry.integration)
                .and_then(|mailbox| mailbox.waiting(&entry.group_key))
                .is_some_and(|waiting| waiting.id == entry.id)
        });
        merge(&mut self.unsaved, change);
        if self.unsaved.is_empty() {
            return;
        }
        match self.state.save(self.unsaved.clone()).await {
            Ok(()) => self.unsaved = StateChange::default(),
            Err(error) => tracing::error!(%error, "notifications not saved, will retry"),
        }
    }
}

/// Adds `newer` to `older` so that applying the sum has the effect of applying both in turn.
fn merge(older: &mut StateChange, newer: StateChange) {
    for key in newer.notifications_deleted {
        older.notifications_put.retain(|record| record.key() != key);
        older.notifications_deleted.push(key);
    }
    for record in newer.notifications_put {
        older
            .notifications_put
            .retain(|known| known.key() != record.key());
        older.notifications_put.push(record);
    }
    for id in newer.outbox_deleted {
        older.outbox_put.retain(|entry| entry.id != id);
        older.outbox_deleted.push(id);
    }
    older.outbox_put.extend(newer.outbox_put);
}
