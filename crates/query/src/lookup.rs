//! What a filter asks of a split's index: which words and values a row must have.
//!
//! A [`Lookup`] is a *necessary* condition drawn from a filter: rows outside of it cannot match,
//! rows inside still have to be checked. Parts of a filter that an index cannot answer (`NOT`,
//! comparisons, functions of other kinds) become [`Lookup::Any`].
//!
//! Of a part of a text, a pattern with wildcards or a regular expression, what is asked are the
//! words that it must have, whole or in part.

mod fragments;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::functions::{JSON_VALUE, TextFunction, TextTest};
use crate::glob::{Glob, Part};
use crate::phrase::WordTest;
use crate::term_pattern::TermPattern;
use crate::words;

/// A necessary condition on rows, in terms of logical columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Says nothing: every row may match.
    Any,
    /// Every part must hold; at least two parts, none of them `Any` or `All`.
    All(Vec<Lookup>),
    /// One part must hold; at least two parts, none of them `Any` or `OneOf`.
    OneOf(Vec<Lookup>),
    /// The column's text contains this word (lowercased, whole).
    Word {
        /// The logical column.
        column: String,
        /// The word; the index knows [`crate::words::indexed`] of it.
        word: String,
    },
    /// The column's text contains a word that begins with this (lowercased).
    WordPrefix {
        /// The logical column.
        column: String,
        /// The beginning of the word.
        prefix: String,
    },
    /// The column's text contains a word that fits this (lowercased).
    WordFits {
        /// The logical column.
        column: String,
        /// The pattern of the whole word.
        pattern: TermPattern,
    },
    /// The column's text equals this.
    Equals {
        /// The logical column.
        column: String,
        /// The whole text.
        value: String,
    },
    /// The column's text begins with this.
    StartsWith {
        /// The logical column.
        column: String,
        /// The beginning of the text.
        prefix: String,
    },
}

impl Lookup {
    /// Both conditions.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, only) | (only, Self::Any) => only,
            (left, right) => {
                let mut parts = left.into_all();
                parts.extend(right.into_all());
                Self::All(parts)
            }
        }
    }

    /// Either condition.
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => Self::Any,
            (left, right) => {
                let mut parts = left.into_one_of();
                parts.extend(right.into_one_of());
                Self::OneOf(parts)
            }
        }
    }

    fn into_all(self) -> Vec<Self> {
        match self {
            Self::All(parts) => parts,
            one => vec![one],
        }
    }

    fn into_one_of(self) -> Vec<Self> {
        match self {
            Self::OneOf(parts) => parts,
            one => vec![one],
        }
    }

    fn one_of(parts: impl IntoIterator<Item = Self>) -> Self {
        parts.into_iter().reduce(Self::or).unwrap_or(Self::Any)
    }

    fn of_word_test(column: &str, test: WordTest) -> Self {
        let column = column.to_owned();
        match test {
            WordTest::Equals(word) => Self::Word { column, word },
            WordTest::StartsWith(prefix) => Self::WordPrefix { column, prefix },
            WordTest::Fits(pattern) => Self::WordFits { column, pattern },
        }
    }

    /// What a call on a column with constant arguments asks for.
    fn of_call(name: &str, column: &str, argument: &str, number: i64) -> Self {
        match name {
            "starts_with" => return Self::starts_with(column, argument),
            "contains" => return fragments::of_part(column, argument),
            "regexp_like" => return fragments::of_expression(column, argument),
            _ => {}
        }
        let Some(function) = TextFunction::from_name(name) else {
            return Self::Any;
        };
        match function.test(argument, number) {
            Ok(TextTest::Phrase(phrase)) => phrase
                .tests
                .into_iter()
                .map(|test| Self::of_word_test(column, test))
                .fold(Self::Any, Self::and),
            Ok(TextTest::Match(_)) => fragments::of_expression(column, argument),
            Ok(TextTest::Whole(_)) if function == TextFunction::IsLike => {
                Self::of_glob(column, &Glob::parse(argument))
            }
            _ => Self::Any,
        }
    }

    /// What a text that fits `glob` as a whole asks for.
    fn of_glob(column: &str, glob: &Glob) -> Self {
        match glob.as_literal() {
            Some(text) => Self::equals(column, text),
            None => {
                let begins = Self::starts_with(column, glob.beginning());
                match glob.as_prefix() {
                    Some(_) => begins,
                    None => begins.and(fragments::of_glob(column, glob)),
                }
            }
        }
    }

    fn equals(column: &str, value: &str) -> Self {
        Self::Equals {
            column: column.to_owned(),
            value: value.to_owned(),
        }
    }

    fn starts_with(column: &str, prefix: &str) -> Self {
        if prefix.is_empty() {
            return Self::Any;
        }
        Self::StartsWith {
            column: column.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// What `column LIKE pattern` asks for.
    fn of_like(column: &str, pattern: &str, escape: Option<char>) -> Self {
        let mut parts = Vec::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '%' => Part::Any,
                '_' => Part::One,
                // DataFusion's LIKE escapes with a backslash unless told otherwise.
                c if c == escape.unwrap_or('\\') => match characters.next() {
                    Some(escaped) => Part::Literal(escaped.into()),
                    // What an escape of nothing means is left to the check on rows.
                    None => Part::Any,
                },
                c => Part::Literal(c.into()),
            });
        }
        Self::of_glob(column, &Glob::new(parts))
    }
}

/// What a logical filter asks of the index.
pub fn from_logical(filter: &Expr) -> Lookup {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => from_logical(left).and(from_logical(right)),
            Operator::Or => from_logical(left).or(from_logical(right)),
            Operator::Eq => match (column_of(left), text_of(right)) {
                (Some(column), Some(value)) => Lookup::equals(column, value),
                _ => match (column_of(right), text_of(left)) {
                    (Some(column), Some(value)) => Lookup::equals(column, value),
                    _ => path_words(left).and(path_words(right)),
                },
            },
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq | Operator::NotEq => {
                path_words(left).and(path_words(right))
            }
            Operator::RegexMatch => match (column_of(left), text_of(right)) {
                (Some(column), Some(expression)) => fragments::of_expression(column, expression),
                _ => path_words(left),
            },
            _ => Lookup::Any,
        },
        Expr::IsTrue(inner) => from_logical(inner),
        Expr::InList(list) if !list.negated => {
            let (Some(column), Some(values)) = (
                column_of(&list.expr),
                list.list.iter().map(text_of).collect::<Option<Vec<_>>>(),
            ) else {
                return Lookup::Any;
            };
            Lookup::one_of(
                values
                    .into_iter()
                    .map(|value| Lookup::equals(column, value)),
            )
        }
        Expr::Like(like) if !like.negated && !like.case_insensitive => {
            match (column_of(&like.expr), text_of(&like.pattern)) {
                (Some(column), Some(pattern)) => Lookup::of_like(column, pattern, like.escape_char),
                _ => Lookup::Any,
            }
        }
        Expr::IsNotNull(value) => path_words(value),
        Expr::ScalarFunction(call) => of_function(call),
        _ => Lookup::Any,
    }
}

fn of_function(call: &ScalarFunction) -> Lookup {
    let (text, argument, number) = match call.args.as_slice() {
        [text, argument] => (text, argument, Some(0)),
        [text, argument, number] => (text, argument, number_of(number)),
        _ => return Lookup::Any,
    };
    let (Some(argument), Some(number)) = (text_of(argument), number) else {
        return Lookup::Any;
    };
    let name = call.func.name();
    match column_of(text) {
        Some(column) => Lookup::of_call(name, column, argument, number),
        None if name == "starts_with" || TextFunction::from_name(name).is_some() => {
            path_words(text)
        }
        None => Lookup::Any,
    }
}

/// What a value that is not null asks for: a JSON text has the words of the path that leads to it.
fn path_words(value: &Expr) -> Lookup {
    let Expr::ScalarFunction(call) = value else {
        return Lookup::Any;
    };
    match call.args.as_slice() {
        [text, path] if call.func.name() == JSON_VALUE => match (column_of(text), text_of(path)) {
            (Some(column), Some(path)) => words::lowercased(path)
                .into_iter()
                .map(|word| Lookup::of_word_test(column, WordTest::Equals(word)))
                .fold(Lookup::Any, Lookup::and),
            _ => Lookup::Any,
        },
        [inner] if matches!(call.func.name(), "number" | "duration" | "size") => path_words(inner),
        _ => Lookup::Any,
    }
}

fn column_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Alias(alias) => column_of(&alias.expr),
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => scalar_text(value),
        _ => None,
    }
}

fn number_of(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(number), _) => *number,
        _ => None,
    }
}

fn scalar_text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::functions::expr_fn::contains;
    use datafusion::logical_expr::{ident, lit};

    fn fits(glob: &str) -> Lookup {
        Lookup::WordFits {
            column: "body".to_owned(),
            pattern: TermPattern::glob(Glob::parse(glob)),
        }
    }

    fn word(word: &str) -> Lookup {
        Lookup::Word {
            column: "body".to_owned(),
            word: word.to_owned(),
        }
    }

    #[test]
    fn a_part_of_a_text_asks_for_the_words_inside_of_it() {
        let begins = Lookup::WordPrefix {
            column: "body".to_owned(),
            prefix: "refused".to_owned(),
        };
        let cases = [
            ("refused", fits("*refused*")),
            ("connection refused", fits("*connection").and(begins)),
            (" Refused ", word("refused")),
            ("a=B&c", word("b")),
            ("a", Lookup::Any),
            ("/api/v1/", Lookup::All(vec![word("api"), word("v1")])),
            ("--", Lookup::Any),
        ];
        for (part, expected) in cases {
            let filter = contains(ident("body"), lit(part));
            assert_eq!(from_logical(&filter), expected, "{part:?}");
        }
    }

    #[test]
    fn likes_and_lists_ask_for_their_texts() {
        let column = || ident("attr.k");
        let equals = |value: &str| Lookup::Equals {
            column: "attr.k".to_owned(),
            value: value.to_owned(),
        };
        let starts = |prefix: &str| Lookup::StartsWith {
            column: "attr.k".to_owned(),
            prefix: prefix.to_owned(),
        };
        let cases = [
            (column().like(lit("ab%")), starts("ab")),
            (column().like(lit(r"a\%b")), equals("a%b")),
            (column().like(lit("%b")), Lookup::Any),
            (
                column().like(lit("/x%")).and(column().is_not_null()),
                starts("/x"),
            ),
            (column().ilike(lit("ab%")), Lookup::Any),
            (column().not_like(lit("ab%")), Lookup::Any),
            (
                column().in_list(vec![lit("a"), lit("b")], false),
                Lookup::OneOf(vec![equals("a"), equals("b")]),
            ),
            (column().in_list(vec![lit("a")], true), Lookup::Any),
            (column().eq(lit("a")).or(column().gt(lit("b"))), Lookup::Any),
            (
                column().eq(lit("a")).and(column().gt(lit("b"))),
                equals("a"),
            ),
        ];
        for (filter, expected) in cases {
            assert_eq!(from_logical(&filter), expected, "{filter}");
        }
    }
}
