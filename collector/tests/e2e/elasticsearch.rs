//! Elasticsearch's `_bulk`, and what its clients ask before they send.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Process, Server, answer};

async fn bulk(server: &Process, path: &str, body: &str) -> Answer {
    let request = server
        .request(Method::POST, path)
        .header("content-type", "application/x-ndjson")
        .body(body.to_owned());
    answer(request).await
}

#[tokio::test]
async fn items_are_stored_and_answered_in_their_order() {
    let home = Home::new();
    let mut server = home.start().await;
    let body = concat!(
        "{\"create\":{\"_index\":\"logs-shop\"}}\n",
        "{\"message\":\"payment refused\",\"log.level\":\"error\",\"host\":{\"name\":\"web-1\"},\"service\":{\"name\":\"shop\"},\"trace\":{\"id\":\"0af7651916cd43dd8448eb211c80319c\"},\"http\":{\"status\":503}}\n",
        "{\"index\":{\"_id\":\"mine\"}}\n",
        "{\"message\":\"second\",\"service.name\":\"shop\",\"@timestamp\":\"2001-01-01T00:00:00Z\"}\n",
        "{\"delete\":{\"_id\":\"mine\"}}\n",
        "{\"create\":{}}\n",
        "no JSON\n",
        "{\"create\":{}}\n",
        "{\"message\":\"third\",\"service.name\":\"shop\"}\n",
    );
    let answered = bulk(&server, "/of-path/_bulk", body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.headers["x-elastic-product"], "Elasticsearch");
    let answered = answered.json();
    assert_eq!(answered["errors"], true);
    let items: Vec<(String, i64, String)> = answered["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            let (action, result) = item.as_object().unwrap().iter().next().unwrap();
            let index = result["_index"].as_str().unwrap().to_owned();
            (action.clone(), result["status"].as_i64().unwrap(), index)
        })
        .collect();
    let expected = [
        ("create", 201, "logs-shop"),
        ("index", 400, "of-path"),
        ("delete", 400, "of-path"),
        ("create", 400, "of-path"),
        ("create", 201, "of-path"),
    ];
    let expected =
        expected.map(|(action, status, index)| (action.to_owned(), status, index.to_owned()));
    assert_eq!(items, expected);
    let reason = &answered["items"][1]["index"]["error"]["reason"];
    assert!(reason.as_str().unwrap().contains("retention"), "{reason}");

    for step in ["from the head", "after a crash", "from a split"] {
        let found = server
            .search("host.name:web-1 http.status:503 service:shop severity:error refused")
            .await;
        assert_eq!(found.len(), 1, "{step}");
        assert_eq!(found[0]["body"], "payment refused");
        assert_eq!(found[0]["attributes"], json!({"http.status": "503"}));
        assert_eq!(found[0]["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(found[0]["resource"]["elasticsearch.index"], "logs-shop");
        assert_eq!(server.search("service:shop").await.len(), 2, "{step}");
        match step {
            "from the head" => {
                server.kill();
                server = home.start().await;
            }
            "after a crash" => {
                let flushed = answer(server.request(Method::POST, "/-/flush")).await;
                assert_eq!(flushed.status, 200, "{}", flushed.text);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_paths_of_old_and_new_clients_are_served() {
    let server = Server::start().await;
    let paths = [
        "/_bulk",
        "/logs/_bulk",
        "/logs/_doc/_bulk",
        "/elasticsearch/_bulk?filter_path=errors,items.*.error",
        "/elasticsearch/logs/_bulk",
    ];
    for path in paths {
        let answered = bulk(&server, path, "{\"create\":{}}\n{\"message\":\"x\"}\n").await;
        assert_eq!(answered.status, 200, "{path}: {}", answered.text);
        assert_eq!(answered.json()["errors"], false, "{path}");
    }
    assert_eq!(server.search("x").await.len(), paths.len());
}

#[tokio::test]
async fn shippers_get_the_answers_that_let_them_start() {
    let server = Server::start().await;
    for prefix in ["", "/elasticsearch"] {
        let info = server.get(&format!("{prefix}/")).await;
        assert_eq!(info.status, 200);
        assert_eq!(info.headers["x-elastic-product"], "Elasticsearch");
        let info = info.json();
        assert_eq!(info["tagline"], "You Know, for Search");
        assert!(
            info["version"]["number"]
                .as_str()
                .unwrap()
                .starts_with("8.")
        );
        for (method, path) in [
            (Method::HEAD, "/"),
            (Method::GET, "/_license"),
            (Method::GET, "/_xpack"),
            (Method::GET, "/_cluster/health"),
            (Method::GET, "/_ilm/policy/filebeat"),
            (Method::HEAD, "/_index_template/filebeat-8.19.0"),
            (Method::PUT, "/_index_template/filebeat-8.19.0"),
            (Method::GET, "/_data_stream/filebeat-8.19.0"),
            (Method::PUT, "/_ingest/pipeline/nginx"),
            (Method::GET, "/_cat/indices?format=json"),
        ] {
            let path = format!("{prefix}{path}");
            let answered = answer(server.request(method.clone(), &path)).await;
            assert_eq!(answered.status, 200, "{method} {path}: {}", answered.text);
        }
    }
}

#[tokio::test]
async fn a_browser_gets_the_page() {
    let server = Server::start().await;
    let no_redirects = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let response = no_redirects
        .get(format!("http://{}/", server.addresses.http))
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 307);
    assert_eq!(response.headers()["location"], "/ui/");
}

#[tokio::test]
async fn a_malformed_request_is_refused_as_a_whole() {
    let server = Server::start().await;
    let answered = bulk(&server, "/_bulk", "nonsense\n{}\n").await;
    assert_eq!(answered.status, 400);
    let error: Value = answered.json();
    assert_eq!(error["status"], 400);
    assert_eq!(error["error"]["type"], "illegal_argument_exception");
    let reason = error["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("line 1"), "{reason}");
    assert_eq!(error["error"]["root_cause"][0]["reason"], reason);
}
