//! The labels of a pushed stream as text: `{app="shop", env='test'}`, strings as Go writes them.

/// The pairs in their order; an error says what is wrong at which byte.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut cursor = Cursor { text, at: 0 };
    let mut labels = Vec::new();
    cursor.expect('{')?;
    while !cursor.skip('}') {
        let name = cursor.name()?;
        cursor.expect('=')?;
        let value = cursor.string()?;
        labels.push((name, value));
        if !cursor.skip(',') {
            cursor.expect('}')?;
            break;
        }
    }
    cursor.skip_spaces();
    if cursor.at < text.len() {
        return Err(cursor.expected("the end after \"}\""));
    }
    Ok(labels)
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what} at byte {} of the labels", self.at)
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn skip(&mut self, c: char) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        match self.skip(c) {
            true => Ok(()),
            false => Err(self.expected(&format!("{c:?}"))),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        self.skip_spaces();
        if self.rest().starts_with('"') {
            return self.string();
        }
        let length = self
            .rest()
            .find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-' | '/' | ':'))
            .unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.expected("a label's name"));
        }
        let name = self.rest()[..length].to_owned();
        self.at += length;
        Ok(name)
    }

    fn string(&mut self) -> Result<String, String> {
        self.skip_spaces();
        let Some(quote) = self.rest().chars().next().filter(|c| "\"'`".contains(*c)) else {
            return Err(self.expected("a quoted value"));
        };
        self.at += 1;
        let mut value = Vec::new();
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            match c {
                _ if c == quote => return Ok(String::from_utf8_lossy(&value).into_owned()),
                '\\' if quote != '`' => self.escape(&mut value)?,
                _ => value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err(self.expected(&format!("a closing {quote}")))
    }

    /// What stands behind a backslash.
    fn escape(&mut self, value: &mut Vec<u8>) -> Result<(), String> {
        let bad = |cursor: &Self| cursor.expected("an escape that Go knows");
        let c = self.rest().chars().next().ok_or_else(|| bad(self))?;
        let simple = match c {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' | '"' | '\'' => Some(c as u8),
            _ => None,
        };
        if let Some(byte) = simple {
            self.at += 1;
            value.push(byte);
            return Ok(());
        }
        let (skipped, digits, radix) = match c {
            '0'..='7' => (0, 3, 8),
            'x' => (1, 2, 16),
            'u' => (1, 4, 16),
            'U' => (1, 8, 16),
            _ => return Err(bad(self)),
        };
        let start = self.at + skipped;
        let number = self
            .text
            .get(start..start + digits)
            .filter(|text| text.chars().all(|c| c.is_digit(radix)))
            .and_then(|text| u32::from_str_radix(text, radix).ok())
            .ok_or_else(|| bad(self))?;
        if matches!(c, 'u' | 'U') {
            let c = char::from_u32(number).ok_or_else(|| bad(self))?;
            value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            value.push(u8::try_from(number).map_err(|_| bad(self))?);
        }
        self.at = start + digits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn labels_are_read_as_go_writes_them() {
        let cases: [(&str, &[(&str, &str)]); 8] = [
            ("{}", &[]),
            (r#"{app="shop"}"#, &[("app", "shop")]),
            (r#" { a = "1" , b="2", } "#, &[("a", "1"), ("b", "2")]),
            (r#"{a="\"\\\n\t"}"#, &[("a", "\"\\\n\t")]),
            (r#"{a="\x41\101\u00e9\U0001F600"}"#, &[("a", "AAé😀")]),
            (r"{a='x', b=`\n`}", &[("a", "x"), ("b", r"\n")]),
            (r#"{a="ü{}=,"}"#, &[("a", "ü{}=,")]),
            (r#"{"a.b"="x"}"#, &[("a.b", "x")]),
        ];
        for (text, expected) in cases {
            let labels = parse(text).unwrap();
            let pairs: Vec<(&str, &str)> = labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            assert_eq!(pairs, expected, "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_where() {
        for (text, expected) in [
            ("", "expected '{' at byte 0 of the labels"),
            (r#"{a}"#, "expected '=' at byte 2 of the labels"),
            (
                r#"{a=b}"#,
                "expected a quoted value at byte 3 of the labels",
            ),
            (r#"{a="b}"#, "expected a closing \" at byte 6 of the labels"),
            (
                r#"{a="\q"}"#,
                "expected an escape that Go knows at byte 5 of the labels",
            ),
            (
                r#"{a="b"} x"#,
                "expected the end after \"}\" at byte 8 of the labels",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_quoted_is_read_back(value in "\\PC{0,20}") {
            let text = format!("{{a={value:?}}}");
            // Rust's `\u{…}` is not Go's.
            prop_assume!(!text.contains("\\u{"));
            prop_assert_eq!(parse(&text), Ok(vec![("a".to_owned(), value)]));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            drop(parse(&text));
            drop(parse(&format!("{{a=\"\\{text}")));
        }
    }
}
