//! Series that both are given.
//!
//! No sample lies on a whole second, while every window of the queries begins on one: where a
//! window is open makes no difference then. What else Prometheus 2 and 3 tell apart is kept from
//! happening by the values, see the constants.

use fastrand::Rng;

use crate::prometheus::remote_write::Series;

/// How long the samples last.
pub(super) const SECONDS: i64 = 2 * 3_600;

/// About how far samples of a series are apart.
const INTERVAL_MS: i64 = 15_000;

/// Counters that have gaps count so high that a rate never looks for where they were zero: there
/// the two versions differ.
const HIGH: f64 = 9e7;

/// The marker that ends a series.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// Borders of the classic histogram.
pub(super) const BORDERS: [&str; 6] = ["0.1", "0.5", "1", "2.5", "10", "+Inf"];

/// Every series, with samples from `start_ms` on, which is a whole hour.
pub(super) fn series(rng: &mut Rng, start_ms: i64) -> Vec<Series> {
    let mut world = Vec::new();
    for job in ["api", "web"] {
        for instance in ["a", "b", "c"] {
            let target = [("instance", instance), ("job", job)];
            for code in ["200", "404", "500"] {
                let labels = [("code", code), target[0], target[1]];
                let times = times(rng, start_ms, Jitter::Wide, Gaps::Some);
                let samples = counter(rng, &times, HIGH);
                world.push(Series::new("requests_total", &labels).with(samples));
            }
            let gauge = times(rng, start_ms, Jitter::Wide, Gaps::Some);
            let samples = walk(rng, &gauge, 4e8, 1e7);
            world.push(Series::new("memory_bytes", &target).with(with_ends(samples)));
            let whole = times(rng, start_ms, Jitter::Wide, Gaps::None);
            let up = whole
                .iter()
                .map(|time| (*time, f64::from(u8::from(rng.u8(..10) > 0))));
            let up: Vec<(i64, f64)> = up.collect();
            world.push(Series::new("up", &target).with(with_ends(up)));
            let version = rng.choice(["1.0", "1.1"]).unwrap_or("1.0");
            let labels = [target[0], target[1], ("version", version)];
            let ones = whole.iter().map(|time| (*time, 1.0));
            world.push(Series::new("build_info", &labels).with(ones));
        }
        world.extend(histogram(rng, start_ms, job));
    }
    for instance in ["a", "b", "c"] {
        let times = times(rng, start_ms, Jitter::Narrow, Gaps::None);
        let late = times.len() / 4;
        let samples = counter(rng, &times[late..], 0.0);
        world.push(Series::new("fresh_total", &[("instance", instance)]).with(samples));
    }
    for room in ["attic", "cellar", "hall", "kitchen"] {
        let times = times(rng, start_ms, Jitter::Wide, Gaps::None);
        let samples = walk(rng, &times, 12.0, 1.5);
        world.push(Series::new("temperature", &[("room", room)]).with(samples));
    }
    for (kind, value) in [("nan", f64::NAN), ("inf", f64::INFINITY), ("zero", 0.0)] {
        let times = times(rng, start_ms, Jitter::Wide, Gaps::None);
        let samples = times.iter().map(|time| (*time, value));
        world.push(Series::new("special", &[("kind", kind)]).with(samples));
    }
    world
}

/// How far samples lie from their places.
#[derive(Clone, Copy, PartialEq)]
enum Jitter {
    /// Most of a second.
    Wide,
    /// So little that no distance is a tenth longer than the mean.
    Narrow,
}

/// Whether a series pauses.
#[derive(Clone, Copy, PartialEq)]
enum Gaps {
    None,
    /// For some minutes, now and then: shorter and longer than the lookback.
    Some,
}

/// When samples are taken, Unix ms; never at a whole second.
fn times(rng: &mut Rng, start_ms: i64, jitter: Jitter, gaps: Gaps) -> Vec<i64> {
    let phase = rng.i64(0..14) * 1_000;
    let most = match jitter {
        Jitter::Wide => 998,
        Jitter::Narrow => 200,
    };
    let mut times = Vec::new();
    let mut pause_until = 0;
    for place in (0..SECONDS * 1_000).step_by(INTERVAL_MS as usize) {
        if gaps == Gaps::Some && rng.u8(..60) == 0 {
            pause_until = place + rng.i64(1..30) * 30_000;
        }
        if place >= pause_until {
            times.push(start_ms + place + phase + 1 + rng.i64(0..most));
        }
    }
    times
}

/// A counter from `from` on that falls to a third now and then, or to zero when it began there.
fn counter(rng: &mut Rng, times: &[i64], from: f64) -> Vec<(i64, f64)> {
    let mut value = from;
    let mut since_reset = 0;
    let mut samples = Vec::with_capacity(times.len());
    for time in times {
        samples.push((*time, value));
        since_reset += 1;
        if since_reset > 100 && rng.u8(..60) == 0 {
            value = if from == 0.0 {
                0.0
            } else {
                (value / 3.0).floor()
            };
            since_reset = 0;
        } else {
            value += f64::from(rng.u16(..500));
        }
    }
    samples
}

/// A gauge that wanders.
fn walk(rng: &mut Rng, times: &[i64], from: f64, most: f64) -> Vec<(i64, f64)> {
    let mut value = from;
    let step = |time: &i64| {
        value += (rng.f64() - 0.5) * 2.0 * most;
        (*time, value)
    };
    times.iter().map(step).collect()
}

/// The samples with a marker in the place of some, after which the series begins anew.
fn with_ends(mut samples: Vec<(i64, f64)>) -> Vec<(i64, f64)> {
    for (_, value) in samples.iter_mut().skip(120).step_by(131) {
        *value = f64::from_bits(STALE);
    }
    samples
}

/// A classic histogram: buckets, sum and count of one job.
fn histogram(rng: &mut Rng, start_ms: i64, job: &str) -> Vec<Series> {
    let times = times(rng, start_ms, Jitter::Wide, Gaps::Some);
    let mut counts = [HIGH; BORDERS.len()];
    let mut buckets = vec![Vec::new(); BORDERS.len()];
    let mut sums = Vec::new();
    let mut sum = HIGH;
    for time in &times {
        let mut more = 0.0;
        for (count, samples) in counts.iter_mut().zip(&mut buckets) {
            more += f64::from(rng.u8(..50));
            *count += more;
            samples.push((*time, *count));
        }
        sum += more * rng.f64();
        sums.push((*time, sum));
    }
    let last = buckets.last().cloned().unwrap_or_default();
    let mut series: Vec<Series> = BORDERS
        .iter()
        .zip(buckets)
        .map(|(border, samples)| {
            Series::new("duration_seconds_bucket", &[("job", job), ("le", border)]).with(samples)
        })
        .collect();
    series.push(Series::new("duration_seconds_sum", &[("job", job)]).with(sums));
    series.push(Series::new("duration_seconds_count", &[("job", job)]).with(last));
    series
}
