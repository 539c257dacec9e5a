//! What the rules and alerts APIs answer: Prometheus' JSON, made from the engine's memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use model::time::{NANOS_PER_MILLI, format_instant};
use serde::{Serialize, Serializer};

use crate::group_state::{self, ActiveAlert, GroupState, RuleState};
use crate::rule::{Alerting, Group, Kind, Rule};
use crate::state::AlertState;

/// The `data` of `GET /api/v1/rules`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RulesSnapshot {
    /// The groups, in the order of the files.
    pub groups: Vec<GroupSnapshot>,
    /// Where the next page begins, when `group_limit` cut the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_next_token: Option<String>,
}

/// One rule group.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupSnapshot {
    /// The group's name.
    pub name: String,
    /// The file it was read from.
    pub file: String,
    /// The rules, in the order of evaluation.
    pub rules: Vec<RuleSnapshot>,
    /// Seconds between two evaluations.
    pub interval: f64,
    /// Most elements a rule may yield; 0 is no limit.
    pub limit: usize,
    /// How long the last evaluation took, seconds.
    pub evaluation_time: f64,
    /// When the last evaluation began, RFC 3339; the year 1 before the first.
    pub last_evaluation: String,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum RuleSnapshot {
    /// A rule that raises alerts.
    Alerting(AlertingRuleSnapshot),
    /// A rule that records series.
    Recording(RecordingRuleSnapshot),
}

/// Whether a rule's last evaluation succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not evaluated yet.
    #[default]
    Unknown,
    /// It succeeded.
    Ok,
    /// It failed.
    Err,
}

/// A rule that raises alerts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertingRuleSnapshot {
    /// `firing`, `pending` or `inactive`: the worst of its alerts.
    pub state: &'static str,
    /// The alert's name.
    pub name: String,
    /// The expression.
    pub query: String,
    /// `for`, seconds.
    pub duration: f64,
    /// `keep_firing_for`, seconds.
    pub keep_firing_for: f64,
    /// Labels, not expanded.
    pub labels: BTreeMap<String, String>,
    /// Annotations, not expanded.
    pub annotations: BTreeMap<String, String>,
    /// Active alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<AlertSnapshot>>,
    /// Whether the last evaluation succeeded.
    pub health: Health,
    /// Why it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    /// How long the last evaluation took, seconds.
    pub evaluation_time: f64,
    /// When the last evaluation began, RFC 3339.
    pub last_evaluation: String,
}

/// A rule that records series.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingRuleSnapshot {
    /// The recorded metric's name.
    pub name: String,
    /// The expression.
    pub query: String,
    /// Labels added to every sample.
    pub labels: BTreeMap<String, String>,
    /// Whether the last evaluation succeeded.
    pub health: Health,
    /// Why it did not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    /// How long the last evaluation took, seconds.
    pub evaluation_time: f64,
    /// When the last evaluation began, RFC 3339.
    pub last_evaluation: String,
}

/// The `data` of `GET /api/v1/alerts`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AlertsSnapshot {
    /// Pending and firing alerts.
    pub alerts: Vec<AlertSnapshot>,
}

/// One active alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertSnapshot {
    /// Its labels, `alertname` included.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, expanded.
    pub annotations: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: &'static str,
    /// Since when the condition holds, RFC 3339.
    pub active_at: String,
    /// Since when only `keep_firing_for` keeps it firing, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_since: Option<String>,
    /// The expression's value at the last hit; JSON text such as `"1e+00"`.
    #[serde(serialize_with = "exponent_form")]
    pub value: f64,
}

/// What a client wants to see of the rules. The default is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RulesFilter {
    /// Only alerting or only recording rules.
    pub kind: Option<RuleKind>,
    /// Only rules with one of these names; empty is any.
    pub rule_names: Vec<String>,
    /// Only groups with one of these names; empty is any.
    pub groups: Vec<String>,
    /// Only groups of one of these files; empty is any.
    pub files: Vec<String>,
    /// Leave out active alerts.
    pub exclude_alerts: bool,
    /// At most so many groups, with a token for the rest; 0 is all.
    pub group_limit: usize,
    /// The token a previous page ended with.
    pub group_next_token: Option<String>,
}

/// The two kinds of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// Rules that raise alerts.
    Alerting,
    /// Rules that record series.
    Recording,
}

/// Go's `%e` with the fewest digits: `1e+00`, `-2.5e-07`, `NaN`, `+Inf`.
fn exponent_form<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format_exponent(*value))
}

pub(crate) fn format_exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text.as_str(), "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// A group with its state.
type Looked<'a> = (&'a Group, Arc<GroupState>);

/// The answer of the rules API.
pub(crate) fn rules(looked: &[Looked<'_>], filter: &RulesFilter) -> RulesSnapshot {
    let any = |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
    let mut selected: Vec<GroupSnapshot> = looked
        .iter()
        .filter(|(group, _)| any(&filter.groups, &group.name) && any(&filter.files, &group.file))
        .map(|(group, state)| group_snapshot(group, state, filter))
        .collect();
    let narrowed = filter.kind.is_some() || !filter.rule_names.is_empty();
    if narrowed {
        selected.retain(|group| !group.rules.is_empty());
    }
    let start = filter.group_next_token.as_ref().map_or(0, |token| {
        selected
            .iter()
            .position(|group| page_token(group) == *token)
            .unwrap_or(selected.len())
    });
    let mut groups = selected.split_off(start.min(selected.len()));
    let mut group_next_token = None;
    if filter.group_limit > 0 && groups.len() > filter.group_limit {
        group_next_token = groups.get(filter.group_limit).map(page_token);
        groups.truncate(filter.group_limit);
    }
    RulesSnapshot {
        groups,
        group_next_token,
    }
}

/// The answer of the alerts API.
pub(crate) fn alerts(looked: &[Looked<'_>]) -> AlertsSnapshot {
    let alerts = looked
        .iter()
        .flat_map(|(_, state)| &state.rules)
        .flat_map(|rule_state| &rule_state.alerts)
        .map(|(labels, alert)| alert_snapshot(labels, alert))
        .collect();
    AlertsSnapshot { alerts }
}

/// Names the group a page begins with.
fn page_token(group: &GroupSnapshot) -> String {
    let labels = Labels::new([("file", group.file.as_str()), ("name", group.name.as_str())]);
    format!("{:016x}", labels.fingerprint())
}

fn group_snapshot(group: &Group, state: &GroupState, filter: &RulesFilter) -> GroupSnapshot {
    let rules = group
        .rules
        .iter()
        .zip(&state.rules)
        .filter(|(rule, _)| filter.rule_names.is_empty() || filter.rule_names.contains(&rule.name))
        .filter(|(rule, _)| match filter.kind {
            None => true,
            Some(RuleKind::Alerting) => matches!(rule.kind, Kind::Alerting(_)),
            Some(RuleKind::Recording) => matches!(rule.kind, Kind::Recording),
        })
        .map(|(rule, rule_state)| match &rule.kind {
            Kind::Recording => RuleSnapshot::Recording(recording_snapshot(rule, rule_state)),
            Kind::Alerting(alerting) => RuleSnapshot::Alerting(alerting_snapshot(
                rule,
                alerting,
                rule_state,
                filter.exclude_alerts,
            )),
        })
        .collect();
    GroupSnapshot {
        name: group.name.clone(),
        file: group.file.clone(),
        rules,
        interval: group.interval_ms as f64 / 1_000.0,
        limit: group.limit,
        evaluation_time: state.evaluation_ms as f64 / 1_000.0,
        last_evaluation: instant(state.last_evaluation),
    }
}

fn alerting_snapshot(
    rule: &Rule,
    alerting: &Alerting,
    rule_state: &RuleState,
    exclude_alerts: bool,
) -> AlertingRuleSnapshot {
    let states = || rule_state.alerts.values().map(|alert| alert.state);
    let state = if states().any(AlertState::is_firing) {
        "firing"
    } else if states().next().is_some() {
        "pending"
    } else {
        "inactive"
    };
    let (health, last_error) = health_of(rule_state);
    let alerts = rule_state
        .alerts
        .iter()
        .map(|(labels, alert)| alert_snapshot(labels, alert));
    AlertingRuleSnapshot {
        state,
        name: rule.name.clone(),
        query: rule.expression.text().to_owned(),
        duration: alerting.timing.for_ms as f64 / 1_000.0,
        keep_firing_for: alerting.timing.keep_firing_for_ms as f64 / 1_000.0,
        labels: rule.labels.clone(),
        annotations: alerting
            .annotations
            .iter()
            .map(|(name, template)| (name.clone(), template.text().to_owned()))
            .collect(),
        alerts: (!exclude_alerts).then(|| alerts.collect()),
        health,
        last_error,
        evaluation_time: rule_state.evaluation_ms as f64 / 1_000.0,
        last_evaluation: instant(rule_state.last_evaluation),
    }
}

fn recording_snapshot(rule: &Rule, rule_state: &RuleState) -> RecordingRuleSnapshot {
    let (health, last_error) = health_of(rule_state);
    RecordingRuleSnapshot {
        name: rule.name.clone(),
        query: rule.expression.text().to_owned(),
        labels: rule.labels.clone(),
        health,
        last_error,
        evaluation_time: rule_state.evaluation_ms as f64 / 1_000.0,
        last_evaluation: instant(rule_state.last_evaluation),
    }
}

fn health_of(rule_state: &RuleState) -> (Health, String) {
    match &rule_state.health {
        group_state::Health::Unknown => (Health::Unknown, String::new()),
        group_state::Health::Ok => (Health::Ok, String::new()),
        group_state::Health::Err(message) => (Health::Err, message.clone()),
    }
}

fn alert_snapshot(labels: &Labels, alert: &ActiveAlert) -> AlertSnapshot {
    let map = |labels: &Labels| {
        labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let keep_firing_since = match alert.state {
        AlertState::Firing {
            keep_firing_since, ..
        } => keep_firing_since,
        AlertState::Pending { .. } => None,
    };
    AlertSnapshot {
        labels: map(labels),
        annotations: map(&alert.annotations),
        state: alert.state.as_str(),
        active_at: instant(Some(alert.state.active_at())),
        keep_firing_since: keep_firing_since.map(|at| instant(Some(at))),
        value: alert.value,
    }
}

/// RFC 3339; Go's zero time when there is none, as Prometheus answers.
fn instant(at: Option<i64>) -> String {
    match at {
        Some(at) => format_instant(at.saturating_mul(NANOS_PER_MILLI)),
        None => "0001-01-01T00:00:00Z".to_owned(),
    }
}
