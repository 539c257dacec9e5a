//! What every implementation of [`IngestLog`] must do, as tests to be run on each.

use std::sync::Arc;

use bytes::Bytes;
use model::{Encoding, Signal, TenantId};

use super::{Entry, Extent, IngestLog, LogError};

/// An entry that can be told from others by `name`.
pub(super) fn entry(name: &str) -> Entry {
    Entry {
        tenant: TenantId::default_tenant(),
        signal: Signal::Logs,
        encoding: Encoding::OtlpProtobuf,
        received_at: 1_700_000_000_000_000_000,
        rejected: vec![0, 7],
        body: Bytes::copy_from_slice(name.as_bytes()),
    }
}

/// Everything after `after`, read in small pieces.
pub(super) async fn read_all(log: &dyn IngestLog, mut after: u64) -> Vec<(u64, Entry)> {
    let mut all = Vec::new();
    loop {
        let some = log.read(after, 1).await.unwrap();
        let Some((last, _)) = some.last() else {
            return all;
        };
        after = *last;
        all.extend(some);
    }
}

/// Runs the whole suite; `make` gives an empty log with a bound of at least 1 MiB.
pub(super) async fn suite<L: IngestLog>(make: impl Fn() -> L) {
    an_empty_log_has_nothing(make()).await;
    positions_count_from_one_and_entries_come_back_whole(make()).await;
    concurrent_appends_each_get_a_position(make()).await;
    a_cut_removes_no_entry_after_it(make()).await;
    a_closed_log_says_so(make()).await;
}

async fn an_empty_log_has_nothing(log: impl IngestLog) {
    assert_eq!(log.extent(), Extent::default());
    assert_eq!(log.read(0, 1 << 20).await.unwrap(), []);
    log.cut(0).await.unwrap();
}

async fn positions_count_from_one_and_entries_come_back_whole(log: impl IngestLog) {
    for (position, name) in [(1, "a"), (2, ""), (3, "c")] {
        assert_eq!(log.append(entry(name)).await.unwrap(), position);
        assert_eq!(log.extent().last, position);
    }
    let expected = [(1, entry("a")), (2, entry("")), (3, entry("c"))];
    assert_eq!(read_all(&log, 0).await, expected);
    assert_eq!(log.read(1, 1 << 20).await.unwrap(), expected[1..]);
    assert_eq!(log.read(3, 1 << 20).await.unwrap(), []);
}

async fn concurrent_appends_each_get_a_position(log: impl IngestLog) {
    let log = Arc::new(log);
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let name = n.to_string();
                (log.append(entry(&name)).await.unwrap(), name)
            })
        })
        .collect();
    let mut appended = Vec::new();
    for task in tasks {
        appended.push(task.await.unwrap());
    }
    appended.sort();
    let found = read_all(log.as_ref(), 0).await;
    assert_eq!(found.len(), 100);
    for ((position, name), (found_at, found)) in appended.iter().zip(&found) {
        assert_eq!((position, &entry(name)), (found_at, found));
    }
}

async fn a_cut_removes_no_entry_after_it(log: impl IngestLog) {
    for n in 0..50 {
        log.append(entry(&format!("{n}{}", "x".repeat(2000))))
            .await
            .unwrap();
    }
    let before = log.extent();
    log.cut(30).await.unwrap();
    let after = log.extent();
    assert!(after.cut <= 30, "{after:?}");
    assert!(after.bytes < before.bytes, "{after:?}");
    assert_eq!(read_all(&log, 30).await.len(), 20);
    if after.cut > 0 {
        let gone = log.read(0, 1).await.unwrap_err();
        assert!(matches!(gone, LogError::Gone { after: 0, .. }), "{gone}");
    }
    assert_eq!(log.append(entry("next")).await.unwrap(), 51);
}

async fn a_closed_log_says_so(log: impl IngestLog) {
    log.append(entry("a")).await.unwrap();
    log.close().await;
    assert_eq!(log.append(entry("b")).await, Err(LogError::Closed));
    assert_eq!(read_all(&log, 0).await.len(), 1);
}
