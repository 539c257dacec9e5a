//! Scraping: targets that only show their metrics are asked for them.
//!
//! ```text
//! discovery ──(4 updates)──► pool ──► worker of each target ──► client: at most `Room` bytes
//!                                        │                          │
//!                                        ▼                          ▼
//!                                     sink: the store    exposition → batch (2 at a time)
//! ```
//!
//! What a scrape brings takes the way of every other sample: durable first, then visible. Reading
//! order: `config` (what is asked for), `relabel` and `target` (pure: what discovery finds becomes
//! a target with a URL, labels and moments), `batch` and `resolution` (pure: what a target shows
//! becomes samples and stale markers), `discovery`, `client`, `worker` (one target), `pool` (one job), `status`
//! (what the API shows), `sink` (where samples go).

mod batch;
mod client;
pub(crate) mod config;
mod discovery;
mod pool;
mod relabel;
mod resolution;
mod sink;
mod status;
mod target;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;

use model::TenantId;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client::{Client, Room};
use self::config::{Discovery, Job};
pub(crate) use self::sink::{Sink, StoreSink};
pub(crate) use self::status::{PoolStatus, TargetView};
use self::worker::Tools;

/// Bytes of answers that are held at the same time, or of one if a job allows more.
const ANSWERS: usize = 64 << 20;
/// Answers that are turned into samples at the same time: samples take several times the bytes of
/// an answer.
const TURNS: usize = 2;

/// All jobs, running. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scraper {
    pools: Arc<[Arc<PoolStatus>]>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Whether everything that jobs need is there: files of certificates, above all.
///
/// # Errors
///
/// The first job that cannot run, and why.
pub(crate) fn check(jobs: &[Job]) -> Result<(), String> {
    for job in jobs {
        client_of(job)?;
        for discovery in &job.discoveries {
            if let Discovery::Http(discovery) = discovery {
                Client::build(&discovery.http)
                    .map_err(|problem| format!("job {:?}: {problem}", job.name))?;
            }
        }
    }
    Ok(())
}

fn client_of(job: &Job) -> Result<Client, String> {
    Client::build(&job.http).map_err(|problem| format!("job {:?}: {problem}", job.name))
}

impl Scraper {
    /// Starts the jobs; the first scrapes come after `ready`.
    ///
    /// # Errors
    ///
    /// As [`check`].
    pub(crate) fn start(
        jobs: Vec<Job>,
        sink: Arc<dyn Sink>,
        ready: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, String> {
        let largest = jobs.iter().map(|job| job.limits.body).max();
        let room = Arc::new(Room::new(largest.unwrap_or(0).max(ANSWERS)));
        let turns = Arc::new(Semaphore::new(TURNS));
        let mut pools = Vec::with_capacity(jobs.len());
        for job in jobs {
            let tools = Tools {
                client: client_of(&job)?,
                sink: Arc::clone(&sink),
                room: Arc::clone(&room),
                turns: Arc::clone(&turns),
            };
            let status = Arc::new(PoolStatus::new(&job.name, job.tenant.clone()));
            pools.push((Arc::new(job), Arc::new(tools), status));
        }
        let scraper = Self {
            pools: pools
                .iter()
                .map(|(_, _, status)| Arc::clone(status))
                .collect(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (tasks, stop) = (scraper.tasks.clone(), scraper.stop.clone());
        scraper.tasks.spawn(async move {
            tokio::select! {
                () = ready => {}
                () = stop.cancelled() => return,
            }
            for (job, tools, status) in pools {
                tasks.spawn(pool::run(job, tools, status, stop.clone()));
            }
        });
        scraper.tasks.close();
        Ok(scraper)
    }

    /// What the tenant's jobs are doing, sorted by name.
    pub(crate) fn pools(&self, tenant: &TenantId) -> Vec<Arc<PoolStatus>> {
        let of_tenant = self.pools.iter().filter(|pool| pool.tenant == *tenant);
        let mut pools: Vec<_> = of_tenant.cloned().collect();
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        pools
    }

    /// Ends all scrapes and waits for what is being written. Series do not become stale: after a
    /// restart they go on.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}
