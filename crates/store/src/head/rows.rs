//! A generation of logs or spans: open rows, and full row groups that are already encoded.
//!
//! Rows arrive in chunks, one a log record, and are collected until a row group is full. A full
//! row group waits, still readable as rows, until it is encoded in the background; sealing
//! encodes the rest and copies every row group into the split.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Seq, Signal};

use super::{HeadRows, HeadSettings, SplitSummary};
use crate::error::StoreError;

/// A row that is kept in row groups.
pub trait Row: Sized + Send + Sync + 'static {
    /// Which signal it belongs to.
    const SIGNAL: Signal;

    /// A full row group: sorted and encoded, with its blocks' index terms.
    type Group: EncodedGroup;

    /// Memory of one row in the open part, bytes.
    fn size_bytes(&self) -> usize;

    /// Sorts and encodes the rows of `chunks` as one row group.
    ///
    /// # Errors
    ///
    /// The encoder refused the rows.
    fn encode(chunks: &[Chunk<Self>]) -> Result<Self::Group, StoreError>;

    /// Writes a whole split of these row groups, in this order, with its index and footer.
    ///
    /// # Errors
    ///
    /// `out` failed, or the encoder refused the row groups.
    fn write_split(
        groups: &[Arc<Self::Group>],
        out: &mut (dyn Write + Send),
    ) -> Result<SplitSummary, StoreError>;
}

/// An encoded row group in memory.
pub trait EncodedGroup: Send + Sync + 'static {
    /// Memory held, bytes.
    fn size_bytes(&self) -> usize;
    /// Rows inside.
    fn rows(&self) -> u64;
}

/// Rows of one log record, by ascending seq; never changed, so queries share it.
pub type Chunk<R> = Arc<Vec<(Seq, R)>>;

/// What a query sees of a generation: a moment of it that no later apply or seal changes.

pub struct RowsView<R: Row> {
    /// Encoded row groups, oldest first.
    pub groups: Vec<Arc<R::Group>>,
    /// Rows that are not in an encoded row group, oldest first.
    pub open: Vec<Chunk<R>>,
}

/// One generation of logs or spans.

pub struct RowHead<R: Row> {
    settings: HeadSettings,
    state: Mutex<State<R>>,
    /// Held while a row group is encoded, so that each is encoded once.
    encoding: Mutex<()>,
}

struct State<R: Row> {
    encoded: Vec<Arc<R::Group>>,
    /// Full row groups that wait to be encoded, oldest first.
    full: Vec<OpenGroup<R>>,
    open: OpenGroup<R>,
    encoded_bytes: usize,
    encoded_rows: u64,
}

struct OpenGroup<R> {
    chunks: Vec<Chunk<R>>,
    rows: usize,
    bytes: usize,
}

impl<R> OpenGroup<R> {
    fn new() -> Self {
        Self {
            chunks: Vec::new(),
            rows: 0,
            bytes: 0,
        }
    }
}

impl<R: Row> RowHead<R> {
    /// An empty generation.
    pub fn new(settings: HeadSettings) -> Self {
        Self {
            settings,
            state: Mutex::new(State {
                encoded: Vec::new(),
                full: Vec::new(),
                open: OpenGroup::new(),
                encoded_bytes: 0,
                encoded_rows: 0,
            }),
            encoding: Mutex::new(()),
        }
    }

    /// The rows as they are now.
    pub fn view(&self) -> RowsView<R> {
        let state = self.state();
        let waiting = state.full.iter().flat_map(|group| &group.chunks);
        RowsView {
            groups: state.encoded.clone(),
            open: waiting.chain(&state.open.chunks).cloned().collect(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes the oldest full row group; whether there was one.
    fn encode_oldest(&self) -> Result<bool, StoreError> {
        let _one_at_a_time = self.encoding.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(chunks) = self.state().full.first().map(|group| group.chunks.clone()) else {
            return Ok(false);
        };
        let group = R::encode(&chunks)?;
        let mut state = self.state();
        state.encoded_bytes += group.size_bytes();
        state.encoded_rows += group.rows();
        state.encoded.push(Arc::new(group));
        state.full.remove(0);
        Ok(true)
    }
}

impl<R: Row> HeadRows for RowHead<R> {
    type Batch = Vec<(Seq, R)>;

    fn successor(&self) -> Self {
        Self::new(self.settings)
    }

    fn apply(&self, mut batch: Self::Batch) {
        let mut state = self.state();
        while !batch.is_empty() {
            let room = self.settings.row_group_rows.max(1) - state.open.rows;
            let rest = batch.split_off(room.min(batch.len()));
            state.open.rows += batch.len();
            state.open.bytes += batch.iter().map(|(_, row)| row.size_bytes()).sum::<usize>();
            state.open.chunks.push(Arc::new(batch));
            if state.open.rows >= self.settings.row_group_rows {
                let full = std::mem::replace(&mut state.open, OpenGroup::new());
                state.full.push(full);
            }
            batch = rest;
        }
    }

    fn size_bytes(&self) -> usize {
        let state = self.state();
        let waiting: usize = state.full.iter().map(|group| group.bytes).sum();
        state.encoded_bytes + waiting + state.open.bytes
    }

    fn rows(&self) -> u64 {
        let state = self.state();
        let waiting: usize = state.full.iter().map(|group| group.rows).sum();
        state.encoded_rows + (waiting + state.open.rows) as u64
    }

    fn has_full(&self) -> bool {
        !self.state().full.is_empty()
    }

    fn encode_full(&self) -> Result<(), StoreError> {
        while self.encode_oldest()? {}
        Ok(())
    }

    fn seal(&self, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError> {
        {
            let mut state = self.state();
            if state.open.rows > 0 {
                let last = std::mem::replace(&mut state.open, OpenGroup::new());
                state.full.push(last);
            }
        }
        self.encode_full()?;
        let groups = self.state().encoded.clone();
        R::write_split(&groups, out)
    }

    fn restore(settings: &HeadSettings, _accumulators: Option<&str>) -> Result<Self, StoreError> {
        Ok(Self::new(*settings))
    }
}
