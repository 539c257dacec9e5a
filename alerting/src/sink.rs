//! Where rules write to: the samples of recording rules, `ALERTS` and `ALERTS_FOR_STATE`.

use async_trait::async_trait;
use model::SeriesSample;

/// Takes derived samples.
#[async_trait]
pub trait SampleSink: Send + Sync {
    /// Writes `samples`, stale markers ([`model::metric::stale_nan`]) among them.
    ///
    /// Returns once every later query sees them: the next rule of a group reads what the
    /// previous one wrote. At most one sample per series and call.
    ///
    /// # Errors
    ///
    /// [`SinkError`] when any sample may be missing; the evaluation then counts as failed.
    async fn write(&self, samples: Vec<SeriesSample>) -> Result<(), SinkError>;
}

/// Why derived samples were not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// Some samples were refused for good (too old, too many labels).
    #[error("{count} of the samples were rejected: {reason}")]
    Rejected {
        /// How many.
        count: usize,
        /// Why, for the first of them.
        reason: String,
    },
    /// The sink is full or down; the next iteration tries with newer samples.
    #[error("sample sink unavailable: {0}")]
    Unavailable(String),
}
