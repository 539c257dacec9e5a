//! A series' samples ↔ the chunks of its rows.

use super::format::{Kind, Row};
use crate::metrics::chunk::{Chunk, ChunkError, ChunkValues};
use crate::metrics::column::Column;
use crate::metrics::head::SeriesColumns;

/// The most samples of one chunk: what a query decodes to see any of them.
pub(super) const CHUNK_SAMPLES: usize = 2_048;

/// The rows of a series: floats, then histograms, each in order of time. Exemplars are not among
/// them.
pub(super) fn rows_of(columns: SeriesColumns) -> Vec<Row> {
    let floats = columns.floats.in_order();
    let histograms = columns.histograms.in_order();
    let mut rows = rows_of_column(Kind::Float, &floats, ChunkValues::Floats);
    rows.extend(rows_of_column(
        Kind::Histogram,
        &histograms,
        ChunkValues::Histograms,
    ));
    rows
}

/// Chunks of about equal length of samples that are in order.
fn rows_of_column<V: Clone>(
    kind: Kind,
    column: &Column<V>,
    values: impl Fn(Vec<V>) -> ChunkValues,
) -> Vec<Row> {
    let samples = column.len();
    let pieces = samples.div_ceil(CHUNK_SAMPLES);
    let piece = |number: usize| {
        let part = samples * number / pieces..samples * (number + 1) / pieces;
        let starts = column.starts.get(part.clone()).unwrap_or_default();
        let chunk = Chunk {
            timestamps_ms: column.times[part.clone()].to_vec(),
            starts_ms: starts.to_vec(),
            values: values(column.values[part.clone()].to_vec()),
        };
        Row {
            kind,
            min_ms: column.times[part.start],
            max_ms: column.times[part.end - 1],
            count: part.len() as u64,
            exemplars: Vec::new(),
            chunk: chunk.encode(),
        }
    };
    (0..pieces).map(piece).collect()
}

/// Adds the samples of an encoded chunk to a series.
///
/// # Errors
///
/// It is no chunk.
pub(super) fn add_chunk(bytes: &[u8], into: &mut SeriesColumns) -> Result<(), ChunkError> {
    let chunk = Chunk::decode(bytes)?;
    match chunk.values {
        ChunkValues::Floats(values) => {
            let samples = Column::of(chunk.timestamps_ms, chunk.starts_ms, values);
            into.floats.append(samples);
        }
        ChunkValues::Histograms(values) => {
            let samples = Column::of(chunk.timestamps_ms, chunk.starts_ms, values);
            into.histograms.append(samples);
        }
    }
    Ok(())
}
