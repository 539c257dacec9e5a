//! The stages of a pipeline that the table cannot answer, run line by line.

use std::borrow::Cow;

use model::MatchOp;
use regex::Regex;

use crate::logql::ast::{
    CompareOp, Conversion, LabelChoice, LabelFilter, LabelMatcher, LineOp, Quantity, Stage,
    StageKind,
};
use crate::logql::labels::{Label, LineLabels, Origin, label_name};
use crate::logql::pushdown::anchored;
use crate::units;

/// The label that says why a line could not be parsed.
pub(super) const ERROR: &str = "__error__";
/// The label that says more about it.
const ERROR_DETAILS: &str = "__error_details__";

/// Stages with their regular expressions compiled.
pub(super) struct Pipeline {
    steps: Vec<Step>,
}

enum Step {
    Line {
        negated: bool,
        any: Vec<LineTest>,
    },
    Label(LabelTest),
    Json,
    Logfmt,
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
    And(Box<LabelTest>, Box<LabelTest>),
    Or(Box<LabelTest>, Box<LabelTest>),
}

struct Choice {
    name: String,
    value: Option<(bool, TextTest)>,
}

/// What a line became.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    /// The value that was unwrapped, when there is an `unwrap`.
    pub(super) value: Option<f64>,
}

impl Pipeline {
    /// Compiles stages.
    ///
    /// # Errors
    ///
    /// A regular expression that the parser let through; it checks them all.
    pub(super) fn new(stages: &[Stage]) -> Result<Self, regex::Error> {
        let steps = stages
            .iter()
            .map(|stage| Step::new(&stage.kind))
            .collect::<Result<_, _>>()?;
        Ok(Self { steps })
    }

    /// Whether it changes or drops nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Runs a line through; `None` when a filter drops it.
    pub(super) fn run(&self, line: &str, labels: &mut LineLabels) -> Option<Outcome> {
        let mut value = None;
        for step in &self.steps {
            let keep = match step {
                Step::Line { negated, any } => any.iter().any(|test| test.passes(line)) != *negated,
                Step::Label(test) => test.passes(labels),
                Step::Json => {
                    parse_json(line, labels);
                    true
                }
                Step::Logfmt => {
                    parse_logfmt(line, labels);
                    true
                }
                Step::Drop(choices) => {
                    labels
                        .0
                        .retain(|label| !choices.iter().any(|choice| choice.names(label)));
                    true
                }
                Step::Keep(choices) => {
                    labels.0.retain(|label| {
                        label.name == ERROR
                            || label.name == ERROR_DETAILS
                            || choices.iter().any(|choice| choice.names(label))
                    });
                    true
                }
                Step::Unwrap { label, conversion } => {
                    value = unwrap(label, *conversion, labels);
                    // A line without the label has no value to count.
                    value.is_some() || labels.get(ERROR).is_some()
                }
            };
            if !keep {
                return None;
            }
        }
        Some(Outcome { value })
    }
}

impl Step {
    fn new(stage: &StageKind) -> Result<Self, regex::Error> {
        Ok(match stage {
            StageKind::Line { op, alternatives } => {
                let any = alternatives
                    .iter()
                    .map(|text| match op {
                        LineOp::Contains | LineOp::ContainsNot => {
                            Ok(LineTest::Contains(text.clone()))
                        }
                        LineOp::Matches | LineOp::MatchesNot => {
                            Regex::new(text).map(LineTest::Matches)
                        }
                    })
                    .collect::<Result<_, _>>()?;
                let negated = matches!(op, LineOp::ContainsNot | LineOp::MatchesNot);
                Self::Line { negated, any }
            }
            StageKind::Label(filter) => Self::Label(LabelTest::new(filter)?),
            StageKind::Json => Self::Json,
            StageKind::Logfmt => Self::Logfmt,
            StageKind::Drop(choices) => Self::Drop(compile_choices(choices)?),
            StageKind::Keep(choices) => Self::Keep(compile_choices(choices)?),
            StageKind::Unwrap { label, conversion } => Self::Unwrap {
                label: label.clone(),
                conversion: *conversion,
            },
        })
    }
}

impl LineTest {
    fn passes(&self, line: &str) -> bool {
        match self {
            Self::Contains(text) => line.contains(text),
            Self::Matches(regex) => regex.is_match(line),
        }
    }
}

/// Whether an operator negates, and the test without its negation.
fn text_test(op: MatchOp, value: &str) -> Result<(bool, TextTest), regex::Error> {
    let test = match op {
        MatchOp::Equal | MatchOp::NotEqual => TextTest::Equals(value.to_owned()),
        MatchOp::Regex | MatchOp::NotRegex => TextTest::Matches(Regex::new(&anchored(value))?),
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
    fn new(filter: &LabelFilter) -> Result<Self, regex::Error> {
        let both = |left: &LabelFilter, right: &LabelFilter| {
            Ok::<_, regex::Error>((Box::new(Self::new(left)?), Box::new(Self::new(right)?)))
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

    fn passes(&self, labels: &LineLabels) -> bool {
        match self {
            // An absent label counts as the empty text.
            Self::Text {
                name,
                negated,
                test,
            } => test.passes(labels.get(name).unwrap_or_default()) != *negated,
            Self::Compare { name, op, bound } => {
                let (value, bound) = match bound {
                    Quantity::Number(bound) => (labels.get(name).and_then(units::number), *bound),
                    Quantity::Duration(nanos) => (
                        labels.get(name).and_then(units::duration_seconds),
                        *nanos as f64 / model::time::NANOS_PER_SECOND as f64,
                    ),
                    Quantity::Bytes(bytes) => {
                        (labels.get(name).and_then(units::size_bytes), *bytes)
                    }
                };
                value.is_some_and(|value| op.holds(value, bound))
            }
            Self::And(left, right) => left.passes(labels) && right.passes(labels),
            Self::Or(left, right) => left.passes(labels) || right.passes(labels),
        }
    }
}

fn compile_choices(choices: &[LabelChoice]) -> Result<Vec<Choice>, regex::Error> {
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

fn unwrap(label: &str, conversion: Conversion, labels: &mut LineLabels) -> Option<f64> {
    let text = labels.get(label)?.to_owned();
    let value = match conversion {
        Conversion::Number => units::number(&text),
        Conversion::Duration => units::duration_seconds(&text),
        Conversion::Bytes => units::size_bytes(&text).or_else(|| units::number(&text)),
    };
    match value {
        // The value is no longer a label, else every value would be a series of its own.
        Some(_) => labels.0.retain(|known| known.name != label),
        None => {
            labels.set(ERROR, "SampleExtractionErr", Origin::Parsed);
            let details = format!("cannot read {text:?} of label {label}");
            labels.set(ERROR_DETAILS, &details, Origin::Parsed);
        }
    }
    value
}

/// Adds a parsed field; a name that the record already has gets the suffix `_extracted`.
fn add_parsed(labels: &mut LineLabels, name: &str, value: &str) {
    let taken = labels
        .0
        .iter()
        .any(|label| label.name == name && label.origin != Origin::Parsed);
    let name = if taken {
        Cow::Owned(format!("{name}_extracted"))
    } else {
        Cow::Borrowed(name)
    };
    labels.add(name, value, Origin::Parsed);
}

/// Makes labels of the fields of a JSON object: nested names joined by `_`, arrays left out.
fn parse_json(line: &str, labels: &mut LineLabels) {
    match serde_json::from_str(line) {
        Ok(serde_json::Value::Object(fields)) => flatten("", &fields, labels),
        Ok(_) => fail(labels, "JSONParserErr", "the line is no JSON object"),
        Err(error) => fail(labels, "JSONParserErr", &error.to_string()),
    }
}

fn flatten(
    prefix: &str,
    fields: &serde_json::Map<String, serde_json::Value>,
    labels: &mut LineLabels,
) {
    for (key, value) in fields {
        let name = if prefix.is_empty() {
            label_name(key).into_owned()
        } else {
            format!("{prefix}_{}", label_name(key))
        };
        match value {
            serde_json::Value::Object(inner) => flatten(&name, inner, labels),
            serde_json::Value::Array(_) | serde_json::Value::Null => {}
            serde_json::Value::String(text) => add_parsed(labels, &name, text),
            other => add_parsed(labels, &name, &other.to_string()),
        }
    }
}

/// Makes labels of the `key=value` pairs of a line.
fn parse_logfmt(line: &str, labels: &mut LineLabels) {
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            // A word without `=` is a key without value.
            rest = after.trim_start();
            continue;
        };
        if key.is_empty() {
            fail(labels, "LogfmtParserErr", "a value has no key before it");
            return;
        }
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => match unquote(quoted) {
                Some((value, after)) => (Cow::Owned(value), after),
                None => {
                    fail(labels, "LogfmtParserErr", "a quote has no end");
                    return;
                }
            },
            None => {
                let end = after.find(char::is_whitespace).unwrap_or(after.len());
                (Cow::Borrowed(&after[..end]), &after[end..])
            }
        };
        add_parsed(labels, &label_name(key), &value);
        rest = after.trim_start();
    }
}

/// Reads up to the closing quote: the text without escapes, and what follows.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    loop {
        let (index, character) = characters.next()?;
        match character {
            '"' => return Some((text, &quoted[index + 1..])),
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

fn fail(labels: &mut LineLabels, error: &str, details: &str) {
    labels.set(ERROR, error, Origin::Parsed);
    labels.set(ERROR_DETAILS, details, Origin::Parsed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logql::ast::ExprKind;
    use crate::logql::parser::parse;

    /// Runs `line` with the structured metadata `level=info` through a pipeline; the labels after
    /// it, sorted, or `None` when it was dropped.
    fn run(pipeline: &str, line: &str) -> Option<Vec<(String, String)>> {
        let ExprKind::Log(log) = parse(&format!("{{}} {pipeline}")).unwrap().kind else {
            panic!("{pipeline} is no log query");
        };
        let mut labels = LineLabels::default();
        labels.add("level", "info", Origin::Structured);
        Pipeline::new(&log.stages).unwrap().run(line, &mut labels)?;
        let mut labels: Vec<_> = labels.0.into_iter().map(|l| (l.name, l.value)).collect();
        labels.sort();
        Some(labels)
    }

    #[test]
    fn lines_go_through_the_stages() {
        let json = r#"{"a":{"b":1,"c.d":"x"},"level":"warn","list":[1],"none":null,"ok":true}"#;
        let logfmt = r#"level=warn took=12ms msg="a \"b\" c" flag empty= n=5"#;
        type Expected<'a> = Option<&'a [(&'a str, &'a str)]>;
        let info = ("level", "info");
        let parsed: &[_] = &[
            ("a_b", "1"),
            ("a_c_d", "x"),
            info,
            ("level_extracted", "warn"),
            ("ok", "true"),
        ];
        let cases: &[(&str, &str, Expected)] = &[
            ("", "x", Some(&[info])),
            ("|= `b` or `c`", "abc", Some(&[info])),
            ("|= `x` or `y`", "abc", None),
            ("!= `x` or `b`", "abc", None),
            ("|~ `^a.c$`", "abc", Some(&[info])),
            ("!~ `(?i)B`", "abc", None),
            ("| json", json, Some(parsed)),
            (
                "| json | a_b > 0 and ok=\"true\" | drop a_b, a_c_d, level_extracted, ok",
                json,
                Some(&[info]),
            ),
            ("| json | a_b > 1 or ok=\"false\"", json, None),
            (
                "| json | missing=\"\" | keep ok",
                json,
                Some(&[("ok", "true")]),
            ),
            ("| json | missing!=\"\"", json, None),
            (
                "| logfmt | took > 10ms | n = 5 | keep took, msg",
                logfmt,
                Some(&[("msg", "a \"b\" c"), ("took", "12ms")]),
            ),
            ("| logfmt | took > 1s", logfmt, None),
            (
                "| logfmt | msg =~ `a.*c` | keep level_extracted",
                logfmt,
                Some(&[("level_extracted", "warn")]),
            ),
            ("| drop level=\"warn\"", "x", Some(&[info])),
            ("| drop level=~\"in.*\"", "x", Some(&[])),
            (
                "| json | drop __error_details__",
                "not json",
                Some(&[("__error__", "JSONParserErr"), info]),
            ),
            ("| json | __error__=\"\"", "not json", None),
            (
                "| json | drop __error__, __error_details__",
                "not json",
                Some(&[info]),
            ),
            (
                "| logfmt | drop __error_details__",
                "a=\"b",
                Some(&[("__error__", "LogfmtParserErr"), info]),
            ),
        ];
        for (pipeline, line, expected) in cases {
            let expected = expected.map(|labels| {
                labels
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<Vec<_>>()
            });
            assert_eq!(run(pipeline, line), expected, "{pipeline}");
        }
    }
}
