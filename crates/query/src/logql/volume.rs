//! How much there is of which streams: sizes by label, sizes over time, and what a query would
//! have to read.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::exec_datafusion_err;
use datafusion::logical_expr::{Expr, ident};
use futures::StreamExt as _;
use model::{Labels, TimeRange};

use crate::logql::answer::{Answer, MatrixSeries, Stats, VectorSample};
use crate::logql::ast::LabelMatcher;
use crate::logql::evaluate::{Limits, LogQlError, LogSource, Outcome};
use crate::logql::pushdown::{self, stream_column};
use crate::logql::streams::{self, read_selector};
use crate::plans::{HistogramPlan, LogPlan, SearchPlan};
use crate::schema::BODY;

/// Lines whose sizes stand for those of all others in [`index_stats`].
const SAMPLED_LINES: usize = 1_000;

/// A question for volumes.
#[derive(Debug, Clone)]
pub struct VolumeRequest<'a> {
    /// A selector.
    pub query: &'a str,
    /// The lines that count, `start <= t < end`.
    pub range: TimeRange,
    /// The distance of steps, ns, positive; `None` for one number over the whole range.
    pub step: Option<i64>,
    /// The labels that matter; when there are none, those that the selector names.
    pub labels: Vec<String>,
    /// At most this many, the largest.
    pub limit: usize,
}

/// The bytes of lines by stream labels, the largest first: a vector, or with a step a matrix whose
/// samples lie where their steps begin.
///
/// # Errors
///
/// A `query` that is no selector, too many steps or series, or a source that fails.
pub async fn volume(
    source: &impl LogSource,
    request: &VolumeRequest<'_>,
    limits: Limits,
) -> Result<Outcome, LogQlError> {
    let matchers = read_selector(request.query)?;
    let names = match request.labels.is_empty() {
        true => named(&matchers),
        false => request.labels.clone(),
    };
    let range = request.range;
    let length = range.end.saturating_sub(range.start).max(1);
    let step = request.step.unwrap_or(length);
    if step <= 0 || (length / step) as usize >= limits.max_steps {
        return Err(LogQlError::Invalid(format!(
            "a step of {step} ns gives more than {} steps; try a larger step or a shorter range",
            limits.max_steps
        )));
    }
    let sizes = sizes(source, &matchers, &names, range, step, limits).await?;
    let mut volumes: BTreeMap<Labels, BTreeMap<i64, f64>> = BTreeMap::new();
    let mut stats = Stats::default();
    for Size {
        bucket,
        labels,
        lines,
        bytes,
    } in sizes
    {
        stats.lines += u64::try_from(lines).unwrap_or(0);
        stats.bytes += u64::try_from(bytes).unwrap_or(0);
        *volumes
            .entry(labels)
            .or_default()
            .entry(bucket)
            .or_default() += bytes as f64;
    }
    let mut volumes: Vec<_> = volumes.into_iter().collect();
    let total = |buckets: &BTreeMap<i64, f64>| buckets.values().sum::<f64>();
    volumes.sort_by(|(_, a), (_, b)| total(b).total_cmp(&total(a)));
    volumes.truncate(request.limit);
    let answer = match request.step {
        None => Answer::Vector(
            volumes
                .into_iter()
                .map(|(labels, buckets)| VectorSample {
                    labels,
                    timestamp: range.end,
                    value: total(&buckets),
                })
                .collect(),
        ),
        Some(step) => Answer::Matrix(
            volumes
                .into_iter()
                .map(|(labels, buckets)| MatrixSeries {
                    labels,
                    samples: buckets
                        .into_iter()
                        .map(|(bucket, bytes)| (range.start.saturating_add(bucket * step), bytes))
                        .collect(),
                })
                .collect(),
        ),
    };
    Ok(Outcome { answer, stats })
}

/// What a selector would have to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct IndexStats {
    /// Streams, told apart by their whole resource.
    pub streams: u64,
    /// As many: there are no chunks here.
    pub chunks: u64,
    /// Lines.
    pub entries: u64,
    /// Their bytes, estimated from the sizes of some of them.
    pub bytes: u64,
}

/// What a selector would have to read in a range.
///
/// # Errors
///
/// A `query` that is no selector, or a source that fails.
pub async fn index_stats(
    source: &impl LogSource,
    query: &str,
    range: TimeRange,
    limits: Limits,
) -> Result<IndexStats, LogQlError> {
    let matchers = read_selector(query)?;
    let plan = LogPlan::Histogram(HistogramPlan {
        filter: pushdown::selector(&matchers),
        range,
        origin: range.start,
        step: range.end.saturating_sub(range.start).max(1),
        by: streams::columns().into_iter().map(ident).collect(),
    });
    let mut batches = source.execute(plan).await?;
    let mut stats = IndexStats::default();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        stats.streams += batch.num_rows() as u64;
        let counts = batch.column_by_name("count");
        if let Some(counts) = counts.and_then(|counts| counts.as_primitive_opt::<Int64Type>()) {
            let counts = counts.iter().flatten();
            stats.entries += counts.map(|count| count as u64).sum::<u64>();
        }
        if stats.streams as usize > limits.max_series {
            break;
        }
    }
    stats.chunks = stats.streams;
    if stats.entries > 0 {
        let size = mean_size(source, &matchers, range).await?;
        stats.bytes = (stats.entries as f64 * size) as u64;
    }
    Ok(stats)
}

/// The mean size of some of the lines, bytes.
async fn mean_size(
    source: &impl LogSource,
    matchers: &[LabelMatcher],
    range: TimeRange,
) -> Result<f64, LogQlError> {
    let plan = LogPlan::Search(SearchPlan {
        filter: pushdown::selector(matchers),
        range,
        order: None,
        limit: Some(SAMPLED_LINES),
        after: None,
        columns: vec![BODY.to_owned()],
    });
    let mut batches = source.execute(plan).await?;
    let (mut lines, mut bytes) = (0, 0);
    while let Some(batch) = batches.next().await {
        let texts = cast(batch?.column(0), &DataType::Utf8).map_err(streams::datafusion_error)?;
        lines += texts.len();
        bytes += texts
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(str::len)
            .sum::<usize>();
    }
    Ok(bytes as f64 / lines.max(1) as f64)
}

/// The labels that a selector names, each once.
fn named(matchers: &[LabelMatcher]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for matcher in matchers {
        if !names.contains(&matcher.name) {
            names.push(matcher.name.clone());
        }
    }
    names
}

/// The lines of one label set in one bucket of time.
struct Size {
    bucket: i64,
    labels: Labels,
    lines: i64,
    bytes: i64,
}

async fn sizes(
    source: &impl LogSource,
    matchers: &[LabelMatcher],
    names: &[String],
    range: TimeRange,
    step: i64,
    limits: Limits,
) -> Result<Vec<Size>, LogQlError> {
    // A label that no stream has is absent everywhere.
    let columns: Vec<(&String, Expr)> = names
        .iter()
        .filter_map(|name| Some((name, ident(stream_column(name)?))))
        .collect();
    let plan = LogPlan::Volume(HistogramPlan {
        filter: pushdown::selector(matchers),
        range,
        origin: range.start,
        step,
        by: columns.iter().map(|(_, column)| column.clone()).collect(),
    });
    let mut batches = source.execute(plan).await?;
    let mut sizes = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let numbers = |name: &str| {
            batch
                .column_by_name(name)
                .and_then(|column| column.as_primitive_opt::<Int64Type>())
                .ok_or_else(|| exec_datafusion_err!("a volume without the column {name}"))
        };
        let (buckets, counts, bytes) = (numbers("bucket")?, numbers("count")?, numbers("bytes")?);
        let mut texts = Vec::with_capacity(columns.len());
        for index in 0..columns.len() {
            let column = batch
                .column_by_name(&format!("by_{index}"))
                .ok_or_else(|| exec_datafusion_err!("a volume without its label {index}"))?;
            texts.push(cast(column, &DataType::Utf8).map_err(streams::datafusion_error)?);
        }
        for row in 0..batch.num_rows() {
            let pairs = columns.iter().zip(&texts).filter_map(|((name, _), texts)| {
                let texts = texts.as_string::<i32>();
                texts
                    .is_valid(row)
                    .then(|| (name.as_str(), texts.value(row)))
            });
            sizes.push(Size {
                bucket: buckets.value(row),
                labels: Labels::new(pairs),
                lines: counts.value(row),
                bytes: bytes.value(row),
            });
        }
        if sizes.len() > limits.max_series {
            return Err(LogQlError::LimitExceeded(format!(
                "maximum of series ({}) reached for a single query; name fewer labels or select less",
                limits.max_series
            )));
        }
    }
    Ok(sizes)
}
