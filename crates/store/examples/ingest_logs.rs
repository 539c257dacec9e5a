//! The hot loop of ingest alone, once: requests of 65,536 log records are read, become open rows,
//! then one row group, then a split.
//!
//! The same input takes the same instructions and the same bytes in every run, so that both can be
//! watched where clocks cannot be trusted:
//!
//! ```sh
//! cargo build --release -p store --example ingest_logs
//! valgrind --tool=callgrind --toggle-collect='*ingest_once*' target/release/examples/ingest_logs
//! ```
//!
//! Prints one JSON object: records, bytes of the requests, bytes of the split. With the path of a
//! corpus that `loadgen` wrote, its first 65,536 records are taken instead of generated ones.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use fastrand::Rng;
use model::{Encoding, LogRecord, Seq};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1 as wire_logs;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use store::columns::OpenRows;
use store::split::{self, RowGroup};
use wire::otlp::{self, Origins};

const RECORDS: usize = 65_536;
const RECORDS_PER_REQUEST: usize = 1024;

fn main() {
    let requests = match std::env::args().nth(1) {
        Some(path) => corpus(&std::fs::read(path).expect("the corpus can be read")),
        None => generated(),
    };
    let sent: usize = requests.iter().map(Bytes::len).sum();
    let (records, stored) = ingest_once(&requests);
    println!(
        "{}",
        serde_json::json!({
            "records": records,
            "request_bytes": sent,
            "split_bytes": stored,
            "split_bytes_per_record": stored as f64 / records as f64,
        })
    );
}

/// What is measured. Returns how many records there were, and the bytes of their split.
#[inline(never)]
fn ingest_once(requests: &[Bytes]) -> (usize, usize) {
    let origins = Origins::new();
    let mut open: OpenRows<LogRecord> = OpenRows::new();
    for (position, body) in requests.iter().enumerate() {
        let items = otlp::read_logs(Encoding::OtlpProtobuf, body, 0, &origins)
            .expect("the requests are well-formed")
            .items;
        let place = |(ordinal, item)| (Seq::new(position as u64, ordinal), item);
        open.append(items.into_iter().map(place).collect());
    }
    let rows = open.chunks().iter().flat_map(|chunk| chunk.rows());
    let group = RowGroup::encode::<LogRecord>(rows.take(RECORDS)).expect("rows can be encoded");
    let records = group.rows();
    let mut split = Vec::new();
    split::write(&[Arc::new(group)], &mut split).expect("a row group makes a split");
    (records, split.len())
}

/// The first requests of a corpus: frames of body length, items and uncompressed length, each
/// `u32` little-endian, then the body.
fn corpus(file: &[u8]) -> Vec<Bytes> {
    let number = |at: usize| {
        let bytes = file[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes) as usize
    };
    let (mut at, mut records) = (0, 0);
    let mut requests = Vec::new();
    while at < file.len() && records < RECORDS {
        let length = number(at);
        records += number(at + 4);
        requests.push(Bytes::copy_from_slice(&file[at + 12..at + 12 + length]));
        at += 12 + length;
    }
    requests
}

/// A web service's records: a few templates, values that repeat and values that do not.
fn generated() -> Vec<Bytes> {
    let mut random = Rng::with_seed(42);
    let mut time = 1_700_000_000_000_000_000;
    (0..RECORDS / RECORDS_PER_REQUEST)
        .map(|_| {
            let mut services: Vec<wire_logs::ResourceLogs> = (0..8).map(service).collect();
            for _ in 0..RECORDS_PER_REQUEST {
                time += random.u64(1..2_000_000);
                let at = random.usize(0..services.len());
                services[at].scope_logs[0]
                    .log_records
                    .push(record(&mut random, time));
            }
            let request = ExportLogsServiceRequest {
                resource_logs: services,
            };
            Bytes::from(request.encode_to_vec())
        })
        .collect()
}

fn service(number: usize) -> wire_logs::ResourceLogs {
    let attributes = vec![
        text("service.name", &format!("service-{}", number / 2)),
        text("service.version", "2.4.1"),
        text("deployment.environment", "production"),
        text("host.name", &format!("node-{number:02}.example.internal")),
    ];
    wire_logs::ResourceLogs {
        resource: Some(Resource {
            attributes,
            ..Resource::default()
        }),
        scope_logs: vec![wire_logs::ScopeLogs::default()],
        schema_url: String::new(),
    }
}

fn record(random: &mut Rng, time: u64) -> wire_logs::LogRecord {
    let user = random.u32(0..50_000);
    let mut attributes = vec![
        text("user_id", &format!("u_{user:06}")),
        text("thread", &format!("http-exec-{}", random.u32(1..64))),
    ];
    let mut body = String::new();
    let severity = if random.u32(0..100) < 60 {
        let route = ["/api/v1/tasks", "/api/v1/projects", "/api/v1/users/me"];
        let (route, task) = (
            random.choice(route).unwrap_or_default(),
            random.u32(0..900_000),
        );
        let status = random.choice([200, 200, 200, 201, 404, 500]).unwrap_or(200);
        let took = f64::from(random.u32(1..90_000)) / 100.0;
        write!(
            body,
            "GET {route}/{task} completed with status {status} in {took} ms"
        )
        .expect("writing to a string");
        attributes.extend([
            text("http.request.method", "GET"),
            text("http.route", route),
            text("url.path", &format!("{route}/{task}")),
            value("http.response.status_code", Value::IntValue(status)),
            value("duration_ms", Value::DoubleValue(took)),
            text(
                "user_agent.original",
                "Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0",
            ),
            text("request_id", &format!("{:016x}", random.u64(..))),
        ]);
        if status < 500 { 9 } else { 17 }
    } else {
        let table = random
            .choice(["tasks", "projects", "users"])
            .unwrap_or_default();
        let rows = random.u32(0..500);
        write!(
            body,
            "statement on {table} returned {rows} rows for user {user}"
        )
        .expect("writing to a string");
        attributes.extend([
            text("db.system", "postgresql"),
            text("db.collection.name", table),
            value("db.rows", Value::IntValue(i64::from(rows))),
            text("logger", "com.example.repository.Statements"),
        ]);
        5
    };
    wire_logs::LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time + random.u64(1..1_000_000),
        severity_number: severity,
        severity_text: if severity == 17 { "ERROR" } else { "INFO" }.to_owned(),
        body: Some(AnyValue {
            value: Some(Value::StringValue(body)),
        }),
        attributes,
        trace_id: random.u128(1..).to_be_bytes().to_vec(),
        span_id: random.u64(1..).to_be_bytes().to_vec(),
        flags: 1,
        ..wire_logs::LogRecord::default()
    }
}

fn text(key: &str, content: &str) -> KeyValue {
    value(key, Value::StringValue(content.to_owned()))
}

fn value(key: &str, content: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(content),
        }),
        key_strindex: 0,
    }
}
