//! Anything a network can bring is decoded or refused, and the same again at replay.

use model::{Encoding, Seq};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::otlp::DecodeError;

use crate::RECEIVED;

const ENCODINGS: [Encoding; 4] = [
    Encoding::LokiProtobuf,
    Encoding::LokiJson,
    Encoding::ElasticsearchBulk,
    Encoding::Syslog,
];

fn decodes_the_same_twice(encoding: Encoding, body: &[u8]) {
    let decode = || wire::decode_logs(encoding, body, RECEIVED);
    assert_eq!(decode(), decode());
}

#[test]
fn deep_json_is_refused() {
    let deep = "[".repeat(100_000);
    let objects = r#"{"a":"#.repeat(100_000);
    for body in [
        format!(r#"{{"streams":{deep}"#),
        objects.clone(),
        format!("\n{{\"create\":{objects}"),
    ] {
        let decoded = wire::decode_logs(Encoding::LokiJson, body.as_bytes(), 0);
        assert!(decoded.is_err());
        let decoded = wire::decode_logs(Encoding::ElasticsearchBulk, body.as_bytes(), 0);
        assert!(decoded.is_err());
    }
    let document = format!("\n{{\"create\":{{}}}}\n{{\"a\":{deep}");
    let decoded = wire::decode_logs(Encoding::ElasticsearchBulk, document.as_bytes(), 0).unwrap();
    assert_eq!(decoded.rejected.len(), 1);
}

#[test]
fn small_bodies_do_not_grow_without_bound() {
    // Empty entries in protobuf, two bytes each.
    let entries = [0x12, 0x00].repeat(4 << 20);
    let mut stream = vec![0x0a];
    prost::encoding::encode_varint(entries.len() as u64, &mut stream);
    stream.extend(entries);
    assert!(matches!(
        wire::decode_logs(Encoding::LokiProtobuf, &stream, 0),
        Err(DecodeError::TooHeavy { .. })
    ));
    // Empty arrays in JSON, three bytes each.
    let values = format!("{{\"a\":[{}[]]}}", "[],".repeat(9 << 20));
    assert!(matches!(
        wire::decode_logs(Encoding::LokiJson, values.as_bytes(), 0),
        Err(DecodeError::TooHeavy { .. })
    ));
    let document = format!("\n{{\"create\":{{}}}}\n{values}");
    assert!(matches!(
        wire::decode_logs(Encoding::ElasticsearchBulk, document.as_bytes(), 0),
        Err(DecodeError::TooHeavy { .. })
    ));
    // Many keys under a long prefix.
    let prefix = "k".repeat(200);
    let members = "\"\":1,".repeat(2 << 20);
    let document = format!("\n{{\"create\":{{}}}}\n{{\"{prefix}\":{{{members}\"\":1}}}}");
    assert!(matches!(
        wire::decode_logs(Encoding::ElasticsearchBulk, document.as_bytes(), 0),
        Err(DecodeError::TooHeavy { .. })
    ));
}

#[test]
fn more_items_than_can_be_numbered_are_refused() {
    let many = "{\"delete\":{}}\n".repeat(Seq::MAX_ITEMS + 1);
    let body = format!("\n{many}");
    assert!(matches!(
        wire::decode_logs(Encoding::ElasticsearchBulk, body.as_bytes(), 0),
        Err(DecodeError::TooManyItems { .. })
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(body in vec(any::<u8>(), 0..300)) {
        for encoding in ENCODINGS {
            decodes_the_same_twice(encoding, &body);
        }
    }

    /// Real bodies with one byte changed or their end cut off.
    #[test]
    fn damaged_bodies_are_decoded_or_refused(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bodies: [(Encoding, &[u8]); 4] = [
            (
                Encoding::LokiProtobuf,
                b"\x0a\x1d\x0a\x09{app=\"a\"}\x12\x10\x0a\x04\x08\x01\x10\x01\x12\x01x\x1a\x05\x0a\x01a\x12",
            ),
            (
                Encoding::LokiJson,
                br#"{"streams":[{"stream":{"app":"a"},"values":[["1","x",{"trace_id":"1"}]]}]}"#,
            ),
            (
                Encoding::ElasticsearchBulk,
                b"\"index\"\n{\"create\":{\"_id\":\"1\"}}\n{\"@timestamp\":\"2026-01-02\",\"host\":{\"name\":\"a\"},\"level\":\"info\"}\n{\"delete\":{}}\n",
            ),
            (
                Encoding::Syslog,
                b"0\n41 ::1 <34>1 2026-01-02T00:00:00Z h a 1 i [a b=\"c\"]29 ::1 <34>Jan  1 23:00:00 su[1]: hi!",
            ),
        ];
        for (encoding, body) in bodies {
            let index = at.index(body.len());
            decodes_the_same_twice(encoding, &body[..index]);
            let mut changed = body.to_vec();
            changed[index] = byte;
            decodes_the_same_twice(encoding, &changed);
        }
    }

    #[test]
    fn any_text_is_a_syslog_message(
        priority in 0..200_u8,
        head in prop::sample::select(vec!["", "1 ", "1 - - - - - ", "Jan  1 00:00:00 ", "2026-01-02T00:00:00Z "]),
        text in "\\PC{0,60}",
    ) {
        let mut batch = wire::syslog::Batch::new(0);
        batch.push([127, 0, 0, 1].into(), format!("<{priority}>{head}{text}").as_bytes());
        let decoded = wire::decode_logs(Encoding::Syslog, &batch.take(), RECEIVED).unwrap();
        prop_assert_eq!(decoded.items.len(), 1);
    }
}
