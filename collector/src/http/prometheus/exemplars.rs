//! `query_exemplars`: samples that lead to traces, of the series that a query is about.

use axum::extract::{Request, State};
use axum::response::Response;
use model::{Exemplar, Matcher};
use promql::SelectLimits;
use store::SeriesExemplars;

use super::answer::list;
use super::error::PromError;
use super::sample_json::{push_labels, push_number, push_seconds};
use super::time;
use crate::app::{App, tenant};
use crate::http::params::{Params, invalid};

/// The exemplars of every series that any selector of the query matches.
pub(super) async fn exemplars(
    State(app): State<App>,
    request: Request,
) -> Result<Response, PromError> {
    let (headers, params) = Params::read(request).await?;
    let tenant = tenant(&headers)?;
    let start = time::instant(&params, "start")?.unwrap_or(i64::MIN);
    let end = time::instant(&params, "end")?.unwrap_or(i64::MAX);
    if end < start {
        return Err(invalid("end", "the end lies before the start").into());
    }
    let expr = promql::parse(params.required("query")?)?;
    let selectors: Vec<Vec<Matcher>> = expr
        .selectors()
        .into_iter()
        .map(|selector| selector.matchers.clone())
        .collect();
    PromError::check_ready(&app.store)?;
    if selectors.is_empty() {
        return Ok(list(Vec::new(), false, push_series));
    }
    let limits = promql::Limits::default();
    let limits = SelectLimits {
        max_series: limits.max_series,
        max_samples: limits.max_samples,
    };
    let window = time::window(start, end);
    let found = app.store.exemplars(&tenant, &selectors, window, limits);
    let found = app.queries.run(None, found).await??;
    Ok(list(found, false, push_series))
}

fn push_series(out: &mut String, series: SeriesExemplars) {
    out.push_str(r#"{"seriesLabels":"#);
    push_labels(out, &series.labels);
    out.push_str(r#","exemplars":["#);
    for (index, exemplar) in series.exemplars.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_exemplar(out, exemplar);
    }
    out.push_str("]}");
}

fn push_exemplar(out: &mut String, exemplar: &Exemplar) {
    out.push_str(r#"{"labels":"#);
    push_labels(out, &exemplar.labels);
    out.push_str(r#","value":"#);
    push_number(out, exemplar.value);
    out.push_str(r#","timestamp":"#);
    push_seconds(out, exemplar.timestamp_ms);
    out.push('}');
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;

    #[test]
    fn exemplars_have_prometheus_form() {
        let mut out = String::new();
        let series = SeriesExemplars {
            labels: Labels::new([("__name__", "m")]),
            exemplars: vec![Exemplar {
                labels: Labels::new([("trace_id", "ab")]),
                value: 0.1,
                timestamp_ms: 1_600_000_000_100,
            }],
        };
        push_series(&mut out, series);
        assert_eq!(
            out,
            r#"{"seriesLabels":{"__name__":"m"},"exemplars":[{"labels":{"trace_id":"ab"},"value":"0.1","timestamp":1600000000.100}]}"#
        );
    }
}
