//! Starting, refusing to start, stopping.

use crate::otlp::{self, logs, now, record};
use crate::server::{Home, Server, answer, run_to_end};

#[test]
fn a_port_that_others_reach_needs_a_word_about_authentication() {
    let ended = run_to_end(&["serve", "--http", "0.0.0.0:0"], &[]);
    assert_eq!(ended.code, Some(78));
    assert!(ended.stderr.contains("\"auth: none\""), "{}", ended.stderr);
}

#[test]
fn an_unknown_variable_is_an_error() {
    let ended = run_to_end(&["serve"], &[("WATCHKEEPER_HTTP_PORT", "1")]);
    assert_eq!(ended.code, Some(78));
    assert!(
        ended.stderr.contains("WATCHKEEPER_HTTP_PORT"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn it_says_where_it_listens_and_stops_cleanly() {
    let server = Server::start().await;
    let healthy = server.get("/-/healthy").await;
    assert_eq!(healthy.status, 200);
    let ready = server.get("/-/ready").await;
    assert_eq!((ready.status, ready.text.as_str()), (200, "ready\n"));
    let ended = server.terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn unknown_paths_are_not_the_page() {
    let server = Server::start().await;
    for path in [
        "/api/v1/nothing",
        "/prometheus/api/v1/status/nothing",
        "/alertmanager/api/v2/status",
        "/loki/api/v1/nothing",
        "/ui/assets/missing.js",
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (404, "404 page not found"),
            "{path}"
        );
    }
    assert_eq!(server.get("/ui/").await.status, 200);
    assert_eq!(server.get("/ui/logs").await.status, 200);
}

#[tokio::test]
async fn verify_tells_a_sound_directory_from_a_damaged_one() {
    let home = Home::new();
    let server = home.start().await;
    let records = (0..100)
        .map(|i| record(now(), &format!("line {i}"), &[]))
        .collect();
    let sent = server
        .otlp("/v1/logs")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&logs("shop", records)));
    assert_eq!(answer(sent).await.status, 200);
    let flushed = answer(server.request(reqwest::Method::POST, "/-/flush")).await;
    assert_eq!(flushed.status, 200, "{}", flushed.text);
    let data = home.path().join("data");
    let verify = || run_to_end(&["verify", "--data-dir", data.to_str().unwrap()], &[]);
    let in_use = verify();
    assert_eq!(in_use.code, Some(1));
    assert!(in_use.stderr.contains("in use"), "{}", in_use.stderr);
    assert_eq!(server.terminate().await.code, Some(0));

    let sound = verify();
    assert_eq!(sound.code, Some(0), "{}", sound.stderr);
    let split = files_below(&data)
        .into_iter()
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "parquet")
        })
        .unwrap();
    let mut bytes = std::fs::read(&split).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&split, bytes).unwrap();
    let damaged = verify();
    assert_eq!(damaged.code, Some(1));
    assert!(damaged.stdout.contains(".parquet"), "{}", damaged.stdout);
}

fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.push(path);
        }
    }
    found
}
