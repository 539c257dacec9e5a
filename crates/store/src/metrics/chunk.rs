//! The codec of metric chunks: a run of one series' samples as bytes.
//!
//! Timestamps, start times and values are separate columns: [`integers`], or [`floats`] that
//! mostly are integers in disguise and keep every bit (stale markers are NaNs told apart by their
//! bits). Histograms become a column of each ([`histograms`]).
//! `docs/formats/metric-split.md` is the specification of the layout.

mod bytes;
mod floats;
mod histograms;
mod integers;

use std::sync::Arc;

use model::NativeHistogram;

use self::bytes::{Input, push_varint};
use super::column::NO_START;

/// The version of the layout, the first byte of every chunk. Nothing was released with version 1.
pub const CHUNK_VERSION: u8 = 2;

const KIND_FLOAT: u8 = 1;
const KIND_HISTOGRAM: u8 = 2;
/// Numbers that one column may have.
const MAX_NUMBERS: usize = 1 << 24;

/// Why bytes are no chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Written by a later version.
    #[error("chunk version {found} is newer than this program's {CHUNK_VERSION}")]
    Version {
        /// The version in the chunk.
        found: u8,
    },
    /// The bytes contradict themselves.
    #[error("damaged chunk: {0}")]
    Damaged(String),
}

/// How hard to look for the smallest form. Both are read the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// For samples in memory, which are encoded again when they are sealed.
    Quick,
    /// For splits.
    Small,
}

/// The values of a chunk: one kind only.
#[derive(Debug, Clone, PartialEq)]
pub enum ChunkValues {
    /// Plain numbers.
    Floats(Vec<f64>),
    /// Native histograms.
    Histograms(Vec<Arc<NativeHistogram>>),
}

impl ChunkValues {
    fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Histograms(values) => values.len(),
        }
    }
}

/// Samples of one series, sorted by time, one a millisecond.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// When, Unix ms, strictly ascending.
    pub timestamps_ms: Vec<i64>,
    /// Since when a counter counts, Unix ms; [`i64::MIN`] when not known. As long as
    /// `timestamps_ms`, or empty when it is known of no sample.
    pub starts_ms: Vec<i64>,
    /// The values; as long as `timestamps_ms`.
    pub values: ChunkValues,
}

impl Chunk {
    /// How many samples.
    pub fn len(&self) -> usize {
        self.timestamps_ms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty()
    }

    /// The chunk as bytes that [`Chunk::decode`] reads.
    pub fn encode(&self) -> Vec<u8> {
        assert!(
            [0, self.timestamps_ms.len()].contains(&self.starts_ms.len()),
            "one start per sample, or none at all"
        );
        assert_eq!(
            self.timestamps_ms.len(),
            self.values.len(),
            "one value per sample"
        );
        let kind = match &self.values {
            ChunkValues::Floats(_) => KIND_FLOAT,
            ChunkValues::Histograms(_) => KIND_HISTOGRAM,
        };
        let mut out = vec![CHUNK_VERSION, kind];
        push_varint(self.len() as u64, &mut out);
        // Gauges have no start times at all: they pay for a byte only.
        let starts = match self.starts_ms.iter().all(|start| *start == NO_START) {
            true => &[],
            false => self.starts_ms.as_slice(),
        };
        push_times(&self.timestamps_ms, starts, Effort::Small, &mut out);
        match &self.values {
            ChunkValues::Floats(values) => values.push(Effort::Small, &mut out),
            ChunkValues::Histograms(values) => values.push(Effort::Small, &mut out),
        }
        out
    }

    /// Reads what [`Chunk::encode`] wrote.
    ///
    /// # Errors
    ///
    /// A later version, or bytes that contradict themselves.
    pub fn decode(bytes: &[u8]) -> Result<Self, ChunkError> {
        let [version, kind, rest @ ..] = bytes else {
            return Err(damaged("shorter than its header"));
        };
        match *version {
            CHUNK_VERSION => {}
            found if found > CHUNK_VERSION => return Err(ChunkError::Version { found }),
            found => return Err(damaged(format!("version {found} was never released"))),
        }
        let mut input = Input(rest);
        let count = input.count(MAX_NUMBERS)?;
        let (timestamps_ms, starts_ms) = read_times(&mut input, count)?;
        let values = match *kind {
            KIND_FLOAT => ChunkValues::Floats(Vec::read(&mut input, count)?),
            KIND_HISTOGRAM => ChunkValues::Histograms(Vec::read(&mut input, count)?),
            other => return Err(damaged(format!("unknown kind {other}"))),
        };
        if !input.0.is_empty() {
            return Err(damaged("bytes after its values"));
        }
        if !timestamps_ms.is_sorted_by(|a, b| a < b) {
            return Err(damaged("times are not ascending"));
        }
        Ok(Self {
            timestamps_ms,
            starts_ms,
            values,
        })
    }
}

/// Samples of one series in the order they came, for memory: their times, start times (none at all
/// or as many) and values, as bytes that [`decode_run`] reads.
pub(super) fn encode_run<V: Values>(times: &[i64], starts: &[i64], values: &V) -> Vec<u8> {
    let mut out = Vec::new();
    push_varint(times.len() as u64, &mut out);
    push_times(times, starts, Effort::Quick, &mut out);
    values.push(Effort::Quick, &mut out);
    out
}

/// Reads what [`encode_run`] wrote.
pub(super) fn decode_run<V: Values>(bytes: &[u8]) -> Result<(Vec<i64>, Vec<i64>, V), ChunkError> {
    let mut input = Input(bytes);
    let count = input.count(MAX_NUMBERS)?;
    let (times, starts) = read_times(&mut input, count)?;
    Ok((times, starts, V::read(&mut input, count)?))
}

/// Values that a chunk can hold.
pub(super) trait Values: Sized {
    /// Writes the values, whose count the reader has to know.
    fn push(&self, effort: Effort, out: &mut Vec<u8>);
    /// Reads what `push` wrote of `count` values.
    fn read(input: &mut Input<'_>, count: usize) -> Result<Self, ChunkError>;
}

impl Values for Vec<f64> {
    fn push(&self, effort: Effort, out: &mut Vec<u8>) {
        floats::encode(self, effort, floats::of_a_series, out);
    }

    fn read(input: &mut Input<'_>, count: usize) -> Result<Self, ChunkError> {
        floats::decode(input, count)
    }
}

impl Values for Vec<Arc<NativeHistogram>> {
    fn push(&self, effort: Effort, out: &mut Vec<u8>) {
        histograms::encode(self, effort, out);
    }

    fn read(input: &mut Input<'_>, count: usize) -> Result<Self, ChunkError> {
        histograms::decode(input, count)
    }
}

/// Writes times and start times; no start times at all are an empty column.
fn push_times(times: &[i64], starts: &[i64], effort: Effort, out: &mut Vec<u8>) {
    integers::encode(times, effort, out);
    out.push(u8::from(!starts.is_empty()));
    integers::encode(starts, effort, out);
}

fn read_times(input: &mut Input<'_>, count: usize) -> Result<(Vec<i64>, Vec<i64>), ChunkError> {
    let times = integers::decode(input, count)?;
    let starts = match input.byte()? {
        0 => Vec::new(),
        1 => integers::decode(input, count)?,
        other => return Err(damaged(format!("unknown form {other} of start times"))),
    };
    Ok((times, starts))
}

fn damaged(what: impl Into<String>) -> ChunkError {
    ChunkError::Damaged(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::{BucketSpan, ResetHint};
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn bits() -> impl Strategy<Value = f64> {
        any::<u64>().prop_map(f64::from_bits)
    }

    fn histogram() -> impl Strategy<Value = Arc<NativeHistogram>> {
        let side = || (vec((any::<i32>(), any::<u32>()), 0..3), vec(bits(), 0..6));
        (
            any::<i8>(),
            vec(bits(), 4),
            side(),
            side(),
            vec(bits(), 0..3),
            any::<(Option<f64>, Option<f64>)>(),
            prop_oneof![
                Just(ResetHint::Unknown),
                Just(ResetHint::Gauge),
                Just(ResetHint::Reset)
            ],
        )
            .prop_map(
                |(schema, fixed, positive, negative, custom_values, (min, max), reset_hint)| {
                    let spans = |raw: Vec<(i32, u32)>| {
                        raw.into_iter()
                            .map(|(offset, length)| BucketSpan { offset, length })
                            .collect()
                    };
                    Arc::new(NativeHistogram {
                        reset_hint,
                        schema,
                        zero_threshold: fixed[0],
                        zero_count: fixed[1],
                        count: fixed[2],
                        sum: fixed[3],
                        positive_spans: spans(positive.0),
                        positive_counts: positive.1,
                        negative_spans: spans(negative.0),
                        negative_counts: negative.1,
                        custom_values,
                        min,
                        max,
                    })
                },
            )
    }

    /// No start at all is an empty column.
    fn starts(starts: impl Iterator<Item = i64> + Clone) -> Vec<i64> {
        match starts.clone().all(|start| start == NO_START) {
            true => Vec::new(),
            false => starts.collect(),
        }
    }

    fn chunk() -> impl Strategy<Value = Chunk> {
        let start = prop_oneof![Just(NO_START), any::<i64>()];
        let floats =
            btree_map(any::<i64>(), (start.clone(), bits()), 0..40).prop_map(|samples| Chunk {
                timestamps_ms: samples.keys().copied().collect(),
                starts_ms: starts(samples.values().map(|(start, _)| *start)),
                values: ChunkValues::Floats(samples.values().map(|(_, value)| *value).collect()),
            });
        let histograms =
            btree_map(any::<i64>(), (start, histogram()), 0..8).prop_map(|samples| Chunk {
                timestamps_ms: samples.keys().copied().collect(),
                starts_ms: starts(samples.values().map(|(start, _)| *start)),
                values: ChunkValues::Histograms(
                    samples.into_values().map(|(_, value)| value).collect(),
                ),
            });
        prop_oneof![floats, histograms]
    }

    proptest! {
        #[test]
        fn decoding_what_was_encoded_gives_every_bit_back(chunk in chunk()) {
            let bytes = chunk.encode();
            let back = Chunk::decode(&bytes).unwrap();
            prop_assert_eq!(&back.timestamps_ms, &chunk.timestamps_ms);
            prop_assert_eq!(&back.starts_ms, &chunk.starts_ms);
            // Doubles are compared through their bytes: NaNs differ from themselves.
            prop_assert_eq!(back.encode(), bytes);
            if let (ChunkValues::Floats(a), ChunkValues::Floats(b)) = (&back.values, &chunk.values) {
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(a), bits(b));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_panic(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok(chunk) = Chunk::decode(&bytes) {
                prop_assert_eq!(Chunk::decode(&chunk.encode()).map(|chunk| chunk.len()), Ok(chunk.len()));
            }
        }

        #[test]
        fn a_cut_chunk_is_refused(chunk in chunk(), cut in any::<prop::sample::Index>()) {
            let bytes = chunk.encode();
            prop_assert!(Chunk::decode(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }

    #[test]
    fn a_later_version_is_named() {
        assert_eq!(
            Chunk::decode(&[9, 1]),
            Err(ChunkError::Version { found: 9 })
        );
    }
}
