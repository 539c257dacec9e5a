//! The rows that match a search, piece by piece: what facets, exports, patterns and tails begin
//! with.

use std::sync::Arc;

use model::{LogRecord, TimeRange};
use query::schema::Table;

use super::filter::{Filter, Times};
use super::pieces::{FoundBlocks, Piece, Pieces, Share};
use super::records::{make_filter, read_selected};
use super::select::{Selected, Wanted, select};
use super::session::{QueryBounds, syntax_error};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use super::tasks::TASKS;
use crate::error::{QueryError, StoreError};
use crate::search::{FoundRecord, Order};

/// A search for log records, read once and asked often.
#[derive(Debug, Clone)]
pub struct LogFilter {
    filter: Arc<Filter>,
}

impl LogFilter {
    /// Reads a search; `query` is in search syntax, relative times in it count from `now`.
    ///
    /// # Errors
    ///
    /// A query that cannot be read.
    pub fn compile(
        query: &str,
        range: TimeRange,
        bounds: &QueryBounds,
        now: i64,
    ) -> Result<Self, QueryError> {
        let filter = query::search::compile(query, now).map_err(syntax_error)?;
        Self::of(&filter, range, bounds)
    }

    /// The filter of any language over the table `logs`, for records in `range`.
    ///
    /// # Errors
    ///
    /// A filter that does not fit the table.
    pub fn of(
        filter: &query::search::Filter,
        range: TimeRange,
        bounds: &QueryBounds,
    ) -> Result<Self, QueryError> {
        let times = Times::of(range);
        let filter = make_filter(Table::Logs, &filter.expr, &filter.keys, times, bounds)?;
        Ok(Self { filter })
    }

    pub(super) fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    /// The matching records of `snapshot` in the order in which they were received.
    ///
    /// For the small snapshots that a [`crate::Follower`] hands out: all of them are in memory at
    /// once.
    ///
    /// # Errors
    ///
    /// A condition that fails on a record, or data that cannot be read.
    pub async fn records(&self, snapshot: &Snapshot) -> Result<Vec<FoundRecord>, QueryError> {
        let stats = Arc::new(ScanStats::default());
        let mut matches = Matches::new(
            snapshot,
            self,
            Wanted::Rows,
            Order::Oldest,
            &stats,
            OnDamage::Fail,
        )?;
        let mut records = Vec::new();
        while let Some((piece, selected)) = matches.next().await? {
            let rows = read_selected::<LogRecord>(&piece, &selected).await?;
            records.extend(
                rows.into_iter()
                    .map(|(seq, record)| FoundRecord { seq, record }),
            );
        }
        records.sort_by_key(|found| found.seq);
        Ok(records)
    }
}

/// Visits the pieces of a snapshot that have matching rows.
pub(super) struct Matches {
    pieces: Pieces,
    filter: Arc<Filter>,
    wanted: Wanted,
}

impl Matches {
    /// All of them. `wanted` is what will be read of the matching rows.
    pub(super) fn new(
        snapshot: &Snapshot,
        filter: &LogFilter,
        wanted: Wanted,
        order: Order,
        stats: &Arc<ScanStats>,
        on_damage: OnDamage,
    ) -> Result<Self, StoreError> {
        let filter = Arc::clone(filter.filter());
        let pieces = Pieces::new(
            snapshot,
            Arc::clone(&filter),
            order,
            Arc::clone(stats),
            on_damage,
        )?;
        Ok(Self {
            pieces,
            filter,
            wanted,
        })
    }

    /// All of them, newest first, shared out among several tasks; what is damaged is left out.
    pub(super) fn shared_out(
        snapshot: &Snapshot,
        filter: &LogFilter,
        wanted: &Wanted,
        stats: &Arc<ScanStats>,
    ) -> Result<Vec<Self>, StoreError> {
        let found = FoundBlocks::new(snapshot);
        let shares = (0..TASKS).map(|index| Share { index, of: TASKS });
        let matches = shares.map(|share| {
            let pieces = Pieces::shared_out(
                snapshot,
                Arc::clone(filter.filter()),
                Order::Newest,
                (share, Arc::clone(&found)),
                Arc::clone(stats),
                OnDamage::Warn,
            )?;
            Ok(Self {
                pieces,
                filter: Arc::clone(filter.filter()),
                wanted: wanted.clone(),
            })
        });
        matches.collect()
    }

    /// The next piece and its matching rows.
    pub(super) async fn next(&mut self) -> Result<Option<(Piece, Selected)>, StoreError> {
        loop {
            // A piece in memory is read without waiting; others get their turn here, and a query
            // that nobody waits for ends.
            tokio::task::yield_now().await;
            let Some(piece) = self.pieces.next().await? else {
                return Ok(None);
            };
            let selected = select(&piece, &self.filter, &self.wanted).await;
            if let Some(Some(selected)) = self.pieces.tolerate(selected)? {
                return Ok(Some((piece, selected)));
            }
        }
    }

    /// Lets damage pass, noted, when the query may go on without.
    pub(super) fn tolerate<T>(
        &self,
        result: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.pieces.tolerate(result)
    }
}
