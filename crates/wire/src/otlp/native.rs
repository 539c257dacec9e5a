//! Exponential histograms as Prometheus' native ones.
//!
//! OTLP's bucket `i` covers `(base^i, base^(i+1)]`, Prometheus' covers `(base^(i-1), base^i]`, so
//! indexes move by one. Prometheus knows scales -4 to 8: a finer histogram is merged down, a
//! coarser one is refused.

use model::histogram::{BucketSpan, ResetHint};
use model::{NativeHistogram, SampleValue};
use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use super::metrics::Series;
use crate::admission::RejectReason;

const MAX_SCALE: i32 = 8;
const MIN_SCALE: i32 = -4;

/// Empty buckets that cost less inside of a span than a span of their own would.
const MAX_GAP: i64 = 2;

pub(super) fn native_histogram(
    point: ExponentialHistogramDataPoint,
    series: &mut Series<'_>,
) -> Result<(), RejectReason> {
    if series.is_stale() {
        series.push("", None, SampleValue::Float(0.0), Vec::new());
        return Ok(());
    }
    if point.scale < MIN_SCALE || point.zero_threshold.is_nan() {
        return Err(RejectReason::InvalidPoint);
    }
    // Scales past 8 + 31 put every index of 32 bits into bucket 0 or -1 anyway.
    let merge_bits = (point.scale - MAX_SCALE).clamp(0, 31) as u32;
    let (positive_spans, positive_counts) = spans(point.positive.as_ref(), merge_bits)?;
    let (negative_spans, negative_counts) = spans(point.negative.as_ref(), merge_bits)?;
    let histogram = NativeHistogram {
        reset_hint: ResetHint::Unknown,
        // Between -4 and 8 by the checks above.
        schema: point.scale.min(MAX_SCALE) as i8,
        zero_threshold: point.zero_threshold.max(0.0),
        zero_count: point.zero_count as f64,
        count: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        positive_spans,
        positive_counts,
        negative_spans,
        negative_counts,
        custom_values: Vec::new(),
        min: point.min,
        max: point.max,
    };
    let exemplars = series.exemplars(point.exemplars);
    series.push(
        "",
        None,
        SampleValue::Histogram(Box::new(histogram)),
        exemplars,
    );
    Ok(())
}

/// The populated buckets as spans, `2^merge_bits` neighbours merged into one.
fn spans(
    buckets: Option<&Buckets>,
    merge_bits: u32,
) -> Result<(Vec<BucketSpan>, Vec<f64>), RejectReason> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut counts: Vec<f64> = Vec::new();
    let Some(buckets) = buckets else {
        return Ok((spans, counts));
    };
    // One past the last bucket written.
    let mut next = 0_i64;
    for (position, &count) in buckets.bucket_counts.iter().enumerate() {
        if count == 0 {
            continue;
        }
        let index = ((i64::from(buckets.offset) + position as i64) >> merge_bits) + 1;
        let gap = index - next;
        match spans.last_mut() {
            // The same merged bucket as before.
            Some(_) if gap < 0 => {
                if let Some(last) = counts.last_mut() {
                    *last += count as f64;
                }
                continue;
            }
            Some(last) if gap <= MAX_GAP => {
                counts.extend(std::iter::repeat_n(0.0, gap as usize));
                last.length += gap as u32 + 1;
            }
            _ => spans.push(BucketSpan {
                offset: i32::try_from(gap).map_err(|_| RejectReason::InvalidPoint)?,
                length: 1,
            }),
        }
        counts.push(count as f64);
        next = index + 1;
    }
    Ok((spans, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        offset: i32,
        counts: &[u64],
        merge_bits: u32,
        expected_spans: &[(i32, u32)],
        expected_counts: &[f64],
    ) {
        let buckets = Buckets {
            offset,
            bucket_counts: counts.to_vec(),
        };
        let (spans, counts) = spans(Some(&buckets), merge_bits).unwrap();
        let spans: Vec<(i32, u32)> = spans
            .iter()
            .map(|span| (span.offset, span.length))
            .collect();
        assert_eq!(spans, expected_spans);
        assert_eq!(counts, expected_counts);
    }

    #[test]
    fn indexes_move_by_one_and_gaps_split_spans() {
        check(0, &[4, 3, 2], 0, &[(1, 3)], &[4.0, 3.0, 2.0]);
        check(0, &[4, 0, 0, 2], 0, &[(1, 4)], &[4.0, 0.0, 0.0, 2.0]);
        check(0, &[4, 0, 0, 0, 2], 0, &[(1, 1), (3, 1)], &[4.0, 2.0]);
        check(-3, &[1, 1], 0, &[(-2, 2)], &[1.0, 1.0]);
        check(0, &[0, 0, 0, 0, 7], 0, &[(5, 1)], &[7.0]);
        check(0, &[], 0, &[], &[]);
    }

    #[test]
    fn finer_scales_are_merged_down() {
        // Scale 9 to 8: pairs (-1), (0, 1), (2, 3) by arithmetic shift.
        check(-1, &[1, 2, 3, 4, 5], 1, &[(0, 3)], &[1.0, 5.0, 9.0]);
        check(0, &[1; 16], 2, &[(1, 4)], &[4.0; 4]);
        check(i32::MAX - 1, &[1, 1], 31, &[(1, 1)], &[2.0]);
    }

    #[test]
    fn an_index_past_32_bits_is_refused() {
        let buckets = Buckets {
            offset: i32::MAX,
            bucket_counts: vec![1],
        };
        assert_eq!(spans(Some(&buckets), 0), Err(RejectReason::InvalidPoint));
    }
}
