//! The runner: every query of every panel against the real server, every value compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use dashboards::ALL;
use prost::Message as _;
use serde_json::Value;
use tokio::process::Command;
use xtask::children::{ManagedChild, StopSignals};
use xtask::workspace;

use crate::board::{Panel, Target, panels, text};
use crate::dataset::{self, EXPORT_INTERVAL};
use crate::expected::{Constant, Expected, expected};
use crate::grafana::{Grafana, Range};

/// A quarter of an hour, one step an export: what the dashboard shows by default.
const SHOWN: u64 = 900;

struct Server {
    process: ManagedChild,
    http: String,
    otlp: String,
}

impl Server {
    async fn start(folder: &Path) -> Self {
        let root = workspace::root().unwrap();
        let [program] = workspace::build(&root, ["watchkeeper"]).await.unwrap();
        let ready_file = folder.join("ready.json");
        let mut command = Command::new(program);
        command
            .arg("serve")
            .arg("--data-dir")
            .arg(folder.join("data"));
        for port in ["--http", "--otlp-grpc", "--otlp-http"] {
            command.args([port, "127.0.0.1:0"]);
        }
        command
            .arg("--ready-file")
            .arg(&ready_file)
            .current_dir(folder);
        let log = folder.join("server.log");
        let mut process =
            ManagedChild::spawn("watchkeeper", command, &log, StopSignals::default()).unwrap();
        let ready = process
            .ready(async || std::fs::read_to_string(&ready_file).ok())
            .await;
        let ready: Value = serde_json::from_str(&ready.unwrap()).unwrap();
        let url = |key: &str| format!("http://{}", text(&ready[key]));
        Self {
            process,
            http: url("http"),
            otlp: url("otlp_http"),
        }
    }

    async fn send(&self, signal: &str, body: Vec<u8>) {
        let request = reqwest::Client::new().post(format!("{}/v1/{signal}", self.otlp));
        let request = request
            .header("content-type", "application/x-protobuf")
            .body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let body = answer.bytes().await.unwrap();
        // An empty answer is OTLP's "all accepted".
        assert!(
            status.is_success() && body.is_empty(),
            "{signal}: {status} {body:?}"
        );
    }
}

#[tokio::test]
async fn every_panel_shows_what_was_sent() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let end = now / EXPORT_INTERVAL * EXPORT_INTERVAL;
    for export in dataset::metrics(end) {
        server.send("metrics", export.encode_to_vec()).await;
    }
    server
        .send("logs", dataset::logs(end).encode_to_vec())
        .await;

    let range = Range {
        from: end - SHOWN,
        to: end,
        step: EXPORT_INTERVAL,
    };
    let mut wrong = Vec::new();
    for dashboard in ALL {
        let json: Value = serde_json::from_str(dashboard.json).unwrap();
        let grafana = Grafana::open(&server.http, &json, range, EXPORT_INTERVAL).await;
        for panel in panels(&json) {
            for target in &panel.targets {
                let data = grafana.query(target).await;
                if let Err(difference) = compare(&panel, target, &data, range) {
                    let query = grafana.fill_in(&target.expr);
                    let (title, ref_id) = (&panel.title, &target.ref_id);
                    wrong.push(format!("{title:?} {ref_id} {difference}\n    {query}"));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} queries differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    server.process.stop().await.unwrap();
}

/// Whether `data` is what the panel's query must answer; the difference if not.
fn compare(panel: &Panel, target: &Target, data: &Value, range: Range) -> Result<(), String> {
    let Some(expected) = expected(&panel.title, &target.ref_id, range.step) else {
        return Err("has no expectation; say in expected.rs what it must show".to_owned());
    };
    match expected {
        Expected::Constants(constants) => compare_constants(&constants, target, data, range),
        Expected::CountsBySecondsAgo(counts) => {
            let mut shown = BTreeMap::new();
            for (_, points) in series(data, target)? {
                for (time, value) in points.into_iter().filter(|(_, value)| *value != 0.0) {
                    *shown.entry(range.to - time).or_insert(0.0) += value;
                }
            }
            same(&counts, &shown)
        }
        Expected::Lines(lines) => same(&lines, &shown_lines(data)?),
    }
}

fn compare_constants(
    constants: &[Constant],
    target: &Target,
    data: &Value,
    range: Range,
) -> Result<(), String> {
    let shown: BTreeMap<_, _> = series(data, target)?.into_iter().collect();
    let wanted: BTreeMap<_, _> = constants.iter().cloned().collect();
    same(&wanted.keys().collect::<Vec<_>>(), &shown.keys().collect())?;
    let steps = if target.instant {
        1
    } else {
        (range.to - range.from) / range.step + 1
    };
    for (name, points) in shown {
        if points.len() as u64 != steps {
            return Err(format!(
                "{name:?} has {} points instead of {steps}",
                points.len()
            ));
        }
        let value = wanted[&name];
        for (time, shown) in points {
            if (shown - value).abs() > 1e-9 * value.abs() {
                return Err(format!("{name:?} is {shown} instead of {value} at {time}"));
            }
        }
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(wanted: &T, shown: &T) -> Result<(), String> {
    if wanted == shown {
        Ok(())
    } else {
        Err(format!("shows {shown:?} instead of {wanted:?}"))
    }
}

/// Points of a series: Unix seconds and value.
type Points = Vec<(u64, f64)>;

/// Each series' legend and its points.
fn series(data: &Value, target: &Target) -> Result<Vec<(String, Points)>, String> {
    let result = data["result"]
        .as_array()
        .ok_or_else(|| format!("has no result: {data}"))?;
    let of = |series: &Value| {
        let points = match series.get("value") {
            Some(value) => std::slice::from_ref(value),
            None => series["values"].as_array().map_or(&[][..], Vec::as_slice),
        };
        let points = points.iter().map(point).collect::<Result<_, _>>()?;
        Ok((fill_legend(&target.legend, &series["metric"])?, points))
    };
    result.iter().map(of).collect()
}

fn point(json: &Value) -> Result<(u64, f64), String> {
    let time = json[0]
        .as_f64()
        .ok_or_else(|| format!("has no time: {json}"))?;
    let value = json[1].as_str().and_then(|text| text.parse().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "Unix seconds"
    )]
    let time = time as u64;
    value
        .map(|value| (time, value))
        .ok_or_else(|| format!("has no value: {json}"))
}

/// `{{label}}` replaced; a label the series does not have is a mistake in the dashboard.
fn fill_legend(legend: &str, labels: &Value) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = legend;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("legend {legend:?}"))?;
        let value = labels[name].as_str();
        filled.push_str(before);
        filled.push_str(value.ok_or_else(|| format!("has no label {name:?}: {labels}"))?);
        rest = after;
    }
    Ok(filled + rest)
}

/// All lines of all streams, newest first.
fn shown_lines(data: &Value) -> Result<Vec<String>, String> {
    let streams = data["result"]
        .as_array()
        .ok_or_else(|| format!("has no result: {data}"))?;
    let mut lines = Vec::new();
    for value in streams
        .iter()
        .flat_map(|stream| stream["values"].as_array().unwrap())
    {
        let time: u64 = text(&value[0])
            .parse()
            .map_err(|_| format!("has no time: {value}"))?;
        lines.push((time, text(&value[1])));
    }
    lines.sort_by(|a, b| b.cmp(a));
    Ok(lines.into_iter().map(|(_, line)| line).collect())
}
