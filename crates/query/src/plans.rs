//! Plans over the logical table `logs`: one page of a search, a histogram.
//!
//! A plan begins at any input with the table's columns (the store's scan, a table in memory) and
//! is executed by whoever owns that input.

use std::fmt;
use std::str::FromStr;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::functions::expr_fn::{coalesce, octet_length};
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast, ident, lit,
};
use model::TimeRange;

use crate::schema::{self, BODY, Keys, LEVEL_NUMBER, SEQ, TIMESTAMP};

/// Which end of a time range comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// Descending (timestamp, seq).
    #[default]
    Newest,
    /// Ascending (timestamp, seq).
    Oldest,
}

/// The last row of a page, after which the next page begins.
///
/// It names a row, not a count, so pages neither repeat nor skip rows while data arrives. Prints
/// as `<timestamp>.<seq>`, both decimal; callers treat it as opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The row's time, Unix ns.
    pub timestamp: i64,
    /// The row's `seq` in its column's form.
    pub seq: i64,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor; pass on the one that the page before gave")]
pub struct InvalidCursor(pub String);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.timestamp, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let read = || {
            let (timestamp, seq) = text.split_once('.')?;
            Some(Self {
                timestamp: timestamp.parse().ok()?,
                seq: seq.parse().ok()?,
            })
        };
        read().ok_or_else(|| InvalidCursor(text.to_owned()))
    }
}

/// A question to the table `logs`, for whoever owns it to build, execute and stream.
#[derive(Debug, Clone)]
pub enum LogPlan {
    /// See [`log_search`].
    Search(SearchPlan),
    /// See [`log_histogram`].
    Histogram(HistogramPlan),
    /// See [`log_volume`].
    Volume(HistogramPlan),
    /// See [`log_distinct`].
    Distinct(DistinctPlan),
}

impl LogPlan {
    /// The attribute keys that the input's schema must hold.
    pub fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        match self {
            Self::Search(plan) => {
                keys.extend(Keys::of(&plan.filter));
                plan.columns.iter().for_each(|name| keys.add_column(name));
            }
            Self::Histogram(plan) | Self::Volume(plan) => {
                keys.extend(Keys::of(&plan.filter));
                plan.by
                    .iter()
                    .for_each(|value| keys.extend(Keys::of(value)));
            }
            Self::Distinct(plan) => {
                keys.extend(Keys::of(&plan.filter));
                plan.columns.iter().for_each(|name| keys.add_column(name));
            }
        }
        keys
    }

    /// The plan over `input`.
    ///
    /// # Errors
    ///
    /// A column that `input` lacks.
    pub fn build(self, input: LogicalPlan) -> Result<LogicalPlan> {
        match self {
            Self::Search(plan) => log_search(input, plan),
            Self::Histogram(plan) => log_histogram(input, plan),
            Self::Volume(plan) => log_volume(input, plan),
            Self::Distinct(plan) => log_distinct(input, plan),
        }
    }
}

/// One page of a search.
#[derive(Debug, Clone)]
pub struct SearchPlan {
    /// What must hold, from [`crate::search::compile`] or LogQL.
    pub filter: Expr,
    /// Rows with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// Which rows come first; `None` when the order does not matter.
    pub order: Option<Order>,
    /// At most this many rows.
    pub limit: Option<usize>,
    /// Only rows after this one, in the page's order.
    pub after: Option<Cursor>,
    /// The columns of the result, in this order; names of the logical table.
    pub columns: Vec<String>,
}

/// The plan of one page: filter, order by (timestamp, seq), limit, project.
///
/// # Errors
///
/// A column that `input` lacks.
pub fn log_search(input: LogicalPlan, search: SearchPlan) -> Result<LogicalPlan> {
    let mut filter = and_range(search.filter, search.range);
    if let Some(cursor) = search.after {
        filter = after(cursor, search.order.unwrap_or_default()).and(filter);
    }
    let filtered = LogicalPlanBuilder::new(input).filter(filter)?;
    let ordered = match search.order {
        Some(order) => {
            let ascending = order == Order::Oldest;
            let keys = [TIMESTAMP, SEQ].map(|column| ident(column).sort(ascending, false));
            filtered.sort_with_limit(keys, search.limit)?
        }
        None => filtered.limit(0, search.limit)?,
    };
    ordered
        .project(search.columns.into_iter().map(ident))?
        .build()
}

/// `filter` and the range's bounds; bounds that exclude nothing are left out.
pub fn and_range(filter: Expr, range: TimeRange) -> Expr {
    let mut filter = filter;
    if range.end != i64::MAX {
        filter = ident(TIMESTAMP).lt(schema::instant(range.end)).and(filter);
    }
    if range.start != i64::MIN {
        filter = ident(TIMESTAMP)
            .gt_eq(schema::instant(range.start))
            .and(filter);
    }
    filter
}

/// The rows behind the cursor. The comparison of times alone comes first: it prunes files.
fn after(cursor: Cursor, order: Order) -> Expr {
    let time = || ident(TIMESTAMP);
    let instant = || schema::instant(cursor.timestamp);
    match order {
        Order::Newest => time()
            .lt_eq(instant())
            .and(time().lt(instant()).or(ident(SEQ).lt(lit(cursor.seq)))),
        Order::Oldest => time()
            .gt_eq(instant())
            .and(time().gt(instant()).or(ident(SEQ).gt(lit(cursor.seq)))),
    }
}

/// Counts of matching rows over time.
#[derive(Debug, Clone)]
pub struct HistogramPlan {
    /// What must hold.
    pub filter: Expr,
    /// Rows with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// Where bucket 0 begins, Unix ns; at or before `range.start`.
    pub origin: i64,
    /// The width of a bucket, ns, positive.
    pub step: i64,
    /// The values to count by, from [`crate::search::group_value`].
    pub by: Vec<Expr>,
}

/// The plan of a histogram. Its columns: `bucket` (Int64, bucket k begins at `origin + k·step`),
/// `by_0`, `by_1`, … (text, null where a row lacks the value) and `count` (Int64); only buckets
/// that hold rows, in no order.
///
/// # Errors
///
/// A column that `input` lacks.
pub fn log_histogram(input: LogicalPlan, histogram: HistogramPlan) -> Result<LogicalPlan> {
    grouped(input, histogram, vec![rows()])
}

/// The plan of a histogram that knows sizes too: the columns of [`log_histogram`] and `bytes`
/// (Int64), the bytes of the rows' bodies.
///
/// # Errors
///
/// A column that `input` lacks.
pub fn log_volume(input: LogicalPlan, histogram: HistogramPlan) -> Result<LogicalPlan> {
    let bytes = cast(octet_length(ident(BODY)), DataType::Int64);
    let bytes = sum(coalesce(vec![bytes, lit(0_i64)])).alias("bytes");
    grouped(input, histogram, vec![rows(), bytes])
}

fn rows() -> Expr {
    count(lit(1_i64)).alias("count")
}

fn grouped(
    input: LogicalPlan,
    histogram: HistogramPlan,
    measures: Vec<Expr>,
) -> Result<LogicalPlan> {
    let filtered = LogicalPlanBuilder::new(input)
        .filter(and_range(histogram.filter, histogram.range))?
        .build()?;
    let time = cast(ident(TIMESTAMP), DataType::Int64);
    let bucket = (time - lit(histogram.origin)) / lit(histogram.step);
    let mut raw = vec![bucket.alias("bucket")];
    let mut named = vec![ident("bucket")];
    let mut has_level = false;
    for (index, value) in histogram.by.into_iter().enumerate() {
        let name = format!("by_{index}");
        let is_level = is_of_level(&value);
        let text = value
            .cast_to(&DataType::Utf8, filtered.schema())?
            .alias(&name);
        if !is_level {
            raw.push(text);
            named.push(ident(name));
            continue;
        }
        named.push(text);
        if !std::mem::replace(&mut has_level, true) {
            raw.push(ident(LEVEL_NUMBER));
        }
    }
    let totals: Vec<Expr> = measures.iter().map(total).collect();
    let counted = LogicalPlanBuilder::new(filtered).aggregate(raw, measures)?;
    match has_level {
        // Rows are counted by the number; only its few values become names.
        true => counted.aggregate(named, totals)?.build(),
        false => counted.build(),
    }
}

/// Whether a value is made of the record's level alone.
fn is_of_level(value: &Expr) -> bool {
    let columns = value.column_refs();
    !columns.is_empty() && columns.iter().all(|column| column.name == LEVEL_NUMBER)
}

/// What a measure of parts adds up to, under the measure's own name.
fn total(measure: &Expr) -> Expr {
    let (_, name) = measure.qualified_name();
    sum(ident(&name)).alias(name)
}

/// The combinations of values that matching rows have.
#[derive(Debug, Clone)]
pub struct DistinctPlan {
    /// What must hold.
    pub filter: Expr,
    /// Rows with `start <= timestamp < end`, Unix ns.
    pub range: TimeRange,
    /// The columns of the result, in this order.
    pub columns: Vec<String>,
}

/// The plan of distinct combinations, in no order.
///
/// # Errors
///
/// A column that `input` lacks.
pub fn log_distinct(input: LogicalPlan, distinct: DistinctPlan) -> Result<LogicalPlan> {
    LogicalPlanBuilder::new(input)
        .filter(and_range(distinct.filter, distinct.range))?
        .aggregate(distinct.columns.into_iter().map(ident), Vec::<Expr>::new())?
        .build()
}

/// A round width, ns, that cuts a range into at most `buckets` buckets, or one more when the
/// buckets are aligned to multiples of the width.
///
/// Round means 1, 2 or 5 times a power of ten up to 500 ms, then 1, 2, 5, 10, 15, 30 seconds and
/// minutes, 1, 2, 3, 6, 12 hours and whole days.
pub fn round_step(range: TimeRange, buckets: u32) -> i64 {
    const SECOND: i64 = model::time::NANOS_PER_SECOND;
    const ROUND: [i64; 17] = [
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        15 * SECOND,
        30 * SECOND,
        60 * SECOND,
        120 * SECOND,
        300 * SECOND,
        600 * SECOND,
        900 * SECOND,
        1_800 * SECOND,
        3_600 * SECOND,
        7_200 * SECOND,
        10_800 * SECOND,
        21_600 * SECOND,
        43_200 * SECOND,
    ];
    const DAY: i64 = 86_400 * SECOND;
    let length = range.end.saturating_sub(range.start).max(1);
    let exact =
        length / i64::from(buckets.max(1)) + i64::from(length % i64::from(buckets.max(1)) != 0);
    if exact <= SECOND / 2 {
        let mut power = 1;
        loop {
            for factor in [1, 2, 5] {
                if factor * power >= exact {
                    return factor * power;
                }
            }
            power *= 10;
        }
    }
    ROUND
        .into_iter()
        .find(|step| *step >= exact)
        .unwrap_or_else(|| {
            exact
                .div_euclid(DAY)
                .saturating_add(i64::from(exact % DAY != 0))
                .saturating_mul(DAY)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_are_round() {
        let second = model::time::NANOS_PER_SECOND;
        let cases = [
            (15 * 60 * second, 60, 15 * second),
            (3_600 * second, 60, 60 * second),
            (7 * 86_400 * second, 60, 10_800 * second),
            (400 * 86_400 * second, 60, 7 * 86_400 * second),
            (second, 60, 20_000_000),
            (1, 60, 1),
        ];
        for (length, buckets, step) in cases {
            assert_eq!(
                round_step(TimeRange::new(0, length), buckets),
                step,
                "{length} {buckets}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_step_covers_the_range(start in any::<i64>(), end in any::<i64>(), buckets in 0_u32..10_000) {
            let range = TimeRange::new(start, end);
            let step = round_step(range, buckets);
            prop_assert!(step > 0);
            let covered = i128::from(step) * i128::from(buckets.max(1));
            prop_assert!(covered >= i128::from(end.saturating_sub(start)));
        }

        #[test]
        fn cursors_survive_printing(timestamp in any::<i64>(), seq in any::<i64>()) {
            let cursor = Cursor { timestamp, seq };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }
}
