//! The most frequent values of several fields, counted in one pass over the matching rows.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use query::value_counts::ValueCounts;

use super::field_values::FieldValues;
use super::matches::{LogFilter, Matches};
use super::pieces::Piece;
use super::select::Selected;
use super::session::{QueryBounds, within};
use super::snapshot::Snapshot;
use super::stats::ScanStats;
use super::tasks::{TASKS, shared};
use crate::error::{QueryError, StoreError};
use crate::search::{FacetPage, LogFacets};
use crate::split::ValueRows;

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
    let fields = Arc::new(Counted::new(&facets.fields, bounds)?);
    let stats = Arc::new(ScanStats::default());
    // Each task counts on its own, and then there are the sums.
    let counting = facets.fields.len().max(1) * (TASKS + 1);
    let each = bounds.memory_bytes / MEMORY_PART / counting;
    let empty = vec![ValueCounts::new(each); facets.fields.len()];
    let counting = count(snapshot, &filter, &fields, &stats, empty);
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

/// Fields whose values are counted.
#[derive(Debug)]
struct Counted {
    values: FieldValues,
    /// For each field the logical columns of which the first that is not null is the value; `None` when
    /// the value is made of them in another way.
    columns: Vec<Option<Vec<String>>>,
}

impl Counted {
    fn new(fields: &[String], bounds: &QueryBounds) -> Result<Self, QueryError> {
        let names = || fields.iter().map(String::as_str);
        Ok(Self {
            values: FieldValues::new(names(), bounds)?,
            columns: names().map(query::search::group_columns).collect(),
        })
    }

    /// Adds the values of the selected rows: by the lists of the file as far as it has them, of all
    /// other fields together row by row.
    async fn count(
        &self,
        piece: &Piece,
        selected: &Selected,
        counts: &mut [ValueCounts],
    ) -> Result<(), StoreError> {
        let mut others = Vec::new();
        for (place, counts) in counts.iter_mut().enumerate() {
            match self.listed(place, piece, selected).await? {
                Some(listed) => {
                    counts.add_missing(listed.missing);
                    for (value, rows) in listed.values.iter().flatten().zip(listed.rows) {
                        counts.add(value, rows);
                    }
                }
                None => others.push(place),
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        let mut batches = self.values.of(&others)?.read(piece.clone(), selected)?;
        while let Some(columns) = batches.try_next().await? {
            for (place, column) in others.iter().zip(&columns) {
                counts[*place].add_column(column);
            }
        }
        Ok(())
    }

    /// The values of a field in the selected rows when the file lists them, all in one column.
    async fn listed(
        &self,
        place: usize,
        piece: &Piece,
        selected: &Selected,
    ) -> Result<Option<ValueRows>, StoreError> {
        let mut all: Option<ValueRows> = None;
        for column in self.columns[place].iter().flatten() {
            let listed = piece.listed_values(column, selected.rows()).await?;
            match (listed, &mut all) {
                (Some(listed), None) => all = Some(listed),
                (Some(listed), Some(_)) if listed.is_empty() => {}
                (Some(listed), Some(all)) if all.is_empty() => *all = listed,
                _ => return Ok(None),
            }
        }
        Ok(all)
    }
}

/// The counts of the fields' values in every matching row, begun from `empty`.
async fn count(
    snapshot: &Snapshot,
    filter: &LogFilter,
    fields: &Arc<Counted>,
    stats: &Arc<ScanStats>,
    empty: Vec<ValueCounts>,
) -> Result<Vec<ValueCounts>, StoreError> {
    let shares = Matches::shared_out(snapshot, filter, &fields.values.wanted(), stats)?;
    let counting = shares
        .into_iter()
        .map(|matches| count_share(matches, Arc::clone(fields), empty.clone()));
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
    fields: Arc<Counted>,
    mut counts: Vec<ValueCounts>,
) -> Result<Vec<ValueCounts>, StoreError> {
    while let Some((piece, selected)) = matches.next().await? {
        let counted = fields.count(&piece, &selected, &mut counts).await;
        matches.tolerate(counted)?;
    }
    Ok(counts)
}
