//! Loki's push request.

use model::{Encoding, Value};
use wire::RejectReason;

use crate::{RECEIVED, decode, one, pairs};

fn push(stream: &str, values: &str) -> Vec<u8> {
    format!(r#"{{"streams":[{{"stream":{stream},"values":[{values}]}}]}}"#).into_bytes()
}

#[test]
fn labels_become_the_resource_and_metadata_the_attributes() {
    let body = push(
        r#"{"app":"shop","k8s_pod_name":"shop-1","level":"error","empty":""}"#,
        r#"["1767312000000000001","refused",{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","user":"u1"}]"#,
    );
    let record = one(Encoding::LokiJson, &body);
    assert_eq!(record.timestamp, RECEIVED + 1);
    assert_eq!(record.body, Value::from("refused"));
    assert_eq!(
        pairs(&record.resource.attributes),
        [
            ("service.name", "shop"),
            ("app", "shop"),
            ("k8s.pod.name", "shop-1"),
            ("level", "error"),
        ]
    );
    assert_eq!(pairs(&record.attributes), [("user", "u1")]);
    assert_eq!(record.severity_number, 17);
    assert_eq!(
        record.trace_id.unwrap().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    assert_eq!(record.span_id.unwrap().to_string(), "b7ad6b7169203331");
}

#[test]
fn a_service_is_named_as_loki_names_it() {
    for (labels, service) in [
        (r#"{"service_name":"a","app":"b"}"#, "a"),
        (r#"{"job":"j","container":"c"}"#, "c"),
        (r#"{"job":"j"}"#, "j"),
        (r#"{"env":"test"}"#, "unknown_service"),
        ("{}", "unknown_service"),
    ] {
        let record = one(Encoding::LokiJson, &push(labels, r#"["1","x"]"#));
        assert_eq!(record.resource.service(), service, "{labels}");
    }
}

#[test]
fn metadata_that_is_no_field_stays_an_attribute() {
    let body = push(
        r#"{"app":"shop","level":"info"}"#,
        r#"["1","x",{"trace_id":"abc","severity_number":"99","level":"warn","severity_text":"W","n":1}]"#,
    );
    let record = one(Encoding::LokiJson, &body);
    assert_eq!(record.trace_id, None);
    // The entry's own level wins over the stream's.
    assert_eq!(record.severity_number, 13);
    assert_eq!(record.severity_text, "W");
    let keys: Vec<&str> = record.attributes.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["trace_id", "severity_number", "level", "n"]);
    assert_eq!(record.attributes.get("n"), Some(&Value::Int(1)));
}

/// One field of a protobuf message.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

fn varint(number: u8, value: u64) -> Vec<u8> {
    let mut out = vec![number << 3];
    prost::encoding::encode_varint(value, &mut out);
    out
}

#[test]
fn protobuf_says_the_same_as_json() {
    let time = [varint(1, 1_767_312_000), varint(2, 1)].concat();
    let pair = [field(1, b"user"), field(2, b"u1")].concat();
    let entry = [field(1, &time), field(2, b"refused"), field(3, &pair)].concat();
    let stream = [
        field(1, br#"{app="shop", env="t\"1"}"#),
        field(2, &entry),
        varint(3, 42),
    ]
    .concat();
    let json = push(
        r#"{"app":"shop","env":"t\"1"}"#,
        r#"["1767312000000000001","refused",{"user":"u1"}]"#,
    );
    assert_eq!(
        decode(Encoding::LokiProtobuf, &field(1, &stream)),
        decode(Encoding::LokiJson, &json)
    );
}

#[test]
fn a_line_that_is_not_utf8_keeps_its_bytes() {
    let entry = field(2, b"caf\xe9");
    let stream = [field(1, b"{app=\"a\"}"), field(2, &entry)].concat();
    let record = one(Encoding::LokiProtobuf, &field(1, &stream));
    assert_eq!(record.body, Value::from("caf\u{fffd}"));
    assert_eq!(
        record.attributes.get("log.record.original"),
        Some(&Value::Bytes(b"caf\xe9".to_vec()))
    );
    // Without a time it is the receive time's.
    assert_eq!(record.timestamp, RECEIVED);
}

#[test]
fn a_time_that_nothing_can_hold_rejects_its_entry_alone() {
    let body = push(
        "{}",
        r#"["1","a"],["99999999999999999999","b"],[3,"c"],["4","d",null]"#,
    );
    let decoded = decode(Encoding::LokiJson, &body);
    let kept: Vec<(u32, i64)> = decoded
        .items
        .iter()
        .map(|(ordinal, record)| (*ordinal, record.timestamp))
        .collect();
    assert_eq!(kept, [(0, 1), (2, 3), (3, 4)]);
    assert_eq!(decoded.rejected[0].ordinal, 1);
    assert_eq!(decoded.rejected[0].reason, RejectReason::TimeOutOfRange);
}

#[test]
fn an_error_says_which_part_is_wrong() {
    for (body, expected) in [
        ("[]", "the body: expected an object with \"streams\""),
        (r#"{"streams":1}"#, "streams: expected an array"),
        (r#"{"streams":[1]}"#, "streams[0]: expected an object"),
        (
            r#"{"streams":[{}]}"#,
            "streams[0].stream: expected an object of labels",
        ),
        (
            r#"{"streams":[{"stream":{"a":1}}]}"#,
            "streams[0].stream: expected values that are strings",
        ),
        (
            r#"{"streams":[{"stream":{},"values":[["1"]]}]}"#,
            "streams[0].values[0]: expected [\"<unix nanoseconds>\", \"line\"]",
        ),
        (
            r#"{"streams":[{"stream":{},"values":[["now","x"]]}]}"#,
            "streams[0].values[0]: expected",
        ),
        (r#"{"streams""#, "malformed JSON at line 1, column 10"),
    ] {
        let error = wire::decode_logs(Encoding::LokiJson, body.as_bytes(), RECEIVED).unwrap_err();
        assert!(error.to_string().contains(expected), "{body}: {error}");
    }
    let stream = field(1, b"{app}");
    let error = wire::decode_logs(Encoding::LokiProtobuf, &field(1, &stream), RECEIVED);
    let message = error.unwrap_err().to_string();
    assert!(
        message.contains("streams[0].labels: expected '='"),
        "{message}"
    );
}

#[test]
fn an_empty_push_is_fine() {
    for body in [
        "{}",
        r#"{"streams":[]}"#,
        r#"{"streams":[{"stream":{"a":"b"},"values":[]}]}"#,
    ] {
        assert_eq!(decode(Encoding::LokiJson, body.as_bytes()).items, []);
    }
    assert_eq!(decode(Encoding::LokiProtobuf, b"").items, []);
}
