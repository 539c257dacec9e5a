//! What cannot be answered: statuses, kinds and sentences, by row.

use reqwest::Method;
use serde::Deserialize;

use super::World;
use crate::server::{Answer, answer};

/// The form of an error; nothing else may be in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Error {
    status: String,
    error_type: String,
    error: String,
}

fn check(asked: &str, answer: &Answer, status: u16, kind: &str, sentence: &str) {
    assert_eq!(answer.status, status, "{asked}: {}", answer.text);
    assert_eq!(
        answer.headers["content-type"], "application/json",
        "{asked}"
    );
    let start = format!(r#"{{"status":"error","errorType":"{kind}","error":"#);
    assert!(answer.text.starts_with(&start), "{asked}: {}", answer.text);
    let error: Error = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&*error.status, &*error.error_type), ("error", kind));
    assert!(error.error.contains(sentence), "{asked}: {}", error.error);
}

#[tokio::test]
async fn every_error_has_its_status_kind_and_sentence() {
    let world = World::start().await;
    for (asked, status, kind, sentence) in [
        // Nothing, or nothing that can be read.
        ("query", 400, "bad_data", "missing parameter \"query\""),
        (
            "query?query=",
            400,
            "bad_data",
            "missing parameter \"query\"",
        ),
        (
            "query?query=sum(",
            400,
            "bad_data",
            "invalid parameter \"query\": parse error at column 5",
        ),
        (
            "query?query=up{a=~\"(\"}",
            400,
            "bad_data",
            "invalid regular expression \"(\"",
        ),
        ("query?query=%ff", 400, "bad_data", "not UTF-8"),
        (
            "query?query=up&time=yesterday",
            400,
            "bad_data",
            "invalid parameter \"time\"",
        ),
        (
            "query?query=up&time=NaN",
            400,
            "bad_data",
            "invalid parameter \"time\"",
        ),
        (
            "query?query=up&limit=-1",
            400,
            "bad_data",
            "invalid parameter \"limit\"",
        ),
        (
            "query?query=up&timeout=soon",
            400,
            "bad_data",
            "invalid parameter \"timeout\"",
        ),
        (
            "query?query=up&lookback_delta=x",
            400,
            "bad_data",
            "invalid parameter \"lookback_delta\"",
        ),
        ("format_query?query=sum(", 400, "bad_data", "parse error"),
        (
            "parse_query",
            400,
            "bad_data",
            "missing parameter \"query\"",
        ),
        // Ranges.
        (
            "query_range?query=up&end=1&step=1",
            400,
            "bad_data",
            "missing parameter \"start\"",
        ),
        (
            "query_range?query=up&start=1&step=1",
            400,
            "bad_data",
            "missing parameter \"end\"",
        ),
        (
            "query_range?query=up&start=1&end=1",
            400,
            "bad_data",
            "missing parameter \"step\"",
        ),
        (
            "query_range?query=up&start=2&end=1&step=1",
            400,
            "bad_data",
            "invalid parameter \"end\"",
        ),
        (
            "query_range?query=up&start=1&end=2&step=0",
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative",
        ),
        (
            "query_range?query=up&start=1&end=2&step=-1",
            400,
            "bad_data",
            "invalid parameter \"step\": zero or negative",
        ),
        (
            "query_range?query=up&start=0&end=11001&step=1",
            400,
            "bad_data",
            "11,000 points per timeseries",
        ),
        (
            "query_range?query=up[5m]&start=0&end=1&step=1",
            400,
            "bad_data",
            "a range vector",
        ),
        (
            "query_exemplars?query=up&start=2&end=1",
            400,
            "bad_data",
            "invalid parameter \"end\"",
        ),
        // Look-ups.
        ("series", 400, "bad_data", "no match[] parameter provided"),
        (
            "series?match[]=sum(up)",
            400,
            "bad_data",
            "invalid parameter \"match[]\"",
        ),
        (
            "series?match[]=up offset 5m",
            400,
            "bad_data",
            "without modifiers",
        ),
        (
            "labels?match[]={a=\"\"}",
            400,
            "bad_data",
            "does not match the empty string",
        ),
        (
            "labels?start=x",
            400,
            "bad_data",
            "invalid parameter \"start\"",
        ),
        (
            "label/job/values?end=x",
            400,
            "bad_data",
            "invalid parameter \"end\"",
        ),
        ("label/%ff/values", 400, "bad_data", "invalid path"),
        (
            "metadata?limit=x",
            400,
            "bad_data",
            "invalid parameter \"limit\"",
        ),
        (
            "status/tsdb?limit=0",
            400,
            "bad_data",
            "expected 1 to 10000",
        ),
        (
            "status/tsdb?limit=10001",
            400,
            "bad_data",
            "expected 1 to 10000",
        ),
        (
            "rules?type=x",
            400,
            "bad_data",
            "invalid parameter \"type\"",
        ),
        // What the data does not allow, and what takes too long.
        (
            "query?query=up * on (job) http_requests_total",
            422,
            "execution",
            "many-to-many matching not allowed",
        ),
        (
            "query?query=label_replace(up, \"\", \"\", \"a\", \"\")",
            422,
            "execution",
            "label",
        ),
    ] {
        let path = format!("/prometheus/api/v1/{asked}");
        let got = world.server.get(&path.replace(' ', "%20")).await;
        check(asked, &got, status, kind, sentence);
    }
}

#[tokio::test]
async fn forms_that_are_none_are_refused() {
    let world = World::start().await;
    let post = |content_type: &'static str, body: String| {
        let request = world
            .server
            .request(Method::POST, "/api/v1/query")
            .header("content-type", content_type)
            .body(body);
        answer(request)
    };
    let form = "application/x-www-form-urlencoded";
    let text = post("text/plain", "query=1".to_owned()).await;
    check("text", &text, 400, "bad_data", "unsupported content type");
    let large = post(form, format!("query={}", "1".repeat(1 << 20))).await;
    check("large", &large, 400, "bad_data", "larger than");
    // A form without any content type is none; the URL may have it all.
    let request = world.server.request(Method::POST, "/api/v1/query?query=1");
    assert_eq!(answer(request).await.status, 200);
    let request = world
        .server
        .request(Method::GET, "/api/v1/query?query=1")
        .header("x-scope-orgid", "no such/tenant");
    check("tenant", &answer(request).await, 400, "bad_data", "tenant");
    let deleted = world.server.request(Method::DELETE, "/api/v1/query");
    assert_eq!(answer(deleted).await.status, 405);
}
