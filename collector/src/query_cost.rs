//! How many queries run at once, and how long one may take.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::self_metrics::{QUERIES, QUERIES_RUNNING};

/// Lets a bounded number of queries run; the others wait for their turn, within their own timeout.
///
/// Dropping the future of a query stops its work: a client that goes away cancels what it asked
/// for. The metrics [`QUERIES_RUNNING`] and [`QUERIES`] show it.
pub(crate) struct QueryGate {
    running: Arc<Semaphore>,
    timeout: Duration,
}

/// A query's turn: while it is held, the query counts as running.
pub(crate) struct Turn {
    _running: Running,
    /// Always there: the semaphore is never closed.
    _permit: Option<OwnedSemaphorePermit>,
}

/// A query did not get its turn or did not end within the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut(pub(crate) Duration);

impl QueryGate {
    pub(crate) fn new(concurrent: usize, timeout: Duration) -> Self {
        Self {
            running: Arc::new(Semaphore::new(concurrent)),
            timeout,
        }
    }

    /// The longest a query may take, waiting included.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs `query` within the timeout, or within `shorter` when the client asks for less.
    ///
    /// # Errors
    ///
    /// [`TimedOut`]; the query's future is dropped then, which stops its work.
    pub(crate) async fn run<T>(
        &self,
        shorter: Option<Duration>,
        query: impl Future<Output = T>,
    ) -> Result<T, TimedOut> {
        let (result, _turn) = self.hold(shorter, query).await?;
        Ok(result)
    }

    /// As [`QueryGate::run`], and the turn goes on after the query: for results that are large
    /// and are still to be sent.
    ///
    /// # Errors
    ///
    /// As [`QueryGate::run`].
    pub(crate) async fn hold<T>(
        &self,
        shorter: Option<Duration>,
        query: impl Future<Output = T>,
    ) -> Result<(T, Turn), TimedOut> {
        let timeout = shorter.map_or(self.timeout, |shorter| shorter.min(self.timeout));
        let mut end = End("cancelled");
        let turn = async {
            let permit = Arc::clone(&self.running).acquire_owned().await.ok();
            let turn = Turn {
                _running: Running::begin(),
                _permit: permit,
            };
            (query.await, turn)
        };
        let result = if timeout.is_zero() {
            // The timer would let through what ends before its first tick.
            None
        } else {
            tokio::time::timeout(timeout, turn).await.ok()
        };
        end.0 = match result {
            Some(_) => "finished",
            None => "timed_out",
        };
        result.ok_or(TimedOut(timeout))
    }
}

/// Counts a query that runs for as long as it does.
struct Running;

impl Running {
    fn begin() -> Self {
        metrics::gauge!(QUERIES_RUNNING).increment(1.0);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!(QUERIES_RUNNING).decrement(1.0);
    }
}

/// Counts how a query ended, also when its future is dropped in the middle.
struct End(&'static str);

impl Drop for End {
    fn drop(&mut self) {
        metrics::counter!(QUERIES, "end" => self.0).increment(1);
    }
}
