//! Measures how far the replica is behind: in seconds by a heartbeat row, in bytes of log.
//!
//! Each instance writes the time of its own clock into its own row on the primary and compares
//! what the replica shows with the same clock, so clocks that disagree between machines cannot
//! look like lag. The age keeps growing while the replica is paused or gone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::database::{Database, WritePosition, operation};
use crate::error::InternalError;
use crate::instruments::ReplicaLag;

/// Rows of instances silent for longer than this belong to processes that are gone.
const FORGET_INSTANCES_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The latest measurements; cheap to clone. `Replication::run` keeps them fresh.
#[derive(Clone)]
pub(crate) struct Replication {
    database: Database,
    instance_id: String,
    interval: Duration,
    latest: Arc<Mutex<Measured>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    /// The newest beat of ours the replica has shown, Unix milliseconds of our clock.
    beat_seen: Option<i64>,
    backlog_bytes: Option<i64>,
}

impl Replication {
    pub(crate) fn new(database: Database, instance_id: String, interval: Duration) -> Self {
        Self {
            database,
            instance_id,
            interval,
            latest: Arc::default(),
        }
    }

    /// The lag at `now`; `None` without a replica.
    pub(crate) fn lag_at(&self, now: Timestamp) -> Option<ReplicaLag> {
        let replica = self.database.replica_address()?.to_owned();
        let measured = self.measured();
        let age = |beat: i64| now.as_millisecond().saturating_sub(beat).max(0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "an age in milliseconds is far below 2^53"
        )]
        let seconds = measured.beat_seen.map(|beat| age(beat) as f64 / 1000.0);
        Some(ReplicaLag {
            replica,
            seconds,
            bytes: measured.backlog_bytes,
        })
    }

    /// Beats and measures every interval until `stop`. Without a replica it returns at once.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.database.replica_address().is_none() {
            return;
        }
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(outcome) = stop.run_until_cancelled(self.measure()).await else {
                return;
            };
            // Said once when it begins, not twice a second while it lasts.
            if let (Err(error), false) = (&outcome, failing) {
                warn!(exception.message = %error, "replication lag could not be measured");
            }
            failing = outcome.is_err();
        }
    }

    async fn measure(&self) -> Result<(), InternalError> {
        // The replica first: its answer must not wait for a primary that is in trouble.
        let seen = self.look_at_replica().await;
        let beaten = self.beat(Timestamp::now()).await;
        let backlog = self.backlog().await;
        if let Ok(bytes) = &backlog {
            self.update(|latest| latest.backlog_bytes = *bytes);
        }
        seen.and(beaten).and(backlog.map(drop))
    }

    async fn beat(&self, now: Timestamp) -> Result<(), InternalError> {
        let (id, now) = (self.instance_id.clone(), now.as_millisecond());
        let forget = i64::try_from(FORGET_INSTANCES_AFTER.as_millis()).unwrap_or(i64::MAX);
        self.database
            .on_primary(operation!("UPSERT", "heartbeats"), |pool| async move {
                sqlx::query(
                    "INSERT INTO heartbeats (instance_id, beat_at) VALUES ($1, $2) \
                     ON CONFLICT (instance_id) DO UPDATE SET beat_at = excluded.beat_at",
                )
                .bind(id)
                .bind(now)
                .execute(&pool)
                .await?;
                sqlx::query("DELETE FROM heartbeats WHERE beat_at < $1")
                    .bind(now - forget)
                    .execute(&pool)
                    .await
                    .map(drop)
            })
            .await
    }

    /// Reads our beat and the replayed position, both as the replica has them.
    async fn look_at_replica(&self) -> Result<(), InternalError> {
        let id = self.instance_id.clone();
        let seen =
            self.database
                .on_replica(operation!("SELECT", "heartbeats"), |pool| async move {
                    sqlx::query_as::<_, (Option<i64>, Option<i64>)>(
                        "SELECT (SELECT beat_at FROM heartbeats WHERE instance_id = $1), \
                        pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint",
                    )
                    .bind(id)
                    .fetch_one(&pool)
                    .await
                });
        let Some(answer) = seen.await else {
            return Ok(());
        };
        let (beat, replayed) = answer?;
        if beat.is_some() {
            self.update(|latest| latest.beat_seen = beat);
        }
        if let Some(replayed) = replayed {
            self.database.replica_replayed(WritePosition(replayed));
        }
        Ok(())
    }

    /// The largest distance of any standby, as the primary sees it. `None` when no standby is
    /// connected or the role may not see its position (it needs `pg_monitor`).
    async fn backlog(&self) -> Result<Option<i64>, InternalError> {
        self.database
            .on_primary(
                operation!("SELECT", "pg_stat_replication"),
                |pool| async move {
                    sqlx::query_scalar::<_, Option<i64>>(
                        "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::bigint \
                     FROM pg_stat_replication",
                    )
                    .fetch_one(&pool)
                    .await
                },
            )
            .await
    }

    fn measured(&self) -> Measured {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Measured)) {
        change(&mut self.latest.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
