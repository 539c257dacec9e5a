//! Quantities as people write them: numbers, durations with units, sizes with units.

/// A decimal number such as `42`, `-1.5`, `1e3`; nothing else around it.
///
/// `NaN` and infinities are no numbers here, since no comparison means anything with them.
pub fn number(text: &str) -> Option<f64> {
    let first = text
        .bytes()
        .find(|byte| !matches!(byte, b'+' | b'-' | b'.'))?;
    if !first.is_ascii_digit() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(value)
}

/// A duration in seconds: one or more numbers with units, `120ms`, `1.5s`, `1h30m`, `-5m`.
///
/// Units are those of [`model::time::parse_duration`]: `ns us µs ms s m h d w y`.
pub fn duration_seconds(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let nanos = model::time::parse_duration(text).ok()?;
    Some(sign * nanos as f64 / model::time::NANOS_PER_SECOND as f64)
}

/// A size in bytes: a number with a unit, `512B`, `10KB` (1,000), `1.5MiB` (1,024²); case does
/// not matter, and a space may stand before the unit.
pub fn size_bytes(text: &str) -> Option<f64> {
    let unit_start = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (amount, unit) = text.split_at(unit_start);
    let scale = match unit.to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "pb" => 1e15,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0_f64.powi(4),
        "pib" => 1024.0_f64.powi(5),
        _ => return None,
    };
    Some(number(amount.trim_end())? * scale)
}

/// A size in bytes, with a unit or without.
pub fn size_or_number(text: &str) -> Option<f64> {
    size_bytes(text).or_else(|| number(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_whole_or_not_at_all() {
        let cases = [
            ("42", Some(42.0), None, None),
            ("-1.5e3", Some(-1500.0), None, None),
            (".5", Some(0.5), None, None),
            ("NaN", None, None, None),
            ("inf", None, None, None),
            ("", None, None, None),
            ("120ms", None, Some(0.12), None),
            ("1h30m", None, Some(5400.0), None),
            ("-5m", None, Some(-300.0), None),
            ("10KB", None, None, Some(10_000.0)),
            ("1.5 MiB", None, None, Some(1_572_864.0)),
            ("12 apples", None, None, None),
            ("m", None, None, None),
            ("b", None, None, None),
        ];
        for (text, as_number, as_duration, as_size) in cases {
            assert_eq!(number(text), as_number, "number {text:?}");
            assert_eq!(duration_seconds(text), as_duration, "duration {text:?}");
            assert_eq!(size_bytes(text), as_size, "size {text:?}");
        }
    }
}
