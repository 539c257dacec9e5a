//! Native histograms as both versions of the protocol write them.

use model::NativeHistogram;
use model::histogram::{BucketSpan, ResetHint};

use super::{Failure, packed};
use crate::otlp::reader::{Content, Fields};

/// Schemas of exponential buckets.
const SCHEMAS: std::ops::RangeInclusive<i64> = -4..=8;
const CUSTOM_SCHEMA: i64 = model::histogram::CUSTOM_SCHEMA as i64;

/// The fields of a histogram's message.
#[derive(Debug, Default)]
pub(super) struct ReadHistogram {
    pub(super) timestamp_ms: i64,
    /// 0 when not sent.
    pub(super) start_ms: i64,
    count: Count,
    zero_count: Count,
    sum: f64,
    schema: i64,
    zero_threshold: f64,
    negative: Side,
    positive: Side,
    reset_hint: u64,
    custom_values: Vec<f64>,
}

/// Observations, as an integer or as a float.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Integer(u64),
    Float(f64),
}

impl Default for Count {
    fn default() -> Self {
        Self::Integer(0)
    }
}

impl Count {
    fn as_float(self) -> f64 {
        match self {
            Self::Integer(count) => count as f64,
            Self::Float(count) => count,
        }
    }
}

/// The buckets of one sign: counts as differences of integers, or as floats.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<BucketSpan>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl ReadHistogram {
    pub(super) fn read(mut fields: Fields<'_>) -> Result<Self, Failure> {
        let mut read = Self::default();
        while let Some((number, content)) = fields.next()? {
            match number {
                1 => read.count = Count::Integer(content.varint()?),
                2 => read.count = Count::Float(f64::from_bits(content.fixed64()?)),
                3 => read.sum = f64::from_bits(content.fixed64()?),
                4 => read.schema = zigzag(content.varint()?),
                5 => read.zero_threshold = f64::from_bits(content.fixed64()?),
                6 => read.zero_count = Count::Integer(content.varint()?),
                7 => read.zero_count = Count::Float(f64::from_bits(content.fixed64()?)),
                8 => read.negative.spans.push(span(fields.inside(content)?)?),
                9 => deltas(content, &mut read.negative.deltas)?,
                10 => doubles(content, &mut read.negative.counts)?,
                11 => read.positive.spans.push(span(fields.inside(content)?)?),
                12 => deltas(content, &mut read.positive.deltas)?,
                13 => doubles(content, &mut read.positive.counts)?,
                14 => read.reset_hint = content.varint()?,
                15 => read.timestamp_ms = content.varint()? as i64,
                16 => doubles(content, &mut read.custom_values)?,
                17 => read.start_ms = content.varint()? as i64,
                _ => fields.skip()?,
            }
        }
        Ok(read)
    }

    /// Memory that it takes, bytes.
    pub(super) fn size_bytes(&self) -> usize {
        let side = |side: &Side| {
            side.spans.len() * size_of::<BucketSpan>() + (side.deltas.len() + side.counts.len()) * 8
        };
        let numbers = self.custom_values.len() * 8;
        size_of::<NativeHistogram>() + side(&self.negative) + side(&self.positive) + numbers
    }
}

fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

fn span(mut fields: Fields<'_>) -> Result<BucketSpan, Failure> {
    let (mut offset, mut length) = (0, 0);
    while let Some((number, content)) = fields.next()? {
        match number {
            1 => offset = zigzag(content.varint()?) as i32,
            2 => length = content.varint()? as u32,
            _ => fields.skip()?,
        }
    }
    Ok(BucketSpan { offset, length })
}

fn deltas(content: Content<'_>, out: &mut Vec<i64>) -> Result<(), Failure> {
    packed(content, |number| {
        out.push(zigzag(number));
        Ok(())
    })
}

fn doubles(content: Content<'_>, out: &mut Vec<f64>) -> Result<(), Failure> {
    match content {
        Content::Delimited(bytes) => {
            let (numbers, rest) = bytes.as_chunks::<8>();
            out.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
            if rest.is_empty() {
                Ok(())
            } else {
                Err(Failure::Irregular)
            }
        }
        single => {
            out.push(f64::from_bits(single.fixed64()?));
            Ok(())
        }
    }
}

/// The histogram; `None` when it contradicts itself: an unknown schema, spans that do not cover
/// the buckets, negative counts, integer counts that do not add up to the whole, or custom borders
/// that do not ascend or do not fit.
pub(super) fn checked(read: ReadHistogram) -> Option<NativeHistogram> {
    let is_custom = read.schema == CUSTOM_SCHEMA;
    if !is_custom && !SCHEMAS.contains(&read.schema) {
        return None;
    }
    let (count, zero_count) = (read.count, read.zero_count);
    let has_floats = !read.positive.counts.is_empty() || !read.negative.counts.is_empty();
    let is_integer = matches!(count, Count::Integer(_)) && !has_floats;
    let positive = side(read.positive, is_integer)?;
    let negative = side(read.negative, is_integer)?;
    if let (true, Count::Integer(count), Count::Integer(zero)) = (is_integer, count, zero_count) {
        let total = positive.1.checked_add(negative.1)?.checked_add(zero)?;
        // Observations that are NaN are counted and lie in no bucket.
        let adds_up = total == count || (read.sum.is_nan() && total < count);
        if !adds_up {
            return None;
        }
    }
    let ((positive_spans, positive_counts), (negative_spans, negative_counts)) =
        (positive.0, negative.0);
    let histogram = NativeHistogram {
        reset_hint: match read.reset_hint {
            1 => ResetHint::Reset,
            2 => ResetHint::NotReset,
            3 => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        },
        schema: i8::try_from(read.schema).ok()?,
        zero_threshold: read.zero_threshold,
        zero_count: zero_count.as_float(),
        count: count.as_float(),
        sum: read.sum,
        positive_spans,
        positive_counts,
        negative_spans,
        negative_counts,
        custom_values: read.custom_values,
        min: None,
        max: None,
    };
    let is_good = if is_custom {
        has_good_borders(&histogram)
    } else {
        histogram.custom_values.is_empty()
    };
    let is_count = |count: f64| count >= 0.0;
    (is_good
        && is_count(histogram.zero_threshold)
        && is_count(histogram.zero_count)
        && is_count(histogram.count))
    .then_some(histogram)
}

/// A side's buckets and, of integers, how many observations they hold.
type Buckets = ((Vec<BucketSpan>, Vec<f64>), u64);

fn side(side: Side, is_integer: bool) -> Option<Buckets> {
    let (counts, total) = if is_integer {
        let (mut count, mut total) = (0_i64, 0_u64);
        let mut counts = Vec::with_capacity(side.deltas.len());
        for delta in &side.deltas {
            count = count.checked_add(*delta)?;
            total = total.checked_add(u64::try_from(count).ok()?)?;
            counts.push(count as f64);
        }
        (counts, total)
    } else {
        if !side.deltas.is_empty() || !side.counts.iter().all(|count| *count >= 0.0) {
            return None;
        }
        (side.counts, 0)
    };
    let covered: u64 = side.spans.iter().map(|span| u64::from(span.length)).sum();
    let goes_back = side.spans.iter().skip(1).any(|span| span.offset < 0);
    (covered == counts.len() as u64 && !goes_back).then_some(((side.spans, counts), total))
}

/// Custom borders ascend, and every bucket lies below one of them or above the last.
fn has_good_borders(histogram: &NativeHistogram) -> bool {
    let borders = &histogram.custom_values;
    let is_finite = borders.iter().all(|border| border.is_finite());
    let reach: i64 = histogram
        .positive_spans
        .iter()
        .map(|span| i64::from(span.offset) + i64::from(span.length))
        .sum();
    let begins = histogram
        .positive_spans
        .first()
        .map_or(0, |span| span.offset);
    is_finite
        && borders.is_sorted_by(|a, b| a < b)
        && begins >= 0
        && reach <= borders.len() as i64 + 1
        && histogram.negative_spans.is_empty()
        && histogram.zero_count == 0.0
        && histogram.zero_threshold == 0.0
}
