//! What Grafana looks up beside of queries: exemplars, names, values, series, metadata and
//! cardinality.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Labels, World, labels};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ExemplarSeries {
    series_labels: Labels,
    exemplars: Vec<Exemplar>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemplar {
    labels: Labels,
    value: String,
    timestamp: f64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    r#type: String,
    help: String,
    unit: String,
}

#[tokio::test]
async fn exemplars_lead_to_traces() {
    let world = World::start().await;
    let (start, end) = (world.seconds(60), world.seconds(0));
    let ask = async |query: &str, start: &str, end: &str| -> Vec<ExemplarSeries> {
        let params = [("query", query), ("start", start), ("end", end)];
        world.ask("query_exemplars", &params).await
    };
    let query =
        "histogram_quantile(0.9, sum by (le) (rate(http_requests_total{job=\"api\"}[5m]))) > 0";
    let expected = ExemplarSeries {
        series_labels: labels(&[
            ("__name__", "http_requests_total"),
            ("code", "500"),
            ("job", "api"),
        ]),
        exemplars: vec![Exemplar {
            labels: labels(&[("trace_id", "4bf92f3577b34da6")]),
            value: "0.25".to_owned(),
            timestamp: (world.last_ms - 20_000) as f64 / 1_000.0,
        }],
    };
    assert_eq!(ask(query, &start, &end).await, [expected]);
    assert_eq!(ask(query, &world.seconds(19), &end).await, []);
    assert_eq!(ask("up", &start, &end).await, []);
    assert_eq!(ask("1 + 1", &start, &end).await, []);
}

#[tokio::test]
async fn names_values_and_series_are_looked_up() {
    let world = World::start().await;
    let (start, end) = (world.seconds(600), world.seconds(-60));
    let times = [("start", &*start), ("end", &end)];
    let with = |more: &[(&'static str, &'static str)]| -> Vec<(&str, &str)> {
        times.iter().copied().chain(more.iter().copied()).collect()
    };
    let names = ["dotted", "http_requests_total", "latency_seconds", "up"];
    for (path, params, expected) in [
        (
            "label/__name__/values",
            with(&[("limit", "40000")]),
            &names[..],
        ),
        (
            "label/__name__/values",
            with(&[("match[]", "{job=\"api\", code!=\"\"}")]),
            &["http_requests_total"],
        ),
        ("label/code/values", with(&[]), &["200", "500"]),
        ("label/code/values", with(&[("match[]", "up")]), &[]),
        ("label/U__http_2e_status/values", with(&[]), &["200"]),
        ("label/http.status/values", with(&[]), &["200"]),
        ("label/nobody/values", vec![], &[]),
        (
            "labels",
            with(&[("match[]", "up"), ("match[]", "dotted"), ("limit", "0")]),
            &["__name__", "http.status", "instance", "job"],
        ),
    ] {
        let found: Vec<String> = world.look_up(path, &params).await;
        assert_eq!(found, expected, "{path} {params:?}");
    }
    let params = with(&[("match[]", "up{instance=~\"a.*\"}"), ("match[]", "dotted")]);
    let found: Vec<Labels> = world.ask("series", &params).await;
    assert_eq!(
        found,
        [
            labels(&[("__name__", "dotted"), ("http.status", "200")]),
            labels(&[("__name__", "up"), ("instance", "a:1"), ("job", "api")]),
        ]
    );
    for (path, params) in [
        ("labels", with(&[("limit", "1")])),
        ("label/code/values", with(&[("limit", "1")])),
        ("series", with(&[("match[]", "up"), ("limit", "1")])),
    ] {
        let answer = world.get(path, &params).await;
        let found = answer.json();
        assert_eq!(found["data"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(found["warnings"], json!(["results truncated due to limit"]));
    }
}

#[tokio::test]
async fn metadata_describes_families() {
    let world = World::start().await;
    for params in [
        &[("limit", "40000")][..],
        &[("metric", "http_requests_total"), ("limit_per_metric", "1")],
    ] {
        let found: BTreeMap<String, Vec<Metadata>> = world.look_up("metadata", params).await;
        let expected = Metadata {
            r#type: "counter".to_owned(),
            help: "Requests served.".to_owned(),
            unit: "requests".to_owned(),
        };
        assert_eq!(found["http_requests_total"], [expected], "{params:?}");
    }
    let none: Value = world.look_up("metadata", &[("metric", "nobody")]).await;
    assert_eq!(none, json!({}));
}

#[tokio::test]
async fn cardinality_has_prometheus_form() {
    let world = World::start().await;
    let found: Value = world.look_up("status/tsdb", &[("limit", "2")]).await;
    assert_eq!(found["headStats"]["numSeries"], 6, "{found}");
    assert_eq!(
        found["seriesCountByMetricName"],
        json!([{"name": "http_requests_total", "value": 2}, {"name": "up", "value": 2}])
    );
    assert_eq!(
        found["labelValueCountByLabelName"][0],
        json!({"name": "__name__", "value": 4})
    );
    assert_eq!(
        found["seriesCountByLabelValuePair"][0],
        json!({"name": "job=api", "value": 5})
    );
    // All of them came in the last hour.
    assert_eq!(
        found["newSeriesCountByMetricName"],
        found["seriesCountByMetricName"]
    );
    let params = [("match[]", "up{instance=\"a:1\"}")];
    let found: Value = world.look_up("status/tsdb", &params).await;
    assert_eq!(found["headStats"]["numSeries"], 1, "{found}");
}
