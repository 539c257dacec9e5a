//! Prometheus names for OpenTelemetry's: underscores for other characters, the unit and `_total`
//! as suffixes, as Prometheus' own OTLP receiver translates them.

use model::{Attributes, Value};

/// Units by their UCUM code, as words.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// What may follow `/` in a unit.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// What a metric is, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Ends in `_total`.
    MonotonicSum,
    /// Ends in `_ratio` when its unit is `1`.
    Gauge,
    /// Anything else: the name and the unit.
    Other,
}

/// The metric's name in Prometheus; empty when no character of it is usable.
pub(super) fn metric_name(name: &str, unit: &str, kind: Kind) -> String {
    // Runs of other characters, underscores included, become one underscore.
    let mut tokens: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric() && c != ':')
        .filter(|token| !token.is_empty())
        .map(str::to_owned)
        .collect();
    if tokens.is_empty() {
        return String::new();
    }
    append_unit(&mut tokens, unit.trim());
    let ending = match kind {
        Kind::MonotonicSum => Some("total"),
        Kind::Gauge if unit.trim() == "1" => Some("ratio"),
        _ => None,
    };
    if let Some(ending) = ending {
        tokens.retain(|token| token != ending);
        tokens.push(ending.to_owned());
    }
    let joined = tokens.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("_{joined}");
    }
    joined
}

fn append_unit(tokens: &mut Vec<String>, unit: &str) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main = unit_word(main, UNITS);
    let per = unit_word(per, PER_UNITS);
    if !main.is_empty() && !tokens.contains(&main) {
        tokens.push(main);
    }
    if !per.is_empty() && !tokens.contains(&per) {
        tokens.push("per".to_owned());
        tokens.push(per);
    }
}

/// The unit's word; empty for none and for annotations such as `{request}`.
fn unit_word(unit: &str, words: &[(&str, &str)]) -> String {
    let unit = unit.trim();
    if unit.contains(['{', '}']) {
        return String::new();
    }
    match words.iter().find(|(code, _)| *code == unit) {
        Some((_, word)) => (*word).to_owned(),
        None => underscored(unit).trim_matches('_').to_owned(),
    }
}

/// A label's name: other characters as one underscore, `key_` before a digit.
pub(super) fn label_name(key: &str) -> String {
    let name = underscored(key);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("key_{name}");
    }
    name
}

/// Runs of characters other than letters and digits as one underscore; names that Prometheus
/// reserves (`__name__`) keep both of theirs.
fn underscored(text: &str) -> String {
    if text.len() > 4 && text.starts_with("__") && text.ends_with("__") {
        return format!(
            "__{}__",
            underscored(&text[2..text.len() - 2]).trim_matches('_')
        );
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    out
}

/// Attributes as label pairs. Keys that fall together are joined by `;` in the keys' order.
pub(super) fn labels(attributes: &Attributes) -> Vec<(String, String)> {
    let mut sorted: Vec<(&str, &Value)> = attributes.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut labels: Vec<(String, String)> = Vec::with_capacity(sorted.len());
    for (key, value) in sorted {
        let name = label_name(key);
        if name.is_empty() {
            continue;
        }
        let text = value_text(value);
        match labels.iter_mut().find(|(known, _)| *known == name) {
            Some((_, joined)) => {
                joined.push(';');
                joined.push_str(&text);
            }
            None => labels.push((name, text)),
        }
    }
    labels
}

/// A value as a label's text: strings as they are, the rest as JSON writes it.
pub(super) fn value_text(value: &Value) -> String {
    match value {
        Value::Empty => String::new(),
        Value::String(text) => text.clone(),
        other => json_value(other).to_string(),
    }
}

fn json_value(value: &Value) -> serde_json::Value {
    use base64::Engine as _;
    match value {
        Value::Empty => serde_json::Value::Null,
        Value::String(text) => text.as_str().into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Double(number) => serde_json::Number::from_f64(*number)
            .map_or_else(|| number.to_string().into(), serde_json::Value::Number),
        Value::Bytes(bytes) => base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into(),
        Value::Array(elements) => elements.iter().map(json_value).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), json_value(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

/// A number as `le` and `quantile` write it: `0.005`, `1`, `+Inf`.
///
/// Prometheus' OTLP receiver writes `le="1"` where its scrapes of version 3 have `le="1.0"`
/// (`otlptranslator/prometheusremotewrite/helper.go`), and its users' queries go by that.
pub(super) fn bound_text(bound: f64) -> String {
    if bound == f64::INFINITY {
        return "+Inf".to_owned();
    }
    if bound == f64::NEG_INFINITY {
        return "-Inf".to_owned();
    }
    bound.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_follow_prometheus() {
        use Kind::{Gauge, MonotonicSum, Other};
        let cases = [
            (
                "http.server.request.duration",
                "s",
                Other,
                "http_server_request_duration_seconds",
            ),
            (
                "http.server.active_requests",
                "{request}",
                Other,
                "http_server_active_requests",
            ),
            ("system.io", "By", MonotonicSum, "system_io_bytes_total"),
            ("requests_total", "", MonotonicSum, "requests_total"),
            ("total.requests", "", MonotonicSum, "requests_total"),
            (
                "system.cpu.utilization",
                "1",
                Gauge,
                "system_cpu_utilization_ratio",
            ),
            ("system.cpu.count", "1", Other, "system_cpu_count"),
            ("speed", "km/h", Gauge, "speed_km_per_hour"),
            (
                "network.speed",
                "By/s",
                Gauge,
                "network_speed_bytes_per_second",
            ),
            ("fan.speed", "1/min", Gauge, "fan_speed_per_min"),
            ("queue.seconds", "s", Gauge, "queue_seconds"),
            ("memory", "MiBy", Gauge, "memory_mebibytes"),
            ("load", "%", Gauge, "load_percent"),
            ("2xx.count", "", Other, "_2xx_count"),
            ("a__b..c", "", Other, "a_b_c"),
            ("job:errors:rate5m", "", Other, "job:errors:rate5m"),
            ("unit.braces", "{a}/{b}", Other, "unit_braces"),
            ("...", "s", Other, ""),
        ];
        for (name, unit, kind, expected) in cases {
            assert_eq!(metric_name(name, unit, kind), expected, "{name} {unit}");
        }
    }

    #[test]
    fn label_names_and_bounds_are_canonical() {
        for (key, expected) in [
            ("http.status_code", "http_status_code"),
            ("2xx", "key_2xx"),
            ("_private", "_private"),
            ("a..b", "a_b"),
            ("__meta__", "__meta__"),
            ("täg", "t_g"),
        ] {
            assert_eq!(label_name(key), expected);
        }
        for (bound, expected) in [
            (0.005, "0.005"),
            (1.0, "1"),
            (2.5, "2.5"),
            (1e21, "1000000000000000000000"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(bound_text(bound), expected);
        }
    }

    #[test]
    fn keys_that_fall_together_are_joined() {
        let attributes: Attributes = [("a.b", "2"), ("a-b", "1"), ("c", "3")]
            .into_iter()
            .collect();
        assert_eq!(
            labels(&attributes),
            [
                ("a_b".to_owned(), "1;2".to_owned()),
                ("c".to_owned(), "3".to_owned())
            ]
        );
    }
}
