//! What a metric split is made of: its columns, its footer's keys, and its catalog entry.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, Int32Builder, Int64Array, Int64Builder, MapArray,
    MapBuilder, MapFieldNames, RecordBatch, StringArray, StringBuilder, TimestampMillisecondArray,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use model::{Exemplar, Labels};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

use super::label_index::IndexPlace;
use crate::checked::Checksums;
use crate::error::StoreError;

/// The footer key under which the descriptions of metric families lie, as JSON.
pub(super) const METADATA_KEY: &str = "watchkeeper.metrics.metadata";
/// The footer key that says where the index of labels lies, as JSON.
pub(super) const INDEX_KEY: &str = "watchkeeper.metrics.index";
/// Rows of one row group: chunks, not samples.
pub(super) const ROW_GROUP_ROWS: usize = 16_384;
/// Bytes of one row group, which a writer has in memory.
pub(super) const ROW_GROUP_BYTES: usize = 16 << 20;
/// Rows of one data page: what a needle reads.
const PAGE_ROWS: usize = 256;
/// Rows that are encoded before a page's size is looked at.
const WRITE_ROWS: usize = 64;
/// Bytes of one data page: chunks of many samples are large.
const PAGE_BYTES: usize = 256 << 10;

/// What the catalog keeps of a metric split besides rows and times.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SplitNotes {
    /// How many series it has.
    pub(super) series: u64,
    /// How many rows the file has.
    pub(super) chunks: u32,
    /// The newest version among the chunks.
    pub(super) chunk_version: u8,
    /// Where the index of labels lies.
    pub(super) index: IndexPlace,
    /// When the oldest of the splits that this one replaced was published, Unix ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) first_created_at: Option<i64>,
    pub(super) checksums: Checksums,
}

/// Which kind of samples a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Float,
    Histogram,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Float, Self::Histogram];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Histogram => "histogram",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One row but for its series: a chunk and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) kind: Kind,
    /// First and last sample, Unix ms.
    pub(super) min_ms: i64,
    pub(super) max_ms: i64,
    /// How many samples.
    pub(super) count: u64,
    pub(super) exemplars: Vec<Exemplar>,
    /// The encoded chunk.
    pub(super) chunk: Vec<u8>,
}

pub(super) fn encoding(action: &'static str, error: impl std::fmt::Display) -> StoreError {
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

pub(super) fn schema() -> SchemaRef {
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

pub(super) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(3).expect("3 is a level of zstd"),
        ))
        // Rows are found by the index of labels, so statistics of pages would only take room.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Chunks are compressed by pco already; a dictionary of them would be all of them.
        .set_column_compression(ColumnPath::from("samples"), Compression::UNCOMPRESSED)
        .set_column_dictionary_enabled(ColumnPath::from("samples"), false)
        .set_column_statistics_enabled(ColumnPath::from("samples"), EnabledStatistics::None)
        .set_column_statistics_enabled(ColumnPath::from("exemplars"), EnabledStatistics::None)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_write_batch_size(WRITE_ROWS)
        .build()
}

/// Rows on their way into a record batch.
pub(super) struct RowBuilder {
    metric: StringBuilder,
    labels: MapBuilder<StringBuilder, StringBuilder>,
    kind: StringBuilder,
    version: Int32Builder,
    min_time: TimestampMillisecondBuilder,
    max_time: TimestampMillisecondBuilder,
    count: Int64Builder,
    exemplars: StringBuilder,
    samples: BinaryBuilder,
    rows: usize,
    bytes: usize,
}

impl RowBuilder {
    pub(super) fn new() -> Self {
        Self {
            metric: StringBuilder::new(),
            labels: MapBuilder::new(
                Some(map_names()),
                StringBuilder::new(),
                StringBuilder::new(),
            ),
            kind: StringBuilder::new(),
            version: Int32Builder::new(),
            min_time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            max_time: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            count: Int64Builder::new(),
            exemplars: StringBuilder::new(),
            samples: BinaryBuilder::new(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the chunks.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, labels: &Labels, row: &Row) -> Result<(), StoreError> {
        self.metric
            .append_value(labels.metric_name().unwrap_or_default());
        for (name, value) in labels.iter() {
            self.labels.keys().append_value(name);
            self.labels.values().append_value(value);
        }
        self.labels
            .append(true)
            .map_err(|error| encoding("write labels", error))?;
        self.kind.append_value(row.kind.as_str());
        let version = row.chunk.first().copied().unwrap_or_default();
        self.version.append_value(i32::from(version));
        self.min_time.append_value(row.min_ms);
        self.max_time.append_value(row.max_ms);
        self.count
            .append_value(i64::try_from(row.count).unwrap_or(i64::MAX));
        self.exemplars.append_option(exemplar_text(&row.exemplars));
        self.samples.append_value(&row.chunk);
        self.rows += 1;
        self.bytes += row.chunk.len();
        Ok(())
    }

    /// The rows so far; the builder is empty again.
    pub(super) fn take(&mut self) -> Result<RecordBatch, StoreError> {
        (self.rows, self.bytes) = (0, 0);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(self.metric.finish()),
            Arc::new(self.labels.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.min_time.finish()),
            Arc::new(self.max_time.finish()),
            Arc::new(self.count.finish()),
            Arc::new(self.exemplars.finish()),
            Arc::new(self.samples.finish()),
        ];
        RecordBatch::try_new(schema(), arrays).map_err(|error| encoding("gather series", error))
    }
}

/// An exemplar as the file has it. Its value is a text: JSON's numbers are neither exact nor
/// infinite.
#[derive(Serialize, Deserialize)]
struct StoredExemplar {
    labels: Labels,
    value: String,
    timestamp_ms: i64,
}

fn exemplar_text(exemplars: &[Exemplar]) -> Option<String> {
    let stored = |exemplar: &Exemplar| StoredExemplar {
        labels: exemplar.labels.clone(),
        value: exemplar.value.to_string(),
        timestamp_ms: exemplar.timestamp_ms,
    };
    let stored: Vec<StoredExemplar> = exemplars.iter().map(stored).collect();
    let text = || serde_json::to_string(&stored).expect("texts and numbers are JSON");
    (!stored.is_empty()).then(text)
}

fn read_exemplars(text: &str) -> Result<Vec<Exemplar>, String> {
    let stored: Vec<StoredExemplar> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let exemplar = |stored: StoredExemplar| {
        let value = stored
            .value
            .parse::<f64>()
            .map_err(|error| error.to_string())?;
        Ok(Exemplar {
            labels: stored.labels,
            value,
            timestamp_ms: stored.timestamp_ms,
        })
    };
    stored.into_iter().map(exemplar).collect()
}

/// Makes labels of texts. Neighbouring rows share most of theirs, so they share the memory too.
#[derive(Debug, Default)]
pub(super) struct LabelReader {
    last: Vec<(Arc<str>, Arc<str>)>,
    labels: Labels,
}

impl LabelReader {
    fn read<'t>(&mut self, pairs: impl Iterator<Item = (&'t str, &'t str)>) -> Labels {
        let mut changed = false;
        let mut count = 0;
        for (name, value) in pairs {
            match self.last.get_mut(count) {
                Some(known) if *known.0 == *name => {
                    if *known.1 != *value {
                        known.1 = value.into();
                        changed = true;
                    }
                }
                Some(known) => {
                    *known = (name.into(), value.into());
                    changed = true;
                }
                None => {
                    self.last.push((name.into(), value.into()));
                    changed = true;
                }
            }
            count += 1;
        }
        if changed || count < self.last.len() {
            self.last.truncate(count);
            self.labels = Labels::new(self.last.iter().cloned());
        }
        self.labels.clone()
    }
}

/// Columns of a batch that was read; those that were not asked for are `None`.
pub(super) struct RowColumns<'b> {
    metric: Option<&'b StringArray>,
    labels: Option<LabelColumn<'b>>,
    kind: Option<&'b StringArray>,
    min_time: Option<&'b TimestampMillisecondArray>,
    max_time: Option<&'b TimestampMillisecondArray>,
    count: Option<&'b Int64Array>,
    exemplars: Option<&'b StringArray>,
    samples: Option<&'b BinaryArray>,
}

struct LabelColumn<'b> {
    maps: &'b MapArray,
    names: &'b StringArray,
    values: &'b StringArray,
}

impl<'b> RowColumns<'b> {
    pub(super) fn of(batch: &'b RecordBatch) -> Self {
        Self {
            metric: column(batch, "metric"),
            labels: column::<MapArray>(batch, "labels").and_then(|maps| {
                let text = |array: &'b ArrayRef| array.as_any().downcast_ref::<StringArray>();
                Some(LabelColumn {
                    names: text(maps.keys())?,
                    values: text(maps.values())?,
                    maps,
                })
            }),
            kind: column(batch, "kind"),
            min_time: column(batch, "min_time"),
            max_time: column(batch, "max_time"),
            count: column(batch, "count"),
            exemplars: column(batch, "exemplars"),
            samples: column(batch, "samples"),
        }
    }

    /// The metric's name of row `index`.
    pub(super) fn metric(&self, index: usize) -> Option<&'b str> {
        Some(self.metric?.value(index))
    }

    /// The series of row `index`.
    pub(super) fn labels(&self, index: usize, reader: &mut LabelReader) -> Option<Labels> {
        let column = self.labels.as_ref()?;
        let offsets = column.maps.value_offsets();
        let (start, end) = (offsets[index] as usize, offsets[index + 1] as usize);
        let pair = |at: usize| (column.names.value(at), column.values.value(at));
        Some(reader.read((start..end).map(pair)))
    }

    pub(super) fn kind(&self, index: usize) -> Option<Kind> {
        Kind::from_word(self.kind?.value(index))
    }

    /// First and last sample of row `index`, Unix ms.
    pub(super) fn times(&self, index: usize) -> Option<(i64, i64)> {
        Some((self.min_time?.value(index), self.max_time?.value(index)))
    }

    pub(super) fn count(&self, index: usize) -> Option<u64> {
        u64::try_from(self.count?.value(index)).ok()
    }

    /// The exemplars of row `index`; the inner result is why they cannot be read.
    pub(super) fn exemplars(&self, index: usize) -> Option<Result<Vec<Exemplar>, String>> {
        let column = self.exemplars?;
        if column.is_null(index) {
            return Some(Ok(Vec::new()));
        }
        Some(read_exemplars(column.value(index)))
    }

    pub(super) fn chunk(&self, index: usize) -> Option<&'b [u8]> {
        Some(self.samples?.value(index))
    }
}

fn column<'b, T: 'static>(batch: &'b RecordBatch, name: &str) -> Option<&'b T> {
    batch.column_by_name(name)?.as_any().downcast_ref::<T>()
}
