//! What a file may hold, and how several become one list of jobs.
//!
//! `watchkeeper.yaml` has `global`, `scrape_configs` and `scrape_config_files` among its fields. A
//! file that `scrape_config_files` names has the same three, so a `prometheus.yml` can be named
//! as it is; its own `global` holds for its own jobs. What else a `prometheus.yml` has is no
//! error, but is said to be unused.

use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::job::JobFields;
use super::units::{BodySize, Interval};
use super::{Job, Protocol};
use crate::config::{ConfigError, parse_yaml};

/// How deep files may name files.
const MAX_DEPTH: usize = 4;

/// The file that something was written in; `None` is the environment.
type Origin = Option<PathBuf>;

/// A part of Prometheus' configuration that has no meaning here.
pub(super) type Unused = Option<Spanned<IgnoredAny>>;

/// Defaults of jobs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Global {
    /// How often targets are scraped. Default 1m.
    scrape_interval: Option<Interval>,
    /// How long a target may take to answer. Default 10s, or the interval if that is shorter.
    scrape_timeout: Option<Spanned<Interval>>,
    pub(super) scrape_protocols: Option<Vec<Protocol>>,
    pub(super) scrape_native_histograms: Option<bool>,
    pub(super) always_scrape_classic_histograms: Option<bool>,
    pub(super) extra_scrape_metrics: Option<bool>,
    pub(super) body_size_limit: Option<BodySize>,
    pub(super) sample_limit: Option<usize>,
    pub(super) label_limit: Option<usize>,
    pub(super) label_name_length_limit: Option<usize>,
    pub(super) label_value_length_limit: Option<usize>,
    pub(super) target_limit: Option<usize>,
    pub(super) keep_dropped_targets: Option<usize>,
    convert_classic_histograms_to_nhcb: Option<Spanned<bool>>,
    evaluation_interval: Unused,
    rule_query_offset: Unused,
    external_labels: Unused,
    query_log_file: Unused,
    scrape_failure_log_file: Unused,
    metric_name_validation_scheme: Unused,
    metric_name_escaping_scheme: Unused,
}

impl Global {
    pub(super) fn interval(&self) -> Interval {
        let set = self.scrape_interval.filter(|interval| !interval.is_zero());
        set.unwrap_or(Interval::from_secs(60))
    }

    pub(super) fn timeout(&self) -> Interval {
        let written = self.scrape_timeout.as_ref().map(|timeout| timeout.value);
        let set = written.filter(|timeout| !timeout.is_zero());
        set.unwrap_or(Interval::from_secs(10)).min(self.interval())
    }

    /// Whether its fields fit together.
    fn check(&self) -> Result<(), Misplaced> {
        let interval = self.interval();
        match &self.scrape_timeout {
            Some(timeout) if timeout.value > interval => Err(Misplaced {
                place: timeout.referenced,
                message: format!(
                    "global.scrape_timeout {} is longer than global.scrape_interval {interval}",
                    timeout.value
                ),
            }),
            _ => Ok(()),
        }
    }

    fn unused(&self) -> Vec<(&'static str, Location)> {
        let fields = [
            ("global.evaluation_interval", &self.evaluation_interval),
            ("global.rule_query_offset", &self.rule_query_offset),
            ("global.external_labels", &self.external_labels),
            ("global.query_log_file", &self.query_log_file),
            (
                "global.scrape_failure_log_file",
                &self.scrape_failure_log_file,
            ),
            (
                "global.metric_name_validation_scheme",
                &self.metric_name_validation_scheme,
            ),
            (
                "global.metric_name_escaping_scheme",
                &self.metric_name_escaping_scheme,
            ),
        ];
        let mut unused = places(fields);
        unused.extend(switched_on(
            "global.convert_classic_histograms_to_nhcb (histograms stay classic)",
            self.convert_classic_histograms_to_nhcb.as_ref(),
        ));
        unused
    }
}

/// A file that `scrape_config_files` names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Document {
    global: Option<Global>,
    scrape_configs: Option<Vec<JobFields>>,
    scrape_config_files: Option<Vec<NamedFiles>>,
    rule_files: Unused,
    alerting: Unused,
    remote_write: Unused,
    remote_read: Unused,
    storage: Unused,
    tracing: Unused,
    otlp: Unused,
    runtime: Unused,
}

/// The fields of such a file.
pub(crate) const FILE_FIELDS: [&str; 11] = [
    "global",
    "scrape_configs",
    "scrape_config_files",
    "rule_files",
    "alerting",
    "remote_write",
    "remote_read",
    "storage",
    "tracing",
    "otlp",
    "runtime",
];

/// The names and places of those that are written.
pub(super) fn places<const N: usize>(
    fields: [(&'static str, &Unused); N],
) -> Vec<(&'static str, Location)> {
    let written = fields.into_iter();
    written
        .filter_map(|(name, field)| Some((name, field.as_ref()?.referenced)))
        .collect()
}

/// The name and place of a switch that does nothing here, if it is on.
pub(super) fn switched_on(
    name: &'static str,
    switch: Option<&Spanned<bool>>,
) -> Option<(&'static str, Location)> {
    let switch = switch.filter(|switch| switch.value)?;
    Some((name, switch.referenced))
}

/// Something wrong at a place of the file that is being read.
pub(super) struct Misplaced {
    pub(super) place: Location,
    pub(super) message: String,
}

/// Defaults, jobs and further files, as one source writes them.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) global: Global,
    pub(crate) jobs: Vec<JobFields>,
    /// Further files.
    pub(crate) files: Vec<NamedFiles>,
}

/// An entry of `scrape_config_files`; `*` stands for any part of a name.
#[derive(Debug, Clone)]
pub(crate) struct NamedFiles {
    /// As written.
    pattern: PathBuf,
    /// Where, in the file or the variable; a flag has no places.
    place: Option<Location>,
    /// The file that it is written in, and relative to.
    origin: Origin,
}

/// Jobs, and what was written but means nothing here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checked {
    pub(crate) jobs: Vec<Job>,
    /// `file:line:column: …`, each.
    pub(crate) remarks: Vec<String>,
}

impl Written {
    /// All jobs, those of the files that are named included.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in this source or in a file.
    pub(crate) fn check(self, origin: Origin) -> Result<Checked, ConfigError> {
        let mut checked = Checked::default();
        checked.add(self, &origin, 0)?;
        Ok(checked)
    }

    /// The same from a file that `scrape_config_files` could name.
    ///
    /// # Errors
    ///
    /// As [`Written::check`]; also a file that cannot be read.
    pub(crate) fn check_file(path: &Path) -> Result<Checked, ConfigError> {
        let mut checked = Checked::default();
        checked.add_file(path, 0)?;
        Ok(checked)
    }
}

impl Checked {
    fn add(&mut self, written: Written, origin: &Origin, depth: usize) -> Result<(), ConfigError> {
        let base = origin.as_deref().and_then(Path::parent);
        let base = base.unwrap_or(Path::new("")).to_owned();
        self.remark(written.global.unused(), origin);
        let global = written.global.check();
        global.map_err(|misplaced| misplaced.into_error(origin))?;
        for fields in written.jobs {
            self.remark(fields.unused(), origin);
            let (name, place) = (fields.name().to_owned(), fields.place());
            let is_known = self.jobs.iter().any(|job| job.name == name);
            let job = match is_known {
                false => fields.check(&written.global, &base),
                true => Err(Misplaced {
                    place,
                    message: format!("job_name {name:?} is used twice; give each job its own"),
                }),
            };
            self.jobs
                .push(job.map_err(|misplaced| misplaced.into_error(origin))?);
        }
        for named in written.files {
            for path in named.paths()? {
                if depth >= MAX_DEPTH {
                    let path = path.display();
                    return Err(named.wrong(format!("{path} is named too deep inside of files")));
                }
                self.add_file(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, depth: usize) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let document: Document = parse_yaml(&text).map_err(|err| err.in_file(path))?;
        let origin = Some(path.to_owned());
        self.remark(document.unused(), &origin);
        let mut files = document.scrape_config_files.unwrap_or_default();
        for named in &mut files {
            named.written_in(path);
        }
        let written = Written {
            global: document.global.unwrap_or_default(),
            jobs: document.scrape_configs.unwrap_or_default(),
            files,
        };
        self.add(written, &origin, depth)
    }

    fn remark(&mut self, unused: Vec<(&'static str, Location)>, origin: &Origin) {
        let file = origin.as_deref().unwrap_or(Path::new("")).display();
        let remarks = unused.into_iter().map(|(name, place)| {
            let (line, column) = (place.line(), place.column());
            format!("{file}:{line}:{column}: {name} is not used here")
        });
        self.remarks.extend(remarks);
    }
}

impl Document {
    fn unused(&self) -> Vec<(&'static str, Location)> {
        places([
            ("rule_files (see alerting.rules)", &self.rule_files),
            ("alerting (see alerting.notify)", &self.alerting),
            ("remote_write", &self.remote_write),
            ("remote_read", &self.remote_read),
            ("storage", &self.storage),
            ("tracing", &self.tracing),
            ("otlp", &self.otlp),
            ("runtime", &self.runtime),
        ])
    }
}

impl Misplaced {
    fn into_error(self, origin: &Origin) -> ConfigError {
        match origin {
            Some(path) => ConfigError::File {
                path: path.clone(),
                line: self.place.line(),
                column: self.place.column(),
                message: self.message,
            },
            None => ConfigError::Value {
                field: "scrape_configs",
                message: self.message,
            },
        }
    }
}

impl NamedFiles {
    /// Says which file it is written in.
    pub(crate) fn written_in(&mut self, file: &Path) {
        self.origin = Some(file.to_owned());
    }

    /// The files, sorted. A pattern may match none, a plain name may not.
    fn paths(&self) -> Result<Vec<PathBuf>, ConfigError> {
        let base = self.origin.as_deref().and_then(Path::parent);
        let base = base.unwrap_or(Path::new(""));
        let plain = base.join(&self.pattern);
        let written = self.pattern.to_string_lossy();
        if !written.contains(['*', '?', '[']) || plain.is_file() {
            return Ok(vec![plain]);
        }
        // What stands in brackets in the directory's own name is no pattern.
        let base = glob::Pattern::escape(&base.to_string_lossy());
        let pattern = Path::new(&base).join(&self.pattern);
        let invalid = |message: String| self.wrong(format!("{written:?}: {message}"));
        // Checked as it is written, for the error counts characters.
        glob::Pattern::new(&written).map_err(|err| invalid(err.to_string()))?;
        let found =
            glob::glob(&pattern.to_string_lossy()).map_err(|err| invalid(err.to_string()))?;
        found
            .map(|entry| entry.map_err(|err| invalid(err.to_string())))
            .collect()
    }

    /// An error at the place where it is written.
    fn wrong(&self, message: String) -> ConfigError {
        match (&self.origin, self.place) {
            (Some(path), Some(place)) => ConfigError::File {
                path: path.clone(),
                line: place.line(),
                column: place.column(),
                message: format!("scrape_config_files: {message}"),
            },
            _ => ConfigError::Value {
                field: "scrape_config_files",
                message,
            },
        }
    }
}

/// A flag's, relative to the working directory.
impl From<PathBuf> for NamedFiles {
    fn from(pattern: PathBuf) -> Self {
        Self {
            pattern,
            place: None,
            origin: None,
        }
    }
}

impl<'de> Deserialize<'de> for NamedFiles {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let written = Spanned::<String>::deserialize(from)?;
        Ok(Self {
            place: Some(written.referenced),
            ..Self::from(PathBuf::from(written.value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::resolution::Resolution;

    /// The jobs of a file `a.yml`, or the error without the directory.
    fn checked(directory: &Path, text: &str) -> Result<Checked, String> {
        let path = directory.join("a.yml");
        std::fs::write(&path, text).unwrap();
        Written::check_file(&path).map_err(|err| {
            let directory = format!("{}/", directory.display());
            err.to_string().replace(&directory, "")
        })
    }

    #[test]
    fn jobs_take_their_files_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("b1.yml", "scrape_configs: [{job_name: b1}]\n");
        write(
            "b2.yml",
            "global: {scrape_interval: 5s, sample_limit: 7}\nscrape_configs: [{job_name: b2}]\n",
        );
        let checked = checked(
            directory.path(),
            "global: {scrape_interval: 15s, scrape_timeout: 12s, external_labels: {a: b}}\n\
             scrape_configs:\n  - {job_name: a1, body_size_limit: 1MB, tenant: acme}\n  \
             - {job_name: a2, scrape_interval: 8s, static_configs: [{targets: [h], labels: {port: 1}}]}\n\
             scrape_config_files: ['b*.yml']\nrule_files: [r.yml]\n",
        )
        .unwrap();
        let shown = checked.jobs.iter().map(|job| {
            let limits = &job.limits;
            let (name, interval, timeout) = (&job.name, job.interval, job.timeout);
            format!(
                "{name} {} {interval} {timeout} {} {}",
                job.tenant, limits.samples, limits.body
            )
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "a1 acme 15s 12s 0 1048576",
                "a2 default 8s 8s 0 33554432",
                "b1 default 1m 10s 0 33554432",
                "b2 default 5s 5s 7 33554432",
            ]
        );
        let places = checked.remarks.iter().map(|remark| {
            let name = remark.rsplit('/').next().unwrap_or_default();
            name.to_owned()
        });
        assert_eq!(
            places.collect::<Vec<_>>(),
            [
                "a.yml:6:13: rule_files (see alerting.rules) is not used here",
                "a.yml:1:70: global.external_labels is not used here",
            ]
        );
    }

    #[test]
    fn secrets_are_not_printed_and_files_lie_beside_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let checked = checked(
            directory.path(),
            "scrape_configs:\n  - job_name: a\n    authorization: {credentials: hunter2}\n    \
             tls_config: {ca_file: ca.pem}\n    http_headers: {X-Key: {secrets: [hunter2]}}\n    \
             http_sd_configs: [{url: 'https://u:hunter2@h/?a=b'}]\n",
        )
        .unwrap();
        let shown = format!("{:?}", checked.jobs[0]);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("https://u:xxxxx@h/?a=b"), "{shown}");
        let ca = directory.path().join("ca.pem");
        assert!(shown.contains(&format!("{ca:?}")), "{shown}");
    }

    #[test]
    fn files_that_name_themselves_end() {
        let directory = tempfile::tempdir().unwrap();
        let error = checked(directory.path(), "scrape_config_files: [a.yml]\n").unwrap_err();
        assert_eq!(
            error,
            "a.yml:1:23: scrape_config_files: a.yml is named too deep inside of files"
        );
    }

    #[test]
    fn a_switch_that_does_nothing_is_named_where_it_is_on() {
        let directory = tempfile::tempdir().unwrap();
        let checked = checked(
            directory.path(),
            "global: {convert_classic_histograms_to_nhcb: false}\nscrape_configs:\n  \
             - job_name: a\n    convert_classic_histograms_to_nhcb: true\n    \
             native_histogram_bucket_limit: 160\n    native_histogram_min_bucket_factor: 2\n",
        )
        .unwrap();
        let [remark] = checked.remarks.as_slice() else {
            panic!("{:?}", checked.remarks);
        };
        let expected = "a.yml:4:41: convert_classic_histograms_to_nhcb (histograms stay classic) is \
                        not used here";
        assert!(remark.ends_with(expected), "{remark}");
        assert_eq!(checked.jobs[0].limits.resolution, Resolution::new(160, 2.0));
    }

    #[test]
    fn a_bad_pattern_is_said_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let error = checked(directory.path(), "scrape_config_files:\n  - 'b[.yml'\n").unwrap_err();
        let expected = "a.yml:2:5: scrape_config_files: \"b[.yml\": ";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn brackets_in_a_directorys_name_are_no_pattern() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("conf[1]");
        std::fs::create_dir(&directory).unwrap();
        let jobs = "scrape_configs: [{job_name: b}]\n";
        std::fs::write(directory.join("b1.yml"), jobs).unwrap();
        let checked = checked(&directory, "scrape_config_files: ['b[12].yml']\n").unwrap();
        let names: Vec<&str> = checked.jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["b"]);
    }
}
