//! Label names in URL paths: names beyond letters, digits and `_` come as `U__…`.
//!
//! In the escaped form `_` doubles and any other character is `_HEX_` (its code point).

/// The label's name; a text that is no valid escape is the name itself.
pub(super) fn unescape(text: &str) -> String {
    match text.strip_prefix("U__").and_then(unescaped) {
        Some(name) => name,
        None => text.to_owned(),
    }
}

fn unescaped(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        name.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(tail) = rest.strip_prefix('_') {
            name.push('_');
            rest = tail;
            continue;
        }
        let (hex, tail) = rest.split_once('_')?;
        // A number may have a sign in Rust, but not here.
        if hex.len() > 6 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        name.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?);
        rest = tail;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read_and_others_left_alone() {
        for (escaped, expected) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U___e9_", "é"),
            ("U__broken_", "U__broken_"),
            ("U___zz_", "U___zz_"),
            ("U__a_+2e_", "U__a_+2e_"),
        ] {
            assert_eq!(unescape(escaped), expected);
        }
    }
}
