//! The instants at which an expression is evaluated.

/// `start_ms`, `start_ms + step_ms`, … up to `end_ms`, Unix ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    /// Positive.
    pub(super) step_ms: i64,
}

impl Steps {
    /// One instant.
    pub(super) fn single(time_ms: i64) -> Self {
        Self {
            start_ms: time_ms,
            end_ms: time_ms,
            step_ms: 1,
        }
    }

    /// How many instants; none when the end lies before the start.
    pub(super) fn count(self) -> u64 {
        if self.end_ms < self.start_ms {
            return 0;
        }
        self.end_ms.abs_diff(self.start_ms) / self.step_ms.unsigned_abs() + 1
    }

    /// How many instants, as a length; the plan has checked that it is one.
    pub(super) fn len(self) -> usize {
        usize::try_from(self.count()).unwrap_or(usize::MAX)
    }

    /// The instants in order.
    pub(super) fn times(self) -> impl Iterator<Item = i64> {
        let step = self.step_ms;
        (0..self.count()).map(move |index| {
            // Stays below `end_ms`, so nothing overflows.
            self.start_ms + step * i64::try_from(index).unwrap_or(0)
        })
    }
}
