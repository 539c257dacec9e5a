//! What alerting remembers, in the store's database. All of its SQL is here.
//!
//! One table holds every kind of row as a key and JSON, one more the delivery attempts. Rows that
//! cannot be read are set aside under another kind, so that alerting starts empty instead of not
//! at all, and somebody can look at them.

use alerting::state_store::{
    AlertRecord, DeliveryAttempt, NotificationRecord, OutboxEntry, RuleGroupRecord, SavedState,
};
use alerting::{StateChange, StateError, StateStore};
use async_trait::async_trait;
use model::TenantId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Any, AnyConnection, Row, Transaction};
use store::{Database, Migration, StoreError};

/// The name under which the schema's version is kept.
const COMPONENT: &str = "alerting";

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "CREATE TABLE alerting_state (
            tenant TEXT NOT NULL,
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (tenant, kind, key)
          );
          CREATE TABLE alerting_attempts (
            tenant TEXT NOT NULL,
            at BIGINT NOT NULL,
            message TEXT NOT NULL,
            value TEXT NOT NULL
          );
          CREATE INDEX alerting_attempts_by_time ON alerting_attempts (tenant, at);",
}];

const PUT: &str = "INSERT INTO alerting_state (tenant, kind, key, value) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (tenant, kind, key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM alerting_state WHERE tenant = $1 AND kind = $2 AND key = $3";
const LOAD: &str = "SELECT value FROM alerting_state WHERE tenant = $1 AND kind = $2";
const FORGET_SET_ASIDE: &str =
    "DELETE FROM alerting_state WHERE tenant = $1 AND kind LIKE 'damaged-%'";
const SET_ASIDE: &str = "UPDATE alerting_state SET kind = 'damaged-' || kind WHERE tenant = $1";
const APPEND_ATTEMPT: &str =
    "INSERT INTO alerting_attempts (tenant, at, message, value) VALUES ($1, $2, $3, $4)";
const FORGET_ATTEMPTS: &str = "DELETE FROM alerting_attempts WHERE tenant = $1 AND at < $2";
const ATTEMPTS: &str =
    "SELECT value FROM alerting_attempts WHERE tenant = $1 ORDER BY at DESC LIMIT $2";

/// How long delivery attempts are kept, ms.
const ATTEMPTS_KEPT_MS: i64 = 30 * 86_400 * 1_000;

/// The kinds of rows in `alerting_state`.
mod kind {
    pub(super) const ALERT: &str = "alert";
    pub(super) const RULE_GROUP: &str = "rule_group";
    pub(super) const NOTIFICATION: &str = "notification";
    pub(super) const OUTBOX: &str = "outbox";
}

/// One tenant's alerting state in a [`Database`].
pub(crate) struct DatabaseStateStore {
    database: Database,
    tenant: TenantId,
}

impl DatabaseStateStore {
    /// Brings the schema up to date.
    ///
    /// # Errors
    ///
    /// The database fails, or was written by a later release.
    pub(crate) async fn open(database: Database, tenant: TenantId) -> Result<Self, StoreError> {
        database.migrate(COMPONENT, MIGRATIONS).await?;
        Ok(Self { database, tenant })
    }

    async fn rows<T: DeserializeOwned>(
        &self,
        connection: &mut AnyConnection,
        kind: &str,
    ) -> Result<Vec<T>, StateError> {
        let rows = sqlx::query(LOAD)
            .bind(self.tenant.as_str())
            .bind(kind)
            .fetch_all(connection)
            .await
            .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let text: String = row.try_get(0).map_err(unavailable)?;
                serde_json::from_str(&text)
                    .map_err(|err| StateError::Corrupt(format!("a row of kind {kind}: {err}")))
            })
            .collect()
    }

    async fn load_all(&self) -> Result<SavedState, StateError> {
        // One transaction, so that all rows are of one moment.
        let mut transaction = self.database.pool().begin().await.map_err(unavailable)?;
        let connection: &mut AnyConnection = &mut transaction;
        Ok(SavedState {
            alerts: self.rows::<AlertRecord>(connection, kind::ALERT).await?,
            rule_groups: self
                .rows::<RuleGroupRecord>(connection, kind::RULE_GROUP)
                .await?,
            notifications: self
                .rows::<NotificationRecord>(connection, kind::NOTIFICATION)
                .await?,
            outbox: self.rows::<OutboxEntry>(connection, kind::OUTBOX).await?,
        })
    }

    async fn set_aside(&self) -> Result<(), StateError> {
        let mut transaction = self.database.pool().begin().await.map_err(unavailable)?;
        for sql in [FORGET_SET_ASIDE, SET_ASIDE] {
            sqlx::query(sql)
                .bind(self.tenant.as_str())
                .execute(&mut *transaction)
                .await
                .map_err(unavailable)?;
        }
        transaction.commit().await.map_err(unavailable)
    }

    async fn put<T: Serialize>(
        &self,
        transaction: &mut Transaction<'_, Any>,
        kind: &str,
        rows: &[T],
        key: impl Fn(&T) -> String,
    ) -> Result<(), StateError> {
        for row in rows {
            sqlx::query(PUT)
                .bind(self.tenant.as_str())
                .bind(kind)
                .bind(key(row))
                .bind(json(row)?)
                .execute(&mut **transaction)
                .await
                .map_err(unavailable)?;
        }
        Ok(())
    }

    async fn delete(
        &self,
        transaction: &mut Transaction<'_, Any>,
        kind: &str,
        keys: &[String],
    ) -> Result<(), StateError> {
        for key in keys {
            sqlx::query(DELETE)
                .bind(self.tenant.as_str())
                .bind(kind)
                .bind(key.as_str())
                .execute(&mut **transaction)
                .await
                .map_err(unavailable)?;
        }
        Ok(())
    }

    async fn append_attempts(
        &self,
        transaction: &mut Transaction<'_, Any>,
        attempts: &[DeliveryAttempt],
    ) -> Result<(), StateError> {
        for attempt in attempts {
            sqlx::query(APPEND_ATTEMPT)
                .bind(self.tenant.as_str())
                .bind(attempt.at)
                .bind(attempt.id.as_str())
                .bind(json(attempt)?)
                .execute(&mut **transaction)
                .await
                .map_err(unavailable)?;
        }
        // Old ones go when new ones come; the newest tells the time.
        if let Some(newest) = attempts.iter().map(|attempt| attempt.at).max() {
            sqlx::query(FORGET_ATTEMPTS)
                .bind(self.tenant.as_str())
                .bind(newest.saturating_sub(ATTEMPTS_KEPT_MS))
                .execute(&mut **transaction)
                .await
                .map_err(unavailable)?;
        }
        Ok(())
    }
}

#[async_trait]
impl StateStore for DatabaseStateStore {
    async fn load(&self) -> Result<SavedState, StateError> {
        let loaded = self.load_all().await;
        if matches!(loaded, Err(StateError::Corrupt(_))) {
            self.set_aside().await?;
        }
        loaded
    }

    async fn save(&self, change: StateChange) -> Result<(), StateError> {
        let mut transaction = self.database.pool().begin().await.map_err(unavailable)?;
        let to = &mut transaction;
        self.delete(to, kind::ALERT, &change.alerts_deleted).await?;
        self.delete(to, kind::NOTIFICATION, &change.notifications_deleted)
            .await?;
        self.delete(to, kind::OUTBOX, &change.outbox_deleted)
            .await?;
        self.put(to, kind::ALERT, &change.alerts_put, AlertRecord::key)
            .await?;
        self.put(to, kind::RULE_GROUP, &change.rule_groups_put, |row| {
            row.group.clone()
        })
        .await?;
        self.put(
            to,
            kind::NOTIFICATION,
            &change.notifications_put,
            NotificationRecord::key,
        )
        .await?;
        self.put(to, kind::OUTBOX, &change.outbox_put, |row| row.id.clone())
            .await?;
        self.append_attempts(to, &change.attempts).await?;
        transaction.commit().await.map_err(unavailable)
    }

    async fn attempts(&self, limit: usize) -> Result<Vec<DeliveryAttempt>, StateError> {
        let rows = sqlx::query(ATTEMPTS)
            .bind(self.tenant.as_str())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(self.database.pool())
            .await
            .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                let text: String = row.try_get(0).map_err(unavailable)?;
                serde_json::from_str(&text)
                    .map_err(|err| StateError::Corrupt(format!("a delivery attempt: {err}")))
            })
            .collect()
    }
}

fn json(row: &impl Serialize) -> Result<String, StateError> {
    serde_json::to_string(row).map_err(|err| StateError::Corrupt(err.to_string()))
}

fn unavailable(err: sqlx::Error) -> StateError {
    StateError::Unavailable(err.to_string())
}

#[cfg(test)]
mod tests {
    use alerting::state_store::DeliveryOutcome;
    use model::Labels;

    use super::*;

    async fn open(dir: &std::path::Path, tenant: &str) -> DatabaseStateStore {
        let database = Database::open_sqlite(&dir.join("catalog.sqlite"))
            .await
            .unwrap();
        DatabaseStateStore::open(database, tenant.parse().unwrap())
            .await
            .unwrap()
    }

    fn group(name: &str, last_evaluation: i64) -> RuleGroupRecord {
        RuleGroupRecord {
            group: name.to_owned(),
            last_evaluation,
        }
    }

    fn message(id: &str) -> OutboxEntry {
        OutboxEntry {
            id: id.to_owned(),
            integration: "team/email[0]".to_owned(),
            group_key: "{}".to_owned(),
            group_labels: Labels::new([("alertname", "Down")]),
            thread: "t".to_owned(),
            alerts: Vec::new(),
            created_at: 1,
            due_at: 2,
            attempts: 0,
            settled: Vec::new(),
            refusal: None,
        }
    }

    fn attempt(id: &str, at: i64) -> DeliveryAttempt {
        DeliveryAttempt {
            id: id.to_owned(),
            integration: "team/email[0]".to_owned(),
            group_key: "{}".to_owned(),
            firing: 1,
            resolved: 0,
            at,
            took_ms: 3,
            outcome: DeliveryOutcome::Delivered,
        }
    }

    #[tokio::test]
    async fn it_keeps_what_every_state_store_promises() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "a").await;
        alerting::state_store_suite::check(&store).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_saved_is_loaded_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "a").await;
        let change = StateChange {
            rule_groups_put: vec![group("g", 1), group("h", 2)],
            outbox_put: vec![message("m1"), message("m2")],
            ..StateChange::default()
        };
        store.save(change).await.unwrap();
        let change = StateChange {
            rule_groups_put: vec![group("g", 5)],
            outbox_deleted: vec!["m1".to_owned(), "never there".to_owned()],
            ..StateChange::default()
        };
        store.save(change).await.unwrap();
        drop(store);

        let mut saved = open(dir.path(), "a").await.load().await.unwrap();
        saved.rule_groups.sort_by(|a, b| a.group.cmp(&b.group));
        assert_eq!(saved.rule_groups, [group("g", 5), group("h", 2)]);
        assert_eq!(saved.outbox, [message("m2")]);
        let other = open(dir.path(), "b").await.load().await.unwrap();
        assert_eq!(other, SavedState::default());
    }

    #[tokio::test]
    async fn damaged_rows_are_set_aside_and_the_next_load_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "a").await;
        let change = StateChange {
            outbox_put: vec![message("m1")],
            ..StateChange::default()
        };
        store.save(change).await.unwrap();
        sqlx::query("UPDATE alerting_state SET value = '{'")
            .execute(store.database.pool())
            .await
            .unwrap();
        assert!(matches!(store.load().await, Err(StateError::Corrupt(_))));
        assert_eq!(store.load().await, Ok(SavedState::default()));
        let aside: i64 =
            sqlx::query("SELECT COUNT(*) FROM alerting_state WHERE kind = 'damaged-outbox'")
                .fetch_one(store.database.pool())
                .await
                .unwrap()
                .get(0);
        assert_eq!(aside, 1);
    }

    #[tokio::test]
    async fn attempts_come_newest_first_and_old_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "a").await;
        for (id, at) in [("m1", 1), ("m2", 10), ("m3", ATTEMPTS_KEPT_MS + 5)] {
            let change = StateChange {
                attempts: vec![attempt(id, at)],
                ..StateChange::default()
            };
            store.save(change).await.unwrap();
        }
        let ids = |attempts: Vec<DeliveryAttempt>| -> Vec<String> {
            attempts.into_iter().map(|attempt| attempt.id).collect()
        };
        assert_eq!(ids(store.attempts(5).await.unwrap()), ["m3", "m2"]);
        assert_eq!(ids(store.attempts(1).await.unwrap()), ["m3"]);
    }
}
