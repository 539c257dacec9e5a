//! Samples applied, sealed and read back are the samples of a plain map, wherever they lie.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use model::metric::{MetricType, Temporality, stale_nan};
use model::{
    Exemplar, Labels, MatchOp, Matcher, MetricMetadata, NativeHistogram, SampleValue, SeriesSample,
};
use promql::{SelectLimits, SeriesSource, SourceError, Window};
use proptest::prelude::*;

use super::head::SeriesColumns;
use super::{MetricHead, MetricSnapshot, MetricSplit};
use crate::head::{HeadRows, HeadSettings, SplitSummary};
use wire::MetricBatch;

fn settings() -> HeadSettings {
    HeadSettings {
        row_group_rows: 100,
        retention: Arc::default(),
    }
}

fn gauge(series: &str, timestamp_ms: i64, value: f64) -> SeriesSample {
    SeriesSample {
        labels: Labels::new([("__name__", "g"), ("series", series)]),
        timestamp_ms,
        start_ms: None,
        temporality: Temporality::Cumulative,
        value: SampleValue::Float(value),
        exemplars: Vec::new(),
    }
}

fn apply(head: &MetricHead, samples: impl IntoIterator<Item = SeriesSample>) {
    let samples = samples.into_iter().map(|sample| (0, sample));
    head.apply(MetricBatch::of_samples(samples));
}

fn empty() -> Arc<MetricHead> {
    Arc::new(MetricHead::restore(&settings(), None).unwrap())
}

fn sealed(head: &MetricHead) -> (MetricSplit, Vec<u8>, SplitSummary) {
    let mut bytes = Vec::new();
    let summary = head.seal(0, &mut bytes).unwrap();
    // Of samples of one series and time only the last is written.
    assert!(summary.rows <= head.rows());
    let split = MetricSplit::open("test", Bytes::from(bytes.clone()), &summary).unwrap();
    (split, bytes, summary)
}

async fn floats(snapshot: &MetricSnapshot, matchers: &[Matcher]) -> Vec<(String, Vec<(i64, u64)>)> {
    let series = snapshot
        .select(matchers, Window::ALL, SelectLimits::NONE)
        .await
        .unwrap();
    series
        .into_iter()
        .map(|one| {
            let bits = one.floats.values.iter().map(|value| value.to_bits());
            (
                one.labels.to_string(),
                one.floats.timestamps_ms.iter().copied().zip(bits).collect(),
            )
        })
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Sample(u8, i64, u64),
    Seal,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        9 => (0_u8..3, 0_i64..30, any::<u64>()).prop_map(|(series, time, bits)| Step::Sample(series, time, bits)),
        1 => Just(Step::Seal),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_snapshot_is_a_map_in_which_the_last_write_wins(
        steps in proptest::collection::vec(step(), 0..80),
        after in -1_i64..30,
        until in -1_i64..30,
    ) {
        let mut snapshot = MetricSnapshot { generations: vec![empty()], ..MetricSnapshot::default() };
        let mut expected = BTreeMap::<String, BTreeMap<i64, u64>>::new();
        for step in steps {
            let head = snapshot.generations.last().unwrap();
            match step {
                Step::Sample(series, time, bits) => {
                    let sample = gauge(&series.to_string(), time, f64::from_bits(bits));
                    if after < time && time <= until {
                        expected.entry(sample.labels.to_string()).or_default().insert(time, bits);
                    }
                    apply(head, [sample]);
                }
                Step::Seal => {
                    let next = Arc::new(head.successor());
                    snapshot.splits.push(Arc::new(sealed(head).0));
                    snapshot.generations = vec![next];
                }
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = runtime
            .block_on(snapshot.select(&[], Window::new(after, until), SelectLimits::NONE))
            .unwrap();
        let got: BTreeMap<String, BTreeMap<i64, u64>> = got
            .into_iter()
            .map(|one| {
                let values = one.floats.values.iter().map(|value| value.to_bits());
                (one.labels.to_string(), one.floats.timestamps_ms.iter().copied().zip(values).collect())
            })
            .collect();
        prop_assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn a_counter_counts_from_zero_at_its_start_once() {
    let counter = |time, start, value| SeriesSample {
        start_ms: Some(start),
        ..gauge("a", time, value)
    };
    let head = empty();
    apply(&head, [counter(100, 40, 3.0), counter(200, 40, 5.0)]);
    let next = Arc::new(head.successor());
    // The same start in the next generation; then a restart; then a start hours before.
    apply(&next, [counter(300, 40, 7.0), counter(400, 350, 1.0)]);
    let long_ago = SeriesSample {
        start_ms: Some(0),
        ..gauge("b", 10 * 3_600_000, 9.0)
    };
    apply(&next, [long_ago]);
    let snapshot = MetricSnapshot {
        splits: vec![Arc::new(sealed(&head).0)],
        generations: vec![next],
    };
    let bits = f64::to_bits;
    assert_eq!(
        floats(&snapshot, &[]).await,
        [
            (
                r#"g{series="a"}"#.to_owned(),
                vec![
                    (40, bits(0.0)),
                    (100, bits(3.0)),
                    (200, bits(5.0)),
                    (300, bits(7.0)),
                    (350, bits(0.0)),
                    (400, bits(1.0))
                ]
            ),
            (r#"g{series="b"}"#.to_owned(), vec![(36_000_000, bits(9.0))]),
        ]
    );
}

#[tokio::test]
async fn a_first_sample_at_its_own_start_keeps_its_value_in_later_generations() {
    let counter = |time, value| SeriesSample {
        start_ms: Some(100),
        ..gauge("a", time, value)
    };
    let head = empty();
    apply(&head, [counter(100, 1000.0), counter(200, 1001.0)]);
    let after_seal = Arc::new(head.successor());
    let after_restart = restored(&head);
    for next in [after_seal, after_restart] {
        apply(&next, [counter(300, 1002.0)]);
        let snapshot = MetricSnapshot {
            splits: vec![Arc::new(sealed(&head).0)],
            generations: vec![next],
        };
        let values: Vec<f64> = floats(&snapshot, &[]).await[0]
            .1
            .iter()
            .map(|(_, bits)| f64::from_bits(*bits))
            .collect();
        assert_eq!(values, [1000.0, 1001.0, 1002.0]);
    }
}

#[tokio::test]
async fn a_start_amid_earlier_samples_adds_no_zero_wherever_they_lie() {
    let counter = |time, start, value| SeriesSample {
        start_ms: Some(start),
        ..gauge("a", time, value)
    };
    // A sender whose points start at the one before; the last one comes late.
    let samples = [
        counter(200, 100, 6.0),
        counter(300, 200, 7.0),
        counter(400, 300, 8.0),
        counter(150, 110, 5.0),
    ];
    for sealed_after in 1..samples.len() {
        let (earlier, later) = samples.split_at(sealed_after);
        let head = empty();
        apply(&head, earlier.to_vec());
        for next in [Arc::new(head.successor()), restored(&head)] {
            apply(&next, later.to_vec());
            let snapshot = MetricSnapshot {
                splits: vec![Arc::new(sealed(&head).0)],
                generations: vec![next],
            };
            let found = floats(&snapshot, &[]).await[0].1.clone();
            let found: Vec<(i64, f64)> = found
                .into_iter()
                .map(|(time, bits)| (time, f64::from_bits(bits)))
                .collect();
            let expected = [(100, 0.0), (150, 5.0), (200, 6.0), (300, 7.0), (400, 8.0)];
            assert_eq!(found, expected, "sealed after {sealed_after}");
        }
    }
}

#[tokio::test]
async fn any_start_time_is_borne() {
    for start in [i64::MIN, i64::MIN + 1, -1, i64::MAX] {
        let head = empty();
        let sample = SeriesSample {
            start_ms: Some(start),
            ..gauge("a", 100_000_000, 3.0)
        };
        apply(&head, [sample]);
        let expected = vec![(100_000_000, 3.0_f64.to_bits())];
        let snapshot = MetricSnapshot {
            splits: vec![Arc::new(sealed(&head).0)],
            generations: vec![head],
        };
        assert_eq!(floats(&snapshot, &[]).await[0].1, expected, "{start}");
    }
}

#[tokio::test]
async fn a_start_that_there_was_no_room_for_adds_no_zero_again() {
    let counter = |series, time, start, value| SeriesSample {
        start_ms: Some(start),
        ..gauge(series, time, value)
    };
    let head = empty();
    // Its first sample lies at its own start, where a zero would take its place.
    apply(&head, [counter("a", 100, 100, 1000.0)]);
    apply(&head, [counter("b", 300, 200, 7.0)]);
    // Room for the labels of one of them.
    let next = Arc::new(head.successor_within("__name__gseriesa".len()));
    apply(&next, [counter("a", 400, 100, 1001.0)]);
    apply(&next, [counter("b", 400, 200, 8.0)]);
    apply(&next, [counter("c", 400, 350, 3.0)]);
    let snapshot = MetricSnapshot {
        splits: vec![Arc::new(sealed(&head).0)],
        generations: vec![next],
    };
    let found = floats(&snapshot, &[]).await;
    let found: Vec<Vec<(i64, f64)>> = found
        .into_iter()
        .map(|(_, samples)| {
            let value = |(time, bits)| (time, f64::from_bits(bits));
            samples.into_iter().map(value).collect()
        })
        .collect();
    let expected = [
        vec![(100, 1000.0), (400, 1001.0)],
        vec![(200, 0.0), (300, 7.0), (400, 8.0)],
        vec![(350, 0.0), (400, 3.0)],
    ];
    assert_eq!(found, expected);
}

#[test]
fn descriptions_without_samples_outlive_a_restart() {
    let family = MetricMetadata {
        family: "g".to_owned(),
        kind: MetricType::Gauge,
        unit: String::new(),
        help: "a gauge".to_owned(),
    };
    let head = empty();
    let mut batch = MetricBatch::of_samples([]);
    batch.metadata = vec![family.clone()];
    head.apply(batch);
    assert_eq!(head.successor().metadata(), std::slice::from_ref(&family));
    assert_eq!(restored(&head).metadata(), [family]);
    // The split of a generation with samples holds them.
    apply(&head, [gauge("a", 1, 1.0)]);
    assert!(restored(&head).metadata().is_empty());
}

/// The head that continues from the checkpoint of `head`.
fn restored(head: &MetricHead) -> Arc<MetricHead> {
    Arc::new(MetricHead::restore(&settings(), head.accumulators().as_deref()).unwrap())
}

#[tokio::test]
async fn deltas_go_on_after_a_restart_from_the_checkpoint() {
    let delta = |time, value| SeriesSample {
        temporality: Temporality::Delta,
        ..gauge("a", time, value)
    };
    let head = empty();
    apply(&head, [delta(10, 1.0), delta(20, 2.0)]);
    let restored = restored(&head);
    apply(&restored, [delta(30, 4.0)]);
    let snapshot = MetricSnapshot {
        splits: vec![Arc::new(sealed(&head).0)],
        generations: vec![restored],
    };
    let values: Vec<f64> = floats(&snapshot, &[]).await[0]
        .1
        .iter()
        .map(|(_, bits)| f64::from_bits(*bits))
        .collect();
    assert_eq!(values, [1.0, 3.0, 7.0]);
}

#[tokio::test]
async fn histograms_exemplars_stale_markers_and_metadata_survive_a_seal() {
    let histogram = NativeHistogram {
        schema: 3,
        count: 2.0,
        sum: f64::NAN,
        ..NativeHistogram::default()
    };
    let exemplar = Exemplar {
        labels: Labels::new([("trace_id", "ab")]),
        value: 0.5,
        timestamp_ms: 9,
    };
    let family = MetricMetadata {
        family: "g".to_owned(),
        kind: MetricType::Gauge,
        unit: "By".to_owned(),
        help: "a gauge".to_owned(),
    };
    let head = empty();
    let samples = [
        SeriesSample {
            value: SampleValue::Histogram(Box::new(histogram.clone())),
            exemplars: vec![exemplar],
            ..gauge("h", 10, 0.0)
        },
        gauge("s", 10, stale_nan()),
    ]
    .map(|sample| (0, sample));
    let mut batch = MetricBatch::of_samples(samples);
    batch.metadata = vec![family.clone()];
    head.apply(batch);
    let (split, _, _) = sealed(&head);
    let snapshot = MetricSnapshot {
        splits: vec![Arc::new(split)],
        generations: Vec::new(),
    };
    assert_eq!(snapshot.metadata().unwrap(), [family]);
    let series = snapshot
        .select(&[], Window::ALL, SelectLimits::NONE)
        .await
        .unwrap();
    assert_eq!(series[0].histograms.values[0].count, 2.0);
    assert_eq!(
        series[0].histograms.values[0].sum.to_bits(),
        histogram.sum.to_bits()
    );
    assert!(model::metric::is_stale(series[1].floats.values[0]));
}

/// A sample of series `series` with an exemplar of its own.
fn with_exemplar(series: &str, timestamp_ms: i64) -> SeriesSample {
    SeriesSample {
        exemplars: vec![Exemplar {
            labels: Labels::new([("trace_id", series)]),
            value: 0.5,
            timestamp_ms,
        }],
        ..gauge(series, timestamp_ms, 1.0)
    }
}

#[tokio::test]
async fn exemplars_are_found_in_head_and_split_alike() {
    let head = empty();
    apply(&head, [with_exemplar("a", 10), with_exemplar("b", 20)]);
    apply(&head, [gauge("c", 10, 1.0)]);
    let places = [
        MetricSnapshot {
            splits: vec![Arc::new(sealed(&head).0)],
            generations: Vec::new(),
        },
        MetricSnapshot {
            splits: Vec::new(),
            generations: vec![head],
        },
    ];
    let cases = [
        (Window::ALL, 2),
        (Window::new(10, 20), 1),
        (Window::new(20, 30), 0),
    ];
    let everything = [Vec::new()];
    for snapshot in places {
        for (window, expected) in cases {
            let found = snapshot.exemplars(&everything, window, SelectLimits::NONE);
            let found = found.await.unwrap();
            assert_eq!(found.len(), expected, "{window:?}");
            assert!(found.iter().all(|series| series.exemplars.len() == 1));
        }
    }
}

#[tokio::test]
async fn exemplars_without_a_sample_of_their_series_are_not_sealed() {
    let mut bytes = Vec::new();
    let exemplars = with_exemplar("a", 10).exemplars;
    let alone = SeriesColumns {
        exemplars: exemplars.into(),
        ..SeriesColumns::default()
    };
    let mut other = SeriesColumns::default();
    other.floats.push(10, None, 1.0);
    let labels = |series| Labels::new([("__name__", "g"), ("series", series)]);
    let series = [(labels("a"), alone), (labels("b"), other)];
    let summary = super::split::write(series, &[], &mut bytes).unwrap();
    assert_eq!(summary.rows, 1);
    let split = MetricSplit::open("test", Bytes::from(bytes), &summary).unwrap();
    let snapshot = MetricSnapshot {
        splits: vec![Arc::new(split)],
        generations: Vec::new(),
    };
    let everything = [Vec::new()];
    let found = snapshot.exemplars(&everything, Window::ALL, SelectLimits::NONE);
    assert!(found.await.unwrap().is_empty());
}

#[test]
fn exemplars_that_nobody_waits_for_are_not_gathered() {
    let head = empty();
    apply(&head, [with_exemplar("a", 10)]);
    let snapshot = MetricSnapshot {
        splits: Vec::new(),
        generations: vec![head],
    };
    for (is_cancelled, expected) in [(false, 1), (true, 0)] {
        let cancelled = AtomicBool::new(is_cancelled);
        let everything = [Vec::new()];
        let found =
            snapshot.exemplars_now(&everything, Window::ALL, SelectLimits::NONE, &cancelled);
        assert_eq!(found.unwrap().len(), expected);
    }
}

#[tokio::test]
async fn a_generation_lists_its_series_by_runs_of_samples() {
    let head = empty();
    // A run that is encoded, with a gap amid it, and one sample that is not.
    let times = (0..16).chain(100..116).chain([1_000]);
    apply(&head, times.map(|time| gauge("a", time, 1.0)));
    apply(&head, [gauge("b", 50, 1.0)]);
    let snapshot = MetricSnapshot {
        splits: Vec::new(),
        generations: vec![head],
    };
    let cases = [
        (Window::ALL, "ab", vec![1_000, 50]),
        (Window::new(40, 60), "ab", vec![115, 50]),
        (Window::new(50, 60), "a", vec![115]),
        (Window::new(115, 999), "", vec![]),
        (Window::new(115, 1_000), "a", vec![1_000]),
        (Window::new(1_000, i64::MAX), "", vec![]),
    ];
    for (window, series, last_ms) in cases {
        let found = snapshot.label_values("series", &[], window, 9);
        assert_eq!(found.await.unwrap().names.concat(), series, "{window:?}");
        let (sender, visited) = std::sync::mpsc::channel();
        let visit = move |_: &Labels, last_ms: i64| sender.send(last_ms).unwrap();
        snapshot.each_series(window, visit).await.unwrap();
        assert_eq!(visited.iter().collect::<Vec<_>>(), last_ms, "{window:?}");
    }
}

#[tokio::test]
async fn matchers_select_in_head_and_split_alike_and_limits_refuse() {
    let head = empty();
    apply(&head, ["a", "b", "c"].map(|series| gauge(series, 1, 1.0)));
    let (split, _, _) = sealed(&head);
    let places = [
        MetricSnapshot {
            splits: vec![Arc::new(split)],
            generations: Vec::new(),
        },
        MetricSnapshot {
            splits: Vec::new(),
            generations: vec![head],
        },
    ];
    let cases = [
        (Matcher::new("series", MatchOp::Equal, "a"), "a"),
        (Matcher::new("series", MatchOp::NotEqual, "a"), "bc"),
        (Matcher::new("series", MatchOp::Regex, "a|b"), "ab"),
        (Matcher::new("series", MatchOp::NotRegex, "a|b"), "c"),
        (Matcher::new("absent", MatchOp::Equal, ""), "abc"),
        (Matcher::new("absent", MatchOp::NotEqual, ""), ""),
        (Matcher::new("series", MatchOp::Equal, "nowhere"), ""),
    ];
    for snapshot in places {
        for (matcher, expected) in &cases {
            let found = snapshot
                .label_values("series", &[vec![matcher.clone()]], Window::ALL, 9)
                .await
                .unwrap();
            assert_eq!(found.names.concat(), *expected, "{matcher}");
        }
        let few = SelectLimits {
            max_series: 2,
            ..SelectLimits::NONE
        };
        let refused = snapshot.select(&[], Window::ALL, few).await;
        assert_eq!(refused, Err(SourceError::TooManySeries { limit: 2 }));
        let few = SelectLimits {
            max_samples: 1,
            ..SelectLimits::NONE
        };
        let refused = snapshot.select(&[], Window::ALL, few).await;
        assert_eq!(refused, Err(SourceError::TooManySamples { limit: 1 }));
        let names = snapshot.label_names(&[], Window::ALL, 1).await.unwrap();
        assert_eq!(
            (names.names, names.truncated),
            (vec!["__name__".to_owned()], true)
        );
    }
}

#[tokio::test]
async fn a_flipped_byte_anywhere_in_a_split_is_an_error() {
    let head = empty();
    apply(&head, (0..200).map(|time| gauge("a", time, time as f64)));
    let (split, bytes, summary) = sealed(&head);
    let whole = MetricSnapshot {
        splits: vec![Arc::new(split)],
        generations: Vec::new(),
    };
    assert_eq!(floats(&whole, &[]).await.len(), 1);
    for at in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let Ok(split) = MetricSplit::open("test", Bytes::from(damaged), &summary) else {
            continue;
        };
        let snapshot = MetricSnapshot {
            splits: vec![Arc::new(split)],
            generations: Vec::new(),
        };
        let answer = snapshot.select(&[], Window::ALL, SelectLimits::NONE).await;
        assert!(
            matches!(answer, Err(SourceError::Corrupt(_))),
            "byte {at} of {}",
            bytes.len()
        );
    }
}

#[tokio::test]
async fn many_samples_take_little_memory_and_read_back() {
    let head = empty();
    let names: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    let series = |time: i64| {
        let one = move |name: &String| gauge(name, time * 15_000, (time * 7 % 50) as f64);
        names.iter().map(one)
    };
    apply(&head, series(0));
    let with_one_sample = head.size_bytes();
    assert!(with_one_sample < 100 * 1_000, "{with_one_sample} bytes");
    for time in 1..1_000 {
        apply(&head, series(time));
    }
    let grown = head.size_bytes() - with_one_sample;
    assert!(grown < 100 * 1_000 * 6, "{grown} bytes for 100,000 samples");
    assert!(head.settled_bytes() < grown);
    let (split, bytes, _) = sealed(&head);
    assert!(bytes.len() < 150_000, "{} bytes", bytes.len());
    let snapshots = [
        MetricSnapshot {
            splits: Vec::new(),
            generations: vec![head],
        },
        MetricSnapshot {
            splits: vec![Arc::new(split)],
            generations: Vec::new(),
        },
    ];
    let mut seen = Vec::new();
    for snapshot in &snapshots {
        let all = floats(snapshot, &[]).await;
        assert_eq!(all.len(), 100);
        assert!(all.iter().all(|(_, samples)| samples.len() == 1_000));
        seen.push(all);
    }
    assert_eq!(seen[0], seen[1]);
}
