//! What alerting promises, seen from outside the crate.

mod conformance;
mod engine;
mod mail_server;
mod notification_files;
mod rule_files;
mod slo_files;
mod state_machine;
mod templates;
