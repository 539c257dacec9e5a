//! Compaction: one merge at a time, while nothing more urgent wants the memory.
//!
//! The new split is durable before the catalog takes it in the place of the old ones, in one
//! transaction: a crash in between leaves an orphan object. The old files stay for the queries
//! that still read them and go with the next sweep.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::object_store::path::Path;
use model::{Signal, TenantId};

use super::seal::WRITE_BUFFER;
use super::{Inner, blocking, now, object_key};
use crate::catalog::SplitEntry;
use crate::compaction::{Candidate, Choice, Goals, choose};
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::split::{self, Amount, MergedSplit, ServiceRows, Split, SplitDetails, SplitSource};

/// How long splits are left alone after merging them has failed.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(10 * 60);

/// Splits that are left alone because merging them failed.
#[derive(Debug, Default)]
pub(super) struct Barred {
    /// Until when, by identifier; `None` means until the next start.
    until: Mutex<HashMap<String, Option<Instant>>>,
}

impl Barred {
    fn contains(&self, id: &str) -> bool {
        let until = self.until();
        let known = until.get(id);
        known.is_some_and(|until| until.is_none_or(|until| Instant::now() < until))
    }

    fn add(&self, id: &str, until: Option<Instant>) {
        self.until().insert(id.to_owned(), until);
    }

    /// Forgets splits that are gone and pauses that are over.
    fn keep_only(&self, splits: &[SplitEntry]) {
        let known: std::collections::HashSet<&str> =
            splits.iter().map(|split| split.id.as_str()).collect();
        self.until().retain(|id, _| known.contains(id.as_str()));
    }

    fn until(&self) -> MutexGuard<'_, HashMap<String, Option<Instant>>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Merges what is worth it, until nothing is or something more urgent comes up; how many
    /// merges were made. What is over its retention is judged at `at` (Unix ns).
    ///
    /// # Errors
    ///
    /// The catalog failed. A merge that fails is logged, and its splits are left alone.
    pub(super) async fn compact(&self, at: i64) -> Result<usize, StoreError> {
        let mut merges = 0;
        while !self.stop.is_cancelled() && !self.is_pressed() {
            let splits = self.catalog.splits().await?;
            self.barred.keep_only(&splits);
            let chosen = match self.most_worthwhile(&splits) {
                Some(run) => run,
                None => match self.with_much_over(&splits, at).await {
                    Some(split) => vec![split],
                    None => break,
                },
            };
            match self.merge(&chosen, at).await {
                Ok(()) => merges += 1,
                Err(StoreError::ShuttingDown) => break,
                // Some expired meanwhile; the next look sees which.
                Err(StoreError::SplitsChanged { .. }) => {}
                Err(error) => self.leave_alone(&chosen, &error),
            }
        }
        Ok(merges)
    }

    /// Whether ingest is short of memory, so that merging has to wait.
    fn is_pressed(&self) -> bool {
        self.memory.heads() >= self.memory.limit() / 2
    }

    /// The run of splits that is best merged next.
    fn most_worthwhile(&self, splits: &[SplitEntry]) -> Option<Vec<SplitEntry>> {
        let mut streams: BTreeMap<(&TenantId, &str, Duration), Vec<&SplitEntry>> = BTreeMap::new();
        for split in splits {
            let keep = self.config.retention.of_split(split);
            let key = (&split.tenant, split.signal.as_str(), keep);
            streams.entry(key).or_default().push(split);
        }
        let mut best: Option<(Choice, Vec<&SplitEntry>)> = None;
        for ((_, signal, keep), stream) in streams {
            let candidates: Vec<Candidate> =
                stream.iter().map(|split| self.candidate(split)).collect();
            let row_group_rows = self.config.head.row_group_rows;
            let mut goals = Goals::new(&self.config.compaction, row_group_rows, keep);
            if signal == Signal::Metrics.as_str() {
                // Its rows are counted in samples, of which a byte holds one or more.
                goals.rows = u64::MAX;
            }
            if let Some(choice) = choose(&candidates, &goals)
                && best
                    .as_ref()
                    .is_none_or(|(best, _)| choice.gain > best.gain)
            {
                best = Some((choice, stream));
            }
        }
        best.map(|(choice, stream)| stream[choice.run].iter().copied().cloned().collect())
    }

    fn candidate(&self, split: &SplitEntry) -> Candidate {
        let columns = SplitDetails::of(&split.summary).columns.into_iter();
        let is_promoted =
            |name: &String| name.starts_with("attr.") || name.starts_with("resource.");
        Candidate {
            rows: split.summary.rows,
            bytes: split.size_bytes,
            times: (split.summary.min_time, split.summary.max_time),
            promoted: columns.filter(is_promoted).collect(),
            is_barred: self.is_barred(split),
        }
    }

    /// Whether a split is left alone for now.
    pub(super) fn is_barred(&self, split: &SplitEntry) -> bool {
        self.barred.contains(&split.id)
    }

    /// Puts one split in the place of several.
    async fn merge(&self, old: &[SplitEntry], at: i64) -> Result<(), StoreError> {
        let Some(first) = old.first() else {
            return Ok(());
        };
        let started = Instant::now();
        // In the order of where they begin; one that reaches further may come before.
        let last = old.iter().map(|split| split.to_position).fold(0, u64::max);
        let positions = (first.from_position, last);
        let key = object_key(&first.tenant, first.signal, positions, now(), 0);
        let merged = match first.signal {
            Signal::Metrics => self.write_merged_metrics(&key, old, at).await?,
            _ => self.write_merged(&key, old).await?,
        };
        let new = merged.summary.clone().map(|summary| SplitEntry {
            id: key.clone(),
            object_key: key.clone(),
            size_bytes: merged.size_bytes,
            to_position: last,
            created_at: old
                .iter()
                .map(|split| split.created_at)
                .fold(i64::MIN, i64::max),
            summary,
            ..first.clone()
        });
        let ids: Vec<String> = old.iter().map(|split| split.id.clone()).collect();
        let new: Vec<SplitEntry> = new.into_iter().collect();
        let replaced = self.catalog.replace(&ids, &new, now()).await;
        if let Err(error @ StoreError::SplitsChanged { .. }) = replaced {
            // Nobody knows the new object, and nobody will.
            self.remove_object(&key).await;
            return Err(error);
        }
        replaced?;
        report(first, old.len(), &merged, started.elapsed());
        Ok(())
    }

    async fn write_merged(&self, key: &str, old: &[SplitEntry]) -> Result<Merged, StoreError> {
        let mut splits = Vec::with_capacity(old.len());
        for split in old {
            // Not by way of the cache, from which it would push what queries want.
            let bytes = self.read_object(&split.object_key).await?;
            let source = SplitSource::Memory(bytes);
            splits.push(Arc::new(Split::open(&split.object_key, source).await?));
        }
        let (objects, path) = (self.objects.clone(), Path::from(key));
        let row_group_rows = self.config.head.row_group_rows;
        let stop = self.stop.clone();
        let (size_bytes, merged) = blocking("merge splits", move || {
            let write_error = |source| StoreError::Io {
                action: "write split",
                path: path.to_string().into(),
                source,
            };
            let mut writer = BufWriter::with_capacity(WRITE_BUFFER, objects.create(&path)?);
            let is_stopped = || stop.is_cancelled();
            let merged = split::merge(&splits, row_group_rows, &mut writer, &is_stopped)?;
            writer.flush().map_err(write_error)?;
            let object = writer
                .into_inner()
                .map_err(|error| write_error(error.into_error()))?;
            Ok((object.finish()?, merged))
        })
        .await?;
        Ok(Merged {
            size_bytes,
            summary: Some(with_details(&merged, old)),
            copied: merged.copied,
            encoded: merged.encoded,
        })
    }

    /// After a failure: a damaged split is left alone until the next start, others for a while.
    fn leave_alone(&self, chosen: &[SplitEntry], error: &StoreError) {
        let damaged = match error {
            StoreError::Damaged { file, .. } => {
                chosen.iter().find(|split| split.object_key == *file)
            }
            _ => None,
        };
        let result = if damaged.is_some() {
            "damaged"
        } else {
            "failed"
        };
        metrics::counter!("watchkeeper_compaction_failures_total", "reason" => result).increment(1);
        if let Some(split) = damaged {
            tracing::warn!(split_id = %split.id, %error,
                "a damaged split is left as it is and not merged with others");
            self.barred.add(&split.id, None);
            return;
        }
        tracing::warn!(splits = chosen.len(), first = %chosen[0].id, %error,
            "splits could not be merged, will retry later");
        for split in chosen {
            self.barred
                .add(&split.id, Some(Instant::now() + PAUSE_AFTER_FAILURE));
        }
    }
}

/// A split that was made of others.
pub(super) struct Merged {
    pub(super) size_bytes: u64,
    /// What the catalog keeps of it; `None` when nothing was left.
    pub(super) summary: Option<SplitSummary>,
    pub(super) copied: Amount,
    pub(super) encoded: Amount,
}

/// The merged split's summary, with what only the entries of its parts say.
fn with_details(merged: &MergedSplit, old: &[SplitEntry]) -> SplitSummary {
    let parts: Vec<SplitDetails> = old
        .iter()
        .map(|split| SplitDetails::of(&split.summary))
        .collect();
    let mut details = SplitDetails::of(&merged.summary);
    let services: Option<Vec<ServiceRows>> =
        parts.iter().map(|part| part.services.clone()).collect();
    details.services = services.map(|services| {
        let mut all = ServiceRows::default();
        services.iter().for_each(|rows| all.add(rows));
        all.bounded()
    });
    details.keep_seconds = parts.iter().filter_map(|part| part.keep_seconds).max();
    details.first_created_at = first_created_at(old);
    SplitSummary {
        metadata: details.to_metadata(),
        ..merged.summary.clone()
    }
}

/// When the oldest of the splits was published first, Unix ns.
pub(super) fn first_created_at(splits: &[SplitEntry]) -> Option<i64> {
    let created = splits.iter().map(|split| {
        let details = SplitDetails::of(&split.summary);
        details.first_created_at.unwrap_or(split.created_at)
    });
    created.min()
}

fn report(first: &SplitEntry, merged_from: usize, merged: &Merged, elapsed: Duration) {
    let signal = first.signal.as_str();
    metrics::counter!("watchkeeper_compaction_merges_total", "signal" => signal).increment(1);
    metrics::counter!("watchkeeper_compaction_splits_total", "signal" => signal)
        .increment(merged_from as u64);
    for (how, amount) in [("copied", merged.copied), ("encoded", merged.encoded)] {
        let Amount { rows, bytes } = amount;
        metrics::counter!("watchkeeper_compaction_rows_total", "signal" => signal, "how" => how)
            .increment(rows);
        metrics::counter!("watchkeeper_compaction_bytes_total", "signal" => signal, "how" => how)
            .increment(bytes);
    }
    metrics::histogram!("watchkeeper_compaction_seconds", "signal" => signal).record(elapsed);
    let rows = merged.summary.as_ref().map_or(0, |summary| summary.rows);
    tracing::debug!(tenant = %first.tenant, signal, splits = merged_from, rows,
        encoded_rows = merged.encoded.rows, "splits were merged");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_ends_and_damage_stays() {
        let barred = Barred::default();
        barred.add("damaged", None);
        barred.add("paused", Some(Instant::now() + PAUSE_AFTER_FAILURE));
        barred.add("over", Some(Instant::now()));
        let found = ["damaged", "paused", "over", "other"].map(|id| barred.contains(id));
        assert_eq!(found, [true, true, false, false]);
        barred.keep_only(&[]);
        assert!(!barred.contains("damaged"));
    }
}
