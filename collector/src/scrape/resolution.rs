//! How fine native histograms may be: buckets that are too many are united with their neighbours.
//!
//! Pure, and as in Prometheus: first the resolution that `native_histogram_min_bucket_factor`
//! allows, then one so much coarser that `native_histogram_bucket_limit` holds. Custom borders
//! have no coarser ones.

use std::collections::BTreeMap;

use model::NativeHistogram;
use model::histogram::{BucketSpan, indexed, spans_of};

/// The schemas of exponential buckets.
const COARSEST: i8 = -4;
const FINEST: i8 = 8;

/// How fine a job's native histograms may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Resolution {
    /// The most buckets of one, positive and negative ones; 0 means no limit.
    pub(crate) buckets: usize,
    /// The least growth from one bucket to the next; 1 or less means no bound.
    pub(crate) factor: f64,
    /// The largest schema with that growth.
    finest: i8,
}

impl Resolution {
    /// At most so many buckets, and each at least `factor` times as wide as the one before. A
    /// factor of 1 or less is no bound.
    pub(crate) fn new(buckets: usize, factor: f64) -> Self {
        let schema = -factor.log2().log2();
        Self {
            buckets,
            factor,
            finest: match factor > 1.0 {
                true => schema.floor().clamp(f64::from(COARSEST), f64::from(FINEST)) as i8,
                false => FINEST,
            },
        }
    }

    /// Brings a histogram within these bounds.
    ///
    /// # Errors
    ///
    /// It has too many buckets at the coarsest resolution, too.
    pub(crate) fn fit(self, histogram: &mut NativeHistogram) -> Result<(), String> {
        // The store says what is wrong with others.
        if !is_sound(&histogram.positive_spans, &histogram.positive_counts)
            || !is_sound(&histogram.negative_spans, &histogram.negative_counts)
        {
            return Ok(());
        }
        let is_exponential = (COARSEST..=FINEST).contains(&histogram.schema);
        if is_exponential && histogram.schema > self.finest {
            coarsen(histogram, self.finest);
        }
        while self.buckets > 0 && buckets(histogram) > self.buckets {
            if !is_exponential || histogram.schema <= COARSEST {
                return Err(format!(
                    "{} buckets at the coarsest resolution, more than \
                     native_histogram_bucket_limit = {}",
                    buckets(histogram),
                    self.buckets
                ));
            }
            coarsen(histogram, histogram.schema - 1);
        }
        Ok(())
    }
}

/// Whether the spans are as long as there are counts, and ascend.
fn is_sound(spans: &[BucketSpan], counts: &[f64]) -> bool {
    let length: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    length == counts.len() as u64 && spans.iter().skip(1).all(|span| span.offset >= 0)
}

fn buckets(histogram: &NativeHistogram) -> usize {
    histogram.positive_counts.len() + histogram.negative_counts.len()
}

/// Unites buckets until the schema is this one, which is no finer than the histogram's own.
fn coarsen(histogram: &mut NativeHistogram, schema: i8) {
    let halvings = u32::from(histogram.schema.abs_diff(schema));
    for (spans, counts) in [
        (
            &mut histogram.positive_spans,
            &mut histogram.positive_counts,
        ),
        (
            &mut histogram.negative_spans,
            &mut histogram.negative_counts,
        ),
    ] {
        let mut united = BTreeMap::<i64, f64>::new();
        for (index, count) in indexed(spans, counts) {
            // Bucket `i` ends at the border `i`; each halving unites two neighbours.
            *united.entry(((index - 1) >> halvings) + 1).or_default() += count;
        }
        (*spans, *counts) = spans_of(united);
    }
    histogram.schema = schema;
}

#[cfg(test)]
mod tests {
    use model::histogram::CUSTOM_SCHEMA;

    use super::*;

    /// Four buckets that end at √2, 2, 2√2 and 4.
    fn histogram() -> NativeHistogram {
        NativeHistogram {
            schema: 1,
            count: 10.0,
            positive_spans: vec![BucketSpan {
                offset: 1,
                length: 4,
            }],
            positive_counts: vec![1.0, 2.0, 3.0, 4.0],
            ..NativeHistogram::default()
        }
    }

    #[test]
    fn a_factor_is_the_schema_of_prometheus_table() {
        for (factor, schema) in [
            (0.0, 8),
            (1.0, 8),
            (1.002, 8),
            (1.005, 7),
            (1.01, 6),
            (1.02, 5),
            (1.04, 4),
            (1.09, 3),
            (1.1, 2),
            (1.4, 1),
            (2.0, 0),
            (4.0, -1),
            (16.0, -2),
            (256.0, -3),
            (65_536.0, -4),
            (1e9, -4),
        ] {
            assert_eq!(Resolution::new(0, factor).finest, schema, "{factor}");
        }
    }

    #[test]
    fn buckets_are_united_until_they_fit() {
        for (limit, factor, schema, counts) in [
            (0, 0.0, 1, &[1.0, 2.0, 3.0, 4.0][..]),
            (4, 0.0, 1, &[1.0, 2.0, 3.0, 4.0]),
            (3, 0.0, 0, &[3.0, 7.0]),
            (1, 0.0, -1, &[10.0]),
            (0, 2.0, 0, &[3.0, 7.0]),
        ] {
            let mut found = histogram();
            Resolution::new(limit, factor).fit(&mut found).unwrap();
            assert_eq!(found.schema, schema, "{limit} {factor}");
            assert_eq!(found.positive_counts, counts, "{limit} {factor}");
            assert_eq!(found.positive_spans[0].offset, 1, "{limit} {factor}");
            assert_eq!(found.count, 10.0);
        }
    }

    #[test]
    fn what_cannot_be_united_is_refused() {
        let both = NativeHistogram {
            negative_spans: vec![BucketSpan {
                offset: 1,
                length: 1,
            }],
            negative_counts: vec![1.0],
            ..histogram()
        };
        let custom = NativeHistogram {
            schema: CUSTOM_SCHEMA,
            custom_values: vec![1.0, 2.0, 3.0, 4.0],
            ..histogram()
        };
        for mut refused in [both, custom] {
            let outcome = Resolution::new(1, 0.0).fit(&mut refused);
            let message = outcome.unwrap_err();
            let expected = "more than native_histogram_bucket_limit = 1";
            assert!(message.contains(expected), "{message}");
        }
    }
}
