//! Metric splits: one Parquet row per series and kind, its samples as one chunk.
//!
//! Rows are sorted by labels, so a metric's series lie together. Everything but `samples` is
//! plain Parquet; the chunks need [`super::chunk`] (`docs/formats/metric-split.md`).

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, Int32Builder, Int64Builder, MapArray, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, TimestampMillisecondArray,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use model::metric::MetricMetadata;
use model::time::NANOS_PER_MILLI;
use model::{Exemplar, Labels, Matcher};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, PageIndexPolicy};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use promql::matching::CompiledMatchers;
use promql::{SourceError, Window};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chunk::{CHUNK_VERSION, Chunk, ChunkValues};
use super::head::{SeriesColumns, start_of};
use crate::checked::{CheckedBytes, ChecksummingWriter, Checksums};
use crate::error::StoreError;
use crate::head::SplitSummary;

/// The footer key under which the descriptions of metric families lie, as JSON.
const METADATA_KEY: &str = "watchkeeper.metrics.metadata";
/// Rows of one row group: series, not samples.
const ROW_GROUP_ROWS: usize = 16_384;
/// Rows of one data page: what a needle reads.
const PAGE_ROWS: usize = 256;

/// What the catalog keeps of a metric split besides rows and times.
#[derive(Serialize, Deserialize)]
struct SplitNotes {
    series: u64,
    chunk_version: u8,
    checksums: Checksums,
}

/// Writes a split of `series`, which are sorted by labels.
///
/// # Errors
///
/// `out` failed, or the encoder refused the rows.
pub(super) fn write(
    series: Vec<(Labels, SeriesColumns)>,
    metadata: &[MetricMetadata],
    out: &mut (dyn Write + Send),
) -> Result<SplitSummary, StoreError> {
    let described = serde_json::to_string(metadata).expect("metadata is text only");
    let mut out = ChecksummingWriter::new(out);
    let mut writer = ArrowWriter::try_new(&mut out, schema(), Some(properties(described)))
        .map_err(|error| encoding("start a metric split", error))?;
    let mut samples = 0_u64;
    let mut bounds: Option<(i64, i64)> = None;
    let mut series_count = 0_u64;
    for part in series.chunks(ROW_GROUP_ROWS / 4) {
        let batch = rows(part)?;
        writer
            .write(&batch)
            .map_err(|error| encoding("write series", error))?;
        for (_, columns) in part {
            series_count += 1;
            samples += columns.len() as u64;
            if let Some((first, last)) = columns.bounds() {
                let (min, max) = bounds.unwrap_or((first, last));
                bounds = Some((min.min(first), max.max(last)));
            }
        }
    }
    writer
        .close()
        .map_err(|error| encoding("finish a metric split", error))?;
    let (_, checksums) = out.finish();
    let (min_ms, max_ms) = bounds.unwrap_or((0, 0));
    Ok(SplitSummary {
        rows: samples,
        min_time: min_ms.saturating_mul(NANOS_PER_MILLI),
        // The last nanosecond of the millisecond, so that a range in ns misses no sample.
        max_time: max_ms
            .saturating_mul(NANOS_PER_MILLI)
            .saturating_add(NANOS_PER_MILLI - 1),
        metadata: json!(SplitNotes {
            series: series_count,
            chunk_version: CHUNK_VERSION,
            checksums,
        }),
    })
}

fn encoding(action: &'static str, error: impl std::fmt::Display) -> StoreError {
    StoreError::Encoding {
        action,
        message: error.to_string(),
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

fn map_names() -> MapFieldNames {
    MapFieldNames {
        entry: "key_value".into(),
        key: "key".into(),
        value: "value".into(),
    }
}

fn schema() -> SchemaRef {
    let entry = Field::new_struct(
        "key_value",
        vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ],
        false,
    );
    Arc::new(Schema::new(vec![
        Field::new("metric", DataType::Utf8, false),
        Field::new("labels", DataType::Map(Arc::new(entry), false), false),
        Field::new("kind", DataType::Utf8, false),
        Field::new("chunk_version", DataType::Int32, false),
        Field::new("min_time", timestamp(), false),
        Field::new("max_time", timestamp(), false),
        Field::new("count", DataType::Int64, false),
        Field::new("exemplars", DataType::Utf8, true),
        Field::new("samples", DataType::Binary, false),
    ]))
}

fn properties(described: String) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(3).expect("3 is a level of zstd"),
        ))
        // Chunks are compressed by pco already; a dictionary of them would be all of them.
        .set_column_compression(ColumnPath::from("samples"), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(ColumnPath::from("samples"), false)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_key_value_metadata(Some(vec![KeyValue::new(
            METADATA_KEY.to_owned(),
            described,
        )]))
        .build()
}

/// One row per series and kind that it has.
fn rows(series: &[(Labels, SeriesColumns)]) -> Result<RecordBatch, StoreError> {
    let mut metric = StringBuilder::new();
    let mut labels_column = MapBuilder::new(
        Some(map_names()),
        StringBuilder::new(),
        StringBuilder::new(),
    );
    let mut kind = StringBuilder::new();
    let mut version = Int32Builder::new();
    let mut min_time = TimestampMillisecondBuilder::new().with_timezone("UTC");
    let mut max_time = TimestampMillisecondBuilder::new().with_timezone("UTC");
    let mut count = Int64Builder::new();
    let mut exemplars = StringBuilder::new();
    let mut samples = BinaryBuilder::new();
    for (labels, columns) in series {
        // Exemplars go with the series' first row.
        let mut exemplar_text = exemplar_text(columns);
        for (word, chunk) in chunks(columns) {
            let (Some(first), Some(last)) =
                (chunk.timestamps_ms.first(), chunk.timestamps_ms.last())
            else {
                continue;
            };
            metric.append_value(labels.metric_name().unwrap_or_default());
            for (name, value) in labels.iter() {
                labels_column.keys().append_value(name);
                labels_column.values().append_value(value);
            }
            labels_column
                .append(true)
                .map_err(|error| encoding("write labels", error))?;
            kind.append_value(word);
            version.append_value(i32::from(CHUNK_VERSION));
            min_time.append_value(*first);
            max_time.append_value(*last);
            count.append_value(chunk.len() as i64);
            exemplars.append_option(exemplar_text.take());
            samples.append_value(chunk.encode());
        }
    }
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(metric.finish()),
        Arc::new(labels_column.finish()),
        Arc::new(kind.finish()),
        Arc::new(version.finish()),
        Arc::new(min_time.finish()),
        Arc::new(max_time.finish()),
        Arc::new(count.finish()),
        Arc::new(exemplars.finish()),
        Arc::new(samples.finish()),
    ];
    RecordBatch::try_new(schema(), arrays).map_err(|error| encoding("gather series", error))
}

fn exemplar_text(columns: &SeriesColumns) -> Option<String> {
    let exemplars: Vec<&Exemplar> = columns.exemplars.iter().collect();
    if exemplars.is_empty() {
        return None;
    }
    Some(
        serde_json::to_string(&exemplars)
            .expect("exemplars have no maps with other keys than text"),
    )
}

fn chunks(columns: &SeriesColumns) -> [(&'static str, Chunk); 2] {
    let floats = columns.floats.clone().in_order();
    let histograms = columns.histograms.clone().in_order();
    [
        (
            "float",
            Chunk {
                timestamps_ms: floats.times,
                starts_ms: floats.starts.into_iter().map(start_of).collect(),
                values: ChunkValues::Floats(floats.values),
            },
        ),
        (
            "histogram",
            Chunk {
                timestamps_ms: histograms.times,
                starts_ms: histograms.starts.into_iter().map(start_of).collect(),
                values: ChunkValues::Histograms(histograms.values),
            },
        ),
    ]
}

/// A row of a split without its samples.
pub(super) struct SeriesRow {
    pub(super) labels: Labels,
    /// First and last sample, Unix ms.
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
}

/// A sealed metric split, open for reading.
pub struct MetricSplit {
    bytes: CheckedBytes,
    footer: ArrowReaderMetadata,
    metadata: Vec<MetricMetadata>,
}

impl MetricSplit {
    /// Opens the split `key` whose whole file is `bytes`, with what the catalog keeps of it.
    ///
    /// # Errors
    ///
    /// The file is no metric split, or its footer is damaged.
    pub fn open(key: &str, bytes: Bytes, summary: &SplitSummary) -> Result<Self, StoreError> {
        let damaged = |message: String| StoreError::Damaged {
            file: key.to_owned(),
            offset: 0,
            message,
        };
        let notes = SplitNotes::deserialize(&summary.metadata)
            .map_err(|error| damaged(format!("its catalog entry has no checksums: {error}")))?;
        let bytes = CheckedBytes::new(key, bytes, notes.checksums)?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        let footer = ArrowReaderMetadata::load(&bytes, options)
            .map_err(|error| damaged(format!("no Parquet footer: {error}")))?;
        if footer.schema().fields() != schema().fields() {
            return Err(damaged("its columns are not a metric split's".to_owned()));
        }
        let described = footer
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .into_iter()
            .flatten()
            .find(|entry| entry.key == METADATA_KEY)
            .and_then(|entry| entry.value.as_deref())
            .ok_or_else(|| damaged(format!("no {METADATA_KEY} in its footer")))?;
        let metadata = serde_json::from_str(described)
            .map_err(|error| damaged(format!("{METADATA_KEY} in its footer: {error}")))?;
        Ok(Self {
            bytes,
            footer,
            metadata,
        })
    }

    /// What the split knows of metric families.
    pub fn metadata(&self) -> &[MetricMetadata] {
        &self.metadata
    }

    /// Reads every row and chunk, for `verify`.
    ///
    /// # Errors
    ///
    /// The first damage met.
    pub fn verify(&self) -> Result<(), StoreError> {
        let everything = CompiledMatchers::new(&[]).expect("no expression to compile");
        self.visit_series(&[], &everything, Window::ALL, &mut |_, _| {
            ControlFlow::Continue(())
        })
        .map_err(|error| StoreError::Damaged {
            file: self.bytes.key().to_owned(),
            offset: 0,
            message: error.to_string(),
        })
    }

    /// Calls `visit` for each row that passes and overlaps `window`, with its samples inside.
    pub(super) fn visit_series(
        &self,
        _matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        visit: &mut dyn FnMut(&Labels, SeriesColumns) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        let chosen = self.choose(compiled, window)?;
        if chosen.is_empty() {
            return Ok(());
        }
        let rows = chosen.iter().map(|(row, _)| *row..*row + 1);
        let total = self.footer.metadata().file_metadata().num_rows() as usize;
        let selection = RowSelection::from_consecutive_ranges(rows, total);
        let mut labels = chosen.iter().map(|(_, labels)| labels);
        for batch in self.read(&["samples"], Some(selection))? {
            let batch = batch.map_err(|error| self.corrupt(&error))?;
            let samples: &BinaryArray = self.column(&batch, "samples")?;
            for chunk in samples.iter().flatten() {
                let labels = labels
                    .next()
                    .ok_or_else(|| self.corrupt(&"more chunks than series"))?;
                let chunk = Chunk::decode(chunk)
                    .map_err(|error| self.corrupt(&format!("series {labels}: {error}")))?;
                if visit(
                    labels,
                    columns(chunk).window(window.after_ms, window.until_ms),
                )
                .is_break()
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Calls `visit` for each row that passes and overlaps `window`, without its samples.
    pub(super) fn visit_rows(
        &self,
        _matchers: &[Matcher],
        compiled: &CompiledMatchers,
        window: Window,
        visit: &mut dyn FnMut(SeriesRow) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        for batch in self.read(&["labels", "min_time", "max_time"], None)? {
            let batch = batch.map_err(|error| self.corrupt(&error))?;
            let label_maps: &MapArray = self.column(&batch, "labels")?;
            let min_times: &TimestampMillisecondArray = self.column(&batch, "min_time")?;
            let max_times: &TimestampMillisecondArray = self.column(&batch, "max_time")?;
            for index in 0..batch.num_rows() {
                let (min_ms, max_ms) = (min_times.value(index), max_times.value(index));
                if window.after_ms >= max_ms || min_ms > window.until_ms {
                    continue;
                }
                let labels = self.labels(label_maps, index)?;
                let row = SeriesRow {
                    labels,
                    min_ms,
                    max_ms,
                };
                if compiled.matches(&row.labels) && visit(row).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Calls `visit` with the exemplars of each row that passes and has any.
    pub(super) fn visit_exemplars(
        &self,
        _matchers: &[Matcher],
        compiled: &CompiledMatchers,
        visit: &mut dyn FnMut(&Labels, Vec<Exemplar>) -> ControlFlow<()>,
    ) -> Result<(), SourceError> {
        for batch in self.read(&["labels", "exemplars"], None)? {
            let batch = batch.map_err(|error| self.corrupt(&error))?;
            let label_maps: &MapArray = self.column(&batch, "labels")?;
            let texts: &StringArray = self.column(&batch, "exemplars")?;
            for (index, text) in texts.iter().enumerate() {
                let Some(text) = text else { continue };
                let labels = self.labels(label_maps, index)?;
                if !compiled.matches(&labels) {
                    continue;
                }
                let exemplars: Vec<Exemplar> = serde_json::from_str(text)
                    .map_err(|error| self.corrupt(&format!("exemplars of {labels}: {error}")))?;
                if visit(&labels, exemplars).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Rows that pass and overlap `window`, with their labels.
    fn choose(
        &self,
        compiled: &CompiledMatchers,
        window: Window,
    ) -> Result<Vec<(usize, Labels)>, SourceError> {
        let mut chosen = Vec::new();
        let mut row = 0;
        for batch in self.read(&["labels", "min_time", "max_time"], None)? {
            let batch = batch.map_err(|error| self.corrupt(&error))?;
            let label_maps: &MapArray = self.column(&batch, "labels")?;
            let min_times: &TimestampMillisecondArray = self.column(&batch, "min_time")?;
            let max_times: &TimestampMillisecondArray = self.column(&batch, "max_time")?;
            for index in 0..batch.num_rows() {
                let overlaps = window.after_ms < max_times.value(index)
                    && min_times.value(index) <= window.until_ms;
                if overlaps {
                    let labels = self.labels(label_maps, index)?;
                    if compiled.matches(&labels) {
                        chosen.push((row, labels));
                    }
                }
                row += 1;
            }
        }
        Ok(chosen)
    }

    fn labels(&self, maps: &MapArray, index: usize) -> Result<Labels, SourceError> {
        let text = |array: &ArrayRef| {
            array
                .as_any()
                .downcast_ref::<StringArray>()
                .cloned()
                .ok_or_else(|| self.corrupt(&"labels are not text"))
        };
        let entries = maps.value(index);
        let (names, values) = (text(entries.column(0))?, text(entries.column(1))?);
        Ok(names
            .iter()
            .zip(values.iter())
            .map(|(name, value)| (name.unwrap_or_default(), value.unwrap_or_default()))
            .collect())
    }

    fn read(
        &self,
        columns: &[&str],
        selection: Option<RowSelection>,
    ) -> Result<ParquetRecordBatchReader, SourceError> {
        let mask = ProjectionMask::columns(self.footer.parquet_schema(), columns.iter().copied());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.bytes.clone(),
            self.footer.clone(),
        )
        .with_projection(mask)
        .with_batch_size(1_024);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|error| self.corrupt(&error))
    }

    fn column<'a, T: 'static>(
        &self,
        batch: &'a RecordBatch,
        name: &str,
    ) -> Result<&'a T, SourceError> {
        batch
            .column_by_name(name)
            .and_then(|array| array.as_any().downcast_ref::<T>())
            .ok_or_else(|| self.corrupt(&format!("column {name:?} is missing or of another type")))
    }

    fn corrupt(&self, error: &dyn std::fmt::Display) -> SourceError {
        SourceError::Corrupt(format!("metric split {}: {error}", self.bytes.key()))
    }
}

/// A chunk's samples as columns.
fn columns(chunk: Chunk) -> SeriesColumns {
    let mut columns = SeriesColumns::default();
    let times = chunk.timestamps_ms.into_iter().zip(chunk.starts_ms);
    match chunk.values {
        ChunkValues::Floats(values) => {
            for ((time, start), value) in times.zip(values) {
                columns.floats.push(time, start, value);
            }
        }
        ChunkValues::Histograms(values) => {
            for ((time, start), value) in times.zip(values) {
                columns.histograms.push(time, start, value);
            }
        }
    }
    columns
}
