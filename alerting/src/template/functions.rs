//! The functions of templates: Go's own and those that Prometheus adds.

use std::cmp::Ordering;
use std::net::IpAddr;

use model::{Labels, time};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use regex::Regex;

use super::execute::{Run, escape_html};
use super::value::{Sample, Value};
use super::{TemplateError, format};

/// Every function's name.
const NAMES: [&str; 49] = [
    "and",
    "args",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "join",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stringSlice",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "tmpl",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "trimSpace",
    "urlQueryEscape",
    "value",
];

/// Whether there is a function `name`.
pub(super) fn exists(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok() || name == "urlquery"
}

type Outcome = Result<Value, TemplateError>;

/// Calls `name` with `args`, the piped value last.
pub(super) fn call(run: &mut Run<'_>, name: &str, args: Vec<Value>) -> Outcome {
    let result = match name {
        "query" => query(run, &args),
        "tmpl" => match args.as_slice() {
            [Value::Text(template), data] => run.capture(template, data).map(Value::Html),
            _ => Err(wrong("a template's name and its data", &args)),
        },
        "now" => Ok(Value::Float(run.context.now as f64 / 1_000.0)),
        "externalURL" => Ok(Value::from(run.context.external_url)),
        "pathPrefix" => Ok(Value::Text(path_of(run.context.external_url))),
        _ => pure(name, &args),
    };
    result.map_err(|error| match error {
        TemplateError::Execution(message) => {
            TemplateError::execution(format!("error calling {name}: {message}"))
        }
        other => other,
    })
}

fn pure(name: &str, args: &[Value]) -> Outcome {
    match name {
        "first" | "label" | "value" | "strvalue" | "sortByLabel" => of_samples(name, args),
        "humanize" | "humanize1024" | "humanizeDuration" | "humanizePercentage"
        | "humanizeTimestamp" | "toTime" | "toDuration" | "parseDuration" => of_numbers(name, args),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "not" => of_comparison(name, args),
        "len" | "index" | "slice" | "args" | "join" | "stringSlice" => of_collections(name, args),
        _ => of_texts(name, args),
    }
}

fn wrong(expected: &str, args: &[Value]) -> TemplateError {
    let kinds: Vec<&str> = args.iter().map(Value::kind).collect();
    TemplateError::execution(format!("expected {expected}, got ({})", kinds.join(", ")))
}

fn query(run: &Run<'_>, args: &[Value]) -> Outcome {
    let [Value::Text(text)] = args else {
        return Err(wrong("a PromQL text", args));
    };
    match run.context.answers.get(text) {
        None => Err(TemplateError::NeedsQuery(text.clone())),
        Some(Err(message)) => Err(TemplateError::execution(message.clone())),
        Some(Ok(samples)) => Ok(Value::List(
            samples.iter().cloned().map(Value::Sample).collect(),
        )),
    }
}

fn of_samples(name: &str, args: &[Value]) -> Outcome {
    match (name, args) {
        ("first", [Value::List(samples)]) => samples
            .first()
            .cloned()
            .ok_or_else(|| TemplateError::execution("first() called on vector with no elements")),
        ("label", [Value::Text(label), Value::Sample(sample)]) => {
            Ok(Value::from(sample.labels.get(label).unwrap_or("")))
        }
        ("value", [Value::Sample(sample)]) => Ok(Value::Float(sample.value)),
        ("strvalue", [Value::Sample(sample)]) => {
            Ok(Value::from(sample.labels.get("__value__").unwrap_or("")))
        }
        ("sortByLabel", [Value::Text(label), Value::List(samples)]) => {
            let mut sorted = samples.clone();
            let key = |value: &Value| match value {
                Value::Sample(Sample { labels, .. }) => labels.get(label).unwrap_or("").to_owned(),
                _ => String::new(),
            };
            sorted.sort_by_cached_key(key);
            Ok(Value::List(sorted))
        }
        ("label" | "sortByLabel", _) => Err(wrong("a label's name and query results", args)),
        _ => Err(wrong("query results", args)),
    }
}

/// Any number, or a text that is one.
fn number(value: &Value) -> Result<f64, TemplateError> {
    match value {
        Value::Float(number) => Ok(*number),
        Value::Int(number) => Ok(*number as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text) => text
            .parse()
            .map_err(|_| TemplateError::execution(format!("{text:?} is no number"))),
        other => Err(TemplateError::execution(format!(
            "can't convert a {} to a number",
            other.kind()
        ))),
    }
}

fn of_numbers(name: &str, args: &[Value]) -> Outcome {
    let [arg] = args else {
        return Err(wrong("a number", args));
    };
    if name == "parseDuration" {
        let Value::Text(text) = arg else {
            return Err(wrong("a duration such as 5m", args));
        };
        let (sign, text) = match text.strip_prefix('-') {
            Some(text) => (-1.0, text),
            None => (1.0, text.as_str()),
        };
        let nanos = time::parse_duration(text)
            .map_err(|error| TemplateError::execution(error.to_string()))?;
        return Ok(Value::Float(sign * nanos as f64 / 1e9));
    }
    let value = number(arg)?;
    if !value.is_finite() {
        return match name {
            "toTime" | "toDuration" => Err(TemplateError::execution(format!(
                "{value} is no point in time"
            ))),
            _ => Ok(Value::Text(format::general(value, Some(4)))),
        };
    }
    Ok(match name {
        "humanize" => Value::Text(humanize(value)),
        "humanize1024" => Value::Text(humanize1024(value)),
        "humanizeDuration" => Value::Text(humanize_duration(value)),
        "humanizePercentage" => Value::Text(format!("{}%", four_digits(value * 100.0))),
        "toDuration" => Value::Duration((value * 1e9) as i64),
        _ => {
            // Prometheus' times are whole milliseconds.
            let millis = (value * 1_000.0).round() as i64;
            let nanos = millis.saturating_mul(time::NANOS_PER_MILLI);
            match name {
                "toTime" => Value::Time(nanos),
                _ => Value::Text(Value::Time(nanos).print()),
            }
        }
    })
}

fn four_digits(value: f64) -> String {
    format::general(value, Some(4))
}

fn humanize(value: f64) -> String {
    let mut scaled = value;
    let mut prefix = "";
    if value == 0.0 {
        return four_digits(value);
    }
    if value.abs() >= 1.0 {
        for unit in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if scaled.abs() < 1_000.0 {
                break;
            }
            prefix = unit;
            scaled /= 1_000.0;
        }
    } else {
        for unit in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if scaled.abs() >= 1.0 {
                break;
            }
            prefix = unit;
            scaled *= 1_000.0;
        }
    }
    format!("{}{prefix}", four_digits(scaled))
}

fn humanize1024(value: f64) -> String {
    let mut scaled = value;
    let mut prefix = "";
    if value.abs() > 1.0 {
        for unit in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
            if scaled.abs() < 1_024.0 {
                break;
            }
            prefix = unit;
            scaled /= 1_024.0;
        }
    }
    format!("{}{prefix}", four_digits(scaled))
}

fn humanize_duration(value: f64) -> String {
    if value == 0.0 {
        return "0s".to_owned();
    }
    if value.abs() < 1.0 {
        let mut scaled = value;
        let mut prefix = "";
        for unit in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if scaled.abs() >= 1.0 {
                break;
            }
            prefix = unit;
            scaled *= 1_000.0;
        }
        return format!("{}{prefix}s", four_digits(scaled));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let seconds = value.abs();
    let whole = seconds as u64;
    let (d, h, m, s) = (
        whole / 86_400,
        whole / 3_600 % 24,
        whole / 60 % 60,
        whole % 60,
    );
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", four_digits(seconds)),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, _, _) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

fn of_comparison(name: &str, args: &[Value]) -> Outcome {
    let truth = match (name, args) {
        ("not", [value]) => !value.is_true(),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            let mut equal = false;
            for other in others {
                equal |= compare(first, other)? == Ordering::Equal;
            }
            equal
        }
        ("ne", [a, b]) => compare(a, b)? != Ordering::Equal,
        ("lt", [a, b]) => compare(a, b)? == Ordering::Less,
        ("le", [a, b]) => matches!(compare(a, b)?, Ordering::Less | Ordering::Equal),
        // NaN compares as greater than itself so that it equals nothing; `gt` must still be false.
        ("gt", [a, b]) => !is_nan(a) && !is_nan(b) && compare(a, b)? == Ordering::Greater,
        ("ge", [a, b]) => {
            !is_nan(a)
                && !is_nan(b)
                && matches!(compare(a, b)?, Ordering::Greater | Ordering::Equal)
        }
        _ => return Err(wrong("values to compare", args)),
    };
    Ok(Value::Bool(truth))
}

fn is_nan(value: &Value) -> bool {
    matches!(value, Value::Float(number) if number.is_nan())
}

/// The order of two values of one kind; integers and floats count as one kind, unlike in Go,
/// where `gt $value 5` is an error that helps nobody.
fn compare(a: &Value, b: &Value) -> Result<Ordering, TemplateError> {
    let numeric = |value: &Value| match value {
        Value::Int(number) | Value::Duration(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => return Ok(a.cmp(b)),
        (Value::Text(a) | Value::Html(a), Value::Text(b) | Value::Html(b)) => return Ok(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => return Ok(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => return Ok(a.cmp(b)),
        (Value::Nil, Value::Nil) => return Ok(Ordering::Equal),
        _ => {}
    }
    match (numeric(a), numeric(b)) {
        (Some(a), Some(b)) => Ok(a.partial_cmp(&b).unwrap_or(Ordering::Greater)),
        _ => Err(TemplateError::execution(format!(
            "incompatible types for comparison: {} and {}",
            a.kind(),
            b.kind()
        ))),
    }
}

fn of_collections(name: &str, args: &[Value]) -> Outcome {
    match (name, args) {
        ("args", _) => Ok(Value::Map(
            args.iter()
                .enumerate()
                .map(|(index, value)| (format!("arg{index}"), value.clone()))
                .collect(),
        )),
        ("stringSlice", _) => Ok(Value::List(args.to_vec())),
        ("join", [Value::Text(separator), Value::List(items)]) => {
            let items: Vec<String> = items.iter().map(Value::print).collect();
            Ok(Value::Text(items.join(separator)))
        }
        ("len", [value]) => {
            let length = match value {
                Value::Text(text) | Value::Html(text) => text.len(),
                Value::List(items) => items.len(),
                Value::Map(map) => map.len(),
                Value::Labels(labels) => labels.len(),
                _ => return Err(wrong("a collection or text", args)),
            };
            Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
        }
        ("index", [collection, keys @ ..]) => keys
            .iter()
            .try_fold(collection.clone(), |value, key| index(&value, key)),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        _ => Err(wrong("a collection", args)),
    }
}

fn index(collection: &Value, key: &Value) -> Outcome {
    match (collection, key) {
        (Value::List(items), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| items.get(at).cloned())
            .ok_or_else(|| TemplateError::execution(format!("index out of range: {at}"))),
        (Value::Map(map), Value::Text(key)) => Ok(map.get(key).cloned().unwrap_or(Value::Nil)),
        (Value::Labels(labels), Value::Text(key)) => Ok(Value::from(labels.get(key).unwrap_or(""))),
        (collection, key) => Err(TemplateError::execution(format!(
            "can't index a {} with a {}",
            collection.kind(),
            key.kind()
        ))),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Outcome {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        other => {
            return Err(TemplateError::execution(format!(
                "can't slice a {}",
                other.kind()
            )));
        }
    };
    let mut limits = [0, length];
    for (limit, bound) in limits.iter_mut().zip(bounds) {
        *limit = match bound {
            Value::Int(bound) => usize::try_from(*bound).unwrap_or(usize::MAX),
            other => return Err(wrong("integers as bounds", std::slice::from_ref(other))),
        };
    }
    let out_of_range = || TemplateError::execution("slice bounds out of range");
    let range = limits[0]..limits[1];
    match value {
        Value::Text(text) => text.get(range).map(Value::from),
        Value::List(items) => items.get(range).map(|items| Value::List(items.to_vec())),
        _ => None,
    }
    .ok_or_else(out_of_range)
}

fn of_texts(name: &str, args: &[Value]) -> Outcome {
    match (name, args) {
        ("print", _) => return Ok(Value::Text(print(args, false))),
        ("println", _) => return Ok(Value::Text(print(args, true) + "\n")),
        ("printf", [Value::Text(format), args @ ..]) => {
            return format::printf(format, args).map(Value::Text);
        }
        ("html", _) => return Ok(Value::Text(escape_html(&print(args, false)).into_owned())),
        _ => {}
    }
    let texts: Option<Vec<&str>> = args
        .iter()
        .map(|value| match value {
            Value::Text(text) | Value::Html(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let Some(texts) = texts else {
        return Err(wrong("text", args));
    };
    let text = match (name, texts.as_slice()) {
        ("match", [pattern, text]) => return Ok(Value::Bool(regex(pattern)?.is_match(text))),
        ("reReplaceAll", [pattern, replacement, text]) => {
            regex(pattern)?.replace_all(text, *replacement).into_owned()
        }
        ("safeHtml", [text]) => return Ok(Value::Html((*text).to_owned())),
        ("toUpper", [text]) => text.to_uppercase(),
        ("toLower", [text]) => text.to_lowercase(),
        ("trimSpace", [text]) => text.trim().to_owned(),
        ("title", [text]) => title(text),
        ("stripPort", [text]) => split_host_port(text)
            .map_or(*text, |(host, _)| host)
            .to_owned(),
        ("stripDomain", [text]) => strip_domain(text),
        ("urlQueryEscape" | "urlquery", [text]) => query_escape(text),
        ("graphLink", [text]) => format!("/graph?g0.expr={}&g0.tab=0", query_escape(text)),
        ("tableLink", [text]) => format!("/graph?g0.expr={}&g0.tab=1", query_escape(text)),
        _ => return Err(wrong("text", args)),
    };
    Ok(Value::Text(text))
}

/// Go's `Sprint`: a space between operands when neither is a text; `Sprintln`: always.
fn print(args: &[Value], always: bool) -> String {
    let mut out = String::new();
    let is_text = |value: &Value| matches!(value, Value::Text(_) | Value::Html(_));
    for (index, value) in args.iter().enumerate() {
        if index > 0 && (always || (!is_text(value) && !is_text(&args[index - 1]))) {
            out.push(' ');
        }
        out.push_str(&value.print());
    }
    out
}

fn regex(pattern: &str) -> Result<Regex, TemplateError> {
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| TemplateError::execution(error.to_string()))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside_word = false;
    for c in text.chars() {
        if inside_word {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside_word = c.is_alphanumeric() || c == '_' || c == '\'';
    }
    out
}

/// Host and port of `host:port` or `[v6]:port`; `None` when it is neither.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let port = after.strip_prefix(':')?;
        return (!port.contains(':')).then_some((host, port));
    }
    let (host, port) = text.split_once(':')?;
    (!port.contains(':')).then_some((host, port))
}

fn strip_domain(text: &str) -> String {
    let (host, port) = match split_host_port(text) {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if host.parse::<IpAddr>().is_ok() || host.contains(':') {
        return text.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    match port {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

/// What `url.QueryEscape` leaves alone.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

fn query_escape(text: &str) -> String {
    utf8_percent_encode(text, QUERY)
        .to_string()
        .replace(' ', "+")
}

fn path_of(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| String::new(),
        |url| url.path().trim_end_matches('/').to_owned(),
    )
}

/// A label set as template data.
impl From<&Labels> for Value {
    fn from(labels: &Labels) -> Self {
        Self::Labels(labels.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted());
        assert!(exists("humanize") && exists("urlquery") && !exists("humanise"));
    }
}
