//! Queries: what one sees, and who answers it.
//!
//! A query looks at the generations first and takes its catalog snapshot second. A generation
//! that is published in between is in both, and hidden because the checkpoint has passed where it
//! begins; the other order could miss it in both.

use std::fmt;
use std::io::ErrorKind;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::object_store::path::Path;
use model::{LogRecord, Signal, Span, TenantId, TimeRange, TraceId};

use super::leases::Lease;
use super::{Inner, Store, blocking, now};
use crate::catalog::SplitEntry;
use crate::columns::Row;
use crate::error::{QueryError, StoreError};
use crate::follow::Follower;
use crate::head::chain::{Chain, Generation};
use crate::head::classes::ClassedHead;
use crate::head::tenant::TenantHeads;
use crate::ingest::Readiness;
use crate::scan::{self, QueryBounds, Snapshot, SplitHandle};
use crate::search::{
    ContextPage, FacetPage, FieldPage, HistogramPage, LogContext, LogFacets, LogFields,
    LogHistogram, LogPage, LogPatterns, LogSearch, LogValues, PatternPage, SqlLimits, TracePage,
    ValuePage,
};
use crate::split::{Split, SplitSource};

impl Store {
    /// Log records that match a search. Damage makes the page partial, with a warning.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn search_logs(
        &self,
        tenant: &TenantId,
        search: LogSearch,
    ) -> Result<LogPage, QueryError> {
        let snapshot = self.logs(tenant, search.range).await?;
        scan::search_logs(&snapshot, &search, &self.bounds(), now()).await
    }

    /// Counts of matching log records over time.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_histogram(
        &self,
        tenant: &TenantId,
        histogram: LogHistogram,
    ) -> Result<HistogramPage, QueryError> {
        let snapshot = self.logs(tenant, histogram.range).await?;
        scan::log_histogram(Arc::new(snapshot), &histogram, &self.bounds(), now()).await
    }

    /// The most frequent values of fields.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_facets(
        &self,
        tenant: &TenantId,
        facets: LogFacets,
    ) -> Result<FacetPage, QueryError> {
        let snapshot = self.logs(tenant, facets.range).await?;
        scan::log_facets(&snapshot, &facets, &self.bounds(), now()).await
    }

    /// The patterns of log records' bodies.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_patterns(
        &self,
        tenant: &TenantId,
        patterns: LogPatterns,
    ) -> Result<PatternPage, QueryError> {
        let mut range = patterns.range;
        if let Some(compare) = patterns.compare {
            range.start = range.start.min(compare.start);
            range.end = range.end.max(compare.end);
        }
        let snapshot = self.logs(tenant, range).await?;
        scan::log_patterns(&snapshot, &patterns, &self.bounds(), now()).await
    }

    /// The names of fields that log records have.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_fields(
        &self,
        tenant: &TenantId,
        fields: LogFields,
    ) -> Result<FieldPage, QueryError> {
        let snapshot = self.logs(tenant, fields.range).await?;
        scan::log_fields(&snapshot, &fields, &self.bounds(), now()).await
    }

    /// The values of a field.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_values(
        &self,
        tenant: &TenantId,
        values: LogValues,
    ) -> Result<ValuePage, QueryError> {
        let snapshot = self.logs(tenant, values.range).await?;
        scan::log_values(&snapshot, &values, &self.bounds(), now()).await
    }

    /// The log records of the same stream around one; `None` when there is no such record.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn log_context(
        &self,
        tenant: &TenantId,
        context: LogContext,
    ) -> Result<Option<ContextPage>, QueryError> {
        let snapshot = self.logs(tenant, TimeRange::ALL).await?;
        scan::log_context(&snapshot, &context, &self.bounds()).await
    }

    /// Follows the tenant's log records: those that become visible from now on, sealed or not,
    /// are handed to the follower in the order in which they do. Queries that begin later see
    /// everything that came before, so the two together miss nothing.
    ///
    /// Never slows ingest down: a follower that reads too slowly is told how many rows it missed.
    ///
    /// # Errors
    ///
    /// The store is not ready, or [`crate::QueryConfig::max_followers`] are there already.
    pub fn follow(&self, tenant: &TenantId) -> Result<Follower, QueryError> {
        self.inner.check_ready()?;
        let inner = &self.inner;
        let limit = inner.config.query.max_followers;
        let follower = inner
            .heads
            .arrivals()
            .follow(tenant, Signal::Logs, (limit, now()), inner.stop.clone())
            .ok_or_else(|| {
                QueryError::LimitExceeded(format!(
                    "{limit} live tails are open, as many as may be; close one and try again"
                ))
            })?;
        if let Some(heads) = inner.heads.existing(tenant) {
            heads.logs.settle();
        }
        Ok(follower)
    }

    /// All spans of one trace.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn trace(&self, tenant: &TenantId, id: TraceId) -> Result<TracePage, QueryError> {
        let snapshot = self.spans(tenant, TimeRange::ALL).await?;
        scan::find_trace(&snapshot, id, TimeRange::ALL, &self.bounds()).await
    }

    /// The answer of a read-only SQL query over the tenant's tables `logs` and `spans`.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn sql(
        &self,
        tenant: &TenantId,
        query: &str,
        limits: SqlLimits,
    ) -> Result<(SchemaRef, Vec<RecordBatch>), QueryError> {
        let logs = self.logs(tenant, TimeRange::ALL).await?;
        let mut spans = self.spans(tenant, TimeRange::ALL).await?;
        spans.cache = Arc::clone(&logs.cache);
        scan::run_sql(Arc::new(logs), Arc::new(spans), Vec::new(), query, &limits).await
    }

    /// The tenant's log records in `range`, at this moment: what `scan` reads.
    ///
    /// # Errors
    ///
    /// The store is not ready, or the catalog failed.
    pub async fn logs(&self, tenant: &TenantId, range: TimeRange) -> Result<Snapshot, QueryError> {
        let rows = |heads: &TenantHeads| generations::<LogRecord>(&heads.logs);
        self.snapshot(tenant, Signal::Logs, range, rows).await
    }

    /// The tenant's spans that start in `range`, at this moment: what `scan` reads.
    ///
    /// # Errors
    ///
    /// As [`Store::logs`].
    pub async fn spans(&self, tenant: &TenantId, range: TimeRange) -> Result<Snapshot, QueryError> {
        let rows = |heads: &TenantHeads| generations::<Span>(&heads.spans);
        self.snapshot(tenant, Signal::Spans, range, rows).await
    }

    async fn snapshot<R: Row>(
        &self,
        tenant: &TenantId,
        signal: Signal,
        range: TimeRange,
        rows: impl FnOnce(&TenantHeads) -> Vec<Arc<Generation<ClassedHead<R>>>>,
    ) -> Result<Snapshot, QueryError> {
        self.inner.check_ready()?;
        let lease = self.inner.leases.take(now());
        let generations = self.inner.heads.existing(tenant).map(|heads| rows(&heads));
        let published = self.inner.catalog.snapshot(tenant, signal, range).await?;
        let mut snapshot = Snapshot {
            cache: self.inner.blocks.for_query(),
            ..Snapshot::default()
        };
        for generation in generations.into_iter().flatten() {
            if generation.from < published.checkpoint {
                continue;
            }
            let view = generation.rows.view();
            snapshot.row_groups.extend(view.row_groups);
            snapshot.open.extend(view.open);
        }
        for entry in published.splits {
            snapshot.splits.push(Arc::new(PublishedSplit {
                inner: Arc::clone(&self.inner),
                entry,
                _lease: Arc::clone(&lease),
            }));
        }
        Ok(snapshot)
    }

    /// The bounds of every query.
    pub fn bounds(&self) -> QueryBounds {
        QueryBounds {
            timeout: self.inner.config.query.timeout,
            memory_bytes: self.inner.config.query.memory_bytes,
        }
    }
}

fn generations<R: Row>(chain: &Chain<ClassedHead<R>>) -> Vec<Arc<Generation<ClassedHead<R>>>> {
    chain.generations_now()
}

impl Inner {
    pub(super) fn check_ready(&self) -> Result<(), QueryError> {
        match &*self.readiness() {
            Readiness::Ready => Ok(()),
            other => Err(QueryError::NotReady(other.to_string())),
        }
    }

    /// A split's whole content, mapped.
    pub(super) async fn read_object(&self, key: &str) -> Result<bytes::Bytes, StoreError> {
        let (objects, path) = (self.objects.clone(), Path::from(key));
        match blocking("read a split", move || objects.read(&path)).await {
            // The catalog names it, so this is damage like any other.
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Err(StoreError::Damaged {
                    file: key.to_owned(),
                    offset: 0,
                    message: "the file is missing".to_owned(),
                })
            }
            read => read,
        }
    }
}

/// A split of the catalog; open splits are kept.
struct PublishedSplit {
    inner: Arc<Inner>,
    entry: SplitEntry,
    /// The query that sees it.
    _lease: Arc<Lease>,
}

impl fmt::Debug for PublishedSplit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublishedSplit").field(&self.entry).finish()
    }
}

#[async_trait]
impl SplitHandle for PublishedSplit {
    fn name(&self) -> &str {
        &self.entry.object_key
    }

    fn times(&self) -> (i64, i64) {
        (self.entry.summary.min_time, self.entry.summary.max_time)
    }

    fn blocks(&self) -> u64 {
        self.entry.summary.metadata["blocks"].as_u64().unwrap_or(0)
    }

    async fn open(&self) -> Result<Arc<Split>, StoreError> {
        let key = &self.entry.object_key;
        if let Some(split) = self.inner.splits.get(key) {
            return Ok(split);
        }
        let bytes = self.inner.read_object(key).await?;
        let split = Arc::new(Split::open(key, SplitSource::Memory(bytes)).await?);
        let size = split.size_bytes();
        Ok(self.inner.splits.insert(key, split, size))
    }
}
