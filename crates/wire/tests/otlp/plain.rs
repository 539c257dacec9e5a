//! Requests are read in place exactly as prost reads them, however they are written.

use model::{Encoding, LogRecord, Span};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use prost::encoding::encode_varint;
use wire::otlp::{DecodeError, Decoded};

use crate::{decode_logs, decode_spans};

/// The bytes of one field.
type Field = Vec<u8>;

fn key(number: u32, wire_type: u32) -> Field {
    let mut out = Vec::new();
    encode_varint(u64::from((number << 3) | wire_type), &mut out);
    out
}

fn delimited(number: u32, content: &[u8]) -> Field {
    let mut out = key(number, 2);
    encode_varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

fn varint(number: u32) -> BoxedStrategy<Field> {
    let form = move |(value, padded): (u64, bool)| {
        let mut out = key(number, 0);
        encode_varint(value, &mut out);
        if padded && out.len() < 8 {
            // A longer form of the same number.
            *out.last_mut().expect("a varint has a byte") |= 0x80;
            out.push(0);
        }
        out
    };
    (prop_oneof![0..300_u64, any::<u64>()], any::<bool>())
        .prop_map(form)
        .boxed()
}

fn fixed64(number: u32) -> BoxedStrategy<Field> {
    let time = prop_oneof![8 => 0..1_000_u64, 1 => any::<u64>()];
    time.prop_map(move |value| [key(number, 1), value.to_le_bytes().to_vec()].concat())
        .boxed()
}

fn fixed32(number: u32) -> BoxedStrategy<Field> {
    any::<u32>()
        .prop_map(move |value| [key(number, 5), value.to_le_bytes().to_vec()].concat())
        .boxed()
}

fn text(number: u32) -> BoxedStrategy<Field> {
    "\\PC{0,6}"
        .prop_map(move |text| delimited(number, text.as_bytes()))
        .boxed()
}

fn id(number: u32, length: usize) -> BoxedStrategy<Field> {
    let bytes = prop_oneof![6 => vec(1..9_u8, length), 1 => vec(any::<u8>(), 0..20)];
    bytes
        .prop_map(move |bytes| delimited(number, &bytes))
        .boxed()
}

/// A message of any of these fields, in any order, any number of times, some of them unknown and
/// a few of them wrong.
fn message(fields: Vec<BoxedStrategy<Field>>, at_most: usize) -> BoxedStrategy<Field> {
    let known = proptest::strategy::Union::new(fields);
    let unknown = prop_oneof![
        varint(50),
        text(51),
        fixed32(52),
        fixed64(53),
        // A group with a field in it.
        text(1).prop_map(|inner| [key(54, 3), inner, key(54, 4)].concat()),
    ];
    let wrong = prop_oneof![
        varint(1),
        text(2),
        fixed64(3),
        Just(vec![0xff; 11]),
        Just(vec![0]),
        Just(delimited(3, b"\xff\xfe")),
        Just(vec![0x0a, 0x7f]),
        Just(key(60, 4)),
    ];
    let field = prop_oneof![400 => known, 12 => unknown, 1 => wrong];
    vec(field, 0..at_most)
        .prop_map(|fields| fields.concat())
        .boxed()
}

fn inside(number: u32, content: BoxedStrategy<Field>) -> BoxedStrategy<Field> {
    content
        .prop_map(move |content| delimited(number, &content))
        .boxed()
}

fn any_value(depth: u32) -> BoxedStrategy<Field> {
    let mut fields = vec![
        text(1),
        varint(2),
        varint(3),
        fixed64(4),
        text(7),
        varint(8),
    ];
    if depth > 0 {
        fields.push(inside(5, message(vec![inside(1, any_value(depth - 1))], 3)));
        fields.push(inside(6, message(vec![inside(1, key_value(depth - 1))], 3)));
    }
    message(fields, 3)
}

fn key_value(depth: u32) -> BoxedStrategy<Field> {
    message(vec![text(1), inside(2, any_value(depth)), varint(3)], 4)
}

fn log_record() -> BoxedStrategy<Field> {
    message(
        vec![
            fixed64(1),
            varint(2),
            text(3),
            inside(5, any_value(2)),
            inside(6, key_value(2)),
            inside(6, key_value(0)),
            varint(7),
            fixed32(8),
            id(9, 16),
            id(10, 8),
            fixed64(11),
            text(12),
        ],
        10,
    )
}

fn span() -> BoxedStrategy<Field> {
    let event = message(
        vec![fixed64(1), text(2), inside(3, key_value(1)), varint(4)],
        4,
    );
    let link = message(
        vec![
            id(1, 16),
            id(2, 8),
            text(3),
            inside(4, key_value(1)),
            varint(5),
            fixed32(6),
        ],
        5,
    );
    let rest = message(
        vec![
            text(3),
            id(4, 8),
            text(5),
            varint(6),
            fixed64(7),
            fixed64(8),
            inside(9, key_value(1)),
            varint(10),
            inside(11, event),
            varint(12),
            inside(13, link),
            varint(14),
            inside(15, message(vec![text(2), varint(3)], 3)),
            fixed32(16),
        ],
        10,
    );
    // Most spans have what they must have.
    (id(1, 16), id(2, 8), rest)
        .prop_map(|(trace, span, rest)| [trace, span, rest].concat())
        .boxed()
}

fn request(item: BoxedStrategy<Field>) -> BoxedStrategy<Field> {
    let entity = message(vec![text(1), text(2), text(3), text(4)], 3);
    let resource = message(
        vec![inside(1, key_value(1)), varint(2), inside(3, entity)],
        4,
    );
    let scope = message(
        vec![text(1), text(2), inside(3, key_value(1)), varint(4)],
        4,
    );
    let items = || inside(2, item.clone());
    let by_scope = message(vec![inside(1, scope), items(), items(), text(3)], 5);
    let by_resource = message(vec![inside(1, resource), inside(2, by_scope), text(3)], 5);
    message(vec![inside(1, by_resource)], 3)
}

/// What prost makes of `body`, written anew and then read: nothing in it is unusual any more.
fn through_prost<M: Message + Default, T>(
    body: &[u8],
    read: impl Fn(Encoding, &[u8], i64) -> Result<Decoded<T>, DecodeError>,
) -> Result<Decoded<T>, String> {
    let request = M::decode(body).map_err(|error| format!("malformed protobuf: {error}"))?;
    let body = request.encode_to_vec();
    read(Encoding::OtlpProtobuf, &body, 7).map_err(|error| error.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn logs_are_read_as_prost_reads_them(body in request(log_record())) {
        let read = decode_logs(Encoding::OtlpProtobuf, &body, 7);
        let expected = through_prost::<ExportLogsServiceRequest, LogRecord>(&body, decode_logs);
        prop_assert_eq!(read.map_err(|error| error.to_string()), expected);
    }

    #[test]
    fn spans_are_read_as_prost_reads_them(body in request(span())) {
        let read = decode_spans(Encoding::OtlpProtobuf, &body, 7);
        let expected = through_prost::<ExportTraceServiceRequest, Span>(&body, decode_spans);
        prop_assert_eq!(read.map_err(|error| error.to_string()), expected);
    }
}

#[test]
fn nesting_is_refused_at_the_depth_at_which_prost_refuses_it() {
    for levels in 40..55 {
        let mut value = delimited(1, b"x");
        for _ in 0..levels {
            value = delimited(5, &delimited(1, &value));
        }
        let mut body = delimited(5, &value);
        for number in [2, 2, 1] {
            body = delimited(number, &body);
        }
        let read = decode_logs(Encoding::OtlpProtobuf, &body, 7);
        let expected = ExportLogsServiceRequest::decode(body.as_slice());
        assert_eq!(read.is_ok(), expected.is_ok(), "{levels} levels");
    }
}
