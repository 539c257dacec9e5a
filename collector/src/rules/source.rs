//! Rules read and write the store of this process.

use std::time::Duration;

use alerting::{DataSource, QueryError, QueryResult, SampleSink, SinkError, VectorElement};
use async_trait::async_trait;
use model::metric::is_stale;
use model::{SampleValue, SeriesSample, TenantId};
use promql::{CancelFlag, ErrorKind, EvalError, EvalOptions, QueryValue};
use store::{IngestError, Store};

use crate::clock;

/// Answers rules' queries from the store.
pub(crate) struct StoreDataSource {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
    /// The longest a query may run.
    pub(crate) timeout: Duration,
    /// The step of subqueries that name none.
    pub(crate) evaluation_interval: Duration,
}

#[async_trait]
impl DataSource for StoreDataSource {
    async fn query(&self, query: &str, at: i64) -> Result<QueryResult, QueryError> {
        let expr = promql::parse(query).map_err(|err| QueryError::Invalid(err.to_string()))?;
        let cancel = CancelFlag::new();
        let options = EvalOptions {
            default_step_ms: i64::try_from(self.evaluation_interval.as_millis())
                .unwrap_or(i64::MAX),
            cancel: cancel.clone(),
            ..EvalOptions::default()
        };
        let source = crate::app::series(&self.store, &self.tenant);
        let evaluation = promql::instant(&expr, source.as_ref(), at, &options);
        match tokio::time::timeout(self.timeout, evaluation).await {
            Ok(Ok(result)) => vector(result.value),
            Ok(Err(err)) => Err(evaluation_error(&err)),
            Err(_) => {
                cancel.cancel();
                let seconds = self.timeout.as_secs_f64();
                Err(QueryError::Timeout(format!("no result after {seconds} s")))
            }
        }
    }
}

fn vector(value: QueryValue) -> Result<QueryResult, QueryError> {
    match value {
        QueryValue::Scalar { value, .. } => Ok(QueryResult::Scalar(value)),
        QueryValue::Vector(samples) => {
            let elements = samples.into_iter().filter_map(|sample| match sample.value {
                SampleValue::Float(value) if !is_stale(value) => Some(VectorElement {
                    labels: sample.labels,
                    value,
                }),
                // A rule compares numbers; a native histogram is none.
                SampleValue::Float(_) | SampleValue::Histogram(_) => None,
            });
            Ok(QueryResult::Vector(elements.collect()))
        }
        QueryValue::String { .. } | QueryValue::Matrix(_) => Err(QueryError::Invalid(
            "the result is neither a scalar nor an instant vector".to_owned(),
        )),
    }
}

/// An evaluation's error in the engine's terms.
fn evaluation_error(err: &EvalError) -> QueryError {
    let message = err.to_string();
    match err.kind() {
        ErrorKind::BadRequest => QueryError::Invalid(message),
        ErrorKind::Unavailable => QueryError::Unavailable(message),
        ErrorKind::Execution | ErrorKind::Limit | ErrorKind::Internal => {
            QueryError::Execution(message)
        }
    }
}

/// Writes rules' samples into the store.
pub(crate) struct StoreSampleSink {
    pub(crate) store: Store,
    pub(crate) tenant: TenantId,
}

#[async_trait]
impl SampleSink for StoreSampleSink {
    async fn write(&self, samples: Vec<SeriesSample>) -> Result<(), SinkError> {
        if samples.is_empty() {
            return Ok(());
        }
        let written = self
            .store
            .write_samples(&self.tenant, samples, clock::now())
            .await;
        match written {
            Ok(outcome) if outcome.rejected == 0 => Ok(()),
            Ok(outcome) => Err(SinkError::Rejected {
                count: usize::try_from(outcome.rejected).unwrap_or(usize::MAX),
                reason: outcome
                    .reasons
                    .first()
                    .map_or_else(String::new, |rejected| rejected.reason.to_string()),
            }),
            Err(err @ (IngestError::Malformed(_) | IngestError::TooManyItems { .. })) => {
                Err(SinkError::Rejected {
                    count: 0,
                    reason: err.to_string(),
                })
            }
            Err(err) => Err(SinkError::Unavailable(err.to_string())),
        }
    }
}
