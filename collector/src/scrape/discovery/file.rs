//! Targets in files, JSON or YAML, that others write while the server runs.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Changes, GroupFields, TargetGroup, groups};
use crate::scrape::config::Interval;

/// How often files are looked at; they are read only when they look different.
const LOOK: Duration = Duration::from_secs(2);

/// What tells whether a file was written anew: when, its length, and which file it is.
type Look = (i64, i64, u64, u64);

/// Reads the files that `patterns` name whenever they change. Never ends.
pub(super) async fn run(patterns: &[String], refresh: Interval, changes: &Changes<'_>) {
    let mut files = Files {
        patterns: patterns.to_vec(),
        read: BTreeMap::new(),
        sent: None,
    };
    let every = refresh.duration().min(LOOK);
    loop {
        // The disk may be slow, so not on this thread.
        let looked = tokio::task::spawn_blocking(move || {
            let outcome = files.look();
            (files, outcome)
        });
        let outcome;
        (files, outcome) = match looked.await {
            Ok(looked) => looked,
            Err(err) => {
                tracing::error!(job = changes.job, error = %err, "file discovery ended");
                return;
            }
        };
        for problem in outcome.problems {
            tracing::warn!(
                job = changes.job,
                "{problem}; its last good targets are kept"
            );
        }
        if let Some(groups) = outcome.groups {
            changes.send(groups).await;
        }
        tokio::time::sleep(every).await;
    }
}

/// The files of one entry of `file_sd_configs`.
struct Files {
    patterns: Vec<String>,
    /// How each file looked when it was last read, and its last good groups.
    read: BTreeMap<PathBuf, (Look, Vec<TargetGroup>)>,
    /// What was found last.
    sent: Option<Vec<TargetGroup>>,
}

/// What a look at the files brings.
#[derive(Debug, Default)]
struct Outcome {
    /// All groups, when they are not those of the look before.
    groups: Option<Vec<TargetGroup>>,
    /// Files that cannot be read, once per content.
    problems: Vec<String>,
}

impl Files {
    fn look(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut now = BTreeMap::new();
        for path in self.paths() {
            let known = self.read.remove(&path);
            let (file, problem) = read_if_changed(&path, known);
            outcome.problems.extend(problem);
            if let Some(file) = file {
                now.insert(path, file);
            }
        }
        // Files that are gone have no targets any more.
        self.read = now;
        let groups: Vec<TargetGroup> = self
            .read
            .values()
            .flat_map(|(_, groups)| groups.clone())
            .collect();
        if self.sent.as_ref() != Some(&groups) {
            self.sent = Some(groups.clone());
            outcome.groups = Some(groups);
        }
        outcome
    }

    fn paths(&self) -> Vec<PathBuf> {
        let found = self
            .patterns
            .iter()
            .filter_map(|pattern| glob::glob(pattern).ok())
            .flatten()
            .filter_map(Result::ok);
        let mut paths: Vec<PathBuf> = found.collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// The file as it is now, and what is wrong with it. `None` when it has gone meanwhile.
fn read_if_changed(
    path: &Path,
    known: Option<(Look, Vec<TargetGroup>)>,
) -> (Option<(Look, Vec<TargetGroup>)>, Option<String>) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return (None, None);
    };
    let look = (
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.size(),
        metadata.ino(),
    );
    if known.as_ref().is_some_and(|(before, _)| *before == look) {
        return (known, None);
    }
    match read(path) {
        Ok(groups) => (Some((look, groups)), None),
        Err(problem) => {
            let last_good = known.map_or_else(Vec::new, |(_, groups)| groups);
            (Some((look, last_good)), Some(problem))
        }
    }
}

/// The groups in a file.
fn read(path: &Path) -> Result<Vec<TargetGroup>, String> {
    let name = path.to_string_lossy();
    let text = std::fs::read_to_string(path).map_err(|err| format!("read {name}: {err}"))?;
    let fields: Vec<GroupFields> = if path.extension().is_some_and(|end| end == "json") {
        serde_json::from_str(&text).map_err(|err| {
            let (line, column) = (err.line(), err.column());
            format!("{name}:{line}:{column}: {err}")
        })?
    } else {
        crate::config::parse_yaml(&text).map_err(|err| err.in_file(path).to_string())?
    };
    Ok(groups(fields, &name, "__meta_filepath"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The labels of all targets after a look; `None` when nothing has changed.
    fn look(files: &mut Files) -> (Option<Vec<String>>, Vec<String>) {
        let outcome = files.look();
        let shown = |groups: Vec<TargetGroup>| {
            let labels = groups.iter().flat_map(TargetGroup::labels);
            labels.map(|labels| labels.to_string()).collect()
        };
        (outcome.groups.map(shown), outcome.problems)
    }

    #[test]
    fn files_come_change_break_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
        let mut files = Files {
            patterns: vec![path("*.yml"), path("one.json")],
            read: BTreeMap::new(),
            sent: None,
        };
        assert_eq!(look(&mut files), (Some(Vec::new()), Vec::new()));
        write("a.yml", "- targets: [h:1, h:2]\n  labels: {env: test}\n");
        write("one.json", r#"[{"targets": ["j:1"]}]"#);
        write("two.json", r#"[{"targets": ["k:1"]}]"#);
        let meta = |name: &str| format!("__meta_filepath={:?}", path(name));
        let first = [
            format!("{{__address__=\"h:1\", {}, env=\"test\"}}", meta("a.yml")),
            format!("{{__address__=\"h:2\", {}, env=\"test\"}}", meta("a.yml")),
            format!("{{__address__=\"j:1\", {}}}", meta("one.json")),
        ];
        assert_eq!(look(&mut files), (Some(first.to_vec()), Vec::new()));
        assert_eq!(look(&mut files), (None, Vec::new()));

        write("a.yml", "- targets: [h:1\n");
        let (changed, problems) = look(&mut files);
        assert_eq!(changed, None, "the last good targets stay");
        assert!(
            problems.len() == 1 && problems[0].contains("a.yml:"),
            "{problems:?}"
        );
        assert_eq!(look(&mut files), (None, Vec::new()), "said once");

        std::fs::remove_file(path("one.json")).unwrap();
        write("a.yml", "[]\n");
        assert_eq!(look(&mut files), (Some(Vec::new()), Vec::new()));
    }
}
