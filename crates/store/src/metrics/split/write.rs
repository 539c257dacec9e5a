//! Writing a metric split, series by series in the order of their labels.

use std::io::Write;

use model::metric::MetricMetadata;
use model::time::NANOS_PER_MILLI;
use model::{Exemplar, Labels};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use serde_json::json;

use super::chunks::rows_of;
use super::format::{
    INDEX_KEY, METADATA_KEY, ROW_GROUP_BYTES, Row, RowBuilder, SplitNotes, encoding, properties,
    schema,
};
use super::label_index::IndexBuilder;
use crate::checked::ChecksummingWriter;
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::metrics::exemplars::in_order;
use crate::metrics::head::SeriesColumns;

const ACTION: &str = "write a metric split";
/// Rows and bytes that are gathered before they are encoded.
const BATCH_ROWS: usize = 1_024;
const BATCH_BYTES: usize = 1 << 20;

/// Writes a split of `series`, which are sorted by labels.
///
/// # Errors
///
/// `out` failed, or the encoder refused the rows.
pub(in crate::metrics) fn write(
    series: impl IntoIterator<Item = (Labels, SeriesColumns)>,
    metadata: &[MetricMetadata],
    out: &mut (dyn Write + Send),
) -> Result<SplitSummary, StoreError> {
    let mut writer = SplitWriter::new(out)?;
    for (labels, mut columns) in series {
        let exemplars = std::mem::take(&mut columns.exemplars);
        writer.add(&labels, rows_of(columns), exemplars.into())?;
    }
    writer.finish(metadata, None)
}

/// A split in the making. In memory are the index and one row group.
pub(super) struct SplitWriter<W: Write + Send> {
    writer: ArrowWriter<ChecksummingWriter<W>>,
    builder: RowBuilder,
    index: IndexBuilder,
    rows: u32,
    series: u64,
    samples: u64,
    chunk_version: u8,
    times_ms: Option<(i64, i64)>,
}

impl<W: Write + Send> SplitWriter<W> {
    pub(super) fn new(out: W) -> Result<Self, StoreError> {
        let out = ChecksummingWriter::new(out);
        let writer = ArrowWriter::try_new(out, schema(), Some(properties()))
            .map_err(|error| encoding(ACTION, error))?;
        Ok(Self {
            writer,
            builder: RowBuilder::new(),
            index: IndexBuilder::default(),
            rows: 0,
            series: 0,
            samples: 0,
            chunk_version: 0,
            times_ms: None,
        })
    }

    /// Adds the rows of the next series, floats first, each kind in order of time.
    /// Without rows there is nothing to put exemplars into, and they are left out.
    ///
    /// # Errors
    ///
    /// `out` failed, the encoder refused the rows, or there are more than four billion of them.
    pub(super) fn add(
        &mut self,
        labels: &Labels,
        mut rows: Vec<Row>,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        place_exemplars(&mut rows, exemplars);
        let first = self.rows;
        let count = u32::try_from(rows.len()).ok();
        let end = count.and_then(|count| first.checked_add(count));
        self.rows = end.ok_or_else(|| encoding(ACTION, "too many chunks for one file"))?;
        self.index.add(labels, first..self.rows);
        self.series += 1;
        for row in &rows {
            self.builder.push(labels, row)?;
            self.samples += row.count;
            let version = row.chunk.first().copied().unwrap_or_default();
            self.chunk_version = self.chunk_version.max(version);
            let (min, max) = self.times_ms.unwrap_or((row.min_ms, row.max_ms));
            self.times_ms = Some((min.min(row.min_ms), max.max(row.max_ms)));
            if self.builder.rows() >= BATCH_ROWS || self.builder.bytes() >= BATCH_BYTES {
                self.encode()?;
            }
        }
        Ok(())
    }

    fn encode(&mut self) -> Result<(), StoreError> {
        let batch = self.builder.take()?;
        self.writer
            .write(&batch)
            .map_err(|error| encoding(ACTION, error))?;
        if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
            self.writer
                .flush()
                .map_err(|error| encoding(ACTION, error))?;
        }
        Ok(())
    }

    /// Writes the index and the footer; what the catalog keeps of the split.
    ///
    /// # Errors
    ///
    /// `out` failed, or the encoder refused the rows.
    pub(super) fn finish(
        mut self,
        metadata: &[MetricMetadata],
        first_created_at: Option<i64>,
    ) -> Result<SplitSummary, StoreError> {
        self.encode()?;
        self.writer
            .flush()
            .map_err(|error| encoding(ACTION, error))?;
        let offset = self.writer.bytes_written() as u64;
        let writer = &mut self.writer;
        let place = self
            .index
            .write(offset, &mut |part| writer.write_all(part))
            .map_err(|error| encoding("write an index of labels", error))?;
        let described = serde_json::to_string(metadata).expect("metadata is text only");
        for (key, text) in [
            (METADATA_KEY, described),
            (INDEX_KEY, json!(place).to_string()),
        ] {
            let entry = KeyValue::new(key.to_owned(), text);
            self.writer.append_key_value_metadata(entry);
        }
        let out = self
            .writer
            .into_inner()
            .map_err(|error| encoding("finish a metric split", error))?;
        let (_, checksums) = out.finish();
        let (min_ms, max_ms) = self.times_ms.unwrap_or((0, 0));
        Ok(SplitSummary {
            rows: self.samples,
            min_time: min_ms.saturating_mul(NANOS_PER_MILLI),
            // The last nanosecond of the millisecond, so that a range in ns misses no sample.
            max_time: max_ms
                .saturating_mul(NANOS_PER_MILLI)
                .saturating_add(NANOS_PER_MILLI - 1),
            metadata: json!(SplitNotes {
                series: self.series,
                chunks: self.rows,
                chunk_version: self.chunk_version,
                index: place,
                first_created_at,
                checksums,
            }),
        })
    }
}

/// Gives each exemplar to the first chunk of the series' first kind that ends no earlier, the
/// latest ones to the last.
fn place_exemplars(rows: &mut [Row], exemplars: Vec<Exemplar>) {
    let Some(first) = rows.first() else { return };
    let kind = first.kind;
    let count = rows.iter().take_while(|row| row.kind == kind).count();
    let rows = &mut rows[..count];
    for exemplar in in_order(exemplars) {
        let at = rows.partition_point(|row| row.max_ms < exemplar.timestamp_ms);
        rows[at.min(count - 1)].exemplars.push(exemplar);
    }
}
