//! The stages of a pipeline.

use model::MatchOp;

use super::{Parser, check_regex};
use crate::error::SyntaxError;
use crate::logql::ast::{
    CompareOp, Conversion, LabelChoice, LabelFilter, LineOp, Quantity, Stage, StageKind,
};
use crate::logql::lexer::TokenKind;

const LATER_STAGES: [&str; 9] = [
    "regexp",
    "pattern",
    "unpack",
    "decolorize",
    "line_format",
    "label_format",
    "distinct",
    "variants",
    "ip",
];
impl Parser<'_> {
    pub(super) fn stages(&mut self, stages: &mut Vec<Stage>) -> Result<(), SyntaxError> {
        loop {
            let start = self.peek().span;
            let kind = match self.peek().kind {
                TokenKind::Sign("|=") => self.line_filter(LineOp::Contains)?,
                TokenKind::Sign("|~") => self.line_filter(LineOp::Matches)?,
                TokenKind::Sign("!~") => self.line_filter(LineOp::MatchesNot)?,
                TokenKind::Sign("!=") => self.line_filter(LineOp::ContainsNot)?,
                TokenKind::Sign("|>" | "!>") => {
                    return Err(self
                        .error_here("pattern line filters (|>, !>) are not supported yet")
                        .hint("write a regular expression: |~ \"…\""));
                }
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
            if self.at_name("ip") {
                return Err(self.error_here("ip() filters are not supported yet"));
            }
            let text = self.text()?;
            if matches!(op, LineOp::Matches | LineOp::MatchesNot) {
                check_regex(&text, self.previous_span())?;
            }
            alternatives.push(text);
            self.count_part()?;
            if !self.take_name("or") {
                return Ok(StageKind::Line { op, alternatives });
            }
        }
    }

    fn stage(&mut self) -> Result<StageKind, SyntaxError> {
        let TokenKind::Name(name) = self.peek().kind.clone() else {
            if self.at_sign("(") {
                return Ok(StageKind::Label(self.label_or()?));
            }
            return Err(self.expected("a stage such as json, drop or a label filter"));
        };
        // A label may be called like a stage: `| json = "x"` is a label filter.
        let next = &self.tokens[(self.position + 1).min(self.tokens.len() - 1)].kind;
        let is_label = matches!(
            next,
            TokenKind::Sign("=" | "==" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<=")
        ) && !(matches!(next, TokenKind::Sign("!=" | "!~"))
            && matches!(name.as_str(), "json" | "logfmt"));
        if is_label {
            return Ok(StageKind::Label(self.label_or()?));
        }
        match name.as_str() {
            "json" | "logfmt" => {
                self.advance();
                if let TokenKind::Name(_) = self.peek().kind {
                    return Err(self
                        .error_here(format!("{name} with chosen fields is not supported yet"))
                        .hint(format!("| {name} alone makes labels of all fields")));
                }
                if self.at_sign("-") {
                    return Err(self.error_here(format!("flags of {name} are not supported yet")));
                }
                Ok(match name.as_str() {
                    "json" => StageKind::Json,
                    _ => StageKind::Logfmt,
                })
            }
            "drop" => {
                self.advance();
                Ok(StageKind::Drop(self.choices()?))
            }
            "keep" => {
                self.advance();
                Ok(StageKind::Keep(self.choices()?))
            }
            "unwrap" => {
                self.advance();
                self.unwrap_stage()
            }
            later if LATER_STAGES.contains(&later) => {
                Err(self.error_here(format!("the stage {later} is not supported yet")))
            }
            _ => {
                self.advance();
                Err(self.expected(&format!(
                    "an operator such as = or >= after the label {name:?}"
                )))
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
                && matches!(
                    self.tokens[(self.position + 1).min(self.tokens.len() - 1)].kind,
                    TokenKind::Text(_)
                )
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

    fn label_or(&mut self) -> Result<LabelFilter, SyntaxError> {
        let mut left = self.label_and()?;
        while self.take_name("or") {
            self.count_part()?;
            left = LabelFilter::Or(Box::new(left), Box::new(self.label_and()?));
        }
        Ok(left)
    }

    fn label_and(&mut self) -> Result<LabelFilter, SyntaxError> {
        let mut left = self.label_filter()?;
        while self.take_name("and") || self.take_sign(",") {
            self.count_part()?;
            left = LabelFilter::And(Box::new(left), Box::new(self.label_filter()?));
        }
        Ok(left)
    }

    fn label_filter(&mut self) -> Result<LabelFilter, SyntaxError> {
        if self.take_sign("(") {
            self.enter()?;
            let inner = self.label_or()?;
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
            return Err(self.expected("a comparison such as = or >="));
        }
        self.advance();
        if self.at_name("ip") {
            return Err(self.error_here("ip() filters are not supported yet"));
        }
        if let (Some(op), TokenKind::Text(_)) = (text_op, &self.peek().kind) {
            let value = self.text()?;
            return Ok(LabelFilter::Match(self.matcher(name, op, value, start)?));
        }
        let negative = self.take_sign("-");
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
