//! How old a split's samples are, by how long they are kept: whether it is worth making it anew
//! without those that are over.

use std::collections::BTreeMap;
use std::time::Duration;

/// A split is made anew when so large a part of its samples (one of so many) is over.
const WORTHWHILE_PART: u64 = 4;
const HOUR_MS: i64 = 3_600_000;

/// The samples of one split of metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    samples: u64,
    /// By how long they are kept, ms, then by the hour of their chunk's newest: how many.
    by_keep: BTreeMap<i64, BTreeMap<i64, u64>>,
}

impl Ages {
    /// Adds the samples of a chunk, whose newest is at `newest_ms` (Unix ms).
    pub(crate) fn add(&mut self, keep: Duration, newest_ms: i64, samples: u64) {
        let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let hours = self.by_keep.entry(keep).or_default();
        *hours.entry(newest_ms.div_euclid(HOUR_MS)).or_default() += samples;
        self.samples += samples;
    }

    /// Samples that are over at `now_ms` for `times` as long as they are kept.
    fn over(&self, now_ms: i64, times: i64) -> u64 {
        let of_class = |(keep, hours): (&i64, &BTreeMap<i64, u64>)| {
            let cutoff = now_ms.saturating_sub(keep.saturating_mul(times));
            // Only whole hours: none of their chunks may be left when the split is made anew.
            let hours = hours.range(..cutoff.div_euclid(HOUR_MS));
            hours.map(|(_, samples)| samples).sum::<u64>()
        };
        self.by_keep.iter().map(of_class).sum()
    }

    /// Whether the split is to be made anew without what is over at `now_ms` (Unix ms): when that
    /// is much of it, or when some of it is over for as long again as it was kept.
    pub(crate) fn is_worthwhile(&self, now_ms: i64) -> bool {
        let over = self.over(now_ms, 1);
        over > 0 && (over >= self.samples / WORTHWHILE_PART || self.over(now_ms, 2) > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_made_anew_when_much_or_long_over() {
        let hours = |count: i64| count * HOUR_MS;
        let day = Duration::from_secs(86_400);
        let mut ages = Ages::default();
        ages.add(400 * day, hours(100), 90);
        ages.add(day, hours(100), 5);
        ages.add(day, hours(90), 5);
        // A tenth is over from hour 125 on; after another day it is time.
        let worthwhile = |at| ages.is_worthwhile(hours(at));
        assert_eq!(
            [115, 125, 138, 139].map(worthwhile),
            [false, false, false, true]
        );
        ages.add(day, hours(99), 40);
        assert!(!ages.is_worthwhile(hours(123)));
        assert!(ages.is_worthwhile(hours(124)));
    }
}
