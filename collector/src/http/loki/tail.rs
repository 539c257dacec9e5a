//! `tail`: lines as they become visible, over a WebSocket.
//!
//! Text frames hold lines ([`TailFrame`]); a ping goes out about every second. The socket is read
//! only for its end. A client that reads too slowly is told how many records it missed; it never
//! holds up ingest. Whoever asks is served, whatever its `Origin`: the data source's proxy keeps
//! the browser's.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::query::logql::{Direction, Limits, Line, LogQuery, RangeRequest, TailFrame};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use model::TimeRange;
use model::time::NANOS_PER_SECOND;
use store::scan::SnapshotLogs;
use store::{Followed, Follower};
use tokio::time::{MissedTickBehavior, interval};

use super::evaluation::{apart, evaluate};
use super::{LokiError, params, query};
use crate::app::{App, tenant};
use crate::http::params::{Params, invalid};
use crate::{clock, self_metrics};

/// How often a client is pinged.
const PING: Duration = Duration::from_secs(1);
/// How long one frame may take to get out before the client counts as gone.
const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// Lines of one frame.
const FRAME_LINES: usize = 1_000;
/// How far back the lines of the first frame may lie unless the request says otherwise, ns.
const BACKLOG: i64 = 3_600 * NANOS_PER_SECOND;

/// Upgrades to a WebSocket that gets the last lines, then new ones.
pub(super) async fn tail(State(app): State<App>, request: Request) -> Result<Response, LokiError> {
    let (mut parts, body) = request.into_parts();
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let (headers, params) = Params::read(Request::from_parts(parts, body)).await?;
    let tenant = tenant(&headers)?;
    if params.get("delay_for").is_some_and(|delay| delay != "0") {
        return Err(invalid("delay_for", "lines are sent as they come; leave it out").into());
    }
    let query = LogQuery::read(params.required("query")?)?;
    let limit = params::limit(&params)?;
    let now = clock::now();
    let start = params::instant(&params, "start")?.unwrap_or(now.saturating_sub(BACKLOG));
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return Ok(refused.into_response()),
    };
    // Before the backlog is looked for, so that nothing falls in between.
    let follower = app.store.follow(&tenant)?;
    let backlog_query = query.clone();
    let mut backlog = evaluate(&app, &headers, TimeRange::ALL, async move |table| {
        let newest = RangeRequest {
            start,
            end: i64::MAX,
            step: 1,
            limit,
            direction: Direction::Backward,
        };
        let (lines, _) = backlog_query
            .lines(&table, newest, Limits::default())
            .await?;
        Ok(lines)
    })
    .await?;
    backlog.reverse();
    let tail = Tail {
        app,
        follower,
        query,
        seen: backlog.iter().map(|line| line.seq).collect(),
        categorize_labels: query::categorize_labels(&headers),
        _open: self_metrics::OpenTail::begin(),
    };
    Ok(upgrade.on_upgrade(|socket| tail.run(socket, backlog)))
}

/// One client's tail.
struct Tail {
    app: App,
    follower: Follower,
    query: LogQuery,
    /// Records of the backlog, which may arrive once more.
    seen: HashSet<i64>,
    categorize_labels: bool,
    _open: self_metrics::OpenTail,
}

/// The client is gone.
struct Gone;

impl Tail {
    async fn run(mut self, mut socket: WebSocket, backlog: Vec<Line>) {
        // That the client went away is how a tail ends.
        self.serve(&mut socket, backlog).await.ok();
    }

    async fn serve(&mut self, socket: &mut WebSocket, backlog: Vec<Line>) -> Result<(), Gone> {
        if !backlog.is_empty() {
            self.send_lines(socket, &backlog).await?;
        }
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.app.stopping.clone();
        loop {
            let followed = tokio::select! {
                () = stopping.cancelled() => None,
                followed = self.follower.next() => followed,
                _ = pings.tick() => {
                    send(socket, Message::Ping(Bytes::new())).await?;
                    continue;
                }
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Gone),
                    // Pongs and chatter.
                    Some(Ok(_)) => continue,
                },
            };
            match followed {
                None => return close(socket, close_code::AWAY, "the server stops").await,
                Some(Followed::Dropped { rows, since }) => {
                    metrics::counter!(self_metrics::TAIL_DROPPED).increment(rows);
                    self.send_frame(socket, &[], Some((rows, since))).await?;
                }
                Some(Followed::Rows(snapshot)) => {
                    let table = SnapshotLogs::new(Arc::new(snapshot), self.app.store.bounds());
                    let query = self.query.clone();
                    let lines =
                        apart(async move || query.every_line(&table, Limits::default()).await);
                    match lines.await {
                        Ok(mut lines) => {
                            lines.retain(|line| !self.seen.contains(&line.seq));
                            self.send_lines(socket, &lines).await?;
                        }
                        Err(err) => {
                            let LokiError { message, .. } = err.into();
                            return close(socket, close_code::ERROR, &message).await;
                        }
                    }
                }
            }
        }
    }

    async fn send_lines(&self, socket: &mut WebSocket, lines: &[Line]) -> Result<(), Gone> {
        for lines in lines.chunks(FRAME_LINES) {
            self.send_frame(socket, lines, None).await?;
        }
        Ok(())
    }

    async fn send_frame(
        &self,
        socket: &mut WebSocket,
        lines: &[Line],
        dropped: Option<(u64, i64)>,
    ) -> Result<(), Gone> {
        let frame = TailFrame {
            lines,
            categorize_labels: self.categorize_labels,
            dropped,
        };
        match serde_json::to_string(&frame) {
            Ok(text) => send(socket, Message::Text(text.into())).await,
            Err(err) => {
                tracing::error!(error = %err, "a frame of a tail could not be printed");
                Err(Gone)
            }
        }
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    match tokio::time::timeout(SEND_PATIENCE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Gone),
    }
}

/// Ends a tail with a reason, which Grafana shows.
async fn close(socket: &mut WebSocket, code: u16, reason: &str) -> Result<(), Gone> {
    // A close frame holds at most 123 bytes of reason.
    let reason = &reason[..reason.floor_char_boundary(123)];
    let frame = CloseFrame {
        code,
        reason: reason.into(),
    };
    send(socket, Message::Close(Some(frame))).await
}
