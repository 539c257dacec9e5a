//! What a group knows between evaluations: its alerts, its series, its health.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Labels;
use model::labels::METRIC_NAME;

use crate::rule::Group;
use crate::state::AlertState;
use crate::state_store::{AlertRecord, RuleGroupRecord, StateChange, StateStore};

/// How long after a restart a firing alert is held at most while its samples come back, ms.
const MAX_GRACE_MS: i64 = 120_000;
/// How often the time of evaluation is saved while alerts are active, ms.
const HEARTBEAT_MS: i64 = 30_000;
/// How long a resolved alert's end is remembered, ms.
const RESOLVED_RETENTION_MS: i64 = 15 * 60_000;

/// A group's memory. Cloned after each evaluation for those who look at it.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupState {
    /// One entry per rule, in the group's order.
    pub(crate) rules: Vec<RuleState>,
    /// The slot of the last evaluation, Unix ms.
    pub(crate) last_evaluation: Option<i64>,
    /// How long it took, ms.
    pub(crate) evaluation_ms: i64,
    /// The last evaluation before this process started.
    restored_from: Option<i64>,
    /// Until when missing elements do not resolve alerts, Unix ms.
    grace_until: i64,
    /// The states as the store has them, by record key.
    saved: BTreeMap<String, AlertState>,
    /// The last evaluation the store knows of.
    saved_evaluation: Option<i64>,
}

/// A rule's memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleState {
    /// Active alerts by their labels.
    pub(crate) alerts: BTreeMap<Labels, Arc<ActiveAlert>>,
    /// When alerts ended that ended lately, Unix ms.
    pub(crate) resolved: BTreeMap<Labels, i64>,
    /// The series written last time.
    pub(crate) series: BTreeSet<Labels>,
    /// How the last evaluation went.
    pub(crate) health: Health,
    /// Its slot, Unix ms.
    pub(crate) last_evaluation: Option<i64>,
    /// How long it took, ms.
    pub(crate) evaluation_ms: i64,
}

/// An active alert without its labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ActiveAlert {
    /// Pending or firing.
    pub(crate) state: AlertState,
    /// The value at the last hit.
    pub(crate) value: f64,
    /// The annotations at the last hit.
    pub(crate) annotations: Labels,
}

/// How a rule's last evaluation went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// There was none.
    #[default]
    Unknown,
    /// It succeeded.
    Ok,
    /// It failed, and why.
    Err(String),
}

impl GroupState {
    /// A group that was never evaluated.
    pub(crate) fn new(group: &Group) -> Self {
        Self {
            rules: vec![RuleState::default(); group.rules.len()],
            ..Self::default()
        }
    }

    /// Takes over what `records` say about this group; returns the records of rules that no
    /// longer exist.
    pub(crate) fn restore(
        &mut self,
        group: &Group,
        records: Vec<AlertRecord>,
        last_evaluation: Option<i64>,
    ) -> Vec<AlertRecord> {
        self.restored_from = last_evaluation;
        self.saved_evaluation = last_evaluation;
        let mut orphans = Vec::new();
        for record in records {
            let rule = group.rules.iter().position(|rule| rule.key == record.rule);
            let Some(index) = rule else {
                orphans.push(record);
                continue;
            };
            self.saved.insert(record.key(), record.state);
            let rule_state = &mut self.rules[index];
            // The series it wrote before, so that they are ended when it changes.
            let named = record.labels.with(METRIC_NAME, "ALERTS");
            rule_state
                .series
                .insert(named.with("alertstate", record.state.as_str()));
            rule_state
                .series
                .insert(record.labels.with(METRIC_NAME, "ALERTS_FOR_STATE"));
            let alert = ActiveAlert {
                state: record.state,
                value: record.value,
                annotations: record.annotations,
            };
            rule_state.alerts.insert(record.labels, Arc::new(alert));
        }
        orphans
    }

    /// Prepares for the evaluation at `slot`.
    ///
    /// The first one after a restart settles what downtime means: pending alerts did not ripen
    /// in it, and firing ones get as long as it lasted for their samples to come back.
    pub(crate) fn begin(&mut self, group: &Group, slot: i64) {
        self.last_evaluation = Some(slot);
        let Some(before) = self.restored_from.take() else {
            return;
        };
        let downtime = (slot - before - group.interval_ms).max(0);
        self.grace_until = slot + downtime.min(MAX_GRACE_MS);
        for rule_state in &mut self.rules {
            for alert in rule_state.alerts.values_mut() {
                if let AlertState::Pending { active_at } = alert.state {
                    let active_at = active_at + downtime;
                    Arc::make_mut(alert).state = AlertState::Pending { active_at };
                }
            }
        }
    }

    /// Whether missing elements at `slot` may only mean that samples are not back yet.
    pub(crate) fn in_grace(&self, slot: i64) -> bool {
        slot < self.grace_until
    }

    /// Saves what differs from the store. A failure is logged and made good next time: the
    /// states in memory are the truth, and alerts must go out though the disk be full.
    pub(crate) async fn save(&mut self, group: &Group, slot: i64, store: &dyn StateStore) {
        for rule_state in &mut self.rules {
            rule_state
                .resolved
                .retain(|_, at| slot - *at < RESOLVED_RETENTION_MS);
        }
        let records = self.records(group);
        let mut change = StateChange::default();
        let mut states = BTreeMap::new();
        for record in records {
            let key = record.key();
            states.insert(key.clone(), record.state);
            if self.saved.get(&key) != Some(&record.state) {
                change.alerts_put.push(record);
            }
        }
        change.alerts_deleted = self
            .saved
            .keys()
            .filter(|key| !states.contains_key(*key))
            .cloned()
            .collect();
        let heartbeat_due = !states.is_empty()
            && self
                .saved_evaluation
                .is_none_or(|saved| slot - saved >= HEARTBEAT_MS || slot < saved);
        if change.is_empty() && !heartbeat_due {
            return;
        }
        change.rule_groups_put.push(RuleGroupRecord {
            group: group.id(),
            last_evaluation: slot,
        });
        match store.save(change).await {
            Ok(()) => {
                self.saved = states;
                self.saved_evaluation = Some(slot);
            }
            Err(error) => {
                tracing::error!(group = %group.id(), %error, "alert states not saved, will retry");
            }
        }
    }

    fn records(&self, group: &Group) -> Vec<AlertRecord> {
        let mut records = Vec::new();
        for (rule, rule_state) in group.rules.iter().zip(&self.rules) {
            for (labels, alert) in &rule_state.alerts {
                records.push(AlertRecord {
                    group: group.id(),
                    rule: rule.key.clone(),
                    labels: labels.clone(),
                    state: alert.state,
                    value: alert.value,
                    annotations: alert.annotations.clone(),
                });
            }
        }
        records
    }
}
