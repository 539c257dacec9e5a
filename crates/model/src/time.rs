//! Time: ranges, and the forms in which people and programs write instants and durations.
//!
//! Nothing here reads a clock: relative forms take `now` as an argument.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: i64 = 1_000_000;
/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// Instants `start <= t < end`, Unix ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first instant inside.
    pub start: i64,
    /// The first instant after.
    pub end: i64,
}

impl TimeRange {
    /// Every instant that can be stored.
    pub const ALL: Self = Self {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// The range `[start, end)`; empty when `end <= start`.
    pub fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Whether no instant is inside.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// Whether `instant` is inside.
    pub fn contains(self, instant: i64) -> bool {
        self.start <= instant && instant < self.end
    }

    /// Whether any of the instants `first..=last` is inside.
    pub fn overlaps_inclusive(self, first: i64, last: i64) -> bool {
        !self.is_empty() && self.start <= last && first < self.end
    }
}

/// A text that is no instant or duration, with what would be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// No instant.
    #[error(
        "cannot read {0:?} as a time: expected RFC 3339 (2026-11-21T03:40:00Z), Unix s, ms, µs or ns, or now-15m"
    )]
    Instant(String),
    /// No duration.
    #[error(
        "cannot read {0:?} as a duration: expected a number with a unit such as 500ms, 30s, 5m, 1h30m, 7d"
    )]
    Duration(String),
    /// An instant outside of what 64-bit nanoseconds can hold.
    #[error("the time {0:?} lies outside of 1677-09-21 to 2262-04-11")]
    Range(String),
}

/// Reads an instant in any of the native forms, as Unix ns.
///
/// RFC 3339; a Unix time whose unit follows from its digits (up to 11 s, 14 ms, 17 µs, else ns;
/// a fraction counts in seconds); `now`, `now-15m`, `now+1h`.
///
/// # Errors
///
/// A text in none of these forms, or past what nanoseconds can hold.
pub fn parse_instant(text: &str, now: i64) -> Result<i64, TimeError> {
    let text = text.trim();
    let bad = || TimeError::Instant(text.to_owned());
    if let Some(rest) = text.strip_prefix("now") {
        if rest.is_empty() {
            return Ok(now);
        }
        let out_of_range = || TimeError::Range(text.to_owned());
        if let Some(back) = rest.strip_prefix('-') {
            return now
                .checked_sub(parse_duration(back)?)
                .ok_or_else(out_of_range);
        }
        let ahead = rest.strip_prefix('+').ok_or_else(bad)?;
        return now
            .checked_add(parse_duration(ahead)?)
            .ok_or_else(out_of_range);
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let number: i64 = text
            .parse()
            .map_err(|_| TimeError::Range(text.to_owned()))?;
        let scale = match unsigned.len() {
            0..=11 => NANOS_PER_SECOND,
            12..=14 => NANOS_PER_MILLI,
            15..=17 => 1_000,
            _ => 1,
        };
        return number
            .checked_mul(scale)
            .ok_or_else(|| TimeError::Range(text.to_owned()));
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit() || b == b'.') && unsigned.contains('.') {
        return parse_decimal_seconds(text).ok_or_else(bad);
    }
    let instant: Timestamp = text.parse().map_err(|_| bad())?;
    i64::try_from(instant.as_nanosecond()).map_err(|_| TimeError::Range(text.to_owned()))
}

/// Reads an ISO 8601 date and time, or a date alone, as Unix ns; without a zone it is UTC.
///
/// `2026-01-02T03:04:05.678Z`, `2026-01-02 03:04:05+0200`, `2026-01-02`. `None` for any other
/// text and for times that nanoseconds cannot hold.
pub fn parse_date_time(text: &str) -> Option<i64> {
    let instant = text.parse::<Timestamp>().ok().or_else(|| {
        let civil: DateTime = text.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    i64::try_from(instant.as_nanosecond()).ok()
}

/// The instant of a date and time in UTC, Unix ns; `None` when there is no such day or time, or
/// nanoseconds cannot hold it. A leap second is the first of the next minute.
pub fn from_civil(date: (i16, i8, i8), time: (i8, i8, i8)) -> Option<i64> {
    let (year, month, day) = date;
    let (hour, minute, second) = time;
    let leap = i64::from(second == 60);
    let civil = DateTime::new(year, month, day, hour, minute, second.min(59), 0).ok()?;
    if second > 60 {
        return None;
    }
    let instant = TimeZone::UTC.to_timestamp(civil).ok()?;
    i64::try_from(instant.as_nanosecond())
        .ok()?
        .checked_add(leap * NANOS_PER_SECOND)
}

/// The year in UTC of an instant, Unix ns.
pub fn year_of(nanos: i64) -> i16 {
    Timestamp::from_nanosecond(i128::from(nanos))
        .map_or(1970, |instant| TimeZone::UTC.to_datetime(instant).year())
}

/// Reads `-12.345` seconds exactly, digit by digit: a double would lose nanoseconds.
fn parse_decimal_seconds(text: &str) -> Option<i64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = unsigned.split_once('.')?;
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits = &fraction[..fraction.len().min(9)];
    let nanos: i64 = if digits.is_empty() {
        0
    } else {
        format!("{digits:0<9}").parse().ok()?
    };
    whole
        .checked_mul(NANOS_PER_SECOND)?
        .checked_add(nanos)
        .map(|total| sign * total)
}

/// Reads a duration such as `5m`, `1h30m`, `250ms` or `1.5s` as ns, never negative.
///
/// Units: `ns us µs ms s m h d w y` (a year has 365 days).
///
/// # Errors
///
/// No number, no unit, an unknown unit, or past what nanoseconds can hold.
pub fn parse_duration(text: &str) -> Result<i64, TimeError> {
    let bad = || TimeError::Duration(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(bad());
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let scale = unit_nanos(unit).ok_or_else(bad)?;
        let nanos = if number.contains('.') {
            let amount: f64 = number.parse().map_err(|_| bad())?;
            let nanos = amount * scale as f64;
            if nanos >= i64::MAX as f64 {
                return Err(bad());
            }
            nanos.round() as i64
        } else {
            let amount: i64 = number.parse().map_err(|_| bad())?;
            amount.checked_mul(scale).ok_or_else(bad)?
        };
        total = total.checked_add(nanos).ok_or_else(bad)?;
        rest = tail;
    }
    Ok(total)
}

fn unit_nanos(unit: &str) -> Option<i64> {
    let second = NANOS_PER_SECOND;
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => NANOS_PER_MILLI,
        "s" => second,
        "m" => 60 * second,
        "h" => 3_600 * second,
        "d" => 86_400 * second,
        "w" => 7 * 86_400 * second,
        "y" => 365 * 86_400 * second,
        _ => return None,
    })
}

/// Prints Unix ns as RFC 3339 in UTC with nine digits: `2026-11-21T03:40:00.000000000Z`.
pub fn format_instant(nanos: i64) -> String {
    match Timestamp::from_nanosecond(i128::from(nanos)) {
        Ok(instant) => format!("{instant:.9}"),
        // Every i64 of nanoseconds is inside jiff's range; kept total rather than panicking.
        Err(_) => nanos.to_string(),
    }
}

/// Prints ns as the shortest exact duration that [`parse_duration`] reads: `1h30m`, `250ms`, `0s`.
pub fn format_duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut rest = nanos.unsigned_abs();
    let mut out = if nanos < 0 {
        "-".to_owned()
    } else {
        String::new()
    };
    for unit in ["d", "h", "m", "s", "ms", "us", "ns"] {
        // The table above holds every unit of this list.
        let scale = unit_nanos(unit).map_or(1, i64::unsigned_abs);
        if rest >= scale {
            out.push_str(&format!("{}{unit}", rest / scale));
            rest %= scale;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_800_000_000 * NANOS_PER_SECOND;

    #[test]
    fn instants_are_read_in_every_form() {
        let cases = [
            ("1800000000", NOW),
            ("1800000000000", NOW),
            ("1800000000000000", NOW),
            ("1800000000000000000", NOW),
            ("1800000000.5", NOW + 500_000_000),
            ("4", 4 * NANOS_PER_SECOND),
            ("2027-01-15T08:00:00Z", NOW),
            ("2027-01-15T09:00:00.000000001+01:00", NOW + 1),
            ("now", NOW),
            ("now-1m30s", NOW - 90 * NANOS_PER_SECOND),
            ("now+1h", NOW + 3_600 * NANOS_PER_SECOND),
            ("-1", -NANOS_PER_SECOND),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_instant(text, NOW), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "yesterday",
            "now-",
            "now-5",
            "now*5m",
            "1.2.3",
            "12a",
            "99999999999999999999",
        ] {
            assert!(parse_instant(bad, NOW).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn dates_without_a_zone_are_utc() {
        let day = 1_767_312_000 * NANOS_PER_SECOND;
        for (text, expected) in [
            ("2026-01-02", Some(day)),
            ("2026-01-02T00:00:01", Some(day + NANOS_PER_SECOND)),
            ("2026-01-02 00:00:00.5", Some(day + NANOS_PER_SECOND / 2)),
            ("2026-01-02T02:00:00+02:00", Some(day)),
            ("2026-01-01T22:00:00-0200", Some(day)),
            ("2026-01-02T00:00:00,000Z", Some(day)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-02-30", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(parse_date_time(text), expected, "{text}");
        }
        assert_eq!(from_civil((2026, 1, 2), (0, 0, 0)), Some(day));
        assert_eq!(
            from_civil((2026, 1, 1), (23, 59, 60)),
            Some(day),
            "a leap second"
        );
        for (date, time) in [
            ((2026, 13, 1), (0, 0, 0)),
            ((2026, 2, 29), (0, 0, 0)),
            ((2026, 1, 1), (24, 0, 0)),
            ((2026, 1, 1), (0, 0, 61)),
        ] {
            assert_eq!(from_civil(date, time), None, "{date:?} {time:?}");
        }
        assert_eq!(year_of(day), 2026);
        assert_eq!(year_of(day - 1 - 86_400 * NANOS_PER_SECOND), 2025);
    }

    #[test]
    fn durations_need_a_known_unit() {
        assert_eq!(parse_duration("1h30m"), Ok(5_400 * NANOS_PER_SECOND));
        assert_eq!(parse_duration("1.5s"), Ok(1_500_000_000));
        for bad in ["", "5", "m", "5x", "5m3", "-5m", "999999999999y"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn printing_then_reading_an_instant_is_the_identity(nanos in any::<i64>()) {
            prop_assert_eq!(parse_instant(&format_instant(nanos), 0), Ok(nanos));
        }

        #[test]
        fn printing_then_reading_a_duration_is_the_identity(nanos in 0..i64::MAX) {
            prop_assert_eq!(parse_duration(&format_duration(nanos)), Ok(nanos));
        }

        #[test]
        fn any_text_is_read_or_refused_without_panic(text in "\\PC{0,24}") {
            if let Ok(instant) = parse_instant(&text, NOW) {
                prop_assert_eq!(parse_instant(&format_instant(instant), NOW), Ok(instant));
            }
        }
    }
}
