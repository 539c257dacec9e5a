//! Alertmanager's matchers: `severity="page"`, `{team=~"a|b", env!=dev}`.

use model::{Labels, MatchOp, Matcher};
use promql::matching::CompiledMatchers;

/// Conditions on an alert's labels, all of which must hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matchers {
    list: Vec<Matcher>,
    compiled: Option<CompiledMatchers>,
}

impl Matchers {
    /// Compiles `list`.
    ///
    /// # Errors
    ///
    /// A regular expression that does not compile.
    pub(crate) fn new(mut list: Vec<Matcher>) -> Result<Self, String> {
        list.sort_by(|a, b| (&a.name, &a.value).cmp(&(&b.name, &b.value)));
        let compiled = CompiledMatchers::new(&list).map_err(|error| error.to_string())?;
        Ok(Self {
            list,
            compiled: Some(compiled),
        })
    }

    /// Whether `labels` fulfil every condition.
    pub(crate) fn matches(&self, labels: &Labels) -> bool {
        self.compiled
            .as_ref()
            .is_none_or(|compiled| compiled.matches(labels))
    }
}

/// Prints as Alertmanager prints them in group keys: `{env!="dev",team=~"a|b"}`.
impl std::fmt::Display for Matchers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("{")?;
        for (index, matcher) in self.list.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{matcher}")?;
        }
        f.write_str("}")
    }
}

/// Reads one matcher or a list of them, with or without braces.
///
/// # Errors
///
/// A sentence that quotes what cannot be read.
pub(crate) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside
            .strip_suffix('}')
            .ok_or_else(|| format!("{text:?}: the closing brace is missing"))?
            .trim();
    }
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (matcher, after) =
            one(rest).ok_or_else(|| format!("{text:?} is no matcher such as severity=\"page\""))?;
        matchers.push(matcher);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return Err(format!("{text:?}: expected a comma before {after:?}")),
        };
    }
    Ok(matchers)
}

/// A matcher at the start of `text`, and what follows it.
fn one(text: &str) -> Option<(Matcher, &str)> {
    let (name, rest) = word(text)?;
    let rest = rest.trim_start();
    let (op, rest) = [
        ("=~", MatchOp::Regex),
        ("!~", MatchOp::NotRegex),
        ("!=", MatchOp::NotEqual),
        ("=", MatchOp::Equal),
    ]
    .into_iter()
    .find_map(|(sign, op)| rest.strip_prefix(sign).map(|rest| (op, rest)))?;
    let (value, rest) = match word(rest.trim_start()) {
        Some(found) => found,
        // `label=` compares with the empty string.
        None if rest.trim_start().is_empty() => (String::new(), ""),
        None => return None,
    };
    Some((Matcher::new(name, op, value), rest))
}

/// A quoted or bare word at the start of `text`, and what follows it.
fn word(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text
            .find(|c: char| c.is_whitespace() || "{}!=~,\\\"'`".contains(c))
            .unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Some((out, &quoted[index + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                c @ ('\\' | '"') => out.push(c),
                other => {
                    // Regular expressions keep their own escapes.
                    out.push('\\');
                    out.push(other);
                }
            },
            other => out.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matchers_are_read_in_every_form() {
        let m = |name: &str, op, value: &str| Matcher::new(name, op, value);
        let cases = [
            ("a=b", vec![m("a", MatchOp::Equal, "b")]),
            (
                r#"{a = "b, c", d!~"x.*",}"#,
                vec![
                    m("a", MatchOp::Equal, "b, c"),
                    m("d", MatchOp::NotRegex, "x.*"),
                ],
            ),
            (r#"a=~"\d\"""#, vec![m("a", MatchOp::Regex, "\\d\"")]),
            (r#""ü b"!=c"#, vec![m("ü b", MatchOp::NotEqual, "c")]),
            ("a=", vec![m("a", MatchOp::Equal, "")]),
            ("{}", vec![]),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for bad in ["a", "=b", "{a=b", "a=b c=d", "a=\"b", "a=b,,c=d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_absent_label_counts_as_empty() {
        let matchers = Matchers::new(parse("{team!=\"\"}").unwrap()).unwrap();
        assert!(!matchers.matches(&Labels::empty()));
        assert!(matchers.matches(&Labels::new([("team", "web")])));
        assert!(Matchers::default().matches(&Labels::empty()));
    }

    proptest! {
        #[test]
        fn printed_matchers_read_back(name in "[a-z_]{1,8}", value in "[a-z \"\\\\,{}=]{0,12}") {
            let matchers = Matchers::new(vec![Matcher::new(name, MatchOp::Equal, value)]).unwrap();
            prop_assert_eq!(parse(&matchers.to_string()), Ok(matchers.list));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,24}") {
            let _outcome = parse(&text);
        }
    }
}
