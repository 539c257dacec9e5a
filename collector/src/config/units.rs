//! Amounts as people write them in configuration: `20MiB`, `30d`, `16`.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::ConfigError;

/// Bytes: a number, or a number with `KiB` to `TiB` or `kB` to `TB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(usize);

/// A duration with a unit: `500ms`, `30s`, `15m`, `12h`, `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span(i64);

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(usize);

/// A zone as its distance from UTC: `+02:00`, `-0330`, `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UtcOffset(i32);

impl UtcOffset {
    /// Seconds ahead of UTC.
    pub(crate) fn seconds(self) -> i32 {
        self.0
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl ByteSize {
    pub(crate) fn at_least(self, field: &'static str, least: usize) -> Result<usize, ConfigError> {
        if self.0 < least {
            return Err(ConfigError::Value {
                field,
                message: format!("must be at least {least} bytes; got {}", self.0),
            });
        }
        Ok(self.0)
    }
}

impl Span {
    pub(crate) fn at_least(
        self,
        field: &'static str,
        least: Duration,
    ) -> Result<Duration, ConfigError> {
        // Never negative: the parser knows no sign.
        let duration = Duration::from_nanos(self.0.unsigned_abs());
        if duration < least {
            return Err(ConfigError::Value {
                field,
                message: format!(
                    "must be at least {}; got {}",
                    model::time::format_duration(
                        i64::try_from(least.as_nanos()).unwrap_or(i64::MAX)
                    ),
                    model::time::format_duration(self.0)
                ),
            });
        }
        Ok(duration)
    }
}

impl Count {
    pub(crate) fn between(
        self,
        field: &'static str,
        least: usize,
        most: usize,
    ) -> Result<usize, ConfigError> {
        if !(least..=most).contains(&self.0) {
            return Err(ConfigError::Value {
                field,
                message: format!("must be between {least} and {most}; got {}", self.0),
            });
        }
        Ok(self.0)
    }
}

fn parse_bytes(text: &str) -> Option<usize> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(scale)
}

fn parse_utc_offset(text: &str) -> Option<i32> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let number = |text: &str| -> Option<i32> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number)
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Reads a scalar, however YAML typed it, by its text.
struct ScalarVisitor<T> {
    expected: &'static str,
    read: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text)
            .ok_or_else(|| E::custom(format!("expected {}, got {text:?}", self.expected)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! scalar {
    ($type:ident, $expected:literal, $read:expr) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(ScalarVisitor {
                    expected: $expected,
                    read: $read,
                })
            }
        }
    };
}

scalar!(ByteSize, "bytes such as 20MiB", |text| parse_bytes(text)
    .map(ByteSize));
scalar!(Span, "a duration such as 30s, 15m or 30d", |text| {
    model::time::parse_duration(text).ok().map(Span)
});
scalar!(Count, "a whole number", |text| text.parse().ok().map(Count));
scalar!(UtcOffset, "an offset from UTC such as +02:00", |text| {
    parse_utc_offset(text).map(UtcOffset)
});
scalar!(Secret, "a text", |text| Some(Secret(text.to_owned())));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_sizes_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("20MiB", Some(20 << 20)),
            ("1 kB", Some(1_000)),
            ("1mb", None),
            ("", None),
            ("-1", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn offsets_have_hours_and_minutes() {
        for (text, expected) in [
            ("+02:00", Some(7_200)),
            ("-0330", Some(-12_600)),
            ("Z", Some(0)),
            ("+00:00", Some(0)),
            ("02:00", None),
            ("+2", None),
            ("+19:00", None),
            ("+01:60", None),
            ("+0:100", None),
            ("Europe/Berlin", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(parse_utc_offset(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret("hunter2".to_owned())), "***");
    }
}
