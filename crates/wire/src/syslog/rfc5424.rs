//! RFC 5424 behind the priority: `1 2026-01-02T03:04:05Z host app 123 ID47 [x@1 a="b"] text`.

use model::Value;
use model::time::parse_date_time;

use super::message::Parts;

/// The parts of a message; `None` for a text of another form.
pub(super) fn parse(text: &str) -> Option<Parts<'_>> {
    let mut rest = text.strip_prefix("1 ")?;
    let time = match field(&mut rest)? {
        None => None,
        Some(written) => Some((parse_date_time(written)?, written)),
    };
    let host = field(&mut rest)?;
    let app = field(&mut rest)?;
    let process = field(&mut rest)?;
    let message_id = field(&mut rest)?;
    let data = match rest.strip_prefix('-') {
        Some(behind) => {
            rest = behind;
            Vec::new()
        }
        None => structured_data(&mut rest)?,
    };
    let text = match rest {
        "" => "",
        _ => rest.strip_prefix(' ')?,
    };
    Some(Parts {
        time,
        host,
        app,
        process,
        message_id,
        data,
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
    })
}

/// A field and the space behind it; `Some(None)` for the nil value.
fn field<'a>(rest: &mut &'a str) -> Option<Option<&'a str>> {
    let (field, behind) = rest.split_once(' ')?;
    *rest = behind;
    match field {
        "" => None,
        "-" => Some(None),
        text => Some(Some(text)),
    }
}

/// `[id name="value" …]`, one or more without spaces between them.
fn structured_data(rest: &mut &str) -> Option<Vec<(String, Value)>> {
    let mut data = Vec::new();
    let mut elements = 0;
    while let Some(element) = rest.strip_prefix('[') {
        elements += 1;
        let end = element.find([' ', ']'])?;
        let id = &element[..end];
        if id.is_empty() {
            return None;
        }
        let before = data.len();
        let mut inner = &element[end..];
        while let Some(parameter) = inner.strip_prefix(' ') {
            // Some senders pad with spaces.
            let parameter = parameter.trim_start_matches(' ');
            if parameter.starts_with(']') {
                inner = parameter;
                break;
            }
            let (name, behind) = parameter.split_once("=\"")?;
            let (value, behind) = quoted(behind)?;
            data.push((format!("{id}.{name}"), Value::String(value)));
            inner = behind;
        }
        *rest = inner.strip_prefix(']')?;
        if data.len() == before {
            data.push((id.to_owned(), Value::from("")));
        }
    }
    (elements > 0).then_some(data)
}

/// The value up to its closing quote, and what follows. A backslash escapes `"`, `\` and `]`, and
/// stands for itself before anything else.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                escaped @ ('"' | '\\' | ']') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}
