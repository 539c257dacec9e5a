//! Where targets come from: the configuration itself, files, and URLs.
//!
//! Each source of a job sends all of its groups whenever they have changed. A source that cannot
//! be read keeps its last good groups: targets do not vanish because somebody mistyped a file.

mod file;
mod http;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Labels;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::config::{Discovery, Job};

/// Targets that share labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<String, String>,
}

impl TargetGroup {
    pub(crate) fn new(targets: Vec<String>, labels: BTreeMap<String, String>) -> Self {
        Self { targets, labels }
    }

    /// The group as `static_configs` writes it.
    pub(crate) fn written(&self) -> Value {
        let mut written = json!({ "targets": self.targets });
        if !self.labels.is_empty() {
            written["labels"] = json!(self.labels);
        }
        written
    }

    /// The labels of each target, its address included.
    pub(crate) fn labels(&self) -> impl Iterator<Item = Labels> {
        self.targets.iter().map(|address| {
            let own = [("__address__", address.as_str())];
            let shared = self.labels.iter();
            // Of equal names the last one wins: the target's own.
            shared
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .chain(own)
                .collect()
        })
    }
}

/// All groups of one source of a job.
#[derive(Debug)]
pub(crate) struct Update {
    /// The source's number among those of the job.
    pub(crate) source: usize,
    pub(crate) groups: Vec<TargetGroup>,
}

/// Asks all sources of `job` for targets until `stop`.
pub(crate) async fn run(job: Arc<Job>, updates: mpsc::Sender<Update>, stop: CancellationToken) {
    let sources = job
        .discoveries
        .iter()
        .enumerate()
        .map(|(index, discovery)| {
            let changes = Changes {
                source: index,
                job: &job.name,
                updates: updates.clone(),
            };
            async move {
                match discovery {
                    Discovery::Static(groups) => changes.send(groups.clone()).await,
                    Discovery::Files { patterns, refresh } => {
                        file::run(patterns, *refresh, &changes).await;
                    }
                    Discovery::Http(discovery) => http::run(discovery, &changes).await,
                }
            }
        });
    tokio::select! {
        _ = futures::future::join_all(sources) => {}
        () = stop.cancelled() => {}
    }
}

/// Where a source tells what it has found.
struct Changes<'j> {
    source: usize,
    job: &'j str,
    updates: mpsc::Sender<Update>,
}

impl Changes<'_> {
    /// Hands over all groups; waits while the job is still busy with the last ones.
    async fn send(&self, groups: Vec<TargetGroup>) {
        let update = Update {
            source: self.source,
            groups,
        };
        // Nobody listens only when the server stops.
        self.updates.send(update).await.ok();
    }
}

/// A group as files and URLs write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupFields {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// The groups of a list, each with the label `meta` that says where it is from.
fn groups(fields: Vec<GroupFields>, from: &str, meta: &str) -> Vec<TargetGroup> {
    let group = |fields: GroupFields| {
        let mut labels = fields.labels.unwrap_or_default();
        labels.insert(meta.to_owned(), from.to_owned());
        TargetGroup::new(fields.targets, labels)
    };
    fields.into_iter().map(group).collect()
}
