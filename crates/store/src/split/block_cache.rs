//! Decoded columns of blocks, kept for queries that come back to them: the same search again, its
//! next page, what surrounds a record.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef};
use lru::LruCache;

/// One query may fill this part of the cache, so that one that reads everything leaves what others
/// come back to.
const PART_OF_A_QUERY: usize = 2;

/// What a kept column is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// See [`BlockCache::new_file`].
    pub(super) file: u64,
    pub(super) group: usize,
    /// The block, counted from the row group's first.
    pub(super) block: usize,
    /// The physical column.
    pub(super) column: usize,
}

/// Decoded columns of blocks, bounded by bytes; the least recently used go first.
#[derive(Debug)]
pub struct BlockCache {
    limit: usize,
    files: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    columns: LruCache<Place, ArrayRef>,
    bytes: usize,
}

impl Default for BlockCache {
    /// Keeps nothing.
    fn default() -> Self {
        Self::new(0)
    }
}

impl BlockCache {
    /// A cache of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            files: AtomicU64::new(0),
            state: Mutex::new(State {
                columns: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    /// The cache for one query.
    pub(crate) fn for_query(self: &Arc<Self>) -> Arc<QueryBlocks> {
        Arc::new(QueryBlocks {
            cache: Arc::clone(self),
            bytes_left: AtomicUsize::new(self.limit / PART_OF_A_QUERY),
        })
    }

    /// A number for a file, which no other has.
    fn new_file(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cache as one query uses it, all of its tasks together.
#[derive(Debug)]
pub(crate) struct QueryBlocks {
    cache: Arc<BlockCache>,
    /// What the query may still add.
    bytes_left: AtomicUsize,
}

impl QueryBlocks {
    /// See [`BlockCache::new_file`].
    pub(super) fn new_file(&self) -> u64 {
        self.cache.new_file()
    }

    /// What is kept at some places.
    pub(super) fn get(&self, places: impl Iterator<Item = Place>) -> Vec<Option<ArrayRef>> {
        let mut state = self.cache.state();
        places
            .map(|place| state.columns.get(&place).cloned())
            .collect()
    }

    /// Keeps a column when this query may.
    pub(super) fn keep(&self, place: Place, column: &ArrayRef) {
        let bytes = column.get_array_memory_size();
        let may = |left: usize| left.checked_sub(bytes);
        let taken = self
            .bytes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, may);
        if taken.is_err() {
            return;
        }
        let mut state = self.cache.state();
        state.bytes += bytes;
        if let Some((_, replaced)) = state.columns.push(place, Arc::clone(column)) {
            state.bytes -= replaced.get_array_memory_size();
        }
        while state.bytes > self.cache.limit
            && let Some((_, oldest)) = state.columns.pop_lru()
        {
            state.bytes -= oldest.get_array_memory_size();
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn place(block: usize) -> Place {
        Place {
            file: 0,
            group: 0,
            block,
            column: 0,
        }
    }

    fn kept(query: &QueryBlocks, blocks: impl Iterator<Item = usize>) -> Vec<bool> {
        let found = query.get(blocks.map(place));
        found.iter().map(Option::is_some).collect()
    }

    #[test]
    fn a_query_fills_its_part_and_the_least_recently_used_go() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1; 100]));
        let bytes = column.get_array_memory_size();
        let cache = Arc::new(BlockCache::new(4 * bytes));
        let query = cache.for_query();
        for block in 0..3 {
            query.keep(place(block), &column);
        }
        assert_eq!(kept(&query, 0..3), [true, true, false]);

        cache.for_query().keep(place(3), &column);
        cache.for_query().keep(place(4), &column);
        assert_eq!(kept(&query, 0..1), [true]);
        cache.for_query().keep(place(5), &column);
        assert_eq!(kept(&query, 0..6), [true, false, false, true, true, true]);

        // The same again takes no more room.
        cache.for_query().keep(place(5), &column);
        assert_eq!(cache.state().bytes, 4 * bytes);
        assert_eq!(kept(&query, 0..6), [true, false, false, true, true, true]);
    }
}
