//! What each panel must show, computed from the data set and nothing else.

use std::collections::BTreeMap;

use crate::dataset::{
    ACTIVE, Bucket, ERRORS_AGO, LAG, OPERATIONS, POOLS, REPLICA, REQUESTS, Requests, count,
    error_text,
};

/// The share of requests that may fail, by the dashboard's default objective.
const BUDGET: f64 = 1.0 - 0.99;

/// A legend and its value, the same at every step.
pub(crate) type Constant = (String, f64);

/// What a query must answer.
#[derive(Debug)]
pub(crate) enum Expected {
    /// These series, each with one value throughout.
    Constants(Vec<Constant>),
    /// So many, by seconds before the end at which the step that counts them lies.
    CountsBySecondsAgo(BTreeMap<u64, f64>),
    /// These lines, newest first.
    Lines(Vec<String>),
}

/// What the query `ref_id` of the panel `title` must answer; `None` for a panel nobody thought
/// about, which fails the run.
pub(crate) fn expected(title: &str, ref_id: &str, step: u64) -> Option<Expected> {
    let all = rate(|_| true);
    let errors = rate(|series| series.status >= 500);
    let named = |name: &str, value: f64| vec![(name.to_owned(), value)];
    let constants = match (title, ref_id) {
        ("Requests", "A") => named(title, all),
        ("Error ratio", "A") => named(title, errors / all),
        ("p95 latency", "A") => named(title, request_quantile(0.95)),
        ("Replica lag", "A") => named(title, worst_lag()),
        ("Error budget left", "A") => named(title, 1.0 - errors / all / BUDGET),
        ("Requests by route", "A") => rates_by(
            |_| true,
            |series| format!("{} {}", series.method, series.route),
        ),
        ("Errors by route", "A") => rates_by(
            |series| series.status >= 500,
            |series| format!("{} {}", series.status, series.route),
        ),
        ("Latency", "A") => named("p50", request_quantile(0.5)),
        ("Latency", "B") => named("p95", request_quantile(0.95)),
        ("Latency", "C") => named("p99", request_quantile(0.99)),
        ("Error budget burn rate", "A") => named("burn rate", errors / all / BUDGET),
        ("Connection pools", "A") => pool_use(),
        ("Active requests", "A") => ACTIVE
            .iter()
            .map(|(name, active)| ((*name).to_owned(), whole(*active)))
            .collect(),
        ("Database latency", "A") => statement_quantiles(0.95),
        ("Lag", "A") => named(REPLICA, worst_lag()),
        ("Backlog", "A") => named(
            REPLICA,
            LAG.iter().map(|lag| whole(lag.2)).fold(0.0, f64::max),
        ),
        ("Error records", "A") => return Some(Expected::CountsBySecondsAgo(errors_by_step(step))),
        ("Recent errors", "A") => {
            let mut ago = ERRORS_AGO.to_vec();
            ago.sort_unstable();
            return Some(Expected::Lines(ago.into_iter().map(error_text).collect()));
        }
        _ => return None,
    };
    Some(Expected::Constants(constants))
}

fn rate(wanted: impl Fn(&Requests) -> bool) -> f64 {
    REQUESTS
        .iter()
        .filter(|series| wanted(series))
        .map(Requests::per_second)
        .sum()
}

fn rates_by(
    wanted: impl Fn(&Requests) -> bool,
    legend: impl Fn(&Requests) -> String,
) -> Vec<Constant> {
    let mut rates = BTreeMap::new();
    for series in REQUESTS.iter().filter(|series| wanted(series)) {
        *rates.entry(legend(series)).or_insert(0.0) += series.per_second();
    }
    rates.into_iter().collect()
}

fn request_quantile(quantile: f64) -> f64 {
    let mut buckets = BTreeMap::new();
    for series in REQUESTS {
        *buckets.entry(series.bucket).or_insert(0.0) += series.per_second();
    }
    quantile_of(quantile, &buckets)
}

fn statement_quantiles(quantile: f64) -> Vec<Constant> {
    let of = |(verb, rate, bucket): &(&str, u64, Bucket)| {
        let buckets = BTreeMap::from([(*bucket, count(*rate))]);
        (format!("{verb} tasks"), quantile_of(quantile, &buckets))
    };
    OPERATIONS.iter().map(of).collect()
}

/// The textbook's quantile, in seconds: the bucket into which the rank falls, and linearly
/// inside it.
fn quantile_of(quantile: f64, buckets: &BTreeMap<Bucket, f64>) -> f64 {
    let mut rank = quantile * buckets.values().sum::<f64>();
    for ((low, high), rate) in buckets {
        if rank <= *rate {
            let (low, high) = (f64::from(*low), f64::from(*high));
            return (low + (high - low) * rank / rate) / 1000.0;
        }
        rank -= rate;
    }
    panic!("no bucket holds the quantile")
}

fn pool_use() -> Vec<Constant> {
    let of = |(instance, pool, used, max): &(&str, &str, i64, i64)| {
        (format!("{instance} {pool}"), whole(*used) / whole(*max))
    };
    POOLS.iter().map(of).collect()
}

fn worst_lag() -> f64 {
    LAG.iter().map(|lag| lag.1).fold(0.0, f64::max)
}

/// The step at `end − k·step` counts what came after the step before it.
fn errors_by_step(step: u64) -> BTreeMap<u64, f64> {
    let mut counts = BTreeMap::new();
    for ago in ERRORS_AGO {
        *counts.entry(ago / step * step).or_insert(0.0) += 1.0;
    }
    counts
}

fn whole(value: i64) -> f64 {
    f64::from(i32::try_from(value).unwrap())
}
