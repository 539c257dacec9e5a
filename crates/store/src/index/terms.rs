//! The terms of a row group's blocks, in memory: a sorted dictionary with one bit for each block.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};
use arrow::record_batch::RecordBatch;
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use query::schema;
use query::text::text_of;
use query::words;

use super::{BLOCK_ROWS, IndexField, MAX_BLOCKS, SEPARATOR, marker};
use crate::columns::{Family, Promotion};

/// Values longer than this, in bytes, are not indexed.
const MAX_VALUE_BYTES: usize = 200;

/// A column with up to this many distinct values is always indexed.
const FEW_VALUES: usize = 256;

/// A column is indexed when each value occurs this often on average.
const MIN_REPEATS: usize = 4;

/// Distinct texts in the order in which they came, each with the blocks that hold it. The texts
/// lie in one run of bytes.
#[derive(Debug, Default)]
pub(super) struct Masks {
    by_text: HashTable<u32>,
    state: RandomState,
    texts: Texts,
    masks: Vec<u32>,
}

/// Texts one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Texts {
    bytes: Vec<u8>,
    /// Where each text ends in `bytes`.
    ends: Vec<u32>,
}

impl Texts {
    fn get(&self, index: usize) -> &[u8] {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        &self.bytes[start..self.ends[index] as usize]
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        // A row group holds far less than 4 GiB of distinct terms: its text columns are bounded by
        // 32-bit offsets themselves.
        self.ends.push(self.bytes.len() as u32);
    }
}

impl Masks {
    /// Adds blocks to a text's.
    pub(super) fn add(&mut self, text: &str, mask: u32) {
        let Self {
            by_text,
            state,
            texts,
            masks,
        } = self;
        let hash = |text: &[u8]| {
            let mut hasher = state.build_hasher();
            hasher.write(text);
            hasher.finish()
        };
        let text = text.as_bytes();
        let entry = by_text.entry(
            hash(text),
            |&index| texts.get(index as usize) == text,
            |&index| hash(texts.get(index as usize)),
        );
        let index = *entry.or_insert_with(|| masks.len() as u32).get() as usize;
        if index == masks.len() {
            texts.push(text);
            masks.push(0);
        }
        masks[index] |= mask;
    }
}

/// Terms with the blocks that hold them: bit `i` of a mask is block `i` of the row group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Dictionary {
    /// Ascending.
    terms: Texts,
    masks: Vec<u32>,
}

impl Dictionary {
    fn new(masks: &Masks) -> Self {
        // Most comparisons are decided by the first eight bytes.
        let mut order: Vec<(u64, u32)> = (0..masks.masks.len())
            .map(|index| (first_bytes(masks.texts.get(index)), index as u32))
            .collect();
        let text = |index: u32| masks.texts.get(index as usize);
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| text(a.1).cmp(text(b.1))));
        let mut dictionary = Self {
            terms: Texts {
                bytes: Vec::with_capacity(masks.texts.bytes.len()),
                ends: Vec::with_capacity(order.len()),
            },
            masks: Vec::with_capacity(order.len()),
        };
        for (_, index) in order {
            dictionary.terms.push(text(index));
            dictionary.masks.push(masks.masks[index as usize]);
        }
        dictionary
    }

    pub(crate) fn len(&self) -> usize {
        self.masks.len()
    }

    pub(crate) fn term(&self, index: usize) -> &str {
        std::str::from_utf8(self.terms.get(index)).expect("terms were cut from strings")
    }

    /// A term's bytes, without checking that they are text.
    pub(super) fn term_bytes(&self, index: usize) -> &[u8] {
        self.terms.get(index)
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
        self.terms.bytes.len() + 8 * self.masks.len()
    }
}

/// The first eight bytes as a number that sorts as they do; shorter texts are filled up with zeros.
fn first_bytes(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = text.len().min(8);
    first[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(first)
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

    pub(super) fn from_masks(blocks: usize, words: &Masks, pairs: &Masks) -> Self {
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
    words: Masks,
    pairs: Masks,
    unrepeated: HashSet<String>,
    /// For putting pairs together.
    pair: String,
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
            | crate::columns::names::SEVERITY_IN_TEXT
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
                self.words.add(words::indexed(&word), block_bit(row));
            }
        }
    }

    /// Adds a column's values; whether they repeat often enough to be indexed.
    fn add_values(&mut self, column: &str, values: &ArrayRef) -> bool {
        match values.data_type() {
            DataType::Utf8 => {
                let mut too_long = 0;
                let texts = values.as_string::<i32>().iter().enumerate();
                let texts = texts.filter_map(|(row, text)| Some((row, text?)));
                let short = texts.filter(|(row, text)| {
                    let is_short = text.len() <= MAX_VALUE_BYTES;
                    if !is_short {
                        too_long |= block_bit(*row);
                    }
                    is_short
                });
                let masks = masks_of(short, values);
                if masks.is_some() {
                    self.mark(column, too_long);
                }
                self.add_pairs(column, values, masks, Cow::Borrowed)
            }
            DataType::Int32 => {
                let numbers = values.as_primitive::<Int32Type>().iter();
                self.add_numbers(column, values, numbers, |number| number.to_string())
            }
            DataType::Int64 => {
                let numbers = values.as_primitive::<Int64Type>().iter();
                self.add_numbers(column, values, numbers, |number| number.to_string())
            }
            DataType::Boolean => {
                self.add_numbers(column, values, values.as_boolean().iter(), |flag| {
                    flag.to_string()
                })
            }
            DataType::Float64 => {
                let numbers = values.as_primitive::<Float64Type>().iter();
                let bits = numbers.map(|number| number.map(f64::to_bits));
                self.add_numbers(column, values, bits, |bits| {
                    let value = model::Value::Double(f64::from_bits(bits));
                    text_of(&value).unwrap_or_default().into_owned()
                })
            }
            other => unreachable!("no indexed column has the type {other}"),
        }
    }

    fn add_numbers<K: Copy + Eq + Hash>(
        &mut self,
        column: &str,
        values: &ArrayRef,
        numbers: impl Iterator<Item = Option<K>>,
        text: impl Fn(K) -> String,
    ) -> bool {
        let present = numbers.enumerate();
        let present = present.filter_map(|(row, number)| Some((row, number?)));
        let masks = masks_of(present, values);
        self.add_pairs(column, values, masks, |number| Cow::Owned(text(number)))
    }

    /// Adds the pairs of a column, or its marker when it has too many values to be indexed; whether
    /// it is.
    fn add_pairs<'t, K>(
        &mut self,
        column: &str,
        values: &ArrayRef,
        masks: Option<HashMap<K, u32, RandomState>>,
        text: impl Fn(K) -> Cow<'t, str>,
    ) -> bool {
        let Some(masks) = masks else {
            self.mark(column, blocks_with_values(values));
            return false;
        };
        self.pair.clear();
        self.pair.push_str(column);
        self.pair.push(SEPARATOR);
        let value_starts = self.pair.len();
        for (value, mask) in masks {
            self.pair.truncate(value_starts);
            self.pair.push_str(&text(value));
            self.pairs.add(&self.pair, mask);
        }
        true
    }

    fn mark(&mut self, column: &str, mask: u32) {
        if mask != 0 {
            self.pairs.add(&marker(column), mask);
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
                self.mark(&format!("{}{key}", family.prefix()), block_bit(row));
            }
        }
    }

    /// The terms of a row group with this many blocks.
    pub fn finish(self, blocks: usize) -> BlockTerms {
        debug_assert!(blocks <= MAX_BLOCKS, "a mask has a bit for each block");
        BlockTerms::from_masks(blocks, &self.words, &self.pairs)
    }
}

fn promotion_of(name: &str, data_type: &DataType) -> Option<Promotion> {
    Promotion::from_field(&Field::new(name, data_type.clone(), true))
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

/// The bit of the block that a row lies in.
fn block_bit(row: usize) -> u32 {
    1 << (row / BLOCK_ROWS)
}

/// The blocks in which a column has a value.
fn blocks_with_values(values: &ArrayRef) -> u32 {
    let mut mask = 0;
    for start in (0..values.len()).step_by(BLOCK_ROWS) {
        let block = values.slice(start, BLOCK_ROWS.min(values.len() - start));
        if block.null_count() < block.len() {
            mask |= block_bit(start);
        }
    }
    mask
}

/// The distinct values of a column, given with their rows, each with the blocks that hold it;
/// `None` as soon as they are too many to be indexed.
fn masks_of<K: Copy + Eq + Hash>(
    rows: impl Iterator<Item = (usize, K)>,
    column: &ArrayRef,
) -> Option<HashMap<K, u32, RandomState>> {
    let at_most = FEW_VALUES.max((column.len() - column.null_count()) / MIN_REPEATS);
    let mut masks = HashMap::with_hasher(RandomState::default());
    let mut last: Option<(u32, K)> = None;
    for (row, value) in rows {
        let block = block_bit(row);
        // Rows are sorted by stream, so a value often equals the one before.
        if last.replace((block, value)) == Some((block, value)) {
            continue;
        }
        *masks.entry(value).or_insert(0) |= block;
        if masks.len() > at_most {
            return None;
        }
    }
    Some(masks)
}
