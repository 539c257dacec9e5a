//! The database for small state: SQLite in the data directory, or PostgreSQL.
//!
//! One SQL text serves both, so statements use BIGINT, DOUBLE PRECISION and TEXT columns only
//! (ids in hex, times in ns, flags 0/1, JSON as text), `$n`, `ON CONFLICT` and `RETURNING`.
//! A transaction begins with a write: SQLite cannot turn a read into a write while another
//! connection writes.

use std::path::Path;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor, Row};

use crate::error::StoreError;

/// Which of the two databases is behind the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file in the data directory: WAL, `synchronous=FULL`.
    Sqlite,
    /// A server.
    Postgres,
}

/// An open database. Cheap to clone; clones share the pool.
#[derive(Debug, Clone)]
pub struct Database {
    pool: AnyPool,
    kind: DatabaseKind,
}

/// One step of a component's schema; steps run once, in order, and are never edited.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// 1, 2, 3 …
    pub version: i64,
    /// Statements separated by `;` at line ends.
    pub sql: &'static str,
}

/// What every SQLite connection is told. `FULL` fsyncs the WAL at every commit, so a commit is
/// durable when it returns.
const SQLITE_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON;";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Database {
    /// Opens the SQLite file at `path`, or makes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]: the file cannot be made or is no database.
    pub async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        // The path is part of a URL here; these three would end or change it.
        let path = path.display().to_string();
        let path = path
            .replace('%', "%25")
            .replace('?', "%3f")
            .replace('#', "%23");
        Self::connect(&format!("sqlite://{path}?mode=rwc"), DatabaseKind::Sqlite).await
    }

    /// Opens the PostgreSQL database at `url` (`postgres://user:password@host/database`).
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]: no connection within ten seconds.
    pub async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        Self::connect(url, DatabaseKind::Postgres).await
    }

    async fn connect(url: &str, kind: DatabaseKind) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(CONNECT_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if kind == DatabaseKind::Sqlite {
                        connection.execute(SQLITE_PRAGMAS).await?;
                    }
                    Ok(())
                })
            })
            .connect(url)
            .await
            .map_err(failed("open the database"))?;
        Ok(Self { pool, kind })
    }

    /// The pool, for queries.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which database it is.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// Brings the tables of `component` to its last migration; a new database gets all of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::NewerFormat`] when a later release was here, else [`StoreError::Database`].
    pub async fn migrate(
        &self,
        component: &str,
        migrations: &[Migration],
    ) -> Result<(), StoreError> {
        let action = "bring the tables up to date";
        let ledger = "CREATE TABLE IF NOT EXISTS schema_versions \
             (component TEXT PRIMARY KEY, version BIGINT NOT NULL)";
        self.pool.execute(ledger).await.map_err(failed(action))?;
        let found = self.schema_version(component).await?;
        let newest = migrations.last().map_or(0, |migration| migration.version);
        if found > newest {
            return Err(StoreError::NewerFormat {
                what: format!("the {component} tables of the database"),
                found: found.unsigned_abs(),
                supported: newest.unsigned_abs(),
            });
        }
        for migration in migrations
            .iter()
            .filter(|migration| migration.version > found)
        {
            self.apply(component, migration)
                .await
                .map_err(failed(action))?;
        }
        Ok(())
    }

    async fn schema_version(&self, component: &str) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT version FROM schema_versions WHERE component = $1")
            .bind(component)
            .fetch_optional(&self.pool)
            .await
            .map_err(failed("read the version of the tables"))?;
        Ok(row.map_or(0, |row| row.get(0)))
    }

    async fn apply(&self, component: &str, migration: &Migration) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "INSERT INTO schema_versions (component, version) VALUES ($1, $2) \
             ON CONFLICT (component) DO UPDATE SET version = $2",
        )
        .bind(component)
        .bind(migration.version)
        .execute(&mut *transaction)
        .await?;
        for statement in migration
            .sql
            .split(";\n")
            .map(str::trim)
            .filter(|sql| !sql.is_empty())
        {
            transaction.execute(statement).await?;
        }
        transaction.commit().await
    }

    /// Closes every connection; a SQLite file is then whole without its WAL.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Names what was being done when the database failed.
pub(crate) fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Database { action, source }
}
