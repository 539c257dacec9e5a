//! An OTLP/gRPC server that keeps what it is sent, for tests to look at.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::logs::v1 as logs;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as traces;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::process::eventually;

#[derive(Default)]
struct Received {
    resources: Vec<Vec<KeyValue>>,
    spans: Vec<Span>,
    records: Vec<LogRecord>,
    /// The latest state of every metric, as cumulative exports make it.
    metrics: Vec<Metric>,
}

#[derive(Clone)]
pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

impl Receiver {
    /// Listens on a free port until the test's runtime ends.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let receiver = Self {
            address,
            received: Arc::default(),
        };
        let server = tonic::transport::Server::builder()
            .add_service(logs::logs_service_server::LogsServiceServer::new(
                receiver.clone(),
            ))
            .add_service(traces::trace_service_server::TraceServiceServer::new(
                receiver.clone(),
            ))
            .add_service(metrics::metrics_service_server::MetricsServiceServer::new(
                receiver.clone(),
            ));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        receiver
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for a log record with `matches`.
    pub(crate) async fn record(
        &self,
        what: &str,
        matches: impl Fn(&LogRecord) -> bool,
    ) -> LogRecord {
        self.first(what, |received| {
            received.records.iter().find(|r| matches(r)).cloned()
        })
        .await
    }

    /// Waits for a span with `matches`.
    pub(crate) async fn span(&self, what: &str, matches: impl Fn(&Span) -> bool) -> Span {
        self.first(what, |received| {
            received.spans.iter().find(|s| matches(s)).cloned()
        })
        .await
    }

    /// Waits until the newest export of the metric `name` has `get` something.
    pub(crate) async fn metric<T>(&self, name: &str, get: impl Fn(&Metric) -> Option<T>) -> T {
        self.first(name, |received| {
            received
                .metrics
                .iter()
                .rev()
                .find(|metric| metric.name == name)
                .and_then(&get)
        })
        .await
    }

    /// The resource attributes of everything received, without repetition.
    pub(crate) fn resources(&self) -> Vec<Vec<KeyValue>> {
        let mut resources = self.received.lock().unwrap().resources.clone();
        resources.dedup();
        resources
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    async fn first<T>(&self, what: &str, find: impl Fn(&Received) -> Option<T>) -> T {
        eventually(what, || async { find(&self.received.lock().unwrap()) }).await
    }
}

#[tonic::async_trait]
impl logs::logs_service_server::LogsService for Receiver {
    async fn export(
        &self,
        request: Request<logs::ExportLogsServiceRequest>,
    ) -> Result<Response<logs::ExportLogsServiceResponse>, Status> {
        let mut received = self.received.lock().unwrap();
        for of_resource in request.into_inner().resource_logs {
            received
                .resources
                .extend(of_resource.resource.map(|resource| resource.attributes));
            let scopes = of_resource.scope_logs.into_iter();
            received
                .records
                .extend(scopes.flat_map(|scope| scope.log_records));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl traces::trace_service_server::TraceService for Receiver {
    async fn export(
        &self,
        request: Request<traces::ExportTraceServiceRequest>,
    ) -> Result<Response<traces::ExportTraceServiceResponse>, Status> {
        let mut received = self.received.lock().unwrap();
        for of_resource in request.into_inner().resource_spans {
            received
                .resources
                .extend(of_resource.resource.map(|resource| resource.attributes));
            let scopes = of_resource.scope_spans.into_iter();
            received.spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl metrics::metrics_service_server::MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<Response<metrics::ExportMetricsServiceResponse>, Status> {
        let mut received = self.received.lock().unwrap();
        for of_resource in request.into_inner().resource_metrics {
            received
                .resources
                .extend(of_resource.resource.map(|resource| resource.attributes));
            let scopes = of_resource.scope_metrics.into_iter();
            received
                .metrics
                .extend(scopes.flat_map(|scope| scope.metrics));
        }
        Ok(Response::new(Default::default()))
    }
}

/// The attribute `key` as text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref().map(text)
}

/// A value as text, whatever its type.
pub(crate) fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}
