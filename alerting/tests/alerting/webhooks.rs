//! Webhooks: the body, and which answers are tried again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use alerting::state_store::DeliveryOutcome;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;

use crate::engine::World;

const RULES: &str = "groups:
- name: g
  interval: 1s
  rules:
  - alert: Down
    expr: up == 0
    labels: {severity: page}
    annotations: {summary: down}
";

#[derive(Default)]
struct Receiver {
    bodies: Mutex<Vec<serde_json::Value>>,
    answers: Mutex<VecDeque<StatusCode>>,
}

async fn take(State(receiver): State<Arc<Receiver>>, body: String) -> StatusCode {
    let answer = receiver.answers.lock().unwrap().pop_front();
    let answer = answer.unwrap_or(StatusCode::OK);
    if answer.is_success() {
        let body = serde_json::from_str(&body).unwrap();
        receiver.bodies.lock().unwrap().push(body);
    }
    answer
}

fn world(receiver: &Arc<Receiver>) -> World {
    // Who installed it first does not matter.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let routes = format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s}}
receivers:
- name: hook
  webhook_configs: [{{url: 'http://127.0.0.1:{port}/hook', max_alerts: 1}}]
"
    );
    let world = World::new(RULES, &routes);
    let app = Router::new()
        .route("/hook", post(take))
        .with_state(Arc::clone(receiver));
    world.serve(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        axum::serve(listener, app).await.unwrap();
    });
    world
}

#[test]
fn a_webhook_gets_alertmanagers_version_4() {
    let receiver = Arc::new(Receiver::default());
    let world = world(&receiver);
    let running = world.start();
    world.fail(&["a", "b"]);
    let count = || receiver.bodies.lock().unwrap().len();
    world.until("firing", || count() == 1);
    world.fail(&[]);
    world.until("resolved", || count() == 2);
    running.stop();
    let bodies = receiver.bodies.lock().unwrap();
    let body = &bodies[0];
    for (field, expected) in [
        ("receiver", serde_json::json!("hook")),
        ("status", "firing".into()),
        ("version", "4".into()),
        ("groupKey", "{}:{alertname=\"Down\"}".into()),
        ("truncatedAlerts", 1.into()),
        ("groupLabels", serde_json::json!({"alertname": "Down"})),
        (
            "commonLabels",
            serde_json::json!({"alertname": "Down", "severity": "page"}),
        ),
        ("commonAnnotations", serde_json::json!({"summary": "down"})),
        ("externalURL", "http://watch.example".into()),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
    let alert = &body["alerts"][0];
    assert_eq!(alert["status"], "firing");
    assert_eq!(alert["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(alert["fingerprint"].as_str().unwrap().len(), 16);
    assert_eq!(bodies[1]["status"], "resolved");
    assert_ne!(bodies[1]["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
}

#[test]
fn busy_receivers_are_tried_again_and_refusals_are_final() {
    let receiver = Arc::new(Receiver::default());
    receiver.answers.lock().unwrap().extend([
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::OK,
        StatusCode::BAD_REQUEST,
    ]);
    let world = world(&receiver);
    let running = world.start();
    world.fail(&["a"]);
    world.until("delivery", || world.attempts().len() == 4);
    world.fail(&[]);
    world.until("the refusal", || world.attempts().len() == 5);
    world.pass(&running.engine, 30);
    running.stop();
    let attempts = world.attempts();
    assert!(
        attempts[..3]
            .iter()
            .all(|one| matches!(one, DeliveryOutcome::Retried(_)))
    );
    assert_eq!(attempts[3], DeliveryOutcome::Delivered);
    assert!(matches!(&attempts[4], DeliveryOutcome::Failed(why) if why.contains("400")));
    assert_eq!(attempts.len(), 5);
}
