//! A generation of logs or spans whose rows are not all kept equally long: the rows of each
//! retention are collected apart, and become a split of their own.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{Resource, Seq};
use wire::otlp::Item;

use super::rows::{RowHead, RowsView};
use super::{HeadRows, HeadSettings, SplitSummary};
use crate::columns::Row;
use crate::error::StoreError;
use crate::follow::Arrived;
use crate::split::SplitDetails;

/// One generation of logs or spans, its rows by how long they are kept.
#[derive(Debug)]
pub struct ClassedHead<R: Row> {
    settings: HeadSettings,
    /// Made when the first row comes; most heads have one.
    classes: RwLock<BTreeMap<Duration, Arc<RowHead<R>>>>,
}

impl<R: Row> ClassedHead<R> {
    /// An empty generation.
    pub fn new(settings: HeadSettings) -> Self {
        Self {
            settings,
            classes: RwLock::new(BTreeMap::new()),
        }
    }

    /// The rows as they are now.
    pub fn view(&self) -> RowsView {
        let mut all = RowsView::default();
        for (_, rows) in self.classes() {
            let view = rows.view();
            all.row_groups.extend(view.row_groups);
            all.open.extend(view.open);
        }
        all
    }

    fn classes(&self) -> Vec<(Duration, Arc<RowHead<R>>)> {
        let classes = self.classes.read().unwrap_or_else(PoisonError::into_inner);
        let shared = classes.iter().map(|(keep, rows)| (*keep, Arc::clone(rows)));
        shared.collect()
    }

    fn class(&self, keep: Duration) -> Arc<RowHead<R>> {
        let existing = {
            let classes = self.classes.read().unwrap_or_else(PoisonError::into_inner);
            classes.get(&keep).cloned()
        };
        existing.unwrap_or_else(|| {
            let mut classes = self.classes.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(RowHead::new(self.settings.clone()));
            Arc::clone(classes.entry(keep).or_insert_with(new))
        })
    }

    /// The rows of a batch by how long they are kept.
    fn sorted(&self, batch: Vec<(Seq, Item)>) -> BTreeMap<Duration, Vec<(Seq, Item)>> {
        let retention = &self.settings.retention;
        if retention.is_uniform() {
            return BTreeMap::from([(retention.longest(), batch)]);
        }
        let mut sorted: BTreeMap<Duration, Vec<(Seq, Item)>> = BTreeMap::new();
        // Neighbours usually share their resource.
        let mut last: Option<(Arc<Resource>, Duration)> = None;
        for (seq, item) in batch {
            let keep = match &last {
                Some((resource, keep)) if Arc::ptr_eq(resource, &item.resource) => *keep,
                _ => {
                    let keep = retention.of(item.resource.service());
                    last = Some((Arc::clone(&item.resource), keep));
                    keep
                }
            };
            sorted.entry(keep).or_default().push((seq, item));
        }
        sorted
    }
}

impl<R: Row> HeadRows for ClassedHead<R> {
    type Batch = Vec<(Seq, Item)>;

    fn arrived(batch: &Self::Batch) -> Option<Arrived> {
        RowHead::<R>::arrived(batch)
    }

    fn successor(&self) -> Self {
        Self::new(self.settings.clone())
    }

    fn apply(&self, batch: Self::Batch) {
        for (keep, rows) in self.sorted(batch) {
            self.class(keep).apply(rows);
        }
    }

    fn size_bytes(&self) -> usize {
        let classes = self.classes();
        classes.iter().map(|(_, rows)| rows.size_bytes()).sum()
    }

    fn settled_bytes(&self) -> usize {
        let classes = self.classes();
        classes.iter().map(|(_, rows)| rows.settled_bytes()).sum()
    }

    fn rows(&self) -> u64 {
        self.classes().iter().map(|(_, rows)| rows.rows()).sum()
    }

    fn has_full(&self) -> bool {
        self.classes().iter().any(|(_, rows)| rows.has_full())
    }

    fn encode_full(&self) -> Result<(), StoreError> {
        for (_, rows) in self.classes() {
            rows.encode_full()?;
        }
        Ok(())
    }

    fn parts(&self) -> usize {
        self.classes().len()
    }

    fn seal(&self, part: usize, out: &mut (dyn Write + Send)) -> Result<SplitSummary, StoreError> {
        let (keep, rows) = self.classes().swap_remove(part);
        let mut summary = rows.seal(0, out)?;
        let mut details = SplitDetails::of(&summary);
        details.keep_seconds = Some(keep.as_secs());
        summary.metadata = details.to_metadata();
        Ok(summary)
    }

    fn restore(settings: &HeadSettings, _accumulators: Option<&str>) -> Result<Self, StoreError> {
        Ok(Self::new(settings.clone()))
    }
}

#[cfg(test)]
mod tests {
    use model::{LogRecord, Value};

    use super::*;
    use crate::columns::arbitrary::plain_log;
    use crate::retention::{Retention, RetentionRule};

    #[test]
    fn rows_that_are_kept_differently_become_different_splits() {
        let retention = Retention {
            rules: vec![RetentionRule {
                tenant: None,
                signal: None,
                service: Some("debug-*".parse().unwrap()),
                metric: None,
                keep: Duration::from_secs(7_200),
            }],
            ..Retention::default()
        };
        let settings = HeadSettings {
            row_group_rows: 2,
            retention: Arc::new(retention.of(&"acme".parse().unwrap(), model::Signal::Logs)),
        };
        let head: ClassedHead<LogRecord> = ClassedHead::new(settings);
        let rows = ["api", "debug-1", "api", "debug-2", "api"]
            .iter()
            .enumerate();
        let rows = rows.map(|(n, service)| {
            let mut record = plain_log(n as i64);
            let name = ("service.name".to_owned(), Value::from(*service));
            let mut resource = Resource::default();
            resource.attributes.0.push(name);
            record.resource = Arc::new(resource);
            (Seq::new(1, n as u32), Item::of_log(&record))
        });
        head.apply(rows.collect());
        assert_eq!((head.rows(), head.parts()), (5, 2));
        assert!(head.has_full());
        head.encode_full().unwrap();
        let view = head.view();
        assert_eq!((view.row_groups.len(), view.open.len()), (2, 1));

        let sealed: Vec<(u64, Vec<String>, Option<u64>)> = (0..2)
            .map(|part| {
                let summary = head.seal(part, &mut Vec::new()).unwrap();
                let details = SplitDetails::of(&summary);
                let services = details.services.unwrap().listed.into_keys();
                (summary.rows, services.collect(), details.keep_seconds)
            })
            .collect();
        let services = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = [
            (2, services(&["debug-1", "debug-2"]), Some(7_200)),
            (3, services(&["api"]), Some(30 * 86_400)),
        ];
        assert_eq!(sealed, expected);
    }
}
