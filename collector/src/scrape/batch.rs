//! From what a target shows to what is stored: labels, limits, staleness, and the scrape's own
//! series.
//!
//! Pure. A series that the last stored scrape showed and this one does not gets the stale marker,
//! so queries do not see it for another five minutes; samples that bring their own time are left
//! out of that, as in Prometheus, unless the job says otherwise.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use model::labels::METRIC_NAME;
use model::metric::{Temporality, stale_nan};
use model::{Labels, SampleValue, SeriesSample};
use wire::exposition::{ExposedSample, Exposition};

use super::config::{Job, JobLimits};
use super::relabel;
use super::resolution::Resolution;

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
    for mut exposed in exposition.samples {
        let labels = with_target(&exposed, target, job.honor_labels);
        let Some(labels) = relabel::apply(&job.metric_relabel, labels) else {
            continue;
        };
        if labels.is_empty() {
            continue;
        }
        batch.counts.kept += 1;
        let verdict = admitted(&labels, &job.limits, batch.counts.kept)
            .and_then(|()| fit(&mut exposed.sample.value, &labels, job.limits.resolution));
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
        .extend(vanished.into_iter().map(|labels| stale(labels, at_ms)));
    Ok(batch)
}

/// The stale markers of everything that the last stored scrape showed.
pub(crate) fn failed(previous: &Seen, at_ms: i64) -> Vec<SeriesSample> {
    let vanished = previous.vanished(&Seen::default());
    let markers = vanished.into_iter().map(|labels| stale(labels, at_ms));
    markers.collect()
}

impl Seen {
    /// Series that become stale because `now` does not have them; in no order.
    fn vanished<'a>(&'a self, now: &Self) -> Vec<&'a Labels> {
        self.series
            .iter()
            .filter(|(labels, tracked)| **tracked && !now.series.contains_key(*labels))
            .map(|(labels, _)| labels)
            .collect()
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

/// Brings a native histogram to a resolution that the job allows.
fn fit(value: &mut SampleValue, labels: &Labels, resolution: Resolution) -> Result<(), String> {
    match value {
        SampleValue::Float(_) => Ok(()),
        SampleValue::Histogram(histogram) => resolution
            .fit(histogram)
            .map_err(|problem| format!("{labels} has {problem}")),
    }
}

/// The names of a scrape's own series.
const REPORT: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
/// Those that `extra_scrape_metrics` adds.
const EXTRA: [&str; 3] = [
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// What `extra_scrape_metrics` says: how near a target is to its limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extra {
    pub(crate) timeout: Duration,
    /// 0 means none.
    pub(crate) sample_limit: usize,
    /// The answer's bytes, decompressed; 0 without an answer, -1 for one that is too large.
    pub(crate) body_bytes: i64,
}

/// A scrape's own series: whether it went well, how long it took, what it counted.
pub(crate) fn report(
    target: &Labels,
    up: bool,
    took: Duration,
    counts: Counts,
    extra: Option<Extra>,
    at_ms: i64,
) -> Vec<SeriesSample> {
    let values = [
        f64::from(u8::from(up)),
        took.as_secs_f64(),
        counts.scraped as f64,
        counts.kept as f64,
        counts.added as f64,
    ];
    let own = REPORT.into_iter().zip(values);
    let more = extra.into_iter().flat_map(|extra| {
        let values = [
            extra.timeout.as_secs_f64(),
            extra.sample_limit as f64,
            extra.body_bytes as f64,
        ];
        EXTRA.into_iter().zip(values)
    });
    own.chain(more)
        .map(|(name, value)| float(target.with(METRIC_NAME, name), value, at_ms))
        .collect()
}

/// The stale markers of a scrape's own series, once its target is gone.
pub(crate) fn report_stale(target: &Labels, has_extra: bool, at_ms: i64) -> Vec<SeriesSample> {
    let more: &[&str] = match has_extra {
        true => &EXTRA,
        false => &[],
    };
    let names = REPORT.iter().chain(more);
    names
        .map(|name| stale(&target.with(METRIC_NAME, name), at_ms))
        .collect()
}
