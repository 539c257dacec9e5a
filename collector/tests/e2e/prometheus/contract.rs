//! Every request of Grafana's Prometheus data source, as it sends it, read by decoders as strict as
//! its own or stricter.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Labels, World, get, labels, read};
use crate::server::{Server, answer};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Data<T> {
    result_type: String,
    result: T,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    metric: Labels,
    value: Option<(f64, String)>,
    histogram: Option<(f64, Histogram)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    metric: Labels,
    #[serde(default)]
    values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, Histogram)>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Histogram {
    count: String,
    sum: String,
    buckets: Vec<(u8, String, String, String)>,
}

#[tokio::test]
async fn save_and_test_succeeds_by_post_and_get() {
    let server = Server::start().await;
    for path in ["/api/v1/query", "/prometheus/api/v1/query"] {
        let posted = server
            .post_form(path, &[("query", "1+1"), ("time", "4")])
            .await;
        assert_eq!(
            posted.text,
            r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#
        );
        let got = server.get(&format!("{path}?query=1%2B1&time=4")).await;
        assert_eq!(got.text, posted.text);
    }
}

#[tokio::test]
async fn probes_of_absurd_times_are_empty_not_errors() {
    let server = Server::start().await;
    for path in [
        "query?query=up&time=4",
        "query?query=up&time=99999999999999",
        "query?query=up&time=-292273086-05-16T16:47:06Z",
        "query_range?query=up&start=1737000000000&end=1737003600000&step=600",
        "query_exemplars?query=test&start=1737000000000&end=1737003600000",
        "labels?start=1737000000000&end=1737003600000",
        "labels?start=4&end=0",
        "label/__name__/values?limit=40000&start=0&end=4",
        "series?match[]=up&start=0&end=4",
        "series?match[]=up&start=292277025-08-18T07:12:54.999999999Z",
        "metadata?limit=40000",
        "status/tsdb?start=0&end=4",
    ] {
        for prefix in ["/api/v1", "/prometheus/api/v1"] {
            let path = format!("{prefix}/{path}");
            let _: Value = read(&server.get(&path).await, &path);
        }
    }
}

#[tokio::test]
async fn it_is_taken_for_prometheus() {
    let server = Server::start().await;
    let info: Value = read(&get(&server, "status/buildinfo", &[]).await, "buildinfo");
    assert!(info["version"].is_string());
    assert!(info.get("features").is_none(), "would be taken for Mimir");
    for (path, expected) in [
        ("rules", json!({"groups": []})),
        ("alerts", json!({"alerts": []})),
        (
            "alertmanagers",
            json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}),
        ),
        (
            "status/walreplay",
            json!({"min": 0, "max": 0, "current": 0}),
        ),
    ] {
        let found: Value = read(&get(&server, path, &[]).await, path);
        assert_eq!(found, expected, "{path}");
    }
    for (path, keys) in [
        (
            "status/runtimeinfo",
            &["startTime", "serverTime", "storageRetention"][..],
        ),
        (
            "status/flags",
            &["query.timeout", "storage.tsdb.retention.time"],
        ),
        ("status/config", &["yaml"]),
    ] {
        let found: Value = read(&get(&server, path, &[]).await, path);
        for key in keys {
            assert!(found[key].is_string(), "{path} {key}: {found}");
        }
    }
    // An answer that is a page would be read as a feature.
    let unknown = get(&server, "status/unknown", &[]).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.text, "404 page not found");
    assert!(unknown.headers["content-type"].starts_with("text/plain"));
}

#[tokio::test]
async fn request_lines_of_64_kib_are_read() {
    let server = Server::start().await;
    let query = format!("up{{a=\"{}\"}}", "x".repeat(60 << 10));
    let encoded: String = query
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        })
        .collect();
    let answer = server.get(&format!("/api/v1/query?query={encoded}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn instant_queries_have_every_type_of_value() {
    let world = World::start().await;
    let time = world.seconds(0);
    let ask = async |query: &str| -> Value {
        world
            .ask("query", &[("query", query), ("time", &time)])
            .await
    };
    let at = world.last_ms / 1_000;

    let vector: Data<Vec<Sample>> = serde_json::from_value(ask("up == 1").await).unwrap();
    assert_eq!(vector.result_type, "vector");
    let [up] = vector.result.as_slice() else {
        panic!("one series is up: {:?}", vector.result);
    };
    assert_eq!(
        up.metric,
        labels(&[("__name__", "up"), ("instance", "a:1"), ("job", "api")])
    );
    assert_eq!(up.value, Some((at as f64, "1".to_owned())));

    let vector: Data<Vec<Sample>> = serde_json::from_value(ask("latency_seconds").await).unwrap();
    let (_, histogram) = vector.result[0].histogram.as_ref().unwrap();
    let text = str::to_owned;
    let expected = Histogram {
        count: text("4"),
        sum: text("6"),
        buckets: vec![(0, text("1"), text("2"), text("4"))],
    };
    assert_eq!(*histogram, expected);

    let matrix: Data<Vec<Series>> =
        serde_json::from_value(ask("http_requests_total{code=\"200\"}[31s]").await).unwrap();
    assert_eq!(matrix.result_type, "matrix");
    let values = &matrix.result[0].values;
    let expected = [
        (at as f64 - 30.0, text("540")),
        (at as f64 - 15.0, text("570")),
        (at as f64, text("600")),
    ];
    assert_eq!(values.as_slice(), expected);

    for (query, expected) in [
        (
            "scalar(up == 1) / 0",
            json!({"resultType": "scalar", "result": [at, "+Inf"]}),
        ),
        (
            "-1 / 0",
            json!({"resultType": "scalar", "result": [at, "-Inf"]}),
        ),
        (
            "\"a \\\"text\\\"\"",
            json!({"resultType": "string", "result": [at, "a \"text\""]}),
        ),
        ("nothing", json!({"resultType": "vector", "result": []})),
        (
            "{\"http.status\"=\"200\"}",
            json!({"resultType": "vector", "result": [
                {"metric": {"__name__": "dotted", "http.status": "200"}, "value": [at, "NaN"]},
            ]}),
        ),
    ] {
        assert_eq!(ask(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn range_queries_have_the_data_sources_forms() {
    let world = World::start().await;
    let (start, end) = (world.seconds(60), world.seconds(0));
    for step in ["30", "30s", "30.0"] {
        let params = [
            ("query", "sum by (job) (http_requests_total) / 30"),
            ("start", &*start),
            ("end", &end),
            ("step", step),
            ("timeout", "20s"),
        ];
        let matrix: Data<Vec<Series>> = world.ask("query_range", &params).await;
        assert_eq!(matrix.result_type, "matrix");
        let [series] = matrix.result.as_slice() else {
            panic!("one series: {:?}", matrix.result);
        };
        assert_eq!(series.metric, labels(&[("job", "api")]));
        let last = world.last_ms as f64 / 1_000.0;
        let expected = [(60.0, "24"), (30.0, "27"), (0.0, "30")]
            .map(|(back, value)| (last - back, value.to_owned()));
        assert_eq!(series.values.as_slice(), expected);
    }
    let params = [
        ("query", "latency_seconds"),
        ("start", &*start),
        ("end", &end),
        ("step", "60"),
    ];
    let matrix: Data<Vec<Series>> = world.ask("query_range", &params).await;
    assert_eq!(matrix.result[0].histograms.len(), 2);
    assert!(matrix.result[0].values.is_empty());
}

#[tokio::test]
async fn remarks_limits_and_costs_are_told() {
    let world = World::start().await;
    let (start, end) = (world.seconds(60), world.seconds(0));
    let ask = async |path: &str, more: &[(&str, &str)]| {
        let mut params = match path {
            "query" => vec![("time", &*end)],
            _ => vec![("start", &*start), ("end", &*end), ("step", "30")],
        };
        params.extend_from_slice(more);
        world.get(path, &params).await
    };
    for path in ["query", "query_range"] {
        let limited = ask(path, &[("query", "up"), ("limit", "1")]).await;
        let read = limited.json();
        assert_eq!(read["data"]["result"].as_array().unwrap().len(), 1);
        assert_eq!(read["warnings"], json!(["results truncated due to limit"]));
        let all = ask(path, &[("query", "up"), ("limit", "0")]).await;
        assert_eq!(all.json()["data"]["result"].as_array().unwrap().len(), 2);
        assert!(all.json().get("warnings").is_none());

        let cost = ask(path, &[("query", "up"), ("stats", "all")]).await;
        let stats = &cost.json()["data"]["stats"];
        let seen = if path == "query" { 2 } else { 6 };
        assert_eq!(stats["samples"]["totalQueryableSamples"], seen, "{stats}");
        assert!(stats["timings"]["execTotalTime"].is_f64(), "{stats}");
        // Grafana reads them behind the result.
        assert!(cost.text.find("\"stats\"") > cost.text.find("\"result\""));

        let noted = ask(path, &[("query", "rate(up[1m])")]).await;
        let infos = noted.json()["infos"].to_string();
        assert!(infos.contains("metric might not be a counter"), "{infos}");
        assert!(infos.contains("(1:6)"), "{infos}");
    }
    let delta = ask(
        "query",
        &[("query", "up offset -1m"), ("lookback_delta", "59s")],
    )
    .await;
    assert_eq!(delta.json()["data"]["result"], json!([]));
    let default = ask("query", &[("query", "up offset -1m")]).await;
    assert_eq!(
        default.json()["data"]["result"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn queries_are_laid_out_and_parsed() {
    let server = Server::start().await;
    let query = "sum(rate(foo{b=\"c\"}[5m]))by(job)";
    for method in [Method::GET, Method::POST] {
        let ask = async |path: &str| {
            let path = format!("/api/v1/{path}");
            let request = server.request(method.clone(), &path);
            let request = match method {
                Method::POST => request.form(&[("query", query)]),
                _ => request.query(&[("query", query)]),
            };
            let found: Value = read(&answer(request).await, &path);
            found
        };
        assert_eq!(
            ask("format_query").await,
            "sum by (job) (rate(foo{b=\"c\"}[5m]))"
        );
        let tree = ask("parse_query").await;
        assert_eq!(tree["type"], "aggregation");
        assert_eq!(tree["expr"]["args"][0]["matchers"][1]["value"], "c");
    }
}

#[tokio::test]
async fn large_answers_are_whole_and_compressed() {
    let world = World::start().await;
    // 11,001 points: the start is one as well.
    let (start, end) = (world.seconds(11_000), world.seconds(0));
    let params = [
        ("query", "sum by (job) (up) or up"),
        ("start", &*start),
        ("end", &end),
        ("step", "1"),
    ];
    let plain = world.get("query_range", &params).await;
    let matrix: Data<Vec<Series>> = read(&plain, "query_range");
    assert_eq!(matrix.result.len(), 3);
    let params = [
        ("query", "vector(1) or (vector(2) > 3)"),
        ("start", &*start),
        ("end", &end),
        ("step", "1"),
    ];
    let matrix: Data<Vec<Series>> = world.ask("query_range", &params).await;
    assert_eq!(matrix.result[0].values.len(), 11_001);
    let request = world
        .server
        .request(Method::GET, "/api/v1/query_range")
        .query(&params)
        .header("accept-encoding", "gzip");
    let packed = answer(request).await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
}
