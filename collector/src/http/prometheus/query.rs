//! `query` and `query_range`.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use promql::{CancelFlag, EvalOptions, Expr, QueryResult};
use tokio::runtime::Handle;

use super::answer::{Held, Stats, query_result};
use super::error::PromError;
use super::time;
use crate::app::{App, tenant};
use crate::clock;
use crate::http::params::{Params, invalid};
use model::TenantId;

/// The most points of one series: as many steps, and the start.
const MOST_POINTS: i64 = 11_000;

/// What a query is evaluated over, Unix ms.
#[derive(Debug, Clone, Copy)]
enum Steps {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// `query`: one instant.
pub(super) async fn instant(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let at = time::instant(&params, "time")?.unwrap_or_else(clock::now_ms);
    answer(app, &headers, &params, Steps::Instant(at)).await
}

/// `query_range`: `start`, `start + step`, … `end`.
pub(super) async fn range(State(app): State<App>, request: Request) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    for name in ["start", "end", "step"] {
        params.required(name)?;
    }
    let start = time::instant(&params, "start")?.unwrap_or_default();
    let end = time::instant(&params, "end")?.unwrap_or_default();
    let step = time::duration(&params, "step")?.unwrap_or_default();
    if end < start {
        return Err(invalid("end", "the end lies before the start").into());
    }
    if step <= 0 {
        let message = "zero or negative steps are not accepted; expected at least 1ms, such as 15s";
        return Err(invalid("step", message).into());
    }
    if end.saturating_sub(start) / step > MOST_POINTS {
        return Err(PromError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries; use a larger step or a shorter range",
        ));
    }
    answer(app, &headers, &params, Steps::Range { start, end, step }).await
}

async fn answer(
    app: App,
    headers: &HeaderMap,
    params: &Params,
    steps: Steps,
) -> Result<Response, PromError> {
    let tenant = tenant(headers)?;
    let query = params.required("query")?;
    let limit = params.limit("limit")?;
    let wants_stats = params.get("stats").is_some();
    let timeout = time::duration(params, "timeout")?
        .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let mut options = options(&app, params)?;
    options.counts_samples = wants_stats;
    let expr = promql::parse(query)?;
    PromError::check_ready(&app.store)?;
    let asked = Instant::now();
    let run = async {
        let queued = asked.elapsed();
        let result = evaluate(App::clone(&app), tenant, expr, steps, options).await;
        (queued, result)
    };
    // Held until the answer is sent, so that slow readers do not pile up results.
    let ((queued, result), turn) = app.queries.hold(timeout, run).await?;
    let held = Held {
        turn,
        stall: app.queries.timeout(),
    };
    let stats = wants_stats.then(|| Stats {
        queued,
        evaluated: asked.elapsed().saturating_sub(queued),
    });
    Ok(query_result(result?, query, limit, stats, Some(held)))
}

fn options(app: &App, params: &Params) -> Result<EvalOptions, PromError> {
    let interval = app.config.evaluation_interval.as_millis();
    let mut options = EvalOptions {
        default_step_ms: i64::try_from(interval).unwrap_or(i64::MAX),
        threads: available_parallelism().map_or(1, NonZeroUsize::get),
        ..EvalOptions::default()
    };
    // The start of a range is a point as well.
    options.limits.max_steps = MOST_POINTS as usize + 1;
    // Prometheus takes anything else for its default, too.
    if let Some(lookback) = time::duration(params, "lookback_delta")?.filter(|ms| *ms > 0) {
        options.lookback_ms = lookback;
    }
    Ok(options)
}

/// Evaluates on a thread that may block: computing a large query would hold up the async ones.
async fn evaluate(
    app: App,
    tenant: TenantId,
    expr: Expr,
    steps: Steps,
    options: EvalOptions,
) -> Result<QueryResult, PromError> {
    // Cancelled by its flag alone: a blocking task cannot be stopped from outside.
    let _cancel = CancelOnDrop(options.cancel.clone());
    let handle = Handle::current();
    let computation = tokio::task::spawn_blocking(move || {
        let source = app.series(&tenant);
        let source = source.as_ref();
        handle.block_on(async {
            match steps {
                Steps::Instant(at) => promql::instant(&expr, source, at, &options).await,
                Steps::Range { start, end, step } => {
                    promql::range(&expr, source, start, end, step, &options).await
                }
            }
        })
    });
    match computation.await {
        Ok(outcome) => Ok(outcome?),
        Err(err) => Err(PromError::ended(&err)),
    }
}

/// Stops the computation when the client leaves or the timeout passes.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
