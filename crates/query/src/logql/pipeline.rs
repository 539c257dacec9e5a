//! The stages of a pipeline that the table cannot answer, run line by line.
//!
//! A stage that meets something it cannot read lets the line through and says so in the labels
//! `__error__` and `__error_details__`, as in Loki: only a filter on text takes such lines out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use model::MatchOp;
use regex::Regex;

use crate::logql::addresses::Addresses;
use crate::logql::ast::{
    CompareOp, Conversion, Extraction, LabelChoice, LabelFilter, LabelFormat, LabelMatcher,
    LabelSource, LineMatch, LineOp, Quantity, Stage, StageKind,
};
use crate::logql::json_text::{self, JsonPath, JsonValue, Walk};
use crate::logql::labels::{Label, LineLabels, Origin, label_name};
use crate::logql::line_pattern::LinePattern;
use crate::logql::logfmt;
use crate::logql::pushdown::anchored;
use crate::logql::template::LineTemplate;
use crate::units;

/// The label that says which stage could not read a line.
pub(super) const ERROR: &str = "__error__";
/// The label that says more about it.
pub(super) const ERROR_DETAILS: &str = "__error_details__";

/// Stages with all that they are given compiled.
pub(super) struct Pipeline {
    steps: Vec<Step>,
    /// The only labels that matter; `None`: all.
    wanted: Option<BTreeSet<String>>,
}

enum Step {
    Line {
        negated: bool,
        any: Vec<LineTest>,
    },
    Label(LabelTest),
    Json,
    JsonFields(Vec<(String, JsonPath)>),
    Logfmt {
        strict: bool,
        keep_empty: bool,
        fields: Vec<Extraction>,
    },
    Regexp(Regex),
    Pattern(LinePattern),
    Unpack,
    Decolorize,
    LineFormat(LineTemplate),
    LabelFormat(Vec<(String, NewLabel)>),
    Drop(Vec<Choice>),
    Keep(Vec<Choice>),
    Unwrap {
        label: String,
        conversion: Conversion,
    },
}

enum LineTest {
    Contains(String),
    Matches(Regex),
    Pattern(LinePattern),
    Ip(Addresses),
}

enum TextTest {
    Equals(String),
    Matches(Regex),
}

enum LabelTest {
    Text {
        name: String,
        negated: bool,
        test: TextTest,
    },
    Compare {
        name: String,
        op: CompareOp,
        bound: Quantity,
    },
    Ip {
        name: String,
        negated: bool,
        addresses: Addresses,
    },
    And(Box<LabelTest>, Box<LabelTest>),
    Or(Box<LabelTest>, Box<LabelTest>),
}

struct Choice {
    name: String,
    value: Option<(bool, TextTest)>,
}

enum NewLabel {
    Renamed(String),
    Template(LineTemplate),
}

/// What a line became.
#[derive(Debug, PartialEq)]
pub(super) struct Passed<'l> {
    /// Its text.
    pub(super) line: Cow<'l, str>,
    /// The value that was unwrapped, when there is an `unwrap`.
    pub(super) value: Option<f64>,
}

impl Pipeline {
    /// Compiles stages.
    ///
    /// # Errors
    ///
    /// What the parser let through; it checks everything.
    pub(super) fn new(stages: &[Stage]) -> Result<Self, String> {
        let steps = stages
            .iter()
            .map(|stage| Step::new(&stage.kind))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            steps,
            wanted: None,
        })
    }

    /// The same, where no other labels than these matter: no others are read out of lines.
    pub(super) fn wanting(mut self, names: BTreeSet<String>) -> Self {
        self.wanted = Some(names);
        self
    }

    /// Whether it changes or drops nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Runs a line through; `None` when a filter drops it.
    pub(super) fn run<'l>(
        &self,
        timestamp: i64,
        line: &'l str,
        labels: &mut LineLabels,
    ) -> Option<Passed<'l>> {
        let mut passed = Passed {
            line: Cow::Borrowed(line),
            value: None,
        };
        for step in &self.steps {
            if !self.step(step, timestamp, &mut passed, labels) {
                return None;
            }
        }
        Some(passed)
    }

    /// One stage; whether the line goes on.
    fn step(
        &self,
        step: &Step,
        timestamp: i64,
        passed: &mut Passed<'_>,
        labels: &mut LineLabels,
    ) -> bool {
        match step {
            Step::Line { negated, any } => {
                return any.iter().any(|test| test.passes(&passed.line)) != *negated;
            }
            Step::Label(test) => return test.passes(labels),
            Step::Json => self.read_json(&passed.line, labels),
            Step::JsonFields(fields) => self.read_json_fields(&passed.line, fields, labels),
            Step::Logfmt {
                strict,
                keep_empty,
                fields,
            } => self.read_logfmt(&passed.line, (*strict, *keep_empty), fields, labels),
            Step::Regexp(regex) => {
                if let Some(captures) = regex.captures(&passed.line) {
                    for name in regex.capture_names().flatten() {
                        let value = captures.name(name).map_or("", |found| found.as_str());
                        self.add(labels, name, value);
                    }
                }
            }
            Step::Pattern(pattern) => {
                pattern.capture(&passed.line, |name, value| self.add(labels, name, value));
            }
            Step::Unpack => {
                if let Some(entry) = self.unpack(&passed.line, labels) {
                    passed.line = Cow::Owned(entry);
                }
            }
            Step::Decolorize => {
                if let Cow::Owned(plain) = decolorized(&passed.line) {
                    passed.line = Cow::Owned(plain);
                }
            }
            Step::LineFormat(template) => {
                match template.run(timestamp, &passed.line, labels.to_labels()) {
                    Ok(line) => passed.line = Cow::Owned(line),
                    Err(error) => fail(labels, "TemplateFormatErr", &error.to_string()),
                }
            }
            Step::LabelFormat(formats) => {
                format_labels(formats, timestamp, &passed.line, labels);
            }
            Step::Drop(choices) => {
                labels
                    .0
                    .retain(|label| !choices.iter().any(|choice| choice.names(label)));
            }
            Step::Keep(choices) => {
                labels.0.retain(|label| {
                    label.name == ERROR
                        || label.name == ERROR_DETAILS
                        || choices.iter().any(|choice| choice.names(label))
                });
            }
            Step::Unwrap { label, conversion } => {
                passed.value = unwrap(label, *conversion, labels);
                return passed.value.is_some();
            }
        }
        true
    }

    /// Adds a field of the line. An empty one is not there.
    fn add(&self, labels: &mut LineLabels, name: &str, value: &str) {
        if !value.is_empty() {
            self.add_even_empty(labels, name, value);
        }
    }

    fn add_even_empty(&self, labels: &mut LineLabels, name: &str, value: &str) {
        let name = labels.parsed_name(name);
        let wanted = self.wanted.as_ref();
        if wanted.is_none_or(|wanted| wanted.contains(name.as_ref())) {
            labels.add_parsed(&name, value);
        }
    }

    /// Nested names are joined by `_`; arrays are left out.
    fn read_json(&self, line: &str, labels: &mut LineLabels) {
        let mut name = String::new();
        let outcome = json_text::walk(line, |keys, value| {
            let text = match value {
                JsonValue::Object(_) => return Walk::Enter,
                JsonValue::Array(_) | JsonValue::Null => return Walk::Skip,
                JsonValue::Text(text) => text.as_ref(),
                JsonValue::Plain(text) => text,
            };
            name.clear();
            for (index, key) in keys.iter().enumerate() {
                if index > 0 {
                    name.push('_');
                }
                match index {
                    0 => name.push_str(&label_name(key)),
                    _ => name.extend(key.chars().map(label_character)),
                }
            }
            self.add(labels, &name, text);
            Walk::Skip
        });
        if let Err(error) = outcome {
            fail(labels, "JSONParserErr", &error.message);
        }
    }

    fn read_json_fields(&self, line: &str, fields: &[(String, JsonPath)], labels: &mut LineLabels) {
        for (label, path) in fields {
            match path.find(line) {
                Ok(Some(value)) => match value {
                    JsonValue::Text(text) => self.add(labels, label, &text),
                    JsonValue::Plain(text) | JsonValue::Object(text) | JsonValue::Array(text) => {
                        self.add(labels, label, text);
                    }
                    JsonValue::Null => {}
                },
                Ok(None) if line.trim_start().starts_with(['{', '[', '"']) || line.is_empty() => {}
                Ok(None) => fail(labels, "JSONParserErr", "the line is no JSON"),
                Err(error) => fail(labels, "JSONParserErr", &error.message),
            }
        }
    }

    fn read_logfmt(
        &self,
        line: &str,
        (strict, keep_empty): (bool, bool),
        fields: &[Extraction],
        labels: &mut LineLabels,
    ) {
        let outcome = logfmt::walk(line, strict, |key, value| {
            if value.is_empty() && !keep_empty {
                return;
            }
            if fields.is_empty() {
                self.add_even_empty(labels, &label_name(key), &value);
            }
            for field in fields {
                if field.path == key || field.path == label_name(key) {
                    self.add_even_empty(labels, &field.label, &value);
                }
            }
        });
        if let Err(error) = outcome {
            fail(labels, "LogfmtParserErr", &error.message);
        }
    }

    /// The line inside of a packed one, whose other texts become labels; `None` when it is not
    /// packed.
    fn unpack(&self, line: &str, labels: &mut LineLabels) -> Option<String> {
        if line.is_empty() {
            return None;
        }
        let mut entry = None;
        let mut fields = Vec::new();
        let outcome = json_text::walk(line, |keys, value| {
            if let ([key], JsonValue::Text(text)) = (keys, value) {
                match key.as_ref() {
                    "_entry" => entry = Some(text.clone().into_owned()),
                    _ => fields.push((label_name(key).into_owned(), text.clone())),
                }
            }
            Walk::Skip
        });
        if let Err(error) = outcome {
            fail(labels, "JSONParserErr", &error.message);
            return None;
        }
        let entry = entry?;
        for (name, value) in fields {
            self.add(labels, &name, &value);
        }
        Some(entry)
    }
}

impl Step {
    fn new(stage: &StageKind) -> Result<Self, String> {
        Ok(match stage {
            StageKind::Line { op, alternatives } => Self::Line {
                negated: op.is_negated(),
                any: alternatives
                    .iter()
                    .map(|alternative| LineTest::new(*op, alternative))
                    .collect::<Result<_, _>>()?,
            },
            StageKind::Label(filter) => Self::Label(LabelTest::new(filter)?),
            StageKind::Json(fields) if fields.is_empty() => Self::Json,
            StageKind::Json(fields) => Self::JsonFields(
                fields
                    .iter()
                    .map(|field| Ok((field.label.clone(), field.path.parse()?)))
                    .collect::<Result<_, String>>()?,
            ),
            StageKind::Logfmt {
                strict,
                keep_empty,
                fields,
            } => Self::Logfmt {
                strict: *strict,
                keep_empty: *keep_empty,
                fields: fields.clone(),
            },
            StageKind::Regexp(pattern) => Self::Regexp(regex(pattern)?),
            StageKind::Pattern(pattern) => Self::Pattern(LinePattern::captures(pattern)?),
            StageKind::Unpack => Self::Unpack,
            StageKind::Decolorize => Self::Decolorize,
            StageKind::LineFormat(text) => Self::LineFormat(template(text)?),
            StageKind::LabelFormat(formats) => Self::LabelFormat(
                formats
                    .iter()
                    .map(|LabelFormat { label, source }| {
                        let new = match source {
                            LabelSource::Rename(from) => NewLabel::Renamed(from.clone()),
                            LabelSource::Template(text) => NewLabel::Template(template(text)?),
                        };
                        Ok((label.clone(), new))
                    })
                    .collect::<Result<_, String>>()?,
            ),
            StageKind::Drop(choices) => Self::Drop(compile_choices(choices)?),
            StageKind::Keep(choices) => Self::Keep(compile_choices(choices)?),
            StageKind::Unwrap { label, conversion } => Self::Unwrap {
                label: label.clone(),
                conversion: *conversion,
            },
        })
    }
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

fn template(text: &str) -> Result<LineTemplate, String> {
    LineTemplate::new(text).map_err(|error| error.to_string())
}

impl LineTest {
    fn new(op: LineOp, alternative: &LineMatch) -> Result<Self, String> {
        Ok(match (alternative, op) {
            (LineMatch::Ip(addresses), _) => Self::Ip(addresses.parse()?),
            (LineMatch::Text(text), LineOp::Contains | LineOp::ContainsNot) => {
                Self::Contains(text.clone())
            }
            (LineMatch::Text(text), LineOp::Matches | LineOp::MatchesNot) => {
                Self::Matches(regex(text)?)
            }
            (LineMatch::Text(text), LineOp::Pattern | LineOp::PatternNot) => {
                Self::Pattern(LinePattern::filter(text)?)
            }
        })
    }

    fn passes(&self, line: &str) -> bool {
        match self {
            Self::Contains(text) => line.contains(text),
            Self::Matches(regex) => regex.is_match(line),
            Self::Pattern(pattern) => pattern.matches(line),
            Self::Ip(addresses) => addresses.occur_in(line),
        }
    }
}

/// Whether an operator negates, and the test without its negation.
fn text_test(op: MatchOp, value: &str) -> Result<(bool, TextTest), String> {
    let test = match op {
        MatchOp::Equal | MatchOp::NotEqual => TextTest::Equals(value.to_owned()),
        MatchOp::Regex | MatchOp::NotRegex => TextTest::Matches(regex(&anchored(value))?),
    };
    Ok((matches!(op, MatchOp::NotEqual | MatchOp::NotRegex), test))
}

impl TextTest {
    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Equals(value) => text == value,
            Self::Matches(regex) => regex.is_match(text),
        }
    }
}

impl LabelTest {
    fn new(filter: &LabelFilter) -> Result<Self, String> {
        let both = |left: &LabelFilter, right: &LabelFilter| {
            Ok::<_, String>((Box::new(Self::new(left)?), Box::new(Self::new(right)?)))
        };
        Ok(match filter {
            LabelFilter::Match(LabelMatcher {
                name, op, value, ..
            }) => {
                let (negated, test) = text_test(*op, value)?;
                Self::Text {
                    name: name.clone(),
                    negated,
                    test,
                }
            }
            LabelFilter::Compare {
                name, op, bound, ..
            } => Self::Compare {
                name: name.clone(),
                op: *op,
                bound: *bound,
            },
            LabelFilter::Ip {
                name,
                negated,
                addresses,
            } => Self::Ip {
                name: name.clone(),
                negated: *negated,
                addresses: addresses.parse()?,
            },
            LabelFilter::And(left, right) => {
                let (left, right) = both(left, right)?;
                Self::And(left, right)
            }
            LabelFilter::Or(left, right) => {
                let (left, right) = both(left, right)?;
                Self::Or(left, right)
            }
        })
    }

    fn passes(&self, labels: &mut LineLabels) -> bool {
        match self {
            // An absent label counts as the empty text.
            Self::Text {
                name,
                negated,
                test,
            } => test.passes(labels.get(name).unwrap_or_default()) != *negated,
            Self::Compare { name, op, bound } => {
                let Some(text) = labels.get(name) else {
                    return false;
                };
                match quantity(text, *bound) {
                    Some((value, bound)) => op.holds(value, bound),
                    None => {
                        let details = format!("cannot read {text:?} of label {name}");
                        fail_first(labels, "LabelFilterErr", &details);
                        true
                    }
                }
            }
            Self::Ip {
                name,
                negated,
                addresses,
            } => labels
                .get(name)
                .is_some_and(|text| addresses.occur_in(text) != *negated),
            Self::And(left, right) => {
                let left = left.passes(labels);
                right.passes(labels) && left
            }
            Self::Or(left, right) => left.passes(labels) || right.passes(labels),
        }
    }
}

/// A label's text as the kind of quantity that a bound is, and the bound, in one unit.
fn quantity(text: &str, bound: Quantity) -> Option<(f64, f64)> {
    Some(match bound {
        Quantity::Number(bound) => (units::number(text)?, bound),
        Quantity::Duration(nanos) => (units::duration_seconds(text)?, seconds(nanos)),
        Quantity::Bytes(bytes) => (units::size_or_number(text)?, bytes),
    })
}

/// Nanoseconds in seconds.
pub(super) fn seconds(nanos: i64) -> f64 {
    nanos as f64 / model::time::NANOS_PER_SECOND as f64
}

fn compile_choices(choices: &[LabelChoice]) -> Result<Vec<Choice>, String> {
    choices
        .iter()
        .map(|choice| {
            let value = choice
                .value
                .as_ref()
                .map(|(op, value)| text_test(*op, value))
                .transpose()?;
            Ok(Choice {
                name: choice.name.clone(),
                value,
            })
        })
        .collect()
}

impl Choice {
    fn names(&self, label: &Label) -> bool {
        self.name == label.name
            && self
                .value
                .as_ref()
                .is_none_or(|(negated, test)| test.passes(&label.value) != *negated)
    }
}

fn label_character(character: char) -> char {
    match character.is_ascii_alphanumeric() {
        true => character,
        false => '_',
    }
}

fn format_labels(
    formats: &[(String, NewLabel)],
    timestamp: i64,
    line: &str,
    labels: &mut LineLabels,
) {
    // All templates of one stage see the labels as the first of them does.
    let mut before = None;
    for (name, new) in formats {
        match new {
            NewLabel::Renamed(from) => {
                if let Some(label) = labels.take(from) {
                    labels.set(name, label.value, label.origin);
                }
            }
            NewLabel::Template(template) => {
                let data = before.get_or_insert_with(|| labels.to_labels()).clone();
                match template.run(timestamp, line, data) {
                    Ok(text) => labels.set(name, text, Origin::Parsed),
                    Err(error) => fail(labels, "TemplateFormatErr", &error.to_string()),
                }
            }
        }
    }
}

/// The value of a label; `None` when it is absent. One that cannot be read is an error, and 0.
fn unwrap(label: &str, conversion: Conversion, labels: &mut LineLabels) -> Option<f64> {
    let text = labels.get(label).filter(|text| !text.is_empty())?;
    let value = match conversion {
        Conversion::Number => units::number(text),
        Conversion::Duration => units::duration_seconds(text),
        Conversion::Bytes => units::size_or_number(text),
    };
    if value.is_none() {
        let details = format!("cannot read {text:?} of label {label}");
        fail(labels, "SampleExtractionErr", &details);
    }
    Some(value.unwrap_or(0.0))
}

/// A line without the escape sequences that colour it in a terminal.
fn decolorized(line: &str) -> Cow<'_, str> {
    static SEQUENCE: LazyLock<Regex> = LazyLock::new(|| {
        // Control sequences, operating system commands, and escapes of two characters.
        Regex::new("(?s:(?:\u{1b}\\[|\u{9b})[0-?]*[ -/]*[@-~]|\u{1b}\\].*?(?:\u{7}|\u{1b}\\\\)|\u{1b}[@-Z\\\\^_])")
            .expect("the expression is constant and valid")
    });
    SEQUENCE.replace_all(line, "")
}

fn fail(labels: &mut LineLabels, error: &str, details: &str) {
    labels.set(ERROR, error, Origin::Parsed);
    labels.set(ERROR_DETAILS, details, Origin::Parsed);
}

/// Fails unless an earlier stage did, whose error says more.
fn fail_first(labels: &mut LineLabels, error: &str, details: &str) {
    if labels.get(ERROR).is_none() {
        fail(labels, error, details);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logql::ast::ExprKind;
    use crate::logql::parser::parse;

    /// Runs `line` with the stream label `app=shop` and the structured metadata `level=info`
    /// through a pipeline: the line and its labels after it, sorted, or `None` when it was dropped.
    fn run(pipeline: &str, line: &str) -> Option<(String, Vec<(String, String)>)> {
        let ExprKind::Log(log) = parse(&format!("{{}} {pipeline}")).unwrap().kind else {
            panic!("{pipeline} is no log query");
        };
        let mut labels = LineLabels::default();
        labels.add("app", "shop", Origin::Stream);
        labels.add("level", "info", Origin::Structured);
        let pipeline = Pipeline::new(&log.stages).unwrap();
        let passed = pipeline.run(1_700_000_000_000_000_000, line, &mut labels)?;
        let mut labels: Vec<_> = labels.0.into_iter().map(|l| (l.name, l.value)).collect();
        labels.sort();
        Some((passed.line.into_owned(), labels))
    }

    const JSON: &str = r#"{"a":{"b":1,"c.d":"x"},"app":"inner","level":"warn","list":[1,{"k":"v"}],"none":null,"ok":true}"#;
    const LOGFMT: &str = r#"level=warn took=12ms msg="a \"b\" c" flag empty= n=5"#;

    #[test]
    fn lines_go_through_the_stages() {
        type Expected<'a> = Option<&'a [(&'a str, &'a str)]>;
        let (app, info) = (("app", "shop"), ("level", "info"));
        let plain: Expected = Some(&[("app", "shop"), ("level", "info")]);
        let cases: &[(&str, &str, Expected)] = &[
            ("", "x", plain),
            ("|= `b` or `c`", "abc", plain),
            ("|= `x` or `y`", "abc", None),
            ("!= `x` or `b`", "abc", None),
            ("|~ `^a.c$`", "abc", plain),
            ("!~ `(?i)B`", "abc", None),
            ("|> `a<_>c`", "abc", plain),
            ("!> `x` or `a<_>c`", "abc", None),
            ("|= ip(`10.0.0.0/8`) or `x`", "at 10.1.1.1", plain),
            ("!= ip(`10.0.0.0/8`)", "at 10.1.1.1", None),
            (
                "| json",
                JSON,
                Some(&[
                    ("a_b", "1"),
                    ("a_c_d", "x"),
                    app,
                    ("app_extracted", "inner"),
                    ("level", "warn"),
                    ("ok", "true"),
                ]),
            ),
            (
                "| json | a_b > 0 and ok=\"true\" | keep a_b",
                JSON,
                Some(&[("a_b", "1")]),
            ),
            ("| json | a_b > 1 or ok=\"false\"", JSON, None),
            (
                "| json | missing=\"\" | keep ok",
                JSON,
                Some(&[("ok", "true")]),
            ),
            ("| json | missing!=\"\"", JSON, None),
            (
                "| json x=`a[\"c.d\"]`, y=`list[1].k`, z=`list`, w=`gone` | drop app, level",
                JSON,
                Some(&[("x", "x"), ("y", "v"), ("z", "[1,{\"k\":\"v\"}]")]),
            ),
            (
                "| logfmt | took > 10ms | n = 5 | keep took, msg, level",
                LOGFMT,
                Some(&[("level", "warn"), ("msg", "a \"b\" c"), ("took", "12ms")]),
            ),
            ("| logfmt | took > 1s", LOGFMT, None),
            (
                "| logfmt --keep-empty | keep flag, empty",
                LOGFMT,
                Some(&[("empty", ""), ("flag", "")]),
            ),
            (
                "| logfmt lvl=\"level\", n | drop app, level",
                LOGFMT,
                Some(&[("lvl", "warn"), ("n", "5")]),
            ),
            ("| drop level=\"warn\"", "x", plain),
            ("| drop level=~\"in.*\"", "x", Some(&[app])),
            (
                "| regexp `(?P<a>\\w+) (?P<app>\\w+)(?P<no>!)?`",
                "x y",
                Some(&[("a", "x"), app, ("app_extracted", "y"), info]),
            ),
            (
                "| pattern `<_> <b>`",
                "x y z",
                Some(&[app, ("b", "y z"), info]),
            ),
            (
                "| label_format lvl=level, two=`{{.level}}-{{.app}}`",
                "x",
                Some(&[app, ("lvl", "info"), ("two", "-shop")]),
            ),
            (
                "| label_format level=`{{ div 1 0 }}` | drop __error_details__",
                "x",
                Some(&[("__error__", "TemplateFormatErr"), app, info]),
            ),
            ("| level = ip(`10.0.0.1`)", "x", None),
            (
                "| level > 5 | drop __error_details__",
                "x",
                Some(&[("__error__", "LabelFilterErr"), app, info]),
            ),
            ("| gone > 5", "x", None),
            // Fields before a break are read; what follows an error is dropped by text alone.
            (
                "| json | drop __error_details__, app",
                "{\"a\":1,\"b\":",
                Some(&[("__error__", "JSONParserErr"), ("a", "1"), info]),
            ),
            ("| json | __error__=\"\"", "not json", None),
            (
                "| json | drop __error__, __error_details__",
                "not json",
                plain,
            ),
            ("| logfmt", "a=\"b", plain),
            (
                "| logfmt --strict | drop __error_details__",
                "a=\"b",
                Some(&[("__error__", "LogfmtParserErr"), app, info]),
            ),
        ];
        for (pipeline, line, expected) in cases {
            let expected = expected.map(|labels| {
                labels
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<Vec<_>>()
            });
            let labels = run(pipeline, line).map(|(_, labels)| labels);
            assert_eq!(labels, expected, "{pipeline}");
        }
    }

    #[test]
    fn stages_make_other_lines() {
        let cases = [
            (
                "| line_format `{{.app}}: {{ __line__ | ToUpper }}`",
                "abc",
                "shop: ABC",
            ),
            ("| line_format `{{ div 1 0 }}`", "abc", "abc"),
            ("| line_format `x` |= `x`", "abc", "x"),
            (
                "| decolorize",
                "\u{1b}[1;31merror\u{1b}[0m \u{1b}]0;title\u{7}done",
                "error done",
            ),
            (
                "| unpack",
                r#"{"_entry":"the line","pod":"p-1"}"#,
                "the line",
            ),
            ("| unpack", r#"{"pod":"p-1"}"#, r#"{"pod":"p-1"}"#),
            (
                "| unpack | pod=`p-1` | line_format `{{.pod}}`",
                r#"{"pod":"p-1","_entry":"x"}"#,
                "p-1",
            ),
        ];
        for (pipeline, line, expected) in cases {
            assert_eq!(run(pipeline, line).unwrap().0, expected, "{pipeline}");
        }
    }
}
