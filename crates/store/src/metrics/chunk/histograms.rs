//! Native histograms as one column of integers, their shapes, and one of doubles, their numbers.

use std::sync::Arc;

use model::NativeHistogram;
use model::histogram::{BucketSpan, ResetHint};
use pco::ChunkConfig;

use super::bytes::{Input, push_varint};
use super::{ChunkError, Effort, MAX_NUMBERS, damaged, floats, integers};

/// The flags of a histogram.
const HAS_MIN: i64 = 1;
const HAS_MAX: i64 = 1 << 1;
const IS_GAUGE: i64 = 1 << 2;
const IS_RESET: i64 = 1 << 3;

/// Writes `histograms`, whose count the reader has to know.
pub(super) fn encode(histograms: &[Arc<NativeHistogram>], effort: Effort, out: &mut Vec<u8>) {
    let (shapes, numbers) = flatten(histograms);
    push_varint(shapes.len() as u64, out);
    integers::encode(&shapes, effort, out);
    push_varint(numbers.len() as u64, out);
    // Neighbours are different parts of a histogram: `pco` finds out how they go together.
    floats::encode(&numbers, effort, ChunkConfig::default, out);
}

/// Reads what [`encode`] wrote of `count` histograms.
pub(super) fn decode(
    input: &mut Input<'_>,
    count: usize,
) -> Result<Vec<Arc<NativeHistogram>>, ChunkError> {
    let shapes = input.count(MAX_NUMBERS)?;
    let shapes = integers::decode(input, shapes)?;
    let numbers = input.count(MAX_NUMBERS)?;
    let numbers = floats::decode(input, numbers)?;
    let histograms = unflatten(&shapes, &numbers)?;
    if histograms.len() != count {
        return Err(damaged(format!(
            "{} histograms for {count} times",
            histograms.len()
        )));
    }
    Ok(histograms)
}

/// Integers: per histogram schema, its flags, and each list's length before its items. Doubles:
/// per histogram the fixed four, then counts, borders, min, max.
///
/// Of the reset hint "gauge" and "reset" are kept. That a counter went on is said of the sample
/// before it, which may be another one once chunks are merged: counts tell.
fn flatten(histograms: &[Arc<NativeHistogram>]) -> (Vec<i64>, Vec<f64>) {
    let mut shapes = Vec::new();
    let mut numbers = Vec::new();
    for histogram in histograms {
        shapes.push(i64::from(histogram.schema));
        let flag = |set: bool, flag: i64| if set { flag } else { 0 };
        shapes.push(
            flag(histogram.min.is_some(), HAS_MIN)
                | flag(histogram.max.is_some(), HAS_MAX)
                | flag(histogram.reset_hint == ResetHint::Gauge, IS_GAUGE)
                | flag(histogram.reset_hint == ResetHint::Reset, IS_RESET),
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
        let reset_hint = match flags & (IS_GAUGE | IS_RESET) {
            IS_GAUGE => ResetHint::Gauge,
            IS_RESET => ResetHint::Reset,
            _ => ResetHint::Unknown,
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
