//! `query`, `query_range` and `query_exemplars`.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use promql::{CancelFlag, EvalError, EvalOptions, Expr, QueryResult};
use tokio::runtime::Handle;

use super::answer::{PromError, query_result, success_with_warnings};
use super::time;
use crate::app::{App, tenant};
use crate::clock;
use crate::http::params::{Params, invalid};
use model::TenantId;

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
    let tenant = tenant(&headers)?;
    let query = params.required("query")?;
    let at = time::instant(&params, "time")?.unwrap_or_else(clock::now_ms);
    let result = evaluate(&app, tenant, query, Steps::Instant(at), &params).await?;
    Ok(query_result(&result.value, &result.annotations, query))
}

/// `query_range`: `start`, `start + step`, … `end`.
pub(super) async fn range(State(app): State<App>, request: Request) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let query = params.required("query")?;
    params.required("start")?;
    params.required("end")?;
    params.required("step")?;
    let steps = Steps::Range {
        start: time::instant(&params, "start")?.unwrap_or_default(),
        end: time::instant(&params, "end")?.unwrap_or_default(),
        step: time::duration(&params, "step")?.unwrap_or_default(),
    };
    check_steps(steps)?;
    let result = evaluate(&app, tenant, query, steps, &params).await?;
    Ok(query_result(&result.value, &result.annotations, query))
}

fn check_steps(steps: Steps) -> Result<(), PromError> {
    let Steps::Range { start, end, step } = steps else {
        return Ok(());
    };
    if end < start {
        return Err(invalid("end", "the end lies before the start").into());
    }
    if step <= 0 {
        let message = "expected a step of at least 1ms, such as 15s";
        return Err(invalid("step", message).into());
    }
    let limit = promql::Limits::default().max_steps as i64;
    if end.saturating_sub(start) / step > limit {
        return Err(PromError::bad_data(format!(
            "the range has more than {limit} steps; use a larger step or a shorter range"
        )));
    }
    Ok(())
}

async fn evaluate(
    app: &App,
    tenant: TenantId,
    query: &str,
    steps: Steps,
    params: &Params,
) -> Result<QueryResult, PromError> {
    let expr = promql::parse(query)?;
    let readiness = app.store.ready();
    if !readiness.is_ready() {
        return Err(PromError::not_ready(&readiness.to_string()));
    }
    let shorter = time::duration(params, "timeout")?
        .map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let mut options = EvalOptions {
        threads: available_parallelism().map_or(1, NonZeroUsize::get),
        ..EvalOptions::default()
    };
    if let Some(lookback) = time::duration(params, "lookback_delta")? {
        options.lookback_ms = lookback.max(1);
    }
    Ok(app
        .queries
        .run(
            shorter,
            evaluate_apart(App::clone(app), tenant, expr, steps, options),
        )
        .await??)
}

/// Evaluates on a thread that may block: computing a large query would hold up the async ones.
async fn evaluate_apart(
    app: App,
    tenant: TenantId,
    expr: Expr,
    steps: Steps,
    options: EvalOptions,
) -> Result<QueryResult, EvalError> {
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
    // The task is cancelled by its flag alone; it fails only when the runtime ends or by a bug.
    computation.await.unwrap_or(Err(EvalError::Cancelled))
}

/// Stops the computation when the client leaves or the timeout passes.
struct CancelOnDrop(CancelFlag);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// `query_exemplars`: checks the query and answers that none are served yet.
pub(super) async fn exemplars(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    tenant(&headers)?;
    promql::parse(params.required("query")?)?;
    time::instant(&params, "start")?;
    time::instant(&params, "end")?;
    drop(app);
    let none: [(); 0] = [];
    let warning = "exemplars are stored but not served by this version".to_owned();
    success_with_warnings(&none, &[warning])
}
