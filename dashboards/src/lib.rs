//! The Grafana dashboards that come with Watchkeeper, as Grafana imports them.
//!
//! They need two data sources (`provisioning/datasources`), chosen by the dashboard's variables
//! `metrics` and `logs`. The tests are a runner that plays Grafana: it fills in variables and
//! macros, sends every panel's query to a real server, and compares every value.

/// A dashboard in Grafana's classic form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dashboard {
    /// Its file's name, `task-api-overview.json`.
    pub file: &'static str,
    /// Its contents.
    pub json: &'static str,
}

/// All of them.
pub const ALL: [Dashboard; 1] = [Dashboard {
    file: "task-api-overview.json",
    json: include_str!("../task-api-overview.json"),
}];
