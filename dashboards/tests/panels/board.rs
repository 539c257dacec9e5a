//! A dashboard as the runner sees it: panels and their queries.

use serde_json::Value;

/// Which data source answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Prometheus,
    Loki,
}

/// One query of a panel.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) ref_id: String,
    pub(crate) language: Language,
    pub(crate) expr: String,
    pub(crate) legend: String,
    /// One value at the range's end instead of one per step.
    pub(crate) instant: bool,
}

/// A panel that shows something; rows are left out.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) targets: Vec<Target>,
    pub(crate) json: Value,
}

/// The panels of `dashboard`, those inside rows included.
pub(crate) fn panels(dashboard: &Value) -> Vec<Panel> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        if panel["type"] == "row" {
            found.extend(panels(panel));
        } else {
            found.push(Panel {
                title: text(&panel["title"]),
                kind: text(&panel["type"]),
                targets: panel["targets"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(target)
                    .collect(),
                json: panel.clone(),
            });
        }
    }
    found
}

fn target(json: &Value) -> Target {
    let language = match json["datasource"]["type"].as_str() {
        Some("prometheus") => Language::Prometheus,
        Some("loki") => Language::Loki,
        other => panic!("data source {other:?}"),
    };
    Target {
        ref_id: text(&json["refId"]),
        language,
        expr: text(&json["expr"]),
        legend: json["legendFormat"].as_str().unwrap_or_default().to_owned(),
        instant: json["instant"] == true,
    }
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("expected text, got {value}"))
        .to_owned()
}
