//! Data as wild as senders make it: nothing is lost or mistyped, in the head, after a crash and in
//! a split.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value as Wire,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::otlp::{self, now};
use crate::server::{Home, Process, answer};

fn any(value: Wire) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn string(text: &str) -> AnyValue {
    any(Wire::StringValue(text.to_owned()))
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        key_strindex: 0,
    }
}

fn array(values: Vec<AnyValue>) -> AnyValue {
    any(Wire::ArrayValue(ArrayValue { values }))
}

fn map(values: Vec<KeyValue>) -> AnyValue {
    any(Wire::KvlistValue(KeyValueList { values }))
}

/// A value of every type, nested ones among them, and how the API prints it.
fn values() -> Vec<(AnyValue, Value)> {
    let mut deep = (string("deep"), json!("deep"));
    for _ in 0..10 {
        deep = (
            array(vec![map(vec![pair("in", deep.0)])]),
            json!([{ "in": deep.1 }]),
        );
    }
    vec![
        (AnyValue { value: None }, Value::Null),
        (string(""), json!("")),
        (
            string("text \u{0} ü \u{1f600}"),
            json!("text \u{0} ü \u{1f600}"),
        ),
        (any(Wire::BoolValue(false)), json!(false)),
        (any(Wire::IntValue(i64::MIN)), json!(i64::MIN.to_string())),
        (any(Wire::IntValue(i64::MAX)), json!(i64::MAX.to_string())),
        (any(Wire::DoubleValue(0.1)), json!(0.1)),
        (any(Wire::DoubleValue(f64::NAN)), json!("NaN")),
        (any(Wire::DoubleValue(f64::NEG_INFINITY)), json!("-inf")),
        (any(Wire::BytesValue(vec![0, 255, 10])), json!("AP8K")),
        (array(Vec::new()), json!([])),
        (map(Vec::new()), json!({})),
        (
            array(vec![
                any(Wire::IntValue(1)),
                string("two"),
                AnyValue { value: None },
            ]),
            json!(["1", "two", null]),
        ),
        deep,
    ]
}

/// A record and what the search must answer for it.
struct Expected {
    sent: LogRecord,
    body: Value,
    attributes: Map<String, Value>,
}

impl Expected {
    fn new(body: (AnyValue, Value), attributes: Vec<(String, (AnyValue, Value))>) -> Self {
        let (sent, printed) = attributes
            .into_iter()
            .map(|(key, (sent, printed))| (pair(&key, sent), (key, printed)))
            .unzip::<_, _, Vec<_>, Map<_, _>>();
        Self {
            sent: LogRecord {
                body: Some(body.0),
                attributes: sent,
                ..LogRecord::default()
            },
            body: body.1,
            attributes: printed,
        }
    }
}

fn wild_records() -> Vec<Expected> {
    let plain = || (string("plain"), json!("plain"));
    let int = |number: usize| {
        (
            any(Wire::IntValue(number as i64)),
            json!(number.to_string()),
        )
    };
    let mut records = Vec::new();
    // 10,000 different keys, ten a record, and one record with thousands.
    for record in 0..1_000 {
        let keys = (0..10).map(|key| (format!("key.{}", record * 10 + key), int(key)));
        records.push(Expected::new(plain(), keys.collect()));
    }
    let keys = (0..3_000).map(|key| (format!("wide.{key}"), int(key)));
    records.push(Expected::new(plain(), keys.collect()));
    // One key whose type changes with every record, and bodies of every type.
    for value in values() {
        records.push(Expected::new(
            plain(),
            vec![("changing".to_owned(), value.clone())],
        ));
        records.push(Expected::new(value, Vec::new()));
    }
    // Large and empty.
    let large = "x".repeat(1 << 20);
    records.push(Expected::new((string(&large), json!(large)), Vec::new()));
    let key = "k".repeat(5_000);
    records.push(Expected::new(
        plain(),
        vec![(key, plain()), (String::new(), plain())],
    ));
    for (ordinal, expected) in records.iter_mut().enumerate() {
        expected.sent.event_name = format!("wild-{ordinal}");
    }
    records
}

/// Every record of the service, by its event name.
async fn everything(server: &Process) -> HashMap<String, Value> {
    let mut found = HashMap::new();
    let mut cursor = Value::Null;
    loop {
        let mut request =
            json!({"start": "now-1h", "end": "now+5m", "query": "service:wild", "limit": 500});
        if !cursor.is_null() {
            request["cursor"] = cursor;
        }
        let page = server.post_json("/api/v1/logs/search", &request).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let page = page.json();
        assert_eq!(page["partial"], false);
        for record in page["records"].as_array().unwrap() {
            let name = record["event_name"].as_str().unwrap().to_owned();
            assert!(found.insert(name, record.clone()).is_none());
        }
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            return found;
        }
    }
}

fn request(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    otlp::logs(service, log_records)
}

async fn export(server: &Process, request: &ExportLogsServiceRequest) -> ExportLogsServiceResponse {
    let response = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(request))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    ExportLogsServiceResponse::decode(response.bytes().await.unwrap()).unwrap()
}

async fn flush(server: &Process) {
    let flushed = answer(server.request(Method::POST, "/-/flush")).await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
}

#[tokio::test]
async fn wide_and_changing_records_come_back_as_they_were_sent() {
    let home = Home::new();
    let mut server = home.start().await;
    let records = wild_records();
    let sent = records
        .iter()
        .map(|expected| expected.sent.clone())
        .collect();
    let answered = export(&server, &request("wild", sent)).await;
    assert_eq!(answered.partial_success, None);
    for step in ["from the head", "after a crash", "from a split"] {
        let found = everything(&server).await;
        assert_eq!(found.len(), records.len(), "{step}");
        for expected in &records {
            let name = &expected.sent.event_name;
            let record = &found[name];
            assert!(
                record["body"] == expected.body,
                "{step}: {name}: {}",
                record["body"]
            );
            let attributes = Value::Object(expected.attributes.clone());
            assert!(
                record["attributes"] == attributes,
                "{step}: {name}: {} for {attributes}",
                record["attributes"]
            );
        }
        // Found again by the rarest of keys, whether it has a column or not.
        for (query, count) in [
            ("service:wild key.9999:9", 1),
            ("service:wild wide.2999:2999", 1),
            ("service:wild changing:0.1", 1),
        ] {
            assert_eq!(server.search(query).await.len(), count, "{step}: {query}");
        }
        match step {
            "from the head" => {
                server.kill();
                server = home.start().await;
            }
            "after a crash" => flush(&server).await,
            _ => {}
        }
    }
}

#[tokio::test]
async fn times_at_the_limits_are_kept_and_past_them_refused() {
    let server = Home::new();
    let server = server.start().await;
    let (second, day) = (1_000_000_000, 86_400_000_000_000);
    let at = |name: &str, time: u64, observed: u64| LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        body: Some(string(name)),
        ..LogRecord::default()
    };
    let time = now();
    let records = vec![
        at("oldest", time - 30 * day + 60 * second, 0),
        at("newest", time + 600 * second - 60 * second, 0),
        at("observed", 0, time - second),
        at("received", 0, 0),
        at("too old", time - 30 * day - 60 * second, 0),
        at("too new", time + 600 * second + 60 * second, 0),
        at("at the end of time", i64::MAX.cast_unsigned(), 0),
        at("past the end of time", u64::MAX, 0),
        at("old but observed now", 1, time),
    ];
    let answered = export(&server, &request("times", records)).await;
    let partial = answered.partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 5, "{}", partial.error_message);
    for flushed in [false, true] {
        let page = server
            .post_json(
                "/api/v1/logs/search",
                &json!({"start": "now-31d", "end": "now+1h", "query": "service:times"}),
            )
            .await;
        let bodies: Vec<String> = page.json()["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["body"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            bodies,
            ["newest", "received", "observed", "oldest"],
            "{flushed}"
        );
        flush(&server).await;
    }
}

#[tokio::test]
async fn thousands_of_resources_keep_apart() {
    let home = Home::new();
    let server = home.start().await;
    let count = 5_000;
    let resource_logs = (0..count).map(|index| ResourceLogs {
        resource: Some(Resource {
            attributes: vec![
                otlp::text("service.name", "crowd"),
                otlp::text("service.instance.id", &format!("instance-{index}")),
                otlp::text(&format!("own.{index}"), "x"),
            ],
            ..Resource::default()
        }),
        scope_logs: vec![ScopeLogs {
            log_records: vec![LogRecord {
                body: Some(string(&format!("of {index}"))),
                ..LogRecord::default()
            }],
            ..ScopeLogs::default()
        }],
        ..ResourceLogs::default()
    });
    let request = ExportLogsServiceRequest {
        resource_logs: resource_logs.collect(),
    };
    export(&server, &request).await;
    for flushed in [false, true] {
        for index in [0, count / 2, count - 1] {
            let query = format!("service:crowd service.instance.id:instance-{index}");
            let found = server.search(&query).await;
            assert_eq!(found.len(), 1, "{flushed}: {query}");
            assert_eq!(found[0]["body"], format!("of {index}"));
            let expected = json!({
                "service.name": "crowd",
                "service.instance.id": format!("instance-{index}"),
                format!("own.{index}"): "x",
            });
            assert_eq!(found[0]["resource"], expected);
        }
        flush(&server).await;
    }
}
