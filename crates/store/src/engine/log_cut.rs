//! How far the ingest log was given up, kept beside the catalog.
//!
//! Moved before segments are removed, so that a log which begins later than this has lost
//! segments that were still needed.

use sqlx::Row;

use crate::database::{Database, Migration, failed};
use crate::error::StoreError;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE ingest_log (
    name TEXT PRIMARY KEY,
    cut BIGINT NOT NULL
);
",
}];

/// The row of this process' log; a second log gets a name of its own.
const NAME: &str = "local";

pub(super) async fn prepare(database: &Database) -> Result<(), StoreError> {
    database.migrate("ingest log", MIGRATIONS).await
}

/// The last position that was given up; 0 when none was.
pub(super) async fn read(database: &Database) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT cut FROM ingest_log WHERE name = $1")
        .bind(NAME)
        .fetch_optional(database.pool())
        .await
        .map_err(failed("read how far the ingest log is cut"))?;
    Ok(row.map_or(0, |row| row.get::<i64, _>(0).unsigned_abs()))
}

/// Gives up everything up to `position`; never moves back.
pub(super) async fn write(database: &Database, position: u64) -> Result<(), StoreError> {
    let position = i64::try_from(position).unwrap_or(i64::MAX);
    sqlx::query(
        "INSERT INTO ingest_log (name, cut) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET cut = $2 WHERE ingest_log.cut < $2",
    )
    .bind(NAME)
    .bind(position)
    .execute(database.pool())
    .await
    .map_err(failed("move how far the ingest log is cut"))?;
    Ok(())
}
