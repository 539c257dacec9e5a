//! Which rows of a split carry which label: for each label name a dictionary of its values, with
//! the rows of each.
//!
//! The dictionaries are tantivy's; the rows are runs of ours, since rows are sorted by labels: a
//! metric's series are one run. To open the index is to read the list of names; a dictionary is
//! opened when its name is asked for. Layout: `docs/formats/metric-split.md`.

mod build;

use std::ops::{ControlFlow, Range};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tantivy::postings::TermInfo;
use tantivy::termdict::TermDictionary;

pub(super) use self::build::IndexBuilder;
use self::build::Values;
use super::row_set::RowSet;
use crate::checked::CheckedBytes;
use crate::error::StoreError;
use crate::index::file_slice;

/// Longer values are not in the dictionary, which is built byte by byte.
const MAX_VALUE_BYTES: usize = 1024;
/// The shortest dictionary that tantivy can have written.
const LEAST_DICTIONARY_BYTES: usize = 32;

/// Where the index of a split lies in its file: the labels one after the other, then the list of
/// their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexPlace {
    /// First byte.
    pub(super) offset: u64,
    /// Bytes of all of it.
    pub(super) length: u64,
    /// Bytes of the list at its end.
    pub(super) names_length: u64,
}

/// An entry of the list of names: lengths in bytes, in the order in which the parts lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct NameEntry {
    name: String,
    /// Rows of the values that are too long to be listed; 0 when there are none.
    long: u64,
    /// Rows of all listed values.
    rows: u64,
    /// The dictionary of listed values.
    dictionary: u64,
}

/// The index of a split, open for look-ups.
pub(super) struct LabelIndex {
    file: CheckedBytes,
    /// By name.
    names: Vec<Name>,
}

/// One label name: where its parts lie in the file.
struct Name {
    name: String,
    long: Range<usize>,
    rows: Range<usize>,
    dictionary: Range<usize>,
    /// Opened when it is asked for.
    open: OnceLock<TermDictionary>,
}

/// Is shown a value and its rows, which it may ask for; says whether there should be more.
type VisitLazily<'v> = dyn FnMut(&str, &Rows<'_>) -> Result<ControlFlow<()>, StoreError> + 'v;

/// Is shown a value and its rows, ascending; says whether there should be more.
type VisitRows<'v> = dyn FnMut(&str, &[Range<u32>]) -> ControlFlow<()> + 'v;

impl LabelIndex {
    /// Opens the index at `place` of `file`: reads the list of names.
    ///
    /// # Errors
    ///
    /// It is damaged.
    pub(super) fn open(file: &CheckedBytes, place: &IndexPlace) -> Result<Self, StoreError> {
        let offset = usize::try_from(place.offset).unwrap_or(usize::MAX);
        let damaged = |message: &str| damaged(file, offset, message);
        let out_of_range = || damaged("its parts are out of range");
        let end = place.offset.checked_add(place.length);
        let list = end.and_then(|end| {
            let start = end.checked_sub(place.names_length)?;
            Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
        });
        let list = list.filter(|list| list.start >= offset);
        let list = list.ok_or_else(out_of_range)?;
        let entries: Vec<NameEntry> = serde_json::from_slice(&file.slice(list.clone())?)
            .map_err(|error| damaged(&format!("list of names: {error}")))?;
        let mut at = offset;
        let mut names = Vec::with_capacity(entries.len());
        for entry in entries {
            let mut part = |length: u64| {
                let start = at;
                let end = start.checked_add(usize::try_from(length).ok()?)?;
                at = end;
                (end <= list.start).then_some(start..end)
            };
            let parts = (part(entry.long), part(entry.rows), part(entry.dictionary));
            let (Some(long), Some(rows), Some(dictionary)) = parts else {
                return Err(out_of_range());
            };
            names.push(Name {
                name: entry.name,
                long,
                rows,
                dictionary,
                open: OnceLock::new(),
            });
        }
        if !names.is_sorted_by(|a, b| a.name < b.name) {
            return Err(damaged("names are not in order"));
        }
        Ok(Self {
            file: file.clone(),
            names,
        })
    }

    /// Memory that the open index takes, about, bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let text: usize = self.names.iter().map(|name| name.name.len()).sum();
        text + self.names.len() * (size_of::<Name>() + 64)
    }

    /// The names of all labels, ascending.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| name.name.as_str())
    }

    fn name(&self, name: &str) -> Option<&Name> {
        let found = self
            .names
            .binary_search_by(|other| other.name.as_str().cmp(name));
        Some(&self.names[found.ok()?])
    }

    fn dictionary<'n>(&self, name: &'n Name) -> Result<&'n TermDictionary, StoreError> {
        if let Some(open) = name.open.get() {
            return Ok(open);
        }
        let bytes = self.file.slice(name.dictionary.clone())?;
        if bytes.len() < LEAST_DICTIONARY_BYTES {
            return Err(self.damaged(name, "its dictionary is too short"));
        }
        let open = TermDictionary::open(file_slice(bytes))
            .map_err(|error| self.damaged(name, &error.to_string()))?;
        Ok(name.open.get_or_init(|| open))
    }

    /// The rows of a value.
    fn rows_of(&self, name: &Name, info: &TermInfo) -> Result<Vec<Range<u32>>, StoreError> {
        let at = |offset: usize| name.rows.start + offset;
        let place = at(info.postings_range.start)..at(info.postings_range.end);
        if place.end > name.rows.end {
            return Err(self.damaged(name, "rows outside of their place"));
        }
        self.runs_at(name, place)
    }

    fn runs_at(&self, name: &Name, place: Range<usize>) -> Result<Vec<Range<u32>>, StoreError> {
        let bytes = self.file.slice(place)?;
        runs(&bytes).ok_or_else(|| self.damaged(name, "rows that are cut off"))
    }

    fn damaged(&self, name: &Name, message: &str) -> StoreError {
        let message = format!("label {:?}: {message}", name.name);
        damaged(&self.file, name.rows.start, &message)
    }

    /// The rows whose label `name` may be `value`: those that carry it, or, when it is too long to
    /// be listed, all whose value is.
    pub(super) fn rows_with(&self, name: &str, value: &str) -> Result<RowSet, StoreError> {
        if !Self::is_listed(value) {
            return self.rows_with_long_value(name);
        }
        let Some(name) = self.name(name) else {
            return Ok(RowSet::default());
        };
        let info = self
            .dictionary(name)?
            .get(value)
            .map_err(|error| self.damaged(name, &error.to_string()))?;
        match info {
            Some(info) => Ok(RowSet::from_ranges(self.rows_of(name, &info)?)),
            None => Ok(RowSet::default()),
        }
    }

    /// The rows whose value of `name` is not in the dictionary.
    pub(super) fn rows_with_long_value(&self, name: &str) -> Result<RowSet, StoreError> {
        match self.name(name) {
            Some(name) if !name.long.is_empty() => {
                Ok(RowSet::from_ranges(self.runs_at(name, name.long.clone())?))
            }
            _ => Ok(RowSet::default()),
        }
    }

    /// Whether `value` is short enough to be in the dictionary.
    pub(super) fn is_listed(value: &str) -> bool {
        value.len() <= MAX_VALUE_BYTES
    }

    /// Calls `visit` with each listed value of `name` that begins with `prefix` and its rows, which
    /// it may ask for, ascending, until it breaks.
    fn each_value(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut VisitLazily<'_>,
    ) -> Result<(), StoreError> {
        let Some(name) = self.name(name) else {
            return Ok(());
        };
        let failed = |error: String| self.damaged(name, &error);
        let mut stream = self
            .dictionary(name)?
            .range()
            .ge(prefix)
            .into_stream()
            .map_err(|error| failed(error.to_string()))?;
        while let Some((value, info)) = stream.next() {
            let value = std::str::from_utf8(value).map_err(|error| failed(error.to_string()))?;
            let rows = Rows {
                index: self,
                name,
                info,
            };
            if !value.starts_with(prefix) || visit(value, &rows)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Calls `visit` with the rows of each listed value of `name` until it breaks.
    pub(super) fn each_value_with_rows(
        &self,
        name: &str,
        visit: &mut VisitRows<'_>,
    ) -> Result<(), StoreError> {
        self.each_value(name, "", &mut |value, rows| Ok(visit(value, &rows.read()?)))
    }

    /// Calls `visit` with each listed value of `name`, ascending.
    pub(super) fn each_listed_value(
        &self,
        name: &str,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), StoreError> {
        self.each_value(name, "", &mut |value, _| {
            visit(value);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The rows of the values of `name` that begin with `prefix` and that `accept` accepts.
    /// `None` when there are more than `most` values to look at.
    pub(super) fn rows_accepted(
        &self,
        (name, prefix): (&str, &str),
        most: usize,
        accept: &mut dyn FnMut(&str) -> bool,
    ) -> Result<Option<RowSet>, StoreError> {
        let mut seen = 0;
        let mut found = Vec::new();
        self.each_value(name, prefix, &mut |value, rows| {
            seen += 1;
            if seen > most {
                return Ok(ControlFlow::Break(()));
            }
            if accept(value) {
                found.extend(rows.read()?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((seen <= most).then(|| RowSet::from_ranges(found)))
    }

    /// Whether the index is the one that `built` makes of the rows.
    ///
    /// # Errors
    ///
    /// It is another, or damaged.
    pub(super) fn check(&self, built: IndexBuilder) -> Result<(), StoreError> {
        let mut names: Vec<(Box<str>, Values)> = built.names.into_iter().collect();
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let agrees = self.names().eq(names.iter().map(|(name, _)| &**name));
        if !agrees {
            return Err(damaged(
                &self.file,
                0,
                "its names are not those of the rows",
            ));
        }
        for (name, (_, values)) in self.names.iter().zip(names) {
            self.check_name(name, values)?;
        }
        Ok(())
    }

    fn check_name(&self, name: &Name, mut values: Values) -> Result<(), StoreError> {
        let other = || self.damaged(name, "it does not agree with the rows");
        let dictionary = self.dictionary(name)?;
        values.long.close();
        let long = self.runs_at(name, name.long.clone())?;
        if Some(long) != runs(&values.long.runs) || dictionary.num_terms() != values.listed.len() {
            return Err(other());
        }
        for (value, mut postings) in values.listed {
            postings.close();
            let info = dictionary
                .get(value.as_bytes())
                .map_err(|error| self.damaged(name, &error.to_string()))?;
            let known = info.map(|info| self.rows_of(name, &info)).transpose()?;
            if known != runs(&postings.runs) {
                return Err(other());
            }
        }
        Ok(())
    }
}

/// The rows of a value that is being visited.
struct Rows<'i> {
    index: &'i LabelIndex,
    name: &'i Name,
    info: &'i TermInfo,
}

impl Rows<'_> {
    fn read(&self) -> Result<Vec<Range<u32>>, StoreError> {
        self.index.rows_of(self.name, self.info)
    }
}

fn damaged(file: &CheckedBytes, offset: usize, message: &str) -> StoreError {
    StoreError::Damaged {
        file: file.key().to_owned(),
        offset: offset as u64,
        message: format!("index of labels: {message}"),
    }
}

/// Reads the runs that [`build`] wrote.
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
pub(super) fn in_memory(series: &[(model::Labels, Range<u32>)]) -> LabelIndex {
    use bytes::Bytes;

    use crate::checked::Checksums;

    let mut builder = IndexBuilder::default();
    for (labels, rows) in series {
        builder.add(labels, rows.clone());
    }
    let mut bytes = Vec::new();
    let mut write = |part: &[u8]| {
        bytes.extend_from_slice(part);
        Ok(())
    };
    let place = builder.write(0, &mut write).unwrap();
    let checksums = Checksums::of(&bytes);
    let file = CheckedBytes::new("test", Bytes::from(bytes), checksums).unwrap();
    LabelIndex::open(&file, &place).unwrap()
}

#[cfg(test)]
mod tests {
    use model::Labels;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::build::Postings;
    use super::*;

    #[test]
    fn labels_lead_to_the_rows_of_their_series() {
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
        assert_eq!(with("b", &long).ranges(), std::slice::from_ref(&(3..6)));
        assert_eq!(
            index.rows_with_long_value("b").unwrap().ranges(),
            std::slice::from_ref(&(3..6))
        );
        assert!(index.rows_with_long_value("bb").unwrap().is_empty());
        assert!(index.names().eq(["__name__", "b", "bb"]));
        let mut values = Vec::new();
        let mut collect = |value: &str, rows: &[Range<u32>]| {
            values.push((value.to_owned(), rows.to_vec()));
            ControlFlow::Continue(())
        };
        index.each_value_with_rows("b", &mut collect).unwrap();
        assert_eq!(
            values,
            [("1", 0..2), ("2", 2..3)]
                .map(|(value, rows)| (value.to_owned(), Vec::from_iter([rows])))
        );
        let accepted = |most| {
            index
                .rows_accepted(("b", ""), most, &mut |value| value == "2")
                .unwrap()
        };
        assert_eq!(accepted(2).unwrap().ranges(), std::slice::from_ref(&(2..3)));
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
            let rows: usize = expected.iter().map(|run| run.len()).sum();
            prop_assert_eq!(postings.rows as usize, rows);
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
