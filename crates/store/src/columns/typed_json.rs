//! Attribute values as OTLP-typed JSON, the form of the overflow columns.
//!
//! `{"intValue":"7"}`, `{"arrayValue":{"values":[…]}}`, `{}` for a value without content: what
//! OTLP/JSON defines, so any OpenTelemetry tool reads it. Two additions keep every bit: a double
//! is always a JSON string (readers of JSON numbers differ in rounding), with `"bits"` beside a
//! NaN other than the usual one; and a value nested more than [`MAX_DEPTH`] deep is written as
//! `{"jsonValue":"…"}`, this same form in a string, since JSON readers bound their depth.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Value;
use serde_json::{Map, Value as Json, json};

/// Arrays and maps inside each other before the rest is put into a string.
const MAX_DEPTH: usize = 16;

/// A text that is not the typed form of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an OTLP value: {0}")]
pub struct TypedJsonError(String);

fn error(what: impl Into<String>) -> TypedJsonError {
    TypedJsonError(what.into())
}

/// The typed form of a value.
pub fn value_to_json(value: &Value) -> Json {
    to_json(value, 0)
}

/// The typed form of attributes: `[{"key":…,"value":…},…]`.
pub fn entries_to_json<'a>(entries: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Json {
    to_json_entries(entries, 0)
}

fn to_json_entries<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a Value)>,
    depth: usize,
) -> Json {
    entries
        .into_iter()
        .map(|(key, value)| json!({ "key": key, "value": to_json(value, depth) }))
        .collect()
}

fn to_json(value: &Value, depth: usize) -> Json {
    match value {
        Value::Empty => json!({}),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::Int(number) => json!({ "intValue": number.to_string() }),
        Value::Double(number) => double_to_json(*number),
        Value::Bytes(bytes) => json!({ "bytesValue": STANDARD.encode(bytes) }),
        Value::Array(_) | Value::Map(_) if depth == MAX_DEPTH => {
            json!({ "jsonValue": to_json(value, 0).to_string() })
        }
        Value::Array(items) => {
            let values: Vec<Json> = items.iter().map(|item| to_json(item, depth + 1)).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.as_str(), value));
            json!({ "kvlistValue": { "values": to_json_entries(entries, depth + 1) } })
        }
    }
}

fn double_to_json(number: f64) -> Json {
    if number.is_nan() {
        let usual = f64::NAN.to_bits();
        return if number.to_bits() == usual {
            json!({ "doubleValue": "NaN" })
        } else {
            json!({ "doubleValue": "NaN", "bits": format!("{:016x}", number.to_bits()) })
        };
    }
    if number.is_infinite() {
        let text = if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return json!({ "doubleValue": text });
    }
    json!({ "doubleValue": format!("{number:?}") })
}

/// Reads [`value_to_json`].
///
/// # Errors
///
/// JSON of another form.
pub fn value_from_json(json: &Json) -> Result<Value, TypedJsonError> {
    let object = json
        .as_object()
        .ok_or_else(|| error(format!("expected an object, got {json}")))?;
    let Some((kind, content)) = object.iter().find(|(key, _)| key.as_str() != "bits") else {
        return Ok(Value::Empty);
    };
    let text = || {
        content
            .as_str()
            .ok_or_else(|| error(format!("{kind}: expected a string, got {content}")))
    };
    Ok(match kind.as_str() {
        "stringValue" => Value::String(text()?.to_owned()),
        "boolValue" => Value::Bool(
            content
                .as_bool()
                .ok_or_else(|| error(format!("boolValue: {content}")))?,
        ),
        "intValue" => Value::Int(
            text()?
                .parse()
                .map_err(|_| error(format!("intValue: {content}")))?,
        ),
        "doubleValue" => Value::Double(double_from_json(text()?, object)?),
        "bytesValue" => Value::Bytes(
            STANDARD
                .decode(text()?)
                .map_err(|err| error(format!("bytesValue: {err}")))?,
        ),
        "arrayValue" => Value::Array(
            values_of(content)?
                .iter()
                .map(value_from_json)
                .collect::<Result<_, _>>()?,
        ),
        "kvlistValue" => Value::Map(
            values_of(content)?
                .iter()
                .map(entry_from_json)
                .collect::<Result<_, _>>()?,
        ),
        "jsonValue" => {
            let inner: Json =
                serde_json::from_str(text()?).map_err(|err| error(format!("jsonValue: {err}")))?;
            value_from_json(&inner)?
        }
        other => return Err(error(format!("unknown kind {other:?}"))),
    })
}

/// Reads [`entries_to_json`].
///
/// # Errors
///
/// JSON of another form.
pub fn entries_from_json(json: &Json) -> Result<Vec<(String, Value)>, TypedJsonError> {
    json.as_array()
        .ok_or_else(|| error(format!("expected a list of attributes, got {json}")))?
        .iter()
        .map(entry_from_json)
        .collect()
}

fn entry_from_json(json: &Json) -> Result<(String, Value), TypedJsonError> {
    let key = json
        .get("key")
        .and_then(Json::as_str)
        .ok_or_else(|| error(format!("attribute without key: {json}")))?;
    let value = json
        .get("value")
        .ok_or_else(|| error(format!("attribute without value: {json}")))?;
    Ok((key.to_owned(), value_from_json(value)?))
}

fn values_of(content: &Json) -> Result<&Vec<Json>, TypedJsonError> {
    content
        .get("values")
        .and_then(Json::as_array)
        .ok_or_else(|| error(format!("expected values, got {content}")))
}

fn double_from_json(text: &str, object: &Map<String, Json>) -> Result<f64, TypedJsonError> {
    if let Some(bits) = object.get("bits") {
        let bits = bits
            .as_str()
            .and_then(|hex| u64::from_str_radix(hex, 16).ok())
            .ok_or_else(|| error(format!("bits: {bits}")))?;
        return Ok(f64::from_bits(bits));
    }
    match text {
        "NaN" => Ok(f64::NAN),
        "Infinity" => Ok(f64::INFINITY),
        "-Infinity" => Ok(f64::NEG_INFINITY),
        _ => text
            .parse()
            .map_err(|_| error(format!("doubleValue: {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::arbitrary;
    use proptest::prelude::*;

    #[test]
    fn values_deeper_than_json_readers_allow_survive() {
        let mut value = Value::Int(7);
        for level in 0..80 {
            value = if level % 2 == 0 {
                Value::Array(vec![value])
            } else {
                Value::Map(vec![("k".to_owned(), value)])
            };
        }
        let text = value_to_json(&value).to_string();
        let json: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(value_from_json(&json), Ok(value));
    }

    #[test]
    fn other_json_is_refused() {
        for bad in [
            "7",
            r#"{"intValue":7}"#,
            r#"{"intValue":"x"}"#,
            r#"{"what":1}"#,
            r#"{"bytesValue":"*"}"#,
            r#"{"arrayValue":[]}"#,
        ] {
            let json: Json = serde_json::from_str(bad).unwrap();
            assert!(value_from_json(&json).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn writing_then_reading_is_the_identity(value in arbitrary::value()) {
            let text = value_to_json(&value).to_string();
            let json: Json = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value_from_json(&json), Ok(value));
        }
    }
}
