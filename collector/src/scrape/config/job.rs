//! One entry of `scrape_configs`, as written, and its check.

use std::collections::BTreeMap;
use std::path::Path;

use model::TenantId;
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

use super::document::{Global, Misplaced, Unused, places, switched_on};
use super::http_client::with_http_client;
use super::units::{BodySize, Interval};
use super::{Discovery, HttpDiscovery, Job, JobLimits, Protocol};
use crate::config::Secret;
use crate::scrape::discovery::TargetGroup;
use crate::scrape::relabel::Rule;
use crate::scrape::resolution::Resolution;

/// The largest body when `body_size_limit` sets none, or none of its own: 32 MiB.
pub(crate) const MAX_BODY: usize = 32 << 20;

/// How often files and URLs are asked for targets when nothing else is said.
const FILE_REFRESH: Interval = Interval::from_secs(300);
const HTTP_REFRESH: Interval = Interval::from_secs(60);

with_http_client!(
    /// An entry of `scrape_configs`.
    JobFields {
        job_name: Spanned<String>,
        /// Whose metrics these are; not a field of Prometheus'. Default: default.
        tenant: Option<TenantId>,
        scrape_interval: Option<Interval>,
        scrape_timeout: Option<Interval>,
        metrics_path: Option<String>,
        scheme: Option<Scheme>,
        params: Option<BTreeMap<String, Vec<String>>>,
        honor_labels: Option<bool>,
        honor_timestamps: Option<bool>,
        track_timestamps_staleness: Option<bool>,
        scrape_protocols: Option<Vec<Protocol>>,
        fallback_scrape_protocol: Option<Protocol>,
        scrape_native_histograms: Option<bool>,
        always_scrape_classic_histograms: Option<bool>,
        extra_scrape_metrics: Option<bool>,
        enable_compression: Option<bool>,
        body_size_limit: Option<BodySize>,
        sample_limit: Option<usize>,
        label_limit: Option<usize>,
        label_name_length_limit: Option<usize>,
        label_value_length_limit: Option<usize>,
        native_histogram_bucket_limit: Option<usize>,
        native_histogram_min_bucket_factor: Option<f64>,
        target_limit: Option<usize>,
        keep_dropped_targets: Option<usize>,
        static_configs: Option<Vec<StaticFields>>,
        file_sd_configs: Option<Vec<FileFields>>,
        http_sd_configs: Option<Vec<HttpFields>>,
        relabel_configs: Option<Vec<Rule>>,
        metric_relabel_configs: Option<Vec<Rule>>,
        convert_classic_histograms_to_nhcb: Option<Spanned<bool>>,
        metric_name_validation_scheme: Unused,
        metric_name_escaping_scheme: Unused,
        scrape_failure_log_file: Unused,
    }
);

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    Http,
    Https,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticFields {
    targets: Vec<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileFields {
    files: Vec<String>,
    refresh_interval: Option<Interval>,
}

with_http_client!(
    /// An entry of `http_sd_configs`.
    HttpFields {
        url: Spanned<String>,
        refresh_interval: Option<Interval>,
    }
);

impl JobFields {
    pub(super) fn name(&self) -> &str {
        &self.job_name.value
    }

    /// Where its name is written.
    pub(super) fn place(&self) -> Location {
        self.job_name.referenced
    }

    /// The names and places of fields that mean nothing here.
    pub(super) fn unused(&self) -> Vec<(&'static str, Location)> {
        let mut unused = places([
            (
                "metric_name_validation_scheme",
                &self.metric_name_validation_scheme,
            ),
            (
                "metric_name_escaping_scheme",
                &self.metric_name_escaping_scheme,
            ),
            ("scrape_failure_log_file", &self.scrape_failure_log_file),
        ]);
        unused.extend(switched_on(
            "convert_classic_histograms_to_nhcb (histograms stay classic)",
            self.convert_classic_histograms_to_nhcb.as_ref(),
        ));
        unused
    }

    /// The job with `global`'s defaults; files are relative to `base`.
    pub(super) fn check(mut self, global: &Global, base: &Path) -> Result<Job, Misplaced> {
        let place = self.place();
        let here = |message: String| Misplaced { place, message };
        let name = self.job_name.value.clone();
        if name.is_empty() {
            return Err(here("job_name is empty".to_owned()));
        }
        let set = |value: Option<Interval>| value.filter(|interval| !interval.is_zero());
        let interval = set(self.scrape_interval).unwrap_or(global.interval());
        let timeout = match set(self.scrape_timeout) {
            Some(timeout) if timeout > interval => {
                return Err(here(format!(
                    "job {name:?}: scrape_timeout {timeout} is longer than its scrape_interval \
                     {interval}"
                )));
            }
            Some(timeout) => timeout,
            None => global.timeout().min(interval),
        };
        let protocols = self.scrape_protocols.take();
        let wants_native = self
            .scrape_native_histograms
            .or(global.scrape_native_histograms)
            .unwrap_or(false);
        if protocols.as_ref().is_some_and(Vec::is_empty) {
            return Err(here(format!("job {name:?}: scrape_protocols is empty")));
        }
        Ok(Job {
            tenant: self.tenant.take().unwrap_or_else(TenantId::default_tenant),
            interval,
            timeout,
            metrics_path: self
                .metrics_path
                .take()
                .unwrap_or_else(|| "/metrics".to_owned()),
            scheme: match self.scheme {
                None | Some(Scheme::Http) => "http".to_owned(),
                Some(Scheme::Https) => "https".to_owned(),
            },
            params: self.params.take().unwrap_or_default(),
            honor_labels: self.honor_labels.unwrap_or(false),
            honor_timestamps: self.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: self.track_timestamps_staleness.unwrap_or(false),
            protocols: protocols
                .or_else(|| global.scrape_protocols.clone())
                .unwrap_or_else(|| default_protocols(wants_native)),
            keeps_classic: self
                .always_scrape_classic_histograms
                .or(global.always_scrape_classic_histograms)
                .unwrap_or(false),
            extra_metrics: self
                .extra_scrape_metrics
                .or(global.extra_scrape_metrics)
                .unwrap_or(false),
            fallback: self.fallback_scrape_protocol,
            compression: self.enable_compression.unwrap_or(true),
            limits: self.limits(global),
            http: self
                .http_client(base)
                .map_err(|message| here(format!("job {name:?}: {message}")))?,
            discoveries: self.discoveries(base)?,
            relabel: self.relabel_configs.take().unwrap_or_default(),
            metric_relabel: self.metric_relabel_configs.take().unwrap_or_default(),
            name,
        })
    }

    fn limits(&self, global: &Global) -> JobLimits {
        let or = |own: Option<usize>, general: Option<usize>| own.or(general).unwrap_or(0);
        let body = self.body_size_limit.or(global.body_size_limit);
        JobLimits {
            body: body
                .map(|size| size.0)
                .filter(|size| *size > 0)
                .unwrap_or(MAX_BODY),
            samples: or(self.sample_limit, global.sample_limit),
            labels: or(self.label_limit, global.label_limit),
            label_name_length: or(self.label_name_length_limit, global.label_name_length_limit),
            label_value_length: or(
                self.label_value_length_limit,
                global.label_value_length_limit,
            ),
            resolution: Resolution::new(
                self.native_histogram_bucket_limit.unwrap_or(0),
                self.native_histogram_min_bucket_factor.unwrap_or(0.0),
            ),
            targets: or(self.target_limit, global.target_limit),
            dropped_targets: or(self.keep_dropped_targets, global.keep_dropped_targets),
        }
    }

    fn discoveries(&mut self, base: &Path) -> Result<Vec<Discovery>, Misplaced> {
        let groups = self.static_configs.take().unwrap_or_default();
        let groups = groups
            .into_iter()
            .map(|group| TargetGroup::new(group.targets, group.labels.unwrap_or_default()));
        let mut discoveries = vec![Discovery::Static(groups.collect())];
        for fields in self.file_sd_configs.take().unwrap_or_default() {
            discoveries.push(fields.check(base).map_err(|message| Misplaced {
                place: self.job_name.referenced,
                message: format!("job {:?}: {message}", self.job_name.value),
            })?);
        }
        for fields in self.http_sd_configs.take().unwrap_or_default() {
            discoveries.push(fields.check(base)?);
        }
        Ok(discoveries)
    }
}

fn default_protocols(wants_native: bool) -> Vec<Protocol> {
    match wants_native {
        true => Protocol::NATIVE.to_vec(),
        false => Protocol::DEFAULT.to_vec(),
    }
}

impl FileFields {
    fn check(self, base: &Path) -> Result<Discovery, String> {
        if self.files.is_empty() {
            return Err("file_sd_configs: files is empty".to_owned());
        }
        // What stands in brackets in the directory's own name is no pattern.
        let base = glob::Pattern::escape(&base.to_string_lossy());
        let mut patterns = Vec::with_capacity(self.files.len());
        for file in self.files {
            if ![".json", ".yml", ".yaml"]
                .iter()
                .any(|end| file.ends_with(end))
            {
                return Err(format!(
                    "file_sd_configs: {file:?} must end with .json, .yml or .yaml"
                ));
            }
            let pattern = Path::new(&base).join(&file).to_string_lossy().into_owned();
            glob::Pattern::new(&pattern)
                .map_err(|err| format!("file_sd_configs: {file:?}: {err}"))?;
            patterns.push(pattern);
        }
        Ok(Discovery::Files {
            patterns,
            refresh: self
                .refresh_interval
                .filter(|interval| !interval.is_zero())
                .unwrap_or(FILE_REFRESH),
        })
    }
}

impl HttpFields {
    fn check(mut self, base: &Path) -> Result<Discovery, Misplaced> {
        let place = self.url.referenced;
        let here = |message: String| Misplaced { place, message };
        let url = self.url.value.clone();
        let good = reqwest::Url::parse(&url)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !good {
            return Err(here(format!(
                "expected a URL such as http://discovery.example.org/targets, got {:?}",
                without_password(&url)
            )));
        }
        Ok(Discovery::Http(Box::new(HttpDiscovery {
            refresh: self
                .refresh_interval
                .filter(|interval| !interval.is_zero())
                .unwrap_or(HTTP_REFRESH),
            http: self.http_client(base).map_err(here)?,
            shown_url: without_password(&url),
            url: Secret(url),
        })))
    }
}

/// A URL with `xxxxx` for its password; one without a password stays as it is written.
fn without_password(text: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(text) else {
        return text.to_owned();
    };
    match url.password().is_some() && url.set_password(Some("xxxxx")).is_ok() {
        true => url.to_string(),
        false => text.to_owned(),
    }
}
