//! Samples of one series and kind while they come in: the newest as they are, older ones encoded.
//!
//! A sample takes 16 bytes until [`RunValue::RUN`] of them are together, and two to three from then
//! on. The order in which they came is kept.

use std::sync::Arc;

use model::NativeHistogram;

use super::chunk::{ChunkError, decode_run, encode_run};
use super::column::{Column, NO_START};

/// A value that runs of samples hold.
pub(super) trait RunValue: Clone {
    /// How many samples make a run.
    const RUN: usize;

    /// Memory behind the value, bytes.
    fn size_bytes(&self) -> usize;

    /// The samples as bytes. `starts` is empty or as long as the others.
    fn encode(times: &[i64], starts: &[i64], values: Vec<Self>) -> Vec<u8>;

    /// Reads what `encode` wrote.
    fn decode(bytes: &[u8]) -> Result<Column<Self>, ChunkError>;
}

impl RunValue for f64 {
    const RUN: usize = 32;

    fn size_bytes(&self) -> usize {
        0
    }

    fn encode(times: &[i64], starts: &[i64], values: Vec<Self>) -> Vec<u8> {
        encode_run(times, starts, &values)
    }

    fn decode(bytes: &[u8]) -> Result<Column<Self>, ChunkError> {
        let (times, starts, values) = decode_run(bytes)?;
        Ok(Column::of(times, starts, values))
    }
}

impl RunValue for Arc<NativeHistogram> {
    const RUN: usize = 16;

    fn size_bytes(&self) -> usize {
        let numbers = self.positive_counts.len()
            + self.negative_counts.len()
            + self.positive_spans.len()
            + self.negative_spans.len()
            + self.custom_values.len();
        // The counts of an `Arc` lie in front of it.
        16 + size_of::<NativeHistogram>() + numbers * 8
    }

    fn encode(times: &[i64], starts: &[i64], values: Vec<Self>) -> Vec<u8> {
        encode_run(times, starts, &values)
    }

    fn decode(bytes: &[u8]) -> Result<Column<Self>, ChunkError> {
        let (times, starts, values) = decode_run(bytes)?;
        Ok(Column::of(times, starts, values))
    }
}

/// Samples in the order they came.
#[derive(Debug, Clone)]
pub(super) struct OpenColumn<V> {
    /// Encoded, oldest first.
    runs: Vec<Run>,
    newest: Vec<(i64, V)>,
    /// Start times of the newest; empty when none has one.
    starts: Vec<i64>,
}

/// [`RunValue::RUN`] samples.
#[derive(Debug, Clone)]
struct Run {
    bytes: Arc<[u8]>,
    first_ms: i64,
    last_ms: i64,
}

impl Run {
    /// Whether a sample of it may lie inside of `(after, until]`.
    fn overlaps(&self, after: i64, until: i64) -> bool {
        after < self.last_ms && self.first_ms <= until
    }
}

impl<V> Default for OpenColumn<V> {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            newest: Vec::new(),
            starts: Vec::new(),
        }
    }
}

/// How the memory of a column changed, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Growth {
    /// What samples as they are take.
    pub(super) open: isize,
    /// What encoded samples take.
    pub(super) encoded: isize,
}

impl std::ops::AddAssign for Growth {
    fn add_assign(&mut self, other: Self) {
        self.open += other.open;
        self.encoded += other.encoded;
    }
}

impl<V: RunValue> OpenColumn<V> {
    /// Adds a sample after all others.
    pub(super) fn push(&mut self, time: i64, start: Option<i64>, value: V) -> Growth {
        let before = self.open_bytes();
        let behind = value.size_bytes() as isize;
        if start.is_some() && self.starts.is_empty() {
            self.starts.resize(self.newest.len(), NO_START);
        }
        if start.is_some() || !self.starts.is_empty() {
            self.starts.push(start.unwrap_or(NO_START));
        }
        self.newest.push((time, value));
        let mut growth = Growth {
            open: self.open_bytes() - before + behind,
            encoded: 0,
        };
        if self.newest.len() >= V::RUN {
            growth += self.close_run();
        }
        growth
    }

    /// Encodes the newest samples.
    fn close_run(&mut self) -> Growth {
        let behind: usize = self
            .newest
            .iter()
            .map(|(_, value)| value.size_bytes())
            .sum();
        let before = self.runs_bytes();
        let times: Vec<i64> = self.newest.iter().map(|(time, _)| *time).collect();
        let bounds = times.iter().fold((i64::MAX, i64::MIN), |bounds, time| {
            (bounds.0.min(*time), bounds.1.max(*time))
        });
        let values = self.newest.drain(..).map(|(_, value)| value).collect();
        let bytes: Arc<[u8]> = V::encode(&times, &self.starts, values).into();
        self.starts.clear();
        let encoded = (bytes.len() + 16) as isize;
        self.runs.push(Run {
            bytes,
            first_ms: bounds.0,
            last_ms: bounds.1,
        });
        Growth {
            open: -(behind as isize),
            encoded: encoded + self.runs_bytes() - before,
        }
    }

    fn open_bytes(&self) -> isize {
        let newest = self.newest.capacity() * size_of::<(i64, V)>();
        (newest + self.starts.capacity() * size_of::<i64>()) as isize
    }

    fn runs_bytes(&self) -> isize {
        (self.runs.capacity() * size_of::<Run>()) as isize
    }

    /// A copy of the samples that may lie inside of `(after, until]`, which shares what is encoded.
    pub(super) fn near(&self, after: i64, until: i64) -> Self {
        let overlapping = self.runs.iter().filter(|run| run.overlaps(after, until));
        Self {
            runs: overlapping.cloned().collect(),
            newest: self.newest.clone(),
            starts: self.starts.clone(),
        }
    }

    /// The first and last time, Unix ms, of what may lie inside of `(after, until]`: the encoded
    /// runs that overlap it, each as a whole, and of the newest samples those that do lie there.
    pub(super) fn bounds(&self, after: i64, until: i64) -> Option<(i64, i64)> {
        let overlapping = self.runs.iter().filter(|run| run.overlaps(after, until));
        let runs = overlapping.map(|run| (run.first_ms, run.last_ms));
        let newest = self.newest.iter().map(|(time, _)| *time);
        let inside = newest.filter(|time| after < *time && *time <= until);
        runs.chain(inside.map(|time| (time, time)))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// The samples with `after < time <= until`, in the order they came.
    pub(super) fn decoded(&self, after: i64, until: i64) -> Column<V> {
        let newest = Column::of(
            self.newest.iter().map(|(time, _)| *time).collect(),
            self.starts.clone(),
            self.newest.iter().map(|(_, value)| value.clone()).collect(),
        );
        let mut all = Column::default();
        for run in &self.runs {
            let run = V::decode(&run.bytes).expect("this process encoded it, in memory");
            all.extend(&run);
        }
        if self.runs.is_empty() {
            all = newest;
        } else {
            all.extend(&newest);
        }
        match all.bounds() {
            Some((first, last)) if first <= after || last > until => all.window(after, until),
            _ => all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_open_column_holds_what_a_plain_one_does(
            samples in proptest::collection::vec(
                (0_i64..400, proptest::option::weighted(0.1, 0_i64..9), any::<u64>()),
                0..300,
            ),
            after in -5_i64..400,
            until in -5_i64..400,
        ) {
            let (mut open, mut plain) = (OpenColumn::default(), Column::default());
            let mut held = Growth::default();
            for (time, start, bits) in &samples {
                let value = f64::from_bits(*bits);
                held += open.push(*time, *start, value);
                plain.push(*time, *start, value);
            }
            prop_assert!(held.open >= 0 && held.encoded >= 0);
            let shown = |column: Column<f64>| {
                let column = column.window(after, until);
                let bits: Vec<u64> = column.values.iter().map(|value| value.to_bits()).collect();
                // None at all may be an empty column.
                let no_starts = column.starts.iter().all(|start| *start == NO_START);
                (column.times, (!no_starts).then_some(column.starts), bits)
            };
            let everything = (i64::MIN, i64::MAX);
            prop_assert_eq!(open.bounds(everything.0, everything.1), plain.bounds());
            if let Some((first, last)) = plain.window(after, until).bounds() {
                let (before, behind) = open.bounds(after, until).unwrap();
                prop_assert!(before <= first && last <= behind);
            }
            let near = open.near(after, until);
            prop_assert_eq!(shown(near.decoded(after, until)), shown(plain));
        }
    }
}
