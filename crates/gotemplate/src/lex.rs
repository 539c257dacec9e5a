//! Cuts a template into text and the tokens of its actions.

use crate::TemplateError;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// Text outside of actions, trimmed already.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `(`
    LeftParen,
    /// `)`; a field may follow directly.
    RightParen,
    /// `|`
    Pipe,
    /// `,`
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// White space between operands: Go tells `.a.b` from `.a .b` by it.
    Space,
    /// `.` alone.
    Dot,
    /// `.name`
    Field(String),
    /// `$name`, or `$` as the empty name.
    Variable(String),
    /// A function or keyword.
    Word(String),
    /// `true`, `false`
    Bool(bool),
    /// `nil`
    Nil,
    /// An integer.
    Int(i64),
    /// A number with a fraction or exponent.
    Float(f64),
    /// A quoted or raw string, unquoted.
    Quoted(String),
}

/// A token with the line it begins on.
pub(crate) type Placed = (Token, usize);

/// Cuts `text` into tokens.
pub(crate) fn lex(text: &str) -> Result<Vec<Placed>, TemplateError> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        tokens: Vec::new(),
    };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Placed>,
}

const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), TemplateError> {
        let mut trim_left = false;
        loop {
            let (text, action) = match self.rest.split_once("{{") {
                Some((text, action)) => (text, Some(action)),
                None => (self.rest, None),
            };
            let trim_right = action.is_some_and(trims_left);
            let mut shown = text;
            if trim_left {
                shown = shown.trim_start_matches(SPACES);
            }
            if trim_right {
                shown = shown.trim_end_matches(SPACES);
            }
            if !shown.is_empty() {
                self.tokens.push((Token::Text(shown.to_owned()), self.line));
            }
            self.line += text.matches('\n').count();
            let Some(action) = action else {
                return Ok(());
            };
            self.rest = if trim_right { &action[1..] } else { action };
            trim_left = self.action()?;
        }
    }

    /// Reads up to the closing braces; whether they trim the text after them.
    fn action(&mut self) -> Result<bool, TemplateError> {
        if let Some(comment) = self.rest.trim_start_matches(SPACES).strip_prefix("/*") {
            let Some((inside, after)) = comment.split_once("*/") else {
                return Err(self.error("unclosed comment"));
            };
            self.line += inside.matches('\n').count();
            let after = after.trim_start_matches(SPACES);
            let (trims, after) = match after.strip_prefix('-') {
                Some(after) => (true, after),
                None => (false, after),
            };
            self.rest = after
                .strip_prefix("}}")
                .ok_or_else(|| self.error("comment ends before closing delimiter"))?;
            return Ok(trims);
        }
        self.tokens.push((Token::Open, self.line));
        loop {
            let trimmed = self.rest.trim_start_matches(SPACES);
            let skipped = &self.rest[..self.rest.len() - trimmed.len()];
            if !skipped.is_empty() {
                self.line += skipped.matches('\n').count();
                if let Some(after) = trimmed.strip_prefix("-}}") {
                    self.rest = after;
                    self.tokens.push((Token::Close, self.line));
                    return Ok(true);
                }
                self.push_space();
                self.rest = trimmed;
            }
            if let Some(after) = self.rest.strip_prefix("}}") {
                self.rest = after;
                self.tokens.push((Token::Close, self.line));
                return Ok(false);
            }
            self.token()?;
        }
    }

    fn push_space(&mut self) {
        if !matches!(self.tokens.last(), Some((Token::Space | Token::Open, _))) {
            self.tokens.push((Token::Space, self.line));
        }
    }

    fn token(&mut self) -> Result<(), TemplateError> {
        let line = self.line;
        let Some(first) = self.rest.chars().next() else {
            return Err(self.error("unclosed action"));
        };
        let token = match first {
            '(' => self.symbol(1, Token::LeftParen),
            ')' => self.symbol(1, Token::RightParen),
            '|' => self.symbol(1, Token::Pipe),
            ',' => self.symbol(1, Token::Comma),
            '=' => self.symbol(1, Token::Assign),
            ':' if self.rest.starts_with(":=") => self.symbol(2, Token::Declare),
            '"' => self.quoted()?,
            '`' => self.raw()?,
            '\'' => self.character()?,
            '$' => {
                self.rest = &self.rest[1..];
                Token::Variable(self.name().to_owned())
            }
            '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
            '.' => {
                self.rest = &self.rest[1..];
                match self.name() {
                    "" => Token::Dot,
                    name => Token::Field(name.to_owned()),
                }
            }
            '0'..='9' | '+' | '-' => self.number()?,
            c if c.is_alphabetic() || c == '_' => match self.name() {
                "true" => Token::Bool(true),
                "false" => Token::Bool(false),
                "nil" => Token::Nil,
                word => Token::Word(word.to_owned()),
            },
            other => {
                return Err(self.error(format!("unrecognized character in action: {other:?}")));
            }
        };
        self.tokens.push((token, line));
        Ok(())
    }

    fn symbol(&mut self, length: usize, token: Token) -> Token {
        self.rest = &self.rest[length..];
        token
    }

    fn name(&mut self) -> &'a str {
        let end = self
            .rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name
    }

    fn number(&mut self) -> Result<Token, TemplateError> {
        let sign_and_digits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
        let mut end = usize::from(self.rest.starts_with(['+', '-']));
        let bytes = self.rest.as_bytes();
        while end < bytes.len() {
            let exponent_sign = matches!(bytes[end], b'+' | b'-')
                && matches!(bytes[end - 1], b'e' | b'E')
                && !self.rest[..end].contains(['x', 'X']);
            if !sign_and_digits(bytes[end] as char) && !exponent_sign {
                break;
            }
            end += 1;
        }
        let (text, rest) = self.rest.split_at(end);
        let plain = text.replace('_', "");
        let token = if let Some(hex) = plain.strip_prefix("0x") {
            i64::from_str_radix(hex, 16).ok().map(Token::Int)
        } else if let Ok(int) = plain.parse::<i64>() {
            Some(Token::Int(int))
        } else {
            let numeric = plain.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            numeric
                .then(|| plain.parse::<f64>().ok())
                .flatten()
                .filter(|number| number.is_finite())
                .map(Token::Float)
        };
        let token = token.ok_or_else(|| self.error(format!("bad number syntax: {text:?}")))?;
        self.rest = rest;
        Ok(token)
    }

    fn quoted(&mut self) -> Result<Token, TemplateError> {
        let mut escaped = false;
        for (index, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let inside = &self.rest[1..index];
                    let text = unquote(inside)
                        .ok_or_else(|| self.error(format!("bad escape in \"{inside}\"")))?;
                    self.rest = &self.rest[index + 1..];
                    return Ok(Token::Quoted(text));
                }
                _ => {}
            }
        }
        Err(self.error("unterminated quoted string"))
    }

    fn raw(&mut self) -> Result<Token, TemplateError> {
        let Some((inside, rest)) = self.rest[1..].split_once('`') else {
            return Err(self.error("unterminated raw quoted string"));
        };
        self.line += inside.matches('\n').count();
        self.rest = rest;
        Ok(Token::Quoted(inside.to_owned()))
    }

    fn character(&mut self) -> Result<Token, TemplateError> {
        let unterminated = || self.error("unterminated character constant");
        let skip = if self.rest[1..].starts_with('\\') {
            3
        } else {
            2
        };
        let end = self
            .rest
            .char_indices()
            .skip(skip)
            .find(|(_, c)| *c == '\'')
            .map(|(index, _)| index)
            .ok_or_else(unterminated)?;
        let text = unquote(&self.rest[1..end]).ok_or_else(unterminated)?;
        let mut chars = text.chars();
        let (Some(only), None) = (chars.next(), chars.next()) else {
            return Err(unterminated());
        };
        self.rest = &self.rest[end + 1..];
        Ok(Token::Int(i64::from(u32::from(only))))
    }

    fn error(&self, message: impl Into<String>) -> TemplateError {
        TemplateError::Syntax {
            line: self.line,
            message: message.into(),
        }
    }
}

/// Whether an action's text begins with the `- ` that trims the text before it.
fn trims_left(action: &str) -> bool {
    action
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(SPACES))
}

/// Go's escapes in an interpreted string; `None` for one that does not exist.
fn unquote(inside: &str) -> Option<String> {
    let mut out = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.push(escape(&mut chars)?);
        } else {
            out.push(c);
        }
    }
    Some(out)
}

/// The character that the escape after a backslash stands for.
fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    let digits = match chars.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'v' => return Some('\u{b}'),
        c @ ('\\' | '"' | '\'') => return Some(c),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code: String = chars.take(digits).collect();
    if code.len() != digits {
        return None;
    }
    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)
}
