//! SQL over the logical tables, read-only and bounded.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::context::SQLOptions;
use futures::StreamExt;
use query::schema::Table;

use super::session::{QueryBounds, query_error, session, syntax_error, within};
use super::snapshot::Snapshot;
use super::stats::ScanStats;
use super::table::LogicalTable;
use crate::error::QueryError;
use crate::search::SqlLimits;

/// Runs one `SELECT` over `logs`, `spans` and the tables of `others`.
///
/// # Errors
///
/// A statement that cannot be read or that writes, damage in what it reads, or a bound that is
/// met.
pub async fn run_sql(
    logs: Arc<Snapshot>,
    spans: Arc<Snapshot>,
    others: Vec<(&str, Arc<dyn TableProvider>)>,
    text: &str,
    limits: &SqlLimits,
) -> Result<(SchemaRef, Vec<RecordBatch>), QueryError> {
    let sql = query::sql::read(text).map_err(syntax_error)?;
    let bounds = QueryBounds {
        timeout: limits.timeout,
        memory_bytes: limits.memory_bytes,
    };
    let session = session(&bounds)?;
    let stats = Arc::new(ScanStats::default());
    for (table, snapshot) in [(Table::Logs, logs), (Table::Spans, spans)] {
        let provider = LogicalTable::new(table, &sql.keys, snapshot, Arc::clone(&stats));
        session
            .register_table(table.name(), Arc::new(provider))
            .map_err(query_error)?;
    }
    for (name, provider) in others {
        session
            .register_table(name, provider)
            .map_err(query_error)?;
    }
    within(limits.timeout, async {
        let plan = session
            .state()
            .statement_to_plan(sql.statement)
            .await
            .map_err(query_error)?;
        read_only().verify_plan(&plan).map_err(query_error)?;
        let frame = session
            .execute_logical_plan(plan)
            .await
            .map_err(query_error)?;
        let mut stream = frame.execute_stream().await.map_err(query_error)?;
        let schema = stream.schema();
        let mut batches = Vec::new();
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(query_error)?;
            rows += batch.num_rows();
            if rows > limits.max_rows {
                return Err(QueryError::LimitExceeded(format!(
                    "the result has more than {} rows; add a LIMIT or aggregate",
                    limits.max_rows
                )));
            }
            batches.push(batch);
        }
        Ok((schema, batches))
    })
    .await
}

fn read_only() -> SQLOptions {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
}
