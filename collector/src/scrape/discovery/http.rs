//! Targets from a URL that answers with a list of groups in JSON:
//! <https://prometheus.io/docs/prometheus/latest/http_sd/>.

use std::time::Duration;

use axum::http::header::{ACCEPT, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::{Changes, GroupFields, TargetGroup, groups};
use crate::scrape::client::{Client, Room};
use crate::scrape::config::HttpDiscovery;

/// The largest list.
const MAX_LIST: usize = 16 << 20;
/// The longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
const REFRESH_HEADER: HeaderName = HeaderName::from_static("x-prometheus-refresh-interval-seconds");

/// Asks the URL again and again. Never ends.
pub(super) async fn run(discovery: &HttpDiscovery, changes: &Changes<'_>) {
    let client = match Client::build(&discovery.http) {
        Ok(client) => client,
        // Checked before the server started; files may have changed since.
        Err(problem) => {
            tracing::error!(job = changes.job, "HTTP discovery cannot start: {problem}");
            return;
        }
    };
    let mut sent = None;
    loop {
        match ask(&client, discovery).await {
            Ok(groups) if sent.as_ref() == Some(&groups) => {}
            Ok(groups) => {
                sent = Some(groups.clone());
                changes.send(groups).await;
            }
            Err(problem) => tracing::warn!(
                job = changes.job,
                url = discovery.shown_url,
                "HTTP discovery: {problem}; its last good targets are kept"
            ),
        }
        tokio::time::sleep(discovery.refresh.duration()).await;
    }
}

async fn ask(client: &Client, discovery: &HttpDiscovery) -> Result<Vec<TargetGroup>, String> {
    let url = Url::parse(&discovery.url.0).map_err(|err| err.to_string())?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, crate::scrape::client::NAME);
    let seconds = discovery.refresh.duration().as_secs_f64();
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        headers.insert(REFRESH_HEADER, seconds);
    }
    let room = Room::new(MAX_LIST);
    let timeout = TIMEOUT.min(discovery.refresh.duration());
    let asked = client.get(url, headers, MAX_LIST, &room);
    let answer = tokio::time::timeout(timeout, asked)
        .await
        .map_err(|_| format!("no answer within {} s", timeout.as_secs_f64()))??;
    let media_type = answer.content_type.split(';').next().unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case("application/json") {
        return Err(format!(
            "expected the content type application/json, got {:?}",
            answer.content_type
        ));
    }
    // A label is shown to everyone who asks for the targets.
    let shown_url = discovery.shown_url.clone();
    // A long list would hold up other tasks.
    let read = tokio::task::spawn_blocking(move || -> Result<Vec<TargetGroup>, String> {
        let body = answer.decompressed(MAX_LIST)?;
        let fields: Vec<GroupFields> =
            serde_json::from_slice(&body).map_err(|err| format!("the list is malformed: {err}"))?;
        Ok(groups(fields, &shown_url, "__meta_url"))
    });
    read.await
        .map_err(|err| format!("the list was not read: {err}"))?
}
