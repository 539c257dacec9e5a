//! Reads a search.
//!
//! ```text
//! or    := and ("OR" and)*
//! and   := unary ("AND"? unary)*
//! unary := ("NOT" | "-") unary | "(" or ")" | "*" | field ":" test | text
//! text  := (term | quoted) "*"?
//! test  := "*" | (term | quoted) "*"? | ("<" | "<=" | ">" | ">=") (term | quoted)
//! ```
//!
//! A term ends at a space, a parenthesis or a quote. What stands before its first `:` is a field
//! only when it looks like a name and neither `//`, `:` nor `\` follows, so that URLs, times,
//! `std::io` and Windows paths stay text.

use crate::error::{Span, SyntaxError};
use crate::search::ast::{Comparison, Node, NodeKind, Query, Test};
use crate::words;

/// How deep parentheses and `NOT`s may nest.
pub const MAX_DEPTH: usize = 64;
/// How many words, phrases and field tests a query may have.
pub const MAX_TERMS: usize = 200;
/// How long a query may be, bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// Characters that a backslash takes literally outside of quotes.
const ESCAPABLE: [char; 8] = ['\\', '*', '"', '(', ')', ':', '-', ' '];

/// Reads a search; an empty one matches every record.
///
/// # Errors
///
/// Anything that is not understood, with its position.
pub fn parse(text: &str) -> Result<Query, SyntaxError> {
    if text.len() > MAX_LENGTH {
        let message = format!(
            "the query has {} bytes; at most {MAX_LENGTH} are read",
            text.len()
        );
        return Err(SyntaxError::new(Span::new(0, text.len()), message));
    }
    let mut parser = Parser {
        text,
        position: 0,
        depth: 0,
        terms: 0,
    };
    parser.skip_spaces();
    if parser.at_end() {
        return Ok(Query {
            root: Node {
                kind: NodeKind::Everything,
                span: Span::default(),
            },
        });
    }
    let root = parser.or()?;
    if parser.at_end() {
        return Ok(Query { root });
    }
    // Only a closing parenthesis stops an expression before the end.
    Err(parser
        .error_here(1, "\")\" has no \"(\" before it")
        .hint("remove it, or quote it to search for text"))
}

/// Whether a text, with a `*` after it if `prefix`, can be written without quotes.
pub(super) fn reads_as_plain_text(text: &str, prefix: bool) -> bool {
    let expected = NodeKind::Text {
        text: text.to_owned(),
        prefix,
    };
    let star = if prefix { "*" } else { "" };
    !text.contains('\\')
        && parse(&format!("{text}{star}")).is_ok_and(|query| query.root.kind == expected)
}

/// Whether a value, with a `*` after it if `prefix`, can be written without quotes.
pub(super) fn reads_as_plain_value(value: &str, prefix: bool) -> bool {
    let (star, expected) = if prefix {
        ("*", Test::StartsWith(value.to_owned()))
    } else {
        ("", Test::Equals(value.to_owned()))
    };
    !value.contains('\\')
        && matches!(
            parse(&format!("x:{value}{star}")).map(|query| query.root.kind),
            Ok(NodeKind::Field { test, .. }) if test == expected
        )
}

/// Whether a field's name needs no quotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | '@'))
        && characters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@'))
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
    terms: usize,
}

/// A term or quoted text, unescaped.
struct Literal {
    text: String,
    quoted: bool,
    /// Whether an unescaped `*` follows it directly.
    star: bool,
    span: Span,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Node, SyntaxError> {
        let mut parts = vec![self.and()?];
        while self.take_keyword("OR") {
            self.expect_operand("OR")?;
            parts.push(self.and()?);
        }
        Ok(combine(parts, NodeKind::Or))
    }

    fn and(&mut self) -> Result<Node, SyntaxError> {
        let mut parts = vec![self.unary()?];
        loop {
            if self.take_keyword("AND") {
                self.expect_operand("AND")?;
            } else if self.at_end() || self.peek() == Some(')') || self.at_keyword("OR") {
                return Ok(combine(parts, NodeKind::And));
            }
            parts.push(self.unary()?);
        }
    }

    fn unary(&mut self) -> Result<Node, SyntaxError> {
        let start = self.position;
        for keyword in ["AND", "OR"] {
            if self.at_keyword(keyword) {
                return Err(self
                    .error_here(keyword.len(), format!("{keyword} has nothing before it"))
                    .hint(format!("to search for the word, quote it: \"{keyword}\"")));
            }
        }
        if self.take_keyword("NOT") {
            self.expect_operand("NOT")?;
            return self.negation(start);
        }
        if self.peek() == Some('-') && self.minus_negates() {
            self.position += 1;
            return self.negation(start);
        }
        if self.peek() == Some('(') {
            return self.group();
        }
        self.terms += 1;
        if self.terms > MAX_TERMS {
            let rest = self.text.len() - self.position;
            return Err(self.error_here(
                rest,
                format!("the query has more than {MAX_TERMS} words and fields"),
            ));
        }
        let node = self.term_or_field()?;
        self.skip_spaces();
        Ok(node)
    }

    fn negation(&mut self, start: usize) -> Result<Node, SyntaxError> {
        self.enter()?;
        let inner = self.unary()?;
        self.depth -= 1;
        let span = Span::new(start, inner.span.end());
        Ok(Node {
            kind: NodeKind::Not(Box::new(inner)),
            span,
        })
    }

    fn group(&mut self) -> Result<Node, SyntaxError> {
        let start = self.position;
        self.enter()?;
        self.position += 1;
        self.skip_spaces();
        if self.peek() == Some(')') {
            let span = Span::new(start, self.position + 1);
            return Err(
                SyntaxError::new(span, "there is nothing between \"(\" and \")\"")
                    .hint("quote the parentheses to search for text"),
            );
        }
        if self.at_end() {
            return Err(unclosed_group(start));
        }
        let mut inner = self.or()?;
        if self.peek() != Some(')') {
            return Err(unclosed_group(start));
        }
        self.position += 1;
        self.depth -= 1;
        inner.span = Span::new(start, self.position);
        if self.peek().is_some_and(|c| !c.is_whitespace() && c != ')') {
            return Err(self
                .error_here(1, "a space is missing after \")\"")
                .hint("quote the whole to search for text"));
        }
        self.skip_spaces();
        Ok(inner)
    }

    fn enter(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error_here(
                1,
                format!("parentheses and NOTs nest deeper than {MAX_DEPTH}"),
            ));
        }
        Ok(())
    }

    fn term_or_field(&mut self) -> Result<Node, SyntaxError> {
        let start = self.position;
        if self.peek() == Some('"') {
            let literal = self.quoted()?;
            if !literal.star && self.peek() == Some(':') {
                self.position += 1;
                return self.field(literal.text, literal.span);
            }
            self.expect_boundary("a quoted text")?;
            return text_node(literal);
        }
        if let Some(name) = self.field_name() {
            let name_span = Span::new(start, start + name.len());
            self.position = name_span.end() + 1;
            return self.field(name.to_owned(), name_span);
        }
        self.refuse_operator_signs()?;
        let literal = self.term()?;
        self.expect_boundary("a word")?;
        if literal.text.is_empty() && literal.star {
            return Ok(Node {
                kind: NodeKind::Everything,
                span: literal.span,
            });
        }
        text_node(literal)
    }

    /// The name before the next `:`, when it is a field's.
    fn field_name(&self) -> Option<&'a str> {
        let rest = &self.text[self.position..];
        let (name, after) = rest.split_once(':')?;
        let is_text = after.starts_with("//") || after.starts_with(':') || after.starts_with('\\');
        (is_plain_name(name) && !is_text).then_some(name)
    }

    fn field(&mut self, name: String, name_span: Span) -> Result<Node, SyntaxError> {
        if name == "_exists_" {
            return Err(SyntaxError::new(name_span, "\"_exists_\" is not a field")
                .hint("to find records that have a field, write field:*"));
        }
        let start = self.position;
        let rest = &self.text[start..];
        if rest
            .chars()
            .next()
            .is_none_or(|c| c.is_whitespace() || c == ')')
        {
            let span = Span::new(name_span.offset, start);
            return Err(SyntaxError::new(span, format!("\"{name}:\" has no value")).hint(format!(
                "{name}:* finds records that have the field; quote \"{name}:\" to search for text"
            )));
        }
        let comparison = self.comparison(&name)?;
        let literal = match self.peek() {
            Some('"') => self.quoted()?,
            _ => {
                self.refuse_later_syntax(&name)?;
                self.term()?
            }
        };
        self.expect_boundary("a value")?;
        let value_span = Span::new(start, self.position);
        let test = match comparison {
            None if literal.text.is_empty() && !literal.quoted && literal.star => Test::Exists,
            None if literal.star => Test::StartsWith(literal.text),
            None => Test::Equals(literal.text),
            Some(_) if literal.star => {
                return Err(SyntaxError::new(
                    literal.span,
                    "a comparison takes a whole value, not one that ends in \"*\"",
                ));
            }
            Some(comparison) if literal.text.is_empty() => {
                return Err(SyntaxError::new(
                    value_span,
                    format!("\"{name}:{}\" has no value", comparison.as_str()),
                )
                .hint("write the value without a space before it"));
            }
            Some(comparison) => Test::Compare(comparison, literal.text),
        };
        Ok(Node {
            kind: NodeKind::Field {
                name,
                name_span,
                test,
                value_span,
            },
            span: name_span.to(value_span),
        })
    }

    fn comparison(&mut self, name: &str) -> Result<Option<Comparison>, SyntaxError> {
        let rest = &self.text[self.position..];
        let (comparison, length) = match rest.as_bytes() {
            [b'>', b'=', ..] => (Comparison::GreaterOrEqual, 2),
            [b'>', ..] => (Comparison::Greater, 1),
            [b'<', b'=', ..] => (Comparison::LessOrEqual, 2),
            [b'<', ..] => (Comparison::Less, 1),
            [b'=', ..] => {
                return Err(self
                    .error_here(1, format!("\"{name}:=\" is not a test"))
                    .hint(format!("{name}:value already means equal")));
            }
            [b'!', ..] => {
                return Err(self
                    .error_here(1, format!("\"{name}:!\" is not a test"))
                    .hint(format!("write NOT {name}:value")));
            }
            _ => return Ok(None),
        };
        self.position += length;
        Ok(Some(comparison))
    }

    /// Refuses what other search languages, or a later version of this one, read as a regular
    /// expression, a range or a list, rather than searching for its text.
    fn refuse_later_syntax(&self, name: &str) -> Result<(), SyntaxError> {
        let rest = &self.text[self.position..];
        let term = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
        let (what, way_out) = match term.chars().next() {
            Some('(') => ("a list of values", format!("write {name}:a OR {name}:b")),
            Some('[' | '{') => ("a range", format!("write {name}:>=a AND {name}:<=b")),
            Some('/') if term.len() > 2 && term.ends_with('/') => (
                "a regular expression",
                format!("try a prefix: {name}:value*"),
            ),
            _ => return Ok(()),
        };
        Err(self
            .error_here(term.len(), format!("{what} is not supported here: {term}"))
            .hint(format!("{way_out}; quote the value to match it as text")))
    }

    fn refuse_operator_signs(&self) -> Result<(), SyntaxError> {
        let rest = &self.text[self.position..];
        for (sign, word) in [("&&", "AND"), ("||", "OR"), ("!", "NOT")] {
            if rest.starts_with(sign) {
                return Err(self
                    .error_here(sign.len(), format!("\"{sign}\" is not an operator"))
                    .hint(format!("write {word}, or quote the text")));
            }
        }
        Ok(())
    }

    /// A run of characters up to a space, parenthesis or quote.
    fn term(&mut self) -> Result<Literal, SyntaxError> {
        let start = self.position;
        let mut text = String::new();
        while let Some(character) = self.peek() {
            match character {
                c if c.is_whitespace() => break,
                '(' | ')' | '"' => break,
                '*' => {
                    self.position += 1;
                    if self.peek().is_some_and(|c| !c.is_whitespace() && c != ')') {
                        return Err(SyntaxError::new(
                            Span::new(self.position - 1, self.position),
                            "\"*\" is understood only at the end of a word or value",
                        )
                        .hint("write \\* for the character itself"));
                    }
                    return Ok(Literal {
                        text,
                        quoted: false,
                        star: true,
                        span: Span::new(start, self.position),
                    });
                }
                '\\' => {
                    self.position += 1;
                    match self.peek().filter(|next| ESCAPABLE.contains(next)) {
                        Some(next) => {
                            text.push(next);
                            self.position += 1;
                        }
                        None => text.push('\\'),
                    }
                }
                c => {
                    text.push(c);
                    self.position += c.len_utf8();
                }
            }
        }
        Ok(Literal {
            text,
            quoted: false,
            star: false,
            span: Span::new(start, self.position),
        })
    }

    /// A text in double quotes; the parser stands on the opening one.
    fn quoted(&mut self) -> Result<Literal, SyntaxError> {
        let start = self.position;
        self.position += 1;
        let mut text = String::new();
        loop {
            let Some(character) = self.peek() else {
                return Err(SyntaxError::new(
                    Span::new(start, self.text.len()),
                    "the quote that begins here has no end",
                )
                .hint("write \\\" for a quote that is part of the text"));
            };
            self.position += character.len_utf8();
            match character {
                '"' => break,
                '\\' => text.push(self.quoted_escape()?),
                c => text.push(c),
            }
        }
        let star = self.peek() == Some('*');
        if star {
            self.position += 1;
        }
        Ok(Literal {
            text,
            quoted: true,
            star,
            span: Span::new(start, self.position),
        })
    }

    fn quoted_escape(&mut self) -> Result<char, SyntaxError> {
        let backslash = self.position - 1;
        let next = self.peek();
        self.position += next.map_or(0, char::len_utf8);
        match next {
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some(c @ ('"' | '\\')) => Ok(c),
            _ => Err(SyntaxError::new(
                Span::new(backslash, self.position),
                format!(
                    "unknown escape \"{}\"",
                    &self.text[backslash..self.position]
                ),
            )
            .hint("write \\\\ for a backslash")),
        }
    }

    /// Two things must not touch: `a"b"` or `f(x)` could mean either of two queries.
    fn expect_boundary(&self, what: &str) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && c != ')' => Err(self
                .error_here(
                    c.len_utf8(),
                    format!("{what} is followed directly by {c:?}"),
                )
                .hint(
                    "put a space between them, or quote the whole and write \\\" for quotes inside",
                )),
            _ => Ok(()),
        }
    }

    fn expect_operand(&self, keyword: &str) -> Result<(), SyntaxError> {
        if !self.at_end() && self.peek() != Some(')') {
            return Ok(());
        }
        let end = self.text[..self.position].trim_end().len();
        Err(SyntaxError::new(
            Span::new(end - keyword.len(), end),
            format!("{keyword} has nothing after it"),
        )
        .hint(format!("to search for the word, quote it: \"{keyword}\"")))
    }

    /// `-x`, `-"x"` and `-(x)` negate; `-5`, `--flag` and a lone `-` are text.
    fn minus_negates(&self) -> bool {
        self.text[self.position + 1..]
            .chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() || matches!(c, '_' | '"' | '(' | '@'))
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        self.text[self.position..]
            .strip_prefix(keyword)
            .is_some_and(|after| {
                after
                    .chars()
                    .next()
                    .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'))
            })
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.position += keyword.len();
            self.skip_spaces();
        }
        found
    }

    fn skip_spaces(&mut self) {
        let rest = &self.text[self.position..];
        self.position += rest.len() - rest.trim_start().len();
    }

    fn at_end(&self) -> bool {
        self.position == self.text.len()
    }

    fn peek(&self) -> Option<char> {
        self.text[self.position..].chars().next()
    }

    fn error_here(&self, length: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(Span::new(self.position, self.position + length), message)
    }
}

fn unclosed_group(start: usize) -> SyntaxError {
    SyntaxError::new(Span::new(start, start + 1), "\"(\" has no \")\" after it")
        .hint("close it, or quote it to search for text")
}

fn combine(mut parts: Vec<Node>, kind: impl FnOnce(Vec<Node>) -> NodeKind) -> Node {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let span = parts
        .iter()
        .map(|part| part.span)
        .reduce(Span::to)
        .unwrap_or_default();
    Node {
        kind: kind(parts),
        span,
    }
}

fn text_node(literal: Literal) -> Result<Node, SyntaxError> {
    if words::split(&literal.text).next().is_none() {
        return Err(SyntaxError::new(
            literal.span,
            format!("{:?} has no letter or digit to search for", literal.text),
        )
        .hint("searches look for words; punctuation between them does not matter"));
    }
    if !literal.quoted && literal.text.ends_with('~') {
        return Err(
            SyntaxError::new(literal.span, "fuzzy search (\"~\") is not supported")
                .hint("try a prefix such as conn*, or quote the text"),
        );
    }
    Ok(Node {
        kind: NodeKind::Text {
            text: literal.text,
            prefix: literal.star,
        },
        span: literal.span,
    })
}
