//! The most frequent values of several fields, counted in one pass over the matching rows.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use query::value_counts::ValueCounts;

use super::field_values::FieldValues;
use super::matches::{LogFilter, Matches};
use super::session::{QueryBounds, within};
use super::snapshot::Snapshot;
use super::stats::ScanStats;
use super::tasks::{TASKS, shared};
use crate::error::{QueryError, StoreError};
use crate::search::{FacetPage, LogFacets};

/// Memory that the counts of one query's fields take together, at most this part of its bound.
const MEMORY_PART: usize = 4;

/// Counts the values of fields; relative times in the query count from `now`, Unix ns.
///
/// # Errors
///
/// A query or field that cannot be read, or a bound that is met. Damage is no error: the page says
/// that it is partial; and memory is none: the counts say that they are truncated.
pub async fn log_facets(
    snapshot: &Snapshot,
    facets: &LogFacets,
    bounds: &QueryBounds,
    now: i64,
) -> Result<FacetPage, QueryError> {
    let started = Instant::now();
    let filter = LogFilter::compile(&facets.query, facets.range, bounds, now)?;
    let values = FieldValues::new(facets.fields.iter().map(String::as_str), bounds)?;
    let stats = Arc::new(ScanStats::default());
    // Each task counts on its own, and then there are the sums.
    let counting = facets.fields.len().max(1) * (TASKS + 1);
    let each = bounds.memory_bytes / MEMORY_PART / counting;
    let empty = vec![ValueCounts::new(each); facets.fields.len()];
    let counting = count(snapshot, &filter, &values, &stats, empty);
    let counts = within(bounds.timeout, async { Ok(counting.await?) }).await?;
    let warnings = stats.warnings();
    let fields = facets.fields.iter().cloned();
    Ok(FacetPage {
        facets: fields
            .zip(counts.into_iter().map(|counts| counts.top(facets.limit)))
            .collect(),
        partial: !warnings.is_empty(),
        warnings,
        stats: stats.read(started.elapsed()),
    })
}

/// The counts of the fields' values in every matching row, begun from `empty`.
async fn count(
    snapshot: &Snapshot,
    filter: &LogFilter,
    values: &FieldValues,
    stats: &Arc<ScanStats>,
    empty: Vec<ValueCounts>,
) -> Result<Vec<ValueCounts>, StoreError> {
    let shares = Matches::shared_out(snapshot, filter, &values.wanted(), stats)?;
    let counting = shares
        .into_iter()
        .map(|matches| count_share(matches, values.clone(), empty.clone()));
    let mut all = empty.clone();
    for share in shared(counting).await? {
        for (all, counts) in all.iter_mut().zip(share?) {
            all.merge(counts);
        }
    }
    Ok(all)
}

/// Adds the values of every matching row of a share.
async fn count_share(
    mut matches: Matches,
    values: FieldValues,
    mut counts: Vec<ValueCounts>,
) -> Result<Vec<ValueCounts>, StoreError> {
    while let Some((piece, selected)) = matches.next().await? {
        let Some(mut batches) = matches.tolerate(values.read(piece, &selected))? else {
            continue;
        };
        while let Some(Some(columns)) = matches.tolerate(batches.try_next().await)? {
            for (counts, column) in counts.iter_mut().zip(&columns) {
                counts.add_column(column);
            }
        }
    }
    Ok(counts)
}
