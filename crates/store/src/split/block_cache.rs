//! Decoded columns of blocks, kept for queries that come back to them: the same search again, its
//! next page, what surrounds a record.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef};
use lru::LruCache;

/// For each so many bytes of the limit one place is remembered that was asked for. Those of a block
/// are a few, so that what was asked for just once is forgotten about when it would no longer be kept.
const BYTES_OF_A_PLACE: usize = 1 << 14;

/// One query may add this part of the cache, so that one that reads everything leaves what others
/// come back to.
const PART_OF_A_QUERY: usize = 2;

/// What a kept column is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BlockColumn {
    /// The file's number.
    pub(super) file: u64,
    pub(super) group: usize,
    /// The block, counted from the row group's first.
    pub(super) block: usize,
    /// The physical column.
    pub(super) column: usize,
}

/// Decoded columns of blocks, bounded by bytes; the least recently used go first.
#[derive(Debug)]
pub(crate) struct BlockCache {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    columns: LruCache<BlockColumn, ArrayRef>,
    bytes: usize,
    /// Places that were asked for, whether anything is kept there or not.
    asked: LruCache<BlockColumn, ()>,
}

impl BlockCache {
    /// A cache of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                columns: LruCache::unbounded(),
                bytes: 0,
                asked: LruCache::unbounded(),
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

impl Default for QueryBlocks {
    /// Of a cache that keeps nothing.
    fn default() -> Self {
        Self {
            cache: Arc::new(BlockCache::new(0)),
            bytes_left: AtomicUsize::new(0),
        }
    }
}

impl QueryBlocks {
    /// How many of some places are worth reading by the whole block: something is kept there, or was
    /// asked for before and this query may still keep it.
    pub(super) fn worth_a_block(&self, places: impl Iterator<Item = BlockColumn>) -> usize {
        let may_keep = self.bytes_left.load(Ordering::Relaxed) > 0;
        let mut state = self.cache.state();
        let is_worth = |place: &BlockColumn| {
            let was_asked = state.asked.put(*place, ()).is_some();
            (was_asked && may_keep) || state.columns.contains(place)
        };
        let worth = places.filter(is_worth).count();
        while state.asked.len() > self.cache.limit / BYTES_OF_A_PLACE {
            state.asked.pop_lru();
        }
        worth
    }

    /// What is kept at some places.
    pub(super) fn get(&self, places: impl Iterator<Item = BlockColumn>) -> Vec<Option<ArrayRef>> {
        let mut state = self.cache.state();
        places
            .map(|place| state.columns.get(&place).cloned())
            .collect()
    }

    /// The same for a scan of everything, for which what it finds counts like what it adds. A scan of
    /// more than the cache holds would otherwise, run again and again, each time add what came last and
    /// lose what came first.
    pub(super) fn get_for_scan(
        &self,
        places: impl Iterator<Item = BlockColumn>,
    ) -> Vec<Option<ArrayRef>> {
        let found = self.get(places);
        let bytes = bytes_of(found.iter().flatten());
        let less = |left: usize| Some(left.saturating_sub(bytes));
        // Never fails: it always has a new value.
        let _before = self
            .bytes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        found
    }

    /// Keeps a column when this query may.
    pub(super) fn keep(&self, place: BlockColumn, column: &ArrayRef) {
        let bytes = column.get_array_memory_size();
        let may = |left: usize| left.checked_sub(bytes);
        let taken = self
            .bytes_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, may);
        if taken.is_err() {
            // Small columns would still find room, but what they lie beside would not.
            self.bytes_left.store(0, Ordering::Relaxed);
            return;
        }
        let mut state = self.cache.state();
        state.bytes += bytes;
        // Another task may have decoded the same.
        let replaced = state.columns.push(place, Arc::clone(column));
        let mut gone: Vec<ArrayRef> = replaced.into_iter().map(|(_, column)| column).collect();
        state.bytes -= bytes_of(&gone);
        while state.bytes > self.cache.limit
            && let Some((_, oldest)) = state.columns.pop_lru()
        {
            state.bytes -= oldest.get_array_memory_size();
            gone.push(oldest);
        }
        // Memory is given back without the lock.
        drop(state);
        drop(gone);
    }
}

fn bytes_of<'a>(columns: impl IntoIterator<Item = &'a ArrayRef>) -> usize {
    let columns = columns.into_iter();
    columns.map(|column| column.get_array_memory_size()).sum()
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;

    fn place(block: usize) -> BlockColumn {
        BlockColumn {
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
    fn what_a_scan_finds_counts_like_what_it_adds() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1; 100]));
        let cache = Arc::new(BlockCache::new(4 * column.get_array_memory_size()));
        let first = cache.for_query();
        first.keep(place(0), &column);
        let second = cache.for_query();
        let found = second.get_for_scan([place(0)].into_iter());
        assert!(found[0].is_some());
        for block in 1..3 {
            second.keep(place(block), &column);
        }
        assert_eq!(kept(&first, 0..3), [true, true, false]);
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

        // Nor does this query keep any more, so that it is not worth its while.
        assert_eq!(query.worth_a_block([place(1), place(3)].into_iter()), 1);
        assert_eq!(query.worth_a_block([place(1)].into_iter()), 0);

        // The same again takes no more room.
        cache.for_query().keep(place(5), &column);
        assert_eq!(cache.state().bytes, 4 * bytes);
        assert_eq!(kept(&query, 0..6), [true, false, false, true, true, true]);
    }
}
