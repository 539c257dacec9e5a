//! What one scrape adds: labels, times, staleness, limits, and the series of its own.

use model::NativeHistogram;
use model::histogram::BucketSpan;
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
fn a_native_histogram_with_too_many_buckets_is_made_coarser_or_refused() {
    let shown = |buckets: &[f64], below_zero: &[f64]| {
        let spans = |counts: &[f64]| {
            let length = counts.len() as u32;
            vec![BucketSpan { offset: 1, length }]
        };
        let histogram = NativeHistogram {
            positive_spans: spans(buckets),
            positive_counts: buckets.to_vec(),
            negative_spans: spans(below_zero),
            negative_counts: below_zero.to_vec(),
            ..NativeHistogram::default()
        };
        let exposed = ExposedSample {
            sample: SeriesSample {
                value: SampleValue::Histogram(Box::new(histogram)),
                ..float(Labels::new([("__name__", "h")]), 0.0, 5)
            },
            timed: false,
            emptied: Vec::new(),
        };
        let exposition = Exposition {
            samples: vec![exposed],
            metadata: Vec::new(),
        };
        let job = job("native_histogram_bucket_limit: 1");
        successful(&job, &Labels::empty(), exposition, &Seen::default(), 5)
    };
    let batch = shown(&[1.0, 2.0], &[]).unwrap();
    let SampleValue::Histogram(histogram) = &batch.samples[0].value else {
        panic!("{:?}", batch.samples);
    };
    assert_eq!(
        (histogram.schema, &histogram.positive_counts),
        (-1, &vec![3.0])
    );
    let refused = shown(&[1.0], &[2.0]).unwrap_err();
    assert_eq!(
        refused.message,
        "h has 2 buckets at the coarsest resolution, more than native_histogram_bucket_limit = 1"
    );
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
        shown(&report(&target, true, took, counts, None, 5)),
        [
            r#"scrape_duration_seconds{instance="i", job="j"} 1.5 5"#,
            r#"scrape_samples_post_metric_relabeling{instance="i", job="j"} 3 5"#,
            r#"scrape_samples_scraped{instance="i", job="j"} 4 5"#,
            r#"scrape_series_added{instance="i", job="j"} 2 5"#,
            r#"up{instance="i", job="j"} 1 5"#,
        ]
    );
    let stale = shown(&report_stale(&target, false, 6));
    assert!(stale.len() == 5 && stale.iter().all(|line| line.ends_with(" stale 6")));

    let extra = Extra {
        timeout: Duration::from_secs(10),
        sample_limit: 7,
        body_bytes: -1,
    };
    let all = shown(&report(&target, true, took, counts, Some(extra), 5));
    for expected in [
        r#"scrape_body_size_bytes{instance="i", job="j"} -1 5"#,
        r#"scrape_sample_limit{instance="i", job="j"} 7 5"#,
        r#"scrape_timeout_seconds{instance="i", job="j"} 10 5"#,
    ] {
        assert!(all.iter().any(|line| line == expected), "{all:?}");
    }
    assert_eq!(all.len(), 8);
    assert_eq!(report_stale(&target, true, 6).len(), 8);
}
