//! Delivers the outbox: one sender per integration, so that none waits for another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::state_store::{DeliveryAttempt, DeliveryOutcome, OutboxEntry, StateChange, StateStore};

use super::backoff;
use super::config::{IntegrationConfig, IntegrationKind};
use super::dispatch::supersede;
use super::{email, webhook};

/// The longest pause that a receiver may ask for, ms: an hour, as a page is worth a try by then.
const LONGEST_ASKED_MS: i64 = 3_600_000;

/// After this long a message that could not be delivered is given up, ms.
const GIVE_UP_AFTER_MS: i64 = 5 * 24 * 3_600_000;

/// How long a delivery may go on after the engine was told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of one attempt.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// Recipients that have the message or refused it for good.
    pub(crate) settled: Vec<String>,
    /// Why the first of those refused that did.
    pub(crate) refusal: Option<String>,
    /// What went wrong; with `Temporary` the attempt is repeated for who is not settled.
    pub(crate) failure: Option<Failure>,
}

/// Why an attempt did not succeed, or not for everyone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may work later.
    Temporary {
        /// What went wrong.
        message: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// It never will.
    Permanent(String),
}

impl Failure {
    /// A failure without a wish for when to retry.
    pub(crate) fn temporary(message: String) -> Self {
        Self::Temporary {
            message,
            retry_after: None,
        }
    }
}

impl Attempt {
    /// An attempt that failed as a whole.
    pub(crate) fn failed(failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::default()
        }
    }

    /// `recipient` needs no further attempt; `refusal` says why when it refused.
    pub(crate) fn settle(&mut self, recipient: String, refusal: Option<String>) {
        if let Some(message) = refusal {
            tracing::error!(%recipient, error = %message, "recipient refused for good");
            self.refusal.get_or_insert(message);
        }
        self.settled.push(recipient);
    }

    /// A recipient must be tried again, whatever became of the others.
    pub(crate) fn postpone(&mut self, message: String) {
        self.failure = Some(Failure::temporary(message));
    }
}

/// An integration's unsent messages, one per alert group at most.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    waiting: Mutex<BTreeMap<String, OutboxEntry>>,
    changed: Notify,
}

impl Mailbox {
    /// The message of `entry`'s group that still waits, if any.
    pub(crate) fn waiting(&self, group_key: &str) -> Option<OutboxEntry> {
        self.lock().get(group_key).cloned()
    }

    /// Hands over `entry`, in place of the message of its group that still waits.
    pub(crate) fn put(&self, entry: OutboxEntry) {
        self.lock().insert(entry.group_key.clone(), entry);
        self.changed.notify_one();
    }

    fn first_due(&self) -> Option<OutboxEntry> {
        self.lock()
            .values()
            .min_by_key(|entry| entry.due_at)
            .cloned()
    }

    /// Replaces or removes the message `id` unless a newer one has taken its place.
    fn settle(&self, group_key: &str, id: &str, replacement: Option<OutboxEntry>) -> bool {
        let mut waiting = self.lock();
        if waiting.get(group_key).is_none_or(|entry| entry.id != id) {
            return false;
        }
        match replacement {
            Some(entry) => waiting.insert(group_key.to_owned(), entry),
            None => waiting.remove(group_key),
        };
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, OutboxEntry>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces what waits in `mailbox` for the group of `entry`: returns the message to save and
/// hand over, and the id of the one it replaces.
pub(crate) fn replace(mailbox: &Mailbox, mut entry: OutboxEntry) -> (OutboxEntry, Option<String>) {
    match mailbox.waiting(&entry.group_key) {
        Some(older) => {
            supersede(&mut entry, &older);
            (entry, Some(older.id))
        }
        None => (entry, None),
    }
}

/// A sender's task.
pub(crate) struct Sender {
    /// Whom it serves.
    pub(crate) integration: IntegrationConfig,
    /// What it delivers.
    pub(crate) mailbox: Arc<Mailbox>,
    /// Where it notes what it did.
    pub(crate) state: Arc<dyn StateStore>,
    /// Its time.
    pub(crate) clock: Arc<dyn Clock>,
    /// The base of links.
    pub(crate) external_url: String,
}

impl Sender {
    /// Delivers messages until `stop`. A delivery under way gets a moment to finish, since one
    /// that is cut off may be made twice.
    pub(crate) async fn run(self, stop: CancellationToken) {
        loop {
            let now = self.clock.now();
            match self.mailbox.first_due() {
                Some(entry) if entry.due_at <= now => {
                    tokio::select! {
                        () = self.deliver(entry) => {}
                        () = self.out_of_patience(&stop) => return,
                    }
                }
                Some(entry) => {
                    let wait = u64::try_from(entry.due_at - now).unwrap_or(0);
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.mailbox.changed.notified() => {}
                        () = self.clock.sleep(Duration::from_millis(wait)) => {}
                    }
                }
                None => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.mailbox.changed.notified() => {}
                    }
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    async fn out_of_patience(&self, stop: &CancellationToken) {
        stop.cancelled().await;
        self.clock.sleep(PATIENCE).await;
    }

    async fn deliver(&self, mut entry: OutboxEntry) {
        let started = self.clock.now();
        let attempt = self.attempt(&entry).await;
        let finished = self.clock.now();
        entry.attempts += 1;
        entry.settled.extend(attempt.settled);
        // A later attempt for the others does not make good what one has refused.
        entry.refusal = entry.refusal.or(attempt.refusal);
        let expired = finished - entry.created_at > GIVE_UP_AFTER_MS;
        let (outcome, again) = match attempt.failure {
            None => {
                let refusal = entry.refusal.clone();
                let outcome = refusal.map_or(DeliveryOutcome::Delivered, DeliveryOutcome::Failed);
                (outcome, false)
            }
            Some(Failure::Permanent(message)) => (DeliveryOutcome::Failed(message), false),
            Some(Failure::Temporary { message, .. }) if expired => {
                (DeliveryOutcome::Failed(message), false)
            }
            Some(Failure::Temporary {
                message,
                retry_after,
            }) => {
                let asked = retry_after.map_or(0, |wait| {
                    i64::try_from(wait.as_millis())
                        .map_or(LONGEST_ASKED_MS, |wait| wait.min(LONGEST_ASKED_MS))
                });
                entry.due_at = finished + backoff::wait_ms(&entry.id, entry.attempts).max(asked);
                (DeliveryOutcome::Retried(message), true)
            }
        };
        self.note(&entry, &outcome, finished - started);
        let current =
            self.mailbox
                .settle(&entry.group_key, &entry.id, again.then(|| entry.clone()));
        let mut change = StateChange {
            attempts: vec![record_of(&entry, outcome, started, finished - started)],
            ..StateChange::default()
        };
        if !again {
            change.outbox_deleted.push(entry.id);
        } else if current {
            change.outbox_put.push(entry);
        }
        if let Err(error) = self.state.save(change).await {
            // The message stays in the outbox: after a restart it may be sent again.
            tracing::error!(integration = %self.integration.id, %error, "delivery not recorded");
        }
    }

    async fn attempt(&self, entry: &OutboxEntry) -> Attempt {
        match &self.integration.kind {
            IntegrationKind::Email(config) => email::send(config, entry, &self.external_url).await,
            IntegrationKind::Webhook(config) => {
                let receiver = &self.integration.receiver;
                webhook::send(config, receiver, entry, &self.external_url).await
            }
        }
    }

    fn note(&self, entry: &OutboxEntry, outcome: &DeliveryOutcome, took_ms: i64) {
        let kind = self.integration.kind.name();
        let receiver = || self.integration.receiver.clone();
        metrics::counter!(
            "alertmanager_notification_requests_total",
            "integration" => kind, "receiver_name" => receiver()
        )
        .increment(1);
        metrics::histogram!(
            "alertmanager_notification_latency_seconds",
            "integration" => kind, "receiver_name" => receiver()
        )
        .record(took_ms as f64 / 1_000.0);
        // As in Alertmanager: requests fail one by one, and messages that failed for good are among
        // all.
        let messages = metrics::counter!(
            "alertmanager_notifications_total",
            "integration" => kind, "receiver_name" => receiver()
        );
        let failed_messages = metrics::counter!(
            "alertmanager_notifications_failed_total",
            "integration" => kind, "receiver_name" => receiver()
        );
        let failed_requests = metrics::counter!(
            "alertmanager_notification_requests_failed_total",
            "integration" => kind, "receiver_name" => receiver()
        );
        match outcome {
            DeliveryOutcome::Delivered => {
                messages.increment(1);
                tracing::info!(integration = %self.integration.id, group = %entry.group_key, id = %entry.id, "notification delivered");
            }
            DeliveryOutcome::Retried(error) => {
                failed_requests.increment(1);
                tracing::warn!(integration = %self.integration.id, group = %entry.group_key, attempts = entry.attempts, %error, "notification failed, will retry");
            }
            DeliveryOutcome::Failed(error) => {
                failed_requests.increment(1);
                messages.increment(1);
                failed_messages.increment(1);
                tracing::error!(integration = %self.integration.id, group = %entry.group_key, %error, "notification failed for good");
            }
        }
    }
}

fn record_of(
    entry: &OutboxEntry,
    outcome: DeliveryOutcome,
    at: i64,
    took_ms: i64,
) -> DeliveryAttempt {
    let firing = entry
        .alerts
        .iter()
        .filter(|alert| alert.resolved_at.is_none())
        .count();
    DeliveryAttempt {
        id: entry.id.clone(),
        integration: entry.integration.clone(),
        group_key: entry.group_key.clone(),
        firing,
        resolved: entry.alerts.len() - firing,
        at,
        took_ms,
        outcome,
    }
}
