//! Metrics in a whole store: merged splits, retention by metric, limits of series.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use model::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};
use model::{MatchOp, Matcher, Signal};
use promql::{SelectLimits, Series, SeriesSource, Window};
use serde_json::json;

use super::compaction_tests::open_quiet;
use super::storage::Urgency;
use super::tests::{NOW, config, logs, tenant};
use super::*;
use crate::config::RetentionRule;
use crate::ingest::IngestRequest;
use crate::metrics::CardinalityOptions;

const HOUR: i64 = 3_600 * NANOS_PER_SECOND;
const DAY: i64 = 24 * HOUR;

/// A request with one gauge sample for each (metric, value of its label `id`, time in Unix ns).
pub(super) fn gauges(samples: &[(&str, &str, i64, f64)]) -> IngestRequest {
    let metrics: Vec<_> = samples
        .iter()
        .map(|(metric, id, time, value)| {
            let id = json!({ "key": "id", "value": { "stringValue": id } });
            let exemplar = json!({ "timeUnixNano": time.to_string(), "asDouble": value,
                "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708" });
            json!({ "name": metric, "gauge": { "dataPoints": [{
                "timeUnixNano": time.to_string(), "asDouble": value, "attributes": [id],
                "exemplars": [exemplar] }] } })
        })
        .collect();
    let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": metrics }] }] });
    IngestRequest {
        signal: Signal::Metrics,
        body: Bytes::from(body.to_string()),
        ..logs(&[])
    }
}

/// Every sample, by metric and `id`: times in ms and the bits of the values.
pub(super) async fn found(store: &Store) -> BTreeMap<(String, String), Vec<(i64, u64)>> {
    let selected = select(store, &[], Window::ALL).await;
    let samples = |series: Series| {
        let label = |name: &str| series.labels.get(name).unwrap_or_default().to_owned();
        let times = series.floats.timestamps_ms.iter().copied();
        let values = series.floats.values.iter().map(|value| value.to_bits());
        (
            (label("__name__"), label("id")),
            times.zip(values).collect(),
        )
    };
    selected.into_iter().map(samples).collect()
}

async fn select(store: &Store, matchers: &[Matcher], window: Window) -> Vec<Series> {
    let series = store.series(&tenant());
    let selected = series.select(matchers, window, SelectLimits::NONE).await;
    selected.unwrap()
}

/// What a store answers to questions of every kind.
async fn answers(store: &Store) -> Vec<String> {
    let mut answers = Vec::new();
    let now_ms = NOW / NANOS_PER_MILLI;
    let windows = [
        Window::ALL,
        Window::new(now_ms - 40_000, now_ms - 5_000),
        Window::new(now_ms - 10_000, now_ms),
    ];
    let selectors = [
        vec![],
        vec![Matcher::new("__name__", MatchOp::Equal, "a")],
        vec![Matcher::new("id", MatchOp::Regex, "1|2")],
        vec![Matcher::new("id", MatchOp::NotRegex, "[13]")],
        vec![Matcher::new("id", MatchOp::NotEqual, "2")],
        vec![
            Matcher::new("__name__", MatchOp::Regex, "b.*"),
            Matcher::new("other", MatchOp::Equal, ""),
        ],
    ];
    for window in windows {
        for matchers in &selectors {
            let selected = select(store, matchers, window).await;
            let bits = |series: &Series| -> Vec<u64> {
                series.floats.values.iter().map(|v| v.to_bits()).collect()
            };
            for series in &selected {
                let times = &series.floats.timestamps_ms;
                answers.push(format!("{} {times:?} {:?}", series.labels, bits(series)));
            }
        }
    }
    let source = store.series(&tenant());
    for matchers in selectors {
        let selectors = [matchers];
        let (labels, names, values, exemplars) = (
            source.series(&selectors, Window::ALL, 1_000).await.unwrap(),
            source
                .label_names(&selectors, Window::ALL, 1_000)
                .await
                .unwrap(),
            source
                .label_values("id", &selectors, Window::ALL, 1_000)
                .await
                .unwrap(),
            store
                .exemplars(&tenant(), &selectors, Window::ALL, SelectLimits::NONE)
                .await
                .unwrap(),
        );
        answers.push(format!("{labels:?} {names:?} {values:?} {exemplars:?}"));
    }
    let mut cardinality = CardinalityOptions::at(now_ms);
    cardinality.window = Window::ALL;
    let mut cardinality = store.cardinality(&tenant(), cardinality).await.unwrap();
    // Chunks are what compaction makes fewer.
    cardinality.chunks = 0;
    answers.push(format!("{cardinality:?}"));
    answers
}

/// A request of random samples: late ones, and such that take the place of earlier ones.
fn random_samples(random: &mut fastrand::Rng) -> IngestRequest {
    let ids = ["1", "2", "3"];
    let samples: Vec<_> = (0..random.usize(1..30))
        .map(|_| {
            let metric = ["a", "b", "bb"][random.usize(..3)];
            let time = NOW - random.i64(0..60) * NANOS_PER_SECOND;
            (metric, ids[random.usize(..3)], time, random.f64())
        })
        .collect();
    gauges(&samples)
}

#[tokio::test]
async fn merging_metrics_changes_no_answer() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let settings = config(directory.path());
        let store = open_quiet(settings.clone()).await;
        for round in 0..random.usize(4..9) {
            store.ingest(random_samples(&mut random)).await.unwrap();
            if round != 2 {
                store.flush().await.unwrap();
            }
        }
        store.ingest(random_samples(&mut random)).await.unwrap();
        let before = answers(&store).await;
        let splits = store.inner.catalog.splits().await.unwrap();
        assert!(store.inner.compact(NOW).await.unwrap() >= 1, "seed {seed}");
        let merged = store.inner.catalog.splits().await.unwrap();
        assert!(merged.len() < splits.len(), "seed {seed}");
        assert_eq!(store.inner.compact(NOW).await.unwrap(), 0, "seed {seed}");
        for (before, after) in before.iter().zip(answers(&store).await) {
            assert_eq!(*before, after, "seed {seed}");
        }
        store.inner.sweep(Urgency::Full, now()).await.unwrap();
        assert_eq!(answers(&store).await, before, "seed {seed}");
        store.shutdown().await.unwrap();

        let store = open_quiet(settings.clone()).await;
        assert_eq!(answers(&store).await, before, "seed {seed}");
        store.shutdown().await.unwrap();
        let report = crate::verify(&settings).await.unwrap();
        assert!(report.is_sound(), "seed {seed}: {:?}", report.findings);
    }
}

fn with_rules(directory: &Path, rules: &[(&str, i64)]) -> StoreConfig {
    let mut settings = config(directory);
    let rule = |(metric, days): &(&str, i64)| RetentionRule {
        tenant: None,
        signal: None,
        service: None,
        metric: Some(metric.parse().unwrap()),
        keep: Duration::from_nanos((days * DAY).unsigned_abs()),
    };
    settings.retention.rules = rules.iter().map(rule).collect();
    settings
}

async fn metrics_of(store: &Store) -> Vec<String> {
    let found = found(store).await;
    found.into_keys().map(|(metric, _)| metric).collect()
}

#[tokio::test]
async fn metrics_are_kept_as_long_as_their_rules_say_and_their_space_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let settings = with_rules(directory.path(), &[("debug_.*", 3), ("slo", 800)]);
    let store = open_quiet(settings.clone()).await;
    let batch = [
        ("debug_a", "1", NOW, 1.0),
        ("other", "1", NOW, 2.0),
        ("slo", "1", NOW, 3.0),
    ];
    store.ingest(gauges(&batch)).await.unwrap();
    store.flush().await.unwrap();
    let bytes = |splits: &[crate::catalog::SplitEntry]| -> u64 {
        splits.iter().map(|split| split.size_bytes).sum()
    };
    let before = bytes(&store.inner.catalog.splits().await.unwrap());
    assert_eq!(store.inner.compact(NOW + 3 * DAY).await.unwrap(), 0);
    assert_eq!(metrics_of(&store).await, ["debug_a", "other", "slo"]);
    assert_eq!(
        store.inner.compact(NOW + 3 * DAY + 2 * HOUR).await.unwrap(),
        1
    );
    assert_eq!(metrics_of(&store).await, ["other", "slo"]);
    assert!(bytes(&store.inner.catalog.splits().await.unwrap()) < before);
    // The rest goes one after the other, the last with its file.
    store.inner.compact(NOW + 401 * DAY).await.unwrap();
    assert_eq!(metrics_of(&store).await, ["slo"]);
    store.inner.delete_old(NOW + 799 * DAY).await.unwrap();
    assert_eq!(metrics_of(&store).await, ["slo"]);
    store.inner.delete_old(NOW + 801 * DAY).await.unwrap();
    assert!(metrics_of(&store).await.is_empty());
    store.inner.sweep(Urgency::Full, now()).await.unwrap();
    assert!(store.inner.objects.keys().unwrap().is_empty());
    store.shutdown().await.unwrap();
    let report = crate::verify(&settings).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_split_of_which_nothing_is_left_goes_without_a_successor() {
    let directory = tempfile::tempdir().unwrap();
    let settings = with_rules(directory.path(), &[("debug_.*", 3)]);
    let store = open_quiet(settings).await;
    let batch = [("debug_a", "1", NOW, 1.0)];
    store.ingest(gauges(&batch)).await.unwrap();
    store.flush().await.unwrap();
    store.inner.compact(NOW + 4 * DAY).await.unwrap();
    assert!(store.inner.catalog.splits().await.unwrap().is_empty());
    store.inner.sweep(Urgency::Full, now()).await.unwrap();
    assert!(store.inner.objects.keys().unwrap().is_empty());
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn series_past_the_limit_are_refused_and_replay_repeats_that() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    settings.series.per_tenant = Some(2);
    let store = open_quiet(settings.clone()).await;
    let request = gauges(&[
        ("a", "1", NOW, 1.0),
        ("a", "2", NOW, 1.0),
        ("a", "3", NOW, 1.0),
    ]);
    let outcome = store.ingest(request).await.unwrap();
    assert_eq!((outcome.accepted, outcome.rejected), (2, 1));
    assert_eq!(outcome.refused[0].ordinal, 2);
    let reason = outcome.reasons[0].reason;
    assert_eq!(reason, wire::RejectReason::TooManySeries);
    let known = gauges(&[("a", "1", NOW + 1_000_000, 2.0)]);
    assert_eq!(store.ingest(known).await.unwrap().rejected, 0);
    let before = found(&store).await;
    assert_eq!(before.len(), 2);
    // A process that is killed replays what it decided, whatever the limit is now.
    *store.inner.readiness() = Readiness::Failed("killed".to_owned());
    store.shutdown().await.unwrap();
    settings.series.per_tenant = Some(1);
    let store = open_quiet(settings.clone()).await;
    assert_eq!(found(&store).await, before);
    // Series that were active before the start go on; there is no room for others.
    let known = gauges(&[("a", "2", NOW + 2_000_000, 2.0), ("b", "1", NOW, 1.0)]);
    let outcome = store.ingest(known).await.unwrap();
    assert_eq!((outcome.accepted, outcome.refused[0].ordinal), (1, 1));
    // They are known from splits, too.
    store.flush().await.unwrap();
    store.shutdown().await.unwrap();
    let store = open_quiet(settings).await;
    let both = gauges(&[("a", "1", NOW, 3.0), ("b", "1", NOW, 1.0)]);
    let outcome = store.ingest(both).await.unwrap();
    assert_eq!((outcome.accepted, outcome.refused[0].ordinal), (1, 1));
    store.shutdown().await.unwrap();
}
