//! The functions that Prometheus adds to Go's templates.

use std::net::IpAddr;

use gotemplate::wrong_arguments as wrong;
use gotemplate::{Functions, Run, Sample, TemplateError, Value, format, query_escape};
use model::time;
use regex::Regex;

use super::Context;

/// Every function's name.
const NAMES: [&str; 33] = [
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "join",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
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
    NAMES.binary_search(&name).is_ok()
}

type Outcome = Result<Value, TemplateError>;

impl Functions for Context<'_> {
    fn call(&self, run: &mut Run<'_>, name: &str, args: &[Value]) -> Option<Outcome> {
        Some(match name {
            "query" => self.query(args),
            "tmpl" => match args {
                [Value::Text(template), data] => run.capture(template, data).map(Value::Html),
                _ => Err(wrong("a template's name and its data", args)),
            },
            "now" => Ok(Value::Float(self.now as f64 / 1_000.0)),
            "externalURL" => Ok(Value::from(self.external_url)),
            "pathPrefix" => Ok(Value::Text(path_of(self.external_url))),
            "first" | "label" | "value" | "strvalue" | "sortByLabel" => of_samples(name, args),
            "humanize" | "humanize1024" | "humanizeDuration" | "humanizePercentage"
            | "humanizeTimestamp" | "toTime" | "toDuration" | "parseDuration" => {
                of_numbers(name, args)
            }
            "args" | "join" | "stringSlice" => of_collections(name, args),
            _ if exists(name) => of_texts(name, args),
            _ => return None,
        })
    }
}

impl Context<'_> {
    fn query(&self, args: &[Value]) -> Outcome {
        let [Value::Text(text)] = args else {
            return Err(wrong("a PromQL text", args));
        };
        match self.answers.get(text) {
            None => Err(TemplateError::NeedsAnswer(text.clone())),
            Some(Err(message)) => Err(TemplateError::execution(message.clone())),
            Some(Ok(samples)) => Ok(Value::List(
                samples.iter().cloned().map(Value::Sample).collect(),
            )),
        }
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
        _ => Err(wrong("a collection", args)),
    }
}

fn of_texts(name: &str, args: &[Value]) -> Outcome {
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
        ("urlQueryEscape", [text]) => query_escape(text),
        ("graphLink", [text]) => format!("/graph?g0.expr={}&g0.tab=0", query_escape(text)),
        ("tableLink", [text]) => format!("/graph?g0.expr={}&g0.tab=1", query_escape(text)),
        _ => return Err(wrong("text", args)),
    };
    Ok(Value::Text(text))
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

fn path_of(url: &str) -> String {
    url::Url::parse(url).map_or_else(
        |_| String::new(),
        |url| url.path().trim_end_matches('/').to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted());
        assert!(exists("humanize") && !exists("humanise"));
    }
}
