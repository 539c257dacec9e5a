//! Every panel of every dashboard: its form, and its values against a server with known data.

mod board;
mod dataset;
mod expected;
mod form;
mod grafana;
mod provisioning;
mod values;
