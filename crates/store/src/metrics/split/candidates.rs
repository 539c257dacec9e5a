//! From matchers to rows, by way of the index of labels.
//!
//! Cheap matchers first: equality and lists of values are look-ups. Any other has to look at every
//! value of its label; when those are many more than the rows that are left, it is cheaper to look
//! at the labels of these rows, which every reader does anyway.

use model::{MatchOp, Matcher};
use promql::matching::{CompiledMatcher, CompiledMatchers};

use super::label_index::LabelIndex;
use super::row_set::RowSet;
use crate::error::StoreError;

/// Values that are looked at for each row that they may spare, and at least.
const VALUES_PER_ROW: usize = 4;
const LEAST_VALUES: usize = 256;

/// Rows that may pass all matchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidates {
    pub(super) rows: RowSet,
    /// Whether they do pass; otherwise their labels decide.
    pub(super) is_exact: bool,
}

/// The rows of a split of `rows` rows that may pass.
///
/// # Errors
///
/// The index is damaged.
pub(super) fn candidates(
    index: &LabelIndex,
    rows: u32,
    matchers: &[Matcher],
    compiled: &CompiledMatchers,
) -> Result<Candidates, StoreError> {
    let mut found = Candidates {
        rows: RowSet::all(rows),
        is_exact: true,
    };
    let mut walks = Vec::new();
    for (matcher, compiled) in matchers.iter().zip(compiled.iter()) {
        match values(matcher) {
            Some(values) => found.look_up(index, compiled, &values)?,
            None => walks.push((matcher, compiled)),
        }
        if found.rows.is_empty() {
            return Ok(found);
        }
    }
    for (matcher, compiled) in walks {
        found.walk(index, matcher, compiled)?;
        if found.rows.is_empty() {
            break;
        }
    }
    Ok(found)
}

impl Candidates {
    /// Applies a matcher that names its values.
    fn look_up(
        &mut self,
        index: &LabelIndex,
        matcher: &CompiledMatcher,
        values: &[String],
    ) -> Result<(), StoreError> {
        let mut with = Vec::new();
        let mut all_listed = true;
        for value in values {
            all_listed &= LabelIndex::is_listed(value);
            let rows = index.rows_with(matcher.name(), value)?;
            with.extend(rows.ranges().iter().cloned());
        }
        let with = RowSet::from_ranges(with);
        if !matcher.accepts("") {
            self.is_exact &= all_listed;
            self.rows = self.rows.intersection(&with);
        } else if all_listed {
            self.rows = self.rows.without(&with);
        } else {
            self.is_exact = false;
        }
        Ok(())
    }

    /// Applies a matcher by looking at the values of its label, when that is worth it.
    fn walk(
        &mut self,
        index: &LabelIndex,
        matcher: &Matcher,
        compiled: &CompiledMatcher,
    ) -> Result<(), StoreError> {
        let name = compiled.name();
        let may_be_absent = compiled.accepts("");
        let long = index.rows_with_long_value(name)?;
        let is_decided = long.is_empty();
        let most = LEAST_VALUES + VALUES_PER_ROW * self.rows.count();
        // Those that pass are found by their values, or else those that do not.
        let prefix = match matcher.op {
            MatchOp::Regex if !may_be_absent => literal_beginning(&matcher.value),
            _ => "",
        };
        let accept = &mut |value: &str| compiled.accepts(value) != may_be_absent;
        let Some(rows) = index.rows_accepted((name, prefix), most, accept)? else {
            self.is_exact = false;
            return Ok(());
        };
        self.is_exact &= is_decided;
        self.rows = if may_be_absent {
            self.rows.without(&rows)
        } else {
            let ranges = rows.ranges().iter().chain(long.ranges()).cloned();
            self.rows.intersection(&RowSet::from_ranges(ranges))
        };
        Ok(())
    }
}

/// The values that a matcher is about, when it lists them: those that pass, or, when it accepts
/// absent labels, those that do not.
fn values(matcher: &Matcher) -> Option<Vec<String>> {
    let values = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => vec![matcher.value.clone()],
        MatchOp::Regex | MatchOp::NotRegex => alternatives(&matcher.value)?,
    };
    // An empty value means an absent label, which is in no dictionary.
    let has_empty = values.iter().any(String::is_empty);
    (!has_empty).then_some(values)
}

/// What `a|b\.c` stands for: `a` and `b.c`, as dashboards write lists. `None` for any other
/// expression.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(pattern);
    let mut values = vec![String::new()];
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        let last = values.last_mut()?;
        match character {
            '|' => values.push(String::new()),
            '\\' => last.push(characters.next().filter(is_escapable)?),
            _ if is_special(character) => return None,
            _ => last.push(character),
        }
    }
    Some(values)
}

/// What every text that matches begins with.
fn literal_beginning(pattern: &str) -> &str {
    if pattern.contains('|') {
        return "";
    }
    let end = pattern.find(|c| c == '\\' || is_special(c));
    let literal = &pattern[..end.unwrap_or(pattern.len())];
    match pattern[literal.len()..].chars().next() {
        // The character before may be absent.
        Some('*' | '?' | '{') => {
            let last = literal.char_indices().next_back();
            &literal[..last.map_or(0, |(at, _)| at)]
        }
        _ => literal,
    }
}

/// Whether a backslash before it means the character itself: `\<` is the beginning of a word.
fn is_escapable(character: &char) -> bool {
    character.is_ascii_punctuation() && !matches!(character, '<' | '>')
}

fn is_special(character: char) -> bool {
    matches!(
        character,
        '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$'
    )
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::label_index::in_memory;
    use super::*;

    #[test]
    fn lists_and_beginnings_are_read_from_expressions() {
        let lists: [(&str, Option<&[&str]>); 8] = [
            ("a", Some(&["a"])),
            ("a|b", Some(&["a", "b"])),
            ("(a|b)", Some(&["a", "b"])),
            (r"10\.0\.0\.1|b", Some(&["10.0.0.1", "b"])),
            ("a|", Some(&["a", ""])),
            ("a.*", None),
            ("(a)|(b)", None),
            (r"\d", None),
        ];
        for (pattern, expected) in lists {
            let expected = expected.map(|values| values.iter().map(|v| (*v).to_owned()).collect());
            assert_eq!(alternatives(pattern), expected, "{pattern}");
        }
        let beginnings = [
            ("abc", "abc"),
            ("abc.*", "abc"),
            ("abc*", "ab"),
            ("abc+", "abc"),
            ("é?x", ""),
            ("a|b", ""),
            ("(?i)a", ""),
            (r"a\.b", "a"),
        ];
        for (pattern, expected) in beginnings {
            assert_eq!(literal_beginning(pattern), expected, "{pattern}");
        }
    }

    fn matcher() -> impl Strategy<Value = Matcher> {
        let op = prop::sample::select(vec![
            MatchOp::Equal,
            MatchOp::NotEqual,
            MatchOp::Regex,
            MatchOp::NotRegex,
        ]);
        let value = prop::sample::select(vec![
            "", "a", "b", "ab", "a|b", "a|", "(a|ab)", "a.*", "ab?", ".*", ".+", "[ab]", "(?i)A",
            "x+",
        ]);
        ("[pqr]", op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value))
    }

    fn labels() -> impl Strategy<Value = Labels> {
        let value = || prop_oneof![4 => "[ab]{0,2}", 1 => Just("x".repeat(1_100))];
        (value(), value()).prop_map(|(p, q)| Labels::new([("p", p), ("q", q)]))
    }

    proptest! {
        #[test]
        fn candidates_are_the_rows_that_pass(
            series in vec((labels(), 1_u32..4), 0..30),
            matchers in vec(matcher(), 0..4),
        ) {
            let mut rows = 0;
            let mut placed = Vec::new();
            for (labels, count) in series {
                placed.push((labels, rows..rows + count));
                rows += count;
            }
            let index = in_memory(&placed);
            let compiled = CompiledMatchers::new(&matchers).unwrap();
            let found = candidates(&index, rows, &matchers, &compiled).unwrap();
            let passing = placed.iter().filter(|(labels, _)| compiled.matches(labels));
            let expected = RowSet::from_ranges(passing.map(|(_, rows)| rows.clone()));
            prop_assert!(expected.without(&found.rows).is_empty(), "{found:?} lacks {expected:?}");
            if found.is_exact {
                prop_assert_eq!(found.rows, expected);
            }
        }
    }
}
