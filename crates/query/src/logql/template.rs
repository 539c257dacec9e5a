//! The templates of `line_format` and `label_format`: Go's language with the functions that Loki
//! adds.
//!
//! `.` holds the labels, `__line__` is the line and `__timestamp__` its time. There is no `now`:
//! a query gives the same answer whenever it is asked.

use std::collections::HashMap;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gotemplate::{Functions, Options, Run, Template, TemplateError, Value, format};
use gotemplate::{query_escape, wrong_arguments};
use model::Labels;
use percent_encoding::percent_decode_str;
use regex::{NoExpand, Regex};

use crate::units;

/// Every function beside Go's own, sorted.
const NAMES: [&str; 66] = [
    "Replace",
    "ToLower",
    "ToUpper",
    "Trim",
    "TrimLeft",
    "TrimPrefix",
    "TrimRight",
    "TrimSpace",
    "TrimSuffix",
    "__line__",
    "__timestamp__",
    "add",
    "addf",
    "alignLeft",
    "alignRight",
    "b64dec",
    "b64enc",
    "bytes",
    "ceil",
    "contains",
    "count",
    "date",
    "default",
    "div",
    "divf",
    "duration",
    "duration_seconds",
    "float64",
    "floor",
    "fromJson",
    "hasPrefix",
    "hasSuffix",
    "indent",
    "int",
    "lower",
    "max",
    "maxf",
    "min",
    "minf",
    "mod",
    "mul",
    "mulf",
    "nindent",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "repeat",
    "replace",
    "round",
    "sub",
    "subf",
    "substr",
    "title",
    "toDate",
    "toDateInZone",
    "trim",
    "trimAll",
    "trimPrefix",
    "trimSuffix",
    "trunc",
    "unixEpoch",
    "unixEpochMillis",
    "unixEpochNanos",
    "unixToTime",
    "upper",
    "urldecode",
    "urlencode",
];

/// Regular expressions that one template keeps compiled.
const MAX_REGEXES: usize = 64;
/// How long a text `repeat`, `indent` and the like may make, bytes.
const MAX_TEXT: usize = 256 * 1024;

fn exists(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

/// A template over a line and its labels.
#[derive(Debug)]
pub(super) struct LineTemplate {
    template: Template,
    regexes: Mutex<HashMap<String, Regex>>,
}

impl LineTemplate {
    /// Parses a template.
    pub(super) fn new(text: &str) -> Result<Self, TemplateError> {
        Ok(Self {
            template: Template::parse(text, &[], exists)?,
            regexes: Mutex::default(),
        })
    }

    /// The labels that it reads; `None` when that cannot be told.
    pub(super) fn labels(&self) -> Option<Vec<&str>> {
        self.template.fields()
    }

    /// Whether it reads the line.
    pub(super) fn reads_line(&self) -> bool {
        self.template.calls("__line__")
    }

    /// The output for one line.
    pub(super) fn run(
        &self,
        timestamp: i64,
        line: &str,
        labels: Labels,
    ) -> Result<String, TemplateError> {
        let context = LineContext {
            timestamp,
            line,
            regexes: &self.regexes,
        };
        let data = Value::Labels(labels);
        self.template
            .execute(&data, &[], Options::default(), &context)
    }
}

/// What the functions see of a line.
struct LineContext<'a> {
    timestamp: i64,
    line: &'a str,
    regexes: &'a Mutex<HashMap<String, Regex>>,
}

type Outcome = Result<Value, TemplateError>;

impl Functions for LineContext<'_> {
    fn call(&self, _: &mut Run<'_>, name: &str, args: &[Value]) -> Option<Outcome> {
        Some(match (name, args) {
            ("__line__", []) => Ok(Value::from(self.line)),
            ("__timestamp__", []) => Ok(Value::Time(self.timestamp)),
            ("regexReplaceAll" | "regexReplaceAllLiteral" | "count", _) => {
                self.of_regex(name, args)
            }
            ("default", [fallback, value]) => Ok(match value.is_true() {
                true => value.clone(),
                false => fallback.clone(),
            }),
            (
                "int" | "float64" | "add" | "sub" | "mul" | "div" | "mod" | "max" | "min" | "addf"
                | "subf" | "mulf" | "divf" | "maxf" | "minf" | "ceil" | "floor" | "round",
                _,
            ) => of_numbers(name, args),
            (
                "date" | "toDate" | "toDateInZone" | "unixEpoch" | "unixEpochMillis"
                | "unixEpochNanos" | "unixToTime",
                _,
            ) => of_times(name, args),
            (
                "trunc" | "substr" | "indent" | "nindent" | "repeat" | "alignLeft" | "alignRight",
                _,
            ) => of_lengths(name, args),
            _ if exists(name) => of_texts(name, args),
            _ => return None,
        })
    }
}

impl LineContext<'_> {
    fn of_regex(&self, name: &str, args: &[Value]) -> Outcome {
        let texts = texts(args)?;
        let (Some(pattern), Some(text)) = (texts.first(), texts.get(1)) else {
            return Err(wrong_arguments("a regular expression and a text", args));
        };
        let regex = self.regex(pattern)?;
        Ok(match (name, texts.get(2)) {
            ("count", None) => Value::Int(count(regex.find_iter(text).count())),
            ("regexReplaceAll", Some(to)) => {
                Value::Text(regex.replace_all(text, to.as_str()).into_owned())
            }
            ("regexReplaceAllLiteral", Some(to)) => {
                Value::Text(regex.replace_all(text, NoExpand(to)).into_owned())
            }
            _ => return Err(wrong_arguments("a regular expression and texts", args)),
        })
    }

    /// The compiled expression; templates mostly use the same one for every line.
    fn regex(&self, pattern: &str) -> Result<Regex, TemplateError> {
        // A panic while the lock is held leaves the cache as it was.
        let mut known = match self.regexes.lock() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(regex) = known.get(pattern) {
            return Ok(regex.clone());
        }
        let regex = Regex::new(pattern).map_err(|_| {
            TemplateError::execution(format!("{pattern:?} is no regular expression"))
        })?;
        if known.len() >= MAX_REGEXES {
            known.clear();
        }
        known.insert(pattern.to_owned(), regex.clone());
        Ok(regex)
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Arguments as texts; numbers are printed.
fn texts(args: &[Value]) -> Result<Vec<String>, TemplateError> {
    args.iter()
        .map(|value| match value {
            Value::Nil => Ok(String::new()),
            Value::Text(_) | Value::Html(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
                Ok(value.print())
            }
            _ => Err(wrong_arguments("texts", args)),
        })
        .collect()
}

/// A whole number, of whatever can be read as one; else 0, as in Loki.
fn integer(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Duration(number) => *number,
        Value::Float(number) => *number as i64,
        Value::Bool(flag) => i64::from(*flag),
        Value::Text(text) => text
            .parse()
            .unwrap_or_else(|_| text.parse::<f64>().map_or(0, |number| number as i64)),
        _ => 0,
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float(number) => *number,
        Value::Text(text) => text.parse().unwrap_or(0.0),
        other => integer(other) as f64,
    }
}

fn of_numbers(name: &str, args: &[Value]) -> Outcome {
    let Some((first, rest)) = args.split_first() else {
        return Err(wrong_arguments("a number", args));
    };
    let fold = |change: fn(i64, i64) -> i64| {
        Value::Int(rest.iter().map(integer).fold(integer(first), change))
    };
    let fold_floats = |change: fn(f64, f64) -> f64| {
        Value::Float(rest.iter().map(float).fold(float(first), change))
    };
    Ok(match name {
        "int" => Value::Int(integer(first)),
        "float64" => Value::Float(float(first)),
        "add" => fold(i64::wrapping_add),
        "sub" => fold(i64::wrapping_sub),
        "mul" => fold(i64::wrapping_mul),
        "max" => fold(i64::max),
        "min" => fold(i64::min),
        "div" | "mod" => {
            let [dividend, divisor] = args else {
                return Err(wrong_arguments("two numbers", args));
            };
            let (dividend, divisor) = (integer(dividend), integer(divisor));
            let result = match name {
                "div" => dividend.checked_div(divisor),
                _ => dividend.checked_rem(divisor),
            };
            Value::Int(result.ok_or_else(|| TemplateError::execution("division by zero"))?)
        }
        "addf" => fold_floats(|a, b| a + b),
        "subf" => fold_floats(|a, b| a - b),
        "mulf" => fold_floats(|a, b| a * b),
        "divf" => fold_floats(|a, b| a / b),
        "maxf" => fold_floats(f64::max),
        "minf" => fold_floats(f64::min),
        "ceil" => Value::Float(float(first).ceil()),
        "floor" => Value::Float(float(first).floor()),
        _ => {
            let digits = rest.first().map_or(0, integer).clamp(-300, 300);
            let scale = 10_f64.powi(digits as i32);
            Value::Float((float(first) * scale).round() / scale)
        }
    })
}

fn of_times(name: &str, args: &[Value]) -> Outcome {
    let seconds = |time: &Value| match time {
        Value::Time(nanos) => Some(*nanos),
        Value::Int(seconds) => seconds.checked_mul(model::time::NANOS_PER_SECOND),
        _ => None,
    };
    let unit = match (name, args) {
        ("date", [Value::Text(layout), time]) => {
            return match seconds(time) {
                Some(nanos) => Ok(Value::Text(format::time(nanos, layout))),
                None => Err(wrong_arguments("a layout and a time", args)),
            };
        }
        ("toDate", [Value::Text(layout), Value::Text(text)])
        | ("toDateInZone", [Value::Text(layout), Value::Text(_), Value::Text(text)]) => {
            let zone = match args {
                [_, Value::Text(zone), _] => zone.as_str(),
                _ => "UTC",
            };
            if !matches!(zone, "UTC" | "" | "GMT") {
                return Err(TemplateError::execution(format!(
                    "the zone {zone:?} is not known; write the offset into the layout"
                )));
            }
            return format::parse_time(layout, text)
                .map(Value::Time)
                .ok_or_else(|| {
                    TemplateError::execution(format!(
                        "{text:?} is no time of the layout {layout:?}"
                    ))
                });
        }
        ("unixToTime", [Value::Text(text)]) => {
            return model::time::parse_instant(text, 0)
                .map(Value::Time)
                .map_err(|error| TemplateError::execution(error.to_string()));
        }
        ("unixEpoch", [_]) => model::time::NANOS_PER_SECOND,
        ("unixEpochMillis", [_]) => model::time::NANOS_PER_MILLI,
        ("unixEpochNanos", [_]) => 1,
        _ => return Err(wrong_arguments("a time", args)),
    };
    match args {
        [Value::Time(nanos)] => Ok(Value::Text(nanos.div_euclid(unit).to_string())),
        _ => Err(wrong_arguments("a time", args)),
    }
}

/// Functions that take lengths before their text; lengths count characters.
fn of_lengths(name: &str, args: &[Value]) -> Outcome {
    let Some((text, lengths)) = args.split_last() else {
        return Err(wrong_arguments("a number and a text", args));
    };
    let text = match text {
        Value::Text(text) | Value::Html(text) => text.as_str(),
        _ => return Err(wrong_arguments("a number and a text", args)),
    };
    let lengths: Vec<i64> = lengths.iter().map(integer).collect();
    let bounded = |length: i64, unit: usize| {
        let length = usize::try_from(length).unwrap_or(0);
        match length.saturating_mul(unit.max(1)) <= MAX_TEXT {
            true => Ok(length),
            false => Err(TemplateError::execution(format!(
                "the text would be longer than {MAX_TEXT} bytes"
            ))),
        }
    };
    let size = text.chars().count();
    let result = match (name, lengths.as_slice()) {
        ("trunc", [length]) => match usize::try_from(*length) {
            Ok(length) => text.chars().take(length).collect(),
            Err(_) => {
                let kept = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
                text.chars().skip(size.saturating_sub(kept)).collect()
            }
        },
        ("substr", [start, end]) => {
            let start = usize::try_from(*start).unwrap_or(0);
            let end = usize::try_from(*end).unwrap_or(usize::MAX).min(size);
            let length = end.saturating_sub(start);
            text.chars().skip(start).take(length).collect()
        }
        ("repeat", [times]) => text.repeat(bounded(*times, text.len())?),
        ("indent" | "nindent", [width]) => {
            let lines = text.matches('\n').count() + 1;
            let pad = " ".repeat(bounded(*width, lines)?);
            let indented = format!("{pad}{}", text.replace('\n', &format!("\n{pad}")));
            match name {
                "indent" => indented,
                _ => format!("\n{indented}"),
            }
        }
        ("alignLeft" | "alignRight", [width]) => {
            let width = bounded(*width, 1)?;
            let pad = " ".repeat(width.saturating_sub(size));
            match name {
                "alignLeft" => text.chars().take(width).collect::<String>() + &pad,
                _ => {
                    pad + &text
                        .chars()
                        .skip(size.saturating_sub(width))
                        .collect::<String>()
                }
            }
        }
        _ => return Err(wrong_arguments("numbers and a text", args)),
    };
    Ok(Value::Text(result))
}

fn of_texts(name: &str, args: &[Value]) -> Outcome {
    let texts = texts(args)?;
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let among = |characters: &str| {
        let characters: Vec<char> = characters.chars().collect();
        move |c: char| characters.contains(&c)
    };
    let quantity = |value: Option<f64>, kind: &str, text: &str| {
        value
            .map(Value::Float)
            .ok_or_else(|| TemplateError::execution(format!("{text:?} is no {kind}")))
    };
    let text = match (name, texts.as_slice()) {
        ("ToLower" | "lower", [text]) => text.to_lowercase(),
        ("ToUpper" | "upper", [text]) => text.to_uppercase(),
        ("title", [text]) => title(text),
        ("Replace", [text, from, to, times]) => match times.parse::<usize>() {
            Ok(times) => text.replacen(from, to, times),
            Err(_) => text.replace(from, to),
        },
        ("replace", [from, to, text]) => text.replace(from, to),
        ("Trim", [text, characters]) | ("trimAll", [characters, text]) => {
            text.trim_matches(among(characters)).to_owned()
        }
        ("TrimLeft", [text, characters]) => text.trim_start_matches(among(characters)).to_owned(),
        ("TrimRight", [text, characters]) => text.trim_end_matches(among(characters)).to_owned(),
        ("TrimPrefix", [text, prefix]) | ("trimPrefix", [prefix, text]) => {
            text.strip_prefix(prefix).unwrap_or(text).to_owned()
        }
        ("TrimSuffix", [text, suffix]) | ("trimSuffix", [suffix, text]) => {
            text.strip_suffix(suffix).unwrap_or(text).to_owned()
        }
        ("TrimSpace" | "trim", [text]) => text.trim().to_owned(),
        ("contains", [part, text]) => return Ok(Value::Bool(text.contains(part))),
        ("hasPrefix", [prefix, text]) => return Ok(Value::Bool(text.starts_with(prefix))),
        ("hasSuffix", [suffix, text]) => return Ok(Value::Bool(text.ends_with(suffix))),
        ("urlencode", [text]) => query_escape(text),
        ("urldecode", [text]) => percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned(),
        ("b64enc", [text]) => STANDARD.encode(text),
        ("b64dec", [text]) => match STANDARD.decode(text) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => error.to_string(),
        },
        ("bytes", [text]) => return quantity(units::size_or_number(text), "size", text),
        ("duration" | "duration_seconds", [text]) => {
            return quantity(units::duration_seconds(text), "duration", text);
        }
        ("fromJson", [text]) => {
            return Ok(serde_json::from_str(text).map_or(Value::Nil, of_json));
        }
        _ => return Err(wrong_arguments("texts", args)),
    };
    Ok(Value::Text(text))
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside_word = false;
    for character in text.chars() {
        match inside_word {
            true => out.push(character),
            false => out.extend(character.to_uppercase()),
        }
        inside_word = character.is_alphanumeric() || matches!(character, '_' | '\'');
    }
    out
}

fn of_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        // Go reads every number as a float.
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => Value::List(items.into_iter().map(of_json).collect()),
        serde_json::Value::Object(fields) => Value::Map(
            fields
                .into_iter()
                .map(|(key, value)| (key, of_json(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, TemplateError> {
        let labels = Labels::new([
            ("path", "/api/tasks"),
            ("took", "1500ms"),
            ("size", "2KB"),
            ("n", "7"),
            ("query", "a%20b+c"),
            ("json", r#"{"user":{"id":7},"tags":["x","y"]}"#),
        ]);
        LineTemplate::new(text)?.run(1_700_000_000_123_000_000, "GET the line", labels)
    }

    #[test]
    fn templates_give_what_loki_gives() {
        let cases = [
            (
                "{{.path}} {{ .gone }}|{{ __line__ }}",
                "/api/tasks |GET the line",
            ),
            (
                "{{ __timestamp__ | date \"2006-01-02T15:04:05.000Z07:00\" }}",
                "2023-11-14T22:13:20.123Z",
            ),
            (
                "{{ unixEpoch __timestamp__ }} {{ __timestamp__.UnixMilli }}",
                "1700000000 1700000000123",
            ),
            (
                "{{ \"2023-11-14\" | toDate \"2006-01-02\" | unixEpoch }}",
                "1699920000",
            ),
            (
                "{{ toDate \"02/Jan/2006:15:04:05 -0700\" \"14/Nov/2023:23:13:20 +0100\" | unixEpoch }}",
                "1700000000",
            ),
            (
                "{{ ToUpper .path }}{{ .path | lower }}{{ title \"an it's\" }}",
                "/API/TASKS/api/tasksAn It's",
            ),
            (
                "{{ trunc 4 .path }}|{{ trunc -5 .path }}|{{ substr 1 4 .path }}",
                "/api|tasks|api",
            ),
            (
                "{{ Replace .path \"/\" \"_\" 1 }}{{ replace \"/\" \"-\" .path }}",
                "_api/tasks-api-tasks",
            ),
            (
                "{{ TrimLeft .path \"/a\" }}|{{ trimAll \"/s\" .path }}|{{ trim \" x \" }}",
                "pi/tasks|api/task|x",
            ),
            (
                "{{ trimPrefix \"/api\" .path }}{{ TrimSuffix .path \"/tasks\" }}",
                "/tasks/api",
            ),
            (
                "{{ regexReplaceAll \"/(\\\\w+)/\" .path \"<$1>\" }}",
                "<api>tasks",
            ),
            (
                "{{ regexReplaceAllLiteral \"a\" .path \"$1\" }}",
                "/$1pi/t$1sks",
            ),
            ("{{ count \"[as]\" .path }}", "4"),
            (
                "{{ if contains \"task\" .path }}yes{{ else }}no{{ end }}",
                "yes",
            ),
            (
                "{{ hasPrefix \"/api\" .path }} {{ hasSuffix \"x\" .path }}",
                "true false",
            ),
            (
                "{{ indent 2 \"a\\nb\" }}{{ nindent 1 \"c\" }}{{ repeat 2 \"d\" }}",
                "  a\n  b\n cdd",
            ),
            (
                "{{ default \"none\" .gone }} {{ .path | default \"none\" }}",
                "none /api/tasks",
            ),
            (
                "{{ add 1 .n 2 }} {{ sub .n 2 }} {{ mul 2 3 }} {{ div 7 2 }} {{ mod 7 2 }}",
                "10 5 6 3 1",
            ),
            (
                "{{ addf 1.5 2 }} {{ divf 1 4 }} {{ max 1 9 3 }} {{ minf 1.5 0.5 }}",
                "3.5 0.25 9 0.5",
            ),
            (
                "{{ ceil 1.2 }} {{ floor 1.8 }} {{ round 1.256 2 }}",
                "2 1 1.26",
            ),
            (
                "{{ int \"7.9\" }} {{ float64 \"1.5\" }} {{ printf \"%05.1f\" (float64 .n) }}",
                "7 1.5 007.0",
            ),
            (
                "{{ duration .took }} {{ duration_seconds \"1m\" }} {{ bytes .size }}",
                "1.5 60 2000",
            ),
            (
                "{{ (fromJson .json).user.id }} {{ range (fromJson .json).tags }}<{{ . }}>{{ end }}",
                "7 <x><y>",
            ),
            ("{{ b64enc \"hi\" }} {{ b64dec \"aGk=\" }}", "aGk= hi"),
            (
                "{{ alignLeft 5 \"ab\" }}|{{ alignRight 5 \"ab\" }}|{{ alignRight 2 \"abc\" }}",
                "ab   |   ab|bc",
            ),
            (
                "{{ urldecode .query }} {{ urlencode \"a b/c\" }}",
                "a b c a+b%2Fc",
            ),
            (
                "{{ range $name, $value := . }}{{ if eq $name \"n\" }}{{ $value }}{{ end }}{{ end }}",
                "7",
            ),
        ];
        for (template, expected) in cases {
            assert_eq!(run(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn mistakes_are_errors() {
        for template in ["{{ nope .a }}", "{{ .a", "{{ now }}", "{{ end }}"] {
            assert!(LineTemplate::new(template).is_err(), "{template}");
        }
        for template in [
            "{{ div 1 0 }}",
            "{{ duration \"x\" }}",
            "{{ .path.x }}",
            "{{ repeat 1000000 .path }}",
            "{{ toDate \"2006\" \"x\" }}",
        ] {
            assert!(run(template).is_err(), "{template}");
        }
        assert!(NAMES.is_sorted());
    }

    #[test]
    fn a_template_tells_what_it_reads() {
        let labels = |text| {
            let template = LineTemplate::new(text).unwrap();
            let labels = template.labels()?;
            Some(
                labels
                    .iter()
                    .map(|label| (*label).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            labels("x {{.a}} {{ if .b }}{{ .c | lower }}{{ end }}").unwrap(),
            ["a", "b", "c"]
        );
        assert_eq!(labels("{{ range . }}{{ . }}{{ end }}"), None);
        assert!(
            LineTemplate::new("{{ if __line__ }}{{ end }}")
                .unwrap()
                .reads_line()
        );
    }
}
