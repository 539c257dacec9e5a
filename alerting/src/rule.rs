//! Rules in groups, checked and ready to evaluate.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;

use crate::expression::{Expression, Reads};
use crate::state::Timing;
use crate::template::Template;

/// Rules evaluated one after the other at the same slots.
#[derive(Debug, Clone)]
pub struct Group {
    /// The file it comes from, as it was named.
    pub file: String,
    /// Its name, unique in the file.
    pub name: String,
    /// The time between two slots, ms; at least 1.
    pub interval_ms: i64,
    /// How far behind its slot a query looks, ms.
    pub query_offset_ms: i64,
    /// Most elements a rule may yield; 0 is no limit.
    pub limit: usize,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
}

impl Group {
    /// Unique over all groups: `file;name`, as Prometheus' metrics label it.
    pub fn id(&self) -> String {
        format!("{};{}", self.file, self.name)
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The alert's or the recorded metric's name.
    pub name: String,
    /// Identifies the rule inside its group across restarts and edits of everything but name
    /// and labels.
    pub key: String,
    /// What is evaluated.
    pub expression: Expression,
    /// Labels as written, the group's merged under the rule's.
    pub labels: BTreeMap<String, String>,
    /// How far back the rule looks through all the rules it builds on, ms.
    pub window_ms: i64,
    /// What becomes of the result.
    pub kind: Kind,
}

/// What becomes of a rule's result.
#[derive(Debug, Clone)]
pub enum Kind {
    /// It is written as the series [`Rule::name`].
    Recording,
    /// Every element is an alert.
    Alerting(Alerting),
}

/// What an alerting rule has besides its expression.
#[derive(Debug, Clone)]
pub struct Alerting {
    /// `for` and `keep_firing_for`.
    pub timing: Timing,
    /// Label templates, by name.
    pub labels: Vec<(String, Template)>,
    /// Annotation templates, by name.
    pub annotations: Vec<(String, Template)>,
}

/// The variables that templates of rules see, without `$`.
pub(crate) const TEMPLATE_VARIABLES: [&str; 4] =
    ["labels", "externalLabels", "externalURL", "value"];

/// Gives each rule of `group` its key: name and labels, numbered among equals.
pub(crate) fn assign_keys(group: &mut Group) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for rule in &mut group.rules {
        let labels = Labels::new(rule.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let base = format!("{}{labels}", rule.name);
        let count = seen.entry(base.clone()).or_default();
        rule.key = match *count {
            0 => base,
            n => format!("{base}#{n}"),
        };
        *count += 1;
    }
}

/// What is known of the recording rules of one name: how far back they look, and what they read.
type Recorded = BTreeMap<String, (i64, Reads)>;

/// Works out how far back each rule looks through the recording rules it builds on, so that a
/// link in a message covers the time the alert is about. A rule of the same group comes first
/// when several record the same metric.
pub(crate) fn assign_windows(groups: &mut [Group]) {
    let everywhere = recorded(groups.iter());
    for group in groups {
        let mut known = everywhere.clone();
        known.extend(recorded([&*group].into_iter()));
        for rule in &mut group.rules {
            let below = deepest(rule.expression.reads(), &known, &mut BTreeSet::new());
            rule.window_ms = rule.expression.window_ms() + below;
        }
    }
}

fn recorded<'a>(groups: impl Iterator<Item = &'a Group>) -> Recorded {
    let mut recorded = Recorded::new();
    for rule in groups.flat_map(|group| &group.rules) {
        if matches!(rule.kind, Kind::Recording) {
            let window = rule.expression.window_ms();
            let entry = recorded
                .entry(rule.name.clone())
                .or_insert_with(|| (window, rule.expression.reads().clone()));
            entry.0 = entry.0.max(window);
        }
    }
    recorded
}

/// The widest window below `reads`; `path` holds the names above, since rules may read themselves.
fn deepest(reads: &Reads, recorded: &Recorded, path: &mut BTreeSet<String>) -> i64 {
    let Reads::Names(names) = reads else {
        return 0;
    };
    let mut widest = 0;
    for name in names {
        let Some((window, inner)) = recorded.get(name) else {
            continue;
        };
        if path.insert(name.clone()) {
            widest = widest.max(window + deepest(inner, recorded, path));
            path.remove(name);
        }
    }
    widest
}
