//! From what a target shows to what is stored: labels, limits, staleness, and the scrape's own
//! series.
//!
//! Pure. A series that the last stored scrape showed and this one does not gets the stale marker,
//! so queries do not see it for another five minutes; samples that bring their own time are left
//! out of that, as in Prometheus, unless the job says otherwise.

use std::collections::HashMap;
use std::time::Duration;

use model::labels::METRIC_NAME;
use model::metric::{Temporality, stale_nan};
use model::{Labels, SampleValue, SeriesSample};
use wire::exposition::{ExposedSample, Exposition};

use super::config::{Job, JobLimits};
use super::relabel;

/// The series of a target's last stored scrape.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whether each becomes stale when it vanishes.
    series: HashMap<Labels, bool>,
}

/// What one scrape adds to the store, its own series apart.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) samples: Vec<SeriesSample>,
    pub(crate) seen: Seen,
    pub(crate) counts: Counts,
    /// Samples that were left out because their series had one already.
    pub(crate) duplicates: usize,
}

/// What the scrape's own series count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Samples that the target showed.
    pub(crate) scraped: usize,
    /// Those that relabelling left.
    pub(crate) kept: usize,
    /// Series that the scrape before did not have.
    pub(crate) added: usize,
}

/// A scrape that counts as failed although the target answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) message: String,
    pub(crate) counts: Counts,
}

/// The samples of a scrape at `at_ms` (Unix ms) of the target with the labels `target`.
///
/// # Errors
///
/// A limit of the job, or a sample that relabelling leaves without a name.
pub(crate) fn successful(
    job: &Job,
    target: &Labels,
    exposition: Exposition,
    previous: &Seen,
    at_ms: i64,
) -> Result<Batch, Refused> {
    let mut batch = Batch {
        samples: Vec::with_capacity(exposition.samples.len() + 8),
        seen: Seen::default(),
        counts: Counts {
            scraped: exposition.samples.len(),
            ..Counts::default()
        },
        duplicates: 0,
    };
    for exposed in exposition.samples {
        let labels = with_target(&exposed, target, job.honor_labels);
        let Some(labels) = relabel::apply(&job.metric_relabel, labels) else {
            continue;
        };
        if labels.is_empty() {
            continue;
        }
        batch.counts.kept += 1;
        let verdict = admitted(&labels, &job.limits, batch.counts.kept);
        if let Err(message) = verdict {
            let counts = batch.counts;
            return Err(Refused { message, counts });
        }
        let timed = exposed.timed && job.honor_timestamps;
        let tracked = !timed || job.track_timestamps_staleness;
        let is_again = batch.seen.series.insert(labels.clone(), tracked).is_some();
        if is_again && !timed {
            batch.duplicates += 1;
            continue;
        }
        if !is_again && !previous.series.contains_key(&labels) {
            batch.counts.added += 1;
        }
        batch.samples.push(SeriesSample {
            labels,
            timestamp_ms: if timed {
                exposed.sample.timestamp_ms
            } else {
                at_ms
            },
            ..exposed.sample
        });
    }
    let vanished = previous.vanished(&batch.seen);
    batch
        .samples
        .extend(vanished.map(|labels| stale(labels, at_ms)));
    Ok(batch)
}

/// The stale markers of everything that the last stored scrape showed.
pub(crate) fn failed(previous: &Seen, at_ms: i64) -> Vec<SeriesSample> {
    let nothing = Seen::default();
    let vanished = previous.vanished(&nothing);
    vanished.map(|labels| stale(labels, at_ms)).collect()
}

impl Seen {
    /// Series that become stale because `now` does not have them; in no order.
    fn vanished<'a>(&'a self, now: &Seen) -> impl Iterator<Item = &'a Labels> {
        let gone: Vec<&Labels> = self
            .series
            .iter()
            .filter(|(labels, tracked)| **tracked && !now.series.contains_key(*labels))
            .map(|(labels, _)| labels)
            .collect();
        gone.into_iter()
    }
}

fn stale(labels: &Labels, at_ms: i64) -> SeriesSample {
    float(labels.clone(), stale_nan(), at_ms)
}

fn float(labels: Labels, value: f64, timestamp_ms: i64) -> SeriesSample {
    SeriesSample {
        labels,
        timestamp_ms,
        start_ms: None,
        temporality: Temporality::Cumulative,
        value: SampleValue::Float(value),
        exemplars: Vec::new(),
    }
}

/// A sample's labels together with its target's. Where both have one, the target's counts and the
/// sample's is kept as `exported_…`; with `honor_labels` the sample's counts, even an empty one.
fn with_target(exposed: &ExposedSample, target: &Labels, honor_labels: bool) -> Labels {
    let sample = &exposed.sample.labels;
    if honor_labels {
        let open = |name: &str| !exposed.emptied.iter().any(|emptied| emptied == name);
        return target.filter(open).overlaid(sample);
    }
    let is_contested = |name: &str| target.get(name).is_some();
    if !sample.iter().any(|(name, _)| is_contested(name)) {
        return sample.overlaid(target);
    }
    let mut all = sample.filter(|name| !is_contested(name)).overlaid(target);
    for (name, value) in sample.iter().filter(|(name, _)| is_contested(name)) {
        let mut free = format!("exported_{name}");
        while all.get(&free).is_some() || sample.get(&free).is_some() {
            free.insert_str(0, "exported_");
        }
        all = all.with(&free, value);
    }
    all
}

/// Whether a series may be stored, as number `kept` of its scrape.
fn admitted(labels: &Labels, limits: &JobLimits, kept: usize) -> Result<(), String> {
    let exceeds = |count: usize, limit: usize| limit > 0 && count > limit;
    if labels.metric_name().is_none() {
        return Err(format!("relabelling leaves {labels} without a name"));
    }
    if exceeds(kept, limits.samples) {
        return Err(format!(
            "more than sample_limit = {} samples",
            limits.samples
        ));
    }
    if exceeds(labels.len(), limits.labels) {
        return Err(format!(
            "{labels} has {} labels, more than label_limit = {}",
            labels.len(),
            limits.labels
        ));
    }
    for (name, value) in labels.iter() {
        if exceeds(name.len(), limits.label_name_length) {
            return Err(format!(
                "{labels}: the label name {name:?} is longer than label_name_length_limit = {}",
                limits.label_name_length
            ));
        }
        if exceeds(value.len(), limits.label_value_length) {
            return Err(format!(
                "{labels}: the value of {name} is longer than label_value_length_limit = {}",
                limits.label_value_length
            ));
        }
    }
    Ok(())
}

/// The names of a scrape's own series.
const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// A scrape's own series: whether it went well, how long it took, what it counted.
pub(crate) fn report(
    target: &Labels,
    up: bool,
    took: Duration,
    counts: Counts,
    at_ms: i64,
) -> [SeriesSample; 5] {
    let values = [
        f64::from(u8::from(up)),
        took.as_secs_f64(),
        counts.scraped as f64,
        counts.kept as f64,
        counts.added as f64,
    ];
    let mut values = values.into_iter();
    REPORT.map(|name| {
        let value = values.next().unwrap_or_default();
        float(target.with(METRIC_NAME, name), value, at_ms)
    })
}

/// The stale markers of a scrape's own series, once its target is gone.
pub(crate) fn report_stale(target: &Labels, at_ms: i64) -> [SeriesSample; 5] {
    REPORT.map(|name| stale(&target.with(METRIC_NAME, name), at_ms))
}

#[cfg(test)]
mod tests {
    use model::metric::is_stale;
    use wire::exposition::{Format, Reading, read};

    use super::*;
    use crate::scrape::config::Written;

    fn job(yaml: &str) -> Job {
        let written = Written {
            jobs: vec![serde_saphyr::from_str(&format!("{{job_name: j, {yaml}}}")).unwrap()],
            ..Written::default()
        };
        written.check(None).unwrap().jobs.remove(0)
    }

    /// The batch of a body in the text format that a target `{instance="i", job="j"}` shows.
    fn scraped(yaml: &str, body: &str, previous: &Seen, at_ms: i64) -> Result<Batch, Refused> {
        let target = Labels::new([("instance", "i"), ("job", "j")]);
        let reading = Reading {
            at_ms,
            max_samples: 100,
            keeps_classic: false,
        };
        let exposition = read(Format::Text, body.as_bytes(), reading).unwrap();
        successful(&job(yaml), &target, exposition, previous, at_ms)
    }

    /// Series, value and time of each sample, sorted.
    fn shown(samples: &[SeriesSample]) -> Vec<String> {
        let line = |sample: &SeriesSample| {
            let value = match sample.value {
                SampleValue::Float(value) if is_stale(value) => "stale".to_owned(),
                SampleValue::Float(value) => value.to_string(),
                SampleValue::Histogram(_) => "histogram".to_owned(),
            };
            format!("{} {value} {}", sample.labels, sample.timestamp_ms)
        };
        let mut lines: Vec<String> = samples.iter().map(line).collect();
        lines.sort();
        lines
    }

    fn samples_of(yaml: &str, body: &str) -> Vec<String> {
        shown(&scraped(yaml, body, &Seen::default(), 5).unwrap().samples)
    }

    #[test]
    fn labels_of_target_and_sample_are_put_together() {
        let body = "x{a=\"1\",job=\"k\",exported_job=\"l\"} 1\n";
        assert_eq!(
            samples_of("honor_labels: false", body),
            [r#"x{a="1", exported_exported_job="k", exported_job="l", instance="i", job="j"} 1 5"#]
        );
        assert_eq!(
            samples_of("honor_labels: true", body),
            [r#"x{a="1", exported_job="l", instance="i", job="k"} 1 5"#]
        );
        // A pushgateway says so where a group has no instance.
        let body = "x{instance=\"\",job=\"k\"} 1\n";
        assert_eq!(
            samples_of("honor_labels: true", body),
            [r#"x{job="k"} 1 5"#]
        );
        assert_eq!(
            samples_of("honor_labels: false", body),
            [r#"x{exported_job="k", instance="i", job="j"} 1 5"#]
        );
    }

    #[test]
    fn times_of_samples_are_honored_or_not() {
        let body = "x 1 3\n";
        let labels = r#"x{instance="i", job="j"}"#;
        assert_eq!(samples_of("", body), [format!("{labels} 1 3")]);
        assert_eq!(
            samples_of("honor_timestamps: false", body),
            [format!("{labels} 1 5")]
        );
    }

    #[test]
    fn samples_are_relabelled_and_counted() {
        let rules = "metric_relabel_configs: [{source_labels: [__name__], regex: 'go_.*', action: drop}, \
                     {regex: instance|job, action: labeldrop}]";
        let batch = scraped(rules, "x 1\ngo_x 2\ny 3\ny 4\n", &Seen::default(), 5).unwrap();
        assert_eq!(shown(&batch.samples), ["x 1 5", "y 3 5"]);
        assert_eq!(
            batch.counts,
            Counts {
                scraped: 4,
                kept: 3,
                added: 2
            }
        );
        assert_eq!(batch.duplicates, 1);
    }

    #[test]
    fn what_vanishes_becomes_stale_once() {
        let plain = "metric_relabel_configs: [{regex: instance|job, action: labeldrop}]";
        let first = scraped(plain, "a 1\nb 2\nc 3 4\n", &Seen::default(), 5).unwrap();
        let second = scraped(plain, "a 1\nd 1\n", &first.seen, 6).unwrap();
        assert_eq!(shown(&second.samples), ["a 1 6", "b stale 6", "d 1 6"]);
        assert_eq!(second.counts.added, 1);
        let third = scraped(plain, "a 1\nd 1\n", &second.seen, 7).unwrap();
        assert_eq!(shown(&third.samples), ["a 1 7", "d 1 7"]);
        assert_eq!(shown(&failed(&third.seen, 8)), ["a stale 8", "d stale 8"]);

        let tracked = format!("{plain}, track_timestamps_staleness: true");
        let first = scraped(&tracked, "c 3 4\n", &Seen::default(), 5).unwrap();
        let second = scraped(&tracked, "", &first.seen, 6).unwrap();
        assert_eq!(shown(&second.samples), ["c stale 6"]);
    }

    #[test]
    fn a_limit_refuses_the_whole_scrape() {
        for (yaml, body, expected) in [
            (
                "sample_limit: 2",
                "a 1\nb 1\nc 1\n",
                "more than sample_limit = 2 samples",
            ),
            (
                "label_limit: 3",
                "a{b=\"c\"} 1\n",
                "a{b=\"c\", instance=\"i\", job=\"j\"} has 4 labels, more than label_limit = 3",
            ),
            (
                "label_name_length_limit: 8",
                "a{exactly_9=\"x\"} 1\n",
                "the label name \"exactly_9\" is longer",
            ),
            (
                "label_value_length_limit: 2",
                "abc 1\n",
                "the value of __name__ is longer",
            ),
            (
                "metric_relabel_configs: [{regex: __name__, action: labeldrop}]",
                "a 1\n",
                "without a name",
            ),
        ] {
            let refused = scraped(yaml, body, &Seen::default(), 5).unwrap_err();
            assert!(refused.message.contains(expected), "{}", refused.message);
        }
        let at_the_limit = scraped("sample_limit: 2", "a 1\nb 1\n", &Seen::default(), 5);
        assert!(at_the_limit.is_ok());
    }

    #[test]
    fn a_scrape_has_series_of_its_own() {
        let target = Labels::new([("instance", "i"), ("job", "j")]);
        let counts = Counts {
            scraped: 4,
            kept: 3,
            added: 2,
        };
        let took = Duration::from_millis(1_500);
        assert_eq!(
            shown(&report(&target, true, took, counts, 5)),
            [
                r#"scrape_duration_seconds{instance="i", job="j"} 1.5 5"#,
                r#"scrape_samples_post_metric_relabeling{instance="i", job="j"} 3 5"#,
                r#"scrape_samples_scraped{instance="i", job="j"} 4 5"#,
                r#"scrape_series_added{instance="i", job="j"} 2 5"#,
                r#"up{instance="i", job="j"} 1 5"#,
            ]
        );
        let stale = shown(&report_stale(&target, 6));
        assert!(stale.len() == 5 && stale.iter().all(|line| line.ends_with(" stale 6")));
    }
}
