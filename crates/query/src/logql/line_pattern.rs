//! Patterns of lines: literal text with captures between, `<ip> - <_> "<method> <path>"`.
//!
//! A capture takes what stands up to the next literal, as few characters as that needs; `<_>`
//! captures without a name. Two captures never stand side by side.

use std::collections::BTreeSet;

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LinePattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A capture with its name; `None` for `<_>`.
    Capture(Option<String>),
}

impl LinePattern {
    /// The pattern of `| pattern`, which names at least one capture.
    pub(super) fn captures(text: &str) -> Result<Self, String> {
        let pattern = Self::read(text)?;
        let mut names = BTreeSet::new();
        for name in pattern.names() {
            if !names.insert(name) {
                return Err(format!("the capture <{name}> stands twice in the pattern"));
            }
        }
        if names.is_empty() {
            return Err("a pattern needs at least one named capture such as <status>".to_owned());
        }
        Ok(pattern)
    }

    /// The pattern of `|>` and `!>`, which has no named captures.
    pub(super) fn filter(text: &str) -> Result<Self, String> {
        let pattern = Self::read(text)?;
        if let Some(name) = pattern.names().next() {
            return Err(format!(
                "a pattern that filters names no captures: write <_> for <{name}>"
            ));
        }
        Ok(pattern)
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((name, after)) = capture(rest) {
                if let Some(Part::Capture(_)) = parts.last() {
                    return Err(format!(
                        "two captures side by side in {text:?}: nothing tells where the first ends"
                    ));
                }
                parts.push(Part::Capture((name != "_").then(|| name.to_owned())));
                rest = after;
                continue;
            }
            let mut characters = rest.chars();
            let first = characters.next().unwrap_or_default();
            match parts.last_mut() {
                Some(Part::Literal(literal)) => literal.push(first),
                _ => parts.push(Part::Literal(first.to_string())),
            }
            rest = characters.as_str();
        }
        Ok(Self(parts))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Capture(name) => name.as_deref(),
            Part::Literal(_) => None,
        })
    }

    /// The literal texts, in their order.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Capture(_) => None,
        })
    }

    /// Whether the whole line is as the pattern says, every capture holding something.
    pub(super) fn matches(&self, line: &str) -> bool {
        let mut rest = line;
        let mut inside_capture = false;
        for part in &self.0 {
            let Part::Literal(literal) = part else {
                inside_capture = true;
                continue;
            };
            let Some(at) = rest.find(literal.as_str()) else {
                return false;
            };
            if (at > 0) != inside_capture {
                return false;
            }
            rest = &rest[at + literal.len()..];
            inside_capture = false;
        }
        inside_capture != rest.is_empty()
    }

    /// Hands the named captures of a line to `found`, as far as the pattern leads. A line that
    /// does not begin as the pattern does has none; the capture before a literal that is missing
    /// takes the rest of the line.
    pub(super) fn capture<'l>(&self, line: &'l str, mut found: impl FnMut(&str, &'l str)) {
        let mut rest = line;
        let mut parts = self.0.as_slice();
        if line.is_empty() {
            return;
        }
        if let [Part::Literal(literal), after @ ..] = parts {
            match rest.strip_prefix(literal.as_str()) {
                Some(after_literal) => rest = after_literal,
                None => return,
            }
            parts = after;
        }
        while let [Part::Capture(name), after @ ..] = parts {
            let (value, next) = match after {
                [Part::Literal(literal), ..] => match rest.split_once(literal.as_str()) {
                    Some((value, next)) => (value, Some(next)),
                    None => (rest, None),
                },
                _ => (rest, None),
            };
            if let Some(name) = name {
                found(name, value);
            }
            let Some(next) = next else {
                return;
            };
            rest = next;
            parts = &after[1..];
        }
    }
}

/// The name of a capture that stands at the beginning, and what follows it.
fn capture(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (is_name && name.chars().all(valid)).then_some((name, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_take_what_stands_between_literals() {
        type Captured = &'static [(&'static str, &'static str)];
        let cases: [(&str, &str, Captured); 6] = [
            (
                "<ip> - <_> [<_>] \"<method> <path> <_>\" <status>",
                "1.2.3.4 - - [now] \"GET /a HTTP/1\" 200",
                &[
                    ("ip", "1.2.3.4"),
                    ("method", "GET"),
                    ("path", "/a"),
                    ("status", "200"),
                ],
            ),
            (
                "level=<level> <_>",
                "level=info msg=x",
                &[("level", "info")],
            ),
            ("level=<level> <_>", "msg=x level=info", &[]),
            ("<a>,<b>,<c>", "1,2", &[("a", "1"), ("b", "2")]),
            ("<a>=", "x=y", &[("a", "x")]),
            ("<a>", "", &[]),
        ];
        for (pattern, line, expected) in cases {
            let mut found = Vec::new();
            let pattern = LinePattern::captures(pattern).unwrap();
            pattern.capture(line, |name, value| {
                found.push((name.to_owned(), value.to_owned()))
            });
            let found: Vec<_> = found
                .iter()
                .map(|(n, v)| (n.as_str(), v.as_str()))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
        for wrong in ["", "plain", "<_>", "<a><b>", "<a> <a>"] {
            assert!(LinePattern::captures(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn filters_want_the_whole_line() {
        let cases = [
            ("user <_> logged in", "user 7 logged in", true),
            ("user <_> logged in", "user  logged in", false),
            ("user <_> logged in", "the user 7 logged in", false),
            ("user <_> logged in", "user 7 logged in again", false),
            ("<_> logged <_>", "user 7 logged in again", true),
            ("<_>in", "in", false),
            ("<_>", "anything", true),
            ("<_>", "", false),
            ("", "", true),
            ("", "x", false),
            ("a < b", "a < b", true),
        ];
        for (pattern, line, expected) in cases {
            let pattern = LinePattern::filter(pattern).unwrap();
            assert_eq!(pattern.matches(line), expected, "{pattern:?} {line:?}");
        }
        assert!(LinePattern::filter("a <b>").is_err());
    }
}
