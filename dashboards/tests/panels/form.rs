//! What a dashboard must be like whatever it shows.

use std::collections::BTreeMap;

use dashboards::ALL;
use serde_json::{Value, json};

use crate::board::{Language, Panel, panels, text};

fn each(check: impl Fn(&str, &Value)) {
    for dashboard in ALL {
        let json = serde_json::from_str(dashboard.json)
            .unwrap_or_else(|error| panic!("{}: {error}", dashboard.file));
        check(dashboard.file, &json);
    }
}

fn each_panel(check: impl Fn(&str, &Panel)) {
    each(|file, dashboard| {
        for panel in panels(dashboard) {
            check(&format!("{file}: panel {:?}", panel.title), &panel);
        }
    });
}

#[test]
fn a_dashboard_is_stable_uneditable_and_classic() {
    each(|file, dashboard| {
        assert_eq!(dashboard["schemaVersion"], 42, "{file}");
        assert_eq!(format!("{}.json", text(&dashboard["uid"])), file);
        for absent in ["id", "version", "__inputs"] {
            assert!(dashboard.get(absent).is_none(), "{file} has {absent}");
        }
        for (key, value) in [
            ("editable", json!(false)),
            ("graphTooltip", json!(1)),
            ("timezone", json!("")),
        ] {
            assert_eq!(dashboard[key], value, "{file}: {key}");
        }
        for filled in ["title", "description"] {
            assert!(!text(&dashboard[filled]).is_empty(), "{file}: {filled}");
        }
        assert!(
            !dashboard["tags"].as_array().unwrap().is_empty(),
            "{file}: tags"
        );
        assert_eq!(dashboard["links"][0]["type"], "dashboards", "{file}: links");
    });
}

#[test]
fn queried_variables_follow_the_time_range() {
    each(|file, dashboard| {
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let name = text(&variable["name"]);
            match variable["type"].as_str() {
                Some("query") => assert_eq!(variable["refresh"], 2, "{file}: {name}"),
                Some("datasource" | "custom") => {}
                other => panic!("{file}: {name}: type {other:?}"),
            }
        }
    });
}

#[test]
fn data_sources_are_variables() {
    each_panel(|name, panel| {
        let targets = panel.json["targets"].as_array().unwrap();
        for place in targets.iter().chain([&panel.json]) {
            let expected = match place["datasource"]["type"].as_str() {
                Some("prometheus") => "${metrics}",
                Some("loki") => "${logs}",
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(place["datasource"]["uid"], expected, "{name}");
        }
    });
}

#[test]
fn every_panel_says_what_it_shows_and_in_which_unit() {
    each_panel(|name, panel| {
        assert!(!panel.title.is_empty(), "{name}: title");
        assert!(
            !text(&panel.json["description"]).is_empty(),
            "{name}: description"
        );
        assert!(!panel.targets.is_empty(), "{name}: queries");
        if panel.kind != "logs" {
            let unit = text(&panel.json["fieldConfig"]["defaults"]["unit"]);
            assert!(!unit.is_empty(), "{name}: unit");
        }
    });
}

#[test]
fn rates_span_what_grafana_says_and_counters_are_rates() {
    each_panel(|name, panel| {
        for target in panel
            .targets
            .iter()
            .filter(|t| t.language == Language::Prometheus)
        {
            let expr = &target.expr;
            for window in expr.match_indices('[').map(|(at, _)| &expr[at + 1..]) {
                let known = ["$__rate_interval]", "$__range]"];
                assert!(
                    known.iter().any(|known| window.starts_with(known)),
                    "{name}: {expr}"
                );
            }
            let counters = ["duration_seconds_count{", "duration_seconds_bucket{"];
            for (at, _) in counters
                .iter()
                .flat_map(|counter| expr.match_indices(counter))
            {
                let word = |c: char| c.is_alphanumeric() || c == '_';
                let before = expr[..at].trim_end_matches(word);
                let rated = before.ends_with("rate(") || before.ends_with("increase(");
                assert!(rated, "{name}: a counter outside rate and increase: {expr}");
            }
        }
    });
}

#[test]
fn panels_do_not_overlap_and_their_ids_are_unique() {
    each(|file, dashboard| {
        let (mut taken, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            let title = text(&panel["title"]);
            assert!(
                side("x") + side("w") <= 24,
                "{file}: {title} is wider than the page"
            );
            for x in side("x")..side("x") + side("w") {
                for y in side("y")..side("y") + side("h") {
                    if let Some(other) = taken.insert((x, y), title.clone()) {
                        panic!("{file}: {title:?} lies over {other:?} at {x},{y}");
                    }
                }
            }
            if let Some(other) = ids.insert(panel["id"].as_u64(), title.clone()) {
                panic!("{file}: {title:?} and {other:?} share an id");
            }
        }
    });
}
