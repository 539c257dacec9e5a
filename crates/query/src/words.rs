//! Words: the units that the index knows and that searches look for.
//!
//! A word is a maximal run of alphanumeric characters (Unicode's sense) and `_`, lowercased. The
//! index of a split, the functions of [`crate::functions`] and the search syntax all cut text
//! here, so that a look-up in the index never misses a row that the function would accept.

use std::borrow::Cow;

/// How many bytes of a word the index keeps.
///
/// Encoded payloads make words of any length that nobody searches by their end. A longer word is
/// indexed by its first bytes ([`indexed`]); look-ups are cut the same way, and the rows found are
/// checked with the whole word.
pub const MAX_INDEXED_BYTES: usize = 96;

/// The words of a text as written, in order, not yet lowercased.
///
/// ```
/// let words: Vec<&str> = query::words::split("GET /api/tasks?id=7 took 12.5ms").collect();
/// assert_eq!(words, ["GET", "api", "tasks", "id", "7", "took", "12", "5ms"]);
/// ```
pub fn split(text: &str) -> Words<'_> {
    Words { text, position: 0 }
}

/// See [`split`].
#[derive(Debug, Clone)]
pub struct Words<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = run_end(self.text, self.position, false);
        if start == self.text.len() {
            self.position = start;
            return None;
        }
        self.position = run_end(self.text, start, true);
        Some(&self.text[start..self.position])
    }
}

impl Words<'_> {
    /// The byte offset right after the last word returned.
    pub fn position(&self) -> usize {
        self.position
    }
}

/// Where the run of characters that are (`in_word`) or are not word characters ends.
fn run_end(text: &str, start: usize, in_word: bool) -> usize {
    let bytes = text.as_bytes();
    let mut position = start;
    while let Some(&byte) = bytes.get(position) {
        if byte.is_ascii() {
            if IS_WORD_BYTE[usize::from(byte)] != in_word {
                return position;
            }
            position += 1;
            continue;
        }
        // Runs move by whole characters, so `position` is always on a boundary.
        let Some(character) = text[position..].chars().next() else {
            return position;
        };
        if is_word_character(character) != in_word {
            return position;
        }
        position += character.len_utf8();
    }
    position
}

const IS_WORD_BYTE: [bool; 128] = {
    let mut table = [false; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        byte += 1;
    }
    table
};

/// Whether a character belongs to a word.
pub fn is_word_character(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// A word in lower case; borrowed when it already is.
pub fn lowercase(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(word.to_ascii_lowercase());
        }
        return Cow::Borrowed(word);
    }
    Cow::Owned(word.chars().flat_map(char::to_lowercase).collect())
}

/// The lowercased words of a text, in order.
pub fn lowercased(text: &str) -> Vec<String> {
    split(text)
        .map(|word| lowercase(word).into_owned())
        .collect()
}

/// The part of a lowercased word or prefix that the index knows: its first
/// [`MAX_INDEXED_BYTES`] bytes, cut at a character.
pub fn indexed(word: &str) -> &str {
    if word.len() <= MAX_INDEXED_BYTES {
        return word;
    }
    let mut end = MAX_INDEXED_BYTES;
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    &word[..end]
}

/// Whether a word of so many bytes in the index may be the beginning of a longer one.
pub fn may_be_cut(indexed_bytes: usize) -> bool {
    indexed_bytes + char::MAX.len_utf8() > MAX_INDEXED_BYTES
}

/// Whether `word`, as written, equals `lowercased` when lowercased. Allocates nothing.
pub fn equals(word: &str, lowercased: &str) -> bool {
    if word.is_ascii() {
        return word.len() == lowercased.len()
            && word
                .bytes()
                .zip(lowercased.bytes())
                .all(|(byte, lower)| byte.to_ascii_lowercase() == lower);
    }
    word.chars()
        .flat_map(char::to_lowercase)
        .eq(lowercased.chars())
}

/// Whether `word`, as written, begins with `lowercased` when lowercased. Allocates nothing.
pub fn starts_with(word: &str, lowercased: &str) -> bool {
    if word.is_ascii() {
        return word.len() >= lowercased.len()
            && word
                .bytes()
                .zip(lowercased.bytes())
                .all(|(byte, lower)| byte.to_ascii_lowercase() == lower);
    }
    let mut characters = word.chars().flat_map(char::to_lowercase);
    lowercased
        .chars()
        .all(|expected| characters.next() == Some(expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_cut_into_runs_of_word_characters() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("--- !!", &[]),
            ("a", &["a"]),
            (
                " Connection-reset by 10.0.0.1:80 ",
                &["connection", "reset", "by", "10", "0", "0", "1", "80"],
            ),
            ("user_id=42", &["user_id", "42"]),
            ("Größe ÜBER naïve", &["größe", "über", "naïve"]),
            ("日志 错误!x", &["日志", "错误", "x"]),
        ];
        for (text, expected) in cases {
            assert_eq!(lowercased(text), expected, "{text:?}");
        }
    }

    #[test]
    fn long_words_are_indexed_by_their_beginning() {
        let long = "é".repeat(100);
        assert_eq!(indexed(&long), "é".repeat(MAX_INDEXED_BYTES / 2));
        assert_eq!(indexed("short"), "short");
        for width in ["a", "é", "日", "😀"] {
            let beginning = format!("a{}", width.repeat(100));
            assert!(may_be_cut(indexed(&beginning).len()), "{width}");
        }
        assert!(!may_be_cut(MAX_INDEXED_BYTES - 4));
    }

    proptest! {
        #[test]
        fn comparing_in_place_agrees_with_lowercasing(word in "[a-cA-CäÄßİK_0]{0,6}", other in "[a-cäßk_0]{0,6}") {
            let lower = lowercase(&word);
            prop_assert!(equals(&word, &lower));
            prop_assert_eq!(equals(&word, &other), lower == other);
            prop_assert_eq!(starts_with(&word, &other), lower.starts_with(&other));
        }

        #[test]
        fn words_are_maximal_runs(text in "\\PC{0,40}") {
            let expected: Vec<&str> = text
                .split(|c| !is_word_character(c))
                .filter(|word| !word.is_empty())
                .collect();
            prop_assert_eq!(split(&text).collect::<Vec<_>>(), expected);
        }
    }
}
