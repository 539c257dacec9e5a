//! What a process has used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// The clock tick of `/proc/<pid>/stat`; fixed at 100 a second in the ABI of x86-64 and arm64.
const TICKS_A_SECOND: u64 = 100;

/// A process that is watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// CPU time of all its threads so far, user and system.
    ///
    /// # Errors
    ///
    /// The process is gone.
    pub(crate) fn cpu(self) -> anyhow::Result<Duration> {
        let stat = self.read("stat")?;
        // The second field is the program's name in parentheses, which may hold spaces.
        let after_name = stat.rsplit_once(')').context("read /proc stat")?.1;
        let field = |index: usize| -> anyhow::Result<u64> {
            let field = after_name.split_whitespace().nth(index);
            field
                .context("read /proc stat")?
                .parse()
                .context("read /proc stat")
        };
        // utime and stime are the 14th and 15th fields of the line.
        let ticks = field(11)? + field(12)?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_A_SECOND))
    }

    /// The most memory it had resident, bytes: ever, or since [`Self::forget_peak`].
    ///
    /// # Errors
    ///
    /// The process is gone.
    pub(crate) fn peak_resident(self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next());
        let kib: u64 = kib
            .context("read /proc status")?
            .parse()
            .context("read /proc status")?;
        Ok(kib * 1_024)
    }

    /// From now on [`Self::peak_resident`] knows nothing of what was before.
    ///
    /// # Errors
    ///
    /// The process is gone.
    pub(crate) fn forget_peak(self) -> anyhow::Result<()> {
        let path = format!("/proc/{}/clear_refs", self.0);
        fs::write(&path, "5").with_context(|| format!("write {path}"))
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).with_context(|| format!("read {path}"))
    }
}
