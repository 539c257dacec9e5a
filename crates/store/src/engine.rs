//! The store itself.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use model::{SeriesSample, TenantId, TraceId};

use crate::config::StoreConfig;
use crate::error::{IngestError, QueryError, StoreError};
use crate::ingest::{IngestOutcome, IngestRequest, Readiness};
use crate::search::{HistogramPage, LogHistogram, LogPage, LogSearch, SqlLimits, TracePage};

/// One data directory, open. Cheap to clone; every clone is the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: StoreConfig,
}

/// What a shutdown left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Rows that were sealed and published while shutting down.
    pub rows_sealed: u64,
    /// Rows that stay in the ingest log and are replayed at the next start.
    pub rows_left_in_log: u64,
    /// Why those could not be sealed.
    pub problems: Vec<String>,
}

const NOT_YET: &str = "the storage engine is not part of this build yet";

impl Store {
    /// Opens the data directory, or makes it. Replay of the log runs in the background:
    /// [`Store::ready`] says how far it is.
    ///
    /// # Errors
    ///
    /// The directory is locked, unreadable, damaged or of a later format version.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Ok(Self {
            inner: Arc::new(Inner { config }),
        })
    }

    /// Whether requests and queries are served.
    pub fn ready(&self) -> Readiness {
        Readiness::Failed(NOT_YET.to_owned())
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &StoreConfig {
        &self.inner.config
    }

    /// Makes a request durable and visible. When it returns `Ok`, the body is on disk and queries
    /// see its accepted items.
    ///
    /// # Errors
    ///
    /// See [`IngestError`].
    pub async fn ingest(&self, _request: IngestRequest) -> Result<IngestOutcome, IngestError> {
        Err(IngestError::Unavailable(NOT_YET.to_owned()))
    }

    /// Makes samples that we derived ourselves durable and visible; `at` is the evaluation's time,
    /// Unix ns.
    ///
    /// # Errors
    ///
    /// See [`IngestError`].
    pub async fn write_samples(
        &self,
        _tenant: &TenantId,
        _samples: Vec<SeriesSample>,
        _at: i64,
    ) -> Result<IngestOutcome, IngestError> {
        Err(IngestError::Unavailable(NOT_YET.to_owned()))
    }

    /// Log records that match a search.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn search_logs(
        &self,
        _tenant: &TenantId,
        _search: LogSearch,
    ) -> Result<LogPage, QueryError> {
        Err(QueryError::NotReady(NOT_YET.to_owned()))
    }

    /// Counts of matching log records over time.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_histogram(
        &self,
        _tenant: &TenantId,
        _histogram: LogHistogram,
    ) -> Result<HistogramPage, QueryError> {
        Err(QueryError::NotReady(NOT_YET.to_owned()))
    }

    /// All spans of one trace.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn trace(&self, _tenant: &TenantId, _id: TraceId) -> Result<TracePage, QueryError> {
        Err(QueryError::NotReady(NOT_YET.to_owned()))
    }

    /// The answer of a read-only SQL query over the tenant's tables.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn sql(
        &self,
        _tenant: &TenantId,
        _query: &str,
        _limits: SqlLimits,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), QueryError> {
        Err(QueryError::NotReady(NOT_YET.to_owned()))
    }

    /// Seals every head and returns when all of it is published.
    ///
    /// # Errors
    ///
    /// The first failure to seal or publish; what was not published stays in the log.
    pub async fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Stops taking requests, seals what can be sealed and closes the log.
    ///
    /// # Errors
    ///
    /// The log could not be closed cleanly; nothing acknowledged is lost.
    pub async fn shutdown(&self) -> Result<ShutdownReport, StoreError> {
        Ok(ShutdownReport::default())
    }
}
