//! How long telemetry is kept: by signal, and by rules for tenants, services and metrics.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use model::{Signal, TenantId};
use promql::matching::compile_anchored;
use regex::Regex;

use crate::catalog::SplitEntry;
use crate::split::SplitDetails;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long telemetry is kept, and how long deleted splits outlive their entry.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Logs that no rule is about.
    pub logs: Duration,
    /// Spans that no rule is about.
    pub spans: Duration,
    /// Metrics that no rule is about.
    pub metrics: Duration,
    /// The first rule that fits decides.
    pub rules: Vec<RetentionRule>,
    /// How long a deleted split's object is kept for queries that still read it; longer than
    /// [`crate::QueryConfig::timeout`].
    pub grace: Duration,
}

/// How long a part of the telemetry is kept. What is `None` fits everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// Whose.
    pub tenant: Option<TenantId>,
    /// Of which signal.
    pub signal: Option<Signal>,
    /// Of which services. Such a rule never fits metrics, whose series have no service.
    pub service: Option<ServicePattern>,
    /// Of which metrics. Such a rule fits metrics only.
    pub metric: Option<MetricPattern>,
    /// How long.
    pub keep: Duration,
}

/// Names of services: one name, or all that begin alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServicePattern {
    /// Exactly this name.
    Exact(String),
    /// Every name that begins with this: `debug-*`.
    Prefix(String),
}

impl ServicePattern {
    /// Whether `service` is one of them.
    pub fn fits(&self, service: &str) -> bool {
        match self {
            Self::Exact(name) => name == service,
            Self::Prefix(prefix) => service.starts_with(prefix),
        }
    }
}

impl FromStr for ServicePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        if text.is_empty() || name.contains('*') {
            return Err(format!(
                "expected a service such as checkout, or a beginning such as debug-*; got {text:?}"
            ));
        }
        let name = name.to_owned();
        Ok(if is_prefix {
            Self::Prefix(name)
        } else {
            Self::Exact(name)
        })
    }
}

impl fmt::Display for ServicePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// Names of metrics: a name, or a regular expression for the whole of it, as in PromQL.
#[derive(Debug, Clone)]
pub struct MetricPattern {
    text: String,
    regex: Regex,
}

impl MetricPattern {
    /// Whether `metric` is one of them.
    pub fn fits(&self, metric: &str) -> bool {
        self.regex.is_match(metric)
    }
}

impl PartialEq for MetricPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for MetricPattern {}

impl FromStr for MetricPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "expected a metric such as http_requests_total, or a regular expression such as \
                 go_.*; got nothing"
                    .to_owned(),
            );
        }
        Ok(Self {
            regex: compile_anchored(text).map_err(|error| error.to_string())?,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for MetricPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Which parts of a stream a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Service(ServicePattern),
    Metric(MetricPattern),
}

impl Part {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Service(pattern) => pattern.fits(name),
            Self::Metric(pattern) => pattern.fits(name),
        }
    }
}

impl RetentionRule {
    /// The part of a stream of `signal` that the rule is about: `None` when the rule is about none
    /// of it, and `Some(None)` when it is about all of it.
    fn part_of(&self, signal: Signal) -> Option<Option<Part>> {
        match (signal, &self.service, &self.metric) {
            (_, None, None) => Some(None),
            (Signal::Metrics, None, Some(pattern)) => Some(Some(Part::Metric(pattern.clone()))),
            (Signal::Logs | Signal::Spans, Some(pattern), None) => {
                Some(Some(Part::Service(pattern.clone())))
            }
            _ => None,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            logs: 30 * DAY,
            spans: 30 * DAY,
            metrics: 400 * DAY,
            rules: Vec::new(),
            grace: Duration::from_secs(10 * 60),
        }
    }
}

impl Retention {
    /// How long a tenant's telemetry of one signal is kept: service by service, or metric by metric.
    pub fn of(&self, tenant: &TenantId, signal: Signal) -> StreamRetention {
        let mut parts = Vec::new();
        let fitting = self.rules.iter().filter(|rule| {
            rule.tenant.as_ref().is_none_or(|other| other == tenant)
                && rule.signal.is_none_or(|other| other == signal)
        });
        for rule in fitting {
            match rule.part_of(signal) {
                None => {}
                Some(Some(part)) => parts.push((part, rule.keep)),
                Some(None) => {
                    let otherwise = rule.keep;
                    return StreamRetention { parts, otherwise };
                }
            }
        }
        let otherwise = match signal {
            Signal::Logs => self.logs,
            Signal::Spans => self.spans,
            Signal::Metrics => self.metrics,
        };
        StreamRetention { parts, otherwise }
    }

    /// How long a split is kept: as long as its longest-kept service, by the rules of today. A
    /// split of metrics is kept as long as any metric of its tenant is.
    pub fn of_split(&self, split: &SplitEntry) -> Duration {
        let stream = self.of(&split.tenant, split.signal);
        if stream.is_uniform() {
            return stream.longest();
        }
        let details = SplitDetails::of(&split.summary);
        let Some(services) = details.services else {
            return stream.longest();
        };
        let listed = services.listed.keys().map(|service| stream.of(service));
        // Services that are too many to be listed are kept as was decided when they were sealed.
        let others = (services.others > 0).then(|| {
            let sealed = details.keep_seconds.map(Duration::from_secs);
            sealed.unwrap_or_else(|| stream.longest())
        });
        listed
            .chain(others)
            .max()
            .unwrap_or_else(|| stream.longest())
    }
}

/// How long one tenant's telemetry of one signal is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamRetention {
    /// The first that fits decides.
    parts: Vec<(Part, Duration)>,
    otherwise: Duration,
}

impl StreamRetention {
    /// How long the telemetry of a service, or the samples of a metric, are kept.
    pub fn of(&self, name: &str) -> Duration {
        let mut fitting = self.parts.iter().filter(|(part, _)| part.fits(name));
        fitting.next().map_or(self.otherwise, |(_, keep)| *keep)
    }

    /// The longest that anything is kept.
    pub fn longest(&self) -> Duration {
        let parts = self.parts.iter().map(|(_, keep)| *keep);
        parts.fold(self.otherwise, Duration::max)
    }

    /// The shortest that anything is kept.
    pub fn shortest(&self) -> Duration {
        let parts = self.parts.iter().map(|(_, keep)| *keep);
        parts.fold(self.otherwise, Duration::min)
    }

    /// Whether all of it is kept alike.
    pub fn is_uniform(&self) -> bool {
        self.parts.iter().all(|(_, keep)| *keep == self.otherwise)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::head::SplitSummary;

    fn rule(tenant: &str, signal: &str, service: &str, days: u32) -> RetentionRule {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        RetentionRule {
            tenant: some(tenant).map(|tenant| tenant.parse().unwrap()),
            signal: some(signal).map(|signal| signal.parse().unwrap()),
            service: some(service).map(|service| service.parse().unwrap()),
            metric: None,
            keep: days * DAY,
        }
    }

    fn metric_rule(tenant: &str, metric: &str, days: u32) -> RetentionRule {
        RetentionRule {
            metric: Some(metric.parse().unwrap()),
            ..rule(tenant, "", "", days)
        }
    }

    fn retention() -> Retention {
        Retention {
            rules: vec![
                rule("acme", "logs", "audit", 400),
                rule("", "logs", "debug-*", 3),
                rule("acme", "", "", 90),
                rule("", "metrics", "debug-*", 1),
                rule("acme", "logs", "checkout", 1),
            ],
            ..Retention::default()
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let retention = retention();
        let cases = [
            ("acme", Signal::Logs, "audit", 400),
            ("other", Signal::Logs, "audit", 30),
            ("other", Signal::Logs, "debug-1", 3),
            ("acme", Signal::Logs, "debug-1", 3),
            ("acme", Signal::Logs, "checkout", 90),
            ("acme", Signal::Spans, "audit", 90),
            ("acme", Signal::Metrics, "", 90),
            ("other", Signal::Metrics, "debug-1", 400),
        ];
        for (tenant, signal, service, days) in cases {
            let stream = retention.of(&tenant.parse().unwrap(), signal);
            let found = stream.of(service);
            assert_eq!(found, days * DAY, "{tenant} {signal} {service}");
        }
        let longest = |tenant: &str| {
            retention
                .of(&tenant.parse().unwrap(), Signal::Logs)
                .longest()
        };
        assert_eq!((longest("acme"), longest("other")), (400 * DAY, 30 * DAY));
        assert!(
            retention
                .of(&"other".parse().unwrap(), Signal::Spans)
                .is_uniform()
        );
    }

    #[test]
    fn a_split_is_kept_as_long_as_its_longest_kept_service() {
        let split = |metadata: serde_json::Value| SplitEntry {
            id: "a".to_owned(),
            tenant: "acme".parse().unwrap(),
            signal: Signal::Logs,
            object_key: "a".to_owned(),
            size_bytes: 1,
            from_position: 0,
            to_position: 1,
            created_at: 0,
            summary: SplitSummary {
                rows: 1,
                min_time: 0,
                max_time: 0,
                metadata,
            },
        };
        let services = |listed: serde_json::Value, others: u64| json!({ "services": { "listed": listed, "others": others }, "keep_seconds": 60 });
        let cases = [
            (services(json!({ "debug-a": 1, "debug-b": 2 }), 0), 3),
            (services(json!({ "debug-a": 1, "api": 2 }), 0), 90),
            (services(json!({ "debug-a": 1 }), 7), 3),
            // A split of an earlier release does not say which services it has.
            (json!({ "blocks": 1 }), 400),
        ];
        for (metadata, days) in cases {
            let shown = metadata.to_string();
            assert_eq!(
                retention().of_split(&split(metadata)),
                days * DAY,
                "{shown}"
            );
        }
    }

    #[test]
    fn metrics_are_kept_by_name_or_expression() {
        let retention = Retention {
            rules: vec![
                metric_rule("", "go_.*|up", 7),
                metric_rule("acme", "slo:.*", 800),
                rule("acme", "metrics", "", 90),
            ],
            ..Retention::default()
        };
        let of = |tenant: &str, signal| retention.of(&tenant.parse().unwrap(), signal);
        let acme = of("acme", Signal::Metrics);
        let cases = [
            ("go_threads", 7),
            ("up", 7),
            ("ups", 90),
            ("slo:a", 800),
            ("", 90),
        ];
        for (metric, days) in cases {
            assert_eq!(acme.of(metric), days * DAY, "{metric}");
        }
        assert_eq!((acme.shortest(), acme.longest()), (7 * DAY, 800 * DAY));
        assert_eq!(of("other", Signal::Metrics).of("slo:a"), 400 * DAY);
        // Logs have no metrics.
        assert!(of("other", Signal::Logs).is_uniform());
        for text in ["", "a(", "a)|(b"] {
            assert!(text.parse::<MetricPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_are_names_or_beginnings() {
        for (text, fits, fits_not) in [
            ("api", "api", "api-2"),
            ("api*", "api-2", "ap"),
            ("*", "x", ""),
        ] {
            let pattern: ServicePattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), text);
            assert!(pattern.fits(fits), "{text}");
            assert!(text == "*" || !pattern.fits(fits_not), "{text}");
        }
        for text in ["", "a*b", "**"] {
            assert!(text.parse::<ServicePattern>().is_err(), "{text}");
        }
    }
}
