//! Deleting what is too old: whole split files, never rows.
//!
//! A split whose newest row has passed the retention is hidden in the catalog first and its file
//! removed after a grace that is longer than the longest query.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::object_store::path::Path;
use model::Signal;

use crate::catalog::{Catalog, DeletedSplit};
use crate::config::Retention;
use crate::error::StoreError;
use crate::objects::LocalObjects;

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Hides splits that have passed their retention at `now` (Unix ns); how many.
///
/// # Errors
///
/// The catalog failed.
pub async fn expire(
    catalog: &dyn Catalog,
    retention: &Retention,
    now: i64,
) -> Result<usize, StoreError> {
    let mut expired = 0;
    for signal in Signal::ALL {
        let before = now.saturating_sub(nanos(retention.of(signal)));
        expired += catalog.expire(signal, before, now).await?.len();
    }
    Ok(expired)
}

/// Removes the files of splits that were hidden longer than the grace ago, and says which.
///
/// # Errors
///
/// The catalog failed or a file cannot be removed; it stays listed for the next time.
pub async fn sweep(
    catalog: &dyn Catalog,
    objects: &LocalObjects,
    grace: Duration,
    now: i64,
) -> Result<Vec<DeletedSplit>, StoreError> {
    let deleted = catalog
        .deleted_before(now.saturating_sub(nanos(grace)))
        .await?;
    let mut swept = Vec::with_capacity(deleted.len());
    for split in deleted {
        let (objects, key) = (objects.clone(), Path::from(split.object_key.as_str()));
        if let Err(error) = remove(objects, key).await {
            // One file must not keep all others; it is tried again at the next sweep.
            tracing::warn!(split_id = %split.id, %error, "an expired split could not be removed");
            continue;
        }
        // The file first: a crash in between leaves an entry whose file is gone, which is fine.
        catalog.forget(&split.id).await?;
        swept.push(split);
    }
    Ok(swept)
}

/// Removes objects that the catalog does not know: written by a process that ended before it
/// could publish them. Only for a moment at which nothing is being sealed.
///
/// # Errors
///
/// The catalog or the directory of objects failed.
pub async fn remove_orphans(
    catalog: &dyn Catalog,
    objects: &LocalObjects,
) -> Result<usize, StoreError> {
    let objects_now = {
        let objects = objects.clone();
        tokio::task::spawn_blocking(move || objects.keys())
            .await
            .map_err(|error| joined("list objects", &error))??
    };
    let known: HashSet<String> = catalog.object_keys().await?.into_iter().collect();
    let mut removed = 0;
    for key in objects_now {
        if !known.contains(key.as_ref()) {
            remove(objects.clone(), key).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

async fn remove(objects: LocalObjects, key: Path) -> Result<(), StoreError> {
    let objects = Arc::new(objects);
    tokio::task::spawn_blocking(move || objects.remove(&key))
        .await
        .map_err(|error| joined("remove an object", &error))?
}

fn joined(action: &'static str, error: &tokio::task::JoinError) -> StoreError {
    StoreError::Encoding {
        action,
        message: error.to_string(),
    }
}
