//! Whole records: one page of a log search, and the spans of a trace.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::BooleanArray;
use datafusion::logical_expr::{Expr, ident, lit};
use futures::TryStreamExt;
use model::{LogRecord, Seq, Span, TimeRange, TraceId};
use query::plans::Cursor;
use query::schema::{self, Keys, Table};

use super::filter::{Filter, Times};
use super::pieces::{Piece, Pieces};
use super::select::{Selected, Wanted, select};
use super::session::{QueryBounds, query_error, session, syntax_error, within};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use super::tasks::{TASKS, shared};
use super::top::{Place, Top};
use crate::columns::{Row, decode};
use crate::error::{QueryError, StoreError};
use crate::search::{FoundRecord, LogPage, LogSearch, Order, TracePage};

/// Rows read from one piece at a time.
const BATCH_ROWS: usize = 4096;

/// One page of a search; relative times in its query count from `now`, Unix ns.
///
/// # Errors
///
/// A query or cursor that cannot be read, or a bound that is met. Damage is no error: the page
/// says that it is partial.
pub async fn search_logs(
    snapshot: &Snapshot,
    search: &LogSearch,
    bounds: &QueryBounds,
    now: i64,
) -> Result<LogPage, QueryError> {
    let started = Instant::now();
    let filter = query::search::compile(&search.query, now).map_err(syntax_error)?;
    let after = read_cursor(search.cursor.as_deref())?;
    let range = Times::of(search.range).intersect(beyond(after, search.order));
    let filter = make_filter(Table::Logs, &filter.expr, &filter.keys, range, bounds)?;
    let stats = Arc::new(ScanStats::default());
    // One more than asked for says whether there is a next page.
    let top = Top::new(search.limit.saturating_add(1), search.order, after);
    let damage = OnDamage::Warn;
    let query = top_rows::<LogRecord>(snapshot, filter, top, search.order, &stats, damage);
    let mut rows = within(bounds.timeout, async { Ok(query.await?) }).await?;

    let has_more = rows.len() > search.limit;
    rows.truncate(search.limit);
    let cursor = rows.last().filter(|_| has_more).map(|(seq, record)| {
        let cursor = Cursor {
            timestamp: record.timestamp,
            seq: seq.as_i64(),
        };
        cursor.to_string()
    });
    let warnings = stats.warnings();
    Ok(LogPage {
        records: rows
            .into_iter()
            .map(|(seq, record)| FoundRecord { seq, record })
            .collect(),
        cursor,
        partial: !warnings.is_empty(),
        warnings,
        stats: stats.read(started.elapsed()),
    })
}

/// The spans of one trace, by (start, seq). `range` bounds their starts; a trace whose time is not
/// known is looked for in [`TimeRange::ALL`].
///
/// # Errors
///
/// A bound that is met. Damage is no error: the page says that it is partial.
pub async fn find_trace(
    snapshot: &Snapshot,
    id: TraceId,
    range: TimeRange,
    bounds: &QueryBounds,
) -> Result<TracePage, QueryError> {
    let expr = ident(schema::TRACE_ID).eq(lit(id.to_string()));
    let times = Times::of(range);
    let filter = make_filter(Table::Spans, &expr, &Keys::default(), times, bounds)?;
    let stats = Arc::new(ScanStats::default());
    let top = Top::new(usize::MAX, Order::Oldest, None);
    let damage = OnDamage::Warn;
    let query = top_rows::<Span>(snapshot, filter, top, Order::Oldest, &stats, damage);
    let spans = within(bounds.timeout, async { Ok(query.await?) }).await?;
    let warnings = stats.warnings();
    Ok(TracePage {
        spans,
        partial: !warnings.is_empty(),
        warnings,
    })
}

pub(super) fn read_cursor(cursor: Option<&str>) -> Result<Option<Place>, QueryError> {
    let Some(text) = cursor else {
        return Ok(None);
    };
    match text.parse::<Cursor>() {
        Ok(cursor) => Ok(Some((cursor.timestamp, cursor.seq))),
        Err(err) => Err(QueryError::Invalid {
            message: err.to_string(),
            hint: None,
            position: None,
        }),
    }
}

/// The times that rows behind a cursor can have.
fn beyond(after: Option<Place>, order: Order) -> Times {
    match (after, order) {
        (None, _) => Times::ALL,
        (Some((time, _)), Order::Newest) => Times {
            last: time,
            ..Times::ALL
        },
        (Some((time, _)), Order::Oldest) => Times {
            first: time,
            ..Times::ALL
        },
    }
}

pub(super) fn make_filter(
    table: Table,
    expr: &Expr,
    keys: &Keys,
    times: Times,
    bounds: &QueryBounds,
) -> Result<Arc<Filter>, QueryError> {
    let session = session(bounds)?;
    let schema = table.schema(keys);
    let filters = std::slice::from_ref(expr);
    Filter::new(filters, times, &schema, &session.state())
        .map(Arc::new)
        .map_err(query_error)
}

/// Rows of a piece that were among the best when it was visited.
struct Kept {
    piece: Piece,
    selected: Selected,
    places: Vec<Place>,
}

/// The rows that belong to `top`, in its order. Their columns are read when it is known which
/// rows these are.
pub(super) async fn top_rows<R: Row>(
    snapshot: &Snapshot,
    filter: Arc<Filter>,
    mut top: Top,
    order: Order,
    stats: &Arc<ScanStats>,
    on_damage: OnDamage,
) -> Result<Vec<(Seq, R)>, StoreError> {
    let mut pieces = Pieces::new(
        snapshot,
        Arc::clone(&filter),
        order,
        Arc::clone(stats),
        on_damage,
    )?;
    // The first piece often has all that is wanted; where it has not, conditions are hard to meet.
    let mut at_once = 1;
    let mut kept: Vec<Kept> = Vec::new();
    loop {
        // A piece in memory is read without waiting; others get their turn here.
        tokio::task::yield_now().await;
        let mut visited = Vec::with_capacity(at_once);
        while visited.len() < at_once
            && pieces.next_times().is_some_and(|times| top.wants(times))
            && let Some(piece) = pieces.next().await?
        {
            visited.push(find(piece, Arc::clone(&filter)));
        }
        if visited.is_empty() {
            break;
        }
        for found in shared(visited).await? {
            if let Some(Some(found)) = pieces.tolerate(found)? {
                kept.extend(found.offered_to(&mut top)?);
            }
        }
        at_once = TASKS;
    }
    // A single piece is shared out by its columns.
    let by_columns = kept.len() < TASKS;
    let best = kept.into_iter().map(|kept| {
        let mask = top.members(&kept.places);
        read_rows::<R>(kept, mask, by_columns)
    });
    let mut rows: Vec<(Seq, R)> = Vec::new();
    for read in shared(best).await? {
        rows.extend(pieces.tolerate(read)?.unwrap_or_default());
    }
    rows.sort_by_key(|(seq, row)| top.key((row.time(), seq.as_i64())));
    Ok(rows)
}

/// The matching rows of a piece; `None` when there is none.
async fn find(piece: Piece, filter: Arc<Filter>) -> Result<Option<Kept>, StoreError> {
    let Some(mut selected) = select(&piece, &filter, &Wanted::Rows).await? else {
        return Ok(None);
    };
    let places = selected.places(&piece).await?;
    Ok(Some(Kept {
        piece,
        selected,
        places,
    }))
}

impl Kept {
    /// The rows among them that belong to `top` now, if any.
    fn offered_to(mut self, top: &mut Top) -> Result<Option<Self>, StoreError> {
        let mask = top.offer(&self.places);
        let mut belongs = mask.values().iter();
        self.places.retain(|_| belongs.next().unwrap_or_default());
        self.selected.refine(mask)?;
        Ok((!self.places.is_empty()).then_some(self))
    }
}

async fn read_rows<R: Row>(
    mut kept: Kept,
    mask: BooleanArray,
    by_columns: bool,
) -> Result<Vec<(Seq, R)>, StoreError> {
    kept.selected.refine(mask)?;
    if kept.selected.is_empty() {
        return Ok(Vec::new());
    }
    if by_columns && kept.selected.count() <= BATCH_ROWS {
        kept.selected.read_all(&kept.piece).await?;
    }
    read_selected(&kept.piece, &kept.selected).await
}

/// The selected rows of a piece, whole.
pub(super) async fn read_selected<R: Row>(
    piece: &Piece,
    selected: &Selected,
) -> Result<Vec<(Seq, R)>, StoreError> {
    let columns: Vec<usize> = (0..piece.schema().fields().len()).collect();
    let mut batches = selected.stream(piece, &columns, BATCH_ROWS)?;
    let mut rows = Vec::with_capacity(selected.count());
    while let Some(batch) = batches.try_next().await? {
        let decoded = decode::<R>(&batch).map_err(|err| piece.columns_error(err))?;
        rows.extend(decoded);
    }
    Ok(rows)
}
