//! Where scraped samples go: into the store, by the way of everything else.

use async_trait::async_trait;
use bytes::Bytes;
use model::{Encoding, Signal, TenantId};
use store::{IngestRequest, Store};

use crate::self_metrics;

/// Takes samples.
#[async_trait]
pub(crate) trait Sink: Send + Sync {
    /// Writes the samples of a remote write 2.0 message, received at `at` (Unix ns). When this
    /// returns, they are durable and visible.
    ///
    /// # Errors
    ///
    /// Nothing was written, and why.
    async fn write(&self, tenant: &TenantId, body: Bytes, at: i64) -> Result<Written, NotWritten>;
}

/// What became of samples that were taken.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Why some of them were not, in a sentence.
    pub(crate) rejected: Option<String>,
}

/// Why samples were not taken.
#[derive(Debug)]
pub(crate) struct NotWritten(pub(crate) String);

/// The store of this process.
pub(crate) struct StoreSink {
    pub(crate) store: Store,
}

#[async_trait]
impl Sink for StoreSink {
    async fn write(&self, tenant: &TenantId, body: Bytes, at: i64) -> Result<Written, NotWritten> {
        let bytes = body.len() as u64;
        let request = IngestRequest {
            tenant: tenant.clone(),
            signal: Signal::Metrics,
            encoding: Encoding::RemoteWriteV2,
            body,
            received_at: at,
        };
        let outcome = self
            .store
            .ingest(request)
            .await
            .map_err(|err| NotWritten(err.to_string()))?;
        metrics::counter!(self_metrics::INGESTED_BYTES, "signal" => Signal::Metrics.as_str())
            .increment(bytes);
        let rejected = outcome.reasons.first().map(|first| {
            format!(
                "{} samples were not stored: {}",
                outcome.rejected, first.reason
            )
        });
        Ok(Written { rejected })
    }
}
