//! The codec of metric chunks: a run of one series' samples as bytes.
//!
//! Timestamps, start times and values are separate columns, each compressed by `pco`, which keeps
//! every bit of a double (stale markers are NaNs told apart by their bits). A histogram chunk
//! flattens its histograms into one column of integers (shapes) and one of doubles (counts).
//! `docs/formats/metric-split.md` is the specification of the layout.

use std::sync::Arc;

use model::NativeHistogram;
use model::histogram::{BucketSpan, ResetHint};
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};

/// The version of the layout, the first byte of every chunk.
pub const CHUNK_VERSION: u8 = 1;

const KIND_FLOAT: u8 = 1;
const KIND_HISTOGRAM: u8 = 2;
/// Stands for "no start time" in the column of start times.
const NO_START: i64 = i64::MIN;

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
    /// Since when a counter counts, Unix ms; as long as `timestamps_ms`.
    pub starts_ms: Vec<Option<i64>>,
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
        assert_eq!(
            self.timestamps_ms.len(),
            self.starts_ms.len(),
            "one start per sample"
        );
        assert_eq!(
            self.timestamps_ms.len(),
            self.values.len(),
            "one value per sample"
        );
        let mut out = vec![CHUNK_VERSION];
        match &self.values {
            ChunkValues::Floats(values) => {
                out.push(KIND_FLOAT);
                self.encode_times(&mut out);
                push_section(&mut out, &compress(values));
            }
            ChunkValues::Histograms(histograms) => {
                out.push(KIND_HISTOGRAM);
                self.encode_times(&mut out);
                let (shapes, numbers) = flatten(histograms);
                push_section(&mut out, &compress(&shapes));
                push_section(&mut out, &compress(&numbers));
            }
        }
        out
    }

    fn encode_times(&self, out: &mut Vec<u8>) {
        push_section(out, &compress(&self.timestamps_ms));
        // Gauges have no start times at all: they pay for an empty section only.
        let starts: Vec<i64> = if self.starts_ms.iter().all(Option::is_none) {
            Vec::new()
        } else {
            self.starts_ms
                .iter()
                .map(|start| start.unwrap_or(NO_START))
                .collect()
        };
        push_section(out, &compress(&starts));
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
        if *version != CHUNK_VERSION {
            return Err(ChunkError::Version { found: *version });
        }
        let mut sections = Sections(rest);
        let timestamps_ms: Vec<i64> = sections.next()?;
        let starts_ms = starts(sections.next()?, timestamps_ms.len())?;
        let values = match *kind {
            KIND_FLOAT => ChunkValues::Floats(sections.next()?),
            KIND_HISTOGRAM => {
                let shapes: Vec<i64> = sections.next()?;
                let numbers: Vec<f64> = sections.next()?;
                ChunkValues::Histograms(unflatten(&shapes, &numbers)?)
            }
            other => return Err(damaged(format!("unknown kind {other}"))),
        };
        sections.finish()?;
        if values.len() != timestamps_ms.len() {
            return Err(damaged(format!(
                "{} values for {} times",
                values.len(),
                timestamps_ms.len()
            )));
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

fn damaged(what: impl Into<String>) -> ChunkError {
    ChunkError::Damaged(what.into())
}

fn compress<T: pco::data_types::Number>(numbers: &[T]) -> Vec<u8> {
    if numbers.is_empty() {
        return Vec::new();
    }
    simple_compress(numbers, &ChunkConfig::default())
        .expect("the default configuration compresses any numbers")
}

fn push_section(out: &mut Vec<u8>, section: &[u8]) {
    let length = u32::try_from(section.len()).expect("a chunk is far smaller than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(section);
}

fn starts(raw: Vec<i64>, samples: usize) -> Result<Vec<Option<i64>>, ChunkError> {
    if raw.is_empty() {
        return Ok(vec![None; samples]);
    }
    if raw.len() != samples {
        return Err(damaged(format!(
            "{} start times for {samples} times",
            raw.len()
        )));
    }
    Ok(raw
        .into_iter()
        .map(|start| (start != NO_START).then_some(start))
        .collect())
}

/// The length-prefixed sections that follow a chunk's header.
struct Sections<'a>(&'a [u8]);

impl Sections<'_> {
    fn next<T: pco::data_types::Number>(&mut self) -> Result<Vec<T>, ChunkError> {
        let (length, rest) = self
            .0
            .split_first_chunk::<4>()
            .ok_or_else(|| damaged("a section's length is cut off"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let (section, rest) = rest
            .split_at_checked(length)
            .ok_or_else(|| damaged("a section is cut off"))?;
        self.0 = rest;
        if section.is_empty() {
            return Ok(Vec::new());
        }
        simple_decompress(section).map_err(|error| damaged(error.to_string()))
    }

    fn finish(&self) -> Result<(), ChunkError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(damaged("bytes after the last section"))
        }
    }
}

/// The flags of a histogram.
const HAS_MIN: i64 = 1;
const HAS_MAX: i64 = 1 << 1;
const IS_GAUGE: i64 = 1 << 2;

/// Integers: per histogram schema, its flags, and each list's length before its items. Doubles:
/// per histogram the fixed four, then counts, borders, min, max.
///
/// Of the reset hint only "gauge" is kept: what is known of a reset is known of the sample before
/// it, which may be another one once chunks are merged.
fn flatten(histograms: &[Arc<NativeHistogram>]) -> (Vec<i64>, Vec<f64>) {
    let mut shapes = Vec::new();
    let mut numbers = Vec::new();
    for histogram in histograms {
        shapes.push(i64::from(histogram.schema));
        let flag = |set: bool, flag: i64| if set { flag } else { 0 };
        shapes.push(
            flag(histogram.min.is_some(), HAS_MIN)
                | flag(histogram.max.is_some(), HAS_MAX)
                | flag(histogram.reset_hint == ResetHint::Gauge, IS_GAUGE),
        );
        numbers.extend([
            histogram.zero_threshold,
            histogram.zero_count,
            histogram.count,
            histogram.sum,
        ]);
        for (spans, counts) in [
            (&histogram.positive_spans, &histogram.positive_counts),
            (&histogram.negative_spans, &histogram.negative_counts),
        ] {
            shapes.push(spans.len() as i64);
            for span in spans {
                shapes.extend([i64::from(span.offset), i64::from(span.length)]);
            }
            shapes.push(counts.len() as i64);
            numbers.extend(counts);
        }
        shapes.push(histogram.custom_values.len() as i64);
        numbers.extend(&histogram.custom_values);
        numbers.extend(histogram.min);
        numbers.extend(histogram.max);
    }
    (shapes, numbers)
}

fn unflatten(shapes: &[i64], numbers: &[f64]) -> Result<Vec<Arc<NativeHistogram>>, ChunkError> {
    let mut shapes = Cursor(shapes);
    let mut numbers = Cursor(numbers);
    let mut histograms = Vec::new();
    while !shapes.0.is_empty() {
        let schema = narrow(shapes.one()?)?;
        let flags: i64 = shapes.one()?;
        let [zero_threshold, zero_count, count, sum] = [
            numbers.one()?,
            numbers.one()?,
            numbers.one()?,
            numbers.one()?,
        ];
        let (positive_spans, positive_counts) = side(&mut shapes, &mut numbers)?;
        let (negative_spans, negative_counts) = side(&mut shapes, &mut numbers)?;
        let borders = narrow(shapes.one()?)?;
        let custom_values = numbers.many(borders)?;
        let min = (flags & HAS_MIN != 0).then(|| numbers.one()).transpose()?;
        let max = (flags & HAS_MAX != 0).then(|| numbers.one()).transpose()?;
        let reset_hint = match flags & IS_GAUGE {
            0 => ResetHint::Unknown,
            _ => ResetHint::Gauge,
        };
        histograms.push(Arc::new(NativeHistogram {
            reset_hint,
            schema,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans,
            positive_counts,
            negative_spans,
            negative_counts,
            custom_values,
            min,
            max,
        }));
    }
    if !numbers.0.is_empty() {
        return Err(damaged("more numbers than its histograms need"));
    }
    Ok(histograms)
}

fn side(
    shapes: &mut Cursor<'_, i64>,
    numbers: &mut Cursor<'_, f64>,
) -> Result<(Vec<BucketSpan>, Vec<f64>), ChunkError> {
    let runs: usize = narrow(shapes.one()?)?;
    let spans = shapes
        .many(runs.saturating_mul(2))?
        .chunks_exact(2)
        .map(|pair| {
            Ok(BucketSpan {
                offset: narrow(pair[0])?,
                length: narrow(pair[1])?,
            })
        })
        .collect::<Result<_, ChunkError>>()?;
    let buckets = narrow(shapes.one()?)?;
    Ok((spans, numbers.many(buckets)?))
}

fn narrow<T: TryFrom<i64>>(number: i64) -> Result<T, ChunkError> {
    T::try_from(number).map_err(|_| damaged(format!("{number} is out of range")))
}

/// A slice that is read from its front.
struct Cursor<'a, T>(&'a [T]);

impl<T: Copy> Cursor<'_, T> {
    fn one(&mut self) -> Result<T, ChunkError> {
        let (first, rest) = self
            .0
            .split_first()
            .ok_or_else(|| damaged("a histogram is cut off"))?;
        self.0 = rest;
        Ok(*first)
    }

    fn many(&mut self, count: usize) -> Result<Vec<T>, ChunkError> {
        let (items, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| damaged("a histogram is cut off"))?;
        self.0 = rest;
        Ok(items.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            prop_oneof![Just(ResetHint::Unknown), Just(ResetHint::Gauge)],
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

    fn chunk() -> impl Strategy<Value = Chunk> {
        let start = prop_oneof![Just(None), (i64::MIN + 1..i64::MAX).prop_map(Some)];
        let floats =
            btree_map(any::<i64>(), (start.clone(), bits()), 0..40).prop_map(|samples| Chunk {
                timestamps_ms: samples.keys().copied().collect(),
                starts_ms: samples.values().map(|(start, _)| *start).collect(),
                values: ChunkValues::Floats(samples.values().map(|(_, value)| *value).collect()),
            });
        let histograms =
            btree_map(any::<i64>(), (start, histogram()), 0..8).prop_map(|samples| Chunk {
                timestamps_ms: samples.keys().copied().collect(),
                starts_ms: samples.values().map(|(start, _)| *start).collect(),
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
