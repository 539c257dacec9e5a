//! Every matching record of a snapshot in order, a page at a time, however many there are.
//!
//! The memory is that of one page. Pages are cut by time: each looks at a window about as long as
//! a page's records take, so a row is checked about once, and what a window holds too many of is
//! continued by cursor. Damage ends it: a file that silently lacks records is worse than none.

use std::sync::Arc;

use model::LogRecord;

use super::context::{extent, found_record};
use super::filter::{Filter, Times};
use super::matches::LogFilter;
use super::records::top_rows;
use super::session::{QueryBounds, within};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use super::top::{Place, Top};
use crate::columns::Row;
use crate::error::{QueryError, StoreError};
use crate::index::BLOCK_ROWS;
use crate::search::{FoundRecord, LogExport, Order};

/// About how much memory the records of one page take, bytes.
const PAGE_BYTES: usize = 2 << 20;
/// The fewest records of a page.
const MIN_ROWS: usize = 32;
/// The most.
const MAX_ROWS: usize = 4096;

/// Reads an export page by page.
#[derive(Debug)]
pub struct RecordPages {
    snapshot: Snapshot,
    filter: Arc<Filter>,
    order: Order,
    bounds: QueryBounds,
    /// What has not been read yet; `None` at the end.
    times: Option<Times>,
    /// Of those, only what lies behind this row.
    after: Option<Place>,
    /// How many more records are wanted.
    left: u64,
    /// How long the next window is, ns.
    width: i64,
    /// Records of the next page.
    rows: usize,
    stats: Arc<ScanStats>,
}

impl RecordPages {
    /// Pages of the records of `snapshot`; relative times in the query count from `now`, Unix ns.
    ///
    /// # Errors
    ///
    /// A query that cannot be read.
    pub fn new(
        snapshot: Snapshot,
        export: &LogExport,
        bounds: QueryBounds,
        now: i64,
    ) -> Result<Self, QueryError> {
        let filter = LogFilter::compile(&export.query, export.range, &bounds, now)?;
        let filter = Arc::clone(filter.filter());
        let (first, last) = extent(&snapshot)?;
        let times = filter.times.intersect(Times { first, last });
        let rows = rows_about(&snapshot);
        let length = i128::from(times.last) - i128::from(times.first);
        let pages = (rows / MAX_ROWS as u64).max(1);
        Ok(Self {
            width: i64::try_from(length / i128::from(pages)).map_or(i64::MAX, |width| width.max(1)),
            snapshot,
            filter,
            order: export.order,
            bounds,
            times: (times.first <= times.last).then_some(times),
            after: None,
            left: export.limit.unwrap_or(u64::MAX),
            rows: MIN_ROWS,
            stats: Arc::default(),
        })
    }

    /// The next records, perhaps none although more follow; `None` at the end.
    ///
    /// # Errors
    ///
    /// Damage, or a page that takes longer than a query may.
    pub async fn next(&mut self) -> Result<Option<Vec<FoundRecord>>, QueryError> {
        let timeout = self.bounds.timeout;
        within(timeout, async { Ok(self.read().await?) }).await
    }

    async fn read(&mut self) -> Result<Option<Vec<FoundRecord>>, StoreError> {
        let Some(left) = self.times.filter(|_| self.left > 0) else {
            return Ok(None);
        };
        let window = window(left, self.width, self.order);
        let limit = self
            .rows
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let filter = Arc::new(Filter {
            times: window,
            ..Filter::clone(&self.filter)
        });
        // One more than wanted says whether the window holds more.
        let top = Top::new(limit + 1, self.order, self.after);
        let (stats, damage) = (&self.stats, OnDamage::Fail);
        let mut rows =
            top_rows::<LogRecord>(&self.snapshot, filter, top, self.order, stats, damage).await?;
        let is_full = rows.len() > limit;
        rows.truncate(limit);
        self.left -= rows.len() as u64;
        if is_full {
            self.width = (self.width / 2).max(1);
            self.after = rows
                .last()
                .map(|(seq, record)| (record.timestamp, seq.as_i64()));
            self.times = self.after.map(|(time, _)| from(left, time, self.order));
        } else {
            if rows.len() < limit / 2 {
                self.width = self.width.saturating_mul(4);
            }
            self.after = None;
            self.times = beyond(left, window, self.order);
        }
        let bytes: usize = rows.iter().map(|(_, record)| record.size_bytes()).sum();
        if let Some(each) = bytes.checked_div(rows.len()) {
            // A page grows slowly, in case larger records follow.
            let fitting = PAGE_BYTES / each.max(1);
            self.rows = fitting.min(self.rows * 2).clamp(MIN_ROWS, MAX_ROWS);
        }
        Ok(Some(rows.into_iter().map(found_record).collect()))
    }
}

/// How many rows there are, about.
fn rows_about(snapshot: &Snapshot) -> u64 {
    let open = snapshot.open.iter().map(|rows| rows.len() as u64);
    let groups = snapshot.row_groups.iter().map(|group| group.rows() as u64);
    let splits = snapshot.splits.iter();
    let splits = splits.map(|split| split.blocks() * BLOCK_ROWS as u64);
    open.chain(groups).chain(splits).sum()
}

/// The first `width` of some times, in an order.
fn window(times: Times, width: i64, order: Order) -> Times {
    match order {
        Order::Newest => Times {
            first: times.first.max(times.last.saturating_sub(width)),
            ..times
        },
        Order::Oldest => Times {
            last: times.last.min(times.first.saturating_add(width)),
            ..times
        },
    }
}

/// The times from `time` on, in an order.
fn from(times: Times, time: i64, order: Order) -> Times {
    match order {
        Order::Newest => Times {
            last: time,
            ..times
        },
        Order::Oldest => Times {
            first: time,
            ..times
        },
    }
}

/// The times behind a window at their beginning.
fn beyond(times: Times, window: Times, order: Order) -> Option<Times> {
    let times = match order {
        Order::Newest => Times {
            last: window.first.checked_sub(1)?,
            ..times
        },
        Order::Oldest => Times {
            first: window.last.checked_add(1)?,
            ..times
        },
    };
    (times.first <= times.last).then_some(times)
}
