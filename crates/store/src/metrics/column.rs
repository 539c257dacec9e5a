//! Samples of one series and kind in the order they came, and in the order of time on demand.

/// Stands for "no start time".
pub(super) const NO_START: i64 = i64::MIN;

/// Samples as parallel columns. Later ones win over earlier ones of the same millisecond.
#[derive(Debug, Clone)]
pub(super) struct Column<V> {
    /// When, Unix ms.
    pub(super) times: Vec<i64>,
    /// Since when a counter counts, Unix ms; [`NO_START`] when not known. Empty when it is known of
    /// no sample.
    pub(super) starts: Vec<i64>,
    /// The values.
    pub(super) values: Vec<V>,
    /// Whether times ascend strictly, as they do unless samples come late or twice.
    ordered: bool,
}

impl<V> Default for Column<V> {
    fn default() -> Self {
        Self {
            times: Vec::new(),
            starts: Vec::new(),
            values: Vec::new(),
            ordered: true,
        }
    }
}

impl<V: Clone> Column<V> {
    /// The column of these samples.
    pub(super) fn of(times: Vec<i64>, starts: Vec<i64>, values: Vec<V>) -> Self {
        Self {
            ordered: times.is_sorted_by(|a, b| a < b),
            times,
            starts,
            values,
        }
    }

    /// Adds a sample after all others.
    pub(super) fn push(&mut self, time: i64, start: Option<i64>, value: V) {
        self.ordered &= self.times.last().is_none_or(|last| *last < time);
        if start.is_some() {
            self.fill_starts();
        }
        if start.is_some() || !self.starts.is_empty() {
            self.starts.push(start.unwrap_or(NO_START));
        }
        self.times.push(time);
        self.values.push(value);
    }

    /// Gives every sample a start, [`NO_START`] where there is none.
    fn fill_starts(&mut self) {
        self.starts.resize(self.times.len(), NO_START);
    }

    /// Makes room for so many more samples, none of which has a start.
    pub(super) fn reserve(&mut self, samples: usize) {
        self.times.reserve_exact(samples);
        self.values.reserve_exact(samples);
    }

    /// Adds all samples of `other` after this one's.
    pub(super) fn extend(&mut self, other: &Self) {
        let follows = match (self.times.last(), other.times.first()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        };
        self.ordered &= other.ordered && follows;
        let has_starts = !self.starts.is_empty() || !other.starts.is_empty();
        if has_starts {
            self.fill_starts();
            self.starts.extend_from_slice(&other.starts);
        }
        self.times.extend_from_slice(&other.times);
        self.values.extend_from_slice(&other.values);
        if has_starts {
            self.fill_starts();
        }
    }

    /// As [`Column::extend`], of samples that nobody else needs.
    pub(super) fn append(&mut self, other: Self) {
        match self.is_empty() {
            true => *self = other,
            false => self.extend(&other),
        }
    }

    /// As [`Column::window`], of samples that nobody else needs.
    pub(super) fn into_window(mut self, after: i64, until: i64) -> Self {
        let is_inside = match self.times.as_slice() {
            [first, .., last] if self.ordered => after < *first && *last <= until,
            [only] => after < *only && *only <= until,
            times => times.is_empty(),
        };
        if is_inside {
            return self;
        }
        let first = self.times.partition_point(|time| *time <= after);
        // Of a few among many a copy is smaller.
        if !self.ordered || first > self.len() / 2 {
            return self.window(after, until);
        }
        let last = self.times.partition_point(|time| *time <= until).max(first);
        fn keep<T>(column: &mut Vec<T>, first: usize, last: usize) {
            column.truncate(last);
            column.drain(..first.min(column.len()));
        }
        keep(&mut self.times, first, last);
        keep(&mut self.starts, first, last);
        keep(&mut self.values, first, last);
        self
    }

    /// The samples with `after < time <= until`, in the order they came.
    pub(super) fn window(&self, after: i64, until: i64) -> Self {
        if self.ordered {
            let first = self.times.partition_point(|time| *time <= after);
            let last = self.times.partition_point(|time| *time <= until).max(first);
            return Self {
                times: self.times[first..last].to_vec(),
                starts: self.starts.get(first..last).unwrap_or_default().to_vec(),
                values: self.values[first..last].to_vec(),
                ordered: true,
            };
        }
        let mut inside = Self::default();
        for (index, time) in self.times.iter().enumerate() {
            if after < *time && *time <= until {
                let start = self.starts.get(index).copied();
                inside.push(
                    *time,
                    start.filter(|start| *start != NO_START),
                    self.values[index].clone(),
                );
            }
        }
        inside
    }

    /// The samples in order of time, one a millisecond: the one that came last.
    pub(super) fn in_order(mut self) -> Self {
        if self.ordered {
            return self;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        // Stable: samples of one millisecond stay in the order they came.
        order.sort_by_key(|index| self.times[*index]);
        order = order
            .iter()
            .enumerate()
            .filter(|(at, index)| {
                order
                    .get(at + 1)
                    .is_none_or(|next| self.times[*next] != self.times[**index])
            })
            .map(|(_, index)| *index)
            .collect();
        self.times = order.iter().map(|index| self.times[*index]).collect();
        if !self.starts.is_empty() {
            self.starts = order.iter().map(|index| self.starts[*index]).collect();
        }
        self.values = order
            .iter()
            .map(|index| self.values[*index].clone())
            .collect();
        self.ordered = true;
        self
    }

    /// The first and last time, Unix ms, when there is a sample.
    pub(super) fn bounds(&self) -> Option<(i64, i64)> {
        match self.times.as_slice() {
            [first, .., last] if self.ordered => Some((*first, *last)),
            times => times.iter().min().copied().zip(times.iter().max().copied()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn order_and_windows_are_those_of_a_map(
            samples in proptest::collection::vec((-20_i64..20, any::<u8>()), 0..40),
            after in -25_i64..25,
            until in -25_i64..25,
        ) {
            let mut column = Column::default();
            let mut expected = BTreeMap::new();
            for (time, value) in &samples {
                column.push(*time, None, *value);
                if after < *time && *time <= until {
                    expected.insert(*time, *value);
                }
            }
            let moved = column.clone().into_window(after, until);
            let column = column.window(after, until);
            prop_assert_eq!((&moved.times, &moved.values), (&column.times, &column.values));
            let column = column.in_order();
            let got: Vec<(i64, u8)> = column.times.iter().copied().zip(column.values).collect();
            prop_assert_eq!(got, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
