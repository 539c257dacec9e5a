//! Reads JSON as it stands in a line, field by field, without building it.
//!
//! What stands before a mistake is still read: a line that was cut off gives its first fields.
//! Numbers keep their text, so `1.50` stays `1.50`.

use std::borrow::Cow;
use std::str::FromStr;

/// How deep a value may nest.
const MAX_DEPTH: usize = 128;

/// Why a text is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonError {
    /// What was expected, and where.
    pub(super) message: String,
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JsonValue<'a> {
    /// A string, without its escapes.
    Text(Cow<'a, str>),
    /// A number, `true` or `false`, as written.
    Plain(&'a str),
    /// `null`
    Null,
    /// An object, as written.
    Object(&'a str),
    /// An array, as written.
    Array(&'a str),
}

/// What a reader of fields wants to see next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Walk {
    /// The fields inside of the object.
    Enter,
    /// The next field.
    Skip,
}

/// Walks over the fields of the object that a text begins with, whatever follows it.
///
/// `see` gets the keys that lead to a field and its value; for an object it says whether to enter.
///
/// # Errors
///
/// The text begins with no object, or it breaks off; what `see` got until then stands.
pub(super) fn walk<'a>(
    text: &'a str,
    mut see: impl FnMut(&[Cow<'a, str>], &JsonValue<'a>) -> Walk,
) -> Result<(), JsonError> {
    let mut reader = Reader::new(text);
    if reader.peek() != Some(b'{') {
        return Err(reader.error("an object"));
    }
    reader.fields(&mut Vec::new(), &mut see)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        let mut reader = Self { text, at: 0 };
        reader.skip_space();
        reader
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a sign and the white space after it.
    fn take(&mut self, sign: u8) -> bool {
        let found = self.peek() == Some(sign);
        if found {
            self.at += 1;
            self.skip_space();
        }
        found
    }

    fn error(&self, expected: &str) -> JsonError {
        let found = match self.text[self.at..].chars().next() {
            Some(character) => format!("{character:?}"),
            None => "the end".to_owned(),
        };
        JsonError {
            message: format!("expected {expected} at byte {}, found {found}", self.at),
        }
    }

    /// The fields of the object that begins here.
    fn fields(
        &mut self,
        keys: &mut Vec<Cow<'a, str>>,
        see: &mut impl FnMut(&[Cow<'a, str>], &JsonValue<'a>) -> Walk,
    ) -> Result<(), JsonError> {
        if keys.len() >= MAX_DEPTH {
            return Err(self.error("fewer levels"));
        }
        self.take(b'{');
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in quotes"));
            }
            keys.push(self.string()?);
            self.skip_space();
            if !self.take(b':') {
                return Err(self.error("\":\""));
            }
            if self.peek() == Some(b'{') {
                // Whether it is entered is asked before it is read, so that of an object that
                // breaks off the first fields are seen.
                match see(keys, &JsonValue::Object("")) {
                    Walk::Enter => self.fields(keys, see)?,
                    Walk::Skip => drop(self.value()?),
                }
            } else {
                let value = self.value()?;
                see(keys, &value);
            }
            keys.pop();
            self.skip_space();
            if self.take(b',') {
                continue;
            }
            return match self.take(b'}') {
                true => Ok(()),
                false => Err(self.error("\",\" or \"}\"")),
            };
        }
    }

    fn value(&mut self) -> Result<JsonValue<'a>, JsonError> {
        let start = self.at;
        Ok(match self.peek() {
            Some(b'"') => JsonValue::Text(self.string()?),
            Some(b'{') => {
                self.skip_nested()?;
                JsonValue::Object(&self.text[start..self.at])
            }
            Some(b'[') => {
                self.skip_nested()?;
                JsonValue::Array(&self.text[start..self.at])
            }
            _ => match self.plain()? {
                "null" => JsonValue::Null,
                plain => JsonValue::Plain(plain),
            },
        })
    }

    /// A number or a word of JSON's.
    fn plain(&mut self) -> Result<&'a str, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.'))
            .unwrap_or(rest.len());
        let plain = &rest[..length];
        let is_number = plain.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            && plain.parse::<f64>().is_ok();
        if !is_number && !matches!(plain, "true" | "false" | "null") {
            return Err(self.error("a value"));
        }
        self.at += length;
        Ok(plain)
    }

    /// The string that begins here.
    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        let mut escaped = false;
        loop {
            match bytes.get(end) {
                None => {
                    self.at = end;
                    return Err(self.error("a closing quote"));
                }
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
            if end > bytes.len() {
                self.at = bytes.len();
                return Err(self.error("a closing quote"));
            }
        }
        self.at = end + 1;
        let inside = &self.text[start..end];
        if !escaped {
            return Ok(Cow::Borrowed(inside));
        }
        match unescape(inside) {
            Some(text) => Ok(Cow::Owned(text)),
            None => {
                self.at = start;
                Err(self.error("a string without wrong escapes"))
            }
        }
    }

    /// Skips an object or array, looking at brackets and strings alone.
    fn skip_nested(&mut self) -> Result<(), JsonError> {
        let mut open = Vec::new();
        loop {
            match self.peek() {
                None => return Err(self.error("a closing bracket")),
                Some(b'"') => {
                    self.string()?;
                    continue;
                }
                Some(b'{') => open.push(b'}'),
                Some(b'[') => open.push(b']'),
                Some(close @ (b'}' | b']')) => {
                    if open.pop() != Some(close) {
                        return Err(self.error("another bracket"));
                    }
                }
                Some(_) => {}
            }
            self.at += 1;
            if open.is_empty() {
                return Ok(());
            }
            if open.len() > MAX_DEPTH {
                return Err(self.error("fewer levels"));
            }
        }
    }
}

/// JSON's escapes; `None` for one that does not exist.
fn unescape(inside: &str) -> Option<String> {
    let mut out = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        out.push(match characters.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            same @ ('"' | '\\' | '/') => same,
            'u' => {
                let high = hex(&mut characters)?;
                match high {
                    0xd800..0xdc00 => {
                        let rest = characters.as_str().strip_prefix("\\u");
                        let low = rest.and_then(|rest| {
                            let mut after = rest.chars();
                            let low = hex(&mut after)?;
                            (0xdc00..0xe000).contains(&low).then_some((low, after))
                        });
                        match low {
                            Some((low, after)) => {
                                characters = after;
                                char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                            }
                            None => char::REPLACEMENT_CHARACTER,
                        }
                    }
                    code => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                }
            }
            _ => return None,
        });
    }
    Some(out)
}

fn hex(characters: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut code = 0;
    for _ in 0..4 {
        code = code * 16 + characters.next()?.to_digit(16)?;
    }
    Some(code)
}

/// Where a field lies: `a.b[0]["c d"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl FromStr for JsonPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no path such as a.b[0][\"c d\"]");
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                if inside.starts_with('"') {
                    let mut reader = Reader::new(inside);
                    steps.push(Step::Key(
                        reader.string().map_err(|_| wrong())?.into_owned(),
                    ));
                    rest = inside[reader.at..].strip_prefix(']').ok_or_else(wrong)?;
                } else {
                    let (index, after) = inside.split_once(']').ok_or_else(wrong)?;
                    steps.push(Step::Index(index.parse().map_err(|_| wrong())?));
                    rest = after;
                }
                continue;
            }
            if !steps.is_empty() {
                rest = rest.strip_prefix('.').ok_or_else(wrong)?;
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 || rest[..end].contains([' ', ']', '"']) {
                return Err(wrong());
            }
            steps.push(Step::Key(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        match steps.is_empty() {
            true => Err(wrong()),
            false => Ok(Self(steps)),
        }
    }
}

impl JsonPath {
    /// The value there; `None` when there is none.
    ///
    /// # Errors
    ///
    /// The text is no JSON, as far as it had to be read.
    pub(super) fn find<'a>(&self, text: &'a str) -> Result<Option<JsonValue<'a>>, JsonError> {
        let mut reader = Reader::new(text);
        for step in &self.0 {
            let found = match step {
                Step::Key(key) => reader.enter_field(key)?,
                Step::Index(index) => reader.enter_element(*index)?,
            };
            if !found {
                return Ok(None);
            }
        }
        reader.value().map(Some)
    }
}

impl Reader<'_> {
    /// Goes to the value of a key, when an object begins here that has it.
    fn enter_field(&mut self, key: &str) -> Result<bool, JsonError> {
        if !self.take(b'{') || self.take(b'}') {
            return Ok(false);
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in quotes"));
            }
            let found = self.string()? == key;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.error("\":\""));
            }
            if found {
                return Ok(true);
            }
            self.value()?;
            self.skip_space();
            if !self.take(b',') {
                return match self.take(b'}') {
                    true => Ok(false),
                    false => Err(self.error("\",\" or \"}\"")),
                };
            }
        }
    }

    /// Goes to an element, when an array begins here that has it.
    fn enter_element(&mut self, index: usize) -> Result<bool, JsonError> {
        if !self.take(b'[') || self.take(b']') {
            return Ok(false);
        }
        for _ in 0..index {
            self.value()?;
            self.skip_space();
            if !self.take(b',') {
                return match self.take(b']') {
                    true => Ok(false),
                    false => Err(self.error("\",\" or \"]\"")),
                };
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The leaves of a text, `a/b=value`, and whether it ended well.
    fn leaves(text: &str) -> (Vec<String>, bool) {
        let mut found = Vec::new();
        let outcome = walk(text, |keys, value| {
            let value = match value {
                JsonValue::Text(text) => format!("{text:?}"),
                JsonValue::Plain(text) | JsonValue::Array(text) => (*text).to_owned(),
                JsonValue::Null => "null".to_owned(),
                JsonValue::Object(_) => return Walk::Enter,
            };
            found.push(format!("{}={value}", keys.join("/")));
            Walk::Skip
        });
        (found, outcome.is_ok())
    }

    #[test]
    fn fields_are_seen_in_their_order() {
        let cases: [(&str, &[&str], bool); 9] = [
            (
                r#" { "a" : 1.50 , "b":{"c":"x\ny","d":{}}, "e":[1,{"f":"]"}], "g":null } rest"#,
                &["a=1.50", "b/c=\"x\\ny\"", "e=[1,{\"f\":\"]\"}]", "g=null"],
                true,
            ),
            ("{}", &[], true),
            (r#"{"a":true,"b":fals"#, &["a=true"], false),
            (r#"{"a":{"b":1"#, &["a/b=1"], false),
            (r#"{"a":"x","b":"unfinish"#, &["a=\"x\""], false),
            (r#"{"a":1,}"#, &["a=1"], false),
            (
                r#"{"a":"\ud83d\ude00\u00e9\ud83d"}"#,
                &["a=\"😀é\u{fffd}\""],
                true,
            ),
            ("[1]", &[], false),
            ("", &[], false),
        ];
        for (text, expected, ends_well) in cases {
            assert_eq!(
                leaves(text),
                (
                    expected.iter().map(|s| (*s).to_owned()).collect(),
                    ends_well
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn paths_lead_to_values() {
        let text = r#"{"a":{"b":[{"c d":"x"},2,[3]],"n":null},"s":"q\"t"}"#;
        let plain = |text| Some(JsonValue::Plain(text));
        let cases = [
            ("a.b[1]", plain("2")),
            ("a[\"b\"][2][0]", plain("3")),
            ("a.b[0][\"c d\"]", Some(JsonValue::Text("x".into()))),
            ("[\"s\"]", Some(JsonValue::Text("q\"t".into()))),
            ("a.n", Some(JsonValue::Null)),
            ("a.b[2]", Some(JsonValue::Array("[3]"))),
            ("a.b[3]", None),
            ("a.x.y", None),
            ("s.x", None),
        ];
        for (path, expected) in cases {
            let path: JsonPath = path.parse().unwrap();
            assert_eq!(path.find(text), Ok(expected), "{path:?}");
        }
        for wrong in ["", ".a", "a.", "a[", "a[x]", "a b", "a..b", "a[\"b]"] {
            assert!(wrong.parse::<JsonPath>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_walked_without_harm(text in "[{}\\[\\]\",:a1\\\\u. é-]{0,40}") {
            let (_, ends_well) = leaves(&text);
            if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text).is_ok() {
                prop_assert!(ends_well, "{}", text);
            }
            drop("a[0].b".parse::<JsonPath>().unwrap().find(&text));
        }
    }
}
