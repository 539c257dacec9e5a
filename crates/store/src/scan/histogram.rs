//! Counts of log records over time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use model::log::severity_name;
use query::plans::{HistogramPlan, round_step};
use query::schema::{Keys, Table};
use query::search::{compile, group_value};
use query::severity::name_value;

use super::level_counts::{Grid, Levels, count_levels, first_number};
use super::matches::LogFilter;
use super::session::{QueryBounds, query_error, session, syntax_error, within};
use super::snapshot::Snapshot;
use super::stats::ScanStats;
use super::table::LogicalTable;
use crate::error::QueryError;
use crate::search::{HistogramBucket, HistogramPage, HistogramStep, LogHistogram};

/// More buckets than any screen has columns.
const MAX_BUCKETS: i128 = 11_000;

/// Counts matching records in buckets; relative times in the query count from `now`, Unix ns.
///
/// # Errors
///
/// A query that cannot be read, more than 11,000 buckets, or a bound that is met. Damage is no
/// error: the page says that it is partial.
pub async fn log_histogram(
    snapshot: Arc<Snapshot>,
    histogram: &LogHistogram,
    bounds: &QueryBounds,
    now: i64,
) -> Result<HistogramPage, QueryError> {
    let started = Instant::now();
    let filter = compile(&histogram.query, now).map_err(syntax_error)?;
    let by = histogram
        .by
        .iter()
        .map(|field| group_value(field))
        .collect::<Result<Vec<_>, _>>()
        .map_err(syntax_error)?;
    let grid = grid_of(histogram)?;
    let stats = Arc::new(ScanStats::default());
    let mut buckets = if by.iter().all(|value| *value == name_value()) {
        let filter = LogFilter::of(&filter, histogram.range, bounds)?;
        let counting = count_levels(&snapshot, &filter, grid, &stats);
        let counted = within(bounds.timeout, async { Ok(counting.await?) }).await?;
        of_levels(grid, &counted, by.len())
    } else {
        let mut keys = filter.keys;
        by.iter().for_each(|value| keys.extend(Keys::of(value)));
        let table = LogicalTable::new(Table::Logs, &keys, snapshot, Arc::clone(&stats)).tolerant();
        let groups = by.len();
        let plan = HistogramPlan {
            filter: filter.expr,
            range: histogram.range,
            origin: grid.origin,
            step: grid.step,
            by,
        };
        let counted = within(bounds.timeout, count(table, plan, bounds)).await?;
        of_groups(grid, &counted, groups)?
    };
    keep_largest(&mut buckets, histogram.groups);
    let warnings = stats.warnings();
    Ok(HistogramPage {
        step: Duration::from_nanos(grid.step.unsigned_abs()),
        buckets,
        partial: !warnings.is_empty(),
        warnings,
        stats: stats.read(started.elapsed()),
    })
}

async fn count(
    table: LogicalTable,
    plan: HistogramPlan,
    bounds: &QueryBounds,
) -> Result<Vec<RecordBatch>, QueryError> {
    let session = session(bounds)?;
    let source = provider_as_source(Arc::new(table));
    let input = LogicalPlanBuilder::scan(Table::Logs.name(), source, None)
        .and_then(LogicalPlanBuilder::build)
        .map_err(query_error)?;
    let plan = query::plans::log_histogram(input, plan).map_err(query_error)?;
    let frame = session
        .execute_logical_plan(plan)
        .await
        .map_err(query_error)?;
    frame.collect().await.map_err(query_error)
}

/// The buckets of a histogram's range.
fn grid_of(histogram: &LogHistogram) -> Result<Grid, QueryError> {
    let invalid = |message: String, hint: &str| QueryError::Invalid {
        message,
        hint: Some(hint.to_owned()),
        position: None,
    };
    let range = histogram.range;
    let step = match histogram.step {
        HistogramStep::Buckets(wanted) => round_step(range, wanted),
        HistogramStep::Width(width) => i64::try_from(width.as_nanos()).unwrap_or(i64::MAX),
    };
    if step <= 0 {
        return Err(invalid(
            "the step is 0".to_owned(),
            "expected a duration such as 30s or 5m",
        ));
    }
    if range.is_empty() {
        let origin = range.start;
        return Ok(Grid {
            origin,
            step,
            count: 0,
        });
    }
    // Aligned to multiples of the step, so that neighbouring ranges share their borders.
    let origin = range.start.div_euclid(step).saturating_mul(step);
    let length = i128::from(range.end) - i128::from(origin);
    let count = (length + i128::from(step) - 1) / i128::from(step);
    if count > MAX_BUCKETS {
        return Err(invalid(
            format!("the range has {count} buckets; at most {MAX_BUCKETS} are counted"),
            "choose a wider step or a shorter range",
        ));
    }
    Ok(Grid {
        origin,
        step,
        count: count as usize,
    })
}

fn empty_buckets(grid: Grid) -> Vec<HistogramBucket> {
    (0..grid.count)
        .map(|k| HistogramBucket {
            start: grid.start(k),
            ..HistogramBucket::default()
        })
        .collect()
}

/// The buckets of records counted by level, named as often as `groups` says.
fn of_levels(grid: Grid, counted: &[Levels], groups: usize) -> Vec<HistogramBucket> {
    let mut buckets = empty_buckets(grid);
    for (bucket, levels) in buckets.iter_mut().zip(counted) {
        for (level, count) in levels.iter().enumerate().filter(|(_, count)| **count > 0) {
            let name = vec![severity_name(first_number(level)); groups].join(",");
            *bucket.counts.entry(name).or_default() += count;
        }
    }
    buckets
}

/// The buckets of the plan's answer.
fn of_groups(
    grid: Grid,
    batches: &[RecordBatch],
    groups: usize,
) -> Result<Vec<HistogramBucket>, QueryError> {
    let mut buckets = empty_buckets(grid);
    let other = |what: &str| QueryError::Internal(format!("the histogram's plan has no {what}"));
    for batch in batches {
        let numbers = |name: &str| {
            batch
                .column_by_name(name)
                .and_then(|column| column.as_primitive_opt::<Int64Type>())
                .ok_or_else(|| other(name))
        };
        let (places, counts) = (numbers("bucket")?, numbers("count")?);
        for row in 0..batch.num_rows() {
            let mut names = Vec::with_capacity(groups);
            for group in 0..groups {
                let column = batch.column_by_name(&format!("by_{group}"));
                let texts = column
                    .and_then(|column| column.as_string_opt::<i32>())
                    .ok_or_else(|| other("groups"))?;
                names.push(if texts.is_valid(row) {
                    texts.value(row)
                } else {
                    ""
                });
            }
            let bucket = usize::try_from(places.value(row)).ok();
            let bucket = bucket.and_then(|bucket| buckets.get_mut(bucket));
            let count = counts.value(row).unsigned_abs();
            let bucket = bucket.ok_or_else(|| other("such bucket"))?;
            *bucket.counts.entry(names.join(",")).or_default() += count;
        }
    }
    Ok(buckets)
}

/// Keeps the groups with the most records over all buckets and adds the others up.
fn keep_largest(buckets: &mut [HistogramBucket], groups: usize) {
    let mut totals: HashMap<&str, u64> = HashMap::new();
    for (name, count) in buckets.iter().flat_map(|bucket| &bucket.counts) {
        *totals.entry(name).or_default() += count;
    }
    if totals.len() <= groups {
        return;
    }
    let mut totals: Vec<(&str, u64)> = totals.into_iter().collect();
    totals.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    totals.truncate(groups);
    let kept: HashSet<String> = totals
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .collect();
    for bucket in buckets {
        let HistogramBucket { counts, other, .. } = bucket;
        counts.retain(|name, count| {
            let is_kept = kept.contains(name);
            if !is_kept {
                *other += *count;
            }
            is_kept
        });
    }
}
