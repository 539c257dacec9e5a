//! The native logs API around the search: facets, completion, context, patterns, exports, tails.

use reqwest::Method;
use serde_json::{Value, json};

use crate::otlp::{self, logs, now, record};
use crate::server::{Home, PATIENCE, Process, Server, answer};

/// Sends records of one service.
async fn send(
    server: &Process,
    service: &str,
    records: Vec<opentelemetry_proto::tonic::logs::v1::LogRecord>,
) {
    let sent = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&logs(service, records)));
    let answer = answer(sent).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
}

/// An answer to a question about the last hour and the next minutes.
async fn ask(server: &Process, what: &str, mut question: Value) -> Value {
    question["start"] = json!("now-1h");
    question["end"] = json!("now+5m");
    let answer = server
        .post_json(&format!("/api/v1/logs/{what}"), &question)
        .await;
    assert_eq!(answer.status, 200, "{what} {question}: {}", answer.text);
    let answer = answer.json();
    assert_eq!(answer["partial"], false, "{answer}");
    answer
}

/// One of our own metrics, 0 while it has never been counted.
async fn metric(server: &Process, name: &str) -> f64 {
    let text = server.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// Waits until a metric has a value.
async fn until(server: &Process, name: &str, is: impl Fn(f64) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        let value = metric(server, name).await;
        if is(value) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name} stays {value}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn flush(server: &Process) {
    let flushed = answer(server.request(Method::POST, "/-/flush")).await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
}

#[tokio::test]
async fn facets_names_values_and_patterns_agree_in_memory_and_on_disk() {
    let server = Server::start().await;
    let time = now();
    let mut records = Vec::new();
    for n in 0..30 {
        let route = format!("/item/{}", n % 3);
        let mut sent = record(
            time + n,
            &format!("GET item {n}"),
            &[("http.route", &route)],
        );
        if n % 10 == 0 {
            sent.severity_number = 17;
            sent.attributes.push(otlp::text("error.code", "E42"));
        }
        records.push(sent);
    }
    send(&server, "shop", records).await;
    send(&server, "pay", vec![record(time, "user u1 logged in", &[])]).await;
    for on_disk in [false, true] {
        if on_disk {
            flush(&server).await;
        }
        let fields =
            json!({"query": "", "fields": ["service", "severity", "http.route"], "limit": 2});
        let answer = ask(&server, "facets", fields).await;
        assert_eq!(
            answer["facets"],
            json!([
                {"field": "service", "values": [{"value": "shop", "count": "30"}, {"value": "pay", "count": "1"}],
                 "distinct": "2", "other": "0", "missing": "0", "truncated": false},
                {"field": "severity", "values": [{"value": "info", "count": "28"}, {"value": "error", "count": "3"}],
                 "distinct": "2", "other": "0", "missing": "0", "truncated": false},
                {"field": "http.route", "values": [{"value": "/item/0", "count": "10"}, {"value": "/item/1", "count": "10"}],
                 "distinct": "3", "other": "10", "missing": "1", "truncated": false},
            ])
        );

        let answer = ask(&server, "fields", json!({"prefix": "e"})).await;
        assert_eq!(
            answer["fields"],
            json!([
                {"name": "error.code", "kind": "attribute", "types": ["text"]},
                {"name": "event_name", "kind": "column", "types": ["text"]},
            ])
        );
        let answer = ask(&server, "fields", json!({"prefix": "service."})).await;
        assert_eq!(answer["fields"][0]["kind"], "resource");

        let question = json!({"field": "http.route", "prefix": "/item/", "limit": 2});
        let answer = ask(&server, "values", question).await;
        assert_eq!(
            answer["values"],
            json!([{"value": "/item/0", "count": null}, {"value": "/item/1", "count": null}])
        );
        assert_eq!(answer["exact"], false);
        let question = json!({"field": "service", "query": "severity:error"});
        let answer = ask(&server, "values", question).await;
        assert_eq!(answer["values"], json!([{"value": "shop", "count": "3"}]));
        assert_eq!(answer["exact"], true);

        let compare = json!({"start": "now-3h", "end": "now-1h"});
        let answer = ask(&server, "patterns", json!({"compare": compare})).await;
        assert_eq!(answer["records"], "31");
        assert_eq!(answer["patterns"][0]["pattern"], "GET item <_>");
        assert_eq!(answer["patterns"][0]["count"], "30");
        assert_eq!(
            answer["patterns"][0]["severity"],
            json!({"info": "27", "error": "3"})
        );
        assert_eq!(answer["patterns"][0]["baseline"], "0");
        assert_eq!(answer["patterns"][0]["change"], "new");
        assert_eq!(answer["patterns"][1]["pattern"], "user <_> logged in");
        assert_eq!(
            answer["patterns"][1]["samples"][0]["body"],
            "user u1 logged in"
        );

        let question = json!({"by": ["http.route"], "buckets": 1, "groups": 1});
        let answer = ask(&server, "histogram", question).await;
        let sum = |name: &str| -> u64 {
            let buckets = answer["buckets"].as_array().unwrap().iter();
            buckets
                .filter_map(|bucket| bucket.pointer(name)?.as_u64())
                .sum()
        };
        assert_eq!((sum("/counts/~1item~10"), sum("/other")), (10, 21));
    }
}

#[tokio::test]
async fn a_record_is_seen_among_its_neighbours() {
    let server = Server::start().await;
    let time = now();
    let step = 1_000_000_000;
    for n in 0..10 {
        let at = time - (10 - n) * step;
        send(&server, "shop", vec![record(at, &format!("shop {n}"), &[])]).await;
        send(&server, "pay", vec![record(at, &format!("pay {n}"), &[])]).await;
        if n == 5 {
            flush(&server).await;
        }
    }
    let found = ask(&server, "search", json!({"query": "\"shop 5\""})).await;
    let id = found["records"][0]["id"].as_str().unwrap().to_owned();
    let around = async |question: Value| {
        let answer = server.post_json("/api/v1/logs/context", &question).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    };
    let bodies = |records: &Value| -> Vec<String> {
        let records = records.as_array().unwrap().iter();
        records
            .map(|r| r["body"].as_str().unwrap().to_owned())
            .collect()
    };
    let answer = around(json!({"id": id, "before": 3, "after": 9})).await;
    assert_eq!(bodies(&answer["before"]), ["shop 2", "shop 3", "shop 4"]);
    assert_eq!(answer["record"]["body"], "shop 5");
    assert_eq!(
        bodies(&answer["after"]),
        ["shop 6", "shop 7", "shop 8", "shop 9"]
    );
    assert_eq!(answer["after_cursor"], Value::Null);
    let cursor = &answer["before_cursor"];
    let answer = around(json!({"id": id, "before": 5, "after": 0, "before_cursor": cursor})).await;
    assert_eq!(bodies(&answer["before"]), ["shop 0", "shop 1"]);
    assert_eq!(answer["before_cursor"], Value::Null);

    for (id, status) in [("x", 400), ("0000000000000001-0000000000000001", 404)] {
        let answer = server
            .post_json("/api/v1/logs/context", &json!({"id": id}))
            .await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

/// How many splits the only service has.
async fn splits(server: &Process) -> Value {
    let storage = server.get("/api/v1/storage").await.json();
    storage["streams"][0]["splits"].clone()
}

/// The ids of at most `limit` records, newest first, and the cursor to those after them.
async fn page(server: &Process, limit: usize, cursor: &Value) -> (Vec<String>, Value) {
    let page = ask(server, "search", json!({"limit": limit, "cursor": cursor})).await;
    let records = page["records"].as_array().unwrap().iter();
    let ids = records.map(|record| record["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["cursor"].clone())
}

#[tokio::test]
async fn pages_have_the_same_records_while_others_arrive_and_splits_are_merged() {
    let server = Server::start().await;
    let time = now() - 60_000_000_000;
    // Every time has three records, in different splits, so that pages end amid equal times.
    for part in 0..6_u64 {
        let numbers = (part..30).step_by(6);
        let records = numbers.map(|n| record(time + n / 3, &format!("early {n}"), &[]));
        send(&server, "shop", records.collect()).await;
        flush(&server).await;
    }
    let (early, _) = page(&server, 100, &Value::Null).await;
    assert_eq!(early.len(), 30);
    // They begin with the time and end with the order of receipt, so none is there twice.
    assert!(early.is_sorted_by(|one, next| one > next), "{early:?}");
    assert_eq!(splits(&server).await, "6");

    let (mut read, mut cursor) = page(&server, 7, &Value::Null).await;
    // Merging waits for eight splits. The last of these pages may come while they are merged.
    for n in 0..2 {
        let new = vec![record(time + 1_000 + n, "new", &[])];
        send(&server, "shop", new).await;
        flush(&server).await;
        let (more, next) = page(&server, 7, &cursor).await;
        read.extend(more);
        cursor = next;
    }
    let merges = "watchkeeper_compaction_merges_total{signal=\"logs\"}";
    until(&server, merges, |merges| merges > 0.0).await;
    assert_eq!(splits(&server).await, "1");
    let new = vec![record(time + 2_000, "new and not sealed", &[])];
    send(&server, "shop", new).await;
    while !cursor.is_null() && read.len() < 30 {
        let (more, next) = page(&server, 7, &cursor).await;
        read.extend(more);
        cursor = next;
    }
    assert_eq!((read, cursor), (early, Value::Null));
}

/// Records whose files are too large for a socket's buffers.
async fn send_much(server: &Process) -> usize {
    let time = now();
    let long = "x".repeat(100 << 10);
    for batch in 0..20 {
        let records =
            (0..30).map(|n| record(time + 30 * batch + n, &format!("{batch} {n} {long}"), &[]));
        send(server, "much", records.collect()).await;
    }
    600
}

const EXPORT: &str = "/api/v1/logs/export?start=now-1h&end=now%2B5m";

#[tokio::test]
async fn an_export_has_every_record_in_order() {
    let server = Server::start().await;
    let time = now();
    for part in 0..4_u64 {
        let records = (0..700).map(|n| {
            let number = 700 * part + n;
            record(
                time + number,
                &format!("line {number}, \"quoted\""),
                &[("n", &number.to_string())],
            )
        });
        send(&server, "shop", records.collect()).await;
        if part == 1 {
            flush(&server).await;
        }
    }
    let answer = server.get(&format!("{EXPORT}&order=oldest")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    assert_eq!(
        answer.headers["content-disposition"],
        "attachment; filename=\"logs.ndjson\""
    );
    let numbers: Vec<u64> = answer
        .text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["attributes"]["n"].as_str().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(numbers, (0..2800).collect::<Vec<u64>>());

    let answer = server
        .get(&format!(
            "{EXPORT}&format=csv&fields=n,body&query=line&limit=2"
        ))
        .await;
    assert_eq!(
        answer.text,
        "n,body\r\n2799,\"line 2799, \"\"quoted\"\"\"\r\n2798,\"line 2798, \"\"quoted\"\"\"\r\n"
    );
    let question = json!({"start": "now-1h", "end": "now+5m", "format": "csv", "query": "absent"});
    let answer = server.post_json("/api/v1/logs/export", &question).await;
    assert_eq!(
        answer.text,
        "timestamp,severity,service,body,trace_id,span_id,attributes,resource\r\n"
    );
    for bad in ["&query=(", "&format=xml", "&fields=a", "&x=1"] {
        let answer = server.get(&format!("{EXPORT}{bad}")).await;
        assert_eq!(answer.status, 400, "{bad}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_stalled_export_keeps_no_query_waiting_and_ends_with_its_client() {
    let home = Home::new();
    let settings = home.write("one.yaml", "limits:\n  concurrent_queries: 1\n");
    let home = home.with_args(&["--config", settings.to_str().unwrap()]);
    let server = Server::start_in(home).await;
    let records = send_much(&server).await;
    let scanned = "watchkeeper_scanned_rows_total";
    let at_first = metric(&server, scanned).await;
    let response = server.request(Method::GET, EXPORT).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(metric(&server, "watchkeeper_exports").await, 1.0);
    // The client reads nothing, and the only turn is free.
    let fields = ask(&server, "fields", json!({"prefix": "service"})).await;
    assert_eq!(fields["fields"][0]["name"], "service");
    drop(response);
    until(&server, "watchkeeper_exports", |exports| exports == 0.0).await;
    let by_stalled = metric(&server, scanned).await - at_first;
    // It broke off before it had read everything.
    let all = server.get(EXPORT).await;
    assert_eq!(all.text.lines().count(), records);
    let by_whole = metric(&server, scanned).await - at_first - by_stalled;
    assert!(by_stalled < by_whole, "{by_stalled} of {by_whole} rows");
}

#[tokio::test]
async fn an_export_that_meets_damage_is_cut_off() {
    let home = Home::new();
    let server = home.start().await;
    let time = now();
    for part in 0..2_u64 {
        let records = (0..500).map(|n| record(time + 500 * part + n, "line", &[]));
        send(&server, "shop", records.collect()).await;
        flush(&server).await;
    }
    let mut splits = Vec::new();
    let mut folders = vec![home.path().join("data/splits")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().contains("/logs/") {
                splits.push(path);
            }
        }
    }
    splits.sort();
    assert_eq!(splits.len(), 2);
    let mut bytes = std::fs::read(&splits[1]).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&splits[1], bytes).unwrap();
    let oldest = format!("{EXPORT}&order=oldest");
    let response = server.request(Method::GET, &oldest).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let cut = response.bytes().await;
    assert!(
        cut.is_err(),
        "a file of {} bytes ended properly",
        cut.unwrap().len()
    );
}

/// The events of a tail, as they come.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(server: &Process, parameters: &str) -> Self {
        let path = format!("/api/v1/logs/tail?{parameters}");
        let response = server.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event's name and data; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                let read = field("event: ").zip(field("data: "));
                let read =
                    read.map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap()));
                self.text = rest.to_owned();
                match read {
                    Some(event) => return Some(event),
                    // A comment.
                    None => continue,
                }
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The body of the record that comes next.
    async fn body(&mut self) -> String {
        let (event, data) = self.next().await.unwrap();
        assert_eq!(event, "record", "{data}");
        data["body"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_tail_shows_records_as_they_arrive() {
    let server = Server::start().await;
    let time = now();
    send(
        &server,
        "shop",
        vec![
            record(time, "early one", &[]),
            record(time + 1, "early two", &[]),
        ],
    )
    .await;
    let mut all = Events::open(&server, "backlog=1").await;
    let mut errors = Events::open(&server, "query=severity%3Aerror").await;
    assert_eq!(all.body().await, "early two");
    let mut failed = record(time, "it broke", &[("code", "7")]);
    failed.severity_number = 17;
    send(&server, "shop", vec![record(time, "fine", &[]), failed]).await;
    assert_eq!(all.body().await, "fine");
    assert_eq!(all.body().await, "it broke");
    let (event, data) = errors.next().await.unwrap();
    assert_eq!(
        (event.as_str(), &data["attributes"]["code"]),
        ("record", &json!("7"))
    );
    flush(&server).await;
    send(&server, "shop", vec![record(time, "after sealing", &[])]).await;
    assert_eq!(all.body().await, "after sealing");
    assert_eq!(metric(&server, "watchkeeper_tails").await, 2.0);

    let bad = server.get("/api/v1/logs/tail?query=(").await;
    assert_eq!(bad.status, 400, "{}", bad.text);
    drop(errors);
    until(&server, "watchkeeper_tails", |tails| tails == 1.0).await;
    // A server that stops ends its tails and does not wait for them.
    let ended = server.terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("still open"), "{}", ended.stderr);
    assert_eq!(all.next().await, None);
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_query() {
    let server = Server::start().await;
    let time = now();
    let records = (0..2000).map(|n| record(time + n, "line", &[]));
    send(&server, "shop", records.collect()).await;
    // It would not end within the test's patience.
    let sql = "SELECT count(*) FROM logs a, logs b, logs c WHERE a.seq + b.seq + c.seq = 1";
    let query = server
        .request(Method::POST, "/api/v1/sql")
        .json(&json!({"query": sql}));
    let query = tokio::spawn(query.send());
    let cancelled = "watchkeeper_queries_total{end=\"cancelled\"}";
    until(&server, "watchkeeper_queries_running", |running| {
        running == 1.0
    })
    .await;
    assert_eq!(metric(&server, cancelled).await, 0.0);
    query.abort();
    until(&server, cancelled, |queries| queries == 1.0).await;
    until(&server, "watchkeeper_queries_running", |running| {
        running == 0.0
    })
    .await;
}

#[tokio::test]
async fn many_tails_and_queries_work_together() {
    let home = Home::new();
    let settings = home.write("few.yaml", "limits:\n  concurrent_queries: 2\n");
    let home = home.with_args(&["--config", settings.to_str().unwrap()]);
    let server = Server::start_in(home).await;
    let time = now();
    let mut tails = Vec::new();
    for _ in 0..20 {
        tails.push(Events::open(&server, "query=line").await);
    }
    for batch in 0..10_u64 {
        let records = (0..20).map(|n| {
            record(
                time + 20 * batch + n,
                &format!("line {}", 20 * batch + n),
                &[],
            )
        });
        send(&server, "shop", records.collect()).await;
    }
    let questions = (0..20).map(|_| ask(&server, "facets", json!({"fields": ["service"]})));
    for answer in futures::future::join_all(questions).await {
        assert_eq!(answer["facets"][0]["values"][0]["count"], "200");
    }
    for tail in &mut tails {
        for n in 0..200 {
            assert_eq!(tail.body().await, format!("line {n}"));
        }
    }
}
