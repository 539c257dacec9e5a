//! One job: its targets come and go, and each has a worker.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::config::Job;
use super::discovery::{self, TargetGroup};
use super::status::{PoolStatus, TargetStatus};
use super::target::{Resolved, Target, TargetKey, discovered, resolve};
use super::worker::{Tools, Worker};
use crate::self_metrics;

/// Updates of discovery that wait for the job.
const UPDATES: usize = 4;

/// Runs a job until `stop`.
pub(crate) async fn run(
    job: Arc<Job>,
    tools: Arc<Tools>,
    status: Arc<PoolStatus>,
    stop: CancellationToken,
) {
    let (sender, mut updates) = mpsc::channel(UPDATES);
    let discovery = tokio::spawn(discovery::run(Arc::clone(&job), sender, stop.clone()));
    let none: Arc<Vec<TargetGroup>> = Arc::default();
    let mut groups = vec![none; job.discoveries.len()];
    let mut pool = Pool {
        job,
        tools,
        status,
        stop: stop.clone(),
        running: BTreeMap::new(),
    };
    loop {
        let update = tokio::select! {
            update = updates.recv() => update,
            () = stop.cancelled() => break,
        };
        let Some(update) = update else {
            // Nothing will change any more.
            stop.cancelled().await;
            break;
        };
        if let Some(of_source) = groups.get_mut(update.source) {
            *of_source = Arc::new(update.groups);
        }
        pool.follow(&groups).await;
    }
    pool.end(|_| false).await;
    if let Err(err) = discovery.await {
        tracing::error!(error = %err, "discovery ended");
    }
}

struct Pool {
    job: Arc<Job>,
    tools: Arc<Tools>,
    status: Arc<PoolStatus>,
    stop: CancellationToken,
    running: BTreeMap<TargetKey, Running>,
}

/// A target and its worker.
struct Running {
    gone: CancellationToken,
    worker: JoinHandle<()>,
    status: Arc<TargetStatus>,
}

/// What discovery has found, sorted by what becomes of it.
#[derive(Default)]
struct Sorted {
    active: BTreeMap<TargetKey, (Target, Labels)>,
    dropped: Vec<Labels>,
    dropped_count: usize,
    invalid: Vec<String>,
}

/// What becomes of every target of `groups`.
fn sort(job: &Job, groups: &[Arc<Vec<TargetGroup>>]) -> Sorted {
    let mut sorted = Sorted::default();
    let keep = match job.limits.dropped_targets {
        0 => usize::MAX,
        limit => limit,
    };
    for found in groups
        .iter()
        .flat_map(|groups| groups.iter())
        .flat_map(TargetGroup::labels)
    {
        let discovered = discovered(job, &found);
        match resolve(job, &discovered) {
            Resolved::Active(target) => {
                sorted.active.insert(target.key(), (*target, discovered));
            }
            Resolved::Dropped => {
                sorted.dropped_count += 1;
                if sorted.dropped.len() < keep {
                    sorted.dropped.push(discovered);
                }
            }
            Resolved::Invalid(message) => {
                sorted.invalid.push(format!("{discovered}: {message}"));
            }
        }
    }
    sorted
}

impl Pool {
    /// Scrapes the targets of `groups` and no others.
    async fn follow(&mut self, groups: &[Arc<Vec<TargetGroup>>]) {
        let (job, groups) = (Arc::clone(&self.job), groups.to_vec());
        // Relabelling thousands of targets would hold up other tasks.
        let sorted = tokio::task::spawn_blocking(move || sort(&job, &groups)).await;
        let sorted = match sorted {
            Ok(sorted) => sorted,
            Err(err) => {
                tracing::error!(job = self.job.name, error = %err, "targets were not sorted");
                return;
            }
        };
        let (job, invalid) = (&self.job.name, sorted.invalid);
        if let Some(first) = invalid.first() {
            let count = invalid.len();
            tracing::warn!(
                job,
                count,
                "targets cannot be scraped, the first because {first}"
            );
        }
        let (count, limit) = (sorted.active.len(), self.job.limits.targets);
        let exceeds = limit > 0 && count > limit;
        self.status.set_refusal(
            exceeds
                .then(|| format!("the job has {count} targets, more than target_limit = {limit}")),
        );
        self.status
            .set_dropped(sorted.dropped, sorted.dropped_count);
        // First those that vanish, so that what a successor writes comes after their end.
        self.end(|key| sorted.active.contains_key(key)).await;
        for (key, (target, discovered)) in sorted.active {
            match self.running.get(&key) {
                Some(running) => running.status.set_discovered(discovered),
                None => {
                    let running = self.begin(target, discovered);
                    self.running.insert(key, running);
                }
            }
        }
        self.show();
    }

    fn begin(&self, target: Target, discovered: Labels) -> Running {
        let status = Arc::new(TargetStatus::new(target.clone(), discovered));
        let gone = self.stop.child_token();
        let worker = Worker {
            job: Arc::clone(&self.job),
            pool: Arc::clone(&self.status),
            tools: Arc::clone(&self.tools),
            status: Arc::clone(&status),
            target,
            gone: gone.clone(),
            stop: self.stop.clone(),
        };
        Running {
            gone,
            worker: tokio::spawn(worker.run()),
            status,
        }
    }

    /// Ends the workers of all targets but those that `stays` accepts, and waits for them.
    async fn end(&mut self, stays: impl Fn(&TargetKey) -> bool) {
        let gone: Vec<TargetKey> = self
            .running
            .keys()
            .filter(|key| !stays(key))
            .cloned()
            .collect();
        let gone: Vec<Running> = gone
            .iter()
            .filter_map(|key| self.running.remove(key))
            .collect();
        for running in &gone {
            running.gone.cancel();
        }
        for running in gone {
            if let Err(err) = running.worker.await {
                tracing::error!(job = self.job.name, error = %err, "a target's worker ended");
            }
        }
    }

    fn show(&self) {
        let active = self
            .running
            .iter()
            .map(|(key, running)| (key.clone(), Arc::clone(&running.status)));
        self.status.set_active(active.collect());
        metrics::gauge!(self_metrics::SCRAPE_TARGETS, "job" => self.job.name.clone())
            .set(self.running.len() as f64);
    }
}
