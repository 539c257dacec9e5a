//! Quoted strings, with Go's escapes.

/// What is wrong with a quoted string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QuoteFault {
    /// In words.
    pub(crate) message: String,
    /// Bytes from the opening quote to the fault.
    pub(crate) offset: usize,
    /// Bytes at fault.
    pub(crate) len: usize,
    /// Whether the closing quote is missing.
    pub(crate) unterminated: bool,
}

impl QuoteFault {
    fn new(message: impl Into<String>, offset: usize, len: usize) -> Self {
        Self {
            message: message.into(),
            offset,
            len,
            unterminated: false,
        }
    }

    fn unterminated(len: usize) -> Self {
        Self {
            unterminated: true,
            ..Self::new("unterminated string", 0, len)
        }
    }
}

/// Reads the quoted string at the start of `input`; gives its text and its length with quotes.
///
/// Double and single quotes take Go's escapes, which can write bytes that are no UTF-8, and no line
/// break; backquotes take everything.
///
/// # Errors
///
/// No closing quote, an unknown escape.
pub(crate) fn unquote(input: &str) -> Result<(Vec<u8>, usize), QuoteFault> {
    let Some(quote) = input.chars().next() else {
        return Err(QuoteFault::unterminated(0));
    };
    if quote == '`' {
        let inner = &input[1..];
        let end = inner
            .find('`')
            .ok_or_else(|| QuoteFault::unterminated(input.len()))?;
        return Ok((inner.as_bytes()[..end].to_vec(), end + 2));
    }
    let mut bytes = Vec::new();
    let mut position = 1;
    loop {
        let rest = &input[position..];
        let Some(c) = rest.chars().next() else {
            return Err(QuoteFault::unterminated(input.len()));
        };
        match c {
            '\n' => return Err(QuoteFault::unterminated(position)),
            '\\' => position += escape(rest, position, quote, &mut bytes)?,
            c if c == quote => return Ok((bytes, position + 1)),
            c => {
                let mut buffer = [0; 4];
                bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                position += c.len_utf8();
            }
        }
    }
}

/// Reads one escape at the start of `rest` into `bytes`; gives its length.
fn escape(
    rest: &str,
    offset: usize,
    quote: char,
    bytes: &mut Vec<u8>,
) -> Result<usize, QuoteFault> {
    let Some(kind) = rest[1..].chars().next() else {
        return Err(QuoteFault::unterminated(offset + 1));
    };
    let simple = match kind {
        'a' => Some(0x07),
        'b' => Some(0x08),
        'f' => Some(0x0c),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(0x0b),
        '\\' => Some(b'\\'),
        c if c == quote => Some(quote as u8),
        _ => None,
    };
    if let Some(byte) = simple {
        bytes.push(byte);
        return Ok(2);
    }
    let (prefix, digits, radix) = match kind {
        '0'..='7' => (1, 3, 8),
        'x' => (2, 2, 16),
        'u' => (2, 4, 16),
        'U' => (2, 8, 16),
        other => {
            let message = format!("unknown escape \\{other} in a string");
            return Err(QuoteFault::new(message, offset, 1 + other.len_utf8()));
        }
    };
    let end = prefix + digits;
    let fault = |message: &str| QuoteFault::new(message, offset, end.min(rest.len()));
    let written = rest
        .get(prefix..end)
        .filter(|written| written.chars().all(|c| c.is_digit(radix)))
        .ok_or_else(|| {
            QuoteFault::new(format!("escape \\{kind} needs {digits} digits"), offset, 2)
        })?;
    let code = u32::from_str_radix(written, radix).map_err(|_| fault("escape out of range"))?;
    if matches!(kind, 'u' | 'U') {
        let c = char::from_u32(code).ok_or_else(|| fault("escape names no Unicode character"))?;
        let mut buffer = [0; 4];
        bytes.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    } else {
        bytes.push(u8::try_from(code).map_err(|_| fault("escape is larger than one byte"))?);
    }
    Ok(end)
}

/// Quotes `text` with double quotes, so that [`unquote`] gives it back.
pub(crate) fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes())
}

/// Quotes bytes with double quotes; what is no UTF-8 among them is escaped byte by byte.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        quote_into(&mut quoted, chunk.valid());
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

fn quote_into(quoted: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{07}' => quoted.push_str("\\a"),
            '\u{08}' => quoted.push_str("\\b"),
            '\u{0b}' => quoted.push_str("\\v"),
            '\u{0c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", c as u32)),
            c => quoted.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_gos() {
        let cases = [
            (r#""a\n\t\"\\""#, "a\n\t\"\\"),
            (r"'it\'s'", "it's"),
            (r#""\x41\101\u00e9\U0001F600""#, "AAé😀"),
            (r#""\xc3\xa9""#, "é"),
            (r"`\n`", r"\n"),
        ];
        for (input, expected) in cases {
            assert_eq!(
                unquote(input),
                Ok((expected.as_bytes().to_vec(), input.len())),
                "{input}"
            );
        }
        for bad in [
            r#""\'""#,
            r#""\q""#,
            r#""\x4""#,
            r#""\ud800""#,
            "\"a\n\"",
            "\"",
            "`",
        ] {
            assert!(unquote(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn quoting_then_unquoting_is_the_identity(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert_eq!(unquote(&quoted), Ok((text.into_bytes(), quoted.len())));
        }

        #[test]
        fn quoting_then_unquoting_bytes_is_the_identity(bytes in any::<Vec<u8>>()) {
            let quoted = quote_bytes(&bytes);
            prop_assert_eq!(unquote(&quoted), Ok((bytes, quoted.len())));
        }
    }
}
