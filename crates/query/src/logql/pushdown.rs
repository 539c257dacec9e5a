//! Which part of a log query the table answers, and which is left for the pipeline.
//!
//! Selectors, line filters and filters on labels that are columns become one DataFusion filter,
//! so that the index and column statistics can help. What the filter says exactly is then done;
//! what it says only in part (patterns, comparisons that may fail, one side of an `and`) narrows
//! the rows, and the stage runs over those that remain. A stage that changes labels or lines ends
//! what can be pushed down of filters on them.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::{coalesce, contains, nullif};
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, ident, lit};
use model::MatchOp;
use model::stream::{self, OF_RECORDS};

use crate::functions::{duration, number, size};
use crate::logql::ast::{
    CompareOp, LabelFilter, LabelMatcher, LineMatch, LineOp, LogExpr, Quantity, Stage, StageKind,
};
use crate::logql::labels::{DETECTED_LEVEL, SERVICE_NAME, is_reserved, only_key};
use crate::logql::line_pattern::LinePattern;
use crate::logql::pipeline::{ERROR, ERROR_DETAILS, seconds};
use crate::{schema, severity};

/// A log query, split.
pub(super) struct Pushdown {
    /// What the table filters by.
    pub(super) filter: Expr,
    /// The stages that are left.
    pub(super) stages: Vec<Stage>,
}

/// A condition on rows that a stage's lines fulfil.
struct Condition {
    expr: Expr,
    /// Whether it says all that the stage says.
    exact: bool,
}

impl Condition {
    fn exact(expr: Expr) -> Self {
        Self { expr, exact: true }
    }

    fn in_part(expr: Expr) -> Self {
        Self { expr, exact: false }
    }
}

/// Splits a log query.
pub(super) fn split(log: &LogExpr) -> Pushdown {
    let mut filter = selector(&log.matchers);
    let mut stages = Vec::new();
    let (mut labels_are_columns, mut line_is_body) = (true, true);
    for stage in &log.stages {
        let condition = match &stage.kind {
            StageKind::Line { op, alternatives } if line_is_body => line_filter(*op, alternatives),
            StageKind::Label(label) if labels_are_columns => label_filter(label),
            StageKind::Line { .. } | StageKind::Label(_) => None,
            kind => {
                line_is_body &= !kind.changes_line();
                // What only rewrites the line leaves the labels alone.
                labels_are_columns &= matches!(
                    kind,
                    StageKind::Decolorize | StageKind::LineFormat(_) | StageKind::Unwrap { .. }
                );
                None
            }
        };
        let done = condition.as_ref().is_some_and(|condition| condition.exact);
        if let Some(Condition { expr, .. }) = condition {
            filter = filter.and(expr);
        }
        if !done {
            stages.push(stage.clone());
        }
    }
    Pushdown { filter, stages }
}

/// The filter of a selector. A label that no stream has is absent, hence empty.
pub(super) fn selector(matchers: &[LabelMatcher]) -> Expr {
    matchers
        .iter()
        .map(|matcher| match stream_value(&matcher.name) {
            Some(value) => text_matches(&value, matcher.op, &matcher.value),
            None => lit(matches_empty(matcher.op, &matcher.value)),
        })
        .reduce(Expr::and)
        .unwrap_or_else(|| lit(true))
}

/// The column of a stream label.
pub(super) fn stream_column(label: &str) -> Option<String> {
    if label == SERVICE_NAME {
        return Some(schema::SERVICE.to_owned());
    }
    stream::key_of_label(label).map(schema::resource_column)
}

/// A label's text: that of a column, or of the first of several that is there and not empty.
struct LabelValue {
    columns: Vec<Expr>,
}

impl LabelValue {
    fn text(&self) -> Expr {
        match self.columns.as_slice() {
            [only] => only.clone(),
            several => coalesce(
                several
                    .iter()
                    .map(|column| nullif(column.clone(), lit("")))
                    .collect(),
            ),
        }
    }

    /// `text = value`, as equalities of columns, which an index knows.
    fn equals(&self, value: &str) -> Expr {
        let mut absent: Option<Expr> = None;
        let mut either: Option<Expr> = None;
        for column in &self.columns {
            let equal = column.clone().eq(lit(value));
            let here = match &absent {
                None => equal,
                Some(absent) => absent.clone().and(equal),
            };
            either = Some(match either {
                None => here,
                Some(earlier) => earlier.or(here),
            });
            let missing = column.clone().is_null().or(column.clone().eq(lit("")));
            absent = Some(match absent {
                None => missing,
                Some(earlier) => earlier.and(missing),
            });
        }
        either.unwrap_or_else(|| lit(false))
    }
}

fn stream_value(label: &str) -> Option<LabelValue> {
    stream_column(label).map(|column| LabelValue {
        columns: vec![ident(column)],
    })
}

fn is_error(label: &str) -> bool {
    label == ERROR || label == ERROR_DETAILS
}

/// The text of a label as a value to group rows by, null where it is absent; `None` when only the
/// pipeline can tell.
pub(super) fn label_text(label: &str) -> Option<Expr> {
    label_value(label).map(|value| nullif(value.text(), lit("")))
}

/// The value of a label that is made of columns alone.
fn label_value(label: &str) -> Option<LabelValue> {
    if is_error(label) {
        return None;
    }
    let columns = match label {
        DETECTED_LEVEL => vec![severity::detected_level_value()],
        // Loki has no such label on a record without severity.
        schema::SEVERITY_NUMBER => {
            let number = ident(label);
            let set = nullif(number, lit(0_i32));
            vec![cast(set, DataType::Utf8)]
        }
        _ if OF_RECORDS.contains(&label) => vec![ident(label)],
        _ if is_reserved(label) => return stream_value(label),
        _ => {
            let key = only_key(label)?;
            vec![
                ident(schema::resource_column(key)),
                ident(schema::attribute_column(key)),
            ]
        }
    };
    Some(LabelValue { columns })
}

/// A label filter as a condition on columns, as far as its labels are columns. It may be null
/// where it does not hold: only single comparisons are ever negated, and those with care.
fn label_filter(filter: &LabelFilter) -> Option<Condition> {
    Some(match filter {
        LabelFilter::Match(matcher) => {
            let value = label_value(&matcher.name)?;
            Condition::exact(text_matches(&value, matcher.op, &matcher.value))
        }
        LabelFilter::Compare {
            name, op, bound, ..
        } => {
            let text = label_value(name)?.text();
            let present = text.clone().is_not_null();
            let (value, bound) = match bound {
                Quantity::Number(bound) => (number(text), *bound),
                Quantity::Duration(nanos) => (duration(text), seconds(*nanos)),
                Quantity::Bytes(bytes) => {
                    (coalesce(vec![size(text.clone()), number(text)]), *bytes)
                }
            };
            // A text that cannot be read passes, with an error that the stage puts on it.
            let holds = binary_expr(value, operator(*op), lit(bound)).is_not_false();
            Condition::in_part(present.and(holds))
        }
        LabelFilter::Ip { name, .. } => Condition::in_part(label_value(name)?.text().is_not_null()),
        LabelFilter::And(left, right) => match (label_filter(left), label_filter(right)) {
            (Some(left), Some(right)) => Condition {
                exact: left.exact && right.exact,
                expr: left.expr.and(right.expr),
            },
            (Some(one), None) | (None, Some(one)) => Condition::in_part(one.expr),
            (None, None) => return None,
        },
        LabelFilter::Or(left, right) => {
            let (left, right) = (label_filter(left)?, label_filter(right)?);
            Condition {
                exact: left.exact && right.exact,
                expr: left.expr.or(right.expr),
            }
        }
    })
}

fn operator(op: CompareOp) -> Operator {
    match op {
        CompareOp::Equal => Operator::Eq,
        CompareOp::NotEqual => Operator::NotEq,
        CompareOp::Less => Operator::Lt,
        CompareOp::LessOrEqual => Operator::LtEq,
        CompareOp::Greater => Operator::Gt,
        CompareOp::GreaterOrEqual => Operator::GtEq,
    }
}

fn text_matches(value: &LabelValue, op: MatchOp, operand: &str) -> Expr {
    let positive = match op {
        MatchOp::Equal | MatchOp::NotEqual if operand.is_empty() => {
            let text = value.text();
            text.clone().is_null().or(text.eq(lit("")))
        }
        MatchOp::Equal | MatchOp::NotEqual => value.equals(operand),
        MatchOp::Regex | MatchOp::NotRegex => regex_matches(value, operand),
    };
    match op {
        MatchOp::Equal | MatchOp::Regex => positive,
        MatchOp::NotEqual | MatchOp::NotRegex => positive.is_not_true(),
    }
}

/// The most equalities that a regular expression is taken apart into: they nest as deep as there
/// are any.
const MAX_EQUALITIES: usize = 64;

fn regex_matches(value: &LabelValue, pattern: &str) -> Expr {
    if pattern == ".*" {
        return lit(true);
    }
    if let Some(literals) = literal_alternatives(pattern) {
        if let [column] = value.columns.as_slice() {
            let values = literals.into_iter().map(lit).collect();
            return column.clone().in_list(values, false);
        }
        if literals.len() > MAX_EQUALITIES {
            return regex(value.text(), &anchored(pattern));
        }
        return literals
            .iter()
            .map(|literal| value.equals(literal))
            .reduce(Expr::or)
            .unwrap_or_else(|| lit(false));
    }
    let text = value.text();
    let matched = regex(text.clone(), &anchored(pattern));
    if matches_empty(MatchOp::Regex, pattern) {
        return text.is_null().or(matched);
    }
    matched
}

/// `a|b|c` of plain words, as Grafana writes variables with several values.
fn literal_alternatives(pattern: &str) -> Option<Vec<&str>> {
    let alternatives: Vec<&str> = pattern.split('|').collect();
    let plain = |text: &&str| -> bool {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':' | ' ' | '@'))
    };
    alternatives.iter().all(plain).then_some(alternatives)
}

/// A regular expression that must match a whole text.
pub(super) fn anchored(pattern: &str) -> String {
    format!("^(?s:{pattern})$")
}

/// Whether an absent label, which counts as empty, passes.
fn matches_empty(op: MatchOp, operand: &str) -> bool {
    let equal = || operand.is_empty();
    let matched = || regex::Regex::new(&anchored(operand)).is_ok_and(|regex| regex.is_match(""));
    match op {
        MatchOp::Equal => equal(),
        MatchOp::NotEqual => !equal(),
        MatchOp::Regex => matched(),
        MatchOp::NotRegex => !matched(),
    }
}

fn regex(text: Expr, pattern: &str) -> Expr {
    let pattern = Expr::Literal(ScalarValue::Utf8(Some(pattern.to_owned())), None);
    binary_expr(text, Operator::RegexMatch, pattern)
}

/// A line filter. A record without body has an empty line.
fn line_filter(op: LineOp, alternatives: &[LineMatch]) -> Option<Condition> {
    let mut conditions = Vec::with_capacity(alternatives.len());
    for alternative in alternatives {
        let LineMatch::Text(text) = alternative else {
            return None;
        };
        conditions.push(line_condition(op, text)?);
    }
    let exact = conditions.iter().all(|condition| condition.exact);
    let any = conditions
        .into_iter()
        .map(|condition| condition.expr)
        .reduce(Expr::or)?;
    match (op.is_negated(), exact) {
        (false, _) => Some(Condition { expr: any, exact }),
        (true, true) => Some(Condition::exact(any.is_not_true())),
        // That a part does not hold says nothing about the whole.
        (true, false) => None,
    }
}

/// Whether a line is as one alternative of a filter says, its negation left out.
fn line_condition(op: LineOp, text: &str) -> Option<Condition> {
    let line = || ident(schema::BODY);
    Some(match op {
        LineOp::Contains | LineOp::ContainsNot if text.is_empty() => Condition::exact(lit(true)),
        LineOp::Contains | LineOp::ContainsNot => Condition::exact(contains(line(), lit(text))),
        LineOp::Matches | LineOp::MatchesNot => {
            let matched = regex(line(), text);
            let matches_empty = regex::Regex::new(text).is_ok_and(|regex| regex.is_match(""));
            Condition::exact(match matches_empty {
                true => line().is_null().or(matched),
                false => matched,
            })
        }
        LineOp::Pattern | LineOp::PatternNot => {
            let pattern = LinePattern::filter(text).ok()?;
            let literals = pattern
                .literals()
                .map(|literal| contains(line(), lit(literal)))
                .reduce(Expr::and)?;
            Condition::in_part(literals)
        }
    })
}
