//! Webhooks in Alertmanager's form, version 4.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::state_store::{NotifiedAlert, OutboxEntry};

use super::config::WebhookConfig;
use super::links;
use super::message::Message;
use super::sender::{Attempt, Failure};

/// How long a receiver may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer to an unsuccessful request goes into the error.
const MAX_REASON: usize = 300;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    receiver: &'a str,
    status: &'static str,
    alerts: Vec<Alert<'a>>,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'a str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    status: &'static str,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
    fingerprint: String,
}

/// Posts `entry`, a message to `receiver`.
pub(crate) async fn send(
    config: &WebhookConfig,
    receiver: &str,
    entry: &OutboxEntry,
    external_url: &str,
) -> Attempt {
    let url = match config.url.read().await {
        Ok(url) => url,
        Err(message) => return Attempt::failed(Failure::temporary(message)),
    };
    let body = body(config, receiver, entry, external_url);
    // Made per message: messages are rare, and the TLS set-up is then checked where it is used.
    let client = match reqwest::Client::builder().timeout(TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return Attempt::failed(Failure::temporary(error.to_string())),
    };
    let answer = client
        .post(url)
        .json(&body)
        .send()
        .await
        // The URL may hold a secret.
        .map_err(reqwest::Error::without_url);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Attempt::failed(Failure::temporary(error.to_string())),
    };
    let status = answer.status();
    if status.is_success() {
        return Attempt::default();
    }
    let retry_after = answer
        .headers()
        .get(reqwest::header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.trim().parse().ok())
        .map(Duration::from_secs);
    let reason: String = answer
        .text()
        .await
        .unwrap_or_default()
        .chars()
        .take(MAX_REASON)
        .collect();
    let message = format!("the receiver answered {status}: {reason}");
    let again = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
    Attempt::failed(if again {
        Failure::Temporary {
            message,
            retry_after,
        }
    } else {
        Failure::Permanent(message)
    })
}

fn body<'a>(
    config: &WebhookConfig,
    receiver: &'a str,
    entry: &'a OutboxEntry,
    external_url: &'a str,
) -> serde_json::Value {
    let message = Message::new(entry);
    let all = entry.alerts.len();
    let shown = match config.max_alerts {
        0 => all,
        most => most.min(all),
    };
    let body = Body {
        receiver,
        status: message.status(),
        alerts: entry.alerts[..shown]
            .iter()
            .map(|one| alert(one, external_url))
            .collect(),
        group_labels: entry.group_labels.iter().collect(),
        common_labels: message.common_labels.iter().collect(),
        common_annotations: message.common_annotations.iter().collect(),
        external_url,
        version: "4",
        group_key: &entry.group_key,
        truncated_alerts: all - shown,
    };
    serde_json::to_value(&body).unwrap_or(serde_json::Value::Null)
}

fn alert<'a>(alert: &'a NotifiedAlert, external_url: &str) -> Alert<'a> {
    Alert {
        status: match alert.resolved_at {
            Some(_) => "resolved",
            None => "firing",
        },
        labels: alert.labels.iter().collect(),
        annotations: alert.annotations.iter().collect(),
        starts_at: links::format_time(alert.fired_at),
        ends_at: match alert.resolved_at {
            Some(at) => links::format_time(at),
            None => "0001-01-01T00:00:00Z".to_owned(),
        },
        generator_url: format!("{}/ui/alerts", external_url.trim_end_matches('/')),
        fingerprint: format!("{:016x}", alert.labels.fingerprint()),
    }
}
