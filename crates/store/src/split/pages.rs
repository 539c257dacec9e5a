//! The pages of a row group's columns on their way to the Parquet decoder: fetched and checked at
//! once, decompressed one by one.
//!
//! The Parquet crate makes contexts of zstd's for every column of every row group it opens. Each asks
//! the processor what it can do, which a virtual machine answers slowly: a third of the time of a
//! query that reads a few blocks. So its page reader is told that pages are not compressed, and they
//! are decompressed here, with one context a thread.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowGroups, RowSelection};
use parquet::basic::Compression;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::parquet_file::ParquetFile;

/// How many ranges of an object are asked for at a time.
const FETCHES: usize = 16;

/// The pages of some columns of one row group, in memory.
pub(super) struct FetchedPages {
    metadata: Arc<ParquetMetaData>,
    group: usize,
    /// By leaf; `None` for a column that is not read.
    columns: Vec<Option<Arc<ColumnPages>>>,
}

impl FetchedPages {
    /// Fetches and checks the pages of row group `group`, of the columns in `mask`, that hold rows of
    /// `selection`, or all pages without one.
    pub(super) async fn fetch(
        file: &ParquetFile,
        group: usize,
        mask: &ProjectionMask,
        selection: Option<&RowSelection>,
    ) -> Result<Self> {
        let metadata = Arc::clone(file.parquet());
        let mut columns = Vec::with_capacity(metadata.row_group(group).num_columns());
        for (leaf, column) in metadata.row_group(group).columns().iter().enumerate() {
            if !mask.leaf_included(leaf) {
                columns.push(None);
                continue;
            }
            let (start, length) = column.byte_range();
            let ranges: Vec<Range<u64>> = match selection {
                None => std::iter::once(start..start + length).collect(),
                Some(selection) => {
                    let pages = locations(&metadata, group, leaf)?;
                    // What lies before the first page of values is the dictionary.
                    let first = pages.first().map_or(start, |page| page.offset as u64);
                    let dictionary = (first > start).then_some(start..first);
                    let selected = selection.scan_ranges(pages);
                    dictionary.into_iter().chain(selected).collect()
                }
            };
            let parts = stream::iter(ranges).map(|range| async move {
                let offset = range.start;
                Ok::<_, ParquetError>((offset, file.checked(range).await?))
            });
            let parts = parts.buffered(FETCHES).try_collect().await?;
            columns.push(Some(Arc::new(ColumnPages { length, parts })));
        }
        Ok(Self {
            metadata,
            group,
            columns,
        })
    }
}

impl RowGroups for FetchedPages {
    fn num_rows(&self) -> usize {
        self.metadata.row_group(self.group).num_rows().max(0) as usize
    }

    fn column_chunks(&self, leaf: usize) -> Result<Box<dyn PageIterator>> {
        let pages = self.columns.get(leaf).and_then(Option::as_ref);
        let pages = pages.ok_or_else(|| general(format!("column {leaf} was not fetched")))?;
        let column = self.metadata.row_group(self.group).column(leaf);
        let described = column.clone().into_builder();
        let reader = SerializedPageReader::new(
            Arc::clone(pages),
            &described
                .set_compression(Compression::UNCOMPRESSED)
                .build()?,
            self.num_rows(),
            Some(locations(&self.metadata, self.group, leaf)?.to_vec()),
        )?;
        let pages: Box<dyn PageReader> = match column.compression() {
            Compression::UNCOMPRESSED => Box::new(reader),
            Compression::ZSTD(_) => Box::new(Decompressed(reader)),
            other => return Err(general(format!("pages compressed by {other}"))),
        };
        Ok(Box::new(OneColumn(Some(pages))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// Where the pages of values of a column lie.
fn locations(metadata: &ParquetMetaData, group: usize, leaf: usize) -> Result<&[PageLocation]> {
    let pages = metadata
        .offset_index()
        .and_then(|of| of.get(group)?.get(leaf));
    let pages = pages.ok_or_else(|| general(format!("column {leaf} has no page index")))?;
    Ok(pages.page_locations())
}

/// The fetched pages of one column.
struct ColumnPages {
    /// Bytes of the whole column, fetched or not.
    length: u64,
    /// Whole pages that follow each other, by the offset of the first.
    parts: Vec<(u64, Bytes)>,
}

impl ColumnPages {
    fn from(&self, start: u64) -> Result<Bytes> {
        let after = self.parts.partition_point(|(offset, _)| *offset <= start);
        let part = self.parts[..after].last();
        part.and_then(|(offset, bytes)| {
            let skipped = usize::try_from(start - offset).ok()?;
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        })
        .ok_or_else(|| general(format!("the page at {start} was not fetched")))
    }
}

impl Length for ColumnPages {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for ColumnPages {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let mut bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(general(format!(
                "the page at {start} is longer than fetched"
            )));
        }
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// The pages of the only row group.
struct OneColumn(Option<Box<dyn PageReader>>);

impl Iterator for OneColumn {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneColumn {}

/// Pages that the reader inside hands out as they are stored.
struct Decompressed<R>(R);

impl<R: PageReader> PageReader for Decompressed<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.0.get_next_page()?.map(decompressed).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.0.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.0.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.0.at_record_boundary()
    }
}

impl<R: PageReader> Iterator for Decompressed<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn decompressed(mut page: Page) -> Result<Page> {
    match &mut page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => *buf = decompress(buf)?,
        // Their levels would lie before the compressed values.
        Page::DataPageV2 { .. } => return Err(general("a page of version 2".to_owned())),
    }
    Ok(page)
}

fn decompress(frame: &[u8]) -> Result<Bytes> {
    thread_local! {
        static CONTEXT: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let size = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten();
    // Parquet counts a page's bytes with 31 bits.
    let size = size
        .and_then(|size| i32::try_from(size).ok())
        .map(|size| size as usize);
    let size = size.ok_or_else(|| general("a page without a possible size".to_owned()))?;
    let decompressed = CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            None => context.insert(zstd::bulk::Decompressor::new()?),
        };
        context.decompress(frame, size)
    });
    let decompressed = decompressed.map_err(|err| ParquetError::External(Box::new(err)))?;
    Ok(Bytes::from(decompressed))
}

fn general(message: String) -> ParquetError {
    ParquetError::General(message)
}
