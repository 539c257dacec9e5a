//! A head's open rows, still in the messages they came in: appended by ingest, read by queries,
//! turned into row groups when full.
//!
//! Rows lie in chunks. A chunk that a query has seen is never changed again without being copied,
//! so readers take no lock while they read; its columns are made at the first query and kept.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use arrow::record_batch::RecordBatch;
use model::{Seq, TimeRange};
use wire::otlp::Item;

use super::ColumnsError;
use super::encode::{Row, encode};

/// A chunk grows to about this many rows.
const CHUNK_ROWS: usize = 4096;

/// A run of open rows in the order they arrived.
#[derive(Debug)]
pub struct OpenChunk<R> {
    rows: Vec<(Seq, Item)>,
    /// First and last timestamp.
    times: Option<(i64, i64)>,
    columns: OnceLock<RecordBatch>,
    kind: PhantomData<R>,
}

impl<R> Default for OpenChunk<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            times: None,
            columns: OnceLock::new(),
            kind: PhantomData,
        }
    }
}

impl<R: Row> Clone for OpenChunk<R> {
    /// A copy to be appended to: it has no columns yet.
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            times: self.times,
            columns: OnceLock::new(),
            kind: PhantomData,
        }
    }
}

impl<R: Row> OpenChunk<R> {
    /// A chunk of these rows.
    pub fn new(rows: Vec<(Seq, Item)>) -> Self {
        let mut chunk = Self::default();
        chunk.append(rows);
        chunk
    }

    /// The rows.
    pub fn rows(&self) -> &[(Seq, Item)] {
        &self.rows
    }

    fn append(&mut self, rows: Vec<(Seq, Item)>) {
        for (_, item) in &rows {
            let time = item.time;
            self.times = Some(match self.times {
                Some((first, last)) => (first.min(time), last.max(time)),
                None => (time, time),
            });
        }
        if self.rows.is_empty() {
            self.rows = rows;
        } else {
            self.rows.extend(rows);
        }
        self.columns = OnceLock::new();
    }
}

/// How much memory a row takes, bytes. Resource and scope are shared and not counted.
pub(crate) fn item_bytes((_, item): &(Seq, Item)) -> usize {
    size_of::<(Seq, Item)>() + item.message.len()
}

/// Rows in memory as a query sees them: of one signal, as columns.
pub trait RowsInMemory: fmt::Debug + Send + Sync {
    /// The logical table of the rows.
    fn table(&self) -> query::schema::Table;
    /// How many rows there are.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// First and last timestamp, Unix ns; `None` without rows.
    fn times(&self) -> Option<(i64, i64)>;
    /// The rows in physical columns.
    ///
    /// # Errors
    ///
    /// See [`encode`].
    fn columns(&self) -> Result<RecordBatch, ColumnsError>;

    /// Whether a row may lie in `range`.
    fn overlaps(&self, range: TimeRange) -> bool {
        self.times()
            .is_some_and(|(first, last)| range.overlaps_inclusive(first, last))
    }
}

impl<R: Row> RowsInMemory for OpenChunk<R> {
    fn table(&self) -> query::schema::Table {
        R::TABLE
    }

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn times(&self) -> Option<(i64, i64)> {
        self.times
    }

    fn columns(&self) -> Result<RecordBatch, ColumnsError> {
        if let Some(columns) = self.columns.get() {
            return Ok(columns.clone());
        }
        let rows: Vec<&(Seq, Item)> = self.rows.iter().collect();
        let columns = encode::<R>(&rows)?;
        Ok(self.columns.get_or_init(|| columns).clone())
    }
}

/// The open rows of one head.
#[derive(Debug)]
pub struct OpenRows<R> {
    chunks: Vec<Arc<OpenChunk<R>>>,
    rows: usize,
    size_bytes: usize,
}

impl<R> Default for OpenRows<R> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            rows: 0,
            size_bytes: 0,
        }
    }
}

impl<R: Row> OpenRows<R> {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds rows after those that are there.
    pub fn append(&mut self, rows: Vec<(Seq, Item)>) {
        if rows.is_empty() {
            return;
        }
        self.rows += rows.len();
        self.size_bytes += rows.iter().map(item_bytes).sum::<usize>();
        match self.chunks.last_mut() {
            Some(last) if last.rows.len() + rows.len() <= CHUNK_ROWS => {
                Arc::make_mut(last).append(rows);
            }
            _ => self.chunks.push(Arc::new(OpenChunk::new(rows))),
        }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// How much memory the rows take, bytes.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The rows as they are now; later appends do not show in it.
    pub fn chunks(&self) -> &[Arc<OpenChunk<R>>] {
        &self.chunks
    }

    /// The rows as queries take them.
    pub fn snapshot(&self) -> Vec<Arc<dyn RowsInMemory>> {
        self.chunks
            .iter()
            .map(|chunk| Arc::clone(chunk) as Arc<dyn RowsInMemory>)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{arbitrary, decode, to_items};
    use model::LogRecord;

    #[test]
    fn a_snapshot_does_not_see_later_rows() {
        let record = |n: i64| (Seq::new(1, n as u32), arbitrary::plain_log(n));
        let mut open: OpenRows<LogRecord> = OpenRows::new();
        open.append(to_items(&[record(5)]));
        let before = open.snapshot();
        open.append(to_items(&[record(3), record(9)]));
        let after = open.snapshot();

        assert_eq!((before[0].len(), before[0].times()), (1, Some((5, 5))));
        assert_eq!((after[0].len(), after[0].times()), (3, Some((3, 9))));
        let columns = after[0].columns().unwrap();
        assert_eq!(
            decode::<LogRecord>(&columns).unwrap(),
            vec![record(5), record(3), record(9)]
        );
    }
}
