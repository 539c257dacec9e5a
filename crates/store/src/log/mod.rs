//! The ingest log: the durable queue that every request passes before it is acknowledged.
//!
//! Entries get positions 1, 2, 3 … in the order they become durable. What has been sealed and
//! published is cut off at the front. [`segments::SegmentLog`] keeps it in local files, one fsync
//! for all requests that wait; any other implementation passes the same conformance suite.

#[cfg(test)]
mod conformance;
mod record;
mod segment;
pub mod segments;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use model::{Encoding, Signal, TenantId};

pub use segment::{SegmentCheck, verify};
pub use segments::SegmentLog;

/// One request as the log keeps it: all that replay needs to come to the same rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose telemetry it is.
    pub tenant: TenantId,
    /// What it carries.
    pub signal: Signal,
    /// How the body is encoded.
    pub encoding: Encoding,
    /// When it arrived, Unix ns.
    pub received_at: i64,
    /// Ordinals of the items that were refused when it arrived, ascending. Those that the decoder
    /// itself refuses need not be among them.
    pub rejected: Vec<u32>,
    /// The body as sent, uncompressed.
    pub body: Bytes,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("tenant", &self.tenant)
            .field("signal", &self.signal)
            .field("encoding", &self.encoding)
            .field("received_at", &self.received_at)
            .field("rejected", &self.rejected.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// What the log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Everything up to here was cut off; the first entry held has the next position.
    pub cut: u64,
    /// The last durable position; `cut` when the log is empty.
    pub last: u64,
    /// Space taken, bytes.
    pub bytes: u64,
}

/// Why the log did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The log has reached its bound; it shrinks when heads are sealed.
    #[error("the ingest log holds {bytes} of at most {limit} bytes")]
    Full {
        /// Bytes held.
        bytes: u64,
        /// The bound.
        limit: u64,
    },
    /// The entry alone is larger than a record may be.
    #[error("a request of {bytes} bytes is larger than the ingest log takes ({limit} bytes)")]
    TooLarge {
        /// The entry's size.
        bytes: u64,
        /// The largest possible.
        limit: u64,
    },
    /// Writing failed: nothing of the entry counts, whatever reached the disk. The next append
    /// tries anew.
    #[error("the ingest log cannot be written: {0}")]
    Unavailable(String),
    /// A file operation failed while opening, reading or cutting.
    #[error("{action} {}: {message}", path.display())]
    Io {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        message: String,
    },
    /// Bytes that were durable are not what was written.
    #[error("{} is damaged at byte {offset}: {message}", path.display())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is wrong there.
        message: String,
    },
    /// A segment has a newer format.
    #[error("{} has format version {found}, this binary reads up to {supported}; run the release that wrote it or a later one", path.display())]
    NewerFormat {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that this binary knows.
        supported: u32,
    },
    /// Entries that were not cut off are gone.
    #[error(
        "the ingest log begins after position {cut}, but was asked for the entry after {after}"
    )]
    Gone {
        /// Where the reader stood.
        after: u64,
        /// Where the log begins.
        cut: u64,
    },
    /// The log is closed.
    #[error("the ingest log is closed")]
    Closed,
}

/// A durable queue of entries. See the module's description for positions.
#[async_trait]
pub trait IngestLog: fmt::Debug + Send + Sync + 'static {
    /// Appends an entry; durable, with this position, when it returns `Ok`. After an error the
    /// position goes to another entry, so positions have no gaps.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`], [`LogError::TooLarge`], [`LogError::Unavailable`],
    /// [`LogError::Closed`].
    async fn append(&self, entry: Entry) -> Result<u64, LogError>;

    /// Durable entries after a position, ascending: at least one when there is any, then more
    /// until their bodies together pass `max_bytes`.
    ///
    /// # Errors
    ///
    /// [`LogError::Gone`] when the next entry was cut off, [`LogError::Damaged`].
    async fn read(&self, after: u64, max_bytes: usize) -> Result<Vec<(u64, Entry)>, LogError>;

    /// Gives up entries up to and including a position. Some of them may stay for a while.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`]; what could not be removed is removed by a later cut.
    async fn cut(&self, through: u64) -> Result<(), LogError>;

    /// What the log holds now.
    fn extent(&self) -> Extent;

    /// Finishes what was being appended and stops. Later appends answer [`LogError::Closed`].
    async fn close(&self);
}
