//! What a filter asks of a split's index: which words and values a row must have.
//!
//! A [`Lookup`] is a *necessary* condition drawn from a filter: rows outside of it cannot match,
//! rows inside still have to be checked. Parts of a filter that an index cannot answer (`NOT`,
//! comparisons, functions of other kinds) become [`Lookup::Any`]. The same rules read logical
//! filters ([`from_logical`]) and physical ones ([`from_physical`]).

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr as PhysicalBinary, CastExpr, Column, InListExpr, LikeExpr, Literal,
};
use datafusion::physical_plan::PhysicalExpr;

use crate::functions::TextFunction;
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

    /// What a call of a text function asks for: all of the pattern's words.
    fn of_text_function(name: &str, column: &str, argument: &str) -> Self {
        let Some(pattern) =
            TextFunction::from_name(name).and_then(|function| function.pattern(argument))
        else {
            return Self::Any;
        };
        let last = pattern.words.len() - 1;
        pattern
            .words
            .into_iter()
            .enumerate()
            .map(|(index, word)| {
                let column = column.to_owned();
                if index == last && pattern.last_is_prefix {
                    Self::WordPrefix {
                        column,
                        prefix: word,
                    }
                } else {
                    Self::Word { column, word }
                }
            })
            .fold(Self::Any, Self::and)
    }

    fn of_call(name: &str, column: &str, argument: &str) -> Self {
        match name {
            "starts_with" => Self::starts_with(column, argument),
            "contains" => Self::containing(column, argument),
            _ => Self::of_text_function(name, column, argument),
        }
    }

    /// What a part of a text asks for: its words, except one that touches either end, which may be
    /// the rest of a longer word.
    fn containing(column: &str, part: &str) -> Self {
        let mut candidates = words::split(part);
        let mut lookup = Self::Any;
        while let Some(word) = candidates.next() {
            let end = candidates.position();
            if end > word.len() && end < part.len() {
                lookup = lookup.and(Self::Word {
                    column: column.to_owned(),
                    word: words::lowercase(word).into_owned(),
                });
            }
        }
        lookup
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

    /// What `column LIKE pattern` asks for: the text before the first wildcard.
    fn of_like(column: &str, pattern: &str, escape: Option<char>) -> Self {
        let mut literal = String::new();
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' | '_' => return Self::starts_with(column, &literal),
                // DataFusion's LIKE escapes with a backslash unless told otherwise.
                c if c == escape.unwrap_or('\\') => match characters.next() {
                    Some(escaped) => literal.push(escaped),
                    None => return Self::starts_with(column, &literal),
                },
                c => literal.push(c),
            }
        }
        Self::equals(column, &literal)
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
                    _ => Lookup::Any,
                },
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
        Expr::ScalarFunction(call) => match call.args.as_slice() {
            [text, argument] => match (column_of(text), text_of(argument)) {
                (Some(column), Some(argument)) => {
                    Lookup::of_call(call.func.name(), column, argument)
                }
                _ => Lookup::Any,
            },
            _ => Lookup::Any,
        },
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

/// What a physical filter asks of the index; columns are known by their names.
pub fn from_physical(filter: &Arc<dyn PhysicalExpr>) -> Lookup {
    if let Some(binary) = filter.downcast_ref::<PhysicalBinary>() {
        return match binary.op() {
            Operator::And => from_physical(binary.left()).and(from_physical(binary.right())),
            Operator::Or => from_physical(binary.left()).or(from_physical(binary.right())),
            Operator::Eq => physical_equality(binary.left(), binary.right())
                .or_else(|| physical_equality(binary.right(), binary.left()))
                .unwrap_or(Lookup::Any),
            _ => Lookup::Any,
        };
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        let values = list.list().iter().map(physical_text);
        return match (
            physical_column(list.expr()),
            values.collect::<Option<Vec<_>>>(),
        ) {
            (Some(column), Some(values)) if !list.negated() => Lookup::one_of(
                values
                    .into_iter()
                    .map(|value| Lookup::equals(column, value)),
            ),
            _ => Lookup::Any,
        };
    }
    if let Some(like) = filter.downcast_ref::<LikeExpr>() {
        if like.negated() || like.case_insensitive() {
            return Lookup::Any;
        }
        return match (physical_column(like.expr()), physical_text(like.pattern())) {
            (Some(column), Some(pattern)) => Lookup::of_like(column, pattern, None),
            _ => Lookup::Any,
        };
    }
    if let Some(call) = filter.downcast_ref::<ScalarFunctionExpr>()
        && let [text, argument] = call.args()
        && let (Some(column), Some(argument)) = (physical_column(text), physical_text(argument))
    {
        return Lookup::of_call(call.fun().name(), column, argument);
    }
    Lookup::Any
}

fn physical_equality(
    column: &Arc<dyn PhysicalExpr>,
    value: &Arc<dyn PhysicalExpr>,
) -> Option<Lookup> {
    Some(Lookup::equals(
        physical_column(column)?,
        physical_text(value)?,
    ))
}

fn physical_column(expr: &Arc<dyn PhysicalExpr>) -> Option<&str> {
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        // Between layouts of text a cast changes nothing; any other cast changes the value.
        return cast
            .cast_type()
            .is_string()
            .then(|| physical_column(cast.expr()))?;
    }
    expr.downcast_ref::<Column>().map(Column::name)
}

fn physical_text(expr: &Arc<dyn PhysicalExpr>) -> Option<&str> {
    scalar_text(expr.downcast_ref::<Literal>()?.value())
}

fn scalar_text(value: &ScalarValue) -> Option<&str> {
    value.try_as_str().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::functions::expr_fn::contains;
    use datafusion::logical_expr::{ident, lit};

    fn word(word: &str) -> Lookup {
        Lookup::Word {
            column: "body".to_owned(),
            word: word.to_owned(),
        }
    }

    #[test]
    fn a_part_of_a_text_asks_for_the_words_inside_of_it() {
        let cases = [
            ("refused", Lookup::Any),
            ("connection refused", Lookup::Any),
            (" Refused ", word("refused")),
            ("a=B&c", word("b")),
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
            (column().like(lit("ab%c")), starts("ab")),
            (column().like(lit(r"a\%b")), equals("a%b")),
            (column().like(lit("%b")), Lookup::Any),
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
