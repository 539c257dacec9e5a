//! The most frequent values of one field, counted exactly while they fit into memory.

use datafusion::arrow::array::{Array, StringArray};
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// What an entry takes besides its text, bytes.
const ENTRY_BYTES: usize = 64;

/// Counts values. When they outgrow the memory given, the rarest half is forgotten: frequent
/// values stay, the counts are lower bounds from then on, and the result says so.
#[derive(Debug, Clone)]
pub struct ValueCounts {
    counts: HashMap<Box<str>, u64, RandomState>,
    bytes: usize,
    limit_bytes: usize,
    missing: u64,
    /// Records with values that were forgotten.
    forgotten: u64,
    /// The most values there were at once.
    distinct: usize,
}

/// The most frequent values, and what is not among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopValues {
    /// Values with their counts: the most frequent first, equals in the order of their text.
    pub values: Vec<(String, u64)>,
    /// How many different values there are.
    pub distinct: u64,
    /// Records with values that are not listed.
    pub other: u64,
    /// Records without a value.
    pub missing: u64,
    /// Whether memory kept the counts from being exact: then `distinct` and the counts are lower
    /// bounds, and a listed value's missing records are in `other`.
    pub truncated: bool,
}

impl ValueCounts {
    /// Counts within about `limit_bytes` of memory.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            counts: HashMap::default(),
            bytes: 0,
            limit_bytes,
            missing: 0,
            forgotten: 0,
            distinct: 0,
        }
    }

    /// Counts each value of a column; nulls count as missing.
    pub fn add_column(&mut self, values: &StringArray) {
        self.missing += values.null_count() as u64;
        // Rows are sorted by stream, so a value often equals the one before.
        let mut run: Option<(&str, u64)> = None;
        for value in values.iter().flatten() {
            match &mut run {
                Some((before, count)) if *before == value => *count += 1,
                _ => {
                    if let Some((before, count)) = run.replace((value, 1)) {
                        self.add(before, count);
                    }
                }
            }
        }
        if let Some((value, count)) = run {
            self.add(value, count);
        }
    }

    /// Counts `count` records with `value`.
    pub fn add(&mut self, value: &str, count: u64) {
        if let Some(known) = self.counts.get_mut(value) {
            *known += count;
            return;
        }
        let before = self.counts.len();
        self.counts.insert(value.into(), count);
        self.grown(before, value.len());
    }

    /// Counts `count` records without a value.
    pub fn add_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Adds what was counted elsewhere, of other records.
    pub fn merge(&mut self, mut other: Self) {
        if other.counts.len() > self.counts.len() {
            std::mem::swap(&mut self.counts, &mut other.counts);
            std::mem::swap(&mut self.bytes, &mut other.bytes);
        }
        self.missing += other.missing;
        self.forgotten += other.forgotten;
        self.distinct = self.distinct.max(other.distinct);
        for (value, count) in other.counts {
            let (before, length) = (self.counts.len(), value.len());
            *self.counts.entry(value).or_insert(0) += count;
            self.grown(before, length);
        }
    }

    /// Takes account of a value of `length` bytes, when it has come to the `before` that there were.
    fn grown(&mut self, before: usize, length: usize) {
        if self.counts.len() == before {
            return;
        }
        self.bytes += length + ENTRY_BYTES;
        self.distinct = self.distinct.max(self.counts.len());
        if self.bytes > self.limit_bytes {
            self.forget_rare();
        }
    }

    /// Halves the memory taken.
    fn forget_rare(&mut self) {
        let mut entries: Vec<(Box<str>, u64)> = self.counts.drain().collect();
        entries.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.bytes = 0;
        for (value, count) in entries {
            let bytes = value.len() + ENTRY_BYTES;
            if self.bytes + bytes <= self.limit_bytes / 2 {
                self.bytes += bytes;
                self.counts.insert(value, count);
            } else {
                self.forgotten += count;
            }
        }
    }

    /// The values that are not forgotten with their counts, in no order, and how many records have none.
    pub fn into_counts(self) -> (impl Iterator<Item = (Box<str>, u64)>, u64) {
        (self.counts.into_iter(), self.missing)
    }

    /// The `limit` most frequent values.
    pub fn top(self, limit: usize) -> TopValues {
        let mut values: Vec<(Box<str>, u64)> = self.counts.into_iter().collect();
        let by_rank =
            |a: &(Box<str>, u64), b: &(Box<str>, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        // Most often there are few to be listed of very many.
        if limit > 0 && limit < values.len() {
            values.select_nth_unstable_by(limit - 1, by_rank);
        }
        let rest: u64 = values.iter().skip(limit).map(|(_, count)| count).sum();
        values.truncate(limit);
        values.sort_unstable_by(by_rank);
        TopValues {
            values: values
                .into_iter()
                .map(|(value, count)| (value.into(), count))
                .collect(),
            distinct: self.distinct as u64,
            other: rest + self.forgotten,
            missing: self.missing,
            truncated: self.forgotten > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(values: &[(&str, u64)]) -> Vec<(String, u64)> {
        values
            .iter()
            .map(|(value, count)| ((*value).to_owned(), *count))
            .collect()
    }

    #[test]
    fn values_are_counted_and_ordered() {
        let mut counts = ValueCounts::new(1 << 20);
        let column = [
            Some("b"),
            Some("b"),
            None,
            Some("a"),
            Some("b"),
            Some("c"),
            Some("a"),
        ];
        counts.add_column(&StringArray::from(column.to_vec()));
        counts.add_column(&StringArray::from(vec![Some("d"), None]));
        let found = counts.clone().top(2);
        assert_eq!(found.values, top(&[("b", 3), ("a", 2)]));
        assert_eq!((found.distinct, found.other, found.missing), (4, 2, 2));
        assert!(!found.truncated);
        assert_eq!(counts.top(9).other, 0);
    }

    #[test]
    fn what_was_counted_in_parts_adds_up() {
        let mut counts = ValueCounts::new(1 << 20);
        counts.add_column(&StringArray::from(vec![Some("a"), None, Some("b")]));
        let mut others = ValueCounts::new(1 << 20);
        others.add_column(&StringArray::from(vec![Some("b"), None, Some("c")]));
        counts.merge(others);
        let found = counts.top(2);
        assert_eq!(found.values, top(&[("b", 2), ("a", 1)]));
        assert_eq!((found.distinct, found.other, found.missing), (3, 1, 2));
        let mut forgetful = ValueCounts::new(0);
        forgetful.add("a", 4);
        let mut counts = ValueCounts::new(1 << 20);
        counts.merge(forgetful);
        let found = counts.top(1);
        assert!(found.truncated && found.other == 4, "{found:?}");
    }

    #[test]
    fn frequent_values_stay_when_memory_is_short() {
        let mut counts = ValueCounts::new(100 * (ENTRY_BYTES + 8));
        for number in 0..10_000_u32 {
            counts.add(&format!("{number:08}"), 1);
            counts.add("frequent", 1);
        }
        assert!(counts.bytes <= counts.limit_bytes);
        let found = counts.top(1);
        assert_eq!(found.values, top(&[("frequent", 10_000)]));
        assert_eq!(found.other, 10_000);
        assert!(found.truncated && found.distinct >= 50);
    }
}
