//! The terms of a row group's blocks, in memory: a sorted dictionary with one bit for each block.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use query::schema;
use query::text::text_of;
use query::words;

use super::{BLOCK_ROWS, IndexField, MAX_BLOCKS, marker, pair};
use crate::columns::{Family, Promotion};

/// Values longer than this, in bytes, are not indexed.
const MAX_VALUE_BYTES: usize = 200;

/// A column with up to this many distinct values is always indexed.
const FEW_VALUES: usize = 256;

/// A column is indexed when each value occurs this often on average.
const MIN_REPEATS: usize = 4;

/// Terms with the blocks that hold them: bit `i` of a mask is block `i` of the row group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    /// Where each term ends in `bytes`; terms ascend.
    ends: Vec<u32>,
    masks: Vec<u32>,
}

impl Dictionary {
    fn new(terms: HashMap<String, u32>) -> Self {
        let mut terms: Vec<(String, u32)> = terms.into_iter().collect();
        terms.sort_unstable();
        let mut dictionary = Self::default();
        for (term, mask) in terms {
            dictionary.bytes.extend_from_slice(term.as_bytes());
            // A row group holds far less than 4 GiB of distinct terms: its text columns are
            // bounded by 32-bit offsets themselves.
            dictionary.ends.push(dictionary.bytes.len() as u32);
            dictionary.masks.push(mask);
        }
        dictionary
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn term(&self, index: usize) -> &str {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        std::str::from_utf8(&self.bytes[start..self.ends[index] as usize])
            .expect("terms were cut from strings")
    }

    pub(crate) fn mask(&self, index: usize) -> u32 {
        self.masks[index]
    }

    /// The index of the first term that is not less than `term`.
    pub(crate) fn lower_bound(&self, term: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.term(middle) < term {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn size_bytes(&self) -> usize {
        self.bytes.len() + 8 * self.ends.len()
    }
}

/// The terms of one row group's blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockTerms {
    pub(crate) blocks: usize,
    pub(crate) words: Dictionary,
    pub(crate) pairs: Dictionary,
}

impl BlockTerms {
    /// The terms of the blocks of a row group, given as physical columns in their final order,
    /// and the names of the attribute columns whose values hardly repeat, which are not indexed.
    pub fn of(batch: &RecordBatch) -> (Self, HashSet<String>) {
        let mut builder = TermsBuilder::new();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            builder.add_column(field.name(), column);
        }
        let unrepeated = std::mem::take(&mut builder.unrepeated);
        let blocks = super::blocks_of(batch.num_rows());
        (builder.finish(blocks), unrepeated)
    }

    pub(super) fn from_masks(
        blocks: usize,
        words: HashMap<String, u32>,
        pairs: HashMap<String, u32>,
    ) -> Self {
        Self {
            blocks,
            words: Dictionary::new(words),
            pairs: Dictionary::new(pairs),
        }
    }

    pub(crate) fn dictionary(&self, field: IndexField) -> &Dictionary {
        match field {
            IndexField::Words => &self.words,
            IndexField::Pairs => &self.pairs,
        }
    }

    /// How many blocks the row group has.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// How much memory the terms take, bytes.
    pub fn size_bytes(&self) -> usize {
        self.words.size_bytes() + self.pairs.size_bytes()
    }
}

/// Collects the terms of one row group, column by column.
#[derive(Debug, Default)]
pub struct TermsBuilder {
    words: HashMap<String, u32>,
    pairs: HashMap<String, u32>,
    unrepeated: HashSet<String>,
}

impl TermsBuilder {
    /// No terms yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the index keeps of a physical column; columns it does not index add nothing.
    pub(crate) fn add_column(&mut self, name: &str, column: &ArrayRef) {
        if let Some(promotion) = promotion_of(name, column.data_type()) {
            // Every type of a key answers for the one logical column.
            let logical = format!("{}{}", promotion.family.prefix(), promotion.key);
            if !self.add_values(&logical, column) {
                self.unrepeated.insert(name.to_owned());
            }
            return;
        }
        match name {
            schema::BODY | schema::STATUS_MESSAGE => self.add_words(column),
            schema::SERVICE
            | schema::SEVERITY_NUMBER
            | schema::SEVERITY_TEXT
            | schema::EVENT_NAME
            | schema::NAME
            | schema::KIND
            | schema::STATUS_CODE => {
                self.add_values(name, column);
            }
            crate::columns::names::OVERFLOW => self.add_overflow(Family::Attribute, column),
            crate::columns::names::RESOURCE_OVERFLOW => {
                self.add_overflow(Family::Resource, column);
            }
            _ => {}
        }
    }

    fn add_words(&mut self, column: &ArrayRef) {
        let texts = column.as_string::<i32>();
        for (row, text) in texts.iter().enumerate() {
            for word in words::split(text.unwrap_or_default()) {
                let word = words::lowercase(word);
                set_bit(&mut self.words, words::indexed(&word), row);
            }
        }
    }

    /// Adds a column's values; whether they repeat often enough to be indexed.
    fn add_values(&mut self, column: &str, values: &ArrayRef) -> bool {
        let mut masks: HashMap<String, u32> = HashMap::new();
        let mut too_long = 0_u32;
        let mut present = 0_u32;
        let mut last: Option<(String, usize)> = None;
        for_each_text(values, |row, text| {
            let block = row / BLOCK_ROWS;
            present |= 1 << block;
            // Rows are sorted by stream, so a value often equals the one before.
            if last
                .as_ref()
                .is_some_and(|(before, at)| before == text && *at == block)
            {
                return;
            }
            if text.len() > MAX_VALUE_BYTES {
                too_long |= 1 << block;
            } else {
                set_bit(&mut masks, text, row);
            }
            last = Some((text.to_owned(), block));
        });
        let rows = values.len() - values.null_count();
        if masks.len() > FEW_VALUES && masks.len() * MIN_REPEATS > rows {
            self.mark(column, present);
            return false;
        }
        self.mark(column, too_long);
        for (value, mask) in masks {
            *self.pairs.entry(pair(column, &value)).or_default() |= mask;
        }
        true
    }

    fn mark(&mut self, column: &str, mask: u32) {
        if mask != 0 {
            *self.pairs.entry(marker(column)).or_default() |= mask;
        }
    }

    /// Marks the columns whose values a block has in an overflow.
    fn add_overflow(&mut self, family: Family, column: &ArrayRef) {
        let mut last: Option<(&str, usize)> = None;
        for (row, text) in column.as_string::<i32>().iter().enumerate() {
            let Some(text) = text else { continue };
            let block = row / BLOCK_ROWS;
            if last.replace((text, block)) == Some((text, block)) {
                continue;
            }
            for key in overflow_keys(text) {
                self.mark(&format!("{}{key}", family.prefix()), 1 << block);
            }
        }
    }

    /// The terms of a row group with this many blocks.
    pub fn finish(self, blocks: usize) -> BlockTerms {
        debug_assert!(blocks <= MAX_BLOCKS, "a mask has a bit for each block");
        BlockTerms::from_masks(blocks, self.words, self.pairs)
    }
}

fn promotion_of(name: &str, data_type: &DataType) -> Option<Promotion> {
    Promotion::from_field(&arrow::datatypes::Field::new(name, data_type.clone(), true))
}

/// The keys of the attributes in an overflow column's JSON.
fn overflow_keys(text: &str) -> Vec<String> {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
        return Vec::new();
    };
    let entries = json.get("attributes").and_then(|list| list.as_array());
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("key")?.as_str())
        .map(str::to_owned)
        .collect()
}

fn set_bit(masks: &mut HashMap<String, u32>, term: &str, row: usize) {
    let bit = 1 << (row / BLOCK_ROWS);
    match masks.get_mut(term) {
        Some(mask) => *mask |= bit,
        None => {
            masks.insert(term.to_owned(), bit);
        }
    }
}

/// Calls `visit` with the row and text form of each value that is not null.
fn for_each_text(values: &ArrayRef, mut visit: impl FnMut(usize, &str)) {
    let valid = |row: &usize| values.is_valid(*row);
    let rows = (0..values.len()).filter(valid);
    match values.data_type() {
        DataType::Utf8 => {
            let texts = values.as_string::<i32>();
            rows.for_each(|row| visit(row, texts.value(row)));
        }
        DataType::Int32 => {
            let numbers = values.as_primitive::<Int32Type>();
            rows.for_each(|row| visit(row, &numbers.value(row).to_string()));
        }
        DataType::Int64 => {
            let numbers = values.as_primitive::<Int64Type>();
            rows.for_each(|row| visit(row, &numbers.value(row).to_string()));
        }
        DataType::Boolean => {
            let flags = values.as_boolean();
            rows.for_each(|row| visit(row, if flags.value(row) { "true" } else { "false" }));
        }
        DataType::Float64 => {
            let numbers = values.as_primitive::<Float64Type>();
            rows.for_each(|row| {
                let value = model::Value::Double(numbers.value(row));
                visit(row, &text_of(&value).unwrap_or_default());
            });
        }
        other => unreachable!("no indexed column has the type {other}"),
    }
}
