//! A search as a tree. Printing it gives a query that reads as the same tree.

use std::fmt;

use crate::error::Span;
use crate::glob::{Glob, Part};
use crate::search::parser::{ESCAPABLE, is_drive, is_plain_name, parse};

/// A whole search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What must hold for a record.
    pub root: Node,
}

/// One condition with its place in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The condition.
    pub kind: NodeKind,
    /// Where it stands.
    pub span: Span,
}

/// The conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// `*`, or nothing at all: every record.
    Everything,
    /// A test of the body without a field's name.
    Body(Match),
    /// A test of one field. A list, `field:(a OR b)`, is as many tests.
    Field {
        /// The field's name.
        name: String,
        /// Where the name stands.
        name_span: Span,
        /// What is asked of its value.
        test: Test,
        /// Where the value stands, operator included.
        value_span: Span,
    },
    /// Every part, at least two.
    And(Vec<Node>),
    /// Any part, at least two.
    Or(Vec<Node>),
    /// Not this one.
    Not(Box<Node>),
}

/// What is asked of a field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `field:*`
    Exists,
    /// `field:value`
    Match(Match),
    /// `field:=value`
    Is(String),
    /// `field:>=value`
    Compare(Comparison, String),
    /// `field:[a TO b]`
    Range {
        /// The lower end.
        from: End,
        /// The upper end.
        to: End,
    },
}

/// What a text is matched against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match {
    /// `word`, `"a phrase"`, `conn*`: as meant, unquoted and unescaped.
    Text(Glob),
    /// `"a phrase"~3`
    Near {
        /// The phrase.
        phrase: String,
        /// How many other words may stand between its words.
        gaps: u32,
    },
    /// `word~`, `word~1`
    Similar {
        /// The word, or a whole value.
        text: String,
        /// The most edits; `None` when the text's length decides.
        edits: Option<u8>,
    },
    /// `/expression/`, as written between the slashes.
    Expression(String),
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// `*`
    Open,
    /// `[a` or `a]`
    Including(String),
    /// `{a` or `a}`
    Excluding(String),
}

/// The comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The operator as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            NodeKind::Everything => f.write_str("*"),
            NodeKind::Body(test) => {
                let bare = test.written(Form::Bare);
                // Beside a field these words need their quotes.
                let reads_back = !matches!(bare.as_str(), "and" | "or" | "not")
                    && parse(&bare).is_ok_and(|query| query.root.kind == self.kind);
                match reads_back {
                    true => f.write_str(&bare),
                    false => f.write_str(&test.written(Form::Safe)),
                }
            }
            NodeKind::Field { name, test, .. } => {
                let test = test.to_string();
                let is_path = is_drive(name) && test.starts_with('\\');
                if is_plain_name(name) && !is_path {
                    write!(f, "{name}:{test}")
                } else {
                    write!(f, "{}:{test}", quoted(name))
                }
            }
            NodeKind::And(parts) => write_joined(f, parts, " AND "),
            NodeKind::Or(parts) => write_joined(f, parts, " OR "),
            NodeKind::Not(inner) => {
                f.write_str("NOT ")?;
                write_operand(f, inner)
            }
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.written(Form::Bare);
        let reads_back = match parse(&format!("x:{bare}")).map(|query| query.root.kind) {
            Ok(NodeKind::Field { test, .. }) => test == *self,
            _ => false,
        };
        match reads_back {
            true => f.write_str(&bare),
            false => f.write_str(&self.written(Form::Safe)),
        }
    }
}

/// How texts are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they are; it may read as something else.
    Bare,
    /// In quotes, or with every special character escaped where quotes would change the meaning.
    Safe,
}

impl Form {
    fn of_text(self, text: &str) -> String {
        match self {
            Self::Bare if !text.contains('\\') => text.to_owned(),
            _ => quoted(text),
        }
    }

    fn of_glob(self, glob: &Glob) -> String {
        if let Some(text) = glob.as_literal() {
            return self.of_text(text);
        }
        if let (Self::Safe, Some(beginning)) = (self, glob.as_prefix()) {
            return format!("{}*", quoted(beginning));
        }
        let parts = glob.parts().iter().map(|part| match part {
            Part::Any => "*".to_owned(),
            Part::One => "?".to_owned(),
            Part::Literal(text) => self.escaped(text),
        });
        parts.collect()
    }

    fn escaped(self, text: &str) -> String {
        if self == Self::Bare && !text.contains('\\') {
            return text.to_owned();
        }
        let mut escaped = String::new();
        for character in text.chars() {
            if ESCAPABLE.contains(&character) || character.is_whitespace() {
                escaped.push('\\');
            }
            escaped.push(character);
        }
        escaped
    }
}

impl Match {
    fn written(&self, form: Form) -> String {
        match self {
            Self::Text(glob) => form.of_glob(glob),
            Self::Near { phrase, gaps } => format!("{}~{gaps}", quoted(phrase)),
            Self::Similar { text, edits } => {
                let edits = edits.map(|edits| edits.to_string()).unwrap_or_default();
                format!("{}~{edits}", form.escaped(text))
            }
            Self::Expression(expression) => format!("/{expression}/"),
        }
    }
}

impl Test {
    fn written(&self, form: Form) -> String {
        match self {
            Self::Exists => "*".to_owned(),
            Self::Match(test) => test.written(form),
            Self::Is(value) => format!("={}", form.of_text(value)),
            Self::Compare(comparison, value) => {
                format!("{}{}", comparison.as_str(), form.of_text(value))
            }
            Self::Range { from, to } => {
                let (open, from) = match from {
                    End::Open => ('[', "*".to_owned()),
                    End::Including(value) => ('[', form.of_text(value)),
                    End::Excluding(value) => ('{', form.of_text(value)),
                };
                let (to, close) = match to {
                    End::Open => ("*".to_owned(), ']'),
                    End::Including(value) => (form.of_text(value), ']'),
                    End::Excluding(value) => (form.of_text(value), '}'),
                };
                format!("{open}{from} TO {to}{close}")
            }
        }
    }
}

fn write_joined(f: &mut fmt::Formatter<'_>, parts: &[Node], separator: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write_operand(f, part)?;
    }
    Ok(())
}

/// Writes an operand, in parentheses when it is itself a combination.
fn write_operand(f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
    match node.kind {
        NodeKind::And(_) | NodeKind::Or(_) => write!(f, "({node})"),
        _ => write!(f, "{node}"),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
