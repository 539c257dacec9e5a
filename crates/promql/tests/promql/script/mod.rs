//! Prometheus' language for query tests: `load`, `clear`, `eval` with what is expected of it.
//!
//! One [`Script`] is a list of commands; `run` executes them over a memory source.

mod native;
pub(crate) mod run;

use std::fmt;

use model::Labels;
use model::SampleValue;
use promql::series_notation::{parse_labels, parse_series};

/// A command and the line it stands in.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) kind: CommandKind,
}

#[derive(Debug)]
pub(crate) enum CommandKind {
    /// Series with values at multiples of the interval.
    Load {
        interval_ms: i64,
        /// Whether native histograms are made of the classic ones and loaded, too.
        with_native: bool,
        series: Vec<(Labels, Vec<Option<SampleValue>>)>,
    },
    Clear,
    Eval(Box<Eval>),
}

/// A query and what it must return.
#[derive(Debug)]
pub(crate) struct Eval {
    pub(crate) query: String,
    pub(crate) at: When,
    pub(crate) expectations: Vec<Expectation>,
    /// Each series with its values; a single number expects a scalar.
    pub(crate) series: Vec<Expected>,
    pub(crate) scalar: Option<f64>,
}

/// A series that a query must return.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) labels: Labels,
    pub(crate) values: Vec<Option<SampleValue>>,
    /// Whether the histograms' hints on counter resets were written, so that they are compared.
    pub(crate) has_reset_hints: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

#[derive(Debug)]
pub(crate) enum Expectation {
    Fail(TextMatch),
    Warn(TextMatch),
    Info(TextMatch),
    NoWarn,
    NoInfo,
    Ordered,
    String(String),
    RangeVector { start: i64, step: i64 },
}

#[derive(Debug)]
pub(crate) enum TextMatch {
    Any,
    Exactly(String),
    Regex(String),
}

impl TextMatch {
    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(expected) => text == expected,
            Self::Regex(pattern) => {
                regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct ScriptError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// Reads a script.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, ScriptError> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.starts_with('#'))
        .collect();
    let mut commands = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let (line, text) = lines[index];
        index += 1;
        if text.is_empty() {
            continue;
        }
        // A command's body reaches to the next blank line.
        let body_len = lines[index..]
            .iter()
            .take_while(|(_, line)| !line.is_empty() && !is_command(line))
            .count();
        let body = &lines[index..index + body_len];
        index += body_len;
        let kind = command(text, body).map_err(|message| ScriptError { line, message })?;
        commands.push(Command { line, kind });
    }
    Ok(commands)
}

fn is_command(line: &str) -> bool {
    line == "clear"
        || line.starts_with("load ")
        || line.starts_with("load_")
        || line.starts_with("eval")
}

fn command(text: &str, body: &[(usize, &str)]) -> Result<CommandKind, String> {
    if text == "clear" {
        return Ok(CommandKind::Clear);
    }
    if let Some(rest) = text.strip_prefix("load") {
        let native = rest.strip_prefix("_with_nhcb");
        let interval = native.unwrap_or(rest).trim();
        let series = body
            .iter()
            .map(|(_, line)| parse_series(line).map_err(|error| format!("{line}: {error}")))
            .collect::<Result<_, _>>()?;
        return Ok(CommandKind::Load {
            interval_ms: duration(interval)?,
            with_native: native.is_some(),
            series,
        });
    }
    let rest = text
        .strip_prefix("eval")
        .ok_or(format!("unknown command {text:?}"))?;
    eval(rest, body).map(|eval| CommandKind::Eval(Box::new(eval)))
}

fn eval(rest: &str, body: &[(usize, &str)]) -> Result<Eval, String> {
    let (flag, rest) = rest
        .split_once(char::is_whitespace)
        .ok_or("nothing to evaluate")?;
    let rest = rest.trim();
    let (at, query) = if let Some(rest) = rest.strip_prefix("instant at ") {
        let (at, query) = word(rest)?;
        (When::Instant(duration(at)?), query)
    } else {
        let rest = rest
            .strip_prefix("range from ")
            .ok_or("expected instant at or range from")?;
        let (when, query) = range_times(rest)?;
        (when, query)
    };
    let mut eval = Eval {
        query: query.to_owned(),
        at,
        expectations: Vec::new(),
        series: Vec::new(),
        scalar: None,
    };
    match flag {
        "" => {}
        "_fail" => eval.expectations.push(Expectation::Fail(TextMatch::Any)),
        "_warn" => eval.expectations.push(Expectation::Warn(TextMatch::Any)),
        "_info" => eval.expectations.push(Expectation::Info(TextMatch::Any)),
        "_ordered" => eval.expectations.push(Expectation::Ordered),
        other => return Err(format!("unknown command eval{other}")),
    }
    for (_, line) in body {
        if let Some(rest) = line.strip_prefix("expect ") {
            eval.expectations.push(expectation(rest.trim())?);
            continue;
        }
        if let Some(message) = line.strip_prefix("expected_fail_message ") {
            let message = TextMatch::Exactly(message.trim().to_owned());
            eval.expectations.push(Expectation::Fail(message));
            continue;
        }
        if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
            let pattern = TextMatch::Regex(pattern.trim().to_owned());
            eval.expectations.push(Expectation::Fail(pattern));
            continue;
        }
        if let Ok(number) = line.parse::<f64>() {
            eval.scalar = Some(number);
            continue;
        }
        let (labels, values) = parse_series(line).map_err(|error| format!("{line}: {error}"))?;
        eval.series.push(Expected {
            labels,
            values,
            has_reset_hints: line.contains("counter_reset_hint"),
        });
    }
    Ok(eval)
}

fn range_times(rest: &str) -> Result<(When, &str), String> {
    let (start, rest) = word(rest)?;
    let rest = rest.strip_prefix("to ").ok_or("expected to")?;
    let (end, rest) = word(rest)?;
    let rest = rest.strip_prefix("step ").ok_or("expected step")?;
    let (step, query) = word(rest)?;
    let when = When::Range {
        start: duration(start)?,
        end: duration(end)?,
        step: duration(step)?,
    };
    Ok((when, query))
}

fn word(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    match word {
        "" => Err("something is missing at the end".to_owned()),
        word => Ok((word, rest.trim())),
    }
}

fn expectation(text: &str) -> Result<Expectation, String> {
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match kind {
        "fail" => Expectation::Fail(text_match(rest)),
        "warn" => Expectation::Warn(text_match(rest)),
        "info" => Expectation::Info(text_match(rest)),
        "no_warn" => Expectation::NoWarn,
        "no_info" => Expectation::NoInfo,
        "ordered" => Expectation::Ordered,
        "string" => {
            let quoted = rest.trim();
            let labels = parse_labels(&format!("{{a={quoted}}}")).map_err(|e| e.to_string())?;
            Expectation::String(labels.get("a").unwrap_or("").to_owned())
        }
        "range" => {
            let rest = rest
                .strip_prefix("vector from ")
                .ok_or("expected vector from")?;
            // Read like a range query whose query is missing.
            let padded = format!("{rest} x");
            match range_times(&padded)?.0 {
                When::Range { start, step, .. } => Expectation::RangeVector { start, step },
                When::Instant(_) => return Err("expected a range".to_owned()),
            }
        }
        other => return Err(format!("unknown expectation {other:?}")),
    })
}

fn text_match(text: &str) -> TextMatch {
    let text = text.trim();
    if let Some(message) = text.strip_prefix("msg:") {
        return TextMatch::Exactly(message.trim().to_owned());
    }
    match text.strip_prefix("regex:") {
        Some(pattern) => TextMatch::Regex(pattern.trim().to_owned()),
        None => TextMatch::Any,
    }
}

/// A duration or a number of seconds, in ms.
fn duration(text: &str) -> Result<i64, String> {
    let expr = promql::parse(text).map_err(|error| error.to_string())?;
    match expr.kind {
        promql::ast::ExprKind::Number(number) => Ok((number.value * 1_000.0).round() as i64),
        _ => Err(format!("{text:?} is no duration")),
    }
}
