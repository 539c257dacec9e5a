//! Go's printing of numbers, times and durations, and `printf`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::TemplateError;
use crate::value::Value;

/// Go's `%g`: the fewest digits, or `precision` significant ones; with an exponent when that is
/// below -4 or reaches the precision, which counts as 6 for the fewest digits.
pub fn general(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = not_finite(value) {
        return text;
    }
    let digits = precision.map(|precision| precision.max(1));
    let text = match digits {
        None => format!("{value:e}"),
        Some(digits) => format!("{value:.*e}", digits - 1),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    let significant = mantissa.chars().filter(char::is_ascii_digit).count();
    let limit = i32::try_from(digits.unwrap_or(6)).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        return with_exponent(mantissa, exponent);
    }
    let decimals = i32::try_from(significant).unwrap_or(0) - 1 - exponent;
    format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

fn not_finite(value: f64) -> Option<String> {
    if value.is_nan() {
        Some("NaN".to_owned())
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned())
    } else {
        None
    }
}

/// Go's `time.Duration.String`: `1h2m0.5s`, `30m0s`, `1.5ms`, `0s`.
pub fn duration(nanos: i64) -> String {
    if nanos == 0 {
        return "0s".to_owned();
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let total = nanos.unsigned_abs();
    if total < 1_000_000_000 {
        let (scale, unit) = match total {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{unit}", fraction(total, scale));
    }
    let minutes = total / 60_000_000_000;
    let seconds = fraction(total % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// `total / scale` in decimals without trailing zeros; `scale` is a power of ten.
fn fraction(total: u64, scale: u64) -> String {
    let (whole, rest) = (total / scale, total % scale);
    if rest == 0 {
        return whole.to_string();
    }
    let width = scale.ilog10() as usize;
    let digits = format!("{rest:0>width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

/// What a piece of Go's reference time stands for. Longer pieces come before their prefixes.
const LAYOUT: [(&str, &str); 25] = [
    ("January", "%B"),
    ("Monday", "%A"),
    ("2006", "%Y"),
    ("-07:00", "+00:00"),
    ("-0700", "+0000"),
    ("Z07:00", "Z"),
    ("Jan", "%b"),
    ("Mon", "%a"),
    ("MST", "UTC"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("_2", "%e"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// Go's `time.Time.Format` in UTC.
pub fn time(nanos: i64, layout: &str) -> String {
    let Ok(instant) = Timestamp::from_nanosecond(i128::from(nanos)) else {
        return nanos.to_string();
    };
    let zoned = instant.to_zoned(TimeZone::UTC);
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((text, after)) = subseconds(rest, nanos) {
            out.push_str(&text);
            rest = after;
            continue;
        }
        let known = LAYOUT
            .iter()
            .find_map(|(go, strftime)| rest.strip_prefix(go).map(|after| (*strftime, after)));
        match known {
            Some((strftime, after)) => {
                out.push_str(&zoned.strftime(strftime).to_string());
                rest = after;
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// Go's `time.Parse`: Unix ns, in UTC where the layout has no zone; `None` when `text` is not of
/// the layout.
pub fn parse_time(layout: &str, text: &str) -> Option<i64> {
    let mut form = String::new();
    let mut rest = layout;
    let mut text = text.to_owned();
    while let Some(first) = rest.chars().next() {
        if let Some((_, after)) = subseconds(rest, 0) {
            form.push_str("%.f");
            rest = after;
            continue;
        }
        let known = LAYOUT
            .iter()
            .find_map(|(go, strftime)| Some((*go, *strftime, rest.strip_prefix(go)?)));
        let Some((go, strftime, after)) = known else {
            if first == '%' {
                form.push('%');
            }
            form.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = after;
        form.push_str(match go {
            "-07:00" => "%:z",
            "-0700" => "%z",
            "Z07:00" => {
                if let Some(utc) = text.strip_suffix('Z') {
                    text = format!("{utc}+00:00");
                }
                "%:z"
            }
            _ => strftime,
        });
    }
    let parts = jiff::fmt::strtime::parse(&form, &text).ok()?;
    let instant = match parts.to_timestamp() {
        Ok(instant) => instant,
        Err(_) => {
            let date = parts.to_date().ok()?;
            let time = parts.to_time().unwrap_or(jiff::civil::Time::midnight());
            date.to_datetime(time)
                .to_zoned(TimeZone::UTC)
                .ok()?
                .timestamp()
        }
    };
    i64::try_from(instant.as_nanosecond()).ok()
}

/// `.000` prints that many digits, `.999` the same without trailing zeros.
fn subseconds(layout: &str, nanos: i64) -> Option<(String, &str)> {
    let digits = layout.strip_prefix(['.', ','])?;
    let kind = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let after = digits.trim_start_matches(kind);
    let count = (digits.len() - after.len()).min(9);
    let all = format!("{:09}", nanos.rem_euclid(1_000_000_000));
    let shown = match kind {
        '0' => &all[..count],
        _ => all[..count].trim_end_matches('0'),
    };
    let text = match (shown.is_empty(), &layout[..1]) {
        (true, _) => String::new(),
        (false, point) => format!("{point}{shown}"),
    };
    Some((text, after))
}

/// A verb of `printf` with its flags.
#[derive(Debug, Default)]
struct Verb {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// The widest field and the most digits that `printf` gives.
const MAX_WIDTH: usize = 1_000;

/// Go's `fmt.Sprintf`.
///
/// # Errors
///
/// A width or precision past 1,000, or `*` without an integer.
pub fn printf(format: &str, args: &[Value]) -> Result<String, TemplateError> {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| "-+# 0".contains(*c)) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '#' => verb.sharp = true,
                ' ' => verb.space = true,
                _ => verb.zero = true,
            }
        }
        verb.width = count(&mut chars, &mut args)?;
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(count(&mut chars, &mut args)?.unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match args.next() {
                Some(value) => out.push_str(&verb.print(letter, value)),
                None => out.push_str(&format!("%!{letter}(MISSING)")),
            },
        }
    }
    let extra: Vec<String> = args
        .map(|value| format!("{}={}", value.kind(), value.print()))
        .collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

/// A width or precision: digits, or `*` for an argument.
fn count(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    args: &mut std::slice::Iter<'_, Value>,
) -> Result<Option<usize>, TemplateError> {
    let number = if chars.next_if_eq(&'*').is_some() {
        match args.next() {
            Some(Value::Int(number)) => usize::try_from(*number).ok(),
            _ => return Err(TemplateError::execution("printf: \"*\" needs an integer")),
        }
    } else {
        let mut digits = String::new();
        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().ok()
    };
    match number {
        Some(number) if number <= MAX_WIDTH => Ok(Some(number)),
        _ => Err(TemplateError::execution(format!(
            "printf: widths and precisions go up to {MAX_WIDTH}"
        ))),
    }
}

impl Verb {
    fn print(&self, letter: char, value: &Value) -> String {
        let text = match (letter, value) {
            ('v', Value::Float(number)) => self.signed(general(*number, self.precision)),
            ('v', Value::Int(number)) => self.signed(number.to_string()),
            ('v', Value::Nil) => "<nil>".to_owned(),
            ('v', value) => value.print(),
            ('s', Value::Text(_) | Value::Html(_) | Value::Time(_) | Value::Duration(_)) => {
                self.cut(value.print())
            }
            ('s', Value::List(_) | Value::Map(_) | Value::Labels(_) | Value::Sample(_)) => {
                value.print()
            }
            ('q', Value::Text(text) | Value::Html(text)) => format!("{:?}", self.cut(text.clone())),
            ('x', Value::Text(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            ('d', Value::Int(number) | Value::Duration(number)) => self.signed(number.to_string()),
            ('x', Value::Int(number)) => self.signed(radix(*number, |n| format!("{n:x}"))),
            ('X', Value::Int(number)) => self.signed(radix(*number, |n| format!("{n:X}"))),
            ('o', Value::Int(number)) => self.signed(radix(*number, |n| format!("{n:o}"))),
            ('b', Value::Int(number)) => self.signed(radix(*number, |n| format!("{n:b}"))),
            ('c', Value::Int(number)) => u32::try_from(*number)
                .ok()
                .and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
                .to_string(),
            ('t', Value::Bool(flag)) => flag.to_string(),
            ('f' | 'F', Value::Float(number)) => {
                let digits = self.precision.unwrap_or(6);
                self.signed(not_finite(*number).unwrap_or_else(|| format!("{number:.digits$}")))
            }
            ('e', Value::Float(number)) => self.signed(self.scientific(*number)),
            ('g' | 'G', Value::Float(number)) => self.signed(general(*number, self.precision)),
            (letter, value) => {
                return format!("%!{letter}({}={})", value.kind(), value.print());
            }
        };
        self.pad(text, matches!(value, Value::Int(_) | Value::Float(_)))
    }

    fn scientific(&self, number: f64) -> String {
        not_finite(number).unwrap_or_else(|| {
            let digits = self.precision.unwrap_or(6);
            let text = format!("{number:.digits$e}");
            let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
            with_exponent(mantissa, exponent.parse().unwrap_or(0))
        })
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        }
    }

    fn signed(&self, text: String) -> String {
        let unsigned = !text.starts_with(['-', '+']);
        match (unsigned, self.plus, self.space) {
            (true, true, _) => format!("+{text}"),
            (true, false, true) => format!(" {text}"),
            _ => text,
        }
    }

    fn pad(&self, text: String, numeric: bool) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if !self.zero {
            return " ".repeat(missing) + &text;
        }
        let signed = numeric && text.starts_with(['-', '+', ' ']);
        let (sign, digits) = text.split_at(usize::from(signed));
        format!("{sign}{}{digits}", "0".repeat(missing))
    }
}

fn radix(number: i64, print: impl Fn(u64) -> String) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", print(number.unsigned_abs()))
}
