//! A search as a tree. Printing it gives a query that reads as the same tree.

use std::fmt;

use crate::error::Span;
use crate::search::parser::{is_plain_name, reads_as_plain_text, reads_as_plain_value};

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
    /// A word, a term of several words such as `10.0.0.1`, or a phrase, in the body.
    Text {
        /// As meant: unquoted and unescaped.
        text: String,
        /// Whether the last word may go on: `conn*`.
        prefix: bool,
    },
    /// A test of one field.
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
    Equals(String),
    /// `field:value*`
    StartsWith(String),
    /// `field:>=value`
    Compare(Comparison, String),
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
            NodeKind::Text { text, prefix } => {
                if reads_as_plain_text(text, *prefix) {
                    f.write_str(text)?;
                } else {
                    write_quoted(f, text)?;
                }
                f.write_str(if *prefix { "*" } else { "" })
            }
            NodeKind::Field { name, test, .. } => {
                if is_plain_name(name) {
                    write!(f, "{name}:{test}")
                } else {
                    write_quoted(f, name)?;
                    write!(f, ":{test}")
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
        let write_value = |f: &mut fmt::Formatter<'_>, value: &str, prefix: bool| {
            if reads_as_plain_value(value, prefix) {
                f.write_str(value)
            } else {
                write_quoted(f, value)
            }
        };
        match self {
            Self::Exists => f.write_str("*"),
            Self::Equals(value) => write_value(f, value, false),
            Self::StartsWith(value) => {
                write_value(f, value, true)?;
                f.write_str("*")
            }
            Self::Compare(comparison, value) => {
                f.write_str(comparison.as_str())?;
                write_value(f, value, false)
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

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for character in text.chars() {
        match character {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '\r' => f.write_str("\\r")?,
            other => write!(f, "{other}")?,
        }
    }
    f.write_str("\"")
}
