//! Tokens of PromQL and how error messages name them.

use crate::span::Span;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Its bytes.
    pub(crate) span: Span,
}

/// What a token is. Keywords are words: what they mean depends on where they stand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum TokenKind {
    /// A name or keyword; contains a colon only outside of braces and brackets.
    Word(String),
    /// A number.
    Number(f64),
    /// A duration, in seconds.
    Duration(f64),
    /// A quoted text, unescaped.
    Text(String),
    /// A quoted text whose escapes make no UTF-8.
    Bytes(Vec<u8>),
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    At,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    /// `=`, in matchers
    Assign,
    /// `=~`, in matchers
    RegexMatch,
    /// `!~`, in matchers
    RegexNoMatch,
    EqualEqual,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    /// The end of the query.
    End,
}

/// Most bytes of a token that an error message quotes.
const QUOTED_BYTES: usize = 40;

impl Token {
    /// The token as an error message names it: quoted as written, or the end of the query.
    pub(crate) fn describe(&self, query: &str) -> String {
        if self.kind == TokenKind::End {
            return "the end of the query".to_owned();
        }
        let text = &query[self.span.start..self.span.end];
        if text.len() <= QUOTED_BYTES {
            return format!("{text:?}");
        }
        let mut end = QUOTED_BYTES;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        format!("{:?}…", &text[..end])
    }
}
