//! The real binary, through its ports only.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod crash;
mod grafana;
mod grpc;
mod logs_api;
mod loki;
mod malformed;
mod otlp;
mod rules;
mod server;
mod start;
mod storage;
mod telemetry;
