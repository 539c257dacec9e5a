//! Durations that are computed: `[5m * 2]`, `offset -(1h + step())`.

use crate::ast::{DurationExpr, DurationKind, DurationOp, Number};
use crate::error::ParseError;
use crate::parser::cursor::Cursor;
use crate::parser::token::TokenKind;

/// The longest duration, that of 64-bit nanoseconds, in seconds.
const MAX_SECONDS: f64 = 9_223_372_036.854_775;

impl Cursor<'_> {
    /// A duration inside of brackets; a literal one must be positive.
    pub(crate) fn positive_duration(&mut self, name: &str) -> Result<DurationExpr, ParseError> {
        let duration = rounded(self.duration_sum()?);
        if let DurationKind::Literal(number) = duration.kind
            && number.value <= 0.0
        {
            return Err(self.error(duration.span, format!("{name} must be greater than 0")));
        }
        Ok(duration)
    }

    /// What follows `offset`: one duration with an optional sign. Arithmetic needs parentheses,
    /// so that `a offset 5m * 2` doubles `a`.
    pub(crate) fn offset_duration(&mut self) -> Result<DurationExpr, ParseError> {
        Ok(rounded(self.signed_duration(false)?))
    }

    /// `a + b - c`.
    fn duration_sum(&mut self) -> Result<DurationExpr, ParseError> {
        let mut left = self.duration_product()?;
        loop {
            let op = match self.peek_kind() {
                TokenKind::Plus => DurationOp::Add,
                TokenKind::Minus => DurationOp::Sub,
                _ => return Ok(left),
            };
            self.next();
            let right = self.duration_product()?;
            left = self.duration_binary(op, left, right)?;
        }
    }

    /// `a * b / c % d`.
    fn duration_product(&mut self) -> Result<DurationExpr, ParseError> {
        let mut left = self.signed_duration(true)?;
        loop {
            let op = match self.peek_kind() {
                TokenKind::Star => DurationOp::Mul,
                TokenKind::Slash => DurationOp::Div,
                TokenKind::Percent => DurationOp::Mod,
                _ => return Ok(left),
            };
            self.next();
            let right = self.signed_duration(true)?;
            left = self.duration_binary(op, left, right)?;
        }
    }

    /// A sign and a duration; with `powers`, `-2 ^ 2` is `-(2 ^ 2)`.
    fn signed_duration(&mut self, powers: bool) -> Result<DurationExpr, ParseError> {
        let start = self.peek().span.start;
        let negative = match self.peek_kind() {
            TokenKind::Minus => true,
            TokenKind::Plus => false,
            _ if powers => return self.duration_power(),
            _ => return self.duration_operand(),
        };
        self.next();
        let operand = self.nested(|cursor| cursor.signed_duration(powers))?;
        let span = self.span_from(start);
        let kind = match operand.kind {
            kind if !negative => kind,
            DurationKind::Literal(number) => DurationKind::Literal(Number {
                value: -number.value,
                ..number
            }),
            _ => DurationKind::Negated(Box::new(operand)),
        };
        Ok(DurationExpr { kind, span })
    }

    /// `a ^ b ^ c`, which groups to the right.
    fn duration_power(&mut self) -> Result<DurationExpr, ParseError> {
        let base = self.duration_operand()?;
        if self.accept(&TokenKind::Caret).is_none() {
            return Ok(base);
        }
        let exponent = self.nested(|cursor| cursor.signed_duration(true))?;
        self.duration_binary(DurationOp::Pow, base, exponent)
    }

    fn duration_binary(
        &self,
        op: DurationOp,
        left: DurationExpr,
        right: DurationExpr,
    ) -> Result<DurationExpr, ParseError> {
        if let (DurationOp::Div | DurationOp::Mod, DurationKind::Literal(number)) =
            (op, &right.kind)
            && number.value == 0.0
        {
            return Err(self.error(right.span, "division by zero"));
        }
        let span = left.span.to(right.span);
        let kind = DurationKind::Binary(op, Box::new(left), Box::new(right));
        let duration = DurationExpr { kind, span };
        if duration_depth(&duration) > crate::parser::MAX_DEPTH {
            return Err(self.error(span, "the duration has too many operators"));
        }
        Ok(duration)
    }

    fn duration_operand(&mut self) -> Result<DurationExpr, ParseError> {
        let start = self.peek().span.start;
        if let Some(number) = self.accept_number() {
            let span = self.span_from(start);
            // False for NaN, too.
            let fits = number.value.abs() <= MAX_SECONDS;
            if !fits {
                return Err(self.error(span, "duration out of range"));
            }
            let kind = DurationKind::Literal(number);
            return Ok(DurationExpr { kind, span });
        }
        let word = self.peek_word().map(str::to_ascii_lowercase);
        let kind = match (self.peek_kind(), word.as_deref()) {
            (TokenKind::LeftParen, _) => {
                self.next();
                let inner = self.nested(Self::duration_sum)?;
                DurationKind::Paren(Box::new(inner))
            }
            (_, Some("step")) => {
                self.open_duration_call()?;
                DurationKind::Step
            }
            (_, Some("range")) => {
                self.open_duration_call()?;
                DurationKind::Range
            }
            (_, Some(word @ ("min" | "max" | "min_of" | "max_of"))) => {
                let op = match word {
                    "min" | "min_of" => DurationOp::Min,
                    _ => DurationOp::Max,
                };
                self.open_duration_call()?;
                let left = self.nested(Self::duration_sum)?;
                self.expect(&TokenKind::Comma, "\",\" between two durations")?;
                let right = self.nested(Self::duration_sum)?;
                DurationKind::Binary(op, Box::new(left), Box::new(right))
            }
            _ => return Err(self.expected("a duration such as 5m")),
        };
        self.expect(&TokenKind::RightParen, "\")\"")?;
        let span = self.span_from(start);
        Ok(DurationExpr { kind, span })
    }

    fn open_duration_call(&mut self) -> Result<(), ParseError> {
        self.next();
        self.expect(&TokenKind::LeftParen, "\"(\"").map(|_| ())
    }
}

/// A plain number of seconds as the duration it stands for, in whole milliseconds.
fn rounded(duration: DurationExpr) -> DurationExpr {
    let kind = match duration.kind {
        DurationKind::Literal(number) => DurationKind::Literal(Number {
            value: (number.value * 1_000.0).round() / 1_000.0,
            is_duration: true,
        }),
        kind => kind,
    };
    DurationExpr { kind, ..duration }
}

/// How deep a duration is, found without recursion since it is the guard against it.
fn duration_depth(duration: &DurationExpr) -> usize {
    let mut deepest = 0;
    let mut pending = vec![(duration, 1)];
    while let Some((duration, depth)) = pending.pop() {
        deepest = deepest.max(depth);
        match &duration.kind {
            DurationKind::Literal(_) | DurationKind::Step | DurationKind::Range => {}
            DurationKind::Negated(inner) | DurationKind::Paren(inner) => {
                pending.push((inner, depth + 1));
            }
            DurationKind::Binary(_, left, right) => {
                pending.push((left, depth + 1));
                pending.push((right, depth + 1));
            }
        }
    }
    deepest
}
