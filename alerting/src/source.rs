//! Where rules read from: instant PromQL queries.

use async_trait::async_trait;
use model::Labels;

/// Answers instant queries: Watchkeeper's own store, or any Prometheus-compatible server.
#[async_trait]
pub trait DataSource: Send + Sync {
    /// The result of the PromQL text `query` at `at` (Unix ms).
    ///
    /// Only what was written before the call needs to be seen; a sample whose
    /// [`SampleSink::write`](crate::SampleSink::write) has returned must be.
    ///
    /// # Errors
    ///
    /// [`QueryError`] says whether trying again can help. There are no partial results.
    async fn query(&self, query: &str, at: i64) -> Result<QueryResult, QueryError>;
}

/// What an instant query yields to a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryResult {
    /// A number without labels.
    Scalar(f64),
    /// One value per series, in the order the engine gave them.
    Vector(Vec<VectorElement>),
}

/// One series' value at the time of the query.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorElement {
    /// The series' labels; `__name__` is present when the expression kept it.
    pub labels: Labels,
    /// Its value; NaN and infinities included, stale markers never.
    pub value: f64,
}

/// Why a query has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is no PromQL, or its result is neither scalar nor instant vector.
    #[error("invalid query: {0}")]
    Invalid(String),
    /// The query was refused or failed while it ran, and would fail again.
    #[error("query failed: {0}")]
    Execution(String),
    /// The query took longer than it may.
    #[error("query timed out: {0}")]
    Timeout(String),
    /// The source cannot be reached or is not ready.
    #[error("data source unavailable: {0}")]
    Unavailable(String),
}
