//! The database for small state: SQLite in the data directory, or PostgreSQL.
//!
//! One SQL text serves both, so statements use BIGINT, DOUBLE PRECISION and TEXT columns only
//! (ids in hex, times in ns, flags 0/1, JSON as text), `$n`, `ON CONFLICT` and `RETURNING`.

use sqlx::AnyPool;

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

impl Database {
    /// The pool, for queries.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which database it is.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }
}
