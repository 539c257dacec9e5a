//! Prometheus rule files: read strictly, every mistake with its place.

use std::collections::{BTreeMap, BTreeSet};

use model::labels::METRIC_NAME;
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::expression::Expression;
use crate::rule::{self, Alerting, Group, Kind, Rule, TEMPLATE_VARIABLES};
use crate::state::Timing;
use crate::template::{Template, TemplateError};
use crate::yaml::{Pairs, Source};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Option<Vec<RawGroup>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: Spanned<String>,
    interval: Option<Spanned<String>>,
    query_offset: Option<Spanned<String>>,
    limit: Option<usize>,
    labels: Option<Pairs>,
    rules: Option<Vec<Spanned<RawRule>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    record: Option<Spanned<String>>,
    alert: Option<Spanned<String>>,
    expr: Option<Spanned<String>>,
    #[serde(rename = "for")]
    hold: Option<Spanned<String>>,
    keep_firing_for: Option<Spanned<String>>,
    labels: Option<Pairs>,
    annotations: Option<Pairs>,
}

/// The groups of the rule file in `source`, whose name is `file`; groups without an interval get
/// `default_interval_ms`. Mistakes are noted in `source`, and then the groups are not to be used.
pub(crate) fn read(source: &mut Source<'_>, file: &str, default_interval_ms: i64) -> Vec<Group> {
    let Some(document) = source.document::<RuleFile>() else {
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    let mut groups = Vec::new();
    for raw in document.groups.unwrap_or_default() {
        if raw.name.value.is_empty() {
            source.error(raw.name.referenced, "a group needs a name");
        }
        if !names.insert(raw.name.value.clone()) {
            source.error(
                raw.name.referenced,
                format!(
                    "the group name {:?} is repeated in this file",
                    raw.name.value
                ),
            );
        }
        groups.push(group(source, file, raw, default_interval_ms));
    }
    groups
}

fn group(source: &mut Source<'_>, file: &str, raw: RawGroup, default_interval_ms: i64) -> Group {
    let interval_ms = match &raw.interval {
        None => default_interval_ms,
        Some(text) => match source.duration(text) {
            Some(0) => default_interval_ms,
            Some(interval) => interval,
            None => default_interval_ms,
        },
    };
    let query_offset_ms = raw
        .query_offset
        .as_ref()
        .and_then(|text| source.duration(text))
        .unwrap_or(0);
    let group_labels = raw.labels.unwrap_or_default();
    check_label_names(source, &group_labels, "label");
    let mut group = Group {
        file: file.to_owned(),
        name: raw.name.value,
        interval_ms,
        query_offset_ms,
        limit: raw.limit.unwrap_or(0),
        rules: Vec::new(),
    };
    for raw in raw.rules.unwrap_or_default() {
        if let Some(rule) = rule(source, raw, &group_labels) {
            group.rules.push(rule);
        }
    }
    rule::assign_keys(&mut group);
    group
}

fn rule(source: &mut Source<'_>, raw: Spanned<RawRule>, group_labels: &Pairs) -> Option<Rule> {
    let place = raw.referenced;
    let raw = raw.value;
    let filled =
        |name: &Option<Spanned<String>>| name.clone().filter(|name| !name.value.is_empty());
    let (name, records) = match (filled(&raw.record), filled(&raw.alert)) {
        (Some(name), None) => (name, true),
        (None, Some(name)) => (name, false),
        (Some(_), Some(_)) => {
            source.error(place, "a rule has either \"record\" or \"alert\", not both");
            return None;
        }
        (None, None) => {
            source.error(place, "a rule needs \"record\" or \"alert\" with a name");
            return None;
        }
    };
    let called = format!("rule {:?}", name.value);
    let labels = raw.labels.clone().unwrap_or_default();
    check_label_names(source, &labels, "label");
    let expression = expression(source, raw.expr.as_ref(), place, &called)?;
    let kind = if records {
        check_record(source, &raw, &name);
        Kind::Recording
    } else {
        Kind::Alerting(alerting(source, &raw, group_labels, &called))
    };
    let merged: BTreeMap<String, String> = group_labels
        .0
        .iter()
        .chain(&labels.0)
        .map(|(name, value)| (name.value.clone(), value.value.clone()))
        .collect();
    Some(Rule {
        name: name.value,
        key: String::new(),
        window_ms: expression.window_ms(),
        expression,
        labels: merged,
        kind,
    })
}

fn expression(
    source: &mut Source<'_>,
    text: Option<&Spanned<String>>,
    place: serde_saphyr::Location,
    called: &str,
) -> Option<Expression> {
    let Some(text) = text.filter(|text| !text.value.trim().is_empty()) else {
        source.error(place, format!("{called}: field \"expr\" must be set"));
        return None;
    };
    match Expression::parse(&text.value) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let message = format!("{called}: {error}");
            source.error_inside(text.referenced, (error.line, error.column), message);
            None
        }
    }
}

fn check_record(source: &mut Source<'_>, raw: &RawRule, name: &Spanned<String>) {
    let called = format!("rule {:?}", name.value);
    let misplaced = [
        ("for", raw.hold.as_ref().map(|text| text.referenced)),
        (
            "keep_firing_for",
            raw.keep_firing_for.as_ref().map(|text| text.referenced),
        ),
        (
            "annotations",
            raw.annotations
                .as_ref()
                .and_then(|pairs| pairs.0.first())
                .map(|(name, _)| name.referenced),
        ),
    ];
    for (field, place) in misplaced {
        if let Some(place) = place {
            source.error(
                place,
                format!("{called}: a recording rule has no {field:?}"),
            );
        }
    }
    if name.value.contains(['{', '}']) {
        source.error(
            name.referenced,
            format!("{called}: a recorded metric's name has no braces; labels go under \"labels\""),
        );
    }
}

fn alerting(
    source: &mut Source<'_>,
    raw: &RawRule,
    group_labels: &Pairs,
    called: &str,
) -> Alerting {
    let mut duration = |text: &Option<Spanned<String>>| {
        text.as_ref()
            .and_then(|text| source.duration(text))
            .unwrap_or(0)
    };
    let timing = Timing {
        for_ms: duration(&raw.hold),
        keep_firing_for_ms: duration(&raw.keep_firing_for),
    };
    let annotations = raw.annotations.clone().unwrap_or_default();
    check_label_names(source, &annotations, "annotation");
    let labels = raw.labels.clone().unwrap_or_default();
    for (name, value) in &labels.0 {
        if value.value.contains("$value") || value.value.contains(".Value") {
            source.warning(
                value.referenced,
                format!(
                    "{called}: label {:?} contains the value, so every change makes a new alert; \
                     use an annotation",
                    name.value
                ),
            );
        }
    }
    // The rule's own labels win over the group's.
    let own: BTreeSet<&str> = labels
        .0
        .iter()
        .map(|(name, _)| name.value.as_str())
        .collect();
    let inherited = group_labels
        .0
        .iter()
        .filter(|(name, _)| !own.contains(name.value.as_str()));
    let labels: Vec<_> = inherited.chain(&labels.0).cloned().collect();
    Alerting {
        timing,
        labels: templates(source, &labels, called),
        annotations: templates(source, &annotations.0, called),
    }
}

fn templates(
    source: &mut Source<'_>,
    pairs: &[(Spanned<String>, Spanned<String>)],
    called: &str,
) -> Vec<(String, Template)> {
    let mut templates = Vec::new();
    for (name, text) in pairs {
        match Template::parse(&text.value, &TEMPLATE_VARIABLES) {
            Ok(template) => templates.push((name.value.clone(), template)),
            Err(error) => {
                let line = match &error {
                    TemplateError::Syntax { line, .. } => *line,
                    _ => 1,
                };
                let message = format!("{called}: {:?}: {error}", name.value);
                source.error_inside(text.referenced, (line, 1), message);
            }
        }
    }
    templates
}

fn check_label_names(source: &mut Source<'_>, pairs: &Pairs, what: &str) {
    for (name, _) in &pairs.0 {
        if name.value.is_empty() || (what == "label" && name.value == METRIC_NAME) {
            source.error(
                name.referenced,
                format!("{:?} is no name for a {what}", name.value),
            );
        }
    }
}
