//! The store end to end: what was acknowledged is found, whatever happens in between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use model::{Encoding, Signal, TenantId, TimeRange};
use promql::SeriesSource;
use serde_json::json;

use super::*;
use crate::disk::SyncPoint;
use crate::disk::simulated::{Faults, SimulatedDisk};
use crate::error::IngestError;
use crate::ingest::IngestRequest;
use crate::search::{LogPage, LogSearch, Order};

/// The moment at which everything in these tests arrives, Unix ns.
pub(super) const NOW: i64 = 1_700_000_000_000_000_000;

pub(super) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

/// Settings under which heads are sealed only when a test says so.
pub(super) fn config(directory: &Path) -> StoreConfig {
    let mut config = StoreConfig::new(directory);
    config.head.max_age = Duration::from_secs(365 * 24 * 3600 * 100);
    config.head.row_group_rows = 16;
    config
}

/// A request with one log record for each body.
pub(super) fn logs(bodies: &[&str]) -> IngestRequest {
    let records: Vec<_> = bodies
        .iter()
        .map(|body| json!({ "timeUnixNano": NOW.to_string(), "body": { "stringValue": body } }))
        .collect();
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
    IngestRequest {
        tenant: tenant(),
        signal: Signal::Logs,
        encoding: Encoding::OtlpJson,
        body: Bytes::from(body.to_string()),
        received_at: NOW,
    }
}

pub(super) fn everything() -> LogSearch {
    LogSearch {
        range: TimeRange::ALL,
        query: String::new(),
        limit: 100_000,
        order: Order::Oldest,
        cursor: None,
    }
}

pub(super) fn bodies(page: &LogPage) -> Vec<String> {
    let text = |found: &crate::search::FoundRecord| match &found.record.body {
        model::Value::String(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    page.records.iter().map(text).collect()
}

async fn found(store: &Store) -> Vec<String> {
    let page = store.search_logs(&tenant(), everything()).await.unwrap();
    assert!(!page.partial, "{:?}", page.warnings);
    bodies(&page)
}

/// Waits until the store has replayed.
pub(super) async fn ready(store: &Store) {
    while !store.ready().is_ready() {
        assert!(
            !matches!(store.ready(), Readiness::Failed(_)),
            "{}",
            store.ready()
        );
        tokio::task::yield_now().await;
    }
}

async fn open(directory: &Path) -> Store {
    let store = Store::open(config(directory)).await.unwrap();
    ready(&store).await;
    store
}

#[tokio::test]
async fn records_are_found_from_the_acknowledgement_on_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let outcome = store.ingest(logs(&["a", "b"])).await.unwrap();
    assert_eq!((outcome.accepted, outcome.refused), (2, Vec::new()));
    assert_eq!(found(&store).await, ["a", "b"]);
    store.flush().await.unwrap();
    assert_eq!(found(&store).await, ["a", "b"]);
    store.ingest(logs(&["c"])).await.unwrap();
    assert_eq!(found(&store).await, ["a", "b", "c"]);

    let report = store.shutdown().await.unwrap();
    assert_eq!((report.rows_sealed, report.rows_left_in_log), (1, 0));
    let closed = store.ingest(logs(&["d"])).await.unwrap_err();
    assert!(matches!(closed, IngestError::Unavailable(_)), "{closed}");
    let store = open(directory.path()).await;
    assert_eq!(found(&store).await, ["a", "b", "c"]);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn every_signal_survives_sealing_and_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let nano = NOW.to_string();
    let trace = "0102030405060708090a0b0c0d0e0f10";
    let spans = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{
        "traceId": trace, "spanId": "0102030405060708", "name": "get",
        "startTimeUnixNano": nano, "endTimeUnixNano": nano,
    }] }] }] });
    let sum = |value: i64| {
        json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [{
            "name": "requests", "sum": { "aggregationTemporality": 1, "isMonotonic": true,
            "dataPoints": [{ "timeUnixNano": (NOW + value).to_string(), "asInt": "1" }] },
        }] }] }] })
    };
    let request = |signal, body: &serde_json::Value| IngestRequest {
        signal,
        body: Bytes::from(body.to_string()),
        ..logs(&[])
    };
    store.ingest(request(Signal::Spans, &spans)).await.unwrap();
    // Deltas add up across sealing and restarts.
    let second = model::time::NANOS_PER_SECOND;
    for n in 0..6 {
        store
            .ingest(request(Signal::Metrics, &sum(n * second)))
            .await
            .unwrap();
        if n == 1 {
            store.flush().await.unwrap();
        }
    }
    store.shutdown().await.unwrap();
    let store = open(directory.path()).await;
    for n in 6..8 {
        store
            .ingest(request(Signal::Metrics, &sum(n * second)))
            .await
            .unwrap();
    }

    let page = store
        .trace(&tenant(), trace.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(page.spans.len(), 1);
    let limits = promql::SelectLimits {
        max_samples: 1000,
        max_series: 10,
    };
    let name = model::Matcher::new("__name__", model::MatchOp::Equal, "requests_total");
    let series = store
        .series(&tenant())
        .select(&[name], promql::Window::ALL, limits)
        .await
        .unwrap();
    let floats: Vec<f64> = series[0].floats.values.clone();
    assert_eq!(floats, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let families = store.metric_metadata(&tenant()).await.unwrap();
    assert_eq!(families.len(), 1);
    store.shutdown().await.unwrap();
    let report = crate::verify(&config(directory.path())).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.splits, report.leftovers.len()), (4, 0));
}

#[tokio::test]
async fn items_outside_of_the_window_are_refused_now_and_at_replay() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    let store = open(directory.path()).await;
    let old = NOW - 40 * 24 * 3600 * model::time::NANOS_PER_SECOND;
    let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [
        { "timeUnixNano": NOW.to_string(), "body": { "stringValue": "kept" } },
        { "timeUnixNano": old.to_string(), "body": { "stringValue": "too old" } },
    ] }] }] });
    let request = IngestRequest {
        body: Bytes::from(body.to_string()),
        ..logs(&[])
    };
    let outcome = store.ingest(request).await.unwrap();
    assert_eq!((outcome.accepted, outcome.rejected), (1, 1));
    assert_eq!(outcome.reasons[0].reason, wire::RejectReason::TooOld);
    *store.inner.readiness() = Readiness::Failed("killed".to_owned());
    store.shutdown().await.unwrap();

    // With another retention the decision would be another one.
    settings.retention.logs *= 10;
    let store = Store::open(settings).await.unwrap();
    ready(&store).await;
    assert_eq!(found(&store).await, ["kept"]);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn queries_see_every_record_once_while_splits_are_published() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 0..60 {
                store.ingest(logs(&[&format!("{n:03}")])).await.unwrap();
                if n % 3 == 0 {
                    store.flush().await.unwrap();
                }
            }
        }
    });
    let mut last = 0;
    while last < 60 {
        let bodies = found(&store).await;
        let expected: Vec<String> = (0..bodies.len()).map(|n| format!("{n:03}")).collect();
        assert_eq!(bodies, expected, "a gap, or one twice");
        assert!(bodies.len() >= last, "{} after {last}", bodies.len());
        last = bodies.len();
    }
    writer.await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn pages_show_every_record_once_while_data_arrives_and_is_sealed() {
    // Many records of the same instant, so that the order among them matters.
    let request = |name: &str, count: i64| {
        let records: Vec<_> = (0..count)
            .map(|n| {
                let body = format!("request {name} {n}");
                json!({ "timeUnixNano": (NOW - n % 4).to_string(), "body": { "stringValue": body } })
            })
            .collect();
        let body = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": records }] }] });
        IngestRequest {
            body: Bytes::from(body.to_string()),
            ..logs(&[])
        }
    };
    for order in [Order::Newest, Order::Oldest] {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).await;
        // In a split, in row groups of a head and in open rows.
        store.ingest(request("early", 40)).await.unwrap();
        store.flush().await.unwrap();
        store.ingest(request("early", 40)).await.unwrap();
        let early = found(&store).await.len();

        let mut page_request = LogSearch {
            query: "request".to_owned(),
            limit: 7,
            order,
            ..everything()
        };
        let mut seen = std::collections::HashSet::new();
        let mut seen_early = 0;
        for number in 0.. {
            let page = store
                .search_logs(&tenant(), page_request.clone())
                .await
                .unwrap();
            for record in &page.records {
                assert!(seen.insert(record.seq), "{order:?}: {:?} twice", record.seq);
            }
            seen_early += bodies(&page)
                .iter()
                .filter(|body| body.contains("early"))
                .count();
            page_request.cursor = page.cursor;
            if page_request.cursor.is_none() {
                break;
            }
            // What comes later may be seen or not; it changes nothing for what was there.
            if number % 4 == 0 && number < 40 {
                store.ingest(request("late", 5)).await.unwrap();
            }
            if number % 3 == 1 {
                store.flush().await.unwrap();
            }
        }
        assert_eq!(seen_early, early, "{order:?}");
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn full_memory_refuses_until_heads_are_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    settings.memory_bytes = 300_000;
    let store = Store::open(settings).await.unwrap();
    ready(&store).await;
    let body = "x".repeat(20_000);
    let mut refused = 0;
    let mut kept = 0;
    while kept < 100 {
        match store.ingest(logs(&[&body])).await {
            Ok(_) => kept += 1,
            Err(IngestError::Full { .. }) => {
                refused += 1;
                tokio::task::yield_now().await;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(store.inner.memory.heads() < 400_000);
    }
    assert_eq!(found(&store).await.len(), 100, "{refused} were refused");
    store.shutdown().await.unwrap();
}

/// Whether the log or the splits are what the disk is slow with.
#[tokio::test]
async fn a_disk_that_stalls_holds_senders_back_and_memory_stays_bounded() {
    for point in [SyncPoint::LogRecords, SyncPoint::ObjectContent] {
        let directory = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new();
        let foundation = Foundation {
            disk: Arc::new(disk.clone()),
            catalog: Box::new(|catalog| Arc::new(catalog)),
        };
        let mut settings = config(directory.path());
        settings.memory_bytes = 300_000;
        let store = Store::open_on(foundation, settings).await.unwrap();
        store.start();
        ready(&store).await;

        disk.set_faults(Faults {
            stall_sync: Some(point),
            ..Faults::default()
        });
        let text = "x".repeat(20_000);
        let send = || store.ingest(logs(&[&text]));
        let mut sent: FuturesUnordered<_> = std::iter::repeat_with(send).take(60).collect();
        let (mut kept, mut refused) = (0, 0);
        while let Some(outcome) = sent.next().await {
            match outcome {
                Ok(_) => kept += 1,
                Err(IngestError::Full { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(store.inner.memory.heads() < 400_000, "{point:?}");
            // Somebody was told to wait, so the disk may go on.
            if refused == 1 {
                disk.set_faults(Faults::default());
            }
        }
        assert!(refused > 0, "{point:?}");
        // What it held back goes through as soon as heads are sealed.
        while let Err(error) = store.ingest(logs(&[&text])).await {
            assert!(matches!(error, IngestError::Full { .. }), "{error}");
        }
        assert_eq!(found(&store).await.len(), kept + 1, "{point:?}");
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_read_only_split_directory_is_reported_and_heads_answer_until_it_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let disk = SimulatedDisk::new();
    let open_on = || async {
        let foundation = Foundation {
            disk: Arc::new(disk.clone()),
            catalog: Box::new(|catalog| Arc::new(catalog)),
        };
        let store = Store::open_on(foundation, config(directory.path()))
            .await
            .unwrap();
        store.start();
        ready(&store).await;
        store
    };
    let store = open_on().await;
    store.ingest(logs(&["a"])).await.unwrap();
    store.flush().await.unwrap();
    let read_only = |path: &str| Faults {
        read_only: Some(directory.path().join(path)),
        ..Faults::default()
    };
    disk.set_faults(read_only(layout::OBJECTS));
    store.ingest(logs(&["b"])).await.unwrap();
    let error = store.flush().await.unwrap_err().to_string();
    assert!(error.contains("read-only"), "{error}");
    let report = store.shutdown().await.unwrap();
    assert_eq!(report.rows_left_in_log, 1, "{report:?}");

    // Replay with everything below read-only, and the heads answer.
    let store = open_on().await;
    assert_eq!(found(&store).await, ["a", "b"]);
    store.ingest(logs(&["c"])).await.unwrap();
    assert!(store.flush().await.is_err());
    assert_eq!(found(&store).await, ["a", "b", "c"]);
    disk.set_faults(Faults::default());
    store.flush().await.unwrap();
    assert_eq!(found(&store).await, ["a", "b", "c"]);
    assert_eq!(store.shutdown().await.unwrap().rows_left_in_log, 0);
}

#[tokio::test]
async fn a_full_disk_answers_unavailable_and_recovers_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let disk = SimulatedDisk::new();
    let foundation = Foundation {
        disk: Arc::new(disk.clone()),
        catalog: Box::new(|catalog| Arc::new(catalog)),
    };
    let store = Store::open_on(foundation, config(directory.path()))
        .await
        .unwrap();
    store.start();
    ready(&store).await;
    store.ingest(logs(&["a"])).await.unwrap();
    disk.set_faults(Faults {
        capacity: Some(0),
        ..Faults::default()
    });
    let full = store.ingest(logs(&["b"])).await.unwrap_err();
    assert!(matches!(full, IngestError::Unavailable(_)), "{full}");
    assert_eq!(found(&store).await, ["a"]);
    disk.set_faults(Faults::default());
    store.ingest(logs(&["c"])).await.unwrap();
    assert_eq!(found(&store).await, ["a", "c"]);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_relative_data_directory_is_made() {
    // Below the crate's own directory, which is where its tests run.
    let parent = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(parent.path().file_name().unwrap()).join("data");
    let store = open(&relative).await;
    store.ingest(logs(&["a"])).await.unwrap();
    store.shutdown().await.unwrap();
    assert!(crate::verify(&config(&relative)).await.unwrap().is_sound());
}

/// A directory with two splits and an unsealed record, closed; the paths of the splits.
async fn closed_directory(directory: &Path) -> Vec<PathBuf> {
    let store = open(directory).await;
    for body in ["a", "b"] {
        store.ingest(logs(&[body])).await.unwrap();
        store.flush().await.unwrap();
    }
    store.ingest(logs(&["c"])).await.unwrap();
    *store.inner.readiness() = Readiness::Failed("killed".to_owned());
    store.shutdown().await.unwrap();
    let splits = directory.join(layout::OBJECTS).join("default/logs");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(splits)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn a_damaged_or_missing_split_makes_the_answer_partial_and_is_found_by_verify() {
    let directory = tempfile::tempdir().unwrap();
    let splits = closed_directory(directory.path()).await;
    let sound = std::fs::read(&splits[0]).unwrap();
    // The first page, the index or what lies before the footer, the footer's end; and no file.
    for at in [Some(10), Some(sound.len() / 2), Some(sound.len() - 6), None] {
        match at {
            Some(at) => {
                let mut bytes = sound.clone();
                bytes[at] ^= 0x40;
                std::fs::write(&splits[0], bytes).unwrap();
            }
            None => std::fs::remove_file(&splits[0]).unwrap(),
        }
        let store = open(directory.path()).await;
        let page = store.search_logs(&tenant(), everything()).await.unwrap();
        assert!(
            page.partial || bodies(&page) == ["a", "b", "c"],
            "{at:?}: {:?} without a word",
            bodies(&page)
        );
        if page.partial {
            assert_eq!(bodies(&page), ["b", "c"], "{at:?}");
            let name = splits[0].file_name().unwrap().to_str().unwrap();
            assert!(page.warnings[0].contains(name), "{:?}", page.warnings);
        }
        *store.inner.readiness() = Readiness::Failed("killed".to_owned());
        store.shutdown().await.unwrap();
        let report = crate::verify(&config(directory.path())).await.unwrap();
        assert_eq!(report.findings.len(), 1, "{at:?}: {:?}", report.findings);
        std::fs::write(&splits[0], &sound).unwrap();
    }
    let report = crate::verify(&config(directory.path())).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[tokio::test]
async fn damage_in_the_log_that_is_still_needed_keeps_the_store_from_becoming_ready() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for body in ["a", "b", "c"] {
        store.ingest(logs(&[body])).await.unwrap();
    }
    *store.inner.readiness() = Readiness::Failed("killed".to_owned());
    store.shutdown().await.unwrap();
    let log = directory.path().join(layout::LOG);
    let segment = std::fs::read_dir(&log).unwrap().next().unwrap().unwrap();
    let mut bytes = std::fs::read(segment.path()).unwrap();
    bytes[120] ^= 1;
    std::fs::write(segment.path(), bytes).unwrap();
    let report = crate::verify(&config(directory.path())).await.unwrap();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    let error = Store::open(config(directory.path())).await.err().unwrap();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn segments_that_are_missing_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    settings.log.segment_bytes = 1;
    let store = Store::open(settings.clone()).await.unwrap();
    ready(&store).await;
    for body in ["a", "b", "c"] {
        store.ingest(logs(&[body])).await.unwrap();
    }
    *store.inner.readiness() = Readiness::Failed("killed".to_owned());
    store.shutdown().await.unwrap();
    let first = directory
        .path()
        .join(layout::LOG)
        .join(format!("{:020}.log", 1));
    std::fs::remove_file(first).unwrap();
    let error = Store::open(settings).await.err().unwrap().to_string();
    assert!(error.contains("positions 1 to 1 are missing"), "{error}");
}

#[tokio::test]
async fn old_splits_are_hidden_first_and_removed_after_the_grace() {
    let directory = tempfile::tempdir().unwrap();
    let splits = closed_directory(directory.path()).await;
    let store = open(directory.path()).await;
    let second = model::time::NANOS_PER_SECOND;
    let day = 24 * 3600 * second;
    store.inner.delete_old(NOW + 29 * day).await.unwrap();
    assert_eq!(found(&store).await, ["a", "b", "c"]);
    let expired = NOW + 31 * day;
    store.inner.delete_old(expired).await.unwrap();
    assert_eq!(found(&store).await, ["c"]);
    assert!(splits[0].exists());
    store
        .inner
        .delete_old(expired + 601 * second)
        .await
        .unwrap();
    assert!(!splits[0].exists() && !splits[1].exists());
    store.shutdown().await.unwrap();
}

/// The bodies of the next rows that a follower is handed.
async fn arrived(follower: &mut crate::Follower, store: &Store) -> Vec<String> {
    let Some(crate::Followed::Rows(snapshot)) = follower.next().await else {
        panic!("expected rows");
    };
    let bounds = store.bounds();
    let filter = crate::scan::LogFilter::compile("NOT b", TimeRange::ALL, &bounds, NOW).unwrap();
    let records = filter.records(&snapshot).await.unwrap();
    bodies(&LogPage {
        records,
        ..LogPage::default()
    })
}

#[tokio::test]
async fn a_follower_sees_records_once_and_across_sealing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    // Of a tenant that nobody has heard of yet.
    let mut follower = store.follow(&tenant()).unwrap();
    store.ingest(logs(&["a", "b", "c"])).await.unwrap();
    assert_eq!(arrived(&mut follower, &store).await, ["a", "c"]);
    store.flush().await.unwrap();
    store.ingest(logs(&["d"])).await.unwrap();
    store.ingest(logs(&["e"])).await.unwrap();
    assert_eq!(arrived(&mut follower, &store).await, ["d", "e"]);

    let other: TenantId = "other".parse().unwrap();
    let elsewhere = IngestRequest {
        tenant: other,
        ..logs(&["x"])
    };
    store.ingest(elsewhere).await.unwrap();
    let stopped = tokio::spawn(async move { follower.next().await.is_none() });
    store.shutdown().await.unwrap();
    assert!(stopped.await.unwrap());
}

#[tokio::test]
async fn a_follower_and_a_query_together_miss_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let sender = store.clone();
    let sending = tokio::spawn(async move {
        for number in 0..50 {
            sender.ingest(logs(&[&number.to_string()])).await.unwrap();
        }
    });
    while found(&store).await.len() < 5 {
        tokio::task::yield_now().await;
    }
    let mut follower = store.follow(&tenant()).unwrap();
    let mut seen: std::collections::BTreeSet<String> = found(&store).await.into_iter().collect();
    while seen.len() < 50 {
        seen.extend(arrived(&mut follower, &store).await);
    }
    sending.await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn too_many_followers_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(directory.path());
    config.query.max_followers = 1;
    let store = Store::open(config).await.unwrap();
    ready(&store).await;
    let first = store.follow(&tenant()).unwrap();
    let refused = store.follow(&tenant()).unwrap_err();
    assert!(refused.to_string().contains("1 live tails"), "{refused}");
    drop(first);
    store.follow(&tenant()).unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_export_keeps_the_files_of_its_moment() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    for bodies in [["a", "b"], ["c", "d"]] {
        store.ingest(logs(&bodies)).await.unwrap();
        store.flush().await.unwrap();
    }
    let export = crate::LogExport {
        range: TimeRange::ALL,
        query: String::new(),
        order: Order::Oldest,
        limit: None,
    };
    let mut pages = store.export_logs(&tenant(), export).await.unwrap();
    // What arrives later is not part of it, and what expires is.
    let expired = now() + Duration::from_secs(100 * 86_400).as_nanos() as i64;
    let after_grace = expired + 2 * store.config().retention.grace.as_nanos() as i64;
    store.inner.delete_old(expired).await.unwrap();
    store.inner.delete_old(after_grace).await.unwrap();
    store.ingest(logs(&["e"])).await.unwrap();
    assert_eq!(found(&store).await, ["e"]);
    let mut exported = Vec::new();
    while let Some(records) = pages.next().await.unwrap() {
        exported.extend(bodies(&LogPage {
            records,
            ..LogPage::default()
        }));
    }
    assert_eq!(exported, ["a", "b", "c", "d"]);
    assert_eq!(store.inner.objects.keys().unwrap().len(), 2);
    drop(pages);
    store.inner.delete_old(after_grace).await.unwrap();
    assert_eq!(store.inner.objects.keys().unwrap().len(), 0);
    store.shutdown().await.unwrap();
}
