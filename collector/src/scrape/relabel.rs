//! Relabelling: rules that change, keep or drop label sets, as Prometheus has them.
//!
//! Pure. Regular expressions are anchored at both ends, `$1` and `${name}` in replacements are
//! their groups, and a label that becomes empty is gone. The rules of each action are those of
//! <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.

use std::borrow::Cow;
use std::fmt;

use md5::{Digest as _, Md5};
use model::Labels;
use regex::Regex;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// One rule, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RuleFields")]
pub(crate) struct Rule {
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

/// A rule as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RuleFields {
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    target_label: Option<String>,
    regex: Option<Pattern>,
    modulus: Option<u64>,
    replacement: Option<String>,
    action: Option<Action>,
}

/// A regular expression that must match a whole text.
#[derive(Debug)]
struct Pattern(Regex);

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        compiled(&text).map(Self).map_err(D::Error::custom)
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    promql::matching::compile_anchored(pattern).map_err(|err| err.to_string())
}

/// An action's name, in whatever case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ACTIONS.iter().find(|(_, action)| action == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let known = ACTIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(&text));
        known.map(|(_, action)| *action).ok_or_else(|| {
            let names: Vec<&str> = ACTIONS.iter().map(|(name, _)| *name).collect();
            D::Error::custom(format!(
                "unknown relabel action {text:?}; expected one of {}",
                names.join(", ")
            ))
        })
    }
}

impl TryFrom<RuleFields> for Rule {
    type Error = String;

    fn try_from(fields: RuleFields) -> Result<Self, String> {
        let action = fields.action.unwrap_or(Action::Replace);
        fields.refuse_what_it_ignores(action)?;
        let target = || {
            let target = fields.target_label.clone().unwrap_or_default();
            match target.is_empty() {
                true => Err(format!("relabel action {action} needs a target_label")),
                false => Ok(target),
            }
        };
        let regex = || match &fields.regex {
            Some(Pattern(regex)) => Ok(regex.clone()),
            None => compiled("(.*)"),
        };
        let replacement = || {
            fields
                .replacement
                .clone()
                .unwrap_or_else(|| "$1".to_owned())
        };
        let step = match action {
            Action::Replace => Step::Replace {
                regex: regex()?,
                target: target()?,
                replacement: replacement(),
            },
            Action::Keep => Step::Keep(regex()?),
            Action::Drop => Step::Drop(regex()?),
            Action::KeepEqual => Step::KeepEqual(target()?),
            Action::DropEqual => Step::DropEqual(target()?),
            Action::HashMod => Step::HashMod {
                target: target()?,
                modulus: match fields.modulus {
                    None | Some(0) => {
                        return Err("relabel action hashmod needs a modulus above 0".to_owned());
                    }
                    Some(modulus) => modulus,
                },
            },
            Action::LabelMap => Step::LabelMap {
                regex: regex()?,
                replacement: replacement(),
            },
            Action::LabelDrop => Step::LabelDrop(regex()?),
            Action::LabelKeep => Step::LabelKeep(regex()?),
            Action::Lowercase => Step::Lowercase(target()?),
            Action::Uppercase => Step::Uppercase(target()?),
        };
        Ok(Self {
            sources: fields.source_labels.unwrap_or_default(),
            separator: fields.separator.unwrap_or_else(|| ";".to_owned()),
            step,
        })
    }
}

impl RuleFields {
    /// Fields that an action would silently ignore are a misunderstanding.
    fn refuse_what_it_ignores(&self, action: Action) -> Result<(), String> {
        let written = [
            ("source_labels", self.source_labels.is_some()),
            ("separator", self.separator.is_some()),
            ("target_label", self.target_label.is_some()),
            ("regex", self.regex.is_some()),
            ("modulus", self.modulus.is_some()),
            ("replacement", self.replacement.is_some()),
        ];
        let used: &[&str] = match action {
            Action::LabelDrop | Action::LabelKeep => &["regex"],
            Action::KeepEqual | Action::DropEqual => {
                &["source_labels", "separator", "target_label"]
            }
            // Prometheus takes the others with whatever stands beside.
            _ => return Ok(()),
        };
        let ignored = written
            .iter()
            .find(|(name, is_written)| *is_written && !used.contains(name));
        match ignored {
            None => Ok(()),
            Some((name, _)) => Err(format!(
                "relabel action {action} does not use {name}; it takes {}",
                used.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> Labels {
        text.split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .collect()
    }

    /// What rules in YAML make of labels, in the same form; `dropped` for nothing.
    fn relabelled(rules: &str, before: &str) -> String {
        let rules: Vec<Rule> = serde_saphyr::from_str(rules).unwrap();
        match apply(&rules, labels(before)) {
            None => "dropped".to_owned(),
            Some(after) => {
                let pairs: Vec<String> = after
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                pairs.join(" ")
            }
        }
    }

    #[test]
    fn every_action_does_what_prometheus_does() {
        for (rules, before, after) in [
            ("[]", "a=1", "a=1"),
            // replace, the default action.
            ("[{source_labels: [a], target_label: b}]", "a=1", "a=1 b=1"),
            ("[{target_label: b, replacement: x}]", "a=1", "a=1 b=x"),
            (
                "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch$1'}]",
                "a=foo b=bar",
                "a=foo b=bar d=choo-choo",
            ),
            // Anchored at both ends: a part is no match, and no match changes nothing.
            (
                "[{source_labels: [a], regex: o, target_label: a, replacement: x}]",
                "a=foo",
                "a=foo",
            ),
            // `$1x` is the group of that name, which does not exist.
            (
                "[{source_labels: [a], regex: '(f).*', target_label: b, replacement: '$1x'}]",
                "a=foo b=1",
                "a=foo",
            ),
            (
                "[{source_labels: [a, b, no], separator: '-', target_label: c}]",
                "a=1 b=2",
                "a=1 b=2 c=1-2-",
            ),
            (
                "[{source_labels: [a, b], target_label: c}]",
                "a=1 b=2",
                "a=1 b=2 c=1;2",
            ),
            (
                "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', target_label: '${1}', replacement: '${2}'}]",
                "a=some-name-value",
                "a=some-name-value name=value",
            ),
            // An empty result removes the label.
            ("[{source_labels: [no], target_label: a}]", "a=1 b=2", "b=2"),
            (
                "[{source_labels: [a], target_label: a, replacement: ''}]",
                "a=1 b=2",
                "b=2",
            ),
            // A target that comes out empty is nowhere.
            (
                "[{source_labels: [a], regex: (x)?1, target_label: '$1', replacement: y}]",
                "a=1",
                "a=1",
            ),
            // keep and drop.
            (
                "[{source_labels: [a], regex: '1|2', action: keep}]",
                "a=1",
                "a=1",
            ),
            (
                "[{source_labels: [a], regex: '1|2', action: keep}]",
                "a=12",
                "dropped",
            ),
            (
                "[{source_labels: [a], regex: '1|2', action: drop}]",
                "a=1",
                "dropped",
            ),
            (
                "[{source_labels: [no], regex: '', action: Drop}]",
                "a=1",
                "dropped",
            ),
            (
                "[{source_labels: [a], regex: '1|2', action: drop}]",
                "a=12",
                "a=12",
            ),
            (
                "[{source_labels: [a], target_label: b, action: keepequal}]",
                "a=1 b=1",
                "a=1 b=1",
            ),
            (
                "[{source_labels: [a], target_label: b, action: keepequal}]",
                "a=1 b=2",
                "dropped",
            ),
            (
                "[{source_labels: [a], target_label: b, action: dropequal}]",
                "a=1 b=1",
                "dropped",
            ),
            (
                "[{source_labels: [a], target_label: b, action: dropequal}]",
                "a=1 b=2",
                "a=1 b=2",
            ),
            // hashmod.
            (
                "[{source_labels: [c], target_label: d, separator: ';', action: hashmod, modulus: 1000}]",
                "c=baz",
                "c=baz d=976",
            ),
            // labelmap, labeldrop, labelkeep.
            (
                "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
                "a=foo b1=bar b2=baz",
                "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz",
            ),
            (
                "[{regex: '__meta_(my.*)', action: labelmap}]",
                "__meta_my_bar=aaa __meta_other=x",
                "__meta_my_bar=aaa __meta_other=x my_bar=aaa",
            ),
            (
                "[{regex: 'b.*', action: labeldrop}]",
                "a=foo b1=bar ab=baz",
                "a=foo ab=baz",
            ),
            (
                "[{regex: 'b.*', action: labelkeep}]",
                "a=foo b1=bar ab=baz",
                "b1=bar",
            ),
            // lowercase and uppercase.
            (
                "[{source_labels: [a], target_label: b, action: lowercase}, {source_labels: [a], target_label: c, action: uppercase}]",
                "a=bAr123Foo",
                "a=bAr123Foo b=bar123foo c=BAR123FOO",
            ),
            // One after the other, and nothing after a drop.
            (
                "[{source_labels: [a], target_label: b}, {source_labels: [b], regex: '1', action: drop}, {target_label: c, replacement: x}]",
                "a=1",
                "dropped",
            ),
        ] {
            assert_eq!(relabelled(rules, before), after, "{rules}");
        }
    }

    #[test]
    fn the_hash_is_the_end_of_the_md5() {
        // md5("") = d41d8cd98f00b204 e9800998ecf8427e (RFC 1321).
        assert_eq!(hash(""), 0xe980_0998_ecf8_427e);
        assert_eq!(hash("abc"), 0xd696_3f7d_28e1_7f72);
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        for (rule, expected) in [
            (
                "{source_labels: [a]}",
                "relabel action replace needs a target_label",
            ),
            (
                "{action: hashmod, target_label: a}",
                "needs a modulus above 0",
            ),
            (
                "{action: lowercase, source_labels: [a]}",
                "lowercase needs a target_label",
            ),
            (
                "{action: labeldrop, regex: a, source_labels: [a]}",
                "labeldrop does not use source_labels",
            ),
            (
                "{action: keepequal, target_label: a, regex: a}",
                "keepequal does not use regex",
            ),
            (
                "{action: remove}",
                "unknown relabel action \"remove\"; expected one of replace, keep",
            ),
            ("{action: keep, regex: '('}", "("),
            ("{action: keep, regexp: a}", "regexp"),
        ] {
            let error = serde_saphyr::from_str::<Rule>(rule).unwrap_err();
            assert!(error.to_string().contains(expected), "{rule}: {error}");
        }
    }
}
