//! The complete check of a data directory: every record of the log, every split, and whether the
//! catalog and the files agree. It repairs nothing and goes on after what it finds.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::object_store::path::Path as Key;
use model::{Seq, Signal, TenantId};

use crate::catalog::{Catalog, Checkpoint, SplitEntry, SqlCatalog};
use crate::config::StoreConfig;
use crate::database::Database;
use crate::disk::{Disk, LocalDisk};
use crate::engine::{absolute, layout};
use crate::error::StoreError;
use crate::lock::{self, DataDirectory};
use crate::log;
use crate::metrics::MetricSplit;
use crate::objects::LocalObjects;
use crate::split::{self, SplitSource};

/// What a check looked at and found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Segments of the ingest log that were read.
    pub segments: u64,
    /// Log records in them.
    pub log_records: u64,
    /// Splits that were read.
    pub splits: u64,
    /// Rows in them.
    pub rows: u64,
    /// Everything that is wrong; empty when the directory is sound.
    pub findings: Vec<Finding>,
    /// Files that belong to nothing and are removed at the next start; not an error.
    pub leftovers: Vec<PathBuf>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, object or catalog entry.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Checks a data directory that no server is using.
///
/// # Errors
///
/// The directory does not exist, is in use or of a later format, or its database cannot be read.
/// Everything else is a finding.
pub async fn verify(config: &StoreConfig) -> Result<VerifyReport, StoreError> {
    let root = &absolute(&config.data_dir)?;
    let disk: Arc<dyn Disk> = Arc::new(LocalDisk);
    // What is no data directory is not made one, and a missing database is not made anew.
    require(disk.as_ref(), &root.join(lock::FORMAT_FILE))?;
    if config.database_url.is_none() {
        require(disk.as_ref(), &root.join(layout::DATABASE))?;
    }
    let _directory = DataDirectory::open(&disk, root)?;
    let database = match &config.database_url {
        Some(url) => Database::open_postgres(url).await?,
        None => Database::open_sqlite(&root.join(layout::DATABASE)).await?,
    };
    let mut report = VerifyReport::default();
    let checked = check_all(&disk, root, &database, &mut report).await;
    database.close().await;
    checked.map(|()| report)
}

fn require(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let entry = disk.entry(path).map_err(|source| StoreError::Io {
        action: "find",
        path: path.to_owned(),
        source,
    });
    entry.map(|_| ())
}

async fn check_all(
    disk: &Arc<dyn Disk>,
    root: &Path,
    database: &Database,
    report: &mut VerifyReport,
) -> Result<(), StoreError> {
    let catalog = SqlCatalog::open(database.clone()).await?;
    check_log(disk.as_ref(), &root.join(layout::LOG), report);
    let splits = catalog.splits().await?;
    check_positions(&splits, &catalog.checkpoints().await?, report);
    let objects = LocalObjects::existing(
        Arc::clone(disk),
        root.join(layout::OBJECTS),
        root.join(layout::UNFINISHED),
    );
    let mut seen = SeenRows::default();
    for split in &splits {
        match check_split(&objects, split, &mut seen).await {
            Ok(rows) => report.rows += rows,
            Err(error) => report.add(&split.object_key, &error),
        }
        report.splits += 1;
    }
    let known: HashSet<String> = catalog.object_keys().await?.into_iter().collect();
    match objects.keys() {
        Ok(keys) => {
            let unknown = keys.iter().filter(|key| !known.contains(key.as_ref()));
            report
                .leftovers
                .extend(unknown.map(|key| root.join(layout::OBJECTS).join(key.as_ref())));
        }
        Err(error) => report.add(layout::OBJECTS, &error),
    }
    Ok(())
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn add(&mut self, place: impl ToString, problem: &dyn std::fmt::Display) {
        self.findings.push(Finding {
            place: place.to_string(),
            problem: problem.to_string(),
        });
    }
}

fn check_log(disk: &dyn Disk, directory: &Path, report: &mut VerifyReport) {
    if disk.entry(directory).is_err() {
        report.add(directory.display(), &"the ingest log is missing");
        return;
    }
    match log::verify(disk, directory) {
        Ok(segments) => {
            for segment in segments {
                report.segments += 1;
                match segment.result {
                    Ok(records) => report.log_records += records,
                    Err(error) => report.add(segment.path.display(), &error),
                }
            }
        }
        Err(error) => report.add(directory.display(), &error),
    }
}

/// Positions end at the checkpoint at the latest, and those of one tenant's metric splits overlap
/// nowhere. Splits of logs and spans may cover the same positions with rows that are kept
/// differently; [`SeenRows`] checks theirs row by row.
fn check_positions(splits: &[SplitEntry], checkpoints: &[Checkpoint], report: &mut VerifyReport) {
    let checkpoints: BTreeMap<(&TenantId, Signal), u64> = checkpoints
        .iter()
        .map(|checkpoint| ((&checkpoint.tenant, checkpoint.signal), checkpoint.position))
        .collect();
    for split in splits {
        let key = (&split.tenant, split.signal);
        let checkpoint = checkpoints.get(&key).copied().unwrap_or(0);
        if split.to_position > checkpoint {
            let problem = format!(
                "it covers positions up to {}, its checkpoint stands at {checkpoint}",
                split.to_position
            );
            report.add(format!("catalog entry of split {}", split.id), &problem);
        }
    }
    for pair in splits.windows(2) {
        let [earlier, later] = pair else { continue };
        let same = earlier.tenant == later.tenant && earlier.signal == later.signal;
        if same && later.signal == Signal::Metrics && later.from_position < earlier.to_position {
            let problem = format!(
                "it begins after position {}, but split {} covers up to {}",
                later.from_position, earlier.id, earlier.to_position
            );
            report.add(format!("catalog entry of split {}", later.id), &problem);
        }
    }
}

/// Which rows of one tenant's logs or spans were in a split already.
#[derive(Default)]
struct SeenRows {
    stream: Option<(TenantId, Signal)>,
    /// One bit for each row of a log record, by its position.
    rows: BTreeMap<u64, Vec<u64>>,
}

impl SeenRows {
    /// Takes the rows of the next split, in the order of [`Catalog::splits`]; what is wrong.
    fn take(&mut self, entry: &SplitEntry, seqs: &[Seq]) -> Option<String> {
        let stream = (entry.tenant.clone(), entry.signal);
        if self.stream.as_ref() != Some(&stream) {
            self.rows.clear();
            self.stream = Some(stream);
        }
        // Later splits begin here or later, so earlier positions do not come again.
        self.rows = self.rows.split_off(&(entry.from_position + 1));
        for seq in seqs {
            let position = seq.position();
            if position <= entry.from_position || position > entry.to_position {
                return Some(format!(
                    "it holds a row of position {position}, the catalog says {} to {}",
                    entry.from_position + 1,
                    entry.to_position
                ));
            }
            let rows = self.rows.entry(position).or_default();
            let (word, bit) = (seq.ordinal() as usize / 64, 1_u64 << (seq.ordinal() % 64));
            if rows.len() <= word {
                rows.resize(word + 1, 0);
            }
            if rows[word] & bit != 0 {
                let ordinal = seq.ordinal();
                return Some(format!(
                    "row {ordinal} of position {position} is in it and elsewhere too"
                ));
            }
            rows[word] |= bit;
        }
        None
    }
}

/// Reads a split completely; how many rows it has.
async fn check_split(
    objects: &LocalObjects,
    entry: &SplitEntry,
    seen: &mut SeenRows,
) -> Result<u64, StoreError> {
    let key = &entry.object_key;
    let damaged = |message: String| StoreError::Damaged {
        file: key.clone(),
        offset: 0,
        message,
    };
    let bytes = objects.read(&Key::from(key.as_str()))?;
    if bytes.len() as u64 != entry.size_bytes {
        return Err(damaged(format!(
            "it has {} bytes, the catalog says {}",
            bytes.len(),
            entry.size_bytes
        )));
    }
    if entry.signal == Signal::Metrics {
        MetricSplit::open(key, bytes, &entry.summary)?.verify()?;
        return Ok(entry.summary.rows);
    }
    let verified = split::verify(key, SplitSource::Memory(bytes)).await?;
    if verified.rows != entry.summary.rows {
        return Err(damaged(format!(
            "it has {} rows, the catalog says {}",
            verified.rows, entry.summary.rows
        )));
    }
    if let Some(problem) = seen.take(entry, &verified.seqs) {
        return Err(damaged(problem));
    }
    Ok(verified.rows)
}
