//! What is scraped, how and how often: `scrape_configs` in Prometheus' form.
//!
//! Reading order: this file has the checked types; `config/document.rs` what a file may hold and
//! how files are put together, `config/job.rs` one entry of `scrape_configs`,
//! `config/http_client.rs` how requests are made, `config/units.rs` amounts, `config/shown.rs` a
//! job for those who ask what is configured.

mod document;
mod http_client;
mod job;
mod shown;
mod units;

use std::collections::BTreeMap;

use model::TenantId;
use serde::Deserialize;
use wire::exposition::Format;

pub(crate) use document::{Checked, FILE_FIELDS, Global, NamedFiles, Written};
pub(crate) use http_client::{Auth, HttpSettings, Pem, SecretSource, TlsVersion};
pub(crate) use job::JobFields;
pub(crate) use units::Interval;

use super::discovery::TargetGroup;
use super::relabel::Rule;
use super::resolution::Resolution;
use crate::config::Secret;

/// One entry of `scrape_configs`, checked, with the defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Its name, unique among all jobs; the label `job` of its targets.
    pub(crate) name: String,
    /// Whose metrics these are.
    pub(crate) tenant: TenantId,
    pub(crate) interval: Interval,
    /// At most the interval.
    pub(crate) timeout: Interval,
    /// The path of targets that name none.
    pub(crate) metrics_path: String,
    /// `http` or `https`, for targets that name none.
    pub(crate) scheme: String,
    /// Parameters of the URL, by name.
    pub(crate) params: BTreeMap<String, Vec<String>>,
    /// Whether a sample's own label wins over one of the target's with the same name.
    pub(crate) honor_labels: bool,
    /// Whether a sample's own time is its time.
    pub(crate) honor_timestamps: bool,
    /// Whether series with times of their own become stale when they vanish.
    pub(crate) track_timestamps_staleness: bool,
    /// Formats to ask for, the best first.
    pub(crate) protocols: Vec<Protocol>,
    /// The format of answers that name none that we know.
    pub(crate) fallback: Option<Protocol>,
    /// Whether a native histogram's classic buckets are kept as well.
    pub(crate) keeps_classic: bool,
    /// Whether a scrape has the series that tell how near a target is to its limits.
    pub(crate) extra_metrics: bool,
    /// Whether compressed answers are asked for.
    pub(crate) compression: bool,
    pub(crate) limits: JobLimits,
    pub(crate) http: HttpSettings,
    /// Where its targets come from.
    pub(crate) discoveries: Vec<Discovery>,
    /// What is done to targets.
    pub(crate) relabel: Vec<Rule>,
    /// What is done to samples.
    pub(crate) metric_relabel: Vec<Rule>,
}

/// Bounds of a job; 0 means none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct JobLimits {
    /// Of an answer, decompressed, bytes. Never 0.
    pub(crate) body: usize,
    /// Samples of one scrape, after relabelling.
    pub(crate) samples: usize,
    /// Labels of one series.
    pub(crate) labels: usize,
    /// Bytes of a label's name.
    pub(crate) label_name_length: usize,
    /// Bytes of a label's value.
    pub(crate) label_value_length: usize,
    /// How fine native histograms are.
    pub(crate) resolution: Resolution,
    /// Targets of the job.
    pub(crate) targets: usize,
    /// Dropped targets that are kept to be shown.
    pub(crate) dropped_targets: usize,
}

/// A format of answers, in Prometheus' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Protocol {
    #[serde(rename = "PrometheusProto")]
    Protobuf,
    #[serde(rename = "OpenMetricsText1.0.0")]
    OpenMetrics1,
    #[serde(rename = "OpenMetricsText0.0.1")]
    OpenMetrics0,
    #[serde(rename = "PrometheusText1.0.0")]
    Text1,
    #[serde(rename = "PrometheusText0.0.4")]
    Text0,
}

impl Protocol {
    /// What is asked for when the configuration says nothing.
    pub(crate) const DEFAULT: [Self; 4] = [
        Self::OpenMetrics1,
        Self::OpenMetrics0,
        Self::Text1,
        Self::Text0,
    ];
    /// The same when native histograms are wanted, which only protobuf has.
    pub(crate) const NATIVE: [Self; 5] = [
        Self::Protobuf,
        Self::OpenMetrics1,
        Self::OpenMetrics0,
        Self::Text1,
        Self::Text0,
    ];

    /// Its name in the configuration.
    fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "PrometheusProto",
            Self::OpenMetrics1 => "OpenMetricsText1.0.0",
            Self::OpenMetrics0 => "OpenMetricsText0.0.1",
            Self::Text1 => "PrometheusText1.0.0",
            Self::Text0 => "PrometheusText0.0.4",
        }
    }

    /// The media type that asks for it.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
                 encoding=delimited;escaping=allow-utf-8"
            }
            Self::OpenMetrics1 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            Self::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            Self::Text1 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            Self::Text0 => "text/plain;version=0.0.4",
        }
    }

    /// How it is read.
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Protobuf => Format::Protobuf,
            Self::OpenMetrics1 | Self::OpenMetrics0 => Format::OpenMetrics,
            Self::Text1 | Self::Text0 => Format::Text,
        }
    }
}

/// Where targets come from.
#[derive(Debug, Clone)]
pub(crate) enum Discovery {
    /// The configuration itself.
    Static(Vec<TargetGroup>),
    /// Files that others write.
    Files {
        /// Their paths; `*` stands for any part of a name.
        patterns: Vec<String>,
        /// How often they are read even if nothing tells that they have changed.
        refresh: Interval,
    },
    /// A URL that answers with a list of targets.
    Http(Box<HttpDiscovery>),
}

/// A URL that answers with a list of targets.
#[derive(Debug, Clone)]
pub(crate) struct HttpDiscovery {
    /// It may hold a password.
    pub(crate) url: Secret,
    /// The same with `xxxxx` for the password, as Go shows such a URL.
    pub(crate) shown_url: String,
    pub(crate) refresh: Interval,
    pub(crate) http: HttpSettings,
}
