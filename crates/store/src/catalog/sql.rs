//! The catalog in a SQL database: SQLite on one machine, PostgreSQL on many.

use async_trait::async_trait;
use model::{Signal, TenantId, TimeRange};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::{
    Catalog, CatalogSnapshot, Checkpoint, DeletedSplit, NewSplit, Publication, SplitEntry,
};
use crate::database::{Database, Migration, failed};
use crate::error::StoreError;
use crate::head::SplitSummary;

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE splits (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    signal TEXT NOT NULL,
    object_key TEXT NOT NULL UNIQUE,
    size_bytes BIGINT NOT NULL,
    row_count BIGINT NOT NULL,
    min_time BIGINT NOT NULL,
    max_time BIGINT NOT NULL,
    from_position BIGINT NOT NULL,
    to_position BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    deleted_at BIGINT
);
CREATE INDEX splits_by_time ON splits (tenant, signal, max_time);
CREATE INDEX splits_deleted ON splits (deleted_at);
CREATE TABLE checkpoints (
    tenant TEXT NOT NULL,
    signal TEXT NOT NULL,
    position BIGINT NOT NULL,
    accumulators TEXT,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, signal)
);
",
}];

/// The catalog's tables in a [`Database`].
#[derive(Debug, Clone)]
pub struct SqlCatalog {
    database: Database,
}

impl SqlCatalog {
    /// The catalog in `database`; its tables are made or brought up to date.
    ///
    /// # Errors
    ///
    /// A later release's tables, or a database that fails.
    pub async fn open(database: Database) -> Result<Self, StoreError> {
        database.migrate("catalog", MIGRATIONS).await?;
        Ok(Self { database })
    }

    async fn move_checkpoint(
        &self,
        connection: &mut AnyConnection,
        publication: &Publication,
    ) -> Result<bool, sqlx::Error> {
        let moved = sqlx::query(
            "UPDATE checkpoints SET position = $1, accumulators = $2, updated_at = $3 \
             WHERE tenant = $4 AND signal = $5 AND position = $6",
        )
        .bind(signed(publication.to_position))
        .bind(publication.accumulators.clone())
        .bind(publication.at)
        .bind(publication.tenant.as_str())
        .bind(publication.signal.as_str())
        .bind(signed(publication.from_position))
        .execute(&mut *connection)
        .await?;
        if moved.rows_affected() == 1 || publication.from_position != 0 {
            return Ok(moved.rows_affected() == 1);
        }
        let begun = sqlx::query(
            "INSERT INTO checkpoints (tenant, signal, position, accumulators, updated_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(publication.tenant.as_str())
        .bind(publication.signal.as_str())
        .bind(signed(publication.to_position))
        .bind(publication.accumulators.clone())
        .bind(publication.at)
        .execute(&mut *connection)
        .await?;
        Ok(begun.rows_affected() == 1)
    }

    async fn position(&self, tenant: &TenantId, signal: Signal) -> Result<u64, sqlx::Error> {
        let row = sqlx::query("SELECT position FROM checkpoints WHERE tenant = $1 AND signal = $2")
            .bind(tenant.as_str())
            .bind(signal.as_str())
            .fetch_optional(self.database.pool())
            .await?;
        Ok(row.map_or(0, |row| row.get::<i64, _>(0).unsigned_abs()))
    }
}

/// Positions and sizes fit: positions have 43 bits, and no file has 8 EiB.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn insert(connection: &mut AnyConnection, split: &SplitEntry) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO splits (id, tenant, signal, object_key, size_bytes, row_count, min_time, \
         max_time, from_position, to_position, created_at, metadata) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(split.id.as_str())
    .bind(split.tenant.as_str())
    .bind(split.signal.as_str())
    .bind(split.object_key.as_str())
    .bind(signed(split.size_bytes))
    .bind(signed(split.summary.rows))
    .bind(split.summary.min_time)
    .bind(split.summary.max_time)
    .bind(signed(split.from_position))
    .bind(signed(split.to_position))
    .bind(split.created_at)
    .bind(split.summary.metadata.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

fn entry(row: &AnyRow) -> Result<SplitEntry, StoreError> {
    let id: String = row.get("id");
    let damaged = |what: &str, error: &dyn std::fmt::Display| StoreError::Damaged {
        file: format!("catalog entry of split {id}"),
        offset: 0,
        message: format!("{what}: {error}"),
    };
    let unsigned = |column: &str| row.get::<i64, _>(column).unsigned_abs();
    let tenant: String = row.get("tenant");
    let signal: String = row.get("signal");
    let metadata: String = row.get("metadata");
    Ok(SplitEntry {
        tenant: tenant.parse().map_err(|error| damaged("tenant", &error))?,
        signal: signal.parse().map_err(|error| damaged("signal", &error))?,
        object_key: row.get("object_key"),
        size_bytes: unsigned("size_bytes"),
        from_position: unsigned("from_position"),
        to_position: unsigned("to_position"),
        created_at: row.get("created_at"),
        summary: SplitSummary {
            rows: unsigned("row_count"),
            min_time: row.get("min_time"),
            max_time: row.get("max_time"),
            metadata: serde_json::from_str(&metadata)
                .map_err(|error| damaged("metadata", &error))?,
        },
        id,
    })
}

fn deleted(row: &AnyRow) -> DeletedSplit {
    DeletedSplit {
        id: row.get("id"),
        object_key: row.get("object_key"),
        size_bytes: row.get::<i64, _>("size_bytes").unsigned_abs(),
        deleted_at: row.get("deleted_at"),
    }
}

impl NewSplit {
    fn entry(self, publication: &Publication) -> SplitEntry {
        SplitEntry {
            id: self.id,
            tenant: publication.tenant.clone(),
            signal: publication.signal,
            object_key: self.object_key,
            size_bytes: self.size_bytes,
            from_position: publication.from_position,
            to_position: publication.to_position,
            created_at: publication.at,
            summary: self.summary,
        }
    }
}

#[async_trait]
impl Catalog for SqlCatalog {
    async fn publish(&self, mut publication: Publication) -> Result<(), StoreError> {
        let failed = failed("publish a split");
        let mut transaction = self.database.pool().begin().await.map_err(&failed)?;
        if !self
            .move_checkpoint(&mut transaction, &publication)
            .await
            .map_err(&failed)?
        {
            transaction.rollback().await.map_err(&failed)?;
            let found = self.position(&publication.tenant, publication.signal).await;
            return Err(StoreError::StaleCheckpoint {
                tenant: publication.tenant.to_string(),
                signal: publication.signal,
                expected: publication.from_position,
                found: found.map_err(&failed)?,
            });
        }
        for split in std::mem::take(&mut publication.splits) {
            let entry = split.entry(&publication);
            insert(&mut transaction, &entry).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn snapshot(
        &self,
        tenant: &TenantId,
        signal: Signal,
        range: TimeRange,
    ) -> Result<CatalogSnapshot, StoreError> {
        let failed = failed("list splits");
        // One statement reads one moment in both databases: the checkpoint comes as one more
        // column, on a row of its own when no split overlaps.
        let rows = sqlx::query(
            "SELECT c.position AS checkpoint, s.* FROM \
               (SELECT COALESCE(MAX(position), 0) AS position FROM checkpoints \
                WHERE tenant = $1 AND signal = $2) AS c \
             LEFT JOIN \
               (SELECT id, tenant, signal, object_key, size_bytes, row_count, min_time, max_time, \
             from_position, to_position, created_at, metadata FROM splits WHERE tenant = $3 AND signal = $4 \
                AND deleted_at IS NULL AND max_time >= $5 AND min_time < $6) AS s ON 1 = 1 \
             ORDER BY s.from_position",
        )
        .bind(tenant.as_str())
        .bind(signal.as_str())
        .bind(tenant.as_str())
        .bind(signal.as_str())
        .bind(range.start)
        .bind(range.end)
        .fetch_all(self.database.pool())
        .await
        .map_err(failed)?;
        let mut snapshot = CatalogSnapshot::default();
        for row in &rows {
            snapshot.checkpoint = row.get::<i64, _>("checkpoint").unsigned_abs();
            if row.get::<Option<String>, _>("id").is_some() {
                snapshot.splits.push(entry(row)?);
            }
        }
        Ok(snapshot)
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, StoreError> {
        let rows = sqlx::query(
            "SELECT tenant, signal, position, accumulators, updated_at FROM checkpoints \
             ORDER BY tenant, signal",
        )
        .fetch_all(self.database.pool())
        .await
        .map_err(failed("read checkpoints"))?;
        rows.iter()
            .map(|row| {
                let damaged = |message: String| StoreError::Damaged {
                    file: "checkpoints of the catalog".to_owned(),
                    offset: 0,
                    message,
                };
                let tenant: String = row.get("tenant");
                let signal: String = row.get("signal");
                Ok(Checkpoint {
                    tenant: tenant
                        .parse()
                        .map_err(|error| damaged(format!("{error}")))?,
                    signal: signal.parse().map_err(damaged)?,
                    position: row.get::<i64, _>("position").unsigned_abs(),
                    accumulators: row.get("accumulators"),
                    updated_at: row.get("updated_at"),
                })
            })
            .collect()
    }

    async fn splits(&self) -> Result<Vec<SplitEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, tenant, signal, object_key, size_bytes, row_count, min_time, max_time, \
             from_position, to_position, created_at, metadata FROM splits WHERE deleted_at IS NULL \
             ORDER BY tenant, signal, from_position, id",
        )
        .fetch_all(self.database.pool())
        .await
        .map_err(failed("list splits"))?;
        rows.iter().map(entry).collect()
    }

    async fn replace(
        &self,
        removed: &[String],
        added: &[SplitEntry],
        at: i64,
    ) -> Result<(), StoreError> {
        let failed = failed("replace splits");
        let mut transaction = self.database.pool().begin().await.map_err(&failed)?;
        for id in removed {
            let hidden = sqlx::query(
                "UPDATE splits SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL",
            )
            .bind(at)
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
            if hidden.rows_affected() != 1 {
                transaction.rollback().await.map_err(&failed)?;
                return Err(StoreError::SplitsChanged { id: id.clone() });
            }
        }
        for split in added {
            insert(&mut transaction, split).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    async fn hide(&self, ids: &[String], at: i64) -> Result<Vec<DeletedSplit>, StoreError> {
        let failed = failed("hide splits");
        let mut transaction = self.database.pool().begin().await.map_err(&failed)?;
        let mut hidden = Vec::with_capacity(ids.len());
        for id in ids {
            let row = sqlx::query(
                "UPDATE splits SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL \
                 RETURNING id, object_key, size_bytes, deleted_at",
            )
            .bind(at)
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&failed)?;
            hidden.extend(row.as_ref().map(deleted));
        }
        transaction.commit().await.map_err(failed)?;
        Ok(hidden)
    }

    async fn deleted_before(&self, before: i64) -> Result<Vec<DeletedSplit>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, object_key, size_bytes, deleted_at FROM splits \
                 WHERE deleted_at < $1 ORDER BY id",
        )
        .bind(before)
        .fetch_all(self.database.pool())
        .await
        .map_err(failed("list deleted splits"))?;
        Ok(rows.iter().map(deleted).collect())
    }

    async fn forget(&self, id: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM splits WHERE id = $1 AND deleted_at IS NOT NULL")
            .bind(id)
            .execute(self.database.pool())
            .await
            .map_err(failed("forget a split"))?;
        Ok(())
    }

    async fn object_keys(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT object_key FROM splits ORDER BY object_key")
            .fetch_all(self.database.pool())
            .await
            .map_err(failed("list object keys"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
