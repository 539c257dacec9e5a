//! OTLP/JSON in the forms that senders write.

use model::{Encoding, LogRecord, Value};

fn records(json: &str) -> Vec<LogRecord> {
    crate::decode_logs(Encoding::OtlpJson, json.as_bytes(), 7)
        .unwrap_or_else(|err| panic!("{json}: {err}"))
        .items
        .into_iter()
        .map(|(_, record)| record)
        .collect()
}

/// The one record of `{"logRecords":[RECORD]}`.
fn record(json: &str) -> LogRecord {
    let request = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{json}]}}]}}]}}"#);
    records(&request).remove(0)
}

#[test]
fn missing_fields_and_nulls_are_defaults() {
    for empty in [
        "{}",
        r#"{"resourceLogs":null}"#,
        r#"{"resourceLogs":[]}"#,
        r#"{"resourceLogs":[{}]}"#,
        r#"{"resourceLogs":[{"resource":null,"scopeLogs":[{"scope":null,"logRecords":null}]}]}"#,
    ] {
        assert_eq!(records(empty), []);
    }
    let nulls = r#"{"timeUnixNano":null,"body":null,"attributes":null,"traceId":null,"severityText":null,"flags":null}"#;
    assert_eq!(record(nulls), record("{}"));
    assert_eq!(record("{}").timestamp, 7);
}

#[test]
fn numbers_are_read_from_strings_and_bare() {
    for json in [
        r#"{"timeUnixNano":"1544712660300000001"}"#,
        r#"{"timeUnixNano":1544712660300000001}"#,
    ] {
        assert_eq!(record(json).timestamp, 1_544_712_660_300_000_001);
    }
    assert_eq!(record(r#"{"severityNumber":17}"#).severity_number, 17);
    assert_eq!(record(r#"{"severityNumber":"17"}"#).severity_number, 17);
}

#[test]
fn unknown_fields_are_ignored_however_deep() {
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let json = format!(r#"{{"severityText":"x","future":{deep}}}"#);
    assert_eq!(record(&json).severity_text, "x");
}

#[test]
fn every_kind_of_value_is_read() {
    let cases = [
        (r#"{"stringValue":"a"}"#, Value::from("a")),
        (r#"{"boolValue":true}"#, Value::Bool(true)),
        (r#"{"intValue":"-5"}"#, Value::Int(-5)),
        (r#"{"intValue":-5}"#, Value::Int(-5)),
        (r#"{"doubleValue":0.1}"#, Value::Double(0.1)),
        // Off by one bit when read by a parser that is merely fast.
        (
            r#"{"doubleValue":51.24817837550540}"#,
            Value::Double(51.248_178_375_505_4),
        ),
        (
            r#"{"doubleValue":"-Infinity"}"#,
            Value::Double(f64::NEG_INFINITY),
        ),
        (r#"{"doubleValue":"2.5"}"#, Value::Double(2.5)),
        (r#"{"bytesValue":"+/8="}"#, Value::Bytes(vec![0xfb, 0xff])),
        (r#"{"bytesValue":"-_8="}"#, Value::Bytes(vec![0xfb, 0xff])),
        (r#"{"arrayValue":{}}"#, Value::Array(Vec::new())),
        (
            r#"{"arrayValue":{"values":[{"intValue":1},{}]}}"#,
            Value::Array(vec![Value::Int(1), Value::Empty]),
        ),
        (
            r#"{"kvlistValue":{"values":[{"key":"k"}]}}"#,
            Value::Map(vec![("k".to_owned(), Value::Empty)]),
        ),
        (r#"{"stringValue":null,"intValue":1}"#, Value::Int(1)),
        (r#"{"newValue":1}"#, Value::Empty),
        ("{}", Value::Empty),
    ];
    for (json, expected) in cases {
        assert_eq!(
            record(&format!(r#"{{"body":{json}}}"#)).body,
            expected,
            "{json}"
        );
    }
}

#[test]
fn bytes_that_are_no_utf8_are_refused_even_in_unknown_fields() {
    let body = b"{\n\"future\":\"\xff\"}";
    let err = crate::decode_logs(Encoding::OtlpJson, body, 7).unwrap_err();
    assert_eq!(
        err.to_string(),
        "malformed JSON at line 2, column 11: the body is not UTF-8"
    );
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        ("", "line 1, column 0: EOF"),
        (
            "[]",
            "line 1, column 0: invalid type: sequence, expected an object",
        ),
        (
            r#"{"resourceLogs":[[]]}"#,
            "invalid type: sequence, expected an object",
        ),
        (
            "{\n\"resourceLogs\": 5}",
            "line 2, column 17: invalid type: integer `5`",
        ),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"x"}]}]}]}"#,
            r#"expected a u64 integer, got "x""#,
        ),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":-1}]}]}]}"#,
            r#"expected a u64 integer, got "-1""#,
        ),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"xyz"}]}]}]}"#,
            r#"expected hexadecimal digits, got "xyz""#,
        ),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"bytesValue":"?"}}]}]}]}"#,
            "expected base64",
        ),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"doubleValue":"inf"}}]}]}]}"#,
            "expected a double",
        ),
        (
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":1,"boolValue":true}}]}]}]}"#,
            "this one has several",
        ),
        ("{} {}", "trailing characters"),
    ];
    for (json, expected) in cases {
        let err = crate::decode_logs(Encoding::OtlpJson, json.as_bytes(), 7).unwrap_err();
        assert!(err.to_string().contains(expected), "{json}: {err}");
    }
}
