//! A generation of logs or spans: open rows, and full row groups that are already encoded.
//!
//! Rows are collected until a row group is full. A full row group waits, still readable as rows,
//! until it is encoded in the background; sealing encodes the rest and copies every row group
//! into the split.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Seq;
use wire::otlp::Item;

use super::{HeadRows, HeadSettings, SplitSummary};
use crate::columns::{OpenChunk, OpenRows, Row, RowsInMemory, item_bytes};
use crate::error::StoreError;
use crate::follow::Arrived;
use crate::split::{self, MAX_ROW_GROUP_BYTES, MAX_ROW_GROUP_ROWS, RowGroup};

/// What a query sees of a generation: a moment of it that no later apply or seal changes.
#[derive(Debug, Clone, Default)]
pub struct RowsView {
    /// Encoded row groups, oldest first.
    pub row_groups: Vec<Arc<RowGroup>>,
    /// Rows that are not in an encoded row group, oldest first.
    pub open: Vec<Arc<dyn RowsInMemory>>,
}

/// One generation of logs or spans.
#[derive(Debug)]
pub struct RowHead<R: Row> {
    settings: HeadSettings,
    state: Mutex<State<R>>,
    /// Held while a row group is encoded, so that each is encoded once.
    encoding: Mutex<()>,
}

#[derive(Debug)]
struct State<R: Row> {
    encoded: Vec<Arc<RowGroup>>,
    /// Full row groups that wait to be encoded, oldest first.
    full: Vec<Arc<OpenRows<R>>>,
    open: OpenRows<R>,
}

impl<R: Row> RowHead<R> {
    /// An empty generation.
    pub fn new(settings: HeadSettings) -> Self {
        Self {
            settings,
            state: Mutex::new(State {
                encoded: Vec::new(),
                full: Vec::new(),
                open: OpenRows::new(),
            }),
            encoding: Mutex::new(()),
        }
    }

    /// The rows as they are now.
    pub fn view(&self) -> RowsView {
        let state = self.state();
        let mut open = Vec::new();
        for waiting in &state.full {
            open.extend(waiting.snapshot());
        }
        open.extend(state.open.snapshot());
        RowsView {
            row_groups: state.encoded.clone(),
            open,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<R>> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row_group_rows(&self) -> usize {
        self.settings.row_group_rows.clamp(1, MAX_ROW_GROUP_ROWS)
    }

    /// Encodes the oldest full row group; whether there was one.
    fn encode_oldest(&self) -> Result<bool, StoreError> {
        let _one_at_a_time = self.encoding.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rows) = self.state().full.first().cloned() else {
            return Ok(false);
        };
        let group = RowGroup::encode::<R>(rows.chunks().iter().flat_map(|chunk| chunk.rows()))?;
        let mut state = self.state();
        state.encoded.push(Arc::new(group));
        state.full.remove(0);
        Ok(true)
    }
}

impl<R: Row> State<R> {
    fn close_open(&mut self) {
        if !self.open.is_empty() {
            let full = std::mem::replace(&mut self.open, OpenRows::new());
            self.full.push(Arc::new(full));
        }
    }
}

impl<R: Row> HeadRows for RowHead<R> {
    type Batch = Vec<(Seq, Item)>;

    fn successor(&self) -> Self {
        Self::new(self.settings.clone())
    }

    fn apply(&self, mut batch: Self::Batch) {
        let mut state = self.state();
        while !batch.is_empty() {
            let room = self.row_group_rows() - state.open.len();
            let rest = batch.split_off(room.min(batch.len()));
            state.open.append(batch);
            let is_large = state.open.size_bytes() >= MAX_ROW_GROUP_BYTES;
            if is_large || state.open.len() >= self.row_group_rows() {
                state.close_open();
            }
            batch = rest;
        }
    }

    fn arrived(batch: &Self::Batch) -> Option<Arrived> {
        Some(Arrived {
            size_bytes: batch.iter().map(item_bytes).sum(),
            rows: Arc::new(OpenChunk::<R>::new(batch.clone())),
        })
    }

    fn size_bytes(&self) -> usize {
        let encoded = self.settled_bytes();
        let state = self.state();
        let waiting: usize = state.full.iter().map(|rows| rows.size_bytes()).sum();
        encoded + waiting + state.open.size_bytes()
    }

    fn settled_bytes(&self) -> usize {
        let state = self.state();
        state.encoded.iter().map(|group| group.size_bytes()).sum()
    }

    fn rows(&self) -> u64 {
        let state = self.state();
        let encoded: usize = state.encoded.iter().map(|group| group.rows()).sum();
        let waiting: usize = state.full.iter().map(|rows| rows.len()).sum();
        (encoded + waiting + state.open.len()) as u64
    }

    fn has_full(&self) -> bool {
        !self.state().full.is_empty()
    }

    fn encode_full(&self) -> Result<(), StoreError> {
        while self.encode_oldest()? {}
        Ok(())
    }

    fn seal(&self, _: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError> {
        self.state().close_open();
        self.encode_full()?;
        let row_groups = self.state().encoded.clone();
        split::write(&row_groups, out)
    }

    fn restore(settings: &HeadSettings, _accumulators: Option<&str>) -> Result<Self, StoreError> {
        Ok(Self::new(settings.clone()))
    }
}

#[cfg(test)]
mod tests {
    use model::LogRecord;

    use super::*;
    use crate::columns::arbitrary::plain_log;

    #[test]
    fn rows_stay_in_view_while_they_are_encoded_and_sealed() {
        let head: RowHead<LogRecord> = RowHead::new(HeadSettings {
            row_group_rows: 10,
            retention: Arc::default(),
        });
        let seen = |head: &RowHead<LogRecord>| {
            let view = head.view();
            let open: usize = view.open.iter().map(|rows| rows.len()).sum();
            let groups: usize = view.row_groups.iter().map(|group| group.rows()).sum();
            (groups, open)
        };
        let rows = |position, count: u32| {
            let row = |n: u32| {
                (
                    Seq::new(position, n),
                    Item::of_log(&plain_log(i64::from(n))),
                )
            };
            (0..count).map(row).collect::<Vec<_>>()
        };
        head.apply(rows(1, 25));
        assert_eq!((seen(&head), head.rows()), ((0, 25), 25));
        assert!(head.has_full());
        head.encode_full().unwrap();
        assert_eq!((seen(&head), head.rows()), ((20, 5), 25));
        head.apply(rows(2, 4));
        let mut split = Vec::new();
        let summary = head.seal(0, &mut split).unwrap();
        assert_eq!((summary.rows, seen(&head)), (29, (29, 0)));
        assert_eq!((summary.min_time, summary.max_time), (0, 24));
    }
}
