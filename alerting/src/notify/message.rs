//! What every kind of message says about an alert group: status, title, common labels.

use model::Labels;

use crate::state_store::{NotifiedAlert, OutboxEntry};

/// An outbox entry seen as a message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// What it is made from.
    pub(crate) entry: &'a OutboxEntry,
    /// Alerts that fire.
    pub(crate) firing: Vec<&'a NotifiedAlert>,
    /// Alerts that ended.
    pub(crate) resolved: Vec<&'a NotifiedAlert>,
    /// Labels that all alerts share.
    pub(crate) common_labels: Labels,
    /// Annotations that all alerts share.
    pub(crate) common_annotations: Labels,
}

impl<'a> Message<'a> {
    /// The message that `entry` makes.
    pub(crate) fn new(entry: &'a OutboxEntry) -> Self {
        let (firing, resolved) = entry
            .alerts
            .iter()
            .partition(|alert| alert.resolved_at.is_none());
        Self {
            entry,
            firing,
            resolved,
            common_labels: common(entry.alerts.iter().map(|alert| &alert.labels)),
            common_annotations: common(entry.alerts.iter().map(|alert| &alert.annotations)),
        }
    }

    /// `firing` while any alert fires, else `resolved`.
    pub(crate) fn status(&self) -> &'static str {
        if self.firing.is_empty() {
            "resolved"
        } else {
            "firing"
        }
    }

    /// `[FIRING:2] HighErrorRate (checkout page)`: the alert's name, or what the group is about,
    /// and the other common labels' values.
    pub(crate) fn subject(&self) -> String {
        let status = match self.firing.len() {
            0 => "[RESOLVED]".to_owned(),
            count => format!("[FIRING:{count}]"),
        };
        let name = match self.common_labels.get("alertname") {
            Some(name) => name.to_owned(),
            None => format!("{} alerts", self.entry.alerts.len()),
        };
        let others: Vec<&str> = self
            .common_labels
            .iter()
            .filter(|(label, _)| *label != "alertname")
            .map(|(_, value)| value)
            .collect();
        if others.is_empty() {
            return format!("{status} {name}");
        }
        format!("{status} {name} ({})", others.join(" "))
    }
}

/// The pairs that all of `sets` share.
fn common<'a>(sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut sets = sets;
    let Some(first) = sets.next() else {
        return Labels::empty();
    };
    sets.fold(first.clone(), |shared, set| {
        shared.filter(|name| shared.get(name) == set.get(name))
    })
}
