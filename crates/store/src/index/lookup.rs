//! From what a filter asks to the blocks that may answer.

use std::collections::HashMap;
use std::ops::ControlFlow;

use query::lookup::Lookup;
use query::nested;
use query::schema::{self, VirtualColumn};
use query::term_pattern::TermPattern;
use query::words;

use super::segment::{BlockIndex, IndexError};
use super::terms::BlockTerms;
use super::walk::{Steps, WordWalk};
use super::{BlockSet, IndexField, marker, pair};
use crate::columns::names;

/// Either form of an index.
#[derive(Debug, Clone, Copy)]
pub enum Terms<'a> {
    /// A row group in memory.
    Memory(&'a BlockTerms),
    /// A split.
    Split(&'a BlockIndex),
}

/// Where the index has the values of a logical column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Words,
    Pairs,
    Nowhere,
}

fn place_of(column: &str) -> Place {
    match column {
        schema::BODY | schema::STATUS_MESSAGE => Place::Words,
        schema::SERVICE
        | schema::SEVERITY_NUMBER
        | schema::SEVERITY_TEXT
        | schema::LEVEL_NUMBER
        | schema::EVENT_NAME
        | schema::NAME
        | schema::KIND
        | schema::STATUS_CODE => Place::Pairs,
        other if schema::virtual_column(other).is_some() => Place::Pairs,
        _ => Place::Nowhere,
    }
}

/// The columns under whose names the index has the values of a logical column. A record's level is
/// listed as its severity number and, where that is 0, as what its texts state if they do: the
/// number 0 stands for more than the level 0.
fn listed_as(column: &str) -> impl Iterator<Item = &str> {
    let (first, second) = match column {
        schema::LEVEL_NUMBER => (schema::SEVERITY_NUMBER, Some(names::SEVERITY_IN_TEXT)),
        same => (same, None),
    };
    std::iter::once(first).chain(second)
}

/// Whether words are tried one by one for `lookup`.
fn has_walk(lookup: &Lookup) -> bool {
    match lookup {
        Lookup::WordFits { .. } => true,
        Lookup::All(parts) | Lookup::OneOf(parts) => parts.iter().any(has_walk),
        _ => false,
    }
}

/// Whether [`BlockLookup::values`] can answer for a logical column.
pub(crate) fn knows_values(column: &str) -> bool {
    place_of(column) == Place::Pairs
}

/// The blocks that may hold an identifier, by logical column and hex text.
pub(crate) type IdBlocks = HashMap<(String, String), BlockSet>;

/// Asks an index for blocks.
#[derive(Debug, Clone)]
pub struct BlockLookup<'a> {
    terms: Terms<'a>,
    blocks: usize,
    ids: IdBlocks,
    steps: Steps,
}

impl<'a> BlockLookup<'a> {
    /// Asks `terms`.
    pub fn new(terms: Terms<'a>) -> Self {
        let blocks = match terms {
            Terms::Memory(terms) => terms.blocks(),
            Terms::Split(index) => index.blocks(),
        };
        Self {
            terms,
            blocks,
            ids: IdBlocks::new(),
            steps: Steps::for_blocks(blocks),
        }
    }

    /// How many blocks the index covers.
    pub(crate) fn covered(&self) -> usize {
        self.blocks
    }

    /// The same with what bloom filters said of identifiers, which the index does not have.
    pub(crate) fn with_ids(mut self, ids: IdBlocks) -> Self {
        self.ids = ids;
        self
    }

    /// The blocks that may hold rows for which `lookup` is true.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub fn blocks(&self, lookup: &Lookup) -> Result<BlockSet, IndexError> {
        self.blocks_by(lookup, &self.steps)
    }

    /// As [`BlockLookup::blocks`], with these steps for all walks.
    fn blocks_by(&self, lookup: &Lookup, steps: &Steps) -> Result<BlockSet, IndexError> {
        match lookup {
            Lookup::Any => Ok(BlockSet::all(self.blocks)),
            Lookup::All(parts) => self.all_of(parts, steps),
            Lookup::OneOf(parts) => {
                let mut found = BlockSet::none(self.blocks);
                for part in parts {
                    found.unite(&self.blocks_by(part, steps)?);
                }
                Ok(found)
            }
            Lookup::Word { column, word } => match place_of(column) {
                Place::Words => self.word(word),
                Place::Pairs => self.values(column, &mut |value| {
                    words::split(value).any(|candidate| words::equals(candidate, word))
                }),
                Place::Nowhere => Ok(BlockSet::all(self.blocks)),
            },
            Lookup::WordPrefix { column, prefix } => match place_of(column) {
                Place::Words => self.word_prefix(prefix),
                Place::Pairs => self.values(column, &mut |value| {
                    words::split(value).any(|candidate| words::starts_with(candidate, prefix))
                }),
                Place::Nowhere => Ok(BlockSet::all(self.blocks)),
            },
            Lookup::WordFits { column, pattern } => match place_of(column) {
                Place::Words => self.word_fits(pattern, steps),
                Place::Pairs => self.values(column, &mut |value| {
                    words::split(value).any(|word| pattern.matches(&words::lowercase(word)))
                }),
                Place::Nowhere => Ok(BlockSet::all(self.blocks)),
            },
            Lookup::Equals { column, value } => match place_of(column) {
                Place::Words => self.all_words(value),
                Place::Pairs => self.equals(column, value),
                Place::Nowhere => Ok(self
                    .ids
                    .get(&(column.clone(), value.clone()))
                    .cloned()
                    .unwrap_or_else(|| BlockSet::all(self.blocks))),
            },
            Lookup::StartsWith { column, prefix } => match place_of(column) {
                Place::Words => self.words_of_beginning(prefix),
                Place::Pairs => self.values_from(column, prefix),
                Place::Nowhere => Ok(BlockSet::all(self.blocks)),
            },
        }
    }

    /// The blocks that meet all of `parts`: first what is looked up directly, then what is walked
    /// for. Beside the words of the same text a pattern seldom spares a block.
    fn all_of(&self, parts: &[Lookup], steps: &Steps) -> Result<BlockSet, IndexError> {
        let (walks, direct): (Vec<&Lookup>, Vec<&Lookup>) =
            parts.iter().partition(|part| has_walk(part));
        let mut found = BlockSet::all(self.blocks);
        for part in &direct {
            found.intersect(&self.blocks_by(part, steps)?);
            if found.is_empty() {
                return Ok(found);
            }
        }
        let blocks = found.count();
        let walk = |steps: &Steps| {
            for part in walks {
                found.intersect(&self.blocks_by(part, steps)?);
            }
            Ok(found)
        };
        match direct.is_empty() {
            true => walk(steps),
            false => steps.beside_words(blocks, walk),
        }
    }

    fn word(&self, word: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::none(self.blocks);
        self.add_term(IndexField::Words, words::indexed(word), &mut found)?;
        Ok(found)
    }

    fn word_prefix(&self, prefix: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::none(self.blocks);
        let prefix = words::indexed(prefix);
        self.add_matching(IndexField::Words, prefix, &mut |_| true, &mut found)?;
        Ok(found)
    }

    /// The blocks with a word that fits; all of them when finding out would cost more than reading
    /// them.
    fn word_fits(&self, pattern: &TermPattern, steps: &Steps) -> Result<BlockSet, IndexError> {
        let Some(walk) = pattern.walk() else {
            return Ok(BlockSet::all(self.blocks));
        };
        let walk = WordWalk::new(walk, steps);
        let mut found = BlockSet::none(self.blocks);
        match self.terms {
            Terms::Split(index) => index.add_accepted(&walk, &mut found)?,
            Terms::Memory(terms) => {
                let words = terms.dictionary(IndexField::Words);
                let first = words.lower_bound(pattern.beginning());
                for index in first..words.len() {
                    let word = words.term(index);
                    if !word.starts_with(pattern.beginning()) || !walk.is_complete() {
                        break;
                    }
                    if walk.accepts(word) {
                        found.insert_mask(words.mask(index));
                    }
                }
            }
        }
        match walk.is_complete() {
            true => Ok(found),
            false => Ok(BlockSet::all(self.blocks)),
        }
    }

    fn all_words(&self, text: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::all(self.blocks);
        for word in words::lowercased(text) {
            found.intersect(&self.word(&word)?);
        }
        Ok(found)
    }

    /// A text that begins with `beginning` has all of its words; the last may go on.
    fn words_of_beginning(&self, beginning: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::all(self.blocks);
        let mut all = words::lowercased(beginning);
        let goes_on = beginning
            .chars()
            .next_back()
            .is_some_and(words::is_word_character);
        if goes_on && let Some(last) = all.pop() {
            found.intersect(&self.word_prefix(&last)?);
        }
        for word in all {
            found.intersect(&self.word(&word)?);
        }
        Ok(found)
    }

    fn equals(&self, column: &str, value: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::none(self.blocks);
        for listed in listed_as(column) {
            self.add_term(IndexField::Pairs, &pair(listed, value), &mut found)?;
        }
        self.add_markers(column, &mut found)?;
        Ok(found)
    }

    fn values_from(&self, column: &str, prefix: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::none(self.blocks);
        for listed in listed_as(column) {
            let beginning = pair(listed, prefix);
            self.add_matching(IndexField::Pairs, &beginning, &mut |_| true, &mut found)?;
        }
        self.add_markers(column, &mut found)?;
        Ok(found)
    }

    /// Adds the blocks that may have any value in `column`: in an overflow, also inside of a map
    /// under a part of the key.
    fn add_markers(&self, column: &str, into: &mut BlockSet) -> Result<(), IndexError> {
        for listed in listed_as(column) {
            self.add_term(IndexField::Pairs, &marker(listed), into)?;
        }
        let (key, outer_column): (&str, fn(&str) -> String) = match schema::virtual_column(column) {
            Some(VirtualColumn::Attribute(key)) => (key, schema::attribute_column),
            Some(VirtualColumn::Resource(key)) => (key, schema::resource_column),
            None => return Ok(()),
        };
        for outer in nested::outer_keys(key) {
            self.add_term(IndexField::Pairs, &marker(&outer_column(outer)), into)?;
        }
        Ok(())
    }

    /// The blocks that may hold a value of `column` that `accept` accepts. Rows without a value
    /// are not looked for.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub(crate) fn values(
        &self,
        column: &str,
        accept: &mut dyn FnMut(&str) -> bool,
    ) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::none(self.blocks);
        for listed in listed_as(column) {
            let beginning = pair(listed, "");
            self.add_matching(
                IndexField::Pairs,
                &beginning,
                &mut |term| accept(&term[beginning.len()..]),
                &mut found,
            )?;
        }
        self.add_markers(column, &mut found)?;
        Ok(found)
    }

    /// How many values of `column` are listed.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub(crate) fn count_values(&self, column: &str) -> Result<usize, IndexError> {
        let mut count = 0;
        for listed in listed_as(column) {
            let beginning = pair(listed, "");
            count += match self.terms {
                Terms::Split(index) => index.count_terms(IndexField::Pairs, &beginning)?,
                Terms::Memory(terms) => {
                    let dictionary = terms.dictionary(IndexField::Pairs);
                    let behind = format!("{beginning}{}", char::MAX);
                    dictionary.lower_bound(&behind) - dictionary.lower_bound(&beginning)
                }
            };
        }
        Ok(count)
    }

    /// Visits the values of `column` that begin with `prefix` and lie in a block of `within`,
    /// ascending, until `visit` breaks; of levels first those of numbers, then those of texts.
    /// Values that are not listed ([`BlockLookup::unlisted`]) are not among them.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub(crate) fn each_value(
        &self,
        column: &str,
        prefix: &str,
        within: &BlockSet,
        visit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let mut flow = ControlFlow::Continue(());
        for listed in listed_as(column) {
            let name = pair(listed, "").len();
            self.each_pair(&pair(listed, prefix), within, &mut |term| {
                flow = visit(&term[name..]);
                flow
            })?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The blocks that may hold values of `column` that the index does not list, or of which it
    /// lists some that are not there.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub(crate) fn unlisted(&self, column: &str) -> Result<BlockSet, IndexError> {
        let mut found = BlockSet::none(self.blocks);
        for listed in listed_as(column) {
            self.add_term(IndexField::Pairs, &marker(listed), &mut found)?;
        }
        if column == schema::LEVEL_NUMBER {
            found.unite(&self.partly_unset()?);
        }
        Ok(found)
    }

    /// The blocks with records of severity number 0 of which some state a level: whether all of them
    /// do is not listed.
    fn partly_unset(&self) -> Result<BlockSet, IndexError> {
        let mut unset = BlockSet::none(self.blocks);
        let term = pair(schema::SEVERITY_NUMBER, "0");
        self.add_term(IndexField::Pairs, &term, &mut unset)?;
        let mut stated = BlockSet::none(self.blocks);
        let beginning = pair(names::SEVERITY_IN_TEXT, "");
        self.add_matching(IndexField::Pairs, &beginning, &mut |_| true, &mut stated)?;
        unset.intersect(&stated);
        Ok(unset)
    }

    /// Visits the columns that begin with `prefix` and have unlisted values in a block of
    /// `within`, ascending.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub(crate) fn each_unlisted_column(
        &self,
        prefix: &str,
        within: &BlockSet,
        visit: &mut dyn FnMut(&str),
    ) -> Result<(), IndexError> {
        let before = marker("").len();
        self.each_pair(&marker(prefix), within, &mut |term| {
            visit(&term[before..]);
            ControlFlow::Continue(())
        })
    }

    fn each_pair(
        &self,
        prefix: &str,
        within: &BlockSet,
        visit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        match self.terms {
            Terms::Split(index) => index.each_term(IndexField::Pairs, prefix, within, visit),
            Terms::Memory(terms) => {
                let dictionary = terms.dictionary(IndexField::Pairs);
                for index in dictionary.lower_bound(prefix)..dictionary.len() {
                    let term = dictionary.term(index);
                    if !term.starts_with(prefix) {
                        break;
                    }
                    if within.meets_mask(dictionary.mask(index)) && visit(term).is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    fn add_term(
        &self,
        field: IndexField,
        term: &str,
        into: &mut BlockSet,
    ) -> Result<(), IndexError> {
        match self.terms {
            Terms::Split(index) => index.add_term(field, term, into).map(|_| ()),
            Terms::Memory(terms) => {
                let dictionary = terms.dictionary(field);
                let index = dictionary.lower_bound(term);
                if index < dictionary.len() && dictionary.term(index) == term {
                    into.insert_mask(dictionary.mask(index));
                }
                Ok(())
            }
        }
    }

    fn add_matching(
        &self,
        field: IndexField,
        prefix: &str,
        accept: &mut dyn FnMut(&str) -> bool,
        into: &mut BlockSet,
    ) -> Result<(), IndexError> {
        match self.terms {
            Terms::Split(index) => index.add_matching(field, prefix, accept, into),
            Terms::Memory(terms) => {
                let dictionary = terms.dictionary(field);
                let first = dictionary.lower_bound(prefix);
                for index in first..dictionary.len() {
                    let term = dictionary.term(index);
                    if !term.starts_with(prefix) {
                        break;
                    }
                    if accept(term) {
                        into.insert_mask(dictionary.mask(index));
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{IndexPart, TermsBuilder, build};
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use bytes::Bytes;
    use query::glob::Glob;
    use std::sync::Arc;

    const BLOCK: usize = super::super::BLOCK_ROWS;

    /// A row group of three blocks: the body and attributes of each block's rows are constant.
    fn terms() -> BlockTerms {
        let rows = 2 * BLOCK + 5;
        let per_block = |texts: [Option<&str>; 3]| -> ArrayRef {
            let array: StringArray = (0..rows).map(|row| texts[row / BLOCK]).collect();
            Arc::new(array)
        };
        let mut builder = TermsBuilder::new();
        let bodies = [Some("Disk full on node-7"), Some("disk ok"), None];
        builder.add_column("body", &per_block(bodies));
        builder.add_column("attr.route", &per_block([Some("/a b"), None, Some("/c")]));
        let unique: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
        builder.add_column("attr.id", &unique);
        let overflow = r#"{"attributes":[{"key":"list","value":{}}]}"#;
        builder.add_column("overflow", &per_block([None, Some(overflow), None]));
        builder.finish(3)
    }

    fn word(column: &str, word: &str) -> Lookup {
        Lookup::Word {
            column: column.into(),
            word: word.into(),
        }
    }

    fn equals(column: &str, value: &str) -> Lookup {
        Lookup::Equals {
            column: column.into(),
            value: value.into(),
        }
    }

    fn prefix(column: &str, prefix: &str) -> Lookup {
        Lookup::WordPrefix {
            column: column.into(),
            prefix: prefix.into(),
        }
    }

    fn fits(column: &str, glob: &str) -> Lookup {
        Lookup::WordFits {
            column: column.into(),
            pattern: TermPattern::glob(Glob::parse(glob)),
        }
    }

    fn similar(word: &str, edits: u8) -> Lookup {
        Lookup::WordFits {
            column: "body".into(),
            pattern: TermPattern::similar(word, edits).unwrap(),
        }
    }

    fn starts(column: &str, prefix: &str) -> Lookup {
        Lookup::StartsWith {
            column: column.into(),
            prefix: prefix.into(),
        }
    }

    #[test]
    fn both_forms_of_an_index_find_the_same_blocks() {
        let memory = terms();
        let bytes = packed(&[IndexPart::RowGroup(&memory)]);
        let split = BlockIndex::open(bytes, 3).unwrap();
        let cases: [(Lookup, &[usize]); 26] = [
            (word("body", "disk"), &[0, 1]),
            (word("body", "node"), &[0]),
            (word("body", "nod"), &[]),
            (prefix("body", "nod"), &[0]),
            (equals("body", "disk full"), &[0]),
            (starts("body", "disk o"), &[0, 1]),
            (starts("body", "disk ok"), &[1]),
            (equals("attr.route", "/a b"), &[0]),
            (equals("attr.route", "/x"), &[]),
            (word("attr.route", "c"), &[2]),
            (starts("attr.route", "/"), &[0, 2]),
            (equals("attr.absent", "1"), &[]),
            // Too many values to be indexed.
            (equals("attr.id", "7"), &[0, 1, 2]),
            (equals("attr.list", "[]"), &[1]),
            // A map under `list` may have it.
            (equals("attr.list.inner", "x"), &[1]),
            (equals("attr.lis.inner", "x"), &[]),
            (fits("body", "*isk"), &[0, 1]),
            (fits("body", "*od*"), &[0]),
            (fits("body", "?k"), &[1]),
            (fits("body", "*zz*"), &[]),
            (fits("attr.route", "*b"), &[0]),
            (similar("dsik", 1), &[0, 1]),
            (similar("nodes", 1), &[0]),
            (word("body", "disk").and(equals("attr.route", "/a b")), &[0]),
            (word("body", "ok").or(equals("attr.route", "/c")), &[1, 2]),
            (Lookup::Any, &[0, 1, 2]),
        ];
        for (lookup, expected) in cases {
            for terms in [Terms::Memory(&memory), Terms::Split(&split)] {
                let found = BlockLookup::new(terms).blocks(&lookup).unwrap();
                let found: Vec<usize> = (0..3).filter(|b| found.contains(*b)).collect();
                assert_eq!(found, expected, "{lookup:?} in {terms:?}");
            }
        }
    }

    fn packed(parts: &[IndexPart<'_>]) -> Bytes {
        let mut bytes = Vec::new();
        build(parts).unwrap().write_to(&mut bytes).unwrap();
        Bytes::from(bytes)
    }

    /// A row group with many words, and one that is found by its end.
    fn many_words(words: usize) -> BlockTerms {
        let rows = 2 * BLOCK;
        let bodies = (0..rows).map(|row| {
            let of_row = (row..words).step_by(rows);
            let mut body: Vec<String> = of_row.map(|word| format!("w{word:x}")).collect();
            if row == 5 {
                body.push("needle".to_owned());
            }
            Some(body.join(" "))
        });
        let bodies: ArrayRef = Arc::new(bodies.collect::<StringArray>());
        let mut builder = TermsBuilder::new();
        builder.add_column("body", &bodies);
        builder.finish(2)
    }

    #[test]
    fn a_walk_that_costs_more_than_reading_finds_every_block() {
        for (words, expected) in [(4_000, 1), (40_000, 2)] {
            let memory = many_words(words);
            let bytes = packed(&[IndexPart::RowGroup(&memory)]);
            let split = BlockIndex::open(bytes, 2).unwrap();
            for terms in [Terms::Memory(&memory), Terms::Split(&split)] {
                let found = BlockLookup::new(terms).blocks(&fits("body", "*eedle"));
                assert_eq!(
                    found.unwrap().count(),
                    expected,
                    "{words} words in {terms:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_word_is_found_by_its_end() {
        let body: ArrayRef = Arc::new(StringArray::from(vec![Some(format!(
            "x{}end",
            "é".repeat(80)
        ))]));
        let mut builder = TermsBuilder::new();
        builder.add_column("body", &body);
        let memory = builder.finish(1);
        let bytes = packed(&[IndexPart::RowGroup(&memory)]);
        let split = BlockIndex::open(bytes, 1).unwrap();
        for terms in [Terms::Memory(&memory), Terms::Split(&split)] {
            for (glob, expected) in [("xé*end", 1), ("*end", 1), ("xa*end", 0)] {
                let found = BlockLookup::new(terms).blocks(&fits("body", glob)).unwrap();
                assert_eq!(found.count(), expected, "{glob} in {terms:?}");
            }
        }
    }

    #[test]
    fn values_are_listed_by_the_blocks_they_lie_in() {
        let memory = terms();
        let bytes = packed(&[IndexPart::RowGroup(&memory)]);
        let split = BlockIndex::open(bytes, 3).unwrap();
        for terms in [Terms::Memory(&memory), Terms::Split(&split)] {
            let lookup = BlockLookup::new(terms);
            let listed = |column: &str, prefix: &str, blocks: &[usize], limit: usize| {
                let mut within = BlockSet::none(3);
                blocks.iter().for_each(|block| within.insert(*block));
                let mut values = Vec::new();
                let mut visit = |value: &str| {
                    values.push(value.to_owned());
                    match values.len() < limit {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                };
                lookup
                    .each_value(column, prefix, &within, &mut visit)
                    .unwrap();
                values
            };
            assert_eq!(listed("attr.route", "", &[0, 1, 2], 9), ["/a b", "/c"]);
            assert_eq!(lookup.count_values("attr.route").unwrap(), 2);
            assert_eq!(lookup.count_values("attr.id").unwrap(), 0);
            assert_eq!(listed("attr.route", "", &[0, 1, 2], 1), ["/a b"]);
            assert_eq!(listed("attr.route", "", &[1, 2], 9), ["/c"]);
            assert_eq!(listed("attr.route", "/c", &[0, 2], 9), ["/c"]);
            assert!(listed("attr.id", "", &[0, 1, 2], 9).is_empty());
            assert_eq!(lookup.unlisted("attr.id").unwrap(), BlockSet::all(3));
            assert!(lookup.unlisted("attr.route").unwrap().is_empty());
            let mut columns = Vec::new();
            lookup
                .each_unlisted_column("attr.", &BlockSet::all(3), &mut |column| {
                    columns.push(column.to_owned());
                })
                .unwrap();
            assert_eq!(columns, ["attr.id", "attr.list"]);
        }
    }

    #[test]
    fn stacked_row_groups_keep_their_terms() {
        let terms = terms();
        let part = IndexPart::RowGroup(&terms);
        let bytes = packed(&[part, part]);
        let split = BlockIndex::open(bytes.clone(), 6).unwrap();
        assert_eq!(split.terms_of(0..3).unwrap(), terms);
        assert_eq!(split.terms_of(3..6).unwrap(), terms);
        assert!(BlockIndex::open(bytes, 5).is_err());
    }

    #[test]
    fn stacked_splits_keep_the_terms_of_the_blocks_that_stay() {
        let terms = terms();
        let part = IndexPart::RowGroup(&terms);
        let two = BlockIndex::open(packed(&[part, part]), 6).unwrap();
        let mut second = BlockSet::none(6);
        (3..6).for_each(|block| second.insert(block));
        let parts = [
            IndexPart::Split(&two, &BlockSet::all(6)),
            part,
            part,
            IndexPart::Split(&two, &second),
        ];
        let stacked = BlockIndex::open(packed(&parts), 15).unwrap();
        for first in (0..15).step_by(3) {
            assert_eq!(stacked.terms_of(first..first + 3).unwrap(), terms);
        }

        // A term that only blocks which are left out have is gone.
        let mut last = BlockSet::none(6);
        last.insert(5);
        let parts = [IndexPart::Split(&two, &last), IndexPart::Split(&two, &last)];
        let stacked = BlockIndex::open(packed(&parts), 2).unwrap();
        let mut found = BlockSet::none(2);
        for (word, known) in [("disk", false), ("node", false)] {
            let is_known = stacked.add_term(IndexField::Words, word, &mut found);
            assert_eq!(is_known.unwrap(), known, "{word}");
        }
        let route = pair("attr.route", "/c");
        assert!(
            stacked
                .add_term(IndexField::Pairs, &route, &mut found)
                .unwrap()
        );
        assert_eq!(found.count(), 2);
    }
}
