//! The seams in memory: for tests, and for looking at rules without a store.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::SeriesSample;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::sink::{SampleSink, SinkError};
use crate::source::{DataSource, QueryError, QueryResult};
use crate::state_store::{
    AlertRecord, DeliveryAttempt, NotificationRecord, OutboxEntry, RuleGroupRecord, SavedState,
    StateChange, StateError, StateStore,
};

/// A [`StateStore`] that forgets when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStateStore {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    alerts: BTreeMap<String, AlertRecord>,
    rule_groups: BTreeMap<String, RuleGroupRecord>,
    notifications: BTreeMap<String, NotificationRecord>,
    outbox: BTreeMap<String, OutboxEntry>,
    attempts: Vec<DeliveryAttempt>,
}

impl Rows {
    fn apply(&mut self, change: StateChange) {
        for key in change.alerts_deleted {
            self.alerts.remove(&key);
        }
        for key in change.notifications_deleted {
            self.notifications.remove(&key);
        }
        for id in change.outbox_deleted {
            self.outbox.remove(&id);
        }
        self.alerts
            .extend(change.alerts_put.into_iter().map(|row| (row.key(), row)));
        self.rule_groups.extend(
            change
                .rule_groups_put
                .into_iter()
                .map(|row| (row.group.clone(), row)),
        );
        self.notifications.extend(
            change
                .notifications_put
                .into_iter()
                .map(|row| (row.key(), row)),
        );
        self.outbox.extend(
            change
                .outbox_put
                .into_iter()
                .map(|row| (row.id.clone(), row)),
        );
        self.attempts.extend(change.attempts);
    }
}

impl MemoryStateStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl StateStore for MemoryStateStore {
    async fn load(&self) -> Result<SavedState, StateError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(SavedState {
            alerts: rows.alerts.values().cloned().collect(),
            rule_groups: rows.rule_groups.values().cloned().collect(),
            notifications: rows.notifications.values().cloned().collect(),
            outbox: rows.outbox.values().cloned().collect(),
        })
    }

    async fn save(&self, change: StateChange) -> Result<(), StateError> {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .apply(change);
        Ok(())
    }

    async fn attempts(&self, limit: usize) -> Result<Vec<DeliveryAttempt>, StateError> {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(rows.attempts.iter().rev().take(limit).cloned().collect())
    }
}

/// A [`SampleSink`] that keeps what it got, in order.
#[derive(Debug, Default)]
pub struct MemorySink {
    samples: Mutex<Vec<SeriesSample>>,
}

impl MemorySink {
    /// An empty sink.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything written so far, in order.
    pub fn samples(&self) -> Vec<SeriesSample> {
        self.samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl SampleSink for MemorySink {
    async fn write(&self, samples: Vec<SeriesSample>) -> Result<(), SinkError> {
        self.samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(samples);
        Ok(())
    }
}

/// A [`DataSource`] with an answer set per query text; any other query yields nothing.
#[derive(Debug, Default)]
pub struct FixedSource {
    answers: Mutex<BTreeMap<String, Result<QueryResult, QueryError>>>,
}

impl FixedSource {
    /// A source without answers.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on, `query` yields `answer` at any time.
    pub fn set(&self, query: &str, answer: Result<QueryResult, QueryError>) {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(query.to_owned(), answer);
    }
}

#[async_trait]
impl DataSource for FixedSource {
    async fn query(&self, query: &str, _at: i64) -> Result<QueryResult, QueryError> {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(query)
            .cloned()
            .unwrap_or(Ok(QueryResult::Vector(Vec::new())))
    }
}

/// A [`Clock`] that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<i64>,
}

impl ManualClock {
    /// A clock that stands at `now` (Unix ms).
    pub fn new(now: i64) -> Self {
        Self {
            now: watch::Sender::new(now),
        }
    }

    /// Moves it forward; sleepers whose time has come wake up.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.now.send_modify(|now| *now = now.saturating_add(by));
    }

    /// Sets it, backwards too.
    pub fn set(&self, now: i64) {
        self.now.send_replace(now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> i64 {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let mut now = self.now.subscribe();
        let wait = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let until = now.borrow().saturating_add(wait);
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _closed = now.wait_for(|now| *now >= until).await;
    }
}
