//! What arrives at the collector: spans, records that name their span, metrics, one identity.

use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode as SpanStatus};
use reqwest::Method;
use serde_json::json;

use crate::process::{Api, expect};
use crate::receiver::{Receiver, attribute, text};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_request_leaves_a_span_a_record_inside_it_and_a_measurement() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;
    let id = user.create(json!({"title": "write tests"})).await;

    let answer = user
        .request(Method::GET, &format!("/api/v1/tasks/{id}"))
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .send()
        .await
        .unwrap();
    expect(reqwest::StatusCode::OK, answer).await;

    // The server span joins the caller's trace and is named by route, never by path.
    let server = receiver
        .span("the server span", |span| {
            hex(&span.trace_id) == TRACE && span.kind() == SpanKind::Server
        })
        .await;
    assert_eq!(server.name, "GET /api/v1/tasks/{id}");
    assert_eq!(hex(&server.parent_span_id), PARENT);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/v1/tasks/{id}"),
        ("http.response.status_code", "200"),
        ("url.path", &format!("/api/v1/tasks/{id}")),
        ("user.id", &user.id),
        ("task.id", &id),
    ] {
        assert_eq!(
            attribute(&server.attributes, key).as_deref(),
            Some(value),
            "{key}"
        );
    }

    // The statement is its child.
    let statement = receiver
        .span("the database span", |span| {
            span.kind() == SpanKind::Client && span.parent_span_id == server.span_id
        })
        .await;
    assert_eq!(statement.name, "SELECT tasks");
    assert_eq!(
        attribute(&statement.attributes, "db.system.name").as_deref(),
        Some("sqlite")
    );

    // The log line names that trace and that span, and carries the same facts.
    let record = receiver
        .record("the request's record", |record| {
            hex(&record.trace_id) == TRACE
        })
        .await;
    assert_eq!(record.span_id, server.span_id);
    assert_eq!(record.severity_text, "INFO");
    let body = record.body.as_ref().map(text).unwrap_or_default();
    assert_eq!(body, "GET /api/v1/tasks/{id} answered 200");
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/v1/tasks/{id}"),
        ("http.response.status_code", "200"),
        ("user.id", &user.id),
        ("task.id", &id),
    ] {
        assert_eq!(
            attribute(&record.attributes, key).as_deref(),
            Some(value),
            "{key}"
        );
    }

    // The measurement counts it once, in seconds, with a bucket edge at the objective.
    let point = receiver
        .metric("http.server.request.duration", |metric| {
            assert_eq!(metric.unit, "s");
            points_of(metric).into_iter().find(|point| {
                attribute(&point.attributes, "http.route").as_deref() == Some("/api/v1/tasks/{id}")
                    && attribute(&point.attributes, "http.request.method").as_deref() == Some("GET")
            })
        })
        .await;
    assert_eq!(point.count, 1);
    assert!(
        point.explicit_bounds.contains(&0.3),
        "{:?}",
        point.explicit_bounds
    );
    assert_eq!(
        attribute(&point.attributes, "http.response.status_code").as_deref(),
        Some("200")
    );

    // Everything comes from one resource.
    let resources = receiver.resources();
    for (key, value) in [
        ("service.name", "task-api"),
        ("service.instance.id", "test-1"),
        ("deployment.environment.name", "test"),
    ] {
        for resource in &resources {
            assert_eq!(attribute(resource, key).as_deref(), Some(value), "{key}");
        }
    }
}

#[tokio::test]
async fn a_failing_request_is_an_error_in_all_three_signals() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    api.switch_faults(json!({"error_rate": 1.0})).await;
    let answer = api
        .request(Method::GET, "/api/v1/tasks")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-01"))
        .send()
        .await
        .unwrap();
    let body = expect(reqwest::StatusCode::INTERNAL_SERVER_ERROR, answer).await;
    assert_eq!(
        body["error"]["message"], "internal error",
        "the cause stays inside"
    );
    assert_eq!(body["error"]["trace_id"], TRACE);

    let span = receiver
        .span("the span", |span| hex(&span.trace_id) == TRACE)
        .await;
    assert_eq!(
        span.status.as_ref().map(|status| status.code()),
        Some(SpanStatus::Error)
    );
    assert_eq!(
        attribute(&span.attributes, "error.type").as_deref(),
        Some("injected_fault")
    );

    let record = receiver
        .record("the record", |record| hex(&record.trace_id) == TRACE)
        .await;
    assert_eq!(record.severity_text, "ERROR");
    assert_eq!(
        attribute(&record.attributes, "error.type").as_deref(),
        Some("injected_fault")
    );
    let cause = attribute(&record.attributes, "exception.message").unwrap_or_default();
    assert!(
        cause.contains("the connection to the task store was lost"),
        "{cause}"
    );

    let failed = receiver.metric("http.server.request.duration", |metric| {
        points_of(metric).into_iter().find(|point| {
            attribute(&point.attributes, "http.response.status_code").as_deref() == Some("500")
        })
    });
    assert_eq!(failed.await.count, 1);
}

#[tokio::test]
async fn what_is_buffered_at_sigterm_is_sent_before_exit() {
    let receiver = Receiver::start().await;
    let forever = [
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "600000"),
    ];
    let api = Api::start_with(&receiver, &forever).await;
    api.user("ann@example.org").await;
    assert!(
        receiver.spans().is_empty(),
        "nothing is due for ten minutes"
    );
    tokio::task::spawn_blocking(move || api.stop())
        .await
        .unwrap();
    receiver
        .span("the login", |span| span.name == "POST /api/v1/login")
        .await;
    receiver
        .record("the last word", |record| {
            record
                .body
                .as_ref()
                .map(text)
                .is_some_and(|body| body == "task API stopped")
        })
        .await;
}

#[tokio::test]
async fn the_pools_are_measured_in_both_forms() {
    let receiver = Receiver::start().await;
    let api = Api::start_with(&receiver, &[("TASK_API_POOL_SIZE", "7")]).await;
    let max = receiver
        .metric("db.client.connection.max", |metric| match &metric.data {
            Some(Data::Sum(sum)) => sum.data_points.first().cloned(),
            other => panic!("{other:?}"),
        })
        .await;
    let pool = attribute(&max.attributes, "db.client.connection.pool.name");
    assert_eq!(pool.as_deref(), Some("primary"));
    assert!(format!("{:?}", max.value).contains('7'), "{:?}", max.value);
    let scraped = api.scrape().await;
    let expected = r#"db_client_connection_max{db_client_connection_pool_name="primary"} 7"#;
    assert!(scraped.contains(expected), "{scraped}");
}

#[tokio::test]
async fn metrics_can_be_scraped_under_the_names_otlp_turns_into() {
    let receiver = Receiver::start().await;
    let api = Api::start(&receiver).await;
    let user = api.user("ann@example.org").await;
    user.get("/api/v1/tasks").await;
    let scraped = api.scrape().await;
    for expected in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",\
         url_scheme=\"http\",http_route=\"/api/v1/tasks\",http_response_status_code=\"200\"} 1",
        "# TYPE http_server_request_duration_seconds histogram",
        "task_api_registrations_total 1",
    ] {
        assert!(
            scraped.contains(expected),
            "{expected} is not in:\n{scraped}"
        );
    }
    assert!(
        !scraped.contains("/healthz") && !scraped.contains("/metrics"),
        "probes are counted"
    );
}

fn points_of(metric: &Metric) -> Vec<HistogramDataPoint> {
    match &metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points.clone(),
        other => panic!("{} is no histogram: {other:?}", metric.name),
    }
}
