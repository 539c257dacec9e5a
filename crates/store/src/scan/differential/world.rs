//! Random records in which random searches find something.

use std::sync::Arc;

use fastrand::Rng;
use model::{Attributes, LogRecord, Resource, Scope, SpanId, TraceId, Value};

use crate::columns::arbitrary;

/// The first record's time, Unix s.
pub(super) const START: i64 = 1_700_000_000;

/// Words that every service says, those of one service alone, and ones that are easily mistaken.
pub(super) const COMMON: [&str; 12] = [
    "request",
    "Done",
    "retry",
    "timeout",
    "Größe",
    "straße",
    "日志",
    "x1",
    "user_42",
    "took",
    "İstanbul",
    "ok",
];

/// The services with their own words; the last has no name.
pub(super) const SERVICES: [(&str, [&str; 4]); 5] = [
    ("api", ["route", "handler", "GET", "POST"]),
    ("web", ["render", "template", "cookie", "session"]),
    ("db", ["connection", "refused", "deadlock", "vacuum"]),
    ("queue worker", ["job", "enqueued", "backoff", "lease"]),
    ("", ["orphan", "nobody", "lost", "stray"]),
];

/// Keys of which each record has few, more than get columns of their own.
pub(super) const RARE_KEYS: u32 = 150;

/// One record, at `n` steps of 10 ms after the start.
pub(super) fn record(rng: &mut Rng, n: i64) -> LogRecord {
    let mut record = arbitrary::plain_log(START * 1_000_000_000 + n * 10_000_000);
    let (service, own_words) = rng.choice(&SERVICES).unwrap();
    record.severity_number = match *service {
        "db" if rng.u8(..4) == 0 => rng.i32(17..=24),
        _ => *rng.choice(&[0, 0, 0, 5, 9, 9, 10, 13, 30]).unwrap(),
    };
    record.severity_text = pick(rng, &["", "INFO", "Warning"]);
    record.event_name = pick(rng, &["", "", "user.login", "user.logout"]);
    if rng.bool() {
        record.observed_timestamp = record.timestamp + 1_000;
    }
    if rng.u8(..3) == 0 {
        let id = rng.u8(1..40);
        record.trace_id = TraceId::from_bytes(&[id; 16]).ok();
        record.span_id = SpanId::from_bytes(&[0, id, id, id, id, id, id, id]).ok();
    }
    record.body = body(rng, own_words, n);
    record.attributes = attributes(rng, n);
    record.resource = Arc::new(resource(rng, service));
    record.scope = Arc::new(Scope {
        name: pick(rng, &["", "api::tasks", "sqlx"]),
        version: pick(rng, &["", "1.2"]),
        ..Scope::default()
    });
    record
}

fn pick(rng: &mut Rng, choices: &[&str]) -> String {
    (*rng.choice(choices).unwrap()).to_owned()
}

fn map(entries: &[(&str, Value)]) -> Value {
    let entries = entries.iter();
    Value::Map(
        entries
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

fn body(rng: &mut Rng, own_words: &[&str], n: i64) -> Value {
    match rng.u8(..40) {
        0 => Value::Empty,
        1 => Value::from(""),
        2 => Value::from("... --- ..."),
        3 => Value::Int(rng.i64(-5..100)),
        4 => Value::Bytes(vec![rng.u8(..), 255]),
        5 => Value::Array(vec![Value::from("disk full"), Value::Int(n % 10)]),
        6 => map(&[
            ("event", Value::from("log\nin")),
            (
                "user",
                map(&[
                    ("id", Value::Int(n % 20)),
                    ("name", Value::from("Ann \"A\"")),
                ]),
            ),
        ]),
        7 => Value::from(format!(
            r#"{{"level":"warn","status":{},"user":{{"id":{},"name":"Bob"}}}}"#,
            400 + n % 200,
            n % 20
        )),
        8 => Value::from(format!(r#"{{"us\u0065r":{{"id":{}}}}}"#, n % 20)),
        // Where it stands, any end of a word may be.
        9 if own_words.contains(&"job") => {
            Value::from(format!("payload {}end {}", "Ab9é".repeat(40), n % 7))
        }
        // Texts that state a level.
        10 if own_words.contains(&"job") => Value::from(format!("[ERROR] job {n}")),
        11 => Value::from(format!("level=debug took={}ms", n % 50)),
        12 => Value::from(format!("12:30:45 | WARN | {} {n}", own_words[0])),
        13 => map(&[("lvl", Value::from("trace")), ("n", Value::Int(n % 9))]),
        14 => Value::from(format!("<14>{} {n}", own_words[1])),
        _ => {
            let separators = [" ", " ", " ", " ", ", ", "-", "=", ": ", "/", "\n", "."];
            let mut text = String::new();
            for _ in 0..rng.usize(1..7) {
                match rng.u8(..12) {
                    0 => text.push_str(&format!("10.0.{}.{}", rng.u8(..3), rng.u8(..4))),
                    1 => text.push_str(&format!("req-{:06x}", rng.u32(..1 << 24))),
                    2 => text.push_str(&format!("{}ms", rng.u16(..2_000))),
                    3 => text.push_str("/search?q=1"),
                    4..=7 => text.push_str(rng.choice(own_words).unwrap()),
                    _ => text.push_str(rng.choice(&COMMON).unwrap()),
                }
                text.push_str(rng.choice(&separators).unwrap());
            }
            Value::from(text)
        }
    }
}

fn attributes(rng: &mut Rng, n: i64) -> Attributes {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut add = |key: &str, value: Value| entries.push((key.to_owned(), value));
    match rng.u8(..10) {
        0 => add("status", Value::from("500")),
        1 => add("status", Value::Double(500.5)),
        2 => add("status", Value::from("unknown")),
        3 => {}
        _ => add(
            "status",
            Value::Int(*rng.choice(&[200, 201, 404, 500, 503]).unwrap()),
        ),
    }
    if rng.bool() {
        let took = match rng.u8(..3) {
            0 => format!("{}ms", rng.u16(..2_000)),
            1 => format!("{}.5s", rng.u8(..3)),
            _ => format!("{}h", rng.u8(..3)),
        };
        add("took", Value::from(took));
    }
    if rng.u8(..3) == 0 {
        let size = rng
            .choice(&["10KB", "2 KiB", "512B", "1.5mb", "7"])
            .unwrap();
        add("size", Value::from(*size));
    }
    if rng.u8(..4) == 0 {
        let city = rng.choice(&["Bern", "Zürich", "bern"]).unwrap();
        let address = map(&[
            ("city", Value::from(*city)),
            ("zip", Value::Int(3_000 + n % 5)),
        ]);
        add(
            "user",
            map(&[("address", address), ("id", Value::Int(n % 30))]),
        );
    }
    if rng.u8(..6) == 0 {
        add("user.id", Value::from(format!("u{}", n % 4)));
    }
    if rng.u8(..10) == 0 {
        add("user", Value::from("plain"));
    }
    match rng.u8(..12) {
        0 => add(
            "tags",
            Value::Array(vec![Value::from("prod"), Value::from("eu")]),
        ),
        1 => add("empty", Value::Empty),
        2 => add("blank", Value::from("")),
        3 => add("odd name", Value::from("a:b (c)*")),
        4 => add("flag", Value::Bool(n % 2 == 0)),
        5 => add("stack", Value::from("at main.rs:1\nat lib.rs:2")),
        6 => add("long", Value::from(format!("{}{}", "z".repeat(300), n % 3))),
        _ => {}
    }
    // Ids that hardly repeat, and a route with few values.
    add("req.id", Value::from(format!("{:08x}", rng.u32(..))));
    let route = rng
        .choice(&["/api/tasks", "/api/tasks/1", "/api/users", "/health"])
        .unwrap();
    add("http.route", Value::from(*route));
    add(&format!("k{:03}", rng.u32(..RARE_KEYS)), Value::Int(n % 3));
    if rng.u8(..8) == 0 {
        let repeated = entries[rng.usize(..entries.len())].0.clone();
        entries.push((repeated, Value::from("again")));
    }
    rng.shuffle(&mut entries);
    Attributes(entries)
}

fn resource(rng: &mut Rng, service: &str) -> Resource {
    let host = format!(
        "{}-{}",
        if service == "db" { "db" } else { "web" },
        rng.u8(1..4)
    );
    let mut entries = vec![
        ("host".to_owned(), Value::from(host)),
        ("zone".to_owned(), Value::from(pick(rng, &["eu-1", "us-1"]))),
    ];
    if !service.is_empty() {
        entries.push(("service.name".to_owned(), Value::from(service)));
    }
    if service == "web" {
        let node = map(&[("cpu", Value::Int(8)), ("id", Value::from("n1"))]);
        entries.push(("node".to_owned(), node));
    }
    // A name that records have, too.
    if rng.u8(..5) == 0 {
        entries.push(("status".to_owned(), Value::from("up")));
    }
    Resource {
        attributes: Attributes(entries),
        ..Resource::default()
    }
}
