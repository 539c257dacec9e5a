//! Any JSON value as the model's ([`model::json`]), within a budget of memory.

use std::cell::Cell;

use model::Value;
use model::json::AnyJson;
use serde::de::DeserializeSeed as _;

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

/// The value that `text` is.
///
/// # Errors
///
/// No JSON, or more values than the budget holds.
pub(crate) fn read(text: &[u8], budget: &Budget) -> Result<Value, DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = AnyJson(|bytes| budget.take(bytes)).deserialize(&mut reader);
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
