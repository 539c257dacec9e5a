//! What every kind of message says about an alert group: status, title, common labels.

use model::Labels;

use crate::state_store::{NotifiedAlert, OutboxEntry};

/// The longest subject, in characters.
const MAX_SUBJECT: usize = 250;

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

    /// `[FIRING:2] HighErrorRate (checkout page)`: the alert's name, or how many alerts there are,
    /// and the other common labels' values, each once.
    pub(crate) fn subject(&self) -> String {
        let status = match self.firing.len() {
            0 => "[RESOLVED]".to_owned(),
            count => format!("[FIRING:{count}]"),
        };
        let name = match self.common_labels.get("alertname") {
            Some(name) => name.to_owned(),
            None => format!("{} alerts", self.entry.alerts.len()),
        };
        let mut others: Vec<&str> = Vec::new();
        for (label, value) in self.common_labels.iter() {
            // An SLO's id only joins its service and name, which are labels themselves.
            let told = matches!(label, "alertname" | "sloth_id") || others.contains(&value);
            if !told {
                others.push(value);
            }
        }
        let line = match others.is_empty() {
            true => format!("{status} {name}"),
            false => format!("{status} {name} ({})", others.join(" ")),
        };
        // Labels may hold anything; a line break would begin another header.
        line.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_SUBJECT)
            .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn entry(alerts: &[(Pairs<'_>, Option<i64>)]) -> OutboxEntry {
        let alerts = alerts.iter().map(|(labels, resolved_at)| NotifiedAlert {
            labels: Labels::new(labels.iter().copied()),
            annotations: Labels::empty(),
            value: 1.0,
            active_at: 0,
            fired_at: 0,
            resolved_at: *resolved_at,
            window_ms: 0,
            query: String::new(),
        });
        OutboxEntry {
            id: "m".to_owned(),
            integration: "i".to_owned(),
            group_key: "g".to_owned(),
            group_labels: Labels::empty(),
            thread: "t".to_owned(),
            alerts: alerts.collect(),
            settled: Vec::new(),
            refusal: None,
            created_at: 0,
            due_at: 0,
            attempts: 0,
        }
    }

    #[test]
    fn the_subject_says_how_many_fire_and_what_they_share() {
        let a: Pairs<'_> = &[("alertname", "A"), ("env", "prod"), ("i", "1")];
        let b: Pairs<'_> = &[("alertname", "A"), ("env", "prod"), ("i", "2")];
        let other: Pairs<'_> = &[("alertname", "B")];
        let nasty: Pairs<'_> = &[("alertname", "A\r\nBcc: x@y.z")];
        let slo: Pairs<'_> = &[
            ("alertname", "Slow"),
            ("service", "api"),
            ("severity", "page"),
            ("sloth_id", "api-latency"),
            ("sloth_service", "api"),
        ];
        let cases = [
            (entry(&[(a, None), (b, None)]), "[FIRING:2] A (prod)"),
            (entry(&[(a, None), (b, Some(1))]), "[FIRING:1] A (prod)"),
            (entry(&[(a, Some(1))]), "[RESOLVED] A (prod 1)"),
            (entry(&[(a, None), (other, None)]), "[FIRING:2] 2 alerts"),
            (entry(&[(nasty, None)]), "[FIRING:1] A  Bcc: x@y.z"),
            (entry(&[(slo, None)]), "[FIRING:1] Slow (api page)"),
        ];
        for (entry, expected) in &cases {
            assert_eq!(Message::new(entry).subject(), *expected);
        }
    }
}
