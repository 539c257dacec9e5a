//! The same samples and random queries for a Prometheus 2.42 and for us: the answers are the same.
//!
//! Numbers may differ by 1e-9 of themselves. A failure prints the query and both answers. What
//! version 3, whose language is ours, does otherwise is not generated but listed in
//! [`DIFFERENCES`], and that list is tested, too.

mod peer;
mod queries;
mod world;

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::Value;

use super::remote_write::{self, Series};
use crate::otlp::now;
use crate::server::{Answer, Server, client};
use peer::Peer;
use queries::Queries;

const SEED: u64 = 20_261_127;

/// Queries that are tried, unless `DIFFERENTIAL_QUERIES` in the environment says how many.
const QUERIES: usize = 500;

/// Relative to the larger of two numbers.
const TOLERANCE: f64 = 1e-9;

/// How much time one write holds: Prometheus refuses what is an hour older than its newest sample.
const SLICE_MS: i64 = 10 * 60_000;

/// Both servers with the same samples.
struct Both {
    ours: Server,
    theirs: Peer,
    /// When the samples begin, Unix s, a whole hour.
    start: i64,
}

impl Both {
    /// `None` where there is no Prometheus.
    async fn start(series: impl FnOnce(i64) -> Vec<Series>) -> Option<Self> {
        let theirs = Peer::start().await?;
        let ours = Server::start().await;
        // Ended for an hour at least, and whole hours ago: subqueries count from the epoch on.
        let hour = i64::try_from(now() / 1_000_000_000).unwrap() / 3_600;
        let start = (hour - 4) * 3_600;
        let series = series(start * 1_000);
        let client = client();
        for url in [
            theirs.url.clone(),
            format!("http://{}", ours.addresses.http),
        ] {
            let url = format!("{url}/api/v1/write");
            for slice in slices(&series) {
                let written = remote_write::write(&client, &url, &slice, &[]).await;
                assert!(
                    (200..300).contains(&written.status),
                    "{url}: {}",
                    written.text
                );
            }
        }
        Some(Self {
            ours,
            theirs,
            start,
        })
    }

    /// What both answer.
    async fn ask(&self, path: &str, params: &[(&str, &str)]) -> [Answer; 2] {
        let ours = super::get(&self.ours, path, params).await;
        [ours, self.theirs.get(path, params).await]
    }
}

/// The samples in the order of time.
fn slices(series: &[Series]) -> Vec<Vec<Series>> {
    let mut slices: BTreeMap<i64, Vec<Series>> = BTreeMap::new();
    for one in series {
        for samples in one
            .samples
            .chunk_by(|a, b| a.0 / SLICE_MS == b.0 / SLICE_MS)
        {
            let part = Series {
                labels: one.labels.clone(),
                samples: samples.to_vec(),
                ..Series::default()
            };
            slices
                .entry(samples[0].0 / SLICE_MS)
                .or_default()
                .push(part);
        }
    }
    slices.into_values().collect()
}

/// An answer as it is compared.
#[derive(Debug, PartialEq)]
enum Compared {
    /// Status and kind; the sentences are each one's own.
    Error(u16, String),
    /// Series by their labels, with points of ms and number.
    Series(String, BTreeMap<String, Vec<(i64, f64)>>),
    /// What look-ups find.
    Found(Value),
}

fn compared(answer: &Answer) -> Compared {
    let body = answer.json();
    if answer.status != 200 {
        let kind = body["errorType"].as_str().unwrap_or_default();
        return Compared::Error(answer.status, kind.to_owned());
    }
    let data = &body["data"];
    let Some(kind) = data["resultType"].as_str() else {
        return Compared::Found(data.clone());
    };
    let result = data["result"].as_array().unwrap();
    let series = match kind {
        "scalar" => [(String::new(), vec![point(&data["result"])])].into(),
        _ => result.iter().map(one_series).collect(),
    };
    Compared::Series(kind.to_owned(), series)
}

fn one_series(series: &Value) -> (String, Vec<(i64, f64)>) {
    let points = match series["values"].as_array() {
        Some(values) => values.iter().map(point).collect(),
        None => vec![point(&series["value"])],
    };
    // Keys come sorted.
    (series["metric"].to_string(), points)
}

fn point(pair: &Value) -> (i64, f64) {
    let seconds = pair[0].as_f64().unwrap();
    let number: f64 = pair[1].as_str().unwrap().parse().unwrap();
    ((seconds * 1_000.0).round() as i64, number)
}

/// Whether both say the same.
fn are_alike(ours: &Compared, theirs: &Compared) -> bool {
    match (ours, theirs) {
        (Compared::Series(kind, ours), Compared::Series(their_kind, theirs)) => {
            let pairs = || ours.iter().zip(theirs);
            kind == their_kind
                && ours.len() == theirs.len()
                && pairs().all(|((labels, ours), (their_labels, theirs))| {
                    labels == their_labels
                        && ours.len() == theirs.len()
                        && ours
                            .iter()
                            .zip(theirs)
                            .all(|(a, b)| a.0 == b.0 && is_close(a.1, b.1))
                })
        }
        (ours, theirs) => ours == theirs,
    }
}

fn is_close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

fn check(asked: &str, [ours, theirs]: &[Answer; 2]) -> Compared {
    let found = compared(ours);
    if !are_alike(&found, &compared(theirs)) {
        panic!(
            "{asked}\n  ours:   {}\n  theirs: {}",
            ours.text, theirs.text
        );
    }
    found
}

#[tokio::test]
async fn random_queries_have_prometheus_answers() {
    let mut rng = Rng::with_seed(SEED);
    let Some(both) = Both::start(|start_ms| world::series(&mut rng, start_ms)).await else {
        return;
    };
    let asked = std::env::var("DIFFERENTIAL_QUERIES").ok();
    let count = asked.map_or(QUERIES, |count| count.parse().unwrap());
    let (mut found, mut refused) = (0, 0);
    for number in 0..count {
        let depth = rng.u8(..4);
        let mut queries = Queries::new(&mut rng, both.start);
        let query = queries.vector(depth);
        let time = queries.time();
        let time_text = time.to_string();
        let instant = [("query", &*query), ("time", &time_text)];
        let answers = both.ask("query", &instant).await;
        let asked = format!("query {number} of seed {SEED}: {query} at {time}");
        let value = check(&asked, &answers);

        let step = *rng.choice(&[10, 30, 60, 150, 300]).unwrap();
        // The end need not be a step.
        let end = time + step * rng.i64(0..30) + rng.i64(0..step / 10) * 10;
        let (end_text, step_text) = (end.to_string(), step.to_string());
        let range = [
            ("query", &*query),
            ("start", &time_text),
            ("end", &end_text),
            ("step", &step_text),
        ];
        let answers = both.ask("query_range", &range).await;
        let asked = format!("{asked} to {end} by {step}");
        let values = check(&asked, &answers);
        for value in [value, values] {
            match value {
                Compared::Series(_, series) => found += usize::from(!series.is_empty()),
                Compared::Error(..) => refused += 1,
                Compared::Found(_) => {}
            }
        }
    }
    println!(
        "{count} queries, each at one time and over a range: {found} answers hold series, {refused} are errors"
    );
    assert!(
        found > count,
        "only {found} of {} find something",
        2 * count
    );
    assert!(refused < count / 2, "{refused} of {} are errors", 2 * count);
}

#[tokio::test]
async fn look_ups_have_prometheus_answers() {
    let mut rng = Rng::with_seed(SEED);
    let Some(both) = Both::start(|start_ms| world::series(&mut rng, start_ms)).await else {
        return;
    };
    let (start, end) = (
        both.start.to_string(),
        (both.start + world::SECONDS).to_string(),
    );
    let times = [("start", &*start), ("end", &*end)];
    for (path, selectors) in [
        ("labels", &[][..]),
        ("labels", &["up", "temperature{room=~\"a.*\"}"]),
        ("labels", &["nobody"]),
        ("label/__name__/values", &[]),
        ("label/__name__/values", &["{job=\"api\"}", "{room!=\"\"}"]),
        ("label/le/values", &["duration_seconds_bucket"]),
        ("label/le/values", &["up"]),
        ("label/nobody/values", &[]),
        ("series", &["{job=\"api\", instance=~\"a|b\"}"]),
        ("series", &["fresh_total", "up{job!=\"api\"}", "up"]),
        ("series", &["nobody"]),
        ("series", &[]),
        ("series", &["{"]),
        ("series", &["{a=\"\"}"]),
        ("labels", &["sum(up)"]),
        ("query?query=sum(", &[]),
        ("query?query=up&time=x", &[]),
        ("query_range?query=up&start=2&end=1&step=1", &[]),
        ("query_range?query=up&start=0&end=20000&step=1", &[]),
        ("query_range?query=up&start=0&end=1&step=0", &[]),
        ("query_range?query=up[1m]&start=0&end=1&step=1", &[]),
        ("query?query=\"text\"%2B1", &[]),
        ("query?query=1+%3E+bool+2&time=5", &[]),
    ] {
        let mut params: Vec<(&str, &str)> = match path.contains('?') {
            true => Vec::new(),
            false => times.to_vec(),
        };
        params.extend(selectors.iter().map(|selector| ("match[]", *selector)));
        let [mut ours, mut theirs] = both.ask(path, &params).await;
        if path == "series" {
            // Neither promises an order.
            for answer in [&mut ours, &mut theirs] {
                *answer = in_order(answer);
            }
        }
        check(&format!("{path} {selectors:?}"), &[ours, theirs]);
    }
}

/// The same answer with its series sorted.
fn in_order(answer: &Answer) -> Answer {
    let mut body = answer.json();
    if let Some(found) = body["data"].as_array_mut() {
        found.sort_by_key(Value::to_string);
    }
    Answer {
        status: answer.status,
        headers: answer.headers.clone(),
        text: body.to_string(),
    }
}

/// A query that version 3 answers otherwise than 2, both answers as numbers, and the reason.
///
/// The series are `a_total` 0, 10, 20 … every 10 s from the start on, `b_total`, twice that, and
/// `late_total` 8, 18 and 28, of which the first comes after 100 s.
type Difference = (
    &'static str,
    i64,
    &'static [f64],
    &'static [f64],
    &'static str,
);

const DIFFERENCES: [Difference; 6] = [
    (
        "count_over_time(a_total[1m])",
        300,
        &[6.0],
        &[7.0],
        "a window does not hold a sample at its very beginning",
    ),
    (
        "a_total",
        890,
        &[],
        &[590.0],
        "nor does the lookback: the last sample is five minutes old",
    ),
    (
        "count_over_time(vector(1)[1m:10s])",
        300,
        &[6.0],
        &[7.0],
        "nor a subquery's window a step there",
    ),
    (
        "sum(rate({__name__=~\"[ab]_total\"}[45s]))",
        302,
        &[3.0],
        &[],
        "names go when the query is done, so rates of several metrics are told apart until then",
    ),
    (
        "count(label_replace(rate(a_total[45s]), \"from\", \"$1\", \"__name__\", \"(.+)\") * on (from) group_left () label_replace(vector(1), \"from\", \"a_total\", \"\", \"\"))",
        302,
        &[1.0],
        &[],
        "and the name can still be read behind a function",
    ),
    (
        "increase(late_total[1m])",
        122,
        &[27.0],
        &[30.0],
        "a counter that began inside of the window is taken to have begun half an interval before \
         its first sample, though it may have been zero earlier",
    ),
];

#[tokio::test]
async fn versions_2_and_3_differ_as_is_known() {
    let series = |start_ms: i64| {
        let samples = |factor: f64| {
            (0..60).map(move |n| (start_ms + n * 10_000, f64::from(n as u32) * 10.0 * factor))
        };
        vec![
            Series::new("a_total", &[]).with(samples(1.0)),
            Series::new("b_total", &[]).with(samples(2.0)),
            Series::new("late_total", &[]).with(
                [(100, 8.0), (110, 18.0), (120, 28.0)]
                    .map(|(after, value)| (start_ms + after * 1_000, value)),
            ),
        ]
    };
    let Some(both) = Both::start(series).await else {
        return;
    };
    for (query, after, expected_ours, expected_theirs, reason) in DIFFERENCES {
        let time = (both.start + after).to_string();
        let answers = both
            .ask("query", &[("query", query), ("time", &time)])
            .await;
        for (answer, expected) in answers.iter().zip([expected_ours, expected_theirs]) {
            let numbers: Vec<f64> = match compared(answer) {
                Compared::Series(_, series) => series
                    .into_values()
                    .flatten()
                    .map(|(_, number)| number)
                    .collect(),
                // Names that are gone make series of the same labels.
                _ => Vec::new(),
            };
            let alike = numbers.len() == expected.len()
                && numbers.iter().zip(expected).all(|(a, b)| is_close(*a, *b));
            assert!(
                alike,
                "{query}, {reason}: {expected:?} expected, got {}",
                answer.text
            );
        }
    }
}
