//! The configuration as written: `watchkeeper.yaml`, and the same fields from the environment.
//!
//! Every field has an environment variable: its path in capitals, joined by `_`, after
//! `WATCHKEEPER_`; so `retention.logs` is `WATCHKEEPER_RETENTION_LOGS`. Unknown fields and
//! variables are errors.

use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{Signal, TenantId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use store::RetentionRule;

use super::ConfigError;
use super::units::{ByteSize, Count, Secret, Span, UtcOffset};
use crate::cli::ServeArgs;
use crate::scrape::config::{Global, JobFields, NamedFiles, Written};

/// Declares a section: its fields, and how a later source overrides an earlier one.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(super) $field: Option<$type>,)*
        }

        impl $name {
            fn overlay(&mut self, later: Self) {
                $(if later.$field.is_some() {
                    self.$field = later.$field;
                })*
            }

            /// The names of the fields.
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}

section!(
    /// The HTTP port.
    HttpSettings {
        /// Web UI, query APIs and OTLP under `/otlp`, host:port. Default 127.0.0.1:8770.
        listen: String,
    }
);

section!(
    /// OTLP's own ports.
    OtlpSettings {
        /// OTLP over gRPC, host:port. Default 127.0.0.1:4317.
        grpc: String,
        /// OTLP over HTTP, host:port. Default 127.0.0.1:4318.
        http: String,
    }
);

section!(
    /// Syslog (RFC 5424 and RFC 3164), which is received only where this says so.
    SyslogSettings {
        /// Syslog over TCP, host:port, usually port 601 or 514. Default: none.
        tcp: String,
        /// Syslog over UDP, host:port, usually port 514. Default: none.
        udp: String,
        /// Whose logs the messages are. Default: default.
        tenant: String,
        /// The zone of times that name none, as RFC 3164 has them. Default: +00:00.
        utc_offset: UtcOffset,
    }
);

section!(
    /// How long telemetry is kept; at least 1h each.
    RetentionSettings {
        /// Log records. Default 30d.
        logs: Span,
        /// Spans. Default 30d.
        traces: Span,
        /// Metric samples. Default 400d.
        metrics: Span,
        /// Exceptions for tenants and services; the first that fits decides.
        rules: Vec<RuleSettings>,
    }
);

section!(
    /// How much of the disk may be taken; beyond it the oldest splits are deleted.
    StorageSettings {
        /// Splits and ingest log together. Default: no limit.
        max_bytes: ByteSize,
        /// What the file system should have left. Default 0: not looked at.
        min_free_bytes: ByteSize,
    }
);

/// An exception from `retention`, such as `{signal: logs, service: "debug-*", keep: 3d}` or
/// `{metric: "go_.*", keep: 7d}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RuleFields")]
pub(crate) struct RuleSettings(pub(super) RetentionRule);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFields {
    tenant: Option<TenantId>,
    signal: Option<RuleSignal>,
    service: Option<String>,
    metric: Option<String>,
    keep: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RuleSignal {
    Logs,
    Traces,
    Metrics,
}

impl TryFrom<RuleFields> for RuleSettings {
    type Error = String;

    fn try_from(fields: RuleFields) -> Result<Self, String> {
        let RuleFields {
            tenant,
            signal,
            service,
            metric,
            keep,
        } = fields;
        if tenant.is_none() && signal.is_none() && service.is_none() && metric.is_none() {
            return Err(
                "a rule needs a tenant, a signal, a service or a metric; for everything else set \
                 retention.logs, retention.traces and retention.metrics"
                    .to_owned(),
            );
        }
        if service.is_some() && (signal == Some(RuleSignal::Metrics) || metric.is_some()) {
            return Err(
                "metrics are not kept by service; give the rule a tenant or a metric, or leave the \
                 signal out"
                    .to_owned(),
            );
        }
        if metric.is_some() && signal.is_some_and(|signal| signal != RuleSignal::Metrics) {
            return Err(
                "logs and traces have no metric; give the rule a service, or leave the signal out"
                    .to_owned(),
            );
        }
        let keep = keep
            .at_least("keep", RETENTION_AT_LEAST)
            .map_err(|err| err.to_string())?;
        Ok(Self(RetentionRule {
            tenant,
            signal: signal.map(|signal| match signal {
                RuleSignal::Logs => Signal::Logs,
                RuleSignal::Traces => Signal::Spans,
                RuleSignal::Metrics => Signal::Metrics,
            }),
            service: service.map(|text| text.parse()).transpose()?,
            metric: metric.map(|text| text.parse()).transpose()?,
            keep,
        }))
    }
}

/// Anything kept shorter would be deleted while it is still sealed.
pub(super) const RETENTION_AT_LEAST: Duration = Duration::from_secs(3_600);

section!(
    /// The ingest log.
    IngestLogSettings {
        /// All its segments together; at the limit senders are told to wait. Default 2GiB.
        max_bytes: ByteSize,
    }
);

section!(
    /// When what is in memory is sealed into splits.
    HeadSettings {
        /// A head older than this is sealed, however small. Default 15m.
        max_age: Span,
        /// Rows that are sorted and encoded together. Default 65536.
        row_group_rows: Count,
        /// Rows of a split of logs or spans. Default 524288.
        split_rows: Count,
    }
);

section!(
    /// Bounds of requests.
    LimitSettings {
        /// A request's body as sent. Default 16MiB.
        body: ByteSize,
        /// A request's body decompressed. Default 32MiB.
        decompressed_body: ByteSize,
        /// Bodies of all requests in flight; beyond it senders are told to wait. Default 192MiB.
        bodies_in_flight: ByteSize,
        /// The longest a query may run. Default 60s.
        query_timeout: Span,
        /// Memory of one query. Default 512MiB.
        query_memory: ByteSize,
        /// Memory for what queries leave to those after them: open splits of logs and spans, of
        /// metrics, and decoded blocks, a third each. Default 384MiB.
        query_cache: ByteSize,
        /// Queries that run at the same time; more wait. Default 16.
        concurrent_queries: Count,
        /// Active series of one tenant: those with a sample in the last hour. Samples of further
        /// series are refused. Default: no limit.
        active_series: Count,
        /// The same of one metric name.
        active_series_per_metric: Count,
        /// How long requests in flight may take to end when the server stops. Default 10s.
        drain: Span,
    }
);

section!(
    /// Rules, SLOs and where alerts go.
    AlertingSettings {
        /// Prometheus rule files.
        rules: Vec<PathBuf>,
        /// SLO files (Sloth `prometheus/v1`).
        slos: Vec<PathBuf>,
        /// Routes and receivers, in Alertmanager's form.
        notify: PathBuf,
        /// How often groups without an interval are evaluated. Default 60s.
        evaluation_interval: Span,
    }
);

/// Who may use the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Auth {
    /// Everyone who reaches a port.
    None,
}

/// All fields; those that were not written are `None`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where everything durable lies. Default ./data.
    pub(super) data_dir: Option<PathBuf>,
    /// The database for catalog and alert states: `postgres://…`. Default: SQLite in the data
    /// directory.
    pub(super) database_url: Option<Secret>,
    /// Where people reach this server; the base of links in messages.
    pub(super) external_url: Option<String>,
    /// `none` lets everyone in who reaches a port; without it the ports listen on loopback only.
    pub(super) auth: Option<Auth>,
    /// Memory for requests in flight and heads together. Default 140MiB.
    pub(super) memory: Option<ByteSize>,
    /// Which of the server's own log lines are printed, such as `info` or
    /// `info,watchkeeper=debug`. Default info.
    pub(super) log_filter: Option<String>,
    /// Defaults of `scrape_configs`, as in a `prometheus.yml`.
    pub(super) global: Option<Global>,
    /// What is scraped, as in a `prometheus.yml`.
    pub(super) scrape_configs: Option<Vec<JobFields>>,
    /// Further files with `scrape_configs`, and `global` for their own jobs; a `prometheus.yml`
    /// is one. Relative to this file; `*` stands for any part of a name.
    pub(super) scrape_config_files: Option<Vec<NamedFiles>>,
    /// The file that this was read from.
    #[serde(skip)]
    pub(super) origin: Option<PathBuf>,
    pub(super) http: HttpSettings,
    pub(super) otlp: OtlpSettings,
    pub(super) syslog: SyslogSettings,
    pub(super) retention: RetentionSettings,
    pub(super) storage: StorageSettings,
    pub(super) ingest_log: IngestLogSettings,
    pub(super) heads: HeadSettings,
    pub(super) limits: LimitSettings,
    pub(super) alerting: AlertingSettings,
}

/// Fields outside of sections.
const TOP_FIELDS: &[&str] = &[
    "data_dir",
    "database_url",
    "external_url",
    "auth",
    "memory",
    "log_filter",
    "global",
    "scrape_configs",
    "scrape_config_files",
];

const SECTIONS: &[(&str, &[&str])] = &[
    ("http", HttpSettings::FIELDS),
    ("otlp", OtlpSettings::FIELDS),
    ("syslog", SyslogSettings::FIELDS),
    ("retention", RetentionSettings::FIELDS),
    ("storage", StorageSettings::FIELDS),
    ("ingest_log", IngestLogSettings::FIELDS),
    ("heads", HeadSettings::FIELDS),
    ("limits", LimitSettings::FIELDS),
    ("alerting", AlertingSettings::FIELDS),
];

const PREFIX: &str = "WATCHKEEPER_";

/// Variables with our prefix that others set: the project's tests, and Kubernetes for a service
/// that is called `watchkeeper`.
fn is_not_a_setting(path: &str) -> bool {
    let of_tests = ["CONFORMANCE", "PYTHON", "BIN", "SCENARIO"];
    let of_kubernetes = ["SERVICE_HOST", "SERVICE_PORT", "PORT"];
    of_tests.contains(&path)
        || of_kubernetes
            .iter()
            .any(|name| path == *name || path.starts_with(&format!("{name}_")))
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Unreadable, no YAML, an unknown field or a value of the wrong form.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut settings: Self = parse_yaml(&text).map_err(|err| err.in_file(path))?;
        settings.origin = Some(path.to_owned());
        // Files are relative to the one that names them, as in Prometheus.
        for named in settings.scrape_config_files.iter_mut().flatten() {
            named.written_in(path);
        }
        Ok(settings)
    }

    /// What is written about scraping, and where.
    pub(crate) fn scraping(&mut self) -> (Written, Option<PathBuf>) {
        let written = Written {
            global: self.global.take().unwrap_or_default(),
            jobs: self.scrape_configs.take().unwrap_or_default(),
            files: self.scrape_config_files.take().unwrap_or_default(),
        };
        (written, self.origin.clone())
    }

    /// The fields that `WATCHKEEPER_…` variables set.
    ///
    /// # Errors
    ///
    /// An unknown variable with the prefix, or a value of the wrong form.
    pub(super) fn from_environment(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut settings = Self::default();
        for (name, value) in variables {
            let Some(path) = name.strip_prefix(PREFIX) else {
                continue;
            };
            if is_not_a_setting(path) {
                continue;
            }
            let environment = |message: String| ConfigError::Environment {
                name: name.clone(),
                message,
            };
            let yaml = one_field(path, &value).ok_or_else(|| {
                environment("no such setting; unset it or correct its name".to_owned())
            })?;
            let parsed: Self = parse_yaml(&yaml).map_err(|err| environment(err.message))?;
            settings.overlay(parsed);
        }
        Ok(settings)
    }

    /// The fields that flags set.
    pub(super) fn from_flags(args: &ServeArgs) -> Self {
        let list = |files: &[PathBuf]| (!files.is_empty()).then(|| files.to_vec());
        Self {
            data_dir: args.data_dir.clone(),
            external_url: args.external_url.clone(),
            scrape_config_files: list(&args.scrape)
                .map(|files| files.into_iter().map(NamedFiles::from).collect()),
            http: HttpSettings {
                listen: args.http.clone(),
            },
            otlp: OtlpSettings {
                grpc: args.otlp_grpc.clone(),
                http: args.otlp_http.clone(),
            },
            alerting: AlertingSettings {
                rules: list(&args.rules),
                slos: list(&args.slos),
                notify: args.notify.clone(),
                evaluation_interval: None,
            },
            ..Self::default()
        }
    }

    /// Takes over every field that `later` sets.
    pub(super) fn overlay(&mut self, later: Self) {
        self.data_dir = later.data_dir.or(self.data_dir.take());
        self.database_url = later.database_url.or(self.database_url.take());
        self.external_url = later.external_url.or(self.external_url.take());
        self.auth = later.auth.or(self.auth);
        self.memory = later.memory.or(self.memory);
        self.log_filter = later.log_filter.or(self.log_filter.take());
        self.global = later.global.or(self.global.take());
        if later.scrape_configs.is_some() || self.origin.is_none() {
            self.origin = later.origin;
        }
        self.scrape_configs = later.scrape_configs.or(self.scrape_configs.take());
        self.scrape_config_files = later
            .scrape_config_files
            .or(self.scrape_config_files.take());
        self.http.overlay(later.http);
        self.otlp.overlay(later.otlp);
        self.syslog.overlay(later.syslog);
        self.retention.overlay(later.retention);
        self.storage.overlay(later.storage);
        self.ingest_log.overlay(later.ingest_log);
        self.heads.overlay(later.heads);
        self.limits.overlay(later.limits);
        self.alerting.overlay(later.alerting);
    }
}

/// YAML that sets the one field which the variable's `path` names; `None` when there is none.
fn one_field(path: &str, value: &str) -> Option<String> {
    // Lists and mappings are written in YAML's flow form; anything else is one text.
    let value = if value.trim_start().starts_with(['[', '{']) {
        value.to_owned()
    } else {
        serde_json::Value::from(value).to_string()
    };
    if let Some(field) = TOP_FIELDS.iter().find(|field| is_variable(field, path)) {
        return Some(format!("{field}: {value}"));
    }
    SECTIONS.iter().find_map(|(section, fields)| {
        let field = fields
            .iter()
            .find(|field| is_variable(&format!("{section}_{field}"), path))?;
        Some(format!("{section}: {{{field}: {value}}}"))
    })
}

fn is_variable(field: &str, path: &str) -> bool {
    field.to_ascii_uppercase() == path
}

/// Where YAML is wrong, and how.
pub(crate) struct YamlError {
    line: u64,
    column: u64,
    message: String,
}

impl YamlError {
    /// The same as an error of a file.
    pub(crate) fn in_file(self, path: &Path) -> ConfigError {
        ConfigError::File {
            path: path.to_owned(),
            line: self.line,
            column: self.column,
            message: self.message,
        }
    }
}

/// Reads a document; an empty one is the default.
///
/// # Errors
///
/// No YAML, an unknown field, or a value of the wrong form.
pub(crate) fn parse_yaml<T: DeserializeOwned + Default>(yaml: &str) -> Result<T, YamlError> {
    if yaml
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(T::default());
    }
    serde_saphyr::from_str(yaml).map_err(|err| {
        let location = err.location();
        YamlError {
            line: location.map_or(1, |location| location.line()),
            column: location.map_or(1, |location| location.column()),
            message: first_line(&err.without_snippet().to_string()),
        }
    })
}

/// The error's sentence without the excerpt and position that the parser appends.
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    match line.find(" at line ") {
        Some(position) => line[..position].to_owned(),
        None => line.to_owned(),
    }
}
