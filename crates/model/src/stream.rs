//! Stream labels: which resource attributes name a log's stream to Loki's clients, and how.
//!
//! A resource attribute is a stream label when Loki indexes its key by default for OTLP (with `.`
//! as `_`), or when the key is a label's name as it stands. OpenTelemetry's own keys have dots and
//! are never the latter, while every label that a Loki client pushes is: so pushed labels are kept
//! as resource attributes, and select their streams again.

/// Stream labels with the dotted keys they stand for.
pub const DOTTED: [(&str, &str); 18] = [
    ("service_name", "service.name"),
    ("service_namespace", "service.namespace"),
    ("service_instance_id", "service.instance.id"),
    ("deployment_environment", "deployment.environment"),
    ("deployment_environment_name", "deployment.environment.name"),
    ("cloud_region", "cloud.region"),
    ("cloud_availability_zone", "cloud.availability_zone"),
    ("k8s_cluster_name", "k8s.cluster.name"),
    ("k8s_namespace_name", "k8s.namespace.name"),
    ("k8s_pod_name", "k8s.pod.name"),
    ("k8s_container_name", "k8s.container.name"),
    ("k8s_replicaset_name", "k8s.replicaset.name"),
    ("k8s_deployment_name", "k8s.deployment.name"),
    ("k8s_statefulset_name", "k8s.statefulset.name"),
    ("k8s_daemonset_name", "k8s.daemonset.name"),
    ("k8s_cronjob_name", "k8s.cronjob.name"),
    ("k8s_job_name", "k8s.job.name"),
    ("container_name", "container.name"),
];

/// Labels of every line that come from elsewhere than the resource, so that no stream has them.
pub const OF_RECORDS: [&str; 8] = [
    "detected_level",
    "severity_text",
    "severity_number",
    "trace_id",
    "span_id",
    "event_name",
    "scope_name",
    "scope_version",
];

/// The stream label of a resource attribute; `None` for an attribute that is none.
pub fn label_of_key(key: &str) -> Option<&str> {
    match DOTTED.iter().find(|(_, dotted)| *dotted == key) {
        Some((label, _)) => Some(label),
        None => is_free_label(key).then_some(key),
    }
}

/// The resource attribute that a stream label stands for; `None` for a label of no stream.
pub fn key_of_label(label: &str) -> Option<&str> {
    match DOTTED.iter().find(|(dotted, _)| *dotted == label) {
        Some((_, key)) => Some(key),
        None => is_free_label(label).then_some(label),
    }
}

/// Whether `name` is a label's name (`[a-zA-Z_][a-zA-Z0-9_]*`) that means nothing else.
fn is_free_label(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_label = name.chars().all(letters) && !name.starts_with(|c: char| c.is_ascii_digit());
    let is_taken =
        || OF_RECORDS.contains(&name) || DOTTED.iter().any(|(dotted, _)| *dotted == name);
    !name.is_empty() && is_label && !is_taken()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_keys_name_each_other() {
        for (label, key) in [
            ("service_name", Some("service.name")),
            ("k8s_pod_name", Some("k8s.pod.name")),
            ("app", Some("app")),
            ("_private9", Some("_private9")),
            ("trace_id", None),
            ("detected_level", None),
            ("", None),
            ("9lives", None),
            ("a-b", None),
        ] {
            assert_eq!(key_of_label(label), key, "{label}");
            if let Some(key) = key {
                assert_eq!(label_of_key(key), Some(label), "{key}");
            }
        }
    }

    #[test]
    fn dotted_keys_are_labels_only_when_loki_indexes_them() {
        for key in [
            "host.name",
            "process.pid",
            "service_name",
            "täg",
            "trace_id",
        ] {
            assert_eq!(label_of_key(key), None, "{key}");
        }
    }
}
