//! The real binary, through its ports only.

mod crash;
mod grafana;
mod malformed;
mod otlp;
mod server;
mod start;
mod telemetry;
