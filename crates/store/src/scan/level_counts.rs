//! Counts of matching records by bucket of time and level: what every page of logs draws first,
//! counted without the groups of a general plan.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, SchemaRef, TimestampNanosecondType};
use futures::TryStreamExt;
use query::schema::{self, Keys, Table};

use super::exec::read_logical;
use super::matches::{LogFilter, Matches};
use super::pieces::internal;
use super::select::Wanted;
use super::snapshot::Snapshot;
use super::stats::ScanStats;
use super::tasks::shared;
use crate::error::StoreError;

/// Levels and the absence of one.
pub(super) const LEVELS: usize = 7;
/// Severity numbers of one level.
const NUMBERS: usize = 4;

/// Counts by level: first those without one, then from trace to fatal.
pub(super) type Levels = [u64; LEVELS];

/// Buckets of time: bucket k begins at `origin + k * step`, Unix ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) origin: i64,
    /// Positive.
    pub(super) step: i64,
    pub(super) count: usize,
}

impl Grid {
    /// Where a bucket begins.
    pub(super) fn start(self, bucket: usize) -> i64 {
        let offset = self.step.saturating_mul(bucket as i64);
        self.origin.saturating_add(offset)
    }

    /// The bucket that an instant lies in.
    fn bucket(self, time: i64) -> Option<usize> {
        let offset = i128::from(time) - i128::from(self.origin);
        let bucket = usize::try_from(offset / i128::from(self.step)).ok()?;
        (offset >= 0 && bucket < self.count).then_some(bucket)
    }
}

/// The lowest severity number of the level at an index of [`Levels`]; 0 where there is none.
pub(super) fn first_number(level: usize) -> i32 {
    match level {
        0 => 0,
        level => ((level - 1) * NUMBERS + 1) as i32,
    }
}

/// Counts the matching records; all of them lie in the grid. Damage is left out, with warnings in
/// `stats`.
///
/// # Errors
///
/// A condition that fails on a record, or data that cannot be read.
pub(super) async fn count_levels(
    snapshot: &Snapshot,
    filter: &LogFilter,
    grid: Grid,
    stats: &Arc<ScanStats>,
) -> Result<Vec<Levels>, StoreError> {
    let columns = columns()?;
    let wanted = Wanted::Columns(Arc::clone(&columns));
    let shares = Matches::shared_out(snapshot, filter, &wanted, stats)?;
    let counting = shares
        .into_iter()
        .map(|matches| count_share(matches, Arc::clone(&columns), grid));
    let mut all = vec![Levels::default(); grid.count];
    for share in shared(counting).await? {
        for (all, counts) in all.iter_mut().zip(share?) {
            for (all, count) in all.iter_mut().zip(counts) {
                *all += count;
            }
        }
    }
    Ok(all)
}

fn columns() -> Result<SchemaRef, StoreError> {
    let table = Table::Logs.schema(&Keys::default());
    let project = || {
        let time = table.index_of(schema::TIMESTAMP)?;
        table.project(&[time, table.index_of(schema::LEVEL_NUMBER)?])
    };
    project()
        .map(Arc::new)
        .map_err(|err| internal("count levels", err))
}

async fn count_share(
    mut matches: Matches,
    columns: SchemaRef,
    grid: Grid,
) -> Result<Vec<Levels>, StoreError> {
    let mut counts = vec![Levels::default(); grid.count];
    while let Some((piece, selected)) = matches.next().await? {
        let batches = read_logical(piece, &columns, &selected);
        let Some(mut batches) = matches.tolerate(batches)? else {
            continue;
        };
        while let Some(Some(batch)) = matches.tolerate(batches.try_next().await)? {
            add(&batch, grid, &mut counts)?;
        }
    }
    Ok(counts)
}

fn add(batch: &RecordBatch, grid: Grid, counts: &mut [Levels]) -> Result<(), StoreError> {
    let times = batch.column_by_name(schema::TIMESTAMP);
    let times = times.and_then(|times| times.as_primitive_opt::<TimestampNanosecondType>());
    let levels = batch.column_by_name(schema::LEVEL_NUMBER);
    let levels = levels.and_then(|levels| levels.as_primitive_opt::<Int32Type>());
    let (Some(times), Some(levels)) = (times, levels) else {
        return Err(internal("count levels", "a column is missing"));
    };
    if times.null_count() + levels.null_count() > 0 {
        return Err(internal("count levels", "a time or level is null"));
    }
    let outside = || internal("count levels", "a record lies outside of the range");
    // Rows of a stream follow time, so most fall into the bucket of the row before.
    let mut bucket = 0;
    let mut extent = 0..0;
    for (time, number) in times.values().iter().zip(levels.values()) {
        if !extent.contains(time) {
            bucket = grid.bucket(*time).ok_or_else(outside)?;
            let first = grid.start(bucket);
            extent = first..first.saturating_add(grid.step);
        }
        counts[bucket][level_of(*number)] += 1;
    }
    Ok(())
}

/// The index of a severity number's level in [`Levels`].
fn level_of(number: i32) -> usize {
    match number {
        1..=24 => (number as usize - 1) / NUMBERS + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use model::log::severity_name;

    use super::*;

    #[test]
    fn each_number_counts_for_the_level_of_its_name() {
        for number in [-1, 0, 1, 4, 5, 8, 9, 12, 13, 17, 20, 21, 24, 25, i32::MAX] {
            let named = severity_name(first_number(level_of(number)));
            assert_eq!(named, severity_name(number), "{number}");
        }
    }
}
