//! Deleting what is too old or too much: whole split files, never rows. (Metrics that are kept
//! shorter than others leave their files by being merged: `engine/compact.rs`.)
//!
//! A split whose newest row has passed its retention is hidden in the catalog first; its file is
//! removed when no query is left that may read it. Which splits have passed theirs is said by the
//! rules of today ([`Retention::of_split`]), whenever they were sealed.

mod rules;

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::object_store::path::Path;

use crate::catalog::{Catalog, DeletedSplit, SplitEntry};
use crate::error::StoreError;
use crate::objects::LocalObjects;

pub use rules::{MetricPattern, Retention, RetentionRule, ServicePattern, StreamRetention};

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
    let splits = catalog.splits().await?;
    let is_over = |split: &&SplitEntry| {
        let keep = i64::try_from(retention.of_split(split).as_nanos()).unwrap_or(i64::MAX);
        split.summary.max_time < now.saturating_sub(keep)
    };
    let expired: Vec<String> = splits
        .iter()
        .filter(is_over)
        .map(|split| split.id.clone())
        .collect();
    if expired.is_empty() {
        return Ok(0);
    }
    Ok(catalog.hide(&expired, now).await?.len())
}

/// Removes the files of hidden splits that `may_go`, and says which.
///
/// # Errors
///
/// The catalog failed. A file that cannot be removed stays listed for the next time.
pub async fn sweep(
    catalog: &dyn Catalog,
    objects: &LocalObjects,
    may_go: impl Fn(&DeletedSplit) -> bool,
) -> Result<Vec<DeletedSplit>, StoreError> {
    let deleted = catalog.deleted_before(i64::MAX).await?;
    let mut swept = Vec::with_capacity(deleted.len());
    for split in deleted.into_iter().filter(may_go) {
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
