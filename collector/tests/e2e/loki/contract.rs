//! Every request that Grafana's Loki data source and Logs Drilldown send, as they send it, read by
//! decoders as strict as theirs or stricter.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::otlp::now;
use crate::server::{Answer, Process, answer};

use super::with_lines;

/// One label set.
type Labels = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found<T> {
    status: String,
    data: T,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Data<T> {
    result_type: String,
    encoding_flags: Option<Vec<String>>,
    result: Vec<T>,
    stats: Stats,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stats {
    summary: Summary,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "only that they are numbers matters")]
struct Summary {
    bytes_processed_per_second: f64,
    lines_processed_per_second: f64,
    total_bytes_processed: f64,
    total_lines_processed: f64,
    exec_time: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    metric: Labels,
    value: (f64, String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    metric: Labels,
    values: Vec<(f64, String)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    stream: Labels,
    values: Vec<(String, String, Categories)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Categories {
    #[serde(default)]
    structured_metadata: Labels,
    #[serde(default)]
    parsed: Labels,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexStats {
    streams: u64,
    chunks: u64,
    entries: u64,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DetectedLabels {
    detected_labels: Vec<DetectedLabel>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectedLabel {
    label: String,
    cardinality: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectedFields {
    fields: Vec<DetectedField>,
    limit: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DetectedField {
    label: String,
    r#type: String,
    cardinality: u64,
    parsers: Option<Vec<String>>,
    #[serde(rename = "jsonPath", default)]
    json_path: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldValues {
    values: Vec<String>,
    limit: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    pattern: String,
    samples: Vec<(i64, u64)>,
}

/// The last two hours as the data source writes them: integer nanoseconds.
fn nanos() -> [(&'static str, String); 2] {
    let hour = 3_600_000_000_000;
    [
        ("start", (now() - 2 * hour).to_string()),
        ("end", (now() + hour).to_string()),
    ]
}

/// A GET as Grafana's backend sends it, with the header that asks for labels by origin.
async fn get(server: &Process, path: &str, params: &[(&str, &str)]) -> Answer {
    let request = server
        .request(Method::GET, &format!("/loki/api/v1/{path}"))
        .query(&nanos())
        .query(params)
        .header("X-Loki-Response-Encoding-Flags", "categorize-labels")
        .header("X-Query-Tags", "Source=logvolhist");
    answer(request).await
}

async fn ask<T: DeserializeOwned>(server: &Process, path: &str, params: &[(&str, &str)]) -> T {
    let answer = get(server, path, params).await;
    assert_eq!(answer.status, 200, "{path} {params:?}: {}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    serde_json::from_str(&answer.text)
        .unwrap_or_else(|error| panic!("{path}: {error}: {}", answer.text))
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test]
async fn queries_have_the_data_sources_forms() {
    let server = with_lines().await;
    let query = r#"{service_name="shop"} | json"#;
    let params = [
        ("query", query),
        ("direction", "backward"),
        ("step", "1000ms"),
        ("limit", "1000"),
    ];
    let found: Found<Data<Stream>> = ask(&server, "query_range", &params).await;
    assert_eq!(
        (found.status.as_str(), found.data.result_type.as_str()),
        ("success", "streams")
    );
    assert_eq!(
        found.data.encoding_flags.as_deref(),
        Some(&["categorize-labels".to_owned()][..])
    );
    assert!(found.data.stats.summary.total_lines_processed >= 2.0);
    let [stream] = found.data.result.as_slice() else {
        panic!(
            "rows that share their labels are one stream: {:?}",
            found.data.result
        );
    };
    assert_eq!(stream.stream, labels(&[("service_name", "shop")]));
    let [(newest, plain, failed), (oldest, json, read)] = stream.values.as_slice() else {
        panic!("two lines: {:?}", stream.values);
    };
    assert!(newest.parse::<i64>().unwrap() > oldest.parse::<i64>().unwrap());
    assert_eq!(
        (plain.as_str(), failed.parsed["__error__"].as_str()),
        ("plain line", "JSONParserErr")
    );
    assert_eq!(json, r#"{"status":500,"path":"/a"}"#);
    assert_eq!(read.parsed, labels(&[("path", "/a"), ("status", "500")]));
    assert_eq!(read.structured_metadata["detected_level"], "error");

    let query = r#"sum by (level, detected_level) (count_over_time({service_name="shop"} | json | drop __error__[3h]))"#;
    let params = [("query", query), ("step", "3600000ms")];
    let found: Found<Data<Matrix>> = ask(&server, "query_range", &params).await;
    assert_eq!(found.data.result_type, "matrix");
    assert!(found.data.encoding_flags.is_none());
    let start = found.data.result[0].values[0].0;
    for one in &found.data.result {
        assert_eq!(one.metric.keys().collect::<Vec<_>>(), ["detected_level"]);
        // Evaluated at start + k·step exactly.
        assert!(
            one.values
                .iter()
                .all(|(at, _)| (at - start) % 3_600.0 == 0.0)
        );
    }

    let params = [
        ("query", "vector(1)+vector(1)"),
        ("direction", "backward"),
        ("time", "4000000000"),
    ];
    let found: Found<Data<Vector>> = ask(&server, "query", &params).await;
    assert_eq!(found.data.result_type, "vector");
    let [Vector { metric, value }] = found.data.result.as_slice() else {
        panic!("one series: {:?}", found.data.result);
    };
    assert_eq!(
        (metric, value),
        (&Labels::new(), &(4_000_000_000.0, "2".to_owned()))
    );
}

#[tokio::test]
async fn the_language_that_grafana_writes_is_understood() {
    let server = with_lines().await;
    // Log queries: what they are, and how many lines they find.
    for (query, expected) in [
        // The default query from traces to logs.
        (
            "{service_name=\"shop\"} | label_format log_line_contains_trace_id=`{{ contains \"plain\" __line__ }}` | log_line_contains_trace_id=\"true\" or trace_id=\"x\"",
            1,
        ),
        // Logs Drilldown.
        (
            "{service_name=~\".+\"} | json | logfmt | drop __error__, __error_details__",
            2,
        ),
        (
            "{service_name=\"shop\"} | detected_level != \"\" | detected_level =~ \"(?i)ERROR\"",
            1,
        ),
        ("{service_name=\"shop\"} |> `plain <_>`", 1),
        ("{service_name=\"shop\"} !> `plain <_>` or `x <_>`", 1),
        (
            "{service_name=\"shop\"} | json s=\"status\", p=\"path\" | s > 499 and p=\"/a\"",
            1,
        ),
        // The builder.
        (
            "{service_name=\"shop\"} | regexp `(?P<word>\\w+) line` | word=\"plain\"",
            1,
        ),
        (
            "{service_name=\"shop\"} | pattern `<word> line` | word=\"plain\"",
            1,
        ),
        (
            "{service_name=\"shop\"} | unpack | decolorize | line_format `{{.user_id}}` |= `u1`",
            1,
        ),
        (
            "{service_name=\"shop\"} | label_format u=user_id | keep u | u=\"u2\"",
            1,
        ),
        ("{service_name=\"shop\"} |= ip(\"10.0.0.0/8\")", 0),
    ] {
        let found: Found<Data<Stream>> = ask(&server, "query_range", &[("query", query)]).await;
        let lines: usize = found.data.result.iter().map(|one| one.values.len()).sum();
        assert_eq!(lines, expected, "{query}");
    }
    // Metric queries: the value of the only series.
    for (query, expected) in [
        ("sum(count_over_time({service_name=\"shop\"}[3h]))", "2"),
        (
            "avg_over_time({service_name=\"shop\"} | json | unwrap status | __error__=\"\" [3h]) by ()",
            "500",
        ),
        (
            "topk(1, sum by (service_name) (count_over_time({service_name=~\".+\"}[3h])))",
            "2",
        ),
        (
            "sum(count_over_time({service_name=\"shop\"}[3h])) / on () group_left () vector(4)",
            "0.5",
        ),
        (
            "label_replace(sum(rate({service_name=\"shop\"}[3h])) * 0, \"a\", \"b\", \"\", \"\")",
            "0",
        ),
        (
            "sort_desc(sum(bytes_over_time({service_name=\"shop\"} |= `plain` [3h])))",
            "10",
        ),
        ("absent_over_time({service_name=\"nobody\"}[3h])", "1"),
    ] {
        let time = (now() + 1_000_000_000).to_string();
        let params = [("query", query), ("time", &time)];
        let found: Found<Data<Vector>> = ask(&server, "query", &params).await;
        let [one] = found.data.result.as_slice() else {
            panic!("{query}: one series: {:?}", found.data.result);
        };
        assert_eq!(one.value.1, expected, "{query}");
    }
}

#[tokio::test]
async fn lookups_have_the_data_sources_forms() {
    let server = with_lines().await;
    let found: Found<Vec<String>> = ask(&server, "labels", &[]).await;
    assert_eq!(
        (found.status.as_str(), found.data),
        ("success", vec!["service_name".to_owned()])
    );
    let selector = r#"{service_name="shop"}"#;
    for (label, query, expected) in [
        ("service_name", Some(selector), &["shop"][..]),
        ("service_name", None, &["shop"]),
        ("service_name", Some("{service_name=\"x\"}"), &[]),
        ("__stream_shard__", None, &[]),
    ] {
        let params: Vec<(&str, &str)> = query.map(|query| ("query", query)).into_iter().collect();
        let found: Found<Vec<String>> =
            ask(&server, &format!("label/{label}/values"), &params).await;
        assert_eq!(found.data, expected, "{label} {query:?}");
    }
    let found: Found<Vec<Labels>> = ask(&server, "series", &[("match[]", selector)]).await;
    assert_eq!(found.data, [labels(&[("service_name", "shop")])]);
}

#[tokio::test]
async fn sizes_have_the_data_sources_forms() {
    let server = with_lines().await;
    let stats: IndexStats = ask(
        &server,
        "index/stats",
        &[("query", r#"{service_name="shop"}"#)],
    )
    .await;
    assert_eq!((stats.streams, stats.chunks, stats.entries), (1, 1, 2));
    assert_eq!(stats.bytes, 36);
    let none: IndexStats = ask(
        &server,
        "index/stats",
        &[("query", r#"{service_name="x"}"#)],
    )
    .await;
    assert_eq!((none.streams, none.entries, none.bytes), (0, 0, 0));
    let params = [("query", r#"{service_name=~".+"}"#), ("limit", "5000")];
    let found: Found<Data<Vector>> = ask(&server, "index/volume", &params).await;
    assert_eq!(found.data.result_type, "vector");
    assert_eq!(
        found.data.result[0].metric,
        labels(&[("service_name", "shop")])
    );
    assert_eq!(found.data.result[0].value.1, "36");
    let params = [
        ("query", "{}"),
        ("targetLabels", "service_name"),
        ("step", "4h"),
    ];
    let found: Found<Data<Matrix>> = ask(&server, "index/volume_range", &params).await;
    assert_eq!(found.data.result_type, "matrix");
    assert_eq!(found.data.result[0].values[0].1, "36");
}

#[tokio::test]
async fn drilldown_finds_labels_and_fields() {
    let server = with_lines().await;
    let query = ("query", r#"{service_name="shop"}"#);
    let found: DetectedLabels = ask(&server, "detected_labels", &[query]).await;
    let expected = DetectedLabel {
        label: "service_name".to_owned(),
        cardinality: 1,
    };
    assert_eq!(found.detected_labels, [expected]);
    let found: DetectedFields = ask(&server, "detected_fields", &[query]).await;
    assert_eq!(found.limit, 1_000);
    let field = |label: &str| {
        let found = found.fields.iter().find(|field| field.label == label);
        let field = found.unwrap_or_else(|| panic!("there is no field {label}"));
        (
            field.r#type.as_str(),
            field.cardinality,
            field.parsers.clone(),
            field.json_path.clone(),
        )
    };
    let text = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        field("status"),
        ("int", 1, Some(text(&["json"])), text(&["status"]))
    );
    assert_eq!(
        field("path"),
        ("string", 1, Some(text(&["json"])), text(&["path"]))
    );
    assert_eq!(field("user_id"), ("string", 2, None, vec![]));
    assert_eq!(field("detected_level").0, "string");
    let params = [query, ("limit", "1")];
    let values: FieldValues = ask(&server, "detected_field/user_id/values", &params).await;
    assert_eq!((values.values, values.limit), (text(&["u1"]), 1));
    let found: Found<Vec<Pattern>> = ask(&server, "patterns", &[query, ("step", "30s")]).await;
    assert!(found.data.iter().any(|one| one.pattern == "plain line"));
    let counts = found.data.iter().flat_map(|one| &one.samples);
    assert_eq!(counts.map(|(_, count)| count).sum::<u64>(), 2);
    let limits = server.get("/loki/api/v1/drilldown-limits").await.json();
    assert_eq!(limits["limits"]["retention_period"], "30d");
    assert!(limits["limits"]["max_entries_limit_per_query"].is_u64());
    assert!(limits["pattern_ingester_enabled"].is_boolean());
    assert!(limits["version"].is_string());
}

#[tokio::test]
async fn what_cannot_be_answered_says_where_and_why() {
    let server = with_lines().await;
    for (path, params, status, expected) in [
        (
            "query_range",
            &[("query", "{a=\"b\"} | nope")][..],
            400,
            "parse error at line 1, col 15: ",
        ),
        (
            "query_range",
            &[("query", "{a=\"b\"}\n| json |")],
            400,
            "parse error at line 2, col 9: ",
        ),
        (
            "query_range",
            &[("query", "{}"), ("limit", "1000000")],
            400,
            "limit",
        ),
        ("query_range", &[], 400, "missing parameter \"query\""),
        (
            "query",
            &[("query", "{}")],
            400,
            "log queries are not supported as an instant query",
        ),
        (
            "query_range",
            &[("query", "sum(count_over_time({} | json [1h]))")],
            400,
            "JSONParserErr",
        ),
        ("index/stats", &[("query", "{")], 400, "parse error"),
        ("rules/file/group", &[], 404, "page not found"),
    ] {
        let answer = get(&server, path, params).await;
        assert_eq!(answer.status, status, "{path} {params:?}: {}", answer.text);
        assert!(answer.text.contains(expected), "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn queries_may_be_long_and_answers_are_compressed() {
    let server = with_lines().await;
    // A request line of nearly 64 KiB, the most that the HTTP library takes.
    let many = vec!["x".repeat(60); 950].join("|");
    let query = format!("{{service_name=~\"shop|{many}\"}}");
    assert!(query.len() > 56 << 10);
    let found: Found<Data<Stream>> = ask(&server, "query_range", &[("query", &query)]).await;
    assert_eq!(found.data.result.len(), 1);
    let request = server
        .request(Method::GET, "/loki/api/v1/query_range?query=%7B%7D")
        .header("accept-encoding", "gzip");
    let answer = answer(request).await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    let posted = server
        .post_form(
            "/loki/api/v1/query_range",
            &[("query", "{}"), ("start", "2020-01-01T00:00:00Z")],
        )
        .await;
    assert_eq!(posted.status, 200, "{}", posted.text);
}
