//! LogQL as a tree. Every node knows its place; printing it gives the same query again.

use std::fmt;

use model::MatchOp;
use model::time::format_duration;

use crate::error::Span;

/// An expression with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// The expression.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The expressions.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A log query: gives lines.
    Log(LogExpr),
    /// A function over the lines in a window: gives one value for each label set.
    Range(RangeAggregation),
    /// A combination of label sets.
    Aggregate {
        /// Which one.
        op: AggregateOp,
        /// The `k` of `topk` and `bottomk`.
        parameter: Option<u64>,
        /// `by (…)` or `without (…)`; absent: everything becomes one.
        grouping: Option<Grouping>,
        /// Over what.
        inner: Box<Expr>,
    },
    /// An operator between two values.
    Binary {
        /// Which one.
        op: BinaryOp,
        /// `bool`: a comparison gives 0 or 1 instead of filtering.
        bool_modifier: bool,
        /// `on (…)` or `ignoring (…)`.
        matching: Option<VectorMatching>,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `vector(n)`: a value without labels.
    Vector(f64),
    /// A number.
    Number(f64),
}

/// A selector and what its lines go through.
#[derive(Debug, Clone, PartialEq)]
pub struct LogExpr {
    /// The conditions on stream labels.
    pub matchers: Vec<LabelMatcher>,
    /// The stages, in order.
    pub stages: Vec<Stage>,
}

/// One condition on a label's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMatcher {
    /// The label.
    pub name: String,
    /// The comparison; regular expressions are anchored at both ends.
    pub op: MatchOp,
    /// The value or regular expression.
    pub value: String,
    /// Where it stands.
    pub span: Span,
}

/// One stage of a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The stage.
    pub kind: StageKind,
    /// Where it stands, operator or `|` included.
    pub span: Span,
}

/// The stages.
#[derive(Debug, Clone, PartialEq)]
pub enum StageKind {
    /// `|= "a" or "b"`: keeps lines by their text.
    Line {
        /// The comparison.
        op: LineOp,
        /// The alternatives, at least one. A negated filter wants none of them.
        alternatives: Vec<String>,
    },
    /// `| status >= 500 and method="GET"`: keeps lines by their labels.
    Label(LabelFilter),
    /// `| json`: the fields of a line in JSON become labels.
    Json,
    /// `| logfmt`: the `key=value` pairs of a line become labels.
    Logfmt,
    /// `| drop a, b="x"`: removes labels.
    Drop(Vec<LabelChoice>),
    /// `| keep a, b="x"`: removes all other labels.
    Keep(Vec<LabelChoice>),
    /// `| unwrap duration(took)`: the label whose number a range function works on.
    Unwrap {
        /// The label.
        label: String,
        /// How its text is read.
        conversion: Conversion,
    },
}

/// The comparisons of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    ContainsNot,
    /// `|~`
    Matches,
    /// `!~`
    MatchesNot,
}

/// How `unwrap` reads a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// As a number.
    Number,
    /// `duration(l)`: as a duration, in seconds.
    Duration,
    /// `bytes(l)`: as a size, in bytes.
    Bytes,
}

/// A label that `drop` or `keep` names, perhaps only with certain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelChoice {
    /// The label.
    pub name: String,
    /// The value that it must have.
    pub value: Option<(MatchOp, String)>,
}

/// A condition on labels.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelFilter {
    /// Text against text.
    Match(LabelMatcher),
    /// The label's text, read as a quantity, against a quantity.
    Compare {
        /// The label.
        name: String,
        /// The comparison.
        op: CompareOp,
        /// The bound, in the quantity's base unit.
        bound: Quantity,
        /// Where it stands.
        span: Span,
    },
    /// Both.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// Either.
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

/// A number with its kind of unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// Without unit.
    Number(f64),
    /// Nanoseconds.
    Duration(i64),
    /// Bytes.
    Bytes(f64),
}

/// The comparisons of quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareOp {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl CompareOp {
    /// Whether `left op right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }

    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// `rate({…}[5m] offset 1h)`
#[derive(Debug, Clone, PartialEq)]
pub struct RangeAggregation {
    /// The function.
    pub op: RangeOp,
    /// The quantile of `quantile_over_time`.
    pub parameter: Option<f64>,
    /// The lines.
    pub log: LogExpr,
    /// How long the window is, ns, positive.
    pub range: i64,
    /// How far back the window lies, ns; negative: ahead.
    pub offset: i64,
    /// `by (…)` or `without (…)` directly after the function, for those that unwrap.
    pub grouping: Option<Grouping>,
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one that is written so.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text)
            }
        }
    };
}

named! {
    /// The functions over a window of lines.
    RangeOp {
        /// Lines.
        Count = "count_over_time",
        /// Lines, or the sum of unwrapped values, for each second.
        Rate = "rate",
        /// Bytes of the lines.
        Bytes = "bytes_over_time",
        /// Bytes of the lines for each second.
        BytesRate = "bytes_rate",
        /// The sum of unwrapped values.
        Sum = "sum_over_time",
        /// Their mean.
        Avg = "avg_over_time",
        /// The smallest.
        Min = "min_over_time",
        /// The largest.
        Max = "max_over_time",
        /// The oldest.
        First = "first_over_time",
        /// The newest.
        Last = "last_over_time",
        /// A quantile of them.
        Quantile = "quantile_over_time",
        /// 1 when there is no line.
        Absent = "absent_over_time",
    }
}

impl RangeOp {
    /// Whether the function works on unwrapped values.
    pub fn needs_unwrap(self) -> bool {
        !matches!(
            self,
            Self::Count | Self::Rate | Self::Bytes | Self::BytesRate | Self::Absent
        )
    }
}

named! {
    /// The combinations of label sets.
    AggregateOp {
        /// Their sum.
        Sum = "sum",
        /// Their mean.
        Avg = "avg",
        /// The smallest.
        Min = "min",
        /// The largest.
        Max = "max",
        /// How many there are.
        Count = "count",
        /// The `k` largest, with their labels.
        Topk = "topk",
        /// The `k` smallest, with their labels.
        Bottomk = "bottomk",
    }
}

impl AggregateOp {
    /// Whether it takes a `k`.
    pub fn takes_parameter(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk)
    }
}

named! {
    /// The operators between values.
    BinaryOp {
        /// Sum.
        Add = "+",
        /// Difference.
        Subtract = "-",
        /// Product.
        Multiply = "*",
        /// Quotient.
        Divide = "/",
        /// Remainder, with the dividend's sign.
        Modulo = "%",
        /// Power.
        Power = "^",
        /// Equal.
        Equal = "==",
        /// Not equal.
        NotEqual = "!=",
        /// Less.
        Less = "<",
        /// Less or equal.
        LessOrEqual = "<=",
        /// Greater.
        Greater = ">",
        /// Greater or equal.
        GreaterOrEqual = ">=",
        /// The left sides that have a right side.
        And = "and",
        /// The left sides, and the right ones that have no left side.
        Or = "or",
        /// The left sides that have no right side.
        Unless = "unless",
    }
}

impl BinaryOp {
    /// How tightly it binds; more binds tighter.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Modulo => 5,
            Self::Power => 6,
            _ => 3,
        }
    }

    /// The comparison that it is.
    pub fn comparison(self) -> Option<CompareOp> {
        Some(match self {
            Self::Equal => CompareOp::Equal,
            Self::NotEqual => CompareOp::NotEqual,
            Self::Less => CompareOp::Less,
            Self::LessOrEqual => CompareOp::LessOrEqual,
            Self::Greater => CompareOp::Greater,
            Self::GreaterOrEqual => CompareOp::GreaterOrEqual,
            _ => return None,
        })
    }

    /// Whether it works on label sets rather than numbers.
    pub fn is_set_operator(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// `by (…)` or `without (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Whether the names are the ones that go.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// `on (…)` or `ignoring (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorMatching {
    /// Whether only these labels count, or all others.
    pub on: bool,
    /// The labels.
    pub labels: Vec<String>,
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Log(log) => log.fmt(f),
            ExprKind::Range(range) => range.fmt(f),
            ExprKind::Aggregate {
                op,
                parameter,
                grouping,
                inner,
            } => {
                f.write_str(op.as_str())?;
                if let Some(grouping) = grouping {
                    write!(f, " {grouping} ")?;
                }
                match parameter {
                    Some(parameter) => write!(f, "({parameter}, {inner})"),
                    None => write!(f, "({inner})"),
                }
            }
            ExprKind::Binary {
                op,
                bool_modifier,
                matching,
                left,
                right,
            } => {
                write_side(f, left)?;
                write!(f, " {}", op.as_str())?;
                if *bool_modifier {
                    f.write_str(" bool")?;
                }
                if let Some(VectorMatching { on, labels }) = matching {
                    let word = if *on { "on" } else { "ignoring" };
                    write!(f, " {word} ({})", labels.join(", "))?;
                }
                f.write_str(" ")?;
                write_side(f, right)
            }
            ExprKind::Vector(number) => write!(f, "vector({number})"),
            ExprKind::Number(number) => write!(f, "{number}"),
        }
    }
}

fn write_side(f: &mut fmt::Formatter<'_>, side: &Expr) -> fmt::Result {
    match side.kind {
        ExprKind::Binary { .. } => write!(f, "({side})"),
        _ => write!(f, "{side}"),
    }
}

impl fmt::Display for Grouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.without { "without" } else { "by" };
        write!(f, "{word} ({})", self.labels.join(", "))
    }
}

impl fmt::Display for RangeAggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(parameter) = self.parameter {
            write!(f, "{parameter}, ")?;
        }
        write!(f, "{} [{}]", self.log, format_duration(self.range))?;
        if self.offset != 0 {
            write!(f, " offset {}", format_duration(self.offset))?;
        }
        f.write_str(")")?;
        match &self.grouping {
            Some(grouping) => write!(f, " {grouping}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LogExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, matcher) in self.matchers.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")?;
        for stage in &self.stages {
            write!(f, " {stage}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LabelMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.op.as_str())?;
        write_string(f, &self.value)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StageKind::Line { op, alternatives } => {
                f.write_str(match op {
                    LineOp::Contains => "|=",
                    LineOp::ContainsNot => "!=",
                    LineOp::Matches => "|~",
                    LineOp::MatchesNot => "!~",
                })?;
                for (index, alternative) in alternatives.iter().enumerate() {
                    f.write_str(if index == 0 { " " } else { " or " })?;
                    write_string(f, alternative)?;
                }
                Ok(())
            }
            StageKind::Label(filter) => write!(f, "| {filter}"),
            StageKind::Json => f.write_str("| json"),
            StageKind::Logfmt => f.write_str("| logfmt"),
            StageKind::Drop(choices) => write_choices(f, "drop", choices),
            StageKind::Keep(choices) => write_choices(f, "keep", choices),
            StageKind::Unwrap { label, conversion } => match conversion {
                Conversion::Number => write!(f, "| unwrap {label}"),
                Conversion::Duration => write!(f, "| unwrap duration({label})"),
                Conversion::Bytes => write!(f, "| unwrap bytes({label})"),
            },
        }
    }
}

fn write_choices(f: &mut fmt::Formatter<'_>, word: &str, choices: &[LabelChoice]) -> fmt::Result {
    write!(f, "| {word}")?;
    for (index, choice) in choices.iter().enumerate() {
        let comma = if index == 0 { " " } else { ", " };
        write!(f, "{comma}{}", choice.name)?;
        if let Some((op, value)) = &choice.value {
            f.write_str(op.as_str())?;
            write_string(f, value)?;
        }
    }
    Ok(())
}

impl fmt::Display for LabelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match(matcher) => matcher.fmt(f),
            Self::Compare {
                name, op, bound, ..
            } => {
                write!(f, "{name} {} ", op.as_str())?;
                match bound {
                    Quantity::Number(number) => write!(f, "{number}"),
                    Quantity::Duration(nanos) => f.write_str(&format_duration(*nanos)),
                    Quantity::Bytes(bytes) => write!(f, "{bytes}B"),
                }
            }
            Self::And(left, right) => write!(f, "({left} and {right})"),
            Self::Or(left, right) => write!(f, "({left} or {right})"),
        }
    }
}

/// Writes a string in double quotes, with the escapes that the lexer reads.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}
