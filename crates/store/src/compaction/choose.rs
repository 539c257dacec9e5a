//! Which neighbouring splits are merged next: a pure decision over how they look.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use crate::columns::MAX_PROMOTED;
use crate::config::CompactionConfig;

/// A split that may be merged with its neighbours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Rows.
    pub(crate) rows: u64,
    /// The file's size, bytes.
    pub(crate) bytes: u64,
    /// First and last timestamp, Unix ns.
    pub(crate) times: (i64, i64),
    /// Names of its promoted columns.
    pub(crate) promoted: BTreeSet<String>,
    /// It is left alone: merging it has failed.
    pub(crate) is_barred: bool,
}

/// What merging aims at for one tenant, signal and retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Goals {
    /// A split grows up to this many rows.
    pub(crate) rows: u64,
    /// And up to this many bytes.
    pub(crate) bytes: u64,
    /// The newest splits wait until there are so many.
    pub(crate) fan_in: usize,
    /// A merged split covers at most this time, ns, unless one of its parts covers about as much.
    pub(crate) span: i64,
    /// Splits with more promoted columns than one may have are encoded anew, so only up to this
    /// many rows.
    pub(crate) encoded_rows: u64,
}

/// The shortest and longest time that merging makes splits cover.
const SPANS: Range<Duration> = Duration::from_secs(3_600)..Duration::from_secs(7 * 86_400);
/// Deleting whole splits deletes late by what they cover: by this part of the retention.
const PARTS_OF_RETENTION: u32 = 16;
/// The most files that one merge opens.
const MAX_FILES: usize = 64;
/// Full row groups that may be encoded anew for columns without room.
const ENCODED_ROW_GROUPS: u64 = 4;

impl Goals {
    /// The goals for splits that are kept this long.
    pub(crate) fn new(config: &CompactionConfig, row_group_rows: usize, keep: Duration) -> Self {
        let span = (keep / PARTS_OF_RETENTION).clamp(SPANS.start, SPANS.end);
        Self {
            rows: config.target_rows,
            bytes: config.target_bytes,
            fan_in: config.fan_in.max(2),
            span: i64::try_from(span.as_nanos()).unwrap_or(i64::MAX),
            encoded_rows: ENCODED_ROW_GROUPS * row_group_rows as u64,
        }
    }
}

/// A run of neighbours to be merged.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// Which of the splits.
    pub(crate) run: Range<usize>,
    /// Files that it saves for each byte that it writes; more is better.
    pub(crate) gain: f64,
}

/// The best run among `splits`, which are in the order of their log positions.
///
/// A run stays within the goals, and no part is larger than twice the others together, so that a
/// row is rewritten a few times at most. A run that may still grow waits for [`Goals::fan_in`] splits.
pub(crate) fn choose(splits: &[Candidate], goals: &Goals) -> Option<Choice> {
    let mut best: Option<Choice> = None;
    for start in 0..splits.len() {
        let run = longest_run(splits, start, goals);
        let may_grow = run.end == splits.len() && run.len() < MAX_FILES;
        let least = if may_grow { goals.fan_in } else { 2 };
        for run in balanced(splits, run) {
            if run.len() < least {
                continue;
            }
            let bytes: u64 = splits[run.clone()].iter().map(|split| split.bytes).sum();
            let gain = (run.len() - 1) as f64 / bytes.max(1) as f64;
            if best.as_ref().is_none_or(|best| gain > best.gain) {
                best = Some(Choice { run, gain });
            }
        }
    }
    best
}

/// As many splits from `start` on as stay within the goals together; perhaps none.
fn longest_run(splits: &[Candidate], start: usize, goals: &Goals) -> Range<usize> {
    let mut promoted: BTreeSet<&str> = BTreeSet::new();
    let (mut rows, mut bytes, mut widest) = (0_u64, 0_u64, 0_i64);
    let mut times = (i64::MAX, i64::MIN);
    for (index, split) in splits.iter().enumerate().skip(start) {
        rows += split.rows;
        bytes += split.bytes;
        times = (times.0.min(split.times.0), times.1.max(split.times.1));
        widest = widest.max(split.times.1.saturating_sub(split.times.0));
        promoted.extend(split.promoted.iter().map(String::as_str));
        let may_cover = goals.span.max(widest.saturating_add(widest / 4));
        let fits = rows <= goals.rows
            && bytes <= goals.bytes
            && times.1.saturating_sub(times.0) <= may_cover
            && (promoted.len() <= MAX_PROMOTED || rows <= goals.encoded_rows)
            && index - start < MAX_FILES;
        if split.is_barred || !fits {
            return start..index;
        }
    }
    start..splits.len()
}

/// The parts of a run in which no split is larger than twice the others together.
fn balanced(splits: &[Candidate], run: Range<usize>) -> Vec<Range<usize>> {
    let bytes: u64 = splits[run.clone()].iter().map(|split| split.bytes).sum();
    let largest = run.clone().max_by_key(|index| splits[*index].bytes);
    match largest {
        Some(largest) if 3 * splits[largest].bytes > 2 * bytes => {
            let mut parts = balanced(splits, run.start..largest);
            parts.extend(balanced(splits, largest + 1..run.end));
            parts
        }
        Some(_) => vec![run],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOALS: Goals = Goals {
        rows: 1_000,
        bytes: 1_000,
        fan_in: 4,
        span: 100,
        encoded_rows: 50,
    };

    /// Splits of these sizes, ten units of time each, one after the other.
    fn splits(sizes: &[u64]) -> Vec<Candidate> {
        let split = |(index, size): (usize, &u64)| Candidate {
            rows: *size,
            bytes: *size,
            times: (index as i64 * 10, index as i64 * 10 + 9),
            ..Candidate::default()
        };
        sizes.iter().enumerate().map(split).collect()
    }

    fn chosen(splits: &[Candidate]) -> Option<Range<usize>> {
        choose(splits, &GOALS).map(|choice| choice.run)
    }

    #[test]
    fn runs_of_like_neighbours_are_chosen() {
        let cases: [(&[u64], Option<Range<usize>>); 9] = [
            (&[], None),
            (&[10], None),
            // The newest wait for more.
            (&[10, 10, 10], None),
            (&[10, 10, 10, 10], Some(0..4)),
            // Small ones before large ones: more files for fewer bytes.
            (&[200, 200, 200, 200, 9, 9, 9, 9], Some(4..8)),
            // What is large is not rewritten for a few small ones.
            (&[500, 10, 10, 10], None),
            (&[500, 10, 10, 10, 10], Some(1..5)),
            // These can get no more neighbours, so two are enough.
            (&[300, 300, 900], Some(0..2)),
            (&[600, 600, 600, 600], None),
        ];
        for (sizes, expected) in cases {
            assert_eq!(chosen(&splits(sizes)), expected, "{sizes:?}");
        }
    }

    #[test]
    fn a_barred_split_is_left_alone_and_parts_its_neighbours() {
        let mut all = splits(&[10, 10, 10, 10, 10, 10]);
        all[2].is_barred = true;
        assert_eq!(chosen(&all), Some(0..2));
        all[1].is_barred = true;
        assert_eq!(chosen(&all), None);
    }

    #[test]
    fn merging_does_not_make_splits_cover_long_times() {
        let mut all = splits(&[10; 6]);
        for split in &mut all[3..] {
            split.times = (split.times.0 + 1_000, split.times.1 + 1_000);
        }
        assert_eq!(chosen(&all), Some(0..3));
        // Those that cover as much already may be merged.
        for split in &mut all {
            split.times = (0, 1_000);
        }
        assert_eq!(chosen(&all), Some(0..6));
    }

    #[test]
    fn splits_of_many_keys_are_merged_while_they_are_small() {
        let with_keys = |sizes: &[u64]| {
            let mut all = splits(sizes);
            for (index, split) in all.iter_mut().enumerate() {
                split.promoted = (0..60).map(|n| format!("attr.{index}.{n}")).collect();
            }
            all
        };
        assert_eq!(chosen(&with_keys(&[10, 10, 10, 10])), Some(0..4));
        assert_eq!(chosen(&with_keys(&[40, 40, 40, 40])), None);
    }

    #[test]
    fn at_most_so_many_files_are_opened_at_once() {
        let mut all = splits(&[1; 200]);
        for split in &mut all {
            split.times = (0, 50);
        }
        assert_eq!(chosen(&all), Some(0..MAX_FILES));
    }

    #[test]
    fn merging_comes_to_an_end_and_rewrites_each_row_a_few_times() {
        let mut all: Vec<Candidate> = Vec::new();
        let (mut written, mut merged) = (0, 0);
        for _ in 0..400 {
            written += 7;
            all.push(Candidate {
                rows: 7,
                bytes: 7,
                times: (0, 50),
                ..Candidate::default()
            });
            while let Some(choice) = choose(&all, &GOALS) {
                let bytes = all[choice.run.clone()]
                    .iter()
                    .map(|split| split.bytes)
                    .sum();
                let one = Candidate {
                    rows: bytes,
                    bytes,
                    times: (0, 50),
                    ..Candidate::default()
                };
                all.splice(choice.run, [one]);
                merged += bytes;
            }
        }
        assert!(merged <= 5 * written, "{merged} bytes for {written}");
        assert!(all.len() <= 16, "{} splits are left", all.len());
    }
}
