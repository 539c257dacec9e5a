//! The server's own metrics: their names in one place, and the recorder behind `/metrics`.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Items taken, by `signal`.
pub(crate) const INGESTED_ITEMS: &str = "watchkeeper_ingested_items_total";
/// Uncompressed bytes taken, by `signal`.
pub(crate) const INGESTED_BYTES: &str = "watchkeeper_ingested_bytes_total";
/// Items refused inside requests that were otherwise taken, by `signal` and `reason`.
pub(crate) const REJECTED_ITEMS: &str = "watchkeeper_rejected_items_total";
/// Requests refused as a whole, by `signal` and `status`.
pub(crate) const REFUSED_REQUESTS: &str = "watchkeeper_refused_requests_total";
/// What remote write brought and was kept, by `version` and `kind`.
pub(crate) const REMOTE_WRITTEN: &str = "watchkeeper_remote_written_total";
/// Syslog messages taken, by `transport`.
pub(crate) const SYSLOG_MESSAGES: &str = "watchkeeper_syslog_messages_total";
/// Syslog messages that were lost because the store did not take them, by `transport`.
pub(crate) const SYSLOG_DROPPED: &str = "watchkeeper_syslog_dropped_messages_total";
/// From a request's arrival to its items being durable and visible to queries, by `signal`.
pub(crate) const INGEST_TO_VISIBLE: &str = "watchkeeper_ingest_to_visible_seconds";
/// How long HTTP requests take, by `route`, `method` and `status`.
pub(crate) const HTTP_SECONDS: &str = "watchkeeper_http_request_duration_seconds";
/// Queries that run, those that wait for their turn not counted.
pub(crate) const QUERIES_RUNNING: &str = "watchkeeper_queries_running";
/// Queries by how they ended: `finished`, with an answer or an error; `timed_out`; `cancelled`,
/// because nobody waited for the answer any more.
pub(crate) const QUERIES: &str = "watchkeeper_queries_total";
/// Live tails that are open.
pub(crate) const TAILS: &str = "watchkeeper_tails";
/// Rows that live tails came too late for.
pub(crate) const TAIL_DROPPED: &str = "watchkeeper_tail_dropped_rows_total";
/// Exports that are being sent.
pub(crate) const EXPORTS: &str = "watchkeeper_exports";
/// Scrapes by how they ended: `ok` or `failed`.
pub(crate) const SCRAPES: &str = "watchkeeper_scrapes_total";
/// Samples of scrapes that the store did not take.
pub(crate) const SCRAPE_SKIPPED_SAMPLES: &str = "watchkeeper_scrape_skipped_samples_total";
/// Targets that are scraped, by `job`.
pub(crate) const SCRAPE_TARGETS: &str = "watchkeeper_scrape_targets";

const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Installs the process's recorder; once.
///
/// # Errors
///
/// A recorder is installed already.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    metrics::describe_counter!(INGESTED_ITEMS, "Items taken");
    metrics::describe_counter!(INGESTED_BYTES, "Uncompressed bytes taken");
    metrics::describe_counter!(
        REJECTED_ITEMS,
        "Items refused inside requests that were otherwise taken"
    );
    metrics::describe_counter!(REFUSED_REQUESTS, "Requests refused as a whole");
    metrics::describe_counter!(
        REMOTE_WRITTEN,
        "Samples, native histograms and exemplars that remote write brought and that were kept"
    );
    metrics::describe_counter!(SYSLOG_MESSAGES, "Syslog messages taken");
    metrics::describe_counter!(
        SYSLOG_DROPPED,
        "Syslog messages that were lost because the store did not take them"
    );
    metrics::describe_histogram!(
        INGEST_TO_VISIBLE,
        "From a request's arrival to its items being durable and visible to queries"
    );
    metrics::describe_histogram!(HTTP_SECONDS, "How long HTTP requests take");
    metrics::describe_gauge!(QUERIES_RUNNING, "Queries that run");
    metrics::describe_counter!(QUERIES, "Queries by how they ended");
    metrics::describe_gauge!(TAILS, "Live tails that are open");
    metrics::describe_counter!(TAIL_DROPPED, "Rows that live tails came too late for");
    metrics::describe_gauge!(EXPORTS, "Exports that are being sent");
    metrics::describe_counter!(SCRAPES, "Scrapes by how they ended");
    metrics::describe_counter!(
        SCRAPE_SKIPPED_SAMPLES,
        "Samples of scrapes that the store did not take"
    );
    metrics::describe_gauge!(SCRAPE_TARGETS, "Targets that are scraped");
}

/// Counts an open tail.
pub(crate) struct OpenTail;

impl OpenTail {
    /// One more.
    pub(crate) fn begin() -> Self {
        metrics::gauge!(TAILS).increment(1.0);
        Self
    }
}

impl Drop for OpenTail {
    fn drop(&mut self) {
        metrics::gauge!(TAILS).decrement(1.0);
    }
}
