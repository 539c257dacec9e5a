//! Plans over the table `logs` for LogQL: a snapshot as a `query::logql::LogSource`.

use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlanBuilder;
use query::logql::LogSource;
use query::plans::LogPlan;
use query::schema::Table;

use super::session::{QueryBounds, session};
use super::snapshot::Snapshot;
use super::stats::ScanStats;
use super::table::LogicalTable;

/// The log records of one snapshot. Queries that meet damage fail.
#[derive(Debug, Clone)]
pub struct SnapshotLogs {
    snapshot: Arc<Snapshot>,
    bounds: QueryBounds,
    stats: Arc<ScanStats>,
}

impl SnapshotLogs {
    /// The records of `snapshot`, for queries within `bounds`; whoever reads the streams keeps
    /// the time.
    pub fn new(snapshot: Arc<Snapshot>, bounds: QueryBounds) -> Self {
        Self {
            snapshot,
            bounds,
            stats: Arc::new(ScanStats::default()),
        }
    }

    /// What the plans executed so far have read.
    pub fn stats(&self) -> &ScanStats {
        &self.stats
    }
}

impl LogSource for SnapshotLogs {
    async fn execute(&self, plan: LogPlan) -> Result<SendableRecordBatchStream, DataFusionError> {
        let session =
            session(&self.bounds).map_err(|err| DataFusionError::External(Box::new(err)))?;
        let snapshot = Arc::clone(&self.snapshot);
        let stats = Arc::clone(&self.stats);
        let table = LogicalTable::new(Table::Logs, &plan.keys(), snapshot, stats);
        let source = provider_as_source(Arc::new(table));
        let input = LogicalPlanBuilder::scan(Table::Logs.name(), source, None)?.build()?;
        let frame = session.execute_logical_plan(plan.build(input)?).await?;
        frame.execute_stream().await
    }
}
