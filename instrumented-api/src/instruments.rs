//! Every number this service reports, named once and recorded in both forms: OTLP with
//! semantic-convention names, and `/metrics` with the names OTLP turns into under Prometheus.

use std::time::Duration;

use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};
use opentelemetry::{KeyValue, global};
use opentelemetry_semantic_conventions::{attribute, metric};

/// Seconds. The conventions' advice plus 0.3, the latency objective's threshold: a quantile can
/// be estimated between buckets, but "faster than 0.3 s" can only be counted at a bucket's edge.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Seconds, as the conventions advise for databases.
const OPERATION_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

const REQUEST_DURATION: &str = "http_server_request_duration_seconds";
const ACTIVE_REQUESTS: &str = "http_server_active_requests";
const OPERATION_DURATION: &str = "db_client_operation_duration_seconds";

/// The buckets of each histogram at `/metrics`; without them the exporter makes summaries.
pub(crate) const PROMETHEUS_BUCKETS: &[(&str, &[f64])] = &[
    (REQUEST_DURATION, REQUEST_BUCKETS),
    (OPERATION_DURATION, OPERATION_BUCKETS),
];

/// One answered HTTP request.
#[derive(Debug)]
pub(crate) struct RequestOutcome<'a> {
    pub(crate) method: &'a str,
    /// The route's pattern, never the path: `/api/v1/tasks/{id}`. Absent when none matched.
    pub(crate) route: Option<&'a str>,
    pub(crate) status: u16,
    /// A short, closed set of words; present on 5xx.
    pub(crate) error_type: Option<&'static str>,
    pub(crate) duration: Duration,
}

/// One statement sent to a database.
#[derive(Debug)]
pub(crate) struct OperationOutcome<'a> {
    pub(crate) system: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) collection: &'static str,
    /// Which pool served it: `primary` or `replica`.
    pub(crate) pool: &'a str,
    pub(crate) error_type: Option<&'static str>,
    pub(crate) duration: Duration,
}

/// A pool's connections at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PoolUse {
    pub(crate) pool: &'static str,
    pub(crate) used: u32,
    pub(crate) idle: u32,
    pub(crate) max: u32,
}

/// How far a replica is behind at one moment; what could not be measured is absent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReplicaLag {
    pub(crate) replica: String,
    /// Age of the newest heartbeat the replica shows.
    pub(crate) seconds: Option<f64>,
    /// Write-ahead log the replica has not replayed, as the primary sees it.
    pub(crate) bytes: Option<i64>,
}

/// Handles to the instruments; cheap to clone.
#[derive(Clone)]
pub(crate) struct Instruments {
    meter: Meter,
    request_duration: Histogram<f64>,
    active_requests: UpDownCounter<i64>,
    operation_duration: Histogram<f64>,
    registrations: Counter<u64>,
}

impl Instruments {
    /// Creates the instruments on the global meter provider.
    pub(crate) fn new() -> Self {
        let meter = global::meter(env!("CARGO_PKG_NAME"));
        Self {
            request_duration: meter
                .f64_histogram(metric::HTTP_SERVER_REQUEST_DURATION)
                .with_unit("s")
                .with_description("Duration of HTTP server requests.")
                .with_boundaries(REQUEST_BUCKETS.to_vec())
                .build(),
            active_requests: meter
                .i64_up_down_counter(metric::HTTP_SERVER_ACTIVE_REQUESTS)
                .with_unit("{request}")
                .with_description("Requests being answered right now.")
                .build(),
            operation_duration: meter
                .f64_histogram(metric::DB_CLIENT_OPERATION_DURATION)
                .with_unit("s")
                .with_description("Duration of database operations.")
                .with_boundaries(OPERATION_BUCKETS.to_vec())
                .build(),
            registrations: meter
                .u64_counter("task_api.registrations")
                .with_unit("{account}")
                .with_description("Accounts registered.")
                .build(),
            meter,
        }
    }

    /// Counts one answered request.
    pub(crate) fn request_answered(&self, outcome: &RequestOutcome<'_>) {
        let seconds = outcome.duration.as_secs_f64();
        let labels = Labels::new()
            .with(attribute::HTTP_REQUEST_METHOD, outcome.method)
            .with(attribute::URL_SCHEME, "http")
            .maybe(attribute::HTTP_ROUTE, outcome.route)
            .with_number(attribute::HTTP_RESPONSE_STATUS_CODE, outcome.status.into())
            .maybe(attribute::ERROR_TYPE, outcome.error_type);
        self.request_duration.record(seconds, &labels.otlp);
        metrics::histogram!(REQUEST_DURATION, labels.prometheus).record(seconds);
    }

    /// A request began (`+1`) or ended (`-1`).
    pub(crate) fn active_requests_changed(&self, method: &str, by: i8) {
        let labels = Labels::new()
            .with(attribute::HTTP_REQUEST_METHOD, method)
            .with(attribute::URL_SCHEME, "http");
        self.active_requests.add(by.into(), &labels.otlp);
        metrics::gauge!(ACTIVE_REQUESTS, labels.prometheus).increment(f64::from(by));
    }

    /// Counts one database operation.
    pub(crate) fn operation_ended(&self, outcome: &OperationOutcome<'_>) {
        let seconds = outcome.duration.as_secs_f64();
        let labels = Labels::new()
            .with(attribute::DB_SYSTEM_NAME, outcome.system)
            .with(attribute::DB_OPERATION_NAME, outcome.operation)
            .with(attribute::DB_COLLECTION_NAME, outcome.collection)
            .with(attribute::DB_CLIENT_CONNECTION_POOL_NAME, outcome.pool)
            .maybe(attribute::ERROR_TYPE, outcome.error_type);
        self.operation_duration.record(seconds, &labels.otlp);
        metrics::histogram!(OPERATION_DURATION, labels.prometheus).record(seconds);
    }

    /// Counts one new account.
    pub(crate) fn account_registered(&self) {
        self.registrations.add(1, &[]);
        metrics::counter!("task_api_registrations_total").increment(1);
    }

    /// Reports the pools at every OTLP export, asking `pools` for their state then.
    pub(crate) fn observe_pools(&self, pools: impl Fn() -> Vec<PoolUse> + Send + Sync + 'static) {
        let pools = std::sync::Arc::new(pools);
        let counted = pools.clone();
        self.meter
            .i64_observable_up_down_counter(metric::DB_CLIENT_CONNECTION_COUNT)
            .with_unit("{connection}")
            .with_description("Connections in each state.")
            .with_callback(move |observer| {
                for pool in counted() {
                    for (state, count) in [("used", pool.used), ("idle", pool.idle)] {
                        observer.observe(count.into(), &pool_labels(pool, Some(state)).otlp);
                    }
                }
            })
            .build();
        self.meter
            .i64_observable_up_down_counter(metric::DB_CLIENT_CONNECTION_MAX)
            .with_unit("{connection}")
            .with_description("Connections the pool may open.")
            .with_callback(move |observer| {
                for pool in pools() {
                    observer.observe(pool.max.into(), &pool_labels(pool, None).otlp);
                }
            })
            .build();
    }

    /// Reports replica lag, if there is a replica, at every OTLP export, asking `lag` for it then.
    pub(crate) fn observe_lag(&self, lag: impl Fn() -> Option<ReplicaLag> + Send + Sync + 'static) {
        let lag = std::sync::Arc::new(lag);
        let aged = lag.clone();
        self.meter
            .f64_observable_gauge("task_api.replication.lag")
            .with_unit("s")
            .with_description("Age of the newest heartbeat visible on the replica.")
            .with_callback(move |observer| {
                let lag = aged();
                if let Some((lag, seconds)) = lag.as_ref().and_then(|lag| Some((lag, lag.seconds?)))
                {
                    observer.observe(seconds, &lag_labels(lag).otlp);
                }
            })
            .build();
        self.meter
            .i64_observable_gauge("task_api.replication.backlog")
            .with_unit("By")
            .with_description("Write-ahead log the replica has not replayed yet.")
            .with_callback(move |observer| {
                let lag = lag();
                if let Some((lag, bytes)) = lag.as_ref().and_then(|lag| Some((lag, lag.bytes?))) {
                    observer.observe(bytes, &lag_labels(lag).otlp);
                }
            })
            .build();
    }
}

/// Sets the pools' gauges at `/metrics`; called before each rendering.
pub(crate) fn publish_pools(pools: &[PoolUse]) {
    for pool in pools {
        for (state, count) in [("used", pool.used), ("idle", pool.idle)] {
            let labels = pool_labels(*pool, Some(state)).prometheus;
            metrics::gauge!("db_client_connection_count", labels).set(count);
        }
        let labels = pool_labels(*pool, None).prometheus;
        metrics::gauge!("db_client_connection_max", labels).set(pool.max);
    }
}

/// Sets the replica's gauges at `/metrics`; called before each rendering.
pub(crate) fn publish_lag(lag: &ReplicaLag) {
    if let Some(seconds) = lag.seconds {
        let labels = lag_labels(lag).prometheus;
        metrics::gauge!("task_api_replication_lag_seconds", labels).set(seconds);
    }
    if let Some(bytes) = lag.bytes {
        let labels = lag_labels(lag).prometheus;
        #[expect(clippy::cast_precision_loss, reason = "exact below 8 PiB of backlog")]
        metrics::gauge!("task_api_replication_backlog_bytes", labels).set(bytes as f64);
    }
}

fn pool_labels(pool: PoolUse, state: Option<&'static str>) -> Labels {
    Labels::new()
        .with(attribute::DB_CLIENT_CONNECTION_POOL_NAME, pool.pool)
        .maybe(attribute::DB_CLIENT_CONNECTION_STATE, state)
}

fn lag_labels(lag: &ReplicaLag) -> Labels {
    Labels::new().with("replica", &lag.replica)
}

/// The same labels in both forms: dotted keys for OTLP, underscores for Prometheus.
struct Labels {
    otlp: Vec<KeyValue>,
    prometheus: Vec<metrics::Label>,
}

impl Labels {
    fn new() -> Self {
        Self {
            otlp: Vec::with_capacity(6),
            prometheus: Vec::with_capacity(6),
        }
    }

    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.otlp.push(KeyValue::new(key, value.to_owned()));
        self.prometheus
            .push(metrics::Label::new(key.replace('.', "_"), value.to_owned()));
        self
    }

    fn maybe(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    fn with_number(mut self, key: &'static str, value: i64) -> Self {
        self.otlp.push(KeyValue::new(key, value));
        self.prometheus.push(metrics::Label::new(
            key.replace('.', "_"),
            value.to_string(),
        ));
        self
    }
}
