//! The tantivy index of a split: one segment, one document for each block.

use bytes::Bytes;
use tantivy::directory::{Directory, OwnedBytes, RamDirectory};
use tantivy::fastfield::{AliveBitSet, write_alive_bitset};
use tantivy::index::{Segment, SegmentComponent, SegmentReader};
use tantivy::indexer::merge_filtered_segments;
use tantivy::postings::{FieldSerializer, InvertedIndexSerializer};
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{
    BitSet, DocSet, Index, IndexSettings, InvertedIndexReader, TERMINATED, TantivyDocument,
};

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::container::{Container, pack};
use super::terms::{BlockTerms, Dictionary, Masks};
use super::walk::WordWalk;
use super::{BlockSet, IndexField};

/// Memory that tantivy's writer sizes its hash table by, bytes; no term ever lies in it.
const WRITER_MEMORY: usize = 1 << 20;

/// Why an index could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block index: {0}")]
pub struct IndexError(pub(crate) String);

impl IndexError {
    fn from_display(err: impl std::fmt::Display) -> Self {
        Self(err.to_string())
    }
}

fn schema() -> Schema {
    let mut builder = Schema::builder();
    for field in IndexField::ALL {
        let indexing = TextFieldIndexing::default()
            // Each value is one term already.
            .set_tokenizer("raw")
            .set_fieldnorms(false)
            .set_index_option(IndexRecordOption::Basic);
        builder.add_text_field(
            field.name(),
            TextOptions::default().set_indexing_options(indexing),
        );
    }
    builder.build()
}

fn field(field: IndexField) -> Field {
    Field::from_field_id(field as u32)
}

/// What a stretch of blocks of an index is made of.
#[derive(Debug, Clone, Copy)]
pub enum IndexPart<'a> {
    /// All blocks of a row group in memory.
    RowGroup(&'a BlockTerms),
    /// Some blocks of another split, in their order.
    Split(&'a BlockIndex, &'a BlockSet),
}

/// An index that is ready to be written into a split.
pub struct BuiltIndex {
    files: Vec<(String, OwnedBytes)>,
}

impl BuiltIndex {
    /// Writes the index as [`BlockIndex::open`] reads it.
    ///
    /// # Errors
    ///
    /// `out` failed.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        pack(&self.files, out)
    }
}

/// Makes the index of the parts' blocks, numbered through in their order. The terms of other
/// splits are merged; no row is looked at.
///
/// # Errors
///
/// No parts, or tantivy failed: it has a reason only when another split's index is damaged.
pub fn build(parts: &[IndexPart<'_>]) -> Result<BuiltIndex, IndexError> {
    let in_memory = |part: &IndexPart<'_>| matches!(part, IndexPart::RowGroup(_));
    let mut segments = Vec::new();
    let mut kept = Vec::new();
    for run in parts.chunk_by(|a, b| in_memory(a) && in_memory(b)) {
        if let [IndexPart::Split(index, blocks)] = run {
            segments.push(only_segment(&index.index)?);
            kept.push(alive(blocks));
            continue;
        }
        let (index, directory) = index_of(run)?;
        if run.len() == parts.len() {
            return files_of(&index, &directory);
        }
        segments.push(only_segment(&index)?);
        kept.push(None);
    }
    let directory = RamDirectory::create();
    let settings = IndexSettings::default();
    let index = merge_filtered_segments(&segments, settings, kept, directory.clone())
        .map_err(IndexError::from_display)?;
    files_of(&index, &directory)
}

/// The index of row groups in memory alone.
///
/// tantivy's writer would look every term of every block up in a table. The terms of each row
/// group are sorted already: merged, they go straight into tantivy's dictionary and postings.
fn index_of(parts: &[IndexPart<'_>]) -> Result<(Index, RamDirectory), IndexError> {
    let row_groups: Vec<&BlockTerms> = parts
        .iter()
        .filter_map(|part| match part {
            IndexPart::RowGroup(terms) => Some(*terms),
            IndexPart::Split(..) => None,
        })
        .collect();
    let directory = RamDirectory::create();
    let blocks = row_groups.iter().map(|terms| terms.blocks).sum();
    let index = without_terms(&directory, blocks).map_err(IndexError::from_display)?;
    write_terms(&index, &directory, &row_groups)?;
    Ok((index, directory))
}

/// An index of `blocks` documents that have no terms.
fn without_terms(directory: &RamDirectory, blocks: usize) -> tantivy::Result<Index> {
    let mut writer = Index::builder()
        .schema(schema())
        .single_segment_index_writer(directory.clone(), WRITER_MEMORY)?;
    for _ in 0..blocks {
        writer.add_document(TantivyDocument::new())?;
    }
    writer.finalize()
}

/// Puts the row groups' terms in the place of the empty dictionaries of an index.
fn write_terms(
    index: &Index,
    directory: &RamDirectory,
    row_groups: &[&BlockTerms],
) -> Result<(), IndexError> {
    let segment = only_segment(index)?;
    for component in [
        SegmentComponent::Terms,
        SegmentComponent::Postings,
        SegmentComponent::Positions,
    ] {
        directory
            .delete(&segment.relative_path(component))
            .map_err(IndexError::from_display)?;
    }
    write_fields(&segment, row_groups).map_err(IndexError::from_display)
}

fn write_fields(segment: &Segment, row_groups: &[&BlockTerms]) -> tantivy::Result<()> {
    let mut serializer = InvertedIndexSerializer::open(segment)?;
    for kind in IndexField::ALL {
        // The number of tokens would only weigh in scores, which nobody asks for.
        let mut terms = serializer.new_field(field(kind), 0, None)?;
        merge(kind, row_groups, &mut terms)?;
        terms.close()?;
    }
    serializer.close()?;
    Ok(())
}

/// Merges one field's terms of all row groups into one ascending sequence.
fn merge(
    kind: IndexField,
    row_groups: &[&BlockTerms],
    out: &mut FieldSerializer<'_>,
) -> std::io::Result<()> {
    let mut first_block = 0;
    let mut first_blocks = Vec::with_capacity(row_groups.len());
    let mut waiting = BinaryHeap::with_capacity(row_groups.len());
    for (group, terms) in row_groups.iter().enumerate() {
        first_blocks.push(first_block);
        first_block += terms.blocks as u32;
        waiting.extend(Waiting::at(terms.dictionary(kind), group, 0));
    }
    let mut open: Option<&[u8]> = None;
    // Of equal terms the one of the earlier row group comes first, so blocks ascend.
    while let Some(Reverse(next)) = waiting.pop() {
        if open.replace(next.term) != Some(next.term) {
            out.close_term()?;
            out.new_term_without_freq(next.term)?;
        }
        let dictionary = row_groups[next.group].dictionary(kind);
        let mut mask = dictionary.mask(next.index);
        while mask != 0 {
            out.write_doc(first_blocks[next.group] + mask.trailing_zeros(), 0, &[]);
            mask &= mask - 1;
        }
        waiting.extend(Waiting::at(dictionary, next.group, next.index + 1));
    }
    out.close_term()
}

/// The next term of a row group. The fields' order is the order of merging.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting<'a> {
    term: &'a [u8],
    group: usize,
    index: usize,
}

impl<'a> Waiting<'a> {
    fn at(dictionary: &'a Dictionary, group: usize, index: usize) -> Option<Reverse<Self>> {
        let is_there = index < dictionary.len();
        is_there.then(|| {
            Reverse(Self {
                term: dictionary.term_bytes(index),
                group,
                index,
            })
        })
    }
}

fn files_of(index: &Index, directory: &RamDirectory) -> Result<BuiltIndex, IndexError> {
    let mut paths: Vec<std::path::PathBuf> =
        index.directory().list_managed_files().into_iter().collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        // Lock files are listed but gone.
        if let Ok(file) = directory.get_file_handle(&path) {
            let content = file
                .read_bytes(0..file.len())
                .map_err(IndexError::from_display)?;
            files.push((path.display().to_string(), content));
        }
    }
    Ok(BuiltIndex { files })
}

fn only_segment(index: &Index) -> Result<Segment, IndexError> {
    let segments = index
        .searchable_segments()
        .map_err(IndexError::from_display)?;
    match <[Segment; 1]>::try_from(segments) {
        Ok([segment]) => Ok(segment),
        Err(segments) => Err(IndexError(format!(
            "expected one segment, found {}",
            segments.len()
        ))),
    }
}

/// Which documents stay, as tantivy wants it; `None` when all do.
fn alive(blocks: &BlockSet) -> Option<AliveBitSet> {
    if blocks.count() == blocks.len() {
        return None;
    }
    let mut set = BitSet::with_max_value(blocks.len() as u32);
    for block in (0..blocks.len()).filter(|block| blocks.contains(*block)) {
        set.insert(block as u32);
    }
    let mut bytes = Vec::new();
    write_alive_bitset(&set, &mut bytes).expect("memory takes every write");
    Some(AliveBitSet::open(OwnedBytes::new(bytes)))
}

/// A split's index, open for look-ups.
pub struct BlockIndex {
    blocks: usize,
    index: Index,
    fields: HashMap<&'static str, Arc<InvertedIndexReader>>,
}

impl std::fmt::Debug for BlockIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockIndex")
            .field("blocks", &self.blocks)
            .finish_non_exhaustive()
    }
}

impl BlockIndex {
    /// Opens what [`build`] made; `blocks` is how many the split has.
    ///
    /// # Errors
    ///
    /// The bytes are no such index, or one of another number of blocks.
    pub fn open(bytes: Bytes, blocks: usize) -> Result<Self, IndexError> {
        let container =
            Container::open(bytes).ok_or_else(|| IndexError("its file table is damaged".into()))?;
        let index = Index::open(container).map_err(IndexError::from_display)?;
        let segment = only_segment(&index)?;
        let reader = SegmentReader::open(&segment).map_err(IndexError::from_display)?;
        if reader.max_doc() as usize != blocks {
            return Err(IndexError(format!(
                "it covers {} blocks, the split has {blocks}",
                reader.max_doc()
            )));
        }
        let mut fields = HashMap::new();
        for kind in IndexField::ALL {
            let inverted = reader
                .inverted_index(field(kind))
                .map_err(IndexError::from_display)?;
            fields.insert(kind.name(), inverted);
        }
        Ok(Self {
            blocks,
            index,
            fields,
        })
    }

    /// How many blocks the split has.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    fn inverted(&self, kind: IndexField) -> &InvertedIndexReader {
        &self.fields[kind.name()]
    }

    fn add_postings(
        &self,
        kind: IndexField,
        info: &tantivy::postings::TermInfo,
        into: &mut BlockSet,
    ) -> Result<(), IndexError> {
        let mut postings = self
            .inverted(kind)
            .read_postings_from_terminfo(info, IndexRecordOption::Basic)
            .map_err(IndexError::from_display)?;
        while postings.doc() != TERMINATED {
            into.insert(postings.doc() as usize);
            postings.advance();
        }
        Ok(())
    }

    /// Adds the blocks that have `term` to `into`; whether the term is known.
    pub(super) fn add_term(
        &self,
        kind: IndexField,
        term: &str,
        into: &mut BlockSet,
    ) -> Result<bool, IndexError> {
        let info = self
            .inverted(kind)
            .terms()
            .get(term)
            .map_err(IndexError::from_display)?;
        match info {
            Some(info) => self.add_postings(kind, &info, into).map(|()| true),
            None => Ok(false),
        }
    }

    /// Calls `accept` with each term that begins with `prefix`, ascending; adds the blocks of
    /// those it accepts to `into`.
    pub(super) fn add_matching(
        &self,
        kind: IndexField,
        prefix: &str,
        accept: &mut dyn FnMut(&str) -> bool,
        into: &mut BlockSet,
    ) -> Result<(), IndexError> {
        let terms = self.inverted(kind).terms();
        let mut stream = terms
            .range()
            .ge(prefix)
            .into_stream()
            .map_err(IndexError::from_display)?;
        while let Some((term, info)) = stream.next() {
            let term = std::str::from_utf8(term).map_err(IndexError::from_display)?;
            if !term.starts_with(prefix) {
                break;
            }
            if accept(term) {
                let info = info.clone();
                self.add_postings(kind, &info, into)?;
            }
        }
        Ok(())
    }

    /// Adds the blocks of the words that a walk accepts to `into`, until it has them all.
    pub(super) fn add_accepted(
        &self,
        walk: &WordWalk<'_>,
        into: &mut BlockSet,
    ) -> Result<(), IndexError> {
        let words = self.inverted(IndexField::Words).terms();
        let mut stream = words
            .search(walk)
            .without_keys()
            .into_stream()
            .map_err(IndexError::from_display)?;
        while stream.advance() {
            let info = stream.value().clone();
            self.add_postings(IndexField::Words, &info, into)?;
            if into.count() == into.len() {
                break;
            }
        }
        Ok(())
    }

    /// How many terms begin with `prefix`.
    pub(super) fn count_terms(&self, kind: IndexField, prefix: &str) -> Result<usize, IndexError> {
        let terms = self.inverted(kind).terms();
        let place = |from: &[u8]| -> Result<u64, IndexError> {
            let range = terms.range().ge(from);
            let mut stream = range.into_stream().map_err(IndexError::from_display)?;
            Ok(match stream.advance() {
                true => stream.term_ord(),
                false => terms.num_terms() as u64,
            })
        };
        // No text of UTF-8 is behind this one and begins with the prefix.
        let behind = [prefix.as_bytes(), &[0xff]].concat();
        Ok(place(&behind)?.saturating_sub(place(prefix.as_bytes())?) as usize)
    }

    /// Visits the terms that begin with `prefix` and occur in a block of `within`, ascending, until
    /// `visit` breaks.
    pub(super) fn each_term(
        &self,
        kind: IndexField,
        prefix: &str,
        within: &BlockSet,
        visit: &mut dyn FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let is_everything = within.count() == within.len();
        let terms = self.inverted(kind).terms();
        let mut stream = terms
            .range()
            .ge(prefix)
            .into_stream()
            .map_err(IndexError::from_display)?;
        while let Some((term, info)) = stream.next() {
            let term = std::str::from_utf8(term).map_err(IndexError::from_display)?;
            if !term.starts_with(prefix) {
                break;
            }
            if !is_everything {
                let info = info.clone();
                let mut blocks = BlockSet::none(self.blocks);
                self.add_postings(kind, &info, &mut blocks)?;
                blocks.intersect(within);
                if blocks.is_empty() {
                    continue;
                }
            }
            if visit(term).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The terms of the blocks `range`, as the row group that they belong to holds them.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub fn terms_of(&self, range: std::ops::Range<usize>) -> Result<BlockTerms, IndexError> {
        let mut masks: [Masks; 2] = Default::default();
        for (kind, masks) in IndexField::ALL.into_iter().zip(&mut masks) {
            let terms = self.inverted(kind).terms();
            let mut stream = terms.stream().map_err(IndexError::from_display)?;
            while let Some((term, info)) = stream.next() {
                let info = info.clone();
                let mut blocks = BlockSet::none(self.blocks);
                self.add_postings(kind, &info, &mut blocks)?;
                let mask = range
                    .clone()
                    .enumerate()
                    .filter(|(_, block)| blocks.contains(*block))
                    .fold(0_u32, |mask, (bit, _)| mask | 1 << bit);
                if mask != 0 {
                    let term = std::str::from_utf8(term).map_err(IndexError::from_display)?;
                    masks.add(term, mask);
                }
            }
        }
        let [words, pairs] = masks;
        Ok(BlockTerms::from_masks(range.len(), &words, &pairs))
    }
}
