//! The files of a tantivy index in one run of bytes, and the read-only directory over it.
//!
//! Layout: the files one after the other, then a JSON table of their names, offsets and lengths,
//! then the table's length as a little-endian `u32`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, FileSlice, Lock, OwnedBytes, WatchCallback, WatchHandle,
    WritePtr,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    offset: u64,
    length: u64,
}

/// Writes files as one run of bytes.
pub(super) fn pack(files: &[(String, OwnedBytes)], out: &mut dyn Write) -> io::Result<()> {
    let mut table = Vec::new();
    let mut offset = 0;
    for (name, content) in files {
        let length = content.len() as u64;
        table.push(Entry {
            name: name.clone(),
            offset,
            length,
        });
        offset += length;
        out.write_all(content)?;
    }
    let table = serde_json::to_vec(&table)?;
    out.write_all(&table)?;
    out.write_all(&(table.len() as u32).to_le_bytes())
}

/// A read-only tantivy directory over [`pack`]ed bytes.
#[derive(Clone)]
pub(super) struct Container {
    bytes: Bytes,
    files: Arc<BTreeMap<PathBuf, Range<usize>>>,
}

impl Container {
    /// Reads the table; `None` when the bytes are no container.
    pub(super) fn open(bytes: Bytes) -> Option<Self> {
        let table_end = bytes.len().checked_sub(4)?;
        let length = u32::from_le_bytes(bytes[table_end..].try_into().ok()?) as usize;
        let table_start = table_end.checked_sub(length)?;
        let table: Vec<Entry> = serde_json::from_slice(&bytes[table_start..table_end]).ok()?;
        let mut files = BTreeMap::new();
        for entry in table {
            let start = usize::try_from(entry.offset).ok()?;
            let end = start.checked_add(usize::try_from(entry.length).ok()?)?;
            if end > table_start {
                return None;
            }
            files.insert(PathBuf::from(entry.name), start..end);
        }
        Some(Self {
            bytes,
            files: Arc::new(files),
        })
    }

    fn file(&self, path: &Path) -> Result<Bytes, OpenReadError> {
        let range = self
            .files
            .get(path)
            .ok_or_else(|| OpenReadError::FileDoesNotExist(path.to_owned()))?;
        Ok(self.bytes.slice(range.clone()))
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("files", &self.files)
            .finish()
    }
}

/// Bytes as tantivy reads them, without a copy.
pub(crate) fn file_slice(bytes: Bytes) -> FileSlice {
    FileSlice::from(Stable(bytes))
}

/// One file of the container. Reading shares the container's bytes.
#[derive(Debug)]
struct File(Bytes);

/// What `OwnedBytes` can hold: bytes at a stable address.
struct Stable(Bytes);

impl std::ops::Deref for Stable {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

// SAFETY-relevant promise of the trait: the bytes do not move when the value does. `Bytes` points
// to memory that it shares and never moves.
#[expect(
    unsafe_code,
    reason = "a promise `Bytes` keeps: its content never moves"
)]
unsafe impl stable_deref_trait::StableDeref for Stable {}

impl HasLen for File {
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl FileHandle for File {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        if range.start > range.end || range.end > self.0.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(OwnedBytes::new(Stable(self.0.slice(range))))
    }
}

fn read_only() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "the index of a split is read-only",
    )
}

impl Directory for Container {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        Ok(Arc::new(File(self.file(path)?)))
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError {
            io_error: Arc::new(read_only()),
            filepath: path.to_owned(),
        })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(self.files.contains_key(path))
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::IoError {
            io_error: Arc::new(read_only()),
            filepath: path.to_owned(),
        })
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        Ok(self.file(path)?.to_vec())
    }

    fn atomic_write(&self, _: &Path, _: &[u8]) -> io::Result<()> {
        Err(read_only())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    /// Nobody writes, so there is nothing to lock.
    fn acquire_lock(&self, _: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}
