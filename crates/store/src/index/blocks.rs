//! Sets of block numbers.

/// A set of the blocks `0..len`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSet {
    words: Vec<u64>,
    len: usize,
}

impl BlockSet {
    /// No block of `len`.
    pub fn none(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// All `len` blocks.
    pub fn all(len: usize) -> Self {
        let mut set = Self::none(len);
        (0..len).for_each(|block| set.insert(block));
        set
    }

    /// How many blocks there are, in the set or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set holds no block.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many blocks the set holds.
    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    /// Adds a block; one past the end is ignored.
    pub fn insert(&mut self, block: usize) {
        if block < self.len {
            self.words[block / 64] |= 1 << (block % 64);
        }
    }

    /// Adds the blocks of a mask whose lowest bit is block 0.
    pub fn insert_mask(&mut self, mask: u32) {
        if let Some(first) = self.words.first_mut() {
            *first |= u64::from(mask);
        }
    }

    /// Whether the set holds `block`.
    pub fn contains(&self, block: usize) -> bool {
        block < self.len && self.words[block / 64] & (1 << (block % 64)) != 0
    }

    /// Whether the set holds a block of a mask whose lowest bit is block 0.
    pub fn meets_mask(&self, mask: u32) -> bool {
        self.words
            .first()
            .is_some_and(|first| first & u64::from(mask) != 0)
    }

    /// Removes the blocks that `other` holds.
    pub fn subtract(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= !other;
        }
    }

    /// Keeps the blocks that `other` holds too.
    pub fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Adds the blocks of `other`.
    pub fn unite(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// The blocks `range` as a set of their own, renumbered from 0.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let mut set = Self::none(range.len());
        for (index, block) in range.enumerate() {
            if self.contains(block) {
                set.insert(index);
            }
        }
        set
    }
}
