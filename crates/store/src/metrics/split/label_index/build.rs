//! The index of labels in the making: the rows of each label, as a split is written.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use model::Labels;
use tantivy::postings::TermInfo;
use tantivy::termdict::TermDictionaryBuilder;

use super::{IndexPlace, MAX_VALUE_BYTES, NameEntry};

/// Collects the labels of rows, in their order. Takes about 130 bytes for each distinct pair.
#[derive(Default)]
pub(in crate::metrics::split) struct IndexBuilder {
    pub(super) names: HashMap<Box<str>, Values>,
}

/// The rows of the values of one label name.
#[derive(Default)]
pub(super) struct Values {
    pub(super) listed: HashMap<Box<str>, Postings>,
    pub(super) long: Postings,
}

impl IndexBuilder {
    /// Adds the next series, whose rows are `rows`.
    pub(in crate::metrics::split) fn add(&mut self, labels: &Labels, rows: Range<u32>) {
        if rows.is_empty() {
            return;
        }
        for (name, value) in labels.iter() {
            if !self.names.contains_key(name) {
                self.names.insert(name.into(), Values::default());
            }
            if let Some(values) = self.names.get_mut(name) {
                values.add(value, rows.clone());
            }
        }
    }

    /// Writes the index, which begins at `offset` of its file.
    ///
    /// # Errors
    ///
    /// `write` failed. (tantivy refuses terms that do not ascend; these do.)
    pub(in crate::metrics::split) fn write(
        self,
        offset: u64,
        write: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<IndexPlace> {
        let mut names: Vec<(Box<str>, Values)> = self.names.into_iter().collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut entries = Vec::with_capacity(names.len());
        let mut length = 0;
        for (name, values) in names {
            let (long, rows, dictionary) = values.finish()?;
            for part in [&long, &rows, &dictionary] {
                write(part)?;
                length += part.len() as u64;
            }
            entries.push(NameEntry {
                name: name.into(),
                long: long.len() as u64,
                rows: rows.len() as u64,
                dictionary: dictionary.len() as u64,
            });
        }
        let names = serde_json::to_vec(&entries)?;
        write(&names)?;
        Ok(IndexPlace {
            offset,
            length: length + names.len() as u64,
            names_length: names.len() as u64,
        })
    }
}

impl Values {
    fn add(&mut self, value: &str, rows: Range<u32>) {
        if value.len() > MAX_VALUE_BYTES {
            self.long.add(rows);
            return;
        }
        match self.listed.get_mut(value) {
            Some(postings) => postings.add(rows),
            None => {
                let mut postings = Postings::default();
                postings.add(rows);
                self.listed.insert(value.into(), postings);
            }
        }
    }

    /// The rows of the long values, those of all listed ones, and the dictionary that knows where
    /// each one's are.
    fn finish(mut self) -> io::Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        self.long.close();
        let mut values: Vec<(Box<str>, Postings)> = self.listed.into_iter().collect();
        values.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut rows = Vec::new();
        let mut dictionary = TermDictionaryBuilder::create(Vec::new())?;
        for (value, mut postings) in values {
            postings.close();
            let start = rows.len();
            rows.extend_from_slice(&postings.runs);
            let info = TermInfo {
                doc_freq: postings.rows,
                postings_range: start..rows.len(),
                positions_range: 0..0,
            };
            dictionary.insert(value.as_bytes(), &info)?;
        }
        Ok((self.long.runs, rows, dictionary.finish()?))
    }
}

/// The rows of one label while the split is written.
#[derive(Debug, Default)]
pub(super) struct Postings {
    /// The last run, not yet in `runs`.
    open: Range<u32>,
    /// Where the run before it ends.
    before: u32,
    pub(super) rows: u32,
    pub(super) runs: Vec<u8>,
}

impl Postings {
    pub(super) fn add(&mut self, rows: Range<u32>) {
        self.rows += rows.len() as u32;
        if self.open.end == rows.start && !self.open.is_empty() {
            self.open.end = rows.end;
            return;
        }
        self.close();
        self.open = rows;
    }

    pub(super) fn close(&mut self) {
        if self.open.is_empty() {
            return;
        }
        push_varint(&mut self.runs, self.open.start - self.before);
        push_varint(&mut self.runs, self.open.len() as u32 - 1);
        self.before = self.open.end;
        self.open = 0..0;
    }
}

fn push_varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
