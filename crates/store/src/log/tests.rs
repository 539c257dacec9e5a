//! Segment files under crashes, failing fsyncs, full disks and damage.

use std::path::Path;
use std::sync::Arc;

use super::conformance::{entry, read_all, suite};
use super::*;
use crate::config::LogConfig;
use crate::disk::simulated::{Faults, SimulatedDisk, Unsynced};
use crate::disk::{Disk, LocalDisk, SyncPoint};

const DIRECTORY: &str = "/log";

fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 4096,
        max_bytes: 1 << 20,
    }
}

fn open(disk: &SimulatedDisk) -> Result<SegmentLog, LogError> {
    SegmentLog::open(Arc::new(disk.clone()), Path::new(DIRECTORY), small(), 0)
}

fn names(entries: &[(u64, Entry)]) -> Vec<String> {
    entries
        .iter()
        .map(|(_, entry)| String::from_utf8(entry.body.to_vec()).unwrap())
        .collect()
}

#[tokio::test]
async fn segments_pass_the_suite_on_the_simulated_disk() {
    suite(|| open(&SimulatedDisk::new()).unwrap()).await;
}

#[tokio::test]
async fn segments_pass_the_suite_on_the_local_disk() {
    let root = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    suite(|| {
        number.set(number.get() + 1);
        let directory = root.path().join(number.get().to_string());
        SegmentLog::open(Arc::new(LocalDisk), &directory, small(), 0).unwrap()
    })
    .await;
}

/// Bodies of about 1.5 KiB, so that segments of 4 KiB roll often.
fn body(run: usize, n: usize) -> String {
    format!("{run}-{n}-{}", "x".repeat(1500))
}

/// Two runs of appends with a cut between them, each until the machine stops; returns the
/// acknowledged bodies of those positions that were not cut.
async fn workload(disk: &SimulatedDisk) -> Vec<String> {
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    let mut cut = 0;
    for run in 0..2 {
        let Ok(log) = open(disk) else { break };
        for n in 0..5 {
            if let Ok(position) = log.append(entry(&body(run, n))).await {
                acknowledged.push((position, body(run, n)));
            }
        }
        if run == 0 {
            cut = acknowledged.get(1).map_or(0, |(position, _)| *position);
            // A cut that fails has perhaps removed something all the same.
            drop(log.cut(cut).await);
        }
        log.close().await;
    }
    acknowledged
        .into_iter()
        .filter(|(position, _)| *position > cut)
        .map(|(_, body)| body)
        .collect()
}

/// What is wrong with the log after a crash, when anything is.
async fn check(disk: &SimulatedDisk, acknowledged: &[String]) -> Result<(), String> {
    // Twice, with an append in between: recovery must not spoil what it found.
    let mut extra = Vec::new();
    let mut disk = disk.clone();
    for round in 0..2 {
        let log = open(&disk).map_err(|err| err.to_string())?;
        let cut = log.extent().cut;
        let mut found = Vec::new();
        let mut after = cut;
        loop {
            let some = log
                .read(after, 1)
                .await
                .map_err(|err| format!("round {round}: {err}"))?;
            let Some((last, _)) = some.last() else { break };
            after = *last;
            found.extend(some);
        }
        for (index, (position, _)) in found.iter().enumerate() {
            let expected = cut + 1 + index as u64;
            if *position != expected {
                return Err(format!("position {position} instead of {expected}"));
            }
        }
        let found = names(&found);
        for body in acknowledged.iter().chain(&extra) {
            let times = found.iter().filter(|name| *name == body).count();
            if times != 1 {
                return Err(format!("round {round}: {:.3} is there {times} times", body));
            }
        }
        let name = format!("extra {round}");
        log.append(entry(&name))
            .await
            .map_err(|err| err.to_string())?;
        extra.push(name);
        log.close().await;
        disk = disk.restart(Unsynced::Lost);
    }
    Ok(())
}

const LEFT_BEHIND: [Unsynced; 6] = [
    Unsynced::Lost,
    Unsynced::Kept,
    Unsynced::Torn(1),
    Unsynced::Torn(40),
    Unsynced::Torn(700),
    Unsynced::HoleThenRest(48),
];

/// Crashes at every step, in every way; the first failed check.
async fn sweep(drop_sync: Option<SyncPoint>) -> Result<u64, String> {
    let mut step = 0;
    loop {
        step += 1;
        let disk = SimulatedDisk::new();
        disk.set_faults(Faults {
            crash_at: Some(step),
            drop_sync,
            ..Faults::default()
        });
        let acknowledged = workload(&disk).await;
        for unsynced in LEFT_BEHIND {
            let restarted = disk.restart(unsynced);
            restarted.set_faults(Faults {
                drop_sync,
                ..Faults::default()
            });
            check(&restarted, &acknowledged)
                .await
                .map_err(|err| format!("crash at step {step}, {unsynced:?}: {err}"))?;
        }
        if !disk.has_crashed() {
            return Ok(step);
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_by_a_crash_at_any_step() {
    let steps = sweep(None).await.unwrap();
    assert!(steps > 40, "the workload took only {steps} steps");
}

#[tokio::test]
async fn without_any_one_of_its_fsyncs_something_is_lost() {
    for point in [
        SyncPoint::LogRecords,
        SyncPoint::LogHeader,
        SyncPoint::LogDirectory,
        SyncPoint::LogTail,
        SyncPoint::Directory,
    ] {
        let swept = sweep(Some(point)).await;
        assert!(swept.is_err(), "nothing needs the fsync of {point:?}");
    }
}

#[tokio::test]
async fn a_failed_fsync_is_never_acknowledged_and_the_next_request_starts_a_new_segment() {
    let disk = SimulatedDisk::new();
    let log = open(&disk).unwrap();
    assert_eq!(log.append(entry("a")).await, Ok(1));
    for point in [SyncPoint::LogRecords, SyncPoint::LogHeader] {
        disk.set_faults(Faults {
            fail_sync: Some(point),
            ..Faults::default()
        });
        let refused = log.append(entry("refused")).await.unwrap_err();
        assert!(matches!(refused, LogError::Unavailable(_)), "{refused}");
    }
    disk.set_faults(Faults::default());
    assert_eq!(log.append(entry("b")).await, Ok(2));
    assert_eq!(names(&read_all(&log, 0).await), ["a", "b"]);
    log.close().await;
    for unsynced in LEFT_BEHIND {
        let log = open(&disk.restart(unsynced)).unwrap();
        assert_eq!(names(&read_all(&log, 0).await), ["a", "b"], "{unsynced:?}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers_by_itself() {
    let disk = SimulatedDisk::new();
    let log = open(&disk).unwrap();
    log.append(entry("a")).await.unwrap();
    disk.set_faults(Faults {
        capacity: Some(500),
        ..Faults::default()
    });
    for _ in 0..20 {
        let refused = log.append(entry(&body(0, 0))).await.unwrap_err();
        assert!(matches!(refused, LogError::Unavailable(_)), "{refused}");
    }
    let files = disk.list(Path::new(DIRECTORY)).unwrap().len();
    assert!(files <= 2, "{files} files are left by refused requests");
    disk.set_faults(Faults::default());
    assert_eq!(log.append(entry("b")).await, Ok(2));
    log.close().await;
    let log = open(&disk.restart(Unsynced::Lost)).unwrap();
    assert_eq!(names(&read_all(&log, 0).await), ["a", "b"]);
}

#[tokio::test]
async fn a_log_at_its_bound_is_full_until_it_is_cut() {
    let disk = SimulatedDisk::new();
    let config = LogConfig {
        segment_bytes: 2000,
        max_bytes: 8000,
    };
    let log = SegmentLog::open(Arc::new(disk), Path::new(DIRECTORY), config, 0).unwrap();
    let mut last = 0;
    let full = loop {
        match log.append(entry(&body(0, 0))).await {
            Ok(position) => last = position,
            Err(err) => break err,
        }
    };
    assert!(matches!(full, LogError::Full { limit: 8000, .. }), "{full}");
    log.cut(last).await.unwrap();
    assert_eq!(log.append(entry("more")).await, Ok(last + 1));
}

/// A log of several segments, closed; its files.
async fn several_segments() -> (SimulatedDisk, Vec<std::path::PathBuf>) {
    let disk = SimulatedDisk::new();
    let log = open(&disk).unwrap();
    for n in 0..7 {
        log.append(entry(&body(0, n))).await.unwrap();
    }
    log.close().await;
    let files = disk.list(Path::new(DIRECTORY)).unwrap();
    (disk, files.into_iter().map(|file| file.path).collect())
}

#[tokio::test]
async fn damage_is_an_error_that_names_file_and_offset() {
    // (which segment, where, whether opening notices, the offset that is named)
    let cases = [
        (0, 4, true, 0),
        (0, 60, false, 48),
        (0, 300, false, 48),
        (1, 2000, false, 1614),
        // The last segment is read when it is opened; its first record was durable.
        (2, 4, true, 0),
    ];
    let (_, files) = several_segments().await;
    assert_eq!(files.len(), 3);
    for (segment, at, at_open, expected) in cases {
        let (disk, files) = several_segments().await;
        disk.damage(&files[segment], at, &[0xee]);
        let found = match open(&disk) {
            Err(err) => {
                assert!(at_open, "opening noticed: {err}");
                err
            }
            Ok(log) => {
                assert!(!at_open, "opening did not notice {segment} {at}");
                log.read(0, 1 << 20).await.unwrap_err()
            }
        };
        match &found {
            LogError::Damaged { path, offset, .. } => {
                assert_eq!((path, *offset), (&files[segment], expected), "{found}");
            }
            other => panic!("{other}"),
        }
        if !at_open {
            let checks = verify(&disk, Path::new(DIRECTORY)).unwrap();
            assert_eq!(checks[segment].result, Err(found));
        }
    }
}

#[tokio::test]
async fn a_record_of_the_last_segment_that_was_durable_is_damage_not_a_torn_tail() {
    let disk = SimulatedDisk::new();
    let log = open(&disk).unwrap();
    for name in ["a", "b", "c"] {
        log.append(entry(name)).await.unwrap();
    }
    log.close().await;
    let path = disk.list(Path::new(DIRECTORY)).unwrap()[0].path.clone();
    let bytes = disk.read(&path).unwrap();
    let at = |name: u8| bytes.iter().rposition(|byte| *byte == name).unwrap();

    // The third record says that the second was durable.
    let damaged = disk.restart(Unsynced::Lost);
    damaged.damage(&path, at(b'b'), b"x");
    let error = open(&damaged).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");

    // Nothing says so of the third: it looks like a write that was torn.
    let torn = disk.restart(Unsynced::Lost);
    torn.damage(&path, at(b'c'), b"x");
    let log = open(&torn).unwrap();
    assert_eq!(names(&read_all(&log, 0).await), ["a", "b"]);
}

#[tokio::test]
async fn a_missing_or_shortened_segment_and_a_newer_format_are_told() {
    let (disk, files) = several_segments().await;
    // The newest segment lost: nothing here can know; the first lost: the log begins later.
    let first_lost = disk.restart(Unsynced::Lost);
    first_lost.remove(&files[0]).unwrap();
    assert!(open(&first_lost).unwrap().extent().cut > 0);

    let newer = disk.restart(Unsynced::Lost);
    let mut header = disk.read(&files[2]).unwrap()[..48].to_vec();
    header[8] = 9;
    let crc32 = crc32fast::hash(&header[..44]).to_le_bytes();
    header[44..].copy_from_slice(&crc32);
    newer.damage(&files[2], 0, &header);
    let error = open(&newer).unwrap_err().to_string();
    assert!(error.contains("format version 9"), "{error}");
}

#[tokio::test]
async fn positions_continue_after_those_known_to_be_used() {
    let disk = SimulatedDisk::new();
    let log = SegmentLog::open(Arc::new(disk.clone()), Path::new(DIRECTORY), small(), 41).unwrap();
    assert_eq!(log.append(entry("a")).await, Ok(42));
    log.close().await;
    assert_eq!(read_all(&open(&disk).unwrap(), 41).await.len(), 1);
}

#[tokio::test]
async fn a_log_that_is_cut_to_its_end_takes_no_space_and_goes_on() {
    let disk = SimulatedDisk::new();
    let log = open(&disk).unwrap();
    log.append(entry("a")).await.unwrap();
    log.cut(1).await.unwrap();
    let empty = Extent {
        cut: 1,
        last: 1,
        bytes: 0,
    };
    assert_eq!(log.extent(), empty);
    assert_eq!(disk.list(Path::new(DIRECTORY)).unwrap(), []);
    assert_eq!(log.append(entry("b")).await, Ok(2));
    log.close().await;

    // The removed segment comes back, since its directory was not synced after that.
    let log = open(&disk.restart(Unsynced::Lost)).unwrap();
    assert_eq!(names(&read_all(&log, 1).await), ["b"]);
}
