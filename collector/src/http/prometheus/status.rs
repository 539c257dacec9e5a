//! `status/…`: what the server says about itself in Prometheus' words, and `alertmanagers`.

use std::thread::available_parallelism;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use model::time::{NANOS_PER_MILLI, format_duration, format_instant};
use promql::EvalOptions;
use serde_json::{Value, json};
use store::{Cardinality, CardinalityOptions, Readiness};
use tokio::runtime::Handle;

use super::answer::success;
use super::error::PromError;
use super::lookup::selectors;
use super::time;
use crate::app::{App, tenant};
use crate::clock;
use crate::http::params::{Params, invalid};
use crate::scrape::config::Job;

/// The most entries of a list in `status/tsdb`, and how many it has when the request does not say.
const MOST_ENTRIES: usize = 10_000;
const ENTRIES: usize = 10;

/// `status/buildinfo`. Without `features`, which would make Grafana take us for Mimir.
pub(super) async fn buildinfo() -> Result<Response, PromError> {
    success(&json!({
        // The Prometheus release whose query API is served; Grafana enables features by it.
        "version": "3.5.0",
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": concat!("watchkeeper ", env!("CARGO_PKG_VERSION")),
    }))
}

/// `status/runtimeinfo`. Tasks stand for goroutines, threads for processors.
pub(super) async fn runtimeinfo(State(app): State<App>) -> Result<Response, PromError> {
    let directory = std::env::current_dir().unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let started = format_instant(app.started);
    success(&json!({
        "startTime": started,
        "CWD": directory.to_string_lossy(),
        "hostname": host.trim(),
        "serverTime": format_instant(clock::now()),
        "reloadConfigSuccess": true,
        "lastConfigTime": started,
        "corruptionCount": 0,
        "goroutineCount": Handle::current().metrics().num_alive_tasks(),
        "GOMAXPROCS": available_parallelism().map_or(1, usize::from),
        "GOMEMLIMIT": app.config.store.memory_bytes,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": duration(app.config.store.retention.metrics),
    }))
}

/// `status/flags`: those of Prometheus' flags that have a counterpart here.
pub(super) async fn flags(State(app): State<App>) -> Result<Response, PromError> {
    let config = &app.config;
    let options = EvalOptions::default();
    let lookback = options.lookback_ms.saturating_mul(NANOS_PER_MILLI);
    success(&json!({
        "query.lookback-delta": format_duration(lookback),
        "query.max-concurrency": config.limits.concurrent_queries.to_string(),
        "query.max-samples": options.limits.max_samples.to_string(),
        "query.timeout": duration(config.limits.query_timeout),
        "storage.tsdb.path": config.store.data_dir.to_string_lossy(),
        "storage.tsdb.retention.time": duration(config.store.retention.metrics),
        "web.enable-remote-write-receiver": "true",
        "web.external-url": config.external_url.as_deref().unwrap_or_default(),
        "web.listen-address": config.http.to_string(),
    }))
}

/// `status/config`: what of the configuration has a place in Prometheus' file, with the tenant's
/// jobs.
pub(super) async fn config(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<Response, PromError> {
    let tenant = tenant(&headers)?;
    let interval = duration(app.config.evaluation_interval);
    let mut yaml = format!("global:\n  evaluation_interval: {interval}\n");
    if !app.config.rules.is_empty() {
        yaml.push_str("rule_files:\n");
    }
    for path in &app.config.rules {
        // A JSON string is a YAML string.
        let quoted = Value::from(path.to_string_lossy());
        yaml.push_str(&format!("  - {quoted}\n"));
    }
    let jobs = app.config.scrape.jobs.iter();
    yaml.push_str(&scrape_configs(jobs.filter(|job| job.tenant == tenant)));
    success(&json!({ "yaml": yaml }))
}

/// `scrape_configs` with a line for each field, whose value is JSON, which is YAML.
fn scrape_configs<'a>(jobs: impl Iterator<Item = &'a Job>) -> String {
    let mut yaml = String::new();
    for job in jobs {
        if yaml.is_empty() {
            yaml.push_str("scrape_configs:\n");
        }
        for (index, (name, value)) in job.shown().into_iter().enumerate() {
            let bullet = if index == 0 { '-' } else { ' ' };
            yaml.push_str(&format!("  {bullet} {name}: {value}\n"));
        }
    }
    yaml
}

/// `status/walreplay`: how far the ingest log is replayed; answered before the server is ready.
pub(super) async fn walreplay(State(app): State<App>) -> Result<Response, PromError> {
    let (current, last) = match app.store.ready() {
        Readiness::Ready => (0, 0),
        Readiness::Replaying { position, last, .. } => (position, last),
        failed @ Readiness::Failed(_) => return Err(PromError::not_ready(&failed.to_string())),
    };
    success(&json!({"min": 0, "max": last, "current": current}))
}

/// `status/tsdb`: how many series there are, and which metrics and labels make them.
///
/// Beside Prometheus' parameter `limit` it takes one `match[]`, and `start` and `end`; without
/// them it looks at the last two hours.
pub(super) async fn tsdb(State(app): State<App>, request: Request) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let options = cardinality_options(&params, clock::now_ms())?;
    PromError::check_ready(&app.store)?;
    let counted = app.store.cardinality(&tenant, options);
    success(&cardinality(&app.queries.run(None, counted).await??))
}

fn cardinality_options(params: &Params, now_ms: i64) -> Result<CardinalityOptions, PromError> {
    let mut options = CardinalityOptions::at(now_ms);
    options.limit = params.count("limit")?.unwrap_or(ENTRIES);
    if !(1..=MOST_ENTRIES).contains(&options.limit) {
        let message = format!("expected 1 to {MOST_ENTRIES}, got {}", options.limit);
        return Err(invalid("limit", message).into());
    }
    let mut selectors = selectors(params)?;
    if selectors.len() > 1 {
        return Err(invalid("match[]", "expected one selector, got several").into());
    }
    options.matchers = selectors.pop().unwrap_or_default();
    let (start, end) = (
        time::instant(params, "start")?,
        time::instant(params, "end")?,
    );
    if start.is_none() && end.is_none() {
        return Ok(options);
    }
    let span_ms = now_ms.saturating_sub(options.window.after_ms);
    let end = end.unwrap_or(now_ms);
    let start = start.unwrap_or(end.saturating_sub(span_ms));
    if end < start {
        return Err(invalid("end", "the end lies before the start").into());
    }
    options.window = time::window(start, end);
    options.new_after_ms = start.saturating_add(end.saturating_sub(start) / 2);
    Ok(options)
}

/// Prometheus' form, and beside it the same lists by new series: what churns.
fn cardinality(found: &Cardinality) -> Value {
    let list = |entries: Vec<(String, u64)>| -> Value {
        let entries = entries.into_iter();
        entries
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect()
    };
    let (first, last) = found.times_ms.unwrap_or((0, 0));
    let metrics = found.metrics.iter();
    let metrics_by_churn = found.metrics_by_churn.iter();
    let by_values = found.labels_by_values.iter();
    let by_bytes = found.labels_by_bytes.iter();
    let by_churn = found.labels_by_churn.iter();
    let pair = |name: &str, value: &str| format!("{name}={value}");
    let pairs = found.pairs.iter();
    let pairs_by_churn = found.pairs_by_churn.iter();
    json!({
        "headStats": {
            "numSeries": found.series,
            "numNewSeries": found.new_series,
            "numLabelPairs": found.label_pairs,
            "chunkCount": found.chunks,
            "minTime": first,
            "maxTime": last,
        },
        "seriesCountByMetricName":
            list(metrics.map(|one| (one.name.clone(), one.series)).collect()),
        "labelValueCountByLabelName":
            list(by_values.map(|one| (one.name.clone(), one.values)).collect()),
        "memoryInBytesByLabelName":
            list(by_bytes.map(|one| (one.name.clone(), one.bytes)).collect()),
        "seriesCountByLabelValuePair":
            list(pairs.map(|one| (pair(&one.name, &one.value), one.series)).collect()),
        "newSeriesCountByMetricName":
            list(metrics_by_churn.map(|one| (one.name.clone(), one.new_series)).collect()),
        "newLabelValueCountByLabelName":
            list(by_churn.map(|one| (one.name.clone(), one.new_values)).collect()),
        "newSeriesCountByLabelValuePair": list(
            pairs_by_churn
                .map(|one| (pair(&one.name, &one.value), one.new_series))
                .collect(),
        ),
    })
}

/// `alertmanagers`: none, for alerts are routed and sent from here.
pub(super) async fn alertmanagers() -> Result<Response, PromError> {
    success(&json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}))
}

fn duration(duration: Duration) -> String {
    format_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}
