//! Splits of many shapes answer as a plain map does, merged or not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use model::metric::MetricType;
use model::{
    Exemplar, Labels, MatchOp, Matcher, MetricMetadata, NativeHistogram, SampleValue, SeriesSample,
};
use promql::matching::CompiledMatchers;
use promql::{SelectLimits, SeriesSource, Window};
use proptest::collection::vec;
use proptest::prelude::*;

use wire::MetricBatch;

use super::chunks::CHUNK_SAMPLES;
use super::*;
use crate::head::{HeadRows, HeadSettings, SplitSummary};
use crate::metrics::{MetricHead, MetricSnapshot};

fn head() -> Arc<MetricHead> {
    let settings = HeadSettings {
        row_group_rows: 100,
        retention: Arc::default(),
    };
    Arc::new(MetricHead::restore(&settings, None).unwrap())
}

fn sample(labels: &Labels, timestamp_ms: i64, value: f64) -> SeriesSample {
    SeriesSample {
        labels: labels.clone(),
        timestamp_ms,
        start_ms: None,
        temporality: model::metric::Temporality::Cumulative,
        value: SampleValue::Float(value),
        exemplars: Vec::new(),
    }
}

fn apply(head: &MetricHead, samples: Vec<SeriesSample>, metadata: Vec<MetricMetadata>) {
    let samples = samples.into_iter().map(|sample| (0, sample));
    let mut batch = MetricBatch::of_samples(samples);
    batch.metadata = metadata;
    head.apply(batch);
}

fn open(bytes: Vec<u8>, summary: &SplitSummary) -> MetricSplit {
    MetricSplit::open("test", Bytes::from(bytes), summary).unwrap()
}

fn sealed(head: &MetricHead) -> MetricSplit {
    let mut bytes = Vec::new();
    let summary = head.seal(0, &mut bytes).unwrap();
    open(bytes, &summary)
}

fn split_of(samples: Vec<SeriesSample>) -> MetricSplit {
    let head = head();
    apply(&head, samples, Vec::new());
    sealed(&head)
}

fn merged_at(splits: &[MetricSplit], cutoff_ms: i64) -> (Option<MetricSplit>, MergedMetrics) {
    let mut bytes = Vec::new();
    let merged = merge(splits, None, &|_| cutoff_ms, &mut bytes, &|| false).unwrap();
    let split = merged.summary.as_ref().map(|summary| open(bytes, summary));
    if let Some(split) = &split {
        split.verify().unwrap();
    }
    (split, merged)
}

fn merged(splits: &[MetricSplit]) -> (MetricSplit, MergedMetrics) {
    let (split, merged) = merged_at(splits, i64::MIN);
    (split.unwrap(), merged)
}

fn snapshot(splits: Vec<MetricSplit>) -> MetricSnapshot {
    MetricSnapshot {
        splits: splits.into_iter().map(Arc::new).collect(),
        generations: Vec::new(),
    }
}

type Samples = BTreeMap<String, BTreeMap<i64, u64>>;

fn floats(snapshot: &MetricSnapshot, matchers: &[Matcher], window: Window) -> Samples {
    let selected = wait(snapshot.select(matchers, window, SelectLimits::NONE)).unwrap();
    let samples = selected.into_iter().map(|series| {
        let values = series.floats.values.iter().map(|value| value.to_bits());
        let times = series.floats.timestamps_ms.iter().copied();
        (series.labels.to_string(), times.zip(values).collect())
    });
    samples.collect()
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(answer)
}

fn series(metric: &str, pod: &str) -> Labels {
    Labels::new([("__name__", metric), ("pod", pod)])
}

#[test]
fn long_series_are_cut_into_chunks_and_windows_read_what_they_need() {
    let long = series("long", "1");
    let times = 0..5_000_i64;
    let samples: Vec<_> = times.clone().map(|t| sample(&long, t, t as f64)).collect();
    let split = split_of(samples);
    assert_eq!(split.rows, 3);
    split.verify().unwrap();
    let snapshot = snapshot(vec![split]);
    for (after, until) in [
        (-1, 10_000),
        (1_000, 1_010),
        (2_040, 2_060),
        (4_990, 9_000),
        (9_000, 9_001),
    ] {
        let found = floats(&snapshot, &[], Window::new(after, until));
        let found: Vec<i64> = found
            .into_values()
            .flatten()
            .map(|(time, _)| time)
            .collect();
        let expected: Vec<i64> = times
            .clone()
            .filter(|t| after < *t && *t <= until)
            .collect();
        assert_eq!(found, expected, "({after}, {until}]");
    }
}

#[test]
fn merging_joins_short_chunks_and_copies_long_ones() {
    let one = series("one", "1");
    let part =
        |from: i64, to: i64| split_of((from..to).map(|t| sample(&one, t, t as f64)).collect());
    let (split, how) = merged(&[part(0, 100), part(100, 200), part(200, 300)]);
    assert_eq!((split.rows, how.copied.rows, how.encoded.rows), (1, 0, 300));
    let full = CHUNK_SAMPLES as i64;
    let (split, how) = merged(&[
        part(0, full),
        part(full, 2 * full),
        part(2 * full, 2 * full + 10),
    ]);
    assert_eq!(split.rows, 3);
    assert_eq!((how.copied.rows, how.encoded.rows), (2 * full as u64, 10));
    // Nothing stays short between two that are long.
    let (split, how) = merged(&[
        part(0, 10),
        part(10, 10 + full),
        part(10 + full, 10 + 2 * full),
    ]);
    assert_eq!((split.rows, how.copied.rows), (3, full as u64));
    // What overlaps is decoded, and the later one wins.
    let late = split_of(vec![sample(&one, 7, -1.0)]);
    let (split, how) = merged(&[part(0, full), late]);
    assert_eq!(
        (split.rows, how.copied.rows, split.samples),
        (1, 0, full as u64)
    );
    let found = floats(&snapshot(vec![split]), &[], Window::new(6, 8));
    let values: Vec<u64> = found
        .into_values()
        .flatten()
        .map(|(_, value)| value)
        .collect();
    assert_eq!(values, [(-1.0_f64).to_bits(), 8.0_f64.to_bits()]);
}

#[test]
fn exemplars_histograms_and_metadata_are_merged() {
    let exemplar = |timestamp_ms: i64| Exemplar {
        labels: Labels::new([("trace_id", "ab")]),
        value: f64::NAN,
        timestamp_ms,
    };
    let family = |help: &str| MetricMetadata {
        family: "one".to_owned(),
        kind: MetricType::Gauge,
        unit: String::new(),
        help: help.to_owned(),
    };
    let (one, other) = (series("one", "1"), series("two", "1"));
    let histogram = NativeHistogram {
        count: 3.0,
        ..NativeHistogram::default()
    };
    let mut splits = Vec::new();
    for (round, help) in [(0, "old"), (1, "new")] {
        let head = head();
        let time = round * 10;
        let samples = vec![
            SeriesSample {
                // The sender repeats what it has told.
                exemplars: vec![exemplar(3), exemplar(time + 5)],
                ..sample(&one, time + 5, 1.0)
            },
            SeriesSample {
                value: SampleValue::Histogram(Box::new(histogram.clone())),
                ..sample(&other, time, 0.0)
            },
            sample(&other, time + 1, 1.0),
        ];
        apply(&head, samples, vec![family(help)]);
        splits.push(sealed(&head));
    }
    let (split, _) = merged(&splits);
    assert_eq!(split.rows, 3);
    assert_eq!(split.metadata().unwrap(), [family("new")]);
    let snapshot = snapshot(vec![split]);
    let found = wait(snapshot.exemplars(&[vec![]], Window::ALL, SelectLimits::NONE)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].labels, one);
    let times: Vec<i64> = found[0].exemplars.iter().map(|e| e.timestamp_ms).collect();
    assert_eq!(times, [3, 5, 15]);
    let few = SelectLimits {
        max_samples: 2,
        ..SelectLimits::NONE
    };
    assert!(wait(snapshot.exemplars(&[vec![]], Window::ALL, few)).is_err());
    let selected = wait(snapshot.select(&[], Window::ALL, SelectLimits::NONE)).unwrap();
    assert_eq!(selected[1].histograms.timestamps_ms, [0, 10]);
    assert_eq!(selected[1].floats.timestamps_ms, [1, 11]);
}

#[test]
fn what_is_over_is_left_out() {
    let (one, two) = (series("one", "1"), series("two", "1"));
    let old = split_of(vec![sample(&one, 10, 1.0), sample(&two, 10, 1.0)]);
    let new = split_of(vec![sample(&one, 20, 1.0)]);
    let (split, how) = merged_at(&[old, new], 11);
    let split = split.unwrap();
    assert_eq!((how.expired, split.samples, split.rows), (2, 1, 1));
    let (nothing, how) = merged_at(&[split], 21);
    assert!(nothing.is_none());
    assert_eq!(how.expired, 1);
}

#[test]
fn merging_stops_when_it_is_told_to() {
    let split = split_of(vec![sample(&series("one", "1"), 10, 1.0)]);
    let stopped = merge(&[split], None, &|_| i64::MIN, &mut Vec::new(), &|| true);
    assert!(matches!(stopped, Err(crate::StoreError::ShuttingDown)));
}

#[test]
fn many_series_are_found_by_their_labels_across_row_groups() {
    let pods: Vec<String> = (0..20_000).map(|n| format!("pod-{n:05}")).collect();
    let all: Vec<Labels> = pods.iter().map(|pod| series("many", pod)).collect();
    let mut samples: Vec<_> = all.iter().map(|labels| sample(labels, 10, 1.0)).collect();
    samples.push(sample(&series("few", "pod-00007"), 20, 1.0));
    let split = split_of(samples);
    split.verify().unwrap();
    let find = |op, name: &str, value: &str| {
        let matchers = [Matcher::new(name, op, value)];
        let compiled = CompiledMatchers::new(&matchers).unwrap();
        let mut found = Vec::new();
        split
            .visit_rows(&matchers, &compiled, Window::ALL, &mut |row| {
                found.push(row.labels.to_string());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        found
    };
    assert_eq!(
        find(MatchOp::Equal, "pod", "pod-19999"),
        [r#"many{pod="pod-19999"}"#]
    );
    assert_eq!(find(MatchOp::Equal, "pod", "pod-00007").len(), 2);
    assert_eq!(find(MatchOp::Regex, "pod", "pod-1600.").len(), 10);
    assert_eq!(find(MatchOp::NotEqual, "__name__", "many").len(), 1);
    let values = |window: Window, matchers: &[Matcher]| {
        let compiled = CompiledMatchers::new(matchers).unwrap();
        let mut values = BTreeSet::new();
        split
            .add_label_values("pod", (matchers, &compiled), window, &mut values)
            .unwrap();
        let mut names = BTreeSet::new();
        split
            .add_label_names((matchers, &compiled), window, &mut names)
            .unwrap();
        (values.len(), names.len())
    };
    let many = Matcher::new("__name__", MatchOp::Equal, "many");
    assert_eq!(values(Window::ALL, &[]), (20_000, 2));
    assert_eq!(
        values(Window::ALL, std::slice::from_ref(&many)),
        (20_000, 2)
    );
    assert_eq!(values(Window::new(0, 10), &[]), (20_000, 2));
    assert_eq!(values(Window::new(10, 20), &[]), (1, 2));
    assert_eq!(values(Window::new(10, 20), &[many]), (0, 0));
}

/// Something that happens to the store of one tenant's metrics.
#[derive(Debug, Clone)]
enum Step {
    Write(Labels, i64, u64),
    Seal,
    /// Merges so many of the splits from one on.
    Merge(prop::sample::Index, usize),
}

fn labels() -> impl Strategy<Value = Labels> {
    ("[ab]", "[pq]?", "[xy]?").prop_map(|(metric, pod, zone)| {
        Labels::new([("__name__", metric), ("pod", pod), ("zone", zone)])
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (labels(), 0_i64..40, any::<u64>()).prop_map(|(labels, time, bits)| Step::Write(labels, time, bits)),
        2 => Just(Step::Seal),
        1 => (any::<prop::sample::Index>(), 2_usize..4).prop_map(|(at, count)| Step::Merge(at, count)),
    ]
}

/// A snapshot after all steps.
fn after(steps: &[Step]) -> MetricSnapshot {
    let mut generation = head();
    let mut splits: Vec<MetricSplit> = Vec::new();
    for step in steps {
        match step {
            Step::Write(labels, time, bits) => {
                let sample = sample(labels, *time, f64::from_bits(*bits));
                apply(&generation, vec![sample], Vec::new());
            }
            Step::Seal => {
                let next = Arc::new(generation.successor());
                if generation.rows() > 0 {
                    splits.push(sealed(&generation));
                }
                generation = next;
            }
            Step::Merge(at, count) if !splits.is_empty() => {
                let first = at.index(splits.len());
                let last = (first + count).min(splits.len());
                let run: Vec<MetricSplit> = splits.drain(first..last).collect();
                splits.insert(first, merged(&run).0);
            }
            Step::Merge(..) => {}
        }
    }
    MetricSnapshot {
        generations: vec![generation],
        ..snapshot(splits)
    }
}

/// What a map in which the last write wins says.
fn expected(steps: &[Step], matchers: &[Matcher], window: Window) -> Samples {
    let compiled = CompiledMatchers::new(matchers).unwrap();
    let mut expected = Samples::new();
    for step in steps {
        if let Step::Write(labels, time, bits) = step
            && window.contains(*time)
            && compiled.matches(labels)
        {
            let series = expected.entry(labels.to_string()).or_default();
            series.insert(*time, *bits);
        }
    }
    expected
}

fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let op = prop::sample::select(vec![
        MatchOp::Equal,
        MatchOp::NotEqual,
        MatchOp::Regex,
        MatchOp::NotRegex,
    ]);
    let value = prop::sample::select(vec!["", "a", "p", "x", "a|p", ".+", "p.*", "[pqxy]"]);
    let name = prop::sample::select(vec!["__name__", "pod", "zone", "absent"]);
    vec(
        (name, op, value).prop_map(|(name, op, value)| Matcher::new(name, op, value)),
        0..3,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sealing_and_merging_change_no_answer(
        steps in vec(step(), 0..80),
        matchers in matchers(),
        after_ms in -1_i64..40,
        length in 0_i64..40,
    ) {
        let snapshot = after(&steps);
        let window = Window::new(after_ms, after_ms + length);
        prop_assert_eq!(floats(&snapshot, &matchers, window), expected(&steps, &matchers, window));
        let all = expected(&steps, &matchers, Window::ALL);
        let selectors = [matchers.clone()];
        let listed = wait(snapshot.series(&selectors, Window::ALL, usize::MAX)).unwrap();
        let listed: BTreeSet<String> = listed.iter().map(ToString::to_string).collect();
        prop_assert_eq!(listed, all.keys().cloned().collect::<BTreeSet<_>>());
        let compiled = CompiledMatchers::new(&matchers).unwrap();
        let mut pods = BTreeSet::new();
        let mut names = BTreeSet::new();
        for step in &steps {
            if let Step::Write(labels, ..) = step && compiled.matches(labels) {
                pods.extend(labels.get("pod").map(str::to_owned));
                names.extend(labels.iter().map(|(name, _)| name.to_owned()));
            }
        }
        let found = wait(snapshot.label_values("pod", &selectors, Window::ALL, 99)).unwrap();
        prop_assert_eq!(found.names, pods.into_iter().collect::<Vec<_>>());
        let found = wait(snapshot.label_names(&selectors, Window::ALL, 99)).unwrap();
        prop_assert_eq!(found.names, names.into_iter().collect::<Vec<_>>());
    }

    /// Samples of different times may come in any order, sealed and merged at any moment.
    #[test]
    fn the_order_of_arrival_changes_no_answer(
        samples in proptest::collection::btree_map((labels(), 0_i64..40), any::<u64>(), 0..60),
        order in any::<u64>(),
        others in vec(step(), 0..12),
    ) {
        let writes: Vec<Step> = samples
            .iter()
            .map(|((labels, time), bits)| Step::Write(labels.clone(), *time, *bits))
            .collect();
        let mut shuffled = writes.clone();
        shuffled.extend(others.into_iter().filter(|step| !matches!(step, Step::Write(..))));
        fastrand::Rng::with_seed(order).shuffle(&mut shuffled);
        prop_assert_eq!(
            floats(&after(&shuffled), &[], Window::ALL),
            floats(&after(&writes), &[], Window::ALL)
        );
    }
}
