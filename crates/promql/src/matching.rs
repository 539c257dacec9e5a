//! Label matchers, compiled once and applied to many series.
//!
//! Regular expressions are the `regex` crate's, anchored at both ends, with `.` matching line
//! breaks too. Differences from Go's RE2 that a query could meet: counted repetition is bounded
//! by compiled size rather than by 1,000; Perl classes (`\d`, `\w`, `\s`, `\b`) and `(?i)` know
//! Unicode; `\C`, `\Q…\E`, `\z` outside of the end and octal escapes are refused; class
//! operators (`&&`, `--`, `~~`) inside brackets are operators here and text there.

use model::{Labels, MatchOp, Matcher};
use regex::{Regex, RegexBuilder};

use crate::source::SourceError;

/// The largest compiled form of one regular expression.
const REGEX_SIZE_LIMIT_BYTES: usize = 10 << 20;

/// Compiles `pattern` as PromQL means it: anchored at both ends.
///
/// # Errors
///
/// [`SourceError::InvalidRegex`] with the compiler's reason in one line.
pub fn compile_anchored(pattern: &str) -> Result<Regex, SourceError> {
    // Compiled bare first: an unbalanced `)` must not close the anchoring group.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

fn build(pattern: &str) -> Result<Regex, SourceError> {
    RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .size_limit(REGEX_SIZE_LIMIT_BYTES)
        .build()
        .map_err(|error| SourceError::InvalidRegex {
            pattern: pattern.to_owned(),
            reason: one_line(&error),
        })
}

/// The last line of the compiler's picture, which holds the reason.
fn one_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[derive(Debug, Clone)]
enum Test {
    Equal(String),
    NotEqual(String),
    Regex(Regex),
    NotRegex(Regex),
}

/// One matcher, ready to be applied.
#[derive(Debug, Clone)]
pub struct CompiledMatcher {
    name: String,
    test: Test,
}

impl CompiledMatcher {
    /// Compiles `matcher`.
    ///
    /// # Errors
    ///
    /// [`SourceError::InvalidRegex`].
    pub fn new(matcher: &Matcher) -> Result<Self, SourceError> {
        let test = match matcher.op {
            MatchOp::Equal => Test::Equal(matcher.value.clone()),
            MatchOp::NotEqual => Test::NotEqual(matcher.value.clone()),
            MatchOp::Regex => Test::Regex(compile_anchored(&matcher.value)?),
            MatchOp::NotRegex => Test::NotRegex(compile_anchored(&matcher.value)?),
        };
        Ok(Self {
            name: matcher.name.clone(),
            test,
        })
    }

    /// The label it looks at.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a label with this value passes; the empty value stands for an absent label.
    pub fn accepts(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal(expected) => value == expected,
            Test::NotEqual(expected) => value != expected,
            Test::Regex(regex) => regex.is_match(value),
            Test::NotRegex(regex) => !regex.is_match(value),
        }
    }
}

/// A conjunction of matchers.
#[derive(Debug, Clone)]
pub struct CompiledMatchers(Vec<CompiledMatcher>);

impl CompiledMatchers {
    /// Compiles all of `matchers`.
    ///
    /// # Errors
    ///
    /// [`SourceError::InvalidRegex`] for the first that does not compile.
    pub fn new(matchers: &[Matcher]) -> Result<Self, SourceError> {
        matchers
            .iter()
            .map(CompiledMatcher::new)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The matchers, in the order in which they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CompiledMatcher> {
        self.0.iter()
    }

    /// Whether `labels` pass every matcher.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0
            .iter()
            .all(|matcher| matcher.accepts(labels.get(&matcher.name).unwrap_or("")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(op: MatchOp, pattern: &str, value: &str) -> bool {
        CompiledMatcher::new(&Matcher::new("l", op, pattern))
            .unwrap()
            .accepts(value)
    }

    #[test]
    fn regexes_are_anchored_whatever_they_contain() {
        assert!(accepts(MatchOp::Regex, "a|b", "b"));
        assert!(!accepts(MatchOp::Regex, "a|b", "ab"));
        assert!(accepts(MatchOp::Regex, "a.c", "a\nc"));
        assert!(accepts(MatchOp::NotRegex, "a", "aa"));
        for bad in ["a)(b", "(", "[", "a{99999999}"] {
            assert!(compile_anchored(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_absent_label_is_the_empty_string() {
        let labels = Labels::new([("a", "1")]);
        let check = |op, value: &str| {
            CompiledMatchers::new(&[Matcher::new("b", op, value)])
                .unwrap()
                .matches(&labels)
        };
        assert!(check(MatchOp::Equal, ""));
        assert!(check(MatchOp::Regex, ".*"));
        assert!(!check(MatchOp::Regex, ".+"));
        assert!(check(MatchOp::NotEqual, "x"));
    }
}
