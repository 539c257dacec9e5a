//! A regular expression that is run over single texts and over columns of them.
//!
//! Most rows lack what an expression looks for. When every match has a certain text in it, that
//! text is searched for in all rows at once, and the expression is run only where it stands.

use datafusion::arrow::array::{
    Array, BooleanArray, BooleanBufferBuilder, GenericStringArray, OffsetSizeTrait,
};
use memchr::memmem::Finder;
use regex::Regex;
use regex_syntax::hir::{Hir, HirKind};

use crate::expression::{self, ExpressionError};

/// What stands in nearly every row saves nothing, and shorter texts often do.
const MIN_LITERAL_BYTES: usize = 3;

/// An expression, ready to be matched.
#[derive(Debug, Clone)]
pub struct Matcher {
    regex: Regex,
    /// What every match has in it; boxed, as it is far larger than the rest.
    literal: Option<Box<Finder<'static>>>,
    /// Whether the literal is all that the expression asks for.
    is_plain: bool,
}

impl Matcher {
    /// The matcher of an expression as [`expression::compile`] reads it.
    ///
    /// # Errors
    ///
    /// Those of [`expression::compile`].
    pub fn new(expression: &str) -> Result<Self, ExpressionError> {
        let regex = expression::compile(expression)?;
        let hir = expression::parse(expression)?;
        let is_plain = matches!(hir.kind(), HirKind::Literal(_));
        let literal = required_literal(&hir);
        let is_worthwhile = is_plain || literal.len() >= MIN_LITERAL_BYTES;
        Ok(Self {
            regex,
            literal: is_worthwhile.then(|| Box::new(Finder::new(&literal).into_owned())),
            is_plain,
        })
    }

    /// Whether the expression matches somewhere in `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The same of each row; null for null.
    pub fn mask<O: OffsetSizeTrait>(&self, texts: &GenericStringArray<O>) -> BooleanArray {
        let Some(literal) = &self.literal else {
            let rows = texts.iter();
            let matched = rows.map(|text| text.map(|text| self.matches(text)));
            return matched.collect();
        };
        let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
        let end = offsets[texts.len()].as_usize();
        let mut from = offsets[0].as_usize();
        let mut row = 0;
        let mut matched = BooleanBufferBuilder::new(texts.len());
        matched.append_n(texts.len(), false);
        while let Some(distance) = literal.find(&bytes[from..end]) {
            let start = from + distance;
            let row_ends = offsets[row + 1..].iter();
            row += row_ends
                .take_while(|row_end| row_end.as_usize() <= start)
                .count();
            from = offsets[row + 1].as_usize();
            // A hit may go on into the next row; then so do all that begin later in this one.
            let is_inside = start + literal.needle().len() <= from;
            // A null may have any bytes.
            if !is_inside || texts.is_null(row) {
                continue;
            }
            if self.is_plain || self.matches(texts.value(row)) {
                matched.set_bit(row, true);
            }
        }
        BooleanArray::new(matched.finish(), texts.nulls().cloned())
    }
}

/// The longest text found that every match has in it, bytes; empty when none is known.
fn required_literal(hir: &Hir) -> Vec<u8> {
    let mut runs = vec![Vec::new()];
    collect_runs(hir, &mut runs);
    runs.into_iter().max_by_key(Vec::len).unwrap_or_default()
}

/// Adds the texts that every match of `hir` has in it, the first of them to the last run: what
/// stands side by side in a match is one run.
fn collect_runs(hir: &Hir, runs: &mut Vec<Vec<u8>>) {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let run = runs.last_mut().expect("one from the start");
            run.extend_from_slice(&literal.0);
        }
        // They take no place, so that what is before and what is after stand side by side.
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Capture(capture) => collect_runs(&capture.sub, runs),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect_runs(part, runs)),
        // The first copy stands where the repetition begins; what follows comes after the last.
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            collect_runs(&repetition.sub, runs);
            runs.push(Vec::new());
        }
        HirKind::Repetition(_) | HirKind::Class(_) | HirKind::Alternation(_) => {
            runs.push(Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_of_every_match_is_searched_for() {
        let cases = [
            ("connection refused", Some("connection refused")),
            ("timeout: .*retry", Some("timeout: ")),
            (r"^user=\d+ logged in$", Some(" logged in")),
            ("(GET|POST) /api/tasks", Some(" /api/tasks")),
            ("colou?r", Some("colo")),
            ("[e]rror", Some("error")),
            ("(?i)id: 12345", Some(": 12345")),
            ("(foo)bar", Some("foobar")),
            (r"foo\b-bar", Some("foo-bar")),
            ("foo(bar)+z", Some("foobar")),
            ("(?:foo)+barz", Some("barz")),
            ("f(?:o[ab]r){2}", None),
            ("foo(bar)*", Some("foo")),
            ("éa.", Some("éa")),
            ("ab", Some("ab")),
            ("ab.", None),
            ("abc|abd", None),
            ("(?i)disk full", None),
            (r"\w{3}", None),
            ("", None),
        ];
        for (expression, expected) in cases {
            let matcher = Matcher::new(expression).unwrap();
            let literal = matcher.literal.as_ref().map(|literal| literal.needle());
            assert_eq!(literal, expected.map(str::as_bytes), "{expression}");
        }
    }
}
