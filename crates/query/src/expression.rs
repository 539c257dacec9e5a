//! Regular expressions of a bounded size, in the syntax of the `regex` crate.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;

use crate::error::Span;

/// The longest expression, bytes.
pub const MAX_BYTES: usize = 1_000;

/// The most memory that a compiled expression may take, bytes.
const MAX_COMPILED_BYTES: usize = 2 << 20;

/// Why an expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExpressionError {
    /// What is wrong.
    pub message: String,
    /// Where in the expression.
    pub span: Span,
}

/// An expression that matches anywhere in a text, unless it says where itself.
///
/// Matching takes time linear in the text: there are no look-arounds and no back-references.
///
/// # Errors
///
/// A wrong expression, or one past the bounds.
pub fn compile(expression: &str) -> Result<Regex, ExpressionError> {
    parse(expression)?;
    RegexBuilder::new(expression)
        .size_limit(MAX_COMPILED_BYTES)
        .build()
        .map_err(|_| ExpressionError {
            message: format!(
                "the regular expression needs more than {MAX_COMPILED_BYTES} bytes when compiled; \
                 large repetitions of classes such as \\w{{500}} do"
            ),
            span: Span::new(0, expression.len()),
        })
}

/// An expression taken apart.
///
/// # Errors
///
/// A wrong or too long expression.
pub(crate) fn parse(expression: &str) -> Result<Hir, ExpressionError> {
    if expression.len() > MAX_BYTES {
        return Err(ExpressionError {
            message: format!(
                "the regular expression has {} bytes; at most {MAX_BYTES} are read",
                expression.len()
            ),
            span: Span::new(0, expression.len()),
        });
    }
    regex_syntax::parse(expression).map_err(|err| {
        let (message, span) = match &err {
            regex_syntax::Error::Parse(err) => (err.kind().to_string(), *err.span()),
            regex_syntax::Error::Translate(err) => (err.kind().to_string(), *err.span()),
            other => {
                return ExpressionError {
                    message: other.to_string(),
                    span: Span::new(0, expression.len()),
                };
            }
        };
        ExpressionError {
            message: format!("wrong regular expression: {message}"),
            span: Span::new(span.start.offset, span.end.offset),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_or_too_large_is_refused_at_its_place() {
        let cases = [
            ("a(b", Span::new(1, 2), "unclosed group"),
            ("é[z-a]", Span::new(3, 6), "invalid character class range"),
            (r"(?=x)", Span::new(0, 3), "look-around"),
            (r"(a)\1", Span::new(3, 5), "backreferences"),
            (r"\pX", Span::new(0, 3), "Unicode property not found"),
            (r"\w{500}", Span::new(0, 7), "when compiled"),
        ];
        for (expression, span, message) in cases {
            let err = compile(expression).unwrap_err();
            assert_eq!(err.span, span, "{expression}: {err}");
            assert!(err.message.contains(message), "{expression}: {err}");
        }
        let long = compile(&"a".repeat(MAX_BYTES + 1)).unwrap_err();
        assert!(long.message.contains("1001 bytes"), "{long}");
    }
}
