//! The stages of a pipeline.

use model::MatchOp;

use super::{Parser, check_regex, is_label};
use crate::error::{Span, SyntaxError};
use crate::logql::addresses::Addresses;
use crate::logql::ast::{
    CompareOp, Conversion, Extraction, LabelChoice, LabelFilter, LabelFormat, LabelSource,
    LineMatch, LineOp, Quantity, Stage, StageKind,
};
use crate::logql::json_text::JsonPath;
use crate::logql::lexer::TokenKind;
use crate::logql::line_pattern::LinePattern;
use crate::logql::template::LineTemplate;

impl Parser<'_> {
    pub(super) fn stages(&mut self, stages: &mut Vec<Stage>) -> Result<(), SyntaxError> {
        loop {
            let start = self.peek().span;
            let kind = match self.peek().kind {
                TokenKind::Sign("|=") => self.line_filter(LineOp::Contains)?,
                TokenKind::Sign("|~") => self.line_filter(LineOp::Matches)?,
                TokenKind::Sign("|>") => self.line_filter(LineOp::Pattern)?,
                TokenKind::Sign("!=") => self.line_filter(LineOp::ContainsNot)?,
                TokenKind::Sign("!~") => self.line_filter(LineOp::MatchesNot)?,
                TokenKind::Sign("!>") => self.line_filter(LineOp::PatternNot)?,
                TokenKind::Sign("|") => {
                    self.advance();
                    self.stage()?
                }
                _ => return Ok(()),
            };
            self.count_part()?;
            let span = start.to(self.previous_span());
            stages.push(Stage { kind, span });
        }
    }

    fn line_filter(&mut self, op: LineOp) -> Result<StageKind, SyntaxError> {
        self.advance();
        let mut alternatives = Vec::new();
        loop {
            let addresses = self.at_name("ip") && *self.peek_second() == TokenKind::Sign("(");
            if addresses && !matches!(op, LineOp::Contains | LineOp::ContainsNot) {
                return Err(self
                    .error_here("ip() goes with |= and != only")
                    .hint("for example |= ip(\"10.0.0.0/8\")"));
            }
            alternatives.push(match addresses {
                true => LineMatch::Ip(self.addresses()?),
                false => LineMatch::Text(self.line_text(op)?),
            });
            self.count_part()?;
            if !self.take_name("or") {
                return Ok(StageKind::Line { op, alternatives });
            }
        }
    }

    fn line_text(&mut self, op: LineOp) -> Result<String, SyntaxError> {
        let text = self.text()?;
        let span = self.previous_span();
        match op {
            LineOp::Matches | LineOp::MatchesNot => check_regex(&text, span)?,
            LineOp::Pattern | LineOp::PatternNot => {
                LinePattern::filter(&text).map_err(|error| SyntaxError::new(span, error))?;
            }
            LineOp::Contains | LineOp::ContainsNot => {}
        }
        Ok(text)
    }

    /// `ip("10.0.0.0/8")`
    fn addresses(&mut self) -> Result<String, SyntaxError> {
        self.advance();
        self.expect_sign("(")?;
        let text = self.text()?;
        let span = self.previous_span();
        text.parse::<Addresses>()
            .map_err(|error| SyntaxError::new(span, error))?;
        self.expect_sign(")")?;
        Ok(text)
    }

    fn stage(&mut self) -> Result<StageKind, SyntaxError> {
        let TokenKind::Name(name) = self.peek().kind.clone() else {
            if self.at_sign("(") {
                return Ok(StageKind::Label(self.label_filters()?));
            }
            return Err(self.expected("a stage such as json, drop or a label filter"));
        };
        // A label may be called like a stage: `| json = "x"` is a label filter. But after a stage
        // that may stand alone a line filter may follow: `| json != "x"`.
        let next = self.peek_second();
        let alone = matches!(name.as_str(), "json" | "logfmt" | "unpack" | "decolorize");
        let is_label = matches!(
            next,
            TokenKind::Sign("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<=")
        ) && !(alone && matches!(next, TokenKind::Sign("!=" | "!~")));
        if is_label {
            return Ok(StageKind::Label(self.label_filters()?));
        }
        self.advance();
        Ok(match name.as_str() {
            "json" => StageKind::Json(self.extractions(|path| path.parse::<JsonPath>().map(drop))?),
            "logfmt" => self.logfmt()?,
            "regexp" => StageKind::Regexp(self.regexp()?),
            "pattern" => {
                let text = self.text()?;
                let span = self.previous_span();
                LinePattern::captures(&text).map_err(|error| SyntaxError::new(span, error))?;
                StageKind::Pattern(text)
            }
            "unpack" => StageKind::Unpack,
            "decolorize" => StageKind::Decolorize,
            "line_format" => StageKind::LineFormat(self.template()?),
            "label_format" => StageKind::LabelFormat(self.label_formats()?),
            "drop" => StageKind::Drop(self.choices()?),
            "keep" => StageKind::Keep(self.choices()?),
            "unwrap" => self.unwrap_stage()?,
            _ => {
                return Err(self
                    .expected(&format!(
                        "an operator such as = or >= after the label {name:?}"
                    ))
                    .hint(
                        "stages are json, logfmt, regexp, pattern, unpack, decolorize, line_format, label_format, keep, drop, unwrap",
                    ));
            }
        })
    }

    fn logfmt(&mut self) -> Result<StageKind, SyntaxError> {
        let (mut strict, mut keep_empty) = (false, false);
        while let TokenKind::Flag(flag) = &self.peek().kind {
            match flag.as_str() {
                "--strict" => strict = true,
                "--keep-empty" => keep_empty = true,
                _ => {
                    return Err(self
                        .error_here(format!("logfmt has no flag {flag:?}"))
                        .hint("its flags are --strict and --keep-empty"));
                }
            }
            self.advance();
        }
        let check = |path: &str| match path.contains(['=', ' ']) {
            true => Err(format!("{path:?} is no key of logfmt")),
            false => Ok(()),
        };
        Ok(StageKind::Logfmt {
            strict,
            keep_empty,
            fields: self.extractions(check)?,
        })
    }

    /// `a, b="c.d"` after `json` or `logfmt`, perhaps nothing.
    fn extractions(
        &mut self,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Vec<Extraction>, SyntaxError> {
        let mut fields = Vec::new();
        if !matches!(self.peek().kind, TokenKind::Name(_)) {
            return Ok(fields);
        }
        loop {
            let label = self.name("a label")?;
            let mut path = label.clone();
            if self.take_sign("=") {
                path = self.text()?;
            }
            check(&path).map_err(|error| SyntaxError::new(self.previous_span(), error))?;
            fields.push(Extraction { label, path });
            self.count_part()?;
            if !self.take_sign(",") {
                return Ok(fields);
            }
        }
    }

    fn regexp(&mut self) -> Result<String, SyntaxError> {
        let pattern = self.text()?;
        let span = self.previous_span();
        check_regex(&pattern, span)?;
        let names = group_names(&pattern);
        if names.is_empty() {
            return Err(SyntaxError::new(span, "regexp needs a named group")
                .hint("for example (?P<status>\\d+)"));
        }
        match names.iter().find(|name| !is_label(name)) {
            Some(name) => Err(SyntaxError::new(
                span,
                format!("the group {name:?} is no name of a label"),
            )),
            None => Ok(pattern),
        }
    }

    fn template(&mut self) -> Result<String, SyntaxError> {
        let text = self.text()?;
        let span = self.previous_span();
        check_template(&text, span)?;
        Ok(text)
    }

    /// `a=b, c="{{.d}}"`
    fn label_formats(&mut self) -> Result<Vec<LabelFormat>, SyntaxError> {
        let mut formats: Vec<LabelFormat> = Vec::new();
        loop {
            let label = self.name("a label")?;
            let span = self.previous_span();
            if label == "__error__" {
                return Err(SyntaxError::new(span, "__error__ cannot be formatted"));
            }
            if formats.iter().any(|format| format.label == label) {
                let message = format!("the label {label:?} is set twice in one label_format");
                return Err(SyntaxError::new(span, message));
            }
            self.expect_sign("=")?;
            let source = match &self.peek().kind {
                TokenKind::Text(_) => LabelSource::Template(self.template()?),
                _ => LabelSource::Rename(self.name("a label or a template in quotes")?),
            };
            formats.push(LabelFormat { label, source });
            self.count_part()?;
            if !self.take_sign(",") {
                return Ok(formats);
            }
        }
    }

    fn unwrap_stage(&mut self) -> Result<StageKind, SyntaxError> {
        let name = self.name("a label to unwrap")?;
        let conversion = match name.as_str() {
            _ if !self.at_sign("(") => {
                return Ok(StageKind::Unwrap {
                    label: name,
                    conversion: Conversion::Number,
                });
            }
            "duration" | "duration_seconds" => Conversion::Duration,
            "bytes" => Conversion::Bytes,
            _ => {
                return Err(SyntaxError::new(
                    self.previous_span(),
                    format!("unknown conversion {name:?}"),
                )
                .hint("expected duration, duration_seconds or bytes"));
            }
        };
        self.expect_sign("(")?;
        let label = self.name("a label to unwrap")?;
        self.expect_sign(")")?;
        Ok(StageKind::Unwrap { label, conversion })
    }

    fn choices(&mut self) -> Result<Vec<LabelChoice>, SyntaxError> {
        let mut choices = Vec::new();
        loop {
            let name = self.name("a label")?;
            let mut value = None;
            if let Some(op) = self.match_op()
                && matches!(self.peek_second(), TokenKind::Text(_))
            {
                self.advance();
                let text = self.text()?;
                if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
                    check_regex(&text, self.previous_span())?;
                }
                value = Some((op, text));
            }
            choices.push(LabelChoice { name, value });
            self.count_part()?;
            if !self.take_sign(",") {
                return Ok(choices);
            }
        }
    }

    /// Label filters, as Loki groups them: `and` binds tighter than `or`, while a comma, or
    /// nothing at all, joins a filter with everything that follows.
    fn label_filters(&mut self) -> Result<LabelFilter, SyntaxError> {
        let mut left = self.label_and()?;
        while self.take_name("or") {
            self.count_part()?;
            left = LabelFilter::Or(Box::new(left), Box::new(self.label_and()?));
        }
        Ok(left)
    }

    fn label_and(&mut self) -> Result<LabelFilter, SyntaxError> {
        let mut left = self.label_operand()?;
        while self.take_name("and") {
            self.count_part()?;
            left = LabelFilter::And(Box::new(left), Box::new(self.label_operand()?));
        }
        Ok(left)
    }

    fn label_operand(&mut self) -> Result<LabelFilter, SyntaxError> {
        let left = self.label_filter()?;
        let follows = match &self.peek().kind {
            TokenKind::Sign("(") => true,
            TokenKind::Name(name) => !matches!(name.as_str(), "and" | "or" | "unless"),
            _ => false,
        };
        if !self.take_sign(",") && !follows {
            return Ok(left);
        }
        self.count_part()?;
        self.enter()?;
        let right = self.label_filters()?;
        self.depth -= 1;
        Ok(LabelFilter::And(Box::new(left), Box::new(right)))
    }

    fn label_filter(&mut self) -> Result<LabelFilter, SyntaxError> {
        if self.take_sign("(") {
            self.enter()?;
            let inner = self.label_filters()?;
            self.expect_sign(")")?;
            self.depth -= 1;
            return Ok(inner);
        }
        let name = self.name("a label")?;
        let start = self.previous_span();
        let op = self.peek().clone();
        let text_op = self.match_op();
        let compare_op = match op.kind {
            TokenKind::Sign("=" | "==") => Some(CompareOp::Equal),
            TokenKind::Sign("!=") => Some(CompareOp::NotEqual),
            TokenKind::Sign("<") => Some(CompareOp::Less),
            TokenKind::Sign("<=") => Some(CompareOp::LessOrEqual),
            TokenKind::Sign(">") => Some(CompareOp::Greater),
            TokenKind::Sign(">=") => Some(CompareOp::GreaterOrEqual),
            _ => None,
        };
        if text_op.is_none() && compare_op.is_none() {
            return Err(self.expected(&format!(
                "an operator such as = or >= after the label {name:?}"
            )));
        }
        self.advance();
        if self.at_name("ip") {
            if !matches!(op.kind, TokenKind::Sign("=" | "!=")) {
                return Err(self.error_here("ip() goes with = and != only"));
            }
            return Ok(LabelFilter::Ip {
                name,
                negated: op.kind == TokenKind::Sign("!="),
                addresses: self.addresses()?,
            });
        }
        if let (Some(op), TokenKind::Text(_)) = (text_op, &self.peek().kind) {
            let value = self.text()?;
            return Ok(LabelFilter::Match(self.matcher(name, op, value, start)?));
        }
        let negative = self.take_sign("-");
        if !negative {
            self.take_sign("+");
        }
        let sign = if negative { -1.0 } else { 1.0 };
        let bound = match self.peek().kind {
            TokenKind::Number(number) => Quantity::Number(sign * number),
            TokenKind::Duration(nanos) if negative => Quantity::Duration(-nanos),
            TokenKind::Duration(nanos) => Quantity::Duration(nanos),
            TokenKind::Bytes(bytes) => Quantity::Bytes(sign * bytes),
            _ if text_op.is_some() => {
                return Err(self.expected("a text in quotes, a number, a duration or a size"));
            }
            _ => return Err(self.expected("a number, a duration or a size")),
        };
        let Some(op) = compare_op else {
            return Err(self.expected("a regular expression in quotes"));
        };
        self.advance();
        Ok(LabelFilter::Compare {
            name,
            op,
            bound,
            span: start.to(self.previous_span()),
        })
    }
}

fn group_names(pattern: &str) -> Vec<String> {
    let Ok(regex) = regex::Regex::new(pattern) else {
        return Vec::new();
    };
    let names = regex.capture_names().flatten();
    names.map(str::to_owned).collect()
}

fn check_template(text: &str, span: Span) -> Result<(), SyntaxError> {
    LineTemplate::new(text)
        .map(drop)
        .map_err(|error| SyntaxError::new(span, error.to_string()))
}
