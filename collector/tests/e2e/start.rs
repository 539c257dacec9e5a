//! Starting, refusing to start, stopping.

use crate::server::{Server, run_to_end};

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
        "/prometheus/api/v1/status/tsdb",
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
