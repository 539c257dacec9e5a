//! A disk in memory that forgets everything not fsynced and crashes on demand.
//!
//! It keeps two namespaces: what the running program sees, and what would be found after a power
//! loss. Content reaches the second by `sync` of the file, names by `sync` of their directory;
//! nothing else carries anything over, so it is stricter than any file system.
//!
//! Steps that change something are numbered from 1. At the step a test names, the machine stops:
//! that step and all later ones fail, and [`SimulatedDisk::restart`] gives the disk that the next
//! process finds.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Disk, DiskEntry, DiskFile, DiskSpace, LockAttempt, LockGuard, SyncPoint};

/// What a power loss leaves of content that was written but not fsynced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// Nothing.
    Lost,
    /// The first bytes of it: a torn write.
    Torn(usize),
    /// All of it, but zeros where its first bytes should be: pages written back out of order.
    HoleThenRest(usize),
    /// Everything, names included: the process was killed, the machine runs on.
    Kept,
}

/// Where and how the disk fails, besides the crash.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The step at which the machine stops.
    pub crash_at: Option<u64>,
    /// A sync point whose fsyncs do nothing and report success.
    pub drop_sync: Option<SyncPoint>,
    /// A sync point whose fsyncs fail with EIO.
    pub fail_sync: Option<SyncPoint>,
    /// A sync point whose fsyncs take until this fault is gone.
    pub stall_sync: Option<SyncPoint>,
    /// Bytes that fit; a write past it gets ENOSPC after writing what fits.
    pub capacity: Option<u64>,
    /// Paths below this cannot be changed.
    pub read_only: Option<PathBuf>,
}

/// A disk in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    faults_changed: Arc<Condvar>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Content>,
    /// What the program sees.
    names: BTreeMap<PathBuf, Node>,
    /// What a power loss leaves.
    durable_names: BTreeMap<PathBuf, Node>,
    faults: Faults,
    steps: u64,
    crashed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes how the disk fails from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
        self.faults_changed.notify_all();
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Whether the machine has stopped.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Counts a step of something that is not a file, such as a database's commit.
    ///
    /// # Errors
    ///
    /// The machine has stopped.
    pub fn step(&self) -> io::Result<()> {
        self.state().step()
    }

    /// The disk that the next process finds, without faults.
    pub fn restart(&self, unsynced: Unsynced) -> Self {
        let state = self.state();
        let files = state
            .files
            .iter()
            .map(|content| content.after_crash(unsynced))
            .collect();
        let names = match unsynced {
            Unsynced::Kept => state.names.clone(),
            _ => state.reachable_durable_names(),
        };
        Self {
            state: Arc::new(Mutex::new(State {
                files,
                durable_names: match unsynced {
                    // The machine did not stop: what was not fsynced still is not.
                    Unsynced::Kept => state.reachable_durable_names(),
                    _ => names.clone(),
                },
                names,
                ..State::default()
            })),
            faults_changed: Arc::default(),
        }
    }

    /// Overwrites bytes of a file, as bit rot would: durable at once.
    ///
    /// # Panics
    ///
    /// When the file does not exist or is shorter.
    pub fn damage(&self, path: &Path, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let Some(Node::File(file)) = state.names.get(path).copied() else {
            panic!("{} is no file", path.display());
        };
        state.files[file].bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn after_crash(&self, unsynced: Unsynced) -> Self {
        let mut bytes = self.bytes.clone();
        match unsynced {
            Unsynced::Lost => bytes.truncate(self.synced),
            Unsynced::Torn(kept) => bytes.truncate((self.synced + kept).min(self.bytes.len())),
            Unsynced::HoleThenRest(hole) => {
                let end = (self.synced + hole).min(bytes.len());
                bytes[self.synced..end].fill(0);
            }
            Unsynced::Kept => {
                return self.clone();
            }
        }
        Self {
            synced: bytes.len(),
            bytes,
        }
    }
}

impl State {
    fn step(&mut self) -> io::Result<()> {
        if self.crashed {
            return Err(crashed());
        }
        self.steps += 1;
        if self.faults.crash_at == Some(self.steps) {
            self.crashed = true;
            return Err(crashed());
        }
        Ok(())
    }

    fn alive(&self) -> io::Result<()> {
        if self.crashed { Err(crashed()) } else { Ok(()) }
    }

    fn writable(&self, path: &Path) -> io::Result<()> {
        match &self.faults.read_only {
            Some(root) if path.starts_with(root) => {
                Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Directory) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(not_found(path)),
        }
    }

    fn is_directory(&self, path: &Path) -> bool {
        // The root of a path needs no entry anywhere.
        path.parent().is_none() || self.names.get(path) == Some(&Node::Directory)
    }

    /// A durable name counts only when every directory above it is durable too.
    fn reachable_durable_names(&self) -> BTreeMap<PathBuf, Node> {
        let mut reachable = BTreeMap::new();
        // Parents sort before their children.
        for (path, node) in &self.durable_names {
            let parent = path.parent();
            let is_reachable = parent
                .is_none_or(|parent| parent.parent().is_none() || reachable.contains_key(parent));
            if is_reachable {
                reachable.insert(path.clone(), *node);
            }
        }
        reachable
    }

    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|node| match node {
            Node::File(file) => Some(self.files[*file].bytes.len() as u64),
            Node::Directory => None,
        });
        files.sum()
    }

    fn sync(&self, point: SyncPoint) -> io::Result<bool> {
        if self.faults.fail_sync == Some(point) {
            return Err(io::Error::other("simulated EIO at fsync"));
        }
        Ok(self.faults.drop_sync != Some(point))
    }
}

fn crashed() -> io::Error {
    io::Error::other("the simulated machine has stopped")
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("{} does not exist", path.display()),
    )
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.step()?;
        state.writable(path)?;
        if state.names.contains_key(path) {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let parent = path.parent().unwrap_or(path);
        if !state.is_directory(parent) {
            return Err(not_found(parent));
        }
        let file = state.files.len();
        state.files.push(Content::default());
        state.names.insert(path.to_owned(), Node::File(file));
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn read(&self, path: &Path) -> io::Result<Bytes> {
        let state = self.state();
        state.alive()?;
        let file = state.file(path)?;
        Ok(Bytes::copy_from_slice(&state.files[file].bytes))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<DiskEntry>> {
        let paths: Vec<PathBuf> = {
            let state = self.state();
            state.alive()?;
            if !state.is_directory(directory) {
                return Err(not_found(directory));
            }
            let inside = |path: &&PathBuf| path.parent() == Some(directory);
            state.names.keys().filter(inside).cloned().collect()
        };
        paths.iter().map(|path| self.entry(path)).collect()
    }

    fn entry(&self, path: &Path) -> io::Result<DiskEntry> {
        let state = self.state();
        state.alive()?;
        if state.is_directory(path) {
            return Ok(DiskEntry {
                path: path.to_owned(),
                is_directory: true,
                length: 0,
                modified: 0,
            });
        }
        let file = state.file(path)?;
        Ok(DiskEntry {
            path: path.to_owned(),
            is_directory: false,
            length: state.files[file].bytes.len() as u64,
            modified: 0,
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.writable(from)?;
        state.writable(to)?;
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), Node::File(file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.writable(path)?;
        state.file(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.state();
        if state.is_directory(path) {
            return Ok(false);
        }
        state.step()?;
        state.writable(path)?;
        state.names.insert(path.to_owned(), Node::Directory);
        Ok(true)
    }

    fn sync_file(&self, path: &Path, point: SyncPoint) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        let file = state.file(path)?;
        if state.sync(point)? {
            state.files[file].synced = state.files[file].bytes.len();
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path, point: SyncPoint) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if !state.is_directory(path) {
            return Err(not_found(path));
        }
        if !state.sync(point)? {
            return Ok(());
        }
        let inside = |name: &Path| name.parent() == Some(path);
        state.durable_names.retain(|name, _| !inside(name));
        let current: Vec<(PathBuf, Node)> = state
            .names
            .iter()
            .filter(|(name, _)| inside(name))
            .map(|(name, node)| (name.clone(), *node))
            .collect();
        state.durable_names.extend(current);
        Ok(())
    }

    fn space(&self, _directory: &Path) -> io::Result<DiskSpace> {
        let state = self.state();
        state.alive()?;
        let capacity = state.faults.capacity.unwrap_or(1 << 50);
        Ok(DiskSpace {
            capacity,
            available: capacity.saturating_sub(state.used()),
        })
    }

    fn lock(&self, _path: &Path) -> io::Result<LockAttempt> {
        self.state().alive()?;
        Ok(LockAttempt::Held(LockGuard { _file: None }))
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    file: usize,
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.alive()?;
        if let Err(error) = state.step() {
            // The machine stops while this write is under way: how much of it arrives is up to
            // `restart`, as with everything that is not fsynced.
            state.files[self.file].bytes.extend_from_slice(bytes);
            return Err(error);
        }
        state.writable(&self.path)?;
        let fitting = match state.faults.capacity {
            Some(capacity) => usize::try_from(capacity.saturating_sub(state.used()))
                .unwrap_or(usize::MAX)
                .min(bytes.len()),
            None => bytes.len(),
        };
        if fitting == 0 && !bytes.is_empty() {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        state.files[self.file]
            .bytes
            .extend_from_slice(&bytes[..fitting]);
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl DiskFile for SimulatedFile {
    fn sync(&mut self, point: SyncPoint) -> io::Result<()> {
        let stalls = |state: &mut State| state.faults.stall_sync == Some(point);
        let changed = &self.disk.faults_changed;
        let mut state = changed
            .wait_while(self.disk.state(), stalls)
            .unwrap_or_else(PoisonError::into_inner);
        state.step()?;
        if state.sync(point)? {
            state.files[self.file].synced = state.files[self.file].bytes.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with_directory() -> SimulatedDisk {
        let disk = SimulatedDisk::new();
        disk.create_directory(Path::new("/d")).unwrap();
        disk.sync_directory(Path::new("/"), SyncPoint::Directory)
            .unwrap();
        disk
    }

    #[test]
    fn content_and_names_last_only_when_both_are_synced() {
        let path = Path::new("/d/f");
        for (sync_content, sync_name, expected) in [
            (false, false, None),
            (true, false, None),
            (false, true, Some("")),
            (true, true, Some("abc")),
        ] {
            let disk = disk_with_directory();
            let mut file = disk.create(path).unwrap();
            file.write_all(b"abc").unwrap();
            if sync_content {
                file.sync(SyncPoint::DataFile).unwrap();
            }
            if sync_name {
                disk.sync_directory(Path::new("/d"), SyncPoint::Directory)
                    .unwrap();
            }
            let found = disk.restart(Unsynced::Lost).read(path).ok();
            assert_eq!(found.as_deref(), expected.map(str::as_bytes));
            assert_eq!(disk.restart(Unsynced::Kept).read(path).unwrap(), "abc");
        }
    }

    #[test]
    fn a_name_below_a_directory_that_was_lost_is_lost() {
        let disk = SimulatedDisk::new();
        disk.create_directory(Path::new("/d")).unwrap();
        let mut file = disk.create(Path::new("/d/f")).unwrap();
        file.sync(SyncPoint::DataFile).unwrap();
        disk.sync_directory(Path::new("/d"), SyncPoint::Directory)
            .unwrap();
        assert!(
            disk.restart(Unsynced::Lost)
                .entry(Path::new("/d/f"))
                .is_err()
        );
    }

    #[test]
    fn a_crash_stops_every_later_step_and_tears_the_write_under_way() {
        let disk = disk_with_directory();
        let path = Path::new("/d/f");
        let mut file = disk.create(path).unwrap();
        disk.sync_directory(Path::new("/d"), SyncPoint::Directory)
            .unwrap();
        disk.set_faults(Faults {
            crash_at: Some(disk.steps() + 1),
            ..Faults::default()
        });
        assert!(file.write_all(b"abcdef").is_err());
        assert!(disk.has_crashed());
        assert!(file.sync(SyncPoint::DataFile).is_err());
        assert!(disk.read(path).is_err());
        for (unsynced, expected) in [
            (Unsynced::Lost, &b""[..]),
            (Unsynced::Torn(2), b"ab"),
            (Unsynced::HoleThenRest(2), b"\0\0cdef"),
        ] {
            assert_eq!(disk.restart(unsynced).read(path).unwrap(), expected);
        }
    }

    #[test]
    fn a_full_disk_takes_what_fits() {
        let disk = disk_with_directory();
        disk.set_faults(Faults {
            capacity: Some(4),
            ..Faults::default()
        });
        let mut file = disk.create(Path::new("/d/f")).unwrap();
        let error = file.write_all(b"abcdef").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read(Path::new("/d/f")).unwrap(), "abcd");
    }
}
