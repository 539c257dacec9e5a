//! Brings durable log records to their heads in the order of their positions.
//!
//! Requests become durable in groups, and their tasks go on in any order. Replay applies records
//! in order, and what a head comes to (accumulators, which duplicate wins) must be the same, so a
//! record waits here until all before it have been handed to their heads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Signal;
use tokio::sync::oneshot;

use crate::head::tenant::{Batch, TenantHeads};

/// A durable log record on its way to its head.
pub(super) struct Durable {
    pub(super) heads: Arc<TenantHeads>,
    pub(super) received_at: i64,
    pub(super) batch: Batch,
    pub(super) applied: oneshot::Sender<()>,
}

#[derive(Default)]
pub(super) struct Sequencer {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last position handed to its head.
    handed_over: u64,
    /// Durable records whose predecessors are on their way.
    early: BTreeMap<u64, Durable>,
}

impl Sequencer {
    /// Takes a record whose position is durable and applies what can be applied: perhaps this
    /// one, perhaps later ones, or nothing yet. `durable.applied` says when.
    pub(super) fn take(&self, position: u64, durable: Durable) {
        let mut touched: Vec<(Arc<TenantHeads>, Signal)> = Vec::new();
        {
            let mut state = self.state();
            state.early.insert(position, durable);
            let mut next = state.handed_over + 1;
            while let Some(durable) = state.early.remove(&next) {
                let signal = durable.batch.signal();
                durable
                    .heads
                    .enqueue(next, durable.received_at, durable.batch, durable.applied);
                touched.push((durable.heads, signal));
                state.handed_over = next;
                next += 1;
            }
        }
        // Heads that appear twice find nothing to do the second time.
        for (heads, signal) in touched {
            heads.apply_waiting(signal);
        }
    }

    /// Everything up to here was handed to its head, or needs not be.
    pub(super) fn handed_over(&self) -> u64 {
        self.state().handed_over
    }

    /// Records up to `position` were dealt with by replay.
    pub(super) fn skip_to(&self, position: u64) {
        let mut state = self.state();
        state.handed_over = state.handed_over.max(position);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
