//! The store end to end: what was acknowledged is found, whatever happens in between.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use model::{Encoding, Signal, TenantId, TimeRange};
use serde_json::json;

use super::*;
use crate::error::IngestError;
use crate::ingest::{IngestOutcome, IngestRequest};
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
    assert_eq!(
        outcome,
        IngestOutcome {
            accepted: 2,
            ..IngestOutcome::default()
        }
    );
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
