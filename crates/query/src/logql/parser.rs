//! Reads LogQL.
//!
//! Binary operators are parsed by precedence; everything else by one function a construct. What a
//! stage is given (regular expressions, templates, patterns, paths, addresses) is compiled here
//! once, so that a mistake in it has a place too.

mod stages;

use model::MatchOp;

use crate::error::{Span, SyntaxError};
use crate::logql::ast::{
    AggregateOp, BinaryOp, Expr, ExprKind, Grouping, LabelMatcher, LogExpr, Many, RangeAggregation,
    RangeOp, StageKind, VectorMatching,
};
use crate::logql::lexer::{self, Token, TokenKind};

/// How deep parentheses and functions may nest.
pub const MAX_DEPTH: usize = 64;
/// How many stages, conditions and operators a query may have in all.
pub const MAX_PARTS: usize = 250;
/// How long a query may be, bytes.
pub const MAX_LENGTH: usize = 64 * 1024;

/// Reads a query.
///
/// # Errors
///
/// Anything that is not understood, with its position.
pub fn parse(text: &str) -> Result<Expr, SyntaxError> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expr(0)?;
    parser.expect_end()?;
    Ok(expr)
}

/// Reads a selector alone, `{service_name="api"}`, as the look-ups of labels take it.
///
/// # Errors
///
/// Anything else.
pub fn parse_selector(text: &str) -> Result<Vec<LabelMatcher>, SyntaxError> {
    let mut parser = Parser::new(text)?;
    let matchers = parser.matchers()?;
    parser.expect_end()?;
    Ok(matchers)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    position: usize,
    depth: usize,
    parts: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_LENGTH {
            let message = format!(
                "the query has {} bytes; at most {MAX_LENGTH} are read",
                text.len()
            );
            return Err(SyntaxError::new(Span::new(0, text.len()), message));
        }
        Ok(Self {
            text,
            tokens: lexer::tokens(text)?,
            position: 0,
            depth: 0,
            parts: 0,
        })
    }

    /// Operands joined by operators that bind at least as tightly as `minimum`.
    fn expr(&mut self, minimum: u8) -> Result<Expr, SyntaxError> {
        self.enter()?;
        let mut left = self.operand()?;
        while let Some(op) = self.binary_op().filter(|op| op.precedence() >= minimum) {
            self.count_part()?;
            self.advance();
            let op_span = self.previous_span();
            let bool_modifier = self.take_name("bool");
            if bool_modifier && op.comparison().is_none() {
                return Err(SyntaxError::new(
                    self.previous_span(),
                    format!(
                        "\"bool\" belongs to comparisons, not to \"{}\"",
                        op.as_str()
                    ),
                ));
            }
            let matching = self.vector_matching(op)?;
            // A power binds to the right: 2 ^ 3 ^ 2 is 2 ^ 9.
            let next = op.precedence() + u8::from(op != BinaryOp::Power);
            let right = self.expr(next)?;
            for side in [&left, &right] {
                refuse_log_operand(side, op, op_span)?;
            }
            if let Some(matching) = &matching
                && (is_number(&left) || is_number(&right))
            {
                let word = if matching.on { "on" } else { "ignoring" };
                let message = format!("{word} matches label sets, and one side is a number");
                return Err(SyntaxError::new(op_span, message));
            }
            let span = left.span.to(right.span);
            left = Expr {
                kind: ExprKind::Binary {
                    op,
                    bool_modifier,
                    matching,
                    left: Box::new(left),
                    right: Box::new(right),
                },
                span,
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        match &self.peek().kind {
            TokenKind::Sign(sign) => BinaryOp::named(sign),
            TokenKind::Name(name) => BinaryOp::named(name).filter(|op| op.is_set_operator()),
            _ => None,
        }
    }

    fn vector_matching(&mut self, op: BinaryOp) -> Result<Option<VectorMatching>, SyntaxError> {
        let on = self.take_name("on");
        if !on && !self.take_name("ignoring") {
            return Ok(None);
        }
        let labels = self.names()?;
        let start = self.peek().span;
        let left = self.take_name("group_left");
        let mut many = None;
        if left || self.take_name("group_right") {
            if op.is_set_operator() {
                let message = format!("\"{}\" already matches many to many", op.as_str());
                return Err(SyntaxError::new(start, message));
            }
            let include = match self.at_sign("(") {
                true => self.names()?,
                false => Vec::new(),
            };
            if let Some(label) = include.iter().find(|label| on && labels.contains(label)) {
                return Err(SyntaxError::new(
                    start.to(self.previous_span()),
                    format!("the label {label:?} is already in on (…)"),
                ));
            }
            many = Some(Many { left, include });
        }
        Ok(Some(VectorMatching { on, labels, many }))
    }

    fn operand(&mut self) -> Result<Expr, SyntaxError> {
        let token = self.peek().clone();
        match &token.kind {
            TokenKind::Number(number) => {
                self.advance();
                Ok(number_expr(*number, token.span))
            }
            TokenKind::Sign(sign @ ("-" | "+")) => {
                self.advance();
                let factor = if *sign == "-" { -1.0 } else { 1.0 };
                match self.peek().kind {
                    TokenKind::Number(number) => {
                        self.advance();
                        let span = token.span.to(self.previous_span());
                        Ok(number_expr(factor * number, span))
                    }
                    _ => Err(self.expected("a number after the sign")),
                }
            }
            TokenKind::Sign("{") => {
                let log = self.log_expr()?;
                let span = token.span.to(self.previous_span());
                Ok(Expr {
                    kind: ExprKind::Log(log),
                    span,
                })
            }
            TokenKind::Sign("(") => {
                self.advance();
                let mut inner = self.expr(0)?;
                self.expect_sign(")")?;
                inner.span = token.span.to(self.previous_span());
                Ok(inner)
            }
            TokenKind::Name(name) => self.call(name, token.span),
            _ => Err(self.expected("a query such as {service_name=\"api\"} or rate({…}[5m])")),
        }
    }

    fn call(&mut self, name: &str, start: Span) -> Result<Expr, SyntaxError> {
        let kind = if let Some(op) = RangeOp::named(name) {
            self.advance();
            ExprKind::Range(self.range_aggregation(op, start)?)
        } else if let Some(op) = AggregateOp::named(name) {
            self.advance();
            self.aggregate(op)?
        } else if name == "vector" {
            self.advance();
            self.expect_sign("(")?;
            let number = self.signed_number()?;
            self.expect_sign(")")?;
            ExprKind::Vector(number)
        } else if name == "label_replace" {
            self.advance();
            self.label_replace()?
        } else {
            return Err(self
                .error_here(format!("unknown function {name:?}"))
                .hint("expected for example count_over_time, rate, sum, topk, vector"));
        };
        let span = start.to(self.previous_span());
        Ok(Expr { kind, span })
    }

    fn label_replace(&mut self) -> Result<ExprKind, SyntaxError> {
        self.count_part()?;
        self.expect_sign("(")?;
        let inner = self.expr(0)?;
        refuse_log_argument(&inner, "label_replace")?;
        let mut texts = Vec::with_capacity(4);
        for _ in 0..4 {
            self.expect_sign(",")?;
            texts.push((self.text()?, self.previous_span()));
        }
        self.expect_sign(")")?;
        let [
            (destination, span),
            (replacement, _),
            (source, _),
            (pattern, pattern_span),
        ] = texts.try_into().expect("four texts were read");
        if !is_label(&destination) {
            let message = format!("{destination:?} is no name of a label");
            return Err(SyntaxError::new(span, message));
        }
        check_regex(&pattern, pattern_span)?;
        Ok(ExprKind::LabelReplace {
            inner: Box::new(inner),
            destination,
            replacement,
            source,
            pattern,
        })
    }

    fn aggregate(&mut self, op: AggregateOp) -> Result<ExprKind, SyntaxError> {
        let mut grouping_start = self.peek().span;
        let mut grouping = self.grouping()?;
        self.expect_sign("(")?;
        let mut parameter = None;
        if op.takes_parameter() {
            let span = self.peek().span;
            let number = self.signed_number()?;
            if number < 1.0 || number.fract() != 0.0 {
                return Err(SyntaxError::new(
                    span,
                    format!("{} takes a whole number from 1; got {number}", op.as_str()),
                ));
            }
            parameter = Some(number as u64);
            self.expect_sign(",")?;
        }
        let inner = self.expr(0)?;
        refuse_log_argument(&inner, op.as_str())?;
        self.expect_sign(")")?;
        if grouping.is_none() {
            grouping_start = self.peek().span;
            grouping = self.grouping()?;
        }
        if grouping.is_some() && matches!(op, AggregateOp::Sort | AggregateOp::SortDesc) {
            let span = grouping_start.to(self.previous_span());
            let message = format!("{} takes no grouping", op.as_str());
            return Err(SyntaxError::new(span, message));
        }
        Ok(ExprKind::Aggregate {
            op,
            parameter,
            grouping,
            inner: Box::new(inner),
        })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, SyntaxError> {
        let without = self.at_name("without");
        if !without && !self.at_name("by") {
            return Ok(None);
        }
        self.count_part()?;
        self.advance();
        let labels = self.names()?;
        Ok(Some(Grouping { without, labels }))
    }

    /// `(a, b)`, perhaps empty.
    fn names(&mut self) -> Result<Vec<String>, SyntaxError> {
        self.expect_sign("(")?;
        let mut names = Vec::new();
        while !self.take_sign(")") {
            names.push(self.name("a label")?);
            if !self.take_sign(",") && !self.at_sign(")") {
                return Err(self.expected("\",\" or \")\""));
            }
        }
        Ok(names)
    }

    fn range_aggregation(
        &mut self,
        op: RangeOp,
        name_span: Span,
    ) -> Result<RangeAggregation, SyntaxError> {
        self.count_part()?;
        self.expect_sign("(")?;
        let parameter = match op {
            RangeOp::Quantile => {
                let number = self.signed_number()?;
                self.expect_sign(",")?;
                Some(number)
            }
            _ => None,
        };
        let mut window = None;
        let log = self.ranged_log(&mut window)?;
        let Some((range, offset)) = window else {
            return Err(self.expected("a window such as [5m]"));
        };
        self.expect_sign(")")?;
        let grouping = self.grouping()?;
        let aggregation = RangeAggregation {
            op,
            parameter,
            log,
            range,
            offset,
            grouping,
        };
        check_unwrap(&aggregation, name_span)?;
        Ok(aggregation)
    }

    /// A log query and its window, which may stand before or after the pipeline and inside or
    /// outside of parentheses: `{…}[5m] |= "x"`, `{…} |= "x" [5m]`, `({…} |= "x")[5m]`.
    fn ranged_log(&mut self, window: &mut Option<(i64, i64)>) -> Result<LogExpr, SyntaxError> {
        let log = if self.take_sign("(") {
            self.enter()?;
            let mut log = self.ranged_log(window)?;
            self.expect_sign(")")?;
            self.depth -= 1;
            self.take_window(window)?;
            self.stages(&mut log.stages)?;
            log
        } else {
            let mut log = LogExpr {
                matchers: self.matchers()?,
                stages: Vec::new(),
            };
            self.take_window(window)?;
            self.stages(&mut log.stages)?;
            log
        };
        self.take_window(window)?;
        Ok(log)
    }

    fn take_window(&mut self, window: &mut Option<(i64, i64)>) -> Result<(), SyntaxError> {
        let start = self.peek().span;
        if let Some(found) = self.window()?
            && window.replace(found).is_some()
        {
            let span = start.to(self.previous_span());
            return Err(SyntaxError::new(span, "there is already a window"));
        }
        Ok(())
    }

    /// `[5m]`, perhaps with `offset 1h`, as (range, offset) in ns.
    fn window(&mut self) -> Result<Option<(i64, i64)>, SyntaxError> {
        if !self.take_sign("[") {
            return Ok(None);
        }
        let range = self.duration()?;
        if range <= 0 {
            let message = "a window must be longer than 0s";
            return Err(SyntaxError::new(self.previous_span(), message));
        }
        self.expect_sign("]")?;
        let mut offset = 0;
        if self.take_name("offset") {
            let negative = self.take_sign("-");
            offset = self.duration()?;
            if negative {
                offset = -offset;
            }
        }
        Ok(Some((range, offset)))
    }

    fn duration(&mut self) -> Result<i64, SyntaxError> {
        match self.peek().kind {
            TokenKind::Duration(nanos) => {
                self.advance();
                Ok(nanos)
            }
            _ => Err(self.expected("a duration such as 5m")),
        }
    }

    /// The next token but one.
    fn peek_second(&self) -> &TokenKind {
        &self.tokens[(self.position + 1).min(self.tokens.len() - 1)].kind
    }

    fn log_expr(&mut self) -> Result<LogExpr, SyntaxError> {
        let matchers = self.matchers()?;
        let mut stages = Vec::new();
        self.stages(&mut stages)?;
        if let Some(stage) = stages
            .iter()
            .find(|stage| matches!(stage.kind, StageKind::Unwrap { .. }))
        {
            return Err(
                SyntaxError::new(stage.span, "unwrap belongs inside of a range function")
                    .hint("for example sum_over_time({…} | unwrap bytes [5m])"),
            );
        }
        if self.at_sign("[") {
            return Err(self
                .error_here("a window belongs inside of a range function")
                .hint("for example count_over_time({…}[5m])"));
        }
        Ok(LogExpr { matchers, stages })
    }

    /// `{a="x", b=~"y"}`
    fn matchers(&mut self) -> Result<Vec<LabelMatcher>, SyntaxError> {
        self.expect_sign("{")?;
        let mut matchers = Vec::new();
        while !self.take_sign("}") {
            self.count_part()?;
            let name = self.name("a label")?;
            let start = self.previous_span();
            let Some(op) = self.match_op() else {
                return Err(self.expected("=, !=, =~ or !~"));
            };
            self.advance();
            let value = self.text()?;
            matchers.push(self.matcher(name, op, value, start)?);
            if !self.take_sign(",") && !self.at_sign("}") {
                return Err(self.expected("\",\" or \"}\""));
            }
        }
        Ok(matchers)
    }

    fn matcher(
        &self,
        name: String,
        op: MatchOp,
        value: String,
        start: Span,
    ) -> Result<LabelMatcher, SyntaxError> {
        if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
            check_regex(&value, self.previous_span())?;
        }
        Ok(LabelMatcher {
            name,
            op,
            value,
            span: start.to(self.previous_span()),
        })
    }

    fn match_op(&self) -> Option<MatchOp> {
        match self.peek().kind {
            TokenKind::Sign("=") => Some(MatchOp::Equal),
            TokenKind::Sign("!=") => Some(MatchOp::NotEqual),
            TokenKind::Sign("=~") => Some(MatchOp::Regex),
            TokenKind::Sign("!~") => Some(MatchOp::NotRegex),
            _ => None,
        }
    }

    fn signed_number(&mut self) -> Result<f64, SyntaxError> {
        let negative = self.take_sign("-");
        match self.peek().kind {
            TokenKind::Number(number) => {
                self.advance();
                Ok(if negative { -number } else { number })
            }
            _ => Err(self.expected("a number")),
        }
    }

    fn text(&mut self) -> Result<String, SyntaxError> {
        match &self.peek().kind {
            TokenKind::Text(text) => {
                let text = text.clone();
                self.advance();
                Ok(text)
            }
            _ => Err(self.expected("a text in quotes")),
        }
    }

    fn name(&mut self, what: &str) -> Result<String, SyntaxError> {
        match &self.peek().kind {
            TokenKind::Name(name) => {
                let name = name.clone();
                self.advance();
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    fn peek(&self) -> &Token {
        // The last token is `End`, and nothing advances past it.
        &self.tokens[self.position]
    }

    fn advance(&mut self) {
        self.position = (self.position + 1).min(self.tokens.len() - 1);
    }

    fn previous_span(&self) -> Span {
        self.tokens[self.position.saturating_sub(1)].span
    }

    fn at_sign(&self, sign: &str) -> bool {
        matches!(self.peek().kind, TokenKind::Sign(found) if found == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.at_sign(sign);
        if found {
            self.advance();
        }
        found
    }

    fn expect_sign(&mut self, sign: &str) -> Result<(), SyntaxError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.expected(&format!("{sign:?}")))
    }

    fn at_name(&self, name: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Name(found) if found == name)
    }

    fn take_name(&mut self, name: &str) -> bool {
        let found = self.at_name(name);
        if found {
            self.advance();
        }
        found
    }

    fn expect_end(&self) -> Result<(), SyntaxError> {
        if self.peek().kind == TokenKind::End {
            return Ok(());
        }
        Err(self.expected("an operator or the end of the query"))
    }

    fn enter(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error_here(format!("the query nests deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }

    fn count_part(&mut self) -> Result<(), SyntaxError> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(self.error_here(format!("the query has more than {MAX_PARTS} parts")));
        }
        Ok(())
    }

    fn error_here(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.peek().span, message)
    }

    fn expected(&self, what: &str) -> SyntaxError {
        let token = self.peek();
        let found = match token.kind {
            TokenKind::End => "the end of the query".to_owned(),
            _ => {
                let written = &self.text[token.span.offset..token.span.end()];
                format!("\"{written}\"")
            }
        };
        self.error_here(format!("expected {what}, found {found}"))
    }
}

fn number_expr(number: f64, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Number(number),
        span,
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Number(_))
}

fn is_label(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(valid) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// A log query where numbers are needed.
fn refuse_log_argument(argument: &Expr, function: &str) -> Result<(), SyntaxError> {
    if let ExprKind::Log(_) = argument.kind {
        return Err(SyntaxError::new(
            argument.span,
            format!("{function} takes numbers, and this is a log query"),
        )
        .hint("count its lines first: count_over_time({…}[5m])"));
    }
    Ok(())
}

fn refuse_log_operand(side: &Expr, op: BinaryOp, op_span: Span) -> Result<(), SyntaxError> {
    match (&side.kind, op.is_set_operator()) {
        (ExprKind::Log(_), _) => Err(SyntaxError::new(
            op_span,
            format!(
                "\"{}\" joins numbers, and one side is a log query",
                op.as_str()
            ),
        )
        .hint("count its lines first: count_over_time({…}[5m])")),
        (ExprKind::Number(_), true) => Err(SyntaxError::new(
            op_span,
            format!(
                "\"{}\" joins label sets, and one side is a number",
                op.as_str()
            ),
        )
        .hint("write vector(…) around the number")),
        _ => Ok(()),
    }
}

fn check_unwrap(aggregation: &RangeAggregation, name_span: Span) -> Result<(), SyntaxError> {
    let op = aggregation.op;
    let stages = &aggregation.log.stages;
    let mut unwraps = stages
        .iter()
        .filter(|stage| matches!(stage.kind, StageKind::Unwrap { .. }));
    let unwrap = unwraps.next();
    if let Some(second) = unwraps.next() {
        return Err(SyntaxError::new(second.span, "there is already an unwrap"));
    }
    let after = stages
        .iter()
        .skip_while(|stage| !matches!(stage.kind, StageKind::Unwrap { .. }))
        .skip(1)
        .find(|stage| !matches!(stage.kind, StageKind::Label(_)));
    if let Some(stage) = after {
        let message = "only label filters may follow an unwrap";
        return Err(SyntaxError::new(stage.span, message));
    }
    match unwrap {
        None if op.needs_unwrap() => Err(SyntaxError::new(
            name_span,
            format!("{} works on unwrapped values", op.as_str()),
        )
        .hint(format!(
            "for example {}({{…}} | json | unwrap took [5m])",
            op.as_str()
        ))),
        Some(stage) if !op.may_unwrap() => Err(SyntaxError::new(
            stage.span,
            format!("{} works on lines, not on unwrapped values", op.as_str()),
        )),
        None if aggregation.grouping.is_some() => Err(SyntaxError::new(
            name_span,
            format!("{} takes a grouping only with unwrap", op.as_str()),
        )
        .hint("write sum by (…) (…) around it")),
        _ => Ok(()),
    }
}

fn check_regex(pattern: &str, span: Span) -> Result<(), SyntaxError> {
    regex::Regex::new(pattern).map(drop).map_err(|error| {
        let text = error.to_string();
        // The engine draws the pattern over several lines; its last line says what is wrong.
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.trim_start_matches("error: ");
        SyntaxError::new(
            span,
            format!("invalid regular expression {pattern:?}: {reason}"),
        )
    })
}
