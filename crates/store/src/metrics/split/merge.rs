//! Several metric splits → one: series by series in the order of their labels.
//!
//! Chunks that are long enough and overlap no other of their series are copied as they are; the
//! others are decoded, joined and cut anew. Of two samples of one series and millisecond the one
//! of the later split wins, as it does for a reader of both. In memory are a batch of rows of each
//! split, one series, and the new split's index and row group.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::Write;

use arrow::array::RecordBatch;
use model::metric::MetricMetadata;
use model::{Exemplar, Labels};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use super::chunks::{CHUNK_SAMPLES, add_chunk, rows_of};
use super::format::{Kind, LabelReader, Row, RowColumns};
use super::read::MetricSplit;
use super::row_set::RowSet;
use super::write::SplitWriter;
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::metrics::head::SeriesColumns;
use crate::split::Amount;

/// A chunk of so many samples is copied.
const FULL_CHUNK: usize = CHUNK_SAMPLES / 2;
/// Rows of one split in memory: of dozens of splits at a time.
const BATCH_ROWS: usize = 32;
/// Everything that a row has.
const COLUMNS: [&str; 7] = [
    "labels",
    "kind",
    "min_time",
    "max_time",
    "count",
    "exemplars",
    "samples",
];

/// A split that was made of others, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedMetrics {
    /// What the catalog keeps of it; `None` when nothing is left, and nothing is to be published.
    pub summary: Option<SplitSummary>,
    /// Samples in chunks that were copied.
    pub copied: Amount,
    /// Samples in chunks that were made anew.
    pub encoded: Amount,
    /// Samples that were left out because they are too old.
    pub expired: u64,
}

/// Writes one split with the samples of `splits`, which come in the order of their log positions.
/// Chunks of a metric whose newest sample is older than `cutoff_ms` of its name (Unix ms) are left
/// out. CPU-heavy.
///
/// # Errors
///
/// A split is damaged, `out` failed, or [`StoreError::ShuttingDown`] when `is_stopped`.
pub fn merge(
    splits: &[MetricSplit],
    first_created_at: Option<i64>,
    cutoff_ms: &dyn Fn(&str) -> i64,
    out: &mut (dyn Write + Send),
    is_stopped: &dyn Fn() -> bool,
) -> Result<MergedMetrics, StoreError> {
    let mut metadata: BTreeMap<&str, &MetricMetadata> = BTreeMap::new();
    for split in splits {
        let described = split.metadata()?.iter();
        metadata.extend(described.map(|family| (family.family.as_str(), family)));
    }
    let metadata: Vec<MetricMetadata> = metadata.into_values().cloned().collect();
    let mut sources = splits
        .iter()
        .map(Rows::of)
        .collect::<Result<Vec<_>, StoreError>>()?;
    let mut waiting = BinaryHeap::with_capacity(sources.len());
    for (number, source) in sources.iter_mut().enumerate() {
        waiting.extend(
            source
                .next_labels()?
                .map(|labels| Reverse((labels, number))),
        );
    }
    let mut writer = SplitWriter::new(out)?;
    let mut series = Series::default();
    while let Some(Reverse((labels, number))) = waiting.pop() {
        if is_stopped() {
            return Err(StoreError::ShuttingDown);
        }
        series.cutoff_ms = cutoff_ms(labels.metric_name().unwrap_or_default());
        // Of equal labels the lower number comes first: the older split.
        let mut next = Some(number);
        while let Some(number) = next {
            let source = &mut sources[number];
            while let Some(row) = source.next_of(&labels)? {
                series.add(row);
            }
            waiting.extend(
                source
                    .next_labels()?
                    .map(|labels| Reverse((labels, number))),
            );
            let follows = |Reverse((other, _)): &Reverse<(Labels, usize)>| *other == labels;
            next = match waiting.peek().is_some_and(follows) {
                true => waiting.pop().map(|Reverse((_, number))| number),
                false => None,
            };
        }
        let (rows, exemplars) = series
            .take()
            .map_err(|message| encoding(&labels, &message))?;
        writer.add(&labels, rows, exemplars)?;
    }
    let summary = writer.finish(&metadata, first_created_at)?;
    Ok(MergedMetrics {
        summary: (summary.rows > 0).then_some(summary),
        copied: series.copied,
        encoded: series.encoded,
        expired: series.expired,
    })
}

fn encoding(labels: &Labels, message: &str) -> StoreError {
    StoreError::Encoding {
        action: "merge metric splits",
        message: format!("series {labels}: {message}"),
    }
}

/// The rows of one split, from its first to its last.
struct Rows<'s> {
    split: &'s MetricSplit,
    /// `None` for a split without rows.
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<RecordBatch>,
    index: usize,
    reader_of_labels: LabelReader,
    /// The labels of the row at `index`, once they were asked for.
    labels: Option<Labels>,
}

impl<'s> Rows<'s> {
    fn of(split: &'s MetricSplit) -> Result<Self, StoreError> {
        let everything = RowSet::all(split.rows);
        let reader = match everything.is_empty() {
            true => None,
            false => Some(split.reader(&everything, &COLUMNS, BATCH_ROWS)?),
        };
        Ok(Self {
            split,
            reader,
            batch: None,
            index: 0,
            reader_of_labels: LabelReader::default(),
            labels: None,
        })
    }

    /// The labels of the next row, when there is one.
    fn next_labels(&mut self) -> Result<Option<Labels>, StoreError> {
        if self.labels.is_none() {
            while self
                .batch
                .as_ref()
                .is_none_or(|batch| self.index >= batch.num_rows())
            {
                let Some(batch) = self.reader.as_mut().and_then(Iterator::next) else {
                    return Ok(None);
                };
                self.batch = Some(batch.map_err(|error| self.split.damaged(&error))?);
                self.index = 0;
            }
            let columns = self.batch.as_ref().map(RowColumns::of);
            let labels =
                columns.and_then(|columns| columns.labels(self.index, &mut self.reader_of_labels));
            self.labels = Some(labels.ok_or_else(|| self.split.damaged(&"a row has no labels"))?);
        }
        Ok(self.labels.clone())
    }

    /// The next row, when it is one of the series `labels`.
    fn next_of(&mut self, labels: &Labels) -> Result<Option<Row>, StoreError> {
        if self.next_labels()?.as_ref() != Some(labels) {
            return Ok(None);
        }
        self.labels = None;
        let row = self.batch.as_ref().and_then(|batch| {
            let columns = RowColumns::of(batch);
            let (min_ms, max_ms) = columns.times(self.index)?;
            Some(Row {
                kind: columns.kind(self.index)?,
                min_ms,
                max_ms,
                count: columns.count(self.index)?,
                exemplars: columns.exemplars(self.index)?.ok()?,
                chunk: columns.chunk(self.index)?.to_vec(),
            })
        });
        self.index += 1;
        let unreadable = || {
            self.split
                .damaged(&format!("a row of {labels} cannot be read"))
        };
        row.map(Some).ok_or_else(unreadable)
    }
}

/// The rows of one series, in the order of the splits that they come from.
#[derive(Default)]
struct Series {
    rows: Vec<Row>,
    exemplars: Vec<Exemplar>,
    cutoff_ms: i64,
    copied: Amount,
    encoded: Amount,
    expired: u64,
}

impl Series {
    fn add(&mut self, mut row: Row) {
        if row.max_ms < self.cutoff_ms {
            self.expired += row.count;
            return;
        }
        self.exemplars.append(&mut row.exemplars);
        self.rows.push(row);
    }

    /// The new rows, and the exemplars.
    fn take(&mut self) -> Result<(Vec<Row>, Vec<Exemplar>), String> {
        let mut new = Vec::new();
        let rows = std::mem::take(&mut self.rows).into_iter();
        let (floats, histograms): (Vec<Row>, Vec<Row>) =
            rows.partition(|row| row.kind == Kind::Float);
        self.join(floats, &mut new)?;
        self.join(histograms, &mut new)?;
        Ok((new, std::mem::take(&mut self.exemplars)))
    }

    /// Joins rows of one kind.
    fn join(&mut self, rows: Vec<Row>, new: &mut Vec<Row>) -> Result<(), String> {
        let mut open = SeriesColumns::default();
        for cluster in clusters(rows) {
            // A short beginning takes the next chunk in, so that short chunks do not stay.
            let is_full = cluster.len() == 1 && cluster[0].count >= FULL_CHUNK as u64;
            if is_full && (open.is_empty() || open.len() >= FULL_CHUNK) {
                self.close(&mut open, new);
                count(&mut self.copied, &cluster);
                new.extend(cluster);
                continue;
            }
            let mut columns = SeriesColumns::default();
            for row in &cluster {
                add_chunk(&row.chunk, &mut columns).map_err(|error| error.to_string())?;
            }
            open.extend(&columns);
        }
        self.close(&mut open, new);
        Ok(())
    }

    fn close(&mut self, open: &mut SeriesColumns, new: &mut Vec<Row>) {
        let rows = rows_of(std::mem::take(open));
        count(&mut self.encoded, &rows);
        new.extend(rows);
    }
}

fn count(amount: &mut Amount, rows: &[Row]) {
    for row in rows {
        amount.rows += row.count;
        amount.bytes += row.chunk.len() as u64;
    }
}

/// Groups of rows whose times overlap, in the order of time; inside of a group rows keep their
/// order.
fn clusters(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut numbered: Vec<(usize, Row)> = rows.into_iter().enumerate().collect();
    numbered.sort_by_key(|(number, row)| (row.min_ms, *number));
    let mut clusters: Vec<Vec<(usize, Row)>> = Vec::new();
    let mut end_ms = i64::MIN;
    for (number, row) in numbered {
        let max_ms = row.max_ms;
        match clusters.last_mut() {
            Some(cluster) if row.min_ms <= end_ms => cluster.push((number, row)),
            _ => clusters.push(vec![(number, row)]),
        }
        end_ms = end_ms.max(max_ms);
    }
    let in_order = |mut cluster: Vec<(usize, Row)>| {
        cluster.sort_by_key(|(number, _)| *number);
        cluster.into_iter().map(|(_, row)| row).collect()
    };
    clusters.into_iter().map(in_order).collect()
}
