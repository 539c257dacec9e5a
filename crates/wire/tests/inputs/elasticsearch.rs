//! Elasticsearch's `_bulk`.

use model::{Encoding, Value};
use wire::elasticsearch::{self, ActionKind};
use wire::{RejectReason, Rejected};

use crate::{RECEIVED, decode, one, pairs};

fn document(json: &str) -> model::LogRecord {
    let body = format!("{{\"create\":{{}}}}\n{json}\n");
    let body = elasticsearch::with_index(Some("logs-shop"), body.as_bytes());
    one(Encoding::ElasticsearchBulk, &body)
}

#[test]
fn a_document_of_filebeat_becomes_a_record() {
    let record = document(
        r#"{"@timestamp":"2026-01-02T00:00:01.500Z","message":"refused","log":{"level":"error","offset":7},
            "host":{"name":"web-1","ip":["10.0.0.1","::1"]},"agent":{"name":"web-1","type":"filebeat"},
            "service":{"name":"shop"},"trace":{"id":"0af7651916cd43dd8448eb211c80319c"},
            "span":{"id":"b7ad6b7169203331"},"http":{"status":503,"ok":false,"took":0.5},"empty":{}}"#
            .replace('\n', "")
            .as_str(),
    );
    assert_eq!(record.timestamp, RECEIVED + 1_500_000_000);
    assert_eq!(record.body, Value::from("refused"));
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (17, "error")
    );
    assert_eq!(
        record.trace_id.unwrap().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(record.span_id.unwrap().to_string(), "b7ad6b7169203331");
    assert_eq!(
        pairs(&record.resource.attributes),
        [
            ("host.name", "web-1"),
            ("agent.name", "web-1"),
            ("service.name", "shop"),
            ("elasticsearch.index", "logs-shop"),
        ]
    );
    let ips = ["10.0.0.1", "::1"].map(Value::from).to_vec();
    let expected = [
        ("log.offset", Value::Int(7)),
        ("host.ip", Value::Array(ips)),
        ("agent.type", Value::from("filebeat")),
        ("http.status", Value::Int(503)),
        ("http.ok", Value::Bool(false)),
        ("http.took", Value::Double(0.5)),
        ("empty", Value::Map(Vec::new())),
    ];
    let found: Vec<(&str, &Value)> = record.attributes.iter().collect();
    let expected: Vec<(&str, &Value)> = expected.iter().map(|(key, value)| (*key, value)).collect();
    assert_eq!(found, expected);
}

#[test]
fn messages_times_and_levels_are_found_under_other_names() {
    let record = document(
        r#"{"log":"from fluent bit","timestamp":"2026-01-02T00:00:02Z","severity":"WARNING","service":"s"}"#,
    );
    assert_eq!(record.body, Value::from("from fluent bit"));
    assert_eq!(record.timestamp, RECEIVED + 2_000_000_000);
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (13, "WARNING")
    );
    assert_eq!(record.resource.service(), "s");
    // What is not of the form stays where it was.
    let record = document(
        r#"{"message":{"a":1},"timestamp":"noon","level":7,"priority":"high","trace_id":"abc"}"#,
    );
    assert_eq!(record.body, Value::Empty);
    assert_eq!(record.timestamp, RECEIVED);
    let keys: Vec<&str> = record.attributes.iter().map(|(key, _)| key).collect();
    assert_eq!(
        keys,
        ["message.a", "timestamp", "level", "priority", "trace_id"]
    );
}

#[test]
fn times_are_dates_or_milliseconds() {
    for (json, expected) in [
        (r#""2026-01-02""#, Some(RECEIVED)),
        ("1767312000001", Some(RECEIVED + 1_000_000)),
        (r#""1767312000001""#, Some(RECEIVED + 1_000_000)),
        ("1767312000000.5", Some(RECEIVED + 500_000)),
        ("null", Some(RECEIVED)),
        (r#""noon""#, None),
        ("true", None),
        ("1e300", None),
    ] {
        let body = format!("\n{{\"index\":{{}}}}\n{{\"@timestamp\":{json}}}");
        let decoded = decode(Encoding::ElasticsearchBulk, body.as_bytes());
        let time = decoded.items.first().map(|(_, record)| record.timestamp);
        assert_eq!(time, expected, "{json}");
    }
}

#[test]
fn every_action_is_an_item_in_its_place() {
    let body = concat!(
        "{\"index\":{\"_index\":\"a\",\"_id\":\"7\"}}\n{\"message\":\"0\"}\r\n",
        "{\"delete\":{\"_id\":8}}\n",
        "\n",
        "{\"create\":{\"pipeline\":\"p\"}}\nno JSON\n",
        "{\"update\":{\"_id\":\"9\"}}\n{\"doc\":{}}\n",
        "{\"create\":{}}\n{\"message\":\"4\"}\n",
        "{\"create\":{}}\n[]\n",
        "{\"create\":{}}",
    );
    let body = elasticsearch::with_index(Some("of \"path\""), body.as_bytes());
    let decoded = decode(Encoding::ElasticsearchBulk, &body);
    let kept: Vec<(u32, &Value)> = decoded
        .items
        .iter()
        .map(|(ordinal, record)| (*ordinal, &record.body))
        .collect();
    assert_eq!(kept, [(0, &Value::from("0")), (4, &Value::from("4"))]);
    let rejected = |ordinal, reason| Rejected { ordinal, reason };
    assert_eq!(
        decoded.rejected,
        [
            rejected(1, RejectReason::UnsupportedAction),
            rejected(2, RejectReason::InvalidDocument),
            rejected(3, RejectReason::UnsupportedAction),
            rejected(5, RejectReason::InvalidDocument),
            rejected(6, RejectReason::InvalidDocument),
        ]
    );
    let actions = elasticsearch::actions(&body).unwrap();
    let found: Vec<(ActionKind, Option<&str>, Option<&str>)> = actions
        .iter()
        .map(|action| (action.kind, action.index.as_deref(), action.id.as_deref()))
        .collect();
    use ActionKind::{Create, Delete, Index, Update};
    let path = Some("of \"path\"");
    assert_eq!(
        found,
        [
            (Index, Some("a"), Some("7")),
            (Delete, path, Some("8")),
            (Create, path, None),
            (Update, path, Some("9")),
            (Create, path, None),
            (Create, path, None),
            (Create, path, None),
        ]
    );
    let id = decoded.items[0].1.attributes.get_str("elasticsearch.id");
    assert_eq!(id, Some("7"));
}

#[test]
fn a_line_that_is_no_action_is_named() {
    for (body, expected) in [
        (
            "\n{\"create\":{}}\n{}\nnonsense\n",
            "line 3 of the bulk request",
        ),
        ("\n{\"created\":{}}\n{}\n", "line 1 of the bulk request"),
        (
            "\n{}\n{}\n",
            "exactly one of index, create, update and delete",
        ),
        ("\n{\"create\":{},\"index\":{}}\n{}\n", "exactly one"),
    ] {
        for error in [
            wire::decode_logs(Encoding::ElasticsearchBulk, body.as_bytes(), 0).unwrap_err(),
            elasticsearch::actions(body.as_bytes()).unwrap_err(),
        ] {
            assert!(error.to_string().contains(expected), "{body:?}: {error}");
        }
    }
}

#[test]
fn deep_documents_keep_their_depth_in_bounded_keys() {
    let depth = 100;
    let json = format!("{}1{}", r#"{"abcdefgh":"#.repeat(depth), "}".repeat(depth));
    let record = document(&json);
    assert_eq!(record.attributes.len(), 1);
    let (key, mut value) = record.attributes.iter().next().unwrap();
    assert!(key.len() < 300, "{key}");
    let mut found = key.split('.').count();
    while let Value::Map(inner) = value {
        found += 1;
        value = &inner[0].1;
    }
    assert_eq!((found, value), (depth, &Value::Int(1)));
}
