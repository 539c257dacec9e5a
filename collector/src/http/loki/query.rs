//! `query_range` and `query`.

use std::time::Instant;

use ::query::logql::{self, Limits, LogQlError, Outcome, QueryResponse, RangeRequest};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use model::TimeRange;
use store::scan::SnapshotLogs;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::{LokiError, json, params};
use crate::app::{App, tenant};
use crate::clock;
use crate::http::params::Params;

const ENCODING_FLAGS: &str = "x-loki-response-encoding-flags";

/// What is asked of the table.
enum Question {
    Range(RangeRequest),
    Instant(i64),
}

/// `query_range`: lines, or a matrix.
pub(super) async fn range(State(app): State<App>, request: Request) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    params::refuse_unsupported(&params)?;
    let range = params::query_range(&params, clock::now())?;
    let question = Question::Range(RangeRequest {
        start: range.start,
        end: range.end,
        step: params::step(&params, range)?,
        limit: params::limit(&params)?,
        direction: params::direction(&params)?,
    });
    answer(&app, &headers, &params, question).await
}

/// `query`: a vector or a scalar.
pub(super) async fn instant(
    State(app): State<App>,
    request: Request,
) -> Result<Response, LokiError> {
    let (headers, params) = Params::read(request).await?;
    let time = params::instant(&params, "time")?.unwrap_or_else(clock::now);
    params::limit(&params)?;
    params::direction(&params)?;
    answer(&app, &headers, &params, Question::Instant(time)).await
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    question: Question,
) -> Result<Response, LokiError> {
    let started = Instant::now();
    let tenant = tenant(headers)?;
    let text = params.required("query")?.to_owned();
    let run = async {
        let table = app.logs(&tenant, TimeRange::ALL).await?;
        Ok::<_, LokiError>(evaluate_apart(table, text, question).await?)
    };
    let outcome = app.queries.run(None, run).await??;
    json(&QueryResponse {
        answer: &outcome.answer,
        categorize_labels: categorize_labels(headers),
        stats: outcome.stats,
        elapsed: started.elapsed(),
    })
}

/// Evaluates on a thread that may block: stages over many lines would hold up the async ones.
async fn evaluate_apart(
    table: SnapshotLogs,
    text: String,
    question: Question,
) -> Result<Outcome, LogQlError> {
    let handle = Handle::current();
    // Whoever stops waiting, at the timeout or because the client went, stops the work too.
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let computation = tokio::task::spawn_blocking(move || {
        handle.block_on(async {
            let limits = Limits::default();
            let evaluation = async {
                match question {
                    Question::Range(request) => {
                        logql::query_range(&table, &text, request, limits).await
                    }
                    Question::Instant(time) => {
                        logql::query_instant(&table, &text, time, limits).await
                    }
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(LogQlError::Invalid("the query was stopped".to_owned())),
                outcome = evaluation => outcome,
            }
        })
    });
    match computation.await {
        Ok(outcome) => outcome,
        Err(_) => Err(LogQlError::Invalid("the query was stopped".to_owned())),
    }
}

fn categorize_labels(headers: &HeaderMap) -> bool {
    headers.get_all(ENCODING_FLAGS).iter().any(|value| {
        value.to_str().is_ok_and(|flags| {
            flags
                .split(',')
                .any(|flag| flag.trim() == "categorize-labels")
        })
    })
}
