//! A pattern on its way through a dictionary of words, with a bound on its steps.

use std::cell::Cell;

use query::term_pattern::{State, Walk};
use query::words;
use tantivy_fst::Automaton;

/// Steps that a look-up may take for each block that it may spare: about what reading the block
/// costs.
const STEPS_PER_BLOCK: usize = 8_192;

/// The same for a pattern in a text whose other words have chosen the blocks.
const STEPS_PER_BLOCK_BESIDE_WORDS: usize = STEPS_PER_BLOCK / 64;

/// The steps that are left to the walks of one look-up.
#[derive(Debug, Clone)]
pub(super) struct Steps(Cell<usize>);

impl Steps {
    pub(super) fn for_blocks(blocks: usize) -> Self {
        Self(Cell::new(blocks.saturating_mul(STEPS_PER_BLOCK)))
    }

    /// Lets `work` have those of them that patterns beside words may take when the words are in
    /// `blocks` blocks; what it took is gone.
    pub(super) fn beside_words<T>(&self, blocks: usize, work: impl FnOnce(&Self) -> T) -> T {
        let most = blocks.saturating_mul(STEPS_PER_BLOCK_BESIDE_WORDS);
        let lent = Self(Cell::new(self.0.get().min(most)));
        let before = lent.0.get();
        let result = work(&lent);
        self.take(before - lent.0.get());
        result
    }

    fn take(&self, count: usize) {
        self.0.set(self.0.get().saturating_sub(count));
    }

    fn are_left(&self) -> bool {
        self.0.get() > 0
    }
}

/// Accepts the words, as they are indexed, that a pattern may match.
pub(super) struct WordWalk<'w> {
    walk: Walk<'w>,
    steps: &'w Steps,
}

impl<'w> WordWalk<'w> {
    pub(super) fn new(walk: Walk<'w>, steps: &'w Steps) -> Self {
        Self { walk, steps }
    }

    /// Whether the walk saw all that it should have.
    pub(super) fn is_complete(&self) -> bool {
        self.steps.are_left() && !self.walk.is_lost()
    }

    /// Whether an indexed word, found otherwise than by walking there, may match.
    pub(super) fn accepts(&self, word: &str) -> bool {
        // A straight line is cheaper than a way through a dictionary's nodes.
        self.steps.take(1 + word.len() / 8);
        self.is_accepted(self.walk.run(word.as_bytes()), word.len())
    }

    fn is_accepted(&self, state: State, bytes: usize) -> bool {
        // Of a long word the index has the beginning only: it may go on in any way.
        self.walk.is_match(state) || words::may_be_cut(bytes) && !state.is_dead()
    }
}

impl Automaton for WordWalk<'_> {
    type State = (State, usize);

    fn start(&self) -> Self::State {
        (self.walk.start(), 0)
    }

    fn is_match(&self, (state, bytes): &Self::State) -> bool {
        self.is_accepted(*state, *bytes)
    }

    fn can_match(&self, (state, _): &Self::State) -> bool {
        !state.is_dead() && self.steps.are_left()
    }

    fn accept(&self, (state, bytes): &Self::State, byte: u8) -> Self::State {
        self.steps.take(1);
        (self.walk.next(*state, byte), bytes + 1)
    }
}
