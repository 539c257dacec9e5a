//! Tests of words that follow each other in a text.

use memchr::memchr2_iter;

use crate::glob::{Glob, Part};
use crate::term_pattern::TermPattern;
use crate::words;

/// A test of one word, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordTest {
    /// The word is this.
    Equals(String),
    /// The word begins with this.
    StartsWith(String),
    /// The word fits a pattern.
    Fits(TermPattern),
}

impl WordTest {
    /// The test that a word in lower case fits `glob`, written with as little as it needs.
    pub fn of_glob(glob: Glob) -> Self {
        if let Some(word) = glob.as_literal() {
            return Self::Equals(word.to_owned());
        }
        match glob.as_prefix() {
            Some(beginning) => Self::StartsWith(beginning.to_owned()),
            None => Self::Fits(TermPattern::glob(glob)),
        }
    }

    /// Whether a word of `text` may pass, by its letters alone; `text` is ASCII.
    ///
    /// Most texts lack the word, and are told by that far sooner than by being cut into words.
    fn may_match_in(&self, text: &str) -> bool {
        match self {
            Self::Equals(part) | Self::StartsWith(part) => contains_ignoring_case(text, part),
            Self::Fits(_) => true,
        }
    }

    /// Whether a word, as written, passes.
    pub fn matches(&self, word: &str) -> bool {
        match self {
            Self::Equals(expected) => words::equals(word, expected),
            Self::StartsWith(beginning) => words::starts_with(word, beginning),
            Self::Fits(pattern) => pattern.matches(&words::lowercase(word)),
        }
    }
}

/// Tests that words of a text pass in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    /// One test for each word, at least one.
    pub tests: Vec<WordTest>,
    /// How many other words may stand between the words, all gaps together.
    pub gaps: usize,
}

impl Phrase {
    /// The words of `text` one after the other; `None` when it has none.
    pub fn of_words(text: &str) -> Option<Self> {
        Self::of_tests(words::lowercased(text).into_iter().map(WordTest::Equals))
    }

    /// The same, where the last word may go on.
    pub fn of_beginning(text: &str) -> Option<Self> {
        let mut phrase = Self::of_words(text)?;
        if let Some(WordTest::Equals(last)) = phrase.tests.pop() {
            phrase.tests.push(WordTest::StartsWith(last));
        }
        Some(phrase)
    }

    /// The words of a text in which `*` stands for any part of a word and `?` for one character of
    /// it; a `*` between punctuation is any word, at either end it says nothing.
    pub fn of_glob(text: &Glob) -> Option<Self> {
        let mut runs = word_globs(text);
        let is_open = |run: &Glob| *run.parts() == [Part::Any];
        if runs.last().is_some_and(is_open) {
            runs.pop();
        }
        if runs.first().is_some_and(is_open) {
            runs.remove(0);
        }
        let says_something = runs.iter().any(|run| !is_open(run));
        says_something
            .then(|| Self::of_tests(runs.into_iter().map(WordTest::of_glob)))
            .flatten()
    }

    /// A word similar to `word`; `None` when that is no word or [`TermPattern::similar`] refuses.
    pub fn of_similar(word: &str, edits: u8) -> Option<Self> {
        let words = words::lowercased(word);
        let [word] = words.as_slice() else {
            return None;
        };
        let pattern = TermPattern::similar(word, edits)?;
        Self::of_tests([WordTest::Fits(pattern)])
    }

    /// The same with other words allowed in between.
    pub fn with_gaps(self, gaps: usize) -> Self {
        Self { gaps, ..self }
    }

    fn of_tests(tests: impl IntoIterator<Item = WordTest>) -> Option<Self> {
        let tests: Vec<WordTest> = tests.into_iter().collect();
        (!tests.is_empty()).then_some(Self { tests, gaps: 0 })
    }

    /// Whether words of `text` pass.
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.tests.split_first() else {
            return false;
        };
        if text.is_ascii() && !self.tests.iter().all(|test| test.may_match_in(text)) {
            return false;
        }
        let mut candidates = words::split(text);
        while let Some(word) = candidates.next() {
            if first.matches(word) && self.follow(rest, candidates.clone()) {
                return true;
            }
        }
        false
    }

    /// Whether `rest` passes on the words that follow the first. Taking each word where it comes
    /// first leaves the smallest gaps.
    fn follow(&self, rest: &[WordTest], following: words::Words<'_>) -> bool {
        let mut gaps_left = self.gaps;
        let mut tests = rest.iter();
        let Some(mut test) = tests.next() else {
            return true;
        };
        for word in following {
            if test.matches(word) {
                match tests.next() {
                    Some(next) => test = next,
                    None => return true,
                }
            } else if gaps_left == 0 {
                return false;
            } else {
                gaps_left -= 1;
            }
        }
        false
    }
}

/// Whether an ASCII text contains `part`, which is in lower case, in any case.
fn contains_ignoring_case(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    let Some(&first) = part.first() else {
        return true;
    };
    memchr2_iter(first, first.to_ascii_uppercase(), text).any(|start| {
        let candidate = text.get(start..start + part.len());
        candidate.is_some_and(|candidate| candidate.eq_ignore_ascii_case(part))
    })
}

/// Cuts a text with wildcards into words with wildcards, in lower case.
fn word_globs(text: &Glob) -> Vec<Glob> {
    let mut runs: Vec<Vec<Part>> = vec![Vec::new()];
    for part in text.parts() {
        let Part::Literal(literal) = part else {
            runs.last_mut()
                .expect("one from the start")
                .push(part.clone());
            continue;
        };
        for character in literal.chars() {
            if words::is_word_character(character) {
                let lower = character.to_lowercase().collect();
                let run = runs.last_mut().expect("one from the start");
                run.push(Part::Literal(lower));
            } else {
                runs.push(Vec::new());
            }
        }
    }
    runs.into_iter()
        .filter(|run| !run.is_empty())
        .map(Glob::new)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "POST /api/Tasks failed: connection refused (os error 111) by 10.0.20.1";

    #[test]
    fn wildcards_stand_for_parts_of_words() {
        let cases = [
            ("conn*", true),
            ("*fused", true),
            ("*NEC*ion", true),
            ("c?nn?ction", true),
            ("c?nection", false),
            ("*fuse", false),
            ("/api/*", true),
            ("/api/*/failed", true),
            ("/api/*/connection", false),
            ("*/tasks", true),
            ("10.*.*.1", true),
            ("10.*.1", false),
            ("api/t*s failed", true),
            ("*x*", false),
        ];
        for (glob, expected) in cases {
            let phrase = Phrase::of_glob(&Glob::parse(glob)).unwrap();
            assert_eq!(phrase.matches(TEXT), expected, "{glob}");
        }
        for silent in ["*", "*.*", "--", ""] {
            assert_eq!(Phrase::of_glob(&Glob::parse(silent)), None, "{silent}");
        }
    }

    #[test]
    fn gaps_are_counted_together() {
        let phrase = |gaps| {
            Phrase::of_words("failed refused error")
                .unwrap()
                .with_gaps(gaps)
        };
        assert!(!phrase(1).matches(TEXT));
        assert!(phrase(2).matches(TEXT));
        let reordered = Phrase::of_words("refused failed").unwrap().with_gaps(9);
        assert!(!reordered.matches(TEXT));
    }

    #[test]
    fn similar_words_are_found_in_any_case() {
        let similar = |word, edits| Phrase::of_similar(word, edits).unwrap().matches(TEXT);
        assert!(similar("CONECTION", 1));
        assert!(similar("tsaks", 1));
        assert!(!similar("tsakz", 1));
        assert_eq!(Phrase::of_similar("two words", 1), None);
    }

    proptest! {
        #[test]
        fn a_phrase_is_found_exactly_where_words_in_order_leave_few_gaps(
            text in "[abAB ,]{0,24}",
            phrase in "[ab]{1,2}( [ab]{1,2}){0,2}",
            gaps in 0..4_usize,
        ) {
            let text_words = words::lowercased(&text);
            let wanted = words::lowercased(&phrase);
            // Every choice of places in ascending order, by counting in binary.
            let expected = (0_u32..1 << text_words.len()).any(|choice| {
                let places: Vec<usize> =
                    (0..text_words.len()).filter(|place| choice >> place & 1 == 1).collect();
                places.len() == wanted.len()
                    && places.iter().zip(&wanted).all(|(place, word)| text_words[*place] == *word)
                    && places[places.len() - 1] - places[0] < wanted.len() + gaps
            });
            let phrase = Phrase::of_words(&phrase).unwrap().with_gaps(gaps);
            prop_assert_eq!(phrase.matches(&text), expected);
        }
    }
}
