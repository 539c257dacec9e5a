//! Delta points become cumulative samples: running totals per series, kept with the checkpoint.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use model::metric::is_stale;
use model::{Labels, NativeHistogram, SampleValue, SeriesSample};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::carried::{how_many_fit, label_bytes};
use super::chunk::{Chunk, ChunkValues};

/// The running total of one delta series.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Total {
    pub(super) labels: Labels,
    /// Where the total starts, Unix ms.
    pub(super) start_ms: Option<i64>,
    /// The newest point added, Unix ms.
    pub(super) last_ms: i64,
    pub(super) value: TotalValue,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) enum TotalValue {
    /// As bits: the JSON of earlier checkpoints has no infinities or NaNs.
    Float(u64),
    /// In that JSON what [`histogram_bytes`] makes, in hex.
    Histogram(#[serde(deserialize_with = "histogram_of_hex")] Box<NativeHistogram>),
}

/// A histogram as a chunk of one sample.
pub(super) fn histogram_bytes(histogram: &NativeHistogram) -> Vec<u8> {
    let chunk = Chunk {
        timestamps_ms: vec![0],
        starts_ms: Vec::new(),
        values: ChunkValues::Histograms(vec![Arc::new(histogram.clone())]),
    };
    chunk.encode()
}

/// Reads what [`histogram_bytes`] wrote; the error is why it cannot.
pub(super) fn histogram_of(bytes: &[u8]) -> Result<Box<NativeHistogram>, String> {
    match Chunk::decode(bytes)
        .map_err(|error| error.to_string())?
        .values
    {
        ChunkValues::Histograms(values) if values.len() == 1 => {
            Ok(Box::new(values[0].as_ref().clone()))
        }
        _ => Err("expected a chunk of one histogram".to_owned()),
    }
}

fn histogram_of_hex<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Box<NativeHistogram>, D::Error> {
    let hex = String::deserialize(deserializer)?;
    let bytes = const_hex::decode(hex).map_err(D::Error::custom)?;
    histogram_of(&bytes).map_err(D::Error::custom)
}

/// The running totals of every delta series of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Vec<Total>")]
pub(super) struct Accumulators(HashMap<Labels, Total>);

impl From<Vec<Total>> for Accumulators {
    fn from(totals: Vec<Total>) -> Self {
        Self(
            totals
                .into_iter()
                .map(|total| (total.labels.clone(), total))
                .collect(),
        )
    }
}

impl Accumulators {
    /// The cumulative sample that a delta point makes.
    ///
    /// A point older than the newest one still counts: the total is written again at the newest
    /// point's time, since samples before it cannot be told apart from it any more. A stale
    /// marker ends the series in queries and leaves the total as it is.
    pub(super) fn add(&mut self, sample: &SeriesSample) -> SeriesSample {
        if matches!(sample.value, SampleValue::Float(value) if is_stale(value)) {
            return SeriesSample {
                start_ms: None,
                ..sample.clone()
            };
        }
        let total = self
            .0
            .entry(sample.labels.clone())
            .and_modify(|total| total.add(sample))
            .or_insert_with(|| Total {
                labels: sample.labels.clone(),
                start_ms: sample.start_ms,
                last_ms: sample.timestamp_ms,
                value: TotalValue::of(&sample.value),
            });
        SeriesSample {
            timestamp_ms: total.last_ms,
            start_ms: total.start_ms,
            value: total.value.sample(),
            ..sample.clone()
        }
    }

    /// The totals whose newest point is at `oldest_ms` (Unix ms) or later. A series that comes back
    /// after that starts a new total, which queries read as a counter that was reset.
    pub(super) fn since(&self, oldest_ms: i64) -> Self {
        let recent = self
            .0
            .iter()
            .filter(|(_, total)| total.last_ms >= oldest_ms);
        Self(
            recent
                .map(|(labels, total)| (labels.clone(), total.clone()))
                .collect(),
        )
    }

    /// The newest point of all, Unix ms.
    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.0.values().map(|total| total.last_ms).max()
    }

    /// The totals, sorted by labels.
    pub(super) fn sorted(self) -> Vec<Total> {
        let mut totals: Vec<Total> = self.0.into_values().collect();
        totals.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        totals
    }

    /// Leaves out the totals that were idle longest, of equal ones the last by their labels, until
    /// the others have at most `limit` bytes of labels; how many those were.
    pub(super) fn bound(&mut self, limit: usize) -> usize {
        if self.label_bytes() <= limit {
            return 0;
        }
        let mut totals = std::mem::take(self).sorted();
        // Stable: totals of one time stay sorted by labels.
        totals.sort_by_key(|total| Reverse(total.last_ms));
        let sizes = totals.iter().map(|total| label_bytes(&total.labels));
        let kept = how_many_fit(sizes, limit);
        let left_out = totals.len() - kept;
        totals.truncate(kept);
        *self = Self::from(totals);
        left_out
    }

    /// Bytes of all labels' text.
    pub(super) fn label_bytes(&self) -> usize {
        self.0.keys().map(label_bytes).sum()
    }

    /// How many series are totalled.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Total {
    fn add(&mut self, sample: &SeriesSample) {
        self.last_ms = self.last_ms.max(sample.timestamp_ms);
        match (&mut self.value, &sample.value) {
            (TotalValue::Float(bits), SampleValue::Float(delta)) => {
                *bits = (f64::from_bits(*bits) + delta).to_bits();
            }
            (TotalValue::Histogram(total), SampleValue::Histogram(delta)) => {
                if !total.add(delta) {
                    self.start_ms = sample.start_ms;
                }
            }
            // The series changed its kind: a new total.
            (value, other) => {
                *value = TotalValue::of(other);
                self.start_ms = sample.start_ms;
            }
        }
    }
}

impl TotalValue {
    pub(super) fn of(value: &SampleValue) -> Self {
        match value {
            SampleValue::Float(value) => Self::Float(value.to_bits()),
            SampleValue::Histogram(histogram) => Self::Histogram(histogram.clone()),
        }
    }

    fn sample(&self) -> SampleValue {
        match self {
            Self::Float(bits) => SampleValue::Float(f64::from_bits(*bits)),
            Self::Histogram(histogram) => SampleValue::Histogram(histogram.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::metric::{Temporality, stale_nan};

    fn delta(timestamp_ms: i64, value: f64) -> SeriesSample {
        SeriesSample {
            labels: Labels::new([("__name__", "requests_total")]),
            timestamp_ms,
            start_ms: Some(timestamp_ms - 10),
            temporality: Temporality::Delta,
            value: SampleValue::Float(value),
            exemplars: Vec::new(),
        }
    }

    #[test]
    fn deltas_add_up_across_a_checkpoint() {
        let mut before = Accumulators::default();
        let first = before.add(&delta(10, 2.0));
        assert_eq!(
            (first.timestamp_ms, first.start_ms, first.value),
            (10, Some(0), SampleValue::Float(2.0))
        );
        let mut after = Accumulators::from(before.sorted());
        let second = after.add(&delta(20, 3.0));
        assert_eq!(
            (second.timestamp_ms, second.start_ms, second.value),
            (20, Some(0), SampleValue::Float(5.0))
        );
    }

    #[test]
    fn an_idle_total_is_dropped_and_starts_over() {
        let mut totals = Accumulators::default();
        totals.add(&delta(10, 2.0));
        assert_eq!(totals.newest_ms(), Some(10));
        assert_eq!(totals.since(10).len(), 1);
        let mut later = totals.since(11);
        assert_eq!(later.add(&delta(20, 1.0)).value, SampleValue::Float(1.0));
    }

    #[test]
    fn a_late_delta_raises_the_newest_total() {
        let mut totals = Accumulators::default();
        totals.add(&delta(20, 1.0));
        let late = totals.add(&delta(10, 4.0));
        assert_eq!(
            (late.timestamp_ms, late.value),
            (20, SampleValue::Float(5.0))
        );
    }

    #[test]
    fn a_stale_marker_does_not_spoil_the_total() {
        let mut totals = Accumulators::default();
        totals.add(&delta(10, 1.0));
        let SampleValue::Float(marker) = totals.add(&delta(20, stale_nan())).value else {
            unreachable!()
        };
        assert!(is_stale(marker));
        assert_eq!(totals.add(&delta(30, 1.0)).value, SampleValue::Float(2.0));
    }
}
