//! The server's configuration: file, environment and flags, merged and checked before a port
//! opens.

mod file;
mod units;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alerting::AlertingConfig;
use model::{Labels, TenantId};
use store::StoreConfig;
use tracing_subscriber::EnvFilter;

pub(crate) use file::{Settings, parse_yaml};
pub(crate) use units::Secret;

use crate::cli::ServeArgs;
use crate::scrape::config::Checked;

/// The file that is read when `--config` names none.
const DEFAULT_FILE: &str = "watchkeeper.yaml";

/// Everything the server needs to know, checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where the HTTP port listens; port 0 picks a free one.
    pub(crate) http: SocketAddr,
    /// Where OTLP over gRPC listens.
    pub(crate) otlp_grpc: SocketAddr,
    /// Where OTLP over HTTP listens.
    pub(crate) otlp_http: SocketAddr,
    /// Where syslog is received.
    pub(crate) syslog: SyslogConfig,
    /// The base of links, without a trailing slash; `None` means the HTTP address.
    pub(crate) external_url: Option<String>,
    /// Bounds of requests.
    pub(crate) limits: Limits,
    /// What the store is opened with.
    pub(crate) store: StoreConfig,
    /// Rule files.
    pub(crate) rules: Vec<PathBuf>,
    /// SLO files.
    pub(crate) slos: Vec<PathBuf>,
    /// Routes and receivers.
    pub(crate) notify: Option<PathBuf>,
    /// How often rule groups without an interval are evaluated.
    pub(crate) evaluation_interval: Duration,
    /// What is scraped.
    pub(crate) scrape: Checked,
    /// Which of the server's own log lines are printed, in `tracing`'s filter syntax.
    pub(crate) log_filter: String,
}

/// Where syslog is received, and how it is read.
#[derive(Debug, Clone)]
pub(crate) struct SyslogConfig {
    /// Where it is received over TCP, if at all.
    pub(crate) tcp: Option<SocketAddr>,
    /// Where it is received over UDP, if at all.
    pub(crate) udp: Option<SocketAddr>,
    /// Whose logs the messages are.
    pub(crate) tenant: TenantId,
    /// Seconds ahead of UTC of times that name no zone.
    pub(crate) utc_offset: i32,
}

/// Bounds of one request, and of all of them together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// A request's body as sent, bytes.
    pub(crate) body: usize,
    /// A request's body decompressed, bytes.
    pub(crate) decompressed_body: usize,
    /// Bodies of requests in flight together, bytes.
    pub(crate) bodies_in_flight: usize,
    /// The longest a query may run.
    pub(crate) query_timeout: Duration,
    /// Memory of one query, bytes.
    pub(crate) query_memory: usize,
    /// Queries that run at the same time; more wait.
    pub(crate) concurrent_queries: usize,
    /// How long requests in flight may take to end when the server stops.
    pub(crate) drain: Duration,
}

/// Why there is no configuration. Each message says where: file:line:column, variable or flag.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("read configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is no valid configuration.
    #[error("{}:{line}:{column}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong there.
        message: String,
    },
    /// An environment variable cannot be used.
    #[error("environment variable {name}: {message}")]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A value that makes no sense.
    #[error("{field}: {message}")]
    Value {
        /// The field's path, such as `retention.logs`.
        field: &'static str,
        /// What is wrong with its value.
        message: String,
    },
}

impl Config {
    /// Merges flags over `environment` over the file, and checks everything.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub(crate) fn load(
        args: &ServeArgs,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = match &args.config {
            Some(path) => Settings::read(path)?,
            None if PathBuf::from(DEFAULT_FILE).exists() => Settings::read(DEFAULT_FILE.as_ref())?,
            None => Settings::default(),
        };
        settings.overlay(Settings::from_environment(environment)?);
        settings.overlay(Settings::from_flags(args));
        Self::check(settings)
    }

    /// Reads and checks the file at `path` alone.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::check(Settings::read(path)?)
    }

    /// What alerts are made of; `external_url` is the base of their links.
    pub(crate) fn alerting(&self, external_url: String) -> AlertingConfig {
        AlertingConfig {
            rule_files: self.rules.clone(),
            slo_files: self.slos.clone(),
            notification_file: self.notify.clone(),
            external_url,
            external_labels: Labels::empty(),
            evaluation_interval: self.evaluation_interval,
        }
    }

    fn check(mut settings: Settings) -> Result<Self, ConfigError> {
        let (scraping, origin) = settings.scraping();
        let scrape = scraping.check(origin)?;
        let open_to_all = settings.auth.is_some();
        let address = |field: &'static str, text: Option<String>, default: &str| {
            listen_address(field, text.as_deref().unwrap_or(default), open_to_all)
        };
        let mut store = StoreConfig::new(settings.data_dir.unwrap_or_else(|| "./data".into()));
        store.database_url = settings.database_url.map(|url| url.0);
        if let Some(memory) = settings.memory {
            store.memory_bytes = memory.at_least("memory", 32 << 20)?;
        }
        if let Some(bytes) = settings.storage.max_bytes {
            let max = bytes.at_least("storage.max_bytes", 512 << 20)? as u64;
            store.storage.max_bytes = Some(max);
            store.log.max_bytes = store.log.max_bytes.min(max / 4);
        }
        if let Some(bytes) = settings.storage.min_free_bytes {
            store.storage.min_free_bytes = bytes.at_least("storage.min_free_bytes", 0)? as u64;
        }
        if let Some(bytes) = settings.ingest_log.max_bytes {
            store.log.max_bytes = bytes.at_least("ingest_log.max_bytes", 128 << 20)? as u64;
        }
        if let Some(max) = store.storage.max_bytes
            && store.log.max_bytes > max / 2
        {
            return Err(ConfigError::Value {
                field: "ingest_log.max_bytes",
                message: format!(
                    "{} bytes are more than half of storage.max_bytes = {max}, so the log would \
                     push the splits out",
                    store.log.max_bytes
                ),
            });
        }
        if let Some(age) = settings.heads.max_age {
            store.head.max_age = age.at_least("heads.max_age", Duration::from_secs(1))?;
        }
        if let Some(rows) = settings.heads.row_group_rows {
            store.head.row_group_rows = rows.between("heads.row_group_rows", 1_024, 1 << 20)?;
        }
        if let Some(rows) = settings.heads.split_rows {
            store.head.split_rows = rows.between("heads.split_rows", 1_024, 1 << 24)?;
        }
        let retention = settings.retention;
        for (field, value, target) in [
            ("retention.logs", retention.logs, &mut store.retention.logs),
            (
                "retention.traces",
                retention.traces,
                &mut store.retention.spans,
            ),
            (
                "retention.metrics",
                retention.metrics,
                &mut store.retention.metrics,
            ),
        ] {
            if let Some(duration) = value {
                *target = duration.at_least(field, file::RETENTION_AT_LEAST)?;
            }
        }
        let rules = retention.rules.unwrap_or_default();
        store.retention.rules = rules.into_iter().map(|rule| rule.0).collect();
        if let Some(series) = settings.limits.active_series {
            let most = series.between("limits.active_series", 1, 1 << 30)?;
            store.series.per_tenant = Some(most);
        }
        if let Some(series) = settings.limits.active_series_per_metric {
            let most = series.between("limits.active_series_per_metric", 1, 1 << 30)?;
            store.series.per_metric = Some(most);
        }
        if let Some(cache) = settings.limits.query_cache {
            store.query.cache_bytes = cache.at_least("limits.query_cache", 3 << 20)?;
        }
        let limits = Limits::check(settings.limits)?;
        store.query.timeout = limits.query_timeout;
        store.query.memory_bytes = limits.query_memory;
        Ok(Self {
            http: address("http.listen", settings.http.listen, "127.0.0.1:8770")?,
            otlp_grpc: address("otlp.grpc", settings.otlp.grpc, "127.0.0.1:4317")?,
            otlp_http: address("otlp.http", settings.otlp.http, "127.0.0.1:4318")?,
            syslog: SyslogConfig::check(settings.syslog, open_to_all)?,
            external_url: settings.external_url.map(external_url).transpose()?,
            limits,
            store,
            rules: settings.alerting.rules.unwrap_or_default(),
            slos: settings.alerting.slos.unwrap_or_default(),
            notify: settings.alerting.notify,
            evaluation_interval: match settings.alerting.evaluation_interval {
                Some(interval) => {
                    interval.at_least("alerting.evaluation_interval", Duration::from_secs(1))?
                }
                None => Duration::from_secs(60),
            },
            scrape,
            log_filter: log_filter(settings.log_filter)?,
        })
    }
}

impl SyslogConfig {
    fn check(settings: file::SyslogSettings, open_to_all: bool) -> Result<Self, ConfigError> {
        let address = |field: &'static str, text: Option<String>| {
            text.map(|text| listen_address(field, &text, open_to_all))
                .transpose()
        };
        Ok(Self {
            tcp: address("syslog.tcp", settings.tcp)?,
            udp: address("syslog.udp", settings.udp)?,
            tenant: match settings.tenant {
                Some(name) => name.parse::<TenantId>().map_err(|err| ConfigError::Value {
                    field: "syslog.tenant",
                    message: format!("{err}"),
                })?,
                None => TenantId::default_tenant(),
            },
            utc_offset: settings.utc_offset.map_or(0, units::UtcOffset::seconds),
        })
    }
}

impl Limits {
    fn check(settings: file::LimitSettings) -> Result<Self, ConfigError> {
        let bytes = |field, value: Option<units::ByteSize>, default: usize| match value {
            Some(value) => value.at_least(field, 64 << 10),
            None => Ok(default),
        };
        let limits = Self {
            body: bytes("limits.body", settings.body, 16 << 20)?,
            decompressed_body: bytes(
                "limits.decompressed_body",
                settings.decompressed_body,
                32 << 20,
            )?,
            bodies_in_flight: bytes(
                "limits.bodies_in_flight",
                settings.bodies_in_flight,
                192 << 20,
            )?,
            query_timeout: match settings.query_timeout {
                Some(timeout) => {
                    timeout.at_least("limits.query_timeout", Duration::from_millis(100))?
                }
                None => Duration::from_secs(60),
            },
            query_memory: bytes("limits.query_memory", settings.query_memory, 512 << 20)?,
            concurrent_queries: match settings.concurrent_queries {
                Some(count) => count.between("limits.concurrent_queries", 1, 10_000)?,
                None => 16,
            },
            drain: match settings.drain {
                Some(drain) => drain.at_least("limits.drain", Duration::ZERO)?,
                None => Duration::from_secs(10),
            },
        };
        let one_request = limits.body + limits.decompressed_body;
        if limits.bodies_in_flight < one_request {
            return Err(ConfigError::Value {
                field: "limits.bodies_in_flight",
                message: format!(
                    "{} bytes cannot hold one request; it needs at least limits.body + limits.decompressed_body = {one_request}",
                    limits.bodies_in_flight
                ),
            });
        }
        Ok(limits)
    }
}

/// An address to listen on; from outside only when the operator said that all may come in.
fn listen_address(
    field: &'static str,
    text: &str,
    open_to_all: bool,
) -> Result<SocketAddr, ConfigError> {
    let invalid = |message: String| ConfigError::Value { field, message };
    let address = text
        .to_socket_addrs()
        .map_err(|err| {
            invalid(format!(
                "cannot listen on {text:?}: {err}; expected host:port such as 127.0.0.1:8770"
            ))
        })?
        .next()
        .ok_or_else(|| invalid(format!("the name in {text:?} has no address")))?;
    if !address.ip().is_loopback() && !open_to_all {
        return Err(invalid(format!(
            "{text} is reachable from other machines, and no authentication is configured; listen on 127.0.0.1, or set \"auth: none\" to let everyone who reaches the port read and write"
        )));
    }
    Ok(address)
}

/// A filter in `tracing`'s syntax.
fn log_filter(text: Option<String>) -> Result<String, ConfigError> {
    let text = text.unwrap_or_else(|| "info".to_owned());
    match EnvFilter::try_new(&text) {
        Ok(_) => Ok(text),
        Err(err) => Err(ConfigError::Value {
            field: "log_filter",
            message: format!("{text:?}: {err}; expected as \"info,watchkeeper=debug\""),
        }),
    }
}

fn external_url(text: String) -> Result<String, ConfigError> {
    let good = (text.starts_with("http://") || text.starts_with("https://"))
        && text
            .parse::<axum::http::Uri>()
            .is_ok_and(|uri| uri.host().is_some());
    if !good {
        return Err(ConfigError::Value {
            field: "external_url",
            message: format!("expected a URL such as https://watch.example.org, got {text:?}"),
        });
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(yaml: &str, environment: &[(&str, &str)], args: ServeArgs) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("watchkeeper.yaml");
        std::fs::write(&path, yaml).unwrap();
        let args = ServeArgs {
            config: Some(path),
            ..args
        };
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(&args, environment).map_err(|err| {
            err.to_string()
                .replace(&dir.path().display().to_string(), "")
        })
    }

    #[test]
    fn flags_win_over_the_environment_which_wins_over_the_file() {
        let yaml = "http: {listen: '127.0.0.1:1'}\notlp:\n  grpc: 127.0.0.1:2\n  http: 127.0.0.1:3\nretention:\n  logs: 7d\n";
        let environment = [
            ("WATCHKEEPER_OTLP_GRPC", "127.0.0.1:20"),
            ("WATCHKEEPER_OTLP_HTTP", "127.0.0.1:30"),
            ("WATCHKEEPER_LIMITS_BODY", "1MiB"),
            ("WATCHKEEPER_CONFORMANCE", "a test's"),
            ("WATCHKEEPER_PORT_8770_TCP", "Kubernetes'"),
            ("WATCHKEEPER_ALERTING_RULES", "[a.yml, b.yml]"),
            ("OTHER", "ignored"),
        ];
        let args = ServeArgs {
            otlp_http: Some("127.0.0.1:300".to_owned()),
            ..ServeArgs::default()
        };
        let config = load(yaml, &environment, args).unwrap();
        let ports = [config.http, config.otlp_grpc, config.otlp_http].map(|addr| addr.port());
        assert_eq!(ports, [1, 20, 300]);
        assert_eq!(config.store.retention.logs, Duration::from_secs(7 * 86_400));
        assert_eq!(config.limits.body, 1 << 20);
        assert_eq!(
            config.rules,
            [PathBuf::from("a.yml"), PathBuf::from("b.yml")]
        );
    }

    #[test]
    fn retention_rules_come_from_the_file_or_the_environment() {
        let yaml = "retention:\n  rules:\n    - {tenant: acme, signal: traces, keep: 90d}\n    - {service: 'debug-*', keep: 3d}\n    - {metric: 'go_.*', keep: 7d}\n";
        let rules = |environment: &[(&str, &str)]| {
            let config = load(yaml, environment, ServeArgs::default()).unwrap();
            let rules = config.store.retention.rules.into_iter();
            rules
                .map(|rule| {
                    let tenant = rule.tenant.map(|tenant| tenant.to_string());
                    let signal = rule.signal.map(|signal| signal.to_string());
                    let service = rule.service.map(|service| service.to_string());
                    let metric = rule.metric.map(|metric| metric.to_string());
                    let parts = [tenant, signal, service, metric].map(Option::unwrap_or_default);
                    format!("{} {}", parts.join(","), rule.keep.as_secs() / 86_400)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(
            rules(&[]),
            ["acme,spans,, 90", ",,debug-*, 3", ",,,go_.* 7"]
        );
        let variable = (
            "WATCHKEEPER_RETENTION_RULES",
            "[{service: audit, keep: 400d}]",
        );
        assert_eq!(rules(&[variable]), [",,audit, 400"]);
    }

    #[test]
    fn the_log_gets_a_part_of_the_disks_bound() {
        let log = |yaml: &str| {
            let config = load(yaml, &[], ServeArgs::default()).unwrap();
            config.store.log.max_bytes
        };
        assert_eq!(log("storage: {max_bytes: 1GiB}\n"), 256 << 20);
        assert_eq!(log("storage: {max_bytes: 100GiB}\n"), 2 << 30);
    }

    /// A file, the environment, and what the error must contain.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

    #[test]
    fn every_error_says_where_and_what() {
        let cases: &[Case<'_>] = &[
            ("retentoin: {}\n", &[], "/watchkeeper.yaml:1:1: "),
            ("retention:\n  logs: soon\n", &[], "/watchkeeper.yaml:2:9: "),
            (
                "retention:\n  logs: 10m\n",
                &[],
                "retention.logs: must be at least 1h; got 10m",
            ),
            ("http: {listen: '0.0.0.0:80'}\n", &[], "\"auth: none\""),
            (
                "http: {listen: nowhere}\n",
                &[],
                "http.listen: cannot listen on \"nowhere\"",
            ),
            ("external_url: watch\n", &[], "external_url: expected a URL"),
            ("auth: everyone\n", &[], "/watchkeeper.yaml:1:7: "),
            ("syslog: {udp: '0.0.0.0:514'}\n", &[], "\"auth: none\""),
            ("syslog: {tenant: 'a b'}\n", &[], "syslog.tenant: "),
            (
                "syslog: {utc_offset: CET}\n",
                &[],
                "offset from UTC such as +02:00",
            ),
            (
                "limits: {bodies_in_flight: 1MiB}\n",
                &[],
                "limits.bodies_in_flight: 1048576 bytes cannot hold one request",
            ),
            (
                "retention:\n  rules:\n    - {keep: 3d}\n",
                &[],
                "a rule needs a tenant, a signal, a service or a metric",
            ),
            (
                "retention:\n  rules:\n    - {service: a*b, keep: 3d}\n",
                &[],
                "got \"a*b\"",
            ),
            (
                "retention:\n  rules:\n    - {service: a, keep: 3m}\n",
                &[],
                "keep: must be at least 1h; got 3m",
            ),
            (
                "retention:\n  rules:\n    - {service: a, signal: metrics, keep: 3d}\n",
                &[],
                "metrics are not kept by service",
            ),
            (
                "retention:\n  rules:\n    - {metric: 'a(', keep: 3d}\n",
                &[],
                "invalid regular expression \"a(\"",
            ),
            (
                "retention:\n  rules:\n    - {metric: a, signal: logs, keep: 3d}\n",
                &[],
                "logs and traces have no metric",
            ),
            (
                "retention:\n  rules:\n    - {sevrice: a, keep: 3d}\n",
                &[],
                "/watchkeeper.yaml:3:",
            ),
            (
                "storage: {max_bytes: 1GiB}\ningest_log: {max_bytes: 600MiB}\n",
                &[],
                "ingest_log.max_bytes: 629145600 bytes are more than half",
            ),
            (
                "",
                &[("WATCHKEEPER_RETENTION_LOGS", "soon")],
                "environment variable WATCHKEEPER_RETENTION_LOGS: ",
            ),
            (
                "",
                &[("WATCHKEEPER_RETENSION", "1d")],
                "environment variable WATCHKEEPER_RETENSION: no such setting",
            ),
        ];
        for (yaml, environment, expected) in cases {
            let err = load(yaml, environment, ServeArgs::default()).unwrap_err();
            assert!(err.contains(expected), "{yaml:?} {environment:?}: {err}");
        }
    }

    #[test]
    fn other_machines_come_in_only_when_the_operator_says_so() {
        let config = load(
            "auth: none\nhttp: {listen: '0.0.0.0:80'}\n",
            &[],
            ServeArgs::default(),
        );
        assert_eq!(config.unwrap().http.port(), 80);
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = load("", &[], ServeArgs::default()).unwrap();
        assert_eq!(config.http.to_string(), "127.0.0.1:8770");
        assert_eq!((config.syslog.tcp, config.syslog.udp), (None, None));
        assert_eq!(config.store.data_dir, PathBuf::from("./data"));
    }
}
