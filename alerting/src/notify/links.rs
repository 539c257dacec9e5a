//! Links from a message into the web page, with absolute times.

use model::time::{NANOS_PER_MILLI, format_instant};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::state_store::NotifiedAlert;

/// What may stand in a query string as it is.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The labels that name the service an alert is about, the best first.
const SERVICE_LABELS: [&str; 3] = ["service", "service_name", "sloth_service"];

/// The link to the logs of `alert`: from its start less the longest window its rule looks back
/// on, to its end or, while it fires, `now` (Unix ms).
pub(crate) fn logs(external_url: &str, alert: &NotifiedAlert, now: i64) -> String {
    let from = alert.active_at.saturating_sub(alert.window_ms);
    let to = alert.resolved_at.unwrap_or(now);
    let encode = |text: &str| utf8_percent_encode(text, QUERY_VALUE).to_string();
    format!(
        "{}/ui/logs?q={}&from={}&to={}",
        external_url.trim_end_matches('/'),
        encode(&logs_query(alert)),
        encode(&format_time(from)),
        encode(&format_time(to)),
    )
}

/// The annotation `logs_query`, else the errors of the alert's service.
fn logs_query(alert: &NotifiedAlert) -> String {
    if let Some(query) = alert.annotations.get("logs_query") {
        return query.to_owned();
    }
    let named = SERVICE_LABELS
        .into_iter()
        .find_map(|name| alert.labels.get(name));
    // Of telemetry by OTLP, `job` is service.namespace/service.name.
    let of_job = || alert.labels.get("job")?.rsplit('/').next();
    match named.or_else(of_job) {
        Some(service) => format!("service:{} AND severity:>=error", quoted(service)),
        None => "severity:>=error".to_owned(),
    }
}

/// A search value, quoted when it is not plainly a word.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if value.chars().all(plain) {
        return value.to_owned();
    }
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// RFC 3339 with milliseconds: `2026-11-21T03:40:00.000Z`.
pub(crate) fn format_time(at: i64) -> String {
    let text = format_instant(at.saturating_mul(NANOS_PER_MILLI));
    match text.split_once('.') {
        Some((seconds, nanos)) if nanos.len() >= 3 => format!("{seconds}.{}Z", &nanos[..3]),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Labels;

    fn alert(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> NotifiedAlert {
        NotifiedAlert {
            labels: Labels::new(labels.iter().copied()),
            annotations: Labels::new(annotations.iter().copied()),
            value: 1.0,
            active_at: 1_795_232_400_000,
            fired_at: 1_795_232_415_000,
            resolved_at: None,
            window_ms: 3_600_000,
            query: "up == 0".to_owned(),
        }
    }

    #[test]
    fn the_link_covers_the_longest_window_before_the_alert() {
        let link = logs(
            "http://h:1/",
            &alert(&[("service", "task-api")], &[]),
            1_795_232_500_000,
        );
        assert_eq!(
            link,
            "http://h:1/ui/logs?q=service%3Atask-api%20AND%20severity%3A%3E%3Derror\
             &from=2026-11-21T02%3A40%3A00.000Z&to=2026-11-21T03%3A41%3A40.000Z"
        );
    }

    #[test]
    fn the_query_is_the_authors_else_the_services_errors() {
        let cases: [(&[_], &[_], &str); 5] = [
            (
                &[("service", "a b")],
                &[],
                "service:\"a b\" AND severity:>=error",
            ),
            (
                &[("job", "x"), ("service_name", "y")],
                &[],
                "service:y AND severity:>=error",
            ),
            (
                &[("job", "shop/task-api")],
                &[],
                "service:task-api AND severity:>=error",
            ),
            (&[], &[], "severity:>=error"),
            (
                &[("service", "a")],
                &[("logs_query", "status:500")],
                "status:500",
            ),
        ];
        for (labels, annotations, expected) in cases {
            assert_eq!(logs_query(&alert(labels, annotations)), expected);
        }
    }
}
