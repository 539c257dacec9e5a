//! Numbers and durations as PromQL writes them.

/// Reads `12`, `1_000`, `.5`, `1e3`, `0x1f`; `None` when the text is none of these.
///
/// As in Prometheus, digits after a leading zero are octal when they can be.
pub(crate) fn read_number(text: &str) -> Option<f64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    if let Some(digits) = hex {
        let digits = digits.strip_prefix('_').unwrap_or(digits);
        return read_integer(&without_underscores(digits)?, 16);
    }
    let bytes = text.as_bytes();
    let allowed =
        |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'e' | b'E' | b'+' | b'-');
    if !bytes.iter().all(allowed) {
        return None;
    }
    let clean = without_underscores(text)?;
    let octal =
        clean.len() > 1 && clean.starts_with('0') && clean.bytes().all(|b| b.is_ascii_digit());
    if octal && let Some(number) = read_integer(&clean, 8) {
        return Some(number);
    }
    clean.parse().ok()
}

fn read_integer(digits: &str, radix: u32) -> Option<f64> {
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok().map(|n| n as f64)
}

/// Underscores must stand between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        let between = |at: Option<&u8>| at.is_some_and(u8::is_ascii_hexdigit);
        let before = index.checked_sub(1).and_then(|i| bytes.get(i));
        // `.123_456` and `0x_1f` are fine, `1_.5`, `1__0` and `1_` are not.
        if *byte == b'_' && !(between(before) && between(bytes.get(index + 1))) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}

/// The units of durations, from the largest, with their milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration, that of 64-bit nanoseconds, in ms.
const MAX_DURATION_MS: i64 = i64::MAX / 1_000_000;

/// Reads `5m`, `1h30m`, `250ms` as seconds: units from large to small, each at most once.
///
/// # Errors
///
/// What is wrong, without the text itself.
pub(crate) fn read_duration(text: &str) -> Result<f64, &'static str> {
    const BAD: &str = "bad number or duration";
    let mut rest = text;
    let mut total_ms: i64 = 0;
    let mut smallest_unit: Option<usize> = None;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(BAD)?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let index = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or("unknown unit of a duration, expected one of y w d h m s ms")?;
        if smallest_unit.is_some_and(|smallest| smallest >= index) {
            return Err("units of a duration go from large to small, each once");
        }
        smallest_unit = Some(index);
        let amount: i64 = number.parse().map_err(|_| BAD)?;
        total_ms = amount
            .checked_mul(UNITS[index].1)
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|total| *total <= MAX_DURATION_MS)
            .ok_or("duration out of range")?;
        rest = tail;
    }
    Ok(total_ms as f64 / 1_000.0)
}

/// Prints seconds as Prometheus does: `1h30m`, `1d`, `0s`, weeks and years only when even.
pub(crate) fn format_duration(seconds: f64) -> String {
    let mut rest = (seconds.abs() * 1_000.0).round() as i64;
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    if seconds < 0.0 {
        text.push('-');
    }
    for (unit, scale) in UNITS {
        let only_when_even = matches!(unit, "y" | "w");
        if rest < scale || (only_when_even && rest % scale != 0) {
            continue;
        }
        text.push_str(&format!("{}{unit}", rest / scale));
        rest %= scale;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_in_every_form() {
        let cases = [
            ("12", 12.0),
            ("1_000", 1_000.0),
            (".5", 0.5),
            ("2.", 2.0),
            ("1e3", 1_000.0),
            ("12.34E-6", 12.34e-6),
            ("0x1F", 31.0),
            ("0x_53_AB_F3_82", f64::from(0x53AB_F382_u32)),
            ("017", 15.0),
            ("08", 8.0),
            (".123_456", 0.123_456),
        ];
        for (text, expected) in cases {
            assert_eq!(read_number(text), Some(expected), "{text}");
        }
        for bad in [
            "", "1_", "1__0", "_1", "1.2.3", "0x", "1e", "5m", "0x1.8", "1_.5",
        ] {
            assert_eq!(read_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_go_from_large_to_small() {
        assert_eq!(read_duration("1h30m"), Ok(5_400.0));
        assert_eq!(read_duration("1y2w3d4h5m6s7ms"), Ok(33_019_506.007));
        for bad in ["5", "m", "5x", "1m1h", "5m5m", "1.5h", "999999999999y"] {
            assert!(read_duration(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn printing_then_reading_a_duration_is_the_identity(ms in 0..4_000_000_000_000_i64) {
            let seconds = ms as f64 / 1_000.0;
            prop_assert_eq!(read_duration(&format_duration(seconds)), Ok(seconds));
        }
    }
}
