//! SLO alerts over real PromQL: metrics in, rules evaluated, alerts out, hour by simulated hour.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alerting::memory::{ManualClock, MemoryStateStore};
use alerting::{
    AlertingConfig, Clock, Configuration, DataSource, Engine, QueryError, QueryResult, RulesFilter,
    SampleSink, Seams, SinkError, VectorElement,
};
use async_trait::async_trait;
use model::metric::is_stale;
use model::{Labels, SampleValue, SeriesSample};
use promql::memory::MemorySource;
use promql::{EvalOptions, QueryValue};
use tokio::sync::RwLock;

use crate::rule_files::config;

/// Where samples come from and go to.
#[derive(Default)]
struct Metrics(RwLock<MemorySource>);

#[async_trait]
impl DataSource for Metrics {
    async fn query(&self, query: &str, at: i64) -> Result<QueryResult, QueryError> {
        let expr = promql::parse(query).map_err(|error| QueryError::Invalid(error.to_string()))?;
        let source = self.0.read().await;
        let result = promql::instant(&expr, &*source, at, &EvalOptions::default())
            .await
            .map_err(|error| QueryError::Execution(error.to_string()))?;
        Ok(match result.value {
            QueryValue::Scalar { value, .. } => QueryResult::Scalar(value),
            QueryValue::Vector(samples) => QueryResult::Vector(
                samples
                    .into_iter()
                    .filter_map(|sample| match sample.value {
                        SampleValue::Float(value) => Some(VectorElement {
                            labels: sample.labels,
                            value,
                        }),
                        SampleValue::Histogram(_) => None,
                    })
                    .collect(),
            ),
            other => panic!("rules yield scalars and vectors, not {other:?}"),
        })
    }
}

#[async_trait]
impl SampleSink for Metrics {
    async fn write(&self, samples: Vec<SeriesSample>) -> Result<(), SinkError> {
        let mut source = self.0.write().await;
        for sample in samples {
            source.insert(sample.labels, sample.timestamp_ms, sample.value);
        }
        Ok(())
    }
}

/// A world in which one step is 30 seconds.
struct Simulation {
    metrics: Arc<Metrics>,
    clock: Arc<ManualClock>,
    engine: Engine,
}

const STEP_MS: i64 = 30_000;
const START: i64 = 1_795_200_000_000;

impl Simulation {
    async fn new(slo: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slos.yml");
        let text = format!(
            "version: prometheus/v1
service: shop
slo_plugins:
  chain:
  - id: watchkeeper/burn-rate/v1
    config:
      period: 2h
      evaluation_interval: 30s
      windows: [{{severity: page, long: 20m, short: 5m, factor: 10}}]
slos:
- name: slo
  objective: 99
  alerting: {{name: Burning, ticket_alert: {{disable: true}}}}
  sli: {slo}
"
        );
        std::fs::write(&path, text).unwrap();
        let configuration = Configuration::load(&AlertingConfig {
            slo_files: vec![path],
            ..config()
        })
        .unwrap();
        let metrics = Arc::new(Metrics::default());
        let clock = Arc::new(ManualClock::new(START));
        let seams = Seams {
            data: Arc::clone(&metrics) as _,
            sink: Arc::clone(&metrics) as _,
            state: Arc::new(MemoryStateStore::new()),
            clock: Arc::clone(&clock) as _,
        };
        let simulation = Self {
            metrics,
            clock,
            engine: Engine::start(configuration, seams, std::future::ready(())),
        };
        // Until its tasks run, the engine does not notice that time passes.
        let deadline = Instant::now() + Duration::from_secs(20);
        while simulation.last_evaluation() < START {
            assert!(Instant::now() < deadline, "the engine does not start");
            simulation.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        simulation
    }

    /// The slot of the last evaluation of the group that records and alerts, Unix ms.
    fn last_evaluation(&self) -> i64 {
        let groups = self.engine.rules_snapshot(&RulesFilter::default()).groups;
        let at = model::time::parse_instant(&groups[0].last_evaluation, 0);
        at.unwrap_or(0) / 1_000_000
    }

    /// Lets one step pass, at whose start `samples` are written; the alerts that then fire.
    async fn step(&self, samples: &[(Labels, f64)]) -> BTreeSet<String> {
        let now = self.clock.now();
        {
            let mut source = self.metrics.0.write().await;
            for (labels, value) in samples {
                source.insert_float(labels.clone(), now, *value);
            }
        }
        self.clock.advance(Duration::from_millis(STEP_MS as u64));
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.last_evaluation() <= now {
            assert!(Instant::now() < deadline, "no evaluation after {now}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let alerts = self.engine.alerts_snapshot().alerts.into_iter();
        let firing = alerts.filter(|alert| alert.state == "firing");
        firing
            .map(|mut alert| alert.labels.remove("alertname").unwrap())
            .collect()
    }

    /// Every value that `metric` ever had.
    async fn history(&self, metric: &str) -> Vec<f64> {
        let query = format!("{metric}[10h]");
        let expr = promql::parse(&query).unwrap();
        let source = self.metrics.0.read().await;
        let now = self.clock.now();
        let result = promql::instant(&expr, &*source, now, &EvalOptions::default())
            .await
            .unwrap();
        let QueryValue::Matrix(series) = result.value else {
            panic!("a matrix");
        };
        let values = series.into_iter().flat_map(|one| one.floats.values);
        values.filter(|value| !is_stale(*value)).collect()
    }
}

const EVENTS: &str = "{events: {error_query: 'sum(rate(requests_total{code=\"500\"}[{{.window}}]))', \
                      total_query: 'sum(rate(requests_total[{{.window}}]))'}}";

/// Counters of a service that has answered so many requests.
fn counters(good: f64, bad: f64) -> Vec<(Labels, f64)> {
    let series = |code: &str| Labels::new([("__name__", "requests_total"), ("code", code)]);
    let mut samples = vec![(series("200"), good)];
    if bad > 0.0 {
        samples.push((series("500"), bad));
    }
    samples
}

#[tokio::test]
async fn a_burning_budget_pages_and_the_page_ends_with_the_fault() {
    let simulation = Simulation::new(EVENTS).await;
    let (mut good, mut bad) = (0.0, 0.0);
    let mut firing = Vec::new();
    for step in 0..120 {
        let faulty = (50..80).contains(&step);
        good += if faulty { 70.0 } else { 100.0 };
        bad += if faulty { 30.0 } else { 0.0 };
        let alerts = simulation.step(&counters(good, bad)).await;
        firing.push(alerts.contains("Burning"));
    }
    let began = firing.iter().position(|on| *on).expect("a page");
    let ended = firing.iter().rposition(|on| *on).expect("a page");
    // 30 % of errors are 10 % of the 20-minute window after a third of it.
    assert!((60..70).contains(&began), "began at step {began}");
    assert!((80..92).contains(&ended), "ended at step {ended}");
    assert!(firing[began..=ended].iter().all(|on| *on), "without a gap");

    let ratios = simulation.history("slo:sli_error:ratio_rate5m").await;
    assert!(ratios.iter().all(|ratio| ratio.is_finite()));
    assert!(ratios.contains(&0.0), "no errors yet is a ratio of 0");
    assert!(ratios.iter().any(|ratio| (ratio - 0.3).abs() < 0.01));
    let left = simulation
        .history("slo:period_error_budget_remaining:ratio")
        .await;
    let (first, last) = (left[0], left[left.len() - 1]);
    assert!((first - 1.0).abs() < 1e-9, "{first}");
    // 900 of 12,000 requests failed where 1 % was allowed.
    assert!((-7.5..-5.5).contains(&last), "{last}");
    simulation.engine.shutdown().await;
}

#[tokio::test]
async fn few_failures_in_little_traffic_page_nobody() {
    let simulation = Simulation::new(EVENTS).await;
    let (mut good, mut bad) = (0.0, 0.0);
    for step in 0..80 {
        // One request in four steps, and every second of them fails: 50 % errors.
        good += if step % 8 == 0 { 1.0 } else { 0.0 };
        bad += if step % 8 == 4 { 1.0 } else { 0.0 };
        let alerts = simulation.step(&counters(good, bad)).await;
        assert!(alerts.is_empty(), "step {step}: {alerts:?}");
    }
    simulation.engine.shutdown().await;
}

#[tokio::test]
async fn no_traffic_is_no_sample_rather_than_not_a_number() {
    let simulation = Simulation::new(EVENTS).await;
    for _ in 0..20 {
        simulation.step(&counters(5.0, 5.0)).await;
    }
    let ratios = simulation.history("slo:sli_error:ratio_rate5m").await;
    assert!(ratios.is_empty(), "{ratios:?}");
    simulation.engine.shutdown().await;
}

const LATENCY: &str =
    "{plugin: {id: watchkeeper/latency/v1, options: {histogram: seconds, threshold: 300ms}}}";

/// A histogram with so many fast and slow requests, with the border `le`.
fn histogram(fast: f64, slow: f64, le: &str) -> Vec<(Labels, f64)> {
    let bucket = |le: &str| Labels::new([("__name__", "seconds_bucket"), ("le", le)]);
    vec![
        (bucket(le), fast),
        (bucket("+Inf"), fast + slow),
        (Labels::new([("__name__", "seconds_count")]), fast + slow),
    ]
}

#[tokio::test]
async fn slow_requests_page() {
    let simulation = Simulation::new(LATENCY).await;
    let (mut fast, mut slow) = (0.0, 0.0);
    let mut began = None;
    for step in 0..60 {
        fast += if step < 30 { 100.0 } else { 50.0 };
        slow += if step < 30 { 0.0 } else { 50.0 };
        let alerts = simulation.step(&histogram(fast, slow, "0.3")).await;
        if alerts.contains("Burning") {
            began.get_or_insert(step);
        }
    }
    assert!(began.is_some_and(|step| step > 30), "{began:?}");
    simulation.engine.shutdown().await;
}

#[tokio::test]
async fn a_threshold_that_is_no_bucket_is_reported() {
    let simulation = Simulation::new(LATENCY).await;
    let mut last = BTreeSet::new();
    for step in 0..20 {
        let count = f64::from(step) * 10.0;
        last = simulation.step(&histogram(count, 0.0, "0.25")).await;
    }
    // Ticket alerts are off in this SLO, so the page's texts carry it.
    assert_eq!(
        last,
        BTreeSet::from(["BurningThresholdIsNoBucket".to_owned()])
    );
    simulation.engine.shutdown().await;
}

const LAG: &str = "{plugin: {id: watchkeeper/replica-lag/v1, options: {metric: lag_seconds, threshold: 5s, by: replica, slice: 30s}}}";

fn lag(replica: &str, seconds: f64) -> (Labels, f64) {
    let labels = Labels::new([("__name__", "lag_seconds"), ("replica", replica)]);
    (labels, seconds)
}

#[tokio::test]
async fn a_lagging_or_silent_replica_pages_and_a_young_one_does_not() {
    let simulation = Simulation::new(LAG).await;
    let (mut lagging, mut silent) = (None::<i32>, None::<i32>);
    for step in 0..60 {
        let mut samples = vec![lag("a", if step < 10 { 0.1 } else { 9.0 })];
        if step < 30 {
            samples.push(lag("b", 0.1));
        }
        simulation.step(&samples).await;
        for alert in simulation.engine.alerts_snapshot().alerts {
            match alert.labels["replica"].as_str() {
                "a" => lagging.get_or_insert(step),
                _ => silent.get_or_insert(step),
            };
        }
    }
    assert!(
        lagging.is_some_and(|step| (10..20).contains(&step)),
        "{lagging:?}"
    );
    assert!(
        silent.is_some_and(|step| (30..50).contains(&step)),
        "{silent:?}"
    );
    simulation.engine.shutdown().await;
}
