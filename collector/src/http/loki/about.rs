//! What the server says about itself to Loki's clients.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use model::time::format_duration;
use serde::Serialize;

use super::params::MAX_LIMIT;
use super::{LokiError, json};
use crate::app::App;

/// The release of Loki whose API this is: clients choose what they ask for by it.
const LOKI_VERSION: &str = "3.6.0";

/// The body of `drilldown-limits`.
#[derive(Serialize)]
struct DrilldownLimits {
    limits: TenantLimits,
    pattern_ingester_enabled: bool,
    version: &'static str,
}

#[derive(Serialize)]
struct TenantLimits {
    discover_log_levels: bool,
    max_entries_limit_per_query: usize,
    max_line_size_truncate: bool,
    max_query_length: String,
    max_query_range: String,
    max_query_series: usize,
    query_timeout: String,
    retention_period: String,
    volume_enabled: bool,
}

/// `drilldown-limits`: what Logs Drilldown may ask for.
pub(super) async fn drilldown_limits(State(app): State<App>) -> Result<Response, LokiError> {
    let none = || "0s".to_owned();
    let limits = ::query::logql::Limits::default();
    let text = |duration: Duration| {
        format_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    };
    json(&DrilldownLimits {
        limits: TenantLimits {
            discover_log_levels: true,
            max_entries_limit_per_query: MAX_LIMIT,
            max_line_size_truncate: false,
            max_query_length: none(),
            max_query_range: none(),
            max_query_series: limits.max_series,
            query_timeout: text(app.limits.query_timeout),
            retention_period: text(app.store.config().retention.logs),
            volume_enabled: true,
        },
        pattern_ingester_enabled: true,
        version: LOKI_VERSION,
    })
}

/// The body of `status/buildinfo`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BuildInfo {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_date: &'static str,
    build_user: &'static str,
    go_version: &'static str,
}

/// `status/buildinfo`: the release of Loki that clients should take us for.
pub(super) async fn build_info() -> Result<Response, LokiError> {
    json(&BuildInfo {
        version: LOKI_VERSION,
        revision: concat!("watchkeeper-", env!("CARGO_PKG_VERSION")),
        branch: "",
        build_date: "",
        build_user: "",
        go_version: "",
    })
}
