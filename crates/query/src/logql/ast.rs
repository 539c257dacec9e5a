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
        /// The `k` of `topk`, `bottomk` and `approx_topk`.
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
        /// `on (…)` or `ignoring (…)`, perhaps with `group_left` or `group_right`.
        matching: Option<VectorMatching>,
        /// The left side.
        left: Box<Expr>,
        /// The right side.
        right: Box<Expr>,
    },
    /// `label_replace(v, "to", "$1", "from", "(.*)")`: a label made of another one.
    LabelReplace {
        /// Whose labels.
        inner: Box<Expr>,
        /// The label that is set.
        destination: String,
        /// What it becomes, with `$1` for the first group.
        replacement: String,
        /// The label that is read.
        source: String,
        /// What the whole of it must match.
        pattern: String,
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
        alternatives: Vec<LineMatch>,
    },
    /// `| status >= 500 and method="GET"`: keeps lines by their labels.
    Label(LabelFilter),
    /// `| json` or `| json first="a.b[0]"`: fields of a line in JSON become labels; all of them
    /// when none is chosen.
    Json(Vec<Extraction>),
    /// `| logfmt`: the `key=value` pairs of a line become labels.
    Logfmt {
        /// `--strict`: a line that is no logfmt is an error.
        strict: bool,
        /// `--keep-empty`: keys without value become labels too.
        keep_empty: bool,
        /// The chosen keys; all when there are none.
        fields: Vec<Extraction>,
    },
    /// `| regexp "(?P<name>…)"`: named groups become labels.
    Regexp(String),
    /// `| pattern "<ip> - <_>"`: named captures become labels.
    Pattern(String),
    /// `| unpack`: a line that an agent packed becomes labels and its `_entry`.
    Unpack,
    /// `| decolorize`: terminal colours are taken out of the line.
    Decolorize,
    /// `| line_format "{{.a}}"`: a template's output becomes the line.
    LineFormat(String),
    /// `| label_format a=b, c="{{.d}}"`: labels are renamed or made by templates.
    LabelFormat(Vec<LabelFormat>),
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

impl StageKind {
    /// Whether the stage reads labels out of the line.
    pub fn parses(&self) -> bool {
        matches!(
            self,
            Self::Json(_) | Self::Logfmt { .. } | Self::Regexp(_) | Self::Pattern(_) | Self::Unpack
        )
    }

    /// Whether the line may be another one after the stage.
    pub fn changes_line(&self) -> bool {
        matches!(self, Self::Unpack | Self::Decolorize | Self::LineFormat(_))
    }
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
    /// `|>`
    Pattern,
    /// `!>`
    PatternNot,
}

impl LineOp {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::ContainsNot => "!=",
            Self::Matches => "|~",
            Self::MatchesNot => "!~",
            Self::Pattern => "|>",
            Self::PatternNot => "!>",
        }
    }

    /// Whether lines that match are dropped.
    pub fn is_negated(self) -> bool {
        matches!(
            self,
            Self::ContainsNot | Self::MatchesNot | Self::PatternNot
        )
    }
}

/// What a line filter looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineMatch {
    /// A text, regular expression or pattern, as the operator says.
    Text(String),
    /// `ip("10.0.0.0/8")`: an address of these.
    Ip(String),
}

/// A field that becomes a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extraction {
    /// The label.
    pub label: String,
    /// Where its value lies: a path in JSON, a key in logfmt.
    pub path: String,
}

/// A label that `label_format` sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFormat {
    /// The label.
    pub label: String,
    /// What it becomes.
    pub source: LabelSource,
}

/// What `label_format` makes a label of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelSource {
    /// Another label, which goes.
    Rename(String),
    /// The output of a template.
    Template(String),
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
    /// The label's text is an address of these.
    Ip {
        /// The label.
        name: String,
        /// Whether it must be none of them.
        negated: bool,
        /// An address, a network or a range of addresses.
        addresses: String,
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
        /// The growth of an unwrapped counter for each second.
        RateCounter = "rate_counter",
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
        /// Their standard deviation.
        Stddev = "stddev_over_time",
        /// Their variance.
        Stdvar = "stdvar_over_time",
        /// A quantile of them.
        Quantile = "quantile_over_time",
        /// 1 when there is no line.
        Absent = "absent_over_time",
    }
}

impl RangeOp {
    /// Whether the function can work on unwrapped values.
    pub fn may_unwrap(self) -> bool {
        self.needs_unwrap() || matches!(self, Self::Rate | Self::Absent)
    }

    /// Whether the function works on unwrapped values alone.
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
        /// Their standard deviation.
        Stddev = "stddev",
        /// Their variance.
        Stdvar = "stdvar",
        /// All of them, the smallest first.
        Sort = "sort",
        /// All of them, the largest first.
        SortDesc = "sort_desc",
        /// The `k` largest, with their labels.
        Topk = "topk",
        /// The `k` smallest, with their labels.
        Bottomk = "bottomk",
        /// As `topk`; Loki estimates it, here it is exact.
        ApproxTopk = "approx_topk",
    }
}

impl AggregateOp {
    /// Whether it takes a `k`.
    pub fn takes_parameter(self) -> bool {
        matches!(self, Self::Topk | Self::Bottomk | Self::ApproxTopk)
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

/// `on (…)` or `ignoring (…)`, perhaps with `group_left (…)` or `group_right (…)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorMatching {
    /// Whether only these labels count, or all others.
    pub on: bool,
    /// The labels.
    pub labels: Vec<String>,
    /// Which side may have several label sets for one of the other.
    pub many: Option<Many>,
}

/// The side of which several label sets may meet one of the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Many {
    /// Whether it is the left side.
    pub left: bool,
    /// The labels that the other side gives to the result.
    pub include: Vec<String>,
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
                if let Some(matching) = matching {
                    write!(f, " {matching}")?;
                }
                f.write_str(" ")?;
                write_side(f, right)
            }
            ExprKind::LabelReplace {
                inner,
                destination,
                replacement,
                source,
                pattern,
            } => {
                write!(f, "label_replace({inner}")?;
                for text in [destination, replacement, source, pattern] {
                    f.write_str(", ")?;
                    write_string(f, text)?;
                }
                f.write_str(")")
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

impl fmt::Display for VectorMatching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.on { "on" } else { "ignoring" };
        write!(f, "{word} ({})", self.labels.join(", "))?;
        match &self.many {
            Some(Many { left, include }) => {
                let side = if *left { "group_left" } else { "group_right" };
                write!(f, " {side} ({})", include.join(", "))
            }
            None => Ok(()),
        }
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
                f.write_str(op.as_str())?;
                for (index, alternative) in alternatives.iter().enumerate() {
                    f.write_str(if index == 0 { " " } else { " or " })?;
                    match alternative {
                        LineMatch::Text(text) => write_string(f, text)?,
                        LineMatch::Ip(addresses) => write_ip(f, addresses)?,
                    }
                }
                Ok(())
            }
            StageKind::Label(filter) => write!(f, "| {filter}"),
            StageKind::Json(fields) => {
                f.write_str("| json")?;
                write_extractions(f, fields)
            }
            StageKind::Logfmt {
                strict,
                keep_empty,
                fields,
            } => {
                f.write_str("| logfmt")?;
                f.write_str(if *strict { " --strict" } else { "" })?;
                f.write_str(if *keep_empty { " --keep-empty" } else { "" })?;
                write_extractions(f, fields)
            }
            StageKind::Regexp(pattern) => write_stage_text(f, "regexp", pattern),
            StageKind::Pattern(pattern) => write_stage_text(f, "pattern", pattern),
            StageKind::Unpack => f.write_str("| unpack"),
            StageKind::Decolorize => f.write_str("| decolorize"),
            StageKind::LineFormat(template) => write_stage_text(f, "line_format", template),
            StageKind::LabelFormat(formats) => {
                f.write_str("| label_format")?;
                for (index, format) in formats.iter().enumerate() {
                    let comma = if index == 0 { " " } else { ", " };
                    write!(f, "{comma}{}=", format.label)?;
                    match &format.source {
                        LabelSource::Rename(label) => f.write_str(label)?,
                        LabelSource::Template(template) => write_string(f, template)?,
                    }
                }
                Ok(())
            }
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

fn write_stage_text(f: &mut fmt::Formatter<'_>, stage: &str, text: &str) -> fmt::Result {
    write!(f, "| {stage} ")?;
    write_string(f, text)
}

fn write_ip(f: &mut fmt::Formatter<'_>, addresses: &str) -> fmt::Result {
    f.write_str("ip(")?;
    write_string(f, addresses)?;
    f.write_str(")")
}

fn write_extractions(f: &mut fmt::Formatter<'_>, fields: &[Extraction]) -> fmt::Result {
    for (index, field) in fields.iter().enumerate() {
        let comma = if index == 0 { " " } else { ", " };
        write!(f, "{comma}{}=", field.label)?;
        write_string(f, &field.path)?;
    }
    Ok(())
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
            Self::Ip {
                name,
                negated,
                addresses,
            } => {
                write!(f, "{name}{}", if *negated { "!=" } else { "=" })?;
                write_ip(f, addresses)
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
