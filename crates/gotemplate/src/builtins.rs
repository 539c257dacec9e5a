//! Go's own functions: comparisons, collections, printing.

use std::borrow::Cow;
use std::cmp::Ordering;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::value::Value;
use crate::{TemplateError, format};

const NAMES: [&str; 17] = [
    "and", "eq", "ge", "gt", "html", "index", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Whether Go has a function `name`; `and` and `or` are the executor's.
pub(crate) fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

type Outcome = Result<Value, TemplateError>;

/// Calls a function of Go's.
pub(crate) fn call(name: &str, args: &[Value]) -> Outcome {
    match (name, args) {
        ("eq" | "ne" | "lt" | "le" | "gt" | "ge" | "not", _) => of_comparison(name, args),
        ("len", [value]) => length(value)
            .map(|length| Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
            .ok_or_else(|| wrong_arguments("a collection or text", args)),
        ("index", [collection, keys @ ..]) => keys
            .iter()
            .try_fold(collection.clone(), |value, key| index(&value, key)),
        ("slice", [value, bounds @ ..]) => slice(value, bounds),
        ("print", _) => Ok(Value::Text(print(args, false))),
        ("println", _) => Ok(Value::Text(print(args, true) + "\n")),
        ("printf", [Value::Text(format), args @ ..]) => {
            format::printf(format, args).map(Value::Text)
        }
        ("html", _) => Ok(Value::Text(escape_html(&print(args, false)).into_owned())),
        ("urlquery", _) => Ok(Value::Text(query_escape(&print(args, false)))),
        _ => Err(wrong_arguments("other arguments", args)),
    }
}

/// The error of a function that got arguments it cannot take.
pub fn wrong_arguments(expected: &str, args: &[Value]) -> TemplateError {
    let kinds: Vec<&str> = args.iter().map(Value::kind).collect();
    TemplateError::execution(format!("expected {expected}, got ({})", kinds.join(", ")))
}

fn length(value: &Value) -> Option<usize> {
    Some(match value {
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        Value::Labels(labels) => labels.len(),
        _ => return None,
    })
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
        _ => return Err(wrong_arguments("values to compare", args)),
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
            other => {
                return Err(wrong_arguments(
                    "integers as bounds",
                    std::slice::from_ref(other),
                ));
            }
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

/// `text` with the characters escaped that mean something in HTML's text and attributes.
pub fn escape_html(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '>', '&', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// What `url.QueryEscape` leaves alone.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b' ');

/// Go's `url.QueryEscape`.
pub fn query_escape(text: &str) -> String {
    utf8_percent_encode(text, QUERY)
        .to_string()
        .replace(' ', "+")
}
