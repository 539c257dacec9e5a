//! Which heads are to be sealed now: a pure decision over how they stand.

use model::Signal;

use crate::config::HeadConfig;
use crate::head::chain::HeadStatus;

/// How a head stands, and whether sealing it failed the last time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) signal: Signal,
    pub(super) status: HeadStatus,
    pub(super) is_failing: bool,
}

/// How much of the shared bounds is taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pressure {
    pub(super) memory: u64,
    pub(super) memory_limit: u64,
    pub(super) log: u64,
    pub(super) log_limit: u64,
}

/// Indices of the heads whose newest generation is to be frozen, ascending.
///
/// Full and old ones; besides, when memory is three quarters taken the largest, and when the log is half
/// full the one that keeps the most of it, unless something is being encoded or sealed already.
pub(super) fn to_freeze(
    heads: &[Candidate],
    pressure: Pressure,
    now: i64,
    config: &HeadConfig,
) -> Vec<usize> {
    let max_age = i64::try_from(config.max_age.as_nanos()).unwrap_or(i64::MAX);
    let is_due = |head: &Candidate| {
        let status = &head.status;
        let is_old = status
            .oldest_received_at
            .is_some_and(|oldest| now.saturating_sub(oldest) >= max_age);
        // A row group of metrics is a series, so only the others are counted in rows.
        let has_many_rows =
            head.signal != Signal::Metrics && status.open_rows >= config.split_rows as u64;
        is_old || has_many_rows || status.settled_bytes >= config.split_bytes
    };
    let mut chosen: Vec<usize> = (0..heads.len()).filter(|i| is_due(&heads[*i])).collect();

    let relief_is_coming = heads
        .iter()
        .any(|head| head.status.is_encoding || (head.status.frozen > 0 && !head.is_failing));
    if chosen.is_empty() && !relief_is_coming {
        let open = || (0..heads.len()).filter(|i| heads[*i].status.oldest_received_at.is_some());
        if pressure.memory >= pressure.memory_limit / 4 * 3 {
            chosen.extend(open().max_by_key(|i| heads[*i].status.open_bytes));
        }
        if pressure.log >= pressure.log_limit / 2 {
            chosen.extend(open().min_by_key(|i| heads[*i].status.first_unpublished));
        }
        chosen.sort_unstable();
        chosen.dedup();
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn head(signal: Signal, first: u64, rows: u64, bytes: usize, received_at: i64) -> Candidate {
        Candidate {
            signal,
            status: HeadStatus {
                bytes,
                rows,
                first_unpublished: Some(first),
                oldest_received_at: Some(received_at),
                open_rows: rows,
                open_bytes: bytes,
                settled_bytes: bytes,
                is_encoding: false,
                frozen: 0,
            },
            is_failing: false,
        }
    }

    #[test]
    fn full_and_old_heads_are_frozen_and_under_pressure_the_largest_or_the_oldest() {
        let config = HeadConfig {
            row_group_rows: 10,
            split_rows: 100,
            split_bytes: 1000,
            max_age: Duration::from_nanos(50),
        };
        let relaxed = Pressure {
            memory_limit: 100,
            log_limit: 100,
            ..Pressure::default()
        };
        let heads = [
            head(Signal::Logs, 5, 1, 10, 60),
            head(Signal::Spans, 3, 1, 20, 60),
            head(Signal::Metrics, 4, 5000, 30, 60),
        ];
        let choose = |pressure, now| to_freeze(&heads, pressure, now, &config);
        assert_eq!(choose(relaxed, 100), [0; 0]);
        assert_eq!(choose(relaxed, 110), [0, 1, 2]);
        let memory = Pressure {
            memory: 75,
            ..relaxed
        };
        assert_eq!(choose(memory, 100), [2]);
        let log = Pressure { log: 50, ..relaxed };
        assert_eq!(choose(log, 100), [1]);

        let mut full = heads;
        full[0].status.open_rows = 100;
        full[1].status.settled_bytes = 1000;
        assert_eq!(to_freeze(&full, memory, 100, &config), [0, 1]);

        let mut sealing = heads;
        sealing[1].status.frozen = 1;
        assert_eq!(to_freeze(&sealing, memory, 100, &config), [0; 0]);
        sealing[1].is_failing = true;
        assert_eq!(to_freeze(&sealing, memory, 100, &config), [2]);
        sealing[0].status.is_encoding = true;
        assert_eq!(to_freeze(&sealing, memory, 100, &config), [0; 0]);
    }
}
