//! Where a split's bytes go as they are made: straight on, until the tail begins. The tail is kept
//! back, since the checksum inside it covers what comes after it.

use std::io::{self, Write};

use super::format;

/// A writer for one split.
pub(super) struct Output<W> {
    inner: W,
    /// Everything from the tail's first byte on.
    tail: Option<Vec<u8>>,
}

impl<W: Write> Output<W> {
    pub(super) fn new(inner: W) -> Self {
        Self { inner, tail: None }
    }

    /// The tail begins with the next byte.
    pub(super) fn begin_tail(&mut self) {
        self.tail = Some(Vec::new());
    }

    /// Puts the checksum into the tail and lets it go.
    ///
    /// # Errors
    ///
    /// The tail has no entry of ours, or the writer below failed.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if let Some(mut tail) = self.tail.take() {
            format::stamp(&mut tail).map_err(io::Error::other)?;
            self.inner.write_all(&tail)?;
        }
        self.inner.flush()
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tail {
            Some(tail) => tail.write(bytes),
            None => self.inner.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
