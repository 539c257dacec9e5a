//! Any JSON value as the model's, within a budget of memory.
//!
//! Members keep their order and their duplicates. A number is an integer when 64 signed bits hold
//! it, an unsigned one past them a text of its digits, anything else a double.

use std::cell::Cell;
use std::fmt;

use model::Value;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::otlp::DecodeError;

/// Memory that the items decoded from one body may take.
///
/// A few bytes of JSON or protobuf can be a value of many in memory, so the limit on a body's bytes
/// bounds nothing.
#[derive(Debug)]
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    /// What one body may take, bytes.
    pub(crate) const BYTES: usize = 256 << 20;

    pub(crate) fn new() -> Self {
        Self(Cell::new(Self::BYTES))
    }

    /// Takes `bytes`; `false` when they are not there.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        match self.0.get().checked_sub(bytes) {
            Some(left) => {
                self.0.set(left);
                true
            }
            None => {
                self.0.set(0);
                false
            }
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// Reads one value; an error when the budget is spent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnyJson<'b>(pub(crate) &'b Budget);

impl AnyJson<'_> {
    fn charge<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        if self.0.take(bytes) {
            return Ok(());
        }
        Err(E::custom("too many values"))
    }
}

impl<'de> DeserializeSeed<'de> for AnyJson<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.charge(size_of::<Value>())?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyJson<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(match i64::try_from(number) {
            Ok(number) => Value::Int(number),
            Err(_) => Value::String(number.to_string()),
        })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Double(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.charge(text.len())?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = members.next_key::<String>()? {
            self.charge(size_of::<String>() + key.len())?;
            map.push((key, members.next_value_seed(self)?));
        }
        Ok(Value::Map(map))
    }
}

/// The value that `text` is.
///
/// # Errors
///
/// No JSON, or more values than the budget holds.
pub(crate) fn read(text: &[u8], budget: &Budget) -> Result<Value, DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = AnyJson(budget).deserialize(&mut reader);
    let whole = read.and_then(|value| reader.end().map(|()| value));
    whole.map_err(|err| match budget.is_spent() {
        true => DecodeError::TooHeavy {
            limit: Budget::BYTES,
        },
        false => DecodeError::json(&err),
    })
}

/// The object that `text` is; `None` when it is none, or the budget is spent.
pub(crate) fn object(text: &[u8], budget: &Budget) -> Option<Vec<(String, Value)>> {
    match read(text, budget) {
        Ok(Value::Map(members)) => Some(members),
        Ok(_) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_order_and_duplicates_are_kept() {
        let text = br#"{"b":1,"a":[1.5,null,true,"x"],"b":18446744073709551615,"c":{"d":-1e3}}"#;
        let expected = vec![
            ("b".to_owned(), Value::Int(1)),
            (
                "a".to_owned(),
                Value::Array(vec![
                    Value::Double(1.5),
                    Value::Empty,
                    Value::Bool(true),
                    Value::from("x"),
                ]),
            ),
            ("b".to_owned(), Value::from("18446744073709551615")),
            (
                "c".to_owned(),
                Value::Map(vec![("d".to_owned(), Value::Double(-1000.0))]),
            ),
        ];
        assert_eq!(object(text, &Budget::new()), Some(expected));
    }

    #[test]
    fn values_past_the_budget_are_refused() {
        let budget = Budget(Cell::new(500));
        let many = format!(r#"{{"a":[{}0]}}"#, "[],".repeat(100));
        assert_eq!(object(many.as_bytes(), &budget), None);
        assert!(budget.is_spent());
    }

    #[test]
    fn other_texts_are_no_object() {
        for text in ["", "[]", "{", "{} x", "{\"a\":\"\\ud800\"}", "\u{feff}{}"] {
            assert_eq!(object(text.as_bytes(), &Budget::new()), None, "{text:?}");
        }
        let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
        assert_eq!(object(deep.as_bytes(), &Budget::new()), None);
    }
}
