//! The running engine: from a query's answer to a mail in a mailbox, through crashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use alerting::memory::{FixedSource, ManualClock, MemorySink, MemoryStateStore};
use alerting::state_store::{DeliveryAttempt, DeliveryOutcome, SavedState};
use alerting::{
    AlertingConfig, Configuration, Engine, QueryError, QueryResult, RulesFilter, Seams,
    StateChange, StateError, StateStore, VectorElement,
};
use async_trait::async_trait;
use model::labels::METRIC_NAME;
use model::metric::is_stale;
use model::{Labels, SampleValue};
use tokio::runtime::Runtime;

use crate::mail_server::MailServer;
use crate::rule_files::config;

const START: i64 = 1_795_232_400_000;

const RULES: &str = "groups:
- name: g
  interval: 1s
  rules:
  - alert: Down
    expr: up == 0
    labels: {severity: page}
    annotations: {summary: 'value {{ $value }} on {{ $labels.instance }}'}
";

const ROUTES: &str = "global: {smtp_smarthost: '127.0.0.1:PORT', smtp_from: w@example.org, smtp_require_tls: false}
route: {receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}
receivers:
- name: team
  email_configs: [{to: 'a@example.org', send_resolved: true}]
";

/// The world around an engine; engines come and go in it.
pub(crate) struct World {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    data: Arc<FixedSource>,
    sink: Arc<MemorySink>,
    store: Arc<MemoryStateStore>,
    mail: MailServer,
    /// Where the mail server lives.
    runtime: Runtime,
}

/// A running engine in a runtime of its own, so that it can be killed.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    runtime: Runtime,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

impl Running {
    /// Ends the engine as SIGKILL would: nothing more runs.
    fn kill(self) {
        self.runtime.shutdown_background();
    }

    pub(crate) fn stop(self) {
        self.runtime.block_on(self.engine.shutdown());
    }
}

impl World {
    pub(crate) fn new(rules: &str, routes: &str) -> Self {
        let runtime = runtime();
        let mail = runtime.block_on(MailServer::start());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
        let routes = routes.replace("PORT", &mail.port.to_string());
        std::fs::write(folder.path().join("notify.yml"), routes).unwrap();
        Self {
            folder,
            clock: Arc::new(ManualClock::new(START)),
            data: Arc::default(),
            sink: Arc::default(),
            store: Arc::default(),
            mail,
            runtime,
        }
    }

    /// Runs `server` for as long as the world lasts.
    pub(crate) fn serve(&self, server: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(server);
    }

    fn configuration(&self) -> Configuration {
        Configuration::load(&AlertingConfig {
            rule_files: vec![self.folder.path().join("rules.yml")],
            notification_file: Some(self.folder.path().join("notify.yml")),
            ..config()
        })
        .unwrap()
    }

    pub(crate) fn start(&self) -> Running {
        self.start_with(Arc::clone(&self.store) as Arc<dyn StateStore>)
    }

    fn start_with(&self, state: Arc<dyn StateStore>) -> Running {
        let runtime = runtime();
        let seams = Seams {
            data: Arc::clone(&self.data) as _,
            sink: Arc::clone(&self.sink) as _,
            state,
            clock: Arc::clone(&self.clock) as _,
        };
        let guard = runtime.enter();
        let engine = Engine::start(self.configuration(), seams, std::future::ready(()));
        drop(guard);
        Running { engine, runtime }
    }

    /// The rule's query yields these instances, with the value 0.
    pub(crate) fn fail(&self, instances: &[&str]) {
        self.answer(Ok(QueryResult::Vector(
            instances
                .iter()
                .map(|instance| VectorElement {
                    labels: Labels::new([(METRIC_NAME, "up"), ("instance", instance)]),
                    value: 0.0,
                })
                .collect(),
        )));
    }

    fn answer(&self, answer: Result<QueryResult, QueryError>) {
        self.data.set("up == 0", answer);
    }

    /// Lets time pass until `condition` holds.
    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "{what} did not happen; mails: {:?}",
                self.mail.subjects()
            );
            self.clock.advance(Duration::from_millis(100));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn until_mails(&self, count: usize) {
        self.until(&format!("mail {count}"), || {
            self.mail.mails().len() >= count
        });
    }

    /// Lets `seconds` pass in which every slot is evaluated.
    pub(crate) fn pass(&self, engine: &Engine, seconds: i64) {
        use alerting::Clock;
        let end = self.clock.now() + seconds * 1_000;
        let last = || {
            let groups = engine.rules_snapshot(&RulesFilter::default()).groups;
            model::time::parse_instant(&groups[0].last_evaluation, 0).unwrap_or(0) / 1_000_000
        };
        self.until("evaluation", || last() >= end);
    }

    pub(crate) fn attempts(&self) -> Vec<DeliveryOutcome> {
        let mut attempts = self.runtime.block_on(self.store.attempts(100)).unwrap();
        attempts.reverse();
        attempts.into_iter().map(|one| one.outcome).collect()
    }

    fn saved(&self) -> SavedState {
        self.runtime.block_on(self.store.load()).unwrap()
    }
}

fn alert_state(engine: &Engine) -> Vec<(String, String)> {
    engine
        .alerts_snapshot()
        .alerts
        .into_iter()
        .map(|alert| (alert.labels["instance"].clone(), alert.state.to_owned()))
        .collect()
}

#[test]
fn an_alert_is_mailed_when_it_fires_and_when_it_ends() {
    let world = World::new(RULES, ROUTES);
    let running = world.start();
    world.fail(&["a:80"]);
    world.until_mails(1);
    world.fail(&[]);
    world.until_mails(2);
    running.stop();

    let mails = world.mail.mails();
    assert_eq!(
        world.mail.subjects(),
        ["[FIRING:1] Down (a:80 page)", "[RESOLVED] Down (a:80 page)"]
    );
    let firing = mails[0].readable();
    for expected in [
        "summary: value 0 on a:80",
        "severity = page",
        "http://watch.example/ui/logs?q=severity%3A%3E%3Derror&from=2026-11-21T",
        "text/html",
    ] {
        assert!(firing.contains(expected), "{expected}\n{firing}");
    }
    assert!(mails[1].readable().contains("Resolved at: 2026-11-21T"));
    assert_eq!(mails[0].header("In-Reply-To"), "");
    assert_eq!(
        mails[1].header("In-Reply-To"),
        mails[0].header("Message-ID"),
        "one thread per incident"
    );
    let saved = world.saved();
    assert!(saved.alerts.is_empty() && saved.notifications.is_empty() && saved.outbox.is_empty());
}

#[test]
fn nothing_is_mailed_when_nothing_fires() {
    let world = World::new(RULES, ROUTES);
    let running = world.start();
    world.pass(&running.engine, 30);
    running.stop();
    assert_eq!(world.mail.mails(), []);
    assert_eq!(world.sink.samples(), []);
}

#[test]
fn an_alert_that_ends_before_the_first_message_is_silent() {
    let world = World::new(RULES, &ROUTES.replace("group_wait: 1s", "group_wait: 20s"));
    let running = world.start();
    world.fail(&["a"]);
    world.until("firing", || !alert_state(&running.engine).is_empty());
    world.fail(&[]);
    world.pass(&running.engine, 60);
    running.stop();
    assert_eq!(world.mail.mails(), []);
}

#[test]
fn alerts_of_a_group_share_a_message_and_later_ones_wait_for_the_interval() {
    let world = World::new(RULES, &ROUTES.replace("group_wait: 1s", "group_wait: 5s"));
    let running = world.start();
    world.fail(&["a", "b"]);
    world.until_mails(1);
    world.fail(&["a", "b", "c"]);
    world.until_mails(2);
    world.fail(&["c"]);
    world.until_mails(3);
    world.pass(&running.engine, 30);
    running.stop();
    let subjects = world.mail.subjects();
    assert_eq!(
        subjects,
        [
            "[FIRING:2] Down (page)",
            "[FIRING:3] Down (page)",
            "[FIRING:1] Down (page)"
        ]
    );
    let third = world.mail.mails()[2].readable();
    assert!(third.contains("Resolved at"), "{third}");
}

#[test]
fn a_message_is_repeated_after_the_repeat_interval() {
    let world = World::new(
        RULES,
        &ROUTES.replace("repeat_interval: 1h", "repeat_interval: 30s"),
    );
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(3);
    running.stop();
    let mails = world.mail.mails();
    assert!(mails[0].header("Message-ID") != mails[1].header("Message-ID"));
    assert_eq!(
        mails[2].header("In-Reply-To"),
        mails[0].header("Message-ID")
    );
}

#[test]
fn a_mail_refused_for_now_is_sent_again() {
    let world = World::new(RULES, ROUTES);
    world.mail.refuse_next("451 try later");
    world.mail.refuse_next("451 try later");
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(1);
    world.pass(&running.engine, 60);
    running.stop();
    assert_eq!(world.mail.mails().len(), 1);
    let attempts = world.attempts();
    assert!(matches!(&attempts[0], DeliveryOutcome::Retried(why) if why.contains("try later")));
    assert!(matches!(attempts[1], DeliveryOutcome::Retried(_)));
    assert_eq!(attempts[2..], [DeliveryOutcome::Delivered]);
}

#[test]
fn a_mail_refused_for_good_is_not_sent_again() {
    let world = World::new(RULES, ROUTES);
    world.mail.refuse_next("550 no such user");
    let running = world.start();
    world.fail(&["a"]);
    world.until("an attempt", || !world.attempts().is_empty());
    world.pass(&running.engine, 60);
    running.stop();
    assert_eq!(world.mail.mails(), []);
    let attempts = world.attempts();
    assert_eq!(attempts.len(), 1);
    assert!(matches!(&attempts[0], DeliveryOutcome::Failed(why) if why.contains("no such user")));
}

#[test]
fn one_recipients_refusal_neither_delays_nor_repeats_the_others_mail() {
    let routes = ROUTES.replace("a@example.org", "a@example.org, b@example.org");
    let world = World::new(RULES, &routes);
    world.mail.refuse_next("451 try later");
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(2);
    world.pass(&running.engine, 60);
    running.stop();
    let mut recipients: Vec<Vec<String>> =
        world.mail.mails().into_iter().map(|mail| mail.to).collect();
    recipients.sort();
    assert_eq!(recipients, [["a@example.org"], ["b@example.org"]]);
}

#[test]
fn a_recipients_refusal_is_not_forgotten_while_the_other_waits() {
    let routes = ROUTES.replace("a@example.org", "a@example.org, b@example.org");
    let world = World::new(RULES, &routes);
    world.mail.refuse_next("550 no such user");
    world.mail.refuse_next("451 try later");
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(1);
    world.pass(&running.engine, 60);
    running.stop();
    assert_eq!(world.mail.mails()[0].to, ["b@example.org"]);
    let attempts = world.attempts();
    assert!(matches!(&attempts[0], DeliveryOutcome::Retried(why) if why.contains("try later")));
    assert!(matches!(&attempts[1], DeliveryOutcome::Failed(why) if why.contains("no such user")));
    assert_eq!(attempts.len(), 2);
}

#[test]
fn mail_is_not_sent_in_the_clear_when_tls_is_required() {
    let world = World::new(
        RULES,
        &ROUTES.replace("smtp_require_tls: false", "smtp_hello: me"),
    );
    let running = world.start();
    world.fail(&["a"]);
    world.until("an attempt", || !world.attempts().is_empty());
    running.stop();
    assert_eq!(world.mail.mails(), []);
    assert!(matches!(world.attempts()[0], DeliveryOutcome::Retried(_)));
}

#[test]
fn an_undelivered_message_gives_way_to_what_is_true_by_then() {
    let world = World::new(RULES, ROUTES);
    for _ in 0..3 {
        world.mail.refuse_next("451 try later");
    }
    let running = world.start();
    world.fail(&["a"]);
    world.until("a failed attempt", || !world.attempts().is_empty());
    world.fail(&[]);
    world.until_mails(1);
    world.pass(&running.engine, 60);
    running.stop();
    assert_eq!(world.mail.subjects(), ["[RESOLVED] Down (a page)"]);
}

#[test]
fn a_restart_keeps_firing_alerts_without_a_new_message() {
    let world = World::new(RULES, ROUTES);
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(1);
    let before = running.engine.alerts_snapshot();
    running.stop();
    world.clock.advance(Duration::from_secs(30));

    let running = world.start();
    world.pass(&running.engine, 60);
    let after = running.engine.alerts_snapshot();
    assert_eq!(before.alerts[0].active_at, after.alerts[0].active_at);
    assert_eq!(world.mail.mails().len(), 1);
    world.fail(&[]);
    world.until_mails(2);
    running.stop();
    assert_eq!(world.mail.subjects()[1], "[RESOLVED] Down (a page)");
}

#[test]
fn slots_missed_while_down_resolve_nothing_until_samples_are_back() {
    let world = World::new(RULES, ROUTES);
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(1);
    running.stop();
    world.clock.advance(Duration::from_secs(300));

    // After five minutes without samples the query yields nothing at first.
    world.fail(&[]);
    let running = world.start();
    world.pass(&running.engine, 60);
    assert_eq!(
        alert_state(&running.engine),
        [("a".to_owned(), "firing".to_owned())]
    );
    world.fail(&["a"]);
    world.pass(&running.engine, 120);
    assert_eq!(world.mail.mails().len(), 1);
    // From then on a missing element is an end.
    world.fail(&[]);
    world.until_mails(2);
    running.stop();
    assert_eq!(world.mail.subjects()[1], "[RESOLVED] Down (a page)");
}

#[test]
fn an_alert_whose_rule_is_gone_after_a_restart_ends() {
    let world = World::new(RULES, ROUTES);
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(1);
    running.stop();
    let other = RULES.replace("alert: Down", "alert: Other");
    std::fs::write(world.folder.path().join("rules.yml"), other).unwrap();
    world.fail(&[]);
    let running = world.start();
    world.until_mails(2);
    running.stop();
    assert_eq!(world.mail.subjects()[1], "[RESOLVED] Down (a page)");
    assert!(world.saved().alerts.is_empty());
}

#[test]
fn the_memory_store_keeps_the_promises_of_a_state_store() {
    let outcome = runtime().block_on(alerting::state_store_suite::check(&MemoryStateStore::new()));
    assert_eq!(outcome, Ok(()));
}

#[test]
fn the_demos_files_are_accepted() {
    let demo = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo");
    let configuration = Configuration::load(&AlertingConfig {
        rule_files: vec![demo.join("rules.yml")],
        slo_files: vec![demo.join("slos.yml")],
        notification_file: Some(demo.join("notify.yml")),
        ..config()
    })
    .unwrap();
    assert_eq!(configuration.warnings(), []);
    assert_eq!(configuration.groups().len(), 1 + 3 * 2);
}

/// A store whose process dies at one of its saves: before it is applied, or after.
struct DyingStore {
    inner: Arc<MemoryStateStore>,
    saves: AtomicUsize,
    dies_at: usize,
    applies_first: bool,
    dead: Arc<AtomicUsize>,
}

#[async_trait]
impl StateStore for DyingStore {
    async fn load(&self) -> Result<SavedState, StateError> {
        self.inner.load().await
    }

    async fn save(&self, change: StateChange) -> Result<(), StateError> {
        let number = self.saves.fetch_add(1, Ordering::SeqCst);
        if number < self.dies_at {
            return self.inner.save(change).await;
        }
        if number == self.dies_at && self.applies_first {
            self.inner.save(change).await?;
        }
        self.dead.store(1, Ordering::SeqCst);
        // Nothing after this runs: the process is as good as dead.
        std::future::pending().await
    }

    async fn attempts(&self, limit: usize) -> Result<Vec<DeliveryAttempt>, StateError> {
        self.inner.attempts(limit).await
    }
}

/// Runs an incident through an engine that dies at save `dies_at`, and through its successor.
/// Returns whether it died at all.
fn incident_with_a_crash(dies_at: usize, applies_first: bool) -> bool {
    let world = World::new(RULES, ROUTES);
    let dead = Arc::new(AtomicUsize::new(0));
    let store = Arc::new(DyingStore {
        inner: Arc::clone(&world.store),
        saves: AtomicUsize::new(0),
        dies_at,
        applies_first,
        dead: Arc::clone(&dead),
    });
    let died = || dead.load(Ordering::SeqCst) == 1;
    let has = |start: &str| world.mail.subjects().iter().any(|s| s.starts_with(start));

    let first = world.start_with(store);
    world.fail(&["a"]);
    world.until("a page or a crash", || has("[FIRING") || died());
    if !died() {
        world.fail(&[]);
        world.until("an end or a crash", || has("[RESOLVED") || died());
        // The delivery is recorded after the mail is taken.
        world.until("a clean store or a crash", || {
            died()
                || world.saved()
                    == SavedState {
                        rule_groups: world.saved().rule_groups,
                        ..SavedState::default()
                    }
        });
    }
    first.kill();
    if died() {
        let second = world.start();
        world.until("the page", || has("[FIRING"));
        world.fail(&[]);
        world.until("the end", || has("[RESOLVED"));
        world.pass(&second.engine, 20);
        second.stop();
    }
    let case = format!("dying at save {dies_at}, applied {applies_first}");
    let mut ids: Vec<(String, String)> = world
        .mail
        .mails()
        .iter()
        .map(|mail| (mail.header("Message-ID"), mail.header("Subject")))
        .collect();
    assert!(ids.len() <= 3, "{case}: at most one is repeated: {ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2, "{case}: one page and one end: {ids:?}");
    died()
}

#[test]
fn a_crash_at_any_save_loses_no_message_and_repeats_at_most_one() {
    for applies_first in [false, true] {
        let crashes = (0..50)
            .take_while(|save| incident_with_a_crash(*save, applies_first))
            .count();
        assert!((5..50).contains(&crashes), "{crashes} points of crash");
    }
}

#[test]
fn a_failing_query_keeps_alerts_firing() {
    let world = World::new(RULES, ROUTES);
    let running = world.start();
    world.fail(&["a"]);
    world.until_mails(1);
    world.answer(Err(QueryError::Timeout("too slow".to_owned())));
    world.pass(&running.engine, 60);
    assert_eq!(
        alert_state(&running.engine),
        [("a".to_owned(), "firing".to_owned())]
    );
    let rules =
        serde_json::to_value(running.engine.rules_snapshot(&RulesFilter::default())).unwrap();
    let rule = &rules["groups"][0]["rules"][0];
    assert_eq!(rule["health"], "err");
    assert_eq!(rule["lastError"], "query timed out: too slow");
    running.stop();
    assert_eq!(world.mail.mails().len(), 1);
}

#[test]
fn rules_are_not_evaluated_before_the_store_is_ready() {
    let world = World::new(RULES, ROUTES);
    let runtime = runtime();
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let seams = Seams {
        data: Arc::clone(&world.data) as _,
        sink: Arc::clone(&world.sink) as _,
        state: Arc::clone(&world.store) as _,
        clock: Arc::clone(&world.clock) as _,
    };
    let guard = runtime.enter();
    let engine = Engine::start(world.configuration(), seams, async {
        gate.await.unwrap();
    });
    drop(guard);
    world.fail(&["a"]);
    for _ in 0..100 {
        world.clock.advance(Duration::from_secs(1));
        std::thread::yield_now();
    }
    let unknown = || {
        let snapshot = engine.rules_snapshot(&RulesFilter::default());
        snapshot.groups[0].last_evaluation == "0001-01-01T00:00:00Z"
    };
    assert!(unknown());
    open.send(()).unwrap();
    world.until("an evaluation", || !unknown());
    runtime.block_on(engine.shutdown());
}

#[test]
fn alerts_are_series_that_end_when_their_state_changes() {
    let world = World::new(&RULES.replace("    expr", "    for: 3s\n    expr"), ROUTES);
    let running = world.start();
    world.fail(&["a"]);
    world.until("firing", || {
        alert_state(&running.engine) == [("a".to_owned(), "firing".to_owned())]
    });
    world.fail(&[]);
    world.until("the end", || alert_state(&running.engine).is_empty());
    running.stop();
    let samples = world.sink.samples();
    let shown = |metric: &str, state: &str| -> Vec<Option<f64>> {
        samples
            .iter()
            .filter(|sample| sample.labels.metric_name() == Some(metric))
            .filter(|sample| sample.labels.get("alertstate").unwrap_or("") == state)
            .map(|sample| match sample.value {
                SampleValue::Float(value) => (!is_stale(value)).then_some(value),
                SampleValue::Histogram(_) => panic!("a float"),
            })
            .collect()
    };
    assert_eq!(
        shown("ALERTS", "pending"),
        [Some(1.0), Some(1.0), Some(1.0), None]
    );
    let firing = shown("ALERTS", "firing");
    assert_eq!(
        (firing.first(), firing.last()),
        (Some(&Some(1.0)), Some(&None))
    );
    let since = shown("ALERTS_FOR_STATE", "");
    let first = since[0].unwrap();
    assert!(first >= START as f64 / 1_000.0);
    assert!(
        since[..since.len() - 1]
            .iter()
            .all(|value| *value == Some(first))
    );
    assert_eq!(since.last(), Some(&None));
}

#[test]
fn the_rules_api_answers_in_prometheus_form() {
    let world = World::new(
        &RULES.replace(
            "  rules:\n",
            "  rules:\n  - {record: 'a:b', expr: vector(1)}\n",
        ),
        ROUTES,
    );
    let running = world.start();
    world.fail(&["a"]);
    world.until("firing", || !alert_state(&running.engine).is_empty());
    let rules =
        serde_json::to_value(running.engine.rules_snapshot(&RulesFilter::default())).unwrap();
    let alerts = serde_json::to_value(running.engine.alerts_snapshot()).unwrap();
    running.stop();
    let group = &rules["groups"][0];
    assert_eq!(group["name"], "g");
    assert_eq!(group["interval"], 1.0);
    assert_eq!(group["rules"][0]["type"], "recording");
    assert_eq!(group["rules"][0]["health"], "ok");
    let rule = &group["rules"][1];
    for (field, expected) in [
        ("type", serde_json::json!("alerting")),
        ("state", "firing".into()),
        ("name", "Down".into()),
        ("query", "up == 0".into()),
        ("duration", 0.0.into()),
        ("keepFiringFor", 0.0.into()),
        ("labels", serde_json::json!({"severity": "page"})),
        ("health", "ok".into()),
    ] {
        assert_eq!(rule[field], expected, "{field}");
    }
    let alert = &alerts["alerts"][0];
    assert_eq!(rule["alerts"][0], *alert);
    assert_eq!(alert["value"], "0e+00");
    assert_eq!(alert["state"], "firing");
    assert_eq!(
        alert["labels"],
        serde_json::json!({"alertname": "Down", "instance": "a", "severity": "page"})
    );
    assert_eq!(
        alert["annotations"],
        serde_json::json!({"summary": "value 0 on a"})
    );
}

#[test]
fn equal_labels_after_the_rules_labels_are_an_error_and_change_nothing() {
    let world = World::new(
        &RULES.replace("severity: page", "severity: page, instance: same"),
        ROUTES,
    );
    let running = world.start();
    world.fail(&["a", "b"]);
    world.pass(&running.engine, 5);
    let rules =
        serde_json::to_value(running.engine.rules_snapshot(&RulesFilter::default())).unwrap();
    running.stop();
    let rule = &rules["groups"][0]["rules"][0];
    assert_eq!(rule["health"], "err");
    assert!(rule["lastError"].as_str().unwrap().contains("same labels"));
    assert_eq!(world.sink.samples(), []);
    assert_eq!(world.mail.mails(), []);
}
