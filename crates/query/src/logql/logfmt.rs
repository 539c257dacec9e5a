//! Reads logfmt: `level=info msg="all good" flag`.

use std::borrow::Cow;

/// A text that is no logfmt: what is wrong, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogfmtError {
    pub(super) message: String,
}

/// Hands every pair of a line to `see`; a key without `=` has an empty value.
///
/// Without `strict` what is no pair is skipped up to the next white space.
///
/// # Errors
///
/// With `strict`, the first mistake; the pairs before it have been seen.
pub(super) fn walk<'a>(
    line: &'a str,
    strict: bool,
    mut see: impl FnMut(&'a str, Cow<'a, str>),
) -> Result<(), LogfmtError> {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        match pair(rest) {
            Ok((key, value, after)) => {
                see(key, value);
                rest = after;
            }
            Err((message, at)) => {
                if strict {
                    let position = line.len() - rest.len() + at;
                    return Err(LogfmtError {
                        message: format!("{message} at byte {position}"),
                    });
                }
                let end = rest[at..].find(char::is_whitespace);
                rest = end.map_or("", |end| &rest[at + end..]);
            }
        }
        rest = rest.trim_start();
    }
    Ok(())
}

/// A pair that begins here, and what follows it; or what is wrong, and where.
fn pair(rest: &str) -> Result<(&str, Cow<'_, str>, &str), (&'static str, usize)> {
    let end = rest
        .find(|c: char| matches!(c, '=' | '"') || c.is_whitespace())
        .unwrap_or(rest.len());
    let (key, after) = rest.split_at(end);
    if key.is_empty() {
        return Err(("a value has no key before it", 0));
    }
    if after.starts_with('"') {
        return Err(("a quote inside of a key", end));
    }
    let Some(value) = after.strip_prefix('=') else {
        return Ok((key, Cow::Borrowed(""), after));
    };
    if let Some(quoted) = value.strip_prefix('"') {
        return match unquote(quoted) {
            Some((text, after)) => Ok((key, text, after)),
            None => Err(("a quote has no end", rest.len())),
        };
    }
    let end = value.find(char::is_whitespace).unwrap_or(value.len());
    if let Some(quote) = value[..end].find('"') {
        let before = rest.len() - value.len();
        return Err(("a quote inside of a value", before + quote));
    }
    Ok((key, Cow::Borrowed(&value[..end]), &value[end..]))
}

/// Reads up to the closing quote: the text without escapes, and what follows.
fn unquote(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let plain = quoted.find(['"', '\\'])?;
    if quoted[plain..].starts_with('"') {
        return Some((Cow::Borrowed(&quoted[..plain]), &quoted[plain + 1..]));
    }
    let mut text = quoted[..plain].to_owned();
    let mut characters = quoted[plain..].char_indices();
    loop {
        let (index, character) = characters.next()?;
        match character {
            '"' => return Some((Cow::Owned(text), &quoted[plain + index + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_mistakes_skipped_or_told() {
        type Fields = &'static [(&'static str, &'static str)];
        let cases: [(&str, Fields, Option<&str>); 8] = [
            (
                r#"level=warn took=12ms msg="a \"b\"\n c" flag empty= n=5"#,
                &[
                    ("level", "warn"),
                    ("took", "12ms"),
                    ("msg", "a \"b\"\n c"),
                    ("flag", ""),
                    ("empty", ""),
                    ("n", "5"),
                ],
                None,
            ),
            ("url=/a?b=c x=1", &[("url", "/a?b=c"), ("x", "1")], None),
            ("", &[], None),
            ("  a=1\t", &[("a", "1")], None),
            (
                "a=1 =2 b=3",
                &[("a", "1"), ("b", "3")],
                Some("no key before it at byte 4"),
            ),
            ("a=\"x", &[], Some("a quote has no end at byte 4")),
            (
                "a=x\"y b=1",
                &[("b", "1")],
                Some("inside of a value at byte 3"),
            ),
            (
                "a\"b=1 c=2",
                &[("c", "2")],
                Some("inside of a key at byte 1"),
            ),
        ];
        for (line, expected, mistake) in cases {
            let mut found = Vec::new();
            let outcome = walk(line, false, |key, value| {
                found.push((key, value.into_owned()))
            });
            assert_eq!(outcome, Ok(()));
            let found: Vec<_> = found.iter().map(|(k, v)| (*k, v.as_str())).collect();
            assert_eq!(found, expected, "{line}");
            let strict = walk(line, true, |_, _| {});
            match mistake {
                Some(mistake) => assert!(strict.unwrap_err().message.contains(mistake), "{line}"),
                None => assert_eq!(strict, Ok(())),
            }
        }
    }
}
