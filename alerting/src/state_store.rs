//! What alerting must not forget: alert states, what was announced to whom, and unsent messages.
//!
//! Everything is written by one method, [`StateStore::save`], which applies a whole
//! [`StateChange`] or nothing. So an alert's state and the message that follows from it can
//! never drift apart, however the process dies. The engine keeps its own copy in memory and
//! reads the store only once, when it starts.

use async_trait::async_trait;
use model::Labels;
use serde::{Deserialize, Serialize};

use crate::state::AlertState;

/// Durable storage for one tenant's alerting.
///
/// Rows are small; each kind has a text key (`key()`) under which a later row replaces an
/// earlier one, so that a key column and a JSON column per table are enough.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Everything saved so far, as of one moment, in any order.
    ///
    /// # Errors
    ///
    /// [`StateError::Corrupt`] makes the engine start empty and say so;
    /// [`StateError::Unavailable`] makes it try again.
    async fn load(&self) -> Result<SavedState, StateError>;

    /// Applies all of `change` or nothing; durable (fsync) when it returns.
    ///
    /// Deletions come before insertions. Deleting what is not there is no error.
    ///
    /// # Errors
    ///
    /// [`StateError::Unavailable`]; the engine goes on in memory and saves again later.
    async fn save(&self, change: StateChange) -> Result<(), StateError>;

    /// The last `limit` delivery attempts, newest first.
    ///
    /// # Errors
    ///
    /// As [`StateStore::load`].
    async fn attempts(&self, limit: usize) -> Result<Vec<DeliveryAttempt>, StateError>;
}

/// Why the state could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Stored rows cannot be understood; the implementation has set them aside.
    #[error("stored alert state is damaged: {0}")]
    Corrupt(String),
    /// The database cannot be reached, is full or timed out.
    #[error("alert state store unavailable: {0}")]
    Unavailable(String),
}

/// All rows of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedState {
    /// Pending and firing alerts.
    pub alerts: Vec<AlertRecord>,
    /// Rule groups that have been evaluated.
    pub rule_groups: Vec<RuleGroupRecord>,
    /// What each integration has been told about each alert group.
    pub notifications: Vec<NotificationRecord>,
    /// Messages not yet delivered.
    pub outbox: Vec<OutboxEntry>,
}

/// A set of writes that happen together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StateChange {
    /// Alerts to delete, by [`AlertRecord::key`].
    pub alerts_deleted: Vec<String>,
    /// Alerts to insert or replace.
    pub alerts_put: Vec<AlertRecord>,
    /// Rule groups to insert or replace.
    pub rule_groups_put: Vec<RuleGroupRecord>,
    /// Notification records to delete, by [`NotificationRecord::key`].
    pub notifications_deleted: Vec<String>,
    /// Notification records to insert or replace.
    pub notifications_put: Vec<NotificationRecord>,
    /// Outbox entries to delete, by [`OutboxEntry::id`].
    pub outbox_deleted: Vec<String>,
    /// Outbox entries to insert or replace.
    pub outbox_put: Vec<OutboxEntry>,
    /// Delivery attempts to append to the notification log.
    pub attempts: Vec<DeliveryAttempt>,
}

impl StateChange {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One active alert of one rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// The rule group: `file;name`.
    pub group: String,
    /// The rule inside the group: its name and own labels, stable when the file is reordered.
    pub rule: String,
    /// The alert's final labels.
    pub labels: Labels,
    /// Pending or firing, with its times.
    pub state: AlertState,
    /// The expression's value at the last hit.
    #[serde(with = "value_text")]
    pub value: f64,
    /// The annotations, expanded at the last hit.
    pub annotations: Labels,
}

impl AlertRecord {
    /// Unique among alerts.
    pub fn key(&self) -> String {
        format!(
            "{};{};{:016x}",
            self.group,
            self.rule,
            self.labels.fingerprint()
        )
    }
}

/// How far a rule group has been evaluated: tells downtime from missing series after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleGroupRecord {
    /// The rule group: `file;name`. The key.
    pub group: String,
    /// The slot of the last evaluation, Unix ms.
    pub last_evaluation: i64,
}

/// What one integration of one receiver was last told about one alert group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotificationRecord {
    /// Route and group labels, in Alertmanager's form: `{}/{severity="page"}:{alertname="X"}`.
    pub group_key: String,
    /// The receiver and its integration: `team-web/email[0]`.
    pub integration: String,
    /// The labels the group's alerts share by `group_by`.
    pub group_labels: Labels,
    /// The alerts announced as firing and not yet as resolved.
    pub announced: Vec<NotifiedAlert>,
    /// When the last message was put into the outbox, Unix ms.
    pub notified_at: i64,
    /// Identifies the incident: shared by its messages, so that mail programs show one thread.
    pub thread: String,
}

impl NotificationRecord {
    /// Unique among notification records.
    pub fn key(&self) -> String {
        format!("{};{}", self.integration, self.group_key)
    }
}

/// An alert as a message shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NotifiedAlert {
    /// The alert's labels.
    pub labels: Labels,
    /// Its annotations at the last hit.
    pub annotations: Labels,
    /// The expression's value at the last hit.
    #[serde(with = "value_text")]
    pub value: f64,
    /// Since when the condition holds, Unix ms.
    pub active_at: i64,
    /// Since when it fires, Unix ms.
    pub fired_at: i64,
    /// When it stopped, Unix ms; `None` while it fires.
    pub resolved_at: Option<i64>,
    /// The longest window the rule looks back on, ms; 0 when it has none.
    pub window_ms: i64,
    /// The rule's expression.
    pub query: String,
}

/// A message on its way to one integration. At most one is waiting per alert group and
/// integration: a newer one replaces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Unique for ever; the message's identity at the receiver too (`Message-ID`).
    pub id: String,
    /// The receiver and its integration: `team-web/email[0]`.
    pub integration: String,
    /// The alert group, as in [`NotificationRecord`].
    pub group_key: String,
    /// The labels the group's alerts share by `group_by`.
    pub group_labels: Labels,
    /// The incident, as in [`NotificationRecord`].
    pub thread: String,
    /// Firing alerts, then newly resolved ones.
    pub alerts: Vec<NotifiedAlert>,
    /// Recipients that are settled: they have it, or refused it for good.
    #[serde(default)]
    pub settled: Vec<String>,
    /// Why the first of those refused that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// When it was made, Unix ms.
    pub created_at: i64,
    /// When the next attempt is due, Unix ms.
    pub due_at: i64,
    /// Attempts so far.
    pub attempts: u32,
}

/// One attempt to deliver a message: the notification log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    /// The message: [`OutboxEntry::id`].
    pub id: String,
    /// The receiver and its integration.
    pub integration: String,
    /// The alert group.
    pub group_key: String,
    /// How many of the alerts were firing.
    pub firing: usize,
    /// How many of the alerts were resolved.
    pub resolved: usize,
    /// When, Unix ms.
    pub at: i64,
    /// How long it took, ms.
    pub took_ms: i64,
    /// What came of it.
    pub outcome: DeliveryOutcome,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryOutcome {
    /// The receiver took it.
    Delivered,
    /// It failed and will be tried again.
    Retried(String),
    /// It failed for good.
    Failed(String),
}

/// JSON has no NaN or infinities, and expressions have: values are written as text.
mod value_text {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}
