//! Objects in a local directory, each made visible only when it is whole and durable.
//!
//! A new object is written to a temporary file, fsynced, renamed to its key, and its directory is
//! fsynced: a crash leaves either the whole object or none. (The local store of the
//! `object_store` crate does not fsync, which is why there is one of our own.)
//!
//! Sealing streams into an [`ObjectWriter`]; queries read ranges of the mapped file.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use futures::stream::{self, BoxStream, StreamExt};

use crate::disk::{Disk, DiskEntry, DiskFile, DiskSpace, SyncPoint, create_directories};
use crate::error::StoreError;

const STORE: &str = "local objects";

/// A directory of objects.
#[derive(Debug, Clone)]
pub struct LocalObjects {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Where objects are written before they get their key.
    unfinished: PathBuf,
    next_unfinished: Arc<AtomicU64>,
}

impl LocalObjects {
    /// Opens the objects below `root`, which is made when absent; `unfinished` is a directory of
    /// the same file system, whose content is removed. Blocks.
    ///
    /// # Errors
    ///
    /// A directory cannot be made or read. Leftovers that cannot be removed stay.
    pub fn open(disk: Arc<dyn Disk>, root: PathBuf, unfinished: PathBuf) -> io::Result<Self> {
        let mut next = 0;
        for directory in [&root, &unfinished] {
            if let Err(error) = create_directories(disk.as_ref(), directory) {
                // Read-only objects can still be read; writing them says what is wrong.
                disk.entry(directory).map_err(|_| error)?;
            }
        }
        for entry in disk.list(&unfinished)? {
            let number = entry
                .path
                .file_name()
                .and_then(|name| name.to_str()?.parse::<u64>().ok());
            if disk.remove(&entry.path).is_err() {
                next = next.max(number.map_or(0, |number| number + 1));
            }
        }
        let objects = Self::existing(disk, root, unfinished);
        objects.next_unfinished.store(next, Ordering::Relaxed);
        Ok(objects)
    }

    /// The objects below `root` as they are, for reading: nothing is made or removed.
    pub fn existing(disk: Arc<dyn Disk>, root: PathBuf, unfinished: PathBuf) -> Self {
        Self {
            disk,
            root,
            unfinished,
            next_unfinished: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Begins a new object. Blocks, as does everything the writer does.
    ///
    /// # Errors
    ///
    /// The temporary file cannot be made.
    pub fn create(&self, key: &Path) -> std::result::Result<ObjectWriter, StoreError> {
        let number = self.next_unfinished.fetch_add(1, Ordering::Relaxed);
        let temporary = self.unfinished.join(number.to_string());
        let file = self
            .disk
            .create(&temporary)
            .map_err(|source| StoreError::Io {
                action: "create",
                path: temporary.clone(),
                source,
            })?;
        Ok(ObjectWriter {
            objects: self.clone(),
            key: key.clone(),
            temporary,
            file: Some(file),
            size: 0,
        })
    }

    /// An object's content, mapped where the disk can.
    ///
    /// # Errors
    ///
    /// It does not exist or cannot be read.
    pub fn read(&self, key: &Path) -> std::result::Result<Bytes, StoreError> {
        let path = self.path_of(key);
        self.disk.read(&path).map_err(|source| StoreError::Io {
            action: "read",
            path,
            source,
        })
    }

    /// Removes an object; an absent one is fine.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn remove(&self, key: &Path) -> std::result::Result<(), StoreError> {
        let path = self.path_of(key);
        match self.disk.remove(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Io {
                action: "remove",
                path,
                source,
            }),
            _ => Ok(()),
        }
    }

    /// How much room there is for objects.
    ///
    /// # Errors
    ///
    /// The file system does not say.
    pub fn space(&self) -> std::result::Result<DiskSpace, StoreError> {
        self.disk
            .space(&self.root)
            .map_err(|source| StoreError::Io {
                action: "look at the space of",
                path: self.root.clone(),
                source,
            })
    }

    /// Keys of all objects, sorted.
    ///
    /// # Errors
    ///
    /// A directory cannot be read.
    pub fn keys(&self) -> std::result::Result<Vec<Path>, StoreError> {
        let entries = self.walk(None).map_err(|source| StoreError::Io {
            action: "list",
            path: self.root.clone(),
            source,
        })?;
        Ok(entries.into_iter().map(|meta| meta.location).collect())
    }

    fn path_of(&self, key: &Path) -> PathBuf {
        // An object key never has empty, `.` or `..` segments, so it stays below the root.
        let mut path = self.root.clone();
        path.extend(key.parts().map(|part| part.as_ref().to_owned()));
        path
    }

    fn key_of(&self, path: &std::path::Path) -> Option<Path> {
        let inside = path.strip_prefix(&self.root).ok()?;
        Path::parse(inside.to_str()?).ok()
    }

    /// Gives a finished temporary file its key, durably.
    fn publish(&self, temporary: &std::path::Path, key: &Path, replace: bool) -> io::Result<()> {
        let path = self.path_of(key);
        if !replace && self.disk.entry(&path).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let directory = path.parent().unwrap_or(&self.root);
        create_directories(self.disk.as_ref(), directory)?;
        self.disk.rename(temporary, &path)?;
        self.disk
            .sync_directory(directory, SyncPoint::ObjectDirectory)
    }

    fn write_object(&self, key: &Path, payload: &PutPayload, replace: bool) -> io::Result<()> {
        let mut writer = self.create(key).map_err(io::Error::other)?;
        for chunk in payload {
            writer.write_all(chunk)?;
        }
        writer.finish_as(replace).map(|_| ())
    }

    /// Objects below a prefix, by key.
    fn walk(&self, prefix: Option<&Path>) -> io::Result<Vec<ObjectMeta>> {
        let start = prefix.map_or_else(|| self.root.clone(), |prefix| self.path_of(prefix));
        let mut found = Vec::new();
        let mut directories = vec![start];
        while let Some(directory) = directories.pop() {
            let entries = match self.disk.list(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                if entry.is_directory {
                    directories.push(entry.path);
                } else if let Some(key) = self.key_of(&entry.path) {
                    found.push(meta_of(key, &entry));
                }
            }
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    /// Runs file operations where they may block.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &Path,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let objects = self.clone();
        let result = tokio::task::spawn_blocking(move || work(&objects)).await?;
        result.map_err(|source| object_error(key, source))
    }
}

fn meta_of(location: Path, entry: &DiskEntry) -> ObjectMeta {
    let modified = UNIX_EPOCH + Duration::from_nanos(u64::try_from(entry.modified).unwrap_or(0));
    ObjectMeta {
        location,
        last_modified: modified.into(),
        size: entry.length,
        e_tag: None,
        version: None,
    }
}

fn object_error(key: &Path, source: io::Error) -> Error {
    let path = key.to_string();
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path,
            source: source.into(),
        },
        io::ErrorKind::AlreadyExists => Error::AlreadyExists {
            path,
            source: source.into(),
        },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied {
            path,
            source: source.into(),
        },
        _ => Error::Generic {
            store: STORE,
            source: format!("{path}: {source}").into(),
        },
    }
}

/// An object being written. Dropped without [`ObjectWriter::finish`], nothing of it stays.
pub struct ObjectWriter {
    objects: LocalObjects,
    key: Path,
    temporary: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    size: u64,
}

impl ObjectWriter {
    /// Makes the object durable and visible under its key; returns its size in bytes.
    ///
    /// # Errors
    ///
    /// Anything in between failed; the object is then not there, or whole but perhaps not
    /// durable, so nobody may refer to it.
    pub fn finish(self) -> std::result::Result<u64, StoreError> {
        let path = self.objects.path_of(&self.key);
        self.finish_as(true).map_err(|source| StoreError::Io {
            action: "write",
            path,
            source,
        })
    }

    fn finish_as(mut self, replace: bool) -> io::Result<u64> {
        if let Some(mut file) = self.file.take() {
            file.sync(SyncPoint::ObjectContent)?;
        }
        self.objects
            .publish(&self.temporary, &self.key, replace)
            .map(|()| self.size)
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("the object is finished"));
        };
        let written = file.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        self.file = None;
        // After `finish` it has its key and is not found here; else the next start removes it.
        drop(self.objects.disk.remove(&self.temporary));
    }
}

impl fmt::Display for LocalObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "objects in {}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for LocalObjects {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => {
                return Err(Error::NotImplemented {
                    operation: "conditional put".to_owned(),
                    implementer: STORE.to_owned(),
                });
            }
        };
        let key = location.clone();
        self.blocking(location, move |objects| {
            objects.write_object(&key, &payload, replace)
        })
        .await?;
        Ok(PutResult {
            e_tag: None,
            version: None,
        })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "multipart upload; large objects are written by LocalObjects::create"
                .to_owned(),
            implementer: STORE.to_owned(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = self.path_of(location);
        let with_content = !options.head;
        let (entry, bytes) = self
            .blocking(location, move |objects| {
                let entry = objects.disk.entry(&path)?;
                if entry.is_directory {
                    return Err(io::Error::from(io::ErrorKind::NotFound));
                }
                let bytes = if with_content {
                    objects.disk.read(&path)?
                } else {
                    Bytes::new()
                };
                Ok((entry, bytes))
            })
            .await?;
        let meta = meta_of(location.clone(), &entry);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(wanted) => wanted
                .as_range(meta.size)
                .map_err(|source| Error::Generic {
                    store: STORE,
                    source: Box::new(source),
                })?,
            None => 0..meta.size,
        };
        let content = if with_content {
            slice(&bytes, &range)
        } else {
            Bytes::new()
        };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(content) }).boxed()),
            meta,
            range,
            attributes: Default::default(),
        })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let objects = self.clone();
        locations
            .then(move |location| {
                let objects = objects.clone();
                async move {
                    let location = location?;
                    let path = objects.path_of(&location);
                    objects
                        .blocking(&location, move |objects| objects.disk.remove(&path))
                        .await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let objects = self.clone();
        let prefix = prefix.cloned();
        stream::once(async move {
            let named = prefix.clone().unwrap_or_default();
            objects
                .blocking(&named, move |objects| objects.walk(prefix.as_ref()))
                .await
        })
        .flat_map(|found| match found {
            Ok(found) => stream::iter(found.into_iter().map(Ok)).boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        })
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let below = prefix.clone();
        let all = self
            .blocking(&prefix, move |objects| objects.walk(Some(&below)))
            .await?;
        let mut common_prefixes = BTreeSet::new();
        let mut objects = Vec::new();
        for meta in all {
            let Some(mut parts) = meta.location.prefix_match(&prefix) else {
                continue;
            };
            let Some(first) = parts.next() else { continue };
            if parts.next().is_some() {
                common_prefixes.insert(prefix.clone().join(first));
            } else {
                drop(parts);
                objects.push(meta);
            }
        }
        Ok(ListResult {
            common_prefixes: common_prefixes.into_iter().collect(),
            objects,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let replace = options.mode == CopyMode::Overwrite;
        let (source, target) = (self.path_of(from), to.clone());
        self.blocking(from, move |objects| {
            let content = objects.disk.read(&source)?;
            objects.write_object(&target, &PutPayload::from_bytes(content), replace)
        })
        .await
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    // The file may have become shorter since its length was read.
    let end = usize::try_from(range.end)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
    bytes.slice(start..end)
}

#[cfg(test)]
mod tests {
    use datafusion::object_store::ObjectStoreExt;
    use futures::TryStreamExt;

    use super::*;
    use crate::disk::LocalDisk;
    use crate::disk::simulated::{Faults, SimulatedDisk, Unsynced};

    fn open(disk: &SimulatedDisk) -> io::Result<LocalObjects> {
        LocalObjects::open(
            Arc::new(disk.clone()),
            PathBuf::from("/data/objects"),
            PathBuf::from("/data/unfinished"),
        )
    }

    #[tokio::test]
    async fn objects_are_put_read_listed_copied_and_deleted() {
        let root = tempfile::tempdir().unwrap();
        let objects = LocalObjects::open(
            Arc::new(LocalDisk),
            root.path().join("objects"),
            root.path().join("unfinished"),
        )
        .unwrap();
        let (a, b) = (Path::from("t/logs/a"), Path::from("t/logs/b"));
        objects.put(&a, "hello".into()).await.unwrap();
        assert_eq!(objects.get_range(&a, 1..3).await.unwrap(), "el");
        assert_eq!(objects.head(&a).await.unwrap().size, 5);
        let exists = objects
            .put_opts(&a, "other".into(), PutMode::Create.into())
            .await;
        assert!(matches!(exists, Err(Error::AlreadyExists { .. })));
        objects.copy(&a, &b).await.unwrap();
        let listed: Vec<_> = objects
            .list(Some(&Path::from("t")))
            .map_ok(|meta| meta.location)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed, [a.clone(), b.clone()]);
        let below = objects
            .list_with_delimiter(Some(&Path::from("t")))
            .await
            .unwrap();
        assert_eq!(below.common_prefixes, [Path::from("t/logs")]);
        objects.delete(&a).await.unwrap();
        let gone = objects.get(&a).await;
        assert!(matches!(gone, Err(Error::NotFound { .. })));
        assert_eq!(objects.keys().unwrap(), [b]);
    }

    #[test]
    fn an_object_that_was_not_finished_leaves_nothing() {
        let disk = SimulatedDisk::new();
        let objects = open(&disk).unwrap();
        let mut writer = objects.create(&Path::from("a")).unwrap();
        writer.write_all(b"half").unwrap();
        let killed = disk.restart(Unsynced::Kept);
        drop(writer);
        for disk in [disk, killed] {
            let objects = open(&disk).unwrap();
            assert!(objects.keys().unwrap().is_empty());
            let unfinished = std::path::Path::new("/data/unfinished");
            assert!(disk.list(unfinished).unwrap().is_empty());
        }
    }

    /// Crashes while an object is written, at every step: either it is reported and whole
    /// afterwards, or it is absent or whole. The first violation.
    fn sweep(drop_sync: Option<SyncPoint>) -> std::result::Result<(), String> {
        let key = Path::from("tenant/logs/1");
        for step in 1.. {
            let disk = SimulatedDisk::new();
            disk.set_faults(Faults {
                crash_at: Some(step),
                drop_sync,
                ..Faults::default()
            });
            let reported = open(&disk).is_ok_and(|objects| {
                objects.create(&key).is_ok_and(|mut writer| {
                    writer.write_all(b"abc").is_ok()
                        && writer.write_all(b"def").is_ok()
                        && writer.finish().is_ok()
                })
            });
            for unsynced in [Unsynced::Lost, Unsynced::Torn(2), Unsynced::Kept] {
                let after = open(&disk.restart(unsynced)).map_err(|err| err.to_string())?;
                match after.read(&key) {
                    Ok(bytes) if bytes == "abcdef" => {}
                    Err(_) if !reported => {}
                    other => return Err(format!("step {step}, {unsynced:?}: {other:?}")),
                }
            }
            if !disk.has_crashed() {
                break;
            }
        }
        Ok(())
    }

    #[test]
    fn a_reported_object_survives_a_crash_at_any_step_and_needs_each_fsync() {
        sweep(None).unwrap();
        for point in [
            SyncPoint::ObjectContent,
            SyncPoint::ObjectDirectory,
            SyncPoint::Directory,
        ] {
            assert!(sweep(Some(point)).is_err(), "nothing needs {point:?}");
        }
    }
}
