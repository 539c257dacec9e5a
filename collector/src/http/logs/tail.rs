//! Live tail: matching records as they become visible, as server-sent events.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::{Stream, stream};
use model::time::format_instant;
use model::{Seq, TimeRange};
use serde::Deserialize;
use serde_json::json;
use store::scan::LogFilter;
use store::{Followed, Follower, FoundRecord, LogSearch, Order, QueryError};
use tokio_util::sync::CancellationToken;

use super::between;
use crate::app::{App, tenant};
use crate::http::ApiError;
use crate::http::record_json::RecordJson;
use crate::{clock, self_metrics};

/// The most records from before the tail began.
const MAX_BACKLOG: usize = 1_000;
/// How often a client hears something, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `?query=&backlog=0`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TailRequest {
    #[serde(default)]
    query: String,
    #[serde(default)]
    backlog: usize,
}

/// Records as they become visible, after the last few of those that are there.
pub(super) async fn tail(
    State(app): State<App>,
    headers: HeaderMap,
    request: Result<Query<TailRequest>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let Query(request) = request?;
    let tenant = tenant(&headers)?;
    between("backlog", request.backlog, (0, MAX_BACKLOG))?;
    let bounds = app.store.bounds();
    let filter = LogFilter::compile(&request.query, TimeRange::ALL, &bounds, clock::now())?;
    // Before the backlog is looked for, so that nothing falls in between.
    let follower = app.store.follow(&tenant)?;
    let backlog = if request.backlog > 0 {
        let search = LogSearch {
            range: TimeRange::ALL,
            query: request.query,
            limit: request.backlog,
            order: Order::Newest,
            cursor: None,
        };
        let search = app.store.search_logs(&tenant, search);
        app.queries.run(None, search).await??.records
    } else {
        Vec::new()
    };
    let tail = Tail {
        follower,
        filter,
        seen: backlog.iter().map(|found| found.seq).collect(),
        waiting: backlog.into_iter().rev().collect(),
        stopping: app.stopping.clone(),
        has_failed: false,
        _open: self_metrics::OpenTail::begin(),
    };
    let events = stream::unfold(tail, |mut tail| async move {
        let event = tail.next().await?;
        Some((Ok(event), tail))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    Ok(Sse::new(events).keep_alive(keep_alive))
}

/// One client's tail. It reads on when the client does: what it comes too late for, it is told.
struct Tail {
    follower: Follower,
    filter: LogFilter,
    /// Records of the backlog, which may arrive once more.
    seen: HashSet<Seq>,
    waiting: VecDeque<FoundRecord>,
    stopping: CancellationToken,
    has_failed: bool,
    _open: self_metrics::OpenTail,
}

impl Tail {
    /// The next event; `None` when the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.has_failed || self.stopping.is_cancelled() {
                return None;
            }
            if let Some(found) = self.waiting.pop_front() {
                return Some(record(&found));
            }
            let followed = tokio::select! {
                () = self.stopping.cancelled() => return None,
                followed = self.follower.next() => followed?,
            };
            match followed {
                Followed::Rows(rows) => match self.filter.records(&rows).await {
                    Ok(records) => {
                        let new = records.into_iter();
                        self.waiting
                            .extend(new.filter(|found| !self.seen.contains(&found.seq)));
                    }
                    Err(error) => return Some(self.fail(&error)),
                },
                Followed::Dropped { rows, since } => {
                    metrics::counter!(self_metrics::TAIL_DROPPED).increment(rows);
                    return Some(dropped(rows, since));
                }
            }
        }
    }

    /// The last event of a tail that cannot go on.
    fn fail(&mut self, error: &QueryError) -> Event {
        tracing::error!(%error, "a live tail failed");
        self.has_failed = true;
        let data = json!({"message": "the tail failed inside the server; its log has the details"});
        Event::default().event("error").data(data.to_string())
    }
}

fn record(found: &FoundRecord) -> Event {
    let data = json!(RecordJson::new(found.seq, &found.record));
    Event::default().event("record").data(data.to_string())
}

fn dropped(rows: u64, since: i64) -> Event {
    let data = json!({"count": rows, "since": format_instant(since)});
    Event::default().event("dropped").data(data.to_string())
}
