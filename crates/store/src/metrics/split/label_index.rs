//! Which rows of a split carry which label: a dictionary of `name=value` with the rows of each.
//!
//! The dictionary is tantivy's; the rows are runs of ours, since rows are sorted by labels: a
//! metric's series are one run. Layout and terms: `docs/formats/metric-split.md`.

use std::collections::HashMap;
use std::io;
use std::ops::{ControlFlow, Range};

use model::Labels;
use serde::{Deserialize, Serialize};
use tantivy::postings::TermInfo;
use tantivy::termdict::{TermDictionary, TermDictionaryBuilder};

use super::row_set::RowSet;
use crate::checked::CheckedBytes;
use crate::error::StoreError;
use crate::index::file_slice;

/// Stands between name and value. No text holds this byte, so no name or value can pretend to be
/// another.
const SEPARATOR: u8 = 0xff;
/// Begins the terms of labels whose values are not listed.
const SPECIAL: u8 = 0xfe;
/// Longer values are not in the dictionary, which is built byte by byte.
const MAX_VALUE_BYTES: usize = 1024;
/// The shortest dictionary that tantivy can have written.
const LEAST_DICTIONARY_BYTES: u64 = 32;

/// Where the index of a split lies in its file: the rows of all terms, then the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexPlace {
    /// First byte.
    pub(super) offset: u64,
    /// Bytes of the rows.
    pub(super) rows_length: u64,
    /// Bytes of the dictionary.
    pub(super) dictionary_length: u64,
}

fn term(name: &str, value: &str, into: &mut Vec<u8>) {
    into.clear();
    if value.len() > MAX_VALUE_BYTES {
        long_values(name, into);
        return;
    }
    into.extend_from_slice(name.as_bytes());
    into.push(SEPARATOR);
    into.extend_from_slice(value.as_bytes());
}

/// The term of the rows whose value of `name` is too long to be listed.
fn long_values(name: &str, into: &mut Vec<u8>) {
    into.clear();
    into.push(SPECIAL);
    into.extend_from_slice(name.as_bytes());
}

/// The rows of one term while the split is written.
#[derive(Debug, Default)]
struct Postings {
    /// The last run, not yet in `runs`.
    open: Range<u32>,
    /// Where the run before it ends.
    before: u32,
    rows: u32,
    runs: Vec<u8>,
}

impl Postings {
    fn add(&mut self, rows: Range<u32>) {
        self.rows += rows.len() as u32;
        if self.open.end == rows.start && !self.open.is_empty() {
            self.open.end = rows.end;
            return;
        }
        self.close();
        self.open = rows;
    }

    fn close(&mut self) {
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

/// Collects the labels of rows, in their order. Takes about 130 bytes for each distinct pair.
#[derive(Default)]
pub(super) struct IndexBuilder {
    terms: HashMap<Box<[u8]>, Postings>,
    scratch: Vec<u8>,
}

impl IndexBuilder {
    /// Adds the next series, whose rows are `rows`.
    pub(super) fn add(&mut self, labels: &Labels, rows: Range<u32>) {
        if rows.is_empty() {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for (name, value) in labels.iter() {
            term(name, value, &mut scratch);
            self.add_term(&scratch, rows.clone());
        }
        self.scratch = scratch;
    }

    fn add_term(&mut self, term: &[u8], rows: Range<u32>) {
        match self.terms.get_mut(term) {
            Some(postings) => postings.add(rows),
            None => {
                let mut postings = Postings::default();
                postings.add(rows);
                self.terms.insert(term.into(), postings);
            }
        }
    }

    /// The rows of all terms, and the dictionary that knows where each term's are.
    ///
    /// # Errors
    ///
    /// tantivy refused a term: there are no two alike, so it has no reason to.
    pub(super) fn finish(self) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let mut terms: Vec<(Box<[u8]>, Postings)> = self.terms.into_iter().collect();
        terms.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut rows = Vec::new();
        let mut dictionary = TermDictionaryBuilder::create(Vec::new())?;
        for (term, mut postings) in terms {
            postings.close();
            let start = rows.len();
            rows.extend_from_slice(&postings.runs);
            let info = TermInfo {
                doc_freq: postings.rows,
                postings_range: start..rows.len(),
                positions_range: 0..0,
            };
            dictionary.insert(&term, &info)?;
        }
        Ok((rows, dictionary.finish()?))
    }
}

/// The index of a split, open for look-ups.
pub(super) struct LabelIndex {
    file: CheckedBytes,
    /// Where the rows of all terms lie in the file.
    rows: Range<usize>,
    terms: TermDictionary,
}

impl LabelIndex {
    /// Opens the index at `place` of `file`; its dictionary is checked.
    ///
    /// # Errors
    ///
    /// It is damaged.
    pub(super) fn open(file: &CheckedBytes, place: &IndexPlace) -> Result<Self, StoreError> {
        let damaged = |message: String| StoreError::Damaged {
            file: file.key().to_owned(),
            offset: place.offset,
            message: format!("index of labels: {message}"),
        };
        let end = |start: u64, length: u64| {
            let end = start.checked_add(length)?;
            Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
        };
        let rows = end(place.offset, place.rows_length)
            .ok_or_else(|| damaged("its place is out of range".to_owned()))?;
        let dictionary = end(rows.end as u64, place.dictionary_length)
            .filter(|_| place.dictionary_length >= LEAST_DICTIONARY_BYTES)
            .ok_or_else(|| damaged("its place is out of range".to_owned()))?;
        let bytes = file.slice(dictionary)?;
        let terms =
            TermDictionary::open(file_slice(bytes)).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            file: file.clone(),
            rows,
            terms,
        })
    }

    /// How many terms there are.
    pub(super) fn terms(&self) -> usize {
        self.terms.num_terms()
    }

    /// The rows of a term.
    fn rows_of(&self, info: &TermInfo) -> Result<Vec<Range<u32>>, StoreError> {
        let at = |offset: usize| self.rows.start + offset;
        let place = at(info.postings_range.start)..at(info.postings_range.end);
        if place.end > self.rows.end {
            return Err(self.damaged("rows outside of their place"));
        }
        let bytes = self.file.slice(place)?;
        runs(&bytes).ok_or_else(|| self.damaged("rows that are cut off"))
    }

    fn damaged(&self, message: &str) -> StoreError {
        StoreError::Damaged {
            file: self.file.key().to_owned(),
            offset: self.rows.start as u64,
            message: format!("index of labels: {message}"),
        }
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        self.damaged(&error.to_string())
    }

    fn find(&self, term: &[u8]) -> Result<Option<RowSet>, StoreError> {
        let info = self.terms.get(term).map_err(|error| self.failed(&error))?;
        let rows = info.map(|info| self.rows_of(&info)).transpose()?;
        Ok(rows.map(RowSet::from_ranges))
    }

    /// The rows whose label `name` may be `value`: all that are, and those whose value is as long.
    pub(super) fn rows_with(&self, name: &str, value: &str) -> Result<RowSet, StoreError> {
        let mut key = Vec::new();
        term(name, value, &mut key);
        Ok(self.find(&key)?.unwrap_or_default())
    }

    /// The rows whose value of `name` is not in the dictionary.
    pub(super) fn rows_with_long_value(&self, name: &str) -> Result<RowSet, StoreError> {
        let mut key = Vec::new();
        long_values(name, &mut key);
        Ok(self.find(&key)?.unwrap_or_default())
    }

    /// Whether `value` is short enough to be in the dictionary.
    pub(super) fn is_listed(value: &str) -> bool {
        value.len() <= MAX_VALUE_BYTES
    }

    /// Calls `visit` with each listed value of `name` that begins with `prefix`, ascending, until
    /// it breaks.
    pub(super) fn each_value(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, &TermInfo) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut beginning = name.as_bytes().to_vec();
        beginning.push(SEPARATOR);
        let value_at = beginning.len();
        beginning.extend_from_slice(prefix.as_bytes());
        let mut stream = self
            .terms
            .range()
            .ge(&beginning)
            .into_stream()
            .map_err(|error| self.failed(&error))?;
        while let Some((term, info)) = stream.next() {
            if !term.starts_with(&beginning) {
                break;
            }
            if visit(self.text(&term[value_at..])?, info)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Calls `visit` with the rows of each listed value of `name` until it breaks.
    pub(super) fn each_value_with_rows(
        &self,
        name: &str,
        visit: &mut dyn FnMut(&str, &[Range<u32>]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.each_value(name, "", &mut |value, info| {
            Ok(visit(value, &self.rows_of(info)?))
        })
    }

    /// Adds the rows of the values of `name` that `accept` accepts, which begin with `prefix`.
    /// `None` when there are more than `most` values to look at.
    pub(super) fn rows_accepted(
        &self,
        (name, prefix): (&str, &str),
        most: usize,
        accept: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<RowSet>, StoreError> {
        let mut seen = 0;
        let mut found = Vec::new();
        self.each_value(name, prefix, &mut |value, info| {
            seen += 1;
            if seen > most {
                return Ok(ControlFlow::Break(()));
            }
            if accept(value) {
                found.extend(self.rows_of(info)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((seen <= most).then(|| RowSet::from_ranges(found)))
    }

    /// The names of all labels, in no useful order. Takes a look-up for each, not a walk.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        let mut from: Vec<u8> = Vec::new();
        loop {
            let mut stream = self
                .terms
                .range()
                .ge(&from)
                .into_stream()
                .map_err(|error| self.failed(&error))?;
            let Some((term, _)) = stream.next() else {
                break;
            };
            from.clear();
            if let Some(name) = term.strip_prefix(&[SPECIAL]) {
                names.push(self.text(name)?.to_owned());
                from.extend_from_slice(term);
                from.push(0);
                continue;
            }
            let end = term.iter().position(|byte| *byte == SEPARATOR);
            let name = &term[..end.ok_or_else(|| self.damaged("a term without a value"))?];
            names.push(self.text(name)?.to_owned());
            // No value begins with this byte.
            from.extend_from_slice(name);
            from.extend_from_slice(&[SEPARATOR, SEPARATOR]);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn text<'t>(&self, bytes: &'t [u8]) -> Result<&'t str, StoreError> {
        std::str::from_utf8(bytes).map_err(|error| self.damaged(&error.to_string()))
    }

    /// Whether the index is the one that `built` makes of the rows.
    ///
    /// # Errors
    ///
    /// It is another, or damaged.
    pub(super) fn check(&self, built: IndexBuilder) -> Result<(), StoreError> {
        let other = || self.damaged("it does not agree with the rows");
        if built.terms.len() != self.terms() {
            return Err(other());
        }
        for (term, mut postings) in built.terms {
            postings.close();
            let info = self.terms.get(&term).map_err(|error| self.failed(&error))?;
            let known = info.map(|info| self.rows_of(&info)).transpose()?;
            if known != runs(&postings.runs) {
                return Err(other());
            }
        }
        Ok(())
    }
}

/// Reads what [`Postings`] wrote.
fn runs(mut bytes: &[u8]) -> Option<Vec<Range<u32>>> {
    let mut runs = Vec::new();
    let mut before = 0_u32;
    while !bytes.is_empty() {
        let start = before.checked_add(varint(&mut bytes)?)?;
        let end = start.checked_add(varint(&mut bytes)?)?.checked_add(1)?;
        runs.push(start..end);
        before = end;
    }
    Some(runs)
}

fn varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u32;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// An index in memory, for tests of what reads it.
#[cfg(test)]
pub(super) fn in_memory(series: &[(Labels, Range<u32>)]) -> LabelIndex {
    use bytes::Bytes;

    use crate::checked::Checksums;

    let mut builder = IndexBuilder::default();
    for (labels, rows) in series {
        builder.add(labels, rows.clone());
    }
    let (rows, dictionary) = builder.finish().unwrap();
    let place = IndexPlace {
        offset: 0,
        rows_length: rows.len() as u64,
        dictionary_length: dictionary.len() as u64,
    };
    let bytes = [rows, dictionary].concat();
    let checksums = Checksums::of(&bytes);
    let file = CheckedBytes::new("test", Bytes::from(bytes), checksums).unwrap();
    LabelIndex::open(&file, &place).unwrap()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terms_lead_to_the_rows_of_their_series() {
        let labels = |pairs: &[(&str, &str)]| Labels::new(pairs.iter().copied());
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        let index = in_memory(&[
            (labels(&[("__name__", "a"), ("b", "1")]), 0..2),
            (labels(&[("__name__", "a"), ("b", "2")]), 2..3),
            (labels(&[("__name__", "c"), ("b", "1"), ("bb", "")]), 3..3),
            (
                labels(&[("__name__", "c"), ("b", &long), ("bb", "z")]),
                3..6,
            ),
        ]);
        let with = |name, value| index.rows_with(name, value).unwrap();
        assert_eq!(with("__name__", "a"), RowSet::all(3));
        assert_eq!(with("b", "1"), RowSet::all(2));
        assert!(with("b", "3").is_empty() && with("nothing", "1").is_empty());
        assert_eq!(with("b", &long).ranges(), [3..6]);
        assert_eq!(index.rows_with_long_value("b").unwrap().ranges(), [3..6]);
        assert_eq!(index.names().unwrap(), ["__name__", "b", "bb"]);
        let mut values = Vec::new();
        let mut collect = |value: &str, _: &[Range<u32>]| {
            values.push(value.to_owned());
            ControlFlow::Continue(())
        };
        index.each_value_with_rows("b", &mut collect).unwrap();
        assert_eq!(values, ["1", "2"]);
        let accepted = |most| {
            index
                .rows_accepted(("b", ""), most, &mut |value| value == "2")
                .unwrap()
        };
        assert_eq!(accepted(2).unwrap().ranges(), [2..3]);
        assert!(accepted(1).is_none());
    }

    proptest! {
        #[test]
        fn runs_read_back_as_written(lengths in vec((0_u32..300, 1_u32..300), 0..20)) {
            let mut postings = Postings::default();
            let mut expected = Vec::new();
            let mut at = 0;
            for (gap, length) in lengths {
                let run = at + gap..at + gap + length;
                postings.add(run.clone());
                at = run.end;
                expected.push(run);
            }
            postings.close();
            prop_assert_eq!(postings.rows as usize, expected.iter().map(|run| run.len()).sum::<usize>());
            prop_assert_eq!(
                RowSet::from_ranges(runs(&postings.runs).unwrap()),
                RowSet::from_ranges(expected)
            );
        }

        #[test]
        fn any_bytes_are_runs_or_refused(bytes in vec(any::<u8>(), 0..40)) {
            if let Some(runs) = runs(&bytes) {
                prop_assert!(runs.windows(2).all(|pair| pair[0].end <= pair[1].start));
            }
        }
    }
}
