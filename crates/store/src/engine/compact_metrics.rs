//! Compaction of metrics: how their splits are merged, and which are made anew because much of
//! them has passed its retention.

use std::collections::{HashMap, HashSet};
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use datafusion::object_store::path::Path;
use model::Signal;
use model::time::NANOS_PER_MILLI;

use super::compact::{Merged, first_created_at};
use super::seal::WRITE_BUFFER;
use super::{Inner, blocking};
use crate::catalog::SplitEntry;
use crate::compaction::Ages;
use crate::error::StoreError;
use crate::metrics::MetricSplit;
use crate::metrics::split;

/// The ages of splits that were looked at: they never change.
#[derive(Debug, Default)]
pub(super) struct SplitAges(Mutex<HashMap<String, Arc<Ages>>>);

impl SplitAges {
    fn keep_only(&self, splits: &[SplitEntry]) {
        let known: HashSet<&str> = splits.iter().map(|split| split.id.as_str()).collect();
        self.ages().retain(|id, _| known.contains(id.as_str()));
    }

    fn ages(&self) -> MutexGuard<'_, HashMap<String, Arc<Ages>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes what is left of splits of metrics as one; an object is made only when something is.
    pub(super) async fn write_merged_metrics(
        &self,
        key: &str,
        old: &[SplitEntry],
        now: i64,
    ) -> Result<Merged, StoreError> {
        let Some(first) = old.first() else {
            return Err(StoreError::Encoding {
                action: "merge metric splits",
                message: "there are none".to_owned(),
            });
        };
        let mut splits = Vec::with_capacity(old.len());
        for split in old {
            // Not by way of the cache, from which it would push what queries want.
            let bytes = self.read_object(&split.object_key).await?;
            splits.push(MetricSplit::open(&split.object_key, bytes, &split.summary)?);
        }
        let retention = self.config.retention.of(&first.tenant, Signal::Metrics);
        let created_at = first_created_at(old);
        let (objects, path, stop) = (self.objects.clone(), Path::from(key), self.stop.clone());
        let merged = blocking("merge metric splits", move || {
            let write_error = |source| StoreError::Io {
                action: "write split",
                path: path.to_string().into(),
                source,
            };
            let cutoff_ms = |metric: &str| {
                let keep = millis(retention.of(metric));
                (now / NANOS_PER_MILLI).saturating_sub(keep)
            };
            let is_stopped = || stop.is_cancelled();
            let mut writer = BufWriter::with_capacity(WRITE_BUFFER, objects.create(&path)?);
            let merged = split::merge(&splits, created_at, &cutoff_ms, &mut writer, &is_stopped)?;
            writer.flush().map_err(write_error)?;
            let object = writer
                .into_inner()
                .map_err(|error| write_error(error.into_error()))?;
            let size_bytes = match merged.summary {
                Some(_) => object.finish()?,
                None => 0,
            };
            if merged.expired > 0 {
                metrics::counter!("watchkeeper_retention_expired_samples_total")
                    .increment(merged.expired);
            }
            Ok(Merged {
                size_bytes,
                summary: merged.summary,
                copied: merged.copied,
                encoded: merged.encoded,
            })
        });
        merged.await
    }

    /// A split of metrics that is worth making anew without the samples that have passed their
    /// retention. Splits that cannot be read are left alone: queries say what is wrong with them.
    pub(super) async fn with_much_over(
        &self,
        splits: &[SplitEntry],
        now: i64,
    ) -> Option<SplitEntry> {
        self.ages.keep_only(splits);
        for split in splits {
            let retention = self.config.retention.of(&split.tenant, split.signal);
            let is_mixed = split.signal == Signal::Metrics && !retention.is_uniform();
            let shortest = i64::try_from(retention.shortest().as_nanos()).unwrap_or(i64::MAX);
            let is_young = split.summary.min_time >= now.saturating_sub(shortest);
            if !is_mixed || is_young || self.is_barred(split) || self.stop.is_cancelled() {
                continue;
            }
            match self.ages_of(split).await {
                Ok(ages) if ages.is_worthwhile(now / NANOS_PER_MILLI) => {
                    return Some(split.clone());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(split_id = %split.id, %error, "a split's ages are not known");
                }
            }
        }
        None
    }

    async fn ages_of(&self, split: &SplitEntry) -> Result<Arc<Ages>, StoreError> {
        if let Some(known) = self.ages.ages().get(&split.id) {
            return Ok(Arc::clone(known));
        }
        let retention = self.config.retention.of(&split.tenant, split.signal);
        let open = self.open_metrics(split).await?;
        let ages = blocking("read the ages of a split", move || {
            let mut ages = Ages::default();
            // A metric's chunks lie together.
            let mut last = (String::new(), retention.of(""));
            open.each_chunk(|metric, newest_ms, samples| {
                if last.0 != metric {
                    last = (metric.to_owned(), retention.of(metric));
                }
                ages.add(last.1, newest_ms, samples);
            })?;
            Ok(Arc::new(ages))
        })
        .await?;
        self.ages.ages().insert(split.id.clone(), Arc::clone(&ages));
        Ok(ages)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
