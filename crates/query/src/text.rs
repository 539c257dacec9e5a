//! Attribute values and bodies as text: the form that queries compare, print and read.
//!
//! Every part of the system that turns a value into text does it here, so that a row answers the
//! same from the head, from a split and from a test.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{Attributes, Value};

/// The text form of a value; `None` for a value sent without content.
///
/// Strings as they are, `true`/`false`, integers in decimal, doubles in their shortest exact form
/// (`0.1`, `NaN`, `inf`), bytes in base64, arrays and maps as JSON.
pub fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Empty => return None,
        Value::String(text) => Cow::Borrowed(text),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Double(number) => Cow::Owned(number.to_string()),
        Value::Bytes(bytes) => Cow::Owned(STANDARD.encode(bytes)),
        Value::Array(_) | Value::Map(_) => {
            let mut json = String::new();
            write_json(value, &mut json);
            Cow::Owned(json)
        }
    })
}

/// Attributes as a JSON object, in their order; of a repeated key only the first entry.
///
/// Integers are JSON numbers with all their digits; doubles that JSON cannot say (`NaN`, `inf`)
/// are strings, as are bytes in base64; a value without content is `null`.
pub fn json_of(attributes: &Attributes) -> String {
    let mut json = String::with_capacity(2 + 32 * attributes.len());
    write_object(&attributes.0, &mut json);
    json
}

/// From so many entries on, repeated keys are found by a set instead of by looking back.
const MANY_ENTRIES: usize = 32;

fn write_object(entries: &[(String, Value)], out: &mut String) {
    out.push('{');
    let mut first = true;
    let mut seen = HashSet::new();
    for (index, (key, value)) in entries.iter().enumerate() {
        let is_repeated = match entries.len() {
            0..MANY_ENTRIES => entries[..index].iter().any(|(earlier, _)| earlier == key),
            _ => !seen.insert(key.as_str()),
        };
        if is_repeated {
            continue;
        }
        if !first {
            out.push(',');
        }
        first = false;
        write_string(key, out);
        out.push(':');
        write_json(value, out);
    }
    out.push('}');
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Empty => out.push_str("null"),
        Value::String(text) => write_string(text, out),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Double(number) if number.is_finite() => {
            // A double keeps its point, so that readers can tell it from an integer.
            let text = format!("{number:?}");
            out.push_str(&text);
        }
        Value::Double(number) => write_string(&number.to_string(), out),
        Value::Bytes(bytes) => write_string(&STANDARD.encode(bytes), out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Map(entries) => write_object(entries, out),
    }
}

/// Writes a JSON string with the shortest escapes.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain..index]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        plain = index + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_one_text_form() {
        let cases = [
            (Value::from("a\"b"), Some("a\"b")),
            (Value::Bool(true), Some("true")),
            (Value::Int(-7), Some("-7")),
            (Value::Double(0.1), Some("0.1")),
            (Value::Double(f64::NAN), Some("NaN")),
            (Value::Bytes(vec![0, 255]), Some("AP8=")),
            (
                Value::Array(vec![Value::Int(1), Value::from("x"), Value::Empty]),
                Some(r#"[1,"x",null]"#),
            ),
            (Value::Empty, None),
        ];
        for (value, expected) in cases {
            assert_eq!(text_of(&value).as_deref(), expected, "{value:?}");
        }
    }

    #[test]
    fn attributes_are_one_json_object_that_keeps_order_and_first_entries() {
        let attributes = Attributes(vec![
            ("b".to_owned(), Value::Double(2.0)),
            ("a".to_owned(), Value::from("line\nend\u{1}")),
            ("b".to_owned(), Value::Int(3)),
            (
                "m".to_owned(),
                Value::Map(vec![("x".to_owned(), Value::Int(i64::MIN))]),
            ),
        ]);
        let json = json_of(&attributes);
        assert_eq!(
            json,
            r#"{"b":2.0,"a":"line\nend\u0001","m":{"x":-9223372036854775808}}"#
        );
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
