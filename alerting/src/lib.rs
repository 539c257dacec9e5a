//! Alerting: rules and SLOs to states to messages.
//!
//! A rule file or SLO file becomes groups of rules. Each group is evaluated at its slots: its
//! queries go to a [`DataSource`], its samples to a [`SampleSink`], and every alert takes one
//! [`state::step`]. Firing alerts are routed into groups, groups become messages in a durable
//! outbox, and senders deliver them. All that must survive a crash goes through a
//! [`StateStore`], each change in one transaction.
//!
//! This crate has no storage and no HTTP server; the server gives it the seams and serves its
//! snapshots. Nothing here reads the clock but the tasks of [`Engine`], through [`Clock`].
//! Times are Unix milliseconds.

pub mod clock;
pub mod config_error;
pub mod engine;
mod evaluate;
mod expansion;
pub mod expression;
mod group_state;
pub mod memory;
mod notify;
pub mod rule;
mod rule_file;
mod schedule;
pub mod sink;
pub mod slo;
pub mod snapshot;
pub mod source;
pub mod state;
pub mod state_store;
pub mod state_store_suite;
pub mod template;
mod yaml;

pub use clock::{Clock, SystemClock};
pub use config_error::{ConfigError, ConfigErrors};
pub use engine::{AlertingConfig, Configuration, Engine, Seams};
pub use sink::{SampleSink, SinkError};
pub use snapshot::{AlertsSnapshot, RuleKind, RulesFilter, RulesSnapshot};
pub use source::{DataSource, QueryError, QueryResult, VectorElement};
pub use state_store::{StateChange, StateError, StateStore};
