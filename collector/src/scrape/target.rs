//! A target: what discovery says of it, what relabelling makes of that, and when it is scraped.
//!
//! Pure. Labels that begin with `__` steer the scrape and are not part of the target's series.

use std::fmt;

use model::Labels;
use reqwest::Url;

use super::config::{Interval, Job};
use super::relabel;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const RESERVED: &str = "__";

/// A target that is scraped.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// The labels of its series.
    pub(crate) labels: Labels,
    pub(crate) url: Url,
    pub(crate) interval: Interval,
    pub(crate) timeout: Interval,
}

/// What becomes of a discovered target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Resolved {
    Active(Box<Target>),
    /// Relabelling drops it.
    Dropped,
    /// It cannot be scraped, and why.
    Invalid(String),
}

/// What makes two targets the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetKey(String, Labels, Interval, Interval);

impl Target {
    pub(crate) fn key(&self) -> TargetKey {
        TargetKey(
            self.url.to_string(),
            self.labels.clone(),
            self.interval,
            self.timeout,
        )
    }

    /// When it is scraped. Targets of one interval are spread over it by what they are, so a
    /// target keeps its moment over restarts.
    pub(crate) fn schedule(&self) -> Schedule {
        let identity = self.labels.with("__url__", self.url.as_str());
        Schedule::new(self.interval, identity.fingerprint())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)
    }
}

/// What discovery says of a target, and what the job says where that says nothing: the labels
/// that relabelling begins with.
pub(crate) fn discovered(job: &Job, found: &Labels) -> Labels {
    let defaults = [
        ("job", job.name.clone()),
        (INTERVAL, job.interval.to_string()),
        (TIMEOUT, job.timeout.to_string()),
        (METRICS_PATH, job.metrics_path.clone()),
        (SCHEME, job.scheme.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let params = job
        .params
        .iter()
        .filter_map(|(name, values)| Some((format!("{PARAM}{name}"), values.first()?.clone())));
    let own = found
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Of equal names the last one wins.
    Labels::new(defaults.into_iter().chain(params).chain(own))
}

/// The target that `discovered` labels describe.
pub(crate) fn resolve(job: &Job, discovered: &Labels) -> Resolved {
    let Some(labels) = relabel::apply(&job.relabel, discovered.clone()) else {
        return Resolved::Dropped;
    };
    match target(job, &labels) {
        Ok(target) => Resolved::Active(Box::new(target)),
        Err(message) => Resolved::Invalid(message),
    }
}

fn target(job: &Job, labels: &Labels) -> Result<Target, String> {
    let address = labels.get(ADDRESS).ok_or("no address")?;
    let interval = length(labels, INTERVAL, job.interval)?;
    let timeout = length(labels, TIMEOUT, job.timeout)?;
    if timeout > interval {
        return Err(format!(
            "its scrape timeout {timeout} is longer than its scrape interval {interval}"
        ));
    }
    let public = labels.filter(|name| !name.starts_with(RESERVED));
    let labels_with_instance = match public.get("instance") {
        Some(_) => public,
        None => public.with("instance", address),
    };
    Ok(Target {
        url: url(job, labels, address)?,
        labels: labels_with_instance,
        interval,
        timeout,
    })
}

fn length(labels: &Labels, name: &str, default: Interval) -> Result<Interval, String> {
    let Some(text) = labels.get(name) else {
        return Ok(default);
    };
    let length = Interval::parse(text).map_err(|err| format!("{name}: {err}"))?;
    match length.is_zero() {
        true => Err(format!("{name} must not be 0")),
        false => Ok(length),
    }
}

fn url(job: &Job, labels: &Labels, address: &str) -> Result<Url, String> {
    let bad = || format!("{address:?} is no address; expected host or host:port");
    if address.contains(['/', '?', '#', '@', '\\', ' ']) {
        return Err(bad());
    }
    let scheme = labels.get(SCHEME).unwrap_or("http");
    if !matches!(scheme, "http" | "https") {
        return Err(format!("scheme {scheme:?} is neither http nor https"));
    }
    let mut url = Url::parse(&format!("{scheme}://{address}/")).map_err(|_| bad())?;
    url.set_path(labels.get(METRICS_PATH).unwrap_or_default());
    let mut params = job.params.clone();
    for (name, value) in labels.iter() {
        let Some(param) = name.strip_prefix(PARAM) else {
            continue;
        };
        let values = params.entry(param.to_owned()).or_default();
        match values.first_mut() {
            Some(first) => value.clone_into(first),
            None => values.push(value.to_owned()),
        }
    }
    if params.values().any(|values| !values.is_empty()) {
        let mut query = url.query_pairs_mut();
        for (name, values) in &params {
            for value in values {
                query.append_pair(name, value);
            }
        }
    }
    Ok(url)
}

/// The moments at which something is done: every `interval`, at its own offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
}

/// How late a scrape may begin and still count as begun at its moment. Times at equal distances
/// take less room than others.
const TOLERANCE_MS: i64 = 2;

impl Schedule {
    pub(crate) fn new(interval: Interval, hash: u64) -> Self {
        let interval_ms = interval.millis();
        Self {
            interval_ms,
            // Below the interval, which is an i64.
            offset_ms: (hash % interval_ms.unsigned_abs()) as i64,
        }
    }

    /// The first moment after `after_ms`, Unix ms.
    pub(crate) fn next(&self, after_ms: i64) -> i64 {
        let into = (after_ms - self.offset_ms).rem_euclid(self.interval_ms);
        after_ms - into + self.interval_ms
    }

    /// The moment after `done_ms`, seen from `now_ms`: those that were missed are left out, and a
    /// clock that was set back does not stop the scrapes.
    pub(crate) fn following(&self, done_ms: i64, now_ms: i64) -> i64 {
        let next = self.next(now_ms);
        // The clock may stand a little before the moment that was just done.
        match next == done_ms {
            true => done_ms + self.interval_ms,
            false => next,
        }
    }

    /// The time of a scrape that was due at `due_ms` and begins at `now_ms`.
    pub(crate) fn time_of(&self, due_ms: i64, now_ms: i64) -> i64 {
        let tolerance = TOLERANCE_MS.min(self.interval_ms / 100);
        match (now_ms - due_ms).abs() <= tolerance {
            true => due_ms,
            false => now_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::config::Written;

    fn job(yaml: &str) -> Job {
        let written = Written {
            jobs: vec![serde_saphyr::from_str(yaml).unwrap()],
            ..Written::default()
        };
        written.check(None).unwrap().jobs.remove(0)
    }

    fn resolved(yaml: &str, found: &[(&str, &str)]) -> Resolved {
        let job = job(yaml);
        let found = found.iter().copied().collect();
        resolve(&job, &discovered(&job, &found))
    }

    /// The URL and the labels of an active target.
    fn active(yaml: &str, found: &[(&str, &str)]) -> (String, String) {
        match resolved(yaml, found) {
            Resolved::Active(target) => (target.url.to_string(), target.labels.to_string()),
            other => panic!("{yaml}: {other:?}"),
        }
    }

    #[test]
    fn a_target_has_its_jobs_defaults() {
        let discovered = discovered(
            &job("{job_name: j, params: {a: [x, y]}, metrics_path: /m}"),
            &Labels::new([
                ("__address__", "h:1"),
                ("__meta_x", "y"),
                ("__scheme__", "https"),
            ]),
        );
        assert_eq!(
            discovered.to_string(),
            "{__address__=\"h:1\", __meta_x=\"y\", __metrics_path__=\"/m\", __param_a=\"x\", \
             __scheme__=\"https\", __scrape_interval__=\"1m\", __scrape_timeout__=\"10s\", job=\"j\"}"
        );
        let (url, labels) = active(
            "{job_name: j, params: {a: [x, y], b: ['&']}}",
            &[("__address__", "h:1"), ("__meta_x", "y")],
        );
        assert_eq!(url, "http://h:1/metrics?a=x&a=y&b=%26");
        assert_eq!(labels, "{instance=\"h:1\", job=\"j\"}");
    }

    #[test]
    fn relabelling_steers_the_scrape() {
        let rules = "[{source_labels: [__meta_path], target_label: __metrics_path__}, \
                      {source_labels: [__address__], target_label: __param_target}, \
                      {target_label: __address__, replacement: 'probe:9115'}, \
                      {target_label: __scheme__, replacement: https}, \
                      {target_label: __scrape_interval__, replacement: 5s}, \
                      {target_label: __scrape_timeout__, replacement: 2s}, \
                      {target_label: instance, replacement: i}, {target_label: __tmp, replacement: x}]";
        let yaml = format!("{{job_name: j, params: {{module: [m]}}, relabel_configs: {rules}}}");
        let found = [("__address__", "[::1]:80"), ("__meta_path", "probe")];
        let Resolved::Active(target) = resolved(&yaml, &found) else {
            panic!("not active");
        };
        assert_eq!(
            target.url.as_str(),
            "https://probe:9115/probe?module=m&target=%5B%3A%3A1%5D%3A80"
        );
        assert_eq!(target.labels.to_string(), "{instance=\"i\", job=\"j\"}");
        assert_eq!(target.interval, Interval::from_secs(5));
        assert_eq!(target.timeout, Interval::from_secs(2));
    }

    #[test]
    fn what_cannot_be_scraped_says_why() {
        let drop = "{job_name: j, relabel_configs: [{source_labels: [a], regex: b, action: drop}]}";
        assert_eq!(
            resolved(drop, &[("__address__", "h"), ("a", "b")]),
            Resolved::Dropped
        );
        for (found, expected) in [
            (("a", "b"), "no address"),
            (
                ("__address__", "h/x"),
                "\"h/x\" is no address; expected host or host:port",
            ),
            (
                ("__address__", "h:x"),
                "\"h:x\" is no address; expected host or host:port",
            ),
        ] {
            let resolved = resolved("{job_name: j}", &[found]);
            assert_eq!(resolved, Resolved::Invalid(expected.to_owned()));
        }
        for (label, value, expected) in [
            (
                "__scheme__",
                "ftp",
                "scheme \"ftp\" is neither http nor https",
            ),
            (
                "__scrape_interval__",
                "0s",
                "__scrape_interval__ must not be 0",
            ),
            (
                "__scrape_interval__",
                "5s",
                "its scrape timeout 10s is longer than its scrape interval 5s",
            ),
        ] {
            let found = [("__address__", "h"), (label, value)];
            let resolved = resolved("{job_name: j}", &found);
            assert_eq!(resolved, Resolved::Invalid(expected.to_owned()));
        }
    }

    #[test]
    fn moments_are_an_interval_apart() {
        let schedule = Schedule::new(Interval::from_secs(10), 12_003);
        assert_eq!(schedule.next(0), 2_003);
        assert_eq!(schedule.next(2_002), 2_003);
        assert_eq!(schedule.next(2_003), 12_003);
        assert_eq!(schedule.next(-8_000), -7_997);
        // Late by some moments, early by a millisecond, set back by an hour.
        assert_eq!(schedule.following(2_003, 35_000), 42_003);
        assert_eq!(schedule.following(12_003, 12_002), 22_003);
        assert_eq!(schedule.following(3_612_003, 12_100), 22_003);
    }

    #[test]
    fn a_scrape_that_begins_in_time_has_its_moments_time() {
        let schedule = Schedule::new(Interval::from_secs(10), 0);
        assert_eq!(schedule.time_of(10_000, 10_002), 10_000);
        assert_eq!(schedule.time_of(10_000, 10_003), 10_003);
        let fast = Schedule::new(Interval::parse("100ms").unwrap(), 0);
        assert_eq!(fast.time_of(1_000, 1_002), 1_002);
    }
}
