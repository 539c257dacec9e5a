//! What the catalog keeps of a split of logs or spans besides its rows and times, as JSON.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use serde::{Deserialize, Serialize};

use crate::head::SplitSummary;

/// Services that are listed one by one; a split rarely has more.
const MAX_LISTED: usize = 100;

/// The metadata of a [`SplitSummary`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitDetails {
    /// Blocks in the file.
    pub blocks: u64,
    /// The file's physical columns.
    pub columns: Vec<String>,
    /// Rows by service; `None` in splits that do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<ServiceRows>,
    /// How long the rows were to be kept when they were sealed, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
    /// When the oldest of the splits that this one replaced was published, Unix ns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_created_at: Option<i64>,
}

impl SplitDetails {
    /// What a summary holds; nothing for other formats'.
    pub fn of(summary: &SplitSummary) -> Self {
        Self::deserialize(&summary.metadata).unwrap_or_default()
    }

    /// The JSON for a summary.
    pub fn to_metadata(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("numbers and texts are JSON")
    }
}

/// How many rows each service has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRows {
    /// By `service.name`.
    pub listed: BTreeMap<String, u64>,
    /// Rows of services that are not listed, being too many.
    pub others: u64,
}

impl ServiceRows {
    /// Counts a column of services.
    pub(super) fn of(services: &ArrayRef) -> Self {
        let mut counted = Self::default();
        let Some(services) = services.as_string_opt::<i32>() else {
            return counted;
        };
        // Rows are sorted by service.
        let mut row = 0;
        while row < services.len() {
            let service = services.value(row);
            let run = (row..services.len()).take_while(|next| services.value(*next) == service);
            let rows = run.count();
            *counted.listed.entry(service.to_owned()).or_default() += rows as u64;
            row += rows;
        }
        counted
    }

    /// Adds another split's or row group's.
    pub fn add(&mut self, other: &Self) {
        for (service, rows) in &other.listed {
            *self.listed.entry(service.clone()).or_default() += rows;
        }
        self.others += other.others;
    }

    /// Lists only the services with the most rows.
    pub fn bounded(mut self) -> Self {
        if self.listed.len() > MAX_LISTED {
            let mut all: Vec<(String, u64)> = self.listed.into_iter().collect();
            all.sort_by(|(a, a_rows), (b, b_rows)| b_rows.cmp(a_rows).then_with(|| a.cmp(b)));
            let dropped = all.split_off(MAX_LISTED);
            self.others += dropped.iter().map(|(_, rows)| rows).sum::<u64>();
            self.listed = all.into_iter().collect();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn services_are_counted_added_and_bounded_without_losing_rows() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b", "a"]));
        let mut counted = ServiceRows::of(&column);
        assert_eq!(
            counted.listed,
            BTreeMap::from([("a".to_owned(), 3), ("b".to_owned(), 1)])
        );
        for n in 0..200 {
            counted.add(&ServiceRows {
                listed: BTreeMap::from([(format!("s{n}"), 2)]),
                others: 0,
            });
        }
        let bounded = counted.bounded();
        assert_eq!((bounded.listed.len(), bounded.listed["a"]), (MAX_LISTED, 3));
        assert!(!bounded.listed.contains_key("b"));
        assert_eq!(bounded.listed.values().sum::<u64>() + bounded.others, 404);
    }
}
