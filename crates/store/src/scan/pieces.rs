//! The pieces of a snapshot that a query visits, in order of time, opened as late as possible.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, BooleanBufferBuilder};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use tokio::sync::OnceCell;

use super::filter::Filter;
use super::snapshot::{Snapshot, SplitHandle};
use super::stats::{OnDamage, ScanStats};
use super::tasks::shared;
use crate::columns::{ColumnsError, RowsInMemory};
use crate::error::StoreError;
use crate::index::{BLOCK_ROWS, BlockLookup, BlockSet, IdBlocks, Terms};
use crate::search::Order;
use crate::split::{ParquetFile, QueryBlocks, Split, ValueRows};

/// Values are counted by their lists when at least so large a part of a row group's rows is selected
/// (one of so many).
const PART_FOR_LISTS: usize = 4;

/// Rows that are read together.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// First and last timestamp.
    pub(super) times: (i64, i64),
    rows: Rows,
    /// The rows that may match.
    pub(super) candidates: RowSelection,
}

#[derive(Debug, Clone)]
enum Rows {
    Open(RecordBatch),
    /// A row group, and the cache of its blocks.
    Encoded(Arc<ParquetFile>, usize, Arc<QueryBlocks>),
}

impl Piece {
    /// All of some rows in memory, which have these times.
    pub(super) fn of_open(rows: &dyn RowsInMemory, times: (i64, i64)) -> Result<Self, StoreError> {
        let batch = rows
            .columns()
            .map_err(|err| internal("read open rows", err))?;
        Ok(Self {
            times,
            candidates: vec![RowSelector::select(batch.num_rows())].into(),
            rows: Rows::Open(batch),
        })
    }

    /// Some blocks of a row group, which has these times.
    pub(super) fn of_blocks(
        (file, group): (Arc<ParquetFile>, usize),
        times: (i64, i64),
        blocks: &BlockSet,
        cache: &Arc<QueryBlocks>,
    ) -> Self {
        Self {
            times,
            candidates: rows_of(blocks, file.rows(group)),
            rows: Rows::Encoded(file, group, Arc::clone(cache)),
        }
    }

    /// The physical columns.
    pub(super) fn schema(&self) -> SchemaRef {
        match &self.rows {
            Rows::Open(batch) => batch.schema(),
            Rows::Encoded(file, ..) => Arc::clone(file.schema()),
        }
    }

    /// The indices of all physical columns, dealt out to `tasks` so that each reads about as many
    /// bytes; what is in memory is not worth the dealing.
    pub(super) fn column_shares(&self, tasks: usize) -> Vec<Vec<usize>> {
        let (file, group) = match &self.rows {
            Rows::Open(batch) => return vec![(0..batch.num_columns()).collect()],
            Rows::Encoded(file, group, _) => (file, *group),
        };
        let mut columns: Vec<(usize, u64)> =
            file.column_bytes(group).into_iter().enumerate().collect();
        columns.sort_by_key(|(_, bytes)| Reverse(*bytes));
        let mut shares = vec![(0_u64, Vec::new()); tasks.max(1)];
        for (column, bytes) in columns {
            // The greatest first, each to whom has the least.
            if let Some((sum, share)) = shares.iter_mut().min_by_key(|(sum, _)| *sum) {
                *sum += bytes;
                share.push(column);
            }
        }
        shares.into_iter().map(|(_, share)| share).collect()
    }

    /// The physical columns at the indices `columns`, which ascend, of the selected rows, in batches
    /// of at most `batch_rows` rows or a block.
    pub(super) fn stream(
        &self,
        columns: &[usize],
        selection: &RowSelection,
        batch_rows: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, StoreError>>, StoreError> {
        match &self.rows {
            Rows::Encoded(file, group, cache) => {
                Ok(file.read_selected(*group, columns, selection.clone(), batch_rows, cache))
            }
            Rows::Open(batch) => {
                let selected = batch
                    .project(columns)
                    .and_then(|batch| filter_record_batch(&batch, &mask(selection)))
                    .map_err(|err| internal("read open rows", err))?;
                Ok(stream::iter([Ok(selected)]).boxed())
            }
        }
    }

    /// What `selection` has of the values that the file lists for the logical text column `name`;
    /// `None` when it does not list them, or so few rows are selected that their blocks, which may be
    /// kept, are read sooner than the whole column.
    ///
    /// # Errors
    ///
    /// Damage, or the file cannot be read.
    pub(super) async fn listed_values(
        &self,
        name: &str,
        selection: &RowSelection,
    ) -> Result<Option<ValueRows>, StoreError> {
        match &self.rows {
            Rows::Encoded(file, group, _)
                if selection.row_count() * PART_FOR_LISTS >= file.rows(*group) =>
            {
                file.listed_values(*group, name, selection).await
            }
            _ => Ok(None),
        }
    }

    /// The error of a piece whose columns are not what rows are encoded to.
    pub(super) fn columns_error(&self, err: ColumnsError) -> StoreError {
        match &self.rows {
            Rows::Open(_) => internal("read open rows", err),
            Rows::Encoded(file, ..) => StoreError::Damaged {
                file: file.name().to_owned(),
                offset: 0,
                message: err.to_string(),
            },
        }
    }
}

pub(super) fn internal(action: &'static str, err: impl ToString) -> StoreError {
    StoreError::Encoding {
        action,
        message: err.to_string(),
    }
}

fn mask(selection: &RowSelection) -> BooleanArray {
    let mut mask = BooleanBufferBuilder::new(0);
    for selector in selection.iter() {
        mask.append_n(selector.row_count, !selector.skip);
    }
    BooleanArray::new(mask.finish(), None)
}

/// Something that waits to be visited.
#[derive(Debug)]
enum Waiting {
    Open(Arc<dyn RowsInMemory>),
    Group {
        file: Arc<ParquetFile>,
        group: usize,
        blocks: BlockSet,
        of_split: bool,
    },
    /// And its number in the snapshot.
    Split(Arc<dyn SplitHandle>, usize),
}

#[derive(Debug)]
struct Queued {
    /// The greater, the sooner.
    rank: i64,
    /// Among equals, first come, first served.
    number: usize,
    times: (i64, i64),
    waiting: Waiting,
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.rank, other.number).cmp(&(other.rank, self.number))
    }
}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Queued {}

/// One of several tasks that share the pieces of a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) index: usize,
    pub(super) of: usize,
}

impl Share {
    /// The only task.
    pub(super) const WHOLE: Self = Self { index: 0, of: 1 };

    fn has(self, number: usize) -> bool {
        number % self.of == self.index
    }
}

/// Visits the pieces of a snapshot that may hold matching rows.
#[derive(Debug)]
pub(super) struct Pieces {
    queue: BinaryHeap<Queued>,
    filter: Arc<Filter>,
    order: Order,
    share: Share,
    next_number: usize,
    found: Arc<FoundBlocks>,
    cache: Arc<QueryBlocks>,
    stats: Arc<ScanStats>,
    on_damage: OnDamage,
}

/// What the index says of each split of a snapshot, found out once for all tasks of a query.
#[derive(Debug)]
pub(super) struct FoundBlocks(Vec<OnceCell<BlockSet>>);

impl FoundBlocks {
    /// Nothing yet.
    pub(super) fn new(snapshot: &Snapshot) -> Arc<Self> {
        let splits = snapshot.splits.iter();
        Arc::new(Self(splits.map(|_| OnceCell::new()).collect()))
    }
}

impl Pieces {
    /// The pieces, best times first.
    pub(super) fn new(
        snapshot: &Snapshot,
        filter: Arc<Filter>,
        order: Order,
        stats: Arc<ScanStats>,
        on_damage: OnDamage,
    ) -> Result<Self, StoreError> {
        let whole = (Share::WHOLE, FoundBlocks::new(snapshot));
        Self::shared_out(snapshot, filter, order, whole, stats, on_damage)
    }

    /// The pieces for one of the tasks that share the work and what they find in the index, best
    /// times first.
    pub(super) fn shared_out(
        snapshot: &Snapshot,
        filter: Arc<Filter>,
        order: Order,
        (share, found): (Share, Arc<FoundBlocks>),
        stats: Arc<ScanStats>,
        on_damage: OnDamage,
    ) -> Result<Self, StoreError> {
        let mut pieces = Self {
            queue: BinaryHeap::new(),
            filter,
            order,
            share,
            next_number: 0,
            found,
            cache: Arc::clone(&snapshot.cache),
            stats,
            on_damage,
        };
        for rows in &snapshot.open {
            if let Some(times) = rows.times() {
                pieces.push(times, Waiting::Open(Arc::clone(rows)), share);
            }
        }
        for row_group in &snapshot.row_groups {
            let times = row_group.times()?;
            if !pieces.filter.times.overlaps(times) {
                continue;
            }
            // What other tasks visit is not looked up.
            if !share.has(pieces.next_number) {
                pieces.next_number += 1;
                continue;
            }
            let index = BlockLookup::new(Terms::Memory(row_group.terms()));
            let file = Arc::clone(row_group.file());
            // Asking a bloom filter in memory is no cheaper than reading the identifiers.
            let blocks = row_group.terms().blocks();
            let blocks = pieces
                .filter
                .condition
                .blocks(&index, blocks)
                .map_err(|err| internal("look up terms", err))?;
            let waiting = Waiting::Group {
                file,
                group: 0,
                blocks,
                of_split: false,
            };
            pieces.push(times, waiting, share);
        }
        for (number, split) in snapshot.splits.iter().enumerate() {
            let times = split.times();
            if pieces.filter.times.overlaps(times) {
                if share.index == 0 {
                    pieces.stats.add_split(split.blocks());
                }
                // Every task opens the split; its row groups are shared out.
                let waiting = Waiting::Split(Arc::clone(split), number);
                pieces.push(times, waiting, Share::WHOLE);
            }
        }
        Ok(pieces)
    }

    fn push(&mut self, times: (i64, i64), waiting: Waiting, share: Share) {
        let number = self.next_number;
        self.next_number += 1;
        if !share.has(number) || !self.filter.times.overlaps(times) {
            return;
        }
        let rank = match self.order {
            Order::Newest => times.1,
            // Reverses the order without overflow.
            Order::Oldest => !times.0,
        };
        self.queue.push(Queued {
            rank,
            number,
            times,
            waiting,
        });
    }

    /// The times of the next piece, or of the split that it will come from.
    pub(super) fn next_times(&self) -> Option<(i64, i64)> {
        self.queue.peek().map(|queued| queued.times)
    }

    /// The next piece.
    pub(super) async fn next(&mut self) -> Result<Option<Piece>, StoreError> {
        while let Some(Queued { times, waiting, .. }) = self.queue.pop() {
            match waiting {
                Waiting::Open(rows) => {
                    let piece = Piece::of_open(rows.as_ref(), times)?;
                    self.stats
                        .add_scanned_rows(piece.candidates.row_count() as u64);
                    return Ok(Some(piece));
                }
                Waiting::Group {
                    file,
                    group,
                    mut blocks,
                    of_split,
                } => {
                    if !self.filter.times.covers(times) {
                        blocks.intersect(&file.blocks_in(group, self.filter.times.range()));
                    }
                    if blocks.is_empty() {
                        continue;
                    }
                    let piece = Piece::of_blocks((file, group), times, &blocks, &self.cache);
                    self.stats
                        .add_scanned_rows(piece.candidates.row_count() as u64);
                    if of_split {
                        self.stats.add_scanned_blocks(blocks.count() as u64);
                    }
                    return Ok(Some(piece));
                }
                Waiting::Split(handle, number) => {
                    let expanded = self.expand(handle.as_ref(), number).await;
                    self.tolerate(expanded)?;
                }
            }
        }
        Ok(None)
    }

    /// What is done about damage, for work that outlives this borrow.
    pub(super) fn tolerance(&self) -> Tolerance {
        Tolerance::new(&self.stats, self.on_damage)
    }

    /// See [`Tolerance::apply`].
    pub(super) fn tolerate<T>(
        &self,
        result: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.tolerance().apply(result)
    }

    /// Queues the row groups of the split `number` that may hold matching rows.
    async fn expand(&mut self, handle: &dyn SplitHandle, number: usize) -> Result<(), StoreError> {
        let split = handle.open().await?;
        let all_found = Arc::clone(&self.found);
        let finding = || blocks_of(&split, &self.filter);
        let found = all_found.0[number].get_or_try_init(finding).await?;
        let file = split.file();
        for group in 0..file.row_groups() {
            let times = file.times(group)?;
            let waiting = Waiting::Group {
                file: Arc::clone(file),
                group,
                blocks: found.slice(file.blocks(group)),
                of_split: true,
            };
            self.push(times, waiting, self.share);
        }
        Ok(())
    }
}

/// What a query does about damage.
#[derive(Debug, Clone)]
pub(super) struct Tolerance {
    stats: Arc<ScanStats>,
    on_damage: OnDamage,
}

impl Tolerance {
    pub(super) fn new(stats: &Arc<ScanStats>, on_damage: OnDamage) -> Self {
        Self {
            stats: Arc::clone(stats),
            on_damage,
        }
    }

    /// Lets damage pass, noted, when the query may go on without.
    pub(super) fn apply<T>(&self, result: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(err @ StoreError::Damaged { .. }) if self.on_damage == OnDamage::Warn => {
                tracing::error!(error = %err, "a query goes on without damaged data");
                self.stats.add_damage(&err);
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }
}

/// The blocks of a split that may hold matching rows.
pub(super) async fn blocks_of(split: &Split, filter: &Filter) -> Result<BlockSet, StoreError> {
    if filter.condition.is_any() {
        return Ok(BlockSet::all(split.blocks()));
    }
    let file = split.file();
    let mut ids = IdBlocks::new();
    for (column, text, id) in filter.condition.ids() {
        let mut in_groups = Vec::new();
        for group in 0..file.row_groups() {
            if filter.times.overlaps(file.times(group)?)
                && file.may_hold_id(group, &column, &id).await?
            {
                in_groups.push(blocks_with(
                    Arc::clone(file),
                    group,
                    column.clone(),
                    id.clone(),
                ));
            }
        }
        let mut found = BlockSet::none(split.blocks());
        for blocks in shared(in_groups).await? {
            blocks?.into_iter().for_each(|block| found.insert(block));
        }
        ids.insert((column, text), found);
    }
    let index = split.index().await?;
    let lookup = BlockLookup::new(Terms::Split(index)).with_ids(ids);
    filter
        .condition
        .blocks(&lookup, split.blocks())
        .map_err(|err| StoreError::Damaged {
            file: file.name().to_owned(),
            offset: 0,
            message: err.to_string(),
        })
}

/// The file's blocks, of one row group, in which `id` occurs. One column of identifiers is read so
/// that no other is read for blocks without it.
async fn blocks_with(
    file: Arc<ParquetFile>,
    group: usize,
    column: String,
    id: Vec<u8>,
) -> Result<Vec<usize>, StoreError> {
    let mut found = Vec::new();
    let Ok(index) = file.schema().index_of(&column) else {
        return Ok(found);
    };
    let mut batches = file.read(group, &[index], BLOCK_ROWS);
    let first_block = file.blocks(group).start;
    let mut row = 0;
    while let Some(batch) = batches.try_next().await? {
        if let Some(ids) = batch.column(0).as_fixed_size_binary_opt() {
            let places = ids.iter().enumerate();
            let places = places.filter(|(_, candidate)| *candidate == Some(id.as_slice()));
            found.extend(places.map(|(offset, _)| first_block + (row + offset) / BLOCK_ROWS));
        }
        row += batch.num_rows();
    }
    Ok(found)
}

/// The rows of some blocks of a row group.
fn rows_of(blocks: &BlockSet, rows: usize) -> RowSelection {
    let selectors: Vec<RowSelector> = (0..blocks.len())
        .map(|block| {
            let in_block = BLOCK_ROWS.min(rows - block * BLOCK_ROWS);
            match blocks.contains(block) {
                true => RowSelector::select(in_block),
                false => RowSelector::skip(in_block),
            }
        })
        .collect();
    // Neighbours of a kind are merged.
    selectors.into()
}
