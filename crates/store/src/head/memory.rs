//! The account of memory: requests in flight and heads share one bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How much memory is taken, and how much may be.
#[derive(Debug)]
pub struct Memory {
    limit: usize,
    in_flight: AtomicUsize,
    heads: AtomicUsize,
    /// Whether a request found no room since [`Memory::take_starved`] was last asked.
    is_starved: AtomicBool,
}

impl Memory {
    /// An account of at most `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            in_flight: AtomicUsize::new(0),
            heads: AtomicUsize::new(0),
            is_starved: AtomicBool::new(false),
        })
    }

    /// The bound, bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that heads hold.
    pub fn heads(&self) -> usize {
        self.heads.load(Ordering::Relaxed)
    }

    /// Whether a request found no room since this was last asked.
    pub fn take_starved(&self) -> bool {
        self.is_starved.swap(false, Ordering::Relaxed)
    }

    /// Takes `bytes` for a request, or says how much is taken already.
    ///
    /// # Errors
    ///
    /// The bytes taken now, when `bytes` more would pass the bound.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation, usize> {
        let before = self.in_flight.fetch_add(bytes, Ordering::Relaxed);
        let reservation = Reservation {
            memory: Arc::clone(self),
            bytes,
        };
        let taken = before + self.heads();
        if taken + bytes > self.limit {
            self.is_starved.store(true, Ordering::Relaxed);
            return Err(taken);
        }
        Ok(reservation)
    }
}

/// Memory of a request in flight, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory
            .in_flight
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What one generation holds, as the account knows it; given back when dropped.
#[derive(Debug)]
pub struct HeadBytes {
    memory: Arc<Memory>,
    bytes: AtomicUsize,
}

impl HeadBytes {
    /// Nothing yet.
    pub fn new(memory: Arc<Memory>) -> Self {
        Self {
            memory,
            bytes: AtomicUsize::new(0),
        }
    }

    /// Bytes held.
    pub fn get(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Changes how much is held.
    pub fn set(&self, bytes: usize) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        // Wrapping, so the sum is right whatever order adds and subtractions come in.
        self.memory
            .heads
            .fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
    }
}

impl Drop for HeadBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_heads_share_the_bound() {
        let memory = Memory::new(100);
        let head = HeadBytes::new(Arc::clone(&memory));
        head.set(60);
        head.set(50);
        let first = memory.reserve(30).unwrap();
        assert!(!memory.take_starved());
        assert_eq!(memory.reserve(30).unwrap_err(), 80);
        assert!(memory.take_starved() && !memory.take_starved());
        drop(first);
        drop(memory.reserve(50).unwrap());
        drop(head);
        assert!(memory.reserve(100).is_ok());
    }
}
