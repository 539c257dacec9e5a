//! Series past a limit: refused one by one, counted and explained, and the rest is stored.

use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message as _;

use crate::otlp::{self, now, text};
use crate::prometheus::remote_write::{self, Series};
use crate::server::{Answer, Home, Process, client};

const OF_METRIC: &str = "new series refused: the metric has reached its limit of active series";
const OF_TENANT: &str = "new series refused: the tenant has reached its limit of active series";

/// The answer to a gauge with one point for each value of the label `n`.
async fn export(
    server: &Process,
    name: &str,
    values_of_n: &[&str],
) -> ExportMetricsServiceResponse {
    let point = |n: &&str| NumberDataPoint {
        attributes: vec![text("n", n)],
        time_unix_nano: now(),
        value: Some(number_data_point::Value::AsDouble(1.0)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: name.to_owned(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: values_of_n.iter().map(point).collect(),
        })),
        ..Metric::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    let response = server
        .otlp("/v1/metrics")
        .header("content-type", "application/x-protobuf")
        .body(otlp::body(&request))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    ExportMetricsServiceResponse::decode(response.bytes().await.unwrap()).unwrap()
}

/// The answer to one sample of each series, a name and a value of the label `n`.
async fn write(server: &Process, series: &[(&str, &str)]) -> Answer {
    let time = i64::try_from(now() / 1_000_000).unwrap();
    let series: Vec<Series> = series
        .iter()
        .map(|&(name, n)| Series::new(name, &[("n", n)]).with([(time, 1.0)]))
        .collect();
    let url = format!("http://{}/api/v1/write", server.addresses.http);
    remote_write::write(&client(), &url, &series, &[]).await
}

/// The series that there are now, as name and value of `n`, sorted.
async fn stored(server: &Process) -> Vec<String> {
    let query = [("query", r#"{n!=""}"#)];
    let answer = server.post_form("/api/v1/query", &query).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let result = answer.json()["data"]["result"].clone();
    let series = result.as_array().unwrap().iter().map(|one| {
        let label = |name: &str| one["metric"][name].as_str().unwrap().to_owned();
        format!("{} {}", label("__name__"), label("n"))
    });
    let mut series: Vec<String> = series.collect();
    series.sort();
    series
}

#[tokio::test]
async fn series_past_a_limit_are_refused_and_the_rest_is_stored() {
    let home =
        Home::new().with_config("limits:\n  active_series: 3\n  active_series_per_metric: 2\n");
    let server = home.start().await;

    let partial = export(&server, "orders", &["1", "2", "3"]).await;
    let partial = partial.partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 1);
    assert_eq!(
        partial.error_message,
        format!("1 of 3 items rejected: 1 because {OF_METRIC}")
    );
    assert_eq!(stored(&server).await, ["orders 1", "orders 2"]);

    // A series that is active goes on; one more of the tenant has room.
    let sent = [("orders", "1"), ("stock", "a"), ("stock", "b")];
    let answer = write(&server, &sent).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.text,
        format!("1 of 3 items rejected: 1 because {OF_TENANT}")
    );
    let kept = ["orders 1", "orders 2", "stock a"];
    assert_eq!(stored(&server).await, kept);
    let metrics = server.get("/metrics").await.text;
    for reason in ["too_many_series", "too_many_series_of_metric"] {
        let counted = metrics.lines().any(|line| {
            line.starts_with("watchkeeper_rejected_items_total")
                && line.contains(&format!("reason=\"{reason}\""))
                && line.ends_with(" 1")
        });
        assert!(counted, "{reason}: {metrics}");
    }

    // So it is after a crash.
    server.kill();
    let server = home.start().await;
    assert_eq!(stored(&server).await, kept);
    assert_eq!(write(&server, &sent[..2]).await.status, 204);
    let refused = export(&server, "prices", &["1"]).await;
    let refused = refused.partial_success.unwrap();
    assert_eq!(refused.rejected_data_points, 1);
    assert_eq!(
        refused.error_message,
        format!("1 of 1 items rejected: 1 because {OF_TENANT}")
    );
    assert_eq!(stored(&server).await, kept);
}
