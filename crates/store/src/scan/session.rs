//! The DataFusion session of one query, and its errors as ours.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use query::error::SyntaxError;
use regex::Regex;

use super::group_counts::CountGroups;
use super::tasks::TASKS;
use super::top::PushDownTop;
use crate::error::{Position, QueryError, StoreError};

/// Bounds of one query.
#[derive(Debug, Clone, Copy)]
pub struct QueryBounds {
    /// The longest it may run.
    pub timeout: Duration,
    /// Memory that its joins, sorts and groups may take, bytes.
    pub memory_bytes: usize,
}

/// What all sessions have in common: registering hundreds of functions costs more than many a query.
static TEMPLATE: LazyLock<SessionState> = LazyLock::new(|| {
    let config = SessionConfig::new()
        .with_target_partitions(TASKS)
        .with_information_schema(false);
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(PushDownTop))
        .with_physical_optimizer_rule(Arc::new(CountGroups))
        .build();
    let context = SessionContext::new_with_state(state);
    for function in query::functions::all() {
        context.register_udf(function.as_ref().clone());
    }
    context.state()
});

/// DataFusion's words for a table that it does not know.
static UNKNOWN_TABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^table '.*' not found$").expect("the pattern is valid"));

/// A session with our functions, a memory pool of its own and nowhere to spill to.
pub(super) fn session(bounds: &QueryBounds) -> Result<SessionContext, QueryError> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(bounds.memory_bytes)))
        .with_disk_manager_builder(disk)
        .build_arc()
        .map_err(query_error)?;
    // Tables are registered in the catalog, so that every session has one of its own.
    let config = TEMPLATE.config().clone();
    let state = SessionStateBuilder::new_from_existing(TEMPLATE.clone())
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .with_config(config.with_create_default_catalog_and_schema(true))
        .with_runtime_env(runtime)
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Runs a query for as long as it may.
pub(super) async fn within<T>(
    timeout: Duration,
    query: impl Future<Output = Result<T, QueryError>>,
) -> Result<T, QueryError> {
    match tokio::time::timeout(timeout, query).await {
        Ok(result) => result,
        Err(_) => Err(QueryError::Timeout(timeout)),
    }
}

/// A query that cannot be read.
pub(super) fn syntax_error(err: SyntaxError) -> QueryError {
    QueryError::Invalid {
        message: err.message,
        hint: err.hint,
        position: Some(Position {
            offset: err.span.offset,
            length: err.span.length,
        }),
    }
}

/// DataFusion's error as ours: what the query caused, what it ran into, and what we did wrong.
pub(super) fn query_error(err: DataFusionError) -> QueryError {
    let invalid = |message: String| QueryError::Invalid {
        hint: UNKNOWN_TABLE
            .is_match(&message)
            .then(|| "the tables are logs and spans".to_owned()),
        // The only catalog and schema of a session are of no interest.
        message: message.replace("datafusion.public.", ""),
        position: None,
    };
    match err.find_root() {
        DataFusionError::ResourcesExhausted(message) => QueryError::LimitExceeded(format!(
            "the query needs more memory than it may: {message}"
        )),
        DataFusionError::External(source) => match source.downcast_ref::<StoreError>() {
            Some(StoreError::Damaged {
                file,
                offset,
                message,
            }) => QueryError::Store(StoreError::Damaged {
                file: file.clone(),
                offset: *offset,
                message: message.clone(),
            }),
            _ => QueryError::Internal(source.to_string()),
        },
        DataFusionError::Internal(message) => QueryError::Internal(message.clone()),
        DataFusionError::Plan(message) | DataFusionError::Execution(message) => {
            invalid(message.clone())
        }
        // Arithmetic and casts that fail on a value of the query's own making.
        other => invalid(other.strip_backtrace()),
    }
}
