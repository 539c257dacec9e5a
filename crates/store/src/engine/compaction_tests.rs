//! Merged splits, retention by service and the disk's bound, in a whole store.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use model::time::NANOS_PER_SECOND;
use model::{Signal, TimeRange};
use serde_json::json;

use super::storage::Urgency;
use super::tests::{NOW, bodies, config, everything, logs, ready, tenant};
use super::*;
use crate::config::{RetentionRule, StoreConfig};
use crate::ingest::IngestRequest;
use crate::search::{HistogramStep, LogHistogram, LogPage, LogSearch, Order, SqlLimits};

const DAY: i64 = 24 * 3_600 * NANOS_PER_SECOND;

/// A store without anything in the background, that merges two splits as soon as there are two.
pub(super) async fn open_quiet(mut config: StoreConfig) -> Store {
    config.compaction.fan_in = 2;
    let foundation = Foundation {
        disk: Arc::new(LocalDisk),
        catalog: Box::new(|catalog| Arc::new(catalog)),
    };
    let store = Store::open_on(foundation, config).await.unwrap();
    Arc::clone(&store.inner).replay().await;
    assert!(store.ready().is_ready(), "{}", store.ready());
    store
}

/// Records of a service with these bodies, a second apart from `at` on.
fn of_service(service: &str, at: i64, bodies: &[&str]) -> IngestRequest {
    let records: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| {
            let time = at + n as i64 * NANOS_PER_SECOND;
            json!({ "timeUnixNano": time.to_string(), "body": { "stringValue": body } })
        })
        .collect();
    let name = json!({ "key": "service.name", "value": { "stringValue": service } });
    let body = json!({ "resourceLogs": [{
        "resource": { "attributes": [name] }, "scopeLogs": [{ "logRecords": records }] }] });
    IngestRequest {
        body: Bytes::from(body.to_string()),
        ..logs(&[])
    }
}

async fn found(store: &Store) -> Vec<String> {
    let page = store.search_logs(&tenant(), everything()).await.unwrap();
    assert!(!page.partial, "{:?}", page.warnings);
    bodies(&page)
}

/// A request of random logs or spans: few and many keys, values of several types.
fn random_request(random: &mut fastrand::Rng, signal: Signal, round: i64) -> IngestRequest {
    let words = ["disk", "full", "timeout", "user", "node-7", "größe"];
    let rows = random.usize(1..60);
    let mut items = Vec::new();
    for n in 0..rows {
        let time = NOW + (round * 60 + n as i64) * NANOS_PER_SECOND / 2;
        let text: Vec<&str> = (0..4).map(|_| words[random.usize(..words.len())]).collect();
        let value = match random.u8(..4) {
            0 => json!({ "stringValue": words[random.usize(..3)] }),
            1 => json!({ "intValue": random.i64(0..5).to_string() }),
            2 => json!({ "doubleValue": 0.5 }),
            _ => json!({ "arrayValue": { "values": [{ "boolValue": true }] } }),
        };
        let keys = ["code", "route", &format!("key{}", random.u32(..150))].map(str::to_owned);
        let attributes: Vec<_> = keys
            .iter()
            .filter(|_| random.bool())
            .map(|key| json!({ "key": key, "value": value }))
            .collect();
        let id = format!("{:032x}", random.u64(1..20));
        items.push(match signal {
            Signal::Logs => json!({
                "timeUnixNano": time.to_string(), "severityNumber": random.u8(1..24),
                "body": { "stringValue": text.join(" ") }, "attributes": attributes, "traceId": id,
            }),
            _ => json!({
                "traceId": id, "spanId": "0102030405060708", "name": text[0],
                "startTimeUnixNano": time.to_string(), "endTimeUnixNano": (time + 5).to_string(),
                "attributes": attributes,
            }),
        });
    }
    let service = json!({ "stringValue": format!("service-{}", random.u8(..3)) });
    let resource = json!({ "attributes": [{ "key": "service.name", "value": service }] });
    let body = match signal {
        Signal::Logs => json!({ "resourceLogs": [{
            "resource": resource, "scopeLogs": [{ "logRecords": items }] }] }),
        _ => json!({ "resourceSpans": [{
            "resource": resource, "scopeSpans": [{ "spans": items }] }] }),
    };
    IngestRequest {
        signal,
        body: Bytes::from(body.to_string()),
        ..logs(&[])
    }
}

/// What a store answers to questions of every kind.
async fn answers(store: &Store) -> Vec<String> {
    let mut answers = Vec::new();
    let part = TimeRange::new(NOW + 20 * NANOS_PER_SECOND, NOW + 70 * NANOS_PER_SECOND);
    let searches = [
        ("", TimeRange::ALL, 100_000, Order::Oldest),
        ("", TimeRange::ALL, 17, Order::Newest),
        ("timeout", TimeRange::ALL, 50, Order::Newest),
        ("disk service:service-1", part, 50, Order::Newest),
        ("code:3", TimeRange::ALL, 50, Order::Oldest),
        ("größe route:disk", part, 50, Order::Oldest),
    ];
    for (query, range, limit, order) in searches {
        let search = LogSearch {
            range,
            query: query.to_owned(),
            limit,
            order,
            cursor: None,
        };
        let page = store.search_logs(&tenant(), search).await.unwrap();
        assert!(!page.partial, "{:?}", page.warnings);
        answers.push(format!("{query}: {:?}", page.records));
    }
    let histogram = LogHistogram {
        range: TimeRange::new(NOW, NOW + 300 * NANOS_PER_SECOND),
        query: "user".to_owned(),
        step: HistogramStep::Buckets(10),
        by: vec!["severity_number".to_owned()],
        groups: 50,
    };
    let page = store.log_histogram(&tenant(), histogram).await.unwrap();
    answers.push(format!("{:?}", page.buckets));
    for query in [
        "SELECT count(*), count(trace_id), min(seq), max(seq) FROM logs",
        "SELECT service, count(*), sum(duration_ns) FROM spans GROUP BY service ORDER BY service",
        "SELECT attributes['code'] AS code, count(*) FROM logs GROUP BY code ORDER BY code",
    ] {
        let limits = SqlLimits {
            timeout: Duration::from_secs(60),
            memory_bytes: 64 << 20,
            max_rows: 1_000,
        };
        let (_, batches) = store.sql(&tenant(), query, limits).await.unwrap();
        answers.push(
            arrow::util::pretty::pretty_format_batches(&batches)
                .unwrap()
                .to_string(),
        );
    }
    let id = format!("{:032x}", 7).parse().unwrap();
    let trace = store.trace(&tenant(), id).await.unwrap();
    answers.push(format!("{:?}", trace.spans));
    answers
}

#[tokio::test]
async fn compaction_changes_no_querys_answer() {
    for seed in 0..6 {
        let mut random = fastrand::Rng::with_seed(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut settings = config(directory.path());
        settings.head.row_group_rows = random.usize(8..100);
        let store = open_quiet(settings.clone()).await;
        for round in 0..random.i64(4..9) {
            for signal in [Signal::Logs, Signal::Spans] {
                store
                    .ingest(random_request(&mut random, signal, round))
                    .await
                    .unwrap();
            }
            if round != 2 {
                store.flush().await.unwrap();
            }
        }
        // Some rows stay in the head.
        let rest = random_request(&mut random, Signal::Logs, 3);
        store.ingest(rest).await.unwrap();
        let before = answers(&store).await;
        let splits = store.inner.catalog.splits().await.unwrap();
        let merges = store.inner.compact(NOW).await.unwrap();
        let merged = store.inner.catalog.splits().await.unwrap();
        assert!(
            merges >= 2 && merged.len() < splits.len(),
            "seed {seed}: {merges} merges"
        );
        assert_eq!(store.inner.compact(NOW).await.unwrap(), 0, "seed {seed}");
        for (before, after) in before.iter().zip(answers(&store).await) {
            assert_eq!(*before, after, "seed {seed}");
        }
        // Nothing needs the old files any more.
        store.inner.sweep(Urgency::Full, now()).await.unwrap();
        assert_eq!(answers(&store).await, before, "seed {seed}");
        store.shutdown().await.unwrap();
        let report = crate::verify(&settings).await.unwrap();
        assert!(report.is_sound(), "seed {seed}: {:?}", report.findings);
        assert_eq!(report.leftovers.len(), 0, "seed {seed}");
    }
}

#[tokio::test]
async fn pages_go_on_where_they_were_while_rows_arrive_are_sealed_and_merged() {
    let mut random = fastrand::Rng::with_seed(11);
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    settings.head.row_group_rows = 16;
    let store = open_quiet(settings).await;
    for round in 0..6 {
        let request = random_request(&mut random, Signal::Logs, round);
        store.ingest(request).await.unwrap();
        store.flush().await.unwrap();
    }
    let newest_first = LogSearch {
        order: Order::Newest,
        ..everything()
    };
    let all = store.search_logs(&tenant(), newest_first.clone()).await;
    let seqs = |page: &LogPage| {
        page.records
            .iter()
            .map(|found| found.seq)
            .collect::<Vec<_>>()
    };
    let expected = seqs(&all.unwrap());

    let mut paged = Vec::new();
    let mut page_request = LogSearch {
        limit: 7,
        ..newest_first
    };
    let mut merges = 0;
    for round in 10.. {
        let page = store.search_logs(&tenant(), page_request.clone()).await;
        let page = page.unwrap();
        assert!(!page.partial, "{:?}", page.warnings);
        paged.extend(seqs(&page));
        page_request.cursor = page.cursor;
        if page_request.cursor.is_none() {
            break;
        }
        // Newer than everything that is paged through.
        let request = random_request(&mut random, Signal::Logs, round);
        store.ingest(request).await.unwrap();
        if round % 2 == 0 {
            store.flush().await.unwrap();
            merges += store.inner.compact(NOW).await.unwrap();
            store.inner.sweep(Urgency::Full, now()).await.unwrap();
        }
    }
    assert!(merges > 2, "{merges} merges while paging");
    assert_eq!(paged, expected);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_damaged_split_is_left_as_it_is_and_the_others_are_merged() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_quiet(config(directory.path())).await;
    for body in ["a", "b", "c", "d", "e"] {
        store.ingest(logs(&[body])).await.unwrap();
        store.flush().await.unwrap();
    }
    let splits = store.inner.catalog.splits().await.unwrap();
    let damaged = &splits[2];
    let path = directory
        .path()
        .join(layout::OBJECTS)
        .join(&damaged.object_key);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    assert_eq!(store.inner.compact(NOW).await.unwrap(), 2);
    let left = store.inner.catalog.splits().await.unwrap();
    let rows: Vec<u64> = left.iter().map(|split| split.summary.rows).collect();
    assert_eq!((rows, &left[1]), (vec![2, 1, 2], damaged));
    assert_eq!(store.inner.compact(NOW).await.unwrap(), 0);
    // What was written in vain is gone.
    let keys = store.inner.objects.keys().unwrap();
    assert_eq!(
        keys.len(),
        store.inner.catalog.object_keys().await.unwrap().len()
    );
    let page = store.search_logs(&tenant(), everything()).await.unwrap();
    assert!(page.partial);
    assert_eq!(bodies(&page), ["a", "b", "d", "e"]);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_query_reads_the_splits_it_began_with_until_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_quiet(config(directory.path())).await;
    for body in ["a", "b"] {
        store.ingest(logs(&[body])).await.unwrap();
        store.flush().await.unwrap();
    }
    let snapshot = store.logs(&tenant(), TimeRange::ALL).await.unwrap();
    assert_eq!(store.inner.compact(NOW).await.unwrap(), 1);
    assert_eq!(store.inner.sweep(Urgency::Full, now()).await.unwrap(), 0);
    for split in &snapshot.splits {
        split.open().await.unwrap();
    }
    drop(snapshot);
    assert_eq!(store.inner.sweep(Urgency::Usual, now()).await.unwrap(), 0);
    assert_eq!(store.inner.sweep(Urgency::Full, now()).await.unwrap(), 2);
    assert_eq!(store.inner.objects.keys().unwrap().len(), 1);
    assert_eq!(found(&store).await, ["a", "b"]);
    store.shutdown().await.unwrap();
}

fn with_rule(directory: &Path, service: &str, days: u32) -> StoreConfig {
    let mut settings = config(directory);
    settings.retention.rules = vec![RetentionRule {
        tenant: None,
        signal: Some(Signal::Logs),
        service: Some(service.parse().unwrap()),
        metric: None,
        keep: days * Duration::from_secs(86_400),
    }];
    settings
}

#[tokio::test]
async fn services_are_kept_as_long_as_their_rules_say_and_the_rules_may_change() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_quiet(with_rule(directory.path(), "debug-*", 3)).await;
    for round in ["1", "2"] {
        for service in ["api", "debug-a", "audit"] {
            let body = format!("{service} {round}");
            store
                .ingest(of_service(service, NOW, &[&body]))
                .await
                .unwrap();
        }
        store.flush().await.unwrap();
    }
    assert_eq!(store.inner.catalog.splits().await.unwrap().len(), 4);
    // Splits are merged with those that are kept as long.
    assert_eq!(store.inner.compact(NOW).await.unwrap(), 2);
    store.inner.delete_old(NOW + 4 * DAY).await.unwrap();
    assert_eq!(
        found(&store).await,
        ["api 1", "audit 1", "api 2", "audit 2"]
    );
    store.shutdown().await.unwrap();
    let report = crate::verify(&config(directory.path())).await.unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);

    // A split keeps what it has, as long as its longest-kept service says.
    let store = open_quiet(with_rule(directory.path(), "audit", 400)).await;
    store.inner.delete_old(NOW + 40 * DAY).await.unwrap();
    assert_eq!(found(&store).await.len(), 4);
    store.shutdown().await.unwrap();
    let store = open_quiet(with_rule(directory.path(), "api", 7)).await;
    store.inner.delete_old(NOW + 31 * DAY).await.unwrap();
    assert_eq!(found(&store).await.len(), 0);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn rows_are_accepted_as_far_back_as_the_longest_rule_reaches() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_quiet(with_rule(directory.path(), "audit", 400)).await;
    let old = of_service("audit", NOW - 300 * DAY, &["old"]);
    assert_eq!(store.ingest(old).await.unwrap().accepted, 1);
    let older = of_service("audit", NOW - 401 * DAY, &["older"]);
    assert_eq!(store.ingest(older).await.unwrap().rejected, 1);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_oldest_splits_go_when_the_disk_is_over_its_bound() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    // The older the later it comes, so that arrival does not decide.
    let days = [1, 3, 2];
    let store = open_quiet(settings.clone()).await;
    for day in days {
        let request = of_service("api", NOW - day * DAY, &[&format!("{day}")]);
        store.ingest(request).await.unwrap();
        store.flush().await.unwrap();
    }
    let splits = store.inner.catalog.splits().await.unwrap();
    let bytes: u64 = splits.iter().map(|split| split.size_bytes).sum();
    let log = store.inner.log.extent().bytes;
    store.inner.keep_within_bounds(now()).await.unwrap();
    assert_eq!(found(&store).await, ["3", "2", "1"]);
    store.shutdown().await.unwrap();

    settings.storage.max_bytes = Some(bytes + log - 1);
    let store = open_quiet(settings).await;
    let snapshot = store.logs(&tenant(), TimeRange::ALL).await.unwrap();
    store.inner.keep_within_bounds(now()).await.unwrap();
    assert_eq!(found(&store).await, ["2", "1"]);
    // The query that began before still needs the file; then it goes without waiting.
    assert_eq!(store.inner.objects.keys().unwrap().len(), 3);
    drop(snapshot);
    store.inner.keep_within_bounds(now()).await.unwrap();
    assert_eq!(store.inner.objects.keys().unwrap().len(), 2);
    assert_eq!(found(&store).await, ["2", "1"]);

    let report = store.storage().await.unwrap();
    assert_eq!(report.streams.len(), 1);
    assert_eq!((report.streams[0].rows, report.streams[0].splits), (2, 2));
    assert_eq!(report.disk.limit_bytes, Some(bytes + log - 1));
    assert!(report.disk.used_bytes < bytes + log && report.disk.capacity_bytes > 0);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn splits_are_merged_in_the_background_while_rows_come_in() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = config(directory.path());
    settings.compaction.fan_in = 4;
    let store = Store::open(settings).await.unwrap();
    ready(&store).await;
    let expected: Vec<String> = (0..24).map(|n| format!("{n:03}")).collect();
    for body in &expected {
        store.ingest(logs(&[body])).await.unwrap();
        store.flush().await.unwrap();
    }
    while store.inner.catalog.splits().await.unwrap().len() > 8 {
        assert_eq!(found(&store).await, expected);
    }
    assert_eq!(found(&store).await, expected);
    store.shutdown().await.unwrap();
}
