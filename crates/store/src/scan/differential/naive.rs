//! What a search means, spelled out record by record.
//!
//! Written from `docs/search-syntax.md`; nothing of the engine is used but the tree that its parser
//! makes, and `model::level` for the level that a text states.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::level::stated_severity;
use model::{LogRecord, Value};
use query::glob::{Glob, Part};
use query::search::ast::{Comparison, End, Match, Node, NodeKind, Test};
use regex::Regex;

/// A record's body as text, and its words, which every test would make anew.
pub(super) struct Body {
    text: Option<String>,
    words: Vec<Vec<char>>,
}

impl Body {
    pub(super) fn of(record: &LogRecord) -> Self {
        let text = text_of(&record.body);
        let words = words_of(text.as_deref().unwrap_or_default());
        Self { text, words }
    }

    /// The severity number that a record with this body counts as.
    pub(super) fn level_number(&self, record: &LogRecord) -> i32 {
        match record.severity_number {
            0 => {
                let body = self.text.as_deref().unwrap_or_default();
                stated_severity(&record.severity_text, body).unwrap_or(0)
            }
            set => set,
        }
    }
}

/// A single test, with its regular expression if it has one.
pub(super) struct Single<'q> {
    node: &'q Node,
    expression: Option<Regex>,
    /// The phrases that a text for the body stands for.
    phrases: Vec<Vec<Vec<Place>>>,
    now: i64,
}

impl<'q> Single<'q> {
    /// Relative times count from `now`.
    pub(super) fn new(node: &'q Node, now: i64) -> Self {
        let matched = match &node.kind {
            NodeKind::Body(test)
            | NodeKind::Field {
                test: Test::Match(test),
                ..
            } => Some(test),
            _ => None,
        };
        let (mut expression, mut phrases) = (None, Vec::new());
        match matched {
            Some(Match::Expression(text)) => expression = Some(Regex::new(text).unwrap()),
            Some(Match::Text(glob)) => phrases = spelled(glob),
            _ => {}
        }
        Self {
            node,
            expression,
            phrases,
            now,
        }
    }

    /// Whether a record passes.
    pub(super) fn passes(&self, record: &LogRecord, body: &Body) -> bool {
        match &self.node.kind {
            NodeKind::Everything => true,
            NodeKind::Body(test) => self.body_matches(body, test) || is_id(test, record),
            NodeKind::Field { name, test, .. } => self.field_matches(name, test, record, body),
            NodeKind::And(_) | NodeKind::Or(_) | NodeKind::Not(_) => {
                panic!("not a single test: {}", self.node)
            }
        }
    }

    fn field_matches(&self, name: &str, test: &Test, record: &LogRecord, body: &Body) -> bool {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let value_matches = |value: Option<String>, test: &Test| self.value_matches(value, test);
        let now = self.now;
        match name {
            "severity" | "level" => severity_matches(body.level_number(record), test),
            "severity_number" => in_order(i64::from(record.severity_number), test, &|value| {
                value.parse().unwrap()
            }),
            "timestamp" => in_order(record.timestamp, test, &|value| instant(value, now)),
            "observed_timestamp" => {
                record.observed_timestamp != 0
                    && in_order(record.observed_timestamp, test, &|value| {
                        instant(value, now)
                    })
            }
            "body" => match test {
                Test::Match(test) => self.body_matches(body, test),
                Test::Is(expected) => body.text.as_deref() == Some(expected),
                _ => body.text.is_some(),
            },
            "service" => {
                let name = match value_at(&record.resource.attributes.0, "service.name") {
                    Some(Value::String(name)) if !name.is_empty() => name.clone(),
                    _ => "unknown_service".to_owned(),
                };
                value_matches(Some(name), test)
            }
            "severity_text" => value_matches(text(&record.severity_text), test),
            "event_name" => value_matches(text(&record.event_name), test),
            "scope" => value_matches(text(&record.scope.name), test),
            "scope_version" => value_matches(text(&record.scope.version), test),
            "trace_id" => self.id_matches(record.trace_id.map(|id| id.to_string()), test),
            "span_id" => self.id_matches(record.span_id.map(|id| id.to_string()), test),
            _ => {
                let attribute = |key: &str| value_at(&record.attributes.0, key).and_then(text_of);
                let resource =
                    |key: &str| value_at(&record.resource.attributes.0, key).and_then(text_of);
                if let Some(key) = name.strip_prefix("attr.") {
                    value_matches(attribute(key), test)
                } else if let Some(key) = name.strip_prefix("resource.") {
                    value_matches(resource(key), test)
                } else if let Some(path) = name.strip_prefix("body.") {
                    value_matches(json_value(body, path), test)
                } else {
                    value_matches(attribute(name), test) || value_matches(resource(name), test)
                }
            }
        }
    }

    fn body_matches(&self, body: &Body, test: &Match) -> bool {
        let Some(text) = &body.text else {
            return false;
        };
        let words = &body.words;
        match test {
            Match::Expression(_) => self.expression.as_ref().unwrap().is_match(text),
            Match::Similar { text, edits } => {
                let expected = words_of(text).remove(0);
                let limit = edits_of(text, *edits);
                words.iter().any(|word| {
                    word.len().abs_diff(expected.len()) <= limit
                        && edits_between(word, &expected) <= limit
                })
            }
            Match::Near { phrase, gaps } => {
                let expected = words_of(phrase);
                (0..words.len()).any(|first| {
                    let last = (first + expected.len() + *gaps as usize).min(words.len());
                    words[first] == expected[0] && is_subsequence(&expected, &words[first..last])
                })
            }
            Match::Text(_) => self.phrases.iter().any(|phrase| {
                words.windows(phrase.len()).any(|window| {
                    let mut pairs = window.iter().zip(phrase);
                    pairs.all(|(word, glob)| fits(glob, word))
                })
            }),
        }
    }

    fn value_matches(&self, value: Option<String>, test: &Test) -> bool {
        let Some(value) = value else {
            return false;
        };
        match test {
            Test::Exists => true,
            Test::Is(expected) => value == *expected,
            Test::Match(Match::Text(glob)) => {
                let places: Vec<Place> = glob
                    .parts()
                    .iter()
                    .flat_map(|part| match part {
                        Part::Any => vec![Place::Any],
                        Part::One => vec![Place::One],
                        Part::Literal(text) => text.chars().map(Place::Character).collect(),
                    })
                    .collect();
                fits(&places, &value.chars().collect::<Vec<_>>())
            }
            Test::Match(Match::Similar { text, edits }) => {
                let [a, b] = [&value, text].map(|text| text.chars().collect::<Vec<_>>());
                let limit = edits_of(text, *edits);
                a.len().abs_diff(b.len()) <= limit && edits_between(&a, &b) <= limit
            }
            Test::Match(Match::Expression(_)) => self.expression.as_ref().unwrap().is_match(&value),
            Test::Match(Match::Near { .. }) => panic!("gaps in a whole value"),
            Test::Compare(comparison, bound) => {
                let (read, bound) = quantity(bound);
                read(&value).is_some_and(|value| compares(value, *comparison, bound))
            }
            Test::Range { from, to } => bounds(from, to).into_iter().all(|(comparison, bound)| {
                let (read, bound) = quantity(&bound);
                read(&value).is_some_and(|value| compares(value, comparison, bound))
            }),
        }
    }

    fn id_matches(&self, id: Option<String>, test: &Test) -> bool {
        let lower = |glob: &Glob| {
            Glob::new(glob.parts().iter().map(|part| match part {
                Part::Literal(text) => Part::Literal(text.to_lowercase()),
                other => other.clone(),
            }))
        };
        match test {
            Test::Match(Match::Text(glob)) => {
                let glob = lower(glob);
                match (literal(&glob), id) {
                    (Some(digits), Some(id)) => {
                        format!("{digits:0>width$}", width = id.len()) == id
                    }
                    (_, id) => self.value_matches(id, &Test::Match(Match::Text(glob))),
                }
            }
            _ => self.value_matches(id, test),
        }
    }
}

fn is_id(test: &Match, record: &LogRecord) -> bool {
    let Match::Text(glob) = test else {
        return false;
    };
    let Some(text) = literal(glob).map(|text| text.to_lowercase()) else {
        return false;
    };
    text.len() == 32 && record.trace_id.is_some_and(|id| id.to_string() == text)
        || text.len() == 16 && record.span_id.is_some_and(|id| id.to_string() == text)
}

fn literal(glob: &Glob) -> Option<String> {
    let mut text = String::new();
    for part in glob.parts() {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Any | Part::One => return None,
        }
    }
    Some(text)
}

/// The value under a key, or inside of a map under a part of it.
fn value_at<'a>(entries: &'a [(String, Value)], path: &str) -> Option<&'a Value> {
    for (key, value) in entries {
        if key == path {
            return Some(value);
        }
    }
    let dots: Vec<usize> = path.match_indices('.').map(|(dot, _)| dot).collect();
    for dot in dots {
        for (key, value) in entries {
            if let (true, Value::Map(inner)) = (*key == path[..dot], value) {
                return value_at(inner, &path[dot + 1..]);
            }
        }
    }
    None
}

fn json_value(body: &Body, path: &str) -> Option<String> {
    let body = body.text.as_ref()?;
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    let Value::Map(entries) = from_json(&json) else {
        return None;
    };
    // The tests' keys hold no dots, so each part of the path is a key; none may be escaped.
    let is_plain = path
        .split('.')
        .all(|key| body.contains(&format!("\"{key}\"")));
    value_at(&entries, path)
        .filter(|_| is_plain)
        .and_then(text_of)
}

fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Empty,
        serde_json::Value::Bool(flag) => Value::Bool(*flag),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, Some(number)) => Value::String(number.to_string()),
            (None, None) => Value::Double(number.as_f64().unwrap()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(from_json).collect()),
        serde_json::Value::Object(entries) => {
            let entries = entries.iter();
            Value::Map(
                entries
                    .map(|(key, value)| (key.clone(), from_json(value)))
                    .collect(),
            )
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    Some(match value {
        Value::Empty => return None,
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::Array(_) | Value::Map(_) => json_of(value),
    })
}

fn json_of(value: &Value) -> String {
    match value {
        Value::Empty => "null".to_owned(),
        Value::String(text) => serde_json::to_string(text).unwrap(),
        Value::Double(number) => format!("{number:?}"),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(json_of).collect();
            format!("[{}]", items.join(","))
        }
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| {
                    format!("{}:{}", serde_json::to_string(key).unwrap(), json_of(value))
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        other => text_of(other).unwrap(),
    }
}

fn words_of(text: &str) -> Vec<Vec<char>> {
    let mut words = vec![Vec::new()];
    for character in text.chars() {
        if character.is_alphanumeric() || character == '_' {
            words.last_mut().unwrap().extend(character.to_lowercase());
        } else {
            words.push(Vec::new());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_subsequence(expected: &[Vec<char>], words: &[Vec<char>]) -> bool {
    let mut words = words.iter();
    expected.iter().all(|word| words.any(|other| other == word))
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Character(char),
    One,
    Any,
    /// Between words.
    Break,
}

/// The phrases of word patterns that a text for the body stands for.
fn spelled(glob: &Glob) -> Vec<Vec<Vec<Place>>> {
    let mut spellings: Vec<Vec<Place>> = vec![Vec::new()];
    for part in glob.parts() {
        let choices: Vec<Vec<Place>> = match part {
            Part::Any => vec![vec![Place::Any]],
            Part::One => vec![vec![Place::One], vec![Place::Break]],
            Part::Literal(text) => vec![
                text.chars()
                    .flat_map(|c| match c.is_alphanumeric() || c == '_' {
                        true => c.to_lowercase().map(Place::Character).collect(),
                        false => vec![Place::Break],
                    })
                    .collect(),
            ],
        };
        spellings = spellings
            .iter()
            .flat_map(|before| {
                choices
                    .iter()
                    .map(|choice| [before.as_slice(), choice].concat())
            })
            .collect();
    }
    let phrases = spellings.iter().map(|spelling| {
        let words = spelling.split(|place| *place == Place::Break);
        let mut words: Vec<Vec<Place>> = words
            .filter(|word| !word.is_empty())
            .map(<[_]>::to_vec)
            .collect();
        if words.last().is_some_and(|word| *word == [Place::Any]) {
            words.pop();
        }
        if words.first().is_some_and(|word| *word == [Place::Any]) {
            words.remove(0);
        }
        words
    });
    phrases.filter(|phrase| !phrase.is_empty()).collect()
}

fn fits(glob: &[Place], text: &[char]) -> bool {
    match (glob.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((Place::Any, rest)), None) => fits(rest, text),
        (Some((Place::Any, rest)), Some((_, after))) => fits(rest, text) || fits(glob, after),
        (Some((Place::One, rest)), Some((_, after))) => fits(rest, after),
        (Some((Place::Character(expected), rest)), Some((found, after))) => {
            expected == found && fits(rest, after)
        }
        _ => false,
    }
}

fn edits_of(text: &str, edits: Option<u8>) -> usize {
    match edits {
        Some(edits) => edits.into(),
        None if text.chars().count() <= 5 => 1,
        None => 2,
    }
}

/// Characters added, left out, replaced, or neighbours swapped.
fn edits_between(a: &[char], b: &[char]) -> usize {
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i.max(j)
            } else {
                let replaced = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(table[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    table[a.len()][b.len()]
}

fn compares<T: PartialOrd>(value: T, comparison: Comparison, bound: T) -> bool {
    match comparison {
        Comparison::Less => value < bound,
        Comparison::LessOrEqual => value <= bound,
        Comparison::Greater => value > bound,
        Comparison::GreaterOrEqual => value >= bound,
    }
}

fn bounds(from: &End, to: &End) -> Vec<(Comparison, String)> {
    let mut bounds = Vec::new();
    match from {
        End::Open => {}
        End::Including(value) => bounds.push((Comparison::GreaterOrEqual, value.clone())),
        End::Excluding(value) => bounds.push((Comparison::Greater, value.clone())),
    }
    match to {
        End::Open => {}
        End::Including(value) => bounds.push((Comparison::LessOrEqual, value.clone())),
        End::Excluding(value) => bounds.push((Comparison::Less, value.clone())),
    }
    bounds
}

/// A test of a number that is always there.
fn in_order(value: i64, test: &Test, read: &dyn Fn(&str) -> i64) -> bool {
    match test {
        Test::Exists => true,
        Test::Is(expected) => value == read(expected),
        Test::Match(Match::Text(glob)) => value == read(&literal(glob).unwrap()),
        Test::Match(_) => panic!("a pattern for a number"),
        Test::Compare(comparison, bound) => compares(value, *comparison, read(bound)),
        Test::Range { from, to } => bounds(from, to)
            .iter()
            .all(|(comparison, bound)| compares(value, *comparison, read(bound))),
    }
}

/// `now`, `now-5s`, `now+5s` or whole seconds.
fn instant(text: &str, now: i64) -> i64 {
    let seconds = |text: &str| text.parse::<i64>().unwrap() * 1_000_000_000;
    match text.strip_prefix("now") {
        Some("") => now,
        Some(distance) => now + seconds(distance.trim_end_matches('s')),
        None => seconds(text),
    }
}

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "fatal"];

fn severity_matches(number: i32, test: &Test) -> bool {
    let is_set = (1..=24).contains(&number);
    let level = |name: &str| {
        let name = name.to_lowercase();
        let place = LEVELS.iter().position(|level| *level == name)?;
        Some((4 * place as i32 + 1, 4 * place as i32 + 4))
    };
    let equals = |value: &str| match (level(value), value) {
        (Some((first, last)), _) => (first..=last).contains(&number),
        (None, "unset") => !is_set,
        (None, value) => number == value.parse::<i32>().unwrap(),
    };
    let ordered = |comparison: Comparison, value: &str| {
        let (first, last) = level(value).unwrap_or_else(|| {
            let number = value.parse().unwrap();
            (number, number)
        });
        match comparison {
            Comparison::Less => number >= 1 && number < first,
            Comparison::LessOrEqual => number >= 1 && number <= last,
            Comparison::Greater => number > last && number <= 24,
            Comparison::GreaterOrEqual => number >= first && number <= 24,
        }
    };
    match test {
        Test::Exists => is_set,
        Test::Is(value) => equals(value),
        Test::Match(Match::Text(glob)) => equals(&literal(glob).unwrap()),
        Test::Match(_) => panic!("a pattern for a severity"),
        Test::Compare(comparison, value) => ordered(*comparison, value),
        Test::Range { from, to } => match bounds(from, to).as_slice() {
            [] => is_set,
            bounds => bounds
                .iter()
                .all(|(comparison, value)| ordered(*comparison, value)),
        },
    }
}

/// How values are read beside a bound, and the bound.
fn quantity(bound: &str) -> (fn(&str) -> Option<f64>, f64) {
    let readers: [fn(&str) -> Option<f64>; 3] = [number, seconds, bytes];
    let reader = readers
        .into_iter()
        .find(|read| read(bound).is_some())
        .unwrap();
    (reader, reader(bound).unwrap())
}

fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    is_decimal.then(|| text.parse().ok())?
}

/// One amount with a unit of time: the tests write no other.
fn seconds(text: &str) -> Option<f64> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    units.into_iter().find_map(|(unit, scale)| {
        let amount = number(text.strip_suffix(unit)?)?;
        // Durations are whole nanoseconds.
        Some((amount * scale * 1e9).round() / 1e9)
    })
}

fn bytes(text: &str) -> Option<f64> {
    let units = [("kib", 1_024.0), ("kb", 1e3), ("mb", 1e6), ("b", 1.0)];
    let text = text.to_lowercase();
    units.into_iter().find_map(|(unit, scale)| {
        let amount = text.strip_suffix(unit)?;
        Some(number(amount.trim_end())? * scale)
    })
}
