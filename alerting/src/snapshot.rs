//! What the rules and alerts APIs answer: Prometheus' JSON, made from the engine's memory.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

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
