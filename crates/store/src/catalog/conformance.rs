//! What every catalog must do, run on SQLite and on PostgreSQL.

use model::{Signal, TenantId, TimeRange};
use serde_json::json;

use super::{Catalog, NewSplit, Publication, SqlCatalog};
use crate::database::Database;
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::postgres_for_tests::Postgres;

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A step of tenant `acme`'s logs whose split `id` holds the times `[min, max]`.
fn step(from: u64, to: u64, id: &str, times: (i64, i64)) -> Publication {
    Publication {
        tenant: tenant("acme"),
        signal: Signal::Logs,
        from_position: from,
        to_position: to,
        accumulators: Some(format!("after {to}")),
        splits: vec![new_split(id, times)],
        at: 1_000,
    }
}

fn new_split(id: &str, times: (i64, i64)) -> NewSplit {
    NewSplit {
        id: id.to_owned(),
        object_key: format!("acme/logs/{id}.parquet"),
        size_bytes: 10,
        summary: SplitSummary {
            rows: 3,
            min_time: times.0,
            max_time: times.1,
            metadata: json!({"blocks": 1}),
        },
    }
}

async fn visible(catalog: &SqlCatalog, range: TimeRange) -> Vec<String> {
    let snapshot = catalog
        .snapshot(&tenant("acme"), Signal::Logs, range)
        .await
        .unwrap();
    snapshot.splits.into_iter().map(|split| split.id).collect()
}

async fn a_step_moves_split_and_checkpoint_together(catalog: SqlCatalog) {
    catalog.publish(step(0, 5, "a", (10, 20))).await.unwrap();
    catalog.publish(step(5, 9, "b", (15, 30))).await.unwrap();
    let snapshot = catalog
        .snapshot(&tenant("acme"), Signal::Logs, TimeRange::ALL)
        .await
        .unwrap();
    assert_eq!(snapshot.checkpoint, 9);
    let (first, second) = (&snapshot.splits[0], &snapshot.splits[1]);
    assert_eq!(
        (first.id.as_str(), first.from_position, first.to_position),
        ("a", 0, 5)
    );
    assert_eq!(
        (second.id.as_str(), second.from_position, second.to_position),
        ("b", 5, 9)
    );
    assert_eq!(first.summary.metadata, json!({"blocks": 1}));
    let checkpoints = catalog.checkpoints().await.unwrap();
    assert_eq!(checkpoints.len(), 1);
    assert_eq!(checkpoints[0].accumulators.as_deref(), Some("after 9"));
}

async fn a_step_from_elsewhere_changes_nothing(catalog: SqlCatalog) {
    for (from, found) in [(3, 0), (1, 0)] {
        let error = catalog
            .publish(step(from, 7, "x", (0, 1)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::StaleCheckpoint { expected, found: at, .. } if expected == from && at == found),
            "{error}"
        );
    }
    catalog.publish(step(0, 5, "a", (0, 1))).await.unwrap();
    // The same step again, as after a lost answer, and one that skips positions.
    for from in [0, 4, 6] {
        assert!(catalog.publish(step(from, 8, "y", (0, 1))).await.is_err());
    }
    assert_eq!(visible(&catalog, TimeRange::ALL).await, ["a"]);
    assert_eq!(catalog.checkpoints().await.unwrap()[0].position, 5);
}

async fn a_failed_insert_leaves_the_checkpoint(catalog: SqlCatalog) {
    catalog.publish(step(0, 5, "a", (0, 1))).await.unwrap();
    assert!(catalog.publish(step(5, 9, "a", (0, 1))).await.is_err());
    assert_eq!(catalog.checkpoints().await.unwrap()[0].position, 5);
}

async fn a_step_publishes_all_of_its_splits_or_none(catalog: SqlCatalog) {
    let mut both = step(0, 5, "a", (10, 20));
    both.splits.push(new_split("b", (0, 5)));
    catalog.publish(both).await.unwrap();
    let mut seen = visible(&catalog, TimeRange::ALL).await;
    seen.sort();
    assert_eq!(seen, ["a", "b"]);
    let positions = catalog.splits().await.unwrap();
    assert!(
        positions
            .iter()
            .all(|split| (split.from_position, split.to_position) == (0, 5))
    );

    let mut again = step(5, 9, "c", (10, 20));
    again.splits.push(new_split("a", (10, 20)));
    assert!(catalog.publish(again).await.is_err());
    assert_eq!(visible(&catalog, TimeRange::ALL).await.len(), 2);
    assert_eq!(catalog.checkpoints().await.unwrap()[0].position, 5);
}

async fn a_step_without_rows_moves_the_checkpoint_only(catalog: SqlCatalog) {
    catalog
        .publish(Publication {
            splits: Vec::new(),
            ..step(0, 5, "-", (0, 0))
        })
        .await
        .unwrap();
    let snapshot = catalog
        .snapshot(&tenant("acme"), Signal::Logs, TimeRange::ALL)
        .await
        .unwrap();
    assert_eq!((snapshot.checkpoint, snapshot.splits.len()), (5, 0));
}

async fn a_snapshot_holds_what_overlaps_and_no_other_tenants(catalog: SqlCatalog) {
    catalog.publish(step(0, 5, "a", (10, 20))).await.unwrap();
    let other = Publication {
        tenant: tenant("other"),
        ..step(0, 6, "o", (10, 20))
    };
    catalog.publish(other).await.unwrap();
    let spans = Publication {
        signal: Signal::Spans,
        ..step(0, 7, "s", (10, 20))
    };
    catalog.publish(spans).await.unwrap();
    // A range is [start, end), a split's times are both inside.
    let cases = [
        ((0, 10), false),
        ((0, 11), true),
        ((20, 21), true),
        ((21, 30), false),
        ((12, 13), true),
    ];
    for ((start, end), expected) in cases {
        let found = visible(&catalog, TimeRange::new(start, end)).await;
        assert_eq!(found == ["a"], expected, "{start}..{end}: {found:?}");
    }
    assert_eq!(catalog.splits().await.unwrap().len(), 3);
}

async fn replacing_hides_and_shows_at_once(catalog: SqlCatalog) {
    catalog.publish(step(0, 5, "a", (10, 20))).await.unwrap();
    catalog.publish(step(5, 9, "b", (15, 30))).await.unwrap();
    let mut merged = catalog.splits().await.unwrap()[0].clone();
    merged.id = "ab".to_owned();
    merged.object_key = "acme/logs/ab.parquet".to_owned();
    merged.to_position = 9;
    let both = ["a".to_owned(), "b".to_owned()];
    catalog
        .replace(&both, std::slice::from_ref(&merged), 2_000)
        .await
        .unwrap();
    assert_eq!(visible(&catalog, TimeRange::ALL).await, ["ab"]);
    merged.id = "again".to_owned();
    merged.object_key = "acme/logs/again.parquet".to_owned();
    let error = catalog.replace(&both, &[merged], 3_000).await.unwrap_err();
    assert!(
        matches!(error, StoreError::SplitsChanged { ref id } if id == "a"),
        "{error}"
    );
    assert_eq!(visible(&catalog, TimeRange::ALL).await, ["ab"]);
    assert_eq!(catalog.deleted_before(2_001).await.unwrap().len(), 2);
}

async fn hidden_splits_wait_for_the_sweep(catalog: SqlCatalog) {
    catalog.publish(step(0, 5, "old", (10, 20))).await.unwrap();
    catalog.publish(step(5, 9, "new", (10, 40))).await.unwrap();
    let old = ["old".to_owned(), "unknown".to_owned()];
    let hidden = catalog.hide(&old, 5_000).await.unwrap();
    let found = hidden
        .iter()
        .map(|split| (split.id.as_str(), split.size_bytes, split.deleted_at));
    assert_eq!(found.collect::<Vec<_>>(), [("old", 10, 5_000)]);
    assert!(catalog.hide(&old, 6_000).await.unwrap().is_empty());
    assert_eq!(visible(&catalog, TimeRange::ALL).await, ["new"]);
    assert!(catalog.deleted_before(5_000).await.unwrap().is_empty());
    assert_eq!(catalog.deleted_before(5_001).await.unwrap(), hidden);
    assert_eq!(catalog.object_keys().await.unwrap().len(), 2);
    catalog.forget("new").await.unwrap();
    catalog.forget("old").await.unwrap();
    assert_eq!(
        catalog.object_keys().await.unwrap(),
        ["acme/logs/new.parquet"]
    );
}

async fn a_later_releases_tables_are_refused(database: Database) {
    SqlCatalog::open(database.clone()).await.unwrap();
    sqlx::query("UPDATE schema_versions SET version = 99")
        .execute(database.pool())
        .await
        .unwrap();
    let error = SqlCatalog::open(database).await.unwrap_err();
    assert!(
        matches!(error, StoreError::NewerFormat { found: 99, .. }),
        "{error}"
    );
}

/// Runs each test of the suite on an empty catalog.
macro_rules! suite {
    ($open:expr; $($test:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                let Some((database, _keep)) = $open.await else { return };
                super::$test(SqlCatalog::open(database).await.unwrap()).await;
            }
        )*

        #[tokio::test]
        async fn a_later_releases_tables_are_refused() {
            let Some((database, _keep)) = $open.await else { return };
            super::a_later_releases_tables_are_refused(database).await;
        }
    };
    ($module:ident, $open:expr) => {
        mod $module {
            use super::*;
            suite! { $open;
                a_step_moves_split_and_checkpoint_together,
                a_step_from_elsewhere_changes_nothing,
                a_failed_insert_leaves_the_checkpoint,
                a_step_without_rows_moves_the_checkpoint_only,
                a_snapshot_holds_what_overlaps_and_no_other_tenants,
                replacing_hides_and_shows_at_once,
                hidden_splits_wait_for_the_sweep,
                a_step_publishes_all_of_its_splits_or_none,
            }
        }
    };
}

async fn sqlite() -> Option<(Database, tempfile::TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open_sqlite(&directory.path().join("with ?#% in it.db"))
        .await
        .unwrap();
    Some((database, directory))
}

async fn postgres() -> Option<(Database, ())> {
    let url = Postgres::shared()?.new_database();
    Some((Database::open_postgres(&url).await.unwrap(), ()))
}

suite!(on_sqlite, sqlite());
suite!(on_postgres, postgres());

#[tokio::test]
async fn every_sqlite_commit_is_durable() {
    let (database, _keep) = sqlite().await.unwrap();
    for (pragma, expected) in [("PRAGMA journal_mode", "wal"), ("PRAGMA synchronous", "2")] {
        let row = sqlx::query(pragma)
            .fetch_one(database.pool())
            .await
            .unwrap();
        let value = sqlx::Row::try_get::<String, _>(&row, 0)
            .unwrap_or_else(|_| sqlx::Row::get::<i64, _>(&row, 0).to_string());
        assert_eq!(value, expected, "{pragma}");
    }
}
