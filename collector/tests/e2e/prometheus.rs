//! Prometheus' HTTP API: by row of what Grafana's data source asks, by its errors, by promtool, and
//! beside a real Prometheus.

mod contract;
mod differential;
mod errors;
mod federate;
mod lookups;
mod promtool;
pub(crate) mod remote_write;

use std::collections::BTreeMap;

use reqwest::Method;
use serde::de::DeserializeOwned;

use crate::otlp::now;
use crate::server::{Answer, Process, Server, answer, client};
use remote_write::Series;

/// One label set.
type Labels = BTreeMap<String, String>;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// A server with a few series, and the time of their last samples.
struct World {
    server: Server,
    /// Unix ms, a whole second.
    last_ms: i64,
}

impl World {
    /// Samples every 15 s for five minutes of a gauge, a counter with exemplars, a native
    /// histogram, and a gauge with names that are more than letters, digits and `_`.
    async fn start() -> Self {
        let server = Server::start().await;
        let last_ms = i64::try_from(now() / 1_000_000_000).unwrap() * 1_000;
        let times = || (0..=20).map(move |back| last_ms - 300_000 + back * 15_000);
        let steady = |value: f64| times().map(move |time| (time, value));
        let rising = |step: f64| {
            (0..)
                .zip(times())
                .map(move |(n, time)| (time, step * f64::from(n)))
        };
        let mut failed = Series::new("http_requests_total", &[("code", "500"), ("job", "api")])
            .with(rising(15.0));
        failed.exemplars = vec![("4bf92f3577b34da6".to_owned(), 0.25, last_ms - 20_000)];
        let mut native = Series::new("latency_seconds", &[("job", "api")]);
        native.histograms = times().map(|time| (time, 4)).collect();
        let series = [
            Series::new("up", &[("instance", "a:1"), ("job", "api")]).with(steady(1.0)),
            Series::new("up", &[("instance", "b:1"), ("job", "api")]).with(steady(0.0)),
            Series::new("http_requests_total", &[("code", "200"), ("job", "api")])
                .with(rising(30.0)),
            failed,
            native,
            Series::new("dotted", &[("http.status", "200")]).with(steady(f64::NAN)),
        ];
        let url = format!("http://{}/api/v1/write", server.addresses.http);
        let counter = ("http_requests_total", "Requests served.", "requests");
        let written = remote_write::write(&client(), &url, &series, &[counter]).await;
        assert!((200..300).contains(&written.status), "{}", written.text);
        Self { server, last_ms }
    }

    /// Unix seconds, so many before the last samples.
    fn seconds(&self, back: i64) -> String {
        (self.last_ms / 1_000 - back).to_string()
    }

    /// A GET below `/prometheus/api/v1/`, as Grafana's backend sends it.
    async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        get(&self.server, path, params).await
    }

    /// The answer's `data` by a POST form, which a GET answers alike.
    async fn ask<T: DeserializeOwned>(&self, path: &str, params: &[(&str, &str)]) -> T {
        let path = format!("/prometheus/api/v1/{path}");
        let posted = self.server.post_form(&path, params).await;
        let request = self.server.request(Method::GET, &path).query(params);
        let got = answer(request).await;
        assert_eq!(posted.text, got.text, "{path} {params:?}");
        read(&posted, &path)
    }

    /// The answer's `data` by a GET.
    async fn look_up<T: DeserializeOwned>(&self, path: &str, params: &[(&str, &str)]) -> T {
        read(&self.get(path, params).await, path)
    }
}

async fn get(server: &Process, path: &str, params: &[(&str, &str)]) -> Answer {
    let path = format!("/prometheus/api/v1/{path}");
    answer(server.request(Method::GET, &path).query(params)).await
}

/// A success without remarks.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Success<T> {
    status: String,
    data: T,
}

/// The `data` of a success, as JSON and with keys in the order that Grafana's stream needs.
fn read<T: DeserializeOwned>(answer: &Answer, asked: &str) -> T {
    assert_eq!(answer.status, 200, "{asked}: {}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    let start = r#"{"status":"success","data":"#;
    assert!(answer.text.starts_with(start), "{asked}: {}", answer.text);
    let read: Success<T> = serde_json::from_str(&answer.text)
        .unwrap_or_else(|error| panic!("{asked}: {error}: {}", answer.text));
    assert_eq!(read.status, "success");
    read.data
}
