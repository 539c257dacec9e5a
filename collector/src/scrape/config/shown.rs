//! A job as it would be written with its defaults, for those who ask what is configured.

use model::TenantId;
use serde_json::{Value, json};

use super::{Discovery, Job, Protocol};
use crate::scrape::relabel::Rule;

impl Job {
    /// The fields, in Prometheus' order; what is off or empty is left out, and secrets read
    /// `<secret>`.
    pub(crate) fn shown(&self) -> Vec<(&'static str, Value)> {
        let protocols: Vec<&str> = self.protocols.iter().map(|one| one.name()).collect();
        let limits = &self.limits;
        let mut fields: Vec<(&'static str, Value)> = vec![
            ("job_name", self.name.as_str().into()),
            ("honor_timestamps", self.honor_timestamps.into()),
            ("scrape_interval", self.interval.to_string().into()),
            ("scrape_timeout", self.timeout.to_string().into()),
            ("scrape_protocols", json!(protocols)),
            ("metrics_path", self.metrics_path.as_str().into()),
            ("scheme", self.scheme.as_str().into()),
            ("enable_compression", self.compression.into()),
            ("body_size_limit", format!("{}B", limits.body).into()),
        ];
        if self.tenant != TenantId::default_tenant() {
            fields.push(("tenant", self.tenant.to_string().into()));
        }
        if !self.params.is_empty() {
            fields.push(("params", json!(self.params)));
        }
        let fallback = self.fallback.map(Protocol::name);
        fields.extend(fallback.map(|name| ("fallback_scrape_protocol", Value::from(name))));
        for (name, is_on) in [
            ("honor_labels", self.honor_labels),
            (
                "track_timestamps_staleness",
                self.track_timestamps_staleness,
            ),
            ("always_scrape_classic_histograms", self.keeps_classic),
            ("extra_scrape_metrics", self.extra_metrics),
        ] {
            if is_on {
                fields.push((name, true.into()));
            }
        }
        for (name, limit) in [
            ("sample_limit", limits.samples),
            ("label_limit", limits.labels),
            ("label_name_length_limit", limits.label_name_length),
            ("label_value_length_limit", limits.label_value_length),
            ("native_histogram_bucket_limit", limits.resolution.buckets),
            ("target_limit", limits.targets),
            ("keep_dropped_targets", limits.dropped_targets),
        ] {
            if limit > 0 {
                fields.push((name, limit.into()));
            }
        }
        if limits.resolution.factor > 0.0 {
            let factor = limits.resolution.factor;
            fields.push(("native_histogram_min_bucket_factor", factor.into()));
        }
        fields.extend(self.http.shown());
        fields.extend(self.shown_discoveries());
        for (name, rules) in [
            ("relabel_configs", &self.relabel),
            ("metric_relabel_configs", &self.metric_relabel),
        ] {
            if !rules.is_empty() {
                let rules: Vec<&Value> = rules.iter().map(Rule::written).collect();
                fields.push((name, json!(rules)));
            }
        }
        fields
    }

    fn shown_discoveries(&self) -> Vec<(&'static str, Value)> {
        let (mut groups, mut files, mut urls) = (Vec::new(), Vec::new(), Vec::new());
        for discovery in &self.discoveries {
            match discovery {
                Discovery::Static(found) => groups.extend(found.iter().map(|one| one.written())),
                Discovery::Files { patterns, refresh } => files.push(json!({
                    "files": patterns,
                    "refresh_interval": refresh.to_string(),
                })),
                Discovery::Http(discovery) => {
                    let mut shown = json!({
                        "url": discovery.shown_url,
                        "refresh_interval": discovery.refresh.to_string(),
                    });
                    for (name, value) in discovery.http.shown() {
                        shown[name] = value;
                    }
                    urls.push(shown);
                }
            }
        }
        let all = [
            ("static_configs", groups),
            ("file_sd_configs", files),
            ("http_sd_configs", urls),
        ];
        let some = all.into_iter().filter(|(_, list)| !list.is_empty());
        some.map(|(name, list)| (name, Value::Array(list)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::config::Written;

    fn job(yaml: &str) -> Job {
        let written = Written {
            jobs: vec![serde_saphyr::from_str(yaml).unwrap()],
            ..Written::default()
        };
        written.check(None).unwrap().jobs.remove(0)
    }

    #[test]
    fn a_shown_job_has_no_secrets_and_reads_as_the_same() {
        let first = job(
            "job_name: j\ntenant: acme\nsample_limit: 7\nhonor_labels: true\n\
             params: {a: [b, c]}\nnative_histogram_min_bucket_factor: 1.1\n\
             basic_auth: {username: u, password: hunter2}\nproxy_url: 'http://u:hunter2@p'\n\
             tls_config: {ca_file: ca.pem, cert: hunter2, key: hunter2, min_version: TLS13}\n\
             http_headers: {X-Key: {values: [hunter2], files: [key]}}\n\
             static_configs: [{targets: [h], labels: {env: test}}]\n\
             file_sd_configs: [{files: ['*.json']}]\n\
             http_sd_configs: [{url: 'http://u:hunter2@h/', bearer_token: hunter2}]\n\
             relabel_configs: [{source_labels: [env], regex: 'a|b', action: drop}]\n",
        );
        let shown = first.shown();
        let lines = shown.iter().map(|(name, value)| format!("{name}: {value}"));
        let yaml = lines.collect::<Vec<_>>().join("\n");
        assert!(!yaml.contains("hunter2"), "{yaml}");
        for expected in [
            r#"scrape_interval: "1m""#,
            r#""password":"<secret>""#,
            r#""X-Key":{"files":["key"],"secrets":["<secret>"]}"#,
            r#"static_configs: [{"labels":{"env":"test"},"targets":["h"]}]"#,
            r#""url":"http://u:xxxxx@h/""#,
            r#""regex":"a|b""#,
        ] {
            assert!(yaml.contains(expected), "{expected} in {yaml}");
        }
        // A secret that is hidden is a secret all the same, but the proxy's is a URL.
        let yaml = yaml.replace(r#"proxy_url: "<secret>""#, "proxy_url: http://p");
        assert_eq!(job(&yaml).shown(), shown);
    }
}
