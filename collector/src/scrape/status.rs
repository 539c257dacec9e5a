//! What the API shows of jobs and their targets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Labels, TenantId};

use super::target::{Target, TargetKey};

/// A job as seen from outside.
#[derive(Debug)]
pub(crate) struct PoolStatus {
    /// The job's name.
    pub(crate) name: String,
    /// Whose metrics it scrapes.
    pub(crate) tenant: TenantId,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    active: BTreeMap<TargetKey, Arc<TargetStatus>>,
    /// The discovered labels of dropped targets, as many as are kept.
    dropped: Vec<Labels>,
    dropped_count: usize,
    /// Why no target of the job is scraped.
    refusal: Option<String>,
}

/// A target as its worker sees it.
#[derive(Debug)]
pub(crate) struct TargetStatus {
    target: Target,
    state: Mutex<TargetState>,
}

#[derive(Debug, Clone)]
struct TargetState {
    discovered: Labels,
    last: LastScrape,
}

/// How a target's last scrape went.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastScrape {
    pub(crate) health: Health,
    /// What went wrong; empty for nothing.
    pub(crate) error: String,
    /// When it began, Unix ms.
    pub(crate) at_ms: Option<i64>,
    pub(crate) took: Duration,
}

/// Whether a target answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl Health {
    /// The word that Prometheus' API uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A target at one moment.
#[derive(Debug, Clone)]
pub(crate) struct TargetView {
    pub(crate) target: Target,
    pub(crate) discovered: Labels,
    pub(crate) last: LastScrape,
}

impl PoolStatus {
    pub(crate) fn new(name: &str, tenant: TenantId) -> Self {
        Self {
            name: name.to_owned(),
            tenant,
            state: Mutex::default(),
        }
    }

    /// The targets that are scraped, sorted by URL and labels.
    pub(crate) fn active(&self) -> Vec<TargetView> {
        let targets: Vec<Arc<TargetStatus>> =
            self.with(|state| state.active.values().cloned().collect());
        targets.iter().map(|target| target.view()).collect()
    }

    /// Discovered labels of dropped targets, and how many there are in all.
    pub(crate) fn dropped(&self) -> (Vec<Labels>, usize) {
        self.with(|state| (state.dropped.clone(), state.dropped_count))
    }

    /// Why no target of the job is scraped.
    pub(super) fn refusal(&self) -> Option<String> {
        self.with(|state| state.refusal.clone())
    }

    pub(super) fn set_active(&self, active: BTreeMap<TargetKey, Arc<TargetStatus>>) {
        self.with(|state| state.active = active);
    }

    pub(super) fn set_refusal(&self, refusal: Option<String>) {
        self.with(|state| state.refusal = refusal);
    }

    pub(super) fn set_dropped(&self, dropped: Vec<Labels>, count: usize) {
        self.with(|state| {
            state.dropped = dropped;
            state.dropped_count = count;
        });
    }

    fn with<T>(&self, read: impl FnOnce(&mut PoolState) -> T) -> T {
        // Nothing panics while it holds the lock, and every state is whole.
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TargetStatus {
    pub(super) fn new(target: Target, discovered: Labels) -> Self {
        Self {
            target,
            state: Mutex::new(TargetState {
                discovered,
                last: LastScrape::default(),
            }),
        }
    }

    pub(super) fn set_discovered(&self, discovered: Labels) {
        self.with(|state| state.discovered = discovered);
    }

    pub(super) fn set_last(&self, last: LastScrape) {
        self.with(|state| state.last = last);
    }

    fn view(&self) -> TargetView {
        let TargetState { discovered, last } = self.with(|state| state.clone());
        TargetView {
            target: self.target.clone(),
            discovered,
            last,
        }
    }

    fn with<T>(&self, read: impl FnOnce(&mut TargetState) -> T) -> T {
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
