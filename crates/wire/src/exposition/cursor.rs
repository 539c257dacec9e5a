//! A place in a body, and what both text formats are made of: names, quoted text, label sets and
//! numbers.

use model::Labels;
use model::labels::METRIC_NAME;

use super::{ExpositionError, MAX_LABELS, ordinary};

/// A place in a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// The series of a sample.
pub(super) struct Series {
    pub(super) labels: Labels,
    /// Labels with an empty value.
    pub(super) emptied: Vec<String>,
}

/// An error at byte `at` of `text`, as line and column.
pub(super) fn error_at(text: &str, at: usize, message: impl Into<String>) -> ExpositionError {
    let before = text.get(..at).unwrap_or(text);
    let line_begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    ExpositionError::Text {
        line: before.matches('\n').count() + 1,
        column: before[line_begin..].chars().count() + 1,
        message: message.into(),
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// The next byte; 0 at the end of the text.
    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    /// Whether a line ends here.
    pub(super) fn at_line_end(&self) -> bool {
        self.at_end() || self.peek() == b'\n'
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ExpositionError {
        error_at(self.text, self.at, message)
    }

    /// `expected …, found …` at this place.
    pub(super) fn expected(&self, what: &str) -> ExpositionError {
        let found = match self.rest().chars().next() {
            None => "the end of the text".to_owned(),
            Some('\n') => "the end of the line".to_owned(),
            Some(c) => format!("{c:?}"),
        };
        self.error(format!("expected {what}, found {found}"))
    }

    /// Steps over `text` if it comes next.
    pub(super) fn skip(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub(super) fn expect(&mut self, text: &str, what: &str) -> Result<(), ExpositionError> {
        match self.skip(text) {
            true => Ok(()),
            false => Err(self.expected(what)),
        }
    }

    /// Steps over spaces and tabs.
    pub(super) fn skip_blanks(&mut self) {
        self.at += run(self.rest(), |byte| matches!(byte, b' ' | b'\t'));
    }

    /// The rest of the line, without its end, which is stepped over.
    pub(super) fn line(&mut self) -> &'a str {
        let line = &self.rest()[..run(self.rest(), |byte| byte != b'\n')];
        self.at += line.len();
        self.skip("\n");
        line
    }

    /// Everything up to a blank or the end of the line; may be empty.
    pub(super) fn word(&mut self) -> &'a str {
        let length = run(self.rest(), |byte| !matches!(byte, b' ' | b'\t' | b'\n'));
        let word = &self.rest()[..length];
        self.at += length;
        word
    }

    /// The name of a family that is described, plain or in quotes.
    pub(super) fn family_name(&mut self) -> Result<String, ExpositionError> {
        if self.peek() == b'"' {
            return self.quoted_name();
        }
        self.plain_name(true, "a metric name")
    }

    /// The series at the beginning of a sample: `name`, `name{…}` or `{"name", …}`.
    pub(super) fn series(&mut self) -> Result<Series, ExpositionError> {
        let begin = *self;
        let mut name = match self.peek() {
            b'{' => None,
            _ => Some(self.plain_name(true, "a metric name")?),
        };
        // Blanks before the braces are the text format's; before a value they stay.
        let mut braces = *self;
        braces.skip_blanks();
        let mut pairs: Vec<(String, String)> = Vec::new();
        if braces.skip("{") {
            *self = braces;
            self.pairs(&mut name, &mut pairs)?;
        }
        let Some(name) = name else {
            return Err(begin.error("no metric name, neither before the braces nor inside"));
        };
        let emptied = pairs.iter().filter(|(_, value)| value.is_empty());
        let emptied = emptied.map(|(name, _)| name.clone()).collect();
        pairs.push((METRIC_NAME.to_owned(), name));
        Ok(Series {
            labels: Labels::new(pairs),
            emptied,
        })
    }

    /// An exemplar's `{…}`, which knows no metric.
    pub(super) fn label_set(&mut self) -> Result<Labels, ExpositionError> {
        self.expect("{", "\"{\"")?;
        let mut pairs = Vec::new();
        // A name that is there already: another one is an error.
        self.pairs(&mut Some(String::new()), &mut pairs)?;
        Ok(Labels::new(pairs))
    }

    /// What stands behind `{`, up to and with `}`: pairs of unique names, and the metric's name in
    /// quotes where it is still to be found.
    fn pairs(
        &mut self,
        metric: &mut Option<String>,
        pairs: &mut Vec<(String, String)>,
    ) -> Result<(), ExpositionError> {
        self.skip_blanks();
        while !self.skip("}") {
            self.pair(metric, pairs)?;
            self.end_of_pair()?;
        }
        Ok(())
    }

    /// A name of letters, digits and underscores, with colons for metrics.
    fn plain_name(&mut self, colons: bool, what: &str) -> Result<String, ExpositionError> {
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
        if self.peek().is_ascii_digit() || !fits(self.peek()) {
            return Err(self.expected(what));
        }
        let name = &self.rest()[..run(self.rest(), fits)];
        self.at += name.len();
        Ok(name.to_owned())
    }

    fn quoted_name(&mut self) -> Result<String, ExpositionError> {
        let begin = *self;
        let name = self.quoted()?;
        match name.is_empty() {
            true => Err(begin.error("a name in quotes must not be empty")),
            false => Ok(name),
        }
    }

    /// Text in double quotes on one line; `\\`, `\"` and `\n` are escapes, any other backslash
    /// is one.
    fn quoted(&mut self) -> Result<String, ExpositionError> {
        let begin = *self;
        self.expect("\"", "a text in double quotes")?;
        let mut text = String::new();
        loop {
            let plain = run(self.rest(), |byte| !matches!(byte, b'"' | b'\\' | b'\n'));
            text.push_str(&self.rest()[..plain]);
            self.at += plain;
            if self.skip("\"") {
                return Ok(text);
            }
            if self.at_line_end() {
                return Err(begin.error("these quotes are not closed on the same line"));
            }
            self.at += 1;
            let (meant, length) = match self.peek() {
                b'n' => ('\n', 1),
                b'"' => ('"', 1),
                b'\\' => ('\\', 1),
                _ => ('\\', 0),
            };
            text.push(meant);
            self.at += length;
        }
    }

    fn pair(
        &mut self,
        metric: &mut Option<String>,
        pairs: &mut Vec<(String, String)>,
    ) -> Result<(), ExpositionError> {
        let begin = *self;
        let quoted = self.peek() == b'"';
        let name = match quoted {
            true => self.quoted_name()?,
            false => self.plain_name(false, "a label name or \"}\"")?,
        };
        self.skip_blanks();
        if quoted && matches!(self.peek(), b',' | b'}') {
            if metric.is_some() {
                return Err(self.expected("\"=\""));
            }
            *metric = Some(name);
            return Ok(());
        }
        self.expect("=", "\"=\"")?;
        self.skip_blanks();
        let value = self.quoted()?;
        if name == METRIC_NAME {
            return Err(begin.error("the metric's name is written without \"__name__=\""));
        }
        if pairs.iter().any(|(other, _)| *other == name) {
            return Err(begin.error(format!("the label {name:?} is given twice")));
        }
        if pairs.len() >= MAX_LABELS {
            return Err(begin.error(format!("more than {MAX_LABELS} labels")));
        }
        pairs.push((name, value));
        Ok(())
    }

    /// A comma, which may also be the last one, or the closing brace, which is left.
    fn end_of_pair(&mut self) -> Result<(), ExpositionError> {
        self.skip_blanks();
        if self.skip(",") {
            self.skip_blanks();
            return Ok(());
        }
        match self.peek() {
            b'}' => Ok(()),
            _ => Err(self.expected("\",\" or \"}\"")),
        }
    }

    /// A sample's value.
    pub(super) fn value(&mut self) -> Result<f64, ExpositionError> {
        let begin = *self;
        let word = self.word();
        if word.is_empty() {
            return Err(begin.expected("a value"));
        }
        match word.parse::<f64>() {
            Ok(number) => Ok(ordinary(number)),
            Err(_) => Err(begin.error(format!("expected a value, found {word:?}"))),
        }
    }

    /// A time in seconds with a fraction, as Unix ms.
    pub(super) fn seconds(&mut self) -> Result<i64, ExpositionError> {
        let begin = *self;
        let word = self.word();
        let ms = word.parse::<f64>().ok().map(|seconds| seconds * 1_000.0);
        match ms.filter(|ms| ms.is_finite() && ms.abs() < i64::MAX as f64) {
            Some(ms) => Ok(ms.round() as i64),
            None => Err(begin.error(format!("expected a time in seconds, found {word:?}"))),
        }
    }

    /// A time in whole milliseconds.
    pub(super) fn milliseconds(&mut self) -> Result<i64, ExpositionError> {
        let begin = *self;
        let word = self.word();
        let number = word.parse();
        number.map_err(|_| {
            begin.error(format!(
                "expected a time in milliseconds or the end of the line, found {word:?}"
            ))
        })
    }
}

/// How many bytes at the beginning `fits` accepts; it must accept or refuse all bytes of a
/// character beyond ASCII alike.
fn run(text: &str, fits: impl Fn(u8) -> bool) -> usize {
    text.bytes()
        .position(|byte| !fits(byte))
        .unwrap_or(text.len())
}

/// A description with its escapes undone: `\\` and `\n`, and `\"` where `quotes` says so.
pub(super) fn unescape_help(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, tail)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = tail.chars();
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('\\') => out.push('\\'),
            Some('"') if quotes => out.push('"'),
            _ => {
                out.push('\\');
                rest = tail;
                continue;
            }
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}
