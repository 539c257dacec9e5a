//! Which queries are running, so that files that they may still open are left in place.
//!
//! A query sees the splits of the moment at which it began. A split that is deleted later may
//! therefore be removed once no query is left that began before.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The queries that are running.
#[derive(Debug, Default)]
pub(super) struct Leases {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When they began, Unix ns, with a number that makes each its own.
    running: BTreeSet<(i64, u64)>,
    next: u64,
}

/// A running query; over when this is dropped.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Arc<Leases>,
    key: (i64, u64),
}

impl Leases {
    /// A query begins at `now` (Unix ns), before it looks at the catalog.
    pub(super) fn take(self: &Arc<Self>, now: i64) -> Arc<Lease> {
        let mut state = self.state();
        let key = (now, state.next);
        state.next += 1;
        state.running.insert(key);
        Arc::new(Lease {
            leases: Arc::clone(self),
            key,
        })
    }

    /// When the oldest running query began, Unix ns.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.state().running.first().map(|(begun, _)| *begun)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.state().running.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_running_query_is_known() {
        let leases = Arc::new(Leases::default());
        let (first, second) = (leases.take(5), leases.take(5));
        let third = leases.take(7);
        drop(first);
        assert_eq!(leases.oldest(), Some(5));
        drop(second);
        assert_eq!(leases.oldest(), Some(7));
        drop(third);
        assert_eq!(leases.oldest(), None);
    }
}
