//! How many series there are, and which metrics and labels make them.
//!
//! A series counts once, wherever its samples lie. It is *new* when its first sample inside of the
//! window lies in the window's last part: many new series beside few in all is churn.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use model::labels::METRIC_NAME;
use model::{Labels, Matcher};
use promql::matching::CompiledMatchers;
use promql::{SourceError, Window};

use super::source::MetricSnapshot;

/// What to count.
#[derive(Debug, Clone, PartialEq)]
pub struct CardinalityOptions {
    /// Only series that pass all of these.
    pub matchers: Vec<Matcher>,
    /// Only series with samples in this window.
    pub window: Window,
    /// A series is new when it has no sample at this instant or before it, Unix ms.
    pub new_after_ms: i64,
    /// Entries of each list.
    pub limit: usize,
    /// More series than this are refused: each takes some hundred bytes while they are counted.
    pub max_series: usize,
}

impl CardinalityOptions {
    /// The series of the last two hours before `now_ms` (Unix ms), those of the last hour new;
    /// lists of ten.
    pub fn at(now_ms: i64) -> Self {
        const HOUR_MS: i64 = 3_600_000;
        Self {
            matchers: Vec::new(),
            // Samples may be ahead of our clock by some minutes.
            window: Window::new(now_ms.saturating_sub(2 * HOUR_MS), i64::MAX),
            new_after_ms: now_ms.saturating_sub(HOUR_MS),
            limit: 10,
            max_series: 5_000_000,
        }
    }
}

/// How many series there are, and what makes them. Lists have the largest first and, of equal
/// ones, names in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cardinality {
    /// Series.
    pub series: u64,
    /// Of them, new ones.
    pub new_series: u64,
    /// Places where samples of a series lie together: rows of splits, columns of heads.
    pub chunks: u64,
    /// Different label names.
    pub label_names: u64,
    /// Different pairs of name and value.
    pub label_pairs: u64,
    /// First and last sample of what was looked at, Unix ms; `None` without series.
    pub times_ms: Option<(i64, i64)>,
    /// Metrics by series.
    pub metrics: Vec<Count>,
    /// Metrics by new series.
    pub metrics_by_churn: Vec<Count>,
    /// Label names by the number of their values.
    pub labels_by_values: Vec<LabelCount>,
    /// Label names by the bytes of their values, each value counted once a series.
    pub labels_by_bytes: Vec<LabelCount>,
    /// Label names by the number of values that only new series have.
    pub labels_by_churn: Vec<LabelCount>,
    /// Pairs by series.
    pub pairs: Vec<PairCount>,
    /// Pairs by new series.
    pub pairs_by_churn: Vec<PairCount>,
}

/// A metric and its series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The metric's name; empty for series without one.
    pub name: String,
    /// Series.
    pub series: u64,
    /// Of them, new ones.
    pub new_series: u64,
}

/// A label name and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCount {
    /// The name.
    pub name: String,
    /// Different values.
    pub values: u64,
    /// Of them, values that only new series have.
    pub new_values: u64,
    /// Series that carry it.
    pub series: u64,
    /// Bytes of the values, each counted once a series.
    pub bytes: u64,
}

/// A label with its value and the series that carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairCount {
    /// The label's name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Series.
    pub series: u64,
    /// Of them, new ones.
    pub new_series: u64,
}

impl MetricSnapshot {
    /// See [`crate::TenantSeries::cardinality`].
    pub(super) fn cardinality_now(
        &self,
        options: &CardinalityOptions,
        cancelled: &AtomicBool,
    ) -> Result<Cardinality, SourceError> {
        let compiled = CompiledMatchers::new(&options.matchers)?;
        let mut counter = Counter::default();
        let mut too_many = false;
        let mut add = |labels: &Labels, times: (i64, i64)| {
            let overlaps = options.window.after_ms < times.1 && times.0 <= options.window.until_ms;
            if overlaps {
                counter.add(labels, times);
            }
            too_many |= counter.series.len() > options.max_series;
            if too_many || cancelled.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        for split in &self.splits {
            let window = options.window;
            split.visit_rows(&options.matchers, &compiled, window, &mut |row| {
                add(&row.labels, (row.min_ms, row.max_ms))
            })?;
        }
        for head in &self.generations {
            head.visit_times(
                &options.matchers,
                &compiled,
                Window::ALL,
                |labels, times| times.is_none_or(|times| add(labels, times).is_continue()),
            );
        }
        if too_many {
            return Err(SourceError::TooManySeries {
                limit: options.max_series,
            });
        }
        Ok(counter.finish(options))
    }
}

/// Series as numbers of their pairs.
#[derive(Default)]
struct Counter {
    names: HashMap<Box<str>, u32>,
    values: Vec<HashMap<Box<str>, u32>>,
    /// How many pairs have a number.
    pairs: u32,
    /// By fingerprint: two of a billion series may be counted as one.
    by_fingerprint: HashMap<u64, u32>,
    series: Vec<Seen>,
    /// The pairs of all series, one after the other.
    pairs_of_series: Vec<u32>,
    chunks: u64,
    times_ms: Option<(i64, i64)>,
}

struct Seen {
    first_ms: i64,
    pairs_end: usize,
}

impl Counter {
    fn add(&mut self, labels: &Labels, (first, last): (i64, i64)) {
        self.chunks += 1;
        let (min, max) = self.times_ms.unwrap_or((first, last));
        self.times_ms = Some((min.min(first), max.max(last)));
        let next = self.series.len() as u32;
        let number = *self
            .by_fingerprint
            .entry(labels.fingerprint())
            .or_insert(next);
        if let Some(seen) = self.series.get_mut(number as usize) {
            seen.first_ms = seen.first_ms.min(first);
            return;
        }
        for (name, value) in labels.iter() {
            let pair = self.pair(name, value);
            self.pairs_of_series.push(pair);
        }
        self.series.push(Seen {
            first_ms: first,
            pairs_end: self.pairs_of_series.len(),
        });
    }

    fn pair(&mut self, name: &str, value: &str) -> u32 {
        let name = match self.names.get(name) {
            Some(number) => *number,
            None => {
                let number = self.values.len() as u32;
                self.names.insert(name.into(), number);
                self.values.push(HashMap::new());
                number
            }
        };
        let values = &mut self.values[name as usize];
        if let Some(pair) = values.get(value) {
            return *pair;
        }
        let pair = self.pairs;
        self.pairs += 1;
        values.insert(value.into(), pair);
        pair
    }

    fn finish(self, options: &CardinalityOptions) -> Cardinality {
        let mut counts = vec![(0_u64, 0_u64); self.pairs as usize];
        let (mut new_series, mut without_name, mut start) = (0, (0, 0), 0);
        let metric_names = self.names.get(METRIC_NAME).copied();
        let is_name = self.are_names(metric_names);
        for seen in &self.series {
            let new = u64::from(seen.first_ms > options.new_after_ms);
            new_series += new;
            let pairs = &self.pairs_of_series[start..seen.pairs_end];
            for pair in pairs {
                let (series, new_ones) = &mut counts[*pair as usize];
                (*series, *new_ones) = (*series + 1, *new_ones + new);
            }
            if !pairs.iter().any(|pair| is_name[*pair as usize]) {
                without_name = (without_name.0 + 1, without_name.1 + new);
            }
            start = seen.pairs_end;
        }
        let mut found = Cardinality {
            series: self.series.len() as u64,
            new_series,
            chunks: self.chunks,
            label_names: self.names.len() as u64,
            label_pairs: u64::from(self.pairs),
            times_ms: self.times_ms,
            ..Cardinality::default()
        };
        if without_name.0 > 0 {
            found.metrics.push(Count {
                name: String::new(),
                series: without_name.0,
                new_series: without_name.1,
            });
        }
        self.list(&counts, metric_names, options.limit, &mut found);
        found
    }

    /// Of each pair, whether its name is the metric name.
    fn are_names(&self, metric_names: Option<u32>) -> Vec<bool> {
        let mut is_name = vec![false; self.pairs as usize];
        if let Some(number) = metric_names {
            for pair in self.values[number as usize].values() {
                is_name[*pair as usize] = true;
            }
        }
        is_name
    }

    fn list(
        &self,
        counts: &[(u64, u64)],
        metric_names: Option<u32>,
        limit: usize,
        found: &mut Cardinality,
    ) {
        let mut labels = Vec::with_capacity(self.names.len());
        let mut pairs = Vec::with_capacity(counts.len());
        for (name, number) in &self.names {
            let mut label = LabelCount {
                name: name.to_string(),
                values: 0,
                new_values: 0,
                series: 0,
                bytes: 0,
            };
            for (value, pair) in &self.values[*number as usize] {
                let (series, new_series) = counts[*pair as usize];
                label.values += 1;
                label.new_values += u64::from(series == new_series);
                label.series += series;
                label.bytes += series * value.len() as u64;
                pairs.push((&**name, &**value, series, new_series));
                if Some(*number) == metric_names {
                    found.metrics.push(Count {
                        name: value.to_string(),
                        series,
                        new_series,
                    });
                }
            }
            labels.push(label);
        }
        let metrics = std::mem::take(&mut found.metrics);
        let metric = |count: &Count| count.name.clone();
        found.metrics = top(&metrics, limit, |count| count.series, metric);
        found.metrics_by_churn = top(&metrics, limit, |count| count.new_series, metric);
        let label = |label: &LabelCount| label.name.clone();
        found.labels_by_values = top(&labels, limit, |label| label.values, label);
        found.labels_by_bytes = top(&labels, limit, |label| label.bytes, label);
        found.labels_by_churn = top(&labels, limit, |label| label.new_values, label);
        let owned = |(name, value, series, new_series): (&str, &str, u64, u64)| PairCount {
            name: name.to_owned(),
            value: value.to_owned(),
            series,
            new_series,
        };
        let name = |pair: &(&str, &str, u64, u64)| (pair.0.to_owned(), pair.1.to_owned());
        let by_series = top(&pairs, limit, |pair| pair.2, name);
        found.pairs = by_series.into_iter().map(owned).collect();
        let by_churn = top(&pairs, limit, |pair| pair.3, name);
        found.pairs_by_churn = by_churn.into_iter().map(owned).collect();
    }
}

/// The `limit` largest of `all` by `size`, without those of size 0; equal ones by `name`.
fn top<T: Clone, N: Ord>(
    all: &[T],
    limit: usize,
    size: impl Fn(&T) -> u64,
    name: impl Fn(&T) -> N,
) -> Vec<T> {
    let mut kept: Vec<&T> = all.iter().filter(|item| size(item) > 0).collect();
    if kept.len() > limit && limit > 0 {
        // The sizes above the smallest that is listed are sorted with names, not all of them.
        kept.select_nth_unstable_by(limit - 1, |a, b| size(b).cmp(&size(a)));
        let least = size(kept[limit - 1]);
        kept = all
            .iter()
            .filter(|item| size(item) >= least.max(1))
            .collect();
    }
    kept.sort_by_cached_key(|item| (std::cmp::Reverse(size(item)), name(item)));
    kept.into_iter().take(limit).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(metric: &str, pod: &str) -> Labels {
        Labels::new([("__name__", metric), ("pod", pod)])
    }

    #[test]
    fn series_are_counted_once_and_the_largest_come_first() {
        let mut counter = Counter::default();
        for pod in ["a", "b", "c"] {
            counter.add(&labels("up", pod), (10, 20));
            counter.add(&labels("up", pod), (20, 30));
        }
        counter.add(&labels("cpu", "a"), (25, 26));
        counter.add(&Labels::new([("pod", "longer")]), (12, 26));
        let options = CardinalityOptions {
            new_after_ms: 20,
            limit: 2,
            ..CardinalityOptions::at(0)
        };
        let found = counter.finish(&options);
        assert_eq!((found.series, found.new_series, found.chunks), (5, 1, 8));
        assert_eq!((found.label_names, found.label_pairs), (2, 6));
        assert_eq!(found.times_ms, Some((10, 30)));
        let names = |counts: &[Count]| -> Vec<(String, u64, u64)> {
            counts
                .iter()
                .map(|count| (count.name.clone(), count.series, count.new_series))
                .collect()
        };
        assert_eq!(
            names(&found.metrics),
            [("up".to_owned(), 3, 0), (String::new(), 1, 0)]
        );
        assert_eq!(names(&found.metrics_by_churn), [("cpu".to_owned(), 1, 1)]);
        let pod = &found.labels_by_values[0];
        assert_eq!((pod.name.as_str(), pod.values, pod.series), ("pod", 4, 5));
        assert_eq!(pod.bytes, 4 + 6);
        assert_eq!(found.labels_by_bytes[0].name, "pod");
        let pairs: Vec<(&str, u64)> = found
            .pairs
            .iter()
            .map(|pair| (pair.value.as_str(), pair.series))
            .collect();
        assert_eq!(pairs, [("up", 3), ("a", 2)]);
        let churn: Vec<&str> = found
            .pairs_by_churn
            .iter()
            .map(|pair| pair.value.as_str())
            .collect();
        assert_eq!(churn, ["cpu", "a"]);
    }
}
