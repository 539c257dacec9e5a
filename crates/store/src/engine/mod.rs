//! The store itself: one data directory with everything that works on it.
//!
//! A request: reserve memory → decode → append to the log, fsynced → apply to the head → answer.
//! In the background full row groups are encoded, heads are sealed, published and cut off the
//! log, and old splits are deleted. Every such task is cancelled and joined by
//! [`Store::shutdown`].

mod background;
mod choose;
mod compact;
mod compact_metrics;
#[cfg(test)]
mod compaction_tests;
#[cfg(test)]
mod crash_tests;
mod decode;
mod export;
mod ingest;
mod leases;
mod log_cut;
#[cfg(test)]
mod metric_tests;
mod queries;
mod replay;
mod seal;
mod sequencer;
mod series;
mod series_limit;
mod split_cache;
mod storage;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use model::{Signal, TenantId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::otlp::Origins;

pub use self::export::LogPages;
pub use self::seal::ShutdownReport;
pub use self::series::TenantSeries;

use self::compact::Barred;
use self::compact_metrics::SplitAges;
use self::leases::Leases;
use self::seal::Failures;
use self::sequencer::Sequencer;
use self::series_limit::SeriesLimits;
use self::split_cache::SplitCache;
use crate::catalog::{Catalog, SqlCatalog};
use crate::config::StoreConfig;
use crate::database::Database;
use crate::disk::{Disk, LocalDisk};
use crate::error::StoreError;
use crate::head::memory::Memory;
use crate::head::tenant::Heads;
use crate::ingest::Readiness;
use crate::lock::DataDirectory;
use crate::log::{IngestLog, LogError, SegmentLog};
use crate::objects::LocalObjects;
use crate::split::{BlockCache, Split};

/// Where things lie in the data directory.
pub(crate) mod layout {
    /// Segments of the ingest log.
    pub(crate) const LOG: &str = "log";
    /// Sealed splits.
    pub(crate) const OBJECTS: &str = "splits";
    /// Objects that are being written.
    pub(crate) const UNFINISHED: &str = "unfinished";
    /// The SQLite database.
    pub(crate) const DATABASE: &str = "watchkeeper.sqlite";
}

/// One data directory, open. Cheap to clone; every clone is the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: StoreConfig,
    /// The data directory's lock, until shutdown gives it up.
    directory: Mutex<Option<DataDirectory>>,
    database: Database,
    catalog: Arc<dyn Catalog>,
    objects: LocalObjects,
    log: Arc<dyn IngestLog>,
    memory: Arc<Memory>,
    heads: Heads,
    /// The resources and scopes of recent requests.
    origins: Arc<Origins>,
    sequencer: Sequencer,
    /// Held while the log is cut: two cuts at once could each act on what the other has removed.
    cutting: tokio::sync::Mutex<()>,
    readiness: Mutex<Readiness>,
    failures: Failures,
    splits: SplitCache<Split>,
    metric_splits: SplitCache<crate::metrics::MetricSplit>,
    blocks: Arc<BlockCache>,
    /// Something may have to be frozen or sealed.
    seal_soon: Notify,
    /// A row group is full.
    encode_soon: Notify,
    /// A row group was encoded or a generation published: memory has shrunk.
    memory_freed: Notify,
    /// A split was published: perhaps it can be merged with others.
    splits_changed: Notify,
    /// Queries that are running.
    leases: Arc<Leases>,
    /// Splits that could not be merged.
    barred: Barred,
    /// How old the samples of splits are whose metrics are kept differently.
    ages: SplitAges,
    /// Which series are active, when their number is limited.
    series_limits: SeriesLimits,
    /// Cancelled when the store shuts down.
    stop: CancellationToken,
    /// Requests that were appended, and everything in the background.
    tasks: TaskTracker,
}

/// What a store is built on; tests put a simulated disk and a failing catalog here.
struct Foundation {
    disk: Arc<dyn Disk>,
    catalog: Box<dyn FnOnce(SqlCatalog) -> Arc<dyn Catalog> + Send>,
}

impl Store {
    /// Opens the data directory, or makes it. Replay of the log runs in the background:
    /// [`Store::ready`] says how far it is.
    ///
    /// # Errors
    ///
    /// The directory is locked, unreadable, damaged or of a later format version.
    pub async fn open(mut config: StoreConfig) -> Result<Self, StoreError> {
        config.data_dir = absolute(&config.data_dir)?;
        let foundation = Foundation {
            disk: Arc::new(LocalDisk),
            catalog: Box::new(|catalog| Arc::new(catalog)),
        };
        let store = Self::open_on(foundation, config).await?;
        store.start();
        Ok(store)
    }

    /// Opens the store without anything in the background, replay included.
    async fn open_on(foundation: Foundation, config: StoreConfig) -> Result<Self, StoreError> {
        let directory = blocking("open the data directory", {
            let (disk, path) = (Arc::clone(&foundation.disk), config.data_dir.clone());
            move || DataDirectory::open(&disk, &path)
        })
        .await?;
        let database = match &config.database_url {
            Some(url) => Database::open_postgres(url).await?,
            None => Database::open_sqlite(&config.data_dir.join(layout::DATABASE)).await?,
        };
        let opened = Inner::open(foundation, config, directory, database.clone()).await;
        match opened {
            Ok(inner) => Ok(Self {
                inner: Arc::new(inner),
            }),
            Err(error) => {
                database.close().await;
                Err(error)
            }
        }
    }

    /// Whether requests and queries are served.
    pub fn ready(&self) -> Readiness {
        self.inner.readiness().clone()
    }

    /// The settings it was opened with.
    pub fn config(&self) -> &StoreConfig {
        &self.inner.config
    }

    /// The database for small state: alert states, silences, saved views.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }
}

impl Inner {
    async fn open(
        foundation: Foundation,
        config: StoreConfig,
        directory: DataDirectory,
        database: Database,
    ) -> Result<Self, StoreError> {
        let catalog = SqlCatalog::open(database.clone()).await?;
        let catalog = (foundation.catalog)(catalog);
        log_cut::prepare(&database).await?;
        let cut = log_cut::read(&database).await?;
        let checkpoints = catalog.checkpoints().await?;
        let covered = checkpoints.iter().map(|checkpoint| checkpoint.position);
        let continue_after = covered.max().unwrap_or(0).max(cut);

        let (log, objects) = blocking("open the ingest log", {
            let (disk, config) = (foundation.disk, config.clone());
            move || open_files(&disk, &config, continue_after)
        })
        .await?;
        check_log_is_whole(&log, cut, &config.data_dir.join(layout::LOG))?;

        let memory = Memory::new(config.memory_bytes);
        let (row_group_rows, retention) = (config.head.row_group_rows, config.retention.clone());
        let inner = Self {
            directory: Mutex::new(Some(directory)),
            database,
            catalog,
            objects,
            heads: Heads::new(row_group_rows, retention, Arc::clone(&memory), checkpoints),
            memory,
            origins: Arc::new(Origins::new()),
            sequencer: Sequencer::default(),
            cutting: tokio::sync::Mutex::new(()),
            readiness: Mutex::new(Readiness::Replaying {
                position: cut,
                last: log.extent().last,
                waiting_for: None,
            }),
            failures: Failures::default(),
            splits: SplitCache::new(config.query.cache_bytes / 3),
            metric_splits: SplitCache::new(config.query.cache_bytes / 3),
            blocks: Arc::new(BlockCache::new(config.query.cache_bytes / 3)),
            log: Arc::new(log),
            seal_soon: Notify::new(),
            encode_soon: Notify::new(),
            memory_freed: Notify::new(),
            splits_changed: Notify::new(),
            leases: Arc::default(),
            barred: Barred::default(),
            ages: SplitAges::default(),
            series_limits: SeriesLimits::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            config,
        };
        inner.sequencer.skip_to(cut);
        Ok(inner)
    }

    fn readiness(&self) -> MutexGuard<'_, Readiness> {
        self.readiness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path as the disk wants it, whatever the working directory becomes.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|source| StoreError::Io {
        action: "find data directory",
        path: path.to_owned(),
        source,
    })
}

fn open_files(
    disk: &Arc<dyn Disk>,
    config: &StoreConfig,
    continue_after: u64,
) -> Result<(SegmentLog, LocalObjects), StoreError> {
    let root = &config.data_dir;
    let log = SegmentLog::open(
        Arc::clone(disk),
        &root.join(layout::LOG),
        config.log.clone(),
        continue_after,
    )?;
    let objects = LocalObjects::open(
        Arc::clone(disk),
        root.join(layout::OBJECTS),
        root.join(layout::UNFINISHED),
    )
    .map_err(|source| StoreError::Io {
        action: "open splits in",
        path: root.clone(),
        source,
    })?;
    Ok((log, objects))
}

/// A log that begins after what was given up has lost segments.
fn check_log_is_whole(log: &SegmentLog, cut: u64, directory: &Path) -> Result<(), StoreError> {
    let begins_after = log.extent().cut;
    if begins_after > cut {
        return Err(StoreError::Damaged {
            file: directory.display().to_string(),
            offset: 0,
            message: format!(
                "positions {} to {begins_after} are missing: segments were removed that are not \
                 sealed yet; restore them from a backup",
                cut + 1
            ),
        });
    }
    Ok(())
}

/// Where the object of a split lies: `<tenant>/<signal>/<from>-<to>-<when>-<part>.parquet`.
///
/// The time makes every attempt a key of its own: an attempt whose publication is in doubt is
/// never overwritten by the next. Parts tell apart the splits of one generation.
fn object_key(
    tenant: &TenantId,
    signal: Signal,
    (from, to): (u64, u64),
    at: i64,
    part: usize,
) -> String {
    format!("{tenant}/{signal}/{from:013x}-{to:013x}-{at:016x}-{part}.parquet")
}

/// The system's clock, Unix ns. Only the engine's own work and relative times of queries read it.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}

/// Runs file operations and encoders where they may block.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::Encoding {
            action,
            message: error.to_string(),
        }),
    }
}

impl From<LogError> for StoreError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Damaged {
                path,
                offset,
                message,
            } => Self::Damaged {
                file: path.display().to_string(),
                offset,
                message,
            },
            LogError::NewerFormat {
                path,
                found,
                supported,
            } => Self::NewerFormat {
                what: path.display().to_string(),
                found: u64::from(found),
                supported: u64::from(supported),
            },
            LogError::Closed => Self::ShuttingDown,
            other => Self::Log(other),
        }
    }
}
