//! A tenant's metrics as PromQL sees them.

use std::sync::Arc;

use async_trait::async_trait;
use model::time::NANOS_PER_MILLI;
use model::{Labels, Matcher, MetricMetadata, Signal, TenantId, TimeRange};
use promql::{Names, SelectLimits, Series, SeriesSource, SourceError, Window};
use tokio::sync::{Mutex, OnceCell};

use super::leases::Lease;
use super::{Inner, Store, blocking, now};
use crate::catalog::{CatalogSnapshot, SplitEntry};
use crate::error::{QueryError, StoreError};
use crate::metrics::{
    Cardinality, CardinalityOptions, MetricHead, MetricSnapshot, MetricSplit, SeriesExemplars,
};

/// How much older an exemplar may be than the first sample of the split that holds it, ms.
const EXEMPLAR_LAG_MS: i64 = 10 * 60 * 1000;

/// A tenant's series as of the first question to it. Make one for each query, so that all of the
/// query's selectors read the same generations and splits.
///
/// The newest generation goes on growing meanwhile: a selector sees what came since the one before
/// it, and of a request that is applied just now perhaps not every series.
#[derive(Clone)]
pub struct TenantSeries {
    inner: Arc<Inner>,
    tenant: TenantId,
    moment: Arc<OnceCell<Moment>>,
}

struct Moment {
    /// Keeps the files of the splits in place.
    _lease: Arc<Lease>,
    /// Splits after this position came later.
    checkpoint: u64,
    generations: Vec<Arc<MetricHead>>,
    listed: Mutex<Listed>,
}

/// Splits of a range of time, in the order of their positions.
#[derive(Default)]
struct Listed {
    range: Option<TimeRange>,
    splits: Vec<Arc<SplitEntry>>,
}

impl Store {
    /// The tenant's series, for one query.
    pub fn series(&self, tenant: &TenantId) -> TenantSeries {
        TenantSeries {
            inner: Arc::clone(&self.inner),
            tenant: tenant.clone(),
            moment: Arc::new(OnceCell::new()),
        }
    }

    /// What is known of the tenant's metric families, by family name.
    ///
    /// # Errors
    ///
    /// See [`QueryError`].
    pub async fn metric_metadata(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<MetricMetadata>, QueryError> {
        self.inner.check_ready()?;
        let everything = self.series(tenant).snapshot(TimeRange::ALL).await?;
        Ok(blocking("read metadata of metrics", move || everything.metadata()).await?)
    }

    /// The exemplars of a tenant's series; see [`TenantSeries::exemplars`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn exemplars(
        &self,
        tenant: &TenantId,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<SeriesExemplars>, SourceError> {
        let series = self.series(tenant);
        series.exemplars(selectors, window, limits).await
    }

    /// How many series a tenant has; see [`TenantSeries::cardinality`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn cardinality(
        &self,
        tenant: &TenantId,
        options: CardinalityOptions,
    ) -> Result<Cardinality, SourceError> {
        self.series(tenant).cardinality(options).await
    }
}

impl TenantSeries {
    /// The moment of the first question, which is about `range`.
    async fn moment(&self, range: TimeRange) -> Result<&Moment, StoreError> {
        let take = || async {
            let lease = self.inner.leases.take(now());
            // Generations before splits: see `queries`.
            let generations = match self.inner.heads.existing(&self.tenant) {
                Some(heads) => heads.metrics.generations_now(),
                None => Vec::new(),
            };
            let published = self.published(range).await?;
            let unpublished = generations
                .into_iter()
                .filter(|generation| generation.from >= published.checkpoint);
            Ok(Moment {
                _lease: lease,
                checkpoint: published.checkpoint,
                generations: unpublished.map(|g| Arc::clone(&g.rows)).collect(),
                listed: Mutex::new(Listed {
                    range: Some(range),
                    splits: published.splits.into_iter().map(Arc::new).collect(),
                }),
            })
        };
        self.moment.get_or_try_init(take).await
    }

    async fn published(&self, range: TimeRange) -> Result<CatalogSnapshot, StoreError> {
        let catalog = &self.inner.catalog;
        catalog.snapshot(&self.tenant, Signal::Metrics, range).await
    }

    /// The moment's splits that hold samples in `range`.
    ///
    /// A year has thousands of splits and most queries are about its last hour, so only what is
    /// asked for is listed. Merged in between, the splits of two lists may share samples, which
    /// changes nothing.
    async fn splits(
        &self,
        moment: &Moment,
        range: TimeRange,
    ) -> Result<Vec<Arc<SplitEntry>>, StoreError> {
        let mut listed = moment.listed.lock().await;
        let wanted = listed.range.map_or(range, |known| {
            TimeRange::new(known.start.min(range.start), known.end.max(range.end))
        });
        if listed.range != Some(wanted) {
            let published = self.published(wanted).await?.splits.into_iter();
            let of_moment = published.filter(|split| split.from_position < moment.checkpoint);
            *listed = Listed {
                range: Some(wanted),
                splits: of_moment.map(Arc::new).collect(),
            };
        }
        let overlaps = |split: &&Arc<SplitEntry>| {
            let summary = &split.summary;
            range.overlaps_inclusive(summary.min_time, summary.max_time)
        };
        Ok(listed.splits.iter().filter(overlaps).cloned().collect())
    }

    /// The series, with the splits that hold samples in `range`.
    async fn snapshot(&self, range: TimeRange) -> Result<MetricSnapshot, StoreError> {
        let moment = self.moment(range).await?;
        let mut splits = Vec::new();
        for entry in self.splits(moment, range).await? {
            splits.push(self.inner.open_metrics(&entry).await?);
        }
        Ok(MetricSnapshot {
            splits,
            generations: moment.generations.clone(),
        })
    }

    /// The exemplars inside of `window` of every series that matches one of `selectors`; series
    /// sorted by labels, those without exemplars left out.
    ///
    /// # Errors
    ///
    /// An unreadable regular expression, more series or exemplars (as samples) than `limits`, or a
    /// source that fails.
    pub async fn exemplars(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<SeriesExemplars>, SourceError> {
        // An exemplar is a little older than the sample that it came with.
        let later = window.until_ms.saturating_add(EXEMPLAR_LAG_MS);
        let snapshot = self.in_window(Window::new(window.after_ms, later)).await?;
        snapshot.exemplars(selectors, window, limits).await
    }

    /// How many series there are in a window of time, and which metrics and labels make them.
    /// Reads the labels of every series in it: for people, not for every request.
    ///
    /// # Errors
    ///
    /// An unreadable regular expression, more series than `options.max_series`, or a source that
    /// fails.
    pub async fn cardinality(
        &self,
        options: CardinalityOptions,
    ) -> Result<Cardinality, SourceError> {
        let snapshot = self.in_window(options.window).await?;
        snapshot.cardinality(options).await
    }

    /// The series in `window`, open to be read.
    pub(super) async fn in_window(&self, window: Window) -> Result<MetricSnapshot, SourceError> {
        self.inner
            .check_ready()
            .map_err(|error| SourceError::Unavailable(error.to_string()))?;
        // A window is `(after, until]` in ms; the catalog's times are in ns.
        let range = TimeRange::new(
            window.after_ms.saturating_mul(NANOS_PER_MILLI),
            window
                .until_ms
                .saturating_add(1)
                .saturating_mul(NANOS_PER_MILLI),
        );
        self.snapshot(range).await.map_err(source_error)
    }
}

impl Inner {
    /// A split of metrics, which stays open while it is used.
    pub(super) async fn open_metrics(
        &self,
        entry: &SplitEntry,
    ) -> Result<Arc<MetricSplit>, StoreError> {
        let key = &entry.object_key;
        if let Some(split) = self.metric_splits.get(key) {
            // What was read of it since it was opened is kept, too.
            self.metric_splits.weigh(key, split.memory_bytes());
            return Ok(split);
        }
        let bytes = self.read_object(key).await?;
        let (name, summary) = (key.clone(), entry.summary.clone());
        let split = blocking("open a split", move || {
            MetricSplit::open(&name, bytes, &summary).map(Arc::new)
        })
        .await?;
        let size = split.memory_bytes();
        Ok(self.metric_splits.insert(key, split, size))
    }
}

fn source_error(error: StoreError) -> SourceError {
    SourceError::Unavailable(error.to_string())
}

#[async_trait]
impl SeriesSource for TenantSeries {
    async fn select(
        &self,
        matchers: &[Matcher],
        window: Window,
        limits: SelectLimits,
    ) -> Result<Vec<Series>, SourceError> {
        let snapshot = self.in_window(window).await?;
        snapshot.select(matchers, window, limits).await
    }

    async fn series(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Vec<Labels>, SourceError> {
        let snapshot = self.in_window(window).await?;
        snapshot.series(selectors, window, limit).await
    }

    async fn label_names(
        &self,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError> {
        let snapshot = self.in_window(window).await?;
        snapshot.label_names(selectors, window, limit).await
    }

    async fn label_values(
        &self,
        name: &str,
        selectors: &[Vec<Matcher>],
        window: Window,
        limit: usize,
    ) -> Result<Names, SourceError> {
        let snapshot = self.in_window(window).await?;
        snapshot.label_values(name, selectors, window, limit).await
    }
}
