//! When a group is evaluated: fixed slots, the same after every restart.

use model::Labels;

/// A group's slots: `k · interval + offset` for every integer `k`; ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    interval_ms: i64,
    offset_ms: i64,
}

/// The slot to evaluate next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    /// When, Unix ms.
    pub(crate) at: i64,
    /// Slots that passed unused because the previous evaluation took too long.
    pub(crate) missed: i64,
}

impl Slots {
    /// The slots of the group `name` of `file`; spread by hash so that groups do not all run at
    /// the same moment.
    pub(crate) fn new(file: &str, name: &str, interval_ms: i64) -> Self {
        let interval_ms = interval_ms.max(1);
        let hash = Labels::new([("file", file), ("name", name)]).fingerprint();
        let offset_ms = (hash % interval_ms.unsigned_abs()) as i64;
        Self {
            interval_ms,
            offset_ms,
        }
    }

    /// The last slot at or before `now`.
    pub(crate) fn at_or_before(self, now: i64) -> i64 {
        now - (now - self.offset_ms).rem_euclid(self.interval_ms)
    }

    /// The slot after `last`, given that it is `now`.
    ///
    /// When later slots have passed too, they are skipped whole and counted. When the clock was
    /// set back, slots go on from `now`.
    pub(crate) fn after(self, last: i64, now: i64) -> Next {
        if now < last {
            return Next {
                at: self.at_or_before(now) + self.interval_ms,
                missed: 0,
            };
        }
        let next = last + self.interval_ms;
        let current = self.at_or_before(now);
        if current <= next {
            return Next {
                at: next,
                missed: 0,
            };
        }
        Next {
            at: current,
            missed: (current - next) / self.interval_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_overrun_skips_whole_slots_and_counts_them() {
        let slots = Slots {
            interval_ms: 10,
            offset_ms: 3,
        };
        let next = |last, now| {
            let next = slots.after(last, now);
            (next.at, next.missed)
        };
        assert_eq!(slots.at_or_before(12), 3);
        assert_eq!(slots.at_or_before(13), 13);
        assert_eq!(next(3, 4), (13, 0));
        assert_eq!(next(3, 13), (13, 0));
        assert_eq!(next(3, 22), (13, 0));
        assert_eq!(next(3, 23), (23, 1));
        assert_eq!(next(3, 49), (43, 3));
        assert_eq!(next(103, 50), (53, 0), "the clock was set back");
    }

    proptest! {
        #[test]
        fn slots_lie_on_one_grid_and_move_forward(
            interval in 1i64..100_000, name in "[a-z]{0,5}", last in 0i64..1_000_000, late in 0i64..500_000,
        ) {
            let slots = Slots::new("f", &name, interval);
            let last = slots.at_or_before(last);
            let next = slots.after(last, last + late);
            prop_assert_eq!(slots.at_or_before(next.at), next.at);
            prop_assert!(next.at > last && next.at > last + late - interval);
        }
    }
}
