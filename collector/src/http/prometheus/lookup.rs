//! What series, labels and metrics there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use model::{Matcher, MetricMetadata};
use promql::{Names, SeriesSource, Window};
use serde_json::json;

use super::answer::{Text, list, streamed};
use super::error::PromError;
use super::sample_json::{push_labels, push_text};
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
        let start = time::instant(params, "start")?.unwrap_or(i64::MIN);
        let end = time::instant(params, "end")?.unwrap_or(i64::MAX);
        Ok(Self {
            selectors: selectors(params)?,
            window: time::window(start, end),
            limit: params.limit("limit")?,
        })
    }

    /// Whether the end lies before the start, where there is nothing to find.
    fn is_empty(&self) -> bool {
        self.window.until_ms <= self.window.after_ms
    }
}

/// The matchers of every `match[]`, a series selector such as `up{job="api"}` each.
pub(super) fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, PromError> {
    params
        .all("match[]")
        .map(|text| {
            let parsed = promql::parse_selector(text);
            parsed.map_err(|err| invalid("match[]", err).into())
        })
        .collect()
}

/// The series of the tenant that the request names.
fn source(app: &App, headers: &HeaderMap) -> Result<Arc<dyn SeriesSource>, PromError> {
    app.ready_series(&tenant(headers)?)
        .map_err(|progress| PromError::not_ready(&progress))
}

/// `labels`: the names of all labels.
pub(super) async fn labels(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let scope = Scope::read(&params)?;
    let source = source(&app, &headers)?;
    if scope.is_empty() {
        return Ok(named(Names::default()));
    }
    let names = source.label_names(&scope.selectors, scope.window, scope.limit);
    Ok(named(app.queries.run(None, names).await??))
}

/// `label/{name}/values`: the values of one label.
pub(super) async fn label_values(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, PromError> {
    let Path(name) = name?;
    let name = name_escape::unescape(&name);
    let (headers, params) = Params::read(request).await?;
    let scope = Scope::read(&params)?;
    let source = source(&app, &headers)?;
    if scope.is_empty() {
        return Ok(named(Names::default()));
    }
    let values = source.label_values(&name, &scope.selectors, scope.window, scope.limit);
    Ok(named(app.queries.run(None, values).await??))
}

fn named(names: Names) -> Response {
    list(names.names, names.truncated, |out, name| {
        push_text(out, &name);
    })
}

/// `series`: the label sets that match.
pub(super) async fn series(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let scope = Scope::read(&params)?;
    if scope.selectors.is_empty() {
        return Err(PromError::bad_data("no match[] parameter provided"));
    }
    let source = source(&app, &headers)?;
    let mut found = Vec::new();
    if !scope.is_empty() {
        // One more than asked for tells whether there are more.
        let limit = scope.limit.saturating_add(1);
        let series = source.series(&scope.selectors, scope.window, limit);
        found = app.queries.run(None, series).await??;
    }
    let is_truncated = found.len() > scope.limit;
    found.truncate(scope.limit);
    Ok(list(found, is_truncated, |out, labels| {
        push_labels(out, &labels);
    }))
}

/// `metadata`: kind, unit and help of metric families.
pub(super) async fn metadata(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let limit = params.limit("limit")?;
    let per_family = params.limit("limit_per_metric")?;
    let wanted = params.get("metric");
    let known = app
        .queries
        .run(None, app.store.metric_metadata(&tenant))
        .await??;
    let mut families: BTreeMap<String, Vec<MetricMetadata>> = BTreeMap::new();
    for known in known {
        if wanted.is_none_or(|wanted| wanted == known.family) {
            let entries = families.entry(known.family.clone()).or_default();
            if entries.len() < per_family {
                entries.push(known);
            }
        }
    }
    let shown = families.into_iter().take(limit);
    let text = Text::json(
        r#"{"status":"success","data":{"#.to_owned(),
        "}}".to_owned(),
    );
    Ok(streamed(text, shown, |out, (family, entries)| {
        push_text(out, &family);
        let entries = entries.iter().map(
            |known| json!({"type": known.kind.as_str(), "help": known.help, "unit": known.unit}),
        );
        let entries: serde_json::Value = entries.collect();
        out.push_str(&format!(":{entries}"));
    }))
}
