//! Which part of a log query the table answers, and which is left for the pipeline.
//!
//! Selectors, line filters and filters on labels that are columns become one DataFusion filter,
//! so that the index and column statistics can help; those stages are then done. The other stages
//! run over the rows that remain. A stage that changes labels ends what can be pushed down, apart
//! from line filters, which no stage we have changes.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::{coalesce, contains, nullif};
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, ident, lit};
use model::MatchOp;

use crate::functions::{duration, number, size};
use crate::logql::ast::{
    CompareOp, LabelFilter, LabelMatcher, LineOp, LogExpr, Quantity, Stage, StageKind,
};
use crate::logql::labels::{DETECTED_LEVEL, FIXED, SERVICE_NAME, STREAM, only_key};
use crate::{schema, severity};

/// A log query, split.
pub(super) struct Pushdown {
    /// What the table filters by.
    pub(super) filter: Expr,
    /// The stages that are left.
    pub(super) stages: Vec<Stage>,
}

/// Splits a log query.
pub(super) fn split(log: &LogExpr) -> Pushdown {
    let mut filter = selector(&log.matchers);
    let mut stages = Vec::new();
    let mut labels_are_columns = true;
    for stage in &log.stages {
        let pushed = match &stage.kind {
            StageKind::Line { op, alternatives } => Some(line_filter(*op, alternatives)),
            StageKind::Label(label) if labels_are_columns => label_filter(label),
            StageKind::Label(_) => None,
            _ => {
                labels_are_columns = false;
                None
            }
        };
        match pushed {
            Some(condition) => filter = filter.and(condition),
            None => stages.push(stage.clone()),
        }
    }
    Pushdown { filter, stages }
}

/// The filter of a selector. A label that is no stream label is absent, hence empty.
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
    STREAM
        .iter()
        .find(|(name, _)| *name == label)
        .map(|(_, key)| schema::resource_column(key))
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

/// The value of a label that is made of columns alone.
fn label_value(label: &str) -> Option<LabelValue> {
    if let Some(stream) = stream_value(label) {
        return Some(stream);
    }
    let columns = match label {
        DETECTED_LEVEL => vec![severity::detected_level_value()],
        // Loki has no such label on a record without severity.
        schema::SEVERITY_NUMBER => {
            let number = ident(label);
            let set = nullif(number, lit(0_i32));
            vec![cast(set, DataType::Utf8)]
        }
        _ if FIXED.contains(&label) => vec![ident(label)],
        _ => {
            let key = only_key(label)?;
            vec![
                ident(schema::attribute_column(key)),
                ident(schema::resource_column(key)),
            ]
        }
    };
    Some(LabelValue { columns })
}

/// A label filter as a condition on columns, when all its labels are columns. It may be null where
/// it does not hold: only single comparisons are ever negated, and those with care.
fn label_filter(filter: &LabelFilter) -> Option<Expr> {
    Some(match filter {
        LabelFilter::Match(matcher) => {
            text_matches(&label_value(&matcher.name)?, matcher.op, &matcher.value)
        }
        LabelFilter::Compare {
            name, op, bound, ..
        } => {
            let text = label_value(name)?.text();
            let (value, bound) = match bound {
                Quantity::Number(bound) => (number(text), *bound),
                Quantity::Duration(nanos) => (
                    duration(text),
                    *nanos as f64 / model::time::NANOS_PER_SECOND as f64,
                ),
                Quantity::Bytes(bytes) => (size(text), *bytes),
            };
            binary_expr(value, operator(*op), lit(bound))
        }
        LabelFilter::And(left, right) => label_filter(left)?.and(label_filter(right)?),
        LabelFilter::Or(left, right) => label_filter(left)?.or(label_filter(right)?),
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

fn regex_matches(value: &LabelValue, pattern: &str) -> Expr {
    if pattern == ".*" {
        return lit(true);
    }
    if let Some(literals) = literal_alternatives(pattern) {
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
fn line_filter(op: LineOp, alternatives: &[String]) -> Expr {
    let line = || ident(schema::BODY);
    let one = |text: &String| match op {
        LineOp::Contains | LineOp::ContainsNot if text.is_empty() => lit(true),
        LineOp::Contains | LineOp::ContainsNot => contains(line(), lit(text.as_str())),
        LineOp::Matches | LineOp::MatchesNot => {
            let matched = regex(line(), text);
            if regex::Regex::new(text).is_ok_and(|regex| regex.is_match("")) {
                line().is_null().or(matched)
            } else {
                matched
            }
        }
    };
    let any = alternatives
        .iter()
        .map(one)
        .reduce(Expr::or)
        .unwrap_or_else(|| lit(true));
    match op {
        LineOp::Contains | LineOp::Matches => any,
        LineOp::ContainsNot | LineOp::MatchesNot => any.is_not_true(),
    }
}
