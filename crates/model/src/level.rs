//! The level of a log record: what its severity says or, when that is not set, what its text says.
//!
//! Texts are read as people's loggers write them: JSON and logfmt with a level among their first
//! keys, `level: warn`, `[ERROR]`, `ERROR:`, upper-case words before the message, and the prefixes
//! of glog and klog, Android and syslog. A word inside of the message is no level: "no error was
//! found" has none.

use crate::log::severity_from_name;

/// How far into a text a level's key is looked for, bytes.
const KEYED_BYTES: usize = 2 << 10;
/// How far into a text a level that stands alone is looked for, bytes: before the message.
const HEADER_BYTES: usize = 128;
/// So many words in small letters in a row are the message: what comes after is no header.
const MESSAGE_WORDS: usize = 4;

/// The lowest OTLP severity number of the level that a record without a severity number states: in
/// its severity text (`ERROR`, `warn`, `E`, OTLP's `INFO2`) or else in its body's text.
pub fn stated_severity(severity_text: &str, body: &str) -> Option<i32> {
    let name = severity_text.trim();
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    value(name.as_bytes()).or_else(|| severity_in_text(body))
}

/// Loki's word for a severity number: that of OTLP, except `critical` for 21–24 and `unknown`.
pub fn level_name(severity_number: i32) -> &'static str {
    match crate::log::severity_name(severity_number) {
        "fatal" => "critical",
        "unset" => "unknown",
        name => name,
    }
}

/// The lowest OTLP severity number of the level that a text states; `None` when it states none.
pub fn severity_in_text(text: &str) -> Option<i32> {
    let text = text.trim_start().as_bytes();
    if text.first() == Some(&b'{') {
        return in_json(within(text, KEYED_BYTES));
    }
    prefix(text)
        .or_else(|| keyed(within(text, KEYED_BYTES)))
        .or_else(|| in_header(within(text, HEADER_BYTES)))
}

fn within(text: &[u8], bytes: usize) -> &[u8] {
    &text[..text.len().min(bytes)]
}

/// The severity of a level's word; numbers and `unset` are none.
fn word(word: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(word).ok()?;
    severity_from_name(text).filter(|number| *number != 0)
}

/// The severity of a value behind a level's key, where one letter is enough.
fn value(text: &[u8]) -> Option<i32> {
    match text {
        [letter] => letter_severity(letter.to_ascii_uppercase()),
        _ => word(text),
    }
}

fn letter_severity(letter: u8) -> Option<i32> {
    match letter {
        b'T' | b'V' => Some(1),
        b'D' => Some(5),
        b'I' => Some(9),
        b'W' => Some(13),
        b'E' => Some(17),
        b'F' | b'C' => Some(21),
        _ => None,
    }
}

/// The keys that name a level, in any case.
const LEVEL_KEYS: [&[u8]; 13] = [
    b"level",
    b"lvl",
    b"severity",
    b"loglevel",
    b"log_level",
    b"log.level",
    b"log-level",
    b"levelname",
    b"severity_text",
    b"severitytext",
    b"@level",
    b"@l",
    b"sev",
];

fn is_level_key(key: &[u8]) -> bool {
    LEVEL_KEYS
        .iter()
        .any(|known| key.eq_ignore_ascii_case(known))
}

/// Whether the key of a level ends with this byte.
fn ends_level_key(byte: u8) -> bool {
    matches!(byte.to_ascii_lowercase(), b'l' | b'y' | b'e' | b't' | b'v')
}

/// Prefixes of a fixed form: `<3>` of syslog, `E0102 15:04:05` of glog and klog, `E/Tag(` of
/// Android.
fn prefix(text: &[u8]) -> Option<i32> {
    if let Some(rest) = text.strip_prefix(b"<") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) || rest.get(digits) != Some(&b'>') {
            return None;
        }
        let priority = rest[..digits]
            .iter()
            .fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
        return (priority <= 191).then(|| crate::log::severity_of_syslog((priority % 8) as u8));
    }
    let (letter, rest) = text.split_first()?;
    let digits = |range: std::ops::Range<usize>| {
        rest.get(range)
            .is_some_and(|bytes| bytes.iter().all(u8::is_ascii_digit))
    };
    let is_glog =
        digits(0..4) && rest.get(4) == Some(&b' ') && digits(5..7) && rest[7..].starts_with(b":");
    let is_android = rest.first() == Some(&b'/') && within(rest, 64).contains(&b'(');
    if is_glog || is_android {
        return letter_severity(*letter);
    }
    None
}

/// `level=warn`, `level="warn"`, `level: warn`, anywhere in `text`.
fn keyed(text: &[u8]) -> Option<i32> {
    let separators = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| matches!(byte, b'=' | b':'));
    for (at, _) in separators {
        let before = text[..at].strip_suffix(b"\"").unwrap_or(&text[..at]);
        // Most keys are others, which their last letter tells.
        if !before.last().is_some_and(|last| ends_level_key(*last)) {
            continue;
        }
        let start = before
            .iter()
            .rposition(|byte| !is_key_byte(*byte))
            .map_or(0, |outside| outside + 1);
        if !is_level_key(&before[start..]) {
            continue;
        }
        let rest = &text[at + 1..];
        let skipped = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'"' | b'\''))
            .count();
        let rest = &rest[skipped..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        if let Some(severity) = value(&rest[..length]) {
            return Some(severity);
        }
    }
    None
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@')
}

/// The value of a level's key in a JSON object's own members, or in those of its member `log`.
/// The object may be cut off.
fn in_json(text: &[u8]) -> Option<i32> {
    let mut depth = 0_usize;
    let mut in_log = false;
    let mut last_string: &[u8] = b"";
    let mut key: &[u8] = b"";
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                in_log = depth == 2 && *byte == b'{' && key == b"log";
                key = b"";
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                in_log = false;
                key = b"";
            }
            b',' => key = b"",
            b':' => key = last_string,
            b'"' => {
                let string = string_content(&text[at + 1..]);
                at += string.len() + 1;
                let is_value = !key.is_empty();
                if is_value
                    && (depth == 1 || in_log)
                    && is_level_key(key)
                    && let Some(severity) = value(string)
                {
                    return Some(severity);
                }
                last_string = string;
            }
            b'0'..=b'9' if depth == 1 && is_level_key(key) => {
                let digits = text[at..].iter().take_while(|byte| byte.is_ascii_digit());
                let length = digits.count();
                if let Some(severity) = numeric(&text[at..at + length]) {
                    return Some(severity);
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// What stands before the closing quote; escapes stay as they are.
fn string_content(text: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return &text[..at],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text
}

/// The numbers of bunyan and pino.
fn numeric(digits: &[u8]) -> Option<i32> {
    match digits {
        b"10" => Some(1),
        b"20" => Some(5),
        b"30" => Some(9),
        b"40" => Some(13),
        b"50" => Some(17),
        b"60" => Some(21),
        _ => None,
    }
}

/// A level that stands alone before the message: `[error]`, `[core:error]`, `ERROR`, and at the
/// very beginning `error:`, `Traceback` and `panic:`.
fn in_header(text: &[u8]) -> Option<i32> {
    let mut at = 0;
    let mut before = b' ';
    // Words in small letters with one space between, and where the last of them ends.
    let (mut words, mut end) = (0, 0);
    while at < text.len() {
        if text[at] == 0x1b
            && let Some(length) = escape_sequence(&text[at..])
        {
            at += length;
            before = b' ';
            continue;
        }
        if !text[at].is_ascii_alphabetic() {
            before = text[at];
            at += 1;
            continue;
        }
        let length = text[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let token = &text[at..at + length];
        let after = text.get(at + length).copied().unwrap_or(b' ');
        if let Some(severity) = standing_alone(token, before, after, at == 0) {
            return Some(severity);
        }
        if token.iter().all(u8::is_ascii_lowercase) {
            let follows = before == b' ' && at == end + 1;
            words = if follows { words + 1 } else { 1 };
            end = at + length;
            if words == MESSAGE_WORDS {
                return None;
            }
        }
        at += length;
        before = token[length - 1];
    }
    None
}

fn standing_alone(token: &[u8], before: u8, after: u8, first: bool) -> Option<i32> {
    let bracketed = matches!(
        (before, after),
        (b'[' | b':', b']') | (b'<', b'>') | (b'(', b')')
    );
    let upper = token.iter().all(u8::is_ascii_uppercase)
        && matches!(
            before,
            b' ' | b'\t' | b'|' | b'[' | b'(' | b'-' | b',' | b']'
        )
        && matches!(
            after,
            b' ' | b'\t' | b'|' | b']' | b')' | b':' | b'-' | b',' | 0x1b
        );
    let opening = first && after == b':';
    if token.len() > 2
        && (bracketed || upper || opening)
        && let Some(severity) = word(token)
    {
        return Some(severity);
    }
    match token {
        b"Traceback" if first => Some(17),
        // PostgreSQL.
        b"LOG" if after == b':' => Some(9),
        _ => None,
    }
}

/// The length of a terminal's colour sequence at the beginning of `text`.
fn escape_sequence(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"\x1b[")?;
    let parameters = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b';')
        .count();
    (rest.get(parameters) == Some(&b'm')).then_some(parameters + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_in(text: &str) -> &'static str {
        level_name(severity_in_text(text).unwrap_or(0))
    }

    #[test]
    fn texts_state_their_level() {
        let cases = [
            // JSON.
            (r#"{"level":"warn","msg":"disk"}"#, "warn"),
            (r#"{"msg":"level","severity":"ERROR"}"#, "error"),
            (r#"{"ts":1,"lvl":"dbg"}"#, "debug"),
            (r#"{"a":{"level":"error"},"level":"info"}"#, "info"),
            (r#"{"a":{"level":"error"}}"#, "unknown"),
            (r#"{"log":{"level":"error"},"message":"x"}"#, "error"),
            (r#"{"log.level":"critical"}"#, "critical"),
            (r#"{"level":30,"time":1,"msg":"pino"}"#, "info"),
            (r#"{"level":60}"#, "critical"),
            (r#"{"level":7}"#, "unknown"),
            (
                r#"{"a":"\"","b":[1,{"level":"info"}],"level":"E"}"#,
                "error",
            ),
            (r#"{"msg":"\"level\":\"error\""}"#, "unknown"),
            (r#"{"@l":"Warning","@m":"serilog"}"#, "warn"),
            (r#"{"level":"error","cut":"#, "error"),
            // Keys.
            (r#"ts=1 level=info msg="an ERROR""#, "info"),
            (r#"time="x" level="warning" msg=y"#, "warn"),
            ("severity: critical, out of memory", "critical"),
            ("app level=E x", "error"),
            (r#"myapp[7]: {"level":"info","n":1}"#, "info"),
            ("sublevel=error", "unknown"),
            ("level=42", "unknown"),
            // Alone.
            ("[ERROR] payment refused", "error"),
            (
                "2026/01/02 15:04:05 [error] 31#31: *1 open() failed",
                "error",
            ),
            ("[Wed Oct 11 14:32:52 2000] [core:warn] [pid 9] x", "warn"),
            ("ERROR:root:it broke", "error"),
            (
                "2026-01-02 15:04:05,123 WARN  [main] c.e.App - slow",
                "warn",
            ),
            (
                "2026-01-02 15:04:05.123  INFO 1 --- [main] o.s.b.App",
                "info",
            ),
            ("\x1b[2m2026\x1b[0m \x1b[31mERROR\x1b[0m app: x", "error"),
            ("warning: unused variable", "warn"),
            ("2026-01-02 15:04:05 UTC [9] LOG:  checkpoint", "info"),
            ("2026-01-02 15:04:05 UTC [9] FATAL:  no role", "critical"),
            ("panic: runtime error", "critical"),
            ("Traceback (most recent call last):", "error"),
            ("15:04:05 | DEBUG | module:1 - x", "debug"),
            // Prefixes.
            ("E0102 15:04:05.000000 1 main.go:1] x", "error"),
            ("I0102 15:04:05.000000 1 main.go:1] ERROR", "info"),
            ("W/ActivityManager(  1): x", "warn"),
            ("<11>Oct 11 22:14:15 host su: x", "error"),
            ("<192>x", "unknown"),
            // None.
            ("no error was found", "unknown"),
            ("an error: in the middle", "unknown"),
            ("INFORMATION_SCHEMA was read", "unknown"),
            ("GET /debug HTTP/1.1", "unknown"),
            ("it was said that ERROR is a word", "unknown"),
            ("Jan  1 00:00:00 myhost myapp: ERROR it broke", "error"),
            ("one two three ERROR it broke", "error"),
            ("", "unknown"),
            ("{", "unknown"),
            ("größer [info] ü", "info"),
        ];
        for (text, expected) in cases {
            assert_eq!(level_in(text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_key_of_a_level_ends_as_one() {
        for key in LEVEL_KEYS {
            assert!(key.last().is_some_and(|last| ends_level_key(*last)));
        }
    }

    #[test]
    fn a_severity_text_tells_before_the_body() {
        let cases = [
            ("ERROR", "level=info", Some(17)),
            (" warn ", "", Some(13)),
            ("INFO2", "[ERROR] x", Some(9)),
            ("E", "", Some(17)),
            ("unset", "[ERROR] x", Some(17)),
            ("stderr", "[ERROR] x", Some(17)),
            ("3", "x", None),
            ("", "[WARN] x", Some(13)),
            ("", "", None),
        ];
        for (severity_text, body, expected) in cases {
            let stated = stated_severity(severity_text, body);
            assert_eq!(stated, expected, "{severity_text:?} {body:?}");
        }
    }

    #[test]
    fn levels_have_lokis_names() {
        let cases = [
            (0, "unknown"),
            (1, "trace"),
            (10, "info"),
            (13, "warn"),
            (24, "critical"),
            (99, "unknown"),
        ];
        for (number, name) in cases {
            assert_eq!(level_name(number), name, "{number}");
        }
    }

    #[test]
    fn a_level_far_into_a_text_belongs_to_the_message() {
        let far = format!("{} ERROR level=error", "x".repeat(KEYED_BYTES));
        assert_eq!(severity_in_text(&far), None);
    }
}
