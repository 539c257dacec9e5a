//! Following a head: its rows as they become visible, for whoever watches them arrive.
//!
//! A head hands each batch that it has applied to the [`Arrivals`], which keep the latest of them
//! in one bounded ring for each tenant and signal that is followed. A [`Follower`] reads the ring
//! at its own pace and learns how many rows it came too late for. Ingest never waits for a
//! follower: it pushes, and the ring forgets its oldest batches. While nobody follows, nothing is
//! kept.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Signal, TenantId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::columns::RowsInMemory;
use crate::scan::Snapshot;

/// Rows of batches that a ring keeps, bytes; the newest batch is kept whatever it takes.
const RING_BYTES: usize = 16 << 20;
/// Batches that a ring keeps.
const RING_BATCHES: usize = 4096;
/// A follower is handed about this many rows at a time.
const ROWS_AT_ONCE: usize = 8192;

/// A batch of rows that became visible.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// The rows.
    pub rows: Arc<dyn RowsInMemory>,
    /// About how much memory they take, bytes.
    pub size_bytes: usize,
}

/// What a follower is told.
#[derive(Debug, Clone)]
pub enum Followed {
    /// Rows that became visible, in the order in which they did.
    Rows(Snapshot),
    /// Rows that the follower came too late for.
    Dropped {
        /// How many, whether they would have matched a filter or not.
        rows: u64,
        /// They were received at or after this instant, Unix ns.
        since: i64,
    },
}

type Stream = (TenantId, Signal);

/// The latest batches of every head that is followed.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Followers of any head.
    followers: AtomicUsize,
    rings: Mutex<HashMap<Stream, Ring>>,
}

#[derive(Debug)]
struct Ring {
    followers: usize,
    batches: VecDeque<Entry>,
    bytes: usize,
    /// How many batches were forgotten, and so the number of the first that is kept.
    first: u64,
    /// Rows in the batches that were forgotten.
    rows_forgotten: u64,
    /// The number of the next batch.
    next: watch::Sender<u64>,
}

#[derive(Debug)]
struct Entry {
    arrived: Arrived,
    received_at: i64,
}

impl Ring {
    fn new() -> Self {
        Self {
            followers: 0,
            batches: VecDeque::new(),
            bytes: 0,
            first: 0,
            rows_forgotten: 0,
            next: watch::Sender::new(0),
        }
    }

    fn push(&mut self, entry: Entry) {
        self.bytes += entry.arrived.size_bytes;
        self.batches.push_back(entry);
        while self.batches.len() > RING_BATCHES || self.bytes > RING_BYTES && self.batches.len() > 1
        {
            let Some(oldest) = self.batches.pop_front() else {
                break;
            };
            self.bytes -= oldest.arrived.size_bytes;
            self.first += 1;
            self.rows_forgotten += oldest.arrived.rows.len() as u64;
        }
        self.next.send_replace(self.end());
    }

    /// The number of the next batch.
    fn end(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    /// Rows in all batches so far.
    fn rows(&self) -> u64 {
        let kept = self.batches.iter().map(|entry| entry.arrived.rows.len());
        self.rows_forgotten + kept.sum::<usize>() as u64
    }
}

impl Arrivals {
    /// Whether anybody follows a head; asked before a batch is applied.
    pub(crate) fn is_followed(&self, tenant: &TenantId, signal: Signal) -> bool {
        self.followers.load(Ordering::Acquire) > 0
            && self.rings().contains_key(&(tenant.clone(), signal))
    }

    /// Takes a batch that was just applied.
    pub(crate) fn publish(
        &self,
        tenant: &TenantId,
        signal: Signal,
        received_at: i64,
        arrived: Arrived,
    ) {
        if let Some(ring) = self.rings().get_mut(&(tenant.clone(), signal)) {
            ring.push(Entry {
                arrived,
                received_at,
            });
        }
    }

    /// Follows a head from now (Unix ns) until `stop`; `None` when `limit` follow already.
    pub(crate) fn follow(
        self: &Arc<Self>,
        tenant: &TenantId,
        signal: Signal,
        (limit, now): (usize, i64),
        stop: CancellationToken,
    ) -> Option<Follower> {
        let mut rings = self.rings();
        if self.followers.load(Ordering::Acquire) >= limit {
            return None;
        }
        self.followers.fetch_add(1, Ordering::Release);
        let stream = (tenant.clone(), signal);
        let ring = rings.entry(stream.clone()).or_insert_with(Ring::new);
        ring.followers += 1;
        Some(Follower {
            arrivals: Arc::clone(self),
            stream,
            next: ring.end(),
            rows: ring.rows(),
            since: now,
            arrival: ring.next.subscribe(),
            stop,
        })
    }

    fn rings(&self) -> MutexGuard<'_, HashMap<Stream, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees the rows of one head arrive. Dropping it ends the subscription.
pub struct Follower {
    arrivals: Arc<Arrivals>,
    stream: Stream,
    /// The number of the batch that comes next.
    next: u64,
    /// Rows in the batches before it.
    rows: u64,
    /// When the batch before it was received.
    since: i64,
    arrival: watch::Receiver<u64>,
    stop: CancellationToken,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("stream", &self.stream)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Follower {
    /// What comes next; waits for it. `None` when the store stops. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<Followed> {
        loop {
            if self.stop.is_cancelled() {
                return None;
            }
            self.arrival.borrow_and_update();
            if let Some(followed) = self.take() {
                return Some(followed);
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                changed = self.arrival.changed() => changed.ok()?,
            }
        }
    }

    fn take(&mut self) -> Option<Followed> {
        let rings = self.arrivals.rings();
        let ring = rings.get(&self.stream)?;
        if self.next < ring.first {
            let dropped = ring.rows_forgotten - self.rows;
            self.next = ring.first;
            self.rows = ring.rows_forgotten;
            return Some(Followed::Dropped {
                rows: dropped,
                since: self.since,
            });
        }
        let mut snapshot = Snapshot::default();
        let mut rows = 0;
        let waiting = ring.batches.iter().skip((self.next - ring.first) as usize);
        for Entry {
            arrived,
            received_at,
        } in waiting
        {
            if rows >= ROWS_AT_ONCE {
                break;
            }
            rows += arrived.rows.len();
            snapshot.open.push(Arc::clone(&arrived.rows));
            self.since = *received_at;
            self.next += 1;
        }
        self.rows += rows as u64;
        (!snapshot.open.is_empty()).then_some(Followed::Rows(snapshot))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut rings = self.arrivals.rings();
        if let Some(ring) = rings.get_mut(&self.stream) {
            ring.followers -= 1;
            if ring.followers == 0 {
                rings.remove(&self.stream);
            }
        }
        self.arrivals.followers.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use model::{LogRecord, Seq};

    use super::*;
    use crate::columns::{OpenChunk, arbitrary, to_items};

    fn tenant() -> TenantId {
        TenantId::default_tenant()
    }

    fn follow(arrivals: &Arc<Arrivals>) -> Follower {
        let stop = CancellationToken::new();
        arrivals
            .follow(&tenant(), Signal::Logs, (2, 0), stop)
            .unwrap()
    }

    /// A batch of `rows` rows that says it takes `size_bytes`.
    fn publish(arrivals: &Arrivals, received_at: i64, rows: i64, size_bytes: usize) {
        let row = |n: i64| {
            (
                Seq::new(received_at as u64, n as u32),
                arbitrary::plain_log(n),
            )
        };
        let rows: Vec<(Seq, LogRecord)> = (0..rows).map(row).collect();
        let rows = Arc::new(OpenChunk::<LogRecord>::new(to_items(&rows)));
        let arrived = Arrived { rows, size_bytes };
        arrivals.publish(&tenant(), Signal::Logs, received_at, arrived);
    }

    async fn next_rows(follower: &mut Follower) -> Vec<usize> {
        match follower.next().await {
            Some(Followed::Rows(snapshot)) => snapshot.open.iter().map(|rows| rows.len()).collect(),
            other => panic!("expected rows, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn a_follower_sees_what_arrives_after_it_began() {
        let arrivals = Arc::new(Arrivals::default());
        assert!(!arrivals.is_followed(&tenant(), Signal::Logs));
        publish(&arrivals, 1, 5, 1);
        let mut early = follow(&arrivals);
        assert!(arrivals.is_followed(&tenant(), Signal::Logs));
        assert!(!arrivals.is_followed(&tenant(), Signal::Spans));
        publish(&arrivals, 2, 2, 1);
        let mut late = follow(&arrivals);
        publish(&arrivals, 3, 3, 1);
        assert_eq!(next_rows(&mut early).await, [2, 3]);
        assert_eq!(next_rows(&mut late).await, [3]);
        drop((early, late));
        assert!(!arrivals.is_followed(&tenant(), Signal::Logs));
        assert!(arrivals.rings().is_empty());
    }

    #[tokio::test]
    async fn a_slow_follower_is_told_what_it_missed() {
        let arrivals = Arc::new(Arrivals::default());
        let mut follower = follow(&arrivals);
        publish(&arrivals, 1, 1, 1);
        assert_eq!(next_rows(&mut follower).await, [1]);
        for at in 2..6 {
            publish(&arrivals, at, at, RING_BYTES / 2);
        }
        let Some(Followed::Dropped { rows, since }) = follower.next().await else {
            panic!("expected a gap");
        };
        assert_eq!((rows, since), (2 + 3, 1));
        assert_eq!(next_rows(&mut follower).await, [4, 5]);
        // A batch larger than the ring is still seen.
        publish(&arrivals, 7, 9, 2 * RING_BYTES);
        assert_eq!(next_rows(&mut follower).await, [9]);
    }

    #[tokio::test]
    async fn followers_are_bounded_and_stop() {
        let arrivals = Arc::new(Arrivals::default());
        let stop = CancellationToken::new();
        let follow = || arrivals.follow(&tenant(), Signal::Logs, (2, 0), stop.clone());
        let (mut first, second) = (follow().unwrap(), follow().unwrap());
        assert!(follow().is_none());
        drop(second);
        assert!(follow().is_some());
        stop.cancel();
        assert!(first.next().await.is_none());
    }
}
