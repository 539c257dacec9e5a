//! The records around one record: of the same stream, before and after it.
//!
//! A stream is what one resource sent. Its records are looked for in windows of time that double
//! on the way outwards, so that a few neighbours cost a few blocks however much data there is.

use std::sync::Arc;
use std::time::Instant;

use datafusion::logical_expr::{Expr, ident, lit};
use model::{LogRecord, Resource, Seq};
use query::plans::Cursor;
use query::schema::{self, Keys, Table};
use query::text::{json_of, text_of};

use super::filter::{Filter, Times};
use super::records::{make_filter, read_cursor, top_rows};
use super::session::{QueryBounds, within};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use super::top::{Place, Top};
use crate::error::{QueryError, StoreError};
use crate::search::{ContextPage, FoundRecord, LogContext, Order};

/// The first window, ns.
const FIRST_WINDOW: i64 = 5_000_000_000;
/// How much longer each window is than the one before.
const GROWTH: i64 = 8;

/// The records around one; `None` when there is no such record.
///
/// # Errors
///
/// A cursor that cannot be read, or a bound that is met. Damage is no error: the page says that
/// it is partial.
pub async fn log_context(
    snapshot: &Snapshot,
    context: &LogContext,
    bounds: &QueryBounds,
) -> Result<Option<ContextPage>, QueryError> {
    let started = Instant::now();
    let stats = Arc::new(ScanStats::default());
    let place = (context.id.timestamp, context.id.seq.as_i64());
    let before = read_cursor(context.before_cursor.as_deref())?.unwrap_or(place);
    let after = read_cursor(context.after_cursor.as_deref())?.unwrap_or(place);
    within(bounds.timeout, async {
        let Some(record) = find(snapshot, place, bounds, &stats).await? else {
            return Ok(None);
        };
        let resource = &record.record.resource;
        let keys = Keys::of(&same_stream(resource));
        let filter = make_filter(
            Table::Logs,
            &same_stream(resource),
            &keys,
            Times::ALL,
            bounds,
        )?;
        let side = |order, from, limit| neighbours(snapshot, &filter, order, from, limit, &stats);
        let (mut before, before_cursor) = side(Order::Newest, before, context.before).await?;
        before.reverse();
        let (after, after_cursor) = side(Order::Oldest, after, context.after).await?;
        let warnings = stats.warnings();
        Ok(Some(ContextPage {
            before,
            record,
            after,
            before_cursor,
            after_cursor,
            partial: !warnings.is_empty(),
            warnings,
            stats: stats.read(started.elapsed()),
        }))
    })
    .await
}

/// The record at a place.
async fn find(
    snapshot: &Snapshot,
    (time, seq): Place,
    bounds: &QueryBounds,
    stats: &Arc<ScanStats>,
) -> Result<Option<FoundRecord>, QueryError> {
    let expr = ident(schema::SEQ).eq(lit(seq));
    let times = Times {
        first: time,
        last: time,
    };
    let filter = make_filter(Table::Logs, &expr, &Keys::default(), times, bounds)?;
    let top = Top::new(1, Order::Newest, None);
    let damage = OnDamage::Warn;
    let found = top_rows::<LogRecord>(snapshot, filter, top, Order::Newest, stats, damage).await?;
    Ok(found.into_iter().next().map(found_record))
}

pub(super) fn found_record((seq, record): (Seq, LogRecord)) -> FoundRecord {
    FoundRecord { seq, record }
}

/// Texts longer than this are compared as part of the whole resource only, bytes.
const MAX_COMPARED_ALONE: usize = 200;

/// True for the records of one resource. The index is asked for its service and attributes; the
/// whole is compared on what is left.
fn same_stream(resource: &Resource) -> Expr {
    let service = ident(schema::SERVICE).eq(lit(resource.service()));
    let attributes = resource.attributes.iter().filter_map(|(key, value)| {
        let text = text_of(value)?;
        let is_indexed = !text.is_empty() && text.len() <= MAX_COMPARED_ALONE;
        is_indexed.then(|| ident(schema::resource_column(key)).eq(lit(text.into_owned())))
    });
    let whole = ident(schema::RESOURCE).eq(lit(json_of(&resource.attributes)));
    attributes.fold(service, Expr::and).and(whole)
}

/// The nearest rows on one side of a place, nearest first, and a cursor when there are more.
async fn neighbours(
    snapshot: &Snapshot,
    filter: &Arc<Filter>,
    order: Order,
    from: Place,
    limit: usize,
    stats: &Arc<ScanStats>,
) -> Result<(Vec<FoundRecord>, Option<String>), QueryError> {
    if limit == 0 {
        // Whoever wants none from here may want some later.
        return Ok((Vec::new(), Some(cursor_at(from))));
    }
    let mut found: Vec<(Seq, LogRecord)> = Vec::new();
    for times in windows(from.0, extent(snapshot)?, order) {
        let filter = Filter {
            times,
            ..Filter::clone(filter)
        };
        let top = Top::new(limit + 1 - found.len(), order, Some(from));
        let filter = Arc::new(filter);
        found.extend(top_rows(snapshot, filter, top, order, stats, OnDamage::Warn).await?);
        if found.len() > limit {
            break;
        }
    }
    let has_more = found.len() > limit;
    found.truncate(limit);
    let cursor = found
        .last()
        .filter(|_| has_more)
        .map(|(seq, record)| cursor_at((record.timestamp, seq.as_i64())));
    Ok((found.into_iter().map(found_record).collect(), cursor))
}

fn cursor_at((timestamp, seq): Place) -> String {
    Cursor { timestamp, seq }.to_string()
}

/// The first and last timestamp of everything in a snapshot; the wrong way round when it is empty.
pub(super) fn extent(snapshot: &Snapshot) -> Result<(i64, i64), StoreError> {
    let mut all: Vec<(i64, i64)> = Vec::new();
    all.extend(snapshot.open.iter().filter_map(|rows| rows.times()));
    for row_group in &snapshot.row_groups {
        all.push(row_group.times()?);
    }
    all.extend(snapshot.splits.iter().map(|split| split.times()));
    let first = all.iter().map(|times| times.0).min().unwrap_or(i64::MAX);
    let last = all.iter().map(|times| times.1).max().unwrap_or(i64::MIN);
    Ok((first, last))
}

/// Windows that touch each other, from an instant outwards to the end of what there is.
fn windows(from: i64, (first, last): (i64, i64), order: Order) -> Vec<Times> {
    let mut windows = Vec::new();
    let mut width = FIRST_WINDOW;
    let mut edge = from;
    loop {
        let times = match order {
            Order::Newest => Times {
                first: edge.saturating_sub(width),
                last: edge,
            },
            Order::Oldest => Times {
                first: edge,
                last: edge.saturating_add(width),
            },
        };
        windows.push(times);
        let next = match order {
            Order::Newest if times.first > first => times.first.checked_sub(1),
            Order::Oldest if times.last < last => times.last.checked_add(1),
            _ => None,
        };
        let Some(next) = next else {
            return windows;
        };
        edge = next;
        width = width.saturating_mul(GROWTH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_everything_once() {
        let second = model::time::NANOS_PER_SECOND;
        let cases = [
            (0, (0, 0)),
            (
                100 * second,
                (-400 * 86_400 * second, 400 * 86_400 * second),
            ),
            (i64::MIN, (i64::MIN, i64::MAX)),
            (i64::MAX, (i64::MIN, i64::MAX)),
            (5, (i64::MAX, i64::MIN)),
        ];
        for (from, extent) in cases {
            for order in [Order::Newest, Order::Oldest] {
                let windows = windows(from, extent, order);
                assert!(windows.len() < 14, "{} windows", windows.len());
                for pair in windows.windows(2) {
                    let touch = match order {
                        Order::Newest => pair[0].first == pair[1].last + 1,
                        Order::Oldest => pair[0].last + 1 == pair[1].first,
                    };
                    assert!(touch, "{pair:?}");
                }
                let covers = match order {
                    Order::Newest => windows.iter().any(|w| w.first <= extent.0),
                    Order::Oldest => windows.iter().any(|w| w.last >= extent.1),
                };
                assert!(covers && windows[0].contains(from), "{windows:?}");
            }
        }
    }
}
