//! Reads a search.
//!
//! ```text
//! or    := and ("OR" and)*
//! and   := unary ("AND"? unary)*
//! unary := ("NOT" | "-") unary | "(" or ")" | "*" | field ":" test | match
//! test  := "*" | match | "=" text | ("<" | "<=" | ">" | ">=") text | range | "(" list ")"
//! match := text ("*" | "~" number?)? | wildcards | "/" expression "/"
//! range := ("[" | "{") (text | "*") "TO" (text | "*") ("]" | "}")
//! list  := or, with tests of the one field in the place of fields and matches
//! text  := term | quoted
//! ```
//!
//! A term ends at a space, a parenthesis or a quote. What stands before its first `:` is a field
//! only when it looks like a name and neither `//` nor `:` follows, nor `\` after a single letter, so
//! that URLs, times, `std::io` and Windows paths stay text. What other search languages read as an operator is an
//! error rather than text.

use crate::error::{Span, SyntaxError};
use crate::expression;
use crate::glob::{Glob, Part};
use crate::search::ast::{Comparison, End, Match, Node, NodeKind, Query, Test};
use crate::term_pattern::{MAX_EDITS, MAX_FUZZY_CHARACTERS};
use crate::{units, words};

/// How deep parentheses and `NOT`s may nest.
pub const MAX_DEPTH: usize = 64;
/// How many words, phrases and field tests a query may have.
pub const MAX_TERMS: usize = 200;
/// How long a query may be, bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// How many regular expressions and fuzzy words a query may have.
pub const MAX_PATTERNS: usize = 20;
/// How many `?` a text for the body may have.
pub const MAX_SINGLE_WILDCARDS: usize = 4;
/// The most words that may stand between those of a phrase.
pub const MAX_GAPS: u32 = 1_000;

/// Characters that a backslash takes literally outside of quotes; so it does with any space.
pub(super) const ESCAPABLE: [char; 22] = [
    '\\', '*', '?', '"', '(', ')', '[', ']', '{', '}', ':', '-', '+', '!', '~', '^', '/', '<', '>',
    '=', '&', '|',
];

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
        patterns: 0,
        list_of: None,
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

/// Whether a field's name needs no quotes.
pub(super) fn is_plain_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | '@'))
        && characters.all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@'))
}

/// Whether a name before `:\` is the letter of a drive: `C:\temp`.
pub(super) fn is_drive(name: &str) -> bool {
    name.len() == 1
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
    terms: usize,
    patterns: usize,
    /// The field whose list is being read.
    list_of: Option<FieldName>,
}

#[derive(Clone)]
struct FieldName {
    name: String,
    span: Span,
}

/// A term or quoted text, unescaped.
struct Literal {
    text: Glob,
    quoted: bool,
    suffix: Option<Suffix>,
    span: Span,
}

/// What follows a text directly after `~`.
enum Suffix {
    /// Of a quoted text: how many words may stand in between.
    Gaps(u32),
    /// Of a term: the most edits, when given.
    Edits(Option<u8>),
}

/// What stands between a field's colon and a value.
enum Operator {
    Is,
    Compare(Comparison),
}

impl Operator {
    fn as_str(&self) -> &'static str {
        match self {
            Self::Is => "=",
            Self::Compare(comparison) => comparison.as_str(),
        }
    }
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
            let is_explicit = self.take_keyword("AND");
            if is_explicit {
                self.expect_operand("AND")?;
            } else if self.at_end() || self.peek() == Some(')') || self.at_keyword("OR") {
                self.refuse_small_operators(&parts)?;
                return Ok(combine(parts, NodeKind::And));
            }
            let next = self.unary()?;
            if let (Some(before), false) = (parts.last(), is_explicit) {
                self.refuse_two_values(before, &next)?;
            }
            parts.push(next);
        }
    }

    /// Refuses `and`, `or` and `not` directly beside what reads as part of a query: other
    /// languages take them as operators. Between words they are words.
    fn refuse_small_operators(&self, parts: &[Node]) -> Result<(), SyntaxError> {
        let is_structure = |node: &Node| {
            matches!(node.kind, NodeKind::Field { .. } | NodeKind::Not(_))
                || self.text[node.span.offset..].starts_with('(')
        };
        for (index, part) in parts.iter().enumerate() {
            let span = match &part.kind {
                NodeKind::Body(_) => part.span,
                NodeKind::Field { value_span, .. } if self.list_of.is_some() => *value_span,
                _ => continue,
            };
            let written = &self.text[span.offset..span.end()];
            if !matches!(written, "and" | "or" | "not") {
                continue;
            }
            let before = index.checked_sub(1).and_then(|before| parts.get(before));
            let beside = before.filter(|_| written != "not");
            let mut neighbours = beside.into_iter().chain(parts.get(index + 1));
            if neighbours.any(is_structure) {
                let operator = written.to_ascii_uppercase();
                return Err(SyntaxError::new(
                    span,
                    format!("\"{written}\" in small letters is no operator"),
                )
                .hint(format!(
                    "write {operator}, or quote it to search for the word: \"{written}\""
                )));
            }
        }
        Ok(())
    }

    /// Refuses `field:(a b)`: no value is both.
    fn refuse_two_values(&self, before: &Node, next: &Node) -> Result<(), SyntaxError> {
        let value = |node: &Node| match &node.kind {
            NodeKind::Field { name, test, .. } if name != "body" => match test {
                Test::Match(Match::Text(glob)) => glob.as_literal().map(str::to_owned),
                Test::Is(value) => Some(value.clone()),
                _ => None,
            },
            _ => None,
        };
        let (Some(list), Some(a), Some(b)) = (&self.list_of, value(before), value(next)) else {
            return Ok(());
        };
        if matches!(b.as_str(), "and" | "or" | "not") || matches!(a.as_str(), "and" | "or" | "not")
        {
            return Ok(());
        }
        let name = &list.name;
        Err(SyntaxError::new(
            next.span,
            format!("{name} cannot be {a:?} and {b:?} at once"),
        )
        .hint(format!("write {name}:({a} OR {b})")))
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
                .error_at_character("a space is missing after \")\"")
                .hint("quote the whole to search for text"));
        }
        self.skip_spaces();
        Ok(inner)
    }

    fn enter(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self
                .error_at_character(format!("parentheses and NOTs nest deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }

    fn term_or_field(&mut self) -> Result<Node, SyntaxError> {
        if let Some(field) = self.list_of.clone() {
            self.refuse_operator_signs()?;
            return self.test(&field);
        }
        let start = self.position;
        if self.peek() == Some('"') {
            let literal = self.quoted()?;
            let is_whole = literal.suffix.is_none() && literal.text.as_literal().is_some();
            if is_whole && self.peek() == Some(':') {
                self.position += 1;
                let name = literal.text.as_literal().unwrap_or_default().to_owned();
                return self.field(name, literal.span);
            }
            self.expect_boundary("a quoted text")?;
            return self.body_node(literal);
        }
        if let Some(name) = self.field_name() {
            let name_span = Span::new(start, start + name.len());
            self.position = name_span.end() + 1;
            return self.field(name.to_owned(), name_span);
        }
        if let Some(expression) = self.expression()? {
            let span = Span::new(start, self.position);
            let kind = NodeKind::Body(Match::Expression(expression));
            return Ok(Node { kind, span });
        }
        self.refuse_operator_signs()?;
        self.refuse_comparison_without_field()?;
        self.refuse_field_without_name()?;
        let literal = self.term(Within::Query)?;
        self.expect_boundary("a word")?;
        if *literal.text.parts() == [Part::Any] && literal.suffix.is_none() {
            return Ok(Node {
                kind: NodeKind::Everything,
                span: literal.span,
            });
        }
        self.body_node(literal)
    }

    /// The name before the next `:`, when it is a field's.
    fn field_name(&self) -> Option<&'a str> {
        let rest = &self.text[self.position..];
        let (name, after) = rest.split_once(':')?;
        let is_text = after.starts_with("//")
            || after.starts_with(':')
            || is_drive(name) && after.starts_with('\\');
        (is_plain_name(name) && !is_text).then_some(name)
    }

    fn field(&mut self, name: String, name_span: Span) -> Result<Node, SyntaxError> {
        if matches!(name.as_str(), "_exists_" | "_missing_") {
            let negation = if name == "_missing_" { "NOT " } else { "" };
            return Err(
                SyntaxError::new(name_span, format!("\"{name}\" is not a field"))
                    .hint(format!("the test of a field is written {negation}field:*")),
            );
        }
        let field = FieldName {
            name,
            span: name_span,
        };
        if self.peek() != Some('(') {
            return self.test(&field);
        }
        let outer = self.list_of.replace(field);
        let list = self.group();
        self.list_of = outer;
        let mut list = list?;
        list.span = name_span.to(list.span);
        Ok(list)
    }

    /// A test of one field's value.
    fn test(&mut self, field: &FieldName) -> Result<Node, SyntaxError> {
        let name = &field.name;
        let start = self.position;
        if self.peek().is_none_or(|c| c.is_whitespace() || c == ')') {
            let span = Span::new(field.span.offset, start);
            return Err(SyntaxError::new(span, format!("\"{name}:\" has no value")).hint(format!(
                "write the value without a space before it; {name}:* finds records that have the \
                 field; quote \"{name}:\" to search for text"
            )));
        }
        let test = match self.peek() {
            Some('[' | '{') => self.range(name)?,
            _ => match self.expression()? {
                Some(expression) => Test::Match(Match::Expression(expression)),
                None => self.value_test(name)?,
            },
        };
        self.expect_boundary("a value")?;
        let value_span = Span::new(start, self.position);
        let span = match self.list_of {
            Some(_) => value_span,
            None => field.span.to(value_span),
        };
        Ok(Node {
            kind: NodeKind::Field {
                name: name.clone(),
                name_span: field.span,
                test,
                value_span,
            },
            span,
        })
    }

    fn value_test(&mut self, name: &str) -> Result<Test, SyntaxError> {
        let start = self.position;
        let operator = self.operator(name)?;
        let literal = match self.peek() {
            Some('"') => self.quoted()?,
            _ => self.term(Within::Query)?,
        };
        let Some(operator) = operator else {
            if !literal.quoted && literal.suffix.is_none() && *literal.text.parts() == [Part::Any] {
                return Ok(Test::Exists);
            }
            return Ok(Test::Match(self.matched(literal)?));
        };
        let value = match literal.text.as_literal() {
            Some(value) if literal.suffix.is_none() => value.to_owned(),
            _ => {
                return Err(SyntaxError::new(
                    literal.span,
                    format!(
                        "\"{}\" takes a whole value, without \"*\", \"?\" or \"~\"",
                        operator.as_str()
                    ),
                )
                .hint("quote the value to take them literally"));
            }
        };
        if value.is_empty() && !literal.quoted {
            return Err(SyntaxError::new(
                Span::new(start, self.position),
                format!("\"{name}:{}\" has no value", operator.as_str()),
            )
            .hint("write the value without a space before it"));
        }
        Ok(match operator {
            Operator::Is => Test::Is(value),
            Operator::Compare(comparison) => Test::Compare(comparison, value),
        })
    }

    fn operator(&mut self, name: &str) -> Result<Option<Operator>, SyntaxError> {
        let rest = &self.text[self.position..];
        let (operator, length) = match rest.as_bytes() {
            [b'>', b'=', ..] => (Operator::Compare(Comparison::GreaterOrEqual), 2),
            [b'>', ..] => (Operator::Compare(Comparison::Greater), 1),
            [b'<', b'=', ..] => (Operator::Compare(Comparison::LessOrEqual), 2),
            [b'<', ..] => (Operator::Compare(Comparison::Less), 1),
            [b'=', b'=', ..] => {
                return Err(self
                    .error_here(2, format!("\"{name}:==\" is not a test"))
                    .hint(format!("write {name}:=value")));
            }
            [b'=', b'~', ..] => {
                return Err(self
                    .error_here(2, format!("\"{name}:=~\" is not a test"))
                    .hint(format!("write {name}:/expression/")));
            }
            [b'=', ..] => (Operator::Is, 1),
            [b'!', ..] => {
                return Err(self
                    .error_here(1, format!("\"{name}:!\" is not a test"))
                    .hint(format!("write NOT {name}:value")));
            }
            _ => return Ok(None),
        };
        self.position += length;
        Ok(Some(operator))
    }

    /// `[a TO b]`; the parser stands on the bracket.
    fn range(&mut self, name: &str) -> Result<Test, SyntaxError> {
        let start = self.position;
        let excludes_from = self.peek() == Some('{');
        self.position += 1;
        let from = self.range_end(name)?;
        if !self.take_keyword("TO") {
            return Err(self
                .error_at_character("the range has no \"TO\" between its ends")
                .hint(range_hint(name)));
        }
        let to = self.range_end(name)?;
        let excludes_to = match self.peek() {
            Some(']') => false,
            Some('}') => true,
            _ => {
                return Err(SyntaxError::new(
                    Span::new(start, start + 1),
                    "the range that begins here has no \"]\" or \"}\"",
                )
                .hint(range_hint(name)));
            }
        };
        self.position += 1;
        let end = |value: Option<String>, excludes: bool| match value {
            None => End::Open,
            Some(value) if excludes => End::Excluding(value),
            Some(value) => End::Including(value),
        };
        Ok(Test::Range {
            from: end(from, excludes_from),
            to: end(to, excludes_to),
        })
    }

    /// An end of a range with the spaces around it; `None` for an open one.
    fn range_end(&mut self, name: &str) -> Result<Option<String>, SyntaxError> {
        self.skip_spaces();
        let literal = match self.peek() {
            Some('"') => self.quoted()?,
            _ => self.term(Within::Range)?,
        };
        self.skip_spaces();
        if !literal.quoted && *literal.text.parts() == [Part::Any] {
            return Ok(None);
        }
        match literal.text.as_literal() {
            Some("") if !literal.quoted => Err(SyntaxError::new(
                literal.span,
                "an end of the range is missing",
            )
            .hint(range_hint(name))),
            Some(value) if literal.suffix.is_none() => Ok(Some(value.to_owned())),
            _ => Err(SyntaxError::new(
                literal.span,
                "an end of a range is a whole value, without \"*\", \"?\" or \"~\"",
            )
            .hint("an open end is a \"*\" alone; quote the value to take them literally")),
        }
    }

    /// `/expression/`, when one stands here.
    fn expression(&mut self) -> Result<Option<String>, SyntaxError> {
        let Some((inside, after)) = self.expression_at(self.position) else {
            return Ok(None);
        };
        let span = Span::new(self.position, self.position + inside.len() + 2);
        if after.strip_prefix('i').is_some_and(is_boundary) {
            return Err(SyntaxError::new(
                Span::new(span.end(), span.end() + 1),
                "a regular expression takes no letters after its end",
            )
            .hint("to ignore case write (?i) at its beginning; quote a path to search for it"));
        }
        if !is_boundary(after) {
            return Ok(None);
        }
        self.count_pattern(span)?;
        self.position = span.end();
        expression::compile(inside).map_err(|err| {
            let start = span.offset + 1 + err.span.offset;
            SyntaxError::new(Span::new(start, start + err.span.length), err.message)
                .hint("quote the whole to search for its text")
        })?;
        Ok(Some(inside.to_owned()))
    }

    /// What stands between a `/` at `start` and the next one, and what follows that.
    fn expression_at(&self, start: usize) -> Option<(&'a str, &'a str)> {
        let inside = self.text[start..].strip_prefix('/')?;
        let mut is_escaped = false;
        let end = inside.find(|c| {
            let is_end = c == '/' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            is_end
        });
        end.filter(|end| *end > 0)
            .map(|end| (&inside[..end], &inside[end + 1..]))
    }

    fn count_pattern(&mut self, span: Span) -> Result<(), SyntaxError> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            return Err(SyntaxError::new(
                span,
                format!(
                    "the query has more than {MAX_PATTERNS} regular expressions and fuzzy words"
                ),
            ));
        }
        Ok(())
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
        let begins_text = |c: char| c.is_alphabetic() || matches!(c, '_' | '"' | '(');
        if rest
            .strip_prefix('+')
            .is_some_and(|after| after.starts_with(begins_text))
        {
            return Err(self
                .error_here(1, "\"+\" is not an operator")
                .hint("every word must be there anyway: leave it out, or quote the text"));
        }
        Ok(())
    }

    /// Refuses `>=500` and `status>=500`, which other languages read as comparisons.
    fn refuse_comparison_without_field(&self) -> Result<(), SyntaxError> {
        let term = self.bare_term();
        let Some(sign) = term.find(['<', '>', '=', '!']) else {
            return Ok(());
        };
        let (name, rest) = term.split_at(sign);
        let value = rest.trim_start_matches(['<', '>', '=', '!']);
        let operator = &rest[..rest.len() - value.len()];
        let is_lone = name.is_empty() && value.is_empty();
        let is_measure = units::number(value).is_some()
            || units::duration_seconds(value).is_some()
            || units::size_bytes(value).is_some();
        let compares = matches!(operator, "<" | ">" | "<=" | ">=");
        if is_lone || compares && is_measure && (name.is_empty() || is_plain_name(name)) {
            let name = if name.is_empty() { "field" } else { name };
            let value = if value.is_empty() { "value" } else { value };
            let operator = operator.trim_start_matches('!');
            return Err(self
                .error_here(term.len(), format!("{term:?} is not a comparison"))
                .hint(format!("write {name}:{operator}{value}, or quote the text")));
        }
        Ok(())
    }

    /// Refuses `:value` and `*.name:value`.
    fn refuse_field_without_name(&self) -> Result<(), SyntaxError> {
        let term = self.bare_term();
        let Some((name, after)) = term.split_once(':') else {
            return Ok(());
        };
        let is_text = after.starts_with("//") || after.starts_with(':');
        let after_is_name = after.starts_with(|c: char| c.is_alphabetic() || c == '_')
            || after.is_empty() && self.text[self.position + term.len()..].starts_with('"');
        if name.is_empty() && after_is_name {
            return Err(self
                .error_here(1, "\":\" has no field before it")
                .hint("write field:value without spaces, or quote the text"));
        }
        let without_wildcards = name.replace(['*', '?'], "x");
        if without_wildcards != name && is_plain_name(&without_wildcards) && !is_text {
            let hint = match name {
                "*" => "write * alone for every record; without a field the body is searched",
                _ => "name the fields one by one with OR, or quote the text",
            };
            return Err(self
                .error_here(name.len(), "a field's name takes no wildcards")
                .hint(hint));
        }
        Ok(())
    }

    /// What stands up to the next space, parenthesis or quote.
    fn bare_term(&self) -> &'a str {
        let rest = &self.text[self.position..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        &rest[..end.unwrap_or(rest.len())]
    }

    /// A run of characters up to a space, parenthesis or quote, inside of a range also up to its
    /// bracket.
    fn term(&mut self, within: Within) -> Result<Literal, SyntaxError> {
        let start = self.position;
        let mut parts: Vec<Part> = Vec::new();
        let mut suffix = None;
        while let Some(character) = self.peek() {
            match character {
                c if c.is_whitespace() => break,
                '(' | ')' | '"' => break,
                ']' | '}' if within == Within::Range => break,
                '~' if !parts.is_empty() => match self.edits(start)? {
                    Some(edits) => {
                        suffix = Some(edits);
                        break;
                    }
                    None => parts.push(Part::Literal('~'.into())),
                },
                '^' if !parts.is_empty() => {
                    self.refuse_boost()?;
                    parts.push(Part::Literal('^'.into()));
                }
                '*' => parts.push(Part::Any),
                '?' => parts.push(Part::One),
                '\\' => {
                    self.position += 1;
                    let is_escapable = |c: &char| ESCAPABLE.contains(c) || c.is_whitespace();
                    let Some(next) = self.peek().filter(is_escapable) else {
                        parts.push(Part::Literal('\\'.into()));
                        continue;
                    };
                    parts.push(Part::Literal(next.into()));
                    self.position += next.len_utf8();
                    continue;
                }
                c => parts.push(Part::Literal(c.into())),
            }
            self.position += character.len_utf8();
        }
        Ok(Literal {
            text: Glob::new(parts),
            quoted: false,
            suffix,
            span: Span::new(start, self.position),
        })
    }

    /// `~` or `~2` at the end of the term that began at `start`, as edits.
    fn edits(&mut self, start: usize) -> Result<Option<Suffix>, SyntaxError> {
        let (digits, after) = self.number_after_sign();
        if !after.is_none_or(|c| c.is_whitespace() || c == ')') {
            return Ok(None);
        }
        let tilde = self.position;
        self.position += 1 + digits.len();
        let edits = match digits {
            "" => None,
            digits => match digits.parse() {
                Ok(edits) if (1..=MAX_EDITS).contains(&edits) => Some(edits),
                _ => {
                    return Err(SyntaxError::new(
                        Span::new(tilde, self.position),
                        format!("a fuzzy word takes 1 or {MAX_EDITS} edits"),
                    )
                    .hint("write word~, word~1 or word~2; quote the text to take ~ literally"));
                }
            },
        };
        self.count_pattern(Span::new(start, self.position))?;
        Ok(Some(Suffix::Edits(edits)))
    }

    fn refuse_boost(&self) -> Result<(), SyntaxError> {
        let (digits, after) = self.number_after_sign();
        if digits.is_empty() || !after.is_none_or(|c| c.is_whitespace() || c == ')') {
            return Ok(());
        }
        Err(self
            .error_here(1 + digits.len(), "\"^\" is not understood")
            .hint("records come by their time, so no word weighs more; quote the text to search for it"))
    }

    /// The number directly after the sign that the parser stands on, and what follows.
    fn number_after_sign(&self) -> (&'a str, Option<char>) {
        let rest = &self.text[self.position + 1..];
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
        (number, after.chars().next())
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
        let mut parts = vec![Part::Literal(text)];
        let mut suffix = None;
        match self.peek() {
            Some('*') => {
                parts.push(Part::Any);
                self.position += 1;
            }
            Some('~') => suffix = Some(self.gaps()?),
            Some('^') => self.refuse_boost()?,
            _ => {}
        }
        Ok(Literal {
            text: Glob::new(parts),
            quoted: true,
            suffix,
            span: Span::new(start, self.position),
        })
    }

    /// `~3` after a phrase.
    fn gaps(&mut self) -> Result<Suffix, SyntaxError> {
        let (digits, _) = self.number_after_sign();
        let span = Span::new(self.position, self.position + 1 + digits.len());
        let gaps = digits.parse().ok().filter(|gaps| *gaps <= MAX_GAPS);
        self.position = span.end();
        gaps.map(Suffix::Gaps).ok_or_else(|| {
            SyntaxError::new(
                span,
                format!("\"~\" after a phrase takes a number of words up to {MAX_GAPS}"),
            )
            .hint("\"a b\"~3 allows three words between them; a fuzzy word has no quotes: word~")
        })
    }

    /// What a text says, as it stands.
    fn matched(&self, literal: Literal) -> Result<Match, SyntaxError> {
        let text = match literal.suffix {
            None => return Ok(Match::Text(literal.text)),
            Some(_) => literal.text.as_literal(),
        };
        match (literal.suffix, text) {
            (Some(Suffix::Gaps(gaps)), Some(phrase)) => Ok(Match::Near {
                phrase: phrase.to_owned(),
                gaps,
            }),
            (Some(Suffix::Edits(edits)), Some(text)) => {
                if text.chars().count() > MAX_FUZZY_CHARACTERS {
                    return Err(SyntaxError::new(
                        literal.span,
                        format!("a fuzzy word has at most {MAX_FUZZY_CHARACTERS} characters"),
                    ));
                }
                Ok(Match::Similar {
                    text: text.to_owned(),
                    edits,
                })
            }
            _ => Err(
                SyntaxError::new(literal.span, "a fuzzy word takes no wildcards")
                    .hint("write either word~ or wo*d; quote the text to take them literally"),
            ),
        }
    }

    /// A test of the body by a text.
    fn body_node(&self, literal: Literal) -> Result<Node, SyntaxError> {
        let span = literal.span;
        let test = self.matched(literal)?;
        check_words(&test, span)?;
        Ok(Node {
            kind: NodeKind::Body(test),
            span,
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
                .error_at_character(format!("{what} is followed directly by {c:?}"))
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

    /// `-x`, `-"x"`, `-(x)`, `-*x` and `-/x/` negate; `-5`, `--flag` and a lone `-` are text.
    fn minus_negates(&self) -> bool {
        let rest = &self.text[self.position + 1..];
        let after = rest.trim_start_matches(['*', '?']);
        let expression = self.expression_at(self.position + 1);
        after.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '"' | '(' | '@'))
            || expression.is_some_and(|(_, after)| is_boundary(after))
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

    /// An error at the next character, or at the end.
    fn error_at_character(&self, message: impl Into<String>) -> SyntaxError {
        self.error_here(self.peek().map_or(0, char::len_utf8), message)
    }

    fn error_here(&self, length: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(Span::new(self.position, self.position + length), message)
    }
}

/// Whether a term ends before `rest`.
fn is_boundary(rest: &str) -> bool {
    let next = rest.chars().next();
    next.is_none_or(|c| c.is_whitespace() || c == ')')
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

/// Refuses a text for the body that has no word, or not the one that it must have.
pub(super) fn check_words(test: &Match, span: Span) -> Result<(), SyntaxError> {
    let has_word = |text: &str| words::split(text).next().is_some();
    let no_word = |text: &str| {
        SyntaxError::new(
            span,
            format!("{text:?} has no letter or digit to search for"),
        )
        .hint("searches look for words; a regular expression, /.../, also finds punctuation")
    };
    match test {
        Match::Text(glob) => {
            let mut literals = glob.parts().iter().filter_map(|part| match part {
                Part::Literal(text) => Some(text),
                _ => None,
            });
            if !literals.any(|text| has_word(text)) {
                return Err(match glob.as_literal() {
                    Some(text) => no_word(text),
                    None => no_word(&glob.to_string()),
                });
            }
            let singles = glob.parts().iter().filter(|part| **part == Part::One);
            if singles.count() > MAX_SINGLE_WILDCARDS {
                return Err(SyntaxError::new(
                    span,
                    format!("at most {MAX_SINGLE_WILDCARDS} \"?\" are understood in one text"),
                )
                .hint("quote the text when they are its own, or write a regular expression"));
            }
            Ok(())
        }
        Match::Near { phrase, .. } if !has_word(phrase) => Err(no_word(phrase)),
        Match::Similar { text, .. } => match words::split(text).count() {
            0 => Err(no_word(text)),
            1 => Ok(()),
            _ => Err(SyntaxError::new(
                span,
                format!("a fuzzy search takes one word; got {text:?}"),
            )
            .hint("write each word with its own ~, or quote the text")),
        },
        Match::Near { .. } | Match::Expression(_) => Ok(()),
    }
}

fn range_hint(name: &str) -> String {
    format!(
        "a range is written {name}:[a TO b], with {{ or }} to leave an end out and * for an open \
         one; quote the value to match it as text"
    )
}

/// Where a term stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Query,
    Range,
}
