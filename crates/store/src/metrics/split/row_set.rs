//! Sets of row numbers as runs: neighbouring rows of a split carry like labels.

use std::ops::Range;

/// Row numbers as ranges that ascend and do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RowSet(Vec<Range<u32>>);

impl RowSet {
    /// Rows `0..rows`.
    pub(super) fn all(rows: u32) -> Self {
        Self::from_ranges(std::iter::once(0..rows))
    }

    /// The rows of `ranges`, which may come in any order and overlap.
    pub(super) fn from_ranges(ranges: impl IntoIterator<Item = Range<u32>>) -> Self {
        let mut ranges: Vec<Range<u32>> = ranges
            .into_iter()
            .filter(|range| range.start < range.end)
            .collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut merged: Vec<Range<u32>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many rows.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|range| range.len()).sum()
    }

    /// The set in at most `parts` parts of about as many rows each, ascending.
    pub(super) fn parts(&self, parts: usize) -> Vec<Self> {
        let each = self.count().div_ceil(parts.max(1));
        let mut done = Vec::with_capacity(parts);
        let mut part: Vec<Range<u32>> = Vec::new();
        let mut room = each;
        for range in &self.0 {
            let mut rest = range.clone();
            while !rest.is_empty() {
                let taken = rest.len().min(room);
                // No more than the range is long.
                let end = rest.start + taken as u32;
                part.push(rest.start..end);
                rest.start = end;
                room -= taken;
                if room == 0 {
                    done.push(Self(std::mem::take(&mut part)));
                    room = each;
                }
            }
        }
        if !part.is_empty() {
            done.push(Self(part));
        }
        done
    }

    pub(super) fn ranges(&self) -> &[Range<u32>] {
        &self.0
    }

    /// The rows, ascending.
    pub(super) fn rows(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().cloned().flatten()
    }

    /// The rows that are in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let (mut mine, mut others) = (self.0.as_slice(), other.0.as_slice());
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (mine.first(), others.first()) {
            let common = a.start.max(b.start)..a.end.min(b.end);
            if common.start < common.end {
                both.push(common);
            }
            if a.end <= b.end {
                mine = &mine[1..];
            } else {
                others = &others[1..];
            }
        }
        Self(both)
    }

    /// The rows that are not in `other`.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut kept = Vec::new();
        let mut others = other.0.as_slice();
        for range in &self.0 {
            let mut start = range.start;
            while let Some(hole) = others.first() {
                if hole.start >= range.end {
                    break;
                }
                if start < hole.start {
                    kept.push(start..hole.start);
                }
                start = start.max(hole.end);
                if hole.end > range.end {
                    break;
                }
                others = &others[1..];
            }
            if start < range.end {
                kept.push(start..range.end);
            }
        }
        Self(kept)
    }

    /// The parts of the set that lie inside of `bounds`, ascending.
    pub(super) fn within(&self, bounds: Range<u32>) -> impl Iterator<Item = Range<u32>> + '_ {
        let first = self.0.partition_point(|known| known.end <= bounds.start);
        let end = bounds.end;
        self.0[first..]
            .iter()
            .take_while(move |range| range.start < end)
            .map(move |range| range.start.max(bounds.start)..range.end.min(bounds.end))
    }

    /// Whether a row of `range` is in the set.
    pub(super) fn touches(&self, range: &Range<u32>) -> bool {
        let first = self.0.partition_point(|known| known.end <= range.start);
        let next = self.0.get(first);
        !range.is_empty() && next.is_some_and(|known| known.start < range.end)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Vec<Range<u32>>> {
        vec(
            (0_u32..60, 0_u32..9).prop_map(|(start, length)| start..start + length),
            0..12,
        )
    }

    fn rows(ranges: &[Range<u32>]) -> BTreeSet<u32> {
        ranges.iter().cloned().flatten().collect()
    }

    proptest! {
        #[test]
        fn sets_of_runs_are_sets_of_rows(a in ranges(), b in ranges(), one in (0_u32..60, 0_u32..9)) {
            let (left, right) = (RowSet::from_ranges(a.clone()), RowSet::from_ranges(b.clone()));
            let (a, b) = (rows(&a), rows(&b));
            let of = |set: &RowSet| set.rows().collect::<BTreeSet<u32>>();
            prop_assert_eq!(of(&left), a.clone());
            prop_assert_eq!(left.count(), a.len());
            prop_assert_eq!(of(&left.intersection(&right)), &a & &b);
            prop_assert_eq!(of(&left.without(&right)), &a - &b);
            let range = one.0..one.0 + one.1;
            prop_assert_eq!(left.touches(&range), range.clone().any(|row| a.contains(&row)));
            let within: BTreeSet<u32> = left.within(range.clone()).flatten().collect();
            let expected: BTreeSet<u32> = range.filter(|row| a.contains(row)).collect();
            prop_assert_eq!(within, expected);
            let whole = RowSet::from_ranges(left.ranges().iter().cloned().chain(right.ranges().iter().cloned()));
            prop_assert!(whole.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}
