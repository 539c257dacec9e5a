//! The parser's place in the tokens.

use crate::ast::Expr;
use crate::error::ParseError;
use crate::parser::MAX_DEPTH;
use crate::parser::lexer::tokenize;
use crate::parser::token::{Token, TokenKind};
use crate::span::Span;

/// A place in the tokens of a query. The grammar's rules are methods of it.
pub(crate) struct Cursor<'q> {
    pub(crate) query: &'q str,
    tokens: Vec<Token>,
    position: usize,
    /// How many rules are open around the current token.
    nesting: usize,
    /// Whether the label matchers of `info` are being read, which may match everything.
    in_info_labels: bool,
}

/// A tree and how deep it is.
pub(crate) struct Node {
    pub(crate) expr: Expr,
    pub(crate) depth: usize,
}

impl<'q> Cursor<'q> {
    pub(crate) fn new(query: &'q str) -> Result<Self, ParseError> {
        Ok(Self {
            query,
            tokens: tokenize(query)?,
            position: 0,
            nesting: 0,
            in_info_labels: false,
        })
    }

    /// The current token; [`TokenKind::End`] for ever at the end.
    pub(crate) fn peek(&self) -> &Token {
        &self.tokens[self.position]
    }

    pub(crate) fn peek_kind(&self) -> &TokenKind {
        &self.peek().kind
    }

    /// The token after the current one.
    pub(crate) fn peek_second(&self) -> &TokenKind {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.position + 1).min(last)].kind
    }

    /// The current word, when the token is one.
    pub(crate) fn peek_word(&self) -> Option<&str> {
        match self.peek_kind() {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether the current token is the keyword, in any case.
    pub(crate) fn at_keyword(&self, keyword: &str) -> bool {
        self.peek_word()
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    pub(crate) fn at_end(&self) -> bool {
        *self.peek_kind() == TokenKind::End
    }

    /// Takes the current token.
    pub(crate) fn next(&mut self) -> Token {
        let token = self.peek().clone();
        if self.position + 1 < self.tokens.len() {
            self.position += 1;
        }
        token
    }

    /// Takes the current token if it is `kind`.
    pub(crate) fn accept(&mut self, kind: &TokenKind) -> Option<Token> {
        (self.peek_kind() == kind).then(|| self.next())
    }

    /// Takes the current token if it is the keyword, in any case.
    pub(crate) fn accept_keyword(&mut self, keyword: &str) -> Option<Token> {
        self.at_keyword(keyword).then(|| self.next())
    }

    /// Takes the current token, which must be `kind`.
    pub(crate) fn expect(&mut self, kind: &TokenKind, name: &str) -> Result<Token, ParseError> {
        match self.accept(kind) {
            Some(token) => Ok(token),
            None => Err(self.expected(name)),
        }
    }

    pub(crate) fn expect_end(&self) -> Result<(), ParseError> {
        match self.peek_kind() {
            TokenKind::End => Ok(()),
            TokenKind::RightParen => {
                Err(self.error_here("unexpected \")\" without an opening \"(\""))
            }
            TokenKind::Number(_) | TokenKind::Duration(_) => Err(self
                .expected("an operator")
                .with_hint("the range of a selector stands in brackets: metric[5m]")),
            TokenKind::Word(_) | TokenKind::Text(_) | TokenKind::Bytes(_) => Err(self
                .expected("an operator")
                .with_hint("two expressions need an operator such as + or and between them")),
            _ => Err(self.expected("an operator or the end of the query")),
        }
    }

    /// The last byte of the token before the current one.
    pub(crate) fn previous_end(&self) -> usize {
        match self.position.checked_sub(1) {
            Some(index) => self.tokens[index].span.end,
            None => 0,
        }
    }

    /// The span from `start` to the end of the token before the current one.
    pub(crate) fn span_from(&self, start: usize) -> Span {
        Span::new(start, self.previous_end())
    }

    pub(crate) fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.query, span, message)
    }

    pub(crate) fn error_here(&self, message: impl Into<String>) -> ParseError {
        self.error(self.peek().span, message)
    }

    /// `expected NAME, found "token"`.
    pub(crate) fn expected(&self, name: &str) -> ParseError {
        let found = self.peek().describe(self.query);
        self.error_here(format!("expected {name}, found {found}"))
    }

    pub(crate) fn in_info_labels(&self) -> bool {
        self.in_info_labels
    }

    pub(crate) fn set_in_info_labels(&mut self, value: bool) {
        self.in_info_labels = value;
    }

    /// Runs `rule` one level deeper; the level bounds the parser's own recursion.
    pub(crate) fn nested<T>(
        &mut self,
        rule: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.nesting += 1;
        if self.nesting > MAX_DEPTH {
            return Err(self.too_deep(self.peek().span));
        }
        let result = rule(self);
        self.nesting -= 1;
        result
    }

    /// The node around children of the given depth, unless that makes it too deep.
    pub(crate) fn node(&self, expr: Expr, children_depth: usize) -> Result<Node, ParseError> {
        let depth = children_depth + 1;
        if depth > MAX_DEPTH {
            return Err(self.too_deep(expr.span));
        }
        Ok(Node { expr, depth })
    }

    fn too_deep(&self, span: Span) -> ParseError {
        self.error(
            span,
            format!("the query is nested more than {MAX_DEPTH} levels deep"),
        )
        .with_hint(
            "a long chain of \"or\" over one metric is better written as a regular expression",
        )
    }
}
