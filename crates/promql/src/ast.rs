//! The syntax tree of a PromQL query; every node knows the bytes it was written in.
//!
//! Trees compare by what they say, not by where it stands: spans are left out of equality, and
//! NaN equals NaN. Printing a tree (`Display`) gives Prometheus' canonical text.

use std::fmt;

use model::Matcher;

use crate::functions::Function;
use crate::span::Span;

/// PromQL's four types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number without labels.
    Scalar,
    /// A text.
    String,
    /// One sample per label set.
    Vector,
    /// A window of samples per label set.
    Matrix,
}

impl ValueType {
    /// The type in Prometheus' words, as its errors and its API say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        }
    }

    /// The type in a sentence: `a scalar`, `an instant vector`.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Scalar => "a scalar",
            Self::String => "a string",
            Self::Vector => "an instant vector",
            Self::Matrix => "a range vector",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it was written, from its first to its last byte.
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `1e3`, `0x1f`, `Inf`, `5m`.
    Number(Number),
    /// `"text"`.
    String(String),
    /// `"\xff"`: a text that is no UTF-8, which can be no label's name.
    Bytes(Vec<u8>),
    /// `(expr)`.
    Paren(Box<Expr>),
    /// `-expr`, `+expr`.
    Unary(Box<Unary>),
    /// `a + b`, `a == bool b`, `a and on (l) b`.
    Binary(Box<Binary>),
    /// `sum by (l) (expr)`.
    Aggregate(Box<Aggregate>),
    /// `rate(expr)`.
    Call(Call),
    /// `metric{l="v"} offset 5m`.
    Selector(Box<Selector>),
    /// `metric[5m]`.
    Range(Box<RangeSelector>),
    /// `expr[1h:5m]`.
    Subquery(Box<Subquery>),
}

/// A number as a literal.
#[derive(Debug, Clone, Copy)]
pub struct Number {
    /// The number; a duration counts in seconds.
    pub value: f64,
    /// Whether it was written as a duration.
    pub is_duration: bool,
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        let same = self.value == other.value || (self.value.is_nan() && other.value.is_nan());
        same && self.is_duration == other.is_duration
    }
}

/// A sign before an operand.
#[derive(Debug, Clone, PartialEq)]
pub struct Unary {
    /// Whether the sign is `-`.
    pub negative: bool,
    /// A scalar or an instant vector.
    pub operand: Expr,
}

/// An operator between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `atan2`
    Atan2,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `</`: a histogram without its observations above a number
    TrimUpper,
    /// `>/`: a histogram without its observations below a number
    TrimLower,
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

impl BinaryOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares, so that it filters or takes `bool`.
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessEqual
                | Self::Greater
                | Self::GreaterEqual
        )
    }

    /// Whether it passes samples of the same metric on, rather than making another of them.
    pub fn keeps_metric(self) -> bool {
        self.is_comparison() || matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Whether it works on label sets alone.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Two operands with an operator between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub left: Expr,
    /// The right operand.
    pub right: Expr,
    /// Whether a comparison answers 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How samples of two vectors find each other.
    pub matching: VectorMatching,
}

/// Which side may have several samples for one match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cardinality {
    /// Neither.
    #[default]
    OneToOne,
    /// The left one: `group_left`.
    ManyToOne,
    /// The right one: `group_right`.
    OneToMany,
    /// Both; only set operators.
    ManyToMany,
}

/// How samples of two vectors find each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VectorMatching {
    /// Which side may have several samples for one match.
    pub cardinality: Cardinality,
    /// Whether `labels` are the only ones compared (`on`) or the ones left out (`ignoring`).
    pub on: bool,
    /// The labels named by `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The labels that `group_left` or `group_right` takes over from the "one" side.
    pub include: Vec<String>,
    /// What stands for a sample missing on the left: `fill`, `fill_left`.
    pub fill_left: Option<Number>,
    /// What stands for a sample missing on the right: `fill`, `fill_right`.
    pub fill_right: Option<Number>,
}

/// An aggregation over groups of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `count`
    Count,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `group`
    Group,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `count_values`
    CountValues,
    /// `quantile`
    Quantile,
    /// `limitk`
    Limitk,
    /// `limit_ratio`
    LimitRatio,
}

impl AggregateOp {
    /// Every aggregation.
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::CountValues,
        Self::Quantile,
        Self::Limitk,
        Self::LimitRatio,
    ];

    /// The name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// The type of the parameter before the vector, for those that take one.
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            Self::CountValues => Some(ValueType::String),
            _ => None,
        }
    }
}

/// `by (…)`, `without (…)` or neither.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Whether `labels` are the ones left out.
    pub without: bool,
    /// The labels named.
    pub labels: Vec<String>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// How samples are grouped.
    pub grouping: Grouping,
    /// The number or text before the vector, for those that take one.
    pub parameter: Option<Expr>,
    /// The vector.
    pub operand: Expr,
}

/// A function with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The function.
    pub function: &'static Function,
    /// The arguments, as many and of the types that the function takes.
    pub args: Vec<Expr>,
}

/// Series picked by name and labels, at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The metric name when it was written before the braces or quoted inside of them.
    pub name: Option<String>,
    /// Every condition; the first is on `__name__` when there is a `name`.
    pub matchers: Vec<Matcher>,
    /// `@` and `offset`; a range selector keeps those written behind its range here, too.
    pub time: TimeModifiers,
    /// `anchored` or `smoothed`.
    pub extension: Option<RangeExtension>,
}

/// How samples just outside of a range are used at its borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeExtension {
    /// `anchored`: the last sample before the range counts as one at its start.
    Anchored,
    /// `smoothed`: values at the borders are interpolated.
    Smoothed,
}

impl RangeExtension {
    /// The keyword.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }
}

/// `@` and `offset`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimeModifiers {
    /// The fixed instant.
    pub at: Option<At>,
    /// How far back; negative looks ahead.
    pub offset: Option<DurationExpr>,
}

/// A fixed instant of evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// `@ 1609746000`, kept as Unix ms.
    Millis(i64),
    /// `@ start()`: the first step of the query.
    Start,
    /// `@ end()`: the last step of the query.
    End,
}

/// A selector with a window.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSelector {
    /// The series; carries the time modifiers.
    pub selector: Selector,
    /// How far the window reaches back; positive once evaluated.
    pub range: DurationExpr,
}

/// An instant query evaluated at every step of a window.
#[derive(Debug, Clone, PartialEq)]
pub struct Subquery {
    /// The instant query.
    pub expr: Expr,
    /// How far the window reaches back.
    pub range: DurationExpr,
    /// The distance of steps; the evaluation interval when left out.
    pub step: Option<DurationExpr>,
    /// `@` and `offset`.
    pub time: TimeModifiers,
}

/// A duration, possibly computed: `5m`, `300`, `step() * 2`, `-(1h + 5m)`.
#[derive(Debug, Clone)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it was written.
    pub span: Span,
}

impl PartialEq for DurationExpr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// What a duration is made of; everything counts in seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum DurationKind {
    /// A number of seconds, possibly written as a duration.
    Literal(Number),
    /// `step()`: the query's step, 0 in an instant query.
    Step,
    /// `range()`: the query's end minus its start.
    Range,
    /// `-d` or `+d`.
    Negated(Box<DurationExpr>),
    /// `(d)`.
    Paren(Box<DurationExpr>),
    /// `a + b`, `min(a, b)`.
    Binary(DurationOp, Box<DurationExpr>, Box<DurationExpr>),
}

/// An operation on two durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// `min(a, b)`
    Min,
    /// `max(a, b)`
    Max,
}

impl DurationOp {
    /// The operator or function as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

impl Expr {
    /// The type of the expression's value.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) | ExprKind::Bytes(_) => ValueType::String,
            ExprKind::Paren(inner) => inner.value_type(),
            ExprKind::Unary(unary) => unary.operand.value_type(),
            ExprKind::Binary(binary) => {
                let scalars = binary.left.value_type() == ValueType::Scalar
                    && binary.right.value_type() == ValueType::Scalar;
                if scalars {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            ExprKind::Aggregate(_) | ExprKind::Selector(_) => ValueType::Vector,
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Range(_) | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }

    /// The direct operands and arguments, in the order of the text (a parameter before its vector).
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::String(_)
            | ExprKind::Bytes(_)
            | ExprKind::Selector(_)
            | ExprKind::Range(_) => Vec::new(),
            ExprKind::Paren(inner) => vec![inner],
            ExprKind::Unary(unary) => vec![&unary.operand],
            ExprKind::Binary(binary) => vec![&binary.left, &binary.right],
            ExprKind::Aggregate(aggregate) => aggregate
                .parameter
                .iter()
                .chain([&aggregate.operand])
                .collect(),
            ExprKind::Call(call) => call.args.iter().collect(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
        }
    }

    /// Every selector of series in the tree, in the order of the text.
    pub fn selectors(&self) -> Vec<&Selector> {
        let mut found = Vec::new();
        let mut pending = vec![self];
        while let Some(expr) = pending.pop() {
            match &expr.kind {
                ExprKind::Selector(selector) => found.push(selector.as_ref()),
                ExprKind::Range(range) => found.push(&range.selector),
                _ => pending.extend(expr.children().into_iter().rev()),
            }
        }
        found
    }

    /// The expression inside of any parentheses.
    pub fn unparenthesized(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }
}
