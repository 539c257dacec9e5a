//! The seam under everything durable: files, directories, and the fsyncs that make them last.
//!
//! [`LocalDisk`] is the file system. [`simulated::SimulatedDisk`] forgets whatever was not
//! fsynced, directory entries included, and fails at will, so tests can crash the store between
//! any two steps. Every fsync names its [`SyncPoint`]: a test drops them one by one and shows that
//! each is needed.

pub mod simulated;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

/// Files and directories. Paths are absolute; calls block, so they belong on a thread that may.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Makes a new file for writing; an existing one is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The file's content as it is now. On a local disk it is mapped, not copied: only the bytes
    /// that are looked at are read, and they must not be overwritten meanwhile.
    fn read(&self, path: &Path) -> io::Result<Bytes>;

    /// What lies in a directory, sorted by name.
    fn list(&self, directory: &Path) -> io::Result<Vec<DiskEntry>>;

    /// Size and kind of one file or directory.
    fn entry(&self, path: &Path) -> io::Result<DiskEntry>;

    /// Gives a file another name, replacing what has that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes one directory whose parent exists; an existing one is fine. Whether there was none.
    fn create_directory(&self, path: &Path) -> io::Result<bool>;

    /// Makes the content of a file that is not open here durable.
    fn sync_file(&self, path: &Path, point: SyncPoint) -> io::Result<()>;

    /// Makes a directory's entries durable.
    fn sync_directory(&self, path: &Path, point: SyncPoint) -> io::Result<()>;

    /// How much room the file system of a directory has.
    fn space(&self, directory: &Path) -> io::Result<DiskSpace>;

    /// Takes the lock file at `path` for this process, for as long as the guard lives.
    fn lock(&self, path: &Path) -> io::Result<LockAttempt>;
}

/// A file being written from its beginning to its end.
pub trait DiskFile: Write + Send {
    /// Makes everything written so far durable. After an error nothing is known about any byte
    /// since the last success: the file must not be written any further.
    fn sync(&mut self, point: SyncPoint) -> io::Result<()>;
}

/// What an fsync is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyncPoint {
    /// Records appended to the ingest log, before they are acknowledged.
    LogRecords,
    /// The header of a new segment, before records follow it.
    LogHeader,
    /// The directory of the ingest log, after a segment was made.
    LogDirectory,
    /// The last segment found at start, before a new one builds on its length.
    LogTail,
    /// A new object's content, before it gets its name.
    ObjectContent,
    /// An object's directory, after the object got its name.
    ObjectDirectory,
    /// A file of the data directory itself, before it gets its name.
    DataFile,
    /// A directory in which another was made.
    Directory,
}

impl SyncPoint {
    /// Every point.
    pub const ALL: [Self; 8] = [
        Self::LogRecords,
        Self::LogHeader,
        Self::LogDirectory,
        Self::LogTail,
        Self::ObjectContent,
        Self::ObjectDirectory,
        Self::DataFile,
        Self::Directory,
    ];
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskEntry {
    /// The full path.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// The file's length, bytes.
    pub length: u64,
    /// When it was last written, Unix ns; 0 when unknown.
    pub modified: i64,
}

/// The room of a file system, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// In all.
    pub capacity: u64,
    /// What may still be written.
    pub available: u64,
}

/// What became of an attempt to lock.
pub enum LockAttempt {
    /// It is ours until the guard is dropped.
    Held(LockGuard),
    /// Somebody else holds it; the file's content says who.
    Taken(String),
}

/// Keeps a lock file locked.
pub struct LockGuard {
    _file: Option<File>,
}

/// Makes `path` and its missing parents, durably.
///
/// A directory that is already there may have been made by a process that was killed before it
/// could sync, so every parent is synced, except one that we did not change and may not open.
///
/// # Errors
///
/// Whatever the disk answers; what was made stays.
pub fn create_directories(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    if disk.entry(path).is_ok_and(|entry| !entry.is_directory) {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            format!("{} is a file", path.display()),
        ));
    }
    let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return Ok(());
    };
    create_directories(disk, parent)?;
    let is_new = disk.create_directory(path)?;
    match disk.sync_directory(parent, SyncPoint::Directory) {
        Err(error) if !is_new && error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// The local file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Bytes::new());
        }
        #[expect(
            unsafe_code,
            reason = "the store never shortens or overwrites a file it has written; whoever does \
                      so from outside the process breaks the data directory anyway"
        )]
        // SAFETY: see above; the mapping is read-only and lives as long as the bytes.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Bytes::from_owner(map))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DiskEntry>> {
        let mut entries = fs::read_dir(directory)?
            .map(|entry| self.entry(&entry?.path()))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    fn entry(&self, path: &Path) -> io::Result<DiskEntry> {
        let metadata = fs::metadata(path)?;
        let modified = metadata
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
            });
        Ok(DiskEntry {
            path: path.to_owned(),
            is_directory: metadata.is_dir(),
            length: metadata.len(),
            modified,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        match fs::create_dir(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn sync_file(&self, path: &Path, _point: SyncPoint) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn sync_directory(&self, path: &Path, _point: SyncPoint) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn space(&self, directory: &Path) -> io::Result<DiskSpace> {
        let found = nix::sys::statvfs::statvfs(directory)?;
        // The types of the numbers differ between systems.
        #[allow(clippy::useless_conversion, reason = "not useless on every system")]
        let bytes = |blocks| u64::from(found.fragment_size()).saturating_mul(u64::from(blocks));
        Ok(DiskSpace {
            capacity: bytes(found.blocks()),
            available: bytes(found.blocks_available()),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<LockAttempt> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder)?;
                return Ok(LockAttempt::Taken(holder.trim().to_owned()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(LockAttempt::Held(LockGuard { _file: Some(file) }))
    }
}

struct LocalFile(File);

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl DiskFile for LocalFile {
    fn sync(&mut self, _point: SyncPoint) -> io::Result<()> {
        // The length is part of what `fdatasync` keeps; other metadata is not needed.
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let LockAttempt::Held(first) = LocalDisk.lock(&path).unwrap() else {
            panic!("a fresh lock is free");
        };
        match LocalDisk.lock(&path).unwrap() {
            LockAttempt::Taken(holder) => assert_eq!(holder, std::process::id().to_string()),
            LockAttempt::Held(_) => panic!("locked twice"),
        }
        drop(first);
        assert!(matches!(
            LocalDisk.lock(&path).unwrap(),
            LockAttempt::Held(_)
        ));
    }

    #[test]
    fn a_file_system_says_how_much_room_it_has() {
        let directory = tempfile::tempdir().unwrap();
        let space = LocalDisk.space(directory.path()).unwrap();
        assert!(
            space.capacity > 0 && space.available <= space.capacity,
            "{space:?}"
        );
        assert!(LocalDisk.space(&directory.path().join("absent")).is_err());
    }

    #[test]
    fn directories_are_made_with_their_parents_and_a_file_in_the_way_is_named() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b/c");
        create_directories(&LocalDisk, &deep).unwrap();
        assert!(LocalDisk.entry(&deep).unwrap().is_directory);
        let file = root.path().join("f");
        LocalDisk
            .create(&file)
            .unwrap()
            .write_all(b"content")
            .unwrap();
        assert_eq!(LocalDisk.read(&file).unwrap(), "content");
        let error = create_directories(&LocalDisk, &file).unwrap_err();
        assert!(error.to_string().contains("is a file"), "{error}");
    }
}
