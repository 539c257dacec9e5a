//! The data directory: one process at a time, and no older release than the last.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Disk, LockAttempt, LockGuard, SyncPoint, create_directories};
use crate::error::StoreError;

/// The layout of the data directory that this binary makes, and the newest it opens.
pub const FORMAT_VERSION: u64 = 1;

/// The file that says which format the directory has.
pub(crate) const FORMAT_FILE: &str = "format";
const LOCK_FILE: &str = "lock";
/// What the format file says before the number.
const FORMAT_PREFIX: &str = "watchkeeper data directory, format ";

/// An open data directory, locked until this is dropped.
pub struct DataDirectory {
    path: PathBuf,
    _lock: LockGuard,
}

impl DataDirectory {
    /// Opens the directory at `path`, or makes it, and takes its lock. Blocks.
    ///
    /// # Errors
    ///
    /// Another process holds the lock, a later release was here, or a file operation failed.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, StoreError> {
        let disk = disk.as_ref();
        create_directories(disk, path).map_err(io_error("create data directory", path))?;
        let lock = lock(disk, path)?;
        let format = path.join(FORMAT_FILE);
        match disk.read(&format) {
            Ok(bytes) => check_format(path, &format, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_format(disk, path).map_err(io_error("write", &format))?;
            }
            Err(error) => return Err(io_error("read", &format)(error)),
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(disk: &dyn Disk, path: &Path) -> Result<LockGuard, StoreError> {
    let file = path.join(LOCK_FILE);
    match disk.lock(&file).map_err(io_error("lock", &file))? {
        LockAttempt::Held(guard) => Ok(guard),
        LockAttempt::Taken(holder) => Err(StoreError::Locked {
            path: path.to_owned(),
            holder,
        }),
    }
}

fn check_format(directory: &Path, file: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let version = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.trim_end().strip_prefix(FORMAT_PREFIX))
        .and_then(|number| number.parse::<u64>().ok());
    match version {
        Some(version) if version <= FORMAT_VERSION => Ok(()),
        Some(found) => Err(StoreError::NewerFormat {
            what: format!("data directory {}", directory.display()),
            found,
            supported: FORMAT_VERSION,
        }),
        None => Err(StoreError::Damaged {
            file: file.display().to_string(),
            offset: 0,
            message: format!("expected {FORMAT_PREFIX:?} and a number"),
        }),
    }
}

fn write_format(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    let temporary = directory.join("format.new");
    if disk.entry(&temporary).is_ok() {
        disk.remove(&temporary)?;
    }
    let mut file = disk.create(&temporary)?;
    writeln!(file, "{FORMAT_PREFIX}{FORMAT_VERSION}")?;
    file.sync(SyncPoint::DataFile)?;
    disk.rename(&temporary, &directory.join(FORMAT_FILE))?;
    disk.sync_directory(directory, SyncPoint::Directory)
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;
    use crate::disk::simulated::{Faults, SimulatedDisk, Unsynced};

    #[test]
    fn a_second_process_is_refused_and_a_later_format_names_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
        let first = DataDirectory::open(&disk, &path).unwrap();
        let locked = DataDirectory::open(&disk, &path).err().unwrap();
        assert!(matches!(locked, StoreError::Locked { .. }), "{locked}");
        drop(first);
        drop(DataDirectory::open(&disk, &path).unwrap());

        for (content, expected) in [
            (
                "watchkeeper data directory, format 7\n",
                "has format version 7, this binary reads up to 1",
            ),
            ("something else", "is damaged at byte 0"),
        ] {
            std::fs::write(path.join(FORMAT_FILE), content).unwrap();
            let error = DataDirectory::open(&disk, &path).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_crash_at_any_step_leaves_a_directory_that_opens_and_needs_the_fsync() {
        let sweep = |drop_sync| -> Result<(), StoreError> {
            for step in 1.. {
                let disk = SimulatedDisk::new();
                disk.set_faults(Faults {
                    crash_at: Some(step),
                    drop_sync,
                    ..Faults::default()
                });
                let shared: Arc<dyn Disk> = Arc::new(disk.clone());
                drop(DataDirectory::open(&shared, Path::new("/data")));
                for unsynced in [Unsynced::Lost, Unsynced::Torn(9), Unsynced::Kept] {
                    let after: Arc<dyn Disk> = Arc::new(disk.restart(unsynced));
                    DataDirectory::open(&after, Path::new("/data"))?;
                }
                if !disk.has_crashed() {
                    break;
                }
            }
            Ok(())
        };
        sweep(None).unwrap();
        assert!(sweep(Some(SyncPoint::DataFile)).is_err());
    }
}
