//! Sums and means of native histograms, number by number, however their buckets are laid out.
//!
//! Layouts are brought together first: exponential buckets at the coarser resolution, custom ones
//! between the borders that all histograms share, zero buckets at a width that cuts through no
//! populated bucket. Every number is summed with compensation.

use model::NativeHistogram;
use model::histogram::{ResetHint, indexed, shared_borders, spans_of};

use super::kahan::KahanSum;

/// Exponential and custom buckets, which have no borders in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Incompatible;

/// A bucket's index and what it counts.
type SummedBucket = (i64, KahanSum);

/// A running sum of histograms.
#[derive(Debug, Clone)]
pub(crate) struct HistogramSum {
    /// The layout, and the hint of the sum; its numbers are in the fields below.
    layout: NativeHistogram,
    zero_count: KahanSum,
    count: KahanSum,
    sum: KahanSum,
    /// Sorted by index.
    positive: Vec<SummedBucket>,
    /// Sorted by index.
    negative: Vec<SummedBucket>,
    saw_reset: bool,
    saw_no_reset: bool,
}

impl HistogramSum {
    /// A sum that begins with `first`.
    pub(crate) fn starting_at(first: &NativeHistogram) -> Self {
        let side = |spans, counts| {
            indexed(spans, counts)
                .map(|(index, count)| (index, KahanSum::starting_at(count)))
                .collect()
        };
        Self {
            layout: NativeHistogram {
                reset_hint: first.reset_hint,
                schema: first.schema,
                zero_threshold: first.zero_threshold,
                custom_values: first.custom_values.clone(),
                ..NativeHistogram::default()
            },
            zero_count: KahanSum::starting_at(first.zero_count),
            count: KahanSum::starting_at(first.count),
            sum: KahanSum::starting_at(first.sum),
            positive: side(&first.positive_spans, &first.positive_counts),
            negative: side(&first.negative_spans, &first.negative_counts),
            saw_reset: first.reset_hint == ResetHint::Reset,
            saw_no_reset: first.reset_hint == ResetHint::NotReset,
        }
    }

    /// Adds a histogram. Whether custom borders differed, so that only shared ones are left.
    pub(crate) fn add(&mut self, other: &NativeHistogram) -> Result<bool, Incompatible> {
        self.combine(other, |number| number)
    }

    /// Takes a histogram away. See [`HistogramSum::add`].
    pub(crate) fn subtract(&mut self, other: &NativeHistogram) -> Result<bool, Incompatible> {
        self.combine(other, |number| -number)
    }

    /// Whether one histogram told of a counter's reset and another that there was none.
    pub(crate) fn resets_conflict(&self) -> bool {
        self.saw_reset && self.saw_no_reset
    }

    /// Reduces the resolution of exponential buckets to `schema`, unless it is that coarse already.
    pub(crate) fn coarsen(&mut self, schema: i8) {
        if self.layout.has_custom_borders() || schema >= self.layout.schema {
            return;
        }
        let halvings = u32::from(self.layout.schema.abs_diff(schema));
        for side in [&mut self.positive, &mut self.negative] {
            // Bucket `i` ends at the border `i`; each halving unites two neighbours.
            regroup(side, |index| ((index - 1) >> halvings) + 1);
        }
        self.layout.schema = schema;
    }

    /// The sum as a histogram without empty buckets.
    pub(crate) fn finish(self) -> NativeHistogram {
        let totals = |side: Vec<SummedBucket>| {
            let totals = side
                .into_iter()
                .map(|(index, count)| (index, count.total()));
            spans_of(totals.filter(|(_, count)| *count != 0.0))
        };
        let (positive_spans, positive_counts) = totals(self.positive);
        let (negative_spans, negative_counts) = totals(self.negative);
        NativeHistogram {
            zero_count: self.zero_count.total(),
            count: self.count.total(),
            sum: self.sum.total(),
            positive_spans,
            positive_counts,
            negative_spans,
            negative_counts,
            ..self.layout
        }
    }

    fn combine(
        &mut self,
        other: &NativeHistogram,
        map: impl Fn(f64) -> f64 + Copy,
    ) -> Result<bool, Incompatible> {
        let custom = self.layout.has_custom_borders();
        if custom != other.has_custom_borders() {
            return Err(Incompatible);
        }
        let borders_differ = custom && self.layout.custom_values != other.custom_values;
        let same_layout = match custom {
            true => !borders_differ,
            false => {
                self.layout.schema == other.schema
                    && self.layout.zero_threshold == other.zero_threshold
            }
        };
        self.take_hint(other.reset_hint);
        self.count = self.count.add(map(other.count));
        self.sum = self.sum.add(map(other.sum));
        if same_layout {
            self.zero_count = self.zero_count.add(map(other.zero_count));
            let positive = indexed(&other.positive_spans, &other.positive_counts);
            merge(&mut self.positive, positive, map);
            let negative = indexed(&other.negative_spans, &other.negative_counts);
            merge(&mut self.negative, negative, map);
            return Ok(false);
        }
        let mut other = Self::starting_at(other);
        match custom {
            true => self.share_borders(&mut other),
            false => self.share_resolution(&mut other),
        }
        self.zero_count = self.zero_count.add(map(other.zero_count.total()));
        let plain = |side: Vec<SummedBucket>| {
            side.into_iter()
                .map(|(index, count)| (index, count.total()))
        };
        merge(&mut self.positive, plain(other.positive), map);
        merge(&mut self.negative, plain(other.negative), map);
        Ok(borders_differ)
    }

    fn take_hint(&mut self, hint: ResetHint) {
        self.saw_reset |= hint == ResetHint::Reset;
        self.saw_no_reset |= hint == ResetHint::NotReset;
        let mine = self.layout.reset_hint;
        self.layout.reset_hint = match (mine, hint) {
            (mine, other) if mine == other => mine,
            (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        };
    }

    /// Leaves both with the custom borders that both have.
    fn share_borders(&mut self, other: &mut Self) {
        let shared = shared_borders(&self.layout.custom_values, &other.layout.custom_values);
        for one in [self, other] {
            let borders = &one.layout.custom_values;
            regroup(&mut one.positive, |index| {
                let border = usize::try_from(index).ok().and_then(|at| borders.get(at));
                let behind = |end: f64| shared.partition_point(|shared| *shared < end);
                border.map_or(shared.len(), |border| behind(*border)) as i64
            });
            one.layout.custom_values.clone_from(&shared);
        }
    }

    /// Leaves both with the coarser resolution and zero buckets of one width.
    fn share_resolution(&mut self, other: &mut Self) {
        // Each widening may end at the border of a populated bucket, beyond the other's width.
        while self.layout.zero_threshold != other.layout.zero_threshold {
            let width = self.layout.zero_threshold.max(other.layout.zero_threshold);
            self.widen_zero_bucket(width);
            other.widen_zero_bucket(width);
            if width.is_nan() {
                break;
            }
        }
        let schema = self.layout.schema.min(other.layout.schema);
        self.coarsen(schema);
        other.coarsen(schema);
    }

    /// Moves what lies within `width` into the zero bucket, which ends behind any populated bucket
    /// that it would cut through.
    fn widen_zero_bucket(&mut self, width: f64) {
        if width <= self.layout.zero_threshold {
            return;
        }
        let mut width = width;
        let sides = [&self.positive, &self.negative];
        // Moving the border out for one side may have it cut through a bucket of the other.
        while let Some(end) = sides.iter().find_map(|side| self.cut_bucket(side, width)) {
            width = end;
        }
        self.layout.zero_threshold = width;
        let layout = &self.layout;
        for side in [&mut self.positive, &mut self.negative] {
            let within = |index: i64| layout.border(index - 1) < width;
            let kept = side.partition_point(|(index, _)| within(*index));
            for (_, count) in side.drain(..kept) {
                self.zero_count = self.zero_count.add(count.total());
            }
        }
    }

    /// Where the populated bucket ends that has `width` inside of it.
    fn cut_bucket(&self, side: &[SummedBucket], width: f64) -> Option<f64> {
        side.iter().find_map(|(index, count)| {
            let (low, high) = (self.layout.border(index - 1), self.layout.border(*index));
            let cut = count.total() != 0.0 && low < width && width < high;
            cut.then_some(high)
        })
    }

    fn for_each(&mut self, change: impl Fn(&mut KahanSum)) {
        for number in [&mut self.zero_count, &mut self.count, &mut self.sum] {
            change(number);
        }
        for side in [&mut self.positive, &mut self.negative] {
            side.iter_mut().for_each(|(_, count)| change(count));
        }
    }

    fn largest(&self) -> f64 {
        let fixed = [self.zero_count, self.count, self.sum];
        let buckets = self.positive.iter().chain(&self.negative);
        let numbers = fixed.into_iter().chain(buckets.map(|(_, count)| *count));
        numbers.map(|number| number.sum.abs()).fold(0.0, f64::max)
    }
}

/// Adds counts to the buckets of their indexes, which ascend; equal ones are one bucket.
fn merge(
    side: &mut Vec<SummedBucket>,
    counts: impl Iterator<Item = (i64, f64)>,
    map: impl Fn(f64) -> f64,
) {
    let mut at = 0;
    for (index, count) in counts {
        while side.get(at).is_some_and(|(known, _)| *known < index) {
            at += 1;
        }
        match side.get_mut(at) {
            Some((known, sum)) if *known == index => *sum = sum.add(map(count)),
            _ => side.insert(at, (index, KahanSum::starting_at(map(count)))),
        }
    }
}

/// Moves counts to new indexes, which ascend as the old ones do, and unites those that meet.
fn regroup(side: &mut Vec<SummedBucket>, place: impl Fn(i64) -> i64) {
    for (index, _) in side.iter_mut() {
        *index = place(*index);
    }
    side.dedup_by(|bucket, before| {
        let meet = bucket.0 == before.0;
        if meet {
            before.1 = before.1.add(bucket.1.sum).add(bucket.1.compensation);
        }
        meet
    });
}

/// A running mean of histograms: a plain sum divided at the end, or, once that could overflow, an
/// incremental mean, which cannot.
#[derive(Debug, Clone)]
pub(crate) struct HistogramMean {
    members: f64,
    state: HistogramSum,
    incremental: bool,
}

impl HistogramMean {
    /// The mean of one histogram.
    pub(crate) fn starting_at(first: &NativeHistogram) -> Self {
        Self {
            members: 1.0,
            state: HistogramSum::starting_at(first),
            incremental: false,
        }
    }

    /// Takes another histogram in. See [`HistogramSum::add`].
    pub(crate) fn add(&mut self, other: &NativeHistogram) -> Result<bool, Incompatible> {
        self.members += 1.0;
        if !self.incremental {
            let could_overflow = (self.state.largest() + largest_number(other)).is_infinite();
            if !could_overflow {
                return self.state.add(other);
            }
            self.incremental = true;
            let before = self.members - 1.0;
            // Divided rather than multiplied by the reciprocal, which would round twice.
            self.state
                .for_each(|number| *number = number.divided(before));
        }
        let members = self.members;
        let weight = (members - 1.0) / members;
        self.state
            .for_each(|number| *number = number.scaled(weight));
        self.state.combine(other, |number| number / members)
    }

    /// See [`HistogramSum::resets_conflict`].
    pub(crate) fn resets_conflict(&self) -> bool {
        self.state.resets_conflict()
    }

    /// The mean as a histogram without empty buckets.
    pub(crate) fn finish(mut self) -> NativeHistogram {
        if !self.incremental {
            let members = self.members;
            self.state
                .for_each(|number| *number = number.divided(members));
        }
        self.state.finish()
    }
}

fn largest_number(histogram: &NativeHistogram) -> f64 {
    let fixed = [histogram.zero_count, histogram.count, histogram.sum];
    let buckets = histogram
        .positive_counts
        .iter()
        .chain(&histogram.negative_counts);
    let numbers = fixed.iter().chain(buckets);
    numbers.map(|number| number.abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::{BucketSpan, CUSTOM_SCHEMA};
    use proptest::prelude::*;

    fn histogram(schema: i8, offset: i32, counts: &[f64]) -> NativeHistogram {
        NativeHistogram {
            schema,
            count: counts.iter().sum(),
            sum: 1.0,
            positive_spans: vec![BucketSpan {
                offset,
                length: counts.len() as u32,
            }],
            positive_counts: counts.to_vec(),
            ..NativeHistogram::default()
        }
    }

    fn sum(a: &NativeHistogram, b: &NativeHistogram) -> NativeHistogram {
        let mut sum = HistogramSum::starting_at(a);
        sum.add(b).unwrap();
        sum.finish()
    }

    #[test]
    fn zero_buckets_meet_behind_populated_buckets() {
        // The wider zero bucket ends inside of (0.5, 1].
        let wide = NativeHistogram {
            zero_threshold: 0.75,
            zero_count: 2.0,
            ..histogram(0, 1, &[4.0])
        };
        let narrow = NativeHistogram {
            zero_threshold: 0.25,
            zero_count: 1.0,
            ..histogram(0, -1, &[8.0, 16.0, 32.0])
        };
        for both in [sum(&wide, &narrow), sum(&narrow, &wide)] {
            assert_eq!(both.zero_threshold, 1.0);
            assert_eq!(both.zero_count, 2.0 + 1.0 + 8.0 + 16.0);
            assert_eq!(both.positive_counts, [4.0 + 32.0]);
        }
    }

    #[test]
    fn custom_buckets_keep_the_shared_borders() {
        let custom = |borders: &[f64], counts: &[f64]| NativeHistogram {
            custom_values: borders.to_vec(),
            ..histogram(CUSTOM_SCHEMA, 0, counts)
        };
        let both = sum(
            &custom(&[2.0, 4.0, 6.0], &[1.0, 2.0, 5.0, 7.0]),
            &custom(&[1.0, 2.0, 6.0], &[10.0, 20.0, 30.0, 40.0]),
        );
        assert_eq!(both.custom_values, [2.0, 6.0]);
        assert_eq!(both.positive_counts, [31.0, 37.0, 47.0]);
        let mut sum = HistogramSum::starting_at(&both);
        assert_eq!(sum.add(&histogram(0, 0, &[1.0])), Err(Incompatible));
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let huge = histogram(0, 0, &[f64::MAX]);
        let mut mean = HistogramMean::starting_at(&huge);
        for _ in 0..3 {
            mean.add(&huge).unwrap();
        }
        let mean = mean.finish();
        assert!((mean.count / f64::MAX - 1.0).abs() < 1e-15);
        assert!((mean.positive_counts[0] / f64::MAX - 1.0).abs() < 1e-15);
    }

    fn any_histogram() -> impl Strategy<Value = NativeHistogram> {
        let side = || proptest::collection::vec(0..100_u8, 0..8);
        (-2..4_i8, -6..6_i32, side(), side(), 0..3_u8, 0..50_u8).prop_map(
            |(schema, offset, positive, negative, zero, zero_count)| {
                let floats = |counts: Vec<u8>| counts.into_iter().map(f64::from).collect();
                let span = |counts: &Vec<u8>| {
                    vec![BucketSpan {
                        offset,
                        length: counts.len() as u32,
                    }]
                };
                NativeHistogram {
                    schema,
                    positive_spans: span(&positive),
                    negative_spans: span(&negative),
                    positive_counts: floats(positive),
                    negative_counts: floats(negative),
                    zero_threshold: f64::from(zero) / 2.0,
                    zero_count: f64::from(zero_count),
                    ..NativeHistogram::default()
                }
            },
        )
    }

    fn populated(histogram: &NativeHistogram) -> f64 {
        histogram.buckets().iter().map(|bucket| bucket.count).sum()
    }

    proptest! {
        #[test]
        fn no_observation_is_lost_whatever_the_layouts(a in any_histogram(), b in any_histogram()) {
            let both = sum(&a, &b);
            prop_assert_eq!(populated(&both), populated(&a) + populated(&b));
            prop_assert_eq!(both, sum(&b, &a));
        }

        #[test]
        fn taking_away_what_was_added_leaves_nothing(a in any_histogram(), b in any_histogram()) {
            let mut difference = HistogramSum::starting_at(&sum(&a, &b));
            difference.subtract(&a).unwrap();
            difference.subtract(&b).unwrap();
            prop_assert!(difference.finish().buckets().is_empty());
        }
    }
}
