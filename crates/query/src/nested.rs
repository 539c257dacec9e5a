//! Values inside of values: `user.id` reaches into the map under the key `user`.

use model::Value;
use model::json::AnyJson;
use serde::de::DeserializeSeed as _;

/// What stands under `path`: the first entry of exactly this key, else what the map under a part
/// of the path before a dot has under the rest, the shortest such part deciding.
///
/// ```
/// use model::Value;
/// let user = Value::Map(vec![("id".to_owned(), Value::Int(7))]);
/// let entries = [("user".to_owned(), user)];
/// assert_eq!(query::nested::find(&entries, "user.id"), Some(&Value::Int(7)));
/// ```
pub fn find<'a>(entries: &'a [(String, Value)], path: &str) -> Option<&'a Value> {
    follow(entries, path, &mut |_| ())
}

/// The same in a text that is one JSON object.
///
/// Keys that the text writes with escapes are not found, so that a text without the words of the
/// path can be passed over.
pub fn find_in_json(text: &str, path: &str) -> Option<Value> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = AnyJson(|_| true).deserialize(&mut reader);
    let whole = read.and_then(|value| reader.end().map(|()| value));
    let Ok(Value::Map(entries)) = whole else {
        return None;
    };
    let mut is_plain = true;
    let found = follow(&entries, path, &mut |key| {
        is_plain &= text.contains(&format!("\"{key}\""));
    })?;
    is_plain.then(|| found.clone())
}

/// The keys before the dots of `path`, under which a map may hold the rest.
pub fn outer_keys(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(dot, _)| &path[..dot])
}

fn follow<'a>(
    entries: &'a [(String, Value)],
    path: &str,
    passed: &mut dyn FnMut(&str),
) -> Option<&'a Value> {
    if let Some((key, value)) = entries.iter().find(|(key, _)| key == path) {
        passed(key);
        return Some(value);
    }
    for outer in outer_keys(path) {
        let inner = entries.iter().find_map(|(key, value)| match value {
            Value::Map(inner) if key == outer => Some(inner),
            _ => None,
        });
        if let Some(inner) = inner {
            passed(outer);
            return follow(inner, &path[outer.len() + 1..], passed);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reaches_into_maps() {
        let json = r#" {"a":{"b":{"c":1},"b.c":2},"a.x":3,"n":null,"l":[{"b":4}],"a":{"late":5},"big":18446744073709551615}"#;
        let cases = [
            ("a.b.c", Some(Value::Int(2))),
            ("a.x", Some(Value::Int(3))),
            ("n", Some(Value::Empty)),
            ("big", Some(Value::from("18446744073709551615"))),
            ("a.late", None),
            ("l.b", None),
            ("a.b.c.d", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(find_in_json(json, path), expected, "{path}");
        }
    }

    #[test]
    fn only_objects_with_plain_keys_are_read() {
        assert_eq!(find_in_json(r#"{"\u0061":1}"#, "a"), None);
        assert_eq!(find_in_json(r#"[{"a":1}]"#, "a"), None);
        assert_eq!(find_in_json(r#"{"a":1} and more"#, "a"), None);
        let deep = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
        assert_eq!(find_in_json(&deep, "a.a"), None);
    }
}
