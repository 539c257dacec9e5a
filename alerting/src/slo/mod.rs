//! Service level objectives: SLO files in, groups of rules out.
//!
//! The files are Sloth's (`version: prometheus/v1`). Two of Sloth's own extension points carry
//! what its format has no field for, so a file stays valid for Sloth:
//!
//! An indicator that is neither `events` nor `raw` is a plugin of ours:
//!
//! ```yaml
//! sli:
//!   plugin:
//!     id: watchkeeper/latency/v1            # share of events slower than a bucket's border
//!     options:
//!       histogram: http_server_request_duration_seconds
//!       threshold: 300ms                    # must be a bucket's border
//!       filter: service_name="task-api"     # optional
//! ```
//!
//! ```yaml
//! sli:
//!   plugin:
//!     id: watchkeeper/replica-lag/v1        # share of time slices in which a replica lagged
//!     options:
//!       metric: db_replica_lag_seconds
//!       threshold: 30s
//!       by: cluster,replica                 # optional: one alert per replica
//!       slice: 1m                           # optional
//!       filter: cluster="main"              # optional
//! ```
//!
//! A slice without any lag sample is bad once the replica has been seen: lag metrics vanish when
//! replication stops.
//!
//! How burn rates become alerts is set for a whole file (`slo_plugins`) or one SLO (`plugins`):
//!
//! ```yaml
//! slo_plugins:
//!   chain:
//!     - id: watchkeeper/burn-rate/v1
//!       config:
//!         period: 30d                # the error budget's
//!         min_bad_events: 10         # fewer bad events in the long window never alert
//!         shorten_windows_by: 60     # for demonstrations: 1h becomes 1m, the period 12h
//!         evaluation_interval: 1s    # at most a quarter of the shortest window
//!         windows:                   # replaces the four usual pairs, before shortening
//!           - {severity: page, long: 1h, short: 5m, factor: 14.4}
//! ```
//!
//! The shortest window must also span four export intervals of the metrics, which only their
//! sender knows.

mod burn_rate;
mod generate;
mod indicator;
mod read;

pub use burn_rate::{BurnRate, Severity, WindowPair};
pub use generate::generate;
pub use indicator::Indicator;
pub(crate) use read::read;

use std::collections::BTreeMap;

/// One SLO, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// The service it belongs to.
    pub service: String,
    /// Its name, unique in the service.
    pub name: String,
    /// What it promises, in the author's words; may be empty.
    pub description: String,
    /// The share of events that must be good, in percent, below 100.
    pub objective: f64,
    /// Labels of all its series and alerts.
    pub labels: BTreeMap<String, String>,
    /// What is measured.
    pub indicator: Indicator,
    /// The alerts' name.
    pub alert_name: String,
    /// Labels and annotations of page alerts; `None` when they are disabled.
    pub page: Option<AlertTexts>,
    /// Labels and annotations of ticket alerts; `None` when they are disabled.
    pub ticket: Option<AlertTexts>,
    /// When the budget burns too fast.
    pub burn_rate: BurnRate,
}

/// Labels and annotations of an alert; values are templates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertTexts {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Slo {
    /// `service-name`: the label `sloth_id`.
    pub fn id(&self) -> String {
        format!("{}-{}", self.service, self.name)
    }

    /// The error budget, 1 − objective, as the decimal people expect: 0.001 for 99.9 %.
    pub fn budget(&self) -> f64 {
        tidy((100.0 - self.objective) / 100.0)
    }
}

/// `value` without the noise that binary arithmetic leaves behind its twelfth digit.
pub(crate) fn tidy(value: f64) -> f64 {
    format!("{value:.11e}").parse().unwrap_or(value)
}
