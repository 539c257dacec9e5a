//! The complete check of a metric split.

use std::ops::ControlFlow;

use model::Labels;

use super::chunks::add_chunk;
use super::label_index::IndexBuilder;
use super::read::MetricSplit;
use super::row_set::RowSet;
use crate::error::StoreError;
use crate::metrics::head::SeriesColumns;

impl MetricSplit {
    /// Reads every row and chunk, and makes the index anew to compare.
    ///
    /// # Errors
    ///
    /// The first damage met.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.metadata()?;
        let mut index = IndexBuilder::default();
        let mut open: Option<(Labels, u32)> = None;
        let mut samples = 0;
        let columns = [
            "labels",
            "min_time",
            "max_time",
            "count",
            "exemplars",
            "samples",
        ];
        self.scan(&RowSet::all(self.rows), &columns, &mut |row| {
            let labels = row.labels()?;
            row.exemplars()?;
            let mut columns = SeriesColumns::default();
            add_chunk(row.chunk()?, &mut columns)
                .map_err(|error| row.damaged(&format!("series {labels}: {error}")))?;
            if columns.bounds() != Some(row.times()?) || columns.len() as u64 != row.count()? {
                return Err(row.damaged("its times or its count are not its chunk's"));
            }
            samples += columns.len() as u64;
            match &open {
                Some((known, _)) if *known == labels => {}
                Some((known, _)) if *known > labels => {
                    return Err(row.damaged("it comes after a series that is sorted behind it"));
                }
                _ => {
                    if let Some((known, first)) = open.replace((labels, row.number)) {
                        index.add(&known, first..row.number);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if let Some((labels, first)) = open {
            index.add(&labels, first..self.rows);
        }
        if samples != self.samples {
            return Err(self.damaged(&format!(
                "it has {samples} samples, the catalog says {}",
                self.samples
            )));
        }
        self.index.check(index)
    }
}
