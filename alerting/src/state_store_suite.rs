//! The conformance suite of [`StateStore`]: each implementation's tests run it.

use model::Labels;

use crate::state::AlertState;
use crate::state_store::{
    AlertRecord, DeliveryAttempt, DeliveryOutcome, NotificationRecord, NotifiedAlert, OutboxEntry,
    RuleGroupRecord, SavedState, StateChange, StateStore,
};

/// Checks `store`, which must be empty, against what [`StateStore`] promises.
///
/// # Errors
///
/// A sentence that says which promise does not hold.
pub async fn check(store: &dyn StateStore) -> Result<(), String> {
    expect(store, &SavedState::default(), "a new store is empty").await?;
    let mut expected = full();
    save(store, everything(&expected)).await?;
    expect(store, &expected, "everything saved is loaded, bit by bit").await?;

    expected.alerts[0].state = AlertState::Firing {
        active_at: 1,
        fired_at: 2,
        keep_firing_since: Some(3),
    };
    expected.rule_groups[0].last_evaluation = 9;
    save(store, everything(&expected)).await?;
    expect(store, &expected, "a row replaces the one with its key").await?;

    save(store, StateChange::default()).await?;
    expect(store, &expected, "an empty change changes nothing").await?;

    let replaced = StateChange {
        outbox_deleted: vec![expected.outbox[0].id.clone(), "unknown".to_owned()],
        outbox_put: expected.outbox.clone(),
        ..StateChange::default()
    };
    save(store, replaced).await?;
    expect(store, &expected, "deletions come before insertions").await?;

    let deleted = StateChange {
        alerts_deleted: vec![expected.alerts[0].key()],
        notifications_deleted: vec![expected.notifications[0].key()],
        outbox_deleted: vec![expected.outbox[0].id.clone()],
        ..StateChange::default()
    };
    save(store, deleted).await?;
    expected.alerts.remove(0);
    expected.notifications.clear();
    expected.outbox.clear();
    expect(store, &expected, "only what was deleted is gone").await?;
    check_attempts(store).await
}

async fn check_attempts(store: &dyn StateStore) -> Result<(), String> {
    let attempt = |at, outcome| DeliveryAttempt {
        id: "m1".to_owned(),
        integration: "team/email[0]".to_owned(),
        group_key: "{}:{}".to_owned(),
        firing: 1,
        resolved: 2,
        at,
        took_ms: 5,
        outcome,
    };
    let first = attempt(10, DeliveryOutcome::Retried("451 \"later\"".to_owned()));
    let second = attempt(20, DeliveryOutcome::Failed(String::new()));
    let third = attempt(30, DeliveryOutcome::Delivered);
    for attempts in [vec![first], vec![second.clone(), third.clone()]] {
        let change = StateChange {
            attempts,
            ..StateChange::default()
        };
        save(store, change).await?;
    }
    let latest = store.attempts(2).await.map_err(|error| error.to_string())?;
    if latest != [third, second] {
        return Err(format!("the newest attempts come first; got {latest:?}"));
    }
    Ok(())
}

async fn save(store: &dyn StateStore, change: StateChange) -> Result<(), String> {
    store.save(change).await.map_err(|error| error.to_string())
}

async fn expect(
    store: &dyn StateStore,
    expected: &SavedState,
    promise: &str,
) -> Result<(), String> {
    let mut saved = store.load().await.map_err(|error| error.to_string())?;
    saved.alerts.sort_by_key(AlertRecord::key);
    let mut expected = expected.clone();
    expected.alerts.sort_by_key(AlertRecord::key);
    // Compared as text, in which NaN equals itself.
    if format!("{saved:?}") != format!("{expected:?}") {
        return Err(format!(
            "{promise}: expected {expected:?}, the store has {saved:?}"
        ));
    }
    Ok(())
}

fn everything(state: &SavedState) -> StateChange {
    StateChange {
        alerts_put: state.alerts.clone(),
        rule_groups_put: state.rule_groups.clone(),
        notifications_put: state.notifications.clone(),
        outbox_put: state.outbox.clone(),
        ..StateChange::default()
    }
}

/// Rows of every kind with awkward contents: quotes, empty and non-ASCII text, NaN, infinities.
fn full() -> SavedState {
    let labels = Labels::new([("alertname", "A"), ("text", "it's \"é\"\n\\")]);
    let alert = |rule: &str, value| AlertRecord {
        group: "rules.yml;g".to_owned(),
        rule: rule.to_owned(),
        labels: labels.clone(),
        state: AlertState::Pending { active_at: -1 },
        value,
        annotations: Labels::empty(),
    };
    let notified = NotifiedAlert {
        labels: labels.clone(),
        annotations: labels.clone(),
        value: f64::INFINITY,
        active_at: i64::MIN,
        fired_at: i64::MAX,
        resolved_at: Some(0),
        window_ms: 1,
        query: "up == 0 # ' \"".to_owned(),
    };
    SavedState {
        alerts: vec![alert("A{}", f64::NAN), alert("A{}#1", 0.1 + 0.2)],
        rule_groups: vec![RuleGroupRecord {
            group: "rules.yml;g".to_owned(),
            last_evaluation: 7,
        }],
        notifications: vec![NotificationRecord {
            group_key: "{}:{}".to_owned(),
            integration: "team/email[0]".to_owned(),
            group_labels: Labels::empty(),
            announced: vec![notified.clone()],
            notified_at: 8,
            thread: "t".to_owned(),
        }],
        outbox: vec![OutboxEntry {
            id: "m1".to_owned(),
            integration: "team/email[0]".to_owned(),
            group_key: "{}:{}".to_owned(),
            group_labels: labels.clone(),
            thread: "t".to_owned(),
            alerts: vec![notified],
            settled: vec!["a@example.org".to_owned()],
            refusal: Some("a@example.org: no such mailbox".to_owned()),
            created_at: 1,
            due_at: 2,
            attempts: u32::MAX,
        }],
    }
}
