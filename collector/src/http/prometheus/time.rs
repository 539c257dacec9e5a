//! Times and durations as Prometheus' API reads them: seconds with a fraction, RFC 3339, `5m`.

use model::time::{NANOS_PER_MILLI, TimeError, parse_duration, parse_instant};
use promql::Window;

use crate::http::params::{BadParams, Params, invalid};

/// The instant in the parameter `name`, Unix ms; `None` when absent.
///
/// Any time that can be read is accepted, however absurd: Grafana probes with the years 1970 and
/// 57000. What lies past 64 bits of milliseconds is the last one that fits.
pub(super) fn instant(params: &Params, name: &str) -> Result<Option<i64>, BadParams> {
    params.get(name).map(|text| parse(name, text)).transpose()
}

/// The first and last times that Prometheus itself writes, of years that RFC 3339 does not have.
const FIRST_AND_LAST: [(&str, i64); 2] = [
    ("-292273086-05-16T16:47:06Z", i64::MIN),
    ("292277025-08-18T07:12:54.999999999Z", i64::MAX),
];

fn parse(name: &str, text: &str) -> Result<i64, BadParams> {
    if let Some((_, ms)) = FIRST_AND_LAST.iter().find(|(first, _)| *first == text) {
        return Ok(*ms);
    }
    if let Some(seconds) = plain_number(text) {
        // A cast saturates, which is what is wanted of absurd times.
        return Ok((seconds * 1_000.0).round() as i64);
    }
    // The native forms have more, such as `now-15m`, which Prometheus does not read.
    let is_date = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('-');
    match parse_instant(text, 0) {
        Ok(nanos) if is_date => Ok(nanos.div_euclid(NANOS_PER_MILLI)),
        // A date that nanoseconds cannot hold lies long before or after everything.
        Err(TimeError::Range(_)) if is_date && text < "1970" => Ok(i64::MIN),
        Err(TimeError::Range(_)) if is_date => Ok(i64::MAX),
        _ => Err(invalid(
            name,
            format!("cannot read {text:?} as a time; expected Unix seconds or RFC 3339"),
        )),
    }
}

/// From `start` to `end`, Unix ms, both of which belong to it; windows are open at the left.
pub(super) fn window(start: i64, end: i64) -> Window {
    Window::new(start.saturating_sub(1), end)
}

/// The duration in the parameter `name`, ms; `None` when absent. Bare numbers are seconds.
pub(super) fn duration(params: &Params, name: &str) -> Result<Option<i64>, BadParams> {
    let Some(text) = params.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = plain_number(text) {
        return Ok(Some((seconds * 1_000.0).round() as i64));
    }
    match parse_duration(text) {
        Ok(nanos) => Ok(Some(nanos / NANOS_PER_MILLI)),
        Err(err) => Err(invalid(name, err)),
    }
}

/// A finite decimal number; not `inf` or `nan`, which Rust would read as well.
fn plain_number(text: &str) -> Option<f64> {
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let number: f64 = text.parse().ok().filter(|_| digits)?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_times_are_times() {
        for (text, expected) in [
            ("4", 4_000),
            ("1600000000.781", 1_600_000_000_781),
            ("-1.5", -1_500),
            ("1737000000000", 1_737_000_000_000_000),
            ("1e300", i64::MAX),
            ("292277025-08-18T07:12:54.999999999Z", i64::MAX),
            ("2026-11-21T03:40:00.5Z", 1_795_232_400_500),
            ("1969-12-31T23:59:59Z", -1_000),
            ("9000-01-01T00:00:00Z", i64::MAX),
            ("0001-01-01T00:00:00Z", i64::MIN),
        ] {
            assert_eq!(parse("time", text), Ok(expected), "{text}");
        }
        for bad in [
            "",
            "now",
            "now-15m",
            "yesterday",
            "NaN",
            "inf",
            "12a",
            "2026-11-21",
        ] {
            let result = parse("time", bad);
            assert!(result.is_err(), "{bad}: {result:?}");
        }
    }
}
