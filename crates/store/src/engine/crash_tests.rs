//! The whole store over a disk that stops at every step and forgets what was not fsynced.
//!
//! SQLite's own crash safety is taken as given: its file lies on the real disk, a commit counts
//! as one step, and what is committed when the machine stops is what the next process finds.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use model::TimeRange;

use super::metric_tests;
use super::storage::Urgency;
use super::tests::{NOW, bodies, config, everything, logs, tenant};
use super::*;
use crate::catalog::{CatalogSnapshot, Checkpoint, DeletedSplit, Publication, SplitEntry};
use crate::disk::SyncPoint;
use crate::disk::simulated::{Faults, SimulatedDisk, Unsynced};
use crate::ingest::IngestRequest;

/// A catalog on a machine that stops.
struct StoppingCatalog {
    inner: SqlCatalog,
    disk: SimulatedDisk,
}

impl StoppingCatalog {
    fn step(&self) -> Result<(), StoreError> {
        self.disk.step().map_err(|source| StoreError::Io {
            action: "reach",
            path: "the catalog".into(),
            source,
        })
    }
}

#[async_trait]
impl Catalog for StoppingCatalog {
    async fn publish(&self, publication: Publication) -> Result<(), StoreError> {
        self.step()?;
        self.inner.publish(publication).await?;
        // The machine may stop when the commit is done and nobody knows.
        self.step()
    }

    async fn snapshot(
        &self,
        tenant: &TenantId,
        signal: Signal,
        range: TimeRange,
    ) -> Result<CatalogSnapshot, StoreError> {
        self.inner.snapshot(tenant, signal, range).await
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        self.inner.checkpoints().await
    }

    async fn splits(&self) -> Result<Vec<SplitEntry>, StoreError> {
        self.inner.splits().await
    }

    async fn replace(
        &self,
        removed: &[String],
        added: &[SplitEntry],
        at: i64,
    ) -> Result<(), StoreError> {
        self.step()?;
        self.inner.replace(removed, added, at).await?;
        self.step()
    }

    async fn hide(&self, ids: &[String], at: i64) -> Result<Vec<DeletedSplit>, StoreError> {
        self.step()?;
        self.inner.hide(ids, at).await
    }

    async fn deleted_before(&self, before: i64) -> Result<Vec<DeletedSplit>, StoreError> {
        self.inner.deleted_before(before).await
    }

    async fn forget(&self, id: &str) -> Result<(), StoreError> {
        self.step()?;
        self.inner.forget(id).await
    }

    async fn object_keys(&self) -> Result<Vec<String>, StoreError> {
        self.inner.object_keys().await
    }
}

/// A directory in memory where there is one: the simulated disk does the fsyncs that count.
fn real_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Opens the store and replays, with nothing in the background.
async fn open(disk: &SimulatedDisk, directory: &Path) -> Result<Store, String> {
    let mut config = config(directory);
    config.log.segment_bytes = 200;
    config.compaction.fan_in = 2;
    let foundation = Foundation {
        disk: Arc::new(disk.clone()),
        catalog: Box::new({
            let disk = disk.clone();
            |inner| Arc::new(StoppingCatalog { inner, disk })
        }),
    };
    let store = Store::open_on(foundation, config)
        .await
        .map_err(|error| error.to_string())?;
    Arc::clone(&store.inner).replay().await;
    match store.ready() {
        Readiness::Ready => Ok(store),
        other => Err(other.to_string()),
    }
}

/// A request with one item that says `body`.
fn request(signal: Signal, body: &str) -> IngestRequest {
    match signal {
        Signal::Metrics => metric_tests::gauges(&[("said", body, NOW, 1.0)]),
        _ => logs(&[body]),
    }
}

/// What all items say, in any order.
async fn said(store: &Store, signal: Signal) -> Result<Vec<String>, String> {
    if signal == Signal::Metrics {
        let found = metric_tests::found(store).await.into_iter();
        let said = found.flat_map(|((_, id), samples)| vec![id; samples.len()]);
        return Ok(said.collect());
    }
    let page = store
        .search_logs(&tenant(), everything())
        .await
        .map_err(|error| error.to_string())?;
    match page.partial {
        true => Err(format!("partial: {:?}", page.warnings)),
        false => Ok(bodies(&page)),
    }
}

/// What the senders of the workload know.
#[derive(Debug, Default)]
struct Sent {
    acknowledged: Vec<String>,
    in_doubt: Vec<String>,
    /// Merges of splits that were reported.
    merges: usize,
}

/// Two runs that write, seal, merge splits and remove the old ones; ends when the machine stops.
async fn workload(signal: Signal, disk: &SimulatedDisk, directory: &Path) -> Sent {
    let mut sent = Sent::default();
    for run in 0..2 {
        let Ok(store) = open(disk, directory).await else {
            break;
        };
        for n in 0..4 {
            let body = format!("{run}-{n}");
            match store.ingest(request(signal, &body)).await {
                Ok(_) => sent.acknowledged.push(body),
                Err(_) => sent.in_doubt.push(body),
            }
            if n == 1 || (run, n) == (1, 3) {
                // Failures are found by the check.
                store.flush().await.ok();
            }
        }
        sent.merges += store.inner.compact(NOW).await.unwrap_or(0);
        store.inner.sweep(Urgency::Full, now()).await.ok();
        kill(&store).await;
    }
    sent
}

/// Ends a store without sealing anything: one that is not ready leaves it to the next start.
async fn kill(store: &Store) {
    *store.inner.readiness() = Readiness::Failed("killed".to_owned());
    store.shutdown().await.ok();
}

/// What is wrong after a crash, when anything is: now, after sealing, and after another restart.
async fn check(
    signal: Signal,
    disk: SimulatedDisk,
    directory: &Path,
    sent: &Sent,
) -> Result<(), String> {
    let mut disk = disk;
    let mut acknowledged = sent.acknowledged.clone();
    for round in 0..2 {
        let store = open(&disk, directory)
            .await
            .map_err(|error| format!("round {round}: {error}"))?;
        for is_sealed in [false, true] {
            let found = said(&store, signal)
                .await
                .map_err(|error| format!("round {round}: {error}"))?;
            let count = |body: &String| found.iter().filter(|other| *other == body).count();
            for body in &acknowledged {
                if count(body) != 1 {
                    let times = count(body);
                    return Err(format!(
                        "round {round}, sealed {is_sealed}: {body} is found {times} times"
                    ));
                }
            }
            if let Some(body) = sent.in_doubt.iter().find(|body| count(body) > 1) {
                return Err(format!("{body} is found twice"));
            }
            store.flush().await.map_err(|error| error.to_string())?;
        }
        // What comes later must not spoil what recovery found, nor be lost itself.
        let later = format!("later {round}");
        let kept = store.ingest(request(signal, &later)).await;
        kept.map_err(|error| error.to_string())?;
        acknowledged.push(later);
        kill(&store).await;
        disk = disk.restart(Unsynced::Lost);
    }
    Ok(())
}

/// A copy of the real directory (the database), for one way that the crash may end.
fn copy_of(directory: &Path) -> tempfile::TempDir {
    let copy = real_directory();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        std::fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    copy
}

const LEFT_BEHIND: [Unsynced; 4] = [
    Unsynced::Lost,
    Unsynced::Kept,
    Unsynced::Torn(20),
    Unsynced::HoleThenRest(48),
];

/// Stops the machine at every step, in every way; how many steps there are.
///
/// The paths on the simulated disk are those of the real directory, so every copy of it is moved
/// into the same place.
async fn sweep(signal: Signal, drop_sync: Option<SyncPoint>) -> Result<u64, String> {
    for step in 1.. {
        let home = real_directory();
        let directory = home.path().join("data");
        std::fs::create_dir(&directory).unwrap();
        let disk = SimulatedDisk::new();
        disk.set_faults(Faults {
            crash_at: Some(step),
            drop_sync,
            ..Faults::default()
        });
        let sent = workload(signal, &disk, &directory).await;
        let original = copy_of(&directory);
        for unsynced in LEFT_BEHIND {
            std::fs::remove_dir_all(&directory).unwrap();
            std::fs::rename(copy_of(original.path()).keep(), &directory).unwrap();
            let restarted = disk.restart(unsynced);
            restarted.set_faults(Faults {
                drop_sync,
                ..Faults::default()
            });
            check(signal, restarted, &directory, &sent)
                .await
                .map_err(|error| format!("stopped at step {step}, {unsynced:?}: {error}"))?;
        }
        if !disk.has_crashed() {
            assert_eq!(sent.acknowledged.len(), 8, "the whole workload ran");
            assert!(sent.merges > 0, "nothing was merged");
            return Ok(step);
        }
    }
    unreachable!("the workload ends")
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_machine_stops_at_any_step() {
    for signal in [Signal::Logs, Signal::Metrics] {
        let steps = sweep(signal, None).await.unwrap();
        assert!(steps > 50, "{signal}: the workload took only {steps} steps");
    }
}

#[tokio::test]
async fn without_any_one_fsync_something_is_lost() {
    for point in SyncPoint::ALL {
        let swept = sweep(Signal::Logs, Some(point)).await;
        assert!(swept.is_err(), "nothing needs the fsync of {point:?}");
    }
}
