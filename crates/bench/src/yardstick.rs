//! The yardstick Z: the CPU time of `zstd -1` over the same uncompressed bytes in the same run.
//!
//! It costs what no store can do without, reading every byte once, and slows down with the machine
//! as the server does; so a ratio to it means the same on another machine and another day.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::time::{ClockId, clock_gettime};

use crate::corpus::read_request;

/// Z of a corpus.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Yardstick {
    /// CPU time of compressing all of it.
    pub(crate) cpu: Duration,
    /// What was compressed, bytes.
    pub(crate) raw_bytes: u64,
    /// What came out, bytes.
    pub(crate) compressed_bytes: u64,
}

/// Compresses every request body of a corpus file as one stream.
///
/// # Errors
///
/// The file cannot be read or is no corpus.
pub(crate) fn measure(corpus: &Path) -> anyhow::Result<Yardstick> {
    let mut file =
        BufReader::with_capacity(1 << 20, File::open(corpus).context("open the corpus")?);
    let mut bodies = Vec::new();
    let mut result = Yardstick {
        cpu: Duration::ZERO,
        raw_bytes: 0,
        compressed_bytes: 0,
    };
    loop {
        bodies.clear();
        // Reading is not part of the yardstick, so it goes on between two measured stretches.
        while bodies.len() < 64 << 20 && read_request(&mut file, &mut bodies)?.is_some() {}
        if bodies.is_empty() {
            return Ok(result);
        }
        let before = thread_cpu()?;
        let compressed = zstd::bulk::compress(&bodies, 1).context("compress the corpus")?;
        result.cpu += thread_cpu()?.saturating_sub(before);
        result.raw_bytes += bodies.len() as u64;
        result.compressed_bytes += compressed.len() as u64;
    }
}

fn thread_cpu() -> anyhow::Result<Duration> {
    let time =
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the thread's clock")?;
    Ok(Duration::from(time))
}
