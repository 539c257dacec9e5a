//! What is stored, how fast it grows, and what has to go when there is too much of it: pure
//! computations over the catalog's entries.

use std::collections::BTreeMap;
use std::time::Duration;

use model::{Signal, TenantId};

use crate::catalog::SplitEntry;
use crate::retention::Retention;
use crate::split::SplitDetails;

const DAY: f64 = 86_400.0;
const NANOS: f64 = 1e9;
/// Growth is what was published in this time.
const GROWTH_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
/// What began only now is taken to have come in over this time, so that a first split does not
/// look like a flood.
const SHORTEST_WINDOW: Duration = Duration::from_secs(60 * 60);

/// What is stored, and for how long there is room.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageReport {
    /// The disk as a whole.
    pub disk: DiskUse,
    /// What each tenant, signal and service holds in splits, in this order.
    pub streams: Vec<StreamUse>,
}

/// How much of the disk is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// Splits, those that wait to be removed included, and the ingest log, bytes.
    pub used_bytes: u64,
    /// The file system's size, bytes.
    pub capacity_bytes: u64,
    /// What splits and ingest log may take together, bytes; `None` without a limit.
    pub limit_bytes: Option<u64>,
    /// When the limit or the file system will be full at the present rate, Unix ns; `None` when
    /// retention deletes before that.
    pub full_at: Option<i64>,
}

/// What one tenant, signal and service holds.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamUse {
    /// Whose.
    pub tenant: TenantId,
    /// Which signal.
    pub signal: Signal,
    /// Which service; `None` for metrics, and for services that a split has too many of to list.
    pub service: Option<String>,
    /// Rows (of metrics: samples) in splits.
    pub rows: u64,
    /// Their share of the splits' bytes.
    pub bytes: u64,
    /// Splits that hold any of them.
    pub splits: u64,
    /// The earliest time in those splits, Unix ns.
    pub oldest: i64,
    /// The latest time in those splits, Unix ns.
    pub newest: i64,
    /// Bytes that came in over the last day; of a younger stream, as many as a day would bring.
    pub bytes_per_day: u64,
    /// How long it is kept.
    pub keep: Duration,
}

/// A stream while it is added up.
struct Sum {
    rows: u64,
    bytes: f64,
    splits: u64,
    times: (i64, i64),
    first_created_at: i64,
    recent_bytes: f64,
    keep: Duration,
}

/// What the splits hold, by tenant, signal and service.
pub(crate) fn streams(splits: &[SplitEntry], retention: &Retention, now: i64) -> Vec<StreamUse> {
    let mut sums: BTreeMap<(&TenantId, usize, Option<String>), Sum> = BTreeMap::new();
    for split in splits {
        let signal = Signal::ALL.iter().position(|other| *other == split.signal);
        let details = SplitDetails::of(&split.summary);
        let first_created_at = details.first_created_at.unwrap_or(split.created_at);
        let kept = retention.of(&split.tenant, split.signal);
        for (service, rows) in shares(split, details) {
            let keep = match &service {
                Some(service) => kept.of(service),
                None => retention.of_split(split),
            };
            let bytes = split.size_bytes as f64 * rows as f64 / split.summary.rows.max(1) as f64;
            let key = (&split.tenant, signal.unwrap_or(0), service);
            let sum = sums.entry(key).or_insert(Sum {
                rows: 0,
                bytes: 0.0,
                splits: 0,
                times: (i64::MAX, i64::MIN),
                first_created_at: i64::MAX,
                recent_bytes: 0.0,
                keep,
            });
            sum.rows += rows;
            sum.bytes += bytes;
            sum.splits += 1;
            sum.times.0 = sum.times.0.min(split.summary.min_time);
            sum.times.1 = sum.times.1.max(split.summary.max_time);
            sum.first_created_at = sum.first_created_at.min(first_created_at);
            sum.recent_bytes += bytes * recent_part((first_created_at, split.created_at), now);
            sum.keep = sum.keep.max(keep);
        }
    }
    let stream = |((tenant, signal, service), sum): ((&TenantId, usize, Option<String>), Sum)| {
        let age = Duration::from_nanos(now.saturating_sub(sum.first_created_at).max(0) as u64);
        let window = age.clamp(SHORTEST_WINDOW, GROWTH_WINDOW).as_secs_f64();
        StreamUse {
            tenant: tenant.clone(),
            signal: Signal::ALL[signal],
            service,
            rows: sum.rows,
            bytes: sum.bytes.round() as u64,
            splits: sum.splits,
            oldest: sum.times.0,
            newest: sum.times.1,
            bytes_per_day: (sum.recent_bytes * DAY / window).round() as u64,
            keep: sum.keep,
        }
    };
    sums.into_iter().map(stream).collect()
}

/// A split's rows by service.
fn shares(split: &SplitEntry, details: SplitDetails) -> Vec<(Option<String>, u64)> {
    let Some(services) = details.services else {
        return vec![(None, split.summary.rows)];
    };
    let others = (services.others > 0).then_some((None, services.others));
    let listed = services.listed.into_iter();
    listed
        .map(|(service, rows)| (Some(service), rows))
        .chain(others)
        .collect()
}

/// How much of what was published between two moments falls into the window before `now`.
fn recent_part((first, last): (i64, i64), now: i64) -> f64 {
    let begin = now.saturating_sub(GROWTH_WINDOW.as_nanos() as i64);
    if first >= last {
        return if last >= begin { 1.0 } else { 0.0 };
    }
    let inside = last.saturating_sub(first.max(begin)).max(0);
    inside as f64 / last.saturating_sub(first) as f64
}

/// When `room` more bytes are taken, Unix ns, while every stream goes on as it does and loses what
/// passes its retention; `None` when that never happens.
pub(crate) fn full_at(streams: &[StreamUse], room: u64, now: i64) -> Option<i64> {
    // A stream grows until its oldest bytes go as fast as new ones come.
    let mut growing: Vec<(f64, f64)> = streams
        .iter()
        .filter(|stream| stream.bytes_per_day > 0)
        .map(|stream| {
            let rate = stream.bytes_per_day as f64 / DAY;
            let most = rate * stream.keep.as_secs_f64();
            ((most - stream.bytes as f64).max(0.0) / rate, rate)
        })
        .collect();
    growing.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let mut rate: f64 = growing.iter().map(|(_, rate)| rate).sum();
    let (mut elapsed, mut left) = (0.0, room as f64);
    for (until, own_rate) in growing {
        let grown = rate * (until - elapsed);
        if grown >= left && rate > 0.0 {
            let seconds = elapsed + left / rate;
            return Some(now.saturating_add((seconds * NANOS) as i64));
        }
        left -= grown;
        elapsed = until;
        rate -= own_rate;
    }
    None
}

/// The splits whose newest rows are the oldest, of any tenant and signal, until they hold `bytes`
/// together.
pub(crate) fn oldest(splits: &[SplitEntry], bytes: u64) -> Vec<&SplitEntry> {
    let mut by_age: Vec<&SplitEntry> = splits.iter().collect();
    by_age.sort_by_key(|split| (split.summary.max_time, &split.id));
    let mut freed = 0;
    let still_needed = |split: &&SplitEntry| {
        let needed = freed < bytes;
        freed += split.size_bytes;
        needed
    };
    by_age.into_iter().take_while(still_needed).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::head::SplitSummary;
    use crate::retention::RetentionRule;

    const HOUR: i64 = 3_600_000_000_000;
    const NOW: i64 = 1_700_000_000_000_000_000;

    fn split(tenant: &str, hours_ago: i64, bytes: u64, metadata: serde_json::Value) -> SplitEntry {
        SplitEntry {
            id: format!("{tenant} {hours_ago}"),
            tenant: tenant.parse().unwrap(),
            signal: Signal::Logs,
            object_key: String::new(),
            size_bytes: bytes,
            from_position: 0,
            to_position: 1,
            created_at: NOW - hours_ago * HOUR,
            summary: SplitSummary {
                rows: 10,
                min_time: NOW - (hours_ago + 1) * HOUR,
                max_time: NOW - hours_ago * HOUR,
                metadata,
            },
        }
    }

    #[test]
    fn splits_are_shared_out_to_their_services() {
        let services = |listed: serde_json::Value, others: u64| json!({ "services": { "listed": listed, "others": others } });
        let splits = [
            split("a", 2, 1_000, services(json!({ "api": 8, "web": 1 }), 1)),
            split("a", 30, 500, services(json!({ "api": 10 }), 0)),
            split("b", 0, 240, json!({})),
        ];
        let retention = Retention {
            rules: vec![RetentionRule {
                tenant: None,
                signal: None,
                service: Some("web".parse().unwrap()),
                metric: None,
                keep: Duration::from_secs(3_600),
            }],
            ..Retention::default()
        };
        let found: Vec<_> = streams(&splits, &retention, NOW)
            .into_iter()
            .map(|stream| {
                let service = stream.service.unwrap_or_default();
                let hours = stream.keep.as_secs() / 3_600;
                let sizes = (
                    stream.rows,
                    stream.bytes,
                    stream.splits,
                    stream.bytes_per_day,
                );
                (stream.tenant.to_string(), service, sizes, hours)
            })
            .collect();
        let expected = [
            // Not of the last day's window but of two hours: as many as a day would bring.
            ("a", "", (1, 100, 1, 1_200), 30 * 24),
            ("a", "api", (18, 1_300, 2, 800), 30 * 24),
            ("a", "web", (1, 100, 1, 1_200), 1),
            ("b", "", (10, 240, 1, 24 * 240), 30 * 24),
        ];
        let expected = expected.map(|(tenant, service, sizes, hours)| {
            (tenant.to_owned(), service.to_owned(), sizes, hours)
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_merged_split_counts_by_when_its_parts_came() {
        let merged = json!({ "first_created_at": NOW - 48 * HOUR });
        let found = streams(&[split("a", 0, 1_000, merged)], &Retention::default(), NOW);
        assert_eq!(found[0].bytes_per_day, 500);
    }

    fn stream(bytes: u64, bytes_per_day: u64, keep_days: u64) -> StreamUse {
        StreamUse {
            tenant: TenantId::default_tenant(),
            signal: Signal::Logs,
            service: None,
            rows: 0,
            bytes,
            splits: 1,
            oldest: 0,
            newest: 0,
            bytes_per_day,
            keep: Duration::from_secs(keep_days * 86_400),
        }
    }

    #[test]
    fn the_disk_is_full_when_growth_has_taken_the_room_unless_retention_deletes_before() {
        let day = 24 * HOUR;
        let cases: [(&[StreamUse], u64, Option<i64>); 6] = [
            (&[], 10, None),
            (&[stream(0, 10, 30)], 50, Some(5 * day)),
            (&[stream(0, 10, 30)], 301, None),
            // The first stops growing after two days, the second goes on alone.
            (&[stream(0, 10, 2), stream(0, 10, 30)], 60, Some(4 * day)),
            (&[stream(100, 10, 5)], 1, None),
            (&[stream(0, 10, 30)], 0, Some(0)),
        ];
        for (streams, room, expected) in cases {
            let found = full_at(streams, room, 0);
            let close = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1_000_000,
                (found, expected) => found == expected,
            };
            assert!(close, "{streams:?}, {room}: {found:?}");
        }
    }

    #[test]
    fn the_oldest_go_first_whosever_they_are() {
        let splits = [
            split("a", 1, 10, json!({})),
            split("b", 5, 10, json!({})),
            split("a", 3, 10, json!({})),
        ];
        for (bytes, expected) in [
            (0, vec![]),
            (1, vec!["b 5"]),
            (10, vec!["b 5"]),
            (11, vec!["b 5", "a 3"]),
            (99, vec!["b 5", "a 3", "a 1"]),
        ] {
            let found: Vec<&str> = oldest(&splits, bytes)
                .iter()
                .map(|s| s.id.as_str())
                .collect();
            assert_eq!(found, expected, "{bytes}");
        }
    }
}
