//! The tantivy index of a split: one segment, one document for each block.

use bytes::Bytes;
use tantivy::directory::Directory;
use tantivy::directory::RamDirectory;
use tantivy::index::SegmentReader;
use tantivy::schema::{Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{DocSet, Index, InvertedIndexReader, TERMINATED, TantivyDocument};

use std::collections::HashMap;
use std::sync::Arc;

use super::container::{Container, pack};
use super::terms::BlockTerms;
use super::{BlockSet, IndexField};

/// Memory that tantivy's writer sizes its first hash table by, bytes.
const WRITER_MEMORY: usize = 32 << 20;

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

/// Makes the index of the row groups' blocks, numbered through in their order.
///
/// # Errors
///
/// tantivy failed; in memory it has no reason to.
pub fn build(row_groups: &[&BlockTerms]) -> Result<Vec<u8>, IndexError> {
    let directory = RamDirectory::create();
    let mut writer = Index::builder()
        .schema(schema())
        .single_segment_index_writer::<TantivyDocument>(directory.clone(), WRITER_MEMORY)
        .map_err(IndexError::from_display)?;
    for terms in row_groups {
        for block in 0..terms.blocks {
            let mut document = TantivyDocument::new();
            for kind in IndexField::ALL {
                let dictionary = terms.dictionary(kind);
                for index in 0..dictionary.len() {
                    if dictionary.mask(index) & (1 << block) != 0 {
                        document.add_text(field(kind), dictionary.term(index));
                    }
                }
            }
            writer
                .add_document(document)
                .map_err(IndexError::from_display)?;
        }
    }
    let index = writer.finalize().map_err(IndexError::from_display)?;
    let mut paths: Vec<std::path::PathBuf> =
        index.directory().list_managed_files().into_iter().collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        // Lock files are listed but gone.
        if let Ok(content) = directory.atomic_read(&path) {
            files.push((path.display().to_string(), content));
        }
    }
    pack(&files).map_err(IndexError::from_display)
}

/// A split's index, open for look-ups.
pub struct BlockIndex {
    blocks: usize,
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
        let segments = index
            .searchable_segments()
            .map_err(IndexError::from_display)?;
        let [segment] = segments.as_slice() else {
            return Err(IndexError(format!(
                "expected one segment, found {}",
                segments.len()
            )));
        };
        let reader = SegmentReader::open(segment).map_err(IndexError::from_display)?;
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
        Ok(Self { blocks, fields })
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

    /// The terms of the blocks `range`, as the row group that they belong to holds them.
    ///
    /// # Errors
    ///
    /// The index is damaged.
    pub fn terms_of(&self, range: std::ops::Range<usize>) -> Result<BlockTerms, IndexError> {
        let mut masks: [HashMap<String, u32>; 2] = Default::default();
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
                    masks.insert(term.to_owned(), mask);
                }
            }
        }
        let [words, pairs] = masks;
        Ok(BlockTerms::from_masks(range.len(), words, pairs))
    }
}
