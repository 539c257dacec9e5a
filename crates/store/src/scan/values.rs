//! The values of one field, to complete what somebody types.
//!
//! Without a condition on rows they come from the dictionaries of splits and row groups, and rows
//! are read only where those do not list the values: of open rows, of blocks at the ends of the
//! time range, and of values that are not indexed because there are too many or they are too long.
//! With a condition the matching rows are read and the values counted.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use arrow::datatypes::DataType;
use futures::TryStreamExt;
use query::value_counts::ValueCounts;

use super::field_values::FieldValues;
use super::filter::Filter;
use super::matches::{LogFilter, Matches};
use super::pieces::{Piece, Tolerance};
use super::select::select;
use super::session::{QueryBounds, within};
use super::snapshot::{Snapshot, SplitHandle};
use super::stats::{OnDamage, ScanStats};
use crate::error::{QueryError, StoreError};
use crate::index::{BlockLookup, BlockSet, Terms, knows_values};
use crate::search::{LogValues, Order, ValuePage};
use crate::split::{ParquetFile, QueryBlocks};

/// Rows that are read for values that no dictionary lists.
const MAX_ROWS: usize = 1 << 20;
/// Memory for counted values, at most this part of a query's bound.
const MEMORY_PART: usize = 4;

/// The values of a field; relative times in the query count from `now`, Unix ns.
///
/// # Errors
///
/// A query or field that cannot be read, or a bound that is met. Damage is no error: the page says
/// that it is partial.
pub async fn log_values(
    snapshot: &Snapshot,
    values: &LogValues,
    bounds: &QueryBounds,
    now: i64,
) -> Result<ValuePage, QueryError> {
    let started = Instant::now();
    let filter = LogFilter::compile(&values.query, values.range, bounds, now)?;
    let field = FieldValues::new([values.field.as_str()], bounds)?;
    let stats = Arc::new(ScanStats::default());
    let (values, exact) = within(bounds.timeout, async {
        if filter.filter().stages.is_empty() {
            let mut completion = Completion {
                field: &field,
                filter: filter.filter(),
                prefix: &values.prefix,
                limit: values.limit,
                found: BTreeSet::new(),
                rows_left: MAX_ROWS,
                exact: true,
                stats: &stats,
                cache: Arc::clone(&snapshot.cache),
            };
            completion.gather(snapshot).await?;
            let found = completion.found.into_iter();
            let found = found.map(|value| (value, None)).collect();
            return Ok((found, completion.exact));
        }
        let memory = bounds.memory_bytes / MEMORY_PART;
        counted(snapshot, &filter, &field, values, memory, &stats).await
    })
    .await?;
    let warnings = stats.warnings();
    Ok(ValuePage {
        values,
        exact: exact && warnings.is_empty(),
        partial: !warnings.is_empty(),
        warnings,
        stats: stats.read(started.elapsed()),
    })
}

/// Values with the numbers of their records, and whether these are all.
type Counted = (Vec<(String, Option<u64>)>, bool);

async fn counted(
    snapshot: &Snapshot,
    filter: &LogFilter,
    field: &FieldValues,
    values: &LogValues,
    memory: usize,
    stats: &Arc<ScanStats>,
) -> Result<Counted, QueryError> {
    let mut counts = ValueCounts::new(memory);
    let (wanted, damage) = (field.wanted(), OnDamage::Warn);
    let mut matches = Matches::new(snapshot, filter, wanted, Order::Newest, stats, damage)?;
    while let Some((piece, selected)) = matches.next().await? {
        let Some(mut batches) = matches.tolerate(field.read(piece, &selected))? else {
            continue;
        };
        while let Some(Some(columns)) = matches.tolerate(batches.try_next().await)? {
            for value in columns.iter().flat_map(|column| column.iter().flatten()) {
                if value.starts_with(&values.prefix) {
                    counts.add(value, 1);
                }
            }
        }
    }
    let top = counts.top(values.limit);
    let exact = !top.truncated && top.other == 0;
    let found = top.values.into_iter();
    Ok((
        found.map(|(value, count)| (value, Some(count))).collect(),
        exact,
    ))
}

/// Gathers the values that begin with a prefix, the first of them in the order of their text.
struct Completion<'a> {
    field: &'a FieldValues,
    filter: &'a Filter,
    prefix: &'a str,
    limit: usize,
    found: BTreeSet<String>,
    /// How many more rows may be read.
    rows_left: usize,
    /// Whether nothing was left out so far.
    exact: bool,
    stats: &'a Arc<ScanStats>,
    cache: Arc<QueryBlocks>,
}

impl Completion<'_> {
    async fn gather(&mut self, snapshot: &Snapshot) -> Result<(), StoreError> {
        let tolerance = Tolerance::new(self.stats, OnDamage::Warn);
        for rows in &snapshot.open {
            if let Some(times) = rows
                .times()
                .filter(|times| self.filter.times.overlaps(*times))
            {
                let piece = Piece::of_open(rows.as_ref(), times)?;
                self.read(piece).await?;
            }
        }
        for row_group in &snapshot.row_groups {
            let terms = Terms::Memory(row_group.terms());
            self.add_group(row_group.file(), 0, terms).await?;
        }
        for split in &snapshot.splits {
            if self.filter.times.overlaps(split.times()) {
                self.stats.add_split(split.blocks());
                tolerance.apply(self.add_split(split.as_ref()).await)?;
            }
        }
        Ok(())
    }

    async fn add_split(&mut self, handle: &dyn SplitHandle) -> Result<(), StoreError> {
        let split = handle.open().await?;
        let terms = Terms::Split(split.index().await?);
        for group in 0..split.file().row_groups() {
            self.add_group(split.file(), group, terms).await?;
        }
        Ok(())
    }

    async fn add_group(
        &mut self,
        file: &Arc<ParquetFile>,
        group: usize,
        terms: Terms<'_>,
    ) -> Result<(), StoreError> {
        let times = file.times(group)?;
        if !self.filter.times.overlaps(times) {
            return Ok(());
        }
        let read = self.add_listed_of(file, group, times, terms)?;
        if !read.is_empty() {
            self.stats.add_scanned_blocks(read.count() as u64);
            let piece = Piece::of_blocks((Arc::clone(file), group), times, &read, &self.cache);
            self.read(piece).await?;
        }
        Ok(())
    }

    /// Adds what the dictionary lists of a row group's values; the blocks that have to be read for
    /// the others.
    fn add_listed_of(
        &mut self,
        file: &ParquetFile,
        group: usize,
        times: (i64, i64),
        terms: Terms<'_>,
    ) -> Result<BlockSet, StoreError> {
        let index = BlockLookup::new(terms);
        let damaged = |err: crate::index::IndexError| StoreError::Damaged {
            file: file.name().to_owned(),
            offset: 0,
            message: err.to_string(),
        };
        let of_group = file.blocks(group);
        let mut wanted = BlockSet::all(of_group.len());
        let is_covered = self.filter.times.covers(times);
        if !is_covered {
            wanted.intersect(&file.blocks_in(group, self.filter.times.range()));
        }
        // What has to be read: blocks with rows outside of the range, and unlisted values.
        let mut read = BlockSet::none(of_group.len());
        for column in self.field.columns() {
            if !is_covered || !knows_values(column.name()) {
                read = wanted.clone();
            } else {
                let unlisted = index.unlisted(column.name()).map_err(damaged)?;
                read.unite(&unlisted.slice(of_group.clone()));
            }
        }
        let mut listed = wanted;
        listed.subtract(&read);
        if !listed.is_empty() {
            self.add_listed(&index, &listed, of_group.start)
                .map_err(damaged)?;
        }
        Ok(read)
    }

    /// The values that the dictionary has for some blocks of a row group, whose first block is
    /// the file's block `first`.
    fn add_listed(
        &mut self,
        index: &BlockLookup<'_>,
        blocks: &BlockSet,
        first: usize,
    ) -> Result<(), crate::index::IndexError> {
        let mut within = BlockSet::none(index.covered());
        (0..blocks.len())
            .filter(|block| blocks.contains(*block))
            .for_each(|block| within.insert(first + block));
        let field = self.field;
        for column in field.columns() {
            let is_text = *column.data_type() == DataType::Utf8;
            let prefix = if is_text { self.prefix } else { "" };
            index.each_value(column.name(), prefix, &within, &mut |value| match field
                .of_listed(column, value)
            {
                Some(text) if text.starts_with(self.prefix) => match self.add(&text) {
                    // The names of numbers do not ascend as the numbers do.
                    ControlFlow::Break(()) if is_text => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                },
                _ => ControlFlow::Continue(()),
            })?;
        }
        Ok(())
    }

    /// Adds a value; breaks when those that follow it can be left out.
    fn add(&mut self, value: &str) -> ControlFlow<()> {
        if !self.found.contains(value) {
            self.found.insert(value.to_owned());
        }
        if self.found.len() <= self.limit {
            return ControlFlow::Continue(());
        }
        self.exact = false;
        let last = self.found.pop_last();
        match last.is_some_and(|last| last == value) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Reads the values of the candidates of a piece.
    async fn read(&mut self, piece: Piece) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        let rows = piece.candidates.row_count();
        if self.rows_left < rows {
            self.exact = false;
            return Ok(());
        }
        self.rows_left -= rows;
        self.stats.add_scanned_rows(rows as u64);
        let Some(selected) = select(&piece, self.filter, &self.field.wanted()).await? else {
            return Ok(());
        };
        let mut batches = self.field.read(piece, &selected)?;
        while let Some(columns) = batches.try_next().await? {
            for value in columns.iter().flat_map(|column| column.iter().flatten()) {
                if value.starts_with(self.prefix) {
                    // Rows are in no order of their values.
                    let _more_may_follow = self.add(value);
                }
            }
        }
        Ok(())
    }
}
