//! The thread that owns the newest segment: it writes whatever waits, syncs once, then answers.
//!
//! After a failed write or fsync nothing is known about the bytes since the last good one. The
//! segment is given up there, every request of the group is refused, and the next group begins a
//! new segment, whose header says how much of the old one counts.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::LogError;
use super::record::Prepared;
use super::segment::{self, HEADER_BYTES, Header, Segment};
use super::segments::Shared;
use crate::disk::{DiskFile, SyncPoint};

/// A group takes no further request past this many bytes.
const GROUP_BYTES: u64 = 8 << 20;
/// Bodies up to this size are copied next to their heads, larger ones are written by themselves.
const COPIED_BYTES: usize = 64 << 10;

/// A record that waits to be written.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) record: Prepared,
    pub(super) reply: oneshot::Sender<Result<u64, LogError>>,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// The file of the newest segment and its number, when it may be written further.
    file: Option<(u64, Box<dyn DiskFile>)>,
    buffer: Vec<u8>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            file: None,
            buffer: Vec::new(),
        }
    }

    /// Writes until every sender is gone.
    pub(super) fn run(mut self, mut appends: mpsc::Receiver<Append>) {
        while let Some(first) = appends.blocking_recv() {
            let mut bytes = first.record.record_bytes();
            let mut group = vec![first];
            while bytes < GROUP_BYTES {
                let Ok(next) = appends.try_recv() else { break };
                bytes += next.record.record_bytes();
                group.push(next);
            }
            self.commit(group);
        }
    }

    fn commit(&mut self, group: Vec<Append>) {
        let group = self.within_limit(group);
        if group.is_empty() {
            return;
        }
        self.shared.chain().is_writing = true;
        let written = self.write(&group);
        if written.is_err() {
            self.give_up_segment();
        }
        self.shared.chain().is_writing = false;
        match written {
            Ok(first) => {
                for (position, append) in (first..).zip(group) {
                    answer(append, Ok(position));
                }
            }
            Err(error) => {
                tracing::warn!(%error, requests = group.len(), "the ingest log cannot be written");
                metrics::counter!("watchkeeper_ingest_log_failures_total").increment(1);
                for append in group {
                    answer(append, Err(LogError::Unavailable(error.clone())));
                }
            }
        }
    }

    /// Refuses what does not fit into the log's bound.
    fn within_limit(&self, group: Vec<Append>) -> Vec<Append> {
        let limit = self.shared.config.max_bytes;
        let mut bytes = self.shared.chain().bytes();
        let mut fitting = Vec::with_capacity(group.len());
        for append in group {
            let after = bytes + append.record.record_bytes();
            if after > limit {
                answer(append, Err(LogError::Full { bytes, limit }));
            } else {
                bytes = after;
                fitting.push(append);
            }
        }
        fitting
    }

    /// Writes and syncs a group; returns its first position.
    fn write(&mut self, group: &[Append]) -> Result<u64, String> {
        let (last, newest) = {
            let chain = self.shared.chain();
            let newest = chain.segments.back().map(|segment| segment.number);
            (chain.last, newest)
        };
        let (number, mut file) = match self.file.take() {
            // Else it was cut off since the last group.
            Some((number, file)) if Some(number) == newest => (number, file),
            _ => self.new_segment().map_err(|err| err.to_string())?,
        };
        self.write_records(file.as_mut(), group, last)
            .map_err(|err| format!("write a segment: {err}"))?;
        let started = Instant::now();
        file.sync(SyncPoint::LogRecords)
            .map_err(|err| format!("sync a segment: {err}"))?;
        metrics::histogram!("watchkeeper_ingest_log_sync_seconds").record(started.elapsed());

        let written: u64 = group.iter().map(|a| a.record.record_bytes()).sum();
        let mut chain = self.shared.chain();
        chain.last = last + group.len() as u64;
        let end = chain.last;
        let segment = chain
            .segments
            .back_mut()
            .expect("the file that was written is the newest segment of the chain");
        segment.last = end;
        segment.bytes += written;
        if segment.bytes < self.shared.config.segment_bytes {
            self.file = Some((number, file));
        }
        Ok(last + 1)
    }

    fn write_records(
        &mut self,
        file: &mut dyn DiskFile,
        group: &[Append],
        last: u64,
    ) -> io::Result<()> {
        self.buffer.clear();
        for (position, append) in (last + 1..).zip(group) {
            append.record.put_front(position, last, &mut self.buffer);
            let body = append.record.body();
            if body.len() <= COPIED_BYTES {
                self.buffer.extend_from_slice(body);
                continue;
            }
            file.write_all(&self.buffer)?;
            self.buffer.clear();
            file.write_all(body)?;
        }
        if !self.buffer.is_empty() {
            file.write_all(&self.buffer)?;
        }
        Ok(())
    }

    /// Makes the next segment and adds it to the chain. Its header is durable before any record
    /// follows, so a file whose header cannot be read never holds an acknowledged record.
    fn new_segment(&mut self) -> Result<(u64, Box<dyn DiskFile>), LogError> {
        let header = {
            let mut chain = self.shared.chain();
            let number = chain.next_number;
            chain.next_number += 1;
            let previous = chain.segments.back();
            Header {
                number,
                first: chain.last + 1,
                previous: previous.map_or(0, |segment| segment.number),
                previous_bytes: previous.map_or(0, |segment| segment.bytes),
            }
        };
        let path = segment::path_of(&self.shared.directory, header.number);
        let disk = self.shared.disk.as_ref();
        let make = || -> io::Result<Box<dyn DiskFile>> {
            let mut file = disk.create(&path)?;
            file.write_all(&header.to_bytes())?;
            file.sync(SyncPoint::LogHeader)?;
            disk.sync_directory(&self.shared.directory, SyncPoint::LogDirectory)?;
            Ok(file)
        };
        let file = make().map_err(|err| {
            self.remove(&path);
            segment::io_error("create", &path, &err)
        })?;
        self.shared.chain().segments.push_back(Segment {
            path,
            number: header.number,
            first: header.first,
            last: header.first - 1,
            bytes: HEADER_BYTES as u64,
        });
        Ok((header.number, file))
    }

    /// After a failure: the next group begins a new segment. One without a durable record is
    /// removed, so that a full disk does not fill up with them.
    fn give_up_segment(&mut self) {
        self.file = None;
        let empty = {
            let mut chain = self.shared.chain();
            chain
                .segments
                .pop_back_if(|segment| segment.last < segment.first)
        };
        if let Some(segment) = empty {
            self.remove(&segment.path);
        }
    }

    fn remove(&self, path: &std::path::Path) {
        match self.shared.disk.remove(path) {
            Ok(()) => {}
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            // It does not count and is removed by a later cut.
            Err(err) => tracing::debug!(path = %path.display(), error = %err, "file stays"),
        }
    }
}

fn answer(append: Append, result: Result<u64, LogError>) {
    // Nobody waits any more when the request was cancelled; the record counts all the same.
    drop(append.reply.send(result));
}
