//! Requests that make no sense: each is answered 4xx with a reason, the server stays up, and its
//! memory stays bounded.

use std::io::Write as _;

use reqwest::{Method, RequestBuilder};

use crate::otlp::{self, logs, now, record};
use crate::server::{Process, Server, answer};

/// Resident memory that no malformed request may push the server past.
const MEMORY_BOUND: u64 = 400 << 20;

struct Case {
    name: String,
    request: RequestBuilder,
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

/// Bodies that are wrong for every signal: name, content type, content encoding, body.
fn bad_bodies() -> Vec<(String, &'static str, &'static str, Vec<u8>)> {
    const JSON: &str = "application/json";
    const PROTOBUF: &str = "application/x-protobuf";
    let good = otlp::body(&logs("bad", vec![record(now(), "a body", &[("k", "v")])]));
    let good_json = serde_json::to_vec(&logs("bad", vec![record(now(), "b", &[])])).unwrap();
    let zeros = vec![0_u8; 256 << 20];
    let open_arrays = "[".repeat(10_000).into_bytes();
    let nested = br#"{"arrayValue":{"values":["#.repeat(10_000);
    let deep_value = [
        br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":"#.to_vec(),
        nested.clone(),
    ]
    .concat();
    let mut cases = vec![
        ("text as type", "text/plain", "", b"hello".to_vec()),
        ("no type", "", "", good.clone()),
        (
            "form as type",
            "application/x-www-form-urlencoded",
            "",
            good.clone(),
        ),
        ("unknown encoding", PROTOBUF, "br", good.clone()),
        ("stacked encodings", PROTOBUF, "gzip, zstd", good.clone()),
        ("plain sent as gzip", PROTOBUF, "gzip", good.clone()),
        ("plain sent as zstd", PROTOBUF, "zstd", good.clone()),
        (
            "gzip cut short",
            PROTOBUF,
            "gzip",
            gzip(&good)[..20].to_vec(),
        ),
        (
            "zstd cut short",
            PROTOBUF,
            "zstd",
            zstd(&good)[..12].to_vec(),
        ),
        ("gzip sent as zstd", PROTOBUF, "zstd", gzip(&good)),
        ("gzip bomb", PROTOBUF, "gzip", gzip(&zeros)),
        ("zstd bomb", PROTOBUF, "zstd", zstd(&zeros)),
        ("gzip bomb in JSON", JSON, "gzip", gzip(&zeros)),
        ("zstd bomb in JSON", JSON, "zstd", zstd(&zeros)),
        ("too large", PROTOBUF, "", vec![0; 17 << 20]),
        ("a varint without end", PROTOBUF, "", vec![0xff; 20]),
        (
            "a length past the end",
            PROTOBUF,
            "",
            vec![0x0a, 0x7f, 0x01],
        ),
        ("a group", PROTOBUF, "", vec![0x0b, 0x0c]),
        ("field number zero", PROTOBUF, "", vec![0x00, 0x01]),
        ("wrong wire type", PROTOBUF, "", vec![0x08, 0x01]),
        ("JSON as protobuf", PROTOBUF, "", good_json.clone()),
        (
            "text as protobuf",
            PROTOBUF,
            "",
            b"level=info msg=hi".to_vec(),
        ),
        ("empty JSON", JSON, "", Vec::new()),
        ("null", JSON, "", b"null".to_vec()),
        ("an array", JSON, "", b"[]".to_vec()),
        ("a number", JSON, "", b"5".to_vec()),
        ("a string", JSON, "", b"\"logs\"".to_vec()),
        ("two documents", JSON, "", b"{}{}".to_vec()),
        (
            "not UTF-8",
            JSON,
            "",
            b"{\"resourceLogs\":\"\xff\xfe\"}".to_vec(),
        ),
        ("not UTF-8 at all", JSON, "", vec![0x80; 64]),
        ("open arrays", JSON, "", open_arrays),
        ("open objects", JSON, "", br#"{"a":"#.repeat(10_000)),
        ("a deep value", JSON, "", deep_value),
        (
            "cut JSON",
            JSON,
            "",
            good_json[..good_json.len() / 2].to_vec(),
        ),
    ]
    .into_iter()
    .map(|(name, media, encoding, body)| (name.to_owned(), media, encoding, body))
    .collect::<Vec<_>>();
    for cut in [1, good.len() / 3, good.len() - 1] {
        cases.push((
            format!("protobuf cut at {cut}"),
            PROTOBUF,
            "",
            good[..cut].to_vec(),
        ));
    }
    cases
}

fn receiver_cases(server: &Process) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in ["/v1/logs", "/v1/traces", "/v1/metrics"] {
        for (name, media, encoding, body) in bad_bodies() {
            let mut request = server.otlp(path).body(body);
            if !media.is_empty() {
                request = request.header("content-type", media);
            }
            if !encoding.is_empty() {
                request = request.header("content-encoding", encoding);
            }
            cases.push(Case {
                name: format!("{path}: {name}"),
                request,
            });
        }
    }
    for (field, value) in [
        ("timeUnixNano", "\"yesterday\""),
        ("timeUnixNano", "-5"),
        ("timeUnixNano", "1.5"),
        ("timeUnixNano", "99999999999999999999999"),
        ("severityNumber", "\"WARN\""),
        ("attributes", "{}"),
        ("attributes", "[1]"),
        ("attributes", "[{\"key\":5}]"),
        ("traceId", "\"zz\""),
        ("traceId", "5"),
        ("body", "\"text\""),
        ("body", "{\"intValue\":\"ten\"}"),
        ("body", "{\"bytesValue\":\"***\"}"),
        ("body", "{\"stringValue\":\"a\",\"intValue\":1}"),
        ("flags", "-1"),
    ] {
        let body = format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"{field}":{value}}}]}}]}}]}}"#
        );
        cases.push(Case {
            name: format!("log record with {field} {value}"),
            request: server
                .otlp("/v1/logs")
                .header("content-type", "application/json")
                .body(body),
        });
    }
    for tenant in ["a/b", "..", "", "a b", &"x".repeat(200)] {
        cases.push(Case {
            name: format!("tenant {tenant:?}"),
            request: server
                .otlp("/v1/logs")
                .header("content-type", "application/json")
                .header("x-scope-orgid", tenant)
                .body("{}"),
        });
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        cases.push(Case {
            name: format!("{method} on an export path"),
            request: server.request(method, "/otlp/v1/logs"),
        });
    }
    cases
}

fn remote_write_cases(server: &Process) -> Vec<Case> {
    const V1: &str = "application/x-protobuf";
    const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let snappy = |body: &[u8]| snap::raw::Encoder::new().compress_vec(body).unwrap();
    let zeros = snappy(&vec![0_u8; 256 << 20]);
    // A claim to grow to 4 GiB less a byte.
    let claim = [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], b"little"].concat();
    // Items of two bytes each.
    let empty_items = |outer: u8, inner: u8| {
        let items = [inner, 0].repeat(2 << 20);
        let mut body = vec![outer];
        prost::encoding::encode_varint(items.len() as u64, &mut body);
        body.extend(items);
        snappy(&body)
    };
    let bodies: Vec<(&str, &str, &str, Vec<u8>)> = vec![
        ("JSON as type", "application/json", "snappy", snappy(b"")),
        (
            "an unknown message",
            "application/x-protobuf;proto=io.prometheus.write.v9.Request",
            "snappy",
            snappy(b""),
        ),
        ("gzip", V1, "gzip", gzip(b"")),
        ("zstd", V2, "zstd", zstd(b"")),
        ("not snappy", V1, "snappy", b"level=info msg=hi".to_vec()),
        ("nothing", V1, "snappy", Vec::new()),
        ("a bomb", V1, "snappy", zeros.clone()),
        ("a bomb of 2.0", V2, "snappy", zeros),
        ("a false claim", V1, "snappy", claim),
        ("too large", V1, "snappy", vec![0; 17 << 20]),
        ("a group", V1, "snappy", snappy(&[0x0b, 0x0c])),
        ("a length past the end", V2, "snappy", snappy(&[0x2a, 9, 1])),
        ("wrong wire type", V1, "snappy", snappy(&[0x08, 1])),
        ("a series of text", V2, "snappy", snappy(b"\x2a\x03abc")),
        (
            "samples without labels",
            V1,
            "snappy",
            empty_items(0x0a, 0x12),
        ),
        ("empty exemplars", V1, "snappy", empty_items(0x0a, 0x1a)),
        ("empty histograms", V2, "snappy", empty_items(0x2a, 0x1a)),
        ("empty symbols", V2, "snappy", {
            let series = [0x2a, 4, 0x12, 2, 0x10, 1];
            snappy(&[[0x22, 0].repeat(2 << 20), series.to_vec()].concat())
        }),
    ];
    bodies
        .into_iter()
        .map(|(name, content_type, encoding, body)| Case {
            name: format!("remote write: {name}"),
            request: server
                .request(Method::POST, "/api/v1/write")
                .header("content-type", content_type)
                .header("content-encoding", encoding)
                .body(body),
        })
        .chain([
            Case {
                name: "remote write: another method".to_owned(),
                request: server.request(Method::GET, "/api/v1/write"),
            },
            Case {
                name: "remote write: tenant".to_owned(),
                request: server
                    .request(Method::POST, "/api/v1/write")
                    .header("x-scope-orgid", "a/b")
                    .body(snappy(b"")),
            },
        ])
        .collect()
}

/// Bodies of the native APIs.
fn native_cases(server: &Process) -> Vec<Case> {
    let search = "/api/v1/logs/search";
    let histogram = "/api/v1/logs/histogram";
    let sql = "/api/v1/sql";
    let deep_query = format!(
        r#"{{"start":"now-1h","end":"now","query":"{}a"}}"#,
        "(".repeat(10_000)
    );
    let deep_json = "[".repeat(10_000);
    let bodies: Vec<(&str, String)> = [
        (search, ""),
        (search, "{"),
        (search, "[]"),
        (search, "null"),
        (search, "{}"),
        (search, r#"{"start":"now-1h"}"#),
        (search, r#"{"start":"yesterday","end":"now"}"#),
        (search, r#"{"start":"now-1h","end":"tomorrow"}"#),
        (search, r#"{"start":"now","end":"now-1h"}"#),
        (search, r#"{"start":true,"end":"now"}"#),
        (search, r#"{"start":"99999999999999999999999","end":"now"}"#),
        (search, r#"{"start":"now-99999999999y","end":"now"}"#),
        (search, r#"{"start":"now-1h","end":"now","limit":0}"#),
        (search, r#"{"start":"now-1h","end":"now","limit":-1}"#),
        (search, r#"{"start":"now-1h","end":"now","limit":1000000}"#),
        (search, r#"{"start":"now-1h","end":"now","limit":"many"}"#),
        (search, r#"{"start":"now-1h","end":"now","order":"random"}"#),
        (search, r#"{"start":"now-1h","end":"now","colour":"red"}"#),
        (
            search,
            r#"{"start":"now-1h","end":"now","cursor":"nonsense"}"#,
        ),
        (search, r#"{"start":"now-1h","end":"now","query":5}"#),
        (search, r#"{"start":"now-1h","end":"now","query":"("}"#),
        (search, r#"{"start":"now-1h","end":"now","query":"a AND"}"#),
        (search, r#"{"start":"now-1h","end":"now","query":"\"open"}"#),
        (
            search,
            r#"{"start":"now-1h","end":"now","query":"status:"}"#,
        ),
        (search, r#"{"start":"now-1h","end":"now","query":"OR"}"#),
        (search, r#"{"start":"now-1h","end":"now","query":"a)"}"#),
        (histogram, "{}"),
        (histogram, r#"{"start":"now-1h","end":"now","buckets":0}"#),
        (
            histogram,
            r#"{"start":"now-1h","end":"now","buckets":100000000}"#,
        ),
        (
            histogram,
            r#"{"start":"now-1h","end":"now","buckets":5,"step":"1m"}"#,
        ),
        (
            histogram,
            r#"{"start":"now-1h","end":"now","step":"often"}"#,
        ),
        (histogram, r#"{"start":"now-1h","end":"now","step":"0s"}"#),
        (histogram, r#"{"start":"now-1h","end":"now","step":"1ms"}"#),
        (
            histogram,
            r#"{"start":"now-1h","end":"now","by":"severity"}"#,
        ),
        (histogram, r#"{"start":"now-1h","end":"now","query":"NOT"}"#),
        (sql, ""),
        (sql, "{}"),
        (sql, r#"{"query":""}"#),
        (sql, r#"{"query":"SELEKT 1"}"#),
        (sql, r#"{"query":"SELECT"}"#),
        (sql, r#"{"query":"SELECT nothing FROM logs"}"#),
        (sql, r#"{"query":"SELECT * FROM nowhere"}"#),
        (sql, r#"{"query":"DROP TABLE logs"}"#),
        (sql, r#"{"query":"DELETE FROM logs"}"#),
        (sql, r#"{"query":"INSERT INTO logs VALUES (1)"}"#),
        (sql, r#"{"query":"CREATE TABLE t (a INT)"}"#),
        (
            sql,
            r#"{"query":"CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'"}"#,
        ),
        (sql, r#"{"query":"COPY logs TO '/tmp/out.parquet'"}"#),
        (
            sql,
            r#"{"query":"SET datafusion.execution.batch_size = 1"}"#,
        ),
        (sql, r#"{"query":"SELECT * FROM '/etc/passwd'"}"#),
        (sql, r#"{"query":"SELECT 1; SELECT 2"}"#),
    ]
    .into_iter()
    .map(|(path, body)| (path, body.to_owned()))
    .chain([
        (search, deep_query),
        (search, deep_json.clone()),
        (histogram, deep_json.clone()),
        (sql, deep_json),
        (search, "x".repeat(2 << 20)),
    ])
    .collect();
    let mut cases: Vec<Case> = bodies
        .into_iter()
        .map(|(path, body)| Case {
            name: format!("{path}: {}", body.chars().take(80).collect::<String>()),
            request: server
                .request(Method::POST, path)
                .header("content-type", "application/json")
                .body(body),
        })
        .collect();
    cases.push(Case {
        name: "a search that is not UTF-8".to_owned(),
        request: server
            .request(Method::POST, search)
            .header("content-type", "application/json")
            .body(b"{\"start\":\"\xff\"}".to_vec()),
    });
    cases.push(Case {
        name: "a search as text".to_owned(),
        request: server
            .request(Method::POST, search)
            .header("content-type", "text/plain")
            .body("{}"),
    });
    for path in [
        "/api/v1/traces/xyz",
        "/api/v1/traces/0",
        "/api/v1/traces/00000000000000000000000000000000",
        "/api/v1/traces/0102030405060708090a0b0c0d0e0f1011",
        "/api/v1/logs/search",
        "/api/v1/sql",
        "/-/flush",
    ] {
        cases.push(Case {
            name: format!("GET {path}"),
            request: server.request(Method::GET, path),
        });
    }
    cases
}

/// Paths with query strings of Prometheus' API.
fn prometheus_cases(server: &Process) -> Vec<Case> {
    let deep = "(".repeat(10_000);
    let long = format!("up{{a=\"{}\"", "x".repeat(60_000));
    let mut queries: Vec<String> = [
        "query",
        "query?query=",
        "query?time=4",
        "query?query=up{",
        "query?query=sum(",
        "query?query=up%5B5m",
        "query?query=rate(up)",
        "query?query=nosuchfunction(up)",
        "query?query=1%2B",
        "query?query=up%20offset",
        "query?query=%22open",
        "query?query=up%7Ba%3D~%22(%22%7D",
        "query?query=up&time=yesterday",
        "query?query=up&time=NaN",
        "query?query=up&time=1e999",
        "query?query=up&timeout=soon",
        "query?query=%ff%fe",
        "query_range?query=up",
        "query_range?query=up&start=1&end=2",
        "query_range?query=up&start=1&step=1",
        "query_range?query=up&start=2&end=1&step=1",
        "query_range?query=up&start=1&end=2&step=0",
        "query_range?query=up&start=1&end=2&step=-5",
        "query_range?query=up&start=1&end=2&step=often",
        "query_range?query=up&start=0&end=1000000000&step=1",
        "query_range?query=up%5B5m%5D&start=1&end=2&step=1",
        "query_range?query=up{&start=1&end=2&step=1",
        "query_range?query=up&start=x&end=2&step=1",
        "query_exemplars?query=up{",
        "query_exemplars",
        "query_exemplars?query=up&start=x",
        "series",
        "series?match[]=",
        "series?match[]=up%20%2B%20up",
        "series?match[]=up{",
        "series?match[]=rate(up%5B5m%5D)",
        "series?match[]=up&start=later",
        "series?match[]=up&limit=many",
        "labels?match[]={",
        "labels?start=x",
        "labels?limit=-1",
        "label/job/values?match[]=1",
        "label/job/values?end=x",
        "label/job/values?limit=x",
        "metadata?limit=x",
        "rules?type=other",
        "rules?exclude_alerts=perhaps",
        "rules?group_limit=x",
    ]
    .map(str::to_owned)
    .to_vec();
    queries.push(format!("query?query={deep}1"));
    queries.push(format!("query?query={long}"));
    let mut cases = Vec::new();
    for query in &queries {
        for prefix in ["/api/v1", "/prometheus/api/v1"] {
            let path = format!("{prefix}/{query}");
            cases.push(Case {
                name: format!("GET {}", path.chars().take(100).collect::<String>()),
                request: server.request(Method::GET, &path),
            });
        }
    }
    for body in ["query=%ff", "query=up{", "", "query=(&time=x"] {
        cases.push(Case {
            name: format!("POST query {body:?}"),
            request: server
                .request(Method::POST, "/api/v1/query")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body),
        });
    }
    cases.push(Case {
        name: "POST query as JSON".to_owned(),
        request: server
            .request(Method::POST, "/api/v1/query")
            .header("content-type", "application/json")
            .body(r#"{"query":"up"}"#),
    });
    cases.push(Case {
        name: "POST query, not UTF-8".to_owned(),
        request: server
            .request(Method::POST, "/api/v1/query")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(b"query=\xff".to_vec()),
    });
    cases
}

/// Paths with query strings of Loki's API.
fn loki_cases(server: &Process) -> Vec<Case> {
    let deep = "(".repeat(5_000);
    let mut queries: Vec<String> = [
        "query",
        "query?query=",
        "query?query=%7B",
        "query?query=%7Ba%3D%22b%22%7D",
        "query?query=vector(1)&time=yesterday",
        "query?query=vector(1)&direction=sideways",
        "query?query=%ff",
        "query?query=sum(",
        "query_range",
        "query_range?query=%7Bservice_name%3D%22a%22",
        "query_range?query=%7Ba%3D~%22(%22%7D",
        "query_range?query=%7Ba%3D%22b%22%7D&start=5&end=4",
        "query_range?query=%7Ba%3D%22b%22%7D&start=now",
        "query_range?query=%7Ba%3D%22b%22%7D&end=soon",
        "query_range?query=%7Ba%3D%22b%22%7D&limit=0",
        "query_range?query=%7Ba%3D%22b%22%7D&limit=-1",
        "query_range?query=%7Ba%3D%22b%22%7D&limit=1000000",
        "query_range?query=%7Ba%3D%22b%22%7D&step=0",
        "query_range?query=%7Ba%3D%22b%22%7D&step=often",
        "query_range?query=%7Ba%3D%22b%22%7D&interval=5s",
        "query_range?query=%7Ba%3D%22b%22%7D&since=long",
        "query_range?query=rate(%7Ba%3D%22b%22%7D)",
        "query_range?query=%7Ba%3D%22b%22%7D%20%7C%20nosuchstage",
        "query_range?query=%7Ba%3D%22b%22%7D%20%7C%3D",
        "query_range?query=vector(1)&start=0&end=1000000000&step=1ms",
        "labels?start=x",
        "labels?query=%7B",
        "label/service_name/values?query=nonsense",
        "label/service_name/values?end=x",
        "series?match[]=%7B",
        "series?match[]=up",
        "series?start=x",
    ]
    .map(str::to_owned)
    .to_vec();
    queries.push(format!("query?query={deep}1"));
    queries
        .iter()
        .map(|query| {
            let path = format!("/loki/api/v1/{query}");
            Case {
                name: format!("GET {}", path.chars().take(100).collect::<String>()),
                request: server.request(Method::GET, &path),
            }
        })
        .collect()
}

#[tokio::test]
async fn each_is_answered_with_a_reason_and_the_server_lives_on() {
    let mut server = Server::start().await;
    let cases: Vec<Case> = [
        receiver_cases(&server),
        remote_write_cases(&server),
        native_cases(&server),
        prometheus_cases(&server),
        loki_cases(&server),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(cases.len() >= 300, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let answer = answer(case.request).await;
        let is_refused = (400..500).contains(&answer.status) && answer.status != 429;
        if !is_refused || answer.text.trim().len() < 5 {
            let shown: String = answer.text.chars().take(200).collect();
            wrong.push(format!("{}: {} {shown:?}", case.name, answer.status));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong answers:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(server.is_running());
    let memory = server.peak_memory();
    assert!(memory < MEMORY_BOUND, "peak memory {memory} bytes");
    assert_eq!(server.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn errors_of_the_native_api_name_the_place_and_the_request() {
    let server = Server::start().await;
    let answer = answer(
        server
            .request(Method::POST, "/api/v1/logs/search")
            .header("x-request-id", "my-request")
            .json(&serde_json::json!({"start": "now-1h", "end": "now", "query": "a AND (b"})),
    )
    .await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.headers["x-request-id"], "my-request");
    let error = &answer.json()["error"];
    assert_eq!(error["code"], "invalid_query");
    assert_eq!(error["request_id"], "my-request");
    assert!(error["position"]["offset"].is_u64(), "{error}");
}

#[tokio::test]
async fn errors_of_prometheus_have_its_form_and_order() {
    let server = Server::start().await;
    let answer = server.get("/api/v1/query?query=up{").await;
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .text
            .starts_with(r#"{"status":"error","errorType":"bad_data","error":""#),
        "{}",
        answer.text
    );
    assert_eq!(answer.headers["content-type"], "application/json");
}
