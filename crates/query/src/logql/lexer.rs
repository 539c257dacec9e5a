//! Cuts a LogQL text into tokens with their places.

use crate::error::{Span, SyntaxError};
use crate::units;

/// A token with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// The tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A name: label, function or keyword.
    Name(String),
    /// A text in double quotes or backticks, unescaped.
    Text(String),
    /// A number without unit.
    Number(f64),
    /// A number with a unit of time, ns.
    Duration(i64),
    /// A number with a unit of size, bytes.
    Bytes(f64),
    /// A flag of a stage, such as `--strict`, with its dashes.
    Flag(String),
    /// An operator or a bracket, as written.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// Longer signs come first, so that `|=` is not read as `|` and `=`.
const SIGNS: [&str; 29] = [
    "|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=", "{", "}", "(", ")", "[", "]", ",",
    "|", "=", ">", "<", "+", "-", "*", "/", "%", "^", ":", "@",
];

/// The tokens of a text; the last one is `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut position = 0;
    loop {
        position = skip_space(text, position);
        let rest = &text[position..];
        let Some(first) = rest.chars().next() else {
            tokens.push(Token {
                kind: TokenKind::End,
                span: Span::new(position, position),
            });
            return Ok(tokens);
        };
        let (kind, length) = if first.is_ascii_alphabetic() || first == '_' {
            name(rest)
        } else if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            quantity(rest, position)?
        } else if first == '"' {
            double_quoted(rest, position)?
        } else if first == '`' {
            backquoted(rest, position)?
        } else if let Some(length) = flag(rest) {
            (TokenKind::Flag(rest[..length].to_owned()), length)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (TokenKind::Sign(sign), sign.len())
        } else {
            let span = Span::new(position, position + first.len_utf8());
            return Err(SyntaxError::new(
                span,
                format!("unexpected character {first:?}"),
            ));
        };
        let span = Span::new(position, position + length);
        position = span.end();
        tokens.push(Token { kind, span });
    }
}

/// Skips white space and `#` comments.
fn skip_space(text: &str, mut position: usize) -> usize {
    loop {
        let rest = &text[position..];
        position += rest.len() - rest.trim_start().len();
        if !text[position..].starts_with('#') {
            return position;
        }
        position = text[position..]
            .find('\n')
            .map_or(text.len(), |end| position + end);
    }
}

/// How long a flag is that stands here.
fn flag(rest: &str) -> Option<usize> {
    let name = rest.strip_prefix("--")?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let end = name
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .unwrap_or(name.len());
    Some(end + 2)
}

fn name(rest: &str) -> (TokenKind, usize) {
    let length = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    (TokenKind::Name(rest[..length].to_owned()), length)
}

/// A number, and its unit when letters follow.
fn quantity(rest: &str, position: usize) -> Result<(TokenKind, usize), SyntaxError> {
    let mut length = rest
        .find(|c: char| !c.is_alphanumeric() && c != '.')
        .unwrap_or(rest.len());
    // `1e-3`: the sign belongs to the number.
    if rest[..length].ends_with(['e', 'E']) && rest[length..].starts_with(['+', '-']) {
        let exponent = &rest[length + 1..];
        length += 1 + exponent
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(exponent.len());
    }
    let text = &rest[..length];
    let kind = if let Some(number) = units::number(text) {
        TokenKind::Number(number)
    } else if let Ok(nanos) = model::time::parse_duration(text) {
        TokenKind::Duration(nanos)
    } else if let Some(bytes) = units::size_bytes(text) {
        TokenKind::Bytes(bytes)
    } else {
        let span = Span::new(position, position + length);
        return Err(
            SyntaxError::new(span, format!("{text:?} is no number, duration or size"))
                .hint("expected for example 5, 1.5, 250ms, 1h30m, 10KB"),
        );
    };
    Ok((kind, length))
}

fn double_quoted(rest: &str, position: usize) -> Result<(TokenKind, usize), SyntaxError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((TokenKind::Text(text), index + 1)),
            '\\' => {
                let (end, escaped) = escape(&mut characters);
                match escaped {
                    Some(escaped) => text.push(escaped),
                    None => {
                        let end = end.unwrap_or(rest.len());
                        let span = Span::new(position + index, position + end);
                        let written = &rest[index..end];
                        return Err(
                            SyntaxError::new(span, format!("unknown escape {written:?}"))
                                .hint("double the backslash, or write the text in backticks"),
                        );
                    }
                }
            }
            other => text.push(other),
        }
    }
    Err(unterminated(rest, position))
}

/// Reads what follows a backslash, as Go does: where it ends, and what it stands for.
fn escape(characters: &mut impl Iterator<Item = (usize, char)>) -> (Option<usize>, Option<char>) {
    let Some((index, character)) = characters.next() else {
        return (None, None);
    };
    let end = index + character.len_utf8();
    let digits = match character {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => {
            let simple = match character {
                'n' => Some('\n'),
                't' => Some('\t'),
                'r' => Some('\r'),
                'a' => Some('\u{7}'),
                'b' => Some('\u{8}'),
                'f' => Some('\u{c}'),
                'v' => Some('\u{b}'),
                '\\' | '"' | '\'' => Some(character),
                _ => None,
            };
            return (Some(end), simple);
        }
    };
    let mut code = 0;
    for _ in 0..digits {
        match characters.next().and_then(|(_, c)| c.to_digit(16)) {
            Some(digit) => code = code * 16 + digit,
            None => return (Some(end), None),
        }
    }
    (Some(end), char::from_u32(code))
}

fn backquoted(rest: &str, position: usize) -> Result<(TokenKind, usize), SyntaxError> {
    let end = rest[1..]
        .find('`')
        .ok_or_else(|| unterminated(rest, position))?;
    Ok((TokenKind::Text(rest[1..=end].to_owned()), end + 2))
}

fn unterminated(rest: &str, position: usize) -> SyntaxError {
    let span = Span::new(position, position + rest.len());
    SyntaxError::new(span, "the text that begins here has no closing quote")
}
