//! `targets` and `scrape_pools`, from the scraper's memory.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use model::{Labels, time};
use serde::Serialize;
use serde_json::json;

use super::answer::success;
use super::error::PromError;
use crate::app::{App, tenant};
use crate::http::params::{Params, invalid};
use crate::scrape::TargetView;

/// What Prometheus says of a time that has not come yet.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<ActiveTarget>,
    dropped_targets: Vec<DroppedTarget>,
    /// `null` when dropped targets were not asked for.
    dropped_target_counts: Option<BTreeMap<String, usize>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget {
    discovered_labels: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedTarget {
    discovered_labels: BTreeMap<String, String>,
    scrape_pool: String,
}

/// `targets`: what is scraped and how that goes; `state` is `active`, `dropped` or `any`.
pub(super) async fn targets(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let (active, dropped) = match params.get("state") {
        None | Some("any") => (true, true),
        Some("active") => (true, false),
        Some("dropped") => (false, true),
        Some(other) => {
            let message = format!("expected active, dropped or any, got {other:?}");
            return Err(invalid("state", message).into());
        }
    };
    let wanted = params.get("scrapePool");
    let mut targets = Targets {
        active_targets: Vec::new(),
        dropped_targets: Vec::new(),
        dropped_target_counts: dropped.then(BTreeMap::new),
    };
    for pool in app.scraper.pools(&tenant(&headers)?) {
        if wanted.is_some_and(|wanted| wanted != pool.name) {
            continue;
        }
        if active {
            let shown = pool
                .active()
                .into_iter()
                .map(|view| active_target(view, &pool.name, app.config.external_url.as_deref()));
            targets.active_targets.extend(shown);
        }
        if let Some(counts) = &mut targets.dropped_target_counts {
            let (kept, count) = pool.dropped();
            counts.insert(pool.name.clone(), count);
            targets
                .dropped_targets
                .extend(kept.iter().map(|labels| DroppedTarget {
                    discovered_labels: map(labels),
                    scrape_pool: pool.name.clone(),
                }));
        }
    }
    success(&targets)
}

/// `scrape_pools`: the jobs' names.
pub(super) async fn scrape_pools(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, _params) = Params::read(request).await?;
    let pools = app.scraper.pools(&tenant(&headers)?);
    let names: Vec<&str> = pools.iter().map(|pool| pool.name.as_str()).collect();
    success(&json!({ "scrapePools": names }))
}

fn active_target(view: TargetView, pool: &str, external_url: Option<&str>) -> ActiveTarget {
    let TargetView {
        target,
        discovered,
        last,
    } = view;
    ActiveTarget {
        discovered_labels: map(&discovered),
        labels: map(&target.labels),
        scrape_pool: pool.to_owned(),
        scrape_url: target.url.to_string(),
        global_url: global_url(&target.url, external_url),
        last_error: last.error,
        last_scrape: match last.at_ms {
            Some(at_ms) => time::format_instant(at_ms.saturating_mul(time::NANOS_PER_MILLI)),
            None => NEVER.to_owned(),
        },
        last_scrape_duration: last.took.as_secs_f64(),
        health: last.health.as_str(),
        scrape_interval: target.interval.to_string(),
        scrape_timeout: target.timeout.to_string(),
    }
}

fn map(labels: &Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The URL as others reach it: this machine under the name that the server has for them.
fn global_url(url: &reqwest::Url, external_url: Option<&str>) -> String {
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let external = external_url.and_then(|text| reqwest::Url::parse(text).ok());
    let mut global = url.clone();
    if let Some(external) = external.filter(|_| is_here)
        && global.set_host(external.host_str()).is_err()
    {
        return url.to_string();
    }
    global.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_name_for_others() {
        for (url, external, expected) in [
            (
                "http://127.0.0.1:90/m?a=b",
                Some("https://w.example.org/x"),
                "http://w.example.org:90/m?a=b",
            ),
            (
                "http://[::1]:90/m",
                Some("https://w.example.org"),
                "http://w.example.org:90/m",
            ),
            (
                "http://h:90/m",
                Some("https://w.example.org"),
                "http://h:90/m",
            ),
            ("http://localhost:90/m", None, "http://localhost:90/m"),
        ] {
            let url = reqwest::Url::parse(url).unwrap();
            assert_eq!(global_url(&url, external), expected);
        }
    }
}
