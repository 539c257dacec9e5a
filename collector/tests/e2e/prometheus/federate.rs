//! `/federate`, as a Prometheus that scrapes it sees it.

use reqwest::Method;

use super::World;
use crate::server::answer;

#[tokio::test]
async fn the_newest_samples_are_scraped_with_their_times() {
    let world = World::start().await;
    let last = world.last_ms;
    let selected = [
        ("match[]", "{job=\"api\"}"),
        ("match[]", "up"),
        ("match[]", "dotted"),
    ];
    for path in ["/federate", "/prometheus/federate"] {
        let request = world.server.request(Method::GET, path).query(&selected);
        let scraped = answer(request).await;
        assert_eq!(scraped.status, 200, "{}", scraped.text);
        assert_eq!(
            scraped.headers["content-type"],
            "text/plain; version=0.0.4; charset=utf-8"
        );
        // The native histogram has no text form.
        let expected = format!(
            "# TYPE dotted untyped\n\
             dotted{{http_status=\"200\",instance=\"\"}} NaN {last}\n\
             # TYPE http_requests_total untyped\n\
             http_requests_total{{code=\"200\",job=\"api\",instance=\"\"}} 600 {last}\n\
             http_requests_total{{code=\"500\",job=\"api\",instance=\"\"}} 300 {last}\n\
             # TYPE up untyped\n\
             up{{instance=\"a:1\",job=\"api\"}} 1 {last}\n\
             up{{instance=\"b:1\",job=\"api\"}} 0 {last}\n"
        );
        assert_eq!(scraped.text, expected);
    }
    let request = world
        .server
        .request(Method::GET, "/federate")
        .query(&[("match[]", "dotted")])
        .header("accept", "text/plain;version=1.0.0;escaping=allow-utf-8");
    let scraped = answer(request).await;
    let line = format!("dotted{{\"http.status\"=\"200\",instance=\"\"}} NaN {last}\n");
    assert!(scraped.text.ends_with(&line), "{}", scraped.text);
}

#[tokio::test]
async fn without_selectors_there_is_nothing_and_errors_are_text() {
    let world = World::start().await;
    let nothing = world.server.get("/federate").await;
    assert_eq!((nothing.status, &*nothing.text), (200, ""));
    let refused = world.server.get("/federate?match[]=sum(up)").await;
    assert_eq!(refused.status, 400);
    assert!(refused.headers["content-type"].starts_with("text/plain"));
    assert!(refused.text.contains("match[]"), "{}", refused.text);
}
