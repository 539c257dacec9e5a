//! Logs and spans as a head keeps them: how its row groups and its split are made.

use std::io::Write;
use std::sync::Arc;

use model::Signal;

use super::format::signal_of;
use super::row_group::RowGroup;
use super::write::write;
use crate::columns;
use crate::error::StoreError;
use crate::head::SplitSummary;
use crate::head::rows::{Chunk, EncodedGroup, Row};

impl<R: columns::Row> Row for R {
    const SIGNAL: Signal = signal_of(R::TABLE);

    type Group = RowGroup;

    fn size_bytes(&self) -> usize {
        columns::Row::size_bytes(self)
    }

    fn encode(chunks: &[Chunk<Self>]) -> Result<RowGroup, StoreError> {
        RowGroup::build::<R>(chunks.iter().flat_map(|chunk| chunk.iter()))
    }

    fn write_split(
        groups: &[Arc<RowGroup>],
        out: &mut (dyn Write + Send),
    ) -> Result<SplitSummary, StoreError> {
        let split = write(groups)?;
        out.write_all(&split.bytes)
            .map_err(|source| StoreError::Io {
                action: "write",
                path: "a split".into(),
                source,
            })?;
        Ok(split.summary)
    }
}

impl EncodedGroup for RowGroup {
    fn size_bytes(&self) -> usize {
        RowGroup::size_bytes(self)
    }

    fn rows(&self) -> u64 {
        RowGroup::rows(self) as u64
    }
}
