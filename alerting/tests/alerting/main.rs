//! What alerting promises, seen from outside the crate.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod conformance;
mod engine;
mod mail_server;
mod notification_files;
mod rule_files;
mod slo_alerts;
mod slo_files;
mod state_machine;
mod templates;
mod webhooks;
