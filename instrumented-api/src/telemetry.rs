//! Where telemetry leaves the process: OTLP for traces, logs and metrics, stderr for people,
//! and `/metrics` for scrapers.
//!
//! Code elsewhere speaks `tracing` (spans and events) and [`crate::instruments`] (numbers); only
//! this file knows exporters. Events inside a span carry its trace and span id, because
//! `tracing-opentelemetry` activates the span's OpenTelemetry context and the log bridge reads it.

use std::fmt;
use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{KeyValue, global};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_semantic_conventions::resource as semconv;
use tracing::{Event, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::instruments;

/// The exporter's own transport must not be exported: each batch sent would make the next one.
const EXPORTER_TARGETS: &str =
    "h2=off,hyper=off,hyper_util=off,tonic=off,tower=off,reqwest=off,opentelemetry=off";

/// Who this process is, on every span, record and series.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// `service.instance.id`.
    pub(crate) instance_id: String,
    /// `deployment.environment.name`.
    pub(crate) environment: String,
}

/// The running exporters; [`Telemetry::shutdown`] sends what they still hold.
pub(crate) struct Telemetry {
    traces: SdkTracerProvider,
    logs: SdkLoggerProvider,
    metrics: SdkMeterProvider,
    /// Renders `/metrics`.
    pub(crate) prometheus: PrometheusHandle,
}

impl Telemetry {
    /// Installs the process-wide subscriber, meter provider, propagator and metrics recorder.
    ///
    /// Must run inside a tokio runtime, on which the gRPC channels live. A collector that is
    /// not there is no error: the SDK retries, then drops.
    pub(crate) fn start(identity: &Identity) -> anyhow::Result<Self> {
        let resource = resource(identity);
        let mut traces = SdkTracerProvider::builder().with_resource(resource.clone());
        let mut logs = SdkLoggerProvider::builder().with_resource(resource.clone());
        let mut metrics = SdkMeterProvider::builder().with_resource(resource);
        if !sdk_disabled() {
            let exporter = SpanExporter::builder().with_tonic().build();
            traces = traces.with_batch_exporter(exporter.context("build the OTLP span exporter")?);
            let exporter = LogExporter::builder().with_tonic().build();
            logs = logs.with_batch_exporter(exporter.context("build the OTLP log exporter")?);
            let exporter = MetricExporter::builder().with_tonic().build();
            metrics =
                metrics.with_periodic_exporter(exporter.context("build the OTLP metric exporter")?);
        }
        let (traces, logs, metrics) = (traces.build(), logs.build(), metrics.build());

        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_meter_provider(metrics.clone());
        subscribe(&traces, &logs)?;
        let prometheus = install_prometheus()?;
        Ok(Self {
            traces,
            logs,
            metrics,
            prometheus,
        })
    }

    /// Sends what is still buffered, metrics last so that they count everything, and says what
    /// could not be sent. Blocks for up to the exporters' timeouts, hence off the async workers.
    pub(crate) async fn shutdown(self) {
        let flushed = tokio::task::spawn_blocking(move || {
            report("traces", self.traces.shutdown());
            report("logs", self.logs.shutdown());
            report("metrics", self.metrics.shutdown());
        });
        if let Err(error) = flushed.await {
            eprintln!("telemetry was not flushed: {error}");
        }
    }
}

/// Past the log exporter's end, stderr is the only place left to say so.
fn report(signal: &str, result: OTelSdkResult) {
    if let Err(error) = result {
        eprintln!("{signal} still buffered may be lost: {error}");
    }
}

fn sdk_disabled() -> bool {
    std::env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Our names first, then `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` over them.
fn resource(identity: &Identity) -> Resource {
    let builder = Resource::builder_empty()
        .with_service_name("task-api")
        .with_attributes([
            KeyValue::new(semconv::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
            KeyValue::new(semconv::SERVICE_INSTANCE_ID, identity.instance_id.clone()),
            KeyValue::new(
                semconv::DEPLOYMENT_ENVIRONMENT_NAME,
                identity.environment.clone(),
            ),
        ])
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match std::env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => builder.with_service_name(name).build(),
        _ => builder.build(),
    }
}

fn subscribe(traces: &SdkTracerProvider, logs: &SdkLoggerProvider) -> anyhow::Result<()> {
    let chosen = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    // One filter for all, not one a layer: those remember what they refused last, and when a crate
    // asks only whether it might log, as sqlx does after every statement, they drop the event that
    // comes next.
    let filter = EnvFilter::try_new(format!("{chosen},{EXPORTER_TARGETS}"))
        .with_context(|| format!("read RUST_LOG={chosen:?}"))?;
    let tracer = traces.tracer(env!("CARGO_PKG_NAME"));
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    let to_people = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(EventLine);
    tracing_subscriber::registry()
        .with(filter)
        .with(spans)
        .with(OpenTelemetryTracingBridge::new(logs))
        .with(to_people)
        .try_init()
        .context("install the tracing subscriber")
}

/// `TIME LEVEL target: message field=value`. The spans around the event are left out, because each
/// request's line repeats what its span says.
struct EventLine;

impl<S, N> FormatEvent<S, N> for EventLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut line)?;
        // A record of the `log` crate has its own target in its fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        write!(line, " {:>5} {}: ", metadata.level(), metadata.target())?;
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}

fn install_prometheus() -> anyhow::Result<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in instruments::PROMETHEUS_BUCKETS {
        let matcher = metrics_exporter_prometheus::Matcher::Full((*name).to_owned());
        builder = builder
            .set_buckets_for_metric(matcher, buckets)
            .with_context(|| format!("set the buckets of {name}"))?;
    }
    builder
        .install_recorder()
        .context("install the metrics recorder")
}
