//! The ingest log in local files: a chain of segments, written by one thread.
//!
//! Opening never changes what is there: the first append makes a new segment, whose header says
//! how much of the one before counts.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::record::Prepared;
use super::segment::{self, Segment};
use super::writer::{Append, Writer};
use super::{Entry, Extent, IngestLog, LogError};
use crate::config::LogConfig;
use crate::disk::{Disk, SyncPoint, create_directories};

/// Requests that may wait for the writer; their bytes are bounded by who sends them.
const QUEUE: usize = 1024;

/// The log in segment files of one directory.
#[derive(Debug)]
pub struct SegmentLog {
    shared: Arc<Shared>,
    appends: Mutex<Option<mpsc::Sender<Append>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and the readers of a log have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) config: LogConfig,
    chain: Mutex<Chain>,
}

/// The segments that count, oldest first. Only durable bytes are in it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) segments: VecDeque<Segment>,
    /// The last durable position.
    pub(super) last: u64,
    /// The number of the next segment to be made.
    pub(super) next_number: u64,
    /// Whether the writer is at work on the newest segment, which then may not be removed.
    pub(super) is_writing: bool,
}

impl Chain {
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Takes the oldest segment off the chain, when it holds nothing after `through`.
    fn next_to_remove(&mut self, through: u64) -> Option<PathBuf> {
        let oldest = self.segments.front()?;
        let is_needed = oldest.last > through;
        let is_empty = oldest.last < oldest.first;
        let is_busy = self.segments.len() == 1 && (self.is_writing || is_empty);
        if is_needed || is_busy {
            return None;
        }
        self.segments.pop_front().map(|segment| segment.path)
    }

    fn cut(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.last, |oldest| oldest.first - 1)
    }
}

impl Shared {
    pub(super) fn chain(&self) -> MutexGuard<'_, Chain> {
        // Every critical section leaves the chain whole.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentLog {
    /// Opens the log in `directory`, which is made when absent, and starts its writer.
    ///
    /// Positions continue after the last durable record and after `continue_after`, the last
    /// position that is known to have been used. Blocks.
    ///
    /// # Errors
    ///
    /// The directory cannot be read or synced, a segment is damaged or of a later format. A torn
    /// tail of the last segment is no error.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        config: LogConfig,
        continue_after: u64,
    ) -> Result<Self, LogError> {
        create_directories(disk.as_ref(), directory)
            .map_err(|err| segment::io_error("create directory", directory, &err))?;
        let segments = segment::find(disk.as_ref(), directory)?;
        if let Some(last) = segments.last() {
            // What the last process wrote but never synced is read from now on, and the next
            // segment's header counts on it.
            disk.sync_file(&last.path, SyncPoint::LogTail)
                .map_err(|err| segment::io_error("sync", &last.path, &err))?;
        }
        let entries = disk
            .list(directory)
            .map_err(|err| segment::io_error("list", directory, &err))?;
        let numbers = entries
            .iter()
            .filter_map(|entry| segment::number_of(&entry.path));
        let chain = Chain {
            last: segments
                .last()
                .map_or(0, |last| last.last)
                .max(continue_after),
            next_number: numbers.max().unwrap_or(0) + 1,
            segments: segments.into(),
            is_writing: false,
        };
        let shared = Arc::new(Shared {
            disk,
            directory: directory.to_owned(),
            config,
            chain: Mutex::new(chain),
        });
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer::new(Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("ingest-log".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|err| segment::io_error("start the writer of", directory, &err))?;
        Ok(Self {
            shared,
            appends: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(thread)),
        })
    }

    fn stop(&self) -> Option<JoinHandle<()>> {
        let take = |sender: &Mutex<Option<mpsc::Sender<Append>>>| {
            sender.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        drop(take(&self.appends));
        self.writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        if let Some(writer) = self.stop()
            && writer.join().is_err()
        {
            tracing::error!("the ingest log's writer panicked");
        }
    }
}

#[async_trait]
impl IngestLog for SegmentLog {
    async fn append(&self, entry: Entry) -> Result<u64, LogError> {
        let record = Prepared::new(entry)?;
        let sender = self
            .appends
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(LogError::Closed)?;
        let (reply, answer) = oneshot::channel();
        sender
            .send(Append { record, reply })
            .await
            .map_err(|_| LogError::Closed)?;
        // Held, the sender would keep a closing writer waiting for more.
        drop(sender);
        answer.await.map_err(|_| LogError::Closed)?
    }

    async fn read(&self, after: u64, max_bytes: usize) -> Result<Vec<(u64, Entry)>, LogError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || read(&shared, after, max_bytes))
            .await
            .map_err(|err| LogError::Unavailable(err.to_string()))?
    }

    async fn cut(&self, through: u64) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || cut(&shared, through))
            .await
            .map_err(|err| LogError::Unavailable(err.to_string()))?
    }

    fn extent(&self) -> Extent {
        let chain = self.shared.chain();
        Extent {
            cut: chain.cut(),
            last: chain.last,
            bytes: chain.bytes(),
        }
    }

    async fn close(&self) {
        if let Some(writer) = self.stop() {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the ingest log's writer panicked");
            }
        }
    }
}

fn read(shared: &Shared, after: u64, max_bytes: usize) -> Result<Vec<(u64, Entry)>, LogError> {
    let segments: Vec<Segment> = {
        let chain = shared.chain();
        if after < chain.cut() {
            return Err(LogError::Gone {
                after,
                cut: chain.cut(),
            });
        }
        let wanted = |segment: &&Segment| segment.last > after;
        chain.segments.iter().filter(wanted).cloned().collect()
    };
    let mut found = Vec::new();
    let mut bytes = 0;
    for segment in &segments {
        let mut skip = segment.walk(shared.disk.as_ref())?;
        loop {
            let before = skip.offset;
            match skip.next(false)? {
                Some((position, _)) if position <= after => {}
                Some(_) => {
                    skip.rewind(before);
                    break;
                }
                None => break,
            }
        }
        while let Some((position, entry)) = skip.next(true)? {
            let Some(entry) = entry else { continue };
            bytes += entry.body.len();
            found.push((position, entry));
            if bytes >= max_bytes {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// Removes whole segments, oldest first; the newest too, when nothing is being written to it.
fn cut(shared: &Shared, through: u64) -> Result<(), LogError> {
    loop {
        // Not in the loop's head, where the chain would stay locked while the file is removed.
        let next = shared.chain().next_to_remove(through);
        let Some(path) = next else { break };
        match shared.disk.remove(&path) {
            Ok(()) => {}
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {}
            // It does not count any more and is removed by a later cut.
            Err(err) => return Err(segment::io_error("remove", &path, &err)),
        }
    }
    remove_leftovers(shared)
}

/// Removes files older than the oldest segment: a crash may bring back what was cut, and failed
/// attempts to make a segment leave files behind.
fn remove_leftovers(shared: &Shared) -> Result<(), LogError> {
    let oldest = {
        let chain = shared.chain();
        let oldest = chain.segments.front();
        // A segment that is being made is not in the chain yet.
        oldest.map_or(chain.next_number - 1, |oldest| oldest.number)
    };
    let entries = shared
        .disk
        .list(&shared.directory)
        .map_err(|err| segment::io_error("list", &shared.directory, &err))?;
    for entry in entries {
        if segment::number_of(&entry.path).is_some_and(|number| number < oldest) {
            shared
                .disk
                .remove(&entry.path)
                .map_err(|err| segment::io_error("remove", &entry.path, &err))?;
        }
    }
    Ok(())
}
