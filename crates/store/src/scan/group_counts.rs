//! `count(*)` of groups by one text column, counted value by value instead of row by row: the node
//! that does it, and the optimizer rule that puts it in the place of the general ones.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, UInt64Array, new_null_array,
};
use arrow::compute::filter;
use arrow::datatypes::{DataType, SchemaRef, UInt64Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use foldhash::fast::RandomState;
use futures::{StreamExt, TryStreamExt, stream};
use query::value_counts::ValueCounts;

use super::exec::{ScanExec, properties, read_logical};
use super::filter::Stage;
use super::group_table::CountedParts;
use super::pieces::{Piece, Pieces, Share, internal};
use super::select::{Wanted, select};
use super::tasks::shared;
use crate::error::StoreError;
use crate::split::ValueRows;

/// The values of a scan's only column, each once, with how many of the matching rows have it.
#[derive(Debug)]
struct GroupCountExec {
    scan: Arc<ScanExec>,
    /// The value, its rows.
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl GroupCountExec {
    /// Counts in as many tasks as the scan would have, then sums in as many.
    async fn counts(
        scan: Arc<ScanExec>,
        schema: SchemaRef,
        memory: MemoryReservation,
    ) -> Result<Vec<Result<RecordBatch>>> {
        let memory = Arc::new(memory);
        let hasher = RandomState::default();
        let of = scan.tasks();
        let shares = (0..of).map(|index| {
            let parts = CountedParts::new(hasher.clone());
            let counting = Counting::new(&scan, Share { index, of }, Arc::clone(&memory));
            async move { counting?.count_all(parts).await }
        });
        let shares: Vec<_> = shares.collect();
        let mut all = CountedParts::new(hasher);
        for share in shared(shares).await.map_err(external)? {
            all.append(share?);
        }
        let missing = all.missing();
        // The sums are at most as large as what they are made of.
        memory.try_grow(all.bytes())?;
        let sums = all.into_sums().map(|sum| async move { sum() });
        let sums = shared(sums.collect::<Vec<_>>()).await.map_err(external)?;
        let without = (missing > 0).then(|| (new_null_array(&DataType::Utf8, 1), vec![missing]));
        let sums = sums.into_iter().filter(|(_, rows)| !rows.is_empty());
        let sums = sums.map(|(values, rows)| (Arc::new(values) as ArrayRef, rows));
        let batches = sums.chain(without).map(|(values, rows)| {
            // No count of rows is beyond 63 bits.
            let rows = rows.into_iter().map(|rows| rows as i64);
            let rows: Int64Array = rows.collect();
            Ok(RecordBatch::try_new(
                Arc::clone(&schema),
                vec![values, Arc::new(rows)],
            )?)
        });
        Ok(batches.collect())
    }
}

fn external(err: StoreError) -> DataFusionError {
    DataFusionError::External(Box::new(err))
}

/// One task's way through the pieces.
struct Counting {
    pieces: Pieces,
    scan: Arc<ScanExec>,
    memory: Arc<MemoryReservation>,
}

impl Counting {
    fn new(scan: &Arc<ScanExec>, share: Share, memory: Arc<MemoryReservation>) -> Result<Self> {
        Ok(Self {
            pieces: scan.pieces(share).map_err(external)?,
            scan: Arc::clone(scan),
            memory,
        })
    }

    /// Adds the counts of all pieces to `parts`.
    async fn count_all(mut self, mut parts: CountedParts) -> Result<CountedParts> {
        loop {
            // A piece is read without waiting when it is in memory; others get their turn here.
            tokio::task::yield_now().await;
            let Some(piece) = self.pieces.next().await.map_err(external)? else {
                return Ok(parts);
            };
            let counted = self.count(piece).await;
            let counted = self.pieces.tolerate(counted).map_err(external)?;
            if let Some(counted) = counted.flatten() {
                let before = parts.bytes();
                parts.add(counted);
                self.memory.try_grow(parts.bytes() - before)?;
            }
            if parts.are_worth_summing() {
                let before = parts.bytes();
                parts = parts.summed();
                self.memory.shrink(before.saturating_sub(parts.bytes()));
            }
        }
    }

    /// The counts of a piece's matching rows, if there are any.
    async fn count(&self, piece: Piece) -> Result<Option<ValueRows>, StoreError> {
        let is_by_value = self.asks_the_value_alone(&piece);
        if is_by_value
            && let Some(listed) = piece
                .listed_values(self.column(), &piece.candidates)
                .await?
        {
            return self.passing(listed).map(Some);
        }
        let wanted = Wanted::Columns(Arc::clone(&self.scan.schema));
        let Some(selected) = select(&piece, &self.scan.filter, &wanted).await? else {
            return Ok(None);
        };
        // What has no list of the candidates has none of some of them.
        if !is_by_value
            && let Some(listed) = piece.listed_values(self.column(), selected.rows()).await?
        {
            return Ok(Some(listed));
        }
        // A row group bounds their memory.
        let mut counts = ValueCounts::new(usize::MAX);
        let mut batches = read_logical(piece, &self.scan.schema, &selected)?;
        while let Some(batch) = batches.try_next().await? {
            counts.add_column(&texts(batch.column(0))?);
        }
        Ok(Some(counts.into()))
    }

    /// The column that is counted.
    fn column(&self) -> &str {
        self.scan.schema.field(0).name()
    }

    /// Whether the filter holds for all of the piece's rows that have a certain value or for none.
    fn asks_the_value_alone(&self, piece: &Piece) -> bool {
        let filter = &self.scan.filter;
        let of_value = |stage: &Stage| match stage.schema.fields().as_ref() {
            [only] => only.name() == self.column(),
            _ => false,
        };
        filter.times.covers(piece.times) && filter.stages.iter().all(of_value)
    }

    /// The counts whose value passes the filter.
    fn passing(&self, mut counted: ValueRows) -> Result<ValueRows, StoreError> {
        for stage in &self.scan.filter.stages {
            if counted.missing > 0
                && !self
                    .check(stage, new_null_array(&DataType::Utf8, 1))?
                    .value(0)
            {
                counted.missing = 0;
            }
            let mask = self.check(stage, Arc::new(counted.values.clone()))?;
            let kept = |column: &dyn Array| {
                filter(column, &mask).map_err(|err| internal("keep values that match", err))
            };
            let rows = kept(&UInt64Array::from(counted.rows))?;
            counted = ValueRows {
                values: texts(&kept(&counted.values)?)?,
                rows: rows.as_primitive::<UInt64Type>().values().to_vec(),
                missing: counted.missing,
            };
        }
        Ok(counted)
    }

    /// Which values pass a stage that asks nothing else.
    fn check(&self, stage: &Stage, values: ArrayRef) -> Result<BooleanArray, StoreError> {
        let values = RecordBatch::try_new(Arc::clone(&stage.schema), vec![values]);
        stage.passing(&values.map_err(|err| internal("check values", err))?)
    }
}

fn texts(column: &ArrayRef) -> Result<StringArray, StoreError> {
    let texts = column.as_string_opt::<i32>().cloned();
    texts.ok_or_else(|| internal("count values", "they are no texts"))
}

impl DisplayAs for GroupCountExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupCountExec: of ")?;
        self.scan.fmt_as(kind, f)
    }
}

impl ExecutionPlan for GroupCountExec {
    fn name(&self) -> &str {
        "GroupCountExec"
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
        self.scan.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let memory = MemoryConsumer::new(self.name()).register(context.memory_pool());
        let counts = Self::counts(Arc::clone(&self.scan), Arc::clone(&self.schema), memory);
        let batches = stream::once(counts).map_ok(stream::iter).try_flatten();
        let batches = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches.boxed());
        Ok(Box::pin(cooperative(batches)))
    }
}

/// Counts groups value by value where that gives what the general nodes would.
///
/// The counts come from one task, so nothing above may ask for several: only nodes with one input are
/// passed on the way down from the root.
#[derive(Debug)]
pub(super) struct CountGroups;

impl PhysicalOptimizerRule for CountGroups {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(with_counts(&plan)?.unwrap_or(plan))
    }

    fn name(&self) -> &str {
        "count_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with its counts of groups replaced, if it has any.
fn with_counts(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(counts) = plan.downcast_ref::<AggregateExec>().and_then(counts_of) {
        return Ok(Some(Arc::new(counts)));
    }
    let children = plan.children();
    let [child] = children.as_slice() else {
        return Ok(None);
    };
    let Some(child) = with_counts(child)? else {
        return Ok(None);
    };
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Arc::clone(plan)
        .replace_children(vec![child], options)
        .map(Some)
}

/// What gives the same rows as an aggregation, when that counts the rows of groups by the only column
/// of a scan, a text.
fn counts_of(sums: &AggregateExec) -> Option<GroupCountExec> {
    let is_last = matches!(
        sums.mode(),
        AggregateMode::Final | AggregateMode::FinalPartitioned
    );
    let counts = dealt_out(sums.input()).downcast_ref::<AggregateExec>()?;
    let scan = counts.input().downcast_ref::<ScanExec>()?;
    let group = counts.group_expr();
    let [(value, _)] = group.expr() else {
        return None;
    };
    let counts_rows = match counts.aggr_expr() {
        [only] => is_row_count(only) && matches!(counts.filter_expr(), [None]),
        _ => false,
    };
    let is_text_alone = match scan.schema.fields().as_ref() {
        [only] => *only.data_type() == DataType::Utf8 && value.is::<Column>(),
        _ => false,
    };
    let schema = sums.schema();
    let types = schema.fields().iter().map(|field| field.data_type());
    let is_whole = *counts.mode() == AggregateMode::Partial
        && group.is_single()
        && counts.limit_options().is_none()
        && sums.limit_options().is_none()
        && scan.is_of_all_rows();
    let fits = is_last && is_whole && types.eq([&DataType::Utf8, &DataType::Int64]);
    (counts_rows && is_text_alone && fits).then(|| GroupCountExec {
        scan: Arc::new(scan.clone()),
        properties: properties(&schema, 1),
        schema,
    })
}

/// The input of a node that only deals rows out to tasks or collects them from there.
fn dealt_out(node: &Arc<dyn ExecutionPlan>) -> &Arc<dyn ExecutionPlan> {
    if let Some(repartition) = node.downcast_ref::<RepartitionExec>() {
        return repartition.input();
    }
    match node.downcast_ref::<CoalescePartitionsExec>() {
        Some(collect) => collect.input(),
        None => node,
    }
}

/// Whether it is `count(*)`, which the planner writes as the count of a constant.
fn is_row_count(aggregate: &AggregateFunctionExpr) -> bool {
    let constant = match aggregate.expressions().as_slice() {
        [only] => only
            .downcast_ref::<Literal>()
            .is_some_and(|literal| !literal.value().is_null()),
        _ => false,
    };
    constant && aggregate.fun().name() == "count" && !aggregate.is_distinct()
}
