//! Reading a metric split: which rows pass, their labels, samples and exemplars.

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use bytes::Bytes;
use model::metric::MetricMetadata;
use model::time::NANOS_PER_MILLI;
use model::{Exemplar, Labels, Matcher};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;
use promql::matching::CompiledMatchers;
use promql::{SourceError, Window};
use serde::Deserialize;

use super::candidates::{Candidates, candidates};
use super::chunks::add_chunk;
use super::format::{LabelReader, METADATA_KEY, RowColumns, SplitNotes, schema};
use super::label_index::LabelIndex;
use super::row_set::RowSet;
use crate::checked::{CheckedBytes, SECTOR_BYTES};
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::metrics::head::SeriesColumns;

/// Rows of a batch, with samples and without.
const BATCH_ROWS: usize = 1_024;
const SAMPLE_BATCH_ROWS: usize = 128;
/// A thread of its own is worth so many rows.
const ROWS_OF_A_THREAD: usize = 256;

/// A row of a split without its samples.
pub(in crate::metrics) struct SeriesRow {
    pub(in crate::metrics) labels: Labels,
    /// First and last sample, Unix ms.
    pub(in crate::metrics) min_ms: i64,
    pub(in crate::metrics) max_ms: i64,
}

/// A sealed metric split, open for reading. To open it, only its index is looked at.
pub struct MetricSplit {
    pub(super) bytes: CheckedBytes,
    pub(super) index: LabelIndex,
    /// Rows in the file.
    pub(super) rows: u32,
    /// Samples in the file.
    pub(super) samples: u64,
    /// First and last sample, Unix ms.
    times_ms: (i64, i64),
    /// Read when a row is.
    footer: OnceLock<Footer>,
}

struct Footer {
    parquet: ArrowReaderMetadata,
    metadata: Vec<MetricMetadata>,
    /// Where each row group begins, and where the last one ends.
    bounds: Vec<u32>,
}

impl MetricSplit {
    /// Opens the split `key` whose whole file is `bytes`, with what the catalog keeps of it.
    ///
    /// # Errors
    ///
    /// The catalog's entry is no metric split's, or the index is damaged.
    pub fn open(key: &str, bytes: Bytes, summary: &SplitSummary) -> Result<Self, StoreError> {
        let notes =
            SplitNotes::deserialize(&summary.metadata).map_err(|error| StoreError::Damaged {
                file: key.to_owned(),
                offset: 0,
                message: format!("its catalog entry is no metric split's: {error}"),
            })?;
        let bytes = CheckedBytes::new(key, bytes, notes.checksums)?;
        Ok(Self {
            index: LabelIndex::open(&bytes, &notes.index)?,
            bytes,
            rows: notes.chunks,
            samples: summary.rows,
            times_ms: (
                summary.min_time.div_euclid(NANOS_PER_MILLI),
                summary.max_time.div_euclid(NANOS_PER_MILLI),
            ),
            footer: OnceLock::new(),
        })
    }

    /// What the split knows of metric families.
    ///
    /// # Errors
    ///
    /// Its footer is damaged.
    pub fn metadata(&self) -> Result<&[MetricMetadata], StoreError> {
        Ok(&self.footer()?.metadata)
    }

    /// Memory that the open split takes now, bytes. What is mapped is not counted.
    pub fn memory_bytes(&self) -> usize {
        let footer = self.footer.get().map_or(0, |footer| {
            let text = |family: &MetricMetadata| family.help.len() + family.unit.len() + 96;
            let metadata: usize = footer.metadata.iter().map(text).sum();
            footer.parquet.metadata().memory_size() + metadata
        });
        // A checksum is eight digits, and a bit says whether it was looked at.
        let checksums = self.bytes.size() / SECTOR_BYTES * 9;
        1_024 + checksums + self.index.memory_bytes() + footer
    }

    fn footer(&self) -> Result<&Footer, StoreError> {
        if let Some(footer) = self.footer.get() {
            return Ok(footer);
        }
        let footer = self.read_footer()?;
        Ok(self.footer.get_or_init(|| footer))
    }

    fn read_footer(&self) -> Result<Footer, StoreError> {
        let damaged = |message: String| StoreError::Damaged {
            file: self.bytes.key().to_owned(),
            offset: 0,
            message,
        };
        let options = ArrowReaderOptions::new()
            .with_column_index_policy(PageIndexPolicy::Skip)
            .with_offset_index_policy(PageIndexPolicy::Required);
        let parquet = ArrowReaderMetadata::load(&self.bytes, options)
            .map_err(|error| damaged(format!("no Parquet footer: {error}")))?;
        if parquet.schema().fields() != schema().fields() {
            return Err(damaged("its columns are not a metric split's".to_owned()));
        }
        let file = parquet.metadata().file_metadata();
        let described = file
            .key_value_metadata()
            .into_iter()
            .flatten()
            .find(|entry| entry.key == METADATA_KEY)
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| damaged(format!("no {METADATA_KEY} in its footer")))?;
        let metadata = serde_json::from_str(described)
            .map_err(|error| damaged(format!("{METADATA_KEY} in its footer: {error}")))?;
        let mut bounds = vec![0_u32];
        for group in parquet.metadata().row_groups() {
            let before = bounds.last().copied().unwrap_or_default();
            let rows = u32::try_from(group.num_rows()).unwrap_or(u32::MAX);
            bounds.push(before.saturating_add(rows));
        }
        let total = bounds.last().copied().unwrap_or_default();
        if total != self.rows {
            return Err(damaged(format!(
                "it has {total} rows, the catalog says {}",
                self.rows
            )));
        }
        Ok(Footer {
            parquet,
            metadata,
            bounds,
        })
    }

    /// The series of the rows that pass, with their samples inside of `window`, in the order of
    /// their labels; the chunks of a series follow each other. `threads` share the rows and end
    /// with the call, early when `may_go_on` refuses a row's samples.
    pub(in crate::metrics) fn select(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        threads: usize,
        may_go_on: &(dyn Fn(&SeriesColumns) -> bool + Sync),
    ) -> Result<Vec<(Labels, SeriesColumns)>, SourceError> {
        let rows = self
            .passing(matchers, compiled, window)
            .map_err(source_error)?;
        let threads = threads.min(rows.count() / ROWS_OF_A_THREAD).max(1);
        let select = |rows: &RowSet| self.select_rows(rows, window, may_go_on);
        let parts = rows.parts(threads);
        let selected = match parts.as_slice() {
            [only] => select(only),
            parts => std::thread::scope(|scope| {
                let workers: Vec<_> = parts
                    .iter()
                    .map(|part| scope.spawn(move || select(part)))
                    .collect();
                let mut all = Vec::with_capacity(rows.count());
                for worker in workers {
                    match worker.join() {
                        Ok(selected) => all.extend(selected?),
                        Err(panic) => std::panic::resume_unwind(panic),
                    }
                }
                Ok(all)
            }),
        };
        selected.map_err(source_error)
    }

    fn select_rows(
        &self,
        rows: &RowSet,
        window: Window,
        may_go_on: &(dyn Fn(&SeriesColumns) -> bool + Sync),
    ) -> Result<Vec<(Labels, SeriesColumns)>, StoreError> {
        let mut selected = Vec::with_capacity(rows.count());
        self.scan(rows, &["labels", "samples"], &mut |row| {
            let labels = row.labels()?;
            let mut columns = SeriesColumns::default();
            add_chunk(row.chunk()?, &mut columns)
                .map_err(|error| row.damaged(&format!("series {labels}: {error}")))?;
            let inside = columns.into_window(window.after_ms, window.until_ms);
            if inside.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            let goes_on = may_go_on(&inside);
            selected.push((labels, inside));
            Ok(match goes_on {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        })?;
        Ok(selected)
    }

    /// Calls `visit` for each row that passes and overlaps `window`, without its samples.
    pub(in crate::metrics) fn visit_rows(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        visit: &mut dyn FnMut(SeriesRow) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let rows = self
            .passing(matchers, compiled, window)
            .map_err(source_error)?;
        self.scan(&rows, &["labels", "min_time", "max_time"], &mut |row| {
            let (min_ms, max_ms) = row.times()?;
            Ok(visit(SeriesRow {
                labels: row.labels()?,
                min_ms,
                max_ms,
            }))
        })
        .map_err(source_error)
    }

    /// Calls `visit` with the exemplars of each row that passes and has any.
    pub(in crate::metrics) fn visit_exemplars(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        visit: &mut dyn FnMut(&Labels, Vec<Exemplar>) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        // Exemplars may be older than their samples, so rows are not chosen by time.
        let rows = self
            .passing(matchers, compiled, Window::ALL)
            .map_err(source_error)?;
        self.scan(&rows, &["labels", "exemplars"], &mut |row| {
            let exemplars = row.exemplars()?;
            if exemplars.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            Ok(visit(&row.labels()?, exemplars))
        })
        .map_err(source_error)
    }

    /// Calls `visit` with the metric of each row, its newest sample (Unix ms) and how many it has.
    ///
    /// # Errors
    ///
    /// The split is damaged.
    pub(crate) fn each_chunk(
        &self,
        mut visit: impl FnMut(&str, i64, u64),
    ) -> Result<(), StoreError> {
        let columns = ["metric", "min_time", "max_time", "count"];
        self.scan(&RowSet::all(self.rows), &columns, &mut |row| {
            let (_, newest_ms) = row.times()?;
            visit(row.metric()?, newest_ms, row.count()?);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The rows that pass and overlap `window`.
    pub(super) fn passing(
        &self,
        matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
    ) -> Result<RowSet, StoreError> {
        let (first, last) = self.times_ms;
        if last <= window.after_ms || first > window.until_ms {
            return Ok(RowSet::default());
        }
        let Candidates { rows, is_exact } = candidates(&self.index, self.rows, matchers, compiled)?;
        let is_inside = window.after_ms < first && last <= window.until_ms;
        if rows.is_empty() || (is_exact && is_inside) {
            return Ok(rows);
        }
        let columns: &[&str] = match (is_exact, is_inside) {
            (true, _) => &["min_time", "max_time"],
            (false, true) => &["labels"],
            (false, false) => &["labels", "min_time", "max_time"],
        };
        let mut passing = Vec::new();
        self.scan(&rows, columns, &mut |row| {
            let overlaps = is_inside || {
                let (min_ms, max_ms) = row.times()?;
                window.after_ms < max_ms && min_ms <= window.until_ms
            };
            if overlaps && (is_exact || compiled.matches(&row.labels()?)) {
                passing.push(row.number..row.number + 1);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(RowSet::from_ranges(passing))
    }

    /// Reads `columns` of `rows` and calls `visit` for each row, ascending, until it breaks.
    pub(super) fn scan(
        &self,
        rows: &RowSet,
        columns: &[&str],
        visit: &mut dyn FnMut(&mut RowCursor<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut numbers = rows.rows();
        let mut labels = LabelReader::default();
        let most = match columns.contains(&"samples") {
            true => SAMPLE_BATCH_ROWS,
            false => BATCH_ROWS,
        };
        for batch in self.reader(rows, columns, most)? {
            let batch = batch.map_err(|error| self.damaged(&error))?;
            let columns = RowColumns::of(&batch);
            for index in 0..batch.num_rows() {
                let number = numbers
                    .next()
                    .ok_or_else(|| self.damaged(&"more rows than were asked for"))?;
                let mut row = RowCursor {
                    split: self,
                    number,
                    columns: &columns,
                    index,
                    labels: &mut labels,
                };
                if visit(&mut row)?.is_break() {
                    return Ok(());
                }
            }
        }
        match numbers.next() {
            Some(number) => Err(self.damaged(&format!("row {number} is missing"))),
            None => Ok(()),
        }
    }

    /// A reader of `columns` of `rows`, at most so many rows at once; row groups without any of them
    /// are not touched.
    pub(super) fn reader(
        &self,
        rows: &RowSet,
        columns: &[&str],
        most: usize,
    ) -> Result<ParquetRecordBatchReader, StoreError> {
        let footer = self.footer()?;
        let mut groups = Vec::new();
        let mut chosen: Vec<Range<usize>> = Vec::new();
        let mut before = 0;
        for (group, bounds) in footer.bounds.windows(2).enumerate() {
            let bounds = bounds[0]..bounds[1];
            let place = |row: u32| before + (row - bounds.start) as usize;
            let inside = rows.within(bounds.clone());
            let placed = inside.map(|range| place(range.start)..place(range.end));
            let known = chosen.len();
            chosen.extend(placed);
            if chosen.len() > known {
                groups.push(group);
                before += bounds.len();
            }
        }
        let descriptor = footer.parquet.parquet_schema();
        let mask = ProjectionMask::columns(descriptor, columns.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.bytes.clone(),
            footer.parquet.clone(),
        )
        .with_projection(mask)
        .with_row_groups(groups)
        .with_row_selection(RowSelection::from_consecutive_ranges(
            chosen.into_iter(),
            before,
        ))
        .with_batch_size(rows.count().min(most))
        .build()
        .map_err(|error| self.damaged(&error))
    }

    pub(super) fn damaged(&self, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Damaged {
            file: self.bytes.key().to_owned(),
            offset: 0,
            message: error.to_string(),
        }
    }
}

pub(super) fn source_error(error: StoreError) -> SourceError {
    SourceError::Corrupt(format!("metric split {error}"))
}

/// A row that is being visited: what was read of it.
pub(super) struct RowCursor<'r> {
    split: &'r MetricSplit,
    pub(super) number: u32,
    columns: &'r RowColumns<'r>,
    index: usize,
    labels: &'r mut LabelReader,
}

impl RowCursor<'_> {
    pub(super) fn labels(&mut self) -> Result<Labels, StoreError> {
        let labels = self.columns.labels(self.index, self.labels);
        labels.ok_or_else(|| self.lacks("labels"))
    }

    fn metric(&self) -> Result<&str, StoreError> {
        let metric = self.columns.metric(self.index);
        metric.ok_or_else(|| self.lacks("metric"))
    }

    pub(super) fn times(&self) -> Result<(i64, i64), StoreError> {
        let times = self.columns.times(self.index);
        times.ok_or_else(|| self.lacks("times"))
    }

    pub(super) fn count(&self) -> Result<u64, StoreError> {
        let count = self.columns.count(self.index);
        count.ok_or_else(|| self.lacks("a count"))
    }

    pub(super) fn chunk(&self) -> Result<&[u8], StoreError> {
        let chunk = self.columns.chunk(self.index);
        chunk.ok_or_else(|| self.lacks("samples"))
    }

    pub(super) fn exemplars(&self) -> Result<Vec<Exemplar>, StoreError> {
        let exemplars = self.columns.exemplars(self.index);
        let exemplars = exemplars.ok_or_else(|| self.lacks("exemplars"))?;
        exemplars.map_err(|error| self.damaged(&format!("its exemplars: {error}")))
    }

    fn lacks(&self, what: &str) -> StoreError {
        self.damaged(&format!("it has no {what}"))
    }

    pub(super) fn damaged(&self, message: &str) -> StoreError {
        self.split
            .damaged(&format!("row {}: {message}", self.number))
    }
}
