//! How many queries run at once, and how long one may take.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Semaphore;

/// Lets a bounded number of queries run; the others wait for their turn, within their own timeout.
pub(crate) struct QueryGate {
    running: Semaphore,
    timeout: Duration,
}

/// A query did not get its turn or did not end within the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut(pub(crate) Duration);

impl QueryGate {
    pub(crate) fn new(concurrent: usize, timeout: Duration) -> Self {
        Self {
            running: Semaphore::new(concurrent),
            timeout,
        }
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
        let timeout = shorter.map_or(self.timeout, |shorter| shorter.min(self.timeout));
        let turn = async {
            // The semaphore is never closed, so waiting can only succeed.
            let _turn = self.running.acquire().await.ok();
            query.await
        };
        tokio::time::timeout(timeout, turn)
            .await
            .map_err(|_| TimedOut(timeout))
    }
}
