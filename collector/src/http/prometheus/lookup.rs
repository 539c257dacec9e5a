//! What series, labels and metrics there are.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use model::{Labels, Matcher};
use promql::Window;
use promql::ast::ExprKind;
use serde::Serialize;
use serde_json::json;

use super::answer::{PromError, success, success_with_warnings};
use super::{name_escape, time};
use crate::app::{App, tenant};
use crate::http::params::{Params, invalid};

/// Which series a look-up is about, and how many answers it wants.
struct Scope {
    selectors: Vec<Vec<Matcher>>,
    window: Window,
    limit: usize,
}

impl Scope {
    fn read(params: &Params) -> Result<Self, PromError> {
        let selectors = params
            .all("match[]")
            .map(selector)
            .collect::<Result<Vec<_>, _>>()?;
        let start = time::instant(params, "start")?.unwrap_or(i64::MIN);
        let end = time::instant(params, "end")?.unwrap_or(i64::MAX);
        if end < start {
            return Err(invalid("end", "the end lies before the start").into());
        }
        // A limit of 0 means none.
        let limit = params.count("limit")?.filter(|limit| *limit > 0);
        Ok(Self {
            selectors,
            // Both ends belong to the range; windows are open at the left.
            window: Window::new(start.saturating_sub(1), end),
            limit: limit.unwrap_or(usize::MAX),
        })
    }
}

/// The matchers of a series selector such as `up{job="api"}`.
fn selector(text: &str) -> Result<Vec<Matcher>, PromError> {
    let expr = promql::parse(text).map_err(|err| invalid("match[]", err))?;
    match &expr.unparenthesized().kind {
        ExprKind::Selector(selector) => Ok(selector.matchers.clone()),
        _ => Err(invalid(
            "match[]",
            format!("expected a series selector such as up{{job=\"api\"}}, got {text:?}"),
        )
        .into()),
    }
}

const TRUNCATED: &str = "results truncated due to limit";

/// `labels`: the names of all labels.
pub(super) async fn labels(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let scope = Scope::read(&params)?;
    let source = app
        .ready_series(&tenant)
        .map_err(|progress| PromError::not_ready(&progress))?;
    let names = app
        .queries
        .run(
            None,
            source.label_names(&scope.selectors, scope.window, scope.limit),
        )
        .await??;
    named(&names)
}

/// `label/{name}/values`: the values of one label.
pub(super) async fn label_values(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let scope = Scope::read(&params)?;
    let name = name_escape::unescape(&name);
    let source = app
        .ready_series(&tenant)
        .map_err(|progress| PromError::not_ready(&progress))?;
    let values = app
        .queries
        .run(
            None,
            source.label_values(&name, &scope.selectors, scope.window, scope.limit),
        )
        .await??;
    named(&values)
}

fn named(names: &promql::Names) -> Result<Response, PromError> {
    if names.truncated {
        return success_with_warnings(&names.names, &[TRUNCATED.to_owned()]);
    }
    success(&names.names)
}

/// `series`: the label sets that match.
pub(super) async fn series(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let scope = Scope::read(&params)?;
    if scope.selectors.is_empty() {
        return Err(PromError::bad_data("no match[] parameter provided"));
    }
    let source = app
        .ready_series(&tenant)
        .map_err(|progress| PromError::not_ready(&progress))?;
    // One more than asked for tells whether there are more.
    let sets = app
        .queries
        .run(
            None,
            source.series(
                &scope.selectors,
                scope.window,
                scope.limit.saturating_add(1),
            ),
        )
        .await??;
    let shown: Vec<LabelSet<'_>> = sets.iter().take(scope.limit).map(LabelSet).collect();
    if sets.len() > shown.len() {
        return success_with_warnings(&shown, &[TRUNCATED.to_owned()]);
    }
    success(&shown)
}

/// A label set as an object, in the labels' order.
struct LabelSet<'a>(&'a Labels);

impl Serialize for LabelSet<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

/// `metadata`: kind, unit and help of metric families.
pub(super) async fn metadata(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let limit = params.count("limit")?.filter(|limit| *limit > 0);
    let per_metric = params.count("limit_per_metric")?.filter(|limit| *limit > 0);
    let wanted = params.get("metric");
    let mut families: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    let known = app
        .queries
        .run(None, app.store.metric_metadata(&tenant))
        .await??;
    for known in known {
        if wanted.is_some_and(|wanted| wanted != known.family) {
            continue;
        }
        let entries = families.entry(known.family).or_default();
        if per_metric.is_none_or(|limit| entries.len() < limit) {
            entries
                .push(json!({"type": known.kind.as_str(), "help": known.help, "unit": known.unit}));
        }
    }
    let shown: BTreeMap<_, _> = families
        .into_iter()
        .take(limit.unwrap_or(usize::MAX))
        .collect();
    success(&shown)
}

/// `status/buildinfo`. Without `features`, which would make Grafana take us for Mimir.
pub(super) async fn buildinfo() -> Result<Response, PromError> {
    success(&json!({
        // The Prometheus release whose query API is served; Grafana enables features by it.
        "version": "3.5.0",
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": concat!("watchkeeper ", env!("CARGO_PKG_VERSION")),
    }))
}
