//! RFC 3164 behind the priority, as it is found in the wild: `Jan  2 03:04:05 host app[123]: text`.
//!
//! The time may have a year, a fraction or be ISO 8601; host and application may be missing. A time
//! without a year lies in the year that brings it closest to when the message was received.

use model::time::{NANOS_PER_SECOND, from_civil, parse_date_time, year_of};

use super::message::Parts;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The parts of a message; a text without a time is all message.
pub(super) fn parse(text: &str, received_at: i64, utc_offset: i32) -> Parts<'_> {
    let found = iso_time(text).or_else(|| month_time(text, received_at, utc_offset));
    let Some((time, behind)) = found else {
        return Parts {
            text,
            ..Parts::default()
        };
    };
    let written = text[..text.len() - behind.len()].trim_end();
    let rest = behind.trim_start_matches(' ');
    let (host, rest) = host(rest);
    let (app, process, text) = tag(rest);
    Parts {
        time: Some((time, written)),
        host,
        app,
        process,
        message_id: None,
        data: Vec::new(),
        text,
    }
}

fn iso_time(text: &str) -> Option<(i64, &str)> {
    let (written, _) = text.split_once(' ')?;
    let is_iso = written.as_bytes().get(10) == Some(&b'T');
    let time = parse_date_time(written).filter(|_| is_iso)?;
    Some((time, &text[written.len()..]))
}

fn month_time(text: &str, received_at: i64, utc_offset: i32) -> Option<(i64, &str)> {
    let month = MONTHS.iter().position(|month| text.starts_with(month))? as i8 + 1;
    let rest = text[3..].strip_prefix(' ')?.trim_start_matches(' ');
    let (day, rest) = number(rest, 2)?;
    let mut rest = rest.strip_prefix(' ')?;
    let mut year = None;
    if let Some((number, behind)) = number(rest, 4).filter(|(number, _)| *number > 99) {
        year = Some(number);
        rest = behind.strip_prefix(' ')?;
    }
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (second, rest) = number(rest.strip_prefix(':')?, 2)?;
    let (nanos, rest) = fraction(rest);
    // Cisco puts a colon behind.
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let offset = i64::from(utc_offset) * NANOS_PER_SECOND;
    let in_year = |year: i16| {
        let date = (year, month, i8::try_from(day).ok()?);
        let time = [hour, minute, second].map(|part| i8::try_from(part).unwrap_or(i8::MAX));
        from_civil(date, (time[0], time[1], time[2]))?
            .checked_add(nanos)?
            .checked_sub(offset)
    };
    let time = match year {
        Some(year) => in_year(year)?,
        None => {
            let now = year_of(received_at);
            (now - 1..=now + 1)
                .filter_map(in_year)
                .min_by_key(|time| time.abs_diff(received_at))?
        }
    };
    Some((time, rest))
}

/// A number of at most `digits` digits.
fn number(text: &str, digits: usize) -> Option<(i16, &str)> {
    let length = text
        .bytes()
        .take(digits)
        .take_while(u8::is_ascii_digit)
        .count();
    Some((text[..length].parse().ok()?, &text[length..]))
}

/// `.123` as nanoseconds; digits past the ninth are dropped.
fn fraction(text: &str) -> (i64, &str) {
    let Some(rest) = text.strip_prefix('.') else {
        return (0, text);
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let digits = &rest[..length.min(9)];
    match format!("{digits:0<9}").parse() {
        Ok(nanos) if length > 0 => (nanos, &rest[length..]),
        _ => (0, text),
    }
}

/// The host, unless what stands there is already the tag or the last word.
fn host(text: &str) -> (Option<&str>, &str) {
    match text.split_once(' ') {
        Some((word, rest)) if !word.is_empty() && !word.ends_with(':') && !word.contains('[') => {
            (Some(word), rest)
        }
        _ => (None, text),
    }
}

/// `app[123]: text` or `app: text`; anything else is text.
fn tag(text: &str) -> (Option<&str>, Option<&str>, &str) {
    let whole = (None, None, text);
    let Some(end) = text.find([':', '[', ' ']) else {
        return whole;
    };
    let (app, mut rest) = text.split_at(end);
    if app.is_empty() || app.len() > 128 {
        return whole;
    }
    let mut process = None;
    if let Some(bracketed) = rest.strip_prefix('[') {
        let Some((inside, behind)) = bracketed.split_once(']') else {
            return whole;
        };
        process = (!inside.is_empty()).then_some(inside);
        rest = behind;
    }
    match rest.strip_prefix(':') {
        Some(text) => (Some(app), process, text.strip_prefix(' ').unwrap_or(text)),
        None if process.is_some() => (Some(app), process, rest.trim_start_matches(' ')),
        None => whole,
    }
}
