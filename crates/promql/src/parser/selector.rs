//! Selectors of series, and the brackets and modifiers behind an operand.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use crate::ast::{
    At, DurationExpr, Expr, ExprKind, RangeExtension, RangeSelector, Selector, Subquery,
    TimeModifiers, ValueType,
};
use crate::error::ParseError;
use crate::matching::CompiledMatcher;
use crate::parser::cursor::{Cursor, Node};
use crate::parser::token::TokenKind;
use crate::span::Span;

impl Cursor<'_> {
    /// The rest of a selector whose metric name, if any, was just taken.
    pub(crate) fn selector(
        &mut self,
        name: Option<&str>,
        start: usize,
    ) -> Result<Node, ParseError> {
        let mut matchers = Vec::new();
        if let Some(name) = name {
            matchers.push(Matcher::new(METRIC_NAME, MatchOp::Equal, name));
        }
        if *self.peek_kind() == TokenKind::LeftBrace {
            self.matchers(name, &mut matchers)?;
        }
        // The order of matchers says nothing, so trees that differ in it alone are equal.
        let first = usize::from(name.is_some());
        matchers[first..].sort_by(|a, b| {
            let key = |matcher: &Matcher| (matcher.name.clone(), matcher.op.as_str());
            key(a).cmp(&key(b)).then_with(|| a.value.cmp(&b.value))
        });
        let span = self.span_from(start);
        let selector = Selector {
            name: name.map(str::to_owned),
            matchers,
            time: TimeModifiers::default(),
            extension: None,
        };
        let kind = ExprKind::Selector(Box::new(selector));
        self.node(Expr { kind, span }, 0)
    }

    fn matchers(
        &mut self,
        name: Option<&str>,
        matchers: &mut Vec<Matcher>,
    ) -> Result<(), ParseError> {
        let open = self.next();
        loop {
            if self.accept(&TokenKind::RightBrace).is_some() {
                return Ok(());
            }
            let start = self.peek().span.start;
            let matcher = self.matcher()?;
            if matcher.name == METRIC_NAME
                && let Some(name) = name
            {
                return Err(self.error(
                    self.span_from(start),
                    format!(
                        "the metric name is set twice: {name:?} and {:?}",
                        matcher.value
                    ),
                ));
            }
            matchers.push(matcher);
            if self.at_end() {
                return Err(self.error(open.span, "this \"{\" is never closed"));
            }
            if self.accept(&TokenKind::Comma).is_none()
                && *self.peek_kind() != TokenKind::RightBrace
            {
                return Err(self.expected("\",\" or \"}\" after a label matcher"));
            }
        }
    }

    /// `name="value"`, `"name"=~"value"`, or `"metric name"`.
    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let start = self.peek().span.start;
        let (name, quoted) = match self.peek_kind() {
            TokenKind::Word(word) => (word.clone(), false),
            TokenKind::Text(text) => (text.clone(), true),
            _ => return Err(self.expected("a label name or \"}\"")),
        };
        self.next();
        let op = match self.peek_kind() {
            TokenKind::Assign => MatchOp::Equal,
            TokenKind::NotEqual => MatchOp::NotEqual,
            TokenKind::RegexMatch => MatchOp::Regex,
            TokenKind::RegexNoMatch => MatchOp::NotRegex,
            TokenKind::Comma | TokenKind::RightBrace | TokenKind::End if quoted => {
                return Ok(Matcher::new(METRIC_NAME, MatchOp::Equal, name));
            }
            _ => return Err(self.expected("one of = != =~ !~ after a label name")),
        };
        self.next();
        let TokenKind::Text(value) = self.peek_kind() else {
            return Err(self
                .expected("a quoted label value")
                .with_hint("label values are quoted: job=\"api\""));
        };
        let matcher = Matcher::new(name, op, value.clone());
        self.next();
        // Compiling finds a bad regular expression now, at its place, not while evaluating.
        CompiledMatcher::new(&matcher)
            .map_err(|error| self.error(self.span_from(start), error.to_string()))?;
        Ok(matcher)
    }

    /// Brackets, `@`, `offset`, `anchored` and `smoothed` behind an operand.
    pub(crate) fn attachments(&mut self, mut node: Node) -> Result<Node, ParseError> {
        loop {
            let keyword = self.peek_word().map(str::to_ascii_lowercase);
            match (self.peek_kind(), keyword.as_deref()) {
                (TokenKind::LeftBracket, _) => node = self.bracket(node)?,
                (TokenKind::At, _) => self.at_modifier(&mut node.expr)?,
                (_, Some("offset")) => self.offset_modifier(&mut node.expr)?,
                (_, Some("anchored")) => {
                    self.extension(&mut node.expr, RangeExtension::Anchored)?;
                }
                (_, Some("smoothed")) => {
                    self.extension(&mut node.expr, RangeExtension::Smoothed)?;
                }
                _ => break,
            }
            // Chains such as `a[1h:][1h:]…` deepen the tree without nesting the parser.
            node.expr.span = self.span_from(node.expr.span.start);
        }
        check_selects_something(self, &node.expr)?;
        Ok(node)
    }

    /// `[5m]` or `[1h:5m]`.
    fn bracket(&mut self, node: Node) -> Result<Node, ParseError> {
        let open = self.next();
        let range = self.positive_duration("a range")?;
        if self.accept(&TokenKind::Colon).is_some() {
            let step = match self.peek_kind() {
                TokenKind::RightBracket => None,
                _ => Some(self.positive_duration("a step")?),
            };
            self.close_bracket(open.span, "\"]\" after the step")?;
            return self.subquery(node, range, step);
        }
        self.close_bracket(open.span, "\"]\" or \":\" after the range")?;
        let span = self.span_from(node.expr.span.start);
        let at_fault = self.span_from(open.span.start);
        let ExprKind::Selector(selector) = node.expr.kind else {
            let what = node.expr.value_type();
            return Err(self
                .error(
                    at_fault,
                    format!(
                        "a range needs a selector before it, got {}",
                        what.with_article()
                    ),
                )
                .with_hint("a range over an expression is a subquery: (expression)[1h:1m]"));
        };
        if selector.time.offset.is_some() || selector.time.at.is_some() {
            return Err(self
                .error(
                    at_fault,
                    "offset and @ stand behind the range, not before it",
                )
                .with_hint("write metric[5m] offset 1h"));
        }
        let kind = ExprKind::Range(Box::new(RangeSelector {
            selector: *selector,
            range,
        }));
        self.node(Expr { kind, span }, 0)
    }

    fn close_bracket(&mut self, open: Span, name: &str) -> Result<(), ParseError> {
        if self.at_end() {
            return Err(self.error(open, "this \"[\" is never closed"));
        }
        self.expect(&TokenKind::RightBracket, name).map(|_| ())
    }

    fn subquery(
        &mut self,
        node: Node,
        range: DurationExpr,
        step: Option<DurationExpr>,
    ) -> Result<Node, ParseError> {
        let span = self.span_from(node.expr.span.start);
        check_selects_something(self, &node.expr)?;
        let value_type = node.expr.value_type();
        if value_type != ValueType::Vector {
            return Err(self.error(
                node.expr.span,
                format!(
                    "a subquery needs an instant vector, got {}",
                    value_type.with_article()
                ),
            ));
        }
        let subquery = Subquery {
            expr: node.expr,
            range,
            step,
            time: TimeModifiers::default(),
        };
        let kind = ExprKind::Subquery(Box::new(subquery));
        self.node(Expr { kind, span }, node.depth)
    }

    fn time_modifiers<'e>(
        &self,
        expr: &'e mut Expr,
        modifier: &str,
    ) -> Result<&'e mut TimeModifiers, ParseError> {
        let span = self.peek().span;
        match &mut expr.kind {
            ExprKind::Selector(selector) => Ok(&mut selector.time),
            ExprKind::Range(range) => Ok(&mut range.selector.time),
            ExprKind::Subquery(subquery) => Ok(&mut subquery.time),
            _ => Err(self
                .error(
                    span,
                    format!("{modifier} needs a selector or a subquery before it"),
                )
                .with_hint("put it behind each selector inside of the expression")),
        }
    }

    fn offset_modifier(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let time = self.time_modifiers(expr, "offset")?;
        if time.offset.is_some() {
            return Err(self.error_here("offset is set twice"));
        }
        self.next();
        time.offset = Some(self.offset_duration()?);
        Ok(())
    }

    fn at_modifier(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        let time = self.time_modifiers(expr, "@")?;
        if time.at.is_some() {
            return Err(self.error_here("@ is set twice"));
        }
        self.next();
        let start = self.peek().span.start;
        for (keyword, at) in [("start", At::Start), ("end", At::End)] {
            if self.accept_keyword(keyword).is_some() {
                self.expect(&TokenKind::LeftParen, "\"(\"")?;
                self.expect(&TokenKind::RightParen, "\")\"")?;
                time.at = Some(at);
                return Ok(());
            }
        }
        let number = self.signed_number("a Unix time in seconds, start() or end()")?;
        let millis = (number.value * 1_000.0).round();
        // 2^63 is the first double past every i64.
        if !(millis > -(2_f64.powi(63)) && millis < 2_f64.powi(63)) {
            return Err(self.error(
                self.span_from(start),
                format!("the time {} is out of range", number.value),
            ));
        }
        time.at = Some(At::Millis(millis as i64));
        Ok(())
    }

    fn extension(&mut self, expr: &mut Expr, extension: RangeExtension) -> Result<(), ParseError> {
        let keyword = self.next();
        let word = extension.as_str();
        let selector = match &mut expr.kind {
            ExprKind::Selector(selector) => selector.as_mut(),
            ExprKind::Range(range) => &mut range.selector,
            _ => {
                let message = format!("{word} needs a selector before it");
                return Err(self.error(keyword.span, message));
            }
        };
        if selector.extension.is_some_and(|other| other != extension) {
            let message = "anchored and smoothed exclude each other";
            return Err(self.error(keyword.span, message));
        }
        selector.extension = Some(extension);
        Ok(())
    }
}

/// A selector must exclude something, or a slip of the pen would read every series.
///
/// Done once a selector is complete, since `info` takes one that matches everything.
fn check_selects_something(cursor: &Cursor<'_>, expr: &Expr) -> Result<(), ParseError> {
    let selector = match &expr.kind {
        ExprKind::Selector(selector) => selector.as_ref(),
        ExprKind::Range(range) => &range.selector,
        _ => return Ok(()),
    };
    if cursor.in_info_labels() || selects_something(selector) {
        return Ok(());
    }
    Err(cursor
        .error(expr.span, "the selector matches every series")
        .with_hint(
            "give at least one matcher that does not match the empty string, as in {job=~\".+\"}",
        ))
}

fn selects_something(selector: &Selector) -> bool {
    selector
        .matchers
        .iter()
        .any(|matcher| CompiledMatcher::new(matcher).is_ok_and(|compiled| !compiled.accepts("")))
}
