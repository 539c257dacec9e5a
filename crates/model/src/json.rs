//! Any JSON value as the model's.
//!
//! Members keep their order and their duplicates. A number is an integer when 64 signed bits hold
//! it; one past them that 64 unsigned bits hold is a text of its digits, since a double would lose
//! some; anything else is a double.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::value::Value;

/// Reads one value, of JSON or any form that describes itself.
///
/// The function is told of each part before it is kept, with the bytes that it takes in memory; its
/// `false` ends the reading with an error. A few bytes of JSON can be a value of many in memory, so a
/// limit on a text's bytes bounds nothing.
///
/// ```
/// use model::Value;
/// use model::json::AnyJson;
/// use serde::de::DeserializeSeed as _;
/// let mut text = serde_json::Deserializer::from_str("[1, 18446744073709551615]");
/// let value = AnyJson(|_| true).deserialize(&mut text).unwrap();
/// let digits = Value::from("18446744073709551615");
/// assert_eq!(value, Value::Array(vec![Value::Int(1), digits]));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AnyJson<C>(pub C);

impl<C: Fn(usize) -> bool> AnyJson<C> {
    fn charge<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        if (self.0)(bytes) {
            return Ok(());
        }
        Err(E::custom("too many values"))
    }
}

impl<'de, C: Fn(usize) -> bool + Copy> DeserializeSeed<'de> for AnyJson<C> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.charge(size_of::<Value>())?;
        deserializer.deserialize_any(self)
    }
}

impl<'de, C: Fn(usize) -> bool + Copy> Visitor<'de> for AnyJson<C> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, most: usize) -> Option<Value> {
        let left = std::cell::Cell::new(most);
        let charge = |bytes: usize| match left.get().checked_sub(bytes) {
            Some(rest) => {
                left.set(rest);
                true
            }
            None => false,
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        AnyJson(charge).deserialize(&mut reader).ok()
    }

    #[test]
    fn no_integer_of_64_bits_loses_a_digit() {
        let cases = [
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("-9223372036854775808", Value::Int(i64::MIN)),
            ("9223372036854775808", Value::from("9223372036854775808")),
            ("18446744073709551615", Value::from("18446744073709551615")),
            (
                "18446744073709551616",
                Value::Double(18_446_744_073_709_551_616.0),
            ),
            ("1.0", Value::Double(1.0)),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, 1 << 10), Some(expected), "{text}");
        }
    }

    #[test]
    fn order_and_duplicates_are_kept() {
        let expected = Value::Map(vec![
            ("b".to_owned(), Value::Bool(true)),
            (
                "a".to_owned(),
                Value::Array(vec![Value::Empty, Value::from("x")]),
            ),
            ("b".to_owned(), Value::Map(vec![])),
        ]);
        let text = r#"{"b":true,"a":[null,"x"],"b":{}}"#;
        assert_eq!(read(text, 1 << 10), Some(expected));
    }

    #[test]
    fn what_takes_too_much_is_refused() {
        let text = format!("[{}0]", "[],".repeat(100));
        assert!(read(&text, 1 << 20).is_some());
        assert_eq!(read(&text, 500), None);
        assert_eq!(read("\"0123456789\"", size_of::<Value>() + 9), None);
    }
}
