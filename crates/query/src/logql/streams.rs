//! Look-ups of stream labels and streams, as label browsers and variables ask for them.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use futures::StreamExt as _;
use model::{Labels, TimeRange, stream};

use crate::logql::ast::LabelMatcher;
use crate::logql::evaluate::{LogQlError, LogSource};
use crate::logql::labels::{SERVICE_NAME, json_entries};
use crate::logql::parser::parse_selector;
use crate::logql::pushdown::{self, stream_column};
use crate::plans::{DistinctPlan, LogPlan};
use crate::schema::{RESOURCE, SERVICE};

/// The names of stream labels that lines of the range have, sorted.
///
/// # Errors
///
/// A `query` that is no selector, or a source that fails.
pub async fn label_names(
    source: &impl LogSource,
    query: Option<&str>,
    range: TimeRange,
) -> Result<Vec<String>, LogQlError> {
    let found = streams(source, &selector(query)?, range).await?;
    let names: BTreeSet<&str> = found
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name))
        .collect();
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The values of a stream label in the range, sorted; none for any other label.
///
/// # Errors
///
/// A `query` that is no selector, or a source that fails.
pub async fn label_values(
    source: &impl LogSource,
    name: &str,
    query: Option<&str>,
    range: TimeRange,
) -> Result<Vec<String>, LogQlError> {
    let matchers = selector(query)?;
    let Some(column) = stream_column(name) else {
        return Ok(Vec::new());
    };
    let mut values = BTreeSet::new();
    for batch in distinct(source, &matchers, range, vec![column]).await? {
        let texts = cast(batch.column(0), &DataType::Utf8).map_err(datafusion_error)?;
        let texts = texts.as_string::<i32>().clone();
        let present = texts.iter().flatten().filter(|text| !text.is_empty());
        values.extend(present.map(str::to_owned));
    }
    Ok(values.into_iter().collect())
}

/// The streams that any of the selectors matches in the range, sorted; without selectors, all.
///
/// # Errors
///
/// A selector that cannot be read, or a source that fails.
pub async fn series(
    source: &impl LogSource,
    selectors: &[&str],
    range: TimeRange,
) -> Result<Vec<Labels>, LogQlError> {
    let mut found = BTreeSet::new();
    if selectors.is_empty() {
        found = streams(source, &[], range).await?;
    }
    for query in selectors {
        found.extend(streams(source, &read_selector(query)?, range).await?);
    }
    Ok(found.into_iter().collect())
}

/// How many values each stream label has in the range, by label.
///
/// # Errors
///
/// A `query` that is no selector, or a source that fails.
pub async fn detected_labels(
    source: &impl LogSource,
    query: Option<&str>,
    range: TimeRange,
) -> Result<BTreeMap<String, usize>, LogQlError> {
    let found = streams(source, &selector(query)?, range).await?;
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in found.iter().flat_map(Labels::iter) {
        values.entry(name).or_default().insert(value);
    }
    Ok(values
        .into_iter()
        .map(|(name, values)| (name.to_owned(), values.len()))
        .collect())
}

fn selector(query: Option<&str>) -> Result<Vec<LabelMatcher>, LogQlError> {
    match query {
        Some(query) if !query.trim().is_empty() => read_selector(query),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn read_selector(query: &str) -> Result<Vec<LabelMatcher>, LogQlError> {
    parse_selector(query).map_err(|error| LogQlError::syntax(query, error))
}

/// The columns that tell one stream from another.
pub(super) fn columns() -> Vec<String> {
    vec![SERVICE.to_owned(), RESOURCE.to_owned()]
}

pub(super) async fn streams(
    source: &impl LogSource,
    matchers: &[LabelMatcher],
    range: TimeRange,
) -> Result<BTreeSet<Labels>, LogQlError> {
    let mut found = BTreeSet::new();
    for batch in distinct(source, matchers, range, columns()).await? {
        let text = |column: usize| {
            let texts = cast(batch.column(column), &DataType::Utf8).map_err(datafusion_error)?;
            Ok::<_, LogQlError>(texts.as_string::<i32>().clone())
        };
        for (service, resource) in text(0)?.iter().zip(&text(1)?) {
            let entries = json_entries(resource.unwrap_or("{}")).map_err(LogQlError::Execution)?;
            let of_resource = entries.iter().filter_map(|(key, value)| {
                let label = stream::label_of_key(key)?;
                (label != SERVICE_NAME && !value.is_empty()).then_some((label, value.as_str()))
            });
            let of_service = service.map(|service| (SERVICE_NAME, service));
            found.insert(Labels::new(of_service.into_iter().chain(of_resource)));
        }
    }
    Ok(found)
}

async fn distinct(
    source: &impl LogSource,
    matchers: &[LabelMatcher],
    range: TimeRange,
    columns: Vec<String>,
) -> Result<Vec<RecordBatch>, LogQlError> {
    let plan = LogPlan::Distinct(DistinctPlan {
        filter: pushdown::selector(matchers),
        range,
        columns,
    });
    let mut stream = source.execute(plan).await?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}

pub(super) fn datafusion_error(error: datafusion::arrow::error::ArrowError) -> LogQlError {
    LogQlError::Execution(error.into())
}
