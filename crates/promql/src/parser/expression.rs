//! Operators and their precedence.

use crate::ast::{
    Binary, BinaryOp, Cardinality, Expr, ExprKind, Number, Unary, ValueType, VectorMatching,
};
use crate::error::ParseError;
use crate::parser::check;
use crate::parser::cursor::{Cursor, Node};
use crate::parser::token::TokenKind;

/// How tightly operators bind, from the loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Or,
    And,
    Comparison,
    Sum,
    Product,
    Power,
}

fn binding(op: BinaryOp) -> Binding {
    match op {
        BinaryOp::Or => Binding::Or,
        BinaryOp::And | BinaryOp::Unless => Binding::And,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual
        | BinaryOp::TrimUpper
        | BinaryOp::TrimLower => Binding::Comparison,
        BinaryOp::Add | BinaryOp::Sub => Binding::Sum,
        BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Atan2 => Binding::Product,
        BinaryOp::Pow => Binding::Power,
    }
}

impl Cursor<'_> {
    /// Any expression.
    pub(crate) fn expression(&mut self) -> Result<Expr, ParseError> {
        Ok(self.expression_node()?.expr)
    }

    pub(crate) fn expression_node(&mut self) -> Result<Node, ParseError> {
        self.binary(Binding::Or)
    }

    /// Operands joined by operators that bind at least as tightly as `loosest`.
    fn binary(&mut self, loosest: Binding) -> Result<Node, ParseError> {
        let mut left = self.unary()?;
        while let Some(op) = self.peek_operator() {
            if binding(op) < loosest {
                break;
            }
            let op_span = self.next().span;
            let return_bool = self.accept_keyword("bool").is_some();
            let matching = self.vector_matching()?;
            let right = self.nested(|cursor| cursor.binary(right_side(op)))?;
            let depth = left.depth.max(right.depth);
            let span = left.expr.span.to(right.expr.span);
            let mut binary = Binary {
                op,
                left: left.expr,
                right: right.expr,
                return_bool,
                matching,
            };
            check::binary(self.query, &mut binary, op_span, span)?;
            let kind = ExprKind::Binary(Box::new(binary));
            left = self.node(Expr { kind, span }, depth)?;
        }
        Ok(left)
    }

    fn peek_operator(&self) -> Option<BinaryOp> {
        Some(match self.peek_kind() {
            TokenKind::Plus => BinaryOp::Add,
            TokenKind::Minus => BinaryOp::Sub,
            TokenKind::Star => BinaryOp::Mul,
            TokenKind::Slash => BinaryOp::Div,
            TokenKind::Percent => BinaryOp::Mod,
            TokenKind::Caret => BinaryOp::Pow,
            TokenKind::EqualEqual => BinaryOp::Equal,
            TokenKind::NotEqual => BinaryOp::NotEqual,
            TokenKind::Less => BinaryOp::Less,
            TokenKind::LessEqual => BinaryOp::LessEqual,
            TokenKind::Greater => BinaryOp::Greater,
            TokenKind::GreaterEqual => BinaryOp::GreaterEqual,
            TokenKind::TrimUpper => BinaryOp::TrimUpper,
            TokenKind::TrimLower => BinaryOp::TrimLower,
            TokenKind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// A sign and its operand, or an operand; a sign binds like a product.
    fn unary(&mut self) -> Result<Node, ParseError> {
        let start = self.peek().span.start;
        let negative = match self.peek_kind() {
            TokenKind::Minus => true,
            TokenKind::Plus => false,
            _ => return self.operand(),
        };
        self.next();
        let operand = self.nested(|cursor| cursor.binary(Binding::Power))?;
        let span = self.span_from(start);
        if let ExprKind::Number(number) = operand.expr.kind {
            let value = if negative {
                -number.value
            } else {
                number.value
            };
            let kind = ExprKind::Number(Number { value, ..number });
            return self.node(Expr { kind, span }, 0);
        }
        let value_type = operand.expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(self.error(
                operand.expr.span,
                format!(
                    "a sign needs a scalar or an instant vector behind it, got {}",
                    value_type.with_article()
                ),
            ));
        }
        let unary = Unary {
            negative,
            operand: operand.expr,
        };
        let kind = ExprKind::Unary(Box::new(unary));
        self.node(Expr { kind, span }, operand.depth)
    }

    /// `on (…) group_left (…) fill (…)`, each optional.
    fn vector_matching(&mut self) -> Result<VectorMatching, ParseError> {
        let mut matching = VectorMatching::default();
        let on = self.accept_keyword("on").is_some();
        if on || self.accept_keyword("ignoring").is_some() {
            matching.on = on;
            matching.labels = self.label_list()?;
            self.group_modifier(&mut matching)?;
        } else if self.at_keyword("group_left") || self.at_keyword("group_right") {
            return Err(self
                .error_here(format!(
                    "{} must follow on (…) or ignoring (…)",
                    self.peek().describe(self.query)
                ))
                .with_hint("name the labels that both sides share: on (job) group_left"));
        }
        self.fill_modifiers(&mut matching)?;
        Ok(matching)
    }

    fn group_modifier(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        matching.cardinality = if self.accept_keyword("group_left").is_some() {
            Cardinality::ManyToOne
        } else if self.accept_keyword("group_right").is_some() {
            Cardinality::OneToMany
        } else {
            return Ok(());
        };
        // A parenthesis here is read as the list, as Prometheus does: `group_left (a)`.
        if *self.peek_kind() == TokenKind::LeftParen {
            matching.include = self.label_list()?;
        }
        Ok(())
    }

    /// `fill (0)`, `fill_left (0)`, `fill_right (0)`; without a parenthesis they are names.
    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Result<(), ParseError> {
        while *self.peek_second() == TokenKind::LeftParen {
            let (left, right) = match self.peek_word().map(str::to_ascii_lowercase).as_deref() {
                Some("fill") => (true, true),
                Some("fill_left") => (true, false),
                Some("fill_right") => (false, true),
                _ => return Ok(()),
            };
            let keyword = self.next();
            self.expect(&TokenKind::LeftParen, "\"(\"")?;
            let value = self.signed_number("a number to fill in")?;
            self.expect(&TokenKind::RightParen, "\")\"")?;
            let twice =
                left && matching.fill_left.is_some() || right && matching.fill_right.is_some();
            if twice {
                return Err(self.error(keyword.span, "a side can be filled only once"));
            }
            if left {
                matching.fill_left = Some(value);
            }
            if right {
                matching.fill_right = Some(value);
            }
        }
        Ok(())
    }

    /// A number or duration with an optional sign.
    pub(crate) fn signed_number(&mut self, name: &str) -> Result<Number, ParseError> {
        let negative = self.accept(&TokenKind::Minus).is_some();
        if !negative {
            self.accept(&TokenKind::Plus);
        }
        let Some(number) = self.accept_number() else {
            return Err(self.expected(name));
        };
        let value = if negative {
            -number.value
        } else {
            number.value
        };
        Ok(Number { value, ..number })
    }

    /// A number, a duration, `Inf` or `NaN`.
    pub(crate) fn accept_number(&mut self) -> Option<Number> {
        let (value, is_duration) = match self.peek_kind() {
            TokenKind::Number(value) => (*value, false),
            TokenKind::Duration(seconds) => (*seconds, true),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("inf") => (f64::INFINITY, false),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("nan") => (f64::NAN, false),
            _ => return None,
        };
        self.next();
        Some(Number { value, is_duration })
    }
}

/// The loosest operator that belongs to the right operand: `^` groups to the right, all others
/// to the left.
fn right_side(op: BinaryOp) -> Binding {
    match binding(op) {
        Binding::Or => Binding::And,
        Binding::And => Binding::Comparison,
        Binding::Comparison => Binding::Sum,
        Binding::Sum => Binding::Product,
        Binding::Product | Binding::Power => Binding::Power,
    }
}
