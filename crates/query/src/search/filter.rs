//! What a search means: its tree as a filter over the logical table `logs`.
//!
//! A field that is no column of `logs` is an attribute: a test of it holds when the record's or the
//! resource's attribute of that name passes; `attr.` and `resource.` choose one of them. `body.key`
//! is a key of a body that is a JSON object. `NOT` is the exact complement: it also finds the
//! records that lack the field. It is moved down to the single tests, where the index may know
//! more.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::starts_with;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, ident, lit};
use model::log::severity_from_name;
use model::time::parse_instant;
use model::{SpanId, TraceId};

use crate::error::{Span, SyntaxError};
use crate::functions::{
    duration, has_match, has_near, has_pattern, has_phrase, has_prefix, has_similar, has_word,
    is_like, is_similar, json_value, number, size,
};
use crate::glob::{Glob, Part};
use crate::phrase::Phrase;
use crate::search::ast::{Comparison, End, Match, Node, NodeKind, Query, Test};
use crate::search::parser::check_words;
use crate::{schema, severity, units, words};

/// The filter of a search; relative times count from `now`, Unix ns.
///
/// # Errors
///
/// A value that its field cannot have, with the value's position.
pub fn lower(query: &Query, now: i64) -> Result<Expr, SyntaxError> {
    Lowering { now }.node(&query.root, false)
}

/// The text that a histogram or facet groups by; null where the record lacks the field.
///
/// `severity` and `level` give the names of [`model::log::severity_name`], of what the records
/// state in their texts too.
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
        Field::BodyKey(path) => json_value(ident(schema::BODY), &path),
        Field::Text(column) | Field::Id(column, _) => ident(column),
        Field::Integer(column) | Field::Time(column) => cast(ident(column), DataType::Utf8),
        Field::Attribute(columns) => match columns.as_slice() {
            [only] => ident(only),
            several => first_present(several)?,
        },
    })
}

/// The columns of which the first that is not null is what [`group_value`] gives, if it is that of any.
pub fn group_columns(field: &str) -> Option<Vec<String>> {
    match Field::named(field) {
        Field::Body => Some(vec![schema::BODY.to_owned()]),
        Field::Text(column) => Some(vec![column.to_owned()]),
        Field::Attribute(columns) => Some(columns),
        _ => None,
    }
}

/// The first of the columns that is not null. Spelled out, since `coalesce` only runs where an
/// optimizer has rewritten it.
fn first_present(columns: &[String]) -> Result<Expr, SyntaxError> {
    let (last, before) = columns
        .split_last()
        .ok_or_else(|| SyntaxError::new(Span::default(), "a field of no column"))?;
    let cases = before
        .iter()
        .map(|column| {
            let is_present = ident(column).is_not_null();
            (Box::new(is_present), Box::new(ident(column)))
        })
        .collect();
    Ok(Expr::Case(Case::new(
        None,
        cases,
        Some(Box::new(ident(last))),
    )))
}

/// What a field's name stands for.
enum Field {
    Severity,
    Integer(&'static str),
    Time(&'static str),
    Body,
    /// A path into a body that is JSON.
    BodyKey(String),
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
            _ => match (schema::virtual_column(name), name.strip_prefix("body.")) {
                (Some(_), _) => Self::Attribute(vec![name.to_owned()]),
                (None, Some(path)) => Self::BodyKey(path.to_owned()),
                (None, None) => Self::Attribute(vec![
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
    /// The condition, or its complement.
    fn node(&self, node: &Node, negated: bool) -> Result<Expr, SyntaxError> {
        let test = match &node.kind {
            NodeKind::Everything => return Ok(lit(!negated)),
            NodeKind::And(parts) => return self.all(parts, Operator::And, negated),
            NodeKind::Or(parts) => return self.all(parts, Operator::Or, negated),
            NodeKind::Not(inner) => return self.node(inner, !negated),
            NodeKind::Body(test) => anywhere(test),
            NodeKind::Field {
                name,
                test,
                value_span,
                ..
            } => self.field(name, test, *value_span)?,
        };
        Ok(if negated { test.is_not_true() } else { test })
    }

    fn all(&self, parts: &[Node], operator: Operator, negated: bool) -> Result<Expr, SyntaxError> {
        let operator = match (operator, negated) {
            (Operator::And, true) => Operator::Or,
            (Operator::Or, true) => Operator::And,
            (same, _) => same,
        };
        let parts = parts
            .iter()
            .map(|part| self.node(part, negated))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(balanced(parts, operator))
    }

    fn field(&self, name: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
        let tested = |value: Expr| value_test(name, value, test, span);
        match Field::named(name) {
            Field::Attribute(columns) => {
                let tests = columns.into_iter().map(ident).map(tested);
                Ok(balanced(tests.collect::<Result<_, _>>()?, Operator::Or))
            }
            Field::BodyKey(path) => tested(json_value(ident(schema::BODY), &path)),
            Field::Text(column) => match test {
                Test::Compare(..) | Test::Range { .. } => Err(no_comparison(name, span)),
                _ => tested(ident(column)),
            },
            Field::Body => body_test(test, span),
            Field::Id(column, kind) => id_test(name, column, kind, test, span),
            Field::Severity => with_range(test, &|test| severity_test(name, test, span)),
            Field::Integer(column) => {
                with_range(test, &|test| integer_test(name, column, test, span))
            }
            Field::Time(column) => {
                with_range(test, &|test| self.time_test(name, column, test, span))
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
        let Some((operator, value)) = measured(name, test, span)? else {
            return Ok(ident(column).is_not_null());
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

/// A test of a quantity as an operator and its operand; `None` is the test that there is a value.
fn measured<'t>(
    name: &str,
    test: &'t Test,
    span: Span,
) -> Result<Option<(Operator, &'t str)>, SyntaxError> {
    match test {
        Test::Exists => Ok(None),
        Test::Is(value) => Ok(Some((Operator::Eq, value))),
        Test::Compare(comparison, value) => Ok(Some((operator_of(*comparison), value))),
        Test::Match(Match::Text(text)) => match text.as_literal() {
            Some(value) => Ok(Some((Operator::Eq, value))),
            None => Err(no_pattern(name, span)),
        },
        Test::Match(_) | Test::Range { .. } => Err(no_pattern(name, span)),
    }
}

/// A range as its comparisons, any other test as it is.
fn with_range(
    test: &Test,
    lower: &dyn Fn(&Test) -> Result<Expr, SyntaxError>,
) -> Result<Expr, SyntaxError> {
    let Test::Range { from, to } = test else {
        return lower(test);
    };
    let comparisons: Vec<Expr> = bounds(from, to)
        .map(|(comparison, value)| lower(&Test::Compare(comparison, value.to_owned())))
        .collect::<Result<_, _>>()?;
    match comparisons.is_empty() {
        true => lower(&Test::Exists),
        false => Ok(balanced(comparisons, Operator::And)),
    }
}

/// The ends of a range that are not open.
fn bounds<'t>(from: &'t End, to: &'t End) -> impl Iterator<Item = (Comparison, &'t str)> {
    let lower = match from {
        End::Open => None,
        End::Including(value) => Some((Comparison::GreaterOrEqual, value.as_str())),
        End::Excluding(value) => Some((Comparison::Greater, value.as_str())),
    };
    let upper = match to {
        End::Open => None,
        End::Including(value) => Some((Comparison::LessOrEqual, value.as_str())),
        End::Excluding(value) => Some((Comparison::Less, value.as_str())),
    };
    lower.into_iter().chain(upper)
}

/// A test without a field: of the body, or of the identifier that a text is.
fn anywhere(test: &Match) -> Expr {
    let in_body = body_match(test);
    let Match::Text(text) = test else {
        return in_body;
    };
    let digits = text
        .as_literal()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let Some(digits) = digits else {
        return in_body;
    };
    let id = lit(digits.to_ascii_lowercase());
    match digits.len() {
        32 => in_body.or(ident(schema::TRACE_ID).eq(id)),
        16 => in_body.or(ident(schema::SPAN_ID).eq(id)),
        _ => in_body,
    }
}

fn body_match(test: &Match) -> Expr {
    let body = ident(schema::BODY);
    match test {
        Match::Text(glob) => body_contains(glob),
        Match::Near { phrase, gaps } => has_near(body, phrase, *gaps),
        Match::Similar { text, edits } => has_similar(body, text, edits_of(text, *edits)),
        Match::Expression(expression) => has_match(body, expression),
    }
}

fn body_contains(glob: &Glob) -> Expr {
    let body = || ident(schema::BODY);
    // As written: in lower case a word such as "İ" may have characters that are in no word.
    let phrase = |text: &str| match words::split(text).collect::<Vec<_>>().as_slice() {
        [word] => has_word(body(), word),
        several => has_phrase(body(), &several.join(" ")),
    };
    if let Some(text) = glob.as_literal() {
        return phrase(text);
    }
    if let Some(text) = glob.as_prefix() {
        // In `foo-*` the word is whole: what may go on is the punctuation after it.
        let goes_on = text.ends_with(words::is_word_character);
        return match goes_on {
            true => has_prefix(body(), text),
            false => phrase(text),
        };
    }
    let patterns = readings(glob)
        .into_iter()
        .filter(|reading| Phrase::of_glob(reading).is_some())
        .map(|reading| has_pattern(body(), &reading));
    balanced(patterns.collect(), Operator::Or)
}

/// Every reading of the `?`s in a text for the body: one character of a word, or punctuation.
fn readings(glob: &Glob) -> Vec<Glob> {
    let mut readings: Vec<Vec<Part>> = vec![Vec::new()];
    for part in glob.parts() {
        let as_punctuation = match part {
            Part::One => readings.clone(),
            _ => Vec::new(),
        };
        readings
            .iter_mut()
            .for_each(|reading| reading.push(part.clone()));
        let punctuation = || Part::Literal(" ".to_owned());
        readings.extend(as_punctuation.into_iter().map(|mut reading| {
            reading.push(punctuation());
            reading
        }));
    }
    readings.into_iter().map(Glob::new).collect()
}

/// How many edits `word~` allows.
fn edits_of(text: &str, edits: Option<u8>) -> u8 {
    edits.unwrap_or(if text.chars().count() <= 5 { 1 } else { 2 })
}

fn body_test(test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let body = ident(schema::BODY);
    match test {
        Test::Exists => Ok(body.is_not_null()),
        Test::Is(text) => Ok(body.eq(lit(text.as_str()))),
        Test::Match(test) => {
            check_words(test, span)?;
            Ok(body_match(test))
        }
        Test::Compare(..) | Test::Range { .. } => Err(no_comparison("body", span)),
    }
}

fn severity_test(name: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let severity = || ident(schema::LEVEL_NUMBER);
    let is_set = || severity().between(lit(1), lit(24));
    let read = |value: &str| {
        let named = severity_from_name(value).map(|first| (first, true));
        let numbered = || value.parse().ok().map(|number: i32| (number, false));
        named.or_else(numbered).ok_or_else(|| {
            SyntaxError::new(span, format!("{value:?} is no severity")).hint(
                "expected trace, debug, info, warn, error, fatal, unset or a severity number; \
                 the source's own word is severity_text",
            )
        })
    };
    match measured(name, test, span)? {
        None => Ok(is_set()),
        Some((Operator::Eq, value)) => Ok(match read(value)? {
            (0, true) => is_set().is_not_true(),
            (first, true) => {
                let (first, last) = severity::level_bounds(first);
                severity().between(lit(first), lit(last))
            }
            (number, false) => severity().eq(lit(number)),
        }),
        Some((comparison, value)) => {
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
            // Unset is neither a low severity nor a high one, so a comparison never finds it.
            Ok(match comparison {
                Operator::GtEq => severity().gt_eq(lit(number)).and(severity().lt_eq(lit(24))),
                Operator::Gt => severity().gt(lit(last)).and(severity().lt_eq(lit(24))),
                Operator::Lt => severity().lt(lit(number)).and(severity().gt_eq(lit(1))),
                _ => severity().lt_eq(lit(last)).and(severity().gt_eq(lit(1))),
            })
        }
    }
}

fn integer_test(name: &str, column: &str, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    let Some((operator, value)) = measured(name, test, span)? else {
        return Ok(ident(column).is_not_null());
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
    let glob = match test {
        Test::Exists => return Ok(ident(column).is_not_null()),
        Test::Compare(..) | Test::Range { .. } => return Err(no_comparison(name, span)),
        Test::Is(value) => Glob::literal(value.as_str()),
        Test::Match(Match::Text(glob)) => glob.clone(),
        Test::Match(Match::Expression(expression)) => {
            return Ok(has_match(ident(column), expression));
        }
        Test::Match(Match::Near { .. } | Match::Similar { .. }) => {
            return Err(SyntaxError::new(span, format!("{name} takes no \"~\""))
                .hint("an identifier is known exactly, or by a part: 4bf92f*"));
        }
    };
    if let Some(value) = glob.as_literal() {
        let id = match kind {
            IdKind::Trace => value.parse::<TraceId>().map(|id| id.to_string()),
            IdKind::Span => value.parse::<SpanId>().map(|id| id.to_string()),
        };
        let id = id.map_err(|error| bad(error.to_string()))?;
        return Ok(ident(column).eq(lit(id)));
    }
    let mut parts = Vec::new();
    for part in glob.parts() {
        parts.push(match part {
            Part::Literal(digits) if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                return Err(bad(format!(
                    "{digits:?} has other characters than hex digits"
                )));
            }
            Part::Literal(digits) => Part::Literal(digits.to_ascii_lowercase()),
            wildcard => wildcard.clone(),
        });
    }
    Ok(fits(ident(column), &Glob::new(parts)))
}

/// A test of a value's text.
fn value_test(name: &str, value: Expr, test: &Test, span: Span) -> Result<Expr, SyntaxError> {
    match test {
        Test::Exists => Ok(value.is_not_null()),
        Test::Is(text) => Ok(value.eq(lit(text.as_str()))),
        Test::Match(Match::Text(glob)) => Ok(fits(value, glob)),
        Test::Match(Match::Similar { text, edits }) => {
            Ok(is_similar(value, text, edits_of(text, *edits)))
        }
        Test::Match(Match::Expression(expression)) => Ok(has_match(value, expression)),
        Test::Match(Match::Near { .. }) => Err(SyntaxError::new(
            span,
            format!("{name} is compared as a whole, so it has no words with gaps between them"),
        )
        .hint("for a fuzzy value write a backslash before each space, without quotes: a\\ b~1")),
        Test::Compare(comparison, operand) => {
            let bound = Quantity::read(name, operand, span)?;
            Ok(bound.compared(operator_of(*comparison), value))
        }
        Test::Range { from, to } => {
            let mut kinds = Vec::new();
            let mut comparisons = Vec::new();
            for (comparison, operand) in bounds(from, to) {
                let bound = Quantity::read(name, operand, span)?;
                kinds.push(std::mem::discriminant(&bound));
                comparisons.push(bound.compared(operator_of(comparison), value.clone()));
            }
            kinds.dedup();
            match kinds.len() {
                0 => Ok(value.is_not_null()),
                1 => Ok(balanced(comparisons, Operator::And)),
                _ => Err(SyntaxError::new(
                    span,
                    "the ends of a range are both numbers, both durations or both sizes",
                )),
            }
        }
    }
}

/// Whether a whole value fits.
fn fits(value: Expr, glob: &Glob) -> Expr {
    if let Some(text) = glob.as_literal() {
        return value.eq(lit(text));
    }
    match glob.as_prefix() {
        Some(beginning) => starts_with(value, lit(beginning)),
        None => is_like(value, glob),
    }
}

/// A bound, which decides how values are read.
enum Quantity {
    Number(f64),
    Seconds(f64),
    Bytes(f64),
}

impl Quantity {
    fn read(name: &str, operand: &str, span: Span) -> Result<Self, SyntaxError> {
        let number = || units::number(operand).map(Self::Number);
        let seconds = || units::duration_seconds(operand).map(Self::Seconds);
        let bytes = || units::size_bytes(operand).map(Self::Bytes);
        number().or_else(seconds).or_else(bytes).ok_or_else(|| {
            SyntaxError::new(span, format!("{name} cannot be compared with {operand:?}"))
                .hint("expected a number (500), a duration (250ms) or a size (10KB)")
        })
    }

    fn compared(self, operator: Operator, value: Expr) -> Expr {
        let (value, bound) = match self {
            Self::Number(bound) => (number(value), bound),
            Self::Seconds(bound) => (duration(value), bound),
            Self::Bytes(bound) => (size(value), bound),
        };
        binary_expr(value, operator, lit(bound))
    }
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

fn no_pattern(name: &str, span: Span) -> SyntaxError {
    SyntaxError::new(span, format!("{name} is not text, so it takes no pattern")).hint(format!(
        "write {name}:value, {name}:>=value or {name}:[a TO b]"
    ))
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
