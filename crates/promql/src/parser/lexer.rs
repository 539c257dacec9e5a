//! From text to tokens.

use crate::error::ParseError;
use crate::parser::number::{read_duration, read_number};
use crate::parser::quote::unquote;
use crate::parser::token::{Token, TokenKind};
use crate::span::Span;

/// Cuts `query` into tokens; the last one is [`TokenKind::End`].
///
/// # Errors
///
/// The first character, string or number that belongs to no token.
pub(crate) fn tokenize(query: &str) -> Result<Vec<Token>, ParseError> {
    let mut lexer = Lexer {
        query,
        position: 0,
        brace_depth: 0,
        bracket_depth: 0,
    };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token()?;
        let done = token.kind == TokenKind::End;
        tokens.push(token);
        if done {
            return Ok(tokens);
        }
    }
}

struct Lexer<'q> {
    query: &'q str,
    position: usize,
    /// Inside braces and brackets a colon is no part of a name.
    brace_depth: usize,
    bracket_depth: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.query[self.position..]
    }

    fn next_token(&mut self) -> Result<Token, ParseError> {
        self.skip_blanks_and_comments();
        let start = self.position;
        let Some(first) = self.rest().chars().next() else {
            return Ok(self.finish(start, TokenKind::End));
        };
        let second = self.rest().chars().nth(1);
        match first {
            '"' | '\'' | '`' => self.text(first),
            '0'..='9' => self.number_or_duration(),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => self.number_or_duration(),
            c if c.is_ascii_alphabetic() || c == '_' => Ok(self.word()),
            ':' if self.brace_depth == 0 && self.bracket_depth == 0 => Ok(self.word()),
            _ => self.symbol(first, second),
        }
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            let skipped = rest.len() - trimmed.len();
            let comment = if trimmed.starts_with('#') {
                trimmed.find(['\n', '\r']).unwrap_or(trimmed.len())
            } else {
                0
            };
            if skipped + comment == 0 {
                return;
            }
            self.position += skipped + comment;
        }
    }

    fn finish(&self, start: usize, kind: TokenKind) -> Token {
        Token {
            kind,
            span: Span::new(start, self.position),
        }
    }

    fn error(&self, start: usize, message: impl Into<String>) -> ParseError {
        let end = self.position.clamp(start, self.query.len());
        ParseError::new(self.query, Span::new(start, end), message)
    }

    fn word(&mut self) -> Token {
        let start = self.position;
        let colons = self.brace_depth == 0 && self.bracket_depth == 0;
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
        let len = self
            .rest()
            .find(|c| !in_word(c))
            .unwrap_or(self.rest().len());
        self.position += len;
        let word = self.query[start..self.position].to_owned();
        self.finish(start, TokenKind::Word(word))
    }

    fn text(&mut self, quote: char) -> Result<Token, ParseError> {
        let start = self.position;
        match unquote(self.rest()) {
            Ok((bytes, len)) => {
                self.position += len;
                let kind = match String::from_utf8(bytes) {
                    Ok(text) => TokenKind::Text(text),
                    Err(error) => TokenKind::Bytes(error.into_bytes()),
                };
                Ok(self.finish(start, kind))
            }
            Err(fault) => {
                let at = start + fault.offset;
                self.position = at + fault.len;
                let error = self.error(at, fault.message);
                Err(match fault.unterminated {
                    true => error.with_hint(format!("close the string with {quote}")),
                    false => error,
                })
            }
        }
    }

    fn number_or_duration(&mut self) -> Result<Token, ParseError> {
        let start = self.position;
        // Takes everything that could belong, so that `5minutes` is one mistake and not two.
        let mut end = start;
        let bytes = self.query.as_bytes();
        let is_hex = self.rest().starts_with("0x") || self.rest().starts_with("0X");
        while end < bytes.len() {
            let after_exponent = !is_hex && end > start && matches!(bytes[end - 1], b'e' | b'E');
            match bytes[end] {
                b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'.' => end += 1,
                b'+' | b'-' if after_exponent => end += 1,
                _ => break,
            }
        }
        self.position = end;
        let written = &self.query[start..end];
        if let Some(number) = read_number(written) {
            return Ok(self.finish(start, TokenKind::Number(number)));
        }
        match read_duration(written) {
            Ok(seconds) => Ok(self.finish(start, TokenKind::Duration(seconds))),
            Err(fault) => Err(self
                .error(start, format!("{fault}: {written:?}"))
                .with_hint(
                    "a number is written as 1500, 1_500, 1.5e3 or 0x5dc, a duration as 5m or 1h30m",
                )),
        }
    }

    fn symbol(&mut self, first: char, second: Option<char>) -> Result<Token, ParseError> {
        let start = self.position;
        let in_braces = self.brace_depth > 0;
        let (kind, len) = match (first, second) {
            ('=', Some('~')) => (TokenKind::RegexMatch, 2),
            ('=', Some('=')) if !in_braces => (TokenKind::EqualEqual, 2),
            ('=', _) => (TokenKind::Assign, 1),
            ('!', Some('~')) => (TokenKind::RegexNoMatch, 2),
            ('!', Some('=')) => (TokenKind::NotEqual, 2),
            ('<', Some('=')) => (TokenKind::LessEqual, 2),
            ('<', Some('/')) => (TokenKind::TrimUpper, 2),
            ('<', _) => (TokenKind::Less, 1),
            ('>', Some('=')) => (TokenKind::GreaterEqual, 2),
            ('>', Some('/')) => (TokenKind::TrimLower, 2),
            ('>', _) => (TokenKind::Greater, 1),
            ('(', _) => (TokenKind::LeftParen, 1),
            (')', _) => (TokenKind::RightParen, 1),
            ('{', _) => (TokenKind::LeftBrace, 1),
            ('}', _) => (TokenKind::RightBrace, 1),
            ('[', _) => (TokenKind::LeftBracket, 1),
            (']', _) => (TokenKind::RightBracket, 1),
            (',', _) => (TokenKind::Comma, 1),
            (':', _) => (TokenKind::Colon, 1),
            ('@', _) => (TokenKind::At, 1),
            ('+', _) => (TokenKind::Plus, 1),
            ('-', _) => (TokenKind::Minus, 1),
            ('*', _) => (TokenKind::Star, 1),
            ('/', _) => (TokenKind::Slash, 1),
            ('%', _) => (TokenKind::Percent, 1),
            ('^', _) => (TokenKind::Caret, 1),
            (other, _) => {
                self.position += other.len_utf8();
                return Err(self.unexpected(start, other));
            }
        };
        match kind {
            TokenKind::LeftBrace => self.brace_depth += 1,
            TokenKind::RightBrace => self.brace_depth = self.brace_depth.saturating_sub(1),
            TokenKind::LeftBracket => self.bracket_depth += 1,
            TokenKind::RightBracket => self.bracket_depth = self.bracket_depth.saturating_sub(1),
            _ => {}
        }
        self.position += len;
        Ok(self.finish(start, kind))
    }

    fn unexpected(&self, start: usize, found: char) -> ParseError {
        let error = self.error(start, format!("unexpected character {found:?}"));
        match found {
            '!' => error.with_hint("operators with it are != and, in matchers, !~"),
            '&' => error.with_hint("the operator is written \"and\""),
            '|' => error.with_hint("the operator is written \"or\""),
            '$' => error.with_hint("variables must be replaced before the query is sent"),
            c if c.is_alphabetic() => error.with_hint(
                "names beyond ASCII are quoted inside of braces: {\"näme\", \"läbel\"=\"value\"}",
            ),
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(query: &str) -> Vec<TokenKind> {
        tokenize(query)
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    fn word(text: &str) -> TokenKind {
        TokenKind::Word(text.to_owned())
    }

    #[test]
    fn a_colon_belongs_to_names_outside_of_brackets_only() {
        assert_eq!(
            kinds("a:b[5m:1m]"),
            [
                word("a:b"),
                TokenKind::LeftBracket,
                TokenKind::Duration(300.0),
                TokenKind::Colon,
                TokenKind::Duration(60.0),
                TokenKind::RightBracket,
                TokenKind::End,
            ]
        );
    }

    #[test]
    fn comments_end_with_their_line() {
        assert_eq!(
            kinds("a # b\n# c\r+ 1#"),
            [
                word("a"),
                TokenKind::Plus,
                TokenKind::Number(1.0),
                TokenKind::End
            ]
        );
    }

    #[test]
    fn mistakes_are_placed_and_explained() {
        let cases = [
            ("1 + 5minutes", "parse error at column 5: "),
            ("foo{a=\"b", "parse error at column 7: "),
            ("a &\nb", "parse error at column 3: "),
            ("a +\n $x", "parse error at line 2, column 2: "),
        ];
        for (query, expected) in cases {
            let error = tokenize(query).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{query}: {error}");
        }
    }
}
