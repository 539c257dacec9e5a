//! The logical tables as DataFusion sees them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use query::schema::{Keys, Table};

use super::exec::ScanExec;
use super::filter::{Filter, Times};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use crate::index::MAX_BLOCKS;

/// `logs` or `spans` over one snapshot, with the virtual columns that a query references.
#[derive(Debug)]
pub struct LogicalTable {
    table: Table,
    schema: SchemaRef,
    snapshot: Arc<Snapshot>,
    stats: Arc<ScanStats>,
    on_damage: OnDamage,
}

impl LogicalTable {
    /// The table of which queries that meet damage fail.
    pub fn new(table: Table, keys: &Keys, snapshot: Arc<Snapshot>, stats: Arc<ScanStats>) -> Self {
        Self {
            table,
            schema: table.schema(keys),
            snapshot,
            stats,
            on_damage: OnDamage::Fail,
        }
    }

    /// The table of which queries go on without damaged data, with warnings in the stats.
    pub fn tolerant(self) -> Self {
        Self {
            on_damage: OnDamage::Warn,
            ..self
        }
    }

    pub(super) fn table(&self) -> Table {
        self.table
    }

    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    pub(super) fn stats(&self) -> &Arc<ScanStats> {
        &self.stats
    }

    pub(super) fn on_damage(&self) -> OnDamage {
        self.on_damage
    }

    /// How many row groups there are, about.
    fn size(&self) -> usize {
        let in_splits: u64 = self
            .snapshot
            .splits
            .iter()
            .map(|split| split.blocks())
            .sum();
        self.snapshot.row_groups.len()
            + self.snapshot.open.len().div_ceil(MAX_BLOCKS)
            + (in_splits as usize).div_ceil(MAX_BLOCKS)
    }
}

#[async_trait]
impl TableProvider for LogicalTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Every filter that can be checked row by row is the scan's own.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        filters
            .iter()
            .map(|filter| {
                let elsewhere = filter.is_volatile()
                    || filter.exists(|expr| {
                        Ok(matches!(
                            expr,
                            Expr::ScalarSubquery(_)
                                | Expr::InSubquery(_)
                                | Expr::Exists(_)
                                | Expr::OuterReferenceColumn(..)
                                | Expr::Placeholder(_)
                        ))
                    })?;
                Ok(match elsewhere {
                    true => TableProviderFilterPushDown::Unsupported,
                    false => TableProviderFilterPushDown::Exact,
                })
            })
            .collect()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = Filter::new(filters, Times::ALL, &self.schema, state)?;
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => Arc::clone(&self.schema),
        };
        let tasks = state.config().target_partitions().min(self.size()).max(1);
        Ok(Arc::new(ScanExec::new(self, filter, schema, limit, tasks)))
    }
}
