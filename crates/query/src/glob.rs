//! Texts in which `*` stands for any characters, none included, and `?` for one.

use std::fmt;

/// A pattern for a whole text; case matters.
///
/// Prints with a `\` before each `*`, `?` and `\` that is meant literally, which [`Glob::parse`]
/// reads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    /// No empty literals, no two neighbours that are both literals or both [`Part::Any`].
    parts: Vec<Part>,
}

/// A part of a [`Glob`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// These characters.
    Literal(String),
    /// `*`
    Any,
    /// `?`
    One,
}

impl Glob {
    /// The text itself.
    pub fn literal(text: impl Into<String>) -> Self {
        Self::new([Part::Literal(text.into())])
    }

    /// One part after the other.
    pub fn new(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut merged: Vec<Part> = Vec::new();
        for part in parts {
            match (merged.last_mut(), part) {
                (Some(Part::Any), Part::Any) => {}
                (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
                (_, Part::Literal(text)) if text.is_empty() => {}
                (_, part) => merged.push(part),
            }
        }
        Self { parts: merged }
    }

    /// Reads the printed form; a `\` takes the next character literally.
    pub fn parse(text: &str) -> Self {
        let mut characters = text.chars();
        let mut parts = Vec::new();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' => Part::Any,
                '?' => Part::One,
                '\\' => Part::Literal(characters.next().unwrap_or('\\').into()),
                other => Part::Literal(other.into()),
            });
        }
        Self::new(parts)
    }

    /// The parts in their order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, when nothing stands for other characters.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The beginning, when after it anything may follow.
    pub fn as_prefix(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Any] => Some(""),
            [Part::Literal(text), Part::Any] => Some(text),
            _ => None,
        }
    }

    /// What every text that fits begins with.
    pub fn beginning(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether a whole text fits.
    pub fn matches(&self, text: &str) -> bool {
        let segments: Vec<&[Part]> = self.parts.split(|part| *part == Part::Any).collect();
        let [first, middle @ .., last] = segments.as_slice() else {
            return strip_segment(&self.parts, text) == Some("");
        };
        let Some(mut rest) =
            strip_segment(first, text).and_then(|rest| strip_last_segment(last, rest))
        else {
            return false;
        };
        // What comes first as early as it can leaves the most for the others.
        for segment in middle {
            match after_segment(segment, rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        true
    }

    /// The same as a regular expression for a whole text, without anchors.
    pub fn to_expression(&self) -> String {
        let mut expression = String::from("(?s)");
        for part in &self.parts {
            match part {
                Part::Literal(text) => expression.push_str(&regex::escape(text)),
                Part::Any => expression.push_str(".*"),
                Part::One => expression.push('.'),
            }
        }
        expression
    }
}

/// What follows a segment without `*` at the beginning of a text.
fn strip_segment<'t>(segment: &[Part], text: &'t str) -> Option<&'t str> {
    segment.iter().try_fold(text, |rest, part| match part {
        Part::Literal(literal) => rest.strip_prefix(literal.as_str()),
        _ => rest.strip_prefix(|_: char| true),
    })
}

/// What stands before a segment without `*` at the end of a text.
fn strip_last_segment<'t>(segment: &[Part], text: &'t str) -> Option<&'t str> {
    segment
        .iter()
        .rev()
        .try_fold(text, |rest, part| match part {
            Part::Literal(literal) => rest.strip_suffix(literal.as_str()),
            _ => rest.strip_suffix(|_: char| true),
        })
}

/// What follows the first place where a segment without `*` fits.
fn after_segment<'t>(segment: &[Part], text: &'t str) -> Option<&'t str> {
    if let [Part::Literal(literal)] = segment {
        return text
            .find(literal.as_str())
            .map(|start| &text[start + literal.len()..]);
    }
    let starts = text.char_indices().map(|(start, _)| start);
    starts
        .chain([text.len()])
        .find_map(|start| strip_segment(segment, &text[start..]))
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Any => f.write_str("*")?,
                Part::One => f.write_str("?")?,
                Part::Literal(text) => {
                    for character in text.chars() {
                        if matches!(character, '*' | '?' | '\\') {
                            f.write_str("\\")?;
                        }
                        write!(f, "{character}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    #[test]
    fn a_glob_fits_whole_texts() {
        let cases = [
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("*b*", "abc", true),
            ("a*a", "a", false),
            ("*ab?*", "aab", false),
            ("*ab?*", "abab", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("a*", "a\nb", true),
        ];
        for (glob, text, expected) in cases {
            assert_eq!(Glob::parse(glob).matches(text), expected, "{glob} {text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_glob_fits_what_its_expression_matches(glob in "[ab?*]{0,6}", text in "[abé]{0,8}") {
            let glob = Glob::parse(&glob);
            let expression = Regex::new(&format!("^(?:{})$", glob.to_expression())).unwrap();
            prop_assert_eq!(glob.matches(&text), expression.is_match(&text));
        }

        #[test]
        fn printing_then_reading_is_the_identity(text in "[ab?*\\\\é]{0,8}") {
            let glob = Glob::parse(&text);
            prop_assert_eq!(Glob::parse(&glob.to_string()), glob);
        }
    }
}
