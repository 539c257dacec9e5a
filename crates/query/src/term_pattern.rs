//! Patterns for whole terms: a word as the index knows it, or a field's value.
//!
//! A pattern tests one text ([`TermPattern::matches`]) or walks a dictionary of terms as an
//! automaton over bytes ([`TermPattern::walk`]), which leaves a branch of the dictionary as soon
//! as nothing in it can match.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, LazyLock, OnceLock};

use levenshtein_automata::{
    DFA as EditAutomaton, Distance, LevenshteinAutomatonBuilder, SINK_STATE,
};
use regex_automata::Anchored;
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA as LazyAutomaton};
use regex_automata::util::start;

use crate::glob::Glob;

/// The most edits that a fuzzy pattern allows.
pub const MAX_EDITS: u8 = 2;

/// The longest text of a fuzzy pattern, characters.
pub const MAX_FUZZY_CHARACTERS: usize = 64;

/// Memory that a walk may use for the states of an expression, bytes.
const WALK_CACHE_BYTES: usize = 4 << 20;

/// A pattern for whole terms.
#[derive(Debug, Clone)]
pub struct TermPattern {
    source: Source,
    automaton: Arc<OnceLock<Option<Automaton>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Glob(Glob),
    Similar { text: String, edits: u8 },
    Expression(String),
}

enum Automaton {
    Expression(Box<LazyAutomaton>),
    Edits(EditAutomaton),
}

impl std::fmt::Debug for Automaton {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Expression(_) => "Expression",
            Self::Edits(_) => "Edits",
        })
    }
}

/// Globs as they print, `text~edits`, `/expression/`.
impl std::fmt::Display for TermPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.source {
            Source::Glob(glob) => write!(f, "{glob}"),
            Source::Similar { text, edits } => write!(f, "{text}~{edits}"),
            Source::Expression(expression) => write!(f, "/{expression}/"),
        }
    }
}

/// Patterns are equal when they are written the same.
impl PartialEq for TermPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for TermPattern {}

impl TermPattern {
    /// Terms that fit `glob`.
    pub fn glob(glob: Glob) -> Self {
        Self::new(Source::Glob(glob))
    }

    /// Terms at most `edits` edits away from `text`: characters added, left out or replaced, or
    /// neighbours swapped. `None` past [`MAX_EDITS`] or [`MAX_FUZZY_CHARACTERS`].
    pub fn similar(text: &str, edits: u8) -> Option<Self> {
        let fits = edits <= MAX_EDITS && text.chars().count() <= MAX_FUZZY_CHARACTERS;
        fits.then(|| {
            Self::new(Source::Similar {
                text: text.to_owned(),
                edits,
            })
        })
    }

    /// Terms that a regular expression matches as a whole.
    pub(crate) fn expression(expression: String) -> Self {
        Self::new(Source::Expression(expression))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            automaton: Arc::default(),
        }
    }

    /// Whether a whole term matches.
    pub fn matches(&self, term: &str) -> bool {
        match &self.source {
            Source::Glob(glob) => glob.matches(term),
            Source::Similar { .. } | Source::Expression(_) => self.walk().is_some_and(|walk| {
                let end = walk.run(term.as_bytes());
                walk.is_match(end)
            }),
        }
    }

    /// What every matching term begins with.
    pub fn beginning(&self) -> &str {
        match &self.source {
            Source::Glob(glob) => glob.beginning(),
            Source::Similar { .. } | Source::Expression(_) => "",
        }
    }

    /// The pattern as an automaton; `None` when it is too large to be one.
    pub fn walk(&self) -> Option<Walk<'_>> {
        let automaton = self.automaton.get_or_init(|| self.build()).as_ref()?;
        let cache = match automaton {
            Automaton::Edits(_) => None,
            Automaton::Expression(automaton) => Some(RefCell::new(automaton.create_cache())),
        };
        Some(Walk {
            automaton,
            cache,
            is_lost: Cell::new(false),
        })
    }

    fn build(&self) -> Option<Automaton> {
        let expression = match &self.source {
            Source::Glob(glob) => glob.to_expression(),
            Source::Expression(expression) => expression.clone(),
            Source::Similar { text, edits } => {
                let automaton = EDITS[usize::from(*edits)].build_dfa(text);
                return Some(Automaton::Edits(automaton));
            }
        };
        let config = LazyAutomaton::config()
            .cache_capacity(WALK_CACHE_BYTES)
            // States are kept by whoever walks, so they must not be thrown away: a walk that
            // needs more of them gives up.
            .minimum_cache_clear_count(Some(0));
        LazyAutomaton::builder()
            .configure(config)
            .build(&format!("^(?:{expression})$"))
            .ok()
            .map(|automaton| Automaton::Expression(Box::new(automaton)))
    }
}

/// Builders of automata by their number of edits; they take milliseconds to make.
static EDITS: LazyLock<[LevenshteinAutomatonBuilder; MAX_EDITS as usize + 1]> =
    LazyLock::new(|| {
        std::array::from_fn(|edits| LevenshteinAutomatonBuilder::new(edits as u8, true))
    });

/// A pattern on its way over the bytes of terms.
pub struct Walk<'p> {
    automaton: &'p Automaton,
    /// The states of an expression, made as they are met.
    cache: Option<RefCell<Cache>>,
    is_lost: Cell<bool>,
}

/// Where a walk is after some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State(Option<Place>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Edits(u32),
    Expression(LazyStateID),
}

impl State {
    /// Whether nothing that follows can match.
    pub fn is_dead(self) -> bool {
        self.0.is_none()
    }
}

impl Walk<'_> {
    /// Before the first byte.
    pub fn start(&self) -> State {
        let place = match (self.automaton, &self.cache) {
            (Automaton::Edits(automaton), _) => Some(Place::Edits(automaton.initial_state())),
            (Automaton::Expression(automaton), Some(cache)) => {
                let config = start::Config::new().anchored(Anchored::Yes);
                let id = automaton.start_state(&mut cache.borrow_mut(), &config);
                self.known(id.ok()).map(Place::Expression)
            }
            (Automaton::Expression(_), None) => None,
        };
        State(place)
    }

    /// After one more byte.
    pub fn next(&self, state: State, byte: u8) -> State {
        let place = match (self.automaton, &self.cache, state.0) {
            (Automaton::Edits(automaton), _, Some(Place::Edits(id))) => {
                let next = automaton.transition(id, byte);
                (next != SINK_STATE).then_some(Place::Edits(next))
            }
            (Automaton::Expression(automaton), Some(cache), Some(Place::Expression(id))) => {
                let next = automaton.next_state(&mut cache.borrow_mut(), id, byte);
                let next = self.known(next.ok().filter(|next| !next.is_quit()));
                next.filter(|next| !next.is_dead()).map(Place::Expression)
            }
            _ => None,
        };
        State(place)
    }

    /// After all of `bytes`.
    pub fn run(&self, bytes: &[u8]) -> State {
        let mut state = self.start();
        for byte in bytes {
            if state.is_dead() {
                break;
            }
            state = self.next(state, *byte);
        }
        state
    }

    /// Whether a term that ends here matches.
    pub fn is_match(&self, state: State) -> bool {
        match (self.automaton, &self.cache, state.0) {
            (Automaton::Edits(automaton), _, Some(Place::Edits(id))) => {
                matches!(automaton.distance(id), Distance::Exact(_))
            }
            (Automaton::Expression(automaton), Some(cache), Some(Place::Expression(id))) => {
                let end = automaton.next_eoi_state(&mut cache.borrow_mut(), id);
                self.known(end.ok()).is_some_and(|end| end.is_match())
            }
            _ => false,
        }
    }

    /// Whether the walk met more states than it may keep; then what it found is not all.
    pub fn is_lost(&self) -> bool {
        self.is_lost.get()
    }

    /// Notes a state that could not be made.
    fn known(&self, id: Option<LazyStateID>) -> Option<LazyStateID> {
        if id.is_none() {
            self.is_lost.set(true);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn walks(pattern: &TermPattern, term: &str) -> bool {
        let walk = pattern.walk().unwrap();
        let matched = walk.is_match(walk.run(term.as_bytes()));
        assert!(!walk.is_lost());
        matched
    }

    #[test]
    fn edits_are_counted_in_characters() {
        let cases = [
            ("refused", 1, "refusd", true),
            ("refused", 1, "refuseds", true),
            ("refused", 1, "rfeused", true),
            ("refused", 1, "rfuesd", false),
            ("refused", 2, "rfuesd", true),
            ("refused", 2, "rfuesdx", false),
            ("refused", 2, "reused", true),
            ("größe", 1, "grösse", false),
            ("größe", 2, "grösse", true),
            ("größe", 1, "grüße", true),
        ];
        for (text, edits, term, expected) in cases {
            let pattern = TermPattern::similar(text, edits).unwrap();
            assert_eq!(pattern.matches(term), expected, "{text}~{edits} {term}");
        }
        assert_eq!(TermPattern::similar("a", 3), None);
        assert_eq!(TermPattern::similar(&"a".repeat(65), 1), None);
    }

    #[test]
    fn a_walk_ends_where_nothing_can_match() {
        let pattern = TermPattern::glob(Glob::parse("conn*ref?"));
        let walk = pattern.walk().unwrap();
        assert!(walk.run(b"cox").is_dead());
        assert!(!walk.run(b"conn").is_dead());
        let fuzzy = TermPattern::similar("conn", 1).unwrap();
        let walk = fuzzy.walk().unwrap();
        assert!(walk.run(b"xyz").is_dead());
    }

    proptest! {
        #[test]
        fn globs_walk_as_they_match(glob in "[abé?*]{0,6}", term in "[abé]{0,8}") {
            let glob = Glob::parse(&glob);
            let pattern = TermPattern::glob(glob.clone());
            prop_assert_eq!(walks(&pattern, &term), glob.matches(&term));
        }

        #[test]
        fn expressions_match_whole_terms(expression in "[ab]{0,2}(\\[ab\\]|\\.|a\\*|b\\?){0,3}", term in "[abé]{0,6}") {
            let pattern = TermPattern::expression(expression.clone());
            let regex = regex::Regex::new(&format!("^(?:{expression})$")).unwrap();
            prop_assert_eq!(walks(&pattern, &term), regex.is_match(&term));
        }
    }
}
