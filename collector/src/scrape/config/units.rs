//! Amounts as Prometheus' configuration writes them: `1m30s`, `10MB`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// A length of time of at least a millisecond, such as `15s` or `1m30s`; zero means "not set".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Interval(Duration);

impl Interval {
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `15s`, `1m30s`, `0`.
    ///
    /// # Errors
    ///
    /// What else was found, in a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let nanos = model::time::parse_duration(text).map_err(|err| err.to_string())?;
        let length = Duration::from_nanos(nanos.unsigned_abs());
        if !length.is_zero() && length < Duration::from_millis(1) {
            return Err(format!("{text:?} is shorter than a millisecond"));
        }
        Ok(Self(length))
    }

    pub(crate) fn duration(self) -> Duration {
        self.0
    }

    /// Whole milliseconds, at least 1.
    pub(crate) fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    pub(crate) fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX);
        f.write_str(&model::time::format_duration(nanos))
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

/// Bytes as Prometheus counts them: `10MB` are 10 · 2²⁰, and so are `10MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodySize(pub(crate) usize);

impl<'de> Deserialize<'de> for BodySize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        parse_bytes(&text)
            .map(Self)
            .ok_or_else(|| D::Error::custom(format!("expected a size such as 10MB, got {text:?}")))
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" | "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        let read = |text: &str| Interval::parse(text).map(|interval| interval.millis());
        assert_eq!(read("1m30s"), Ok(90_000));
        assert_eq!(read("100ms"), Ok(100));
        assert!(read("10ns").is_err() && read("15").is_err() && read("-1s").is_err());
        assert_eq!(Interval::from_secs(90).to_string(), "1m30s");
        assert_eq!(parse_bytes("10MB"), Some(10 << 20));
        assert_eq!(parse_bytes("0"), Some(0));
        assert_eq!(parse_bytes("10 MB"), None);
    }
}
