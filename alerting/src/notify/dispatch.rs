//! Which alert groups there are, when each is due, and what its integrations must be told.
//!
//! Pure decisions: the notifier feeds in the firing alerts and the time, saves what comes out,
//! and only then acts on it.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;

use crate::state_store::{NotificationRecord, NotifiedAlert, OutboxEntry};

use super::config::NotificationConfig;
use super::route::Route;

/// An alert that fires now.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FiringAlert {
    /// The alert as a message shows it; `resolved_at` is `None`.
    pub(crate) alert: NotifiedAlert,
}

/// All alert groups with their timers.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    config: NotificationConfig,
    groups: BTreeMap<String, AlertGroup>,
    /// What was announced, by record key.
    records: BTreeMap<String, NotificationRecord>,
}

/// Alerts that are announced together.
#[derive(Debug)]
struct AlertGroup {
    key: String,
    labels: Labels,
    receiver: String,
    group_wait_ms: i64,
    group_interval_ms: i64,
    repeat_interval_ms: i64,
    /// When it is looked at next, Unix ms.
    next_flush: i64,
    /// Its firing alerts, by labels.
    firing: BTreeMap<Labels, NotifiedAlert>,
}

/// What one integration is to be told, and what is then true of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Notice {
    /// The integration's record from now on; `None` when nothing is announced any more.
    pub(crate) record: Option<NotificationRecord>,
    /// The record's key.
    pub(crate) record_key: String,
    /// The message; `None` when the integration does not tell the end of alerts.
    pub(crate) entry: Option<OutboxEntry>,
}

impl Dispatcher {
    /// A dispatcher that continues where `records` left off; returns the keys of records whose
    /// route or integration no longer exists, too.
    pub(crate) fn restore(
        config: NotificationConfig,
        records: Vec<NotificationRecord>,
        now: i64,
    ) -> (Self, Vec<String>) {
        let mut dispatcher = Self {
            config,
            groups: BTreeMap::new(),
            records: BTreeMap::new(),
        };
        let mut orphans = Vec::new();
        for record in records {
            let key = record.key();
            let home = dispatcher.home_of(&record);
            let Some((id, mut group)) = home else {
                orphans.push(key);
                continue;
            };
            group.next_flush = now.max(record.notified_at + group.group_interval_ms);
            dispatcher.groups.entry(id).or_insert(group);
            dispatcher.records.insert(key, record);
        }
        (dispatcher, orphans)
    }

    /// The group that `record` belongs to, when the configuration still has it.
    fn home_of(&self, record: &NotificationRecord) -> Option<(String, AlertGroup)> {
        let routes = self.config.route.all();
        let route = routes.into_iter().find(|route| {
            group_key(route, &record.group_labels) == record.group_key
                && self
                    .config
                    .receivers
                    .get(&route.receiver)
                    .is_some_and(|all| all.iter().any(|one| one.id == record.integration))
        })?;
        let group = AlertGroup::new(route, record.group_labels.clone(), 0);
        Some((group_id(route, &record.group_labels), group))
    }

    /// Takes the alerts that fire at `now` as the members of their groups.
    pub(crate) fn update(
        &mut self,
        firing: &[FiringAlert],
        resolved: &BTreeMap<Labels, i64>,
        now: i64,
    ) {
        for group in self.groups.values_mut() {
            group.firing.clear();
        }
        for FiringAlert { alert } in firing {
            for route in self.config.route.find(&alert.labels) {
                let labels = route.group_labels(&alert.labels);
                let id = group_id(route, &labels);
                let group = self
                    .groups
                    .entry(id)
                    .or_insert_with(|| AlertGroup::new(route, labels, i64::MAX));
                if group.next_flush == i64::MAX {
                    // An alert that fired long ago has waited enough, as after a restart.
                    let waited = alert.fired_at.saturating_add(route.group_wait_ms) <= now;
                    group.next_flush = if waited {
                        now
                    } else {
                        now + route.group_wait_ms
                    };
                }
                group.add(alert);
            }
        }
        for record in self.records.values_mut() {
            for alert in &mut record.announced {
                if let Some(at) = resolved.get(&alert.labels) {
                    alert.resolved_at = Some(*at);
                }
            }
        }
    }

    /// When the next group is due, Unix ms.
    pub(crate) fn next_flush(&self) -> Option<i64> {
        self.groups.values().map(|group| group.next_flush).min()
    }

    /// How many groups there are.
    pub(crate) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Looks at every group that is due at `now`: sets its next look and returns what its
    /// integrations must be told. Nothing counts as told before [`Dispatcher::told`].
    pub(crate) fn flush(&mut self, now: i64) -> Vec<Notice> {
        let mut notices = Vec::new();
        for group in self.groups.values_mut() {
            // A clock set back must not mute a group for as long as it was set back.
            if group.next_flush != i64::MAX {
                let longest_wait = group.group_wait_ms.max(group.group_interval_ms);
                group.next_flush = group.next_flush.min(now.saturating_add(longest_wait));
            }
            if group.next_flush > now {
                continue;
            }
            group.next_flush = now + group.group_interval_ms;
            let integrations = self.config.receivers.get(&group.receiver);
            for integration in integrations.into_iter().flatten() {
                let key = format!("{};{}", integration.id, group.key);
                let notice = decide(
                    group,
                    &integration.id,
                    integration.send_resolved,
                    self.records.get(&key),
                    now,
                );
                notices.extend(notice);
            }
        }
        notices
    }

    /// Takes note of a notice that is saved (or that could not be, and is acted on all the same).
    pub(crate) fn told(&mut self, notice: &Notice) {
        match &notice.record {
            Some(record) => {
                self.records
                    .insert(notice.record_key.clone(), record.clone());
            }
            None => {
                self.records.remove(&notice.record_key);
            }
        }
    }

    /// Forgets groups that have nothing firing and nothing announced, after their flush at `now`.
    pub(crate) fn forget_idle(&mut self, now: i64) {
        let announced: BTreeSet<&str> = self
            .records
            .values()
            .map(|record| record.group_key.as_str())
            .collect();
        self.groups.retain(|_, group| {
            let flushed_now = group.next_flush == now + group.group_interval_ms;
            !flushed_now || !group.firing.is_empty() || announced.contains(group.key.as_str())
        });
    }
}

impl AlertGroup {
    fn new(route: &Route, labels: Labels, next_flush: i64) -> Self {
        Self {
            key: group_key(route, &labels),
            labels,
            receiver: route.receiver.clone(),
            group_wait_ms: route.group_wait_ms,
            group_interval_ms: route.group_interval_ms,
            repeat_interval_ms: route.repeat_interval_ms,
            next_flush,
            firing: BTreeMap::new(),
        }
    }

    /// Adds a member; of two alerts with equal labels, the one that fires longer stays.
    fn add(&mut self, alert: &NotifiedAlert) {
        let known = self.firing.get(&alert.labels);
        if known.is_none_or(|known| alert.fired_at < known.fired_at) {
            self.firing.insert(alert.labels.clone(), alert.clone());
        }
    }
}

fn group_key(route: &Route, labels: &Labels) -> String {
    format!("{}:{labels}", route.key)
}

/// Routes with equal matchers have equal keys; their numbers tell them apart.
fn group_id(route: &Route, labels: &Labels) -> String {
    format!("{};{labels}", route.index)
}

/// What an integration that was last told `record` must be told about `group` now.
fn decide(
    group: &AlertGroup,
    integration: &str,
    send_resolved: bool,
    record: Option<&NotificationRecord>,
    now: i64,
) -> Option<Notice> {
    let announced: &[NotifiedAlert] = record.map_or(&[], |record| &record.announced);
    let ended: Vec<NotifiedAlert> = announced
        .iter()
        .filter(|alert| !group.firing.contains_key(&alert.labels))
        .map(|alert| NotifiedAlert {
            resolved_at: alert.resolved_at.or(Some(now)),
            ..alert.clone()
        })
        .collect();
    let has_new = group
        .firing
        .keys()
        .any(|labels| !announced.iter().any(|alert| alert.labels == *labels));
    let all_ended = group.firing.is_empty() && !announced.is_empty();
    let repeat_due = !group.firing.is_empty()
        && record.is_some_and(|record| now - record.notified_at >= group.repeat_interval_ms);
    let tells_end = send_resolved && !ended.is_empty();
    if !(has_new || all_ended || repeat_due || tells_end) {
        return None;
    }
    let record_key = format!("{integration};{}", group.key);
    let id = message_id(&record_key, now);
    let thread = record.map_or_else(|| id.clone(), |record| record.thread.clone());
    let mut alerts: Vec<NotifiedAlert> = group.firing.values().cloned().collect();
    if send_resolved {
        alerts.extend(ended);
    }
    let entry = (!alerts.is_empty()).then(|| OutboxEntry {
        id,
        integration: integration.to_owned(),
        group_key: group.key.clone(),
        group_labels: group.labels.clone(),
        thread: thread.clone(),
        alerts,
        settled: Vec::new(),
        refusal: None,
        created_at: now,
        due_at: now,
        attempts: 0,
    });
    let record = (!group.firing.is_empty()).then(|| NotificationRecord {
        group_key: group.key.clone(),
        integration: integration.to_owned(),
        group_labels: group.labels.clone(),
        announced: group.firing.values().cloned().collect(),
        notified_at: now,
        thread,
    });
    Some(Notice {
        record,
        record_key,
        entry,
    })
}

/// Unique for ever, since one record makes at most one message a millisecond.
fn message_id(record_key: &str, now: i64) -> String {
    let hash = Labels::new([("key", record_key)]).fingerprint();
    format!("{hash:016x}.{now}")
}

/// The message `newer` takes the place of `older`, which was not delivered: ends that only the
/// older one tells go along.
pub(crate) fn supersede(newer: &mut OutboxEntry, older: &OutboxEntry) {
    let lost: Vec<NotifiedAlert> = older
        .alerts
        .iter()
        .filter(|alert| alert.resolved_at.is_some())
        .filter(|alert| {
            !newer
                .alerts
                .iter()
                .any(|known| known.labels == alert.labels)
        })
        .cloned()
        .collect();
    newer.alerts.extend(lost);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::config;
    use crate::yaml::Source;

    /// Routes under a root with `group_by: [alertname]`; every receiver has one webhook.
    fn dispatcher(routes: &str) -> Dispatcher {
        let text = format!(
            "route: {{receiver: base, group_by: [alertname], group_wait: 10s, group_interval: 60s, routes: [{routes}]}}\n\
             receivers:\n\
             - {{name: base, webhook_configs: [{{url: 'http://x'}}]}}\n\
             - {{name: web, webhook_configs: [{{url: 'http://x'}}]}}\n\
             - {{name: db, webhook_configs: [{{url: 'http://x'}}, {{url: 'http://y', send_resolved: false}}]}}\n"
        );
        let mut source = Source::new("notify.yml", &text);
        let config = config::read(&mut source);
        assert_eq!(source.errors, []);
        Dispatcher::restore(config.unwrap(), Vec::new(), 0).0
    }

    fn alert(labels: &[(&str, &str)], fired_at: i64) -> FiringAlert {
        FiringAlert {
            alert: NotifiedAlert {
                labels: Labels::new(labels.iter().copied()),
                annotations: Labels::empty(),
                value: 1.0,
                active_at: fired_at,
                fired_at,
                resolved_at: None,
                window_ms: 0,
                query: String::new(),
            },
        }
    }

    /// What is told at `now` (s) when `firing` fires, as `integration group firing/resolved`.
    fn tell(dispatcher: &mut Dispatcher, firing: &[FiringAlert], now: i64) -> Vec<String> {
        let now = now * 1_000;
        dispatcher.update(firing, &BTreeMap::new(), now);
        let mut told = Vec::new();
        for notice in dispatcher.flush(now) {
            dispatcher.told(&notice);
            if let Some(entry) = &notice.entry {
                let ended = |alert: &&NotifiedAlert| alert.resolved_at.is_some();
                let resolved = entry.alerts.iter().filter(ended).count();
                told.push(format!(
                    "{} {} {}/{resolved}",
                    entry.integration,
                    entry.group_key,
                    entry.alerts.len() - resolved
                ));
            }
        }
        dispatcher.forget_idle(now);
        told.sort();
        told
    }

    #[test]
    fn the_first_matching_route_takes_an_alert_unless_it_continues() {
        let routes = "{matchers: ['team=web'], receiver: web, continue: true, routes: [{matchers: ['severity=page']}]}, \
                      {matchers: ['env=prod'], receiver: db, group_by: ['...']}, \
                      {matchers: ['team=web'], receiver: base}";
        let cases = [
            (
                vec![("alertname", "A"), ("team", "web"), ("severity", "page")],
                vec![
                    "base/webhook[0] {}/{team=\"web\"}:{alertname=\"A\"} 1/0",
                    "web/webhook[0] {}/{team=\"web\"}/{severity=\"page\"}:{alertname=\"A\"} 1/0",
                ],
            ),
            (
                vec![("alertname", "A"), ("env", "prod")],
                vec![
                    "db/webhook[0] {}/{env=\"prod\"}:{alertname=\"A\", env=\"prod\"} 1/0",
                    "db/webhook[1] {}/{env=\"prod\"}:{alertname=\"A\", env=\"prod\"} 1/0",
                ],
            ),
            (
                vec![("alertname", "A")],
                vec!["base/webhook[0] {}:{alertname=\"A\"} 1/0"],
            ),
        ];
        for (labels, expected) in cases {
            let mut dispatcher = dispatcher(routes);
            assert_eq!(tell(&mut dispatcher, &[alert(&labels, 0)], 100), expected);
        }
    }

    #[test]
    fn a_group_waits_then_looks_once_an_interval() {
        let mut dispatcher = dispatcher("");
        let a = alert(&[("alertname", "A"), ("i", "1")], 100_000);
        let b = alert(&[("alertname", "A"), ("i", "2")], 111_000);
        let nothing: [&str; 0] = [];
        let told = |text: &str| vec![format!("base/webhook[0] {{}}:{{alertname=\"A\"}} {text}")];
        assert_eq!(
            tell(&mut dispatcher, std::slice::from_ref(&a), 100),
            nothing
        );
        assert_eq!(dispatcher.next_flush(), Some(110_000));
        assert_eq!(
            tell(&mut dispatcher, std::slice::from_ref(&a), 110),
            told("1/0")
        );
        let both = [a, b];
        assert_eq!(
            tell(&mut dispatcher, &both, 111),
            nothing,
            "not before the interval"
        );
        assert_eq!(tell(&mut dispatcher, &both, 170), told("2/0"));
        assert_eq!(tell(&mut dispatcher, &both, 230), nothing, "nothing new");
        assert_eq!(tell(&mut dispatcher, &both[1..], 290), told("1/1"));
        assert_eq!(tell(&mut dispatcher, &[], 350), told("0/1"));
        assert_eq!(dispatcher.group_count(), 0);
        assert!(dispatcher.records.is_empty());
    }

    #[test]
    fn an_old_alert_in_a_new_group_does_not_wait() {
        let mut dispatcher = dispatcher("");
        let old = [alert(&[("alertname", "A")], 0)];
        assert_eq!(tell(&mut dispatcher, &old, 100).len(), 1);
    }

    #[test]
    fn an_integration_that_is_not_told_ends_forgets_them_all_the_same() {
        let mut dispatcher = dispatcher("{receiver: db}");
        let firing = [alert(&[("alertname", "A")], 0)];
        assert_eq!(tell(&mut dispatcher, &firing, 100).len(), 2);
        let ended = tell(&mut dispatcher, &[], 160);
        assert_eq!(ended, ["db/webhook[0] {}/{}:{alertname=\"A\"} 0/1"]);
        assert!(dispatcher.records.is_empty());
        assert_eq!(
            tell(&mut dispatcher, &firing, 220).len(),
            2,
            "it fires anew"
        );
    }

    #[test]
    fn records_of_receivers_that_are_gone_are_dropped() {
        let mut before = dispatcher("{matchers: ['a=b'], receiver: db}");
        let firing = [alert(&[("alertname", "A"), ("a", "b")], 0)];
        tell(&mut before, &firing, 100);
        let records: Vec<NotificationRecord> = before.records.into_values().collect();
        let now_elsewhere = dispatcher("{matchers: ['a=b'], receiver: web}").config;
        let (after, dropped) = Dispatcher::restore(now_elsewhere, records, 100_000);
        assert_eq!(dropped.len(), 2);
        assert_eq!(after.group_count(), 0);
    }

    #[test]
    fn what_only_an_undelivered_message_tells_goes_along_with_the_next() {
        let entry = |alerts: &[FiringAlert]| OutboxEntry {
            id: "m".to_owned(),
            integration: "i".to_owned(),
            group_key: "g".to_owned(),
            group_labels: Labels::empty(),
            thread: "t".to_owned(),
            alerts: alerts.iter().map(|one| one.alert.clone()).collect(),
            settled: Vec::new(),
            refusal: None,
            created_at: 0,
            due_at: 0,
            attempts: 0,
        };
        let mut ended = alert(&[("i", "1")], 0);
        ended.alert.resolved_at = Some(5);
        let older = entry(&[ended.clone(), alert(&[("i", "2")], 0)]);
        let mut newer = entry(&[alert(&[("i", "3")], 0)]);
        supersede(&mut newer, &older);
        assert_eq!(newer.alerts[1], ended.alert);
        assert_eq!(newer.alerts.len(), 2);
        let mut fires_again = entry(&[alert(&[("i", "1")], 9)]);
        supersede(&mut fires_again, &older);
        assert_eq!(fires_again.alerts.len(), 1);
    }
}
