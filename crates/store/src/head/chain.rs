//! The generations of one tenant and signal, from the checkpoint to the newest row.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Signal, TenantId};
use tokio::sync::oneshot;

use super::memory::{HeadBytes, Memory};
use super::{HeadRows, HeadSettings, SplitSummary};
use crate::error::StoreError;
use crate::follow::Arrivals;

/// The rows of the positions after `from`, up to the last one applied.
pub struct Generation<H> {
    /// The rows.
    pub rows: Arc<H>,
    /// The checkpoint that this generation follows.
    pub from: u64,
    extent: Mutex<Extent>,
    memory: HeadBytes,
}

/// Which log records a generation holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    /// Positions of its first and last log record; `None` while it is empty.
    positions: Option<(u64, u64)>,
    /// When the first of them arrived, Unix ns.
    oldest_received_at: i64,
}

impl<H: HeadRows> Generation<H> {
    fn new(rows: H, from: u64, memory: &Arc<Memory>) -> Arc<Self> {
        let generation = Self {
            rows: Arc::new(rows),
            from,
            extent: Mutex::new(Extent::default()),
            memory: HeadBytes::new(Arc::clone(memory)),
        };
        generation.weigh();
        Arc::new(generation)
    }

    fn extent(&self) -> Extent {
        *self.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, position: u64, received_at: i64, batch: H::Batch) {
        self.rows.apply(batch);
        let mut extent = self.extent.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut extent.positions {
            Some((_, last)) => *last = position,
            None => {
                extent.positions = Some((position, position));
                extent.oldest_received_at = received_at;
            }
        }
    }

    /// Tells the memory's account how much the rows take now.
    fn weigh(&self) {
        self.memory.set(self.rows.size_bytes());
    }
}

/// A frozen generation, whatever its signal.
pub trait Frozen: Send + Sync {
    /// The positions `(from, to]` that it covers.
    fn covers(&self) -> (u64, u64);
    /// Rows held.
    fn rows(&self) -> u64;
    /// See [`HeadRows::parts`].
    fn parts(&self) -> usize;
    /// See [`HeadRows::seal`].
    ///
    /// # Errors
    ///
    /// As there.
    fn seal(&self, part: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError>;
    /// See [`HeadRows::accumulators`].
    fn accumulators(&self) -> Option<String>;
}

impl<H: HeadRows> Frozen for Generation<H> {
    fn covers(&self) -> (u64, u64) {
        let last = self.extent().positions.map_or(self.from, |(_, last)| last);
        (self.from, last)
    }

    fn rows(&self) -> u64 {
        self.rows.rows()
    }

    fn parts(&self) -> usize {
        self.rows.parts()
    }

    fn seal(&self, part: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError> {
        let summary = self.rows.seal(part, out)?;
        self.weigh();
        Ok(summary)
    }

    fn accumulators(&self) -> Option<String> {
        self.rows.accumulators()
    }
}

/// How a head stands, for deciding what to seal and for reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadStatus {
    /// Memory held by all generations, bytes.
    pub bytes: usize,
    /// Rows in all generations.
    pub rows: u64,
    /// The first position that no published split covers.
    pub first_unpublished: Option<u64>,
    /// When the newest generation's first log record arrived, Unix ns; `None` while it is empty.
    pub oldest_received_at: Option<i64>,
    /// Rows of the newest generation.
    pub open_rows: u64,
    /// Memory of the newest generation, bytes.
    pub open_bytes: usize,
    /// The part of it that only sealing gives back.
    pub settled_bytes: usize,
    /// Whether a full row group waits to be encoded, or is being encoded.
    pub is_encoding: bool,
    /// Generations that wait to be sealed and published.
    pub frozen: usize,
}

/// The head of one tenant and signal, whatever its rows.
pub trait Head: Send + Sync {
    /// Whose it is.
    fn tenant(&self) -> &TenantId;
    /// Of which signal.
    fn signal(&self) -> Signal;
    /// How it stands.
    fn status(&self) -> HeadStatus;
    /// Whether a full row group waits to be encoded.
    fn has_full(&self) -> bool;
    /// Encodes full row groups. CPU-heavy.
    ///
    /// # Errors
    ///
    /// The encoder refused the rows.
    fn encode_full(&self) -> Result<(), StoreError>;
    /// Begins a new generation, unless the newest is empty; whether it did.
    fn freeze(&self) -> bool;
    /// The oldest generation that waits to be sealed.
    fn oldest_frozen(&self) -> Option<Arc<dyn Frozen>>;
    /// Drops the oldest frozen generation, whose split covers it up to `to`.
    fn published(&self, to: u64);
    /// Held while a generation is sealed and published, so that it happens in order.
    fn sealing(&self) -> &tokio::sync::Mutex<()>;
}

/// The head of one tenant and signal.
pub struct Chain<H: HeadRows> {
    tenant: TenantId,
    signal: Signal,
    memory: Arc<Memory>,
    arrivals: Arc<Arrivals>,
    /// Log records that are durable and wait to be applied, in the order of their positions.
    /// Held while they are applied, and while the newest generation is frozen.
    waiting: Mutex<VecDeque<Waiting<H>>>,
    generations: Mutex<Generations<H>>,
    sealing: tokio::sync::Mutex<()>,
    has_full: AtomicBool,
}

struct Waiting<H: HeadRows> {
    position: u64,
    received_at: i64,
    batch: H::Batch,
    applied: oneshot::Sender<()>,
}

struct Generations<H> {
    frozen: VecDeque<Arc<Generation<H>>>,
    newest: Arc<Generation<H>>,
}

impl<H: HeadRows> Chain<H> {
    /// A head that continues from a checkpoint: its position and accumulators.
    pub(crate) fn restore(
        tenant: TenantId,
        signal: Signal,
        settings: &HeadSettings,
        checkpoint: (u64, Option<&str>),
        (memory, arrivals): (Arc<Memory>, Arc<Arrivals>),
    ) -> Result<Self, StoreError> {
        let (from, accumulators) = checkpoint;
        let rows = H::restore(settings, accumulators)?;
        Ok(Self {
            tenant,
            signal,
            waiting: Mutex::new(VecDeque::new()),
            generations: Mutex::new(Generations {
                frozen: VecDeque::new(),
                newest: Generation::new(rows, from, &memory),
            }),
            memory,
            arrivals,
            sealing: tokio::sync::Mutex::new(()),
            has_full: AtomicBool::new(false),
        })
    }

    /// Queues a durable log record; [`Chain::apply_waiting`] applies it. Calls come in the order
    /// of positions.
    pub(crate) fn enqueue(
        &self,
        position: u64,
        received_at: i64,
        batch: H::Batch,
        applied: oneshot::Sender<()>,
    ) {
        self.waiting().push_back(Waiting {
            position,
            received_at,
            batch,
            applied,
        });
    }

    /// Applies everything that was queued before the call.
    pub(crate) fn apply_waiting(&self) {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            return;
        }
        let newest = Arc::clone(&self.generations().newest);
        while let Some(record) = waiting.pop_front() {
            let is_followed = self.arrivals.is_followed(&self.tenant, self.signal);
            let arrived = is_followed.then(|| H::arrived(&record.batch)).flatten();
            newest.apply(record.position, record.received_at, record.batch);
            if let Some(arrived) = arrived {
                let received_at = record.received_at;
                self.arrivals
                    .publish(&self.tenant, self.signal, received_at, arrived);
            }
            // Nobody waits when the request was cancelled.
            record.applied.send(()).ok();
        }
        newest.weigh();
        if newest.rows.has_full() {
            self.has_full.store(true, Ordering::Relaxed);
        }
    }

    /// The last position that is applied or covered by a split, and so not to be replayed.
    pub(crate) fn applied(&self) -> u64 {
        self.generations().newest.covers().1
    }

    /// Waits for what is being applied. Whoever began to follow before sees everything that is
    /// applied after, and queries see the rest.
    pub(crate) fn settle(&self) {
        drop(self.waiting());
    }

    /// Every generation, oldest first. To be taken before a catalog snapshot: then no row is in
    /// neither of them.
    pub(crate) fn generations_now(&self) -> Vec<Arc<Generation<H>>> {
        let generations = self.generations();
        let newest = std::iter::once(&generations.newest);
        generations.frozen.iter().chain(newest).cloned().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<H>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn generations(&self) -> MutexGuard<'_, Generations<H>> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: HeadRows> Head for Chain<H> {
    fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn status(&self) -> HeadStatus {
        // A log record that waits to be applied is newer than those that are.
        let waiting = self.waiting().front().map(|record| record.position);
        let generations = self.generations_now();
        let first = |generation: &Arc<Generation<H>>| generation.extent().positions;
        let newest = generations.last().map(Arc::clone);
        let open = newest.as_ref().map(|newest| newest.extent());
        HeadStatus {
            bytes: generations.iter().map(|g| g.memory.get()).sum(),
            rows: generations.iter().map(|g| g.rows.rows()).sum(),
            first_unpublished: generations
                .iter()
                .find_map(first)
                .map(|(first, _)| first)
                .or(waiting),
            oldest_received_at: open
                .filter(|extent| extent.positions.is_some())
                .map(|extent| extent.oldest_received_at),
            open_rows: newest.as_ref().map_or(0, |newest| newest.rows.rows()),
            open_bytes: newest.as_ref().map_or(0, |newest| newest.memory.get()),
            settled_bytes: newest
                .as_ref()
                .map_or(0, |newest| newest.rows.settled_bytes()),
            is_encoding: generations.iter().any(|g| g.rows.has_full()),
            frozen: generations.len() - 1,
        }
    }

    fn has_full(&self) -> bool {
        self.has_full.load(Ordering::Relaxed)
    }

    fn encode_full(&self) -> Result<(), StoreError> {
        self.has_full.store(false, Ordering::Relaxed);
        for generation in self.generations_now() {
            generation.rows.encode_full()?;
            generation.weigh();
        }
        Ok(())
    }

    fn freeze(&self) -> bool {
        // Nothing is applied meanwhile, so the generation ends at a log record's boundary.
        let _nothing_is_applied = self.waiting();
        let mut generations = self.generations();
        let newest = Arc::clone(&generations.newest);
        let Some((_, last)) = newest.extent().positions else {
            return false;
        };
        generations.newest = Generation::new(newest.rows.successor(), last, &self.memory);
        generations.frozen.push_back(newest);
        true
    }

    fn oldest_frozen(&self) -> Option<Arc<dyn Frozen>> {
        let generations = self.generations();
        let oldest = generations.frozen.front()?;
        Some(Arc::clone(oldest) as Arc<dyn Frozen>)
    }

    fn published(&self, to: u64) {
        let mut generations = self.generations();
        if generations
            .frozen
            .front()
            .is_some_and(|oldest| oldest.covers().1 == to)
        {
            generations.frozen.pop_front();
        }
    }

    fn sealing(&self) -> &tokio::sync::Mutex<()> {
        &self.sealing
    }
}
