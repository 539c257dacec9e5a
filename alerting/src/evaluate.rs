//! One iteration of a group: queries in order, alerts one step on, samples out, state saved.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::labels::METRIC_NAME;
use model::metric::{Temporality, stale_nan};
use model::{Labels, SampleValue, SeriesSample};

use crate::engine::Seams;
use crate::expansion::{Expander, expand_annotations, expand_labels};
use crate::group_state::{ActiveAlert, GroupState, Health, RuleState};
use crate::rule::{Alerting, Group, Kind, Rule};
use crate::source::{QueryResult, VectorElement};
use crate::state::{Event, Observation, step};

/// What rules see of the server besides data.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// `$externalURL`, and the base of links.
    pub(crate) external_url: String,
    /// `$externalLabels`, and what alerts get when they leave.
    pub(crate) external_labels: Labels,
}

/// Evaluates every rule of `group` once for `slot` (Unix ms) and moves `state` on.
///
/// A later rule sees the samples of the earlier ones. A rule that fails keeps its alerts as they
/// are and does not stop the rest.
pub(crate) async fn evaluate(
    group: &Group,
    state: &mut GroupState,
    slot: i64,
    seams: &Seams,
    surroundings: &Surroundings,
) {
    let started = seams.clock.now();
    state.begin(group, slot);
    let mut batch = Batch::new(slot - group.query_offset_ms);
    for (index, rule) in group.rules.iter().enumerate() {
        if batch.feeds(rule) {
            batch.write(group, state, seams).await;
        }
        let rule_started = seams.clock.now();
        let outcome = evaluate_rule(group, rule, state, index, slot, seams, surroundings).await;
        let rule_state = &mut state.rules[index];
        rule_state.evaluation_ms = seams.clock.now().saturating_sub(rule_started).max(0);
        rule_state.last_evaluation = Some(slot);
        let series = match outcome {
            Ok(samples) => {
                rule_state.health = Health::Ok;
                samples
            }
            Err(message) => {
                fail(group, rule, rule_state, message);
                kept_samples(rule, rule_state)
            }
        };
        count_rule(group, rule_state);
        batch.add(index, rule, rule_state, series);
    }
    batch.write(group, state, seams).await;
    state.evaluation_ms = seams.clock.now().saturating_sub(started).max(0);
    count_group(group, state, slot);
    state.save(group, slot, seams.state.as_ref()).await;
}

/// The samples of one rule, by series, or why it failed.
async fn evaluate_rule(
    group: &Group,
    rule: &Rule,
    state: &mut GroupState,
    index: usize,
    slot: i64,
    seams: &Seams,
    surroundings: &Surroundings,
) -> Result<BTreeMap<Labels, f64>, String> {
    let at = slot - group.query_offset_ms;
    let result = seams
        .data
        .query(rule.expression.text(), at)
        .await
        .map_err(|error| error.to_string())?;
    let elements = match result {
        QueryResult::Vector(elements) => elements,
        QueryResult::Scalar(value) => vec![VectorElement {
            labels: Labels::empty(),
            value,
        }],
    };
    if group.limit > 0 && elements.len() > group.limit {
        return Err(format!(
            "the rule yields {} elements, more than the limit of {}",
            elements.len(),
            group.limit
        ));
    }
    match &rule.kind {
        Kind::Recording => recorded(rule, elements),
        Kind::Alerting(alerting) => {
            let expander = Expander {
                data: seams.data.as_ref(),
                surroundings,
                at,
                now: slot,
            };
            let observed = observe(rule, alerting, elements, &expander).await?;
            let grace = state.in_grace(slot);
            let rule_state = &mut state.rules[index];
            advance(rule, alerting, rule_state, observed, slot, grace);
            Ok(kept_samples(rule, rule_state))
        }
    }
}

fn recorded(rule: &Rule, elements: Vec<VectorElement>) -> Result<BTreeMap<Labels, f64>, String> {
    let mut series = BTreeMap::new();
    for element in elements {
        let own = element
            .labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .chain(rule.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            .chain([(METRIC_NAME, rule.name.as_str())]);
        let labels = Labels::new(own);
        if series.insert(labels.clone(), element.value).is_some() {
            return Err(format!(
                "two elements get the same labels {labels} after the rule's labels are applied"
            ));
        }
    }
    Ok(series)
}

/// An element of an alerting rule's result with its final labels.
struct Observed {
    value: f64,
    annotations: Labels,
}

async fn observe(
    rule: &Rule,
    alerting: &Alerting,
    elements: Vec<VectorElement>,
    expander: &Expander<'_>,
) -> Result<BTreeMap<Labels, Observed>, String> {
    let mut observed = BTreeMap::new();
    for element in elements {
        let own = expand_labels(&alerting.labels, &element, expander).await;
        let pairs = element
            .labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .chain(own.iter().map(|(n, v)| (n.as_str(), v.as_str())))
            .chain([("alertname", rule.name.as_str())]);
        let labels = Labels::new(pairs);
        let annotations = expand_annotations(&alerting.annotations, &element, expander).await;
        let one = Observed {
            value: element.value,
            annotations,
        };
        if observed.insert(labels.clone(), one).is_some() {
            return Err(format!(
                "two elements get the same labels {labels} after the rule's labels are applied"
            ));
        }
    }
    Ok(observed)
}

/// Takes every known and every observed alert one step on.
fn advance(
    rule: &Rule,
    alerting: &Alerting,
    rule_state: &mut RuleState,
    mut observed: BTreeMap<Labels, Observed>,
    slot: i64,
    grace: bool,
) {
    let before = std::mem::take(&mut rule_state.alerts);
    let known: BTreeSet<Labels> = before.keys().chain(observed.keys()).cloned().collect();
    for labels in known {
        let old = before.get(&labels);
        let hit = observed.remove(&labels);
        let observation = match (&hit, grace) {
            (Some(_), _) => Observation::Hit,
            (None, true) => Observation::MissInGrace,
            (None, false) => Observation::Miss,
        };
        let (state, event) = step(
            old.map(|alert| alert.state),
            observation,
            slot,
            alerting.timing,
        );
        if let Some(event) = event {
            tracing::info!(rule = %rule.name, %labels, ?event, "alert changed");
        }
        if event == Some(Event::Resolved) {
            rule_state.resolved.insert(labels.clone(), slot);
        }
        let Some(state) = state else {
            continue;
        };
        rule_state.resolved.remove(&labels);
        let alert = match (hit, old) {
            (Some(hit), _) => ActiveAlert {
                state,
                value: hit.value,
                annotations: hit.annotations,
            },
            (None, Some(old)) => ActiveAlert {
                state,
                ..old.as_ref().clone()
            },
            // An alert that is neither known nor observed is not in the list.
            (None, None) => continue,
        };
        rule_state.alerts.insert(labels, Arc::new(alert));
    }
}

/// `ALERTS` and `ALERTS_FOR_STATE` of the alerts as they are.
fn kept_samples(rule: &Rule, rule_state: &RuleState) -> BTreeMap<Labels, f64> {
    let mut series = BTreeMap::new();
    if matches!(rule.kind, Kind::Recording) {
        return series;
    }
    for (labels, alert) in &rule_state.alerts {
        let named = labels
            .with(METRIC_NAME, "ALERTS")
            .with("alertstate", alert.state.as_str());
        series.insert(named, 1.0);
        let since = alert.state.active_at().div_euclid(1_000) as f64;
        series.insert(labels.with(METRIC_NAME, "ALERTS_FOR_STATE"), since);
    }
    series
}

fn fail(group: &Group, rule: &Rule, rule_state: &mut RuleState, message: String) {
    tracing::warn!(group = %group.id(), rule = %rule.name, error = %message, "rule failed");
    metrics::counter!("prometheus_rule_evaluation_failures_total", "rule_group" => group.id())
        .increment(1);
    rule_state.health = Health::Err(message);
}

fn count_rule(group: &Group, rule_state: &RuleState) {
    metrics::counter!("prometheus_rule_evaluations_total", "rule_group" => group.id()).increment(1);
    metrics::histogram!("prometheus_rule_evaluation_duration_seconds")
        .record(rule_state.evaluation_ms as f64 / 1_000.0);
}

fn count_group(group: &Group, state: &GroupState, slot: i64) {
    let id = group.id();
    metrics::counter!("prometheus_rule_group_iterations_total", "rule_group" => id.clone())
        .increment(1);
    metrics::gauge!("prometheus_rule_group_last_duration_seconds", "rule_group" => id.clone())
        .set(state.evaluation_ms as f64 / 1_000.0);
    metrics::gauge!(
        "prometheus_rule_group_last_evaluation_timestamp_seconds", "rule_group" => id.clone()
    )
    .set(slot as f64 / 1_000.0);
    metrics::gauge!("prometheus_rule_group_interval_seconds", "rule_group" => id.clone())
        .set(group.interval_ms as f64 / 1_000.0);
    metrics::gauge!("prometheus_rule_group_rules", "rule_group" => id)
        .set(group.rules.len() as f64);
}

/// Samples waiting to be written together: each write costs an fsync, so rules share one until a
/// rule reads what an earlier one wrote.
struct Batch {
    at: i64,
    values: BTreeMap<Labels, f64>,
    ended: BTreeSet<Labels>,
    metrics: BTreeSet<String>,
    rules: Vec<usize>,
}

impl Batch {
    fn new(at: i64) -> Self {
        Self {
            at,
            values: BTreeMap::new(),
            ended: BTreeSet::new(),
            metrics: BTreeSet::new(),
            rules: Vec::new(),
        }
    }

    /// Whether `rule` may read a sample of this batch.
    fn feeds(&self, rule: &Rule) -> bool {
        self.metrics
            .iter()
            .any(|name| rule.expression.reads().may_include(name))
    }

    /// Adds the rule's samples, and stale markers for the series it no longer has.
    fn add(
        &mut self,
        index: usize,
        rule: &Rule,
        rule_state: &mut RuleState,
        series: BTreeMap<Labels, f64>,
    ) {
        let failed_recording =
            matches!(rule.kind, Kind::Recording) && matches!(rule_state.health, Health::Err(_));
        if failed_recording {
            // The series goes on when the rule works again; a marker would cut it.
            return;
        }
        let current: BTreeSet<Labels> = series.keys().cloned().collect();
        let ended = rule_state.series.difference(&current).cloned();
        self.ended.extend(ended);
        self.values.extend(series);
        match rule.kind {
            Kind::Recording => {
                self.metrics.insert(rule.name.clone());
            }
            Kind::Alerting(_) => {
                self.metrics.insert("ALERTS".to_owned());
                self.metrics.insert("ALERTS_FOR_STATE".to_owned());
            }
        }
        rule_state.series = current;
        self.rules.push(index);
    }

    async fn write(&mut self, group: &Group, state: &mut GroupState, seams: &Seams) {
        let batch = std::mem::replace(self, Self::new(self.at));
        let live = &batch.values;
        let ended = batch
            .ended
            .iter()
            .filter(|labels| !live.contains_key(*labels))
            .map(|labels| (labels, stale_nan()));
        let samples: Vec<SeriesSample> = live
            .iter()
            .map(|(labels, value)| (labels, *value))
            .chain(ended)
            .map(|(labels, value)| SeriesSample {
                labels: labels.clone(),
                timestamp_ms: batch.at,
                start_ms: None,
                temporality: Temporality::Cumulative,
                value: SampleValue::Float(value),
                exemplars: Vec::new(),
            })
            .collect();
        if samples.is_empty() {
            return;
        }
        if let Err(error) = seams.sink.write(samples).await {
            for index in batch.rules {
                fail(
                    group,
                    &group.rules[index],
                    &mut state.rules[index],
                    error.to_string(),
                );
            }
        }
    }
}
