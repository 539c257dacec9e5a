//! Work of one query that several tasks share.

use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::task::AbortOnDropHandle;

use super::pieces::internal;
use crate::error::StoreError;

/// Tasks that work on one query.
pub(super) const TASKS: usize = 2;

/// The results of `works` in their order; [`TASKS`] of them run at once. When nobody waits for
/// them any more they end.
///
/// # Errors
///
/// One of them panicked.
pub(super) async fn shared<W>(
    works: impl IntoIterator<Item = W>,
) -> Result<Vec<W::Output>, StoreError>
where
    W: Future + Send + 'static,
    W::Output: Send,
{
    let mut works = works.into_iter().peekable();
    let first = works.next();
    if works.peek().is_none() {
        // One alone needs no task of its own.
        return Ok(match first {
            Some(only) => vec![only.await],
            None => Vec::new(),
        });
    }
    stream::iter(first.into_iter().chain(works))
        .map(|work| AbortOnDropHandle::new(tokio::spawn(work)))
        .buffered(TASKS)
        .map_err(|err| internal("share a query's work", err))
        .try_collect()
        .await
}
