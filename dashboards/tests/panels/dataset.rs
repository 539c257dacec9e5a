//! A task API whose every number is chosen: half an hour of metrics, a quarter of logs.
//!
//! Counters grow by the same amount each export, so every rate is known exactly; all requests of
//! a series fall into one bucket, so quantiles follow from the definition.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Seconds between exports.
pub(crate) const EXPORT_INTERVAL: u64 = 15;
/// Seconds of metrics before the end.
const HISTORY: u64 = 1800;
/// Exports in one request.
const EXPORTS_PER_REQUEST: usize = 20;

const REQUEST_BOUNDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const OPERATION_BOUNDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// A bucket between two bounds, in milliseconds.
pub(crate) type Bucket = (u32, u32);

/// Requests of one kind on one instance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requests {
    pub(crate) instance: &'static str,
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) status: u16,
    /// Requests in one export interval.
    pub(crate) per_export: u64,
    /// How long all of them took.
    pub(crate) bucket: Bucket,
}

impl Requests {
    pub(crate) fn per_second(&self) -> f64 {
        count(self.per_export) / count(EXPORT_INTERVAL)
    }
}

const fn requests(
    instance: &'static str,
    (method, route, status): (&'static str, &'static str, u16),
    per_export: u64,
    bucket: Bucket,
) -> Requests {
    Requests {
        instance,
        method,
        route,
        status,
        per_export,
        bucket,
    }
}

pub(crate) const ONE: &str = "task-api-1";
pub(crate) const TWO: &str = "task-api-2";

pub(crate) const REQUESTS: &[Requests] = &[
    requests(ONE, ("GET", "/api/v1/tasks", 200), 60, (50, 75)),
    requests(TWO, ("GET", "/api/v1/tasks", 200), 30, (50, 75)),
    requests(ONE, ("POST", "/api/v1/tasks", 201), 15, (100, 250)),
    requests(TWO, ("POST", "/api/v1/tasks", 201), 15, (100, 250)),
    requests(ONE, ("GET", "/api/v1/tasks", 500), 6, (500, 750)),
    requests(TWO, ("GET", "/api/v1/tasks", 500), 3, (500, 750)),
    requests(ONE, ("POST", "/api/v1/login", 503), 3, (1000, 2500)),
];

/// Statements on `tasks` by the first instance: verb, how many per export, their bucket.
pub(crate) const OPERATIONS: &[(&str, u64, Bucket)] =
    &[("SELECT", 75, (1, 5)), ("INSERT", 15, (10, 50))];

/// Instance, pool, connections in use, most connections.
pub(crate) const POOLS: &[(&str, &str, i64, i64)] = &[
    (ONE, "primary", 3, 10),
    (ONE, "replica", 5, 10),
    (TWO, "primary", 1, 8),
];

/// Instance, requests being answered.
pub(crate) const ACTIVE: &[(&str, i64)] = &[(ONE, 4), (TWO, 1)];

/// Instance, what it sees of the replica's lag in seconds and bytes.
pub(crate) const LAG: &[(&str, f64, i64)] = &[(ONE, 2.5, 4096), (TWO, 4.25, 8192)];
pub(crate) const REPLICA: &str = "standby:5432";

/// Seconds before the end at which an error was logged; none on a step's edge.
pub(crate) const ERRORS_AGO: &[u64] = &[8, 9, 68, 127, 293, 294, 295, 604];
/// Seconds before the end at which something harmless was logged.
const HARMLESS_AGO: &[u64] = &[3, 8, 50, 128, 333, 700];

/// The text of the error logged `ago` seconds before the end.
pub(crate) fn error_text(ago: u64) -> String {
    format!("GET /api/v1/tasks failed: injected fault number {ago}")
}

/// All metrics up to `end` (Unix seconds), in several requests.
pub(crate) fn metrics(end: u64) -> Vec<ExportMetricsServiceRequest> {
    let start = end - HISTORY;
    let times: Vec<u64> = (0..=HISTORY / EXPORT_INTERVAL)
        .map(|number| start + number * EXPORT_INTERVAL)
        .collect();
    let request = |times: &[u64]| {
        let exports = times.iter().flat_map(|time| {
            let clock = Clock { start, time: *time };
            [ONE, TWO].map(|instance| clock.export(instance))
        });
        ExportMetricsServiceRequest {
            resource_metrics: exports.collect(),
        }
    };
    times.chunks(EXPORTS_PER_REQUEST).map(request).collect()
}

/// All log records up to `end`.
pub(crate) fn logs(end: u64) -> ExportLogsServiceRequest {
    let error = |ago: &u64| record(end - ago, SeverityNumber::Error, "ERROR", error_text(*ago));
    let harmless = |ago: &u64| {
        let text = "GET /api/v1/tasks answered 200".to_owned();
        record(end - ago, SeverityNumber::Info, "INFO", text)
    };
    let records = ERRORS_AGO
        .iter()
        .map(error)
        .chain(HARMLESS_AGO.iter().map(harmless));
    let scope = ScopeLogs {
        log_records: records.collect(),
        ..Default::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(ONE)),
            scope_logs: vec![scope],
            ..Default::default()
        }],
    }
}

fn record(time: u64, severity: SeverityNumber, severity_text: &str, body: String) -> LogRecord {
    LogRecord {
        time_unix_nano: nanos(time),
        observed_time_unix_nano: nanos(time),
        severity_number: severity.into(),
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(body)),
        }),
        attributes: vec![attribute("http.route", "/api/v1/tasks")],
        ..Default::default()
    }
}

fn resource(instance: &str) -> Resource {
    let attributes = [
        ("service.name", "task-api"),
        ("service.instance.id", instance),
    ];
    let attributes = attributes
        .map(|(key, value)| attribute(key, value))
        .to_vec();
    Resource {
        attributes,
        ..Default::default()
    }
}

/// The moment of one export, Unix seconds.
#[derive(Clone, Copy)]
struct Clock {
    start: u64,
    time: u64,
}

impl Clock {
    fn export(self, instance: &str) -> ResourceMetrics {
        let mut metrics = vec![self.request_durations(instance)];
        if instance == ONE {
            metrics.push(self.operation_durations());
        }
        metrics.extend(self.gauges(instance));
        ResourceMetrics {
            resource: Some(resource(instance)),
            scope_metrics: vec![ScopeMetrics {
                metrics,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn request_durations(self, instance: &str) -> Metric {
        let series = REQUESTS.iter().filter(|series| series.instance == instance);
        let points = series.map(|series| {
            let attributes = vec![
                attribute("http.request.method", series.method),
                attribute("http.route", series.route),
                number("http.response.status_code", series.status.into()),
            ];
            self.histogram(attributes, series.per_export, series.bucket, REQUEST_BOUNDS)
        });
        histogram("http.server.request.duration", points.collect())
    }

    fn operation_durations(self) -> Metric {
        let points = OPERATIONS.iter().map(|(verb, per_export, bucket)| {
            let verb = attribute("db.operation.name", verb);
            let attributes = vec![verb, attribute("db.collection.name", "tasks")];
            self.histogram(attributes, *per_export, *bucket, OPERATION_BOUNDS)
        });
        histogram("db.client.operation.duration", points.collect())
    }

    fn gauges(self, instance: &str) -> Vec<Metric> {
        let pools: Vec<_> = POOLS.iter().filter(|pool| pool.0 == instance).collect();
        let of_pool = |pool: &str| attribute("db.client.connection.pool.name", pool);
        let in_state = pools.iter().flat_map(|(_, pool, used, max)| {
            [("used", *used), ("idle", max - used)].map(|(state, count)| {
                let state = attribute("db.client.connection.state", state);
                self.whole(count, vec![of_pool(pool), state])
            })
        });
        let max = pools
            .iter()
            .map(|(_, pool, _, max)| self.whole(*max, vec![of_pool(pool)]));
        let active = ACTIVE.iter().filter(|active| active.0 == instance);
        let active = active.map(|(_, count)| self.whole(*count, Vec::new()));
        let lag: Vec<_> = LAG.iter().filter(|lag| lag.0 == instance).collect();
        let replica = || vec![attribute("replica", REPLICA)];
        let double = number_data_point::Value::AsDouble;
        let seconds = lag.iter().map(|lag| self.point(double(lag.1), replica()));
        let bytes = lag.iter().map(|lag| self.whole(lag.2, replica()));
        vec![
            up_down(
                "db.client.connection.count",
                "{connection}",
                in_state.collect(),
            ),
            up_down("db.client.connection.max", "{connection}", max.collect()),
            up_down("http.server.active_requests", "{request}", active.collect()),
            gauge("task_api.replication.lag", "s", seconds.collect()),
            gauge("task_api.replication.backlog", "By", bytes.collect()),
        ]
    }

    fn histogram(
        self,
        attributes: Vec<KeyValue>,
        per_export: u64,
        (_, upper): Bucket,
        bounds: &[f64],
    ) -> HistogramDataPoint {
        let total = per_export * (self.time - self.start) / EXPORT_INTERVAL;
        let upper = f64::from(upper) / 1000.0;
        let mut bucket_counts = vec![0; bounds.len() + 1];
        bucket_counts[bounds.iter().position(|bound| *bound == upper).unwrap()] = total;
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: nanos(self.start),
            time_unix_nano: nanos(self.time),
            count: total,
            sum: Some(count(total) * upper),
            bucket_counts,
            explicit_bounds: bounds.to_vec(),
            ..Default::default()
        }
    }

    fn whole(self, value: i64, attributes: Vec<KeyValue>) -> NumberDataPoint {
        self.point(number_data_point::Value::AsInt(value), attributes)
    }

    fn point(self, value: number_data_point::Value, attributes: Vec<KeyValue>) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: nanos(self.start),
            time_unix_nano: nanos(self.time),
            value: Some(value),
            ..Default::default()
        }
    }
}

fn histogram(name: &str, data_points: Vec<HistogramDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    metric(
        name,
        "s",
        Data::Histogram(Histogram {
            data_points,
            aggregation_temporality,
        }),
    )
}

fn up_down(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let sum = Sum {
        data_points,
        aggregation_temporality,
        is_monotonic: false,
    };
    metric(name, unit, Data::Sum(sum))
}

fn gauge(name: &str, unit: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric(name, unit, Data::Gauge(Gauge { data_points }))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Default::default()
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    of(key, any_value::Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    of(key, any_value::Value::IntValue(value))
}

fn of(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue {
        key: key.to_owned(),
        value,
        ..Default::default()
    }
}

fn nanos(seconds: u64) -> u64 {
    seconds * 1_000_000_000
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
pub(crate) fn count(number: u64) -> f64 {
    number as f64
}
