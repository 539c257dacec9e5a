//! Sums the rows of groups by one text, of which the parts were counted apart.
//!
//! A hash table of a hundred thousand texts is larger than what a core has near it, so that each look-up
//! waits for memory. The counts are dealt out by their hash first, and summed share by share: then a
//! table is small, and several tasks sum at once.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, StringArray, StringBuilder};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::split::ValueRows;

/// Shares that the counts are dealt out to.
const SHARES: usize = 32;

/// The first bit of a hash that tells the share. Hash tables go by the lowest and the highest.
const FIRST_SHARE_BIT: u32 = 40;

/// Memory of counts that may wait for being summed, at least.
const UNSUMMED_BYTES: usize = 16 << 20;

/// The beginning of a text that is kept beside its count, bytes.
const START_BYTES: usize = 12;

/// Counts of values that were taken apart, each value in any number of them.
#[derive(Debug)]
pub(super) struct CountedParts {
    hasher: RandomState,
    parts: Vec<StringArray>,
    /// The counts, by their share.
    shares: Vec<Vec<Count>>,
    missing: u64,
    /// Memory taken.
    bytes: usize,
    /// Of it, by what has been summed already.
    summed_bytes: usize,
}

/// How many rows of one part have a value.
#[derive(Debug, Clone, Copy)]
struct Count {
    hash: u64,
    key: Key,
    /// Where the text is: which part, which place there.
    part: u32,
    place: u32,
    rows: u64,
}

/// What tells most texts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    length: u32,
    start: [u8; START_BYTES],
}

impl Key {
    fn of(text: &[u8]) -> Self {
        let mut start = [0; START_BYTES];
        let known = text.len().min(START_BYTES);
        start[..known].copy_from_slice(&text[..known]);
        Self {
            // Arrow's texts have less than 2 GiB.
            length: text.len() as u32,
            start,
        }
    }

    fn is_whole(self) -> bool {
        self.length as usize <= START_BYTES
    }
}

impl CountedParts {
    /// Nothing yet, for counts that will be summed with those of others of the same `hasher`.
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            hasher,
            parts: Vec::new(),
            shares: vec![Vec::new(); SHARES],
            missing: 0,
            bytes: 0,
            summed_bytes: 0,
        }
    }

    /// Memory that the counts take, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so much has come that sums would save memory.
    pub(super) fn are_worth_summing(&self) -> bool {
        self.bytes - self.summed_bytes > self.summed_bytes.max(UNSUMMED_BYTES)
    }

    /// The same with each value once.
    pub(super) fn summed(self) -> Self {
        let mut summed = Self::new(self.hasher.clone());
        let missing = self.missing;
        for sum in self.into_sums() {
            let (values, rows) = sum();
            summed.add(ValueRows {
                values,
                rows,
                missing: 0,
            });
        }
        summed.missing = missing;
        summed.summed_bytes = summed.bytes;
        summed
    }

    /// Adds the counts of a part.
    pub(super) fn add(&mut self, counted: ValueRows) {
        // One for each row group that was read.
        let part = self.parts.len() as u32;
        let places = counted.values.iter().flatten().zip(&counted.rows);
        for (place, (text, rows)) in places.enumerate() {
            let hash = self.hasher.hash_one(text.as_bytes());
            let share = (hash >> FIRST_SHARE_BIT) as usize % SHARES;
            self.shares[share].push(Count {
                hash,
                key: Key::of(text.as_bytes()),
                part,
                place: place as u32,
                rows: *rows,
            });
        }
        self.bytes +=
            counted.values.get_array_memory_size() + counted.rows.len() * size_of::<Count>();
        self.missing += counted.missing;
        self.parts.push(counted.values);
    }

    /// Adds the parts of another of the same hasher.
    pub(super) fn append(&mut self, other: Self) {
        let before = self.parts.len() as u32;
        for (mine, others) in self.shares.iter_mut().zip(other.shares) {
            mine.extend(others.into_iter().map(|count| Count {
                part: count.part + before,
                ..count
            }));
        }
        self.parts.extend(other.parts);
        self.missing += other.missing;
        self.bytes += other.bytes;
        self.summed_bytes += other.summed_bytes;
    }

    /// Rows without a value.
    pub(super) fn missing(&self) -> u64 {
        self.missing
    }

    /// What gives each share's values, each once, with their rows.
    pub(super) fn into_sums(
        self,
    ) -> impl Iterator<Item = impl FnOnce() -> (StringArray, Vec<u64>)> {
        let parts = Arc::new(self.parts);
        self.shares.into_iter().map(move |share| {
            let parts = Arc::clone(&parts);
            move || sum(&parts, share)
        })
    }
}

/// The values of a share, each once, with their rows.
fn sum(parts: &[StringArray], share: Vec<Count>) -> (StringArray, Vec<u64>) {
    let text = |count: &Count| parts[count.part as usize].value(count.place as usize);
    let mut sums: HashTable<Count> = HashTable::new();
    for count in share {
        let is_same = |known: &Count| {
            known.key == count.key && (count.key.is_whole() || text(known) == text(&count))
        };
        match sums.find_mut(count.hash, is_same) {
            Some(known) => known.rows += count.rows,
            None => {
                sums.insert_unique(count.hash, count, |known| known.hash);
            }
        }
    }
    let mut values = StringBuilder::with_capacity(sums.len(), sums.len() * START_BYTES);
    let mut rows = Vec::with_capacity(sums.len());
    for count in &sums {
        values.append_value(text(count));
        rows.push(count.rows);
    }
    (values.finish(), rows)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_a_map(
            parts in vec(vec(("[ab]{0,2}(a{0,12}|[ab]{11,14})", 1..9_u64), 0..12), 0..9),
            apart in 0..9_usize,
        ) {
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            let hasher = RandomState::default();
            let mut counted = CountedParts::new(hasher.clone());
            let mut others = CountedParts::new(hasher);
            for (index, part) in parts.iter().enumerate() {
                for (text, rows) in part {
                    *expected.entry(text.clone()).or_default() += rows;
                }
                let into = if index < apart { &mut counted } else { &mut others };
                into.add(ValueRows {
                    values: part.iter().map(|(text, _)| Some(text)).collect(),
                    rows: part.iter().map(|(_, rows)| *rows).collect(),
                    missing: 2,
                });
            }
            let mut counted = if apart % 2 == 0 { counted.summed() } else { counted };
            counted.append(others);
            prop_assert_eq!(counted.missing(), 2 * parts.len() as u64);
            let mut found = BTreeMap::new();
            for sum in counted.into_sums() {
                let (values, rows) = sum();
                for (value, rows) in values.iter().flatten().zip(rows) {
                    prop_assert_eq!(found.insert(value.to_owned(), rows), None);
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
