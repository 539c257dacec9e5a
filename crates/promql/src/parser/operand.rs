//! What stands between operators: literals, parentheses, and words, which may be numbers, names,
//! functions or aggregations; then the brackets and modifiers behind them.

use crate::ast::{AggregateOp, Expr, ExprKind};
use crate::error::ParseError;
use crate::parser::cursor::{Cursor, Node};
use crate::parser::token::TokenKind;

/// Keywords that Prometheus does not take as metric names.
const NO_METRIC_NAMES: [&str; 6] = [
    "bool",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "atan2",
];

impl Cursor<'_> {
    /// An operand with everything that is attached to it.
    pub(crate) fn operand(&mut self) -> Result<Node, ParseError> {
        let node = self.bare_operand()?;
        self.attachments(node)
    }

    fn bare_operand(&mut self) -> Result<Node, ParseError> {
        let start = self.peek().span.start;
        if let Some(number) = self.accept_number() {
            let span = self.span_from(start);
            let kind = ExprKind::Number(number);
            return self.node(Expr { kind, span }, 0);
        }
        match self.peek_kind() {
            TokenKind::Text(text) => {
                let kind = ExprKind::String(text.clone());
                let span = self.next().span;
                self.node(Expr { kind, span }, 0)
            }
            TokenKind::Bytes(bytes) => {
                let kind = ExprKind::Bytes(bytes.clone());
                let span = self.next().span;
                self.node(Expr { kind, span }, 0)
            }
            TokenKind::LeftParen => self.parenthesized(start),
            TokenKind::LeftBrace => self.selector(None, start),
            TokenKind::Word(word) => {
                let word = word.clone();
                self.word(&word, start)
            }
            TokenKind::Assign => Err(self
                .expected("an expression")
                .with_hint("equality is written ==")),
            _ => Err(self.expected("an expression")),
        }
    }

    fn parenthesized(&mut self, start: usize) -> Result<Node, ParseError> {
        let open = self.next();
        let inner = self.nested(Self::expression_node)?;
        if self.at_end() {
            return Err(self.error(open.span, "this \"(\" is never closed"));
        }
        self.expect(&TokenKind::RightParen, "\")\" or an operator")?;
        let span = self.span_from(start);
        let kind = ExprKind::Paren(Box::new(inner.expr));
        self.node(Expr { kind, span }, inner.depth)
    }

    /// An aggregation, a function call, or a metric name, by what follows the word.
    fn word(&mut self, word: &str, start: usize) -> Result<Node, ParseError> {
        let lowercase = word.to_ascii_lowercase();
        let called = *self.peek_second() == TokenKind::LeftParen;
        let aggregation = AggregateOp::ALL
            .into_iter()
            .find(|op| op.as_str() == lowercase);
        if let Some(op) = aggregation
            && (called || self.second_is_grouping())
        {
            self.next();
            return self.aggregate(op, start);
        }
        if called {
            return self.call(word, start);
        }
        if NO_METRIC_NAMES.contains(&lowercase.as_str()) {
            return Err(self
                .expected("an expression")
                .with_hint(format!("a metric of this name is written {{\"{word}\"}}")));
        }
        self.next();
        self.selector(Some(word), start)
    }

    fn second_is_grouping(&self) -> bool {
        match self.peek_second() {
            TokenKind::Word(word) => {
                word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
            }
            _ => false,
        }
    }
}
