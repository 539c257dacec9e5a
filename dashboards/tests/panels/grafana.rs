//! Grafana's part: variables, macros, and requests as its data sources send them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::board::{Language, Target, text};

/// The shown time range and its step, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) step: u64,
}

impl Range {
    /// `$__rate_interval`: at least four exports, and one more than a step.
    fn rate_interval(self, export_interval: u64) -> u64 {
        (self.step + export_interval).max(4 * export_interval)
    }
}

/// A dashboard opened over a server.
pub(crate) struct Grafana {
    server: String,
    client: reqwest::Client,
    range: Range,
    variables: BTreeMap<String, String>,
}

impl Grafana {
    /// Fills in the dashboard's variables, in their order, as Grafana does when it is opened.
    pub(crate) async fn open(
        server: &str,
        dashboard: &Value,
        range: Range,
        export_interval: u64,
    ) -> Self {
        let seconds = |name: &str, seconds: u64| (name.to_owned(), format!("{seconds}s"));
        let macros = [
            seconds("__range", range.to - range.from),
            seconds("__interval", range.step),
            seconds("__auto", range.step),
            seconds("__rate_interval", range.rate_interval(export_interval)),
        ];
        let mut grafana = Self {
            server: server.to_owned(),
            client: reqwest::Client::new(),
            range,
            variables: macros.into(),
        };
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let value = grafana.value_of(variable).await;
            grafana.variables.insert(text(&variable["name"]), value);
        }
        grafana
    }

    async fn value_of(&self, variable: &Value) -> String {
        match variable["type"].as_str() {
            Some("datasource") => text(&variable["query"]),
            Some("custom") => text(&variable["current"]["value"]),
            Some("query") => {
                let values = self.label_values(&text(&variable["definition"])).await;
                assert!(
                    !values.is_empty(),
                    "variable {} has no values",
                    variable["name"]
                );
                match variable["includeAll"] == true {
                    true => text(&variable["allValue"]),
                    false => values[0].clone(),
                }
            }
            other => panic!("variable {}: type {other:?}", variable["name"]),
        }
    }

    /// The answer to `label_values(selector, label)`.
    async fn label_values(&self, definition: &str) -> Vec<String> {
        let inner = definition
            .strip_prefix("label_values(")
            .and_then(|d| d.strip_suffix(')'));
        let (selector, label) = inner.and_then(|inner| inner.rsplit_once(", ")).unwrap();
        let url = format!("{}/prometheus/api/v1/label/{label}/values", self.server);
        let request = self.client.get(url).query(&[
            ("match[]", self.fill_in(selector)),
            ("start", self.range.from.to_string()),
            ("end", self.range.to.to_string()),
        ]);
        answer(request).await["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect()
    }

    /// `expr` with `$name` and `${name}` replaced; an unknown name is a mistake in the dashboard.
    pub(crate) fn fill_in(&self, expr: &str) -> String {
        let mut filled = String::new();
        let mut rest = expr;
        while let Some((before, after)) = rest.split_once('$') {
            filled.push_str(before);
            let braced = after.strip_prefix('{');
            let after = braced.unwrap_or(after);
            let end = after
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            let (name, after) = after.split_at(end);
            let value = self.variables.get(name);
            filled.push_str(value.unwrap_or_else(|| panic!("unknown variable ${name} in {expr}")));
            rest = if braced.is_some() {
                after.strip_prefix('}').unwrap()
            } else {
                after
            };
        }
        filled + rest
    }

    /// The answer's `data` for a panel's query.
    pub(crate) async fn query(&self, target: &Target) -> Value {
        let expr = self.fill_in(&target.expr);
        let Range { from, to, step } = self.range;
        let request = match (target.language, target.instant) {
            (Language::Prometheus, true) => self
                .client
                .post(format!("{}/prometheus/api/v1/query", self.server))
                .form(&[("query", expr), ("time", to.to_string())]),
            (Language::Prometheus, false) => self
                .client
                .post(format!("{}/prometheus/api/v1/query_range", self.server))
                .form(&[
                    ("query", expr),
                    ("start", from.to_string()),
                    ("end", to.to_string()),
                    ("step", step.to_string()),
                ]),
            (Language::Loki, _) => {
                let request = self
                    .client
                    .get(format!("{}/loki/api/v1/query_range", self.server));
                let nanos = |seconds: u64| (seconds * 1_000_000_000).to_string();
                request
                    .header("X-Loki-Response-Encoding-Flags", "categorize-labels")
                    .query(&[
                        ("query", expr),
                        ("direction", "backward".to_owned()),
                        ("start", nanos(from)),
                        ("end", nanos(to)),
                        ("step", format!("{}ms", step * 1000)),
                        ("limit", "1000".to_owned()),
                    ])
            }
        };
        answer(request).await["data"].clone()
    }
}

/// The body of an answer that must be a success in form and content.
async fn answer(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.unwrap();
    let (status, url) = (answer.status(), answer.url().clone());
    let body = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status}: {body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["status"], "success", "{url}: {body}");
    body
}
