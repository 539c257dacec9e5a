//! One file of the log: a header, then records of consecutive positions.
//!
//! A segment's header names its predecessor and how many bytes of it count. So a segment whose
//! last write or fsync failed needs no repair: the next one says where it ends, and whatever
//! lies behind is never read. The last segment has no successor: it ends at its first record
//! that does not check out, unless a later record proves that this one had been durable.

use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes};

use super::record::{self, HEAD_BYTES, Head};
use super::{Entry, LogError};
use crate::disk::Disk;

const MAGIC: &[u8; 8] = b"WKLOGSEG";
/// The format that this binary writes, and the newest it reads.
pub(super) const VERSION: u32 = 1;
/// Length of a segment's header; records begin here.
pub(super) const HEADER_BYTES: usize = 48;

/// The beginning of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Its own number; files are named after it, later segments have higher numbers.
    pub(super) number: u64,
    /// The position of its first record.
    pub(super) first: u64,
    /// The predecessor's number; 0 when there is none.
    pub(super) previous: u64,
    /// How many bytes of the predecessor count.
    pub(super) previous_bytes: u64,
}

impl Header {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.put_slice(MAGIC);
        bytes.put_u32_le(VERSION);
        bytes.put_u64_le(self.number);
        bytes.put_u64_le(self.first);
        bytes.put_u64_le(self.previous);
        bytes.put_u64_le(self.previous_bytes);
        let crc32 = crc32fast::hash(&bytes);
        bytes.put_u32_le(crc32);
        bytes
    }

    /// `Ok(None)` when these bytes are no header.
    fn read(path: &Path, bytes: &[u8]) -> Result<Option<Self>, LogError> {
        let Some(bytes) = bytes.get(..HEADER_BYTES) else {
            return Ok(None);
        };
        let (content, mut crc32) = bytes.split_at(HEADER_BYTES - 4);
        if crc32.get_u32_le() != crc32fast::hash(content) || !content.starts_with(MAGIC) {
            return Ok(None);
        }
        let mut fields = &content[MAGIC.len()..];
        let version = fields.get_u32_le();
        if version > VERSION {
            return Err(LogError::NewerFormat {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        Ok(Some(Self {
            number: fields.get_u64_le(),
            first: fields.get_u64_le(),
            previous: fields.get_u64_le(),
            previous_bytes: fields.get_u64_le(),
        }))
    }
}

/// A segment that counts, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) number: u64,
    /// The position of the first record.
    pub(super) first: u64,
    /// The position of the last record; `first - 1` when there is none.
    pub(super) last: u64,
    /// Bytes that count.
    pub(super) bytes: u64,
}

/// The file of segment `number`.
pub(super) fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.log"))
}

/// The segment number in a file's name; `None` for other files.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".log")?.parse().ok()
}

/// Finds the segments that count, oldest first, following each one's word on its predecessor.
///
/// Files that do not count are left alone: unfinished ones, and those that were cut off but not
/// removed.
pub(super) fn find(disk: &dyn Disk, directory: &Path) -> Result<Vec<Segment>, LogError> {
    let entries = disk
        .list(directory)
        .map_err(|err| io_error("list", directory, &err))?;
    let mut numbers: Vec<u64> = entries
        .iter()
        .filter_map(|entry| number_of(&entry.path))
        .collect();
    numbers.sort_unstable();

    let mut segments: Vec<Segment> = Vec::new();
    let mut successor: Option<Header> = None;
    while let Some(number) = numbers.pop() {
        let path = path_of(directory, number);
        if successor.is_some_and(|next| next.previous != number) {
            continue;
        }
        let bytes = read_file(disk, &path)?;
        let header = match Header::read(&path, &bytes)? {
            Some(header) => header,
            // Making it was interrupted: records only follow a header that is durable.
            None if successor.is_none() && !holds_records(&bytes) => continue,
            None => return Err(damaged(&path, 0, "the segment's header cannot be read")),
        };
        let segment = match successor {
            None => last_segment(&path, header, &bytes)?,
            Some(next) => inner_segment(&path, header, &next, bytes.len() as u64)?,
        };
        segments.push(segment);
        successor = Some(header);
    }
    segments.reverse();
    Ok(segments)
}

fn holds_records(bytes: &[u8]) -> bool {
    record::says_durable(bytes, 0)
}

fn inner_segment(
    path: &Path,
    header: Header,
    next: &Header,
    file_bytes: u64,
) -> Result<Segment, LogError> {
    if file_bytes < next.previous_bytes {
        let message = format!(
            "it ends here, but {} bytes were durable",
            next.previous_bytes
        );
        return Err(damaged(path, file_bytes, message));
    }
    Ok(Segment {
        path: path.to_owned(),
        number: header.number,
        first: header.first,
        last: next.first.saturating_sub(1),
        bytes: next.previous_bytes,
    })
}

/// The last segment ends where its records do.
fn last_segment(path: &Path, header: Header, bytes: &Bytes) -> Result<Segment, LogError> {
    let mut segment = Segment {
        path: path.to_owned(),
        number: header.number,
        first: header.first,
        last: header.first.saturating_sub(1),
        bytes: HEADER_BYTES as u64,
    };
    let mut walk = Walk::new(path, bytes.clone(), header.first);
    loop {
        match walk.next(true) {
            Ok(Some((position, _))) => {
                segment.last = position;
                segment.bytes = walk.offset as u64;
            }
            Ok(None) => return Ok(segment),
            Err(error) => {
                let rest = &bytes[walk.offset..];
                if record::says_durable(rest, segment.last + 1) {
                    return Err(error);
                }
                return Ok(segment);
            }
        }
    }
}

/// Reads a segment's records one after the other.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    path: &'a Path,
    bytes: Bytes,
    /// Where the next record begins.
    pub(super) offset: usize,
    expected: u64,
}

impl<'a> Walk<'a> {
    /// Over `bytes`, the part of the file that counts; `first` is its first record's position.
    pub(super) fn new(path: &'a Path, bytes: Bytes, first: u64) -> Self {
        Self {
            path,
            bytes,
            offset: HEADER_BYTES,
            expected: first,
        }
    }

    /// Goes back to a record that begins at `offset`, which `next` has just passed.
    pub(super) fn rewind(&mut self, offset: usize) {
        self.offset = offset;
        self.expected -= 1;
    }

    /// The next record's position, with its entry when `with_entry`; `None` at the end. On an
    /// error `offset` stays at the record that has it.
    pub(super) fn next(
        &mut self,
        with_entry: bool,
    ) -> Result<Option<(u64, Option<Entry>)>, LogError> {
        if self.offset >= self.bytes.len() {
            return Ok(None);
        }
        let rest = self.bytes.slice(self.offset..);
        let wrong = |message: String| damaged(self.path, self.offset as u64, message);
        let head = Head::read(&rest).map_err(wrong)?;
        if head.position != self.expected {
            return Err(wrong(format!(
                "position {} is stored where {} belongs",
                head.position, self.expected
            )));
        }
        if rest.len() < head.record_bytes() {
            return Err(wrong(format!(
                "{} bytes are left of a record of {}",
                rest.len(),
                head.record_bytes()
            )));
        }
        let entry = if with_entry {
            Some(record::read_payload(&head, &rest.slice(HEAD_BYTES..)).map_err(wrong)?)
        } else {
            None
        };
        self.offset += head.record_bytes();
        self.expected += 1;
        Ok(Some((head.position, entry)))
    }
}

impl Segment {
    /// The records that count.
    pub(super) fn walk(&self, disk: &dyn Disk) -> Result<Walk<'_>, LogError> {
        let bytes = read_file(disk, &self.path)?;
        let counting = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        if bytes.len() < counting {
            let message = format!("it ends here, but {} bytes were durable", self.bytes);
            return Err(damaged(&self.path, bytes.len() as u64, message));
        }
        Ok(Walk::new(&self.path, bytes.slice(..counting), self.first))
    }

    /// Reads everything that counts.
    fn check(&self, disk: &dyn Disk) -> Result<u64, LogError> {
        let mut walk = self.walk(disk)?;
        let mut records = 0;
        while walk.next(true)?.is_some() {
            records += 1;
        }
        let expected = self.last + 1 - self.first;
        if records > expected {
            let message = format!("it holds {records} records, the next segment says {expected}");
            return Err(damaged(&self.path, self.bytes, message));
        }
        Ok(records)
    }
}

/// What a check of one segment found.
#[derive(Debug)]
pub struct SegmentCheck {
    /// The file.
    pub path: PathBuf,
    /// How many records are whole, or what is wrong.
    pub result: Result<u64, LogError>,
}

/// Reads every record of every segment that counts.
///
/// # Errors
///
/// The directory cannot be read, or damage keeps the segments from being told apart.
pub fn verify(disk: &dyn Disk, directory: &Path) -> Result<Vec<SegmentCheck>, LogError> {
    let segments = find(disk, directory)?;
    Ok(segments
        .into_iter()
        .map(|segment| SegmentCheck {
            result: segment.check(disk),
            path: segment.path,
        })
        .collect())
}

fn read_file(disk: &dyn Disk, path: &Path) -> Result<Bytes, LogError> {
    disk.read(path).map_err(|err| io_error("read", path, &err))
}

pub(super) fn damaged(path: &Path, offset: u64, message: impl Into<String>) -> LogError {
    LogError::Damaged {
        path: path.to_owned(),
        offset,
        message: message.into(),
    }
}

pub(super) fn io_error(action: &'static str, path: &Path, err: &std::io::Error) -> LogError {
    LogError::Io {
        action,
        path: path.to_owned(),
        message: err.to_string(),
    }
}
