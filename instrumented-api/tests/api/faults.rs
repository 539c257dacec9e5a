//! The fault switches.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::process::{ADMIN_TOKEN, Api, expect};
use crate::receiver::Receiver;

#[tokio::test]
async fn faults_need_the_admin_token() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    for method in [Method::GET, Method::POST] {
        for token in ["", "let-me", "let-me-break-it!"] {
            let request = api
                .request(method.clone(), "/admin/faults")
                .json(&json!({}));
            let answer = request.header("x-admin-token", token).send().await.unwrap();
            assert_eq!(
                answer.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {token:?}"
            );
        }
    }
}

#[tokio::test]
async fn faults_are_switched_all_at_once_and_spare_probes() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;

    api.switch_faults(json!({"error_rate": 1.0})).await;
    let answer = user
        .request(Method::GET, "/api/v1/tasks")
        .send()
        .await
        .unwrap();
    expect(StatusCode::INTERNAL_SERVER_ERROR, answer).await;
    let answer = api.request(Method::GET, "/healthz").send().await.unwrap();
    expect(StatusCode::OK, answer).await;

    api.switch_faults(json!({"latency_ms": 300})).await;
    let started = Instant::now();
    user.get("/api/v1/tasks").await;
    assert!(started.elapsed() >= Duration::from_millis(300));

    let request = api.request(Method::GET, "/admin/faults");
    let answer = request
        .header("x-admin-token", ADMIN_TOKEN)
        .send()
        .await
        .unwrap();
    let faults = expect(StatusCode::OK, answer).await;
    assert_eq!(faults, json!({"latency_ms": 300, "error_rate": 0.0}));

    let request = api
        .request(Method::POST, "/admin/faults")
        .json(&json!({"error_rate": 2}));
    let answer = request
        .header("x-admin-token", ADMIN_TOKEN)
        .send()
        .await
        .unwrap();
    expect(StatusCode::UNPROCESSABLE_ENTITY, answer).await;
}
