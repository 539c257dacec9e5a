//! Patterns of a query's lines and how often each occurs over time, as Logs Drilldown draws them.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use model::TimeRange;
use model::time::NANOS_PER_SECOND;
use serde::Serialize;

use crate::logql::evaluate::{Limits, LogQlError, LogQuery, LogSource};
use crate::logql::gather::referenced;
use crate::logql::labels::{Lines, Needs};
use crate::logql::pushdown::Pushdown;
use crate::patterns::{Merge, PatternMiner};
use crate::plans::{LogPlan, SearchPlan};

/// Lines that are all looked at.
const ALL_OF: u64 = 100_000;
/// Past them one of 2, of 4, of 8 … is looked at, this many of each.
const SAMPLE_OF: u64 = 50_000;

/// A pattern with how often its lines occur.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PatternSeries {
    /// The text, with `<_>` for what varies: a line filter `|>` of it finds the lines.
    pub pattern: String,
    /// When a step begins (Unix s), and how many lines lie in it; ascending, none that is empty.
    pub samples: Vec<(i64, u64)>,
}

/// Lines of one pattern by the step that they lie in.
#[derive(Debug, Default)]
struct Steps(BTreeMap<i64, u64>);

impl Merge for Steps {
    fn merge(&mut self, other: Self) {
        for (step, count) in other.0 {
            *self.0.entry(step).or_default() += count;
        }
    }
}

/// The `limit` most frequent patterns of a log query's lines in `range`, the most frequent first,
/// counted in steps of `step` ns. Of very many lines a part is looked at, and counts are scaled.
///
/// # Errors
///
/// A `query` that is no log query, too many steps, or a source that fails.
pub async fn patterns(
    source: &impl LogSource,
    query: &str,
    range: TimeRange,
    step: i64,
    limit: usize,
    limits: Limits,
) -> Result<Vec<PatternSeries>, LogQlError> {
    let query = LogQuery::read(query)?;
    let length = range.end.saturating_sub(range.start);
    if step <= 0 || length / step >= i64::try_from(limits.max_steps).unwrap_or(i64::MAX) {
        return Err(LogQlError::Invalid(format!(
            "a step of {step} ns gives more than {} steps; try a larger step or a shorter range",
            limits.max_steps
        )));
    }
    let (Pushdown { filter, stages }, pipeline) = query.compile()?;
    let needs = referenced(&stages, &[]).map_or(Needs::All, Needs::Names);
    let plan = LogPlan::Search(SearchPlan {
        filter,
        range,
        order: None,
        limit: None,
        after: None,
        columns: needs.columns(true),
    });
    let mut batches = source.execute(plan).await?;
    let mut miner: PatternMiner<Steps> = PatternMiner::new();
    let (mut seen, mut read) = (0_u64, 0_u64);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let mut lines = Lines::new(&batch, &needs)?;
        for row in 0..lines.len() {
            let weight = match read.checked_sub(ALL_OF) {
                None => 1,
                Some(over) => 2 << (over / SAMPLE_OF).min(32),
            };
            seen += 1;
            if seen % weight != 0 {
                continue;
            }
            read += 1;
            let timestamp = lines.timestamp(row);
            let mut labels = lines.labels(row)?;
            let Some(passed) = pipeline.run(timestamp, lines.line(row), &mut labels) else {
                continue;
            };
            if let Some(Steps(steps)) = miner.add(&passed.line) {
                let step = timestamp.div_euclid(step) * step;
                *steps.entry(step).or_default() += weight;
            }
        }
    }
    let mut found = miner.finish();
    let total = |steps: &Steps| steps.0.values().sum::<u64>();
    found.sort_by_key(|pattern| std::cmp::Reverse(total(&pattern.kept)));
    found.truncate(limit);
    Ok(found
        .into_iter()
        .map(|pattern| PatternSeries {
            pattern: pattern.text,
            samples: pattern
                .kept
                .0
                .into_iter()
                .map(|(step, count)| (step.div_euclid(NANOS_PER_SECOND), count))
                .collect(),
        })
        .collect())
}
