//! Splits that are open: footers, page indexes and dictionaries, bounded by bytes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

/// Open splits by object key; the least recently used are closed first.
pub(super) struct SplitCache<T> {
    limit: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    open: LruCache<String, Open<T>>,
    bytes: usize,
}

struct Open<T> {
    split: Arc<T>,
    bytes: usize,
}

impl<T> SplitCache<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                open: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<T>> {
        let mut state = self.state();
        state.open.get(key).map(|open| Arc::clone(&open.split))
    }

    /// Keeps an open split that takes `bytes` of memory; the one that is kept.
    pub(super) fn insert(&self, key: &str, split: Arc<T>, bytes: usize) -> Arc<T> {
        let mut state = self.state();
        if let Some(open) = state.open.peek(key) {
            return Arc::clone(&open.split);
        }
        let open = Open {
            split: Arc::clone(&split),
            bytes,
        };
        state.open.put(key.to_owned(), open);
        state.bytes += bytes;
        state.shrink(self.limit);
        split
    }

    /// Notes that an open split takes `bytes` of memory now.
    pub(super) fn weigh(&self, key: &str, bytes: usize) {
        let mut state = self.state();
        let Some(open) = state.open.peek_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut open.bytes, bytes);
        state.bytes = state.bytes - before + bytes;
        state.shrink(self.limit);
    }

    pub(super) fn remove(&self, key: &str) {
        let mut state = self.state();
        if let Some(open) = state.open.pop(key) {
            state.bytes -= open.bytes;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Closes the least recently used until the others are within the limit, or only one is left.
    fn shrink(&mut self, limit: usize) {
        while self.bytes > limit
            && self.open.len() > 1
            && let Some((_, oldest)) = self.open.pop_lru()
        {
            self.bytes -= oldest.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_are_closed_first() {
        let cache = SplitCache::new(10);
        cache.insert("a", Arc::new(1), 4);
        cache.insert("b", Arc::new(2), 4);
        assert_eq!(cache.get("a").as_deref(), Some(&1));
        cache.insert("c", Arc::new(3), 4);
        assert!(cache.get("b").is_none());
        assert!(cache.get("a").is_some() && cache.get("c").is_some());
        cache.insert("huge", Arc::new(4), 100);
        assert!(cache.get("a").is_none());
        assert_eq!(cache.get("huge").as_deref(), Some(&4));
        cache.insert("small", Arc::new(5), 1);
        cache.weigh("small", 2);
        assert!(cache.get("small").is_some());
        assert_eq!(cache.state().bytes, 2);
        cache.insert("huge", Arc::new(4), 100);
        cache.remove("huge");
        assert!(cache.get("huge").is_none());
    }
}
