//! Printing a tree as Prometheus' canonical text, which parses to the same tree again.

use std::fmt;

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use crate::ast::{
    Aggregate, At, Binary, Call, Cardinality, DurationExpr, DurationKind, DurationOp, Expr,
    ExprKind, Number, RangeSelector, Selector, Subquery, TimeModifiers, VectorMatching,
};
use crate::parser::number::format_duration;
use crate::parser::quote::{quote, quote_bytes};

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Bytes(bytes) => f.write_str(&quote_bytes(bytes)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary(unary) => {
                let sign = if unary.negative { '-' } else { '+' };
                write!(f, "{sign}{}", unary.operand)
            }
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregate(aggregate) => aggregate.fmt(f),
            ExprKind::Call(call) => call.fmt(f),
            ExprKind::Selector(selector) => selector.fmt(f),
            ExprKind::Range(range) => range.fmt(f),
            ExprKind::Subquery(subquery) => subquery.fmt(f),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_duration {
            return f.write_str(&format_duration(self.value));
        }
        if self.value.is_infinite() {
            return f.write_str(if self.value > 0.0 { "+Inf" } else { "-Inf" });
        }
        // Without an exponent and with every digit, as Go's 'f' format; NaN prints as NaN.
        write!(f, "{}", self.value)
    }
}

impl fmt::Display for Binary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.left, self.operator(), self.right)
    }
}

impl Binary {
    /// What stands between the operands: `== bool on (job) group_left ()`.
    pub(crate) fn operator(&self) -> String {
        let bool = if self.return_bool { " bool" } else { "" };
        format!("{}{bool}{}", self.op.as_str(), self.matching)
    }
}

/// Prints with a leading space, or nothing.
impl fmt::Display for VectorMatching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if !self.labels.is_empty() || self.on || group.is_some() {
            let keyword = if self.on { "on" } else { "ignoring" };
            write!(f, " {keyword} ({})", LabelList(&self.labels))?;
        }
        if let Some(group) = group {
            write!(f, " {group} ({})", LabelList(&self.include))?;
        }
        match (self.fill_left, self.fill_right) {
            (Some(left), Some(right)) if left == right => write!(f, " fill ({left})"),
            (left, right) => {
                if let Some(left) = left {
                    write!(f, " fill_left ({left})")?;
                }
                if let Some(right) = right {
                    write!(f, " fill_right ({right})")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.head();
        match &self.parameter {
            Some(parameter) => write!(f, "{head}({parameter}, {})", self.operand),
            None => write!(f, "{head}({})", self.operand),
        }
    }
}

impl Aggregate {
    /// What stands before the parenthesis: `sum by (job) `, or just `sum`.
    pub(crate) fn head(&self) -> String {
        let op = self.op.as_str();
        let labels = LabelList(&self.grouping.labels);
        if self.grouping.without {
            format!("{op} without ({labels}) ")
        } else if !self.grouping.labels.is_empty() {
            format!("{op} by ({labels}) ")
        } else {
            op.to_owned()
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name)?;
        for (index, arg) in self.args.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{arg}")?;
        }
        f.write_str(")")
    }
}

/// Labels joined by commas, quoted when they are no plain names.
struct LabelList<'a>(&'a [String]);

impl fmt::Display for LabelList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, label) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", label_name(label))?;
        }
        Ok(())
    }
}

fn label_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { quote(name) }
}

fn matcher(matcher: &Matcher) -> String {
    let name = label_name(&matcher.name);
    format!("{name}{}{}", matcher.op.as_str(), quote(&matcher.value))
}

impl Selector {
    /// The name and the matchers, without modifiers.
    fn series(&self) -> String {
        let is_name = |matcher: &&Matcher| {
            let named = self
                .name
                .as_ref()
                .is_some_and(|name| *name == matcher.value);
            named && matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal
        };
        let mut matchers: Vec<String> = self
            .matchers
            .iter()
            .filter(|candidate| !is_name(candidate))
            .map(matcher)
            .collect();
        matchers.sort();
        let name = self.name.as_deref().unwrap_or_default();
        if matchers.is_empty() && !name.is_empty() {
            return name.to_owned();
        }
        format!("{name}{{{}}}", matchers.join(","))
    }

    fn extension_suffix(&self) -> String {
        match self.extension {
            Some(extension) => format!(" {}", extension.as_str()),
            None => String::new(),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, offset) = (self.time.at_suffix(), self.time.offset_suffix());
        let extension = self.extension_suffix();
        write!(f, "{}{at}{extension}{offset}", self.series())
    }
}

impl fmt::Display for RangeSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = &self.selector.time;
        let (at, offset) = (time.at_suffix(), time.offset_suffix());
        let extension = self.selector.extension_suffix();
        let series = self.selector.series();
        write!(f, "{series}[{}]{extension}{at}{offset}", self.range)
    }
}

impl fmt::Display for Subquery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, self.suffix())
    }
}

impl Subquery {
    /// What stands behind the instant query: `[1h:5m] offset 1d`.
    pub(crate) fn suffix(&self) -> String {
        let range = &self.range;
        let step = self.step.as_ref().map(ToString::to_string);
        let step = step.unwrap_or_default();
        let (at, offset) = (self.time.at_suffix(), self.time.offset_suffix());
        format!("[{range}:{step}]{at}{offset}")
    }
}

impl TimeModifiers {
    fn at_suffix(&self) -> String {
        match self.at {
            None => String::new(),
            Some(At::Start) => " @ start()".to_owned(),
            Some(At::End) => " @ end()".to_owned(),
            Some(At::Millis(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                format!(" @ {sign}{}.{:03}", ms / 1_000, ms % 1_000)
            }
        }
    }

    fn offset_suffix(&self) -> String {
        match &self.offset {
            Some(offset) => format!(" offset {offset}"),
            None => String::new(),
        }
    }
}

impl fmt::Display for DurationExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Literal(number) => number.fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Negated(inner) => write!(f, "-{inner}"),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
            DurationKind::Binary(op, left, right) => match op {
                DurationOp::Min => write!(f, "min({left}, {right})"),
                DurationOp::Max => write!(f, "max({left}, {right})"),
                _ => write!(f, "{left} {} {right}", op.as_str()),
            },
        }
    }
}
