//! Rules as written, and their check.

use std::fmt;

use regex::Regex;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::{Value, json};

use super::{Rule, Step};

/// A rule as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RuleFields {
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
struct Pattern {
    /// As written.
    text: String,
    regex: Regex,
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let regex = compiled(&text).map_err(D::Error::custom)?;
        Ok(Self { text, regex })
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
            Some(pattern) => Ok(pattern.regex.clone()),
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
            written: fields.written(action),
            sources: fields.source_labels.unwrap_or_default(),
            separator: fields.separator.unwrap_or_else(|| ";".to_owned()),
            step,
        })
    }
}

impl RuleFields {
    /// The fields that are written, and the action.
    fn written(&self, action: Action) -> Value {
        let mut written = json!({ "action": action.to_string() });
        let texts = [
            ("separator", self.separator.as_deref()),
            ("target_label", self.target_label.as_deref()),
            (
                "regex",
                self.regex.as_ref().map(|pattern| pattern.text.as_str()),
            ),
            ("replacement", self.replacement.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                written[name] = text.into();
            }
        }
        if let Some(labels) = &self.source_labels {
            written["source_labels"] = labels.as_slice().into();
        }
        if let Some(modulus) = self.modulus {
            written["modulus"] = modulus.into();
        }
        written
    }

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
