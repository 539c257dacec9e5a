//! Relabelling: rules that change, keep or drop label sets, as Prometheus has them.
//!
//! Pure. Regular expressions are anchored at both ends, `$1` and `${name}` in replacements are
//! their groups, and a label that becomes empty is gone. The rules of each action are those of
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.

mod rule;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use md5::{Digest as _, Md5};
use model::Labels;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use self::rule::RuleFields;

/// One rule, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RuleFields")]
pub(crate) struct Rule {
    /// As the configuration has it.
    written: Value,
    /// The labels whose values, joined, the rule looks at.
    sources: Vec<String>,
    separator: String,
    step: Step,
}

/// What a rule does.
#[derive(Debug, Clone)]
enum Step {
    Replace {
        regex: Regex,
        target: String,
        replacement: String,
    },
    Keep(Regex),
    Drop(Regex),
    KeepEqual(String),
    DropEqual(String),
    HashMod {
        target: String,
        modulus: u64,
    },
    LabelMap {
        regex: Regex,
        replacement: String,
    },
    LabelDrop(Regex),
    LabelKeep(Regex),
    Lowercase(String),
    Uppercase(String),
}

/// The labels after all `rules`, in their order; `None` when one of them drops the set.
pub(crate) fn apply(rules: &[Rule], labels: Labels) -> Option<Labels> {
    rules
        .iter()
        .try_fold(labels, |labels, rule| rule.apply(labels))
}

impl Rule {
    /// The rule as the configuration has it.
    pub(crate) fn written(&self) -> &Value {
        &self.written
    }

    fn apply(&self, labels: Labels) -> Option<Labels> {
        let changed = match &self.step {
            Step::Replace {
                regex,
                target,
                replacement,
            } => replaced(&labels, &self.source(&labels), regex, target, replacement),
            Step::Keep(regex) => {
                if !regex.is_match(&self.source(&labels)) {
                    return None;
                }
                None
            }
            Step::Drop(regex) => {
                if regex.is_match(&self.source(&labels)) {
                    return None;
                }
                None
            }
            Step::KeepEqual(target) => {
                if labels.get(target).unwrap_or_default() != self.source(&labels) {
                    return None;
                }
                None
            }
            Step::DropEqual(target) => {
                if labels.get(target).unwrap_or_default() == self.source(&labels) {
                    return None;
                }
                None
            }
            Step::HashMod { target, modulus } => {
                let bucket = hash(&self.source(&labels)) % modulus;
                Some(labels.with(target, &bucket.to_string()))
            }
            Step::LabelMap { regex, replacement } => Some(mapped(&labels, regex, replacement)),
            Step::LabelDrop(regex) => Some(labels.filter(|name| !regex.is_match(name))),
            Step::LabelKeep(regex) => Some(labels.filter(|name| regex.is_match(name))),
            Step::Lowercase(target) => {
                let value = self.source(&labels).to_lowercase();
                Some(labels.with(target, &value))
            }
            Step::Uppercase(target) => {
                let value = self.source(&labels).to_uppercase();
                Some(labels.with(target, &value))
            }
        };
        Some(changed.unwrap_or(labels))
    }

    /// The values of the source labels, joined; an absent label counts as empty.
    fn source<'l>(&self, labels: &'l Labels) -> Cow<'l, str> {
        match self.sources.as_slice() {
            [only] => Cow::Borrowed(labels.get(only).unwrap_or_default()),
            several => {
                let values: Vec<&str> = several
                    .iter()
                    .map(|name| labels.get(name).unwrap_or_default())
                    .collect();
                Cow::Owned(values.join(&self.separator))
            }
        }
    }
}

/// The labels with the one that `target` names; `None` when nothing matches or it names none.
fn replaced(
    labels: &Labels,
    source: &str,
    regex: &Regex,
    target: &str,
    replacement: &str,
) -> Option<Labels> {
    let groups = regex.captures(source)?;
    let mut name = String::new();
    groups.expand(target, &mut name);
    let mut value = String::new();
    groups.expand(replacement, &mut value);
    (!name.is_empty()).then(|| labels.with(&name, &value))
}

/// The last eight bytes of the MD5, most significant first.
fn hash(text: &str) -> u64 {
    let digest = Md5::digest(text.as_bytes());
    let mut last = [0; 8];
    last.copy_from_slice(&digest[8..]);
    u64::from_be_bytes(last)
}

/// The labels, and those whose names match once more under the name that they are mapped to.
fn mapped(labels: &Labels, regex: &Regex, replacement: &str) -> Labels {
    let own = labels
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let more = labels.iter().filter_map(|(name, value)| {
        let mut target = String::new();
        regex.captures(name)?.expand(replacement, &mut target);
        (!target.is_empty()).then(|| (target, value.to_owned()))
    });
    Labels::new(own.chain(more))
}
