//! Syslog messages.

use model::{Encoding, LogRecord, Value};
use wire::syslog::Batch;

use crate::{RECEIVED, decode, pairs};

const SECOND: i64 = 1_000_000_000;

fn records(utc_offset: i32, messages: &[&[u8]]) -> Vec<LogRecord> {
    let mut batch = Batch::new(utc_offset);
    for message in messages {
        batch.push("192.0.2.7".parse().unwrap(), message);
    }
    assert_eq!(batch.messages(), messages.len());
    let decoded = decode(Encoding::Syslog, &batch.take());
    assert_eq!(decoded.rejected, []);
    assert!(batch.is_empty());
    decoded
        .items
        .into_iter()
        .map(|(_, record)| record)
        .collect()
}

fn record(message: &str) -> LogRecord {
    records(0, &[message.as_bytes()]).remove(0)
}

#[test]
fn rfc_5424_with_everything() {
    let record = record(
        "<165>1 2026-01-02T00:00:01.003Z mymachine.example.com evntslog 8710 ID47 \
         [exampleSDID@32473 iut=\"3\" eventSource=\"Appl\\\"ication\\]\" eventID=\"10\\11\"][empty@1] \
         \u{feff}An application event log entry…\n",
    );
    assert_eq!(record.timestamp, RECEIVED + SECOND + 3_000_000);
    assert_eq!(record.observed_timestamp, RECEIVED);
    assert_eq!(
        (record.severity_number, record.severity_text.as_str()),
        (10, "notice")
    );
    assert_eq!(record.body, Value::from("An application event log entry…"));
    assert_eq!(
        pairs(&record.resource.attributes),
        [
            ("host.name", "mymachine.example.com"),
            ("service.name", "evntslog")
        ]
    );
    assert_eq!(
        pairs(&record.attributes),
        [
            ("syslog.facility", "local4"),
            ("syslog.procid", "8710"),
            ("syslog.msgid", "ID47"),
            ("network.peer.address", "192.0.2.7"),
            ("syslog.sd.exampleSDID@32473.iut", "3"),
            ("syslog.sd.exampleSDID@32473.eventSource", "Appl\"ication]"),
            ("syslog.sd.exampleSDID@32473.eventID", "10\\11"),
            ("syslog.sd.empty@1", ""),
        ]
    );
}

#[test]
fn rfc_5424_with_nothing() {
    let record = record("<34>1 - - - - - -");
    assert_eq!(record.timestamp, RECEIVED);
    assert_eq!(record.body, Value::Empty);
    assert_eq!(record.severity_number, 18);
    assert_eq!(
        pairs(&record.resource.attributes),
        [("host.name", "192.0.2.7")]
    );
    assert_eq!(
        pairs(&record.attributes),
        [
            ("syslog.facility", "auth"),
            ("network.peer.address", "192.0.2.7")
        ]
    );
}

/// Time behind the receive time in seconds, host, application, process and text.
type Parsed<'a> = (i64, &'a str, Option<&'a str>, Option<&'a str>, &'a str);

#[test]
fn rfc_3164_in_the_forms_of_the_wild() {
    let cases: [(&str, Parsed<'_>); 11] = [
        (
            "<34>Jan  1 23:00:00 mymachine su: 'su root' failed",
            (-3_600, "mymachine", Some("su"), None, "'su root' failed"),
        ),
        (
            "<34>Jan 01 23:59:59.5 h sshd[42]: hi",
            (-1, "h", Some("sshd"), Some("42"), "hi"),
        ),
        // The year before.
        (
            "<34>Dec 31 00:00:00 h a: b",
            (-2 * 86_400, "h", Some("a"), None, "b"),
        ),
        (
            "<34>Jan  1 2026 23:59:59 h a: b",
            (-1, "h", Some("a"), None, "b"),
        ),
        (
            "<189>Jan  1 23:59:59: %SYS-5-CONFIG_I: Configured",
            (-1, "192.0.2.7", Some("%SYS-5-CONFIG_I"), None, "Configured"),
        ),
        (
            "<34>2026-01-02T01:59:59+02:00 h a/b.c[1]: x",
            (-1, "h", Some("a/b.c"), Some("1"), "x"),
        ),
        // Without a host, as the local socket has it.
        (
            "<13>Jan  1 23:59:59 root: x y",
            (-1, "192.0.2.7", Some("root"), None, "x y"),
        ),
        (
            "<13>Jan  1 23:59:59 h no tag",
            (-1, "h", None, None, "no tag"),
        ),
        (
            "<13>just text: really",
            (0, "192.0.2.7", None, None, "just text: really"),
        ),
        (
            "no priority: x",
            (0, "192.0.2.7", None, None, "no priority: x"),
        ),
        ("<192>x", (0, "192.0.2.7", None, None, "<192>x")),
    ];
    for (message, (seconds, host, app, process, text)) in cases {
        let record = record(message);
        let second = (record.timestamp - RECEIVED).div_euclid(SECOND);
        assert_eq!(second, seconds, "{message}");
        let resource = &record.resource.attributes;
        assert_eq!(resource.get_str("host.name"), Some(host), "{message}");
        assert_eq!(resource.get_str("service.name"), app, "{message}");
        let procid = record.attributes.get_str("syslog.procid");
        assert_eq!(procid, process, "{message}");
        assert_eq!(record.body, Value::from(text), "{message}");
    }
}

#[test]
fn times_without_a_zone_are_in_the_configured_one() {
    let message = b"<34>Jan  2 02:00:00 h a: b".as_slice();
    let in_zone = records(7_200, &[message]).remove(0);
    assert_eq!(in_zone.timestamp, RECEIVED);
    assert_eq!(in_zone.attributes.get("syslog.timestamp"), None);
    // In UTC it would lie ahead, which no sender can mean.
    let in_utc = records(0, &[message]).remove(0);
    assert_eq!(in_utc.timestamp, RECEIVED);
    assert_eq!(
        in_utc.attributes.get_str("syslog.timestamp"),
        Some("Jan  2 02:00:00")
    );
}

#[test]
fn a_message_that_is_not_utf8_keeps_its_bytes() {
    let message = b"<13>1 2026-01-02T00:00:00Z h a - - - caf\xe9\0";
    let record = records(0, &[message]).remove(0);
    assert_eq!(record.body, Value::from("caf\u{fffd}"));
    assert_eq!(
        record.attributes.get("log.record.original"),
        Some(&Value::Bytes(message[..message.len() - 1].to_vec()))
    );
}

#[test]
fn almost_rfc_5424_is_a_message_all_the_same() {
    for message in [
        "<34>1 yesterday h a - - - x",
        "<34>1 - h a - - [a b=c] x",
        "<34>1 - h a - - [a b=\"c] x",
        "<34>1 - h a - - []x",
        "<34>1 - h a - - -x",
        "<34>1 - h",
    ] {
        let record = record(message);
        let Value::String(body) = &record.body else {
            panic!("{message}");
        };
        assert_eq!(format!("<34>{body}"), message);
        assert_eq!(record.severity_number, 18, "{message}");
    }
}

#[test]
fn messages_may_hold_anything() {
    let messages: [&[u8]; 4] = [b"", b"a\nb 7 10.0.0.1 c", b"\0", &[0xff; 3]];
    assert_eq!(records(0, &messages).len(), 4);
}
