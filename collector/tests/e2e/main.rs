//! The real binary, through its ports only.

mod crash;
mod grafana;
mod grpc;
mod loki;
mod malformed;
mod otlp;
mod rules;
mod server;
mod start;
mod telemetry;
