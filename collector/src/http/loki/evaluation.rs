//! Evaluating LogQL apart from the threads that answer requests.

use std::future::Future;

use ::query::logql::LogQlError;
use axum::http::HeaderMap;
use model::TimeRange;
use store::scan::SnapshotLogs;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::LokiError;
use crate::app::{App, tenant};

/// Asks the tenant's table within the bounds of one query: `evaluate` gets the records of `range`.
///
/// Whoever stops waiting, at the timeout or because the client went, stops the work too.
pub(super) async fn evaluate<T, F>(
    app: &App,
    headers: &HeaderMap,
    range: TimeRange,
    evaluate: impl FnOnce(SnapshotLogs) -> F + Send + 'static,
) -> Result<T, LokiError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LogQlError>>,
{
    let tenant = tenant(headers)?;
    let run = async {
        let table = app.logs(&tenant, range).await?;
        Ok::<_, LokiError>(apart(move || evaluate(table)).await?)
    };
    app.queries.run(None, run).await?
}

/// Runs on a thread that may block: stages over many lines would hold up the async ones.
pub(super) async fn apart<T, F>(
    evaluate: impl FnOnce() -> F + Send + 'static,
) -> Result<T, LogQlError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LogQlError>>,
{
    let handle = Handle::current();
    let stop = CancellationToken::new();
    let _stop_when_dropped = stop.clone().drop_guard();
    let stopped = || LogQlError::Invalid("the query was stopped".to_owned());
    let computation = tokio::task::spawn_blocking(move || {
        handle.block_on(async {
            tokio::select! {
                biased;
                () = stop.cancelled() => Err(stopped()),
                outcome = evaluate() => outcome,
            }
        })
    });
    match computation.await {
        Ok(outcome) => outcome,
        // It panicked, which the panic hook has told, or the server stops.
        Err(_) => Err(stopped()),
    }
}
