//! What every handler shares.

use std::sync::Arc;

use alerting::Engine;
use axum::http::HeaderMap;
use metrics_exporter_prometheus::PrometheusHandle;
use model::tenant::InvalidTenant;
use model::{TenantId, TimeRange};
use promql::SeriesSource;
use store::scan::{QueryBounds, SnapshotLogs};
use store::{QueryError, Store};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Limits};
use crate::query_cost::QueryGate;
use crate::receivers::BodyBudget;
use crate::scrape::Scraper;

/// The header (and gRPC metadata key) that names the tenant.
const TENANT_HEADER: &str = "x-scope-orgid";

/// The running server, as its handlers see it. Made once, shared by reference.
pub(crate) struct AppState {
    /// Everything durable.
    pub(crate) store: Store,
    /// Running rules.
    pub(crate) engine: Engine,
    /// Running scrapes.
    pub(crate) scraper: Scraper,
    /// What the server was started with.
    pub(crate) config: Config,
    /// When that was, Unix ns.
    pub(crate) started: i64,
    /// Bounds of requests.
    pub(crate) limits: Limits,
    /// Bytes of request bodies in flight.
    pub(crate) bodies: BodyBudget,
    /// Queries in flight.
    pub(crate) queries: QueryGate,
    /// Our own metrics.
    pub(crate) metrics: PrometheusHandle,
    /// Cancelled when the server stops: what would go on for ever ends then.
    pub(crate) stopping: CancellationToken,
}

impl AppState {
    /// The tenant's series.
    pub(crate) fn series(&self, tenant: &TenantId) -> Arc<dyn SeriesSource> {
        series(&self.store, tenant)
    }

    /// The tenant's series, once they are complete.
    ///
    /// # Errors
    ///
    /// How far the replay is.
    pub(crate) fn ready_series(&self, tenant: &TenantId) -> Result<Arc<dyn SeriesSource>, String> {
        let readiness = self.store.ready();
        if readiness.is_ready() {
            Ok(self.series(tenant))
        } else {
            Err(readiness.to_string())
        }
    }

    /// The tenant's log records in `range`, for one LogQL query.
    ///
    /// # Errors
    ///
    /// The store is not ready, or its catalog failed.
    pub(crate) async fn logs(
        &self,
        tenant: &TenantId,
        range: TimeRange,
    ) -> Result<SnapshotLogs, QueryError> {
        let snapshot = self.store.logs(tenant, range).await?;
        let bounds = QueryBounds {
            timeout: self.limits.query_timeout,
            memory_bytes: self.limits.query_memory,
        };
        Ok(SnapshotLogs::new(Arc::new(snapshot), bounds))
    }
}

/// A shared [`AppState`].
pub(crate) type App = Arc<AppState>;

/// The tenant's series in `store`.
pub(crate) fn series(store: &Store, tenant: &TenantId) -> Arc<dyn SeriesSource> {
    Arc::new(store.series(tenant))
}

/// The tenant that a request names, or the default one.
///
/// # Errors
///
/// A name that is no tenant's, or no text.
pub(crate) fn tenant(headers: &HeaderMap) -> Result<TenantId, InvalidTenant> {
    let named = named_tenant(headers)?;
    Ok(named.unwrap_or_else(TenantId::default_tenant))
}

/// The tenant that a request names, when it names one.
///
/// # Errors
///
/// As [`tenant`].
pub(crate) fn named_tenant(headers: &HeaderMap) -> Result<Option<TenantId>, InvalidTenant> {
    match headers.get(TENANT_HEADER) {
        None => Ok(None),
        Some(value) => match value.to_str() {
            Ok(name) => name.parse().map(Some),
            Err(_) => Err(InvalidTenant(
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )),
        },
    }
}
