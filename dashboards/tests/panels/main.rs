//! Every panel of every dashboard: its form, and its values against a server with known data.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod board;
mod dataset;
mod expected;
mod form;
mod grafana;
mod provisioning;
mod values;
