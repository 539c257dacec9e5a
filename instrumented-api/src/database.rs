//! The databases: writes go to the primary, reads to the replica, except where a caller would
//! not find his own writes there.
//!
//! Every statement passes [`Database::observed`], which gives it a client span and a measurement.
//! The SQL is one text for PostgreSQL and SQLite (sqlx `Any`).
//!
//! **Read your writes.** After a write, the primary's write-ahead log position is noted for the
//! caller and returned in a response header. A read goes to the replica only once the replica
//! is known to have replayed that position; what is known is refreshed by `replication`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Executor as _, SqlSafeStr as _};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span, warn};

use crate::config::Config;
use crate::error::{InternalError, database_error_type};
use crate::instruments::{Instruments, OperationOutcome, PoolUse};

/// Waiting longer for a connection than this is an error the caller should see.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// A position in the primary's write-ahead log, in bytes. Meaningless between databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WritePosition(pub(crate) i64);

/// What a statement does, for its span and its measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// SQL's verb, `SELECT`.
    pub(crate) verb: &'static str,
    /// The table.
    pub(crate) table: &'static str,
    /// Both, as one text for names and messages.
    pub(crate) summary: &'static str,
}

/// An [`Operation`] from its two words.
macro_rules! operation {
    ($verb:literal, $table:literal) => {
        crate::database::Operation {
            verb: $verb,
            table: $table,
            summary: concat!($verb, " ", $table),
        }
    };
}
pub(crate) use operation;

/// Who reads, and how recent the answer must be at least.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) user_id: String,
    pub(crate) read_after: Option<WritePosition>,
}

/// Handles to the databases; cheap to clone.
#[derive(Clone)]
pub(crate) struct Database(Arc<Pools>);

struct Pools {
    primary: Pool,
    replica: Option<Replica>,
    system: &'static str,
    instruments: Instruments,
}

#[derive(Clone)]
struct Pool {
    name: &'static str,
    connections: AnyPool,
    max: u32,
}

struct Replica {
    pool: Pool,
    /// `server.address:port`, the value of the label `replica`.
    address: String,
    /// How far the replica is known to have replayed; -1 while unknown.
    replayed: AtomicI64,
    /// Users whose latest write the replica may not have yet.
    unreplayed: Mutex<HashMap<String, WritePosition>>,
}

impl Database {
    /// Connects to the primary and brings its schema up to date; the replica is connected to at
    /// the first read, since the service works without it.
    pub(crate) async fn open(config: &Config, instruments: Instruments) -> anyhow::Result<Self> {
        sqlx::any::install_default_drivers();
        let url = config.database_url.reveal();
        let system = system_of(url)?;
        let options = || {
            AnyPoolOptions::new()
                .max_connections(config.pool_size)
                .acquire_timeout(ACQUIRE_TIMEOUT)
        };
        let connections = prepared(options(), system)
            .connect(url)
            .await
            .with_context(|| {
                format!("connect to the primary database {}", without_password(url))
            })?;
        migrations()
            .run(&connections)
            .await
            .context("bring the database schema up to date")?;

        let replica = match &config.replica_url {
            Some(_) if system != "postgresql" => {
                anyhow::bail!("a replica needs PostgreSQL; the primary is {system}")
            }
            Some(url) => Some(Replica::lazy(url.reveal(), options(), config.pool_size)?),
            None => None,
        };
        let primary = Pool {
            name: "primary",
            connections,
            max: config.pool_size,
        };
        Ok(Self(Arc::new(Pools {
            primary,
            replica,
            system,
            instruments,
        })))
    }

    /// Runs a write, or a read that must see every write, on the primary.
    pub(crate) async fn on_primary<T, F, Fut>(
        &self,
        operation: Operation,
        statement: F,
    ) -> Result<T, InternalError>
    where
        F: FnOnce(AnyPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let pool = &self.0.primary;
        self.observed(pool, operation, statement(pool.connections.clone()))
            .await
            .map_err(|source| failed(operation, pool, source))
    }

    /// Runs a read on the replica when it has what `reader` wrote, else on the primary. A replica
    /// that cannot be reached costs a retry, not the answer.
    pub(crate) async fn read<T, F, Fut>(
        &self,
        reader: Reader,
        operation: Operation,
        statement: F,
    ) -> Result<T, InternalError>
    where
        F: Fn(AnyPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let Some(replica) = self
            .0
            .replica
            .as_ref()
            .filter(|replica| replica.serves(&reader))
        else {
            return self.on_primary(operation, statement).await;
        };
        let pool = &replica.pool;
        let answer = self
            .observed(pool, operation, statement(pool.connections.clone()))
            .await;
        match answer {
            Err(source) if unreachable(&source) => {
                warn!(
                    db.operation.name = operation.verb,
                    db.collection.name = operation.table,
                    exception.message = %source,
                    "replica did not answer, reading from the primary"
                );
                self.on_primary(operation, statement).await
            }
            other => other.map_err(|source| failed(operation, pool, source)),
        }
    }

    /// To be called after a user's write: reads of his go to the primary until the replica has
    /// it. `None` without a replica, when every read sees every write anyway.
    pub(crate) async fn note_write(
        &self,
        user_id: &str,
    ) -> Result<Option<WritePosition>, InternalError> {
        let Some(replica) = &self.0.replica else {
            return Ok(None);
        };
        let position = self
            .on_primary(
                operation!("SELECT", "pg_current_wal_lsn"),
                |pool| async move {
                    let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint";
                    sqlx::query_scalar::<_, i64>(sql).fetch_one(&pool).await
                },
            )
            .await?;
        let position = WritePosition(position);
        replica.unreplayed().insert(user_id.to_owned(), position);
        Ok(Some(position))
    }

    /// Runs `statement` on the replica, whatever it has replayed. `None` without a replica.
    pub(crate) async fn on_replica<T, F, Fut>(
        &self,
        operation: Operation,
        statement: F,
    ) -> Option<Result<T, InternalError>>
    where
        F: FnOnce(AnyPool) -> Fut,
        Fut: Future<Output = Result<T, sqlx::Error>>,
    {
        let pool = &self.0.replica.as_ref()?.pool;
        let answer = self
            .observed(pool, operation, statement(pool.connections.clone()))
            .await;
        Some(answer.map_err(|source| failed(operation, pool, source)))
    }

    /// The replica's name in metrics, if there is a replica.
    pub(crate) fn replica_address(&self) -> Option<&str> {
        self.0
            .replica
            .as_ref()
            .map(|replica| replica.address.as_str())
    }

    /// The replica has replayed the log up to `position`; users whose writes it now has are
    /// forgotten, so their number stays bounded by the lag.
    pub(crate) fn replica_replayed(&self, position: WritePosition) {
        if let Some(replica) = &self.0.replica {
            replica.replayed.store(position.0, Ordering::Release);
            replica.unreplayed().retain(|_, wrote| *wrote > position);
        }
    }

    /// How busy each pool is right now.
    pub(crate) fn pool_use(&self) -> Vec<PoolUse> {
        let pools = self.0.replica.iter().map(|replica| &replica.pool);
        std::iter::once(&self.0.primary)
            .chain(pools)
            .map(Pool::in_use)
            .collect()
    }

    /// Whether the primary answers.
    pub(crate) async fn ping(&self) -> Result<(), InternalError> {
        self.on_primary(operation!("SELECT", "ping"), |pool| async move {
            pool.execute("SELECT 1").await.map(drop)
        })
        .await
    }

    /// Closes every connection after its statement.
    pub(crate) async fn close(&self) {
        self.0.primary.connections.close().await;
        if let Some(replica) = &self.0.replica {
            replica.pool.connections.close().await;
        }
    }

    /// Runs `statement` inside a client span and measures it. Outside a request there is no span:
    /// a trace of one heartbeat, several times a second, tells nobody anything.
    async fn observed<T>(
        &self,
        pool: &Pool,
        operation: Operation,
        statement: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let span = match Span::current().is_none() {
            true => Span::none(),
            false => self.client_span(pool, operation),
        };
        let started = Instant::now();
        let result = statement.instrument(span.clone()).await;
        let error_type = result.as_ref().err().filter(|error| is_failure(error));
        let error_type = error_type.map(database_error_type);
        if let Some(error_type) = error_type {
            mark_failed(&span, error_type);
        }
        self.0.instruments.operation_ended(&OperationOutcome {
            system: self.0.system,
            operation: operation.verb,
            collection: operation.table,
            pool: pool.name,
            error_type,
            duration: started.elapsed(),
        });
        result
    }

    fn client_span(&self, pool: &Pool, operation: Operation) -> Span {
        info_span!(
            "database",
            otel.name = operation.summary,
            otel.kind = "client",
            otel.status_code = Empty,
            db.system.name = self.0.system,
            db.operation.name = operation.verb,
            db.collection.name = operation.table,
            db.client.connection.pool.name = pool.name,
            error.type = Empty,
        )
    }
}

impl Pool {
    fn in_use(&self) -> PoolUse {
        let idle = u32::try_from(self.connections.num_idle()).unwrap_or(u32::MAX);
        let used = self.connections.size().saturating_sub(idle);
        PoolUse {
            pool: self.name,
            used,
            idle,
            max: self.max,
        }
    }
}

impl Replica {
    fn lazy(url: &str, options: AnyPoolOptions, max: u32) -> anyhow::Result<Self> {
        let connections = prepared(options, "postgresql")
            .connect_lazy(url)
            .with_context(|| format!("read the replica's address {}", without_password(url)))?;
        Ok(Self {
            pool: Pool {
                name: "replica",
                connections,
                max,
            },
            address: host_of(url),
            replayed: AtomicI64::new(-1),
            unreplayed: Mutex::default(),
        })
    }

    fn serves(&self, reader: &Reader) -> bool {
        let noted = self.unreplayed().get(&reader.user_id).copied();
        let needed = noted.max(reader.read_after);
        needed.is_none_or(|position| self.replayed.load(Ordering::Acquire) >= position.0)
    }

    fn unreplayed(&self) -> MutexGuard<'_, HashMap<String, WritePosition>> {
        // A panic elsewhere cannot leave a map half written.
        self.unreplayed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn mark_failed(span: &Span, error_type: &'static str) {
    span.record("error.type", error_type);
    span.record("otel.status_code", "ERROR");
}

/// A unique violation or a missing row is an answer, not a failure of the database.
fn is_failure(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::RowNotFound => false,
        sqlx::Error::Database(error) => !error.is_unique_violation(),
        _ => true,
    }
}

fn unreachable(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed
    )
}

fn failed(operation: Operation, pool: &Pool, source: sqlx::Error) -> InternalError {
    InternalError::Database {
        operation: operation.summary,
        pool: pool.name,
        source,
    }
}

/// The schema's history, embedded; sqlx runs each step once, under a lock.
fn migrations() -> Migrator {
    let first = include_str!("../migrations/0001_users_tasks_heartbeats.sql");
    Migrator::with_migrations(vec![Migration::new(
        1,
        "users, tasks and heartbeats".into(),
        MigrationType::Simple,
        first.into_sql_str(),
        false,
    )])
}

/// SQLite needs to be told to keep readers and the writer apart.
fn prepared(options: AnyPoolOptions, system: &'static str) -> AnyPoolOptions {
    if system != "sqlite" {
        return options;
    }
    options.after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute("PRAGMA journal_mode = WAL").await?;
            connection.execute("PRAGMA synchronous = NORMAL").await?;
            connection.execute("PRAGMA busy_timeout = 5000").await?;
            Ok(())
        })
    })
}

/// The conventions' name of the database product.
fn system_of(url: &str) -> anyhow::Result<&'static str> {
    match url.split_once(':') {
        Some(("postgres" | "postgresql", _)) => Ok("postgresql"),
        Some(("sqlite", _)) => Ok("sqlite"),
        _ => anyhow::bail!(
            "database URL {:?}: expected postgres://… or sqlite:PATH",
            without_password(url)
        ),
    }
}

/// `postgres://user:***@host/db`.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{host}")
}

/// `host:port` of a URL.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown, host) in [
            (
                "postgres://me:pw@db:5432/tasks",
                "postgres://me:***@db:5432/tasks",
                "db:5432",
            ),
            (
                "postgres://db/tasks?sslmode=off",
                "postgres://db/tasks?sslmode=off",
                "db",
            ),
            ("sqlite:tasks.db", "sqlite:tasks.db", "sqlite:tasks.db"),
        ] {
            assert_eq!(without_password(url), shown);
            assert_eq!(host_of(url), host);
        }
    }

    #[test]
    fn only_known_databases_are_accepted() {
        assert_eq!(system_of("sqlite:tasks.db").unwrap(), "sqlite");
        assert_eq!(system_of("postgresql://db/tasks").unwrap(), "postgresql");
        assert!(system_of("mysql://root:pw@db/tasks").is_err_and(|error| {
            let message = error.to_string();
            message.contains("mysql://root:***@db") && !message.contains("pw")
        }));
    }
}
