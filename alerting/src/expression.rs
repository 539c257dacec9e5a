//! A rule's PromQL: the text, what it reads, and how far it looks back.

use std::collections::BTreeSet;

use model::MatchOp;
use model::labels::METRIC_NAME;
use promql::ast::{DurationExpr, DurationKind, DurationOp, ExprKind, TimeModifiers, ValueType};
use promql::{Expr, ParseError, Span};

/// A parsed expression of a rule.
#[derive(Debug, Clone)]
pub struct Expression {
    text: String,
    window_ms: i64,
    reads: Reads,
}

/// The metrics an expression may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Only these.
    Names(BTreeSet<String>),
    /// Any: a selector leaves the name open.
    Anything,
}

impl Expression {
    /// Parses `text`, which must yield a scalar or an instant vector.
    ///
    /// # Errors
    ///
    /// No PromQL, or another type of result.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let parsed = promql::parse(text)?;
        let kind = parsed.value_type();
        if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
            let message = format!("a rule needs a scalar or an instant vector, got a {kind}");
            return Err(ParseError::new(text, Span::new(0, text.len()), message));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            window_ms: window_of(&parsed),
            reads: reads_of(&parsed),
        })
    }

    /// The text without surrounding white space.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How far back the widest range of the expression begins, ms; 0 without ranges.
    pub fn window_ms(&self) -> i64 {
        self.window_ms
    }

    /// The metrics it may read.
    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }
}

impl Reads {
    /// Whether a metric called `name` may be among them.
    pub(crate) fn may_include(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(name),
            Self::Anything => true,
        }
    }
}

fn reads_of(expr: &Expr) -> Reads {
    let mut names = BTreeSet::new();
    for selector in expr.selectors() {
        let exact = selector
            .matchers
            .iter()
            .find(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal);
        match exact {
            Some(matcher) => names.insert(matcher.value.clone()),
            None => return Reads::Anything,
        };
    }
    Reads::Names(names)
}

fn window_of(expr: &Expr) -> i64 {
    let own = match &expr.kind {
        ExprKind::Range(range) => millis(&range.range) + back(&range.selector.time),
        ExprKind::Selector(selector) => back(&selector.time),
        ExprKind::Subquery(subquery) => millis(&subquery.range) + back(&subquery.time),
        _ => 0,
    };
    let inner = expr.children().into_iter().map(window_of).max();
    own.max(0) + inner.unwrap_or(0)
}

fn back(time: &TimeModifiers) -> i64 {
    time.offset.as_ref().map_or(0, millis).max(0)
}

fn millis(duration: &DurationExpr) -> i64 {
    (seconds(duration) * 1_000.0) as i64
}

/// A duration's length as far as it is known without a query's step and range.
fn seconds(duration: &DurationExpr) -> f64 {
    match &duration.kind {
        DurationKind::Literal(number) => number.value,
        DurationKind::Step | DurationKind::Range => 0.0,
        DurationKind::Negated(inner) => -seconds(inner),
        DurationKind::Paren(inner) => seconds(inner),
        DurationKind::Binary(op, left, right) => {
            let (left, right) = (seconds(left), seconds(right));
            match op {
                DurationOp::Add => left + right,
                DurationOp::Sub => left - right,
                DurationOp::Mul => left * right,
                DurationOp::Div => left / right,
                DurationOp::Mod => left % right,
                DurationOp::Pow => left.powf(right),
                DurationOp::Min => left.min(right),
                DurationOp::Max => left.max(right),
            }
        }
    }
}
