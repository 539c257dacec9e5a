//! What a search means: its tree as a filter over the logical table `logs`.
//!
//! A field that is no column of `logs` is an attribute: a test of it holds when the record's or the
//! resource's attribute of that name passes; `attr.` and `resource.` choose one of them. `NOT` is
//! the exact complement: it also finds the records that lack the field.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::{coalesce, starts_with};
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, ident, lit};
use model::log::severity_from_name;
use model::time::parse_instant;
use model::{SpanId, TraceId};

use crate::error::{Span, SyntaxError};
use crate::functions::{duration, has_phrase, has_prefix, has_word, number, size};
use crate::search::ast::{Comparison, Node, NodeKind, Query, Test};
use crate::{schema, severity, units, words};

/// The filter of a search; relative times count from `now`, Unix ns.
///
/// # Errors
///
/// A value that its field cannot have, with the value's position.
pub fn lower(query: &Query, now: i64) -> Result<Expr, SyntaxError> {
    Lowering { now }.node(&query.root)
}

/// The text that a histogram or facet groups by; null where the record lacks the field.
///
/// `severity` and `level` give the names of [`model::log::severity_name`].
///
/// # Errors
///
/// An empty name.
pub fn group_value(field: &str) -> Result<Expr, SyntaxError> {
    if field.is_empty() {
        return Err(SyntaxError::new(Span::default(), "a field's name is empty"));
    }
    Ok(match Field::named(field) {
        Field::Severity => severity::name_value(),
        Field::Body => ident(schema::BODY),
        Field::Text(column) | Field::Id(column, _) => ident(column),
        Field::Integer(column) | Field::Time(column) => cast(ident(column), DataType::Utf8),
        Field::Attribute(columns) => match columns.as_slice() {
            [only] => ident(only),
            _ => coalesce(columns.into_iter().map(ident).collect()),
        },
    })
}

/// What a field's name stands for.
enum Field {
    Severity,
    Integer(&'static str),
    Time(&'static str),
    Body,
    /// A column of hex digits and how many bytes they are.
    Id(&'static str, IdKind),
    Text(&'static str),
    /// Virtual columns, of which any may pass.
    Attribute(Vec<String>),
}

#[derive(Clone, Copy)]
enum IdKind {
    Trace,
    Span,
}

impl Field {
    fn named(name: &str) -> Self {
        match name {
            "severity" | "level" => Self::Severity,
            "severity_number" => Self::Integer(schema::SEVERITY_NUMBER),
            "timestamp" => Self::Time(schema::TIMESTAMP),
            "observed_timestamp" => Self::Time(schema::OBSERVED_TIMESTAMP),
            "body" => Self::Body,
            "trace_id" => Self::Id(schema::TRACE_ID, IdKind::Trace),
            "span_id" => Self::Id(schema::SPAN_ID, IdKind::Span),
            "severity_text" => Self::Text(schema::SEVERITY_TEXT),
            "event_name" => Self::Text(schema::EVENT_NAME),
            "service" => Self::Text(schema::SERVICE),
            "scope" | "scope_name" => Self::Text(schema::SCOPE_NAME),
            "scope_version" => Self::Text(schema::SCOPE_VERSION),
            // A name after the prefix is missing: then it is a key like any other.
            _ => match schema::virtual_column(name) {
                Some(_) => Self::Attribute(vec![name.to_owned()]),
                None => Self::Attribute(vec![
                    schema::attribute_column(name),
                    schema::resource_column(name),
                ]),
            },
        }
    }
}

struct Lowering {
    now: i64,
}

impl Lowering {
    fn node(&self, node: &Node) -> Result<Expr, SyntaxError> {
        match &node.kind {
            NodeKind::Everything => Ok(lit(true)),
            NodeKind::Text { text, prefix } => Ok(anywhere(text, *prefix)),
            NodeKind::Field {
                name,
                test,
                value_span,
                ..
            } => self.field(name, test, *value_span),
            NodeKind::And(parts) => self.all(parts, Operator::And),
            NodeKind::Or(parts) => self.all(parts, Operator::Or),
            NodeKind::Not(inner) => Ok(self.node(inner)?.is_not_true()),
        }
    }

    fn all(&self, parts: &[Node], operator: Operator) -> Result<Expr, SyntaxError> {
        let parts = parts
            .iter()
            .map(|part| self.node(part))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(balanced(parts, operator))
    }

    fn field(&self, name: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
        match Field::named(name) {
            Field::Severity => severity_test(name, test, span),
            Field::Integer(column) => integer_test(name, column, test, span),
            Field::Time(column) => self.time_test(name, column, test, span),
            Field::Body => body_test(test, span),
            Field::Id(column, kind) => id_test(name, column, kind, test, span),
            Field::Text(column) => text_test(name, column, test, span),
            Field::Attribute(columns) => {
                let tests = columns
                    .iter()
                    .map(|column| attribute_test(name, column, test, span))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(balanced(tests, Operator::Or))
            }
        }
    }

    fn time_test(
        &self,
        name: &str,
        column: &str,
        test: &Test,
        span: Span,
    ) -> Result<Expr, SyntaxError> {
        let (operator, value) = match test {
            Test::Exists => return Ok(ident(column).is_not_null()),
            Test::Equals(value) => (Operator::Eq, value),
            Test::Compare(comparison, value) => (operator_of(*comparison), value),
            Test::StartsWith(_) => return Err(no_prefix(name, span)),
        };
        let instant = parse_instant(value, self.now)
            .map_err(|error| SyntaxError::new(span, error.to_string()))?;
        Ok(binary_expr(
            ident(column),
            operator,
            schema::instant(instant),
        ))
    }
}

/// A bare word or phrase: in the body, or the identifier that it is.
fn anywhere(text: &str, prefix: bool) -> Expr {
    let in_body = body_contains(text, prefix);
    if prefix || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return in_body;
    }
    let id = lit(text.to_ascii_lowercase());
    match text.len() {
        32 => in_body.or(ident(schema::TRACE_ID).eq(id)),
        16 => in_body.or(ident(schema::SPAN_ID).eq(id)),
        _ => in_body,
    }
}

fn body_contains(text: &str, prefix: bool) -> Expr {
    let body = ident(schema::BODY);
    // In `foo-*` the word is whole: what may go on is the punctuation after it.
    let goes_on = text
        .chars()
        .next_back()
        .is_some_and(words::is_word_character);
    if prefix && goes_on {
        return has_prefix(body, text);
    }
    match words::lowercased(text).as_slice() {
        [word] => has_word(body, word),
        several => has_phrase(body, &several.join(" ")),
    }
}

fn body_test(test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let (text, prefix) = match test {
        Test::Exists => return Ok(ident(schema::BODY).is_not_null()),
        Test::Equals(text) => (text, false),
        Test::StartsWith(text) => (text, true),
        Test::Compare(..) => return Err(no_comparison("body", span)),
    };
    if words::split(text).next().is_none() {
        return Err(SyntaxError::new(
            span,
            format!("{text:?} has no letter or digit to search for"),
        ));
    }
    Ok(body_contains(text, prefix))
}

fn severity_test(name: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let severity = || ident(schema::SEVERITY_NUMBER);
    let is_set = || severity().between(lit(1), lit(24));
    let read = |value: &str| {
        let named = severity_from_name(value).map(|first| (first, true));
        let numbered = || value.parse().ok().map(|number: i32| (number, false));
        named.or_else(numbered).ok_or_else(|| {
            SyntaxError::new(span, format!("{value:?} is no severity")).hint(
                "expected trace, debug, info, warn, error, fatal, unset or a number from 0 to 24; \
                 the source's own word is severity_text",
            )
        })
    };
    match test {
        Test::Exists => Ok(is_set()),
        Test::StartsWith(_) => Err(no_prefix(name, span)),
        Test::Equals(value) => Ok(match read(value)? {
            (0, true) => is_set().is_not_true(),
            (first, true) => {
                let (first, last) = severity::level_bounds(first);
                severity().between(lit(first), lit(last))
            }
            (number, false) => severity().eq(lit(number)),
        }),
        Test::Compare(comparison, value) => {
            let (number, is_level) = read(value)?;
            if is_level && number == 0 {
                return Err(
                    SyntaxError::new(span, "\"unset\" is not below or above a severity")
                        .hint(format!("write {name}:unset or NOT {name}:unset")),
                );
            }
            let last = if is_level {
                severity::level_bounds(number).1
            } else {
                number
            };
            // Unset is no low severity, so a comparison never finds it.
            Ok(match comparison {
                Comparison::GreaterOrEqual => severity().gt_eq(lit(number)),
                Comparison::Greater => severity().gt(lit(last)),
                Comparison::Less => severity().lt(lit(number)).and(severity().gt_eq(lit(1))),
                Comparison::LessOrEqual => {
                    severity().lt_eq(lit(last)).and(severity().gt_eq(lit(1)))
                }
            })
        }
    }
}

fn integer_test(name: &str, column: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let (operator, value) = match test {
        Test::Exists => return Ok(ident(column).is_not_null()),
        Test::StartsWith(_) => return Err(no_prefix(name, span)),
        Test::Equals(value) => (Operator::Eq, value),
        Test::Compare(comparison, value) => (operator_of(*comparison), value),
    };
    let number: i32 = value
        .parse()
        .map_err(|_| SyntaxError::new(span, format!("{name} is a whole number; got {value:?}")))?;
    Ok(binary_expr(ident(column), operator, lit(number)))
}

fn id_test(
    name: &str,
    column: &str,
    kind: IdKind,
    test: &Test,
    span: Span,
) -> Result<Expr, SyntaxError> {
    let bad = |reason: String| SyntaxError::new(span, format!("no valid {name}: {reason}"));
    match test {
        Test::Exists => Ok(ident(column).is_not_null()),
        Test::Compare(..) => Err(no_comparison(name, span)),
        Test::StartsWith(prefix) => {
            if !prefix.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(bad(format!(
                    "{prefix:?} has other characters than hex digits"
                )));
            }
            Ok(starts_with(ident(column), lit(prefix.to_ascii_lowercase())))
        }
        Test::Equals(value) => {
            let id = match kind {
                IdKind::Trace => value.parse::<TraceId>().map(|id| id.to_string()),
                IdKind::Span => value.parse::<SpanId>().map(|id| id.to_string()),
            };
            let id = id.map_err(|error| bad(error.to_string()))?;
            Ok(ident(column).eq(lit(id)))
        }
    }
}

fn text_test(name: &str, column: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    match test {
        Test::Compare(..) => Err(no_comparison(name, span)),
        _ => attribute_test(name, column, test, span),
    }
}

fn attribute_test(name: &str, column: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let value = ident(column);
    let (comparison, operand) = match test {
        Test::Exists => return Ok(value.is_not_null()),
        Test::Equals(text) => return Ok(value.eq(lit(text.as_str()))),
        Test::StartsWith(prefix) => return Ok(starts_with(value, lit(prefix.as_str()))),
        Test::Compare(comparison, operand) => (operator_of(*comparison), operand),
    };
    let (measured, bound) = if let Some(bound) = units::number(operand) {
        (number(value), bound)
    } else if let Some(bound) = units::duration_seconds(operand) {
        (duration(value), bound)
    } else if let Some(bound) = units::size_bytes(operand) {
        (size(value), bound)
    } else {
        return Err(
            SyntaxError::new(span, format!("{name} cannot be compared with {operand:?}"))
                .hint("expected a number (500), a duration (250ms) or a size (10KB)"),
        );
    };
    Ok(binary_expr(measured, comparison, lit(bound)))
}

fn operator_of(comparison: Comparison) -> Operator {
    match comparison {
        Comparison::Less => Operator::Lt,
        Comparison::LessOrEqual => Operator::LtEq,
        Comparison::Greater => Operator::Gt,
        Comparison::GreaterOrEqual => Operator::GtEq,
    }
}

fn no_comparison(name: &str, span: Span) -> SyntaxError {
    SyntaxError::new(
        span,
        format!("{name} is text and cannot be compared with < or >"),
    )
    .hint(format!("write {name}:value or {name}:value*"))
}

fn no_prefix(name: &str, span: Span) -> SyntaxError {
    SyntaxError::new(span, format!("{name} is not text, so it has no prefix"))
        .hint(format!("write {name}:value or {name}:>=value"))
}

/// Joins conditions into a tree of logarithmic depth, since plans are walked recursively.
fn balanced(mut parts: Vec<Expr>, operator: Operator) -> Expr {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary_expr(left, operator, right),
                None => left,
            });
        }
        parts = pairs;
    }
    parts.pop().unwrap_or_else(|| {
        Expr::Literal(ScalarValue::Boolean(Some(operator == Operator::And)), None)
    })
}
