//! Why the store could not do something: one enum for its own work, one for requests, one for
//! queries.

use std::path::PathBuf;
use std::time::Duration;

use model::Signal;

use crate::log::LogError;

/// Why the store's own work failed: opening, sealing, publishing, deleting.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Bytes on disk are not what was written.
    #[error("{file} is damaged at byte {offset}: {message}")]
    Damaged {
        /// The file or object key.
        file: String,
        /// Where.
        offset: u64,
        /// What is wrong there.
        message: String,
    },
    /// The data directory is in use.
    #[error("data directory {} is in use by process {holder}; stop it or choose another --data-dir", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The process that holds the lock, as its lock file says.
        holder: String,
    },
    /// The data was written by a later release.
    #[error(
        "{what} has format version {found}, this binary reads up to {supported}; run the release that wrote it or a later one"
    )]
    NewerFormat {
        /// The data directory, file or database.
        what: String,
        /// Its version.
        found: u64,
        /// The newest version this binary knows.
        supported: u64,
    },
    /// The catalog's database failed.
    #[error("catalog: {action}: {source}")]
    Database {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The driver's answer.
        #[source]
        source: sqlx::Error,
    },
    /// A split does not continue where the checkpoint stands: another process published.
    #[error(
        "publish {signal} of tenant {tenant}: the checkpoint is at {found}, the split begins at {expected}; is another process writing this catalog?"
    )]
    StaleCheckpoint {
        /// Whose checkpoint.
        tenant: String,
        /// Which signal.
        signal: Signal,
        /// Where the split begins.
        expected: u64,
        /// Where the checkpoint stands.
        found: u64,
    },
    /// A split that was to be replaced is not visible any more: it expired or was replaced.
    #[error("split {id} is no longer visible; the replacement was not published")]
    SplitsChanged {
        /// The first such split.
        id: String,
    },
    /// The object store failed.
    #[error("{action} {key}: {message}")]
    Object {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The object's key.
        key: String,
        /// The store's answer.
        message: String,
    },
    /// A split could not be encoded or read.
    #[error("{action}: {message}")]
    Encoding {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// What the encoder said.
        message: String,
    },
    /// The ingest log failed.
    #[error(transparent)]
    Log(LogError),
    /// The store is shutting down.
    #[error("the store is shutting down")]
    ShuttingDown,
}

/// Why a request was not taken. Nothing of it is kept unless noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The body is not what its encoding says (400); the message is safe to show.
    #[error("{0}")]
    Malformed(String),
    /// More items than one log record can number (400).
    #[error("{count} items in one request; at most {limit} are accepted, send smaller batches")]
    TooManyItems {
        /// Items in the request.
        count: usize,
        /// The most that are accepted.
        limit: usize,
    },
    /// Memory or the log is full (429): try again.
    #[error("the store is full: {reason}; retry after {} s", retry_after.as_secs())]
    Full {
        /// Which bound was met.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The log cannot be written or is still being replayed (503). The request may or may not be
    /// found after a restart.
    #[error("{0}")]
    Unavailable(String),
}

/// A place in a query's text, in UTF-8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Where it begins.
    pub offset: usize,
    /// How long it is.
    pub length: usize,
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query cannot be honoured as written (400).
    #[error("{message}")]
    Invalid {
        /// What is wrong, quoting the query.
        message: String,
        /// The way out, when one is known.
        hint: Option<String>,
        /// Where in the query.
        position: Option<Position>,
    },
    /// The query ran longer than it may (504).
    #[error("the query took longer than {} s; narrow its time range or its filter", .0.as_secs_f64())]
    Timeout(Duration),
    /// The query needs more memory or rows than it may (422).
    #[error("{0}")]
    LimitExceeded(String),
    /// The log is still being replayed (503).
    #[error("{0}")]
    NotReady(String),
    /// The store failed (500).
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The query engine failed (500).
    #[error("{0}")]
    Internal(String),
}
