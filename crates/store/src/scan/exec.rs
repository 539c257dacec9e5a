//! The physical plan node that reads a snapshot's rows as a logical table.

use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PhysicalExpr, PlanProperties,
    apply_expression_roots,
};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use query::schema::Table;

use super::filter::Filter;
use super::pieces::{FoundBlocks, Piece, Pieces, Share};
use super::select::{Selected, Wanted, physical_of, select, to_logical};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use super::top::Top;
use crate::error::StoreError;
use crate::search::Order;

/// Rows of one batch.
const BATCH_ROWS: usize = 8192;

/// Reads the rows of a snapshot that match a filter, as the columns of `schema`.
#[derive(Debug, Clone)]
pub(super) struct ScanExec {
    pub(super) table: Table,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) filter: Arc<Filter>,
    pub(super) stats: Arc<ScanStats>,
    pub(super) on_damage: OnDamage,
    pub(super) schema: SchemaRef,
    /// By all partitions together.
    found: Arc<FoundBlocks>,
    /// Any this many rows are enough.
    limit: Option<usize>,
    /// Only the first rows of this order are wanted.
    top: Option<(usize, Order)>,
    properties: Arc<PlanProperties>,
}

impl ScanExec {
    pub(super) fn new(
        table: &super::table::LogicalTable,
        filter: Filter,
        schema: SchemaRef,
        limit: Option<usize>,
        tasks: usize,
    ) -> Self {
        let properties = properties(&schema, tasks);
        Self {
            table: table.table(),
            snapshot: Arc::clone(table.snapshot()),
            filter: Arc::new(filter),
            stats: Arc::clone(table.stats()),
            on_damage: table.on_damage(),
            schema,
            found: FoundBlocks::new(table.snapshot()),
            limit,
            top: None,
            properties,
        }
    }

    /// The same scan of which only the first `limit` rows in `order` are wanted.
    pub(super) fn with_top(&self, limit: usize, order: Order) -> Self {
        Self {
            top: Some((limit, order)),
            ..self.clone()
        }
    }

    /// Whether every matching row is wanted.
    pub(super) fn is_of_all_rows(&self) -> bool {
        self.limit.is_none() && self.top.is_none()
    }

    /// How many tasks share the pieces.
    pub(super) fn tasks(&self) -> usize {
        self.properties.output_partitioning().partition_count()
    }

    /// The pieces that one task visits.
    pub(super) fn pieces(&self, share: Share) -> Result<Pieces, StoreError> {
        Pieces::shared_out(
            &self.snapshot,
            Arc::clone(&self.filter),
            self.top.map_or(Order::Newest, |(_, order)| order),
            (share, Arc::clone(&self.found)),
            Arc::clone(&self.stats),
            self.on_damage,
        )
    }

    fn batches(&self, share: Share) -> Result<BoxStream<'static, Result<RecordBatch>>, StoreError> {
        let reading = Reading {
            pieces: self.pieces(share)?,
            filter: Arc::clone(&self.filter),
            top: self.top.map(|(limit, order)| Top::new(limit, order, None)),
            schema: Arc::clone(&self.schema),
            left: self.limit.unwrap_or(usize::MAX),
        };
        let batches = stream::try_unfold(reading, |mut reading| async move {
            let next = reading.next().await?;
            Ok::<_, StoreError>(next.map(|batches| (batches, reading)))
        });
        Ok(batches
            .try_flatten()
            .map_err(|err| DataFusionError::External(Box::new(err)))
            .boxed())
    }
}

/// Of a node that gives batches of `schema` by so many tasks, in no order.
pub(super) fn properties(schema: &SchemaRef, tasks: usize) -> Arc<PlanProperties> {
    Arc::new(
        PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(schema)),
            Partitioning::UnknownPartitioning(tasks),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative),
    )
}

/// One task's way through the pieces.
struct Reading {
    pieces: Pieces,
    filter: Arc<Filter>,
    top: Option<Top>,
    schema: SchemaRef,
    left: usize,
}

impl Reading {
    /// The matching rows of the next piece that has any.
    async fn next(
        &mut self,
    ) -> Result<Option<BoxStream<'static, Result<RecordBatch, StoreError>>>, StoreError> {
        while self.left > 0 {
            // A piece is read without waiting when it is in memory; others get their turn here.
            tokio::task::yield_now().await;
            let wanted = match (&self.top, self.pieces.next_times()) {
                (_, None) => false,
                (None, Some(_)) => true,
                (Some(top), Some(times)) => top.wants(times),
            };
            if !wanted {
                return Ok(None);
            }
            let Some(piece) = self.pieces.next().await? else {
                return Ok(None);
            };
            let selected = self.select(&piece).await;
            let Some(Some(mut selected)) = self.pieces.tolerate(selected)? else {
                continue;
            };
            if selected.count() > self.left {
                selected.truncate(self.left)?;
            }
            self.left -= selected.count();
            let batches = read_logical(piece, &self.schema, &selected);
            match self.pieces.tolerate(batches)? {
                Some(batches) => return Ok(Some(self.tolerant(batches))),
                None => continue,
            }
        }
        Ok(None)
    }

    /// The matching rows of a piece that are wanted; `None` when there is none.
    async fn select(&mut self, piece: &Piece) -> Result<Option<Selected>, StoreError> {
        let wanted = Wanted::Columns(Arc::clone(&self.schema));
        let Some(mut selected) = select(piece, &self.filter, &wanted).await? else {
            return Ok(None);
        };
        if let Some(top) = &mut self.top {
            let places = selected.places(piece).await?;
            selected.refine(top.offer(&places))?;
        }
        Ok(Some(selected).filter(|selected| !selected.is_empty()))
    }

    /// The batches until damage is met, when the query may go on without.
    fn tolerant(
        &self,
        batches: BoxStream<'static, Result<RecordBatch, StoreError>>,
    ) -> BoxStream<'static, Result<RecordBatch, StoreError>> {
        let tolerance = self.pieces.tolerance();
        stream::unfold(Some((batches, tolerance)), |state| async move {
            let (mut batches, tolerance) = state?;
            match tolerance.apply(batches.next().await?) {
                Ok(Some(batch)) => Some((Ok(batch), Some((batches, tolerance)))),
                Ok(None) => None,
                Err(err) => Some((Err(err), None)),
            }
        })
        .boxed()
    }
}

/// The selected rows of a piece as logical columns.
pub(super) fn read_logical(
    piece: Piece,
    schema: &SchemaRef,
    selected: &Selected,
) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
    let columns = physical_of(schema, &piece.schema());
    let schema = Arc::clone(schema);
    if columns.is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(selected.count()));
        let nothing =
            RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
                .map_err(|err| super::pieces::internal("count rows", err))?;
        let batch = to_logical(&piece, &schema, &nothing);
        return Ok(stream::iter([batch]).boxed());
    }
    let batches = selected.stream(&piece, &columns, BATCH_ROWS)?;
    Ok(batches
        .map(move |batch| to_logical(&piece, &schema, &batch?))
        .boxed())
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        write!(
            f,
            "ScanExec: table={}, columns={columns:?}",
            self.table.name()
        )?;
        if let Some((limit, order)) = self.top {
            write!(f, ", top={limit} {order:?}")?;
        }
        let stages = self.filter.stages.iter();
        for predicate in stages.flat_map(|stage| &stage.predicates) {
            write!(f, ", {predicate}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let stages = self.filter.stages.iter();
        apply_expression_roots(stages.flat_map(|stage| &stage.predicates), f)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let share = Share {
            index: partition,
            of: self.tasks(),
        };
        let batches = self
            .batches(share)
            .map_err(|err| DataFusionError::External(Box::new(err)))?;
        let batches = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches);
        Ok(Box::pin(cooperative(batches)))
    }
}
