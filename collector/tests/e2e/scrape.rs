//! Scraping: targets in this test that show text or OpenMetrics, change, refuse and vanish.

mod config;
mod target;

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};

use crate::server::{Home, PATIENCE, Process};
use target::{Page, Target};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The result of an instant query: each series as PromQL writes it, without its time, and its
/// value.
async fn instant(server: &Process, query: &str) -> BTreeMap<String, String> {
    let answer = server.post_form("/api/v1/query", &[("query", query)]).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text);
    let result = answer.json()["data"]["result"].clone();
    let series = result.as_array().unwrap().iter().map(|one| {
        let metric = one["metric"].as_object().unwrap();
        let name = metric.get("__name__").and_then(Value::as_str);
        let labels: Vec<String> = metric
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let series = format!("{}{{{}}}", name.unwrap_or_default(), labels.join(","));
        (series, one["value"][1].as_str().unwrap().to_owned())
    });
    series.collect()
}

/// Waits until the query's result is what `expected` says.
async fn until(server: &Process, query: &str, expected: &[(&str, &str)]) {
    let expected: BTreeMap<String, String> = expected
        .iter()
        .map(|(series, value)| ((*series).to_owned(), (*value).to_owned()))
        .collect();
    let begun = Instant::now();
    loop {
        let found = instant(server, query).await;
        if found == expected {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{query}: expected {expected:?}, got {found:?}; {}",
            server.get("/api/v1/targets").await.text
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn targets(server: &Process, params: &str) -> Value {
    let answer = server.get(&format!("/api/v1/targets{params}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].clone()
}

/// A server whose only job scrapes `targets` five times a second.
async fn scraping(targets: &[&Target], more: &str) -> (Home, Process) {
    let addresses: Vec<&str> = targets
        .iter()
        .map(|target| target.address.as_str())
        .collect();
    let yaml = format!(
        "global: {{scrape_interval: 200ms}}\n\
         scrape_configs:\n  - job_name: shop\n    static_configs: [{{targets: {addresses:?}}}]\n\
         {more}"
    );
    let home = Home::new().with_config(&yaml);
    let server = home.start().await;
    (home, server)
}

#[tokio::test]
async fn a_targets_series_come_change_and_become_stale() {
    let target = Target::start(Page::text("x 1\ny{a=\"b\",job=\"own\"} 2\n")).await;
    let relabel = "    metric_relabel_configs: [{regex: instance, action: labeldrop}]\n";
    let (home, server) = scraping(&[&target], relabel).await;
    let y = r#"y{a="b",exported_job="own",job="shop"}"#;
    until(
        &server,
        "{__name__=~'x|y'}",
        &[(r#"x{job="shop"}"#, "1"), (y, "2")],
    )
    .await;

    // A series that is not shown any more is gone at once, not in five minutes.
    target.show(Page::text("x 3\n"));
    until(&server, "{__name__=~'x|y'}", &[(r#"x{job="shop"}"#, "3")]).await;
    let up = format!("up{{instance=\"{}\",job=\"shop\"}}", target.address);
    until(&server, "up", &[(&up, "1")]).await;
    let scraped = up.replace("up{", "scrape_samples_scraped{");
    until(&server, "scrape_samples_scraped", &[(&scraped, "1")]).await;
    let health = targets(&server, "").await["activeTargets"][0].clone();
    assert_eq!(
        (&health["health"], &health["lastError"]),
        (&json!("up"), &json!(""))
    );

    // So is everything of a target that fails, but for what tells that it does.
    target.show(Page::failing());
    until(&server, "{__name__=~'x|up'}", &[(&up, "0")]).await;
    let health = targets(&server, "?state=active").await["activeTargets"][0].clone();
    assert_eq!(health["health"], "down");
    assert_eq!(
        health["lastError"],
        "server returned HTTP status 500 Internal Server Error"
    );

    // What was scraped is on disk, and goes on after a crash.
    target.show(Page::text("x 4\n"));
    until(&server, "x", &[(r#"x{job="shop"}"#, "4")]).await;
    server.kill();
    target.show(Page::failing());
    let server = home.start().await;
    let earlier = instant(&server, "max_over_time(x[5m])").await;
    assert_eq!(
        earlier,
        BTreeMap::from([(r#"{job="shop"}"#.to_owned(), "4".to_owned())])
    );
    let ended = server.terminate().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn open_metrics_brings_exemplars_metadata_and_utf_8_names() {
    let body = "# TYPE shop_requests counter\n# HELP shop_requests Requests.\n\
                shop_requests_total{path=\"/\"} 5 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 1\n\
                shop_requests_created{path=\"/\"} 1700000000\n\
                # TYPE \"shop.queue\" gauge\n{\"shop.queue\",\"queue.name\"=\"mail\"} 3\n# EOF\n";
    let target = Target::start(Page::of_type(OPEN_METRICS, body).gzipped()).await;
    let (_home, server) = scraping(&[&target], "").await;
    let labels = format!("instance=\"{}\",job=\"shop\"", target.address);
    until(
        &server,
        r#"{__name__=~"shop.*"}"#,
        &[
            (&format!("shop.queue{{{labels},queue.name=\"mail\"}}"), "3"),
            (&format!("shop_requests_total{{{labels},path=\"/\"}}"), "5"),
        ],
    )
    .await;
    let metadata = server
        .get("/api/v1/metadata?metric=shop_requests_total")
        .await;
    assert_eq!(
        metadata.json()["data"]["shop_requests_total"],
        json!([{"type": "counter", "help": "Requests.", "unit": ""}])
    );
    let exemplars = server
        .post_form(
            "/api/v1/query_exemplars",
            &[
                ("query", "shop_requests_total"),
                ("start", "0"),
                ("end", "9999999999"),
            ],
        )
        .await;
    assert_eq!(
        exemplars.json()["data"][0]["exemplars"][0]["labels"]["trace_id"],
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "{}",
        exemplars.text
    );
}

#[tokio::test]
async fn files_bring_targets_and_take_them_away() {
    let [first, second] = [
        Target::start(Page::text("x 1\n")).await,
        Target::start(Page::text("x 2\n")).await,
    ];
    let config = "scrape_configs:\n  - job_name: shop\n    scrape_interval: 200ms\n    \
                  file_sd_configs: [{files: ['targets/*.json'], refresh_interval: 100ms}]\n    \
                  relabel_configs:\n      - {source_labels: [env], regex: secret, action: drop}\n      \
                  - {source_labels: [__meta_filepath], regex: '.*/(.*).json', target_label: file}\n";
    let home = Home::new().with_config(config);
    std::fs::create_dir(home.path().join("targets")).unwrap();
    let list = |address: &str, env: &str| {
        json!([{"targets": [address], "labels": {"env": env}}]).to_string()
    };
    home.write("targets/a.json", &list(&first.address, "test"));
    home.write("targets/b.json", &list(&second.address, "secret"));
    let server = home.start().await;
    let x = |target: &Target, file: &str| {
        format!(
            "x{{env=\"test\",file=\"{file}\",instance=\"{}\",job=\"shop\"}}",
            target.address
        )
    };
    until(&server, "x", &[(&x(&first, "a"), "1")]).await;
    let found = targets(&server, "").await;
    assert_eq!(found["droppedTargetCounts"], json!({"shop": 1}));
    assert_eq!(found["droppedTargets"][0]["scrapePool"], "shop");
    let discovered = &found["activeTargets"][0]["discoveredLabels"];
    assert_eq!(discovered["__address__"], json!(first.address));
    assert_eq!(discovered["__scrape_interval__"], "200ms");
    assert!(
        discovered["__meta_filepath"]
            .as_str()
            .unwrap()
            .ends_with("targets/a.json")
    );

    home.write("targets/b.json", &list(&second.address, "test"));
    until(
        &server,
        "x",
        &[(&x(&first, "a"), "1"), (&x(&second, "b"), "2")],
    )
    .await;
    // A target that nobody lists any more leaves nothing behind, `up` included.
    std::fs::remove_file(home.path().join("targets/a.json")).unwrap();
    until(&server, "x", &[(&x(&second, "b"), "2")]).await;
    let up = x(&second, "b").replace("x{", "up{");
    until(&server, "up", &[(&up, "1")]).await;
}

#[tokio::test]
async fn a_url_brings_targets_to_who_may_ask() {
    // base64 of shop:s3cret.
    let target = Target::start(Page::text("x 1\n").only_for("Basic c2hvcDpzM2NyZXQ=")).await;
    let list = json!([{"targets": [target.address], "labels": {"env": "test"}}]).to_string();
    let list = Page::of_type("application/json", &list).only_for("Bearer t0ken");
    let discovery = Target::start(list).await;
    let url = format!("http://{}/targets", discovery.address);
    let config = format!(
        "scrape_configs:\n  - job_name: shop\n    scrape_interval: 200ms\n    \
         metrics_path: /internal/metrics\n    params: {{part: [a, b]}}\n    \
         basic_auth: {{username: shop, password_file: password}}\n    \
         http_sd_configs:\n      - url: {url}\n        refresh_interval: 100ms\n        \
         authorization: {{credentials: t0ken}}\n"
    );
    let home = Home::new().with_config(&config);
    home.write("password", "s3cret\n");
    let server = home.start().await;
    let labels = format!("env=\"test\",instance=\"{}\",job=\"shop\"", target.address);
    until(&server, "x", &[(&format!("x{{{labels}}}"), "1")]).await;
    let found = targets(&server, "?scrapePool=shop").await;
    let active = &found["activeTargets"][0];
    let scrape_url = format!("http://{}/internal/metrics?part=a&part=b", target.address);
    assert_eq!(active["scrapeUrl"], json!(scrape_url));
    assert_eq!(active["discoveredLabels"]["__meta_url"], json!(url));
    assert_eq!(
        (&active["scrapeInterval"], &active["scrapeTimeout"]),
        (&json!("200ms"), &json!("200ms"))
    );

    // The list fails and the targets stay; the password changes and is read anew.
    discovery.show(Page::failing());
    home.write("password", "wrong");
    let up = |value: &'static str| (format!("up{{{labels}}}"), value);
    let (series, value) = up("0");
    until(&server, "up", &[(&series, value)]).await;
    assert_eq!(
        targets(&server, "").await["activeTargets"][0]["lastError"],
        "server returned HTTP status 401 Unauthorized"
    );
    home.write("password", "s3cret");
    let (series, value) = up("1");
    until(&server, "up", &[(&series, value)]).await;
    assert_eq!(
        targets(&server, "?scrapePool=other").await,
        json!({"activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {}})
    );
}

#[tokio::test]
async fn limits_refuse_a_scrape_as_a_whole() {
    let target = Target::start(Page::text("x 1\ny 2\nz 3\n")).await;
    let (_home, server) = scraping(&[&target], "    sample_limit: 2\n").await;
    let up = format!("up{{instance=\"{}\",job=\"shop\"}}", target.address);
    until(&server, "{__name__=~'x|y|z|up'}", &[(&up, "0")]).await;
    let active = targets(&server, "").await["activeTargets"][0].clone();
    assert_eq!(active["lastError"], "more than sample_limit = 2 samples");
    target.show(Page::text("x 1\n"));
    let x = up.replace("up{", "x{");
    until(&server, "{__name__=~'x|y|z|up'}", &[(&up, "1"), (&x, "1")]).await;
}
