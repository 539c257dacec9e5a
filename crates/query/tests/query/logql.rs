//! LogQL over a table in memory.

use std::sync::Arc;
use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use model::time::NANOS_PER_SECOND;
use model::{Attributes, LogRecord, Resource, Scope, TimeRange, Value};
use proptest::prelude::*;
use query::logql::{
    Answer, Direction, Limits, LogQlError, LogSource, Outcome, QueryResponse, RangeRequest,
    label_names, label_values, query_instant, query_range, series,
};
use query::plans::LogPlan;
use serde_json::json;

use crate::table;

/// Records in memory; a session is made for each plan, as the store does.
struct Records(Vec<LogRecord>);

impl LogSource for Records {
    async fn execute(&self, plan: LogPlan) -> Result<SendableRecordBatchStream, DataFusionError> {
        let session = table::session(&self.0, &plan.keys());
        let input = session.table("logs").await?.into_unoptimized_plan();
        let frame = session.execute_logical_plan(plan.build(input)?).await?;
        frame.execute_stream().await
    }
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn resource(pairs: &[(&str, &str)]) -> Arc<Resource> {
    Arc::new(Resource {
        attributes: Attributes::from_iter(pairs.iter().copied()),
        ..Resource::default()
    })
}

fn record(second: i64, severity: i32, line: &str, resource: &Arc<Resource>) -> LogRecord {
    LogRecord {
        timestamp: second * NANOS_PER_SECOND,
        observed_timestamp: 0,
        severity_number: severity,
        severity_text: String::new(),
        body: if line.is_empty() {
            Value::Empty
        } else {
            Value::from(line)
        },
        attributes: Attributes::default(),
        dropped_attributes_count: 0,
        trace_id: None,
        span_id: None,
        flags: 0,
        event_name: String::new(),
        resource: Arc::clone(resource),
        scope: Arc::new(Scope::default()),
    }
}

fn records() -> Records {
    let api = resource(&[
        ("service.name", "api"),
        ("k8s.pod.name", "api-1"),
        ("host.arch", "arm"),
    ]);
    let web = resource(&[("service.name", "web")]);
    let nameless = resource(&[]);
    let mut all = vec![
        record(10, 9, "started", &api),
        record(20, 17, "request failed: timeout", &api),
        record(70, 17, "request failed: refused", &web),
        record(
            80,
            9,
            r#"{"took":"250ms","status":500,"user":{"id":7}}"#,
            &web,
        ),
        record(130, 0, "level=warn took=1.5s msg=\"all good\"", &nameless),
        record(140, 21, "", &web),
    ];
    all[1].attributes = Attributes(vec![
        ("http.route".to_owned(), Value::from("/tasks")),
        ("status".to_owned(), Value::Int(503)),
        ("trace_id".to_owned(), Value::from("mine")),
        ("level".to_owned(), Value::from("bad")),
    ]);
    all[1].trace_id = Some(TRACE.parse().unwrap());
    all[1].scope = Arc::new(Scope {
        name: "tasks".to_owned(),
        attributes: Attributes::from_iter([("kind", "lib")]),
        ..Scope::default()
    });
    all[3].attributes = Attributes::from_iter([("status", "200")]);
    Records(all)
}

fn seconds(start: i64, end: i64, step: i64) -> RangeRequest {
    RangeRequest {
        start: start * NANOS_PER_SECOND,
        end: end * NANOS_PER_SECOND,
        step: step * NANOS_PER_SECOND,
        limit: 100,
        direction: Direction::Backward,
    }
}

/// The `result` of a range query in Loki's form.
async fn result(query: &str, request: RangeRequest) -> serde_json::Value {
    let outcome = query_range(&records(), query, request, Limits::default())
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    body(&outcome, true)["data"]["result"].clone()
}

fn body(outcome: &Outcome, categorize_labels: bool) -> serde_json::Value {
    serde_json::to_value(QueryResponse {
        answer: &outcome.answer,
        categorize_labels,
        stats: outcome.stats,
        elapsed: Duration::from_millis(500),
    })
    .unwrap()
}

/// The seconds at which the lines of a log query lie, in the answer's order.
async fn found(query: &str, direction: Direction, limit: usize) -> Vec<i64> {
    let request = RangeRequest {
        direction,
        limit,
        ..seconds(0, 1_000, 1)
    };
    let outcome = query_range(&records(), query, request, Limits::default())
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    let Answer::Lines(lines) = outcome.answer else {
        panic!("{query} gave no lines");
    };
    lines
        .iter()
        .map(|line| line.timestamp / NANOS_PER_SECOND)
        .collect()
}

#[tokio::test]
async fn log_queries_find_their_lines() {
    let trace = format!("{{}} | trace_id=\"{TRACE}\"");
    let cases: &[(&str, &[i64])] = &[
        ("{}", &[140, 130, 80, 70, 20, 10]),
        // Stream labels, with absent ones as empty text.
        (r#"{service_name="api"}"#, &[20, 10]),
        (r#"{service_name="unknown_service"}"#, &[130]),
        (r#"{service_name=~"api|web"}"#, &[140, 80, 70, 20, 10]),
        (r#"{service_name=~"a.+"}"#, &[20, 10]),
        (r#"{service_name!~"web|un.*"}"#, &[20, 10]),
        (r#"{service_name=~".+", k8s_pod_name!=""}"#, &[20, 10]),
        (r#"{k8s_pod_name="", service_name="web"}"#, &[140, 80, 70]),
        (r#"{k8s_pod_name!="api-1"}"#, &[140, 130, 80, 70]),
        (r#"{nothing="x"}"#, &[]),
        (r#"{nothing=""} |= "started""#, &[10]),
        // Line filters; a record without body has an empty line.
        ("{} |= `failed`", &[70, 20]),
        ("{} |= `Failed`", &[]),
        ("{} |~ `(?i)FAILED`", &[70, 20]),
        ("{} |= `failed` != `refused`", &[20]),
        ("{} |= `started` or `refused`", &[70, 10]),
        ("{} != `failed` or `started`", &[140, 130, 80]),
        ("{} !~ `e`", &[140]),
        ("{} |= ``", &[140, 130, 80, 70, 20, 10]),
        ("{} |~ `^$`", &[140]),
        // Label filters, answered by the table or by the pipeline.
        (&trace, &[20]),
        ("{} | trace_id!=\"\"", &[20]),
        ("{} | trace_id_extracted=\"mine\"", &[20]),
        ("{} | detected_level=\"error\"", &[70, 20]),
        ("{} | detected_level=~\"critical|unknown\"", &[140]),
        // The text tells where no severity was sent.
        ("{} | detected_level=\"warn\"", &[130]),
        ("{} | detected_level!=\"warn\" | severity_number=\"\"", &[]),
        ("{} | severity_number=\"\"", &[130]),
        ("{} | severity_number>=17", &[140, 70, 20]),
        ("{} | scope_name=\"tasks\" and scope_kind=\"lib\"", &[20]),
        ("{} | status>=500", &[20]),
        ("{} | status=200 or status=503", &[80, 20]),
        ("{} | http_route=\"/tasks\"", &[20]),
        ("{} | host_arch=\"arm\" | status!=\"503\"", &[10]),
        ("{} | service_name=\"api\", level=\"bad\"", &[20]),
        // Parsers.
        ("{} | json | status=500", &[80]),
        ("{} | json | user_id=\"7\" | took>=250ms", &[80]),
        ("{} | logfmt | level=\"warn\" | took > 1s", &[130]),
        ("{} | logfmt | msg=~\"all.*\"", &[130]),
        ("{} | json | __error__=\"\"", &[80]),
    ];
    for (query, expected) in cases {
        assert_eq!(
            &found(query, Direction::Backward, 100).await,
            expected,
            "{query}"
        );
        let mut forward = expected.to_vec();
        forward.reverse();
        assert_eq!(
            found(query, Direction::Forward, 100).await,
            forward,
            "{query}"
        );
        // The same where stages before it keep the table from answering label filters.
        if let Some((selector, rest)) = query.split_once("} ")
            && rest.starts_with('|')
        {
            let query = format!("{selector}}} | drop nothing {rest}");
            assert_eq!(
                &found(&query, Direction::Backward, 100).await,
                expected,
                "{query}"
            );
        }
        let limited = &expected[..expected.len().min(1)];
        assert_eq!(
            found(query, Direction::Backward, 1).await,
            limited,
            "{query}"
        );
    }
}

#[tokio::test]
async fn lines_come_with_their_labels_by_origin() {
    let query = "{service_name=`api`} |= `failed` | logfmt | drop __error__, __error_details__, severity_number";
    let request = seconds(0, 100, 1);
    let outcome = query_range(&records(), query, request, Limits::default())
        .await
        .unwrap();
    let structured = json!({
        "detected_level": "error", "http_route": "/tasks", "level": "bad", "status": "503",
        "scope_kind": "lib", "scope_name": "tasks", "trace_id": TRACE,
        "trace_id_extracted": "mine", "host_arch": "arm",
    });
    let stream = json!({"service_name": "api", "k8s_pod_name": "api-1"});
    let text = "request failed: timeout";
    let categorized = body(&outcome, true);
    assert_eq!(
        categorized["data"]["result"],
        json!([{"stream": stream, "values": [["20000000000", text, {"structuredMetadata": structured}]]}])
    );
    let mut merged = structured;
    merged
        .as_object_mut()
        .unwrap()
        .extend(stream.as_object().unwrap().clone());
    let flat = body(&outcome, false);
    assert_eq!(
        flat["data"]["result"],
        json!([{"stream": merged, "values": [["20000000000", text]]}])
    );
    assert_eq!(
        flat["data"]["stats"]["summary"],
        json!({
            "bytesProcessedPerSecond": 46, "linesProcessedPerSecond": 2,
            "totalBytesProcessed": 23, "totalLinesProcessed": 1, "execTime": 0.5,
        })
    );
}

#[tokio::test]
async fn the_order_of_keys_suits_a_streaming_reader() {
    let response = |outcome: &Outcome, categorize_labels| {
        let response = QueryResponse {
            answer: &outcome.answer,
            categorize_labels,
            stats: outcome.stats,
            elapsed: Duration::ZERO,
        };
        serde_json::to_string(&response).unwrap()
    };
    let none = query_range(&records(), "{x=\"y\"}", seconds(0, 1, 1), Limits::default())
        .await
        .unwrap();
    let begins = r#"{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[],"stats":"#;
    assert!(response(&none, true).starts_with(begins));
    assert!(!response(&none, false).contains("encodingFlags"));
    let health = query_instant(
        &records(),
        "vector(1)+vector(1)",
        4_000_000_000 * NANOS_PER_SECOND,
        Limits::default(),
    )
    .await
    .unwrap();
    let begins = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[4000000000,"2"]}],"stats":"#;
    assert!(response(&health, true).starts_with(begins));
}

#[tokio::test]
async fn metric_queries_give_grafanas_matrices() {
    let metric = |labels: serde_json::Value, values: serde_json::Value| json!({"metric": labels, "values": values});
    let cases = [
        // Log volume, as Explore asks for it.
        (
            "sum by (level, detected_level) (count_over_time({service_name=~\".+\"} |= `` | drop __error__[1m]))",
            seconds(60, 180, 60),
            json!([
                metric(json!({"detected_level": "critical"}), json!([[180, "1"]])),
                metric(json!({"detected_level": "error"}), json!([[120, "1"]])),
                metric(
                    json!({"detected_level": "error", "level": "bad"}),
                    json!([[60, "1"]])
                ),
                metric(
                    json!({"detected_level": "info"}),
                    json!([[60, "1"], [120, "1"]])
                ),
                metric(json!({"detected_level": "warn"}), json!([[180, "1"]])),
            ]),
        ),
        // Windows are open on the left, closed on the right.
        (
            "sum(count_over_time({service_name=\"api\"}[10s]))",
            seconds(10, 30, 10),
            json!([metric(json!({}), json!([[10, "1"], [20, "1"]]))]),
        ),
        (
            "sum(count_over_time({}[1m] offset 1m))",
            seconds(60, 180, 60),
            json!([metric(json!({}), json!([[120, "2"], [180, "2"]]))]),
        ),
        (
            "sum by (service_name) (rate({service_name=\"api\"}[1m]))",
            seconds(60, 60, 15),
            json!([metric(
                json!({"service_name": "api"}),
                json!([[60, (2.0_f64 / 60.0).to_string()]])
            )]),
        ),
        (
            "bytes_over_time({service_name=\"api\"} |= `started` | keep service_name [1m])",
            seconds(60, 60, 15),
            json!([metric(json!({"service_name": "api"}), json!([[60, "7"]]))]),
        ),
        (
            "sum(bytes_rate({service_name=\"api\"}[1m]))",
            seconds(60, 60, 15),
            json!([metric(json!({}), json!([[60, "0.5"]]))]),
        ),
        (
            "max by (service_name) (count_over_time({service_name=\"api\"}[1m]))",
            seconds(60, 60, 15),
            json!([metric(json!({"service_name": "api"}), json!([[60, "1"]]))]),
        ),
        (
            "topk(1, sum by (service_name) (count_over_time({}[10m])))",
            seconds(600, 600, 60),
            json!([metric(json!({"service_name": "web"}), json!([[600, "3"]]))]),
        ),
        (
            "sum(count_over_time({} |= `failed` [10m])) / sum(count_over_time({}[10m])) * 3",
            seconds(600, 600, 60),
            json!([metric(json!({}), json!([[600, "1"]]))]),
        ),
        (
            "sum by (service_name) (count_over_time({}[10m])) > 1",
            seconds(600, 600, 60),
            json!([
                metric(json!({"service_name": "api"}), json!([[600, "2"]])),
                metric(json!({"service_name": "web"}), json!([[600, "3"]])),
            ]),
        ),
        (
            "sum(count_over_time({x=\"y\"}[1m])) or vector(0)",
            seconds(60, 90, 30),
            json!([metric(json!({}), json!([[60, "0"], [90, "0"]]))]),
        ),
        (
            "max_over_time({} | logfmt | json | drop __error__, __error_details__ | took!=\"\" | unwrap duration(took) [10m]) by ()",
            seconds(600, 600, 60),
            json!([metric(json!({}), json!([[600, "1.5"]]))]),
        ),
        (
            "sum(count_over_time({} | json | __error__=\"\" | status=500 [10m])) by (user_id)",
            seconds(600, 600, 60),
            json!([metric(json!({"user_id": "7"}), json!([[600, "1"]]))]),
        ),
        (
            "absent_over_time({service_name=\"api\"}[1m])",
            seconds(60, 120, 60),
            json!([metric(json!({"service_name": "api"}), json!([[120, "1"]]))]),
        ),
        (
            "1 + 1",
            seconds(60, 61, 1),
            json!([metric(json!({}), json!([[60, "2"], [61, "2"]]))]),
        ),
        (
            "sum(count_over_time({}[1m]))",
            seconds(61, 60, 1),
            json!([]),
        ),
    ];
    for (query, request, expected) in cases {
        assert_eq!(result(query, request).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_series_carries_every_label_when_nothing_sums() {
    let matrix = result("count_over_time({} |= `started` [1m])", seconds(60, 60, 60)).await;
    assert_eq!(
        matrix[0]["metric"],
        json!({
            "service_name": "api", "k8s_pod_name": "api-1", "host_arch": "arm",
            "detected_level": "info", "severity_number": "9",
        })
    );
}

#[tokio::test]
async fn instant_queries_give_vectors_and_scalars() {
    let at = 600 * NANOS_PER_SECOND;
    let run = |query: &'static str| async move {
        let outcome = query_instant(&records(), query, at, Limits::default())
            .await
            .unwrap();
        body(&outcome, true)["data"].clone()
    };
    let data = run("topk(2, sum by (service_name) (count_over_time({}[10m])))").await;
    let values = |service: &str, value: &str| json!({"metric": {"service_name": service}, "value": [600, value]});
    assert_eq!(data["resultType"], "vector");
    assert_eq!(
        data["result"],
        json!([values("web", "3"), values("api", "2")])
    );
    let data = run("2 ^ 10").await;
    assert_eq!(
        (&data["resultType"], &data["result"]),
        (&json!("scalar"), &json!([600, "1024"]))
    );
}

#[tokio::test]
async fn what_has_no_answer_says_so() {
    let limits = Limits {
        max_steps: 10,
        max_series: 2,
        max_bytes: 1 << 20,
    };
    let request = seconds(0, 100, 50);
    let cases = [
        (
            "{",
            "parse error at line 1, col 2: expected a label",
            request,
        ),
        ("rate({}[5m])", "maximum of series (2) reached", request),
        (
            "sum(rate({}[5m]))",
            "maximum resolution",
            seconds(0, 100, 5),
        ),
        ("sum(rate({}[5m]))", "step must be", seconds(0, 100, 0)),
        (
            "sum(count_over_time({} | json [5m]))",
            "JSONParserErr",
            request,
        ),
        ("sum(1)", "this is a number", request),
    ];
    for (query, expected, request) in cases {
        let error = query_range(&records(), query, request, limits)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{query}: {error}");
    }
    let instant = query_instant(&records(), "{}", 0, limits).await;
    assert!(matches!(instant, Err(LogQlError::Invalid(_))));
}

#[tokio::test]
async fn labels_and_streams_are_looked_up() {
    let all = TimeRange::new(0, 1_000 * NANOS_PER_SECOND);
    let source = records();
    let names = |query: Option<&'static str>| label_names(&source, query, all);
    assert_eq!(names(None).await.unwrap(), ["k8s_pod_name", "service_name"]);
    assert_eq!(
        names(Some("{service_name=\"web\"}")).await.unwrap(),
        ["service_name"]
    );
    let values =
        |name: &'static str, query: Option<&'static str>| label_values(&source, name, query, all);
    let none: [&str; 0] = [];
    assert_eq!(
        values("service_name", None).await.unwrap(),
        ["api", "unknown_service", "web"]
    );
    assert_eq!(
        values("k8s_pod_name", Some("{service_name=\"web\"}"))
            .await
            .unwrap(),
        none
    );
    assert_eq!(values("__stream_shard__", None).await.unwrap(), none);
    let early = TimeRange::new(0, 30 * NANOS_PER_SECOND);
    assert_eq!(
        label_values(&source, "service_name", None, early)
            .await
            .unwrap(),
        ["api"]
    );
    let found = series(
        &source,
        &["{service_name=\"api\"}", "{service_name=~\"a.*|web\"}"],
        all,
    )
    .await
    .unwrap();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            r#"{k8s_pod_name="api-1", service_name="api"}"#,
            r#"{service_name="web"}"#
        ]
    );
}

#[tokio::test]
async fn pages_are_read_until_enough_lines_have_passed() {
    let service = resource(&[("service.name", "api")]);
    // Two lines a second, so that pages end between lines of one time.
    let source = Records(
        (0..2_501)
            .map(|index| record(index / 2, 9, &format!("{{\"n\":{index}}}"), &service))
            .collect(),
    );
    for (condition, expected) in [("n<2", 2), ("n>=2499", 2), ("n=1250", 1), ("n>=0", 50)] {
        for direction in [Direction::Backward, Direction::Forward] {
            let request = RangeRequest {
                direction,
                limit: 50,
                ..seconds(0, 10_000, 1)
            };
            let query = format!("{{}} | json | {condition}");
            let outcome = query_range(&source, &query, request, Limits::default())
                .await
                .unwrap();
            let Answer::Lines(lines) = outcome.answer else {
                panic!("{query} gave no lines");
            };
            let mut texts: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
            texts.sort_unstable();
            texts.dedup();
            assert_eq!(texts.len(), expected, "{query} {direction:?}");
        }
    }
}

#[test]
fn the_largest_queries_run_on_a_small_stack() {
    let sums = format!("1{}", "+1".repeat(240));
    let nested = format!("{}rate({{}}[1m]){}", "sum(".repeat(60), ")".repeat(60));
    let filters = format!("sum(rate({{}}{} [1m]))", " |= `a` != `b`".repeat(60));
    let labels = format!("sum(rate({{}} | a=`b`{} [1m]))", " or c=`d`".repeat(200));
    for query in [sums, nested, filters, labels] {
        let thread = std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                let source = records();
                let answer = query_instant(&source, &query, 0, Limits::default());
                runtime.block_on(answer).map(drop)
            })
            .unwrap();
        thread.join().unwrap().unwrap();
    }
}

fn any_filter() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just(""),
        Just("a"),
        Just("b"),
        Just("12"),
        Just("a|12"),
        Just("a.*"),
        Just(".+")
    ];
    let label = prop_oneof![
        Just("zone"),
        Just("k_v"),
        Just("trace_id"),
        Just("severity_number"),
        Just("detected_level"),
        Just("service_name")
    ];
    let leaf = prop_oneof![
        (
            label.clone(),
            prop_oneof![Just("="), Just("!="), Just("=~"), Just("!~")],
            text
        )
            .prop_map(|(label, op, text)| format!("{label}{op}`{text}`")),
        (
            label,
            prop_oneof![Just(">="), Just("<"), Just("=="), Just("!=")],
            prop_oneof![Just("12"), Just("9"), Just("5ms")]
        )
            .prop_map(|(label, op, bound)| format!("{label} {op} {bound}")),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        (inner.clone(), prop_oneof![Just("and"), Just("or")], inner)
            .prop_map(|(left, op, right)| format!("({left} {op} {right})"))
    })
}

fn any_record() -> impl Strategy<Value = LogRecord> {
    let value = || {
        prop_oneof![
            Just(None),
            Just(Some("")),
            Just(Some("a")),
            Just(Some("12")),
            Just(Some("5ms"))
        ]
    };
    (
        0_i64..40,
        prop_oneof![1 => Just(0), 3 => 0_i32..24],
        value(),
        value(),
        value(),
        value(),
        any::<bool>(),
    )
        .prop_map(
            |(second, severity, zone, dotted, resource_zone, service, traced)| {
                let mut of_resource = Vec::new();
                of_resource.extend(resource_zone.map(|value| ("zone", value)));
                of_resource.extend(service.map(|value| ("service.name", value)));
                let line = if traced { "[ERROR] x" } else { "x" };
                let mut record = record(second, severity, line, &resource(&of_resource));
                let mut attributes = Vec::new();
                attributes.extend(zone.map(|value| ("zone", value)));
                attributes.extend(dotted.map(|value| ("k.v", value)));
                record.attributes = Attributes::from_iter(attributes);
                record.trace_id = traced.then(|| TRACE.parse().unwrap());
                record
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_table_and_the_pipeline_filter_alike(
        records in prop::collection::vec(any_record(), 0..12),
        filter in any_filter(),
        step in 1_i64..20,
        range in 1_i64..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let source = Records(records);
        let ask = |query: String| {
            let request = seconds(0, 40, step);
            runtime.block_on(query_range(&source, &query, request, Limits::default())).unwrap().answer
        };
        let pushed = ask(format!("{{}} | {filter}"));
        let piped = ask(format!("{{}} | drop nothing | {filter}"));
        prop_assert_eq!(&pushed, &piped);
        // Summing over few labels reads fewer columns and must count the same.
        let window = format!("[{range}s]");
        // Values that cannot be compared are errors, which a metric query must drop.
        let filter = format!("{filter} | drop __error__, __error_details__");
        let few = ask(format!("sum by (zone, detected_level) (count_over_time({{}} | {filter} {window}))"));
        let all = ask(format!("sum by (zone, detected_level) (count_over_time({{}} | logfmt | drop nothing | {filter} {window}))"));
        prop_assert_eq!(few, all);
    }
}
