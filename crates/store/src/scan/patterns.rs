//! Patterns of the bodies of matching records, and how they differ between two time ranges.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Schema, TimestampNanosecondType};
use futures::TryStreamExt;
use model::log::severity_name;
use model::{LogRecord, TimeRange};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use query::patterns::{Change, Merge, Pattern, PatternMiner};
use query::schema::{self, Keys, Table};

use super::context::found_record;
use super::exec::read_logical;
use super::matches::{LogFilter, Matches};
use super::pieces::{Piece, internal};
use super::records::read_selected;
use super::select::Wanted;
use super::session::{QueryBounds, within};
use super::snapshot::Snapshot;
use super::stats::{OnDamage, ScanStats};
use crate::error::{QueryError, StoreError};
use crate::search::{FoundRecord, LogPattern, LogPatterns, Order, PatternPage};

/// Records of one time range that are all looked at.
const ALL_OF: u64 = 100_000;
/// Past them one of 2, of 4, of 8 … is looked at, this many of each.
const SAMPLE_OF: u64 = 50_000;
/// Records shown for a pattern.
const SAMPLES: usize = 3;

/// The patterns of matching records; relative times in the query count from `now`, Unix ns.
///
/// # Errors
///
/// A query that cannot be read, or a bound that is met. Damage is no error: the page says that it
/// is partial.
pub async fn log_patterns(
    snapshot: &Snapshot,
    patterns: &LogPatterns,
    bounds: &QueryBounds,
    now: i64,
) -> Result<PatternPage, QueryError> {
    let started = Instant::now();
    let stats = Arc::new(ScanStats::default());
    let mut mining = Mining {
        snapshot,
        miner: PatternMiner::new(),
        pieces: Vec::new(),
        stats: Arc::clone(&stats),
    };
    let filter = |range: TimeRange| LogFilter::compile(&patterns.query, range, bounds, now);
    let current = filter(patterns.range)?;
    let baseline = patterns.compare.map(filter).transpose()?;
    within(bounds.timeout, async {
        let seen = mining.add(&current, false).await?;
        let seen_before = match &baseline {
            Some(baseline) => Some(mining.add(baseline, true).await?),
            None => None,
        };
        let scale = patterns
            .compare
            .map(|compare| length(patterns.range) / length(compare));
        let found = mining.finish(patterns.limit, &seen, seen_before.as_ref(), scale);
        let (patterns, distinct) = found.await?;
        let warnings = stats.warnings();
        Ok(PatternPage {
            patterns,
            distinct,
            records: seen.records,
            baseline_records: seen_before.as_ref().map(|seen| seen.records),
            sampled: seen.is_sampled() || seen_before.is_some_and(|seen| seen.is_sampled()),
            partial: !warnings.is_empty(),
            warnings,
            stats: stats.read(started.elapsed()),
        })
    })
    .await
}

fn length(range: TimeRange) -> f64 {
    (range.end as f64 - range.start as f64).max(1.0)
}

/// What was read of one time range.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Records that match.
    records: u64,
    /// Records that were looked at.
    read: u64,
    /// Those times how many each stands for.
    weighed: u64,
}

impl Seen {
    fn is_sampled(&self) -> bool {
        self.read < self.records
    }

    /// One of this many is looked at now.
    fn stride(&self) -> u64 {
        match self.read.checked_sub(ALL_OF) {
            None => 1,
            Some(over) => 2 << (over / SAMPLE_OF).min(32),
        }
    }

    /// How many records a weighed number stands for.
    fn scaled(&self, weighed: u64) -> u64 {
        if !self.is_sampled() || self.weighed == 0 {
            return weighed;
        }
        (weighed as f64 * self.records as f64 / self.weighed as f64).round() as u64
    }
}

/// What is kept of a pattern's records.
#[derive(Debug, Default)]
struct Kept {
    count: u64,
    baseline: u64,
    severity: BTreeMap<&'static str, u64>,
    times: Option<(i64, i64)>,
    /// Pieces and rows of a few records.
    samples: Vec<(usize, usize)>,
}

impl Kept {
    fn add(&mut self, time: i64, level: i32, weight: u64) {
        self.count += weight;
        *self.severity.entry(severity_name(level)).or_default() += weight;
        let (first, last) = self.times.unwrap_or((time, time));
        self.times = Some((first.min(time), last.max(time)));
    }
}

impl Merge for Kept {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.baseline += other.baseline;
        for (severity, count) in other.severity {
            *self.severity.entry(severity).or_default() += count;
        }
        self.times = match (self.times, other.times) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES);
    }
}

struct Mining<'a> {
    snapshot: &'a Snapshot,
    miner: PatternMiner<Kept>,
    /// Pieces that samples lie in; `None` for those without.
    pieces: Vec<Option<Piece>>,
    stats: Arc<ScanStats>,
}

impl Mining<'_> {
    /// Adds the matching records of a time range.
    async fn add(&mut self, filter: &LogFilter, is_baseline: bool) -> Result<Seen, QueryError> {
        let columns = columns();
        let mut seen = Seen::default();
        let (stats, damage) = (&self.stats, OnDamage::Warn);
        // Which rows are read is known later, so what checks read is not kept for them.
        let wanted = Wanted::Columns(Arc::new(Schema::empty()));
        let mut matches =
            Matches::new(self.snapshot, filter, wanted, Order::Newest, stats, damage)?;
        while let Some((piece, selected)) = matches.next().await? {
            let stride = seen.stride();
            let rows = chosen(selected.rows(), stride, seen.records);
            seen.records += selected.count() as u64;
            if rows.is_empty() {
                continue;
            }
            let number = self.pieces.len();
            let batches = read_logical(piece.clone(), &columns, &selection_of(&rows).into());
            let Some(mut batches) = matches.tolerate(batches)? else {
                continue;
            };
            let mut first = 0;
            let mut has_samples = false;
            while let Some(Some(batch)) = matches.tolerate(batches.try_next().await)? {
                let batch = Lines::of(&batch)?;
                for row in 0..batch.len() {
                    let Some(kept) = batch.body(row).and_then(|body| self.miner.add(body)) else {
                        continue;
                    };
                    if kept.samples.len() < SAMPLES {
                        kept.samples.push((number, rows[first + row]));
                        has_samples = true;
                    }
                    if is_baseline {
                        kept.baseline += stride;
                    } else {
                        kept.add(batch.time(row), batch.level(row), stride);
                    }
                }
                first += batch.len();
                seen.read += batch.len() as u64;
                seen.weighed += batch.len() as u64 * stride;
            }
            self.pieces.push(has_samples.then_some(piece));
        }
        Ok(seen)
    }

    /// The most frequent patterns, and how many there are in all.
    async fn finish(
        self,
        limit: usize,
        seen: &Seen,
        seen_before: Option<&Seen>,
        scale: Option<f64>,
    ) -> Result<(Vec<LogPattern>, u64), StoreError> {
        let mut found = self.miner.finish();
        let distinct = found.len() as u64;
        found.sort_by(|a, b| {
            let (a, b) = (
                (a.kept.count, a.kept.baseline, &a.text),
                (b.kept.count, b.kept.baseline, &b.text),
            );
            (b.0, b.1).cmp(&(a.0, a.1)).then_with(|| a.2.cmp(b.2))
        });
        found.truncate(limit);
        let mut samples = samples(&self.pieces, &found).await?;
        let patterns = found.into_iter().enumerate().map(|(index, pattern)| {
            let Pattern { text, kept } = pattern;
            let count = seen.scaled(kept.count);
            let baseline = seen_before.map(|seen| seen.scaled(kept.baseline));
            LogPattern {
                pattern: text,
                count,
                severity: kept
                    .severity
                    .into_iter()
                    .map(|(name, count)| (name, seen.scaled(count)))
                    .collect(),
                times: kept.times,
                samples: samples.remove(&index).unwrap_or_default(),
                baseline,
                change: baseline
                    .zip(scale)
                    .map(|(baseline, scale)| Change::of(count, baseline, scale)),
            }
        });
        Ok((patterns.collect(), distinct))
    }
}

/// The sample records of patterns, by the patterns' numbers.
async fn samples(
    pieces: &[Option<Piece>],
    patterns: &[Pattern<Kept>],
) -> Result<HashMap<usize, Vec<FoundRecord>>, StoreError> {
    let mut wanted: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (number, pattern) in patterns.iter().enumerate() {
        for (piece, row) in &pattern.kept.samples {
            wanted.entry(*piece).or_default().push((*row, number));
        }
    }
    let mut samples: HashMap<usize, Vec<FoundRecord>> = HashMap::new();
    for (piece, mut rows) in wanted {
        let Some(piece) = &pieces[piece] else {
            continue;
        };
        rows.sort_unstable();
        let selection = selection_of(&rows.iter().map(|(row, _)| *row).collect::<Vec<_>>());
        let records = read_selected::<LogRecord>(piece, &selection.into()).await?;
        for ((_, pattern), record) in rows.into_iter().zip(records) {
            let of_pattern = samples.entry(pattern).or_default();
            of_pattern.push(found_record(record));
        }
    }
    for records in samples.values_mut() {
        records.sort_by_key(|found| std::cmp::Reverse((found.record.timestamp, found.seq)));
    }
    Ok(samples)
}

/// Those of the selected rows that are looked at: about one of `stride`, by chance that is the same
/// each time; `before` rows were selected in other pieces.
fn chosen(selection: &RowSelection, stride: u64, before: u64) -> Vec<usize> {
    let mut rows = Vec::new();
    let (mut row, mut number) = (0, before);
    for selector in selection.iter() {
        if !selector.skip {
            for selected in row..row + selector.row_count {
                if scattered(number).is_multiple_of(stride) {
                    rows.push(selected);
                }
                number += 1;
            }
        }
        row += selector.row_count;
    }
    rows
}

/// A number without any order in it, the same each time (SplitMix64).
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The selection of some rows, given ascending.
fn selection_of(rows: &[usize]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for row in rows {
        if *row > next {
            selectors.push(RowSelector::skip(row - next));
        }
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    // Neighbours of a kind are merged.
    selectors.into()
}

fn columns() -> Arc<Schema> {
    let wanted = [schema::TIMESTAMP, schema::LEVEL_NUMBER, schema::BODY];
    let table = Table::Logs.schema(&Keys::default());
    let fields = table.fields().iter();
    let fields = fields.filter(|field| wanted.contains(&field.name().as_str()));
    Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()))
}

/// The columns of a batch that a pattern is made of.
struct Lines<'a> {
    times: &'a arrow::array::TimestampNanosecondArray,
    levels: &'a arrow::array::Int32Array,
    bodies: &'a arrow::array::StringArray,
}

impl<'a> Lines<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, StoreError> {
        let wrong = |name: &str| internal("read lines", format!("{name} is of another type"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| wrong(name));
        Ok(Self {
            times: column(schema::TIMESTAMP)?
                .as_primitive_opt::<TimestampNanosecondType>()
                .ok_or_else(|| wrong(schema::TIMESTAMP))?,
            levels: column(schema::LEVEL_NUMBER)?
                .as_primitive_opt::<Int32Type>()
                .ok_or_else(|| wrong(schema::LEVEL_NUMBER))?,
            bodies: column(schema::BODY)?
                .as_string_opt::<i32>()
                .ok_or_else(|| wrong(schema::BODY))?,
        })
    }

    fn len(&self) -> usize {
        self.bodies.len()
    }

    fn body(&self, row: usize) -> Option<&'a str> {
        self.bodies.is_valid(row).then(|| self.bodies.value(row))
    }

    fn time(&self, row: usize) -> i64 {
        self.times.value(row)
    }

    fn level(&self, row: usize) -> i32 {
        self.levels.value(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_and_stands_for_all() {
        let mut seen = Seen::default();
        let group = 65_536;
        let selection: RowSelection = vec![RowSelector::skip(5), RowSelector::select(group)].into();
        for _ in 0..40 {
            let stride = seen.stride();
            let rows = chosen(&selection, stride, seen.records);
            assert!(rows.iter().all(|row| (5..group + 5).contains(row)));
            let even = rows.iter().filter(|row| *row % 2 == 0).count();
            assert!(even * 3 > rows.len() && even * 3 < rows.len() * 2, "{even}");
            seen.records += group as u64;
            seen.read += rows.len() as u64;
            seen.weighed += rows.len() as u64 * stride;
        }
        assert!(seen.is_sampled() && seen.read < 600_000, "{seen:?}");
        let share = seen.weighed as f64 / seen.records as f64;
        assert!((0.97..1.03).contains(&share), "{share}");
        assert_eq!(seen.scaled(seen.weighed), seen.records);
    }

    #[test]
    fn rows_are_selected_one_by_one() {
        let selection = selection_of(&[0, 1, 4]);
        assert_eq!(selection.row_count(), 3);
        assert_eq!(chosen(&selection, 1, 0), [0, 1, 4]);
    }
}
